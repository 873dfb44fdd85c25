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
 * Two threads of each provider revoke parts, which overlap, and reopen them. The
 * first also revokes all, with and without a bound, unregisters and declares the
 * same PFNs again. The lower provider's memory has pages: look-ups are GUP's (read
 * the PTE, take a reference, read it again), and it waits for the references before
 * it reopens. The upper one's has none: look-up and attach are under the page table
 * lock, which its zap takes. Nobody attaches what it saw before the memory was
 * mapped anew. Between any two steps the task may be sent to sleep.
 */
#include <linux/mm.h>
#include <linux/pfn_revoke.h>
#include <linux/pid_namespace.h>
#include <shim.h>

#include "pfn_revoke.h"

#include <errno.h>
#include <limits.h>
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
#define PINS		3		/* of a consumer */
#define BASE		0x5000UL
#define PFN(n)		(BASE + (n))
#define TAKEN		0xdeadL
#define HAS_PAGES(n)	((n) < PER_PROVIDER)

/* Memory: plain words, so that TSan watches them */
static long memory[PAGES][CONSUMERS];
static int unmapped[PAGES];		/* by so many; 0: there is a PTE */
static int epoch[PAGES];		/* times it was mapped anew */
static int refs[PAGES];			/* of the page, without the mapping's */
static struct page pages[PAGES];
static struct dev_pagemap pgmap;	/* of the lower provider */
static pthread_mutex_t page_table = PTHREAD_MUTEX_INITIALIZER;	/* the upper one's */

static unsigned long rounds;
static unsigned long long seed;
static int stop, failed;
static unsigned long attaches, grown, refusals, revokes, late, revoked, unseen, entries;

#define count(x) __atomic_add_fetch(&(x), 1, __ATOMIC_RELAXED)
#define load(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define store(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)
#define add(x, v) __atomic_add_fetch(&(x), (v), __ATOMIC_SEQ_CST)

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
	return load(attaches) && load(grown) && load(refusals) && load(revoked) && load(late) &&
	       load(unseen) && shim_works() && load(entries);
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

struct consumer;

struct held {
	struct pfn_pin pin;
	struct consumer *consumer;
	unsigned int first, last;	/* recorded, under the consumer's lock */
	bool holds, finished;		/* the same */
	int alive;			/* callbacks are legal */
};

struct consumer {
	int me;
	pthread_mutex_t lock;		/* shared with the callbacks */
	unsigned int slow;		/* us in finish */
	struct held *held;		/* PINS of them, new ones each time */
};

static void put_page(unsigned int page, int me)
{
	if (HAS_PAGES(page) && add(refs[page], -1) < 0)
		wrong("unpinned twice", page, me);
}

static void let_go(struct held *h)
{
	unsigned int page;

	for (page = h->first; h->holds && page <= h->last; page++)
		put_page(page, h->consumer->me);
	h->holds = false;
}

static void on_start(struct pfn_pin *pin)
{
	struct held *h = container_of(pin, struct held, pin);

	if (!load(h->alive))
		wrong("start after the detach", h->consumer->me, 0);
}

static void on_finish(struct pfn_pin *pin)
{
	struct held *h = container_of(pin, struct held, pin);

	if (!load(h->alive))
		wrong("finish after the detach", h->consumer->me, 0);
	if (h->consumer->slow)
		usleep(h->consumer->slow);
	pthread_mutex_lock(&h->consumer->lock);
	if (h->finished)
		wrong("finished twice", h->consumer->me, 0);
	if (!h->holds)
		count(unseen);
	let_go(h);
	h->finished = true;
	pthread_mutex_unlock(&h->consumer->lock);
	count(revoked);
	if (!load(h->alive))
		wrong("detached during its finish", h->consumer->me, 0);
}

static const struct pfn_pin_ops ops = { "threads", on_start, on_finish };

/* GUP-fast: the reference may come long after the PTE was read */
static bool look_up(unsigned int page, int *seen)
{
	if (load(unmapped[page]))
		return false;
	maybe_wait();
	add(refs[page], 1);
	*seen = load(epoch[page]);
	if (!load(unmapped[page]) && *seen == load(epoch[page]))
		return true;
	add(refs[page], -1);
	return false;
}

static void use(struct held *h)
{
	struct consumer *c = h->consumer;
	unsigned int page, n;

	for (n = any(2) ? any(60) : any(4); n; n--) {
		pthread_mutex_lock(&c->lock);
		for (page = h->first; h->holds && page <= h->last; page++) {
			if (memory[page][c->me] == TAKEN)
				wrong("used memory that was taken back", page, c->me);
			memory[page][c->me] = n;
		}
		pthread_mutex_unlock(&c->lock);
		maybe_wait();
	}
}

/*
 * Attaches pages of which there is a reference to each, or PFNs whose page table
 * is locked, and records them. How many.
 */
static long attach(struct consumer *c, struct held *last, struct held *spare, unsigned int first,
		   unsigned int nr, const int *seen)
{
	struct page *list[PAGES];
	unsigned long n = nr;
	unsigned int i;
	struct held *h;
	long ret;

	for (i = 0; i < nr; i++)
		list[i] = &pages[first + i];
	if (HAS_PAGES(first))
		ret = pfn_pin_attach_pages(last ? &last->pin : NULL, &spare->pin, list, nr);
	else
		ret = pfn_pin_attach_pfns(last ? &last->pin : NULL, &spare->pin, PFN(first), &n);
	if (ret <= 0) {
		if (ret != -ENODEV)
			wrong("attach", ret, first);
		count(refusals);
		return 0;
	}
	/* With the reference, or the lock, it is the memory of the look-up */
	for (i = 0; i < ret; i++)
		if (load(epoch[first + i]) != seen[i])
			wrong("attached what it saw before a revocation", first, load(epoch[first + i]));

	h = pfn_pin_attached(&spare->pin) ? spare : last;
	count(*(h == spare ? &attaches : &grown));
	return ret;
}

/* The look under the lock: finish may have been through */
static void record(struct consumer *c, struct held *h, unsigned int first, unsigned int nr)
{
	unsigned int page;

	maybe_wait();
	pthread_mutex_lock(&c->lock);
	if (h->finished) {
		for (page = first; page < first + nr; page++)
			put_page(page, c->me);
	} else if (h->holds) {
		if (first != h->last + 1)
			wrong("grown by something else", first, h->last);
		h->last += nr;
	} else {
		h->first = first;
		h->last = first + nr - 1;
		h->holds = true;
	}
	pthread_mutex_unlock(&c->lock);
}

/* Of the pages from @first on; how many were attached */
static unsigned int get(struct consumer *c, struct held *last, struct held *spare, unsigned int first,
			unsigned int nr)
{
	unsigned int n = 0, i;
	int seen[PAGES];
	long ret = 0;

	if (HAS_PAGES(first)) {
		while (n < nr && HAS_PAGES(first + n) && look_up(first + n, &seen[n]))
			n++;
		maybe_wait();
		if (n)
			ret = attach(c, last, spare, first, n, seen);
		for (i = ret; i < n; i++)
			put_page(first + i, c->me);
	} else {
		pthread_mutex_lock(&page_table);
		for (; n < nr && !load(unmapped[first + n]); n++)
			seen[n] = load(epoch[first + n]);
		maybe_wait();
		if (n)
			ret = attach(c, last, spare, first, n, seen);
		pthread_mutex_unlock(&page_table);
	}
	if (ret)
		record(c, pfn_pin_attached(&spare->pin) ? spare : last, first, ret);
	return ret;
}

static void consume(struct consumer *c)
{
	unsigned int first = any(PAGES), nr = 1 + any(6), chunk, n, i, p = 0;
	struct held *last = NULL;

	/* Freed as soon as they are detached */
	c->held = calloc(PINS, sizeof(*c->held));
	c->slow = any(6) ? 0 : 6000;
	for (i = 0; i < PINS; i++) {
		c->held[i].consumer = c;
		store(c->held[i].alive, 1);
		pfn_pin_init(&c->held[i].pin, &ops);
	}
	if (first + nr > PAGES)
		nr = PAGES - first;
	while (nr && p < PINS) {
		chunk = 1 + any(nr);
		n = get(c, last, &c->held[p], first, chunk);
		if (!n)
			break;
		if (pfn_pin_attached(&c->held[p].pin))
			last = &c->held[p++];
		first += n;
		nr -= n;
	}
	for (i = 0; i < p; i++)
		use(&c->held[i]);
	for (i = 0; i < PINS; i++) {
		pthread_mutex_lock(&c->lock);
		let_go(&c->held[i]);
		pthread_mutex_unlock(&c->lock);
		pfn_pin_detach(&c->held[i].pin);
		store(c->held[i].alive, 0);
		if (pfn_pin_attached(&c->held[i].pin))
			wrong("attached after its detach", c->me, i);
	}
	free(c->held);
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

struct provider {
	unsigned int low, high;
	struct pfn_range *range;
	pthread_rwlock_t lock;		/* held for reading: it is declared, not closed as a whole */
	pthread_mutex_t alone;		/* who uses the memory now, of its threads */
	int done;
};

static void unmap(struct provider *p, unsigned int first, unsigned int last)
{
	unsigned int page;

	for (page = first; page <= last; page++) {
		pthread_mutex_lock(&page_table);
		add(unmapped[page], 1);
		pthread_mutex_unlock(&page_table);
	}
}

static void map(struct provider *p, unsigned int first, unsigned int last)
{
	unsigned int page;

	for (page = first; page <= last; page++) {
		add(epoch[page], 1);
		add(unmapped[page], -1);
	}
}

/*
 * The memory is the provider's alone. It writes without any lock; its two threads
 * leave each other's pages alone.
 */
static void exclusive(struct provider *p, unsigned int first, unsigned int last)
{
	unsigned int page, i;

	pthread_mutex_lock(&p->alone);
	for (page = first; page <= last; page++)
		for (i = 0; i < CONSUMERS; i++)
			memory[page][i] = TAKEN;
	maybe_wait();
	for (page = first; page <= last; page++) {
		for (i = 0; i < CONSUMERS; i++) {
			if (memory[page][i] != TAKEN)
				wrong("written after the revoke returned", page, memory[page][i]);
			memory[page][i] = 0;
		}
	}
	pthread_mutex_unlock(&p->alone);
}

static void wait_for_references(unsigned int first, unsigned int last)
{
	for (; first <= last; first++)
		while (HAS_PAGES(first) && load(refs[first]))
			usleep(10);
}

static void revoke_part(struct provider *p)
{
	unsigned int first = p->low + any(PER_PROVIDER), last = first + any(PER_PROVIDER);
	struct pfn_part part;

	if (last > p->high)
		last = p->high;
	unmap(p, first, last);
	maybe_wait();
	pfn_part_revoke(&part, p->range, PFN(first), PFN(last));
	count(revokes);
	exclusive(p, first, last);
	wait_for_references(first, last);
	pfn_part_reopen(&part);
	/* The part was on this stack */
	memset(&part, 0xa5, sizeof(part));
	map(p, first, last);
}

static void declare(struct provider *p)
{
	p->range = pfn_range_register(PFN(p->low), PFN(p->high), "provider");
	if (IS_ERR(p->range))
		wrong("pfn_range_register", PTR_ERR(p->range), p->low);
	if (!p->low)
		pgmap.pfn_range = p->range;
}

/* Unbind: nobody else revokes a part meanwhile */
static void take_back(struct provider *p)
{
	int err;

	unmap(p, p->low, p->high);
	/* The early call, after which much of it may still be there */
	if (any(2)) {
		err = pfn_range_revoke(&p->range, 1, any(3));
		if (err && err != -ETIMEDOUT)
			wrong("pfn_range_revoke", err, p->low);
		if (!err)
			exclusive(p, p->low, p->high);
		else
			count(late);
	}
	if (any(2)) {
		err = pfn_range_revoke(&p->range, 1, MAX_SCHEDULE_TIMEOUT);
		if (err)
			wrong("pfn_range_revoke without a bound", err, p->low);
		exclusive(p, p->low, p->high);
	}
	wait_for_references(p->low, p->high);
	pfn_range_unregister(p->range);
	exclusive(p, p->low, p->high);
}

static void *provider_main(void *arg)
{
	struct provider *p = arg;
	time_t end = time(NULL) + 30;
	unsigned long n;

	shim_set_task(200, "provider");
	state = seed * 1000 + 500 + p->low;
	for (n = 0; n < rounds || (!mixed() && time(NULL) < end); n++) {
		if (any(6)) {
			pthread_rwlock_rdlock(&p->lock);
			revoke_part(p);
			pthread_rwlock_unlock(&p->lock);
		} else {
			pthread_rwlock_wrlock(&p->lock);
			take_back(p);
			maybe_wait();
			declare(p);
			map(p, p->low, p->high);
			pthread_rwlock_unlock(&p->lock);
		}
		usleep(any(300));
	}
	store(p->done, 1);
	return NULL;
}

/* Parts that overlap the other thread's */
static void *second_main(void *arg)
{
	struct provider *p = arg;

	shim_set_task(201, "second");
	state = seed * 1000 + 700 + p->low;
	while (!load(p->done)) {
		pthread_rwlock_rdlock(&p->lock);
		revoke_part(p);
		pthread_rwlock_unlock(&p->lock);
		usleep(any(400));
	}
	return NULL;
}

/* Reads all of debugfs, or the beginning */
static void walk(void)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct pfn_revoke_entry entry;
	unsigned int left = any(2) ? 1000 : any(20);

	while (left-- && pfn_revoke_next(&cursor, &entry)) {
		count(entries);
		if (entry.first > entry.last || entry.first < BASE || entry.last >= BASE + PAGES)
			wrong("a walk tells nonsense", entry.first, entry.last);
		if (entry.is_pin && (entry.pid != 100 || strcmp(entry.consumer, "threads")))
			wrong("a pin of somebody else", entry.pid, 0);
		maybe_wait();
	}
	pfn_revoke_end_walk(&cursor);
}

static void *walker_main(void *arg)
{
	shim_set_task(300, "walker");
	state = seed * 1000 + 900;
	while (!load(stop)) {
		walk();
		usleep(any(400));
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[PROVIDERS][2], consumers[CONSUMERS], walker;
	static struct provider providers[PROVIDERS];
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
	for (page = 0; page < PAGES; page++) {
		pages[page].pfn = PFN(page);
		pages[page].pgmap = &pgmap;
	}

	for (i = 0; i < PROVIDERS; i++) {
		providers[i].low = i * PER_PROVIDER;
		providers[i].high = providers[i].low + PER_PROVIDER - 1;
		pthread_rwlock_init(&providers[i].lock, NULL);
		pthread_mutex_init(&providers[i].alone, NULL);
		declare(&providers[i]);
		pthread_create(&threads[i][0], NULL, provider_main, &providers[i]);
		pthread_create(&threads[i][1], NULL, second_main, &providers[i]);
	}
	for (i = 0; i < CONSUMERS; i++)
		pthread_create(&consumers[i], NULL, consumer_main, (void *)i);
	pthread_create(&walker, NULL, walker_main, NULL);
	for (i = 0; i < PROVIDERS; i++) {
		pthread_join(threads[i][0], NULL);
		pthread_join(threads[i][1], NULL);
	}
	store(stop, 1);
	pthread_join(walker, NULL);
	for (i = 0; i < CONSUMERS; i++)
		pthread_join(consumers[i], NULL);
	for (i = 0; i < PROVIDERS; i++) {
		unmap(&providers[i], providers[i].low, providers[i].high);
		pfn_range_unregister(providers[i].range);
	}

	/* The last references are those of works on their way out */
	for (i = 0; i < 5000 && shim_allocated(); i++)
		usleep(1000);
	for (page = 0; page < PAGES; page++)
		if (refs[page])
			wrong("references left on a page", page, refs[page]);
	if (shim_allocated())
		wrong("objects are left", shim_allocated(), 0);
	if (shim_warnings() || shim_pid_references())
		wrong("warnings, or references to processes", shim_pid_references(), 0);
	printf("# %lu attached, %lu grown, %lu refused, %lu parts revoked, %lu too late for a bound, %lu pins revoked, %lu of them before they were recorded, %u works, %lu entries told\n",
	       attaches, grown, refusals, revokes, late, revoked, unseen, shim_works(), entries);
	if (!mixed())
		wrong("something never happened", attaches, refusals);
	shim_coverage();
	printf("ok 1 threads\n");
	return 0;
}
