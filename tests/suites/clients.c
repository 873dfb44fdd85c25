// SPDX-License-Identifier: GPL-2.0
/*
 * Programs from Debian as they are, which know nothing of revocation: perftest
 * with its buffer in p2pmem, ibv_rc_pingpong, ibv_devinfo, rdma, lspci and
 * trace-cmd. What perftest does when the memory goes is what its own error
 * path does: it names the completion's status and ends.
 */
#include "check.h"
#include "clock.h"
#include "holders.h"
#include "scene.h"
#include "sysfs.h"
#include "tap.h"
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDRESS		"10.0.0.1"
#define MAX_OUT		65536
#define STILL		20		/* seconds without a packet are the end of it */
#define PACKETS		2000		/* that count as "it is running" */

static unsigned int files;

/* One program, with a file that takes what it prints. */
struct program {
	struct worker w;
	char name[24];
	char cmd[400];
	char file[64];
};

static int run_it(int fd, void *arg)
{
	struct program *p = arg;
	int out;

	(void)fd;
	out = open(p->file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		return 126;
	/* the program itself, not a shell around it: the pid is to be its own */
	execl("/bin/sh", "sh", "-c", p->cmd, NULL);
	return 127;
}

static void start(struct program *p, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void start(struct program *p, const char *name, const char *fmt, ...)
{
	va_list ap;
	int n;

	memset(p, 0, sizeof(*p));
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->file, sizeof(p->file), "/tmp/clients.%u", files++);
	n = snprintf(p->cmd, sizeof(p->cmd), "exec ");
	va_start(ap, fmt);
	vsnprintf(p->cmd + n, sizeof(p->cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	ASSERT_EQ(worker_start(&p->w, name, run_it, p), 0);
}

/* What it has printed so far, in a buffer that the next call uses again. */
static const char *output(const struct program *p)
{
	static char buf[MAX_OUT];
	ssize_t n = -1;
	int fd = open(p->file, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static void note_output(const struct program *p)
{
	const char *text = output(p);

	tap_note("%s: %s", p->name, p->cmd);
	while (*text) {
		size_t len = strcspn(text, "\n");

		tap_note("  %.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* Its exit status; -1 when it had to be killed, 128 + the signal otherwise. */
static int ended(struct program *p, double seconds)
{
	int status = worker_join(&p->w, seconds);

	if (status >= 0 && WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return status < 0 ? -1 : WEXITSTATUS(status);
}

static int run(struct program *p, double seconds)
{
	int status = ended(p, seconds);

	if (status)
		note_output(p);
	return status;
}

/* Waits until somebody listens on that port. */
static bool listens(unsigned int port)
{
	static const char *const tables[] = { "/proc/net/tcp", "/proc/net/tcp6" };
	double end = clock_now() + 15 * clock_scale();
	char want[16], text[8192], *line, *save;
	unsigned int i;

	snprintf(want, sizeof(want), ":%04X ", port);
	while (clock_now() < end) {
		for (i = 0; i < 2; i++) {
			if (sysfs_read(tables[i], text, sizeof(text)))
				continue;
			for (line = strtok_r(text, "\n", &save); line;
			     line = strtok_r(NULL, "\n", &save))
				if (strstr(line, want) && strstr(line, " 0A "))
					return true;
		}
		clock_sleep_ms(20);
	}
	return false;
}

static unsigned long long packets(void)
{
	unsigned long long n = 0;

	sysfs_read_ull("/sys/class/infiniband/rxe0/ports/1/hw_counters/sent_pkts",
		       &n);
	return n;
}

static bool traffic(unsigned long long n)
{
	double end = clock_now() + 20 * clock_scale();

	n += packets();
	while (clock_now() < end) {
		if (packets() >= n)
			return true;
		clock_sleep_ms(5);
	}
	tap_note("the counters of rxe0 stand still at %llu", packets());
	return false;
}

/* Why nothing moves any more: what rxe has counted, and the state of the queue pairs. */
static void note_standstill(void)
{
	struct program p;

	tap_note("no packet for %.0f s", STILL * clock_scale());
	start(&p, "rxe0", "grep . /sys/class/infiniband/rxe0/ports/1/hw_counters/*");
	ended(&p, 10);
	note_output(&p);
	start(&p, "rdma", "rdma resource show qp -dd");
	ended(&p, 10);
	note_output(&p);
}

/* Not worker_gone(): a program that was executed has closed the worker's end. */
static bool has_ended(const struct program *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->w.pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	       info.si_pid;
}

/* The same as run(), for one that sends and receives, for as long as it does. */
static int run_on(struct program *p)
{
	unsigned long long seen = packets(), now;
	double end = clock_now() + STILL * clock_scale();

	while (!has_ended(p) && clock_now() < end) {
		now = packets();
		if (now != seen) {
			end = clock_now() + STILL * clock_scale();
			tap_goes_on();
		}
		seen = now;
		clock_sleep_ms(20);
	}
	if (!has_ended(p))
		note_standstill();
	return run(p, 5);
}

/* perftest's two sides: server first, then the client that connects to it. */
struct bw {
	struct program server, client;
};

#define SERVER_P2P	1
#define CLIENT_P2P	2

/* A port of its own for each run: the old one may linger. */
static void bw_start(struct bw *b, const char *prog, int where, const char *args)
{
	static unsigned int port = 18500;
	char p2p[120];

	snprintf(p2p, sizeof(p2p), "--mmap=/sys/bus/pci/devices/%s/p2pmem/allocate",
		 scene_provider.bdf);
	port++;
	start(&b->server, prog, "%s -F -d rxe0 -x 1 -p %u %s %s", prog, port,
	      args, where & SERVER_P2P ? p2p : "");
	ASSERT_TRUE(listens(port));
	start(&b->client, prog, "%s -F -d rxe0 -x 1 -p %u %s %s " ADDRESS, prog,
	      port, args, where & CLIENT_P2P ? p2p : "");
}

/* Pins in the provider's memory of that process, or of all with -1. */
static unsigned long pins(const struct program *p, const char *state)
{
	unsigned long n;
	struct holders h;

	if (!EXPECT_EQ(holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0), 0))
		return 0;
	n = holders_of(&h, p ? p->w.pid : -1, state);
	holders_free(&h);
	return n;
}

static void perftest_runs(const char *prog)
{
	struct bw b;

	bw_start(&b, prog, SERVER_P2P | CLIENT_P2P, "-s 4096 -n 500");
	EXPECT_EQ(run(&b.client, 15), 0);
	/* bytes and iterations of the row that it prints at the end */
	EXPECT_TRUE(strstr(output(&b.client), "\n 4096       500  "));
	if (tap_failed())
		note_output(&b.client);
	EXPECT_EQ(run(&b.server, 15), 0);
	EXPECT_EQ(pins(NULL, NULL), 0);
}

static void write_runs(void)
{
	perftest_runs("ib_write_bw");
}

static void read_runs(void)
{
	perftest_runs("ib_read_bw");
}

static void send_runs(void)
{
	perftest_runs("ib_send_bw");
}

struct loss {
	const char *prog;
	int where;			/* the side whose buffer is revoked */
	enum ibv_wc_status status;	/* that the client reports */
	bool server_waits;
};

/* The line of its output with that text, as a note. */
static bool says(const struct program *p, const char *text)
{
	const char *out = output(p), *at = strstr(out, text);

	if (!at)
		return false;
	tap_note("%s: \"%.*s\"", p->name, (int)strcspn(at, "\n"), at);
	return true;
}

static void perftest_loses(const struct loss *l)
{
	struct program *p2p;
	struct unbind u;
	double unbound;
	char failed[32];
	struct bw b;
	int status;

	bw_start(&b, l->prog, l->where, "-s 4096 --run_infinitely -D 1");
	p2p = l->where & SERVER_P2P ? &b.server : &b.client;
	ASSERT_TRUE(traffic(PACKETS));
	EXPECT_EQ(pins(NULL, "attached"), 1);
	EXPECT_EQ(pins(p2p, "attached"), 1);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
	unbound = clock_now();

	status = ended(&b.client, 10);
	tap_note("the unbind took %.3f s; the client ended %.3f s later with exit status %d",
		 u.seconds, clock_now() - unbound, status);
	EXPECT_EQ(status, 1);
	/* "... status 10: wr_id 0 ..." */
	snprintf(failed, sizeof(failed), "Failed status %d:", l->status);
	EXPECT_TRUE(says(&b.client, "Completion with error at client"));
	EXPECT_TRUE(says(&b.client, failed));

	if (l->server_waits) {
		/*
		 * Nobody tells a receiver that its sender is gone, revoked or
		 * not: this one waits until it is interrupted.
		 */
		clock_sleep_ms(1000);
		EXPECT_TRUE(!waitpid(b.server.w.pid, NULL, WNOHANG));
		worker_kill(&b.server.w, SIGINT);
		EXPECT_EQ(ended(&b.server, 10), 128 + SIGINT);
	} else {
		status = ended(&b.server, 10);
		tap_note("the server ended %.3f s after the unbind, exit status %d",
			 clock_now() - unbound, status);
		EXPECT_EQ(status, 1);
		EXPECT_TRUE(says(&b.server, "Couldn't read remote address") ||
			    says(&b.server, "A completion with Error"));
	}
	if (tap_failed()) {
		note_output(&b.client);
		note_output(&b.server);
	}
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	perftest_runs(l->prog);
}

/* The statuses are those of a key that never was valid: tests/lib/keys.c. */
static void write_into_revoked(void)
{
	perftest_loses(&(struct loss) {
		"ib_write_bw", SERVER_P2P, IBV_WC_REM_ACCESS_ERR, false });
}

static void read_from_revoked(void)
{
	perftest_loses(&(struct loss) {
		"ib_read_bw", SERVER_P2P, IBV_WC_REM_ACCESS_ERR, false });
}

static void send_into_revoked(void)
{
	perftest_loses(&(struct loss) {
		"ib_send_bw", SERVER_P2P, IBV_WC_REM_OP_ERR, false });
}

static void write_of_revoked(void)
{
	perftest_loses(&(struct loss) {
		"ib_write_bw", CLIENT_P2P, IBV_WC_WR_FLUSH_ERR, false });
}

static void read_to_revoked(void)
{
	perftest_loses(&(struct loss) {
		"ib_read_bw", CLIENT_P2P, IBV_WC_LOC_PROT_ERR, false });
}

static void send_of_revoked(void)
{
	perftest_loses(&(struct loss) {
		"ib_send_bw", CLIENT_P2P, IBV_WC_WR_FLUSH_ERR, true });
}

/* Those who do not use the memory do not notice. */
static void pingpong(void)
{
	const char *args = "-d rxe0 -g 1 -s 4096 -c -n 10000";
	struct program server, client;
	struct unbind u;

	start(&server, "pingpong", "ibv_rc_pingpong %s", args);
	ASSERT_TRUE(listens(18515));
	start(&client, "pingpong", "ibv_rc_pingpong %s " ADDRESS, args);
	ASSERT_TRUE(traffic(100));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
	EXPECT_TRUE(traffic(100));
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	EXPECT_EQ(run_on(&client), 0);
	EXPECT_EQ(run(&server, 20), 0);
	EXPECT_TRUE(says(&client, "10000 iters in"));
	EXPECT_TRUE(says(&server, "10000 iters in"));
}

/* The driver that is bound, and the memory that is there with and without. */
static void lspci(void)
{
	struct program p;
	struct unbind u;
	int bound;

	for (bound = 1; bound >= 0; bound--) {
		start(&p, "lspci", "lspci -D -k -v -s %s", scene_provider.bdf);
		EXPECT_EQ(run(&p, 10), 0);
		EXPECT_TRUE(strstr(output(&p), scene_provider.bdf));
		EXPECT_TRUE(strstr(output(&p), "[size=64M]"));
		EXPECT_EQ(!!strstr(output(&p), "Kernel driver in use: nvme"),
			  bound);
		if (tap_failed())
			note_output(&p);
		if (bound)
			ASSERT_TRUE(unbind_now(&scene_provider, &u));
	}
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

/* The RDMA device does not change with the provider. */
static void devinfo(void)
{
	char before[4096];
	struct program p;
	struct unbind u;

	start(&p, "ibv_devinfo", "ibv_devinfo -v");
	EXPECT_EQ(run(&p, 10), 0);
	EXPECT_TRUE(strstr(output(&p), "PORT_ACTIVE"));
	memcpy(before, output(&p), sizeof(before));
	before[sizeof(before) - 1] = '\0';
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	start(&p, "ibv_devinfo", "ibv_devinfo -v");
	EXPECT_EQ(run(&p, 10), 0);
	EXPECT_TRUE(!strncmp(output(&p), before, sizeof(before) - 1));
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

/*
 * rdma and trace-cmd name the process that is about to lose its memory, and
 * has lost it. (What else they show: the suite "holders".)
 */
static void rdma_and_trace_cmd(void)
{
	struct program p;
	char who[64];
	struct bw b;
	pid_t pid;

	bw_start(&b, "ib_write_bw", SERVER_P2P, "-s 4096 --run_infinitely -D 1");
	pid = b.server.w.pid;
	ASSERT_TRUE(traffic(PACKETS));
	start(&p, "rdma", "rdma resource show mr -dd");
	EXPECT_EQ(run(&p, 10), 0);
	snprintf(who, sizeof(who), "pid %d comm ib_write_bw drv_state valid",
		 pid);
	if (!EXPECT_TRUE(strstr(output(&p), who)))
		note_output(&p);

	start(&p, "trace-cmd", "trace-cmd record -q -e pfn_revoke -o /tmp/clients.dat sh -c 'echo %s >/sys/bus/pci/drivers/nvme/unbind'",
	      scene_provider.bdf);
	EXPECT_EQ(run(&p, 20), 0);
	EXPECT_TRUE(!provider_bound(&scene_provider));
	EXPECT_EQ(ended(&b.client, 10), 1);
	EXPECT_EQ(ended(&b.server, 10), 1);

	start(&p, "trace-cmd", "trace-cmd report -i /tmp/clients.dat");
	EXPECT_EQ(run(&p, 20), 0);
	snprintf(who, sizeof(who), "consumer=ib_umem pid=%d", pid);
	EXPECT_TRUE(strstr(output(&p), who));
	EXPECT_TRUE(says(&p, "pfn_pin_finish: "));
	if (tap_failed())
		note_output(&p);
	unlink("/tmp/clients.dat");
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

static void after(void)
{
	unsigned int i;
	char file[64];

	scene_after();
	/* tmpfs: what the programs printed is memory */
	for (i = 0; i < files; i++) {
		snprintf(file, sizeof(file), "/tmp/clients.%u", i);
		unlink(file);
	}
	files = 0;
}

static const struct tap_test tests[] = {
	{ "write_runs", write_runs, 40 },
	{ "read_runs", read_runs, 40 },
	{ "send_runs", send_runs, 40 },
	{ "write_into_revoked", write_into_revoked, 60 },
	{ "read_from_revoked", read_from_revoked, 60 },
	{ "send_into_revoked", send_into_revoked, 60 },
	{ "write_of_revoked", write_of_revoked, 60 },
	{ "read_to_revoked", read_to_revoked, 60 },
	{ "send_of_revoked", send_of_revoked, 60 },
	{ "pingpong", pingpong, 120 },
	{ "lspci", lspci, 30 },
	{ "devinfo", devinfo, 30 },
	{ "rdma_and_trace_cmd", rdma_and_trace_cmd, 60 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"clients", tests, scene_init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
