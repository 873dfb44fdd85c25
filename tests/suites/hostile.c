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
#include "stacks.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Whatever a test left is gone with its file: no page has a provider. */
static void after(void)
{
	int left = worker_sweep();

	EXPECT_EQ(left, 0);
	close(dev);
	dev = hostile_open();
	ASSERT_GE(dev, 0);
	EXPECT_EQ(hostile_revoke(dev, 0, TEST_PFN_PAGES - 1), -ENOENT);
	close(dev);
	dev = -1;
}

static uint32_t consumer(uint32_t flags)
{
	struct test_pfn_arg how = {
		.flags = flags, .ms = 100, .first = HPFN(0), .last = HPFN(9),
	};

	ASSERT_EQ(hostile_consumer(dev, &how), 0);
	return how.id;
}

static uint32_t attached(uint32_t flags, uint64_t first, uint64_t last)
{
	uint32_t c = consumer(flags);

	ASSERT_EQ(hostile_attach(dev, c, first, last, 0), 0);
	return c;
}

static void provide(uint64_t first, uint64_t last)
{
	uint32_t id;

	ASSERT_EQ(hostile_provide(dev, first, last, &id), 0);
}

static struct test_pfn_arg look(uint32_t c)
{
	struct test_pfn_arg a = { 0 };

	EXPECT_EQ(hostile_look(dev, c, &a), 0);
	return a;
}

static void expect_revoked_once(uint32_t c)
{
	struct test_pfn_arg a = look(c);

	EXPECT_EQ(a.starts, 1);
	EXPECT_EQ(a.finishes, 1);
	EXPECT_EQ(a.late, 0);
	EXPECT_TRUE(a.dead);
}

/* A revoke in a thread: it may take its time. */
struct revoke {
	pthread_t thread;
	int fd;
	uint64_t first, last;
	volatile int ret;
	volatile bool done;
};

static void *revoking(void *arg)
{
	struct revoke *r = arg;

	r->ret = hostile_revoke(r->fd, r->first, r->last);
	r->done = true;
	return NULL;
}

static void start_revoke(struct revoke *r, uint64_t first, uint64_t last)
{
	memset(r, 0, sizeof(*r));
	r->fd = dev;
	r->first = first;
	r->last = last;
	ASSERT_EQ(pthread_create(&r->thread, NULL, revoking, r), 0);
}

static bool wait_for(volatile bool *flag, double seconds)
{
	double end = clock_now() + seconds * clock_scale();

	while (!*flag && clock_now() < end)
		clock_sleep_ms(2);
	return *flag;
}

static void end_revoke(struct revoke *r)
{
	ASSERT_TRUE(wait_for(&r->done, 10));
	pthread_join(r->thread, NULL);
	EXPECT_EQ(r->ret, 0);
}

static bool wait_started(uint32_t c, bool finish, double seconds)
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

/* The warning, to the letter; and nobody else waits for the one who is stuck. */
static void stuck_is_named(void)
{
	char want[256], line[512];
	double end = clock_now() + 14 * clock_scale();
	bool seen = false;
	struct revoke r;
	uint32_t c, other;
	int log;

	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(log, 0);
	lseek(log, 0, SEEK_END);
	provide(0, 99);
	c = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 0, 9);
	other = attached(0, 5, 20);
	start_revoke(&r, 0, 99);
	snprintf(want, sizeof(want),
		 ";pfn_revoke: finish of test_pfn_revoke (pid %d, hostile) has held up the revocation for 10 seconds: PFNs %#llx-%#llx of test_pfn_revoke-0\n",
		 getpid(), (unsigned long long)HPFN(0),
		 (unsigned long long)HPFN(9));
	while (!seen && clock_now() < end) {
		ssize_t n = read(log, line, sizeof(line) - 1);

		if (n > 0) {
			line[n] = '\0';
			seen = strstr(line, want);
		} else {
			clock_sleep_ms(20);
		}
	}
	close(log);
	if (!EXPECT_TRUE(seen))
		tap_note("not in the log: %s", want + 1);
	EXPECT_TRUE(wait_started(other, true, 3));
	EXPECT_TRUE(!r.done);
	ASSERT_EQ(hostile_let_go(dev, c), 0);
	end_revoke(&r);
	expect_revoked_once(c);
	expect_revoked_once(other);
}

static int stuck_owner(int fd, void *arg)
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
		TEST_PFN_IN_FINISH(TEST_PFN_STUCK | TEST_PFN_DETACH_IN),
	};
	unsigned int i;

	provide(0, 99);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct worker w;
		struct revoke r;
		uint32_t c = attached(0, 3, 3);

		ASSERT_EQ(worker_start(&w, "stuck", stuck_owner, &flags[i]), 0);
		ASSERT_TRUE(worker_hear(w.fd, 's', 10));
		start_revoke(&r, 0, 50);
		/* its own start() may be behind the one that is stuck */
		if (!(flags[i] & TEST_PFN_STUCK))
			EXPECT_TRUE(wait_started(c, false, 5));
		clock_sleep_ms(100);
		EXPECT_TRUE(!r.done);
		worker_kill(&w, SIGKILL);
		end_revoke(&r);
		EXPECT_NE(worker_join(&w, 10), -1);
		expect_revoked_once(c);
		EXPECT_EQ(hostile_reopen(dev, 0, 99), 0);
	}
}

static int revoker(int fd, void *arg)
{
	(void)arg;
	ASSERT_TRUE(worker_tell(fd, 'r'));
	hostile_revoke(dev, 0, 99);
	return 0;
}

/* Who revokes is killed: the revoke comes to its end all the same. */
static void revoker_killed(void)
{
	struct worker w;
	uint32_t c, other;

	provide(0, 99);
	c = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 0, 9);
	other = attached(0, 50, 60);
	ASSERT_EQ(worker_start(&w, "revoker", revoker, NULL), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 10));
	EXPECT_TRUE(wait_started(c, true, 5));
	worker_kill(&w, SIGKILL);
	clock_sleep_ms(100);
	EXPECT_EQ(hostile_reopen(dev, 0, 99), -EBUSY);
	ASSERT_EQ(hostile_let_go(dev, c), 0);
	EXPECT_NE(worker_join(&w, 10), -1);
	expect_revoked_once(c);
	expect_revoked_once(other);
	EXPECT_EQ(hostile_revoke(dev, 0, 99), 0);
	EXPECT_EQ(hostile_reopen(dev, 0, 99), 0);
	attached(0, 0, 99);
}

/* What a callback calls comes back with an error, and does nothing else. */
static void reentrant(void)
{
	static const struct { uint32_t flag; int ret; } calls[] = {
		{ TEST_PFN_REVOKE_IN, -EDEADLK },
		{ TEST_PFN_REOPEN_IN, -EBUSY },
		{ TEST_PFN_ATTACH_IN, -ENODEV },
	};
	unsigned int i, late;

	provide(0, 99);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (late = 0; late < 2; late++) {
			uint32_t flag = calls[i].flag;
			uint32_t c = attached(late ? TEST_PFN_IN_FINISH(flag) :
					      flag, 0, 20);

			EXPECT_EQ(hostile_revoke(dev, 0, 99), 0);
			expect_revoked_once(c);
			EXPECT_EQ((int)look(c).ret, calls[i].ret);
			EXPECT_EQ(hostile_reopen(dev, 0, 99), 0);
			EXPECT_EQ(hostile_detach(dev, c), 0);
		}
	}
}

/* Another pin is attached by a callback: where it is open, not where it is shut. */
static void attaches_another(void)
{
	struct test_pfn_arg how = { .first = HPFN(0), .last = HPFN(9) };
	unsigned int i, n = 4;
	uint32_t other;

	provide(0, 99);
	provide(100, 199);
	for (i = 0; i < n; i++) {
		bool open = i & 1;

		other = consumer(0);
		how.other = other;
		how.flags = i & 2 ? TEST_PFN_IN_FINISH(TEST_PFN_ATTACH_IN) :
			TEST_PFN_ATTACH_IN;
		how.first = HPFN(open ? 100 : 30);
		how.last = HPFN(open ? 120 : 40);
		ASSERT_EQ(hostile_consumer(dev, &how), 0);
		ASSERT_EQ(hostile_attach(dev, how.id, 0, 9, 0), 0);
		EXPECT_EQ(hostile_revoke(dev, 0, 99), 0);
		EXPECT_EQ((int)look(how.id).ret, open ? 0 : -ENODEV);
		EXPECT_EQ(look(other).starts, 0);
		EXPECT_EQ(hostile_revoke(dev, 100, 199), 0);
		EXPECT_EQ(look(other).finishes, open ? 1 : 0);
		EXPECT_EQ(hostile_reopen(dev, 0, 199), 0);
	}
}

static void detaches_itself(void)
{
	uint32_t a, b, c;

	provide(0, 99);
	a = attached(TEST_PFN_DETACH_IN, 0, 9);
	b = attached(TEST_PFN_IN_FINISH(TEST_PFN_SLOW | TEST_PFN_DETACH_IN), 0, 9);
	c = attached(0, 0, 9);
	EXPECT_EQ(hostile_revoke(dev, 0, 99), 0);
	EXPECT_EQ(look(a).starts, 1);
	EXPECT_EQ(look(a).finishes, 0);
	EXPECT_EQ(look(a).late, 0);
	expect_revoked_once(b);
	expect_revoked_once(c);
	EXPECT_EQ(hostile_detach(dev, a), -EALREADY);
	EXPECT_EQ(hostile_detach(dev, b), -EALREADY);
	EXPECT_EQ(hostile_detach(dev, c), 0);
}

/* One that does not let go is counted, and does not keep the others. */
static void holds_on(void)
{
	uint32_t c, other;

	provide(0, 99);
	c = attached(TEST_PFN_HOLDS_ON, 10, 14);
	other = attached(0, 0, 99);
	EXPECT_EQ(hostile_revoke(dev, 0, 99), 5);
	expect_revoked_once(other);
	EXPECT_EQ(hostile_detach(dev, c), 0);
	EXPECT_EQ(hostile_revoke(dev, 0, 99), 0);
}

/* The look-up was before, the attach is after: revoked and opened in between. */
static void late_attach(void)
{
	struct revoke r;
	uint32_t c;

	provide(0, 99);
	/* the revoke takes 100 ms, the look-up of the other one 300 */
	attached(TEST_PFN_IN_FINISH(TEST_PFN_SLOW), 0, 9);
	c = consumer(0);
	start_revoke(&r, 0, 50);
	EXPECT_EQ(hostile_attach(dev, c, 40, 60, 300), -ENODEV);
	end_revoke(&r);
	EXPECT_EQ(hostile_attach(dev, c, 40, 60, 0), -ENODEV);
	EXPECT_EQ(hostile_attach(dev, c, 51, 60, 0), 0);
	EXPECT_EQ(hostile_reopen(dev, 0, 50), 0);
	EXPECT_EQ(hostile_attach(dev, c, 40, 60, 0), 0);
}

/* Revokes of parts that overlap, at once: each waits for its own to the end. */
#define REVOKERS 8

static void revokes_at_once(void)
{
	uint32_t c[REVOKERS + 1];
	struct revoke r[REVOKERS];
	unsigned int i;

	provide(0, 99);
	provide(100, 199);
	for (i = 0; i <= REVOKERS; i++)
		c[i] = attached(TEST_PFN_IN_FINISH(TEST_PFN_SLOW), i * 20,
				i * 20 + 30);
	for (i = 0; i < REVOKERS; i++)
		start_revoke(&r[i], i * 20, i * 20 + 39);
	for (i = 0; i < REVOKERS; i++)
		end_revoke(&r[i]);
	for (i = 0; i <= REVOKERS; i++)
		expect_revoked_once(c[i]);
}

/* The provider is unregistered while a consumer is stuck, twice over. */
struct unreg {
	pthread_t thread;
	uint32_t id;
	int fd;
	volatile int ret;
	volatile bool done;
};

static void *unregistering(void *arg)
{
	struct unreg *u = arg;

	u->ret = hostile_unprovide(u->fd, u->id);
	u->done = true;
	return NULL;
}

static void unregistered_in_a_revoke(void)
{
	struct unreg u = { .fd = dev };
	struct revoke r;
	uint32_t c, id;

	ASSERT_EQ(hostile_provide(dev, 0, 99, &u.id), 0);
	c = attached(TEST_PFN_IN_FINISH(TEST_PFN_STUCK), 0, 9);
	start_revoke(&r, 0, 9);
	EXPECT_TRUE(wait_started(c, true, 5));
	ASSERT_EQ(pthread_create(&u.thread, NULL, unregistering, &u), 0);
	clock_sleep_ms(100);
	EXPECT_TRUE(!u.done && !r.done);
	EXPECT_EQ(hostile_provide(dev, 0, 99, &id), -EEXIST);
	EXPECT_EQ(hostile_reopen(dev, 50, 60), -EBUSY);
	ASSERT_EQ(hostile_let_go(dev, c), 0);
	end_revoke(&r);
	ASSERT_TRUE(wait_for(&u.done, 10));
	pthread_join(u.thread, NULL);
	EXPECT_EQ(u.ret, 0);
	expect_revoked_once(c);
	EXPECT_EQ(hostile_provide(dev, 0, 99, &id), 0);
	EXPECT_EQ(hostile_attach(dev, consumer(0), 0, 9, 0), 0);
}

/*
 * Everything at once, by processes with several threads each, some of which are
 * killed and started anew. A thread opens and revokes a slice that is its own,
 * so it knows when nobody may touch it; it attaches to, and revokes, any.
 */
#define PROCS		3
#define THREADS		3
#define SLICE		(TEST_PFN_PAGES / (PROCS * THREADS))

struct tally {
	unsigned long attached, refused, revoked, reopened, provided, touched,
		odd, late;
};

struct chaos {
	unsigned int seed;
	double end;
	struct tally t[PROCS][THREADS];
};

struct chaos_thread {
	pthread_t thread;
	struct chaos *c;
	unsigned int proc, nr, seed;
};

static unsigned int dice(unsigned int *seed, unsigned int n)
{
	return (unsigned int)rand_r(seed) % n;
}

static uint32_t random_flags(unsigned int *seed)
{
	static const uint32_t some[] = {
		0, 0, 0, TEST_PFN_SLOW, TEST_PFN_DETACH_IN, TEST_PFN_REVOKE_IN,
		TEST_PFN_ATTACH_IN,
	};
	unsigned int n = sizeof(some) / sizeof(some[0]);

	return some[dice(seed, n)] | TEST_PFN_IN_FINISH(some[dice(seed, n)]);
}

static void odd(struct tally *t, const char *what, int err)
{
	if (!t->odd++)
		tap_note("%s: %s", what, strerror(err < 0 ? -err : err));
}

static void chaos_consume(struct tally *t, int fd, unsigned int *seed)
{
	uint64_t first = dice(seed, TEST_PFN_PAGES);
	uint64_t last = first + dice(seed, 40);
	struct test_pfn_arg how = {
		.flags = random_flags(seed),
		.ms = dice(seed, 3),
		.first = HPFN(dice(seed, TEST_PFN_PAGES)),
		.last = HPFN(TEST_PFN_PAGES - 1),
	};
	int err, n = (int)dice(seed, 4);

	if (last >= TEST_PFN_PAGES)
		last = TEST_PFN_PAGES - 1;
	err = hostile_consumer(fd, &how);
	if (err) {
		odd(t, "consumer", err);
		return;
	}
	do {
		err = hostile_attach(fd, how.id, first, last, dice(seed, 2));
		if (!err)
			t->attached++;
		else if (err == -ENODEV)
			t->refused++;
		else
			odd(t, "attach", err);
	} while (!err && n--);
	if (dice(seed, 3)) {
		err = hostile_detach(fd, how.id);
		if (err && err != -EALREADY)
			odd(t, "detach", err);
		if (!hostile_look(fd, how.id, &how))
			t->late += how.late;
	}
}

static void *chaotic(void *arg)
{
	struct chaos_thread *me = arg;
	struct tally *t = &me->c->t[me->proc][me->nr];
	uint64_t own = (me->proc * THREADS + me->nr) * SLICE;
	uint64_t own_last = own + SLICE - 1;
	unsigned int seed = me->seed, i;
	uint32_t id = 0;
	int err, fd = hostile_open();

	if (fd < 0) {
		odd(t, "open", fd);
		return NULL;
	}
	while (clock_now() < me->c->end) {
		if (!id) {
			err = hostile_provide(fd, own, own_last, &id);
			/* the file of one that was killed is still closing */
			if (err == -EEXIST) {
				clock_sleep_ms(1);
				continue;
			}
			if (err)
				odd(t, "provide", err);
			t->provided++;
		}
		for (i = dice(&seed, 5); i; i--)
			chaos_consume(t, fd, &seed);

		err = hostile_revoke(fd, own, own_last);
		if (err < 0)
			odd(t, "revoke", err);
		else
			t->touched += (unsigned long)err;
		t->revoked++;
		if (!dice(&seed, 4)) {
			/* those of the others; they look after them */
			err = hostile_revoke(fd, dice(&seed, TEST_PFN_PAGES),
					     TEST_PFN_PAGES - 1);
			if (err < 0 && err != -ENOENT)
				odd(t, "revoke of any", err);
		}
		if (!dice(&seed, 8)) {
			err = hostile_unprovide(fd, id);
			if (err)
				odd(t, "unprovide", err);
			id = 0;
			continue;
		}
		err = hostile_reopen(fd, own, own_last);
		if (!err)
			t->reopened++;
		else if (err != -EBUSY)
			odd(t, "reopen", err);
		/* consumers are kept until the end of their file */
		if (!dice(&seed, 16)) {
			close(fd);
			fd = hostile_open();
			id = 0;
			if (fd < 0) {
				odd(t, "open", fd);
				return NULL;
			}
		}
	}
	close(fd);
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
		t[i] = (struct chaos_thread){
			.c = p->c, .proc = p->nr, .nr = i,
			.seed = p->c->seed + p->round * 1000 + p->nr * 10 + i,
		};
		ASSERT_EQ(pthread_create(&t[i].thread, NULL, chaotic, &t[i]), 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i].thread, NULL);
	return 0;
}

#define CHAOS_SECONDS 8

static void chaos(void)
{
	struct chaos *c = worker_shared(sizeof(*c));
	struct tally sum = { 0 };
	struct worker w[PROCS];
	struct chaos_proc p[PROCS];
	unsigned int i, j, kills = 0;

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
			struct tally *t = &c->t[i][j];

			sum.attached += t->attached;
			sum.refused += t->refused;
			sum.revoked += t->revoked;
			sum.reopened += t->reopened;
			sum.provided += t->provided;
			sum.touched += t->touched;
			sum.odd += t->odd;
			sum.late += t->late;
		}
	}
	tap_note("%lu attached, %lu refused, %lu revoked, %lu reopened, %lu provided, %u killed",
		 sum.attached, sum.refused, sum.revoked, sum.reopened,
		 sum.provided, kills);
	EXPECT_EQ(sum.touched, 0);
	EXPECT_EQ(sum.late, 0);
	EXPECT_EQ(sum.odd, 0);
	EXPECT_GE(sum.attached, 50);
	EXPECT_GE(sum.refused, 1);
	EXPECT_GE(kills, 3);
	/* nothing of theirs is left: every page can have a provider, and is free */
	provide(0, TEST_PFN_PAGES - 1);
	EXPECT_EQ(hostile_revoke(dev, 0, TEST_PFN_PAGES - 1), 0);
	worker_unshare(c, sizeof(*c));
}

static const struct tap_test tests[] = {
	{ "stuck_is_named", stuck_is_named, 40 },
	{ "killed_when_stuck", killed_when_stuck, 40 },
	{ "revoker_killed", revoker_killed, 0 },
	{ "reentrant", reentrant, 0 },
	{ "attaches_another", attaches_another, 0 },
	{ "detaches_itself", detaches_itself, 0 },
	{ "holds_on", holds_on, 0 },
	{ "late_attach", late_attach, 0 },
	{ "revokes_at_once", revokes_at_once, 0 },
	{ "unregistered_in_a_revoke", unregistered_in_a_revoke, 0 },
	{ "chaos", chaos, 60 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"hostile", tests, init, before, after,
	};

	return tap_main(argc, argv, &suite);
}
