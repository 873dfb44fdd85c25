// SPDX-License-Identifier: GPL-2.0
/*
 * Sequences of calls, taken from bytes, against a naive oracle.
 *
 * One task makes all calls. Works are run inline: by the task itself when it
 * sleeps, so that every result can be foretold. A revocation whose time is over
 * at once leaves started pins behind, which meet the calls that follow. The
 * oracle has an array entry per PFN where the notifier has trees.
 */
#include <linux/mm.h>
#include <linux/pfn_revoke.h>
#include <linux/pid_namespace.h>
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
#define PARTS	3
#define BASE	0x1000UL
#define PFN(n)	(BASE + (n))

enum pin_state { FREE, LIVE, CLAIMED, STARTED, REVOKED };

enum {
	HAS_START = 1,
	HAS_FINISH = 2,
	ATTACH_INSIDE = 4,
	REOPEN_INSIDE = 8,
};

static struct {
	struct pfn_range *range;
	unsigned int first, last;
	bool whole;			/* has been revoked */
} ranges[RANGES];

static struct pin {
	struct pfn_pin pin;
	enum pin_state state;
	unsigned int flags;
	int range;			/* -1: it has gone */
	unsigned int first, last;
	int starts, finishes;
	unsigned long order_start, order_finish;
} pins[PINS];

static struct {
	struct pfn_part part;
	int range;			/* -1: none */
	unsigned int first, last;
} parts[PARTS];

static struct dev_pagemap pgmaps[RANGES + 1];	/* the last: of nobody */
static struct page pages[PAGES];
static unsigned long order;		/* of callbacks */

/* What was done, for the report */
static char steps[32][160];
static unsigned int nr_steps;

enum kind { REGISTER, UNREGISTER, ATTACH, GROW, DETACH, REVOKE, REVOKE_PART, REOPEN, RUN, ADVANCE, WALK, KINDS };
static const char *const kind_names[KINDS] = {
	"register", "unregister", "attach", "grow", "detach", "revoke", "revoke part", "reopen", "run", "advance", "walk",
};
static unsigned long done[KINDS][2];	/* failed, succeeded */
static unsigned long claims, taken_out;

#define step(...) snprintf(steps[nr_steps++ % 32], sizeof(steps[0]), __VA_ARGS__)

static void wrong(const char *what, long got, long want)
{
	unsigned int i = nr_steps > 32 ? nr_steps - 32 : 0;

	fprintf(stderr, "# wrong: %s: %ld instead of %ld, after\n", what, got, want);
	for (; i < nr_steps; i++)
		fprintf(stderr, "#   %s\n", steps[i % 32]);
	for (i = 0; i < PINS; i++)
		if (pins[i].state != FREE)
			fprintf(stderr, "#   pin %u: state %d, range %d, %u-%u, flags %#x, %d starts, %d finishes\n", i,
				pins[i].state, pins[i].range, pins[i].first, pins[i].last, pins[i].flags,
				pins[i].starts, pins[i].finishes);
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
	/* Short ones are likelier */
	*last = *first + take(4) * take(8);
	if (*last >= PAGES)
		*last = PAGES - 1;
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

static bool closed(unsigned int page)
{
	int r = range_of(page), k;

	if (r < 0 || ranges[r].whole)
		return true;
	for (k = 0; k < PARTS; k++)
		if (parts[k].range == r && parts[k].first <= page && page <= parts[k].last)
			return true;
	return false;
}

static bool waited_for(int p, int r, unsigned int first, unsigned int last)
{
	return (pins[p].state == STARTED || pins[p].state == CLAIMED) && pins[p].range == r &&
	       pins[p].first <= last && pins[p].last >= first;
}

static bool drained(int r, unsigned int first, unsigned int last)
{
	int p;

	for (p = 0; p < PINS; p++)
		if (waited_for(p, r, first, last))
			return false;
	return true;
}

/* What an attach has to do, and does in the oracle; -1: no such pin */
static long attach_expected(int last, int spare, unsigned int first, unsigned int n)
{
	int r = range_of(first);
	unsigned int page;

	if (n > ranges[r].last - first + 1)
		n = ranges[r].last - first + 1;
	for (page = first; page < first + n; page++)
		if (closed(page))
			return -ENODEV;
	if (last >= 0 && pins[last].state == LIVE && pins[last].range == r && pins[last].last + 1 == first) {
		pins[last].last += n;
		return n;
	}
	if (spare < 0)
		return -ENOBUFS;
	pins[spare].state = LIVE;
	pins[spare].range = r;
	pins[spare].first = first;
	pins[spare].last = first + n - 1;
	pins[spare].starts = pins[spare].finishes = 0;
	return n;
}

/* A broadcast that is under way in this task, and callbacks are called */
static int calling = -1;

static void claim_expected(int r, unsigned int first, unsigned int last)
{
	int p;

	for (p = 0; p < PINS; p++) {
		if (pins[p].state != LIVE || pins[p].range != r || pins[p].first > last || pins[p].last < first)
			continue;
		pins[p].state = CLAIMED;
		claims++;
	}
}

/* All that were claimed have been started. Some may have been finished since */
static void started(void)
{
	unsigned long last_start = 0;
	int p;

	for (p = 0; p < PINS; p++) {
		if (pins[p].state != CLAIMED)
			continue;
		expect("starts", pins[p].starts, !!(pins[p].flags & HAS_START));
		if (pins[p].starts && pins[p].order_start > last_start)
			last_start = pins[p].order_start;
		pins[p].state = STARTED;
	}
	for (p = 0; p < PINS; p++)
		if (pins[p].state == STARTED && pins[p].finishes && last_start)
			expect("all starts come before the first finish", pins[p].order_finish > last_start, true);
}

/* Works have run */
static void finished(void)
{
	int p;

	for (p = 0; p < PINS; p++) {
		if (pins[p].state != STARTED)
			continue;
		expect("finishes", pins[p].finishes, !!(pins[p].flags & HAS_FINISH));
		pins[p].state = REVOKED;
	}
}

/* Callbacks */

static const struct pfn_pin_ops ops[4];

static void free_pin(int p, unsigned int flags)
{
	pins[p].flags = flags;
	pfn_pin_init(&pins[p].pin, &ops[flags & 3]);
	/* By the number of its process the pin is known in a walk */
	shim_set_task(100 + p, "ops");
}

static void reopen(int k)
{
	expect("reopened", parts[k].range >= 0, true);
	pfn_part_reopen(&parts[k].part);
	parts[k].range = -1;
}

static void inside(int p)
{
	unsigned int page = (p * 7) % PAGES, other = (p + 1) % PINS, k = p % PARTS;
	unsigned long nr = 1;
	int r = range_of(page);

	/* A part is not reopened under the broadcast that revokes it */
	if (pins[p].flags & REOPEN_INSIDE && parts[k].range >= 0 && (int)k != calling)
		reopen(k);
	if (pins[p].flags & ATTACH_INSIDE && pins[other].state == FREE && r >= 0) {
		long want;

		free_pin(other, pins[p].flags ^ HAS_START);
		want = attach_expected(-1, other, page, 1);
		expect("attach in a callback", pfn_pin_attach_pfns(NULL, &pins[other].pin, PFN(page), &nr), want);
	}
}

static void on_start(struct pfn_pin *pin)
{
	int p = container_of(pin, struct pin, pin) - pins;

	if (pins[p].state != CLAIMED || pins[p].starts || pins[p].finishes)
		wrong("a start that nobody waits for", p, -1);
	pins[p].starts++;
	pins[p].order_start = ++order;
	inside(p);
}

static void on_finish(struct pfn_pin *pin)
{
	int p = container_of(pin, struct pin, pin) - pins;

	if ((pins[p].state != STARTED && pins[p].state != CLAIMED) || pins[p].finishes ||
	    pins[p].starts != !!(pins[p].flags & HAS_START))
		wrong("a finish that nobody waits for", p, -1);
	pins[p].finishes++;
	pins[p].order_finish = ++order;
	inside(p);
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
	unsigned int r = take(RANGES), first, last, fails = take(8) == 1, page;
	struct pfn_range *it;
	int want = 0;

	take_span(&first, &last);
	if (ranges[r].range)
		return;
	/* Mostly providers side by side, sometimes whatever comes */
	if (take(4)) {
		first = r * (PAGES / RANGES);
		last = first + PAGES / RANGES - 1 - !take(4);
	} else if (!take(8) && first) {
		last = first - 1;
		want = -EINVAL;
	}
	if (fails && !want)
		want = -ENOMEM;
	for (page = first; page <= last && !want; page++)
		if (range_of(page) >= 0)
			want = -EEXIST;

	step("register %u: %u-%u%s", r, first, last, fails ? ", no memory" : "");
	shim_fail_from(fails);
	it = pfn_range_register(PFN(first), PFN(last), "ops");
	shim_fail_from(0);
	done[REGISTER][!IS_ERR(it)]++;
	expect("register", PTR_ERR_OR_ZERO(it), want);
	if (want)
		return;
	memset(&ranges[r], 0, sizeof(ranges[r]));
	ranges[r].range = it;
	ranges[r].first = first;
	ranges[r].last = last;
	pgmaps[r].pfn_range = it;
	for (page = first; page <= last; page++)
		pages[page].pgmap = &pgmaps[r];
}

static void revoke_expected(int r)
{
	claim_expected(r, ranges[r].first, ranges[r].last);
	ranges[r].whole = true;
}

static void unregister(unsigned int r)
{
	bool sleeps;
	unsigned int page;
	int p, k;

	step("unregister %u", r);
	done[UNREGISTER][1]++;
	/* Some of its parts are only forgotten; callbacks let the others alone */
	for (k = 0; k < PARTS; k++) {
		if (parts[k].range == (int)r && k)
			reopen(k);
		else if (parts[k].range == (int)r)
			parts[k].range = -1;
	}
	revoke_expected(r);
	sleeps = !drained(r, ranges[r].first, ranges[r].last);
	pfn_range_unregister(ranges[r].range);
	started();
	if (sleeps)
		finished();
	for (page = ranges[r].first; page <= ranges[r].last; page++)
		pages[page].pgmap = &pgmaps[RANGES];
	ranges[r].range = NULL;
	for (p = 0; p < PINS; p++)
		if (pins[p].state != FREE && pins[p].range == (int)r)
			pins[p].range = -1;
}

static void do_unregister(void)
{
	unsigned int r = take(RANGES);

	if (ranges[r].range && (ranges[r].whole || !take(6)))
		unregister(r);
}

/* By PFN or by page; with a last pin, with a spare one, with none */
static void do_attach(void)
{
	int last = (int)take(PINS + 1) - 1, spare = (int)take(PINS + 1) - 1, r;
	unsigned int first, to, page, by_page = take(2), n, gap, nr_pages;
	struct page *list[PAGES];
	unsigned long nr;
	long ret, want;

	take_span(&first, &to);
	gap = take(16);
	if (last >= 0 && pins[last].state == FREE)
		last = -1;
	for (n = 0; spare >= 0 && pins[spare].state != FREE; n++)
		spare = n < PINS ? (spare + 1) % PINS : -1;
	/* Often what could grow */
	if (last >= 0 && gap & 1 && pins[last].last + 1 < PAGES) {
		to = to - first + pins[last].last + 1;
		first = pins[last].last + 1;
		if (to >= PAGES)
			to = PAGES - 1;
	}
	r = range_of(first);
	if (spare >= 0)
		free_pin(spare, take(16));
	n = to - first + 1;
	step("attach %u-%u by %s, last %d, spare %d, gap %u", first, to, by_page ? "page" : "PFN", last, spare, gap);

	if (by_page) {
		nr_pages = n;
		for (page = 0; page < nr_pages; page++)
			list[page] = &pages[first + page];
		/* Behind the gap there is another page, which is for the next call */
		if (gap > 8 && gap < nr_pages) {
			list[gap] = &pages[first];
			n = gap;
		}
		want = r < 0 ? -EREMOTEIO : attach_expected(last, spare, first, n);
		ret = pfn_pin_attach_pages(last < 0 ? NULL : &pins[last].pin,
					   spare < 0 ? NULL : &pins[spare].pin, list, nr_pages);
	} else {
		nr = n;
		want = r < 0 ? 0 : attach_expected(last, spare, first, n);
		ret = pfn_pin_attach_pfns(last < 0 ? NULL : &pins[last].pin,
					  spare < 0 ? NULL : &pins[spare].pin, PFN(first), &nr);
		for (page = first; page <= to && r < 0 && range_of(page) < 0; page++)
			;
		expect("PFNs without a provider", nr, r < 0 ? page - first : n);
	}
	expect("attach", ret, want);
	if (spare >= 0)
		expect("attached", pfn_pin_attached(&pins[spare].pin), pins[spare].state == LIVE);
	done[want > 0 && (spare < 0 || pins[spare].state == FREE) ? GROW : ATTACH][want > 0]++;
}

static void detach(unsigned int p)
{
	step("detach %u", p);
	done[DETACH][1]++;
	taken_out += pins[p].state == STARTED;
	pfn_pin_detach(&pins[p].pin);
	expect("still attached", pfn_pin_attached(&pins[p].pin), false);
	pins[p].state = FREE;
	/* Its memory is something else now */
	memset(&pins[p].pin, 0xa5, sizeof(pins[p].pin));
}

static void do_detach(void)
{
	unsigned int p = take(PINS);

	/* Pins that were revoked are not much use any more */
	if (pins[p].state != FREE && (pins[p].state != LIVE || !take(4)))
		detach(p);
}

static void do_revoke(void)
{
	unsigned int mask = take(16) & take(16), late = take(2);
	struct pfn_range *list[RANGES];
	bool sleeps = false, all = true;
	int r, ret, left = !late;

	/* There is no way back from it */
	if (take(3))
		return;
	for (r = 0; r < RANGES; r++) {
		list[r] = mask & 1 << r ? ranges[r].range : NULL;
		if (list[r])
			revoke_expected(r);
	}
	/* Behind a range that is drained there is a moment's time */
	for (r = 0; r < RANGES; r++) {
		if (list[r] && drained(r, ranges[r].first, ranges[r].last))
			left = 1;
		else if (list[r] && left)
			sleeps = true;
		else if (list[r] && !sleeps)
			all = false;
	}
	step("revoke %#x, %s", mask, late ? "no time" : "some time");
	ret = pfn_range_revoke(list, RANGES, late ? 0 : take(2) ? 5 : MAX_SCHEDULE_TIMEOUT);
	started();
	if (sleeps)
		finished();
	done[REVOKE][!ret]++;
	expect("revoke", ret, all ? 0 : -ETIMEDOUT);
}

static void do_revoke_part(void)
{
	unsigned int k = take(PARTS), first, last;
	bool sleeps;
	int r;

	take_span(&first, &last);
	r = range_of(first);
	if (r < 0 || parts[k].range >= 0)
		return;
	if (last > ranges[r].last)
		last = ranges[r].last;
	step("revoke part %u: %u-%u", k, first, last);
	done[REVOKE_PART][1]++;
	parts[k].range = r;
	parts[k].first = first;
	parts[k].last = last;
	claim_expected(r, first, last);
	sleeps = !drained(r, first, last);
	calling = k;
	pfn_part_revoke(&parts[k].part, ranges[r].range, PFN(first), PFN(last));
	calling = -1;
	started();
	if (sleeps)
		finished();
	expect("a part that is drained", drained(r, first, last), true);
}

static void do_reopen(void)
{
	unsigned int k = take(PARTS);

	if (parts[k].range < 0)
		return;
	step("reopen part %u", k);
	done[REOPEN][1]++;
	reopen(k);
	/* It is the provider's again */
	memset(&parts[k].part, 0xa5, sizeof(parts[k].part));
}

/* The workers come to their turn */
static void do_run(void)
{
	step("run");
	done[RUN][1]++;
	shim_run_works();
	finished();
}

/* Nothing is in a callback, so nothing is named; pins that wait get more workers */
static void do_advance(void)
{
	unsigned int fails = take(2);

	step("advance%s", fails ? ", no memory" : "");
	done[ADVANCE][1]++;
	shim_fail_from(fails);
	shim_advance(take(4) * pfn_revoke_patience / 2);
	shim_fail_from(0);
}

static const char *range_state(int r)
{
	unsigned int page, n = 0;
	int k;

	if (ranges[r].whole && !drained(r, ranges[r].first, ranges[r].last))
		return "revoking";
	for (k = 0; k < PARTS; k++)
		if (parts[k].range == r && !drained(r, parts[k].first, parts[k].last))
			return "revoking";
	if (ranges[r].whole)
		return "closed";
	for (page = ranges[r].first; page <= ranges[r].last; page++)
		n += closed(page);
	return n ? "part" : "open";
}

/* Everything that pfn_revoke_next() tells, against what is there */
static void do_walk(void)
{
	struct pfn_revoke_cursor cursor = { .ns = &init_pid_ns };
	struct pfn_revoke_entry entry;
	unsigned int first, n = 0, announced = 0, told = 0;
	unsigned long at = 0;
	int p, r, nr_ranges = 0;
	const char *want;

	step("walk");
	done[WALK][1]++;
	while (pfn_revoke_next(&cursor, &entry)) {
		first = entry.first - BASE;
		if (!entry.is_pin) {
			expect("pins of the range before", n, announced);
			r = range_of(first);
			if (r < 0 || first != ranges[r].first || PFN(ranges[r].last) != entry.last || entry.first < at)
				wrong("a range that is told", first, r);
			want = range_state(r);
			expect(want, strcmp(entry.state, want), 0);
			at = entry.last + 1;
			announced = entry.pins;
			n = 0;
			nr_ranges++;
			continue;
		}
		n++;
		p = entry.pid - 100;
		if (p < 0 || p >= PINS || pins[p].state == FREE || pins[p].first != first ||
		    PFN(pins[p].last) != entry.last || range_of(first) != pins[p].range || told & 1 << p)
			wrong("a pin that is told", p, first);
		told |= 1 << p;
		want = pins[p].state == LIVE ? "attached" : pins[p].state == STARTED ? "revoking" : "revoked";
		expect(want, strcmp(entry.state, want), 0);
		expect("its consumer", strcmp(entry.consumer, ops[pins[p].flags & 3].name), 0);
	}
	expect("pins of the last range", n, announced);
	for (r = 0; r < RANGES; r++)
		nr_ranges -= !!ranges[r].range;
	expect("ranges told", nr_ranges, 0);
	for (p = 0; p < PINS; p++)
		expect("a pin", !!(told & 1 << p), pins[p].state != FREE && pins[p].range >= 0);
}

static void (*const doers[])(void) = {
	do_register, do_unregister, do_attach, do_attach, do_attach, do_attach, do_attach, do_detach,
	do_detach, do_revoke, do_revoke_part, do_revoke_part, do_reopen, do_run, do_advance, do_walk,
};

void ops_run(const uint8_t *bytes, size_t size)
{
	long had = shim_allocated();
	unsigned int i;

	next = bytes;
	end = bytes + size;
	shim_tracing = size & 1;
	shim_works_inline(true);
	nr_steps = 0;
	for (i = 0; i < PAGES; i++) {
		pages[i].pfn = PFN(i);
		pages[i].pgmap = &pgmaps[RANGES];
	}
	for (i = 0; i < PARTS; i++)
		parts[i].range = -1;
	while (next < end)
		doers[take(16)]();

	for (i = 0; i < PINS; i++)
		if (pins[i].state != FREE)
			detach(i);
	for (i = 0; i < RANGES; i++)
		if (ranges[i].range)
			unregister(i);
	/* The last references are those of works, and of watchdogs */
	shim_run_works();
	shim_advance(pfn_revoke_patience);
	shim_run_works();
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
	printf(", %lu pins revoked, %lu of them taken out by a detach\n", claims, taken_out);
}
