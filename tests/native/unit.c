// SPDX-License-Identifier: GPL-2.0
/*
 * The notifier by itself: every result, order and error path.
 *
 * Time stands still here and is moved by the tests, so that what depends on it
 * (the watchdog, the takeover) comes out the same every time. Whatever may
 * block is in a thread (struct actor); checks are made by the main one.
 */
#include <linux/pfn_revoke.h>
#include <linux/refcount.h>
#include <shim.h>

#include "pfn_revoke.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "tap.h"

#define PFN(n)	(0x100000UL + (n))
#define LIMIT	5000		/* ms until a wait has failed */

/* Consumers */

struct consumer {
	struct pfn_pin *pin;
	const struct pfn_pin_ops *ops;
	void (*on_start)(struct consumer *c);
	void (*on_finish)(struct consumer *c);
	struct consumer *other;
	int starts, finishes;
	int started, finished;		/* times by the clock of events */
	int ret;
	int held, let_go;
};

static int events;

static int happens(void)
{
	return __atomic_add_fetch(&events, 1, __ATOMIC_SEQ_CST);
}

static int get(int *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void set(int *p, int v)
{
	__atomic_store_n(p, v, __ATOMIC_SEQ_CST);
}

static bool wait_for(int *p, int v)
{
	int ms;

	for (ms = 0; get(p) != v; ms++) {
		if (ms == LIMIT)
			return false;
		usleep(1000);
	}
	return true;
}

static void on_start(void *priv)
{
	struct consumer *c = priv;

	set(&c->started, happens());
	set(&c->starts, c->starts + 1);
	if (c->on_start)
		c->on_start(c);
}

static void on_finish(void *priv)
{
	struct consumer *c = priv;

	set(&c->finishes, c->finishes + 1);
	if (c->on_finish)
		c->on_finish(c);
	set(&c->finished, happens());
}

static const struct pfn_pin_ops both = { "unit", on_start, on_finish };
static const struct pfn_pin_ops only_finish = { "unit", NULL, on_finish };
static const struct pfn_pin_ops only_start = { "unit", on_start, NULL };

static void hold(struct consumer *c)
{
	set(&c->held, 1);
	wait_for(&c->let_go, 1);
}

static void detach_inside(struct consumer *c)
{
	pfn_pin_detach(c->pin);
	c->pin = NULL;
}

static void hold_and_detach_inside(struct consumer *c)
{
	hold(c);
	detach_inside(c);
}

static void detach_inside_and_hold(struct consumer *c)
{
	detach_inside(c);
	hold(c);
}

static int attach(struct consumer *c, unsigned long first, unsigned long last)
{
	return pfn_pin_attach(c->pin, PFN(first), PFN(last), pfn_pin_begin());
}

static void alloc(struct consumer *c, const struct pfn_pin_ops *ops)
{
	c->ops = ops;
	c->pin = pfn_pin_alloc(ops, c, GFP_KERNEL);
	ASSERT_TRUE(!IS_ERR(c->pin));
}

static void attached(struct consumer *c, unsigned long first, unsigned long last)
{
	alloc(c, &both);
	ASSERT_EQ(attach(c, first, last), 0);
}

static void detach(struct consumer *c)
{
	if (c->pin)
		pfn_pin_detach(c->pin);
	c->pin = NULL;
}

/* Actors */

struct actor {
	pthread_t thread;
	int (*act)(struct actor *a);
	struct consumer *c;
	struct pfn_range *range;
	unsigned long first, last;
	int ret, entered, returned, when;
};

static void *actor_main(void *arg)
{
	struct actor *a = arg;

	shim_set_task(77, "actor");
	set(&a->entered, 1);
	a->ret = a->act(a);
	a->when = happens();
	set(&a->returned, 1);
	return NULL;
}

static void begin(struct actor *a)
{
	ASSERT_EQ(pthread_create(&a->thread, NULL, actor_main, a), 0);
	ASSERT_TRUE(wait_for(&a->entered, 1));
}

static void end(struct actor *a)
{
	ASSERT_TRUE(wait_for(&a->returned, 1));
	pthread_join(a->thread, NULL);
}

static int act_revoke(struct actor *a)
{
	return pfn_revoke_range(PFN(a->first), PFN(a->last));
}

static int act_detach(struct actor *a)
{
	detach(a->c);
	return 0;
}

static int act_unregister(struct actor *a)
{
	pfn_range_unregister(a->range);
	return 0;
}

/* Until so many tasks are asleep in the notifier, and not only about to be */
static bool asleep(unsigned int n)
{
	int ms;

	for (ms = 0; shim_sleeping() != n && ms < LIMIT; ms++)
		usleep(1000);
	return shim_sleeping() == n;
}

/* The scene: a provider, and nothing left behind */

static struct pfn_range *range;
static long allocated;
static unsigned int warnings_expected;

static void before(void)
{
	shim_set_task(42, "unit");
	shim_log_clear();
	events = 0;
	warnings_expected = 0;
	pfn_revoke_patience = 10 * HZ;
	shim_fail_from(0);
	allocated = shim_allocated();
	range = pfn_range_register(PFN(0), PFN(99), "provider");
}

static void after(void)
{
	int ms;

	pfn_range_unregister(range);
	/* A worker of the broadcast may be on its way out, with the last reference */
	for (ms = 0; ms < 1000; ms++) {
		rcu_barrier();
		if (shim_allocated() == allocated)
			break;
		usleep(1000);
	}
	EXPECT_EQ(shim_allocated(), allocated);
	EXPECT_EQ(shim_warnings(), warnings_expected);
	EXPECT_EQ(shim_sleeping(), 0);
	EXPECT_EQ(shim_pid_references(), 0);
	shim_tracing = false;
	shim_coverage();
}

static int revoke_pages(unsigned long first, unsigned long last)
{
	return pfn_revoke_range(PFN(first), PFN(last));
}

static int reopen_pages(unsigned long first, unsigned long last)
{
	return pfn_reopen_range(PFN(first), PFN(last));
}

/* Ranges */

static void register_refusals(void)
{
	EXPECT_EQ(PTR_ERR(pfn_range_register(PFN(201), PFN(200), "x")), -EINVAL);
	EXPECT_EQ(PTR_ERR(pfn_range_register(PFN(200), ULONG_MAX, "x")), -EINVAL);
	EXPECT_EQ(PTR_ERR(pfn_range_register(PFN(99), PFN(200), "x")), -EEXIST);
	EXPECT_EQ(PTR_ERR(pfn_range_register(0, PFN(0), "x")), -EEXIST);
	EXPECT_EQ(PTR_ERR(pfn_range_register(PFN(50), PFN(50), "x")), -EEXIST);
}

static void register_without_memory(void)
{
	struct pfn_range *it;
	unsigned int n;
	long had = shim_allocated();

	for (n = 1; n < 50; n++) {
		shim_fail_from(n);
		it = pfn_range_register(PFN(200), PFN(300), "x");
		if (!shim_fail_from(0))
			break;
		ASSERT_EQ(PTR_ERR(it), -ENOMEM);
		rcu_barrier();
		EXPECT_EQ(shim_allocated(), had);
	}
	EXPECT_GE(n, 2);
	ASSERT_TRUE(!IS_ERR(it));
	pfn_range_unregister(it);
}

static void unregister_nothing(void)
{
	pfn_range_unregister(NULL);
	pfn_range_unregister(ERR_PTR(-ENOMEM));
	EXPECT_EQ(revoke_pages(0, 0), 0);
}

static void unregister_revokes(void)
{
	struct consumer c = {};

	attached(&c, 10, 19);
	pfn_range_unregister(range);
	range = NULL;
	EXPECT_EQ(c.starts, 1);
	EXPECT_EQ(c.finishes, 1);
	EXPECT_EQ(attach(&c, 20, 20), -ENODEV);
	EXPECT_EQ(revoke_pages(0, 99), -ENOENT);
	EXPECT_EQ(reopen_pages(0, 99), -ENOENT);
	detach(&c);
	range = pfn_range_register(PFN(0), PFN(99), "next");
	ASSERT_TRUE(!IS_ERR(range));
	attached(&c, 10, 19);
	detach(&c);
}

static void unregister_here(struct consumer *c)
{
	(void)c;
	pfn_range_unregister(range);
}

static void unregister_from_callback(void)
{
	struct consumer c = { .on_finish = unregister_here };

	attached(&c, 0, 0);
	EXPECT_EQ(revoke_pages(0, 0), 0);
	/* Not forgotten, but gone: it is the caller's bug */
	EXPECT_EQ(shim_warnings(), 1);
	EXPECT_EQ(reopen_pages(0, 0), -EBUSY);
	detach(&c);
	alloc(&c, &both);
	EXPECT_EQ(attach(&c, 5, 5), -ENODEV);
	detach(&c);
}

static struct actor vanish;

static int act_vanish(struct actor *a)
{
	pfn_range_unregister(a->range);
	return 0;
}

static void range_vanishes(void)
{
	/* Once: the unregistering thread takes references itself */
	shim_before_inc_not_zero = NULL;
	begin(&vanish);
	end(&vanish);
}

static void range_found_when_it_goes(void)
{
	unsigned long last;
	u64 gen = pfn_pin_begin();

	memset(&vanish, 0, sizeof(vanish));
	vanish.act = act_vanish;
	vanish.range = range;
	range = NULL;
	shim_before_inc_not_zero = range_vanishes;
	EXPECT_EQ(pfn_range_extent(PFN(5), gen, &last), -EAGAIN);
	EXPECT_TRUE(!shim_before_inc_not_zero);
	EXPECT_EQ(last, ULONG_MAX);
}

static void other_goes_first(void)
{
	shim_before_cmpxchg = NULL;
	begin(&vanish);
	end(&vanish);
}

static void unregister_overtaken(void)
{
	struct pfn_range *late = pfn_range_register(PFN(300), PFN(300), "late");
	unsigned long last;
	u64 gen;

	memset(&vanish, 0, sizeof(vanish));
	vanish.act = act_vanish;
	vanish.range = pfn_range_register(PFN(200), PFN(200), "vanish");
	gen = pfn_pin_begin();
	shim_before_cmpxchg = other_goes_first;
	pfn_range_unregister(late);
	EXPECT_TRUE(!shim_before_cmpxchg);
	EXPECT_EQ(pfn_range_extent(PFN(200), gen, &last), -EAGAIN);
	EXPECT_EQ(pfn_range_extent(PFN(300), gen, &last), -EAGAIN);
	/* Between the two: the other one has gone since */
	EXPECT_EQ(pfn_range_extent(PFN(200), gen + 1, &last), -EAGAIN);
	EXPECT_EQ(pfn_range_extent(PFN(200), pfn_pin_begin(), &last), 0);
}

static void extent(void)
{
	u64 gen = pfn_pin_begin();
	struct pfn_range *second;
	unsigned long last = 0;

	EXPECT_EQ(pfn_range_extent(PFN(0), gen, &last), 1);
	EXPECT_EQ(last, PFN(99));
	EXPECT_EQ(pfn_range_extent(PFN(99), gen, &last), 1);
	EXPECT_EQ(last, PFN(99));
	EXPECT_EQ(pfn_range_extent(PFN(-1), gen, &last), 0);
	EXPECT_EQ(last, PFN(-1));
	EXPECT_EQ(pfn_range_extent(PFN(100), gen, &last), 0);
	EXPECT_EQ(last, ULONG_MAX);

	/* One that comes changes nothing, one that goes does */
	second = pfn_range_register(PFN(200), PFN(200), "second");
	EXPECT_EQ(pfn_range_extent(PFN(100), gen, &last), 0);
	EXPECT_EQ(last, PFN(199));
	pfn_range_unregister(second);
	EXPECT_EQ(pfn_range_extent(PFN(200), gen, &last), -EAGAIN);
	EXPECT_EQ(pfn_range_extent(PFN(200), pfn_pin_begin(), &last), 0);
}

/* Attach */

static void attach_refusals(void)
{
	struct pfn_range *behind = pfn_range_register(PFN(110), PFN(119), "behind");
	struct consumer c = {};
	u64 gen;

	alloc(&c, &both);
	EXPECT_EQ(attach(&c, 1, 0), -EINVAL);
	EXPECT_EQ(attach(&c, 100, 100), -ENODEV);
	/* Out of the provider, but the part before the hole is attached */
	EXPECT_EQ(attach(&c, 99, 110), -ENODEV);
	EXPECT_EQ(revoke_pages(99, 99), 0);
	EXPECT_EQ(c.finishes, 1);
	EXPECT_EQ(attach(&c, 5, 5), -ENODEV);
	detach(&c);

	alloc(&c, &both);
	EXPECT_EQ(attach(&c, 98, 99), -ENODEV);
	EXPECT_EQ(attach(&c, 98, 98), 0);
	gen = pfn_pin_begin();
	EXPECT_EQ(reopen_pages(99, 99), 0);
	/* The whole range counts as newer */
	EXPECT_EQ(pfn_pin_attach(c.pin, PFN(5), PFN(5), gen), -ENODEV);
	EXPECT_EQ(pfn_pin_attach(c.pin, PFN(115), PFN(115), gen), 0);
	EXPECT_EQ(attach(&c, 5, 5), 0);
	detach(&c);
	pfn_range_unregister(behind);
}

static void attach_without_memory(void)
{
	struct consumer c = {};

	shim_fail_from(1);
	EXPECT_EQ(PTR_ERR(pfn_pin_alloc(&both, &c, GFP_KERNEL)), -ENOMEM);
	shim_fail_from(0);
	alloc(&c, &both);
	shim_fail_from(1);
	/* There is room for one run in the pin */
	EXPECT_EQ(attach(&c, 0, 0), 0);
	EXPECT_EQ(attach(&c, 2, 2), -ENOMEM);
	shim_fail_from(0);
	EXPECT_EQ(attach(&c, 2, 2), 0);
	EXPECT_EQ(revoke_pages(2, 2), 0);
	EXPECT_EQ(c.finishes, 1);
	detach(&c);
}

static void attach_merges(void)
{
	struct pfn_range *next = pfn_range_register(PFN(100), PFN(109), "next");
	struct consumer c = {};
	long had;

	attached(&c, 10, 10);
	/* The registration leaves an old tree to RCU */
	rcu_barrier();
	had = shim_allocated();
	EXPECT_EQ(attach(&c, 11, 12), 0);
	EXPECT_EQ(attach(&c, 13, 13), 0);
	EXPECT_EQ(shim_allocated(), had);
	/* A gap, and the border of a provider, begin a new run */
	EXPECT_EQ(attach(&c, 15, 15), 0);
	EXPECT_EQ(shim_allocated(), had + 1);
	EXPECT_EQ(attach(&c, 98, 101), 0);
	EXPECT_EQ(shim_allocated(), had + 3);

	/* What was merged is found */
	EXPECT_EQ(revoke_pages(13, 13), 0);
	EXPECT_EQ(c.finishes, 1);
	detach(&c);
	pfn_range_unregister(next);
}

#define MANY 20000

static int act_attach(struct actor *a)
{
	struct consumer c = {};
	int i, err = 0;

	for (i = 0; i < MANY && !err; i++) {
		alloc(&c, &both);
		err = attach(&c, a->first, a->last);
		detach(&c);
	}
	return err;
}

/* How many locks were contended while two threads attached and detached */
static unsigned long attach_beside(unsigned long first, unsigned long second)
{
	struct actor one = { .act = act_attach, .first = first, .last = first };
	struct actor two = { .act = act_attach, .first = second, .last = second };
	unsigned long had = shim_contended();

	begin(&one);
	begin(&two);
	end(&one);
	end(&two);
	EXPECT_EQ(one.ret, 0);
	EXPECT_EQ(two.ret, 0);
	return shim_contended() - had;
}

static void attach_shares_no_lock(void)
{
	struct pfn_range *next = pfn_range_register(PFN(100), PFN(199), "next");
	int tries;

	/* With DEBUG_VM every detach asks whether it is in a callback: one lock */
#ifdef SHIM_PRODUCTION
	EXPECT_EQ(attach_beside(0, 100), 0);
#endif
	/* One provider has one lock: it would have been noticed */
	for (tries = 0; tries < 100; tries++)
		if (attach_beside(0, 50))
			break;
	EXPECT_TRUE(tries < 100);
	pfn_range_unregister(next);
}

static struct consumer attacher;

static void attach_other(struct consumer *c)
{
	c->ret = attach(&attacher, 50, 50);
}

static void attach_during_broadcast(void)
{
	struct consumer c = { .on_start = attach_other };

	memset(&attacher, 0, sizeof(attacher));
	alloc(&attacher, &both);
	attached(&c, 0, 0);
	EXPECT_EQ(revoke_pages(0, 60), 0);
	EXPECT_EQ(c.ret, -ENODEV);
	detach(&c);

	attached(&c, 70, 70);
	EXPECT_EQ(revoke_pages(61, 80), 0);
	EXPECT_EQ(c.ret, -ENODEV);
	EXPECT_EQ(reopen_pages(0, 99), 0);
	detach(&c);

	attached(&c, 70, 70);
	EXPECT_EQ(revoke_pages(61, 80), 0);
	EXPECT_EQ(c.ret, 0);
	EXPECT_EQ(attacher.finishes, 0);
	detach(&c);
	detach(&attacher);
}

/* Revoke */

static void revoke_refusals(void)
{
	EXPECT_EQ(revoke_pages(1, 0), -EINVAL);
	EXPECT_EQ(revoke_pages(100, 200), -ENOENT);
	EXPECT_EQ(revoke_pages(99, 200), 0);
	EXPECT_EQ(pfn_revoke_range(0, ULONG_MAX), 0);
	EXPECT_EQ(revoke_pages(0, 99), 0);
}

static void revoke_all_kinds(void)
{
	struct consumer a = {}, b = {}, c = {};

	attached(&a, 0, 9);
	alloc(&b, &only_finish);
	EXPECT_EQ(attach(&b, 5, 14), 0);
	alloc(&c, &only_start);
	EXPECT_EQ(attach(&c, 14, 20), 0);
	EXPECT_EQ(revoke_pages(9, 14), 0);
	EXPECT_EQ(a.starts, 1);
	EXPECT_EQ(a.finishes, 1);
	EXPECT_EQ(b.starts, 0);
	EXPECT_EQ(b.finishes, 1);
	EXPECT_EQ(c.starts, 1);
	EXPECT_EQ(c.finishes, 0);
	EXPECT_LE(c.started, a.finished);
	/* Revoked once, although their runs stick out */
	EXPECT_EQ(revoke_pages(0, 99), 0);
	EXPECT_EQ(a.starts + a.finishes + b.finishes + c.starts, 4);
	detach(&a);
	detach(&b);
	detach(&c);
}

static void revoke_part(void)
{
	struct consumer in = {}, out = {};

	attached(&out, 0, 9);
	attached(&in, 10, 10);
	EXPECT_EQ(attach(&in, 30, 30), 0);
	EXPECT_EQ(revoke_pages(10, 19), 0);
	EXPECT_EQ(in.finishes, 1);
	EXPECT_EQ(out.starts + out.finishes, 0);
	/* Its other run went too */
	EXPECT_EQ(revoke_pages(30, 30), 0);
	detach(&in);
	alloc(&in, &both);
	EXPECT_EQ(attach(&in, 9, 10), -ENODEV);
	EXPECT_EQ(attach(&in, 20, 29), 0);
	detach(&in);
	EXPECT_EQ(out.starts, 0);
	detach(&out);
}

static void revoke_several_providers(void)
{
	struct pfn_range *second = pfn_range_register(PFN(100), PFN(199), "second");
	struct pfn_range *third = pfn_range_register(PFN(300), PFN(399), "third");
	struct consumer a = {}, b = {}, c = {};

	attached(&a, 95, 105);
	attached(&b, 300, 300);
	attached(&c, 399, 399);
	EXPECT_EQ(revoke_pages(98, 350), 0);
	EXPECT_EQ(a.starts, 1);
	EXPECT_EQ(a.finishes, 1);
	EXPECT_EQ(b.finishes, 1);
	EXPECT_EQ(c.finishes, 0);
	EXPECT_LE(b.started, a.finished);
	detach(&a);
	alloc(&a, &both);
	EXPECT_EQ(attach(&a, 100, 100), -ENODEV);
	EXPECT_EQ(attach(&a, 97, 97), 0);
	EXPECT_EQ(attach(&a, 351, 351), 0);
	detach(&a);
	detach(&b);
	detach(&c);
	pfn_range_unregister(third);
	pfn_range_unregister(second);
}

static void revoke_here(struct consumer *c)
{
	c->ret = revoke_pages(0, 0);
}

static void revoke_from_callback(void)
{
	struct consumer c = { .on_start = revoke_here };

	attached(&c, 0, 0);
	EXPECT_EQ(revoke_pages(0, 9), 0);
	EXPECT_EQ(c.ret, -EDEADLK);
	detach(&c);
	c = (struct consumer){ .on_finish = revoke_here };
	attached(&c, 10, 10);
	EXPECT_EQ(revoke_pages(10, 19), 0);
	EXPECT_EQ(c.ret, -EDEADLK);
	EXPECT_EQ(revoke_pages(20, 20), 0);
	detach(&c);
}

static int act_hold_and_revoke(struct actor *a)
{
	return pfn_revoke_range(PFN(a->first), PFN(a->last));
}

static void revoke_beside_callback(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor a = { .act = act_hold_and_revoke, .first = 0, .last = 0 };

	attached(&c, 0, 0);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	/* The list of those in a callback has somebody else in it */
	EXPECT_EQ(revoke_pages(50, 50), 0);
	set(&c.let_go, 1);
	end(&a);
	EXPECT_EQ(a.ret, 0);
	detach(&c);
}

static void revoke_concurrent(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor first = { .act = act_revoke, .first = 0, .last = 9 };
	struct actor second = { .act = act_revoke, .first = 5, .last = 20 };

	attached(&c, 0, 20);
	begin(&first);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&second);
	EXPECT_TRUE(asleep(1));
	EXPECT_EQ(get(&second.returned), 0);
	set(&c.let_go, 1);
	end(&first);
	end(&second);
	EXPECT_EQ(c.finishes, 1);
	EXPECT_LE(c.finished, second.when);
	detach(&c);
}

static void close_swallows(void)
{
	struct consumer c = {};

	EXPECT_EQ(revoke_pages(10, 19), 0);
	EXPECT_EQ(revoke_pages(30, 39), 0);
	EXPECT_EQ(revoke_pages(12, 13), 0);
	EXPECT_EQ(revoke_pages(5, 34), 0);
	EXPECT_EQ(revoke_pages(35, 45), 0);
	alloc(&c, &both);
	EXPECT_EQ(attach(&c, 4, 5), -ENODEV);
	EXPECT_EQ(attach(&c, 45, 46), -ENODEV);
	EXPECT_EQ(attach(&c, 4, 4), 0);
	EXPECT_EQ(attach(&c, 46, 46), 0);
	detach(&c);
	EXPECT_EQ(revoke_pages(0, 99), 0);
	EXPECT_EQ(revoke_pages(3, 3), 0);
	EXPECT_EQ(reopen_pages(0, 99), 0);
	attached(&c, 0, 99);
	detach(&c);
}

/* Reopen */

static void reopen_refusals(void)
{
	EXPECT_EQ(reopen_pages(1, 0), -EINVAL);
	EXPECT_EQ(reopen_pages(100, 200), -ENOENT);
	EXPECT_EQ(reopen_pages(0, 9), 0);
}

static void reopen_without_memory(void)
{
	unsigned int n;

	EXPECT_EQ(revoke_pages(0, 99), 0);
	for (n = 1; n <= 2; n++) {
		shim_fail_from(n);
		EXPECT_EQ(reopen_pages(40, 59), -ENOMEM);
		EXPECT_EQ(shim_fail_from(0), n == 1 ? 2 : 1);
	}
	EXPECT_EQ(reopen_pages(40, 59), 0);
}

static void reopen_middle(void)
{
	struct consumer c = {};

	EXPECT_EQ(revoke_pages(20, 79), 0);
	EXPECT_EQ(reopen_pages(40, 59), 0);
	alloc(&c, &both);
	EXPECT_EQ(attach(&c, 39, 40), -ENODEV);
	EXPECT_EQ(attach(&c, 59, 60), -ENODEV);
	EXPECT_EQ(attach(&c, 40, 59), 0);
	EXPECT_EQ(attach(&c, 20, 20), -ENODEV);
	EXPECT_EQ(attach(&c, 79, 79), -ENODEV);
	detach(&c);
	EXPECT_EQ(reopen_pages(30, 70), 0);
	attached(&c, 30, 70);
	EXPECT_EQ(attach(&c, 29, 29), -ENODEV);
	EXPECT_EQ(attach(&c, 71, 71), -ENODEV);
	detach(&c);
	EXPECT_EQ(reopen_pages(20, 25), 0);
	EXPECT_EQ(reopen_pages(0, 99), 0);
	attached(&c, 0, 99);
	detach(&c);
}

static void reopen_here(struct consumer *c)
{
	c->ret = reopen_pages(c->starts == 1 ? 5 : 50, c->starts == 1 ? 5 : 50);
}

static void reopen_during_broadcast(void)
{
	struct consumer c = { .on_start = reopen_here };

	EXPECT_EQ(revoke_pages(50, 50), 0);
	attached(&c, 0, 9);
	EXPECT_EQ(revoke_pages(0, 9), 0);
	EXPECT_EQ(c.ret, -EBUSY);
	detach(&c);
	/* What another broadcast shut may be opened meanwhile */
	EXPECT_EQ(reopen_pages(0, 9), 0);
	attached(&c, 0, 9);
	EXPECT_EQ(revoke_pages(0, 9), 0);
	EXPECT_EQ(c.ret, 0);
	detach(&c);
	/* Just before it, just behind it */
	EXPECT_EQ(reopen_pages(0, 9), 0);
}

static void reopen_at_border(struct consumer *c)
{
	c->ret = reopen_pages(0, 9) * 100 + reopen_pages(20, 29);
}

static void reopen_beside_broadcast(void)
{
	struct consumer c = { .on_start = reopen_at_border };

	attached(&c, 10, 19);
	EXPECT_EQ(revoke_pages(10, 19), 0);
	EXPECT_EQ(c.ret, 0);
	detach(&c);
}

/* Detach */

static void detach_first(void)
{
	struct consumer c = {};

	alloc(&c, &both);
	detach(&c);
	attached(&c, 0, 0);
	detach(&c);
	EXPECT_EQ(revoke_pages(0, 0), 0);
	EXPECT_EQ(c.starts + c.finishes, 0);
}

static void detach_in_start(void)
{
	struct consumer c = { .on_start = detach_inside };

	attached(&c, 0, 0);
	EXPECT_EQ(attach(&c, 5, 5), 0);
	EXPECT_EQ(revoke_pages(0, 9), 0);
	EXPECT_EQ(c.starts, 1);
	EXPECT_EQ(c.finishes, 0);
}

static void detach_in_finish(void)
{
	struct consumer c = { .on_finish = detach_inside };

	attached(&c, 0, 0);
	EXPECT_EQ(revoke_pages(0, 9), 0);
	EXPECT_EQ(c.finishes, 1);
}

static void detach_waits(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };
	struct actor d = { .act = act_detach, .c = &c };

	attached(&c, 0, 0);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&d);
	EXPECT_TRUE(asleep(1));
	EXPECT_EQ(get(&d.returned), 0);
	set(&c.let_go, 1);
	end(&d);
	end(&a);
	EXPECT_LE(c.finished, d.when);
}

static int relaxed_reached, relaxed_go;
static int written;			/* plainly: TSan is to object */

static void hold_wake_up(void)
{
	/* Nothing in here may order one thread before the other */
	__atomic_store_n(&relaxed_reached, 1, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&relaxed_go, __ATOMIC_RELAXED))
		usleep(100);
}

static void write_plainly(struct consumer *c)
{
	(void)c;
	written++;
}

/* A detach that comes after REVOKED and before the wake-up: for TSan */
static void detach_sees_what_finish_did(void)
{
	struct consumer c = { .on_finish = write_plainly };
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };
	int ms;

	attached(&c, 0, 0);
	relaxed_reached = relaxed_go = written = 0;
	shim_before_wake_up = hold_wake_up;
	begin(&a);
	for (ms = 0; ms < LIMIT && !__atomic_load_n(&relaxed_reached, __ATOMIC_RELAXED); ms++)
		usleep(1000);
	pfn_pin_detach(c.pin);
	written++;
	EXPECT_EQ(written, 2);
	__atomic_store_n(&relaxed_go, 1, __ATOMIC_RELAXED);
	end(&a);
	shim_before_wake_up = NULL;
}

static void detach_waits_for_its_turn(void)
{
	struct consumer c = { .on_finish = hold }, late = {};
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };
	struct actor d = { .act = act_detach, .c = &late };

	attached(&c, 0, 0);
	attached(&late, 1, 1);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	/* Claimed, started, its finish is due */
	begin(&d);
	EXPECT_TRUE(asleep(1));
	EXPECT_EQ(get(&d.returned), 0);
	set(&c.let_go, 1);
	end(&d);
	end(&a);
	EXPECT_EQ(late.finishes, 1);
	detach(&c);
}

static void revoke_waits_for_detach(void)
{
	/* The run of a pin that is being detached: broadcast waits for the erasing */
	struct consumer c = { .on_start = hold }, other = {};
	struct actor a = { .act = act_revoke, .first = 0, .last = 0 };
	struct actor b = { .act = act_unregister, .range = range };

	attached(&c, 0, 0);
	attached(&other, 1, 1);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&b);
	EXPECT_TRUE(asleep(1));
	EXPECT_EQ(get(&b.returned), 0);
	EXPECT_TRUE(wait_for(&other.finishes, 1));
	set(&c.let_go, 1);
	end(&a);
	end(&b);
	range = NULL;
	detach(&c);
	detach(&other);
}

static void detach_other(struct consumer *c)
{
	detach(c->other);
}

static void detach_another_in_callback(void)
{
	struct consumer other = {}, c = { .on_start = detach_other, .other = &other };

	attached(&other, 50, 50);
	attached(&c, 0, 0);
	EXPECT_EQ(revoke_pages(0, 0), 0);
	/* Forbidden: lockdep's map says so, and the check if it is compiled in */
	EXPECT_EQ(shim_warnings(), 1 + IS_ENABLED(CONFIG_DEBUG_VM));
	detach(&c);
}

/* Stuck consumers */

static void stuck_is_named(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };

	attached(&c, 4, 7);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	shim_advance(10 * HZ - 1);
	EXPECT_EQ(shim_logged(""), 0);
	shim_advance(1);
	EXPECT_EQ(shim_logged("finish of unit (pid 42, unit) has held up the revocation for 10 seconds: PFNs 0x100004-0x100007 of provider"), 1);
	EXPECT_EQ(shim_logged("and others"), 0);
	shim_advance(10 * HZ);
	EXPECT_EQ(shim_logged("for 20 seconds"), 1);
	EXPECT_EQ(shim_logged(""), 2);
	set(&c.let_go, 1);
	end(&a);
	shim_advance(60 * HZ);
	EXPECT_EQ(shim_logged(""), 2);
	detach(&c);
}

static void stuck_start(void)
{
	struct consumer c = { .on_start = hold }, late = {};
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };

	attached(&c, 4, 4);
	EXPECT_EQ(attach(&c, 8, 8), 0);
	attached(&late, 9, 9);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	shim_advance(10 * HZ);
	EXPECT_EQ(shim_logged("start of unit (pid 42, unit) has held up"), 1);
	EXPECT_EQ(shim_logged("and others"), 1);
	EXPECT_EQ(get(&late.finishes), 0);
	set(&c.let_go, 1);
	end(&a);
	EXPECT_EQ(late.finishes, 1);
	detach(&c);
	detach(&late);
}

static void stuck_is_overtaken(void)
{
	struct consumer c[5] = {};
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };
	int i;

	c[0].on_finish = hold;
	c[2].on_finish = hold;
	for (i = 0; i < 5; i++)
		attached(&c[i], i, i);
	begin(&a);
	ASSERT_TRUE(wait_for(&c[0].held, 1));
	/* It does not wait for a look of the watchdog that would come too late */
	shim_advance(8 * HZ);
	usleep(5000);
	EXPECT_EQ(get(&c[1].finishes), 0);
	shim_advance(2 * HZ);
	ASSERT_TRUE(wait_for(&c[1].finishes, 1));
	/* The worker meets the next one that is stuck */
	ASSERT_TRUE(wait_for(&c[2].held, 1));
	shim_advance(7 * HZ);
	usleep(5000);
	EXPECT_EQ(get(&c[3].finishes), 0);
	shim_advance(3 * HZ);
	EXPECT_TRUE(wait_for(&c[3].finishes, 1));
	EXPECT_TRUE(wait_for(&c[4].finishes, 1));
	/* Nobody is left: no worker for nothing */
	shim_advance(30 * HZ);
	EXPECT_EQ(get(&a.returned), 0);
	set(&c[0].let_go, 1);
	EXPECT_TRUE(asleep(1));
	EXPECT_EQ(get(&a.returned), 0);
	set(&c[2].let_go, 1);
	end(&a);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(c[i].finishes, 1);
		detach(&c[i]);
	}
}

static void stuck_beside_one_that_moves(void)
{
	struct consumer c[5] = {};
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };
	int i;

	for (i = 0; i < 5; i++) {
		c[i].on_finish = i < 3 ? hold : NULL;
		attached(&c[i], i, i);
	}
	begin(&a);
	ASSERT_TRUE(wait_for(&c[0].held, 1));
	shim_advance(10 * HZ);
	ASSERT_TRUE(wait_for(&c[1].held, 1));
	shim_advance(5 * HZ);
	set(&c[0].let_go, 1);
	ASSERT_TRUE(wait_for(&c[2].held, 1));
	/* The worker is stuck by now, the first thread is not: it will go on */
	shim_advance(5 * HZ);
	usleep(20000);
	EXPECT_EQ(get(&c[3].finishes), 0);
	shim_advance(5 * HZ);
	EXPECT_TRUE(wait_for(&c[4].finishes, 1));
	set(&c[1].let_go, 1);
	set(&c[2].let_go, 1);
	end(&a);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(c[i].finishes, 1);
		detach(&c[i]);
	}
}

static void stuck_and_detached(void)
{
	struct consumer c = { .on_finish = hold_and_detach_inside };
	struct consumer d = { .on_finish = detach_inside_and_hold };
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };

	attached(&c, 0, 0);
	attached(&d, 1, 1);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	shim_advance(10 * HZ);
	EXPECT_EQ(shim_logged("PFNs 0x100000-0x100000"), 1);
	ASSERT_TRUE(wait_for(&d.held, 1));
	/* Its ops may be gone: not named any more */
	shim_advance(20 * HZ);
	EXPECT_EQ(shim_logged("PFNs 0x100001-0x100001"), 0);
	set(&d.let_go, 1);
	set(&c.let_go, 1);
	end(&a);
}

static void stuck_impatient(void)
{
	struct consumer c = { .on_finish = hold }, late = {};
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };

	pfn_revoke_patience = 3;
	attached(&c, 0, 0);
	attached(&late, 1, 1);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	shim_advance(4);
	EXPECT_TRUE(wait_for(&late.finishes, 1));
	set(&c.let_go, 1);
	end(&a);
	detach(&c);
	detach(&late);
}

/* Telling who holds what */

static struct pfn_revoke_cursor cursor;
static struct pfn_revoke_entry entry;

static bool told_range(unsigned long first, unsigned long last, const char *state, unsigned long pins)
{
	return pfn_revoke_next(&cursor, &entry) && !entry.is_pin && entry.first == PFN(first) &&
	       entry.last == PFN(last) && !strcmp(entry.state, state) && entry.pins == pins;
}

static bool told_run(unsigned long first, unsigned long last, const char *state, const char *name)
{
	return pfn_revoke_next(&cursor, &entry) && entry.is_pin && entry.first == PFN(first) &&
	       entry.last == PFN(last) && !strcmp(entry.state, state) && !strcmp(entry.consumer, name);
}

static void told(void)
{
	struct pfn_range *second = pfn_range_register(PFN(200), PFN(209), "second");
	struct consumer a = {}, b = {}, c = {};

	attached(&b, 40, 49);
	attached(&a, 30, 39);
	EXPECT_EQ(attach(&a, 30, 31), 0);
	EXPECT_EQ(attach(&a, 205, 205), 0);
	attached(&c, 60, 60);
	EXPECT_EQ(revoke_pages(49, 60), 0);

	memset(&cursor, 0, sizeof(cursor));
	EXPECT_TRUE(told_range(0, 99, "part", 4));
	EXPECT_TRUE(!strcmp(entry.provider, "provider"));
	EXPECT_TRUE(told_run(30, 39, "attached", "unit"));
	EXPECT_EQ(entry.pid, 42);
	EXPECT_TRUE(!strcmp(entry.comm, "unit"));
	EXPECT_TRUE(told_run(30, 31, "attached", "unit"));
	shim_pid_dies(42, true);
	EXPECT_TRUE(told_run(40, 49, "revoked", "unit"));
	EXPECT_EQ(entry.pid, 0);
	shim_pid_dies(42, false);
	EXPECT_TRUE(told_run(60, 60, "revoked", "unit"));
	EXPECT_TRUE(told_range(200, 209, "open", 1));
	EXPECT_TRUE(told_run(205, 205, "attached", "unit"));
	EXPECT_TRUE(!pfn_revoke_next(&cursor, &entry));
	/* And from the beginning */
	EXPECT_TRUE(told_range(0, 99, "part", 4));
	pfn_revoke_end_walk(&cursor);
	pfn_revoke_end_walk(&cursor);
	detach(&b);
	detach(&c);
	EXPECT_TRUE(told_range(0, 99, "part", 2));

	EXPECT_EQ(revoke_pages(0, 99), 0);
	/* What became another thing meanwhile is told as what it is now */
	EXPECT_TRUE(told_run(30, 39, "revoked", "unit"));
	detach(&a);
	EXPECT_TRUE(told_range(200, 209, "open", 0));
	EXPECT_TRUE(!pfn_revoke_next(&cursor, &entry));
	EXPECT_TRUE(told_range(0, 99, "closed", 0));
	pfn_range_unregister(second);
	EXPECT_TRUE(!pfn_revoke_next(&cursor, &entry));
}

static void told_in_callback(void)
{
	struct consumer c = { .on_start = hold }, d = { .on_finish = detach_inside_and_hold };
	struct actor a = { .act = act_revoke, .first = 0, .last = 9 };

	attached(&c, 0, 0);
	attached(&d, 1, 1);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	memset(&cursor, 0, sizeof(cursor));
	EXPECT_TRUE(told_range(0, 99, "revoking", 2));
	EXPECT_TRUE(told_run(0, 0, "revoking", "unit"));
	set(&c.let_go, 1);
	ASSERT_TRUE(wait_for(&d.held, 1));
	/* Its ops may be gone, and with them the name */
	EXPECT_TRUE(told_run(1, 1, "revoking", ""));
	EXPECT_TRUE(told_run(0, 0, "revoked", "unit"));
	EXPECT_TRUE(!pfn_revoke_next(&cursor, &entry));
	set(&d.let_go, 1);
	end(&a);
	detach(&c);
	EXPECT_TRUE(told_range(0, 99, "part", 0));
	pfn_revoke_end_walk(&cursor);
}

static void traced(void)
{
	struct consumer c = {}, d = { .on_start = detach_inside }, e = {};
	unsigned int attaches = shim_traced("pfn_pin_attach"), detaches = shim_traced("pfn_pin_detach");
	unsigned int starts = shim_traced("pfn_pin_start"), finishes = shim_traced("pfn_pin_finish");
	unsigned int begins = shim_traced("pfn_revoke_begin"), ends = shim_traced("pfn_revoke_end");

	shim_tracing = true;
	attached(&c, 0, 0);
	EXPECT_EQ(attach(&c, 5, 5), 0);
	attached(&d, 1, 1);
	attached(&e, 50, 50);
	EXPECT_EQ(revoke_pages(0, 9), 0);
	detach(&c);
	detach(&e);
	shim_tracing = false;
	EXPECT_EQ(shim_traced("pfn_pin_attach"), attaches + 4);
	EXPECT_EQ(shim_traced("pfn_pin_detach"), detaches + 4);
	EXPECT_EQ(shim_traced("pfn_pin_start"), starts + 2);
	EXPECT_EQ(shim_traced("pfn_pin_finish"), finishes + 1);
	EXPECT_EQ(shim_traced("pfn_revoke_begin"), begins + 1);
	EXPECT_EQ(shim_traced("pfn_revoke_end"), ends + 1);
}

#define TEST(name) { #name, name, 0 }
static const struct tap_test tests[] = {
	TEST(register_refusals),
	TEST(register_without_memory),
	TEST(unregister_nothing),
	TEST(unregister_revokes),
	TEST(unregister_from_callback),
	TEST(range_found_when_it_goes),
	TEST(unregister_overtaken),
	TEST(extent),
	TEST(attach_refusals),
	TEST(attach_without_memory),
	TEST(attach_merges),
	TEST(attach_shares_no_lock),
	TEST(attach_during_broadcast),
	TEST(revoke_refusals),
	TEST(revoke_all_kinds),
	TEST(revoke_part),
	TEST(revoke_several_providers),
	TEST(revoke_from_callback),
	TEST(revoke_beside_callback),
	TEST(revoke_concurrent),
	TEST(close_swallows),
	TEST(reopen_refusals),
	TEST(reopen_without_memory),
	TEST(reopen_middle),
	TEST(reopen_during_broadcast),
	TEST(reopen_beside_broadcast),
	TEST(detach_first),
	TEST(detach_in_start),
	TEST(detach_in_finish),
	TEST(detach_waits),
	TEST(detach_sees_what_finish_did),
	TEST(detach_waits_for_its_turn),
	TEST(revoke_waits_for_detach),
	TEST(detach_another_in_callback),
	TEST(stuck_is_named),
	TEST(stuck_start),
	TEST(stuck_is_overtaken),
	TEST(stuck_beside_one_that_moves),
	TEST(stuck_and_detached),
	TEST(stuck_impatient),
	TEST(told),
	TEST(told_in_callback),
	TEST(traced),
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = { "native-unit", tests, NULL, before, after };

	return tap_main(argc, argv, &suite);
}
