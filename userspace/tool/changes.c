// SPDX-License-Identifier: GPL-2.0
/* What changed between two readings of /proc/pfn_revoke. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
	const struct revpin_range *range;
	const struct revpin_pin *pin;	/* NULL: the range itself */
};

struct items {
	struct item *at;
	size_t n;
};

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/*
 * Same item? Ranges by provider and place; pins by range, start, time and kind
 * of owner: their end grows while they are made, the name of a process changes,
 * and its pid becomes 0 when it has gone. Ranges come before all pins.
 */
static int cmp(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int c = !!a->pin - !!b->pin;

	if (!c)
		c = strcmp(revpin_range_provider(a->range),
			   revpin_range_provider(b->range));
	if (!c)
		c = cmp_u64(revpin_range_start(a->range),
			    revpin_range_start(b->range));
	if (!c)
		c = cmp_u64(revpin_range_end(a->range),
			    revpin_range_end(b->range));
	if (c || !a->pin)
		return c;
	c = cmp_u64(revpin_pin_since(a->pin), revpin_pin_since(b->pin));
	if (!c)
		c = cmp_u64(revpin_pin_start(a->pin), revpin_pin_start(b->pin));
	if (!c)
		c = strcmp(revpin_pin_consumer(a->pin),
			   revpin_pin_consumer(b->pin));
	return c;
}

static int age(const struct item *i)
{
	switch (revpin_pin_state(i->pin)) {
	case REVPIN_STATE_REVOKED:
		return 2;
	case REVPIN_STATE_REVOKING:
		return 1;
	default:
		return 0;
	}
}

/*
 * A pin that changes while the kernel writes the list can be in it as it was
 * and again as it is: what counts is the latter.
 */
static size_t only_last(struct item *at, size_t n)
{
	size_t i, kept = 0;

	for (i = 1; i < n; i++) {
		if (!at[i].pin || cmp(&at[kept], &at[i]) ||
		    age(&at[kept]) == age(&at[i]))
			at[++kept] = at[i];
		else if (age(&at[i]) > age(&at[kept]))
			at[kept] = at[i];
	}
	return kept + 1;
}

static int gather(const struct revpin_holders *h, const char *bdf,
		  struct items *items)
{
	const struct revpin_range *r;
	size_t i, j, n = 0;

	items->n = 0;
	items->at = NULL;
	if (!h)
		return 0;
	for (i = 0; (r = revpin_holders_range(h, i)); i++)
		n += 1 + revpin_range_count(r);
	if (!n)
		return 0;
	items->at = calloc(n, sizeof(*items->at));
	if (!items->at)
		return -ENOMEM;
	n = 0;
	for (i = 0; (r = revpin_holders_range(h, i)); i++) {
		if (bdf && strcmp(revpin_range_provider(r), bdf))
			continue;
		items->at[n++] = (struct item){ .range = r };
		for (j = 0; j < revpin_range_count(r); j++)
			items->at[n++] = (struct item){
				.range = r, .pin = revpin_range_pin(r, j),
			};
	}
	if (n > 1) {
		qsort(items->at, n, sizeof(*items->at), cmp);
		n = only_last(items->at, n);
	}
	items->n = n;
	return 0;
}

static void gone(const struct item *i, const struct items *now, change_fn fn,
		 void *arg)
{
	struct item range = { .range = i->range };
	enum change what = RANGE_GONE;

	if (i->pin)
		what = now->n && bsearch(&range, now->at, now->n,
					 sizeof(range), cmp) ?
		       PIN_GONE : PIN_GONE_WITH_RANGE;
	fn(what, i->range, i->pin, arg);
}

static void both(const struct item *a, const struct item *b, change_fn fn,
		 void *arg)
{
	if (b->pin && revpin_pin_state(a->pin) != revpin_pin_state(b->pin))
		fn(PIN_STATE, b->range, b->pin, arg);
	if (!b->pin &&
	    revpin_range_state(a->range) != revpin_range_state(b->range))
		fn(RANGE_STATE, b->range, NULL, arg);
}

int changes(const struct revpin_holders *before,
	    const struct revpin_holders *after, const char *bdf, change_fn fn,
	    void *arg)
{
	struct items old, now;
	size_t i = 0, j = 0;
	int c, err;

	err = gather(before, bdf, &old);
	if (err)
		return err;
	err = gather(after, bdf, &now);
	while (!err && (i < old.n || j < now.n)) {
		if (i == old.n)
			c = 1;
		else if (j == now.n)
			c = -1;
		else
			c = cmp(&old.at[i], &now.at[j]);
		if (c < 0)
			gone(&old.at[i++], &now, fn, arg);
		else if (c > 0)
			fn(now.at[j].pin ? PIN_NEW : RANGE_NEW,
			   now.at[j].range, now.at[j].pin, arg), j++;
		else
			both(&old.at[i++], &now.at[j++], fn, arg);
	}
	free(old.at);
	free(now.at);
	return err;
}

void pin_owner(const struct revpin_pin *pin, char buf[2 * SAFE_TEXT])
{
	char comm[SAFE_TEXT], consumer[SAFE_TEXT], pid[16] = "-";

	if (revpin_pin_pid(pin))
		snprintf(pid, sizeof(pid), "%d", revpin_pin_pid(pin));
	snprintf(buf, 2 * SAFE_TEXT, "pid %s (%.64s): %.64s", pid,
		 safe_text(revpin_pin_comm(pin), comm),
		 safe_text(revpin_pin_consumer(pin), consumer));
}

const char *change_name(enum change what)
{
	static const char *const names[] = {
		[RANGE_NEW] = "range-new",
		[RANGE_STATE] = "range-state",
		[RANGE_GONE] = "range-gone",
		[PIN_NEW] = "pin-new",
		[PIN_STATE] = "pin-state",
		[PIN_GONE] = "pin-gone",
		[PIN_GONE_WITH_RANGE] = "pin-gone-with-range",
	};

	return names[what];
}
