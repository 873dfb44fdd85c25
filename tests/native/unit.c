// SPDX-License-Identifier: GPL-2.0
/*
 * The notifier by itself: what KUnit cannot make happen on purpose. Time stands
 * still here and is moved by the tests, so that what depends on it (bounds, the
 * watchdog, the takeover) comes out the same every time; allocations fail when
 * they are told to; a callback is held for as long as it is needed, and freed
 * memory is watched. Whatever may block is in a thread (struct actor); checks are
 * made by the main one.
 */
#include <linux/mm.h>
#include <linux/pfn_revoke.h>
#include <linux/pid_namespace.h>
#include <shim.h>

#include "pfn_revoke.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "tap.h"

#define PFN(n)	(0x100000UL + (n))
#define LIMIT	5000		/* ms until a wait has failed */

/* Consumers */

struct consumer {
	struct pfn_pin pin;
	void (*on_start)(struct consumer *c);
	void (*on_finish)(struct consumer *c);
	struct consumer *other;
	int starts, finishes;
	int started, finished;		/* times by the clock of events */
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

static void on_start(struct pfn_pin *pin)
{
	struct consumer *c = container_of(pin, struct consumer, pin);

	set(&c->started, happens());
	set(&c->starts, c->starts + 1);
	if (c->on_start)
		c->on_start(c);
}

static void on_finish(struct pfn_pin *pin)
{
	struct consumer *c = container_of(pin, struct consumer, pin);

	set(&c->finishes, c->finishes + 1);
	if (c->on_finish)
		c->on_finish(c);
	set(&c->finished, happens());
}

static const struct pfn_pin_ops both = { "unit", on_start, on_finish };
static const struct pfn_pin_ops none = { "none", NULL, NULL };

static void hold(struct consumer *c)
{
	set(&c->held, 1);
	wait_for(&c->let_go, 1);
}

static long attach(struct consumer *c, unsigned long first, unsigned long last)
{
	unsigned long nr = last - first + 1;

	pfn_pin_init(&c->pin, &both);
	return pfn_pin_attach_pfns(NULL, &c->pin, PFN(first), &nr);
}

static void attached(struct consumer *c, unsigned long first, unsigned long last)
{
	ASSERT_EQ(attach(c, first, last), last - first + 1);
}

static void detach(struct consumer *c)
{
	pfn_pin_detach(&c->pin);
}

/* Actors */

struct actor {
	pthread_t thread;
	int (*act)(struct actor *a);
	struct consumer *c;
	struct pfn_range *ranges[3];
	struct pfn_part part;
	unsigned long first, last;
	long timeout;
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

static struct pfn_range *range;

static int act_revoke(struct actor *a)
{
	return pfn_range_revoke(a->ranges, 3, a->timeout);
}

static int act_part(struct actor *a)
{
	pfn_part_revoke(&a->part, range, PFN(a->first), PFN(a->last));
	return 0;
}

static int act_part_without_memory(struct actor *a)
{
	shim_fail_from(1);
	return act_part(a);
}

static int act_detach(struct actor *a)
{
	detach(a->c);
	return 0;
}

static int act_unregister(struct actor *a)
{
	pfn_range_unregister(a->ranges[0]);
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

/* Long enough for what must not happen */
static void a_moment(void)
{
	usleep(10000);
}

/* The scene: a provider, and nothing left behind */

static struct dev_pagemap pgmap, nobodys;
static struct page pages[200];
static long allocated;
static unsigned int warnings_expected;

static void before(void)
{
	unsigned int i;

	shim_set_task(42, "unit");
	shim_log_clear();
	events = 0;
	warnings_expected = 0;
	pfn_revoke_patience = 10 * HZ;
	shim_fail_from(0);
	allocated = shim_allocated();
	range = pfn_range_register(PFN(0), PFN(99), "provider");
	pgmap.pfn_range = range;
	for (i = 0; i < 200; i++) {
		pages[i].pfn = PFN(i);
		pages[i].pgmap = i < 100 ? &pgmap : &nobodys;
	}
}

static void after(void)
{
	int ms;

	pfn_range_unregister(range);
	/* The last references are those of works on their way out, and of watchdogs */
	for (ms = 0; ms < 1000 && shim_allocated() != allocated; ms++) {
		shim_advance(pfn_revoke_patience / 40 + 1);
		usleep(1000);
	}
	EXPECT_EQ(shim_allocated(), allocated);
	EXPECT_EQ(shim_warnings(), warnings_expected);
	EXPECT_EQ(shim_sleeping(), 0);
	EXPECT_EQ(shim_pid_references(), 0);
	shim_tracing = false;
	shim_coverage();
}

static int revoke_all(long timeout)
{
	return pfn_range_revoke(&range, 1, timeout);
}

static void revoke_pages(struct pfn_part *part, unsigned long first, unsigned long last)
{
	pfn_part_revoke(part, range, PFN(first), PFN(last));
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
	shim_fail_from(1);
	EXPECT_EQ(PTR_ERR(pfn_range_register(PFN(200), PFN(300), "x")), -ENOMEM);
	EXPECT_EQ(shim_fail_from(0), 1);
}

static void unregister_nothing(void)
{
	struct pfn_range *nothing[2] = {};

	pfn_range_unregister(NULL);
	pfn_range_unregister(ERR_PTR(-ENOMEM));
	EXPECT_EQ(pfn_range_revoke(nothing, 2, 0), 0);
	EXPECT_EQ(pfn_range_revoke(nothing, 0, 0), 0);
}

/* A pin that was revoked keeps the range, which nobody can attach to any more */
static void range_outlives_unregister(void)
{
	struct page *page = &pages[5];
	struct consumer c = {}, late = {};
	struct pfn_part part;

	attached(&c, 0, 0);
	/* One that is not reopened */
	revoke_pages(&part, 5, 5);
	pfn_range_unregister(range);
	range = NULL;
	memset(&part, 0xa5, sizeof(part));
	EXPECT_EQ(c.finishes, 1);
	pfn_pin_init(&late.pin, &both);
	EXPECT_EQ(pfn_pin_attach_pages(NULL, &late.pin, &page, 1), -ENODEV);
	EXPECT_EQ(attach(&late, 5, 5), 0);

	/* The next one is another one */
	range = pfn_range_register(PFN(0), PFN(99), "next");
	ASSERT_TRUE(!IS_ERR(range));
	EXPECT_EQ(pfn_pin_attach_pages(NULL, &late.pin, &page, 1), -ENODEV);
	attached(&late, 5, 5);
	detach(&late);
	detach(&c);
}

/* Attach */

static void attach_pages(void)
{
	struct page *list[8];
	struct consumer c = {}, d = {};
	unsigned int i;

	for (i = 0; i < 8; i++)
		list[i] = &pages[95 + i];
	pfn_pin_init(&c.pin, &both);
	pfn_pin_init(&d.pin, &both);
	/* To the last PFN of the range, although the next one is its neighbour */
	EXPECT_EQ(pfn_pin_attach_pages(NULL, &c.pin, list, 8), 5);
	EXPECT_EQ(pfn_pin_attach_pages(&c.pin, &d.pin, list + 5, 3), -EREMOTEIO);
	EXPECT_TRUE(!pfn_pin_attached(&d.pin));
	/* Up to a gap */
	list[2] = &pages[50];
	EXPECT_EQ(pfn_pin_attach_pages(&c.pin, &d.pin, list, 8), 2);
	EXPECT_TRUE(pfn_pin_attached(&d.pin));
	EXPECT_EQ(pfn_pin_attach_pages(&c.pin, NULL, list, 8), -ENOBUFS);
	detach(&c);
	detach(&d);

	/* A pagemap with somebody else's range */
	list[0] = &pages[150];
	list[0]->pgmap = &pgmap;
	EXPECT_EQ(pfn_pin_attach_pages(NULL, &c.pin, list, 1), -EREMOTEIO);
	list[0]->pfn = PFN(-1);
	EXPECT_EQ(pfn_pin_attach_pages(NULL, &c.pin, list, 1), -EREMOTEIO);
	warnings_expected = 2;
}

static void attach_grows(void)
{
	struct pfn_range *next = pfn_range_register(PFN(100), PFN(109), "next");
	struct pfn_part part;
	struct consumer c = {};
	unsigned long nr = 3;
	long had;

	attached(&c, 10, 12);
	had = shim_allocated();
	EXPECT_EQ(pfn_pin_attach_pfns(&c.pin, NULL, PFN(13), &nr), 3);
	/* Not by what is no neighbour, or a neighbour of somebody else */
	EXPECT_EQ(pfn_pin_attach_pfns(&c.pin, NULL, PFN(9), &nr), -ENOBUFS);
	EXPECT_EQ(pfn_pin_attach_pfns(&c.pin, NULL, PFN(17), &nr), -ENOBUFS);
	EXPECT_EQ(shim_allocated(), had);
	/* What it has grown by is found */
	revoke_pages(&part, 15, 15);
	pfn_part_reopen(&part);
	EXPECT_EQ(c.finishes, 1);
	EXPECT_EQ(pfn_pin_attach_pfns(&c.pin, NULL, PFN(16), &nr), -ENOBUFS);
	detach(&c);

	attached(&c, 99, 99);
	nr = 1;
	EXPECT_EQ(pfn_pin_attach_pfns(&c.pin, NULL, PFN(100), &nr), -ENOBUFS);
	detach(&c);
	pfn_range_unregister(next);
}

#define MANY 20000

static int act_attach(struct actor *a)
{
	struct page *page = &pages[a->first];
	struct consumer c = {};
	int i, err = 0;

	pfn_pin_init(&c.pin, &both);
	for (i = 0; i < MANY && !err; i++) {
		err = pfn_pin_attach_pages(NULL, &c.pin, &page, 1) != 1;
		detach(&c);
	}
	return err;
}

/* How many locks were contended while two threads attached and detached */
static unsigned long attach_beside(unsigned long first, unsigned long second)
{
	struct actor one = { .act = act_attach, .first = first };
	struct actor two = { .act = act_attach, .first = second };
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

	nobodys.pfn_range = next;
	EXPECT_EQ(attach_beside(0, 100), 0);
	/* One provider has one lock: it would have been noticed */
	for (tries = 0; tries < 100; tries++)
		if (attach_beside(0, 50))
			break;
	EXPECT_TRUE(tries < 100);
	nobodys.pfn_range = NULL;
	pfn_range_unregister(next);
}

/* Revoke */

static void revoke_several_providers(void)
{
	struct pfn_range *second = pfn_range_register(PFN(100), PFN(199), "second");
	struct pfn_range *list[] = { range, NULL, second };
	struct consumer a = {}, b = {}, c = {};

	attached(&a, 0, 0);
	attached(&b, 1, 1);
	attached(&c, 100, 100);
	EXPECT_EQ(pfn_range_revoke(list, 3, MAX_SCHEDULE_TIMEOUT), 0);
	EXPECT_EQ(a.finishes + b.finishes + c.finishes, 3);
	/* All of them are asked to stop before the first is waited for */
	EXPECT_LE(b.started, a.finished);
	EXPECT_LE(c.started, a.finished);
	EXPECT_LE(c.started, b.finished);
	detach(&a);
	detach(&b);
	detach(&c);
	pfn_range_unregister(second);
}

static void revoke_concurrent(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor first = { .act = act_part, .first = 0, .last = 9 };
	struct actor second = { .act = act_part, .first = 5, .last = 20 };

	attached(&c, 0, 20);
	begin(&first);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&second);
	EXPECT_TRUE(asleep(2));
	EXPECT_EQ(get(&second.returned), 0);
	set(&c.let_go, 1);
	end(&first);
	end(&second);
	EXPECT_EQ(c.finishes, 1);
	EXPECT_LE(c.finished, second.when);
	detach(&c);
	pfn_part_reopen(&first.part);
	EXPECT_EQ(attach(&c, 5, 5), -ENODEV);
	EXPECT_EQ(attach(&c, 4, 4), 1);
	detach(&c);
	pfn_part_reopen(&second.part);
}

/* A part waits for what is in it, whoever has claimed it, and for nothing else */
static void part_has_nothing_to_do_with_others(void)
{
	struct consumer p = { .on_finish = hold }, z = { .on_finish = hold };
	struct actor all = { .act = act_revoke, .ranges = { range }, .timeout = MAX_SCHEDULE_TIMEOUT };
	struct actor low = { .act = act_part, .first = 0, .last = 9 };

	attached(&p, 5, 5);
	attached(&z, 15, 15);
	begin(&all);
	ASSERT_TRUE(wait_for(&p.held, 1));
	begin(&low);
	EXPECT_TRUE(asleep(2));
	set(&p.let_go, 1);
	ASSERT_TRUE(wait_for(&z.held, 1));
	end(&low);
	EXPECT_EQ(get(&all.returned), 0);
	set(&z.let_go, 1);
	end(&all);
	detach(&p);
	detach(&z);
}

/* The same, and it leaves by a detach */
static void part_is_left_by_detach(void)
{
	struct consumer p = {}, z = { .on_finish = hold };
	struct actor all = { .act = act_revoke, .ranges = { range }, .timeout = MAX_SCHEDULE_TIMEOUT };
	struct actor low = { .act = act_part, .first = 5, .last = 9 };

	attached(&z, 1, 1);
	attached(&p, 5, 5);
	/* The finish of z is in the way of that of p, as there is no memory for a worker */
	begin(&all);
	ASSERT_TRUE(wait_for(&z.held, 1));
	low.act = act_part_without_memory;
	begin(&low);
	EXPECT_TRUE(asleep(2));
	EXPECT_EQ(get(&low.returned), 0);
	detach(&p);
	end(&low);
	EXPECT_EQ(p.finishes, 0);
	EXPECT_EQ(get(&all.returned), 0);
	set(&z.let_go, 1);
	end(&all);
	detach(&z);
}

static void unregister_waits(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor u = { .act = act_unregister, .ranges = { range } };

	attached(&c, 0, 0);
	begin(&u);
	ASSERT_TRUE(wait_for(&c.held, 1));
	EXPECT_TRUE(asleep(1));
	EXPECT_EQ(get(&u.returned), 0);
	set(&c.let_go, 1);
	end(&u);
	range = NULL;
	detach(&c);
}

static void part_refusals(void)
{
	struct pfn_part part;

	revoke_pages(&part, 1, 0);
	pfn_part_reopen(&part);
	revoke_pages(&part, -1, 5);
	pfn_part_reopen(&part);
	revoke_pages(&part, 50, 100);
	pfn_part_reopen(&part);
	warnings_expected = 3;
}

/* Bounds */

static void bound_is_kept(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor a = { .act = act_revoke, .ranges = { range }, .timeout = 3 * HZ };
	struct actor b = { .act = act_revoke, .ranges = { range }, .timeout = MAX_SCHEDULE_TIMEOUT };

	attached(&c, 0, 0);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	EXPECT_TRUE(asleep(1));
	shim_advance(3 * HZ - 1);
	a_moment();
	EXPECT_EQ(get(&a.returned), 0);
	shim_advance(1);
	end(&a);
	EXPECT_EQ(a.ret, -ETIMEDOUT);
	EXPECT_EQ(revoke_all(0), -ETIMEDOUT);
	EXPECT_EQ(attach(&(struct consumer){}, 50, 50), -ENODEV);

	begin(&b);
	EXPECT_TRUE(asleep(1));
	EXPECT_EQ(get(&b.returned), 0);
	set(&c.let_go, 1);
	end(&b);
	EXPECT_EQ(b.ret, 0);
	EXPECT_EQ(c.starts + c.finishes, 2);
	EXPECT_EQ(revoke_all(0), 0);
	detach(&c);
}

/* The bound is one for all ranges, and a range that is through has its say */
static void bound_of_several(void)
{
	struct pfn_range *second = pfn_range_register(PFN(100), PFN(199), "second");
	struct consumer c = { .on_finish = hold }, d = { .on_finish = hold };
	struct actor a = { .act = act_revoke, .ranges = { range, NULL, second }, .timeout = 4 * HZ };

	attached(&c, 0, 0);
	attached(&d, 100, 100);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	ASSERT_TRUE(wait_for(&d.held, 1));
	shim_advance(3 * HZ);
	set(&c.let_go, 1);
	a_moment();
	EXPECT_EQ(get(&a.returned), 0);
	shim_advance(HZ);
	end(&a);
	EXPECT_EQ(a.ret, -ETIMEDOUT);
	set(&d.let_go, 1);
	EXPECT_EQ(pfn_range_revoke(a.ranges, 3, MAX_SCHEDULE_TIMEOUT), 0);
	detach(&c);
	detach(&d);
	pfn_range_unregister(second);
}

/* Detach */

static void detach_waits(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor a = { .act = act_part, .first = 0, .last = 9 };
	struct actor d = { .act = act_detach, .c = &c };

	attached(&c, 0, 0);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&d);
	EXPECT_TRUE(asleep(2));
	EXPECT_EQ(get(&d.returned), 0);
	set(&c.let_go, 1);
	end(&d);
	end(&a);
	EXPECT_LE(c.finished, d.when);
	pfn_part_reopen(&a.part);
}

/* It is woken for its own callback: its finish is behind one that is stuck */
static void detach_waits_for_start(void)
{
	struct consumer c = { .on_start = hold }, stuck = { .on_finish = hold };
	struct actor first = { .act = act_part, .first = 50, .last = 50 };
	struct actor a = { .act = act_part_without_memory, .first = 0, .last = 9 };
	struct actor d = { .act = act_detach, .c = &c };

	attached(&c, 0, 0);
	attached(&stuck, 50, 50);
	begin(&first);
	ASSERT_TRUE(wait_for(&stuck.held, 1));
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&d);
	EXPECT_TRUE(asleep(2));
	EXPECT_EQ(get(&d.returned), 0);
	set(&c.let_go, 1);
	end(&d);
	end(&a);
	EXPECT_EQ(c.finishes, 0);
	EXPECT_EQ(get(&stuck.finished), 0);
	set(&stuck.let_go, 1);
	end(&first);
	detach(&stuck);
	pfn_part_reopen(&first.part);
	pfn_part_reopen(&a.part);
}

/* Started, its finish is due behind a stranger's: it does not wait for that */
static void detach_takes_out(void)
{
	struct consumer c = { .on_finish = hold }, late = {}, last = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };

	attached(&c, 0, 0);
	attached(&late, 1, 1);
	attached(&last, 2, 2);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	detach(&late);
	memset(&late.pin, 0xa5, sizeof(late.pin));
	set(&c.let_go, 1);
	end(&a);
	EXPECT_EQ(late.starts, 1);
	EXPECT_EQ(late.finishes, 0);
	EXPECT_EQ(last.finishes, 1);
	detach(&c);
	detach(&last);
	pfn_part_reopen(&a.part);
}

/* Nor for a stranger's start */
static void detach_before_start(void)
{
	struct consumer c = { .on_start = hold }, late = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };

	attached(&c, 0, 0);
	attached(&late, 1, 1);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	detach(&late);
	memset(&late.pin, 0xa5, sizeof(late.pin));
	set(&c.let_go, 1);
	end(&a);
	EXPECT_EQ(late.starts + late.finishes, 0);
	detach(&c);
	pfn_part_reopen(&a.part);
}

static int written;			/* plainly: TSan is to object */
static int wrote;

static void write_plainly(struct consumer *c)
{
	(void)c;
	written++;
	/* Nothing in here may order one thread before the other */
	__atomic_store_n(&wrote, 1, __ATOMIC_RELAXED);
}

/* The lock orders what the callback did before a detach that does not wait */
static void detach_sees_what_finish_did(void)
{
	struct consumer c = { .on_finish = write_plainly };
	struct actor a = { .act = act_part, .first = 0, .last = 9 };
	int ms;

	attached(&c, 0, 0);
	written = wrote = 0;
	begin(&a);
	for (ms = 0; ms < LIMIT && !__atomic_load_n(&wrote, __ATOMIC_RELAXED); ms++)
		usleep(1000);
	a_moment();
	detach(&c);
	written++;
	EXPECT_EQ(written, 2);
	end(&a);
	pfn_part_reopen(&a.part);
}

static void detach_another(struct consumer *c)
{
	detach(c->other);
}

static void detach_in_callback(void)
{
	struct consumer other = {}, c = { .on_start = detach_another, .other = &other };
	struct pfn_part part;

	attached(&other, 50, 50);
	attached(&c, 0, 0);
	revoke_pages(&part, 0, 0);
	/* Forbidden: lockdep's map says so */
	warnings_expected = 1;
	detach(&c);
	pfn_part_reopen(&part);
}

static struct pfn_range *another;

static void revoke_another(struct consumer *c)
{
	(void)c;
	pfn_range_revoke(&another, 1, 0);
}

static void revoke_in_callback(void)
{
	struct consumer c = { .on_start = revoke_another }, d = { .on_finish = revoke_another };

	another = pfn_range_register(PFN(200), PFN(200), "another");
	attached(&c, 0, 0);
	attached(&d, 1, 1);
	EXPECT_EQ(revoke_all(MAX_SCHEDULE_TIMEOUT), 0);
	warnings_expected = 2;
	detach(&c);
	detach(&d);
	pfn_range_unregister(another);
}

/* Its memory is gone as soon as the detach has returned */
static int act_come_and_go(struct actor *a)
{
	struct consumer *c;
	int i;

	for (i = 0; i < 3000; i++) {
		c = calloc(1, sizeof(*c));
		if (attach(c, 0, 0) == 1)
			a->ret++;
		detach(c);
		free(c);
	}
	return a->ret;
}

static void detach_frees(void)
{
	struct actor a[2] = { { .act = act_come_and_go }, { .act = act_come_and_go } };
	struct pfn_part part;

	begin(&a[0]);
	begin(&a[1]);
	while (!get(&a[0].returned) || !get(&a[1].returned)) {
		revoke_pages(&part, 0, 9);
		pfn_part_reopen(&part);
		usleep(10);
	}
	end(&a[0]);
	end(&a[1]);
	EXPECT_GE(a[0].ret + a[1].ret, 1);
}

/* Stuck consumers */

static void stuck_is_named(void)
{
	struct consumer c = { .on_finish = hold };
	struct actor a = { .act = act_part, .first = 0, .last = 9 };

	attached(&c, 4, 7);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	shim_advance(HZ - 1);
	EXPECT_EQ(shim_logged(""), 0);
	shim_advance(HZ / 2);
	EXPECT_EQ(shim_logged("finish of unit (pid 42, unit) has held up the revocation for 1 seconds: PFNs 0x100004-0x100007 of provider"), 1);
	shim_pid_dies(42, true);
	shim_advance(10 * HZ);
	shim_pid_dies(42, false);
	EXPECT_EQ(shim_logged("finish of unit (pid 0, ) has held up the revocation for 11 seconds"), 1);
	EXPECT_EQ(shim_logged(""), 2);
	set(&c.let_go, 1);
	end(&a);
	shim_advance(60 * HZ);
	EXPECT_EQ(shim_logged(""), 2);
	detach(&c);
	pfn_part_reopen(&a.part);
}

static void stuck_start(void)
{
	struct consumer c = { .on_start = hold }, late = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };

	attached(&c, 4, 4);
	attached(&late, 9, 9);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	shim_advance(2 * HZ);
	EXPECT_EQ(shim_logged("start of unit (pid 42, unit) has held up"), 1);
	EXPECT_EQ(get(&late.starts), 0);
	set(&c.let_go, 1);
	end(&a);
	EXPECT_EQ(late.finishes, 1);
	detach(&c);
	detach(&late);
	pfn_part_reopen(&a.part);
}

static void stuck_is_overtaken(void)
{
	struct consumer c[5] = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };
	unsigned int works;
	int i;

	c[0].on_finish = hold;
	c[2].on_finish = hold;
	for (i = 0; i < 5; i++)
		attached(&c[i], i, i);
	begin(&a);
	ASSERT_TRUE(wait_for(&c[0].held, 1));
	shim_advance(9 * HZ);
	a_moment();
	EXPECT_EQ(get(&c[1].finishes), 0);
	/* There is no memory for a while */
	shim_fail_from(1);
	shim_advance(2 * HZ);
	EXPECT_GE(shim_fail_from(0), 2);
	EXPECT_EQ(get(&c[1].finishes), 0);
	shim_advance(HZ / 2);
	ASSERT_TRUE(wait_for(&c[1].finishes, 1));
	/* The worker meets the next one that is stuck */
	ASSERT_TRUE(wait_for(&c[2].held, 1));
	shim_advance(9 * HZ);
	a_moment();
	EXPECT_EQ(get(&c[3].finishes), 0);
	shim_advance(2 * HZ);
	EXPECT_TRUE(wait_for(&c[3].finishes, 1));
	EXPECT_TRUE(wait_for(&c[4].finishes, 1));
	/* Nobody is left: no worker for nothing */
	works = shim_works();
	shim_advance(30 * HZ);
	EXPECT_EQ(shim_works(), works);
	EXPECT_EQ(get(&a.returned), 0);
	set(&c[0].let_go, 1);
	a_moment();
	EXPECT_EQ(get(&a.returned), 0);
	set(&c[2].let_go, 1);
	end(&a);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(c[i].finishes, 1);
		detach(&c[i]);
	}
	pfn_part_reopen(&a.part);
}

static void stuck_beside_one_that_moves(void)
{
	struct consumer c[5] = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };
	int i;

	for (i = 0; i < 5; i++) {
		c[i].on_finish = i < 3 ? hold : NULL;
		attached(&c[i], i, i);
	}
	begin(&a);
	ASSERT_TRUE(wait_for(&c[0].held, 1));
	shim_advance(11 * HZ);
	ASSERT_TRUE(wait_for(&c[1].held, 1));
	shim_advance(5 * HZ);
	set(&c[0].let_go, 1);
	ASSERT_TRUE(wait_for(&c[2].held, 1));
	/* The second worker is stuck by now, the first one is not: it will go on */
	shim_advance(6 * HZ);
	a_moment();
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
	pfn_part_reopen(&a.part);
}

/* One that has been stuck for long is not waited for again */
static void stuck_since_before(void)
{
	struct consumer c = { .on_finish = hold }, d = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };
	struct pfn_part part;

	attached(&c, 0, 0);
	attached(&d, 10, 10);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	shim_advance(30 * HZ);
	revoke_pages(&part, 10, 10);
	EXPECT_EQ(d.finishes, 1);
	EXPECT_EQ(get(&c.finished), 0);
	pfn_part_reopen(&part);
	detach(&d);
	set(&c.let_go, 1);
	end(&a);
	detach(&c);
	pfn_part_reopen(&a.part);
}

/* Then the work of the range is queued behind itself, until the watchdog has memory */
static void stuck_without_memory(void)
{
	struct consumer c = { .on_finish = hold }, d = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };
	struct actor b = { .act = act_part_without_memory, .first = 10, .last = 10 };

	attached(&c, 0, 0);
	attached(&d, 10, 10);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&b);
	EXPECT_TRUE(asleep(2));
	a_moment();
	EXPECT_EQ(get(&d.finishes), 0);
	shim_advance(11 * HZ);
	end(&b);
	EXPECT_EQ(d.finishes, 1);
	set(&c.let_go, 1);
	end(&a);
	detach(&c);
	detach(&d);
	pfn_part_reopen(&a.part);
	pfn_part_reopen(&b.part);
}

/* What runs is no worker: the work of the range is free */
static void stuck_start_of_another(void)
{
	struct consumer c = { .on_start = hold }, d = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };
	struct actor b = { .act = act_part_without_memory, .first = 10, .last = 10 };

	attached(&c, 0, 0);
	attached(&d, 10, 10);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	begin(&b);
	end(&b);
	EXPECT_EQ(d.finishes, 1);
	EXPECT_EQ(get(&c.finishes), 0);
	set(&c.let_go, 1);
	end(&a);
	detach(&c);
	detach(&d);
	pfn_part_reopen(&a.part);
	pfn_part_reopen(&b.part);
}

static void stuck_impatient(void)
{
	struct consumer c = { .on_finish = hold }, late = {};
	struct actor a = { .act = act_part, .first = 0, .last = 9 };

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
	pfn_part_reopen(&a.part);
}

/* Telling who holds what */

/* The tests before have moved the clock */
static void hide_since(char *text)
{
	static const char key[] = "since=";
	char *at = text, *end;

	while ((at = strstr(at, key))) {
		at += strlen(key);
		end = at + strspn(at, "0123456789.");
		memmove(at + strlen("SINCE"), end, strlen(end) + 1);
		memcpy(at, "SINCE", strlen("SINCE"));
	}
}

static bool says(const char *want)
{
	static char text[4096];
	unsigned int chunk;
	bool same = true;

	/* However it is cut into pieces */
	for (chunk = 1; chunk < 6; chunk++) {
		shim_debugfs_read(text, sizeof(text), chunk);
		hide_since(text);
		same = same && !strcmp(text, want);
	}
	if (!same)
		fprintf(stderr, "# instead of\n%s# there is\n%s", want, text);
	return same;
}

static void told(void)
{
	struct pfn_range *second = pfn_range_register(PFN(200), PFN(209), "\"second\" \\ one");
	struct consumer a = {}, b = {}, c = {};
	struct pfn_part part;

	EXPECT_TRUE(says("range start=0x100000000 end=0x100063fff state=open pins=0 provider=\"provider\"\n"
			 "range start=0x1000c8000 end=0x1000d1fff state=open pins=0 provider=\"\\042second\\042 \\134 one\"\n"));
	attached(&b, 40, 49);
	shim_set_task(43, "other");
	attached(&a, 40, 41);
	pfn_pin_init(&c.pin, &none);
	ASSERT_EQ(pfn_pin_attach_pfns(NULL, &c.pin, PFN(205), &(unsigned long){ 1 }), 1);
	shim_set_task(42, "unit");
	revoke_pages(&part, 49, 60);
	shim_pid_dies(43, true);
	EXPECT_TRUE(says("range start=0x100000000 end=0x100063fff state=part pins=2 provider=\"provider\"\n"
			 "pin start=0x100028000 end=0x100029fff bytes=8192 state=attached since=SINCE pid=0 consumer=\"unit\" comm=\"\"\n"
			 "pin start=0x100028000 end=0x100031fff bytes=40960 state=revoked since=SINCE pid=42 consumer=\"unit\" comm=\"unit\"\n"
			 "range start=0x1000c8000 end=0x1000d1fff state=open pins=1 provider=\"\\042second\\042 \\134 one\"\n"
			 "pin start=0x1000cd000 end=0x1000cdfff bytes=4096 state=attached since=SINCE pid=0 consumer=\"none\" comm=\"\"\n"));
	shim_pid_dies(43, false);
	detach(&a);
	detach(&b);
	EXPECT_EQ(revoke_all(0), 0);
	pfn_range_unregister(second);
	detach(&c);
	EXPECT_TRUE(says("range start=0x100000000 end=0x100063fff state=closed pins=0 provider=\"provider\"\n"));
}

static struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
static struct pfn_revoke_entry entry;

static bool told_range(unsigned long first, unsigned long last, const char *state, unsigned long pins)
{
	return pfn_revoke_next(&cursor, &entry) && !entry.is_pin && entry.first == PFN(first) &&
	       entry.last == PFN(last) && !strcmp(entry.state, state) && entry.pins == pins;
}

static bool told_pin(unsigned long first, unsigned long last, const char *state)
{
	return pfn_revoke_next(&cursor, &entry) && entry.is_pin && entry.first == PFN(first) &&
	       entry.last == PFN(last) && !strcmp(entry.state, state) && !strcmp(entry.consumer, "unit");
}

static void told_in_callback(void)
{
	struct consumer c = { .on_start = hold }, d = { .on_finish = hold };
	struct actor a = { .act = act_part, .first = 0, .last = 9 };

	attached(&c, 0, 0);
	attached(&d, 1, 1);
	begin(&a);
	ASSERT_TRUE(wait_for(&c.held, 1));
	EXPECT_TRUE(told_range(0, 99, "revoking", 2));
	EXPECT_TRUE(told_pin(0, 0, "revoking"));
	set(&c.let_go, 1);
	ASSERT_TRUE(wait_for(&d.held, 1));
	EXPECT_TRUE(told_pin(1, 1, "revoking"));
	/* What became another thing meanwhile is told as what it is now */
	EXPECT_TRUE(told_pin(0, 0, "revoked"));
	EXPECT_TRUE(!pfn_revoke_next(&cursor, &entry));
	set(&d.let_go, 1);
	end(&a);
	detach(&c);
	detach(&d);
	EXPECT_TRUE(told_range(0, 99, "part", 0));
	pfn_revoke_end_walk(&cursor);
	pfn_revoke_end_walk(&cursor);
	pfn_part_reopen(&a.part);
}

/* A walk keeps the range that it is in, and nothing else */
static void told_when_it_goes(void)
{
	struct pfn_range *second = pfn_range_register(PFN(200), PFN(209), "second");
	struct consumer c = {};

	attached(&c, 0, 0);
	EXPECT_TRUE(told_range(0, 99, "open", 1));
	pfn_range_unregister(range);
	range = NULL;
	EXPECT_TRUE(told_pin(0, 0, "revoked"));
	detach(&c);
	EXPECT_TRUE(told_range(200, 209, "open", 0));
	pfn_range_unregister(second);
	EXPECT_TRUE(!pfn_revoke_next(&cursor, &entry));
	EXPECT_TRUE(!pfn_revoke_next(&cursor, &entry));
}

static void traced(void)
{
	struct consumer c = {}, d = {}, e = {};
	unsigned int attaches = shim_traced("pfn_pin_attach"), detaches = shim_traced("pfn_pin_detach");
	unsigned int starts = shim_traced("pfn_pin_start"), finishes = shim_traced("pfn_pin_finish");
	unsigned int begins = shim_traced("pfn_revoke_begin"), ends = shim_traced("pfn_revoke_end");
	struct pfn_part part;

	shim_tracing = true;
	attached(&c, 0, 0);
	EXPECT_EQ(pfn_pin_attach_pfns(&c.pin, NULL, PFN(1), &(unsigned long){ 1 }), 1);
	attached(&d, 5, 5);
	attached(&e, 50, 50);
	revoke_pages(&part, 0, 9);
	detach(&c);
	detach(&d);
	detach(&e);
	shim_tracing = false;
	EXPECT_EQ(shim_traced("pfn_pin_attach"), attaches + 4);
	EXPECT_EQ(shim_traced("pfn_pin_detach"), detaches + 3);
	EXPECT_EQ(shim_traced("pfn_pin_start"), starts + 2);
	EXPECT_EQ(shim_traced("pfn_pin_finish"), finishes + 2);
	EXPECT_EQ(shim_traced("pfn_revoke_begin"), begins + 1);
	EXPECT_EQ(shim_traced("pfn_revoke_end"), ends + 1);
	pfn_part_reopen(&part);
}

#define TEST(name) { #name, name, 0 }
static const struct tap_test tests[] = {
	TEST(register_refusals),
	TEST(register_without_memory),
	TEST(unregister_nothing),
	TEST(range_outlives_unregister),
	TEST(attach_pages),
	TEST(attach_grows),
	TEST(attach_shares_no_lock),
	TEST(revoke_several_providers),
	TEST(revoke_concurrent),
	TEST(part_has_nothing_to_do_with_others),
	TEST(part_is_left_by_detach),
	TEST(unregister_waits),
	TEST(part_refusals),
	TEST(bound_is_kept),
	TEST(bound_of_several),
	TEST(detach_waits),
	TEST(detach_waits_for_start),
	TEST(detach_takes_out),
	TEST(detach_before_start),
	TEST(detach_sees_what_finish_did),
	TEST(detach_in_callback),
	TEST(revoke_in_callback),
	TEST(detach_frees),
	TEST(stuck_is_named),
	TEST(stuck_start),
	TEST(stuck_is_overtaken),
	TEST(stuck_beside_one_that_moves),
	TEST(stuck_since_before),
	TEST(stuck_without_memory),
	TEST(stuck_start_of_another),
	TEST(stuck_impatient),
	TEST(told),
	TEST(told_in_callback),
	TEST(told_when_it_goes),
	TEST(traced),
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = { "native-unit", tests, NULL, before, after };

	return tap_main(argc, argv, &suite);
}
