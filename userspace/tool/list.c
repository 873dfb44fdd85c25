// SPDX-License-Identifier: GPL-2.0
/* revpin list: the providers. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct row {
	char driver[64], why[256];
	uint64_t size, available;
	int published, p2p;
	long pins;			/* -1: not known */
};

static const char *const p2p_names[] = {
	[REVPIN_P2P_UNKNOWN] = "unknown",
	[REVPIN_P2P_BRIDGE] = "bridge",
	[REVPIN_P2P_HOST] = "host",
};

/* 1: it went away while it was looked at. */
static int look(const struct revpin_provider *p, const char *to,
		const struct revpin_holders *h, struct row *r)
{
	int err;

	memset(r, 0, sizeof(*r));
	err = revpin_provider_driver(p, r->driver, sizeof(r->driver));
	if (err == -ENODEV)
		strcpy(r->driver, "-");
	else if (err)
		return err;
	err = revpin_provider_size(p, &r->size);
	if (!err)
		err = revpin_provider_available(p, &r->available);
	if (!err)
		err = r->published = revpin_provider_published(p);
	if (err >= 0 && to)
		err = r->p2p = revpin_provider_p2p(p, to, r->why,
						   sizeof(r->why));
	if (err < 0)
		return err == -ENODEV ? 1 : err;
	r->pins = h ? (long)holders_pins(h, revpin_provider_bdf(p), true) : -1;
	return 0;
}

static void add_text(struct table *t, const char *bdf, const struct row *r,
		     bool to)
{
	char buf[SIZE_TEXT], safe[SAFE_TEXT];

	table_cell(t, PLAIN, "%s", bdf);
	table_cell(t, PLAIN, "%s", safe_text(r->driver, safe));
	table_cell(t, PLAIN, "%s", size_text(r->size, buf));
	table_cell(t, PLAIN, "%s", size_text(r->available, buf));
	table_cell(t, r->published ? GREEN : RED, "%s",
		   r->published ? "yes" : "no");
	if (r->pins < 0)
		table_cell(t, PLAIN, "-");
	else
		table_cell(t, PLAIN, "%ld", r->pins);
	if (to)
		table_cell(t, r->p2p ? GREEN : YELLOW, "%s: %s",
			   p2p_names[r->p2p], safe_text(r->why, safe));
}

static struct json_object *row_json(const char *bdf, const struct row *r,
				    bool to)
{
	struct json_object *o = json_object_new_object();

	json_text(o, "device", bdf);
	if (strcmp(r->driver, "-"))
		json_text(o, "driver", r->driver);
	else
		json_object_object_add(o, "driver", NULL);
	json_u64(o, "size", r->size);
	json_u64(o, "available", r->available);
	json_object_object_add(o, "published",
			       json_object_new_boolean(r->published));
	json_object_object_add(o, "pins", r->pins < 0 ? NULL :
			       json_object_new_int64(r->pins));
	if (to) {
		json_text(o, "p2p", p2p_names[r->p2p]);
		json_text(o, "why", r->why);
	}
	return o;
}

int cmd_list(int argc, char **argv)
{
	static const char *const head[] = { "DEVICE", "DRIVER", "SIZE",
		"AVAILABLE", "PUBLISHED", "PINS", NULL };
	static const char *const head_to[] = { "DEVICE", "DRIVER", "SIZE",
		"AVAILABLE", "PUBLISHED", "PINS", "P2P", NULL };
	const char *to = NULL;
	const struct option_spec spec[] = {
		{ .name = "to", .text = &to }, { .name = NULL },
	};
	struct json_object *all = NULL;
	struct revpin_provider **list;
	struct revpin_holders *h = NULL;
	struct table *t = NULL;
	char client[REVPIN_BDF_SIZE];
	int i, n, code, err;
	struct row r;

	if (options(argc, argv, spec, 0) < 0)
		return EXIT_USAGE;
	code = to ? need_bdf(to, client) : 0;
	if (code)
		return code;
	n = revpin_provider_list(&list);
	if (n < 0)
		return fail_err(n, "cannot list the providers");
	/* only a column, and not for everyone to see */
	if (revpin_holders_read(&h))
		h = NULL;
	if (want_json)
		all = json_object_new_array();
	else if (n)
		t = table_new(to ? head_to : head, to ? "llrrlrl" : "llrrlr");
	else
		note("no PCI device offers peer-to-peer memory; 'revpin check' says what to do");
	for (i = 0; i < n; i++) {
		const char *bdf = revpin_provider_bdf(list[i]);

		err = look(list[i], to ? client : NULL, h, &r);
		if (err < 0)
			code = fail_err(err, "%s", bdf);
		if (err)
			continue;
		if (all)
			json_object_array_add(all, row_json(bdf, &r, to));
		else
			add_text(t, bdf, &r, to);
	}
	if (all) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "providers", all);
		json_print(o, false);
	} else if (t) {
		table_print(t, 0);
	}
	revpin_holders_free(h);
	revpin_provider_list_free(list);
	return code;
}
