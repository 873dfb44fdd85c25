// SPDX-License-Identifier: GPL-2.0
/*
 * The story with two machines (make demo-two), each with rxe on a network card:
 *
 *   guest 1, --server	registers p2pmem of its provider; does what it is told
 *   guest 2, --client	writes into that by RDMA, and leads through the story
 *
 * The server loses the memory three times: its driver is unbound, the provider
 * leaves its slot, and the guest is killed (scripts/run-pair). The client sees
 * that in its completions, in bounded time, and goes on when the memory is
 * there again. They speak over TCP, which also exchanges what the QPs need.
 */
#include "check.h"
#include "clock.h"
#include "observer.h"
#include "p2pmem.h"
#include "provider.h"
#include "rdma.h"
#include "slot.h"
#include "sysfs.h"
#include "tap.h"
#include "tell.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ADDRESS		"10.0.0.1"	/* of guest 1, see run-guest --line */
#define PORT		7471
#define MR_LEN		((size_t)64 << 10)
#define MAP_LEN		(MR_LEN + 2 * PAGE)
#define CHUNK		((size_t)4096)
#define FAILURES_WANTED	20
/* For the other side to come up, or to come back. */
#define PATIENCE	(120 * clock_scale())
/* Until a WRITE must have failed when the memory goes. */
#define MEMORY_LIMIT	(10 * clock_scale())
/* And when the guest does: six packets, a good second of silence after each. */
#define GUEST_LIMIT	(20 * clock_scale())
/* For an answer. */
#define ANSWER_LIMIT	(30 * clock_scale())

/* Both ways; an answer has the letter of its question. */
struct msg {
	char what;
	int32_t err, step;
	uint32_t qpn, psn, rkey;
	uint64_t addr, seed;
	int64_t bytes;
	union ibv_gid gid;
};

static bool told;

/*
 * The logs of the two are shown as one. Who hands over waits until its last
 * line has surely been read.
 */
static void hand_over(void)
{
	if (told)
		clock_sleep_ms(300);
	told = false;
}

static void say(int step, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(int step, const char *fmt, ...)
{
	char number[16], line[400];
	va_list ap;

	snprintf(number, sizeof(number), "%d", step);
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	tell(number, "%s", line);
	told = true;
}

static bool ready(int sock, short what, double seconds)
{
	struct pollfd pfd = { .fd = sock, .events = what };

	return poll(&pfd, 1, (int)(seconds * 1000)) > 0;
}

static bool give(int sock, const struct msg *m)
{
	return send(sock, m, sizeof(*m), MSG_NOSIGNAL) == sizeof(*m);
}

static bool take(int sock, struct msg *m, double seconds)
{
	return ready(sock, POLLIN, seconds) &&
	       recv(sock, m, sizeof(*m), MSG_WAITALL) == sizeof(*m);
}

static struct sockaddr_in address(const char *ip)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
	};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static void no_delay(int sock)
{
	int one = 1;

	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* The server. */

struct server {
	struct provider provider;
	struct observer observer;
	struct rdma rdma;
	struct rdma_qp qp;
	char resource[2048];		/* where its BARs are */
	unsigned char *map;
	struct ibv_mr *mr;
};

static int bars(const struct server *s, char *text, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource",
		 s->provider.bdf);
	return sysfs_read(path, text, size);
}

static int wait_for_client(void)
{
	struct sockaddr_in a = address("0.0.0.0");
	int l, sock, one = 1;

	l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT_TRUE(l >= 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ASSERT_EQ(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	ASSERT_EQ(listen(l, 1), 0);
	ASSERT_TRUE(ready(l, POLLIN, PATIENCE));
	sock = accept(l, NULL, NULL);
	ASSERT_TRUE(sock >= 0);
	close(l);
	no_delay(sock);
	return sock;
}

static void forget_memory(struct server *s)
{
	if (s->mr)
		EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	if (s->map)
		munmap(s->map, MAP_LEN);
	s->mr = NULL;
	s->map = NULL;
}

static void register_memory(struct server *s, struct msg *m)
{
	forget_memory(s);
	s->map = p2pmem_map(&s->provider, MAP_LEN);
	ASSERT_TRUE(s->map);
	mem_fill(s->map, MAP_LEN, 1);
	ASSERT_EQ(observer_locate(&s->observer, &s->provider, s->map,
				  MAP_LEN), 0);
	s->mr = ibv_reg_mr(s->rdma.pd, s->map + PAGE, MR_LEN, RDMA_ALL);
	ASSERT_TRUE(s->mr);
	m->addr = (uintptr_t)s->mr->addr;
	m->rkey = s->mr->rkey;
	say(m->step, "registered %zu KiB of p2pmem of %s, rkey %#x",
	    MR_LEN / 1024, s->provider.bdf, m->rkey);
}

/* What the application on this side learns of it. */
static void is_told(struct server *s, int step)
{
	EXPECT_TRUE(mem_is_gone(s->map));
	EXPECT_EQ(rdma_told_revoked(&s->rdma), s->mr->lkey);
	say(step, "a CPU touch of the mapping: SIGBUS; told by an event: the MR with lkey %#x is revoked",
	    s->mr->lkey);
}

static void unbind_driver(struct server *s, struct msg *m)
{
	struct unbind u;

	say(m->step, "echo %s > /sys/bus/pci/drivers/%s/unbind", s->provider.bdf,
	    s->provider.driver);
	ASSERT_TRUE(unbind_now(&s->provider, &u));
	EXPECT_EQ(u.err, 0);
	EXPECT_LE(u.seconds * 1000, unbind_limit() * 1000);
	say(m->step, "the unbind returned after %.3f s", u.seconds);
	is_told(s, m->step);
}

static void pull_provider(struct server *s, struct msg *m)
{
	double seconds;

	ASSERT_EQ(bars(s, s->resource, sizeof(s->resource)), 0);
	say(m->step, "%s is asked out of its slot (device_del)", s->provider.bdf);
	ASSERT_EQ(slot_eject(), 0);
	seconds = slot_wait_empty(&s->provider, unbind_limit());
	ASSERT_TRUE(seconds >= 0);
	say(m->step, "it is gone after %.3f s", seconds);
	is_told(s, m->step);
}

static void fill_slot(struct server *s, struct msg *m)
{
	char now[sizeof(s->resource)];

	ASSERT_EQ(slot_fill(&s->provider), 0);
	ASSERT_EQ(bars(s, now, sizeof(now)), 0);
	EXPECT_EQ(strcmp(now, s->resource), 0);
	say(m->step, "a new device is in the slot, at the same addresses");
}

/* One word of the client's. False if there is to be no answer. */
static bool obey(struct server *s, struct msg *m)
{
	switch (m->what) {
	case 'c':	/* connect the QP */
		m->err = rdma_qp_connect_to(&s->rdma, &s->qp, &m->gid, m->qpn,
					    m->psn);
		m->qpn = s->qp.qp->qp_num;
		m->gid = s->rdma.gid;
		break;
	case 'r':	/* register memory, anew */
		register_memory(s, m);
		break;
	case 'v':	/* how many bytes does the CPU see otherwise? */
		m->bytes = (int64_t)mem_differs(s->map + PAGE, MR_LEN, m->seed);
		break;
	case 'u':	/* unbind the driver */
		unbind_driver(s, m);
		break;
	case 'b':	/* bind it */
		ASSERT_EQ(provider_bind(&s->provider), 0);
		say(m->step, "the driver is bound again, %llu bytes available as before",
		    s->provider.available);
		break;
	case 'p':	/* pull the provider out of its slot */
		pull_provider(s, m);
		break;
	case 'f':	/* fill the slot */
		fill_slot(s, m);
		break;
	case 's':	/* remember the raw BAR */
		ASSERT_EQ(observer_snapshot(&s->observer), 0);
		break;
	case 'd':	/* how many bytes of it differ now? */
		m->bytes = observer_changed(&s->observer);
		observer_close(&s->observer);
		break;
	case 'k':	/* be killed */
		/* a failed check must not be lost with the guest */
		if (check_worker_failed())
			return false;
		say(m->step, "the guest is killed now (SIGKILL of its QEMU)");
		hand_over();
		dprintf(STDOUT_FILENO, "REVPIN KILL\n");
		sleep(60);
		tap_note("nobody killed the guest: run-guest --expect killed does");
		ASSERT_TRUE(!"alive");
		break;
	case 'e':	/* end */
		rdma_qp_destroy(&s->qp);
		forget_memory(s);
		EXPECT_EQ(rdma_close(&s->rdma), 0);
		EXPECT_TRUE(provider_available_is_back(&s->provider, 3000));
		break;
	default:
		tap_note("the client says '%c'", m->what);
		ASSERT_TRUE(!"known");
	}
	return true;
}

static void server(void)
{
	static struct server s;
	struct utsname u;
	struct msg m;
	int sock;

	uname(&u);
	ASSERT_EQ(provider_find(&s.provider), 0);
	ASSERT_EQ(slot_init(&s.provider), 0);
	ASSERT_EQ(rdma_open(&s.rdma), 0);
	ASSERT_EQ(rdma_qp_create(&s.rdma, &s.qp, IBV_QPT_RC), 0);
	say(1, "Linux %s; provider %s: %llu bytes, %llu available; rxe on %s",
	    u.release, s.provider.bdf, s.provider.size, s.provider.available,
	    ADDRESS);
	sock = wait_for_client();
	do {
		ASSERT_TRUE(take(sock, &m, PATIENCE));
		if (!obey(&s, &m))
			break;
		hand_over();
		ASSERT_TRUE(give(sock, &m));
	} while (m.what != 'e');
	close(sock);
}

/* The client. */

struct client {
	int sock;
	struct rdma rdma;
	struct rdma_qp qp;
	unsigned char *buf;
	struct ibv_mr *mr;
	/* the server's memory */
	uint64_t addr;
	uint32_t rkey;
	uint64_t writes;		/* that succeeded, of all */
	uint64_t fills;
};

/* How a loss looked from here. */
struct loss {
	int status;
	double seconds;			/* from the word to the failure */
	uint64_t good, late;		/* succeeded before, after the answer */
};

static struct msg ask(struct client *c, struct msg m)
{
	char what = m.what;

	hand_over();
	ASSERT_TRUE(give(c->sock, &m));
	ASSERT_TRUE(take(c->sock, &m, ANSWER_LIMIT));
	ASSERT_EQ(m.what, what);
	return m;
}

static void find_server(struct client *c)
{
	struct sockaddr_in a = address(ADDRESS);
	double end = clock_now() + PATIENCE;
	int one = 1;

	while (clock_now() < end) {
		c->sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ASSERT_TRUE(c->sock >= 0);
		/* one SYN at a time: the kernel would wait longer and longer */
		setsockopt(c->sock, IPPROTO_TCP, TCP_SYNCNT, &one, sizeof(one));
		if (!connect(c->sock, (struct sockaddr *)&a, sizeof(a))) {
			no_delay(c->sock);
			return;
		}
		close(c->sock);
		clock_sleep_ms(200);
	}
	tap_note("nobody answers at %s: %s", ADDRESS, strerror(errno));
	ASSERT_TRUE(!"reached");
}

/* Again if rxe was still busy with the connection before. */
static void join(struct client *c)
{
	int tries, err = -EINVAL;

	for (tries = 0; err == -EINVAL && tries < 20; tries++) {
		struct msg m = {
			.what = 'c',
			.qpn = c->qp.qp->qp_num,
			.psn = rdma_new_psn(),
			.gid = c->rdma.gid,
		};
		uint32_t psn = m.psn;

		m = ask(c, m);
		err = m.err;
		if (!err)
			err = rdma_qp_connect_to(&c->rdma, &c->qp, &m.gid,
						 m.qpn, psn);
	}
	ASSERT_EQ(err, 0);
}

/* The completion's status, or a negative errno if there was none for so long. */
static int write_chunk(struct client *c, uint64_t n, double seconds)
{
	struct ibv_wc wc;
	struct rdma_op op = {
		.opcode = IBV_WR_RDMA_WRITE,
		.laddr = (uintptr_t)c->buf, .lkey = c->mr->lkey, .len = CHUNK,
		.raddr = c->addr + n % (MR_LEN / CHUNK) * CHUNK,
		.rkey = c->rkey,
	};
	int err;

	/* other bytes each time, so that each write can be seen */
	mem_fill(c->buf, CHUNK, 10000 + c->fills++);
	err = rdma_post(&c->qp, &op);
	if (!err)
		err = rdma_poll(&c->qp, &wc, seconds);
	return err ? err : (int)wc.status;
}

/* Fresh memory at the server, and bytes that get there and back. */
static void goes_on(struct client *c, int step)
{
	struct rdma_op op = {
		.opcode = IBV_WR_RDMA_WRITE,
		.laddr = (uintptr_t)c->buf, .lkey = c->mr->lkey, .len = MR_LEN,
	};
	uint64_t seed = 4000 + (uint64_t)step;
	uint32_t old = c->rkey;
	struct msg m;

	m = ask(c, (struct msg) { .what = 'r', .step = step });
	c->addr = op.raddr = m.addr;
	c->rkey = op.rkey = m.rkey;
	join(c);
	mem_fill(c->buf, MR_LEN, seed);
	EXPECT_EQ(rdma_run(&c->qp, &op), IBV_WC_SUCCESS);
	memset(c->buf, 0, MR_LEN);
	op.opcode = IBV_WR_RDMA_READ;
	EXPECT_EQ(rdma_run(&c->qp, &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(c->buf, MR_LEN, seed), 0);
	m = ask(c, (struct msg) { .what = 'v', .seed = seed });
	EXPECT_EQ(m.bytes, 0);
	say(step, "%s: wrote %zu KiB into it by RDMA, read the same back; the server's CPU sees them",
	    old ? "connected again" : "connected", MR_LEN / 1024);
}

static void write_some(struct client *c, int step)
{
	uint64_t n;

	for (n = 0; n < 100; n++)
		ASSERT_EQ(write_chunk(c, n, MEMORY_LIMIT), IBV_WC_SUCCESS);
	c->writes += n;
	say(step, "keeps writing: %llu WRITEs of %zu bytes so far",
	    (unsigned long long)c->writes, CHUNK);
}

/* Says the word that makes the memory go, and writes until that is felt. */
static struct loss lose(struct client *c, int step, char how, double limit)
{
	struct msg word = { .what = how, .step = step };
	struct loss l = { .status = IBV_WC_SUCCESS };
	double start;
	uint64_t n;

	hand_over();
	start = clock_now();
	ASSERT_TRUE(give(c->sock, &word));
	for (n = 0; !l.status && clock_now() < start + limit; n++) {
		bool over = ready(c->sock, POLLIN, 0);

		l.status = write_chunk(c, n, limit);
		l.good += !l.status;
		l.late += !l.status && over;
	}
	l.seconds = clock_now() - start;
	c->writes += l.good;
	if (!l.status || l.seconds > limit)
		tap_note("%llu WRITEs succeeded, then: %s",
			 (unsigned long long)l.good, rdma_status(l.status));
	EXPECT_EQ(l.late, 0);
	ASSERT_NE(l.status, IBV_WC_SUCCESS);
	ASSERT_LE(l.seconds * 1000, limit * 1000);
	if (how != 'k') {
		ASSERT_TRUE(take(c->sock, &word, ANSWER_LIMIT));
		ASSERT_EQ(word.what, how);
	}
	return l;
}

static void say_loss(int step, const struct loss *l)
{
	say(step, "%llu more WRITEs succeeded, then: %s, %.3f s after it was asked for",
	    (unsigned long long)l->good, rdma_status(l->status), l->seconds);
}

/* With the old key, connected anew each time. */
static void old_key_is_dead(struct client *c, int step)
{
	int i, failed = 0;

	for (i = 0; i < FAILURES_WANTED; i++) {
		join(c);
		failed += write_chunk(c, (uint64_t)i, MEMORY_LIMIT) ==
			  IBV_WC_REM_ACCESS_ERR;
	}
	EXPECT_EQ(failed, FAILURES_WANTED);
	say(step, "connected again with the old rkey, %d times: %d WRITEs failed in the same way",
	    i, failed);
}

/* The words that take it away and bring it back. */
static void loses_memory(struct client *c, int step, char away, char back)
{
	struct loss l;
	struct msg m;

	write_some(c, step);
	l = lose(c, step, away, MEMORY_LIMIT);
	EXPECT_EQ(l.status, IBV_WC_REM_ACCESS_ERR);
	say_loss(step, &l);

	/* the BAR is there without a driver, and not in an empty slot */
	if (away == 'u')
		ask(c, (struct msg) { .what = 's' });
	old_key_is_dead(c, step);
	if (away != 'u') {
		step++;
		ask(c, (struct msg) { .what = back, .step = step });
		ask(c, (struct msg) { .what = 's' });
		old_key_is_dead(c, step);
	}
	m = ask(c, (struct msg) { .what = 'd' });
	EXPECT_EQ(m.bytes, 0);
	say(step, "the server, on its raw BAR: %lld of %zu bytes changed meanwhile",
	    (long long)m.bytes, MAP_LEN);
	if (away == 'u') {
		step++;
		ask(c, (struct msg) { .what = back, .step = step });
	}
	goes_on(c, step);
}

static void loses_guest(struct client *c)
{
	struct loss l;

	write_some(c, 7);
	l = lose(c, 7, 'k', GUEST_LIMIT);
	EXPECT_EQ(l.status, IBV_WC_RETRY_EXC_ERR);
	say_loss(7, &l);
	close(c->sock);

	find_server(c);
	say(8, "a guest answers there again");
	goes_on(c, 8);
}

static void client(void)
{
	static struct client c;
	struct utsname u;

	uname(&u);
	ASSERT_EQ(rdma_open(&c.rdma), 0);
	ASSERT_EQ(rdma_qp_create(&c.rdma, &c.qp, IBV_QPT_RC), 0);
	c.buf = mmap(NULL, MR_LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(c.buf != MAP_FAILED);
	c.mr = ibv_reg_mr(c.rdma.pd, c.buf, MR_LEN, RDMA_ALL);
	ASSERT_TRUE(c.mr);
	say(1, "Linux %s; ordinary memory, and rxe", u.release);
	find_server(&c);
	goes_on(&c, 2);
	loses_memory(&c, 3, 'u', 'b');
	loses_memory(&c, 5, 'p', 'f');
	loses_guest(&c);

	ask(&c, (struct msg) { .what = 'e' });
	close(c.sock);
	rdma_qp_destroy(&c.qp);
	EXPECT_EQ(ibv_dereg_mr(c.mr), 0);
	EXPECT_EQ(rdma_close(&c.rdma), 0);
	munmap(c.buf, MR_LEN);
}

static void failed(void)
{
	tell("verdict", "FAILED, see the lines of this guest that begin with #");
}

int main(int argc, char **argv)
{
	bool serve = argc == 2 && !strcmp(argv[1], "--server");

	if (!serve && (argc != 2 || strcmp(argv[1], "--client"))) {
		fprintf(stderr, "usage: %s --server | --client\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	check_in_worker(argv[1] + 2);
	check_on_fatal(failed);
	if (serve)
		server();
	else
		client();
	if (check_worker_failed()) {
		failed();
		return 1;
	}
	tell("verdict", "%s", serve ? "passed" :
	     "passed: told each time, in bounded time, and went on");
	return 0;
}
