// SPDX-License-Identifier: GPL-2.0
/* revpin holders: who holds what. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum colour state_colour(enum revpin_state state)
{
	switch (state) {
	case REVPIN_STATE_OPEN:
	case REVPIN_STATE_ATTACHED:
		return GREEN;
	case REVPIN_STATE_REVOKED:
	case REVPIN_STATE_CLOSED:
		return RED;
	default:
		return YELLOW;
	}
}

static bool of(const struct revpin_range *r, const char *bdf)
{
	return !bdf || !strcmp(revpin_range_provider(r), bdf);
}

size_t holders_pins(const struct revpin_holders *h, const char *bdf, bool live)
{
	const struct revpin_range *r;
	size_t i, j, n = 0;

	for (i = 0; (r = revpin_holders_range(h, i)); i++) {
		if (!of(r, bdf))
			continue;
		for (j = 0; j < revpin_range_count(r); j++)
			n += !live || revpin_pin_state(revpin_range_pin(r, j)) !=
			     REVPIN_STATE_REVOKED;
	}
	return n;
}

static void pins_text(const struct revpin_range *r)
{
	static const char *const head[] = { "PID", "COMM", "CONSUMER", "SIZE",
		"STATE", "HELD", NULL };
	char buf[SAFE_TEXT], size[SIZE_TEXT];
	const struct revpin_pin *p;
	uint64_t now = boottime_us(), held;
	struct table *t;
	size_t i;

	t = table_new(head, "rllrlr");
	for (i = 0; (p = revpin_range_pin(r, i)); i++) {
		if (revpin_pin_pid(p))
			table_cell(t, PLAIN, "%d", revpin_pin_pid(p));
		else
			table_cell(t, PLAIN, "-");
		table_cell(t, PLAIN, "%s", *revpin_pin_comm(p) ?
			   safe_text(revpin_pin_comm(p), buf) : "-");
		table_cell(t, PLAIN, "%s",
			   safe_text(revpin_pin_consumer(p), buf));
		table_cell(t, PLAIN, "%s", size_text(revpin_pin_bytes(p), size));
		table_cell(t, state_colour(revpin_pin_state(p)), "%s",
			   revpin_state_name(revpin_pin_state(p)));
		held = now > revpin_pin_since(p) ? now - revpin_pin_since(p) : 0;
		table_cell(t, PLAIN, "%llu.%llu s",
			   (unsigned long long)(held / 1000000),
			   (unsigned long long)(held / 100000 % 10));
	}
	table_print(t, 2);
}

void holders_text(const struct revpin_holders *h, const char *bdf)
{
	const struct revpin_range *r;
	char buf[SAFE_TEXT];
	size_t i, n, shown = 0;

	for (i = 0; (r = revpin_holders_range(h, i)); i++) {
		enum revpin_state state = revpin_range_state(r);

		if (!of(r, bdf))
			continue;
		shown++;
		n = revpin_range_count(r);
		printf("%s  %#llx-%#llx  %s%s%s, ",
		       safe_text(revpin_range_provider(r), buf),
		       (unsigned long long)revpin_range_start(r),
		       (unsigned long long)revpin_range_end(r),
		       colour_on(state_colour(state)), revpin_state_name(state),
		       colour_off(state_colour(state)));
		if (!n) {
			printf("nobody holds it\n");
			continue;
		}
		printf("%zu pin%s\n", n, n == 1 ? "" : "s");
		pins_text(r);
	}
	if (!shown && bdf)
		printf("%s has no memory that can be pinned\n", bdf);
	else if (!shown)
		printf("no device has memory that can be pinned\n");
}

struct json_object *pin_json(const struct revpin_pin *p)
{
	struct json_object *o = json_object_new_object();

	json_u64(o, "pid", (uint64_t)revpin_pin_pid(p));
	json_text(o, "comm", revpin_pin_comm(p));
	json_text(o, "consumer", revpin_pin_consumer(p));
	json_u64(o, "bytes", revpin_pin_bytes(p));
	json_text(o, "state", revpin_state_name(revpin_pin_state(p)));
	json_u64(o, "since_us", revpin_pin_since(p));
	json_u64(o, "start", revpin_pin_start(p));
	json_u64(o, "end", revpin_pin_end(p));
	return o;
}

struct json_object *holders_json(const struct revpin_holders *h,
				 const char *bdf)
{
	struct json_object *ranges = json_object_new_array(), *pins, *o;
	const struct revpin_range *r;
	size_t i, j;

	for (i = 0; (r = revpin_holders_range(h, i)); i++) {
		if (!of(r, bdf))
			continue;
		o = json_object_new_object();
		json_text(o, "provider", revpin_range_provider(r));
		json_text(o, "state", revpin_state_name(revpin_range_state(r)));
		json_u64(o, "start", revpin_range_start(r));
		json_u64(o, "end", revpin_range_end(r));
		pins = json_object_new_array();
		for (j = 0; j < revpin_range_count(r); j++)
			json_object_array_add(pins,
					      pin_json(revpin_range_pin(r, j)));
		json_object_object_add(o, "pins", pins);
		json_object_array_add(ranges, o);
	}
	o = json_object_new_object();
	json_object_object_add(o, "ranges", ranges);
	return o;
}

int cmd_holders(int argc, char **argv)
{
	int i = options(argc, argv, NULL, 1), code;
	struct revpin_holders *h;
	char bdf[REVPIN_BDF_SIZE];
	const char *which = NULL;

	if (i < 0)
		return EXIT_USAGE;
	if (i < argc) {
		code = need_bdf(argv[i], bdf);
		if (code)
			return code;
		which = bdf;
	}
	code = need_holders(&h);
	if (code)
		return code;
	if (want_json)
		json_print(holders_json(h, which), false);
	else
		holders_text(h, which);
	revpin_holders_free(h);
	return EXIT_DONE;
}
