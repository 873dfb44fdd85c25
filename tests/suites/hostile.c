// SPDX-License-Identifier: GPL-2.0
/*
 * Consumers and providers that do what they should not, many at a time and from
 * processes that are killed (lib/hostile.h). The unit tests of the notifier
 * have the single cases; this is about what user space can bring about: files
 * that close in the middle of everything, and tasks that die there.
 */
#include "check.h"
#include "clock.h"
#include "hostile.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int dev = -1;

static bool init(void)
{
	int fd = hostile_open();

	if (fd < 0)
		tap_note("%s: %s: is this one of the kernels with CONFIG_TEST_PFN_REVOKE?",
			 HOSTILE_DEV, strerror(-fd));
	else
		close(fd);
	/* as it is in the log */
	prctl(PR_SET_NAME, "hostile");
	return fd >= 0;
}

static void before(void)
{
	dev = hostile_open();
	ASSERT_GE(dev, 0);
}

static void provide(uint64_t first, uint64_t last, uint32_t *id)
{
	ASSERT_EQ(hostile_provide(dev, first, last, id), 0);
}

/* Whatever a test left ends with its file: no page has a provider. */
static void after(void)
{
	int left = worker_sweep();
	uint32_t id;

	EXPECT_EQ(left, 0);
	close(dev);
	dev = hostile_open();
	ASSERT_GE(dev, 0);
	provide(0, TEST_PFN_PAGES - 1, &id);
	EXPECT_EQ(hostile_revoke(dev, id, 0, 0), 0);
	close(dev);
	dev = -1;
}

static uint32_t part(uint32_t provider, uint64_t first, uint64_t last)
{
	uint32_t id;

	ASSERT_EQ(hostile_part(dev, provider, first, last, &id), 0);
	return id;
}

static uint32_t consumer(uint32_t flags)
{
	struct test_pfn_arg how = { .flags = flags, .ms = 100 };

	ASSERT_EQ(hostile_consumer(dev, &how), 0);
	return how.id;
}

static uint32_t attached(uint32_t flags, uint64_t first, uint64_t last)
{
	uint32_t c = consumer(flags);

	ASSERT_EQ(hostile_attach(dev, c, first, last, 0), 0);
	return c;
}

static struct test_pfn_arg look(uint32_t c)
{
	struct test_pfn_arg a = { 0 };

	EXPECT_EQ(hostile_look(dev, c, &a), 0);
	return a;
}

static void expect_revoked(uint32_t c, uint32_t pins)
{
	struct test_pfn_arg a = look(c);

	EXPECT_EQ(a.starts, pins);
	EXPECT_EQ(a.finishes, pins);
	EXPECT_EQ(a.late, 0);
}

static void expect_revoked_once(uint32_t c)
{
	expect_revoked(c, 1);
}

/* What may take its time: in a thread. */
struct job {
	pthread_t thread;
	int (*fn)(int fd, uint32_t id);
	int fd;
	uint32_t id;
	double took;
	volatile int ret;
	volatile bool done;
};

static void *working(void *arg)
{
	struct job *j = arg;
	double began = clock_now();

	j->ret = j->fn(j->fd, j->id);
	j->took = clock_now() - began;
	j->done = true;
	return NULL;
}

static void start_job(struct job *j, int (*fn)(int fd, uint32_t id),
		      uint32_t id)
{
	memset(j, 0, sizeof(*j));
	j->fn = fn;
	j->fd = dev;
	j->id = id;
	ASSERT_EQ(pthread_create(&j->thread, NULL, working, j), 0);
}

static bool wait_for(volatile bool *flag, double seconds)
{
	double end = clock_now() + seconds * clock_scale();

	while (!*flag && clock_now() < end)
		clock_sleep_ms(2);
	return *flag;
}

static void end_job(struct job *j)
{
	ASSERT_TRUE(wait_for(&j->done, 10));
	pthread_join(j->thread, NULL);
	EXPECT_EQ(j->ret, 0);
}

static int revoke_all_of(int fd, uint32_t id)
{
	return hostile_revoke(fd, id, 0, 0);
}

static int attach_slowly(int fd, uint32_t id)
{
	return hostile_attach(fd, id, 0, 9, 600);
}

static bool wait_called(uint32_t c, bool finish, double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	struct test_pfn_arg a;

	do {
		a = look(c);
		if (finish ? a.finishes : a.starts)
			return true;
		clock_sleep_ms(2);
	} while (clock_now() < end);
	return false;
}

/* The seconds in the next warning about who is stuck at 0 to 9, or 0. */
static unsigned int next_warning(int log, double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	char begin[128], rest[128], line[512], *at;
	unsigned int s;
	int len;

	snprintf(begin, sizeof(begin),
		 ";pfn_revoke: finish of test_pfn_revoke (pid %d, hostile) has held up the revocation for ",
		 getpid());
	snprintf(rest, sizeof(rest),
		 " seconds: PFNs %#llx-%#llx of test_pfn_revoke-0\n",
		 (unsigned long long)HPFN(0), (unsigned long long)HPFN(9));
	while (clock_now() < end) {
		ssize_t n = read(log, line, sizeof(line) - 1);

		if (n <= 0) {
			clock_sleep_ms(20);
			continue;
		}
		line[n] = '\0';
		at = strstr(line, begin);
		if (!at)
			continue;
		at += strlen(begin);
		if (sscanf(at, "%u%n", &s, &len) == 1 &&
		    !strncmp(at + len, rest, strlen(rest)))
			return s;
	}
	tap_note("not in the log: %sN%s", begin + 1, rest);
	return 0;
}

/*
 * The warning, to the letter, after a second and after ten more; and then nobody
 * else waits for the one who is stuck.
 */
static void stuck_is_named(void)
{
	uint32_t c, other, id;
	unsigned int seconds;
	struct job r;
	int log;

	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(log, 0);
	lseek(log, 0, SEEK_END);
	provide(0, 99, &id);
	c = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 0, 9);
	other = attached(0, 5, 20);
	start_job(&r, revoke_all_of, id);
	seconds = next_warning(log, 4);
	EXPECT_GE(seconds, 1);
	EXPECT_LE(seconds, 1 * clock_scale());
	seconds = next_warning(log, 14);
	EXPECT_GE(seconds, 11);
	EXPECT_LE(seconds, 11 + clock_scale());
	close(log);
	EXPECT_TRUE(wait_called(other, true, 3));
	EXPECT_TRUE(!r.done);
	ASSERT_EQ(hostile_go_on(dev, c), 0);
	end_job(&r);
	expect_revoked_once(c);
	expect_revoked_once(other);
}

static int owner(int fd, void *arg)
{
	uint32_t flags = *(uint32_t *)arg;
	int i;

	/* the file of the parent would keep what is made through it */
	close(dev);
	dev = hostile_open();
	ASSERT_GE(dev, 0);
	for (i = 0; i < 3; i++)
		attached(flags, 0, 9);
	ASSERT_TRUE(worker_tell(fd, 's'));
	pause();
	return 0;
}

/* Who is stuck is killed: the end of its file lets the broadcast go on. */
static void killed_when_stuck(void)
{
	static uint32_t flags[] = {
		TEST_PFN_STUCK,
		TEST_PFN_IN_FINISH(TEST_PFN_STUCK),
		TEST_PFN_STUCK | TEST_PFN_IN_FINISH(TEST_PFN_STUCK),
	};
	uint32_t id, some;
	unsigned int i;

	provide(0, 99, &id);
	some = part(id, 0, 50);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct worker w;
		struct job r;
		uint32_t c = attached(0, 3, 3);

		ASSERT_EQ(worker_start(&w, "stuck", owner, &flags[i]), 0);
		ASSERT_TRUE(worker_hear(w.fd, 's', 10));
		start_job(&r, hostile_revoke_part, some);
		/* its own start() may be behind the one that is stuck */
		if (!(flags[i] & TEST_PFN_STUCK))
			EXPECT_TRUE(wait_called(c, false, 5));
		clock_sleep_ms(100);
		EXPECT_TRUE(!r.done);
		worker_kill(&w, SIGKILL);
		end_job(&r);
		EXPECT_NE(worker_join(&w, 10), -1);
		expect_revoked_once(c);
		EXPECT_EQ(hostile_reopen(dev, some), 0);
	}
}

static int revoker(int fd, void *arg)
{
	ASSERT_TRUE(worker_tell(fd, 'r'));
	hostile_revoke_part(dev, *(uint32_t *)arg);
	return 0;
}

/* Who revokes is killed: the revoke comes to its end all the same. */
static void revoker_killed(void)
{
	uint32_t c, other, id, all;
	struct worker w;

	provide(0, 99, &id);
	all = part(id, 0, 99);
	c = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 0, 9);
	other = attached(0, 50, 60);
	ASSERT_EQ(worker_start(&w, "revoker", revoker, &all), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 10));
	EXPECT_TRUE(wait_called(c, true, 5));
	worker_kill(&w, SIGKILL);
	clock_sleep_ms(100);
	EXPECT_EQ(hostile_reopen(dev, all), -EBUSY);
	ASSERT_EQ(hostile_go_on(dev, c), 0);
	EXPECT_NE(worker_join(&w, 10), -1);
	expect_revoked_once(c);
	expect_revoked_once(other);
	EXPECT_EQ(hostile_reopen(dev, all), 0);
	EXPECT_EQ(hostile_revoke_part(dev, all), 0);
	EXPECT_EQ(hostile_reopen(dev, all), 0);
	attached(0, 0, 99);
}

/* A callback attaches, another consumer or itself: what is open, not what is closed. */
static void attaches_in_a_callback(void)
{
	struct test_pfn_arg how = { 0 };
	uint32_t a, b, other;
	unsigned int i;

	provide(0, 99, &a);
	provide(100, 199, &b);
	a = part(a, 0, 99);
	b = part(b, 100, 199);
	for (i = 0; i < 8; i++) {
		bool open = i & 1;

		other = i & 4 ? 0 : consumer(0);
		how.other = other;
		how.flags = i & 2 ? TEST_PFN_IN_FINISH(TEST_PFN_ATTACH_IN) :
			TEST_PFN_ATTACH_IN;
		how.first = HPFN(open ? 100 : 30);
		how.last = HPFN(open ? 120 : 40);
		ASSERT_EQ(hostile_consumer(dev, &how), 0);
		ASSERT_EQ(hostile_attach(dev, how.id, 0, 9, 0), 0);
		EXPECT_EQ(hostile_revoke_part(dev, a), 0);
		expect_revoked_once(how.id);
		EXPECT_EQ(look(how.id).ret, open ? 0 : -ENODEV);
		if (other)
			EXPECT_EQ(look(other).starts, 0);
		EXPECT_EQ(hostile_revoke_part(dev, b), 0);
		if (other)
			expect_revoked(other, open ? 1 : 0);
		else
			expect_revoked(how.id, open ? 2 : 1);
		EXPECT_EQ(hostile_reopen(dev, a), 0);
		EXPECT_EQ(hostile_reopen(dev, b), 0);
	}
}

/* The last pin grows, another provider needs a new one, and there is an end. */
static void many_pins(void)
{
	uint32_t c = consumer(0), d, a, b, id;
	unsigned int i;

	provide(0, 99, &id);
	provide(100, 199, &b);
	provide(200, 299, &b);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(hostile_attach(dev, c, i * 10, i * 10 + 9, 0), 0);
	EXPECT_EQ(look(c).pins, 1);
	EXPECT_EQ(hostile_attach(dev, c, 90, 250, 0), 0);
	EXPECT_EQ(look(c).pins, 4);
	EXPECT_EQ(hostile_attach(dev, c, 295, 305, 0), -ENXIO);
	EXPECT_EQ(look(c).pins, 5);

	/* each goes alone, and whole */
	a = part(id, 40, 40);
	EXPECT_EQ(hostile_revoke_part(dev, a), 0);
	expect_revoked_once(c);
	EXPECT_EQ(hostile_reopen(dev, a), 0);
	a = part(id, 0, 89);
	EXPECT_EQ(hostile_revoke_part(dev, a), 0);
	expect_revoked_once(c);
	EXPECT_EQ(hostile_reopen(dev, a), 0);

	/* one that is revoked does not grow */
	d = attached(0, 0, 9);
	EXPECT_EQ(hostile_revoke_part(dev, a), 0);
	EXPECT_EQ(hostile_reopen(dev, a), 0);
	EXPECT_EQ(hostile_attach(dev, d, 10, 19, 0), 0);
	EXPECT_EQ(look(d).pins, 2);
	EXPECT_EQ(hostile_revoke_part(dev, a), 0);
	EXPECT_EQ(hostile_reopen(dev, a), 0);
	expect_revoked(d, 2);

	EXPECT_EQ(hostile_attach(dev, c, 10, 10, 0), 0);
	EXPECT_EQ(hostile_attach(dev, c, 12, 12, 0), 0);
	EXPECT_EQ(hostile_attach(dev, c, 14, 14, 0), 0);
	EXPECT_EQ(look(c).pins, TEST_PFN_PINS);
	EXPECT_EQ(hostile_attach(dev, c, 16, 16, 0), -ENOBUFS);
	EXPECT_EQ(hostile_attach(dev, c, 15, 20, 0), 0);
	EXPECT_EQ(hostile_revoke(dev, id, b, 0), 0);
	/* one is of the provider between the two */
	expect_revoked(c, TEST_PFN_PINS - 1);

	EXPECT_EQ(hostile_detach(dev, c), 0);
	EXPECT_EQ(hostile_detach(dev, c), 0);
	EXPECT_EQ(look(c).pins, 0);
	EXPECT_EQ(hostile_attach(dev, c, 100, 150, 0), 0);
	EXPECT_EQ(look(c).pins, 1);
	expect_revoked(c, TEST_PFN_PINS - 1);
}

/* One that keeps the memory is counted, and does not keep the others. */
static void holds_on(void)
{
	uint32_t c, other, id;

	provide(0, 99, &id);
	c = attached(TEST_PFN_KEEPS, 10, 14);
	other = attached(0, 0, 99);
	EXPECT_EQ(hostile_revoke(dev, id, 0, 0), 5);
	expect_revoked_once(other);
	EXPECT_EQ(hostile_detach(dev, c), 0);
	EXPECT_EQ(hostile_revoke(dev, id, 0, 0), 0);
}

/*
 * Both callbacks have run before the attach has come back to the consumer: it
 * has to look, and one that does not is found.
 */
static void recorded_late(void)
{
	unsigned int forgets;
	uint32_t c, id, all;
	struct job a;

	provide(0, 99, &id);
	all = part(id, 0, 99);
	for (forgets = 0; forgets < 2; forgets++) {
		c = consumer(forgets ? TEST_PFN_FORGETS : 0);
		start_job(&a, attach_slowly, c);
		while (!look(c).pins && !a.done)
			clock_sleep_ms(2);
		EXPECT_EQ(hostile_revoke_part(dev, all), 0);
		expect_revoked_once(c);
		EXPECT_TRUE(!a.done);
		ASSERT_TRUE(wait_for(&a.done, 10));
		pthread_join(a.thread, NULL);
		EXPECT_EQ(a.ret, forgets ? 0 : -ENODEV);
		EXPECT_EQ(hostile_reopen(dev, all), 0);
		EXPECT_EQ(hostile_revoke_part(dev, all), forgets ? 10 : 0);
		EXPECT_EQ(hostile_detach(dev, c), 0);
		EXPECT_EQ(hostile_reopen(dev, all), 0);
	}
}

/* Nobody attaches what is closed, or a part of it; once it is open all can. */
static void late_attach(void)
{
	uint32_t stuck, c, id, some;
	struct job r;

	provide(0, 99, &id);
	some = part(id, 0, 50);
	stuck = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 0, 9);
	c = consumer(0);
	ASSERT_EQ(hostile_attach(dev, c, 51, 55, 0), 0);
	start_job(&r, hostile_revoke_part, some);
	EXPECT_TRUE(wait_called(stuck, true, 5));
	EXPECT_EQ(hostile_attach(dev, c, 40, 60, 0), -ENODEV);
	EXPECT_EQ(hostile_attach(dev, c, 50, 50, 0), -ENODEV);
	EXPECT_EQ(hostile_attach(dev, c, 56, 60, 0), 0);
	EXPECT_EQ(look(c).pins, 1);
	ASSERT_EQ(hostile_go_on(dev, stuck), 0);
	end_job(&r);
	EXPECT_EQ(hostile_attach(dev, c, 40, 60, 0), -ENODEV);
	EXPECT_EQ(look(c).starts, 0);
	EXPECT_EQ(hostile_reopen(dev, some), 0);
	EXPECT_EQ(hostile_attach(dev, c, 40, 60, 0), 0);
	EXPECT_EQ(look(c).pins, 2);
	EXPECT_EQ(hostile_revoke(dev, id, 0, 0), 0);
	expect_revoked(c, 2);
	EXPECT_EQ(hostile_attach(dev, c, 40, 60, 0), -ENODEV);
}

/*
 * Revokes of parts that overlap, and of all of it, at once: each waits for its
 * own to the end. A page is open again with the last part that covers it.
 */
#define REVOKERS 8

static void revokes_at_once(void)
{
	uint32_t c[REVOKERS + 1], p[REVOKERS], id, extra;
	struct job r[REVOKERS], all;
	unsigned int i, whole;

	provide(0, 199, &id);
	for (i = 0; i < REVOKERS; i++)
		p[i] = part(id, i * 20, i * 20 + 39);
	for (whole = 0; whole < 2; whole++) {
		for (i = 0; i <= REVOKERS; i++)
			c[i] = attached(TEST_PFN_IN_FINISH(TEST_PFN_SLOW),
					i * 20, i * 20 + 30);
		for (i = 0; i < REVOKERS; i++)
			start_job(&r[i], hostile_revoke_part, p[i]);
		if (whole) {
			start_job(&all, revoke_all_of, id);
			end_job(&all);
		}
		for (i = 0; i < REVOKERS; i++)
			end_job(&r[i]);
		for (i = 0; i <= REVOKERS; i++)
			expect_revoked_once(c[i]);

		extra = consumer(0);
		EXPECT_EQ(hostile_reopen(dev, p[0]), 0);
		EXPECT_EQ(hostile_reopen(dev, p[0]), -EALREADY);
		EXPECT_EQ(hostile_attach(dev, extra, 0, 20, 0), -ENODEV);
		EXPECT_EQ(hostile_attach(dev, extra, 0, 19, 0),
			  whole ? -ENODEV : 0);
		EXPECT_EQ(hostile_reopen(dev, p[1]), 0);
		EXPECT_EQ(hostile_attach(dev, extra, 20, 39, 0),
			  whole ? -ENODEV : 0);
		EXPECT_EQ(hostile_attach(dev, extra, 40, 40, 0), -ENODEV);
		for (i = 2; i < REVOKERS; i++)
			EXPECT_EQ(hostile_reopen(dev, p[i]), 0);
		EXPECT_EQ(hostile_attach(dev, extra, 40, 199, 0),
			  whole ? -ENODEV : 0);
		EXPECT_EQ(hostile_detach(dev, extra), 0);
	}
}

/*
 * A revoke with a timeout does not wait for the one who is stuck, and is a revoke
 * all the same; unregistering waits.
 */
static void timed_out(void)
{
	uint32_t stuck, c, d, late, id, second, again;
	double began, took;
	unsigned int i;
	struct job u;

	provide(0, 99, &id);
	provide(100, 199, &second);
	stuck = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 20, 29);
	c = attached(0, 0, 9);
	d = attached(0, 100, 109);
	late = consumer(0);
	for (i = 0; i < 2; i++) {
		began = clock_now();
		EXPECT_EQ(hostile_revoke(dev, id, second, 300), -ETIMEDOUT);
		took = clock_now() - began;
		EXPECT_TRUE(took >= 0.29 && took < 3 * clock_scale());
		/* neither those before it nor the other provider's are kept */
		EXPECT_TRUE(wait_called(c, true, 5));
		EXPECT_TRUE(wait_called(d, true, 5));
		expect_revoked_once(c);
		expect_revoked_once(d);
		EXPECT_EQ(hostile_attach(dev, late, 50, 50, 0), -ENODEV);
		EXPECT_EQ(hostile_attach(dev, late, 150, 150, 0), -ENODEV);
	}
	start_job(&u, hostile_unprovide, id);
	clock_sleep_ms(200);
	EXPECT_TRUE(!u.done);
	EXPECT_EQ(hostile_provide(dev, 0, 99, &again), -EEXIST);
	ASSERT_EQ(hostile_go_on(dev, stuck), 0);
	end_job(&u);
	expect_revoked_once(stuck);
	EXPECT_EQ(hostile_unprovide(dev, second), 0);
	provide(0, 199, &again);
	EXPECT_EQ(hostile_attach(dev, late, 0, 199, 0), 0);
	/* in time */
	EXPECT_EQ(hostile_revoke(dev, again, 0, 5000), 0);
	expect_revoked_once(late);
}

/*
 * Who detaches, or is killed, while a stranger is stuck, does not wait for it;
 * only the stuck one's own detach does. In finish() and in start().
 */
static void strangers_detach(void)
{
	static uint32_t none;
	uint32_t stuck, c, id;
	unsigned int in_start;
	struct worker w;
	struct job r, d;
	double began;

	for (in_start = 0; in_start < 2; in_start++) {
		uint32_t flag = in_start ? TEST_PFN_STUCK :
			TEST_PFN_IN_FINISH(TEST_PFN_STUCK);

		provide(0, 99, &id);
		stuck = attached(flag, 0, 9);
		c = attached(0, 5, 20);
		ASSERT_EQ(worker_start(&w, "stranger", owner, &none), 0);
		ASSERT_TRUE(worker_hear(w.fd, 's', 10));
		start_job(&r, revoke_all_of, id);
		ASSERT_TRUE(wait_called(stuck, !in_start, 5));

		began = clock_now();
		EXPECT_EQ(hostile_detach(dev, c), 0);
		worker_kill(&w, SIGKILL);
		EXPECT_NE(worker_join(&w, 1), -1);
		EXPECT_TRUE(clock_now() - began < clock_scale());
		EXPECT_EQ(look(c).starts, in_start ? 0 : 1);
		EXPECT_EQ(look(c).finishes, 0);

		start_job(&d, hostile_detach, stuck);
		clock_sleep_ms(200);
		EXPECT_TRUE(!d.done && !r.done);
		ASSERT_EQ(hostile_go_on(dev, stuck), 0);
		end_job(&d);
		end_job(&r);
		EXPECT_EQ(look(stuck).starts, 1);
		EXPECT_LE(look(stuck).finishes, 1);
		EXPECT_EQ(look(stuck).late, 0);
		EXPECT_EQ(look(c).finishes, 0);
		EXPECT_EQ(look(c).late, 0);
		EXPECT_EQ(hostile_unprovide(dev, id), 0);
	}
}

/* Nor does who revokes other memory of the same provider. */
static void strangers_revoke(void)
{
	uint32_t stuck, c, id, part_of_stuck, part_of_c;
	struct job r;
	double began;

	provide(0, 99, &id);
	part_of_stuck = part(id, 0, 20);
	part_of_c = part(id, 10, 99);
	stuck = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 0, 9);
	c = attached(0, 15, 60);
	start_job(&r, hostile_revoke_part, part_of_stuck);
	ASSERT_TRUE(wait_called(stuck, true, 5));
	began = clock_now();
	EXPECT_EQ(hostile_revoke_part(dev, part_of_c), 0);
	EXPECT_TRUE(clock_now() - began < clock_scale());
	expect_revoked_once(c);
	EXPECT_TRUE(!r.done);
	ASSERT_EQ(hostile_go_on(dev, stuck), 0);
	end_job(&r);
	expect_revoked_once(stuck);
}

/*
 * Everything at once, by processes with several threads each, some of which are
 * killed and started anew. A thread has a slice of its own, which it provides,
 * revokes in parts and opens again, so it knows when nobody may touch it; beside
 * it a second one does the same with other parts, through the same file. They
 * attach to any.
 */
#define PROCS		3
#define THREADS		3
#define PARTS		4
#define SLICE		(TEST_PFN_PAGES / (PROCS * THREADS))

struct tally {
	unsigned long attached, refused, revoked, reopened, provided, touched,
		timed_out, odd, late;
};

struct chaos {
	unsigned int seed;
	double end;
	struct tally t[PROCS][THREADS][2];
};

struct chaos_thread {
	pthread_t thread, beside;
	struct chaos *c;
	unsigned int proc, nr, seed;
	uint64_t first, last;

	/* The file is closed, and the ids change, with the lock for writing */
	pthread_rwlock_t lock;
	int fd;
	uint32_t id, parts[PARTS];
};

static unsigned int dice(unsigned int *seed, unsigned int n)
{
	return (unsigned int)rand_r(seed) % n;
}

static uint32_t random_flags(unsigned int *seed)
{
	static const uint32_t some[] = {
		0, 0, 0, TEST_PFN_SLOW, TEST_PFN_ATTACH_IN,
	};
	unsigned int n = sizeof(some) / sizeof(some[0]);

	return some[dice(seed, n)] | TEST_PFN_IN_FINISH(some[dice(seed, n)]);
}

static void odd(struct tally *t, const char *what, int err)
{
	if (!t->odd++)
		tap_note("%s: %s", what, strerror(err < 0 ? -err : err));
}

static void chaos_consume(struct tally *t, int fd, unsigned int *seed,
			  uint32_t *previous)
{
	uint64_t first = dice(seed, TEST_PFN_PAGES);
	uint64_t last = first + dice(seed, 40);
	struct test_pfn_arg how = {
		.flags = random_flags(seed),
		.ms = dice(seed, 3),
		.first = HPFN(dice(seed, TEST_PFN_PAGES)),
		.last = HPFN(TEST_PFN_PAGES - 1),
		.other = dice(seed, 2) ? *previous : 0,
	};
	int err, n = (int)dice(seed, 4);

	err = hostile_consumer(fd, &how);
	if (err) {
		odd(t, "consumer", err);
		return;
	}
	*previous = how.id;
	do {
		if (last >= TEST_PFN_PAGES)
			last = TEST_PFN_PAGES - 1;
		err = hostile_attach(fd, how.id, first, last, dice(seed, 2));
		if (!err)
			t->attached++;
		else if (err == -ENODEV || err == -ENXIO || err == -ENOBUFS)
			t->refused++;
		else
			odd(t, "attach", err);
		/* it grows, perhaps into the slice of somebody else */
		first = last + 1;
		last += 1 + dice(seed, 40);
	} while (!err && n-- && first < TEST_PFN_PAGES);
	if (dice(seed, 3)) {
		err = hostile_detach(fd, how.id);
		if (err)
			odd(t, "detach", err);
	}
	if (!hostile_look(fd, how.id, &how))
		t->late += how.late;
}

static void tally_revoke(struct tally *t, int ret)
{
	if (ret > 0)
		t->touched += (unsigned long)ret;
	t->revoked++;
}

/* Parts of its own, and now and then all of it, but not to the end */
static void *chaotic_beside(void *arg)
{
	struct chaos_thread *me = arg;
	struct tally *t = &me->c->t[me->proc][me->nr][1];
	unsigned int seed = me->seed + 500;

	while (clock_now() < me->c->end) {
		uint32_t p, id;
		int ret;

		pthread_rwlock_rdlock(&me->lock);
		p = me->parts[2 + dice(&seed, PARTS - 2)];
		id = me->id;
		if (!id) {
			ret = -ENOENT;
		} else if (!dice(&seed, 12)) {
			ret = hostile_revoke(me->fd, id, 0, 1 + dice(&seed, 5));
			if (ret == -ETIMEDOUT) {
				t->timed_out++;
				ret = 0;
			}
			tally_revoke(t, ret);
		} else {
			ret = hostile_revoke_part(me->fd, p);
			tally_revoke(t, ret);
			if (!dice(&seed, 3))
				clock_sleep_ms(1);
			if (ret >= 0)
				ret = hostile_reopen(me->fd, p);
			if (!ret)
				t->reopened++;
		}
		/* the provider leaves when it wants to */
		if (ret < 0 && ret != -ENOENT)
			odd(t, "revoke beside", ret);
		pthread_rwlock_unlock(&me->lock);
		clock_sleep_ms(1 + dice(&seed, 5));
	}
	return NULL;
}

/* False: somebody else has it */
static bool chaos_provide(struct chaos_thread *me, struct tally *t,
			  unsigned int *seed)
{
	unsigned int i;
	uint32_t id;
	int err;

	err = hostile_provide(me->fd, me->first, me->last, &id);
	/* the file of one that was killed is still closing */
	if (err == -EEXIST)
		return false;
	if (err) {
		odd(t, "provide", err);
		return false;
	}
	t->provided++;
	pthread_rwlock_wrlock(&me->lock);
	for (i = 0; i < PARTS; i++) {
		uint64_t first = me->first + dice(seed, SLICE);
		uint64_t last = first + dice(seed, SLICE);

		err = hostile_part(me->fd, id, i ? first : me->first,
				   i && last < me->last ? last : me->last,
				   &me->parts[i]);
		if (err)
			odd(t, "part", err);
	}
	me->id = id;
	pthread_rwlock_unlock(&me->lock);
	return true;
}

static void chaos_unprovide(struct chaos_thread *me, struct tally *t)
{
	/* the one beside may be revoking */
	int err = hostile_unprovide(me->fd, me->id);

	if (err)
		odd(t, "unprovide", err);
	pthread_rwlock_wrlock(&me->lock);
	me->id = 0;
	pthread_rwlock_unlock(&me->lock);
}

static bool chaos_new_file(struct chaos_thread *me, struct tally *t)
{
	pthread_rwlock_wrlock(&me->lock);
	close(me->fd);
	me->fd = hostile_open();
	me->id = 0;
	pthread_rwlock_unlock(&me->lock);
	if (me->fd < 0)
		odd(t, "open", me->fd);
	return me->fd >= 0;
}

static void chaos_revoke(struct chaos_thread *me, struct tally *t,
			 unsigned int *seed)
{
	uint32_t p = me->parts[dice(seed, 2)];
	int ret;

	if (!dice(seed, 6)) {
		ret = hostile_revoke(me->fd, me->id, 0, 0);
		if (ret < 0)
			odd(t, "revoke", ret);
		tally_revoke(t, ret);
		chaos_unprovide(me, t);
		return;
	}
	ret = hostile_revoke_part(me->fd, p);
	if (ret < 0)
		odd(t, "revoke of a part", ret);
	tally_revoke(t, ret);
	if (!dice(seed, 8)) {
		/* with the part closed */
		chaos_unprovide(me, t);
		return;
	}
	ret = hostile_reopen(me->fd, p);
	if (ret)
		odd(t, "reopen", ret);
	else
		t->reopened++;
}

static void *chaotic(void *arg)
{
	struct chaos_thread *me = arg;
	struct tally *t = &me->c->t[me->proc][me->nr][0];
	unsigned int seed = me->seed, i;
	uint32_t previous = 0;

	while (clock_now() < me->c->end) {
		if (!me->id && !chaos_provide(me, t, &seed)) {
			clock_sleep_ms(1);
			continue;
		}
		for (i = dice(&seed, 5); i; i--)
			chaos_consume(t, me->fd, &seed, &previous);
		chaos_revoke(me, t, &seed);
		/* consumers are kept until the end of their file */
		if (!dice(&seed, 16)) {
			if (!chaos_new_file(me, t))
				break;
			previous = 0;
		}
	}
	return NULL;
}

struct chaos_proc {
	struct chaos *c;
	unsigned int nr, round;
};

static int chaos_process(int fd, void *arg)
{
	struct chaos_proc *p = arg;
	struct chaos_thread t[THREADS];
	unsigned int i;

	(void)fd;
	for (i = 0; i < THREADS; i++) {
		uint64_t first = (p->nr * THREADS + i) * SLICE;

		t[i] = (struct chaos_thread){
			.c = p->c, .proc = p->nr, .nr = i,
			.seed = p->c->seed + p->round * 1000 + p->nr * 10 + i,
			.first = first, .last = first + SLICE - 1,
		};
		pthread_rwlock_init(&t[i].lock, NULL);
		t[i].fd = hostile_open();
		ASSERT_GE(t[i].fd, 0);
		ASSERT_EQ(pthread_create(&t[i].thread, NULL, chaotic, &t[i]), 0);
		ASSERT_EQ(pthread_create(&t[i].beside, NULL, chaotic_beside,
					 &t[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(t[i].thread, NULL);
		pthread_join(t[i].beside, NULL);
		close(t[i].fd);
	}
	return 0;
}

static void add(struct tally *sum, const struct tally *t)
{
	sum->attached += t->attached;
	sum->refused += t->refused;
	sum->revoked += t->revoked;
	sum->reopened += t->reopened;
	sum->provided += t->provided;
	sum->touched += t->touched;
	sum->timed_out += t->timed_out;
	sum->odd += t->odd;
	sum->late += t->late;
}

#define CHAOS_SECONDS 8

static void chaos(void)
{
	struct chaos *c = worker_shared(sizeof(*c));
	struct tally sum = { 0 };
	struct worker w[PROCS];
	struct chaos_proc p[PROCS];
	unsigned int i, j, kills = 0;
	uint32_t id;

	ASSERT_TRUE(c);
	c->seed = (unsigned int)(clock_now() * 1e6);
	/* what has to come about in it is counted below */
	c->end = clock_now() + CHAOS_SECONDS * clock_slow();
	tap_note("seed %u", c->seed);
	for (i = 0; i < PROCS; i++) {
		p[i] = (struct chaos_proc){ c, i, 0 };
		ASSERT_EQ(worker_start(&w[i], "chaos", chaos_process, &p[i]), 0);
	}
	while (clock_now() < c->end - 1) {
		clock_sleep_ms(300);
		i = kills++ % PROCS;
		worker_kill(&w[i], SIGKILL);
		/* before the next one has the same name */
		EXPECT_NE(worker_join(&w[i], 20), -1);
		p[i].round++;
		ASSERT_EQ(worker_start(&w[i], "chaos", chaos_process, &p[i]), 0);
	}
	for (i = 0; i < PROCS; i++)
		EXPECT_EQ(worker_join(&w[i], CHAOS_SECONDS + 20), 0);
	for (i = 0; i < PROCS; i++) {
		for (j = 0; j < THREADS; j++) {
			add(&sum, &c->t[i][j][0]);
			add(&sum, &c->t[i][j][1]);
		}
	}
	tap_note("%lu attached, %lu refused, %lu revoked, %lu timed out, %lu reopened, %lu provided, %u killed",
		 sum.attached, sum.refused, sum.revoked, sum.timed_out,
		 sum.reopened, sum.provided, kills);
	EXPECT_EQ(sum.touched, 0);
	EXPECT_EQ(sum.late, 0);
	EXPECT_EQ(sum.odd, 0);
	EXPECT_GE(sum.attached, 50);
	EXPECT_GE(sum.refused, 1);
	EXPECT_GE(kills, 3);
	/* nothing of theirs is left: every page can have a provider, and is free */
	provide(0, TEST_PFN_PAGES - 1, &id);
	EXPECT_EQ(hostile_revoke(dev, id, 0, 0), 0);
	worker_unshare(c, sizeof(*c));
}

/*
 * A file of sysfs whose handler leaves the mapping to mm: that would be done
 * without an active reference, when the file may have been removed already.
 */
static void mapped_by_action(void)
{
	int fd = open("/sys/class/misc/test_pfn_revoke/mapped_by_action",
		      O_RDONLY | O_CLOEXEC);
	void *m;
	int err;

	ASSERT_GE(fd, 0);
	m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	err = m == MAP_FAILED ? errno : 0;
	EXPECT_EQ(err, EINVAL);
	if (!EXPECT_TRUE(m == MAP_FAILED))
		munmap(m, 4096);
	close(fd);
}

static const struct tap_test tests[] = {
	{ "stuck_is_named", stuck_is_named, 40 },
	{ "killed_when_stuck", killed_when_stuck, 40 },
	{ "revoker_killed", revoker_killed, 0 },
	{ "attaches_in_a_callback", attaches_in_a_callback, 0 },
	{ "many_pins", many_pins, 0 },
	{ "holds_on", holds_on, 0 },
	{ "recorded_late", recorded_late, 0 },
	{ "late_attach", late_attach, 0 },
	{ "revokes_at_once", revokes_at_once, 0 },
	{ "timed_out", timed_out, 0 },
	{ "strangers_detach", strangers_detach, 40 },
	{ "strangers_revoke", strangers_revoke, 0 },
	{ "chaos", chaos, 60 },
	{ "mapped_by_action", mapped_by_action, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"hostile", tests, init, before, after,
	};

	return tap_main(argc, argv, &suite);
}
