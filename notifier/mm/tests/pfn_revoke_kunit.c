// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PFN-range revocation (mm/pfn_revoke.c)
 *
 * The notifier never touches memory, so that the provider here declares PFNs
 * that no machine has, and nothing maps them: no page table lock is needed to
 * attach them, and nobody zaps. That lock, GUP and real pages are the business
 * of the suites that run in a guest.
 *
 * Whatever may block runs in a thread of its own (struct actor) and is waited
 * for with a limit; a callback that has to be slow is held by a completion.
 * Nothing depends on who is faster, except in the tests that race on purpose,
 * and those check what holds in every order.
 *
 * If the notifier hangs, its thread is left behind with all the memory that it
 * may still use, and the test fails.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pfn_revoke.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../pfn_revoke.h"

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");

/* Page @n of the provider; beyond the physical addresses of any machine */
#define PFN(n)		((ULONG_MAX >> 1) + 1 + (n))

/* No wait of a test takes longer; what is waited for takes milliseconds */
#define LIMIT		(15 * HZ)

/* For those who must be served although somebody else is stuck */
#define PATIENCE	(HZ / 5)
#define SLACK		(3 * HZ)

struct random_run;

struct scene {
	struct list_head consumers;
	struct list_head actors;
	struct pfn_range *ranges[5];	/* pages 0 to 99, 100 to 199, the test's */
	struct random_run *run;		/* of random_threads() */
	struct completion gun;		/* starts those who race */
	unsigned long patience;		/* to be restored */
	atomic_t clock;			/* orders events */
	atomic_t late;			/* callbacks after the detach */
	atomic_t overdue;		/* callbacks held until the limit */
};

struct consumer {
	struct list_head node;
	struct scene *scene;
	struct pfn_pin_ops ops;
	struct pfn_pin pin;
	bool gone;			/* no callback may come any more */
	bool hold_start, hold_finish;	/* they wait for @go */
	struct completion go, in_start, in_finish;
	atomic_t starts, finishes;
	int started, finishing, finished;	/* times by scene->clock */
	struct task_struct *finisher;	/* only to be compared */
};

struct actor {
	struct list_head node;
	struct scene *scene;
	struct task_struct *task;	/* a reference, NULL when joined */
	int (*act)(struct actor *a);
	struct consumer *c;
	unsigned long first, last;
	int range;			/* index of the range */
	struct pfn_part part;		/* of act_revoke() */
	long timeout;			/* 0: none */
	bool races;			/* waits for the gun */
	unsigned int delay;		/* us after it */
	int ret;
	int returned;			/* time */
	struct completion entered, done;
};

static int now(struct scene *scene)
{
	return atomic_inc_return(&scene->clock);
}

/* Consumers */

static void called(struct consumer *c, atomic_t *count, bool hold,
		   struct completion *in_callback)
{
	atomic_inc(count);
	if (READ_ONCE(c->gone))
		atomic_inc(&c->scene->late);
	complete_all(in_callback);
	if (hold && !wait_for_completion_timeout(&c->go, LIMIT))
		atomic_inc(&c->scene->overdue);
}

static void consumer_start(struct pfn_pin *pin)
{
	struct consumer *c = container_of(pin, struct consumer, pin);

	c->started = now(c->scene);
	called(c, &c->starts, c->hold_start, &c->in_start);
}

static void consumer_finish(struct pfn_pin *pin)
{
	struct consumer *c = container_of(pin, struct consumer, pin);

	c->finishing = now(c->scene);
	c->finisher = current;
	called(c, &c->finishes, c->hold_finish, &c->in_finish);
	c->finished = now(c->scene);
}

static struct consumer *new_consumer(struct kunit *test)
{
	struct scene *scene = test->priv;
	struct consumer *c;

	c = kzalloc_obj(*c);
	KUNIT_ASSERT_NOT_NULL(test, c);
	c->scene = scene;
	c->ops.name = "kunit";
	c->ops.start = consumer_start;
	c->ops.finish = consumer_finish;
	init_completion(&c->go);
	init_completion(&c->in_start);
	init_completion(&c->in_finish);
	pfn_pin_init(&c->pin, &c->ops);
	list_add_tail(&c->node, &scene->consumers);
	return c;
}

/* Attaching waits for nobody: how many pages, or an error */
static long attach(struct consumer *last, struct consumer *spare,
		   unsigned long first, unsigned long end)
{
	unsigned long nr = end - first + 1;

	return pfn_pin_attach_pfns(last ? &last->pin : NULL,
				   spare ? &spare->pin : NULL, PFN(first), &nr);
}

/* What a consumer gets that does not want to stay */
static long probe(unsigned long first, unsigned long last)
{
	static const struct pfn_pin_ops ops = { .name = "kunit" };
	unsigned long nr = last - first + 1;
	struct pfn_pin pin;
	long ret;

	pfn_pin_init(&pin, &ops);
	ret = pfn_pin_attach_pfns(NULL, &pin, PFN(first), &nr);
	pfn_pin_detach(&pin);
	return ret;
}

static struct consumer *attached(struct kunit *test, unsigned long first,
				 unsigned long last)
{
	struct consumer *c = new_consumer(test);

	KUNIT_ASSERT_EQ(test, attach(NULL, c, first, last), last - first + 1);
	return c;
}

static struct consumer *held_in_start(struct kunit *test, unsigned long page)
{
	struct consumer *c = attached(test, page, page);

	c->hold_start = true;
	return c;
}

static struct consumer *held_in_finish(struct kunit *test, unsigned long first,
				       unsigned long last)
{
	struct consumer *c = attached(test, first, last);

	c->hold_finish = true;
	return c;
}

static void release(struct consumer *c)
{
	complete_all(&c->go);
}

/* Actors */

static int actor_main(void *arg)
{
	struct actor *a = arg;

	complete(&a->entered);
	if (a->races) {
		wait_for_completion(&a->scene->gun);
		udelay(a->delay);
	}
	a->ret = a->act(a);
	a->returned = now(a->scene);
	complete(&a->done);
	return 0;
}

static int act_attach(struct actor *a)
{
	return attach(NULL, a->c, a->first, a->last);
}

static int act_revoke(struct actor *a)
{
	pfn_part_revoke(&a->part, a->scene->ranges[a->range], PFN(a->first),
			PFN(a->last));
	return 0;
}

/* All that the test provides; the ranges that it does not are NULL */
static int act_revoke_all(struct actor *a)
{
	return pfn_range_revoke(a->scene->ranges, ARRAY_SIZE(a->scene->ranges),
				a->timeout ?: MAX_SCHEDULE_TIMEOUT);
}

static int act_detach(struct actor *a)
{
	pfn_pin_detach(&a->c->pin);
	WRITE_ONCE(a->c->gone, true);
	return 0;
}

static int act_unregister(struct actor *a)
{
	struct pfn_range *range = a->scene->ranges[a->range];

	a->scene->ranges[a->range] = NULL;
	pfn_range_unregister(range);
	return 0;
}

/* End what a test has left, in an order that a provider and consumers may use */
static int act_clean_up(struct actor *a)
{
	struct consumer *c;
	int i;

	list_for_each_entry(c, &a->scene->consumers, node) {
		pfn_pin_detach(&c->pin);
		WRITE_ONCE(c->gone, true);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(a->scene->ranges); i++)
		pfn_range_unregister(a->scene->ranges[i]);
	return 0;
}

static struct actor *new_actor(struct scene *scene, const struct actor *template)
{
	struct actor *a = kmemdup(template, sizeof(*a), GFP_KERNEL);
	struct task_struct *task;

	if (!a)
		return NULL;
	a->scene = scene;
	init_completion(&a->entered);
	init_completion(&a->done);
	task = kthread_create(actor_main, a, "pfn_revoke_test");
	if (IS_ERR(task)) {
		kfree(a);
		return NULL;
	}
	a->task = get_task_struct(task);
	list_add_tail(&a->node, &scene->actors);
	wake_up_process(task);
	return a;
}

static struct actor *launch(struct kunit *test, const struct actor *template)
{
	struct actor *a = new_actor(test->priv, template);

	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&a->entered, LIMIT));
	return a;
}

#define spawn(test, f, ...) \
	launch(test, &(struct actor) { .act = (f), __VA_ARGS__ })

static void fire(struct kunit *test)
{
	struct scene *scene = test->priv;

	complete_all(&scene->gun);
}

static bool actor_join(struct actor *a)
{
	if (!a->task)
		return true;
	if (!wait_for_completion_timeout(&a->done, LIMIT))
		return false;
	/* On its way out: it leaves this module's code before that returns */
	kthread_stop_put(a->task);
	a->task = NULL;
	return true;
}

static int join(struct kunit *test, struct actor *a)
{
	if (!actor_join(a))
		KUNIT_FAIL_AND_ABORT(test, "%ps() does not return", a->act);
	return a->ret;
}

/*
 * The actor waits in the notifier. It is seen asleep several times, because a
 * task that is about to find that it need not wait looks asleep for a moment.
 */
static bool waits(struct actor *a)
{
	unsigned long end = jiffies + LIMIT;
	int seen = 0;

	while (seen < 5 && time_before(jiffies, end)) {
		if (completion_done(&a->done))
			return false;
		if (READ_ONCE(a->task->__state) & TASK_UNINTERRUPTIBLE)
			seen++;
		else
			seen = 0;
		usleep_range(1000, 2000);
	}
	return seen == 5;
}

#define spawn_revoke(test, i, a, b) \
	spawn(test, act_revoke, .range = (i), .first = (a), .last = (b))

static struct actor *revoke(struct kunit *test, int range, unsigned long first,
			    unsigned long last)
{
	struct actor *a = spawn_revoke(test, range, first, last);

	join(test, a);
	return a;
}

static int revoke_all(struct kunit *test)
{
	return join(test, spawn(test, act_revoke_all));
}

/* Waits for nobody */
static void reopen(struct actor *revoker)
{
	pfn_part_reopen(&revoker->part);
}

static void detach(struct kunit *test, struct consumer *c)
{
	join(test, spawn(test, act_detach, .c = c));
}

static void unregister(struct kunit *test, int i)
{
	join(test, spawn(test, act_unregister, .range = i));
}

static void provide(struct kunit *test, int i, unsigned long first,
		    unsigned long last)
{
	struct scene *scene = test->priv;
	struct pfn_range *range;

	range = pfn_range_register(PFN(first), PFN(last), "kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(range));
	scene->ranges[i] = range;
}

static void be_impatient(void)
{
	WRITE_ONCE(pfn_revoke_patience, PATIENCE);
}

#define await_within(test, x, limit) \
	KUNIT_ASSERT_NE_MSG(test, 0, wait_for_completion_timeout(x, limit), \
			    "never happened, or too late: %s", #x)
#define await(test, x)	await_within(test, x, LIMIT)

static void expect_calls(struct kunit *test, struct consumer *c, int starts,
			 int finishes)
{
	KUNIT_EXPECT_EQ(test, atomic_read(&c->starts), starts);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->finishes), finishes);
	if (starts && finishes)
		KUNIT_EXPECT_LT(test, c->started, c->finishing);
}

static void expect_each(struct kunit *test, struct consumer **c, int calls)
{
	for (; *c; c++)
		expect_calls(test, *c, calls, calls);
}

#define expect_untouched(test, ...) \
	expect_each(test, (struct consumer *[]) { __VA_ARGS__, NULL }, 0)
#define expect_revoked_once(test, ...) \
	expect_each(test, (struct consumer *[]) { __VA_ARGS__, NULL }, 1)

static int scene_init(struct kunit *test)
{
	struct scene *scene;

	scene = kzalloc_obj(*scene);
	if (!scene)
		return -ENOMEM;

	INIT_LIST_HEAD(&scene->consumers);
	INIT_LIST_HEAD(&scene->actors);
	init_completion(&scene->gun);
	scene->patience = pfn_revoke_patience;
	test->priv = scene;
	provide(test, 0, 0, 99);
	provide(test, 1, 100, 199);
	return 0;
}

static void scene_exit(struct kunit *test)
{
	struct actor clean_up = { .act = act_clean_up }, *a, *next_a;
	struct scene *scene = test->priv;
	struct consumer *c, *next_c;
	bool stuck = false;

	if (!scene)
		return;

	complete_all(&scene->gun);
	list_for_each_entry(c, &scene->consumers, node)
		release(c);
	list_for_each_entry(a, &scene->actors, node)
		stuck |= !actor_join(a);
	if (!stuck) {
		a = new_actor(scene, &clean_up);
		stuck = !a || !actor_join(a);
	}
	WRITE_ONCE(pfn_revoke_patience, scene->patience);

	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&scene->late), 0,
			    "a callback ran after the detach");
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&scene->overdue), 0,
			    "a held callback was not released");
	if (stuck) {
		KUNIT_FAIL(test, "left a thread behind");
		return;
	}

	list_for_each_entry_safe(a, next_a, &scene->actors, node)
		kfree(a);
	list_for_each_entry_safe(c, next_c, &scene->consumers, node)
		kfree(c);
	kvfree(scene->run);
	kfree(scene);
}

/* Declaring */

static void register_refusals(struct kunit *test)
{
	static const struct {
		unsigned long first, last;
		int err;
	} rows[] = {
		{ PFN(501), PFN(500), -EINVAL }, { ULONG_MAX, ULONG_MAX, -EINVAL },
		{ PFN(510), PFN(519), -EEXIST }, { PFN(510), PFN(510), -EEXIST },
		{ PFN(519), PFN(519), -EEXIST }, { PFN(512), PFN(517), -EEXIST },
		{ PFN(500), PFN(510), -EEXIST }, { PFN(519), PFN(530), -EEXIST },
		{ PFN(500), PFN(530), -EEXIST },
	};
	int i;

	provide(test, 2, 510, 519);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		KUNIT_EXPECT_PTR_EQ(test, pfn_range_register(rows[i].first,
							     rows[i].last, "kunit"),
				    ERR_PTR(rows[i].err));

	/* A refusal has taken nothing: the neighbours are free */
	provide(test, 3, 500, 509);
	provide(test, 4, 520, 520);

	pfn_range_unregister(NULL);
	pfn_range_unregister(ERR_PTR(-EEXIST));
}

static void register_again(struct kunit *test)
{
	struct consumer *old, *new;
	int i;

	for (i = 0; i < 3; i++) {
		old = attached(test, 0, 49);
		unregister(test, 0);
		expect_revoked_once(test, old);
		KUNIT_EXPECT_EQ(test, attach(old, NULL, 50, 50), 0);
		/* With other borders */
		provide(test, 0, i % 2 * 50, 99);
		KUNIT_EXPECT_EQ(test, attach(old, NULL, 50, 50), -ENOBUFS);
		if (i % 2) {
			unregister(test, 0);
			provide(test, 0, 0, 99);
		}
	}

	/* The new owner's pins are none of the old's */
	new = attached(test, 50, 99);
	detach(test, old);
	expect_untouched(test, new);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_revoked_once(test, new, old);
}

/* How far the first PFN's provider, or the lack of one, extends */
static void extent(struct kunit *test)
{
	static const struct {
		unsigned long page, nr;
		long attached;
		unsigned long unowned;
	} rows[] = {
		{  99,   1,   1 }, { 99, 9, 1 }, {  0, 100, 100 }, {  0, 101, 100 },
		{  95,   5,   5 }, { 95, 6, 5 }, { 10, 999,  90 },
		/* Neighbours are two */
		{ 100,   1,   1 }, { 100, 999, 100 }, { 199, 2, 1 },
		{ 200,   9, 0,  9 }, { 200, 100, 0, 100 }, { 200, 999, 0, 100 },
		{ 299,   1, 0,  1 }, { 299,   2, 0,   1 },
		{ 300,   1,   1 }, { 300,   2,   1 }, { 301, 999, 0, 999 },
	};
	enum { OPEN, CLOSED, GONE } phase;
	struct consumer *c = new_consumer(test);
	unsigned long nr;
	int i;

	provide(test, 2, 300, 300);
	for (phase = OPEN; phase <= GONE; phase++) {
		for (i = 0; i < ARRAY_SIZE(rows); i++) {
			long ret = rows[i].attached;

			/* Closed is not the same as gone */
			if (ret && phase != OPEN)
				ret = phase == CLOSED ? -ENODEV : 0;
			nr = rows[i].nr;
			KUNIT_EXPECT_EQ_MSG(test, ret,
					    pfn_pin_attach_pfns(NULL, &c->pin,
								PFN(rows[i].page),
								&nr),
					    "row %d, phase %d", i, phase);
			if (!ret)
				KUNIT_EXPECT_EQ(test, nr, phase == GONE ?
						rows[i].nr : rows[i].unowned);
			KUNIT_EXPECT_EQ(test, pfn_pin_attached(&c->pin), ret > 0);
			pfn_pin_detach(&c->pin);
		}
		if (phase == OPEN)
			revoke_all(test);
		for (i = 0; phase == CLOSED && i < 3; i++)
			unregister(test, i);
	}
	expect_untouched(test, c);
}

static void unregister_waits(struct kunit *test)
{
	struct consumer *c;
	struct actor *a;

	c = held_in_finish(test, 5, 5);
	a = spawn(test, act_unregister);
	await(test, &c->in_finish);
	KUNIT_EXPECT_TRUE(test, waits(a));

	KUNIT_EXPECT_EQ(test, probe(0, 0), -ENODEV);
	/* The PFNs are not free before their last consumer has finished */
	KUNIT_EXPECT_PTR_EQ(test, pfn_range_register(PFN(0), PFN(99), "kunit"),
			    ERR_PTR(-EEXIST));

	release(c);
	join(test, a);
	KUNIT_EXPECT_LT(test, c->finished, a->returned);
	expect_revoked_once(test, c);
	KUNIT_EXPECT_EQ(test, probe(0, 0), 0);
	provide(test, 0, 0, 99);
	KUNIT_EXPECT_EQ(test, probe(0, 0), 1);
}

/* Attach one after the other until there is no range any more */
static int act_attach_until_gone(struct actor *a)
{
	unsigned long end = jiffies + LIMIT / 2;
	struct consumer *c = a->c;
	long ret;

	while (time_before(jiffies, end)) {
		ret = attach(NULL, c, a->first, a->last);
		if (!ret)
			return 0;
		if (ret > 0 && list_is_last(&c->node, &a->scene->consumers))
			return 0;
		if (ret > 0)
			c = list_next_entry(c, node);
		else if (ret != -ENODEV)
			return ret;
	}
	return -ETIMEDOUT;
}

/* Whoever attached was revoked, in time */
static void unregister_race(struct kunit *test)
{
	struct scene *scene = test->priv;
	unsigned int revoked = 0;
	struct consumer *c[16];
	struct actor *a, *b;
	int i, round;

	for (round = 0; round < 40; round++) {
		reinit_completion(&scene->gun);
		for (i = 0; i < ARRAY_SIZE(c); i++)
			c[i] = new_consumer(test);
		a = spawn(test, act_unregister, .races = true,
			  .delay = round % 10);
		b = spawn(test, act_attach_until_gone, .c = c[0], .last = 99,
			  .races = true);
		fire(test);
		join(test, a);
		KUNIT_EXPECT_EQ(test, join(test, b), 0);
		for (i = 0; i < ARRAY_SIZE(c); i++) {
			bool in_time = pfn_pin_attached(&c[i]->pin);

			expect_calls(test, c[i], in_time, in_time);
			if (in_time)
				KUNIT_EXPECT_LT(test, c[i]->finished, a->returned);
			revoked += in_time;
		}
		provide(test, 0, 0, 99);
	}
	kunit_info(test, "%u attached in time\n", revoked);
}

/* The parts are the provider's again, reopened or not */
static void unregister_with_parts(struct kunit *test)
{
	struct consumer *c, *new;
	struct actor *a[2];
	int i;

	c = attached(test, 0, 49);
	a[0] = revoke(test, 0, 10, 29);
	a[1] = revoke(test, 0, 20, 99);
	unregister(test, 0);
	expect_revoked_once(test, c);
	for (i = 0; i < ARRAY_SIZE(a); i++)
		memset(&a[i]->part, 0x6b, sizeof(a[i]->part));

	/* The revoked pin still has the old range, and nobody else has */
	provide(test, 0, 0, 99);
	new = attached(test, 10, 29);
	detach(test, c);
	expect_untouched(test, new);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_revoked_once(test, new, c);
}

/* Attaching */

static void attach_refusals(struct kunit *test)
{
	static const struct {
		unsigned long first, last;
		long ret;
	} rows[] = {
		{ 14, 14, -ENODEV }, { 15, 99, -ENODEV }, { 10, 14, -ENODEV },
		{ 10, 19, -ENODEV }, { 10, 13, 4 }, { 16, 99, 84 },
		{ 90, 210, 10 }, { 200, 210, 0 },
	};
	struct actor *a;
	int i;

	a = revoke(test, 0, 14, 15);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		KUNIT_EXPECT_EQ_MSG(test, probe(rows[i].first, rows[i].last),
				    rows[i].ret, "row %d", i);
	/* Closed comes before no spare */
	KUNIT_EXPECT_EQ(test, attach(NULL, NULL, 14, 14), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(NULL, NULL, 13, 13), -ENOBUFS);
	reopen(a);
	KUNIT_EXPECT_EQ(test, probe(10, 19), 10);
}

/* The last pin grows by what continues it, and by nothing else */
static void attach_grows(struct kunit *test)
{
	static const unsigned long others[] = { 90, 91, 93, 99, 100, 109 };
	struct consumer *c, *d, *spare = new_consumer(test);
	int i;

	c = attached(test, 91, 91);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		KUNIT_EXPECT_EQ(test, attach(c, NULL, others[i], others[i]),
				-ENOBUFS);
		KUNIT_EXPECT_EQ(test, attach(c, spare, others[i], others[i]), 1);
		KUNIT_EXPECT_EQ(test, spare->pin.it.start, PFN(others[i]));
		pfn_pin_detach(&spare->pin);
	}

	/* The spare is not used when it is not needed */
	KUNIT_EXPECT_EQ(test, attach(c, spare, 92, 93), 2);
	KUNIT_EXPECT_FALSE(test, pfn_pin_attached(&spare->pin));
	KUNIT_EXPECT_EQ(test, attach(c, NULL, 94, 105), 6);
	/* The next PFN is another provider's */
	KUNIT_EXPECT_EQ(test, attach(c, NULL, 100, 105), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, c->pin.it.start, PFN(91));
	KUNIT_EXPECT_EQ(test, c->pin.it.last, PFN(99));

	/* What it grew by counts */
	d = attached(test, 100, 100);
	revoke(test, 0, 99, 99);
	expect_revoked_once(test, c);
	expect_untouched(test, d, spare);
}

/* A consumer of several pins, some of which have grown: revoked at any page */
static void attach_runs(struct kunit *test)
{
	static const struct {
		unsigned long first, last;
	} runs[] = { { 92, 94 }, { 97, 99 }, { 100, 103 }, { 94, 98 }, { 94, 98 } };
	struct consumer *c[ARRAY_SIZE(runs)];
	unsigned long page;
	struct actor *a;
	int i, hit;

	for (page = 90; page < 105; page++) {
		/* 92-94 page by page, 97-102 crosses over to 100 */
		c[0] = attached(test, 92, 92);
		KUNIT_ASSERT_EQ(test, attach(c[0], NULL, 93, 93), 1);
		KUNIT_ASSERT_EQ(test, attach(c[0], NULL, 94, 94), 1);
		c[1] = new_consumer(test);
		KUNIT_ASSERT_EQ(test, attach(c[0], c[1], 97, 102), 3);
		c[2] = new_consumer(test);
		KUNIT_ASSERT_EQ(test, attach(c[1], c[2], 100, 102), 3);
		KUNIT_ASSERT_EQ(test, attach(c[2], NULL, 103, 103), 1);
		c[3] = attached(test, 94, 98);
		c[4] = attached(test, 94, 98);

		a = revoke(test, page / 100, page, page);
		for (i = 0; i < ARRAY_SIZE(runs); i++) {
			hit = page >= runs[i].first && page <= runs[i].last;
			expect_calls(test, c[i], hit, hit);
			detach(test, c[i]);
		}
		reopen(a);
	}
}

/* It does not grow, reopened or not, and has to be detached to be of use */
static void attach_to_revoked_pin(struct kunit *test)
{
	struct consumer *c, *spare = new_consumer(test);
	struct actor *a;

	c = attached(test, 0, 0);
	a = revoke(test, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, attach(c, NULL, 1, 1), -ENOBUFS);
	reopen(a);
	KUNIT_EXPECT_EQ(test, attach(c, NULL, 1, 1), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, attach(c, spare, 1, 1), 1);
	revoke(test, 0, 0, 0);
	expect_revoked_once(test, c);
	expect_untouched(test, spare);

	/* Then it is as good as new, and revoked again */
	pfn_pin_detach(&c->pin);
	KUNIT_EXPECT_EQ(test, attach(spare, c, 3, 4), 2);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_calls(test, c, 2, 2);
	expect_revoked_once(test, spare);
}

/* Refused from the mark on, during start and finish, and nobody waits */
static void attach_during_broadcast(struct kunit *test)
{
	struct consumer *c, *d, *open;
	struct actor *a;

	c = held_in_start(test, 48);
	d = held_in_finish(test, 49, 49);
	open = attached(test, 97, 97);
	a = spawn_revoke(test, 0, 0, 49);

	await(test, &c->in_start);
	KUNIT_EXPECT_EQ(test, probe(10, 10), -ENODEV);
	KUNIT_EXPECT_EQ(test, probe(49, 50), -ENODEV);
	/* d is claimed: it gets nothing more, although that is open */
	KUNIT_EXPECT_EQ(test, attach(d, NULL, 50, 50), -ENOBUFS);
	/* The rest of the range is open and nobody waits for the broadcast */
	KUNIT_EXPECT_EQ(test, attach(open, NULL, 98, 98), 1);
	KUNIT_EXPECT_EQ(test, probe(100, 100), 1);
	release(c);

	await(test, &d->in_finish);
	KUNIT_EXPECT_EQ(test, probe(10, 10), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(d, NULL, 50, 50), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, attach(open, NULL, 99, 99), 1);
	release(d);

	join(test, a);
	KUNIT_EXPECT_EQ(test, probe(10, 10), -ENODEV);
	KUNIT_EXPECT_EQ(test, probe(50, 50), 1);
	expect_revoked_once(test, c, d);
	expect_untouched(test, open);
}

#if defined(CONFIG_ZONE_DEVICE) && !defined(MODULE)
#define FAKES	8

/*
 * Pages that are no memory: as long as no folio has more than one, all that is
 * looked at are their addresses, which give the PFNs, their zone and pagemap.
 * The references that GUP takes are not needed, since nobody waits for them.
 */
struct fakes {
	struct page pages[FAKES];
	struct page *list[FAKES];
	struct dev_pagemap pgmap[2];	/* for half of them each */
};

static struct fakes *new_fakes(struct kunit *test)
{
	struct fakes *fakes = kunit_kzalloc(test, sizeof(*fakes), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, fakes);
	for (i = 0; i < FAKES; i++) {
		set_page_zone(&fakes->pages[i], ZONE_DEVICE);
		page_folio(&fakes->pages[i])->pgmap = &fakes->pgmap[i / 4];
		fakes->list[i] = &fakes->pages[i];
	}
	return fakes;
}

static void provide_fakes(struct kunit *test, struct fakes *fakes, int i)
{
	unsigned long first = page_to_pfn(&fakes->pages[4 * i]) - PFN(0);
	struct scene *scene = test->priv;

	provide(test, 2 + i, first, first + 3);
	fakes->pgmap[i].pfn_range = scene->ranges[2 + i];
}

static long attach_pages_to(struct consumer *last, struct consumer *spare,
			    struct page **pages, unsigned long nr)
{
	return pfn_pin_attach_pages(last ? &last->pin : NULL,
				    spare ? &spare->pin : NULL, pages, nr);
}

/* Two providers whose memory is contiguous, and page 6 is not in the list */
static void attach_pages(struct kunit *test)
{
	struct consumer *c = new_consumer(test), *d = new_consumer(test);
	struct fakes *fakes = new_fakes(test);
	struct page **list = fakes->list;

	/* Its owner has not declared it */
	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, c, list, 1), -EREMOTEIO);
	provide_fakes(test, fakes, 0);
	provide_fakes(test, fakes, 1);
	list[6] = list[7];

	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, NULL, list, 7), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, c, list, 1), 1);
	KUNIT_EXPECT_EQ(test, attach_pages_to(c, d, list + 1, 6), 3);
	KUNIT_EXPECT_FALSE(test, pfn_pin_attached(&d->pin));
	KUNIT_EXPECT_EQ(test, c->pin.it.start, page_to_pfn(list[0]));
	KUNIT_EXPECT_EQ(test, c->pin.it.last, page_to_pfn(list[3]));
	KUNIT_EXPECT_EQ(test, attach_pages_to(c, NULL, list + 4, 3), -ENOBUFS);
	KUNIT_EXPECT_EQ(test, attach_pages_to(c, d, list + 4, 3), 2);
	KUNIT_EXPECT_EQ(test, attach_pages_to(d, NULL, list + 6, 1), -ENOBUFS);

	unregister(test, 2);
	expect_revoked_once(test, c);
	expect_untouched(test, d);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_revoked_once(test, d);
}

/* Looked up before, attached after: what was closed, or is gone, refuses */
static void attach_stale(struct kunit *test)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct consumer *c = new_consumer(test);
	struct fakes *fakes = new_fakes(test);
	struct page **list = fakes->list;
	struct pfn_revoke_entry entry;
	unsigned long page;
	struct actor *a;

	provide_fakes(test, fakes, 0);
	page = page_to_pfn(list[2]) - PFN(0);
	a = revoke(test, 2, page, page);
	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, c, list, 3), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, c, list, 2), 2);
	pfn_pin_detach(&c->pin);
	/* By the contract nobody has had the page all the time */
	reopen(a);
	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, c, list, 3), 3);
	pfn_pin_detach(&c->pin);

	/* Somebody has the range longer than its provider; the next one has it not */
	while (cursor.range != fakes->pgmap[0].pfn_range)
		KUNIT_ASSERT_TRUE(test, pfn_revoke_next(&cursor, &entry));
	unregister(test, 2);
	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, c, list, 1), -ENODEV);
	provide(test, 2, page - 2, page + 1);
	KUNIT_EXPECT_EQ(test, attach_pages_to(NULL, c, list, 1), -ENODEV);
	pfn_revoke_end_walk(&cursor);
	expect_untouched(test, c);
}
#else
static void attach_pages(struct kunit *test)
{
	kunit_skip(test, "no zone for device memory, or not exported\n");
}

static void attach_stale(struct kunit *test)
{
	attach_pages(test);
}
#endif

/* Revoking */

static void revoke_nobody(struct kunit *test)
{
	struct pfn_range *ranges[] = { NULL, NULL };
	struct consumer *c;

	KUNIT_EXPECT_EQ(test, pfn_range_revoke(NULL, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, pfn_range_revoke(ranges, 2, 0), 0);
	c = attached(test, 15, 18);
	revoke(test, 0, 10, 14);
	revoke(test, 0, 19, 19);
	detach(test, c);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_untouched(test, c);
}

static void revoke_repeated(struct kunit *test)
{
	struct consumer *c;
	int i;

	c = attached(test, 0, 99);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
		revoke(test, 0, 10 * i, 50 + i);
		expect_revoked_once(test, c);
	}
	detach(test, c);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_revoked_once(test, c);
}

/* Overlapping pins of several ranges: all starts, then all finishes */
static void revoke_order(struct kunit *test)
{
	int i, last_start = 0, first_finish = INT_MAX;
	struct consumer *c[30], *held;
	struct actor *a;

	provide(test, 3, 500, 599);
	for (i = 0; i < 10; i++) {
		c[3 * i] = attached(test, 510 - i, 599);
		c[3 * i + 1] = attached(test, 10 * i, 99);
		c[3 * i + 2] = attached(test, 150 - i, 150);
	}
	held = held_in_start(test, 599);

	a = spawn(test, act_revoke_all);
	await(test, &held->in_start);
	usleep_range(20000, 30000);
	for (i = 0; i < ARRAY_SIZE(c); i++)
		expect_calls(test, c[i], 1, 0);
	release(held);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		expect_revoked_once(test, c[i]);
		last_start = max(last_start, c[i]->started);
		first_finish = min(first_finish, c[i]->finishing);
	}
	KUNIT_EXPECT_LT(test, last_start, first_finish);
}

static void revoke_without_start(struct kunit *test)
{
	struct consumer *c;

	c = attached(test, 0, 0);
	c->ops.start = NULL;
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_calls(test, c, 0, 1);
}

/* Also a pin of which only some PFNs are in the part */
static void revoke_part(struct kunit *test)
{
	struct consumer *left, *right, *edge[3];

	left = attached(test, 0, 39);
	right = attached(test, 60, 98);
	edge[0] = attached(test, 0, 40);
	edge[1] = attached(test, 59, 99);
	edge[2] = attached(test, 0, 99);
	revoke(test, 0, 40, 59);
	expect_untouched(test, left, right);
	expect_revoked_once(test, edge[0], edge[1], edge[2]);

	/* Both go on as before */
	KUNIT_EXPECT_EQ(test, attach(left, NULL, 40, 40), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(right, NULL, 99, 99), 1);
	KUNIT_EXPECT_EQ(test, probe(39, 40), -ENODEV);
	KUNIT_EXPECT_EQ(test, probe(59, 60), -ENODEV);
	KUNIT_EXPECT_EQ(test, probe(0, 99), -ENODEV);

	revoke(test, 0, 99, 99);
	expect_untouched(test, left);
	expect_revoked_once(test, right);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_revoked_once(test, left, right, edge[0], edge[1], edge[2]);
}

/* All callers that have a PFN in common with the pin wait, and nobody else */
static void revoke_concurrent(struct kunit *test)
{
	struct actor *first, *wait[3];
	struct consumer *c;
	int i;

	c = held_in_finish(test, 0, 19);
	first = spawn_revoke(test, 0, 0, 9);
	await(test, &c->in_finish);
	wait[0] = spawn_revoke(test, 0, 0, 9);
	wait[1] = spawn_revoke(test, 0, 19, 30);
	revoke(test, 0, 20, 99);
	wait[2] = spawn(test, act_revoke_all);
	for (i = 0; i < ARRAY_SIZE(wait); i++)
		KUNIT_EXPECT_TRUE(test, waits(wait[i]));

	release(c);
	join(test, first);
	for (i = 0; i < ARRAY_SIZE(wait); i++) {
		KUNIT_EXPECT_EQ(test, join(test, wait[i]), 0);
		KUNIT_EXPECT_LT(test, c->finished, wait[i]->returned);
	}
	expect_revoked_once(test, c);
}

/*
 * The second broadcast waits for its own pins and for those that the first one
 * has claimed, but not for the rest of the first
 */
static void revoke_concurrent_own_pins(struct kunit *test)
{
	struct consumer *other, *shared, *detached, *own;
	struct actor *a, *b;

	be_impatient();
	other = held_in_finish(test, 0, 0);
	shared = held_in_finish(test, 5, 15);
	detached = held_in_finish(test, 6, 16);
	own = attached(test, 18, 18);

	a = spawn_revoke(test, 0, 0, 9);
	await(test, &other->in_finish);
	b = spawn_revoke(test, 0, 10, 19);
	await(test, &shared->in_finish);
	await(test, &detached->in_finish);
	await_within(test, &own->in_finish, 4 * PATIENCE + SLACK);
	release(detached);
	detach(test, detached);
	KUNIT_EXPECT_TRUE(test, waits(b));
	release(shared);
	join(test, b);
	KUNIT_EXPECT_LT(test, shared->finished, b->returned);
	KUNIT_EXPECT_TRUE(test, waits(a));
	release(other);
	join(test, a);
	expect_revoked_once(test, other, shared, detached, own);
}

/* Two broadcasts race for pins that are in both their parts */
static void revoke_race(struct kunit *test)
{
	struct scene *scene = test->priv;
	struct consumer *c[4];
	struct actor *a, *b;
	int i, round;

	for (round = 0; round < 40; round++) {
		reinit_completion(&scene->gun);
		for (i = 0; i < ARRAY_SIZE(c); i++)
			c[i] = attached(test, 47 + i, 50 + i);
		a = spawn(test, act_revoke, .last = 50, .races = true,
			  .delay = round % 8);
		b = spawn(test, act_revoke, .first = 50, .last = 99,
			  .races = true, .delay = round / 8);
		fire(test);
		join(test, a);
		join(test, b);
		for (i = 0; i < ARRAY_SIZE(c); i++) {
			expect_revoked_once(test, c[i]);
			KUNIT_EXPECT_LT(test, c[i]->finished, a->returned);
			KUNIT_EXPECT_LT(test, c[i]->finished, b->returned);
		}
		reopen(a);
		reopen(b);
	}
}

/* The consumers go on by themselves when the provider waits no longer */
static void revoke_timeout(struct kunit *test)
{
	struct consumer *stuck, *c, *other;
	struct actor *a;

	stuck = held_in_finish(test, 0, 0);
	c = attached(test, 1, 1);
	other = attached(test, 100, 100);
	a = spawn(test, act_revoke_all, .timeout = HZ / 10);
	KUNIT_EXPECT_EQ(test, join(test, a), -ETIMEDOUT);
	expect_calls(test, c, 1, 0);
	/* Consumers of the ranges behind it were asked side by side */
	await(test, &other->in_finish);
	KUNIT_EXPECT_EQ(test, probe(50, 50), -ENODEV);
	KUNIT_EXPECT_EQ(test, probe(150, 150), -ENODEV);

	/* Who needs the memory waits for them */
	a = spawn(test, act_unregister);
	KUNIT_EXPECT_TRUE(test, waits(a));
	release(stuck);
	join(test, a);
	KUNIT_EXPECT_LT(test, stuck->finished, a->returned);
	KUNIT_EXPECT_LT(test, c->finished, a->returned);
	a = spawn(test, act_revoke_all, .timeout = 1);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	expect_revoked_once(test, stuck, c, other);
}

#define MANY 10000

static void revoke_many(struct kunit *test)
{
	int last_start = 0, first_finish = INT_MAX;
	unsigned int right = 0, revoked = 0;
	struct scene *scene = test->priv;
	struct consumer *c;
	unsigned long i;

	/* Pin i holds pages 1000 + i to 1000 + i + 9 */
	provide(test, 2, 1000, 1000 + MANY + 8);
	for (i = 0; i < MANY; i++)
		attached(test, 1000 + i, 1000 + i + 9);

	revoke(test, 2, 6000, 6000);
	list_for_each_entry(c, &scene->consumers, node) {
		int hit = c->pin.it.start <= PFN(6000) &&
			  c->pin.it.last >= PFN(6000);

		right += atomic_read(&c->starts) == hit &&
			 atomic_read(&c->finishes) == hit;
		c->started = 0;
		c->finishing = INT_MAX;
	}
	KUNIT_EXPECT_EQ(test, right, MANY);

	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	list_for_each_entry(c, &scene->consumers, node) {
		revoked += atomic_read(&c->starts) == 1 &&
			   atomic_read(&c->finishes) == 1;
		last_start = max(last_start, c->started);
		first_finish = min(first_finish, c->finishing);
	}
	KUNIT_EXPECT_EQ(test, revoked, MANY);
	KUNIT_EXPECT_LT(test, last_start, first_finish);
}

/* Detaching */

static void detach_before(struct kunit *test)
{
	struct consumer *a, *b, *never = new_consumer(test);

	a = attached(test, 0, 99);
	b = attached(test, 0, 99);
	KUNIT_EXPECT_EQ(test, a->pin.state, PFN_PIN_LIVE);
	detach(test, never);
	detach(test, a);
	KUNIT_EXPECT_FALSE(test, pfn_pin_attached(&a->pin));
	detach(test, a);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_untouched(test, a, never);
	expect_revoked_once(test, b);
	detach(test, b);
}

/*
 * A broadcast to three pins is held in a callback of pin @held. The second pin
 * is in @state then and detached: it has to wait for its own callback alone.
 * With how many calls has it gone?
 */
static void detach_in(struct kunit *test, enum pfn_pin_state state, int held,
		      bool in_finish, int starts, int finishes)
{
	struct consumer *c[3];
	struct actor *a, *d;
	int i;

	for (i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = attached(test, i, i);
	/* The third one keeps the broadcast from its end when the second goes on */
	*(in_finish ? &c[2]->hold_finish : &c[2]->hold_start) = true;
	*(in_finish ? &c[held]->hold_finish : &c[held]->hold_start) = true;

	a = spawn(test, act_revoke_all);
	await(test, in_finish ? &c[held]->in_finish : &c[held]->in_start);
	KUNIT_EXPECT_EQ(test, READ_ONCE(c[1]->pin.state), state);
	d = spawn(test, act_detach, .c = c[1]);
	KUNIT_EXPECT_EQ(test, waits(d), held == 1);
	release(c[1]);
	join(test, d);
	if (finishes)
		KUNIT_EXPECT_LT(test, c[1]->finished, d->returned);
	KUNIT_EXPECT_FALSE(test, pfn_pin_attached(&c[1]->pin));
	KUNIT_EXPECT_TRUE(test, waits(a));
	release(c[0]);
	release(c[2]);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	expect_revoked_once(test, c[0], c[2]);
	expect_calls(test, c[1], starts, finishes);
}

static void detach_claimed(struct kunit *test)
{
	detach_in(test, PFN_PIN_CLAIMED, 0, false, 0, 0);
}

static void detach_waits_for_start(struct kunit *test)
{
	detach_in(test, PFN_PIN_STARTING, 1, false, 1, 0);
}

static void detach_started(struct kunit *test)
{
	detach_in(test, PFN_PIN_STARTED, 2, false, 1, 0);
}

/* A stranger's finish is stuck */
static void detach_does_not_wait_for_its_turn(struct kunit *test)
{
	detach_in(test, PFN_PIN_STARTED, 0, true, 1, 0);
}

static void detach_waits_for_finish(struct kunit *test)
{
	detach_in(test, PFN_PIN_FINISHING, 1, true, 1, 1);
}

static void detach_after_own_finish(struct kunit *test)
{
	detach_in(test, PFN_PIN_REVOKED, 2, true, 1, 1);
}

static int act_detach_two(struct actor *a)
{
	struct consumer *next = list_next_entry(a->c, node);

	act_detach(a);
	a->c = next;
	return act_detach(a);
}

static void detach_race(struct kunit *test)
{
	struct scene *scene = test->priv;
	unsigned int by_calls[3] = {};
	struct consumer *c[8];
	struct actor *a[5];
	int i, round;

	for (round = 0; round < 60; round++) {
		reinit_completion(&scene->gun);
		for (i = 0; i < ARRAY_SIZE(c); i++)
			c[i] = attached(test, i, 99);
		for (i = 0; i < 2; i++)
			a[i] = spawn(test, act_revoke, .last = 90 * i,
				     .races = true, .delay = round % 10 * i);
		for (i = 0; i < 3; i++)
			a[2 + i] = spawn(test, act_detach_two, .c = c[2 * i],
					 .races = true, .delay = round % 7 * i);
		fire(test);
		for (i = 0; i < ARRAY_SIZE(a); i++)
			join(test, a[i]);
		for (i = 0; i < 6; i++) {
			int starts = atomic_read(&c[i]->starts);
			int finishes = atomic_read(&c[i]->finishes);

			KUNIT_ASSERT_LE(test, starts, 1);
			KUNIT_ASSERT_LE(test, finishes, starts);
			by_calls[starts + finishes]++;
		}
		expect_revoked_once(test, c[6], c[7]);
		reopen(a[0]);
		reopen(a[1]);
	}
	kunit_info(test, "%u pins detached live, %u started, %u revoked\n",
		   by_calls[0], by_calls[1], by_calls[2]);
}

/* Opening again */

static void reopen_whole(struct kunit *test)
{
	struct consumer *old, *new;
	struct actor *a;
	int i;

	for (i = 0; i < 3; i++) {
		old = attached(test, 0, 98);
		reopen(revoke(test, 0, 0, 99));
		KUNIT_EXPECT_EQ(test, attach(old, NULL, 99, 99), -ENOBUFS);
		new = attached(test, 0, 99);
		reopen(revoke(test, 0, 99, 99));
		expect_revoked_once(test, old, new);
	}

	/* A part of what is closed for good stays closed */
	a = revoke(test, 0, 0, 99);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	reopen(a);
	KUNIT_EXPECT_EQ(test, probe(0, 0), -ENODEV);
}

/* Another part is of no concern to a broadcast: it is revoked and reopened */
static void reopen_during_broadcast(struct kunit *test)
{
	struct consumer *c, *old;
	struct actor *a, *b;

	c = held_in_start(test, 0);
	old = attached(test, 50, 50);
	a = spawn_revoke(test, 0, 0, 49);
	await(test, &c->in_start);
	b = revoke(test, 0, 50, 99);
	expect_revoked_once(test, old);
	KUNIT_EXPECT_EQ(test, probe(50, 50), -ENODEV);
	reopen(b);
	KUNIT_EXPECT_EQ(test, probe(49, 50), -ENODEV);
	KUNIT_EXPECT_EQ(test, probe(50, 50), 1);
	release(c);
	join(test, a);
	KUNIT_EXPECT_EQ(test, probe(0, 0), -ENODEV);
	reopen(a);
	KUNIT_EXPECT_EQ(test, probe(0, 99), 100);
}

/* What several parts cover is open when the last of them is */
static void reopen_during_broadcasts(struct kunit *test)
{
	static const unsigned long pages[] = { 0, 39, 40, 59, 60, 99 };
	struct consumer *held;
	struct actor *a, *b;
	int i;

	held = held_in_finish(test, 0, 0);
	a = spawn_revoke(test, 0, 0, 59);
	await(test, &held->in_finish);
	b = revoke(test, 0, 40, 99);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		KUNIT_EXPECT_EQ(test, probe(pages[i], pages[i]), -ENODEV);
	reopen(b);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		KUNIT_EXPECT_EQ(test, probe(pages[i], pages[i]),
				pages[i] < 60 ? -ENODEV : 1);
	release(held);
	join(test, a);
	reopen(a);
	KUNIT_EXPECT_EQ(test, probe(0, 99), 100);
}

/* Parts that touch, overlap, contain others, are equal: counted for each page */
static void reopen_model(struct kunit *test)
{
	struct scene *scene = test->priv;
	unsigned long first, last, page;
	struct pfn_part *parts, *part;
	struct rnd_state rnd;
	u8 closed[100] = {};
	int step, change;

	parts = kunit_kcalloc(test, 12, sizeof(*parts), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, parts);
	prandom_seed_state(&rnd, 42);
	for (step = 0; step < 400; step++) {
		part = &parts[prandom_u32_state(&rnd) % 12];
		if (part->range) {
			first = part->it.start - PFN(0);
			last = part->it.last - PFN(0);
			pfn_part_reopen(part);
			part->range = NULL;
			change = -1;
		} else {
			/* Short ones mostly, and now and then to the end */
			first = prandom_u32_state(&rnd) % 100;
			last = first + prandom_u32_state(&rnd) %
				       (step % 8 ? 24 : 100);
			last = min(last, 99UL);
			pfn_part_revoke(part, scene->ranges[0], PFN(first),
					PFN(last));
			change = 1;
		}
		for (page = first; page <= last; page++)
			closed[page] += change;

		/* Up to the first closed page behind it, and no further */
		for (page = 0; page < 100; page++) {
			last = page + prandom_u32_state(&rnd) % 16;
			for (first = page; first <= min(last, 99UL); first++)
				if (closed[first])
					break;
			KUNIT_ASSERT_EQ_MSG(test, probe(page, last),
					    first <= min(last, 99UL) ? -ENODEV :
					    first - page,
					    "step %d: pages %lu to %lu", step,
					    page, last);
		}
	}
	/* The parts that are left go with the range */
	unregister(test, 0);
}

/* Stuck consumers */

/* Nobody is stuck: all finishes in one worker */
static void stuck_none(struct kunit *test)
{
	struct consumer *c[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = attached(test, i, i);
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	for (i = 1; i < ARRAY_SIZE(c); i++)
		KUNIT_EXPECT_PTR_EQ(test, c[i]->finisher, c[0]->finisher);
}

static void stuck_one(struct kunit *test)
{
	struct consumer *stuck, *c[4];
	struct actor *a;
	int i;

	be_impatient();
	stuck = held_in_finish(test, 0, 0);
	for (i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = attached(test, i, i);

	a = spawn(test, act_revoke_all);
	await(test, &stuck->in_finish);
	/* The order of the finishes is not specified, so all are awaited */
	for (i = 0; i < ARRAY_SIZE(c); i++)
		await_within(test, &c[i]->in_finish, PATIENCE + SLACK);
	KUNIT_EXPECT_TRUE(test, waits(a));
	/* Those who have finished can go */
	detach(test, c[0]);
	detach(test, c[1]);
	for (i = 0; i < ARRAY_SIZE(c); i++)
		KUNIT_EXPECT_PTR_NE(test, c[i]->finisher, stuck->finisher);
	KUNIT_EXPECT_FALSE(test, completion_done(&a->done));

	release(stuck);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	KUNIT_EXPECT_LT(test, stuck->finished, a->returned);
	expect_revoked_once(test, stuck, c[0], c[1], c[2], c[3]);
}

/* The worker that took over meets another one, and so on */
static void stuck_several(struct kunit *test)
{
	static const int order[] = { 1, 0, 2 };
	struct consumer *stuck[3], *c[3];
	struct actor *a;
	int i;

	be_impatient();
	for (i = 0; i < ARRAY_SIZE(stuck); i++) {
		stuck[i] = held_in_finish(test, i, i);
		c[i] = attached(test, i, i);
	}
	a = spawn(test, act_revoke_all);
	for (i = 0; i < ARRAY_SIZE(stuck); i++) {
		await_within(test, &stuck[i]->in_finish, 3 * PATIENCE + SLACK);
		await_within(test, &c[i]->in_finish, 3 * PATIENCE + SLACK);
	}

	/* Not before the last of them, whatever the order */
	for (i = 0; i < ARRAY_SIZE(stuck); i++) {
		KUNIT_EXPECT_TRUE(test, waits(a));
		release(stuck[order[i]]);
	}
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	for (i = 0; i < ARRAY_SIZE(stuck); i++) {
		expect_revoked_once(test, stuck[i], c[i]);
		KUNIT_EXPECT_LT(test, stuck[i]->finished, a->returned);
	}
}

/* The last one has nobody behind it; a long time stuck changes nothing */
static void stuck_last(struct kunit *test)
{
	struct consumer *c, *stuck;
	struct actor *a, *d;

	be_impatient();
	c = attached(test, 0, 0);
	stuck = held_in_finish(test, 0, 0);
	a = spawn(test, act_revoke_all);
	await(test, &stuck->in_finish);
	expect_revoked_once(test, c);
	d = spawn(test, act_detach, .c = stuck);
	/* To be named, again and again */
	schedule_timeout_uninterruptible(3 * PATIENCE);
	KUNIT_EXPECT_TRUE(test, waits(a));
	KUNIT_EXPECT_TRUE(test, waits(d));
	release(stuck);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	join(test, d);
	expect_revoked_once(test, stuck);
}

/* A start must not wait. If it does, who has started finishes all the same */
static void stuck_start(struct kunit *test)
{
	struct consumer *before, *stuck, *behind;
	struct actor *a;

	be_impatient();
	before = attached(test, 0, 0);
	stuck = held_in_start(test, 1);
	behind = attached(test, 2, 2);
	a = spawn(test, act_revoke_all);
	await_within(test, &before->in_finish, PATIENCE + SLACK);
	expect_calls(test, stuck, 1, 0);
	expect_untouched(test, behind);
	release(stuck);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	expect_revoked_once(test, before, stuck, behind);
}

/* Nobody else is held up: no other range, and no other broadcast in this one */
static void stuck_elsewhere(struct kunit *test)
{
	struct consumer *stuck, *c, *d;
	struct actor *a;

	stuck = held_in_finish(test, 0, 0);
	c = attached(test, 100, 100);
	d = attached(test, 50, 50);
	a = spawn_revoke(test, 0, 0, 9);
	await(test, &stuck->in_finish);
	/* The watchdog has no part in it */
	WRITE_ONCE(pfn_revoke_patience, 10 * LIMIT);
	revoke(test, 1, 100, 100);
	revoke(test, 0, 50, 59);
	expect_revoked_once(test, c, d);
	KUNIT_EXPECT_TRUE(test, waits(a));
	release(stuck);
	join(test, a);
	expect_revoked_once(test, stuck);
}

static unsigned long next_warning(struct consumer *c)
{
	guard(spinlock)(&c->pin.range->lock);
	return c->pin.next_warning;
}

/* It is named when the next time is set: how long after the callback's start? */
static unsigned long named(struct consumer *c)
{
	unsigned long next = next_warning(c), end = jiffies + LIMIT;

	while (next_warning(c) == next && time_before(jiffies, end))
		usleep_range(1000, 2000);
	return next_warning(c) - pfn_revoke_patience - c->pin.began;
}

/* First after a tenth of the patience, then each time after all of it */
static void stuck_warning(struct kunit *test)
{
	unsigned long first, second;
	struct consumer *c;
	struct actor *a;
	int i;

	WRITE_ONCE(pfn_revoke_patience, 2 * HZ);
	for (i = 0; i < 2; i++) {
		c = attached(test, 100 * i, 100 * i);
		c->hold_start = !i;
		c->hold_finish = i;
		a = spawn(test, act_unregister, .range = i);
		await(test, i ? &c->in_finish : &c->in_start);
		first = named(c);
		KUNIT_EXPECT_GE(test, first, pfn_revoke_patience / 10);
		KUNIT_EXPECT_LT(test, first, pfn_revoke_patience);
		second = named(c);
		KUNIT_EXPECT_GE(test, second, first + pfn_revoke_patience);
		release(c);
		join(test, a);
	}
}

/* Everything at once */

#define RANDOM_PAGES	64
#define RANDOM_USERS	3
#define RANDOM_PINS	4
#define RANDOM_OWNERS	3
#define RANDOM_TIME	(3 * HZ / 2)

/* A consumer that observes the contract; it may touch its pages while it holds */
struct random_pin {
	struct random_run *run;
	struct pfn_pin pin;
	struct mutex lock;		/* also taken by finish() */
	bool attached;			/* callbacks may come; without the lock */
	bool finished;
	int starts, finishes;		/* since it was attached */
	unsigned long first, end;	/* what it holds, the end exclusive */
};

struct random_run {
	struct random_pin pins[RANDOM_USERS][RANDOM_PINS];
	atomic_t holders[RANDOM_PAGES];
	unsigned long end;		/* jiffies */
	/* How often */
	atomic_t attached, grown, refused, revoked, cut, closed, listed;
	atomic_t touched;		/* closed pages that somebody held */
	atomic_t late;			/* callbacks after the detach */
	atomic_t errors;		/* anything else that must not be */
};

static void random_release(struct random_pin *p)
{
	while (p->first < p->end)
		atomic_dec(&p->run->holders[p->first++]);
}

static void random_start(struct pfn_pin *pin)
{
	struct random_pin *p = container_of(pin, struct random_pin, pin);

	if (!READ_ONCE(p->attached))
		atomic_inc(&p->run->late);
	p->starts++;
}

static void random_finish(struct pfn_pin *pin)
{
	struct random_pin *p = container_of(pin, struct random_pin, pin);

	if (!READ_ONCE(p->attached))
		atomic_inc(&p->run->late);
	mutex_lock(&p->lock);
	p->finished = true;
	p->finishes++;
	random_release(p);
	mutex_unlock(&p->lock);
	atomic_inc(&p->run->revoked);
}

static const struct pfn_pin_ops random_ops = {
	.name = "kunit-random",
	.start = random_start,
	.finish = random_finish,
};

/* Attach, then look whether finish() was first, and only then hold */
static void random_attach(struct random_pin *p, struct rnd_state *rnd)
{
	unsigned long nr = prandom_u32_state(rnd) % 12 + 1, first;
	struct random_run *run = p->run;
	bool grow = p->attached;
	long ret;

	first = grow ? READ_ONCE(p->end) : prandom_u32_state(rnd) % RANDOM_PAGES;
	/* Not to be confused with the pages beyond, that nobody provides */
	if (first == RANDOM_PAGES)
		return;
	WRITE_ONCE(p->attached, true);
	ret = pfn_pin_attach_pfns(grow ? &p->pin : NULL, grow ? NULL : &p->pin,
				  PFN(first), &nr);
	if (ret <= 0) {
		WRITE_ONCE(p->attached, grow);
		atomic_inc(ret == -ENODEV || (grow && ret == -ENOBUFS) ?
			   &run->refused : &run->errors);
		return;
	}
	atomic_inc(grow ? &run->grown : &run->attached);

	mutex_lock(&p->lock);
	if (!p->finished) {
		if (!grow)
			p->first = first;
		for (p->end = first; p->end < first + ret; p->end++)
			atomic_inc(&run->holders[p->end]);
	}
	mutex_unlock(&p->lock);
}

static void random_detach(struct random_pin *p)
{
	struct random_run *run = p->run;

	mutex_lock(&p->lock);
	random_release(p);
	mutex_unlock(&p->lock);
	pfn_pin_detach(&p->pin);
	WRITE_ONCE(p->attached, false);

	if (p->starts > 1 || p->finishes > p->starts ||
	    p->finished != p->finishes || pfn_pin_attached(&p->pin))
		atomic_inc(&run->errors);
	if (p->starts > p->finishes)
		atomic_inc(&run->cut);
	p->finished = false;
	p->starts = 0;
	p->finishes = 0;
}

static int act_random_user(struct actor *a)
{
	struct random_run *run = a->scene->run;
	struct rnd_state rnd;
	struct random_pin *p;

	prandom_seed_state(&rnd, a->first + 1);
	while (time_before(jiffies, run->end)) {
		p = &run->pins[a->first][prandom_u32_state(&rnd) % RANDOM_PINS];
		if (p->attached && prandom_u32_state(&rnd) % 2)
			random_detach(p);
		else
			random_attach(p, &rnd);
		if (prandom_u32_state(&rnd) % 4 == 0)
			usleep_range(50, 300);
		cond_resched();
	}
	for (p = run->pins[a->first]; p < run->pins[a->first + 1]; p++)
		random_detach(p);
	return 0;
}

static void random_check(struct random_run *run, unsigned long first,
			 unsigned long last)
{
	unsigned long page;

	for (page = first; page <= last; page++)
		if (atomic_read(&run->holders[page]))
			atomic_inc(&run->touched);
}

/* Parts of several owners overlap: nobody holds a page before all are reopened */
static int act_random_owner(struct actor *a)
{
	struct random_run *run = a->scene->run;
	struct pfn_range *range;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, a->first + 100);
	while (time_before(jiffies, run->end)) {
		unsigned long first, last;

		range = a->scene->ranges[prandom_u32_state(&rnd) % 3];
		first = range->it.start + prandom_u32_state(&rnd) %
			(range->it.last - range->it.start + 1);
		last = min(first + prandom_u32_state(&rnd) % 16, range->it.last);
		pfn_part_revoke(&a->part, range, first, last);
		atomic_inc(&run->closed);
		random_check(run, first - PFN(0), last - PFN(0));
		usleep_range(20, 200);
		random_check(run, first - PFN(0), last - PFN(0));
		pfn_part_reopen(&a->part);
		usleep_range(20, 100);
	}
	return 0;
}

/* What is listed is in order and inside its range, and ends */
static int act_random_reader(struct actor *a)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct random_run *run = a->scene->run;
	struct pfn_revoke_entry range = {}, last = {}, entry;
	bool wrong;

	while (time_before(jiffies, run->end)) {
		cond_resched();
		if (!pfn_revoke_next(&cursor, &entry)) {
			range.last = 0;
			usleep_range(20, 200);
			continue;
		}
		if (!entry.is_pin) {
			wrong = entry.first < range.last;
			range = entry;
		} else {
			/* Those that are revoked begin anew */
			wrong = entry.first < range.first ||
				entry.last > range.last ||
				(last.is_pin && entry.first < last.first &&
				 (!strcmp(last.state, "revoked") ||
				  strcmp(entry.state, "revoked")));
		}
		if (wrong || entry.first > entry.last)
			atomic_inc(&run->errors);
		last = entry;
		atomic_inc(&run->listed);
	}
	pfn_revoke_end_walk(&cursor);
	return 0;
}

static void random_threads(struct kunit *test)
{
	struct actor *actors[RANDOM_USERS + RANDOM_OWNERS + 1];
	struct scene *scene = test->priv;
	struct random_run *run;
	int i, j;

	run = kvzalloc_obj(*run);
	KUNIT_ASSERT_NOT_NULL(test, run);
	scene->run = run;
	for (i = 0; i < RANDOM_USERS; i++) {
		for (j = 0; j < RANDOM_PINS; j++) {
			run->pins[i][j].run = run;
			mutex_init(&run->pins[i][j].lock);
			pfn_pin_init(&run->pins[i][j].pin, &random_ops);
		}
	}

	for (i = 0; i < 2; i++)
		unregister(test, i);
	provide(test, 0, 0, 19);
	provide(test, 1, 20, 44);
	provide(test, 2, 45, RANDOM_PAGES - 1);

	for (i = 0; i < RANDOM_USERS; i++)
		actors[i] = spawn(test, act_random_user, .first = i, .races = true);
	for (j = 0; j < RANDOM_OWNERS; j++)
		actors[i + j] = spawn(test, act_random_owner, .first = j,
				      .races = true);
	actors[i + j] = spawn(test, act_random_reader, .races = true);
	run->end = jiffies + RANDOM_TIME;
	fire(test);
	for (i = 0; i < ARRAY_SIZE(actors); i++)
		KUNIT_EXPECT_EQ(test, join(test, actors[i]), 0);

	KUNIT_EXPECT_EQ(test, atomic_read(&run->touched), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&run->late), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&run->errors), 0);
	for (i = 0; i < RANDOM_PAGES; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&run->holders[i]), 0);

	/* Or nothing was tested */
	KUNIT_EXPECT_GT(test, atomic_read(&run->attached), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&run->grown), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&run->revoked), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&run->closed), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&run->listed), 0);
	kunit_info(test, "%d attached, %d grown, %d refused, %d revoked, %d taken out, %d broadcasts, %d listed\n",
		   atomic_read(&run->attached), atomic_read(&run->grown),
		   atomic_read(&run->refused), atomic_read(&run->revoked),
		   atomic_read(&run->cut), atomic_read(&run->closed),
		   atomic_read(&run->listed));
}

/* The list of holders */

#define TEXT 256

static void add_text(char *text, const struct pfn_revoke_entry *entry)
{
	size_t len = strlen(text);

	if (entry->is_pin)
		scnprintf(text + len, TEXT - len, " %lu-%lu %s",
			  entry->first - PFN(0), entry->last - PFN(0),
			  entry->state);
	else
		scnprintf(text + len, TEXT - len, "%s %lu:", entry->state,
			  entry->pins);
}

/* The range at PFN 0 as "STATE COUNT:" and "FIRST-LAST STATE" for each pin */
static void expect_told(struct kunit *test, const char *expect)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct pfn_revoke_entry entry;
	char text[TEXT] = "";
	bool ours = false;

	while (pfn_revoke_next(&cursor, &entry)) {
		if (!entry.is_pin)
			ours = entry.first == PFN(0);
		else if (ours)
			KUNIT_EXPECT_STREQ(test, entry.consumer, "kunit");
		if (ours)
			add_text(text, &entry);
	}
	KUNIT_EXPECT_NULL(test, cursor.range);
	KUNIT_EXPECT_STREQ(test, text, expect);
}

static void tell_sorted(struct kunit *test)
{
	struct consumer *c;

	expect_told(test, "open 0:");
	c = attached(test, 50, 59);
	attached(test, 10, 12);
	attached(test, 10, 10);
	attached(test, 0, 0);
	expect_told(test, "open 4: 0-0 attached 10-12 attached 10-10 attached 50-59 attached");
	KUNIT_EXPECT_EQ(test, attach(c, NULL, 60, 69), 10);
	expect_told(test, "open 4: 0-0 attached 10-12 attached 10-10 attached 50-69 attached");
	detach(test, c);
	expect_told(test, "open 3: 0-0 attached 10-12 attached 10-10 attached");
}

static void tell_revoked(struct kunit *test)
{
	const char *busy = "revoking 4: 5-5 attached 10-10 revoking 11-11 revoking 12-12 revoking";
	struct consumer *c, *d, *e, *f;
	struct actor *a, *b;

	c = held_in_finish(test, 10, 10);
	d = attached(test, 5, 5);
	e = held_in_start(test, 11);
	f = attached(test, 12, 12);
	a = spawn_revoke(test, 0, 10, 19);
	/* STARTED, STARTING, CLAIMED; then FINISHING, STARTED, STARTED */
	await(test, &e->in_start);
	expect_told(test, busy);
	release(e);
	await(test, &c->in_finish);
	expect_told(test, busy);
	detach(test, e);
	detach(test, f);
	release(c);
	join(test, a);

	/* Listed until it is detached */
	expect_told(test, "part 2: 5-5 attached 10-10 revoked");
	b = revoke(test, 0, 0, 99);
	reopen(a);
	expect_told(test, "part 2: 5-5 revoked 10-10 revoked");
	reopen(b);
	attached(test, 10, 10);
	expect_told(test, "open 3: 10-10 attached 5-5 revoked 10-10 revoked");
	detach(test, c);
	expect_told(test, "open 2: 10-10 attached 5-5 revoked");
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_told(test, "closed 2: 5-5 revoked 10-10 revoked");

	/* The range is gone, d is not; a new provider has nothing to do with it */
	unregister(test, 0);
	expect_told(test, "");
	provide(test, 0, 0, 99);
	detach(test, d);
	expect_told(test, "open 0:");
}

/* What stays is listed once; what changes may be listed again as it is now */
static void tell_during_walk(struct kunit *test)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct consumer *grows, *goes;
	struct pfn_revoke_entry entry;
	char text[TEXT] = "";
	int i = 0;

	provide(test, 2, 200, 299);
	grows = attached(test, 10, 10);
	goes = attached(test, 10, 12);
	attached(test, 20, 20);
	attached(test, 30, 30);
	attached(test, 200, 200);

	while (pfn_revoke_next(&cursor, &entry)) {
		/* Memory that this machine has */
		if (entry.first < PFN(0))
			continue;
		add_text(text, &entry);
		switch (i++) {
		case 1:	/* A pin that was listed grows */
			KUNIT_EXPECT_EQ(test, attach(grows, NULL, 11, 11), 1);
			break;
		case 2:	/* One that was listed goes */
			detach(test, goes);
			break;
		case 4:	/* One to come is revoked, and one that was listed */
			revoke(test, 0, 30, 30);
			revoke(test, 0, 10, 10);
			/* The next range goes */
			unregister(test, 1);
			break;
		case 5:	/* This range goes, its pins do not */
			unregister(test, 0);
			break;
		}
	}
	KUNIT_EXPECT_STREQ(test, text,
			   "open 4: 10-10 attached 10-12 attached 10-11 attached 20-20 attached 10-11 revoked 20-20 revoked 30-30 revokedopen 1: 200-200 attached");
	KUNIT_EXPECT_NULL(test, cursor.range);

	/* A walk that is ended early begins anew */
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_TRUE(test, pfn_revoke_next(&cursor, &entry));
		KUNIT_EXPECT_FALSE(test, entry.is_pin);
		pfn_revoke_end_walk(&cursor);
		pfn_revoke_end_walk(&cursor);
	}
}

static void owner_of(struct kunit *test, unsigned long page,
		     struct pfn_revoke_entry *entry)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };

	do {
		KUNIT_ASSERT_TRUE(test, pfn_revoke_next(&cursor, entry));
	} while (!entry->is_pin || entry->first != PFN(page));
	pfn_revoke_end_walk(&cursor);
}

/* Who attached it, as long as there is that process */
static void tell_owner(struct kunit *test)
{
	struct consumer *c = new_consumer(test);
	unsigned long end = jiffies + LIMIT;
	u64 before = ktime_get_coarse_boottime_ns();
	struct pfn_revoke_entry entry;

	attached(test, 0, 0);
	owner_of(test, 0, &entry);
	KUNIT_EXPECT_EQ(test, entry.pid, task_tgid_nr(current));
	KUNIT_EXPECT_STREQ(test, entry.comm, current->group_leader->comm);
	KUNIT_EXPECT_GE(test, entry.since, before);
	KUNIT_EXPECT_LE(test, entry.since, ktime_get_coarse_boottime_ns());

	KUNIT_EXPECT_EQ(test, join(test, spawn(test, act_attach, .c = c,
					       .first = 1, .last = 1)), 1);
	/* It has ended, but may not be reaped */
	do {
		owner_of(test, 1, &entry);
		cond_resched();
	} while (entry.pid && time_before(jiffies, end));
	KUNIT_EXPECT_EQ(test, entry.pid, 0);
	KUNIT_EXPECT_STREQ(test, entry.comm, "");
	KUNIT_EXPECT_EQ(test, revoke_all(test), 0);
	expect_revoked_once(test, c);
}

static struct kunit_case pfn_revoke_test_cases[] = {
	KUNIT_CASE(register_refusals),
	KUNIT_CASE(register_again),
	KUNIT_CASE(extent),
	KUNIT_CASE(unregister_waits),
	KUNIT_CASE(unregister_race),
	KUNIT_CASE(unregister_with_parts),
	KUNIT_CASE(attach_refusals),
	KUNIT_CASE(attach_grows),
	KUNIT_CASE(attach_runs),
	KUNIT_CASE(attach_to_revoked_pin),
	KUNIT_CASE(attach_during_broadcast),
	KUNIT_CASE(attach_pages),
	KUNIT_CASE(attach_stale),
	KUNIT_CASE(revoke_nobody),
	KUNIT_CASE(revoke_repeated),
	KUNIT_CASE(revoke_order),
	KUNIT_CASE(revoke_without_start),
	KUNIT_CASE(revoke_part),
	KUNIT_CASE(revoke_concurrent),
	KUNIT_CASE(revoke_concurrent_own_pins),
	KUNIT_CASE_SLOW(revoke_race),
	KUNIT_CASE(revoke_timeout),
	KUNIT_CASE_SLOW(revoke_many),
	KUNIT_CASE(detach_before),
	KUNIT_CASE(detach_claimed),
	KUNIT_CASE(detach_waits_for_start),
	KUNIT_CASE(detach_started),
	KUNIT_CASE(detach_does_not_wait_for_its_turn),
	KUNIT_CASE(detach_waits_for_finish),
	KUNIT_CASE(detach_after_own_finish),
	KUNIT_CASE_SLOW(detach_race),
	KUNIT_CASE(reopen_whole),
	KUNIT_CASE(reopen_during_broadcast),
	KUNIT_CASE(reopen_during_broadcasts),
	KUNIT_CASE_SLOW(reopen_model),
	KUNIT_CASE(stuck_none),
	KUNIT_CASE(stuck_one),
	KUNIT_CASE(stuck_several),
	KUNIT_CASE(stuck_last),
	KUNIT_CASE(stuck_start),
	KUNIT_CASE(stuck_elsewhere),
	KUNIT_CASE_SLOW(stuck_warning),
	KUNIT_CASE_SLOW(random_threads),
	KUNIT_CASE(tell_sorted),
	KUNIT_CASE(tell_revoked),
	KUNIT_CASE(tell_during_walk),
	KUNIT_CASE(tell_owner),
	{}
};

static struct kunit_suite pfn_revoke_test_suite = {
	.name = "pfn_revoke",
	.init = scene_init,
	.exit = scene_exit,
	.test_cases = pfn_revoke_test_cases,
};

kunit_test_suite(pfn_revoke_test_suite);

MODULE_DESCRIPTION("Tests of PFN-range revocation");
MODULE_LICENSE("GPL");
