// SPDX-License-Identifier: GPL-2.0
/* Messages, options, tables, colours, JSON. */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void message(const char *kind, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "revpin: %s", kind);
	vfprintf(stderr, fmt, ap);
}

int fail(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message("error: ", fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message("", fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int fail_err(int err, const char *fmt, ...)
{
	const char *why = strerror(-err);
	int code = EXIT_OTHER;
	va_list ap;

	switch (err) {
	case -EACCES:
	case -EPERM:
		why = "no permission; run it as root";
		code = EXIT_RIGHTS;
		break;
	case -ENODEV:
		why = "the device has gone away";
		code = EXIT_DEVICE;
		break;
	case -EBADMSG:
		why = "its text is not understood; is the kernel newer than this tool?";
		break;
	}
	va_start(ap, fmt);
	message("error: ", fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", why);
	return code;
}

static int set_option(const struct option_spec *s, const char *arg)
{
	uint64_t val;

	if (s->flag)
		*s->flag = true;
	if (s->text)
		*s->text = arg;
	if (!s->number)
		return 0;
	if (rp_parse_u64(arg, &val) || val < s->min || val > s->max) {
		fail(EXIT_USAGE, "--%s '%s' is not a whole number from %lu to %lu",
		     s->name, arg, s->min, s->max);
		return -1;
	}
	*s->number = val;
	return 0;
}

int options(int argc, char **argv, const struct option_spec *spec,
	    int max_words)
{
	struct option longs[16] = { { "json", no_argument, NULL, 0 } };
	int i, n, c;

	for (n = 0; spec && spec[n].name; n++) {
		longs[n + 1].name = spec[n].name;
		longs[n + 1].has_arg = !spec[n].flag;
	}
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longs, &i)) != -1) {
		if (c == ':') {
			fail(EXIT_USAGE, "'%s' of 'revpin %s' needs a value",
			     argv[optind - 1], argv[0]);
			return -1;
		}
		if (c) {
			fail(EXIT_USAGE, "'revpin %s' has no option '%s'; 'revpin %s --help' lists them",
			     argv[0], argv[optind - 1], argv[0]);
			return -1;
		}
		if (!i)
			want_json = true;
		else if (set_option(&spec[i - 1], optarg))
			return -1;
	}
	if (argc - optind > max_words) {
		fail(EXIT_USAGE, "'%s' is one word too many for 'revpin %s'; see 'revpin %s --help'",
		     argv[optind + max_words], argv[0], argv[0]);
		return -1;
	}
	return optind;
}

static bool colours(void)
{
	static int wanted = -1;
	const char *env;

	if (wanted < 0) {
		env = getenv("NO_COLOR");
		wanted = isatty(STDOUT_FILENO) && (!env || !*env);
		env = getenv("TERM");
		if (!env || !strcmp(env, "dumb"))
			wanted = 0;
	}
	return wanted;
}

const char *colour_on(enum colour c)
{
	static const char *const codes[] = {
		[PLAIN] = "", [BOLD] = "\033[1m", [GREEN] = "\033[32m",
		[RED] = "\033[31m", [YELLOW] = "\033[33m",
	};

	return colours() ? codes[c] : "";
}

const char *colour_off(enum colour c)
{
	return colours() && c ? "\033[0m" : "";
}

struct cell {
	char *text;
	enum colour colour;
};

struct table {
	const char *right;		/* 'r' per column that is aligned so */
	int columns;
	size_t n;
	struct cell *cells;
};

static void *must(void *p)
{
	if (!p)
		exit(fail(EXIT_OTHER, "out of memory"));
	return p;
}

struct table *table_new(const char *const *head, const char *right)
{
	struct table *t = must(calloc(1, sizeof(*t)));

	t->right = right;
	t->columns = (int)strlen(right);
	for (; *head; head++)
		table_cell(t, BOLD, "%s", *head);
	return t;
}

void table_cell(struct table *t, enum colour c, const char *fmt, ...)
{
	struct cell *cell;
	va_list ap;

	t->cells = must(realloc(t->cells, (t->n + 1) * sizeof(*t->cells)));
	cell = &t->cells[t->n++];
	cell->colour = c;
	va_start(ap, fmt);
	if (vasprintf(&cell->text, fmt, ap) < 0)
		must(NULL);
	va_end(ap);
}

void table_print(struct table *t, int indent)
{
	int col, pad, width[16] = { 0 };
	size_t i;

	for (i = 0; i < t->n; i++) {
		col = (int)(i % t->columns);
		pad = (int)strlen(t->cells[i].text);
		width[col] = pad > width[col] ? pad : width[col];
	}
	for (i = 0; i < t->n; i++) {
		struct cell *c = &t->cells[i];

		col = (int)(i % t->columns);
		pad = width[col] - (int)strlen(c->text);
		printf("%*s", col ? 2 : indent, "");
		if (t->right[col] == 'r')
			printf("%*s", pad, "");
		printf("%s%s%s", colour_on(c->colour), c->text,
		       colour_off(c->colour));
		if (col == t->columns - 1)
			printf("\n");
		else if (t->right[col] != 'r')
			printf("%*s", pad, "");
		free(c->text);
	}
	free(t->cells);
	free(t);
}

const char *size_text(uint64_t bytes, char buf[SIZE_TEXT])
{
	static const char *const units[] = {
		"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"
	};
	uint64_t rest = 0;
	int u = 0;

	while (bytes >= 1024) {
		rest = rest || bytes % 1024 ? bytes % 1024 * 10 / 1024 | 0x100 : 0;
		bytes /= 1024;
		u++;
	}
	if (rest)	/* cut off, not rounded up: no more than there is */
		snprintf(buf, SIZE_TEXT, "%llu.%llu %s",
			 (unsigned long long)bytes,
			 (unsigned long long)(rest & 0xff), units[u]);
	else
		snprintf(buf, SIZE_TEXT, "%llu %s", (unsigned long long)bytes,
			 units[u]);
	return buf;
}

const char *safe_text(const char *text, char buf[SAFE_TEXT])
{
	size_t n = 0;

	for (; *text && n < SAFE_TEXT - 5; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c < 0x7f && c != '\\')
			buf[n++] = (char)c;
		else
			n += (size_t)snprintf(buf + n, 5, "\\%03o", c);
	}
	buf[n] = '\0';
	return buf;
}

uint64_t boottime_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void json_text(struct json_object *o, const char *key, const char *text)
{
	char buf[SAFE_TEXT];

	json_object_object_add(o, key,
			       json_object_new_string(safe_text(text, buf)));
}

void json_u64(struct json_object *o, const char *key, uint64_t val)
{
	json_object_object_add(o, key, json_object_new_uint64(val));
}

void json_print(struct json_object *o, bool one_line)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	flags |= one_line ? JSON_C_TO_STRING_PLAIN :
		 JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	printf("%s\n", json_object_to_json_string_ext(o, flags));
	fflush(stdout);
	json_object_put(o);
}
