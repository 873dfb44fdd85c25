// SPDX-License-Identifier: GPL-2.0
/* What changed between two readings of the list of holders. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

struct item {
	const struct revpin_range *range;
	const struct revpin_pin *pin;	/* NULL: the range itself */
	const struct item *twin;	/* the same in the other reading */
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
 * May it be the same item? What does not change while it is there: of a range
 * the provider and place; of a pin the range, time, start and kind of owner.
 * Ranges come before all pins.
 *
 * Times are those of a tick, so several pins can have all of that in common.
 * match() tells them apart by what seldom changes.
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

/* And of the same process: its pid becomes 0 when it is gone. */
static int cmp_pid(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int c = cmp(a, b);

	if (c || !a->pin)
		return c;
	return cmp_u64((uint64_t)revpin_pin_pid(a->pin),
		       (uint64_t)revpin_pin_pid(b->pin));
}

/* And of the same size: it grows while the pin is made. */
static int cmp_size(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int c = cmp_pid(a, b);

	if (c || !a->pin)
		return c;
	return cmp_u64(revpin_pin_end(a->pin), revpin_pin_end(b->pin));
}

/* And in the same state. */
static int cmp_state(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int c = cmp_size(a, b);

	return c || !a->pin ? c : age(a) - age(b);
}

/* Of the same size, whoever made it. */
static int cmp_gone(const void *x, const void *y)
{
	const struct item *a = x, *b = y;
	int c = cmp(a, b);

	if (c || !a->pin)
		return c;
	return cmp_u64(revpin_pin_end(a->pin), revpin_pin_end(b->pin));
}

/* The end of the items from here on that only differ in their state. */
static size_t alike(const struct items *items, size_t i)
{
	size_t j = i;

	while (j < items->n && !cmp_size(&items->at[i], &items->at[j]))
		j++;
	return j;
}

/* How many of these have not come as far as that one? */
static size_t behind(const struct items *items, size_t i, size_t end,
		     const struct item *last)
{
	size_t n = 0;

	while (i + n < end && cmp_state(&items->at[i + n], last) < 0)
		n++;
	return n;
}

/*
 * A pin that is revoked while the kernel writes the list can be in it as it was
 * and again as it is: what counts is the latter. So pins that only differ in
 * their state are taken to be listed twice when the other reading has fewer of
 * them, and, for the earlier reading, none that would have to go back to an
 * earlier state. Both are sorted by cmp_state().
 */
static void only_last(struct items *items, const struct items *other,
		      bool earlier)
{
	size_t i, j, end, other_end, n, most, kept = 0;
	const struct item *last;

	for (i = j = 0; i < items->n; i = end) {
		end = alike(items, i);
		last = &items->at[end - 1];
		while (j < other->n && cmp_size(&other->at[j], last) < 0)
			j++;
		other_end = j;
		if (j < other->n && !cmp_size(&other->at[j], last))
			other_end = alike(other, j);
		n = end - i > other_end - j ? end - i - (other_end - j) : 0;
		most = behind(items, i, end, last);
		n = MIN(n, end - i - most);
		if (earlier)
			most -= MIN(most, behind(other, j, other_end, last));
		n = MIN(n, most);
		memmove(&items->at[kept], &items->at[i + n],
			(end - i - n) * sizeof(*items->at));
		kept += end - i - n;
	}
	items->n = kept;
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
	qsort(items->at, n, sizeof(*items->at), cmp_state);
	items->n = n;
	return 0;
}

typedef int (*cmp_fn)(const void *x, const void *y);

static cmp_fn by;			/* for qsort(), which has no argument */

static int cmp_pointers(const void *x, const void *y)
{
	const struct item *const *a = x, *const *b = y;
	int c = by(*a, *b);

	/* in the order of the list */
	return c ? c : (*a > *b) - (*a < *b);
}

/* Pairs those that are the same by fn, and takes them out of the lists. */
static void pair(struct item **old, size_t *n, struct item **now, size_t *m,
		 cmp_fn fn)
{
	size_t i = 0, j = 0, left_n = 0, left_m = 0;
	int c;

	by = fn;
	if (*n)
		qsort(old, *n, sizeof(*old), cmp_pointers);
	if (*m)
		qsort(now, *m, sizeof(*now), cmp_pointers);
	while (i < *n || j < *m) {
		c = i == *n ? 1 : j == *m ? -1 : fn(old[i], now[j]);
		if (c < 0) {
			old[left_n++] = old[i++];
		} else if (c > 0) {
			now[left_m++] = now[j++];
		} else {
			old[i]->twin = now[j];
			now[j++]->twin = old[i++];
		}
	}
	*n = left_n;
	*m = left_m;
}

/*
 * Which is which. First those of which nothing has changed; then, of what is
 * left, those whose state has changed; that have grown; whose owner has gone.
 */
static int match(struct items *old, struct items *now)
{
	struct item **a, **b;
	size_t i, j, n = old->n, m = now->n;

	if (!n || !m)
		return 0;
	a = calloc(n, sizeof(struct item *));
	b = calloc(m, sizeof(struct item *));
	if (!a || !b) {
		free(a);
		free(b);
		return -ENOMEM;
	}
	for (i = 0; i < n; i++)
		a[i] = &old->at[i];
	for (i = 0; i < m; i++)
		b[i] = &now->at[i];
	pair(a, &n, b, &m, cmp_state);
	pair(a, &n, b, &m, cmp_size);
	pair(a, &n, b, &m, cmp_pid);
	for (i = j = 0; i < m; i++)
		if (b[i]->pin && !revpin_pin_pid(b[i]->pin))
			b[j++] = b[i];
	m = j;
	pair(a, &n, b, &m, cmp_gone);
	free(a);
	free(b);
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
	int err;

	err = gather(before, bdf, &old);
	if (err)
		return err;
	err = gather(after, bdf, &now);
	if (!err) {
		only_last(&old, &now, true);
		only_last(&now, &old, false);
		err = match(&old, &now);
	}
	while (!err && (i < old.n || j < now.n)) {
		if (j == now.n || (i < old.n && cmp(&old.at[i], &now.at[j]) <= 0)) {
			if (!old.at[i].twin)
				gone(&old.at[i], &now, fn, arg);
			i++;
			continue;
		}
		if (now.at[j].twin)
			both(now.at[j].twin, &now.at[j], fn, arg);
		else
			fn(now.at[j].pin ? PIN_NEW : RANGE_NEW,
			   now.at[j].range, now.at[j].pin, arg);
		j++;
	}
	free(old.at);
	free(now.at);
	return err;
}

void pin_owner(const struct revpin_pin *pin, char buf[2 * SAFE_TEXT])
{
	char comm[SAFE_TEXT], consumer[SAFE_TEXT], pid[16] = "-";

	safe_text(revpin_pin_consumer(pin), consumer);
	if (!revpin_pin_pid(pin) && !*revpin_pin_comm(pin)) {
		snprintf(buf, 2 * SAFE_TEXT, "process gone: %.64s", consumer);
		return;
	}
	if (revpin_pin_pid(pin))
		snprintf(pid, sizeof(pid), "%d", revpin_pin_pid(pin));
	snprintf(buf, 2 * SAFE_TEXT, "pid %s (%.64s): %.64s", pid,
		 safe_text(revpin_pin_comm(pin), comm), consumer);
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
