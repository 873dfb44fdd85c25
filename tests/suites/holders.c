// SPDX-License-Identifier: GPL-2.0
/*
 * Who holds what, as an administrator sees it: pfn_revoke in debugfs, the stock
 * "rdma resource show mr", and the tracepoints through the stock trace-cmd.
 */
#include "check.h"
#include "clock.h"
#include "holders.h"
#include "mutate.h"
#include "scene.h"
#include "sysfs.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void look(struct holders *h)
{
	ASSERT_EQ(holders_read(h, HOLDERS_PATH, scene_provider.bdf, 0), 0);
}

/* Nobody holds anything: the range is there, and goes with the driver. */
static void nobody(void)
{
	struct holders h;
	struct unbind u;

	look(&h);
	ASSERT_TRUE(h.found);
	EXPECT_EQ(strcmp(h.state, "open"), 0);
	EXPECT_EQ(h.end - h.start + 1, scene_provider.size);
	EXPECT_EQ(h.pins, 0);
	EXPECT_EQ(h.nr, 0);
	holders_free(&h);

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	look(&h);
	EXPECT_TRUE(!h.found);
	holders_free(&h);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	look(&h);
	EXPECT_TRUE(h.found);
	holders_free(&h);
}

/* CONFIG_HZ is 100 at least */
#define TICK_US 10000
#define SLACK_US (100000 * clock_scale())

static void one_mr(void)
{
	struct scene *s = scene_open_bare(4);
	double before = clock_now(), after;
	struct holders h;
	uint64_t phys;
	char comm[32];

	prctl(PR_GET_NAME, comm);
	s->mr = ibv_reg_mr(s->rdma.pd, s->area, s->len, RDMA_ALL);
	ASSERT_TRUE(s->mr);
	after = clock_now();
	ASSERT_EQ(observer_physical(s->area, &phys), 0);
	look(&h);
	EXPECT_EQ(h.pins, 1);
	ASSERT_EQ(h.nr, 1);
	EXPECT_EQ(h.pin[0].start, phys);
	EXPECT_EQ(h.pin[0].bytes, s->len);
	EXPECT_GE(h.pin[0].start, h.start);
	EXPECT_LE(h.pin[0].end, h.end);
	EXPECT_EQ(strcmp(h.pin[0].state, "attached"), 0);
	EXPECT_EQ(h.pin[0].pid, getpid());
	EXPECT_EQ(strcmp(h.pin[0].consumer, "ib_umem"), 0);
	EXPECT_EQ(strcmp(h.pin[0].comm, comm), 0);
	/* to a tick */
	tap_note("since=%.6f, registered from %.6f to %.6f", h.pin[0].since,
		 before, after);
	EXPECT_GE(h.pin[0].since * 1e6 + SLACK_US, before * 1e6);
	EXPECT_LE(h.pin[0].since * 1e6, after * 1e6 + TICK_US);
	tap_note("%.*s", (int)strcspn(h.text, "\n"), h.text);
	tap_note("%.*s", (int)strcspn(strchr(h.text, '\n') + 1, "\n"),
		 strchr(h.text, '\n') + 1);
	holders_free(&h);

	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	look(&h);
	EXPECT_EQ(h.pins, 0);
	EXPECT_EQ(h.nr, 0);
	holders_free(&h);
	scene_close(s);
}

/* An MR of pages that do not follow one another: a line each, one pin. */
static void several_runs(void)
{
	struct scene *s = scene_open_bare(1);
	unsigned char *m = mmap(NULL, 3 * PAGE, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct holders h;
	struct ibv_mr *mr;
	int i;

	/* the pool hands out in ascending order */
	ASSERT_TRUE(m != MAP_FAILED);
	for (i = 2; i >= 0; i--)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider, m + (size_t)i * PAGE,
					PAGE, MAP_SHARED | MAP_FIXED, 0));
	mr = ibv_reg_mr(s->rdma.pd, m, 3 * PAGE, RDMA_ALL);
	ASSERT_TRUE(mr);
	look(&h);
	EXPECT_EQ(h.pins, h.nr);
	ASSERT_EQ(h.nr, 3);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(h.pin[i].bytes, PAGE);
		if (!i)
			continue;
		EXPECT_GE(h.pin[i].start, h.pin[i - 1].end + 1);
		/* they were attached the other way round */
		EXPECT_LE(h.pin[i].since * 1e6, h.pin[i - 1].since * 1e6);
	}
	holders_free(&h);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	munmap(m, 3 * PAGE);
	scene_close(s);
}

/* Looks until the range is in that state, or time is up. */
static bool look_for(struct holders *h, const char *state)
{
	double limit = clock_now() + 5 * clock_scale();

	do {
		look(h);
		if (h->found && !strcmp(h->state, state))
			return true;
		holders_free(h);
	} while (clock_now() < limit);
	return false;
}

/* A packet is being copied when the revoke comes. */
static void revoking(void)
{
	struct scene *s = scene_open(1, 0);
	struct rdma_op op = scene_op(s, IBV_WR_RDMA_WRITE, 64);
	struct holders h;
	struct unbind u;
	struct ibv_wc wc;

	ASSERT_EQ(mutate_add("copy_slow"), 0);
	ASSERT_EQ(rdma_post(&s->pair.end[0], &op), 0);
	EXPECT_TRUE(mutate_wait_held(10));
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	if (EXPECT_TRUE(look_for(&h, "revoking"))) {
		EXPECT_EQ(h.pins, 1);
		EXPECT_EQ(h.nr, 1);
		EXPECT_EQ(holders_of(&h, getpid(), "revoking"), 1);
		EXPECT_TRUE(!unbind_wait(&u, 0, NULL, 0));
	}
	holders_free(&h);
	EXPECT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	rdma_poll(&s->pair.end[0], &wc, 5);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

/* The MR is revoked, the driver still has work to do: held up here. */
static void revoked(void)
{
	struct scene *s = scene_open(1, 0);
	struct holders h;
	struct unbind u;

	ASSERT_EQ(mutate_add("remove_gap"), 0);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	if (EXPECT_TRUE(look_for(&h, "closed"))) {
		EXPECT_EQ(h.pins, 1);
		EXPECT_EQ(h.nr, 1);
		EXPECT_EQ(holders_of(&h, getpid(), "revoked"), 1);
	}
	holders_free(&h);
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	look(&h);
	EXPECT_EQ(strcmp(h.state, "closed"), 0);
	EXPECT_EQ(h.pins, 0);
	EXPECT_EQ(h.nr, 0);
	holders_free(&h);
	EXPECT_TRUE(!unbind_wait(&u, 0, NULL, 0));
	EXPECT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	look(&h);
	EXPECT_TRUE(!h.found);
	holders_free(&h);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

/*
 * A thousand pins of the same page, read in pieces of every size while nothing
 * changes, then all the time while they are revoked.
 */
#define MANY 1000

struct reader {
	volatile bool stop;
	unsigned int reads, revoking, bad, range_revoking, most;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct holders h;
	unsigned long of_state;

	while (!r->stop) {
		if (holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0)) {
			r->bad++;
			break;
		}
		r->reads++;
		of_state = holders_of(&h, -1, "attached");
		/* each was told once in each state at most */
		if (of_state > MANY)
			r->bad++;
		of_state = holders_of(&h, -1, "revoking");
		if (of_state > MANY)
			r->bad++;
		r->revoking += of_state > 0;
		if (holders_of(&h, -1, "revoked") > MANY)
			r->bad++;
		r->range_revoking += h.found && !strcmp(h.state, "revoking");
		if (h.nr > r->most)
			r->most = (unsigned int)h.nr;
		holders_free(&h);
	}
	return NULL;
}

static void thousand(void)
{
	static const size_t chunks[] = { 0, 4096, 1000, 64 };
	struct scene *s = scene_open_bare(1);
	struct reader r = { .reads = 0 };
	struct ibv_mr **mr = calloc(MANY, sizeof(*mr));
	struct unbind u;
	struct holders h;
	pthread_t t;
	double start;
	size_t i;

	ASSERT_TRUE(mr);
	for (i = 0; i < MANY; i++) {
		mr[i] = ibv_reg_mr(s->rdma.pd, s->area, PAGE, RDMA_ALL);
		ASSERT_TRUE(mr[i]);
	}
	for (i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		unsigned long n, back = 0;

		start = clock_now();
		ASSERT_EQ(holders_read(&h, HOLDERS_PATH, scene_provider.bdf,
				       chunks[i]), 0);
		tap_note("%zu bytes at a time: %.3f s, %zu bytes", chunks[i],
			 clock_now() - start, h.len);
		EXPECT_EQ(h.pins, MANY);
		EXPECT_EQ(h.nr, MANY);
		/* all have one start: the order is that of their coming */
		for (n = 1; n < h.nr; n++)
			back += h.pin[n].since < h.pin[n - 1].since ||
				h.pin[n].start != h.pin[0].start;
		EXPECT_EQ(back, 0);
		EXPECT_EQ(holders_of(&h, getpid(), "attached"), MANY);
		holders_free(&h);
	}

	ASSERT_EQ(pthread_create(&t, NULL, read_on, &r), 0);
	clock_sleep_ms(20);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	r.stop = true;
	pthread_join(t, NULL);
	tap_note("%u reads meanwhile, up to %u pins; %u saw pins being revoked, %u the range",
		 r.reads, r.most, r.revoking, r.range_revoking);
	tap_note("the unbind took %.3f s of guest time", u.seconds);
	EXPECT_LE(u.seconds * 1000, unbind_limit() * 1000);
	EXPECT_GE(r.reads, 1);
	EXPECT_EQ(r.bad, 0);
	look(&h);
	EXPECT_TRUE(!h.found);
	EXPECT_EQ(h.nr, 0);
	holders_free(&h);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(ibv_dereg_mr(mr[i]), 0);
	free(mr);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	look(&h);
	EXPECT_TRUE(h.found);
	EXPECT_EQ(h.pins, 0);
	holders_free(&h);
	scene_close(s);
}

/* Reading again from the start, and from the middle of a line. */
static void seeks(void)
{
	struct scene *s = scene_open(1, 0);
	char all[4096], part[4096];
	ssize_t n, got;
	off_t at;
	int fd;

	fd = open(HOLDERS_PATH, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	n = read(fd, all, sizeof(all));
	ASSERT_GE(n, 100);
	EXPECT_EQ(read(fd, part, sizeof(part)), 0);
	for (at = 0; at < n; at += 37) {
		got = pread(fd, part, sizeof(part), at);
		EXPECT_EQ(got, n - at);
		EXPECT_EQ(memcmp(part, all + at, (size_t)got), 0);
	}
	EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
	EXPECT_EQ(read(fd, part, sizeof(part)), n);
	close(fd);
	scene_close(s);
}

/* Whoever reads nothing to its end leaves nothing behind. */
static void left_half_read(void)
{
	struct scene *s = scene_open(1, 0);
	struct unbind u;
	char c[8];
	int fd;

	fd = open(HOLDERS_PATH, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(read(fd, c, sizeof(c)), sizeof(c));
	/* the walk stands in the range that goes now */
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_GE(read(fd, c, sizeof(c)), 0);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	while (read(fd, c, sizeof(c)) > 0)
		;
	EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
	EXPECT_EQ(read(fd, c, sizeof(c)), sizeof(c));
	close(fd);
	scene_close(s);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	return syscall(SYS_capset, &hdr, data) ? -errno : 0;
}

static int not_allowed(int fd, void *arg)
{
	bool root = *(bool *)arg;
	int ret, err;

	(void)fd;
	if (root)
		EXPECT_EQ(drop_capabilities(), 0);
	else
		EXPECT_EQ(setuid(65534), 0);
	ret = open(HOLDERS_PATH, O_RDONLY | O_CLOEXEC);
	err = errno;
	/* the owner of the file needs no capabilities */
	EXPECT_EQ(ret >= 0, root);
	if (ret < 0)
		EXPECT_EQ(err, EACCES);
	else
		close(ret);
	return 0;
}

static void for_root_only(void)
{
	struct worker w;
	struct stat st;
	bool root;
	int i;

	ASSERT_EQ(stat(HOLDERS_PATH, &st), 0);
	EXPECT_EQ(st.st_mode & 07777, 0400);
	EXPECT_EQ(st.st_uid, 0);
	for (i = 0; i < 2; i++) {
		root = i;
		ASSERT_EQ(worker_start(&w, root ? "bare" : "nobody",
				       not_allowed, &root), 0);
		EXPECT_EQ(worker_join(&w, 20), 0);
	}
}

static void *register_mr(void *arg)
{
	struct scene *s = arg;

	prctl(PR_SET_NAME, "thread");
	s->mr = ibv_reg_mr(s->rdma.pd, s->area, s->len, RDMA_ALL);
	return NULL;
}

/*
 * The name is that of the process, whichever thread registers, and the one that
 * it has when the list is read. Names come out in printable ASCII; no kernel
 * address is anywhere.
 */
static void odd_names(void)
{
	struct scene *s = scene_open_bare(1);
	char comm[32];
	struct holders h;
	pthread_t t;

	prctl(PR_GET_NAME, comm);
	ASSERT_EQ(pthread_create(&t, NULL, register_mr, s), 0);
	pthread_join(t, NULL);
	ASSERT_TRUE(s->mr);
	look(&h);
	ASSERT_EQ(h.nr, 1);
	EXPECT_EQ(h.pin[0].pid, getpid());
	EXPECT_EQ(strcmp(h.pin[0].comm, comm), 0);
	holders_free(&h);

	prctl(PR_SET_NAME, "a\"b\\c\nd \xc3\xa9");
	look(&h);
	prctl(PR_SET_NAME, comm);
	ASSERT_EQ(h.nr, 1);
	EXPECT_EQ(strcmp(h.pin[0].comm,
			 "a\\042b\\134c\\012d \\303\\251"), 0);
	tap_note("comm=\"%s\"", h.pin[0].comm);
	EXPECT_TRUE(!strstr(h.text, "0xffff"));
	holders_free(&h);
	scene_close(s);
}

/* The process that registered has gone, its MR has not: no number, no name. */
static int heir(int fd, void *arg)
{
	struct scene *s = scene_open(1, 0);
	int *ends = arg;
	char c;
	pid_t pid;

	(void)s;
	pid = fork();
	if (pid < 0)
		return 1;
	if (!pid) {
		/* has the context open; ends when the test closes its side */
		close(ends[1]);
		_exit(read(ends[0], &c, 1) != 0);
	}
	worker_tell(fd, 'r');
	worker_hear(fd, 'e', 60);
	return 0;
}

static void owner_is_gone(void)
{
	double limit = clock_now() + 5 * clock_scale();
	struct worker w;
	struct holders h;
	int fds[2];

	ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
	ASSERT_EQ(worker_start(&w, "heir", heir, fds), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 20));
	close(fds[0]);
	look(&h);
	ASSERT_EQ(h.nr, 1);
	EXPECT_EQ(h.pin[0].pid, w.pid);
	EXPECT_EQ(strcmp(h.pin[0].comm, "heir"), 0);
	holders_free(&h);
	worker_tell(w.fd, 'e');
	EXPECT_EQ(worker_join(&w, 10), 0);
	look(&h);
	EXPECT_EQ(h.nr, 1);
	if (h.nr) {
		EXPECT_EQ(h.pin[0].pid, 0);
		EXPECT_EQ(strcmp(h.pin[0].comm, ""), 0);
		EXPECT_EQ(strcmp(h.pin[0].consumer, "ib_umem"), 0);
	}
	holders_free(&h);
	close(fds[1]);
	do {
		look(&h);
		if (!h.nr)
			break;
		holders_free(&h);
		clock_sleep_ms(10);
	} while (clock_now() < limit);
	EXPECT_EQ(h.nr, 0);
	holders_free(&h);
}

/*
 * Numbers are those of the PID namespace of whoever opened the file: not those of
 * who reads it, nor of a procfs. What has no number there has its name still.
 */
struct inner {
	volatile int pid_outside;	/* of the owner in the namespace */
	volatile int of_inner, hidden, named;
	volatile int nr, err;
	volatile pid_t outer;
	volatile int fd;		/* opened outside */
	volatile bool outer_by_fd;
};

static int in_namespace(int fd, struct inner *in)
{
	struct scene *s = scene_open(1, 0);
	char text[4096], pid[32];
	struct holders h;
	unsigned long i;
	ssize_t n;

	(void)s;
	in->err = -holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0);
	if (!in->err) {
		in->nr = (int)h.nr;
		in->of_inner = (int)holders_of(&h, getpid(), "attached");
		in->hidden = (int)holders_of(&h, 0, "attached");
		for (i = 0; i < h.nr; i++)
			in->named += *h.pin[i].comm != '\0';
		holders_free(&h);
	}
	n = read(in->fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	snprintf(pid, sizeof(pid), " pid=%d ", in->outer);
	in->outer_by_fd = strstr(text, pid);
	worker_tell(fd, 'r');
	worker_hear(fd, 'e', 60);
	return 0;
}

static int make_namespace(int fd, void *arg)
{
	struct inner *in = arg;
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID)) {
		in->err = errno;
		return 1;
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(in_namespace(fd, in));
	}
	in->pid_outside = pid;
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return status != 0;
}

static void pid_namespace(void)
{
	struct scene *s = scene_open(1, 0);
	struct inner *in = worker_shared(sizeof(*in));
	struct holders h;
	struct worker w;

	ASSERT_TRUE(in);
	in->outer = getpid();
	in->fd = open(HOLDERS_PATH, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(in->fd, 0);
	ASSERT_EQ(worker_start(&w, "inner", make_namespace, in), 0);
	if (!EXPECT_TRUE(worker_hear(w.fd, 'r', 20)))
		tap_note("in the namespace: %s", strerror(in->err));
	EXPECT_EQ(in->err, 0);
	/* its own MR by its own number, ours without any */
	EXPECT_EQ(in->nr, 2);
	EXPECT_EQ(in->of_inner, 1);
	EXPECT_EQ(in->hidden, 1);
	EXPECT_EQ(in->named, 2);
	EXPECT_TRUE(in->outer_by_fd);
	close(in->fd);
	look(&h);
	EXPECT_EQ(h.nr, 2);
	EXPECT_EQ(holders_of(&h, getpid(), "attached"), 1);
	EXPECT_EQ(holders_of(&h, in->pid_outside, "attached"), 1);
	EXPECT_GE(in->pid_outside, 2);
	holders_free(&h);
	worker_tell(w.fd, 'e');
	EXPECT_EQ(worker_join(&w, 20), 0);
	worker_unshare(in, sizeof(*in));
	scene_close(s);
}

/* What a command prints, in a buffer that the next call uses again. */
static const char *output_of(const char *cmd)
{
	static char buf[65536];
	size_t n = 0, got;
	FILE *f = popen(cmd, "r");

	if (!f)
		return "";
	while ((got = fread(buf + n, 1, sizeof(buf) - 1 - n, f)) > 0)
		n += got;
	buf[n] = '\0';
	if (pclose(f))
		tap_note("\"%s\" failed: %s", cmd, buf);
	return buf;
}

/* How many lines of a text have both. */
static int lines_with(const char *text, const char *a, const char *b)
{
	int n = 0;

	while (text && *text) {
		size_t len = strcspn(text, "\n");
		char line[1024];

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		n += strstr(line, a) && strstr(line, b);
		text += len + (text[len] == '\n');
	}
	return n;
}

static void restrack(void)
{
	struct scene *s = scene_open(1, 0);
	char p2p[32], ram[32];
	const char *text;
	struct unbind u;

	snprintf(p2p, sizeof(p2p), "lkey 0x%x ", s->mr->lkey);
	snprintf(ram, sizeof(ram), "lkey 0x%x ", s->buf_mr->lkey);
	text = output_of("rdma resource show mr -dd 2>&1");
	EXPECT_EQ(lines_with(text, p2p, "drv_state valid"), 1);
	EXPECT_EQ(lines_with(text, ram, "drv_state valid"), 1);
	EXPECT_EQ(lines_with(text, "mrn", "revoked"), 0);
	if (tap_failed())
		tap_note("%s", text);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	text = output_of("rdma resource show mr -dd 2>&1");
	EXPECT_EQ(lines_with(text, p2p, "drv_state revoked"), 1);
	EXPECT_EQ(lines_with(text, ram, "drv_state valid"), 1);
	tap_note("%.*s", (int)strcspn(text, "\n"), text);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	/* it does not come back to life */
	text = output_of("rdma resource show mr -dd 2>&1");
	EXPECT_EQ(lines_with(text, p2p, "drv_state revoked"), 1);
	scene_close(s);
}

#define TRACE "/tmp/holders.dat"

/* One MR attached and detached, one revoked: all of it is in the trace. */
static void tracepoints(void)
{
	struct scene *s;
	char pfn[128], pin[192], revoked[224], cmd[256];
	const char *text;
	struct unbind u;
	uint64_t phys;
	int i;

	static const char *const all[] = {
		"pfn_pin_attach", "pfn_pin_detach", "pfn_pin_start",
		"pfn_pin_finish", "pfn_revoke_begin", "pfn_revoke_end",
	};

	text = output_of("trace-cmd list -e '^pfn_revoke:' 2>&1");
	for (i = 0; i < 6; i++)
		EXPECT_EQ(lines_with(text, all[i], "pfn_revoke:"), 1);
	output_of("trace-cmd reset 2>&1; trace-cmd start -e pfn_revoke 2>&1");

	s = scene_open(2, 0);
	ASSERT_EQ(observer_physical(s->area, &phys), 0);
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = ibv_reg_mr(s->rdma.pd, s->area, s->len, RDMA_ALL);
	ASSERT_TRUE(s->mr);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	snprintf(cmd, sizeof(cmd), "trace-cmd extract -o %s 2>&1", TRACE);
	output_of(cmd);
	output_of("trace-cmd reset 2>&1");
	snprintf(cmd, sizeof(cmd), "trace-cmd report -i %s 2>&1", TRACE);
	text = output_of(cmd);

	snprintf(pfn, sizeof(pfn), "pfns=0x%llx-0x%llx provider=%s",
		 (unsigned long long)(phys / PAGE),
		 (unsigned long long)(phys / PAGE + 1), scene_provider.bdf);
	snprintf(pin, sizeof(pin), "%s consumer=ib_umem pid=%d", pfn, getpid());
	EXPECT_EQ(lines_with(text, "pfn_pin_attach:", pin), 2);
	snprintf(revoked, sizeof(revoked), "%s revoked=0", pin);
	EXPECT_EQ(lines_with(text, "pfn_pin_detach:", revoked), 1);
	snprintf(revoked, sizeof(revoked), "%s revoked=1", pin);
	EXPECT_EQ(lines_with(text, "pfn_pin_detach:", revoked), 1);
	EXPECT_EQ(lines_with(text, "pfn_pin_detach:", "pfns="), 2);
	snprintf(revoked, sizeof(revoked), "%s ns=", pin);
	EXPECT_EQ(lines_with(text, "pfn_pin_start:", revoked), 1);
	EXPECT_EQ(lines_with(text, "pfn_pin_finish:", revoked), 1);
	/* a duration each; nothing that took part took none of it */
	EXPECT_EQ(lines_with(text, "pfn_pin_finish:", " ns=0"), 0);
	/* the driver's early call, and devres: the second finds nobody */
	snprintf(revoked, sizeof(revoked), "provider=%s", scene_provider.bdf);
	EXPECT_GE(lines_with(text, "pfn_revoke_begin:", "pfns="), 1);
	EXPECT_EQ(lines_with(text, "pfn_revoke_begin:", revoked),
		  lines_with(text, "pfn_revoke_begin:", "pfns="));
	snprintf(revoked, sizeof(revoked), "provider=%s pins=1 ns=",
		 scene_provider.bdf);
	EXPECT_EQ(lines_with(text, "pfn_revoke_end:", revoked), 1);
	EXPECT_EQ(lines_with(text, "pfn_revoke_end:", "err=0"),
		  lines_with(text, "pfn_revoke_begin:", "pfns="));
	EXPECT_TRUE(!strstr(text, "0xffff"));
	while (*text) {
		tap_note("%.*s", (int)strcspn(text, "\n"), text);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	unlink(TRACE);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

static void after(void)
{
	mutate_restore();
	scene_after();
}

static const struct tap_test tests[] = {
	{ "nobody", nobody, 0 },
	{ "one_mr", one_mr, 0 },
	{ "several_runs", several_runs, 0 },
	{ "revoking", revoking, 30 },
	{ "revoked", revoked, 30 },
	{ "thousand", thousand, 60 },
	{ "seeks", seeks, 0 },
	{ "left_half_read", left_half_read, 0 },
	{ "for_root_only", for_root_only, 0 },
	{ "odd_names", odd_names, 0 },
	{ "owner_is_gone", owner_is_gone, 0 },
	{ "pid_namespace", pid_namespace, 0 },
	{ "restrack", restrack, 0 },
	{ "tracepoints", tracepoints, 40 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"holders", tests, scene_init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
