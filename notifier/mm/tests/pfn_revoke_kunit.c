// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of PFN-range revocation (mm/pfn_revoke.c)
 *
 * The notifier never touches memory, so that the provider here declares PFNs
 * that no machine has. Whatever may block runs in a thread of its own (struct
 * actor) and is waited for with a limit; a callback that has to be slow is held
 * by a completion. Nothing depends on who is faster, except in the tests that
 * race on purpose, and those check what holds in every order.
 *
 * If the notifier hangs, its thread is left behind with all the memory that it
 * may still use, and the test fails.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pfn_revoke.h>
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
	struct pfn_range *ranges[4];
	struct random_run *run;		/* of random_threads() */
	struct completion gun;		/* starts those who race */
	unsigned long patience;		/* to be restored */
	atomic_t clock;			/* orders events */
	atomic_t late;			/* callbacks after the detach */
	atomic_t overdue;		/* held callbacks that nobody let go */
};

struct consumer {
	struct list_head node;
	struct scene *scene;
	struct pfn_pin_ops ops;
	struct pfn_pin *pin;		/* NULL when detached */
	bool gone;			/* no callback may come any more */

	/* What a callback does beyond taking notes */
	void (*on_start)(struct consumer *c);
	void (*on_finish)(struct consumer *c);
	struct completion go;		/* ends hold() */
	unsigned long first, last;	/* for revoke_inside() */
	int ret;			/* of what is done with it */

	atomic_t starts, finishes;
	int started, finishing, finished;	/* times by scene->clock */
	struct task_struct *finisher;	/* only to be compared */
	struct completion in_start, in_finish;
};

struct actor {
	struct list_head node;
	struct scene *scene;
	struct task_struct *task;	/* a reference, NULL when joined */
	int (*act)(struct actor *a);
	struct consumer *c;
	unsigned long first, last;
	unsigned int delay;		/* us after the gun */
	int ret;
	int returned;			/* time */
	struct completion entered, done;
};

static int now(struct scene *scene)
{
	return atomic_inc_return(&scene->clock);
}

/* Consumers */

static void consumer_start(void *priv)
{
	struct consumer *c = priv;

	c->started = now(c->scene);
	atomic_inc(&c->starts);
	if (READ_ONCE(c->gone))
		atomic_inc(&c->scene->late);
	complete_all(&c->in_start);
	if (c->on_start)
		c->on_start(c);
}

static void consumer_finish(void *priv)
{
	struct consumer *c = priv;

	c->finishing = now(c->scene);
	c->finisher = current;
	atomic_inc(&c->finishes);
	if (READ_ONCE(c->gone))
		atomic_inc(&c->scene->late);
	complete_all(&c->in_finish);
	if (c->on_finish)
		c->on_finish(c);
	c->finished = now(c->scene);
}

static void hold(struct consumer *c)
{
	if (!wait_for_completion_timeout(&c->go, LIMIT))
		atomic_inc(&c->scene->overdue);
}

static void detach_inside(struct consumer *c)
{
	struct pfn_pin *pin = c->pin;

	c->pin = NULL;
	pfn_pin_detach(pin);
	WRITE_ONCE(c->gone, true);
}

static void hold_and_detach_inside(struct consumer *c)
{
	hold(c);
	detach_inside(c);
}

static void revoke_inside(struct consumer *c)
{
	c->ret = pfn_revoke_range(c->first, c->last);
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
	list_add_tail(&c->node, &scene->consumers);

	c->pin = pfn_pin_alloc(&c->ops, c, GFP_KERNEL);
	if (IS_ERR(c->pin)) {
		c->pin = NULL;
		KUNIT_FAIL_AND_ABORT(test, "pfn_pin_alloc() failed");
	}
	return c;
}

/* Attach with a look-up that begins and ends here; attaching waits for nobody */
static int attach(struct consumer *c, unsigned long first, unsigned long last)
{
	return pfn_pin_attach(c->pin, PFN(first), PFN(last), pfn_pin_begin());
}

static struct consumer *attached(struct kunit *test, unsigned long first,
				 unsigned long last)
{
	struct consumer *c = new_consumer(test);

	KUNIT_ASSERT_EQ(test, attach(c, first, last), 0);
	return c;
}

/* Actors */

static int actor_main(void *arg)
{
	struct actor *a = arg;

	complete(&a->entered);
	a->ret = a->act(a);
	a->returned = now(a->scene);
	complete(&a->done);
	return 0;
}

static int actor_race_main(void *arg)
{
	struct actor *a = arg;

	complete(&a->entered);
	wait_for_completion(&a->scene->gun);
	udelay(a->delay);
	a->ret = a->act(a);
	a->returned = now(a->scene);
	complete(&a->done);
	return 0;
}

static int act_revoke(struct actor *a)
{
	return pfn_revoke_range(a->first, a->last);
}

static int act_detach(struct actor *a)
{
	struct pfn_pin *pin = a->c->pin;

	a->c->pin = NULL;
	pfn_pin_detach(pin);
	WRITE_ONCE(a->c->gone, true);
	return 0;
}

static int act_unregister(struct actor *a)
{
	struct pfn_range *range = a->scene->ranges[a->first];

	a->scene->ranges[a->first] = NULL;
	pfn_range_unregister(range);
	return 0;
}

/* End what a test has left, in an order that a provider and consumers may use */
static int act_clean_up(struct actor *a)
{
	struct consumer *c;
	int i;

	list_for_each_entry(c, &a->scene->consumers, node) {
		if (!c->pin)
			continue;
		pfn_pin_detach(c->pin);
		c->pin = NULL;
		WRITE_ONCE(c->gone, true);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(a->scene->ranges); i++)
		pfn_range_unregister(a->scene->ranges[i]);
	return 0;
}

static struct actor *new_actor(struct scene *scene, int (*main)(void *),
			       int (*act)(struct actor *a), struct consumer *c,
			       unsigned long first, unsigned long last)
{
	struct task_struct *task;
	struct actor *a;

	a = kzalloc_obj(*a);
	if (!a)
		return NULL;

	a->scene = scene;
	a->act = act;
	a->c = c;
	a->first = first;
	a->last = last;
	init_completion(&a->entered);
	init_completion(&a->done);

	task = kthread_create(main, a, "pfn_revoke_test");
	if (IS_ERR(task)) {
		kfree(a);
		return NULL;
	}
	a->task = get_task_struct(task);
	list_add_tail(&a->node, &scene->actors);
	return a;
}

static struct actor *spawn(struct kunit *test, int (*act)(struct actor *a),
			   struct consumer *c, unsigned long first,
			   unsigned long last)
{
	struct actor *a = new_actor(test->priv, actor_main, act, c, first, last);

	KUNIT_ASSERT_NOT_NULL(test, a);
	wake_up_process(a->task);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&a->entered, LIMIT));
	return a;
}

/* As spawn(), but it waits for fire() */
static struct actor *aim(struct kunit *test, int (*act)(struct actor *a),
			 struct consumer *c, unsigned long first,
			 unsigned long last, unsigned int delay)
{
	struct actor *a = new_actor(test->priv, actor_race_main, act, c, first,
				    last);

	KUNIT_ASSERT_NOT_NULL(test, a);
	a->delay = delay;
	wake_up_process(a->task);
	KUNIT_ASSERT_NE(test, 0,
			wait_for_completion_timeout(&a->entered, LIMIT));
	return a;
}

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
	kthread_stop(a->task);
	put_task_struct(a->task);
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

static int revoke(struct kunit *test, unsigned long first, unsigned long last)
{
	return join(test, spawn(test, act_revoke, NULL, PFN(first), PFN(last)));
}

/* Waits for nobody */
static int reopen(unsigned long first, unsigned long last)
{
	return pfn_reopen_range(PFN(first), PFN(last));
}

static void detach(struct kunit *test, struct consumer *c)
{
	join(test, spawn(test, act_detach, c, 0, 0));
}

static void unregister(struct kunit *test, int i)
{
	join(test, spawn(test, act_unregister, NULL, i, 0));
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

#define await(test, x) \
	KUNIT_ASSERT_NE_MSG(test, 0, wait_for_completion_timeout(x, LIMIT), \
			    "never happened: %s", #x)

static void expect_untouched(struct kunit *test, struct consumer *c)
{
	KUNIT_EXPECT_EQ(test, atomic_read(&c->starts), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->finishes), 0);
}

static void expect_revoked_once(struct kunit *test, struct consumer *c)
{
	KUNIT_EXPECT_EQ(test, atomic_read(&c->starts), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->finishes), 1);
	KUNIT_EXPECT_LT(test, c->started, c->finishing);
}

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
	return 0;
}

static void scene_exit(struct kunit *test)
{
	struct scene *scene = test->priv;
	struct consumer *c, *next_c;
	struct actor *a, *next_a;
	bool stuck = false;

	if (!scene)
		return;

	complete_all(&scene->gun);
	list_for_each_entry(c, &scene->consumers, node)
		complete_all(&c->go);
	list_for_each_entry(a, &scene->actors, node)
		stuck |= !actor_join(a);
	if (!stuck) {
		a = new_actor(scene, actor_main, act_clean_up, NULL, 0, 0);
		if (a)
			wake_up_process(a->task);
		stuck = !a || !actor_join(a);
	}
	WRITE_ONCE(pfn_revoke_patience, scene->patience);

	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&scene->late), 0,
			    "a callback ran after the detach");
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&scene->overdue), 0,
			    "a held callback was not let go");
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
	} overlaps[] = {
		{ 10, 19 }, { 10, 10 }, { 19, 19 }, { 12, 17 },
		{ 0, 10 }, { 19, 30 }, { 0, 30 },
	};
	struct pfn_range *range;
	int i;

	range = pfn_range_register(PFN(1), PFN(0), "kunit");
	KUNIT_EXPECT_PTR_EQ(test, range, ERR_PTR(-EINVAL));
	range = pfn_range_register(ULONG_MAX, ULONG_MAX, "kunit");
	KUNIT_EXPECT_PTR_EQ(test, range, ERR_PTR(-EINVAL));

	provide(test, 0, 10, 19);
	for (i = 0; i < ARRAY_SIZE(overlaps); i++) {
		range = pfn_range_register(PFN(overlaps[i].first),
					   PFN(overlaps[i].last), "kunit");
		KUNIT_EXPECT_PTR_EQ(test, range, ERR_PTR(-EEXIST));
	}

	/* A refusal has taken nothing: the neighbours are free */
	provide(test, 1, 0, 9);
	provide(test, 2, 20, 20);

	pfn_range_unregister(NULL);
	pfn_range_unregister(ERR_PTR(-EEXIST));
}

static void register_again(struct kunit *test)
{
	struct consumer *old, *new;
	int i;

	for (i = 0; i < 3; i++) {
		provide(test, 0, 0, 99);
		old = attached(test, 0, 99);
		unregister(test, 0);
		expect_revoked_once(test, old);
		KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), -ENOENT);
		KUNIT_EXPECT_EQ(test, reopen(0, 99), -ENOENT);
	}

	/* Rebound with other borders: the new owner's pins are none of the old's */
	provide(test, 0, 50, 149);
	new = attached(test, 50, 149);
	KUNIT_EXPECT_EQ(test, attach(old, 60, 60), -ENODEV);
	detach(test, old);
	expect_untouched(test, new);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 200), 0);
	expect_revoked_once(test, new);
	expect_revoked_once(test, old);
}

static void expect_extent(struct kunit *test, unsigned long n, u64 gen, int ret,
			  unsigned long last)
{
	unsigned long found = 0;

	KUNIT_EXPECT_EQ(test, pfn_range_extent(PFN(n), gen, &found), ret);
	KUNIT_EXPECT_EQ(test, found, last);
}

static void extent(struct kunit *test)
{
	unsigned long found;
	u64 gen = pfn_pin_begin();

	provide(test, 0, 10, 19);
	provide(test, 1, 20, 29);

	/* Providers came since, but elsewhere */
	expect_extent(test, 0, gen, 0, PFN(9));
	/* Nor is it asked of the others, whose attach finds out */
	expect_extent(test, 10, gen, 1, PFN(19));

	gen = pfn_pin_begin();
	expect_extent(test, 0, gen, 0, PFN(9));
	expect_extent(test, 9, gen, 0, PFN(9));
	expect_extent(test, 10, gen, 1, PFN(19));
	expect_extent(test, 19, gen, 1, PFN(19));
	/* Neighbours are two */
	expect_extent(test, 20, gen, 1, PFN(29));
	expect_extent(test, 30, gen, 0, ULONG_MAX);

	/* Shut is not the same as gone, and nothing comes or goes */
	KUNIT_EXPECT_EQ(test, revoke(test, 15, 25), 0);
	expect_extent(test, 15, gen, 1, PFN(19));
	expect_extent(test, 0, gen, 0, PFN(9));

	unregister(test, 0);
	KUNIT_EXPECT_EQ(test, pfn_range_extent(PFN(15), gen, &found), -EAGAIN);
	/* It may have been any */
	KUNIT_EXPECT_EQ(test, pfn_range_extent(PFN(0), gen, &found), -EAGAIN);
	expect_extent(test, 20, gen, 1, PFN(29));
	gen = pfn_pin_begin();
	expect_extent(test, 15, gen, 0, PFN(19));

	/* Came and gone since */
	provide(test, 0, 10, 19);
	expect_extent(test, 0, gen, 0, PFN(9));
	unregister(test, 0);
	KUNIT_EXPECT_EQ(test, pfn_range_extent(PFN(15), gen, &found), -EAGAIN);

	/* A reopened range is not gone */
	gen = pfn_pin_begin();
	KUNIT_EXPECT_EQ(test, reopen(20, 25), 0);
	expect_extent(test, 15, gen, 0, PFN(19));
}

static void unregister_waits(struct kunit *test)
{
	struct consumer *c, *late = new_consumer(test);
	struct actor *a;

	provide(test, 0, 0, 99);
	c = attached(test, 5, 5);
	c->on_finish = hold;
	a = spawn(test, act_unregister, NULL, 0, 0);
	await(test, &c->in_finish);
	KUNIT_EXPECT_TRUE(test, waits(a));

	KUNIT_EXPECT_EQ(test, attach(late, 0, 0), -ENODEV);
	KUNIT_EXPECT_EQ(test, reopen(50, 50), -EBUSY);
	/* The PFNs are not free before their last user is through */
	KUNIT_EXPECT_PTR_EQ(test, pfn_range_register(PFN(0), PFN(99), "kunit"),
			    ERR_PTR(-EEXIST));

	complete_all(&c->go);
	join(test, a);
	KUNIT_EXPECT_LT(test, c->finished, a->returned);
	expect_revoked_once(test, c);
	KUNIT_EXPECT_EQ(test, attach(late, 0, 0), -ENODEV);
	provide(test, 0, 0, 99);
	KUNIT_EXPECT_EQ(test, attach(late, 0, 0), 0);
}

/* Open it and get in, again and again until it is gone */
static int act_reopen_and_attach(struct actor *a)
{
	unsigned long end = jiffies + LIMIT / 2;
	struct consumer *c = a->c;
	int err;

	while ((err = pfn_reopen_range(a->first, a->last)) != -ENOENT) {
		if ((err && err != -EBUSY) || time_after(jiffies, end))
			return err ?: -ETIMEDOUT;
		cond_resched();
		if (list_is_head(&c->node, &a->scene->consumers))
			continue;
		c->ret = pfn_pin_attach(c->pin, a->first, a->last,
					pfn_pin_begin());
		if (!c->ret)
			c = list_next_entry(c, node);
	}
	return 0;
}

/* Whoever got in was revoked, or is beyond the reach of every broadcast */
static void unregister_race(struct kunit *test)
{
	struct scene *scene = test->priv;
	struct consumer *first, *c;
	struct actor *a, *b;
	int i, round;

	for (round = 0; round < 40; round++) {
		reinit_completion(&scene->gun);
		provide(test, 0, 0, 99);
		first = new_consumer(test);
		for (i = 1; i < 8; i++)
			new_consumer(test);
		c = first;
		list_for_each_entry_from(c, &scene->consumers, node)
			c->ret = -ENODEV;
		a = aim(test, act_unregister, NULL, 0, 0, round % 10);
		b = aim(test, act_reopen_and_attach, first, PFN(0), PFN(99), 0);
		fire(test);
		join(test, a);
		KUNIT_EXPECT_EQ(test, join(test, b), 0);
		c = first;
		list_for_each_entry_from(c, &scene->consumers, node) {
			if (c->ret)
				expect_untouched(test, c);
			else
				expect_revoked_once(test, c);
		}
	}
}

/* Attaching */

static void attach_refusals(struct kunit *test)
{
	struct consumer *c = new_consumer(test);

	KUNIT_EXPECT_EQ(test, attach(c, 10, 10), -ENODEV);
	provide(test, 0, 10, 19);
	provide(test, 1, 30, 39);

	KUNIT_EXPECT_EQ(test, attach(c, 11, 10), -EINVAL);
	KUNIT_EXPECT_EQ(test, attach(c, 9, 9), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(c, 20, 20), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(c, 9, 10), -ENODEV);
	KUNIT_EXPECT_EQ(test,
			pfn_pin_attach(c->pin, 0, ULONG_MAX, pfn_pin_begin()),
			-ENODEV);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 50), 0);
	expect_untouched(test, c);
	KUNIT_EXPECT_EQ(test, attach(c, 10, 19), -ENODEV);

	KUNIT_EXPECT_EQ(test, reopen(0, 50), 0);
	KUNIT_EXPECT_EQ(test, attach(c, 10, 19), 0);
	KUNIT_EXPECT_EQ(test, attach(c, 30, 39), 0);
}

/* What was attached before the hole counts until the consumer detaches */
static void attach_fails_in_the_middle(struct kunit *test)
{
	struct consumer *a = new_consumer(test), *b = new_consumer(test);

	provide(test, 0, 10, 19);
	provide(test, 1, 30, 39);

	KUNIT_EXPECT_EQ(test, attach(a, 15, 35), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(b, 10, 20), -ENODEV);
	detach(test, b);
	/* Never reached by a's attach */
	KUNIT_EXPECT_EQ(test, revoke(test, 30, 39), 0);
	expect_untouched(test, a);

	KUNIT_EXPECT_EQ(test, revoke(test, 17, 17), 0);
	expect_revoked_once(test, a);
	expect_untouched(test, b);
}

static void attach_stale(struct kunit *test)
{
	struct consumer *c = new_consumer(test);
	u64 gen;

	/* A look-up from before the provider: somebody else's memory */
	gen = pfn_pin_begin();
	provide(test, 0, 0, 99);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(c->pin, PFN(0), PFN(0), gen),
			-ENODEV);

	/* Revoked since, open or not */
	gen = pfn_pin_begin();
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(c->pin, PFN(0), PFN(0), gen),
			-ENODEV);
	KUNIT_EXPECT_EQ(test, reopen(0, 99), 0);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(c->pin, PFN(0), PFN(0), gen),
			-ENODEV);

	/* Looked up while it was shut, attached after it was opened */
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
	gen = pfn_pin_begin();
	KUNIT_EXPECT_EQ(test, reopen(0, 99), 0);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(c->pin, PFN(0), PFN(0), gen),
			-ENODEV);

	/* Rebound since */
	gen = pfn_pin_begin();
	unregister(test, 0);
	provide(test, 0, 0, 99);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(c->pin, PFN(0), PFN(0), gen),
			-ENODEV);

	/* None of this is the pin's fault, nor that of another provider */
	gen = pfn_pin_begin();
	provide(test, 1, 200, 299);
	KUNIT_EXPECT_EQ(test, revoke(test, 200, 299), 0);
	KUNIT_EXPECT_EQ(test, reopen(200, 299), 0);
	/* Nor opening what is open */
	KUNIT_EXPECT_EQ(test, reopen(0, 99), 0);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(c->pin, PFN(0), PFN(0), gen), 0);
	/* One look-up may be attached piece by piece */
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(c->pin, PFN(1), PFN(5), gen), 0);
	expect_untouched(test, c);
}

/* Runs that continue each other, that do not, that overlap: revoked at any page */
static void attach_runs(struct kunit *test)
{
	unsigned long page;
	struct consumer *c;

	provide(test, 0, 0, 9);
	provide(test, 1, 10, 19);
	for (page = 0; page < 20; page++) {
		c = new_consumer(test);
		/* 2-4 grows page by page, 7-12 crosses over, 4-8 overlaps */
		KUNIT_ASSERT_EQ(test, attach(c, 2, 2), 0);
		KUNIT_ASSERT_EQ(test, attach(c, 3, 3), 0);
		KUNIT_ASSERT_EQ(test, attach(c, 4, 4), 0);
		KUNIT_ASSERT_EQ(test, attach(c, 7, 12), 0);
		KUNIT_ASSERT_EQ(test, attach(c, 13, 13), 0);
		KUNIT_ASSERT_EQ(test, attach(c, 4, 8), 0);
		KUNIT_ASSERT_EQ(test, attach(c, 4, 8), 0);

		KUNIT_EXPECT_EQ(test, revoke(test, page, page), 0);
		if (page >= 2 && page <= 13)
			expect_revoked_once(test, c);
		else
			expect_untouched(test, c);
		detach(test, c);
		KUNIT_EXPECT_EQ(test, reopen(page, page), 0);
	}
}

static void attach_to_two_providers(struct kunit *test)
{
	struct consumer *a, *b;

	provide(test, 0, 0, 9);
	provide(test, 1, 10, 19);
	a = attached(test, 5, 15);
	b = attached(test, 0, 19);

	KUNIT_EXPECT_EQ(test, revoke(test, 12, 12), 0);
	expect_revoked_once(test, a);
	expect_revoked_once(test, b);

	/* Dead as a whole: nothing of them is left at the first provider */
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 9), 0);
	unregister(test, 0);
	unregister(test, 1);
	expect_revoked_once(test, a);
	expect_revoked_once(test, b);
}

static void attach_extent(struct kunit *test)
{
	struct consumer *a = new_consumer(test), *b = new_consumer(test);
	u64 gen = pfn_pin_begin();
	unsigned long end;

	provide(test, 0, 0, 9);
	provide(test, 1, 10, 19);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach_extent(a->pin, PFN(5), PFN(15),
						    gen, &end), -ENODEV);

	gen = pfn_pin_begin();
	KUNIT_EXPECT_EQ(test, pfn_pin_attach_extent(a->pin, PFN(6), PFN(5),
						    gen, &end), -EINVAL);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach_extent(a->pin, PFN(20), PFN(20),
						    gen, &end), -ENODEV);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach_extent(a->pin, PFN(5), PFN(15),
						    gen, &end), 0);
	KUNIT_EXPECT_EQ(test, end, PFN(9));
	/* It says where the provider ends, not what was attached */
	KUNIT_EXPECT_EQ(test, pfn_pin_attach_extent(b->pin, PFN(10), PFN(15),
						    gen, &end), 0);
	KUNIT_EXPECT_EQ(test, end, PFN(19));
	/* Also of a run that grows */
	KUNIT_EXPECT_EQ(test, pfn_pin_attach_extent(b->pin, PFN(16), PFN(16),
						    gen, &end), 0);
	KUNIT_EXPECT_EQ(test, end, PFN(19));

	/* Nothing of the second provider is in the first pin, nor behind 16 */
	KUNIT_EXPECT_EQ(test, revoke(test, 17, 19), 0);
	expect_untouched(test, b);
	KUNIT_EXPECT_EQ(test, revoke(test, 10, 16), 0);
	expect_untouched(test, a);
	expect_revoked_once(test, b);
	KUNIT_EXPECT_EQ(test, revoke(test, 9, 9), 0);
	expect_revoked_once(test, a);
}

static void attach_to_revoked_pin(struct kunit *test)
{
	struct consumer *c;

	provide(test, 0, 0, 99);
	provide(test, 1, 200, 299);
	c = attached(test, 0, 0);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, reopen(0, 0), 0);

	KUNIT_EXPECT_EQ(test, attach(c, 0, 0), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(c, 1, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(c, 200, 299), -ENODEV);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 299), 0);
	expect_revoked_once(test, c);
}

/* From the mark on, during start and finish, and whatever thread asks */
static void attach_during_broadcast(struct kunit *test)
{
	struct consumer *c, *d, *open, *new = new_consumer(test);
	struct actor *a;
	u64 gen;

	provide(test, 0, 0, 99);
	provide(test, 1, 200, 299);
	c = attached(test, 10, 10);
	c->on_start = hold;
	d = attached(test, 11, 11);
	d->on_finish = hold;
	gen = pfn_pin_begin();
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(49));

	await(test, &c->in_start);
	KUNIT_EXPECT_EQ(test, attach(new, 10, 10), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(new, 0, 0), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(new, 49, 50), -ENODEV);
	KUNIT_EXPECT_EQ(test, pfn_pin_attach(new->pin, PFN(0), PFN(0), gen),
			-ENODEV);
	/* c and d are claimed: they get nothing more, open or not */
	KUNIT_EXPECT_EQ(test, attach(c, 60, 60), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(d, 60, 60), -ENODEV);
	/* The rest of the range is open and nobody waits for the broadcast */
	open = attached(test, 50, 99);
	KUNIT_EXPECT_EQ(test, attach(open, 200, 200), 0);
	complete_all(&c->go);

	await(test, &d->in_finish);
	KUNIT_EXPECT_EQ(test, attach(new, 10, 10), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(c, 60, 60), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(open, 61, 61), 0);
	complete_all(&d->go);

	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	KUNIT_EXPECT_EQ(test, attach(new, 10, 10), -ENODEV);
	expect_revoked_once(test, c);
	expect_revoked_once(test, d);
	expect_untouched(test, new);
	expect_untouched(test, open);
}

/* Revoking */

static void revoke_nobody(struct kunit *test)
{
	struct consumer *c;

	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), -ENOENT);
	provide(test, 0, 10, 19);
	KUNIT_EXPECT_EQ(test, revoke(test, 11, 10), -EINVAL);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 9), -ENOENT);
	KUNIT_EXPECT_EQ(test, revoke(test, 20, 99), -ENOENT);

	c = attached(test, 15, 19);
	KUNIT_EXPECT_EQ(test, revoke(test, 10, 14), 0);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 10), 0);
	expect_untouched(test, c);
}

static void revoke_repeated(struct kunit *test)
{
	struct consumer *c;
	int i;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 99);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
		KUNIT_EXPECT_EQ(test, revoke(test, 10 * i, 50 + i), 0);
		expect_revoked_once(test, c);
	}
	detach(test, c);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
	expect_revoked_once(test, c);
}

/* Overlapping pins and pins of several runs: all starts, then all finishes */
static void revoke_order(struct kunit *test)
{
	struct consumer *c[12];
	int i, last_start = 0, first_finish = INT_MAX;

	provide(test, 0, 0, 99);
	provide(test, 1, 100, 199);
	provide(test, 2, 500, 599);
	for (i = 0; i < 9; i++)
		c[i] = attached(test, 10 * i, 150);
	for (; i < 12; i++) {
		c[i] = attached(test, 500 + i, 599);
		KUNIT_ASSERT_EQ(test, attach(c[i], i, i), 0);
		KUNIT_ASSERT_EQ(test, attach(c[i], i, i), 0);
	}

	KUNIT_EXPECT_EQ(test, revoke(test, 50, 580), 0);
	for (i = 0; i < 12; i++) {
		expect_revoked_once(test, c[i]);
		last_start = max(last_start, c[i]->started);
		first_finish = min(first_finish, c[i]->finishing);
	}
	KUNIT_EXPECT_LT(test, last_start, first_finish);
}

static void revoke_without_start(struct kunit *test)
{
	struct consumer *c;

	provide(test, 0, 0, 9);
	c = attached(test, 0, 0);
	c->ops.start = NULL;
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 9), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->starts), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->finishes), 1);
}

static void revoke_part(struct kunit *test)
{
	struct consumer *left, *right, *edge[2];

	provide(test, 0, 0, 99);
	left = attached(test, 0, 39);
	right = attached(test, 60, 99);
	edge[0] = attached(test, 0, 40);
	edge[1] = attached(test, 59, 99);

	KUNIT_EXPECT_EQ(test, revoke(test, 40, 59), 0);
	expect_untouched(test, left);
	expect_untouched(test, right);
	expect_revoked_once(test, edge[0]);
	expect_revoked_once(test, edge[1]);

	/* Both go on as before */
	KUNIT_EXPECT_EQ(test, attach(left, 0, 39), 0);
	KUNIT_EXPECT_EQ(test, attach(left, 60, 60), 0);
	KUNIT_EXPECT_EQ(test, attach(right, 39, 40), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(right, 59, 60), -ENODEV);
	KUNIT_EXPECT_EQ(test, attach(right, 0, 99), -ENODEV);

	KUNIT_EXPECT_EQ(test, revoke(test, 60, 60), 0);
	expect_revoked_once(test, left);
	expect_revoked_once(test, right);
}

static void revoke_from_callback(struct kunit *test)
{
	struct consumer *start, *finish, *other;

	provide(test, 0, 0, 99);
	provide(test, 1, 200, 299);
	start = attached(test, 0, 0);
	start->on_start = revoke_inside;
	start->first = PFN(0);
	start->last = PFN(99);
	finish = attached(test, 0, 0);
	finish->on_finish = revoke_inside;
	finish->first = PFN(200);
	finish->last = PFN(200);
	other = attached(test, 200, 200);

	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
	KUNIT_EXPECT_EQ(test, start->ret, -EDEADLK);
	KUNIT_EXPECT_EQ(test, finish->ret, -EDEADLK);
	expect_revoked_once(test, start);
	expect_revoked_once(test, finish);
	expect_untouched(test, other);
}

static int act_revoke_both(struct actor *a)
{
	return pfn_revoke_range(a->first, a->first) ?:
	       pfn_revoke_range(a->last, a->last);
}

/* It is the callback that may not revoke, not the thread that ran one once */
static void revoke_after_callback(struct kunit *test)
{
	struct consumer *c, *held;
	struct actor *a;

	provide(test, 0, 0, 99);
	provide(test, 1, 200, 299);
	c = attached(test, 0, 0);
	held = attached(test, 200, 200);
	held->on_finish = hold;

	a = spawn(test, act_revoke, NULL, PFN(200), PFN(299));
	await(test, &held->in_finish);
	/* And not another thread while some callback runs */
	KUNIT_EXPECT_EQ(test, join(test, spawn(test, act_revoke_both, NULL,
					       PFN(0), PFN(50))), 0);
	expect_revoked_once(test, c);
	complete_all(&held->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	expect_revoked_once(test, held);
}

/* All callers that have a PFN in common with the pins wait, and nobody else */
static void revoke_concurrent(struct kunit *test)
{
	struct actor *first, *same, *part, *run;
	struct consumer *c;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 19);
	KUNIT_ASSERT_EQ(test, attach(c, 80, 89), 0);
	c->on_finish = hold;
	first = spawn(test, act_revoke, NULL, PFN(0), PFN(9));
	await(test, &c->in_finish);

	same = spawn(test, act_revoke, NULL, PFN(0), PFN(9));
	part = spawn(test, act_revoke, NULL, PFN(19), PFN(19));
	run = spawn(test, act_revoke, NULL, PFN(85), PFN(99));
	KUNIT_EXPECT_EQ(test, revoke(test, 20, 79), 0);
	KUNIT_EXPECT_TRUE(test, waits(same));
	KUNIT_EXPECT_TRUE(test, waits(part));
	KUNIT_EXPECT_TRUE(test, waits(run));

	complete_all(&c->go);
	KUNIT_EXPECT_EQ(test, join(test, first), 0);
	KUNIT_EXPECT_EQ(test, join(test, same), 0);
	KUNIT_EXPECT_EQ(test, join(test, part), 0);
	KUNIT_EXPECT_EQ(test, join(test, run), 0);
	KUNIT_EXPECT_LT(test, c->finished, same->returned);
	KUNIT_EXPECT_LT(test, c->finished, part->returned);
	KUNIT_EXPECT_LT(test, c->finished, run->returned);
	expect_revoked_once(test, c);
}

/* The second broadcast has a pin of its own and must not wait to revoke it */
static void revoke_concurrent_own_pins(struct kunit *test)
{
	struct consumer *shared, *own;
	struct actor *a, *b;

	provide(test, 0, 0, 99);
	provide(test, 1, 200, 299);
	shared = attached(test, 0, 99);
	KUNIT_ASSERT_EQ(test, attach(shared, 200, 210), 0);
	shared->on_finish = hold;
	own = attached(test, 220, 220);

	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &shared->in_finish);
	b = spawn(test, act_revoke, NULL, PFN(200), PFN(299));
	await(test, &own->in_finish);
	KUNIT_EXPECT_TRUE(test, waits(b));
	KUNIT_EXPECT_FALSE(test, completion_done(&a->done));

	complete_all(&shared->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	KUNIT_EXPECT_EQ(test, join(test, b), 0);
	KUNIT_EXPECT_LT(test, shared->finished, b->returned);
	expect_revoked_once(test, shared);
	expect_revoked_once(test, own);
}

/* Two broadcasts race for one pin that spans both their ranges */
static void revoke_race(struct kunit *test)
{
	struct scene *scene = test->priv;
	struct consumer *c[4];
	struct actor *a, *b;
	int i, round;

	provide(test, 0, 0, 99);
	provide(test, 1, 200, 299);
	for (round = 0; round < 40; round++) {
		reinit_completion(&scene->gun);
		for (i = 0; i < ARRAY_SIZE(c); i++) {
			c[i] = attached(test, i, 99);
			KUNIT_ASSERT_EQ(test, attach(c[i], 200, 200 + i), 0);
		}
		a = aim(test, act_revoke, NULL, PFN(0), PFN(99), round % 8);
		b = aim(test, act_revoke, NULL, PFN(200), PFN(299), round / 8);
		fire(test);
		KUNIT_EXPECT_EQ(test, join(test, a), 0);
		KUNIT_EXPECT_EQ(test, join(test, b), 0);
		for (i = 0; i < ARRAY_SIZE(c); i++) {
			expect_revoked_once(test, c[i]);
			KUNIT_EXPECT_LT(test, c[i]->finished, a->returned);
			KUNIT_EXPECT_LT(test, c[i]->finished, b->returned);
		}
		KUNIT_ASSERT_EQ(test, reopen(0, 299), 0);
	}
}

#define MANY 10000

static void revoke_many(struct kunit *test)
{
	struct scene *scene = test->priv;
	unsigned int revoked = 0, wrong = 0;
	int last_start = 0, first_finish = INT_MAX;
	struct consumer *c;
	unsigned long i;

	/* Pin i holds pages i to i + 9 */
	provide(test, 0, 0, MANY + 8);
	for (i = 0; i < MANY; i++)
		attached(test, i, i + 9);

	KUNIT_EXPECT_EQ(test, revoke(test, 5000, 5000), 0);
	i = 0;
	list_for_each_entry(c, &scene->consumers, node) {
		int expect = i > 4990 && i <= 5000;

		wrong += atomic_read(&c->starts) != expect;
		wrong += atomic_read(&c->finishes) != expect;
		c->started = 0;
		c->finishing = INT_MAX;
		i++;
	}
	KUNIT_EXPECT_EQ(test, i, MANY);
	KUNIT_EXPECT_EQ(test, wrong, 0);

	KUNIT_EXPECT_EQ(test, revoke(test, 0, MANY + 8), 0);
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

	provide(test, 0, 0, 99);
	a = attached(test, 0, 99);
	KUNIT_ASSERT_EQ(test, attach(a, 5, 5), 0);
	b = attached(test, 0, 99);
	detach(test, never);
	detach(test, a);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
	expect_untouched(test, a);
	expect_untouched(test, never);
	expect_revoked_once(test, b);
	detach(test, b);
}

static void detach_in_start(struct kunit *test)
{
	struct consumer *c, *other;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 9);
	KUNIT_ASSERT_EQ(test, attach(c, 20, 29), 0);
	c->on_start = detach_inside;
	other = attached(test, 0, 9);

	KUNIT_EXPECT_EQ(test, revoke(test, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->starts), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->finishes), 0);
	expect_revoked_once(test, other);
	/* Its other run is gone as well */
	KUNIT_EXPECT_EQ(test, revoke(test, 20, 29), 0);
	unregister(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->starts), 1);
}

static void detach_in_finish(struct kunit *test)
{
	struct consumer *c, *other;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 9);
	KUNIT_ASSERT_EQ(test, attach(c, 20, 29), 0);
	c->on_finish = detach_inside;
	other = attached(test, 0, 9);

	KUNIT_EXPECT_EQ(test, revoke(test, 0, 0), 0);
	expect_revoked_once(test, c);
	expect_revoked_once(test, other);
	KUNIT_EXPECT_EQ(test, revoke(test, 20, 29), 0);
	unregister(test, 0);
	expect_revoked_once(test, c);
}

/* Another broadcast waits for a pin that detaches itself */
static void detach_in_finish_concurrent(struct kunit *test)
{
	struct consumer *c;
	struct actor *a, *b;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 99);
	c->on_finish = hold_and_detach_inside;
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(9));
	await(test, &c->in_finish);
	b = spawn(test, act_revoke, NULL, PFN(50), PFN(99));
	KUNIT_EXPECT_TRUE(test, waits(b));
	complete_all(&c->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	KUNIT_EXPECT_EQ(test, join(test, b), 0);
	KUNIT_EXPECT_LT(test, c->finished, b->returned);
	expect_revoked_once(test, c);
}

static void detach_waits_for_start(struct kunit *test)
{
	struct actor *a, *d;
	struct consumer *c;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 0);
	c->on_start = hold;
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &c->in_start);
	d = spawn(test, act_detach, c, 0, 0);
	KUNIT_EXPECT_TRUE(test, waits(d));
	complete_all(&c->go);
	KUNIT_EXPECT_EQ(test, join(test, d), 0);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	expect_revoked_once(test, c);
	KUNIT_EXPECT_LT(test, c->finished, d->returned);
}

static void detach_waits_for_finish(struct kunit *test)
{
	struct actor *a, *d;
	struct consumer *c;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 0);
	c->on_finish = hold;
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &c->in_finish);
	d = spawn(test, act_detach, c, 0, 0);
	KUNIT_EXPECT_TRUE(test, waits(d));
	complete_all(&c->go);
	KUNIT_EXPECT_EQ(test, join(test, d), 0);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	expect_revoked_once(test, c);
	KUNIT_EXPECT_LT(test, c->finished, d->returned);
}

/* Claimed, but its turn has not come: both its callbacks are due */
static void detach_waits_for_its_turn(struct kunit *test)
{
	struct consumer *held, *c;
	struct actor *a, *d;

	provide(test, 0, 0, 99);
	held = attached(test, 0, 0);
	held->on_start = hold;
	c = attached(test, 1, 1);
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &held->in_start);
	expect_untouched(test, c);
	d = spawn(test, act_detach, c, 0, 0);
	KUNIT_EXPECT_TRUE(test, waits(d));
	expect_untouched(test, c);
	complete_all(&held->go);
	KUNIT_EXPECT_EQ(test, join(test, d), 0);
	expect_revoked_once(test, c);
	KUNIT_EXPECT_LT(test, c->finished, d->returned);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
}

/* Who is through need not wait for the rest of the broadcast */
static void detach_after_own_finish(struct kunit *test)
{
	struct consumer *c, *held;
	struct actor *a;

	provide(test, 0, 0, 99);
	c = attached(test, 0, 0);
	held = attached(test, 1, 1);
	held->on_finish = hold;
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &held->in_finish);
	expect_revoked_once(test, c);
	detach(test, c);
	KUNIT_EXPECT_FALSE(test, completion_done(&a->done));
	complete_all(&held->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	detach(test, held);
	expect_revoked_once(test, held);
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
	struct actor *revoker[2], *detacher[3];
	unsigned int alive = 0, revoked = 0;
	struct consumer *c[8];
	int i, round, starts;

	provide(test, 0, 0, 99);
	for (round = 0; round < 60; round++) {
		reinit_completion(&scene->gun);
		for (i = 0; i < ARRAY_SIZE(c); i++)
			c[i] = attached(test, i, 99);
		/* Two see to themselves, or the clean-up does */
		c[6]->on_start = detach_inside;
		c[7]->on_finish = detach_inside;
		for (i = 0; i < 2; i++)
			revoker[i] = aim(test, act_revoke, NULL, PFN(0),
					 PFN(90 * i), round % 10 * i);
		for (i = 0; i < 3; i++)
			detacher[i] = aim(test, act_detach_two, c[2 * i], 0, 0,
					  round % 7 * i);
		fire(test);
		for (i = 0; i < 2; i++)
			KUNIT_EXPECT_EQ(test, join(test, revoker[i]), 0);
		for (i = 0; i < 3; i++)
			KUNIT_EXPECT_EQ(test, join(test, detacher[i]), 0);
		for (i = 0; i < 6; i++) {
			starts = atomic_read(&c[i]->starts);
			KUNIT_EXPECT_LE(test, starts, 1);
			KUNIT_EXPECT_EQ(test, starts,
					atomic_read(&c[i]->finishes));
			alive += !starts;
			revoked += starts;
		}
		KUNIT_EXPECT_EQ(test, atomic_read(&c[6]->starts), 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&c[6]->finishes), 0);
		expect_revoked_once(test, c[7]);
		KUNIT_ASSERT_EQ(test, reopen(0, 99), 0);
	}
	kunit_info(test, "%u pins detached alive, %u revoked\n", alive, revoked);
}

/* Opening again */

static void reopen_refusals(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, reopen(0, 99), -ENOENT);
	provide(test, 0, 0, 99);
	KUNIT_EXPECT_EQ(test, reopen(1, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, reopen(100, 200), -ENOENT);
	/* Open already, and partly nobody's */
	KUNIT_EXPECT_EQ(test, reopen(0, 99), 0);
	KUNIT_EXPECT_EQ(test, reopen(50, 200), 0);
}

static void reopen_whole(struct kunit *test)
{
	struct consumer *old, *new;
	int i;

	provide(test, 0, 0, 99);
	for (i = 0; i < 3; i++) {
		old = attached(test, 0, 99);
		KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
		KUNIT_EXPECT_EQ(test, reopen(0, 99), 0);
		KUNIT_EXPECT_EQ(test, reopen(0, 99), 0);
		KUNIT_EXPECT_EQ(test, attach(old, 0, 0), -ENODEV);
		new = attached(test, 0, 99);
		KUNIT_EXPECT_EQ(test, revoke(test, 99, 99), 0);
		expect_revoked_once(test, old);
		expect_revoked_once(test, new);
		KUNIT_EXPECT_EQ(test, reopen(99, 99), 0);
	}
}

static void reopen_during_broadcast(struct kunit *test)
{
	struct consumer *start, *finish, *new = new_consumer(test);
	struct actor *a;

	provide(test, 0, 0, 99);
	start = attached(test, 0, 0);
	start->on_start = hold;
	finish = attached(test, 1, 1);
	finish->on_finish = hold;
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(49));
	await(test, &start->in_start);
	KUNIT_EXPECT_EQ(test, reopen(0, 99), -EBUSY);
	KUNIT_EXPECT_EQ(test, reopen(49, 49), -EBUSY);
	/* Another part is nobody's business here: revoked and opened */
	KUNIT_EXPECT_EQ(test, revoke(test, 50, 99), 0);
	KUNIT_EXPECT_EQ(test, attach(new, 50, 50), -ENODEV);
	KUNIT_EXPECT_EQ(test, reopen(50, 99), 0);
	KUNIT_EXPECT_EQ(test, attach(new, 50, 50), 0);
	complete_all(&start->go);
	await(test, &finish->in_finish);
	KUNIT_EXPECT_EQ(test, reopen(0, 0), -EBUSY);
	KUNIT_EXPECT_EQ(test, attach(new, 0, 0), -ENODEV);
	complete_all(&finish->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);

	KUNIT_EXPECT_EQ(test, attach(new, 0, 0), -ENODEV);
	KUNIT_EXPECT_EQ(test, reopen(0, 49), 0);
	KUNIT_EXPECT_EQ(test, attach(new, 0, 99), 0);
	expect_untouched(test, new);
}

/* -EBUSY until the last of several broadcasts is over, not the first */
static void reopen_during_broadcasts(struct kunit *test)
{
	struct consumer *c[2];
	struct actor *a[2];
	int i;

	provide(test, 0, 0, 99);
	for (i = 0; i < 2; i++) {
		c[i] = attached(test, i, i);
		c[i]->on_finish = hold;
		a[i] = spawn(test, act_revoke, NULL, PFN(i), PFN(i));
		await(test, &c[i]->in_finish);
	}
	complete_all(&c[0]->go);
	KUNIT_EXPECT_EQ(test, join(test, a[0]), 0);
	KUNIT_EXPECT_EQ(test, reopen(0, 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, reopen(0, 0), 0);
	complete_all(&c[1]->go);
	KUNIT_EXPECT_EQ(test, join(test, a[1]), 0);
	KUNIT_EXPECT_EQ(test, reopen(0, 1), 0);
}

#define MODEL_RANGES	3
#define MODEL_PAGES	48

/*
 * Shutting and opening parts, compared with a bitmap: intervals that merge, are
 * split, swallow others, span providers. Nobody is attached meanwhile, so that
 * nothing here waits.
 */
static void reopen_model(struct kunit *test)
{
	unsigned long first, last, page, end = MODEL_PAGES * MODEL_RANGES;
	DECLARE_BITMAP(shut, MODEL_PAGES * MODEL_RANGES);
	struct rnd_state rnd;
	struct consumer *c;
	int i, step, err;

	bitmap_zero(shut, end);
	prandom_seed_state(&rnd, 42);
	for (i = 0; i < MODEL_RANGES; i++)
		provide(test, i, i * MODEL_PAGES, (i + 1) * MODEL_PAGES - 1);

	for (step = 0; step < 300; step++) {
		first = prandom_u32_state(&rnd) % end;
		/* Short ones mostly, and now and then to the end */
		last = first + prandom_u32_state(&rnd) % (step % 8 ? 12 : end);
		last = min(last, end - 1);
		if (prandom_u32_state(&rnd) % 2) {
			err = pfn_revoke_range(PFN(first), PFN(last));
			bitmap_set(shut, first, last - first + 1);
		} else {
			err = pfn_reopen_range(PFN(first), PFN(last));
			bitmap_clear(shut, first, last - first + 1);
		}
		KUNIT_ASSERT_EQ(test, err, 0);

		c = new_consumer(test);
		for (page = 0; page < end; page++)
			KUNIT_ASSERT_EQ_MSG(test, attach(c, page, page),
					    test_bit(page, shut) ? -ENODEV : 0,
					    "step %d: page %lu", step, page);

		/* And with more than a page at a time */
		first = prandom_u32_state(&rnd) % end;
		last = first + prandom_u32_state(&rnd) % (end - first);
		page = find_next_bit(shut, end, first);
		KUNIT_ASSERT_EQ_MSG(test, attach(c, first, last),
				    page <= last ? -ENODEV : 0,
				    "step %d: pages %lu to %lu", step, first,
				    last);

		pfn_pin_detach(c->pin);
		c->pin = NULL;
		expect_untouched(test, c);
	}
}

/* Stuck consumers */

static void be_impatient(void)
{
	WRITE_ONCE(pfn_revoke_patience, PATIENCE);
}

#define await_within(test, x, limit) \
	KUNIT_ASSERT_NE_MSG(test, 0, wait_for_completion_timeout(x, limit), \
			    "held up: %s", #x)

/* Nobody is stuck: all finishes in the caller's own thread */
static void stuck_none(struct kunit *test)
{
	struct consumer *c[3];
	struct actor *a;
	int i;

	provide(test, 0, 0, 99);
	for (i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = attached(test, i, i);
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	for (i = 1; i < ARRAY_SIZE(c); i++)
		KUNIT_EXPECT_PTR_EQ(test, c[i]->finisher, c[0]->finisher);
}

static void stuck_one(struct kunit *test)
{
	struct consumer *stuck, *c[4];
	struct actor *a;
	int i;

	be_impatient();
	provide(test, 0, 0, 99);
	stuck = attached(test, 0, 0);
	stuck->on_finish = hold;
	for (i = 0; i < ARRAY_SIZE(c); i++)
		c[i] = attached(test, i, i);
	/* What runs in a worker is a callback no less */
	c[1]->on_finish = revoke_inside;
	c[1]->first = PFN(0);
	c[1]->last = PFN(99);
	c[2]->on_finish = detach_inside;

	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &stuck->in_finish);
	/* The order of the finishes is nobody's business, so all are awaited */
	for (i = 0; i < ARRAY_SIZE(c); i++)
		await_within(test, &c[i]->in_finish, PATIENCE + SLACK);
	KUNIT_EXPECT_TRUE(test, waits(a));
	/* Those who are through can go */
	detach(test, c[0]);
	detach(test, c[1]);
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		expect_revoked_once(test, c[i]);
		KUNIT_EXPECT_PTR_NE(test, c[i]->finisher, stuck->finisher);
	}
	KUNIT_EXPECT_EQ(test, c[1]->ret, -EDEADLK);
	KUNIT_EXPECT_FALSE(test, completion_done(&a->done));

	complete_all(&stuck->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	KUNIT_EXPECT_LT(test, stuck->finished, a->returned);
	expect_revoked_once(test, stuck);
}

/* The worker that took over meets another one, and so on */
static void stuck_several(struct kunit *test)
{
	struct consumer *stuck[3], *c[3];
	struct actor *a;
	int i;

	be_impatient();
	provide(test, 0, 0, 99);
	for (i = 0; i < ARRAY_SIZE(stuck); i++) {
		stuck[i] = attached(test, i, i);
		stuck[i]->on_finish = hold;
		c[i] = attached(test, i, i);
	}
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	for (i = 0; i < ARRAY_SIZE(stuck); i++) {
		await_within(test, &stuck[i]->in_finish,
			     ARRAY_SIZE(stuck) * PATIENCE + SLACK);
		await_within(test, &c[i]->in_finish,
			     ARRAY_SIZE(stuck) * PATIENCE + SLACK);
	}

	/* Not before the last of them, whatever the order */
	complete_all(&stuck[1]->go);
	KUNIT_EXPECT_TRUE(test, waits(a));
	complete_all(&stuck[0]->go);
	KUNIT_EXPECT_TRUE(test, waits(a));
	complete_all(&stuck[2]->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	for (i = 0; i < ARRAY_SIZE(stuck); i++) {
		expect_revoked_once(test, stuck[i]);
		expect_revoked_once(test, c[i]);
		KUNIT_EXPECT_LT(test, stuck[i]->finished, a->returned);
	}
}

/* The last one has nobody behind it; a long time stuck changes nothing */
static void stuck_last(struct kunit *test)
{
	struct consumer *c, *stuck;
	struct actor *a, *d;

	be_impatient();
	provide(test, 0, 0, 99);
	c = attached(test, 0, 0);
	stuck = attached(test, 0, 0);
	stuck->on_finish = hold;
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &stuck->in_finish);
	expect_revoked_once(test, c);
	d = spawn(test, act_detach, stuck, 0, 0);
	/* To be named more than once */
	schedule_timeout_uninterruptible(3 * PATIENCE);
	KUNIT_EXPECT_TRUE(test, waits(a));
	KUNIT_EXPECT_TRUE(test, waits(d));
	complete_all(&stuck->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	KUNIT_EXPECT_EQ(test, join(test, d), 0);
	expect_revoked_once(test, stuck);
}

/* Stuck, then ended by its own callback: what it held up is no worse for it */
static void stuck_and_detached_inside(struct kunit *test)
{
	struct consumer *c, *stuck;
	struct actor *a;

	be_impatient();
	provide(test, 0, 0, 99);
	stuck = attached(test, 0, 0);
	stuck->on_finish = hold_and_detach_inside;
	c = attached(test, 0, 0);
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await_within(test, &c->in_finish, PATIENCE + SLACK);
	KUNIT_EXPECT_TRUE(test, waits(a));
	complete_all(&stuck->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	expect_revoked_once(test, stuck);
	expect_revoked_once(test, c);
}

/* A pin of two ranges is stuck: the second broadcast's own pins are not */
static void stuck_elsewhere(struct kunit *test)
{
	struct consumer *stuck, *c;
	struct actor *a, *b;

	be_impatient();
	provide(test, 0, 0, 99);
	provide(test, 1, 200, 299);
	stuck = attached(test, 0, 0);
	KUNIT_ASSERT_EQ(test, attach(stuck, 200, 200), 0);
	stuck->on_finish = hold;
	a = spawn(test, act_revoke, NULL, PFN(0), PFN(99));
	await(test, &stuck->in_finish);

	c = attached(test, 200, 200);
	b = spawn(test, act_revoke, NULL, PFN(200), PFN(299));
	await_within(test, &c->in_finish, SLACK);
	schedule_timeout_uninterruptible(2 * PATIENCE);
	KUNIT_EXPECT_TRUE(test, waits(a));
	KUNIT_EXPECT_TRUE(test, waits(b));
	complete_all(&stuck->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);
	KUNIT_EXPECT_EQ(test, join(test, b), 0);
	expect_revoked_once(test, stuck);
	expect_revoked_once(test, c);
}

/* Everything at once */

#define RANDOM_PAGES	64
#define RANDOM_PINS	3000
#define RANDOM_USERS	3
#define RANDOM_OWNERS	2
#define RANDOM_TIME	(3 * HZ / 2)

/* A consumer that observes the contract; it may touch the pages in @held */
struct random_pin {
	struct random_run *run;
	struct pfn_pin *pin;
	struct mutex lock;		/* what follows; also across attach */
	bool dead;			/* by start(); never lives again */
	bool detaching;			/* the one who sets this detaches */
	bool detach_in_start, detach_in_finish;
	bool gone;			/* after that; without the lock */
	int starts, finishes;
	DECLARE_BITMAP(held, RANDOM_PAGES);
};

struct random_run {
	struct random_pin pins[RANDOM_USERS][RANDOM_PINS];
	atomic_t holders[RANDOM_PAGES];
	unsigned long end;		/* jiffies */
	atomic_t attached, refused, revoked, detached, shut, told; /* how often */
	atomic_t touched;		/* shut pages that somebody held */
	atomic_t resurrected;		/* attached after their start() */
	atomic_t late;			/* callbacks after the detach */
	atomic_t errors;		/* other return codes than expected */
};

static void random_let_go(struct random_pin *p)
{
	unsigned long page;

	for_each_set_bit(page, p->held, RANDOM_PAGES)
		atomic_dec(&p->run->holders[page]);
	bitmap_zero(p->held, RANDOM_PAGES);
}

static void random_detach(struct random_pin *p)
{
	struct random_run *run = p->run;

	pfn_pin_detach(p->pin);
	WRITE_ONCE(p->gone, true);
	atomic_inc(&run->detached);
}

static void random_start(void *priv)
{
	struct random_pin *p = priv;
	bool detach = false;

	if (READ_ONCE(p->gone))
		atomic_inc(&p->run->late);
	mutex_lock(&p->lock);
	p->starts++;
	p->dead = true;
	if (p->detach_in_start && !p->detaching) {
		detach = true;
		p->detaching = true;
		random_let_go(p);
	}
	mutex_unlock(&p->lock);
	if (detach)
		random_detach(p);
}

static void random_finish(void *priv)
{
	struct random_pin *p = priv;
	bool detach = false;

	if (READ_ONCE(p->gone))
		atomic_inc(&p->run->late);
	mutex_lock(&p->lock);
	p->finishes++;
	random_let_go(p);
	if (p->detach_in_finish && !p->detaching) {
		detach = true;
		p->detaching = true;
	}
	mutex_unlock(&p->lock);
	atomic_inc(&p->run->revoked);
	if (detach)
		random_detach(p);
}

static const struct pfn_pin_ops random_ops = {
	.name = "kunit-random",
	.start = random_start,
	.finish = random_finish,
};

static int random_attach(struct random_pin *p, struct rnd_state *rnd)
{
	struct random_run *run = p->run;
	unsigned long first, last, page;
	u64 gen;
	int err;

	first = prandom_u32_state(rnd) % RANDOM_PAGES;
	last = min(first + prandom_u32_state(rnd) % 16, RANDOM_PAGES - 1UL);
	gen = pfn_pin_begin();
	udelay(prandom_u32_state(rnd) % 8);	/* the look-up */

	mutex_lock(&p->lock);
	/* Detached by a callback: there is no pin any more */
	err = p->detaching ? -ENODEV :
	      pfn_pin_attach(p->pin, PFN(first), PFN(last), gen);
	if (!err) {
		atomic_inc(&run->attached);
		if (p->dead)
			atomic_inc(&run->resurrected);
		for (page = first; page <= last; page++)
			if (!__test_and_set_bit(page, p->held))
				atomic_inc(&run->holders[page]);
	}
	mutex_unlock(&p->lock);

	if (err == -ENODEV)
		atomic_inc(&run->refused);
	else if (err)
		atomic_inc(&run->errors);
	return err;
}

static int act_random_user(struct actor *a)
{
	struct random_run *run = a->scene->run;
	struct rnd_state rnd;
	int i, pieces;

	prandom_seed_state(&rnd, a->first + 1);
	for (i = 0; i < RANDOM_PINS && time_before(jiffies, run->end); i++) {
		struct random_pin *p = &run->pins[a->first][i];
		bool detach;

		p->run = run;
		mutex_init(&p->lock);
		p->detach_in_start = prandom_u32_state(&rnd) % 8 == 0;
		p->detach_in_finish = prandom_u32_state(&rnd) % 8 == 0;
		p->pin = pfn_pin_alloc(&random_ops, p, GFP_KERNEL);
		if (IS_ERR(p->pin))
			return PTR_ERR(p->pin);

		pieces = prandom_u32_state(&rnd) % 4;
		while (pieces-- && !random_attach(p, &rnd))
			cond_resched();
		if (prandom_u32_state(&rnd) % 2)
			usleep_range(50, 300);

		mutex_lock(&p->lock);
		detach = !p->detaching;
		if (detach) {
			p->detaching = true;
			random_let_go(p);
		}
		mutex_unlock(&p->lock);
		if (detach)
			random_detach(p);
	}
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

/* Nobody but the owner opens its pages; anybody may shut them */
static int act_random_owner(struct actor *a)
{
	unsigned long own_pages = RANDOM_PAGES / RANDOM_OWNERS;
	unsigned long own = a->first * own_pages, own_end = own + own_pages - 1;
	struct random_run *run = a->scene->run;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, a->first + 100);
	while (time_before(jiffies, run->end)) {
		unsigned long first, last, limit = jiffies + LIMIT / 3;
		bool all = prandom_u32_state(&rnd) % 4 == 0;
		int err;

		first = own + prandom_u32_state(&rnd) % own_pages;
		last = first + prandom_u32_state(&rnd) % 24;
		last = min(last, RANDOM_PAGES - 1UL);
		if (pfn_revoke_range(PFN(first), PFN(last)))
			atomic_inc(&run->errors);
		atomic_inc(&run->shut);

		last = min(last, own_end);
		random_check(run, first, last);
		usleep_range(20, 200);
		random_check(run, first, last);

		do {
			cond_resched();
			err = pfn_reopen_range(PFN(all ? own : first),
					       PFN(all ? own_end : last));
		} while (err == -EBUSY && time_before(jiffies, limit));
		if (err)
			atomic_inc(&run->errors);
		usleep_range(20, 100);
	}
	return 0;
}

/* Look on: what is told is in order and inside its range, and ends */
static int act_random_teller(struct actor *a)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct random_run *run = a->scene->run;
	struct pfn_revoke_entry range = {}, last = {}, entry;

	while (time_before(jiffies, run->end)) {
		cond_resched();
		if (!pfn_revoke_next(&cursor, &entry)) {
			range.first = 0;
			range.last = 0;
			continue;
		}
		if (!entry.is_pin) {
			if (entry.first < range.last || entry.first > entry.last)
				atomic_inc(&run->errors);
			range = entry;
			last.is_pin = false;
			continue;
		}
		if (entry.first < range.first || entry.last > range.last ||
		    entry.first > entry.last)
			atomic_inc(&run->errors);
		/* Those that are revoked begin anew */
		if (last.is_pin && entry.first < last.first &&
		    (!strcmp(last.state, "revoked") ||
		     strcmp(entry.state, "revoked")))
			atomic_inc(&run->errors);
		last = entry;
		atomic_inc(&run->told);
	}
	pfn_revoke_end_walk(&cursor);
	return 0;
}

static void random_threads(struct kunit *test)
{
	struct actor *actors[RANDOM_USERS + RANDOM_OWNERS + 1];
	struct scene *scene = test->priv;
	unsigned int not_once = 0;
	struct random_run *run;
	int i, j;

	run = kvzalloc_obj(*run);
	KUNIT_ASSERT_NOT_NULL(test, run);
	scene->run = run;

	/* The borders of the providers are not those of the owners */
	provide(test, 0, 0, 19);
	provide(test, 1, 20, 44);
	provide(test, 2, 45, RANDOM_PAGES - 1);

	for (i = 0; i < RANDOM_USERS; i++)
		actors[i] = aim(test, act_random_user, NULL, i, 0, 0);
	for (j = 0; j < RANDOM_OWNERS; j++)
		actors[i + j] = aim(test, act_random_owner, NULL, j, 0, 0);
	actors[i + j] = aim(test, act_random_teller, NULL, 0, 0, 0);
	run->end = jiffies + RANDOM_TIME;
	fire(test);
	for (i = 0; i < ARRAY_SIZE(actors); i++)
		KUNIT_EXPECT_EQ(test, join(test, actors[i]), 0);

	for (i = 0; i < RANDOM_USERS; i++) {
		for (j = 0; j < RANDOM_PINS; j++) {
			struct random_pin *p = &run->pins[i][j];

			/* Revoked or not; finish() spared if start() detached */
			if (p->starts == p->finishes ? p->starts > 1 :
			    p->starts != 1 || p->finishes || !p->detach_in_start)
				not_once++;
		}
	}
	KUNIT_EXPECT_EQ(test, not_once, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&run->touched), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&run->resurrected), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&run->late), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&run->errors), 0);
	for (i = 0; i < RANDOM_PAGES; i++)
		KUNIT_EXPECT_EQ(test, atomic_read(&run->holders[i]), 0);

	/* Or nothing was tested */
	KUNIT_EXPECT_GT(test, atomic_read(&run->attached), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&run->revoked), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&run->shut), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&run->told), 0);
	kunit_info(test, "%d attached, %d refused, %d revoked, %d detached, %d broadcasts, %d told\n",
		   atomic_read(&run->attached), atomic_read(&run->refused),
		   atomic_read(&run->revoked), atomic_read(&run->detached),
		   atomic_read(&run->shut), atomic_read(&run->told));
}

/* Telling who holds what */

/* The range at PFN 0 as "STATE COUNT:" and "FIRST-LAST STATE" for each run */
static const char *told(struct kunit *test)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct pfn_revoke_entry entry;
	const size_t size = 256;
	bool ours = false;
	size_t len = 0;
	char *text;

	text = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	while (pfn_revoke_next(&cursor, &entry)) {
		if (!entry.is_pin) {
			ours = entry.first == PFN(0);
			if (ours)
				len += scnprintf(text + len, size - len,
						 "%s %lu:", entry.state,
						 entry.pins);
		} else if (ours) {
			KUNIT_EXPECT_STREQ(test, entry.consumer, "kunit");
			len += scnprintf(text + len, size - len, " %lu-%lu %s",
					 entry.first - PFN(0),
					 entry.last - PFN(0), entry.state);
		}
	}
	KUNIT_EXPECT_NULL(test, cursor.range);
	return text;
}

static void tell_sorted(struct kunit *test)
{
	struct consumer *c;

	KUNIT_EXPECT_STREQ(test, told(test), "");
	provide(test, 0, 0, 99);
	KUNIT_EXPECT_STREQ(test, told(test), "open 0:");
	c = attached(test, 50, 59);
	attached(test, 10, 10);
	attached(test, 10, 12);
	attached(test, 10, 10);
	attached(test, 0, 0);
	KUNIT_EXPECT_STREQ(test, told(test),
			   "open 5: 0-0 attached 10-10 attached 10-12 attached 10-10 attached 50-59 attached");
	/* A pin that grows, and one of several runs */
	KUNIT_EXPECT_EQ(test, attach(c, 60, 69), 0);
	KUNIT_EXPECT_EQ(test, attach(c, 20, 29), 0);
	KUNIT_EXPECT_STREQ(test, told(test),
			   "open 6: 0-0 attached 10-10 attached 10-12 attached 10-10 attached 20-29 attached 50-69 attached");
	detach(test, c);
	KUNIT_EXPECT_STREQ(test, told(test),
			   "open 4: 0-0 attached 10-10 attached 10-12 attached 10-10 attached");
}

static void tell_revoked(struct kunit *test)
{
	struct consumer *c, *d;
	struct actor *a;

	provide(test, 0, 0, 99);
	c = attached(test, 10, 10);
	KUNIT_EXPECT_EQ(test, attach(c, 60, 60), 0);
	d = attached(test, 5, 5);
	c->on_finish = hold;
	a = spawn(test, act_revoke, NULL, PFN(10), PFN(19));
	await(test, &c->in_finish);
	KUNIT_EXPECT_STREQ(test, told(test),
			   "revoking 3: 5-5 attached 10-10 revoking 60-60 revoking");
	complete_all(&c->go);
	KUNIT_EXPECT_EQ(test, join(test, a), 0);

	/* Revoked as a whole, and listed until it is detached */
	KUNIT_EXPECT_STREQ(test, told(test),
			   "part 3: 5-5 attached 10-10 revoked 60-60 revoked");
	/* It holds nothing up, and is not revoked again */
	KUNIT_EXPECT_EQ(test, revoke(test, 60, 60), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&c->finishes), 1);
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
	KUNIT_EXPECT_STREQ(test, told(test),
			   "closed 3: 5-5 revoked 10-10 revoked 60-60 revoked");
	KUNIT_EXPECT_EQ(test, reopen(0, 99), 0);
	attached(test, 10, 10);
	KUNIT_EXPECT_STREQ(test, told(test),
			   "open 4: 10-10 attached 5-5 revoked 10-10 revoked 60-60 revoked");
	detach(test, c);
	KUNIT_EXPECT_STREQ(test, told(test),
			   "open 2: 10-10 attached 5-5 revoked");

	/* The range is gone, d is not; a new provider has nothing to do with it */
	unregister(test, 0);
	KUNIT_EXPECT_STREQ(test, told(test), "");
	provide(test, 0, 0, 99);
	KUNIT_EXPECT_STREQ(test, told(test), "open 0:");
	detach(test, d);
	KUNIT_EXPECT_STREQ(test, told(test), "open 0:");
}

static void tell_detached_inside(struct kunit *test)
{
	struct consumer *c;

	provide(test, 0, 0, 99);
	c = attached(test, 10, 10);
	c->on_finish = detach_inside;
	KUNIT_EXPECT_EQ(test, revoke(test, 0, 99), 0);
	KUNIT_EXPECT_STREQ(test, told(test), "closed 0:");
}

static struct kunit_case pfn_revoke_test_cases[] = {
	KUNIT_CASE(register_refusals),
	KUNIT_CASE(register_again),
	KUNIT_CASE(extent),
	KUNIT_CASE(unregister_waits),
	KUNIT_CASE(unregister_race),
	KUNIT_CASE(attach_refusals),
	KUNIT_CASE(attach_fails_in_the_middle),
	KUNIT_CASE(attach_stale),
	KUNIT_CASE(attach_runs),
	KUNIT_CASE(attach_to_two_providers),
	KUNIT_CASE(attach_extent),
	KUNIT_CASE(attach_to_revoked_pin),
	KUNIT_CASE(attach_during_broadcast),
	KUNIT_CASE(revoke_nobody),
	KUNIT_CASE(revoke_repeated),
	KUNIT_CASE(revoke_order),
	KUNIT_CASE(revoke_without_start),
	KUNIT_CASE(revoke_part),
	KUNIT_CASE(revoke_from_callback),
	KUNIT_CASE(revoke_after_callback),
	KUNIT_CASE(revoke_concurrent),
	KUNIT_CASE(revoke_concurrent_own_pins),
	KUNIT_CASE_SLOW(revoke_race),
	KUNIT_CASE_SLOW(revoke_many),
	KUNIT_CASE(detach_before),
	KUNIT_CASE(detach_in_start),
	KUNIT_CASE(detach_in_finish),
	KUNIT_CASE(detach_in_finish_concurrent),
	KUNIT_CASE(detach_waits_for_start),
	KUNIT_CASE(detach_waits_for_finish),
	KUNIT_CASE(detach_waits_for_its_turn),
	KUNIT_CASE(detach_after_own_finish),
	KUNIT_CASE_SLOW(detach_race),
	KUNIT_CASE(reopen_refusals),
	KUNIT_CASE(reopen_whole),
	KUNIT_CASE(reopen_during_broadcast),
	KUNIT_CASE(reopen_during_broadcasts),
	KUNIT_CASE_SLOW(reopen_model),
	KUNIT_CASE(stuck_none),
	KUNIT_CASE(stuck_one),
	KUNIT_CASE(stuck_several),
	KUNIT_CASE(stuck_last),
	KUNIT_CASE(stuck_and_detached_inside),
	KUNIT_CASE(stuck_elsewhere),
	KUNIT_CASE_SLOW(random_threads),
	KUNIT_CASE(tell_sorted),
	KUNIT_CASE(tell_revoked),
	KUNIT_CASE(tell_detached_inside),
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
