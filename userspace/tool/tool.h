/* SPDX-License-Identifier: GPL-2.0 */
#ifndef REVPIN_TOOL_H
#define REVPIN_TOOL_H

#include "internal.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes; revpin(8) has them too. */
enum {
	EXIT_DONE = 0,
	EXIT_NO = 1,		/* the answer is no */
	EXIT_USAGE = 2,
	EXIT_DEVICE = 3,	/* no such device, or not one of this kind */
	EXIT_RIGHTS = 4,
	EXIT_KERNEL = 5,	/* the kernel cannot do it */
	EXIT_LATE = 6,		/* it did not end in time */
	EXIT_OTHER = 7,
	EXIT_LIST = 8,		/* no debugfs, so no list of holders */
};

extern bool want_json;

int cmd_list(int argc, char **argv);
int cmd_holders(int argc, char **argv);
int cmd_unbind(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_check(int argc, char **argv);

/* "revpin: error: ..." to stderr; gives the exit code back. */
int fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for a failed call: what it means, and the code that goes with it. */
int fail_err(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The command's options: long ones that take a whole number, a text or
 * nothing, ended by a NULL name. --json is always there. What is left are
 * words; returns their index, or -1 after a message.
 */
struct option_spec {
	const char *name;
	bool *flag;
	const char **text;
	unsigned long *number;
	unsigned long min, max;
};

int options(int argc, char **argv, const struct option_spec *spec,
	    int max_words);

enum colour { PLAIN, BOLD, GREEN, RED, YELLOW };

/* A table: cells are copied, columns as wide as their widest cell. */
struct table;
struct table *table_new(const char *const *head, const char *right);
void table_cell(struct table *t, enum colour c, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints and frees it. */
void table_print(struct table *t, int indent);

/* Starts a colour and ends it; nothing where none is wanted. */
const char *colour_on(enum colour c);
const char *colour_off(enum colour c);

#define SIZE_TEXT	24
#define SAFE_TEXT	512

const char *size_text(uint64_t bytes, char buf[SIZE_TEXT]);
/* Text of the kernel or of other processes: octal for what is no plain ASCII. */
const char *safe_text(const char *text, char buf[SAFE_TEXT]);
uint64_t boottime_us(void);

void json_text(struct json_object *o, const char *key, const char *text);
void json_u64(struct json_object *o, const char *key, uint64_t val);
/* Prints and frees it; on one line if it is one of many. */
void json_print(struct json_object *o, bool one_line);

/* The address as sysfs has it, or a message and its exit code. */
int need_bdf(const char *text, char bdf[REVPIN_BDF_SIZE]);
/* The same, and it has to be a provider. */
int need_provider(const char *text, struct revpin_provider **provider);
/* Who holds what, or a message and its exit code. */
int need_holders(struct revpin_holders **holders);
/*
 * Does that error of revpin_holders_read() mean that there is no list? Why not,
 * and what to do; or NULL.
 */
const char *no_list(int err);
/* The message for a reading that failed, and its exit code. */
int fail_list(int err, const char *what);

/* The pins of a provider (all if bdf is NULL), as text or in JSON. */
void holders_text(const struct revpin_holders *h, const char *bdf);
struct json_object *holders_json(const struct revpin_holders *h,
				 const char *bdf);
size_t holders_pins(const struct revpin_holders *h, const char *bdf,
		    bool live);
enum colour state_colour(enum revpin_state state);
struct json_object *pin_json(const struct revpin_pin *pin);

/*
 * What changed from one reading to the next. Either may be NULL: nothing. Pin
 * or range is NULL where it does not apply.
 */
enum change {
	RANGE_NEW, RANGE_STATE, RANGE_GONE,
	PIN_NEW, PIN_STATE, PIN_GONE,
	PIN_GONE_WITH_RANGE,
};

typedef void (*change_fn)(enum change what, const struct revpin_range *range,
			  const struct revpin_pin *pin, void *arg);
int changes(const struct revpin_holders *before,
	    const struct revpin_holders *after, const char *bdf, change_fn fn,
	    void *arg);
/* "pid 131 (app): ib_umem", or "process gone: ib_umem" */
void pin_owner(const struct revpin_pin *pin, char buf[2 * SAFE_TEXT]);
const char *change_name(enum change what);

#endif
