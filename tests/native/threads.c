// SPDX-License-Identifier: GPL-2.0
/*
 * threads [SEED [ROUNDS]]: providers that take memory back under consumers. TAP.
 *
 * Every consumer has a word of its own in every page and writes to it as long as
 * it may. A provider that has revoked pages writes to all their words, without
 * a lock that a consumer takes. If a consumer still writes then, or nothing
 * orders its last write before the revoke's return, TSan sees a data race; and
 * without TSan the consumer finds the provider's mark.
 *
 * Look-ups are GUP's: read the PTE, take a reference, read it again. Between
 * any two steps the task may be sent to sleep.
 */
#include <linux/pfn_revoke.h>
#include <linux/refcount.h>
#include <shim.h>

#include "pfn_revoke.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGES		24
#define PROVIDERS	2
#define PER_PROVIDER	(PAGES / PROVIDERS)
#define CONSUMERS	6
#define REVOKERS	2
#define BASE		0x5000UL
#define PFN(n)		(BASE + (n))
#define TAKEN		0xdeadL

/* Memory: plain words, so that TSan watches them */
static long memory[PAGES][CONSUMERS];
static int mapped[PAGES];		/* the PTE */
static int refs[PAGES];			/* of the page, without the mapping's */

static unsigned long rounds;
static unsigned long long seed;
static int stop, failed;
static unsigned long attaches, refusals, revokes, revoked, inside, entries;

#define count(x) __atomic_add_fetch(&(x), 1, __ATOMIC_RELAXED)
#define load(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define store(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

static void wrong(const char *what, long a, long b)
{
	static const char text[] = "not ok 1 threads\n";

	if (__atomic_exchange_n(&failed, 1, __ATOMIC_SEQ_CST))
		return;
	fprintf(stderr, "# wrong: %s (%ld, %ld); again: threads %llu %lu\n", what, a, b, seed, rounds);
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* A mix in which one of these never happens tests less than it says */
static bool mixed(void)
{
	return load(attaches) && load(refusals) && load(revoked) && load(inside) && shim_works() &&
	       load(entries);
}

/* Random numbers, a state per thread */

static __thread uint64_t state;

static unsigned int any(unsigned int below)
{
	uint64_t x = state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (x ^ x >> 31) % below;
}

/*
 * Short sleeps and no sched_yield(): where other programs are busy that gives all
 * of them a turn first, and little happens.
 */
static void maybe_wait(void)
{
	switch (any(8)) {
	case 0:
		usleep(any(50));
		break;
	case 1:
	case 2:
		usleep(1);
		break;
	}
}

/* Consumers */

struct consumer {
	int me;
	pthread_mutex_t lock;		/* shared with the callbacks */
	struct pfn_pin *pin;		/* under lock; NULL: somebody detaches it */
	bool fenced, holds;		/* under lock */
	unsigned int first, last;
	bool detach_in_start, detach_in_finish;
	unsigned int slow;		/* us in finish */
	int alive;			/* callbacks are legal */
	int busy;			/* somebody detaches, from inside */
};

static void let_go(struct consumer *c)
{
	unsigned int page;

	for (page = c->first; page <= c->last; page++)
		if (__atomic_sub_fetch(&refs[page], 1, __ATOMIC_RELAXED) < 0)
			wrong("unpinned twice", page, c->me);
	c->holds = false;
}

static void detach_here(struct consumer *c)
{
	struct pfn_pin *pin;

	pthread_mutex_lock(&c->lock);
	pin = c->pin;
	c->pin = NULL;
	if (pin && c->holds)
		let_go(c);
	pthread_mutex_unlock(&c->lock);
	if (!pin)
		return;
	count(inside);
	pfn_pin_detach(pin);
	store(c->alive, 0);
	store(c->busy, 0);
}

static void on_start(void *priv)
{
	struct consumer *c = priv;

	if (!load(c->alive))
		wrong("start after the detach", c->me, 0);
	pthread_mutex_lock(&c->lock);
	c->fenced = true;
	pthread_mutex_unlock(&c->lock);
	if (c->detach_in_start)
		detach_here(c);
}

static void on_finish(void *priv)
{
	struct consumer *c = priv;

	if (!load(c->alive))
		wrong("finish after the detach", c->me, 0);
	if (c->slow)
		usleep(c->slow);
	pthread_mutex_lock(&c->lock);
	if (c->holds)
		let_go(c);
	pthread_mutex_unlock(&c->lock);
	count(revoked);
	if (c->detach_in_finish)
		detach_here(c);
}

static const struct pfn_pin_ops ops = { "threads", on_start, on_finish };

/* GUP-fast: the reference may come long after the PTE was read */
static bool look_up(unsigned int page)
{
	if (!load(mapped[page]))
		return false;
	maybe_wait();
	__atomic_add_fetch(&refs[page], 1, __ATOMIC_RELAXED);
	if (load(mapped[page]))
		return true;
	__atomic_sub_fetch(&refs[page], 1, __ATOMIC_RELAXED);
	return false;
}

static void use(struct consumer *c)
{
	unsigned int page, n;

	for (n = any(2) ? any(60) : any(4); n; n--) {
		pthread_mutex_lock(&c->lock);
		for (page = c->first; c->holds && page <= c->last; page++) {
			if (memory[page][c->me] == TAKEN)
				wrong("used memory that was taken back", page, c->me);
			memory[page][c->me] = n;
		}
		pthread_mutex_unlock(&c->lock);
		maybe_wait();
	}
}

static void consume(struct consumer *c)
{
	struct pfn_pin *pin;
	unsigned int page, pinned;
	u64 gen;
	int err;

	c->pin = pin = pfn_pin_alloc(&ops, c, GFP_KERNEL);
	if (IS_ERR(pin))
		wrong("pfn_pin_alloc", PTR_ERR(pin), 0);
	c->fenced = c->holds = false;
	/* It has to be held before its callback may detach: after the attach */
	c->detach_in_start = !any(6);
	c->detach_in_finish = !any(6);
	c->slow = any(6) ? 0 : 6000;
	store(c->busy, c->detach_in_start || c->detach_in_finish);
	store(c->alive, 1);

	c->first = any(PAGES);
	c->last = c->first + any(6);
	if (c->last >= PAGES)
		c->last = PAGES - 1;

	gen = pfn_pin_begin();
	maybe_wait();
	for (page = c->first, pinned = 0; page <= c->last && look_up(page); page++)
		pinned++;
	maybe_wait();
	if (pinned) {
		c->last = c->first + pinned - 1;
		/* Page by page at times, which merges runs, or leaves some behind */
		pthread_mutex_lock(&c->lock);
		if (any(2)) {
			err = pfn_pin_attach(pin, PFN(c->first), PFN(c->last), gen);
		} else {
			for (page = c->first, err = 0; page <= c->last && !err; page++)
				err = pfn_pin_attach(pin, PFN(page), PFN(page), gen);
		}
		c->holds = true;
		/*
		 * Fenced: it was claimed, its finish may have been through before
		 * we had anything; then nobody else lets go.
		 */
		if (err || c->fenced)
			let_go(c);
		pthread_mutex_unlock(&c->lock);
		if (err)
			count(refusals);
		else
			count(attaches);
		use(c);
	}

	pthread_mutex_lock(&c->lock);
	pin = c->pin;
	c->pin = NULL;
	if (pin && c->holds)
		let_go(c);
	pthread_mutex_unlock(&c->lock);
	if (pin) {
		pfn_pin_detach(pin);
		store(c->alive, 0);
	} else {
		while (load(c->busy))
			sched_yield();
	}
	if (c->holds)
		wrong("still holds what it detached", c->me, 0);
}

static void *consumer_main(void *arg)
{
	static struct consumer consumers[CONSUMERS];
	long me = (long)arg;
	struct consumer *c = &consumers[me];
	unsigned long n;

	shim_set_task(100, "consumer");
	state = seed * 1000 + me;
	c->me = me;
	pthread_mutex_init(&c->lock, NULL);
	for (n = 0; n < rounds * 4 || !load(stop); n++) {
		consume(c);
		maybe_wait();
	}
	return NULL;
}

/* Providers */

static void set_mapped(unsigned int first, unsigned int last, int value)
{
	for (; first <= last; first++)
		store(mapped[first], value);
}

/* The memory is the provider's alone. It writes without any lock */
static void exclusive(unsigned int first, unsigned int last)
{
	unsigned int page, i;

	for (page = first; page <= last; page++) {
		for (i = 0; i < CONSUMERS; i++)
			memory[page][i] = TAKEN;
	}
	maybe_wait();
	for (page = first; page <= last; page++) {
		for (i = 0; i < CONSUMERS; i++) {
			if (memory[page][i] != TAKEN)
				wrong("written after the revoke returned", page, memory[page][i]);
			memory[page][i] = 0;
		}
	}
}

static void *provider_main(void *arg)
{
	unsigned int low = (long)arg * PER_PROVIDER, high = low + PER_PROVIDER - 1;
	time_t end = time(NULL) + 30;
	struct pfn_range *range;
	unsigned long n;
	int err;

	shim_set_task(200, "provider");
	state = seed * 1000 + 500 + low;
	range = pfn_range_register(PFN(low), PFN(high), "provider");
	if (IS_ERR(range))
		wrong("pfn_range_register", PTR_ERR(range), low);
	set_mapped(low, high, 1);

	for (n = 0; n < rounds || (!mixed() && time(NULL) < end); n++) {
		unsigned int first = low + any(PER_PROVIDER), last = first + any(PER_PROVIDER);

		if (last > high)
			last = high;
		if (!any(6)) {
			/* Unbind, and bind again at the same address */
			set_mapped(low, high, 0);
			pfn_range_unregister(range);
			exclusive(low, high);
			range = pfn_range_register(PFN(low), PFN(high), "provider");
			if (IS_ERR(range))
				wrong("pfn_range_register", PTR_ERR(range), low);
			set_mapped(low, high, 1);
			continue;
		}
		set_mapped(first, last, 0);
		maybe_wait();
		err = pfn_revoke_range(PFN(first), PFN(last));
		if (err)
			wrong("pfn_revoke_range", err, first);
		count(revokes);
		exclusive(first, last);
		/* A broadcast of somebody else may be under way */
		while ((err = pfn_reopen_range(PFN(first), PFN(last))) == -EBUSY)
			sched_yield();
		if (err)
			wrong("pfn_reopen_range", err, first);
		set_mapped(first, last, 1);
		usleep(any(300));
	}
	set_mapped(low, high, 0);
	pfn_range_unregister(range);
	return NULL;
}

/* Reads all of /proc/pfn_revoke, or the beginning */
static void walk(void)
{
	struct pfn_revoke_cursor cursor = {};
	struct pfn_revoke_entry entry;
	unsigned int left = any(2) ? 1000 : any(20);

	while (left-- && pfn_revoke_next(&cursor, &entry)) {
		count(entries);
		if (entry.first > entry.last || entry.first < BASE || entry.last >= BASE + PAGES)
			wrong("a walk tells nonsense", entry.first, entry.last);
		if (entry.is_pin && entry.pid != 100)
			wrong("a run of somebody else", entry.pid, 0);
		maybe_wait();
	}
	pfn_revoke_end_walk(&cursor);
}

/* Revokes what it likes, across providers, without a thought for anybody */
static void *revoker_main(void *arg)
{
	unsigned long last;
	int err;

	shim_set_task(300, "revoker");
	state = seed * 1000 + 900 + (long)arg;
	while (!load(stop)) {
		unsigned int first = any(PAGES);

		err = pfn_revoke_range(PFN(first), PFN(first + any(PAGES)));
		if (err && err != -ENOENT)
			wrong("pfn_revoke_range", err, first);
		pfn_range_extent(PFN(any(PAGES)), pfn_pin_begin(), &last);
		walk();
		usleep(any(400));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t providers[PROVIDERS], consumers[CONSUMERS], revokers[REVOKERS];
	unsigned int page;
	long i;

	rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 300;
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (unsigned long long)time(NULL);
	if (argc > 3 || !rounds) {
		fprintf(stderr, "usage: threads [SEED [ROUNDS]], numbers; ROUNDS at least 1\n");
		return 2;
	}
	printf("1..1\n# seed %llu, %lu rounds\n", seed, rounds);
	fflush(stdout);
	/* Long after anything in here should have come to its end */
	shim_deadline("threads", 60 + rounds / 10);
	pfn_revoke_patience = 2;
	shim_clock_runs(true);
	shim_tracing = seed & 1;

	for (i = 0; i < PROVIDERS; i++)
		pthread_create(&providers[i], NULL, provider_main, (void *)i);
	for (i = 0; i < CONSUMERS; i++)
		pthread_create(&consumers[i], NULL, consumer_main, (void *)i);
	for (i = 0; i < REVOKERS; i++)
		pthread_create(&revokers[i], NULL, revoker_main, (void *)i);
	for (i = 0; i < PROVIDERS; i++)
		pthread_join(providers[i], NULL);
	store(stop, 1);
	for (i = 0; i < REVOKERS; i++)
		pthread_join(revokers[i], NULL);
	for (i = 0; i < CONSUMERS; i++)
		pthread_join(consumers[i], NULL);

	rcu_barrier();
	for (page = 0; page < PAGES; page++)
		if (refs[page])
			wrong("references left on a page", page, refs[page]);
	if (shim_allocated())
		wrong("objects are left", shim_allocated(), 0);
	if (shim_warnings() || shim_pid_references())
		wrong("warnings, or references to processes", shim_pid_references(), 0);
	printf("# %lu attached, %lu refused, %lu revokes by providers, %lu pins revoked, %lu detached from inside, %u takeovers, %lu entries told\n",
	       attaches, refusals, revokes, revoked, inside, shim_works(), entries);
	if (!mixed())
		wrong("something never happened", attaches, refusals);
	shim_coverage();
	printf("ok 1 threads\n");
	return 0;
}
