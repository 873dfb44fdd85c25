// SPDX-License-Identifier: GPL-2.0
#include "internal.h"
#include "tree.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIST	"sys/kernel/debug/pfn_revoke"
#define RANGE	"range start=0x10000000 end=0x13ffffff state=open pins=0 " \
		"provider=\"0000:00:04.0\"\n"
#define PIN	"  pin start=0x10000000 end=0x100fffff bytes=1048576 " \
		"state=attached since=14.023456 pid=131 " \
		"consumer=\"ib_umem\" comm=\"app\"\n"

static int parse(const char *text, struct revpin_holders **h)
{
	return revpin_holders_parse(text, strlen(text), h);
}

static void sample(void)
{
	static const char text[] =
		"range start=0x10000000 end=0x13ffffff state=revoking pins=2 "
		"provider=\"0000:00:04.0\"\n" PIN
		"pin start=0x10200000 end=0x10200fff bytes=4096 state=revoked "
		"since=0.000001 pid=0 consumer=\"vfio\" comm=\"\"\n"
		"range start=0x20000000 end=0x20000fff state=closed pins=0 "
		"provider=\"0000:00:05.0\"\n"
		"pin start=0x20000000 end=0x20000fff state=revoking pid=9";
	const struct revpin_range *r;
	const struct revpin_pin *p;
	struct revpin_holders *h;

	EQ(parse(text, &h), 0);
	EQ(revpin_holders_count(h), 2);
	CU_ASSERT_PTR_NULL(revpin_holders_range(h, 2));
	r = revpin_holders_range(h, 0);
	STR(revpin_range_provider(r), "0000:00:04.0");
	EQ(revpin_range_state(r), REVPIN_STATE_REVOKING);
	EQ(revpin_range_start(r), 0x10000000);
	EQ(revpin_range_end(r), 0x13ffffff);
	EQ(revpin_range_count(r), 2);
	CU_ASSERT_PTR_NULL(revpin_range_pin(r, 2));
	p = revpin_range_pin(r, 0);
	EQ(revpin_pin_state(p), REVPIN_STATE_ATTACHED);
	EQ(revpin_pin_start(p), 0x10000000);
	EQ(revpin_pin_end(p), 0x100fffff);
	EQ(revpin_pin_bytes(p), 1048576);
	EQ(revpin_pin_since(p), 14023456);
	EQ(revpin_pin_pid(p), 131);
	STR(revpin_pin_consumer(p), "ib_umem");
	STR(revpin_pin_comm(p), "app");
	p = revpin_range_pin(r, 1);
	EQ(revpin_pin_state(p), REVPIN_STATE_REVOKED);
	EQ(revpin_pin_since(p), 1);
	EQ(revpin_pin_pid(p), 0);
	STR(revpin_pin_comm(p), "");
	r = revpin_holders_range(h, 1);
	EQ(revpin_range_state(r), REVPIN_STATE_CLOSED);
	EQ(revpin_range_count(r), 1);
	EQ(revpin_pin_pid(revpin_range_pin(r, 0)), 9);
	EQ(revpin_pin_state(revpin_range_pin(r, 0)), REVPIN_STATE_REVOKING);
	revpin_holders_free(h);
	revpin_holders_free(NULL);

	EQ(parse(RANGE, &h), 0);
	CU_ASSERT_PTR_NULL(revpin_range_pin(revpin_holders_range(h, 0), 0));
	revpin_holders_free(h);

	EQ(revpin_holders_parse(NULL, 0, &h), 0);
	EQ(revpin_holders_count(h), 0);
	revpin_holders_free(h);
}

static void state_names(void)
{
	STR(revpin_state_name(REVPIN_STATE_OPEN), "open");
	STR(revpin_state_name(REVPIN_STATE_PART), "part");
	STR(revpin_state_name(REVPIN_STATE_UNKNOWN), "unknown");
	STR(revpin_state_name((enum revpin_state)99), "unknown");
	STR(revpin_state_name((enum revpin_state)-1), "unknown");
}

/* What a name of a process can be. */
static void escapes(void)
{
	static const char *const good[][2] = {
		{ "a b", "a b" }, { "a=b", "a=b" }, { "\\042\\134", "\"\\" },
		{ "\\\"\\\\", "\"\\" }, { "\\n\\t\\033", "\n\t\033" },
		{ "\\377x", "\377x" }, { "\\1011", "A1" }, { "#\303\244", "#\303\244" },
	};
	static const char *const bad[] = {
		"\\", "\\x41", "\\000", "\\08", "\\400", "\\1", "\\q", "a\"b",
	};
	const struct revpin_pin *p;
	struct revpin_holders *h;
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), RANGE
			 "pin start=1 end=2 state=attached comm=\"%s\" pid=7\n",
			 good[i][0]);
		EQ(parse(text, &h), 0);
		p = revpin_range_pin(revpin_holders_range(h, 0), 0);
		STR(revpin_pin_comm(p), good[i][1]);
		EQ(revpin_pin_pid(p), 7);
		revpin_holders_free(h);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), RANGE
			 "pin start=1 end=2 state=attached comm=\"%s\"\n",
			 bad[i]);
		EQ(parse(text, &h), -EBADMSG);
	}
}

/* What a later kernel may add. */
static void later_kernels(void)
{
	struct revpin_holders *h;

	EQ(parse("version=2\n\nlimit pins=7\n" RANGE
		 "pin flags=7 start=1 end=2 state=frozen name=\"x y\"\n"
		 "  note this is \"no pair\n", &h), 0);
	EQ(revpin_holders_count(h), 1);
	EQ(revpin_range_count(revpin_holders_range(h, 0)), 1);
	EQ(revpin_pin_state(revpin_range_pin(revpin_holders_range(h, 0), 0)),
	   REVPIN_STATE_UNKNOWN);
	revpin_holders_free(h);
}

static void malformed(void)
{
	static const char *const bad[] = {
		"pin start=1 end=2 state=attached\n",	/* of no range */
		"range\n", "range start=1\n", "range start=1 end=2\n",
		"range start=2 end=1 state=open\n",
		"range start=1 end=2 state=\n",
		"range start=x end=2 state=open\n",
		"range start=0x1ffffffffffffffff end=2 state=open\n",
		"range start=1 end=2 state=open provider=\"x\n",
		"range start=1 end=2 state=open provider=\"x\"y\n",
		"range start=1 end=2 state=open provider=\"x\"y=1\n",
		"range start=1 end=2 state=open provider=x\"\n",
		"range start=1 end=2 state=open provider\n",
		"range start=1 end=2 state=open =7\n",
		RANGE "pin start=1 end=2\n",
		RANGE "pin start=1 end=2 state=attached pid=-1\n",
		RANGE "pin start=1 end=2 state=attached pid=4294967296\n",
		RANGE "pin start=1 end=2 state=attached since=1\n",
		RANGE "pin start=1 end=2 state=attached since=1.5\n",
		RANGE "pin start=1 end=2 state=attached since=1.0000000\n",
		RANGE "pin start=1 end=2 state=attached since=1.00000x\n",
		RANGE "pin start=1 end=2 state=attached since=.000000\n",
		RANGE "pin start=1 end=2 state=attached "
		"since=18446744073709551615.000000\n",
		RANGE "pin start=1 end=2 state=attached bytes=many\n",
	};
	struct revpin_holders *h;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ(parse(bad[i], &h), -EBADMSG);
	EQ(revpin_holders_parse(RANGE "\0", sizeof(RANGE), &h), -EBADMSG);
	EQ(revpin_holders_parse(RANGE, SIZE_MAX, &h), -EFBIG);
}

static void many(void)
{
	const size_t n = 20000;
	struct revpin_holders *h;
	char *text, *s;
	size_t i;

	text = malloc(sizeof(RANGE) + n * sizeof(PIN));
	s = stpcpy(text, RANGE);
	for (i = 0; i < n; i++)
		s = stpcpy(s, PIN);
	tree_bytes(LIST, text, (size_t)(s - text));
	free(text);
	EQ(revpin_holders_read(&h), 0);
	EQ(revpin_range_count(revpin_holders_range(h, 0)), n);
	EQ(revpin_pin_pid(revpin_range_pin(revpin_holders_range(h, 0), n - 1)),
	   131);
	revpin_holders_free(h);
}

static void reading(void)
{
	struct revpin_holders *h = NULL;

	/* a kernel that cannot: with and without debugfs */
	EQ(revpin_holders_read(&h), -EOPNOTSUPP);
	tree_file("sys/kernel/debug/sleep_time", "%s", "");
	EQ(revpin_holders_read(&h), -EOPNOTSUPP);
	/* one that can: no file, not mounted, not built */
	tree_file("sys/module/p2pdma/parameters/revoke_timeout", "30\n");
	EQ(revpin_holders_read(&h), -ENOENT);
	tree_remove("sys/kernel/debug/sleep_time");
	EQ(revpin_holders_read(&h), -ENOENT);
	tree_remove("sys/kernel/debug");
	EQ(revpin_holders_read(&h), -ENOENT);
	CU_ASSERT_PTR_NULL(h);

	tree_file(LIST, RANGE PIN);
	EQ(revpin_holders_read(&h), 0);
	EQ(revpin_holders_count(h), 1);
	revpin_holders_free(h);
	/* debugfs itself is for root, and so is the file */
	tree_mode("sys/kernel/debug", 0700);
	tree_mode(LIST, 0400);
	if (!geteuid()) {
		EQ(seteuid(65534), 0);
		EQ(revpin_holders_read(&h), -EACCES);
		EQ(revpin_supported(), 1);
		EQ(seteuid(0), 0);
		tree_mode("sys/kernel/debug", 0755);
		EQ(seteuid(65534), 0);
		EQ(revpin_holders_read(&h), -EACCES);
		EQ(seteuid(0), 0);
	} else {
		tree_mode(LIST, 0);
		EQ(revpin_holders_read(&h), -EACCES);
	}
	tree_remove(LIST);
	tree_file(LIST "/x", "x");
	EQ(revpin_holders_read(&h), -EISDIR);
}

const struct unit holders_units[] = {
	{ "sample", sample }, { "state_names", state_names },
	{ "escapes", escapes }, { "later_kernels", later_kernels },
	{ "malformed", malformed }, { "many", many }, { "reading", reading },
	{ NULL, NULL },
};
