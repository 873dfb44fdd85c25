// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * pfn_revoke in debugfs: lines of a first word and key=value pairs.
 *
 *   range start=0x... end=0x... state=open pins=N provider="0000:00:04.0"
 *     pin start=0x... end=0x... bytes=N state=attached since=SEC.USEC
 *         pid=N consumer="ib_umem" comm="..."		(on one line)
 *
 * A pin belongs to the range above it. Lines that begin with another word, and
 * keys that are not known, are passed over: later kernels may add some. What
 * is known has to be right.
 */
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct revpin_pin {
	uint64_t start, end, bytes, since;
	enum revpin_state state;
	int pid;
	const char *consumer, *comm;	/* in the text */
};

struct revpin_range {
	uint64_t start, end;
	enum revpin_state state;
	const char *provider;
	const struct revpin_pin *pins;	/* set when all have been read */
	size_t first, count;
};

struct revpin_holders {
	char *text;
	struct revpin_range *ranges;
	struct revpin_pin *pins;
	size_t nr_ranges, nr_pins;
	size_t max_ranges, max_pins;
};

static const char *const state_names[] = {
	[REVPIN_STATE_UNKNOWN] = "unknown",
	[REVPIN_STATE_OPEN] = "open",
	[REVPIN_STATE_REVOKING] = "revoking",
	[REVPIN_STATE_CLOSED] = "closed",
	[REVPIN_STATE_ATTACHED] = "attached",
	[REVPIN_STATE_REVOKED] = "revoked",
	[REVPIN_STATE_PART] = "part",
};

#define NR_STATES	(sizeof(state_names) / sizeof(state_names[0]))

const char *revpin_state_name(enum revpin_state state)
{
	return state_names[(size_t)state < NR_STATES ? state : 0];
}

static enum revpin_state state_of(const char *word)
{
	size_t i;

	for (i = 1; i < NR_STATES; i++)
		if (!strcmp(word, state_names[i]))
			return i;
	return REVPIN_STATE_UNKNOWN;
}

/* What the kernel's string escapes stand for, one character; 0: no such. */
static int unescape(const char **from)
{
	static const char plain[] = "abefnrtv\\\"", code[] =
		"\a\b\033\f\n\r\t\v\\\"";
	const char *s = *from, *at;
	int val = 0, i;

	if (*s >= '0' && *s <= '3') {
		for (i = 0; i < 3; i++, s++) {
			if (*s < '0' || *s > '7')
				return 0;
			val = val * 8 + *s - '0';
		}
		*from = s;
		return val;
	}
	at = *s ? strchr(plain, *s) : NULL;
	if (!at)
		return 0;
	*from = s + 1;
	return (unsigned char)code[at - plain];
}

/*
 * Cuts the next key and value out of the line, in place. 1, 0 at its end, or
 * -EBADMSG.
 */
static int next_pair(char **line, char **key, char **val)
{
	const char *from;
	char *s = *line, *to;
	int c;

	s += strspn(s, " \t");
	if (!*s)
		return 0;
	*key = s;
	s += strcspn(s, "= \t\"");
	if (*s != '=' || s == *key)
		return -EBADMSG;
	*s++ = '\0';
	if (*s != '"') {
		*val = s;
		s += strcspn(s, " \t");
		if (s == *val || memchr(*val, '"', s - *val))
			return -EBADMSG;
		if (*s)
			*s++ = '\0';
		*line = s;
		return 1;
	}
	/* never longer than what it is made of */
	*val = ++s;
	for (to = s, from = s; *from != '"'; *to++ = (char)c) {
		c = (unsigned char)*from++;
		if (c == '\\')
			c = unescape(&from);
		if (!c)
			return -EBADMSG;
	}
	from++;
	if (*from && *from != ' ' && *from != '\t')
		return -EBADMSG;
	s = *line + (from - *line);
	*to = '\0';
	*line = s;
	return 1;
}

/* SECONDS.MICROSECONDS, with six digits behind the point. */
static int parse_time(char *text, uint64_t *usec)
{
	char *point = strchr(text, '.');
	uint64_t s, us;
	int err;

	if (!point || strspn(point + 1, "0123456789") != 6)
		return -EBADMSG;
	*point = '\0';
	err = rp_parse_u64(text, &s);
	if (!err)
		err = rp_parse_u64(point + 1, &us);
	if (err || s > (UINT64_MAX - us) / 1000000)
		return -EBADMSG;
	*usec = s * 1000000 + us;
	return 0;
}

static int parse_pid(const char *text, int *pid)
{
	uint64_t val;

	if (rp_parse_u64(text, &val) || val > INT_MAX)
		return -EBADMSG;
	*pid = (int)val;
	return 0;
}

enum { HAS_START = 1, HAS_END = 2, HAS_STATE = 4, HAS_ALL = 7 };

static int parse_range(char *line, struct revpin_range *r)
{
	char *key, *val;
	int n, has = 0, err;

	r->provider = "";
	while ((n = next_pair(&line, &key, &val)) > 0) {
		err = 0;
		if (!strcmp(key, "start")) {
			err = rp_parse_u64(val, &r->start);
			has |= HAS_START;
		} else if (!strcmp(key, "end")) {
			err = rp_parse_u64(val, &r->end);
			has |= HAS_END;
		} else if (!strcmp(key, "state")) {
			r->state = state_of(val);
			has |= HAS_STATE;
		} else if (!strcmp(key, "provider")) {
			r->provider = val;
		}
		if (err)
			return -EBADMSG;
	}
	return n || has != HAS_ALL || r->end < r->start ? -EBADMSG : 0;
}

static int parse_pin(char *line, struct revpin_pin *p)
{
	char *key, *val;
	int n, has = 0, err;

	p->consumer = "";
	p->comm = "";
	while ((n = next_pair(&line, &key, &val)) > 0) {
		err = 0;
		if (!strcmp(key, "start")) {
			err = rp_parse_u64(val, &p->start);
			has |= HAS_START;
		} else if (!strcmp(key, "end")) {
			err = rp_parse_u64(val, &p->end);
			has |= HAS_END;
		} else if (!strcmp(key, "state")) {
			p->state = state_of(val);
			has |= HAS_STATE;
		} else if (!strcmp(key, "bytes")) {
			err = rp_parse_u64(val, &p->bytes);
		} else if (!strcmp(key, "since")) {
			err = parse_time(val, &p->since);
		} else if (!strcmp(key, "pid")) {
			err = parse_pid(val, &p->pid);
		} else if (!strcmp(key, "consumer")) {
			p->consumer = val;
		} else if (!strcmp(key, "comm")) {
			p->comm = val;
		}
		if (err)
			return -EBADMSG;
	}
	return n || has != HAS_ALL || p->end < p->start ? -EBADMSG : 0;
}

/* Room for one more, zeroed; NULL without memory. */
static void *one_more(void **array, size_t *nr, size_t *max, size_t size)
{
	size_t more = *max ? *max * 2 : 16;
	char *new;

	if (*nr == *max) {
		new = realloc(*array, more * size);
		if (!new)
			return NULL;
		*array = new;
		*max = more;
	}
	new = (char *)*array + (*nr)++ * size;
	memset(new, 0, size);
	return new;
}

static int parse_line(struct revpin_holders *h, char *line)
{
	struct revpin_range *r;
	struct revpin_pin *p;
	char *word;
	void *array;

	line += strspn(line, " \t");
	word = line;
	line += strcspn(line, " \t");
	if (*line)
		*line++ = '\0';
	if (!strcmp(word, "range")) {
		array = h->ranges;
		r = one_more(&array, &h->nr_ranges, &h->max_ranges, sizeof(*r));
		h->ranges = array;
		if (!r)
			return -ENOMEM;
		r->first = h->nr_pins;
		return parse_range(line, r);
	}
	if (!strcmp(word, "pin")) {
		if (!h->nr_ranges)
			return -EBADMSG;
		array = h->pins;
		p = one_more(&array, &h->nr_pins, &h->max_pins, sizeof(*p));
		h->pins = array;
		if (!p)
			return -ENOMEM;
		h->ranges[h->nr_ranges - 1].count++;
		return parse_pin(line, p);
	}
	return 0;
}

/* Takes the text, which has a NUL behind it. */
static int parse(char *text, size_t len, struct revpin_holders **holders)
{
	struct revpin_holders *h;
	char *line, *next;
	int err = 0;
	size_t i;

	h = calloc(1, sizeof(*h));
	if (!h) {
		free(text);
		return -ENOMEM;
	}
	h->text = text;
	if (memchr(text, '\0', len))
		err = -EBADMSG;
	for (line = text; !err && line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		err = parse_line(h, line);
	}
	if (err) {
		revpin_holders_free(h);
		return err;
	}
	for (i = 0; i < h->nr_ranges; i++)
		if (h->ranges[i].count)
			h->ranges[i].pins = h->pins + h->ranges[i].first;
	*holders = h;
	return 0;
}

int revpin_holders_parse(const char *text, size_t len,
			 struct revpin_holders **holders)
{
	char *copy;

	if (len > REVPIN_TEXT_MAX)
		return -EFBIG;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return parse(copy, len, holders);
}

int revpin_holders_read(struct revpin_holders **holders)
{
	char path[REVPIN_PATH_SIZE], *text;
	size_t len;
	int err;

	err = rp_path(path, HOLDERS);
	if (err)
		return err;
	err = rp_read_all(path, &text, &len);
	if (err == -ENOENT && !revpin_supported())
		return -EOPNOTSUPP;
	if (err)
		return err;
	return parse(text, len, holders);
}

void revpin_holders_free(struct revpin_holders *holders)
{
	if (!holders)
		return;
	free(holders->ranges);
	free(holders->pins);
	free(holders->text);
	free(holders);
}

size_t revpin_holders_count(const struct revpin_holders *holders)
{
	return holders->nr_ranges;
}

const struct revpin_range *
revpin_holders_range(const struct revpin_holders *holders, size_t index)
{
	return index < holders->nr_ranges ? &holders->ranges[index] : NULL;
}

const char *revpin_range_provider(const struct revpin_range *range)
{
	return range->provider;
}

enum revpin_state revpin_range_state(const struct revpin_range *range)
{
	return range->state;
}

uint64_t revpin_range_start(const struct revpin_range *range)
{
	return range->start;
}

uint64_t revpin_range_end(const struct revpin_range *range)
{
	return range->end;
}

size_t revpin_range_count(const struct revpin_range *range)
{
	return range->count;
}

const struct revpin_pin *revpin_range_pin(const struct revpin_range *range,
					  size_t index)
{
	return index < range->count ? &range->pins[index] : NULL;
}

enum revpin_state revpin_pin_state(const struct revpin_pin *pin)
{
	return pin->state;
}

uint64_t revpin_pin_start(const struct revpin_pin *pin)
{
	return pin->start;
}

uint64_t revpin_pin_end(const struct revpin_pin *pin)
{
	return pin->end;
}

uint64_t revpin_pin_bytes(const struct revpin_pin *pin)
{
	return pin->bytes;
}

uint64_t revpin_pin_since(const struct revpin_pin *pin)
{
	return pin->since;
}

int revpin_pin_pid(const struct revpin_pin *pin)
{
	return pin->pid;
}

const char *revpin_pin_consumer(const struct revpin_pin *pin)
{
	return pin->consumer;
}

const char *revpin_pin_comm(const struct revpin_pin *pin)
{
	return pin->comm;
}
