// SPDX-License-Identifier: GPL-2.0
/*
 * Sequences of calls, taken from bytes, against a naive oracle.
 *
 * One task makes all calls, callbacks included, so that every result can be
 * foretold. The oracle has an array entry per PFN where the notifier has trees,
 * and counts generations itself.
 */
#include <linux/pfn_revoke.h>
#include <linux/refcount.h>
#include <shim.h>

#include "pfn_revoke.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

#define PAGES	64
#define RANGES	4
#define PINS	8
#define SAMPLES	4
#define BASE	0x1000UL
#define PFN(n)	(BASE + (n))

enum pin_state { FREE, LIVE, CLAIMED, REVOKED };

enum {
	HAS_START = 1,
	HAS_FINISH = 2,
	DETACH_IN_START = 4,
	DETACH_IN_FINISH = 8,
	REVOKE_INSIDE = 16,
	REOPEN_INSIDE = 32,
	ATTACH_INSIDE = 64,
};

static struct {
	struct pfn_range *range;
	unsigned int first, last;
	unsigned long gen;
	bool gone;
} ranges[RANGES];

static struct {
	struct pfn_pin *pin;
	enum pin_state state;
	unsigned int flags;
	bool detached;
	bool has_run;			/* the one that needs no memory is in use */
	bool holds[PAGES];
	int starts, finishes;
	unsigned long order_start, order_finish;
} pins[PINS];

static struct {
	u64 real;
	unsigned long model;
} samples[SAMPLES];

static bool closed[PAGES];
static unsigned long gen;		/* the oracle's generation */
static unsigned long gone_gen;		/* when the last provider went */
static unsigned long order;		/* of callbacks */

/* The broadcast under way; there is at most one here */
static bool broadcasting;
static unsigned int shut_first, shut_last;

/* What was done, for the report */
static char steps[32][160];
static unsigned int nr_steps;

enum kind { REGISTER, UNREGISTER, ALLOC, SAMPLE, ATTACH, DETACH, REVOKE, REOPEN, EXTENT, WALK, KINDS };
static const char *const kind_names[KINDS] = {
	"register", "unregister", "alloc", "sample", "attach", "detach", "revoke", "reopen", "extent", "walk",
};
static unsigned long done[KINDS][2];	/* failed, succeeded */
static unsigned long claims;

#define step(...) snprintf(steps[nr_steps++ % 32], sizeof(steps[0]), __VA_ARGS__)

static void wrong(const char *what, long got, long want)
{
	unsigned int i = nr_steps > 32 ? nr_steps - 32 : 0;

	fprintf(stderr, "# wrong: %s: %ld instead of %ld, after\n", what, got, want);
	for (; i < nr_steps; i++)
		fprintf(stderr, "#   %s\n", steps[i % 32]);
	fflush(stderr);
	abort();
}

static void expect(const char *what, long got, long want)
{
	if (got != want)
		wrong(what, got, want);
}

/* Bytes */

static const uint8_t *next, *end;

static unsigned int take(unsigned int below)
{
	return next < end ? *next++ % below : 0;
}

static void take_span(unsigned int *first, unsigned int *last)
{
	*first = take(PAGES);
	/* Short ones are likelier; some are upside down */
	*last = *first + take(4) * take(8);
	if (*last >= PAGES)
		*last = PAGES - 1;
	if (!take(32) && *first)
		*last = *first - 1;
}

/* The oracle */

static int range_of(unsigned int page)
{
	int r;

	for (r = 0; r < RANGES; r++)
		if (ranges[r].range && ranges[r].first <= page && page <= ranges[r].last)
			return r;
	return -1;
}

/* What pfn_pin_attach() has to do; @fails: the first allocation that fails */
static int attach_expected(int p, unsigned int first, unsigned int last, unsigned long since,
			   unsigned int fails)
{
	unsigned int page, to, allocations = 0;
	int r;

	for (;; first = to + 1) {
		r = range_of(first);
		if (r < 0)
			return -ENODEV;
		to = last < ranges[r].last ? last : ranges[r].last;
		if (pins[p].has_run && ++allocations >= fails && fails)
			return -ENOMEM;
		if (ranges[r].gone || ranges[r].gen > since || pins[p].state != LIVE)
			return -ENODEV;
		for (page = first; page <= to; page++)
			if (closed[page])
				return -ENODEV;
		for (page = first; page <= to; page++)
			pins[p].holds[page] = true;
		pins[p].has_run = true;
		if (to == last)
			return 0;
	}
}

static int reopen_expected(unsigned int first, unsigned int last, unsigned int fails)
{
	unsigned int page, low, high;
	int r, err = -ENOENT, piece = 0;
	bool was;

	if (first > last)
		return -EINVAL;
	for (page = first; page <= last; page++) {
		r = range_of(page);
		if (r < 0)
			continue;
		low = page;
		high = last < ranges[r].last ? last : ranges[r].last;
		piece += 2;
		err = fails && piece >= (int)fails ? -ENOMEM : 0;
		if (ranges[r].gone)
			err = -EBUSY;
		/* In the same range, that is */
		if (broadcasting && shut_first <= last && shut_last >= first) {
			unsigned int a = shut_first > ranges[r].first ? shut_first : ranges[r].first;
			unsigned int b = shut_last < ranges[r].last ? shut_last : ranges[r].last;

			if (a <= b && a <= last && b >= first)
				err = -EBUSY;
		}
		if (err)
			return err;
		/* A generation for each interval: it is the order that counts */
		was = false;
		for (; low <= high; low++) {
			if (closed[low] && !was)
				ranges[r].gen = ++gen;
			was = closed[low];
			closed[low] = false;
		}
		page = high;
	}
	return err;
}

/* Shuts, and moves the pins; the callbacks check themselves against it */
static bool claim_expected(unsigned int first, unsigned int last)
{
	unsigned int page;
	bool any = false;
	int p;

	for (page = first; page <= last; page++) {
		if (range_of(page) < 0)
			continue;
		any = true;
		closed[page] = true;
		for (p = 0; p < PINS; p++) {
			if (pins[p].state == LIVE && pins[p].holds[page]) {
				pins[p].state = CLAIMED;
				claims++;
				pins[p].starts = pins[p].finishes = 0;
				pins[p].order_start = pins[p].order_finish = 0;
			}
		}
	}
	return any;
}

/* After the broadcast: each claimed pin had what was due, in order */
static void claimed_are_done(void)
{
	unsigned long last_start = 0, first_finish = ~0UL;
	int p;

	for (p = 0; p < PINS; p++) {
		if (pins[p].state != CLAIMED)
			continue;
		expect("starts", pins[p].starts, !!(pins[p].flags & HAS_START));
		if (pins[p].detached && pins[p].flags & HAS_START && pins[p].flags & DETACH_IN_START)
			expect("finishes after detach in start", pins[p].finishes, 0);
		else
			expect("finishes", pins[p].finishes, !!(pins[p].flags & HAS_FINISH));
		if (pins[p].order_start > last_start)
			last_start = pins[p].order_start;
		if (pins[p].order_finish && pins[p].order_finish < first_finish)
			first_finish = pins[p].order_finish;
		if (pins[p].detached)
			memset(pins[p].holds, 0, sizeof(pins[p].holds));
		pins[p].state = pins[p].detached ? FREE : REVOKED;
	}
	expect("all starts come before the first finish", last_start < first_finish, true);
}

/* Callbacks */

static void inside(int p, bool finish)
{
	unsigned int page = (p * 7 + shut_first) % PAGES;
	int other = (p + 1) % PINS;

	if (!broadcasting || pins[p].state != CLAIMED || pins[p].detached)
		wrong("a callback that nobody waits for", p, -1);
	if (pins[p].flags & REVOKE_INSIDE)
		expect("revoke in a callback", pfn_revoke_range(PFN(0), PFN(PAGES - 1)), -EDEADLK);
	if (pins[p].flags & REOPEN_INSIDE)
		expect("reopen in a callback", pfn_reopen_range(PFN(page), PFN(page)),
		       reopen_expected(page, page, 0));
	if (pins[p].flags & ATTACH_INSIDE) {
		expect("attach to itself", pfn_pin_attach(pins[p].pin, PFN(page), PFN(page), pfn_pin_begin()),
		       attach_expected(p, page, page, gen, 0));
		if (pins[other].state == LIVE)
			expect("attach to another",
			       pfn_pin_attach(pins[other].pin, PFN(page), PFN(page), pfn_pin_begin()),
			       attach_expected(other, page, page, gen, 0));
	}
	if (pins[p].flags & (finish ? DETACH_IN_FINISH : DETACH_IN_START)) {
		pfn_pin_detach(pins[p].pin);
		pins[p].detached = true;
	}
}

static void on_start(void *priv)
{
	int p = (long)priv;

	pins[p].starts++;
	pins[p].order_start = ++order;
	inside(p, false);
}

static void on_finish(void *priv)
{
	int p = (long)priv;

	pins[p].finishes++;
	pins[p].order_finish = ++order;
	inside(p, true);
}

static const struct pfn_pin_ops ops[4] = {
	{ "none", NULL, NULL },
	{ "start", on_start, NULL },
	{ "finish", NULL, on_finish },
	{ "both", on_start, on_finish },
};

/* Steps */

static void do_register(void)
{
	unsigned int r = take(RANGES), first, last, fails = take(16), failed, page;
	struct pfn_range *it;
	int want = 0;

	take_span(&first, &last);
	if (ranges[r].range)
		return;
	/* Mostly providers side by side, sometimes whatever comes */
	if (take(4)) {
		first = r * (PAGES / RANGES);
		last = first + PAGES / RANGES - 1 - !take(4);
	}
	if (first > last)
		want = -EINVAL;
	for (page = first; page <= last && !want; page++)
		if (range_of(page) >= 0)
			want = -EEXIST;

	step("register %u: %u-%u, allocations fail from %u", r, first, last, fails);
	shim_fail_from(fails > 6 ? 0 : fails);
	it = pfn_range_register(PFN(first), PFN(last), "ops");
	failed = shim_fail_from(0);
	done[REGISTER][!IS_ERR(it)]++;
	/* Which of two errors comes first is its own business */
	if (failed && want != -EINVAL && IS_ERR(it)) {
		if (PTR_ERR(it) != -ENOMEM)
			expect("register", PTR_ERR(it), want);
		return;
	}
	expect("register", PTR_ERR_OR_ZERO(it), want);
	if (want)
		return;
	ranges[r].range = it;
	ranges[r].first = first;
	ranges[r].last = last;
	ranges[r].gone = false;
	ranges[r].gen = ++gen;
	for (page = first; page <= last; page++)
		closed[page] = false;
}

static void broadcast(unsigned int first, unsigned int last)
{
	broadcasting = true;
	shut_first = first;
	shut_last = last;
}

static void unregister(unsigned int r)
{
	int p;

	step("unregister %u", r);
	done[UNREGISTER][1]++;
	ranges[r].gone = true;
	claim_expected(ranges[r].first, ranges[r].last);
	broadcast(ranges[r].first, ranges[r].last);
	pfn_range_unregister(ranges[r].range);
	broadcasting = false;
	claimed_are_done();
	gone_gen = ++gen;
	ranges[r].range = NULL;
	/* The runs of revoked pins are told no more */
	for (p = 0; p < PINS; p++)
		memset(&pins[p].holds[ranges[r].first], 0, ranges[r].last - ranges[r].first + 1);
}

static void do_unregister(void)
{
	unsigned int r = take(RANGES);

	if (ranges[r].range && !take(8))
		unregister(r);
}

static void do_alloc(void)
{
	unsigned int p = take(PINS), flags = take(128), fails = take(16) == 1;
	struct pfn_pin *pin;

	if (pins[p].state != FREE)
		return;
	step("alloc %u, flags %#x%s", p, flags, fails ? ", no memory" : "");
	/* By the number of its process the pin is known in a walk */
	shim_set_task(100 + p, "ops");
	shim_fail_from(fails);
	pin = pfn_pin_alloc(&ops[flags & 3], (void *)(long)p, GFP_KERNEL);
	shim_fail_from(0);
	done[ALLOC][!fails]++;
	expect("alloc", PTR_ERR_OR_ZERO(pin), fails ? -ENOMEM : 0);
	if (fails)
		return;
	memset(&pins[p], 0, sizeof(pins[p]));
	pins[p].pin = pin;
	pins[p].state = LIVE;
	pins[p].flags = flags;
}

static void do_sample(void)
{
	unsigned int s = take(SAMPLES);

	samples[s].real = pfn_pin_begin();
	samples[s].model = gen;
	step("sample %u: %lu", s, gen);
	done[SAMPLE][1]++;
}

static void do_attach(void)
{
	unsigned int p = take(PINS), first, last, s = take(SAMPLES * 4), fails = take(64);
	unsigned long since = gen;
	u64 real = pfn_pin_begin();
	int ret, want;

	take_span(&first, &last);
	if (pins[p].state == FREE)
		return;
	/* Most of them with a fresh generation */
	if (s < SAMPLES) {
		since = samples[s].model;
		real = samples[s].real;
	}
	if (fails > 3)
		fails = 0;
	step("attach %u: %u-%u, since %lu, allocations fail from %u", p, first, last, since, fails);
	want = first > last ? -EINVAL : attach_expected(p, first, last, since, fails);
	shim_fail_from(fails);
	ret = pfn_pin_attach(pins[p].pin, PFN(first), PFN(last), real);
	shim_fail_from(0);
	done[ATTACH][!ret]++;
	expect("attach", ret, want);
}

static void detach(unsigned int p)
{
	step("detach %u", p);
	done[DETACH][1]++;
	pfn_pin_detach(pins[p].pin);
	memset(&pins[p], 0, sizeof(pins[p]));
}

static void do_detach(void)
{
	unsigned int p = take(PINS);

	/* Pins that were revoked are not much use any more */
	if (pins[p].state == REVOKED || (pins[p].state == LIVE && !take(4)))
		detach(p);
}

static void do_revoke(void)
{
	unsigned int first, last;
	int ret, want = -EINVAL;

	take_span(&first, &last);
	step("revoke %u-%u", first, last);
	if (first <= last) {
		want = claim_expected(first, last) ? 0 : -ENOENT;
		broadcast(first, last);
	}
	ret = pfn_revoke_range(PFN(first), PFN(last));
	broadcasting = false;
	done[REVOKE][!ret]++;
	expect("revoke", ret, want);
	claimed_are_done();
}

static void do_reopen(void)
{
	unsigned int first, last, fails = take(64);
	int ret, want;

	take_span(&first, &last);
	if (!take(4)) {
		first = 0;
		last = PAGES - 1;
	}
	if (fails > 5)
		fails = 0;
	step("reopen %u-%u, allocations fail from %u", first, last, fails);
	want = reopen_expected(first, last, fails);
	shim_fail_from(fails);
	ret = pfn_reopen_range(PFN(first), PFN(last));
	shim_fail_from(0);
	done[REOPEN][!ret]++;
	expect("reopen", ret, want);
}

static void do_extent(void)
{
	unsigned int page = take(PAGES), s = take(SAMPLES), n;
	unsigned long last = 1, want_last = ULONG_MAX;
	int r = range_of(page), ret, want;

	step("extent of %u since %lu", page, samples[s].model);
	want = r >= 0 ? 1 : gone_gen <= samples[s].model ? 0 : -EAGAIN;
	if (r >= 0)
		want_last = PFN(ranges[r].last);
	for (n = page; r < 0 && n < PAGES; n++) {
		if (range_of(n) >= 0) {
			want_last = PFN(n) - 1;
			break;
		}
	}
	ret = pfn_range_extent(PFN(page), samples[s].real, &last);
	done[EXTENT][ret >= 0]++;
	expect("extent", ret, want);
	if (ret >= 0)
		expect("extent's last", last, want_last);
}

/* Everything that pfn_revoke_next() tells, against what is there */
static void do_walk(void)
{
	struct pfn_revoke_cursor cursor = {};
	struct pfn_revoke_entry entry;
	static bool told[PINS][PAGES];
	unsigned int page, first, shut, runs = 0, announced = 0;
	unsigned long at = 0;
	int p, r, nr_ranges = 0;
	const char *want;

	step("walk");
	done[WALK][1]++;
	memset(told, 0, sizeof(told));
	while (pfn_revoke_next(&cursor, &entry)) {
		first = entry.first - BASE;
		if (!entry.is_pin) {
			expect("runs of the range before", runs, announced);
			r = range_of(first);
			if (r < 0 || first != ranges[r].first || PFN(ranges[r].last) != entry.last || entry.first < at)
				wrong("a range that is told", first, r);
			for (page = first, shut = 0; page <= ranges[r].last; page++)
				shut += closed[page];
			want = !shut ? "open" : shut == page - first ? "closed" : "part";
			expect(want, strcmp(entry.state, want), 0);
			at = entry.last + 1;
			announced = entry.pins;
			runs = 0;
			nr_ranges++;
			continue;
		}
		runs++;
		p = entry.pid - 100;
		if (p < 0 || p >= PINS || (pins[p].state != LIVE && pins[p].state != REVOKED) || entry.last >= at)
			wrong("a run that is told", p, first);
		want = pins[p].state == LIVE ? "attached" : "revoked";
		expect(want, strcmp(entry.state, want), 0);
		expect("its consumer", strcmp(entry.consumer, ops[pins[p].flags & 3].name), 0);
		for (page = first; page <= entry.last - BASE; page++)
			told[p][page] = true;
	}
	expect("runs of the last range", runs, announced);
	for (r = 0; r < RANGES; r++)
		nr_ranges -= !!ranges[r].range;
	expect("ranges told", nr_ranges, 0);
	for (p = 0; p < PINS; p++)
		for (page = 0; page < PAGES && pins[p].state != FREE; page++)
			expect("a page that is held", told[p][page], pins[p].holds[page]);
}

static void (*const doers[])(void) = {
	do_register, do_unregister, do_alloc, do_alloc, do_sample, do_attach, do_attach, do_attach,
	do_attach, do_detach, do_revoke, do_revoke, do_reopen, do_reopen, do_extent, do_walk,
};

void ops_run(const uint8_t *bytes, size_t size)
{
	long had = shim_allocated();
	unsigned int i;

	next = bytes;
	end = bytes + size;
	shim_tracing = size & 1;
	nr_steps = 0;
	gen = gone_gen = 0;
	memset(closed, 0, sizeof(closed));
	for (i = 0; i < SAMPLES; i++) {
		samples[i].real = pfn_pin_begin();
		samples[i].model = gen;
	}
	while (next < end)
		doers[take(16)]();

	for (i = 0; i < PINS; i++)
		if (pins[i].state != FREE)
			detach(i);
	for (i = 0; i < RANGES; i++)
		if (ranges[i].range)
			unregister(i);
	rcu_barrier();
	expect("objects that are left", shim_allocated() - had, 0);
	expect("warnings", shim_warnings(), 0);
	expect("references to processes", shim_pid_references(), 0);
}

void ops_print_counts(void)
{
	int k;

	printf("# ");
	for (k = 0; k < KINDS; k++)
		printf("%s %lu+%lu%s", kind_names[k], done[k][1], done[k][0], k + 1 < KINDS ? ", " : " (done+refused)");
	printf(", %lu pins revoked\n", claims);
}
