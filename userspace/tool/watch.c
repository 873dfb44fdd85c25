// SPDX-License-Identifier: GPL-2.0
/*
 * revpin watch: a line for everything that changes.
 *
 * It compares readings of the list of holders and of the list of providers. What
 * comes and goes between two readings is not seen; the tracepoints of the
 * kernel (trace-cmd) show that, and need no second parser here.
 */
#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static void line(const char *what, const char *device, const char *text,
		 const struct revpin_pin *pin, enum colour c)
{
	char stamp[32], buf[SAFE_TEXT];
	struct json_object *o;
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (want_json) {
		o = json_object_new_object();
		json_u64(o, "time_us", (uint64_t)ts.tv_sec * 1000000 +
			 (uint64_t)ts.tv_nsec / 1000);
		json_text(o, "event", what);
		json_text(o, "device", device);
		if (pin)
			json_object_object_add(o, "pin", pin_json(pin));
		else
			json_text(o, "text", text);
		json_print(o, true);
		return;
	}
	localtime_r(&ts.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
	printf("%s.%03ld  %-12s  %s%s%s\n", stamp, ts.tv_nsec / 1000000,
	       safe_text(device, buf), colour_on(c), text, colour_off(c));
	fflush(stdout);
}

static void changed(enum change what, const struct revpin_range *range,
		    const struct revpin_pin *pin, void *arg)
{
	const char *device = revpin_range_provider(range);
	char text[3 * SAFE_TEXT], who[2 * SAFE_TEXT], size[SIZE_TEXT];
	const char *state = NULL;
	enum colour c = PLAIN;

	(void)arg;
	if (what == RANGE_GONE)
		state = "memory withdrawn";
	else if (what == PIN_GONE)
		state = "let go";
	else if (what == PIN_GONE_WITH_RANGE)
		state = revpin_pin_state(pin) == REVPIN_STATE_REVOKED ?
			"gone with the memory" : "revoked or let go";
	if (!state) {
		enum revpin_state s = pin ? revpin_pin_state(pin) :
			revpin_range_state(range);

		state = revpin_state_name(s);
		c = state_colour(s);
	}
	if (pin) {
		pin_owner(pin, who);
		snprintf(text, sizeof(text), "%s, %s: %s", who,
			 size_text(revpin_pin_bytes(pin), size), state);
	} else if (what == RANGE_NEW) {
		snprintf(text, sizeof(text), "memory offered: %s", state);
	} else if (what == RANGE_STATE) {
		snprintf(text, sizeof(text), "memory: %s", state);
	} else {
		snprintf(text, sizeof(text), "%s", state);
	}
	line(change_name(what), device, text, pin, c);
}

static bool in_list(struct revpin_provider **list, const char *bdf)
{
	for (; list && *list; list++)
		if (!strcmp(revpin_provider_bdf(*list), bdf))
			return true;
	return false;
}

/* Without a list of holders the providers are all that can be seen. */
static int providers(struct revpin_provider ***last, const char *bdf)
{
	struct revpin_provider **list, **p;
	int n = revpin_provider_list(&list);

	if (n < 0)
		return n;
	for (p = *last; p && *p; p++)
		if (!in_list(list, revpin_provider_bdf(*p)) &&
		    (!bdf || !strcmp(bdf, revpin_provider_bdf(*p))))
			line("provider-gone", revpin_provider_bdf(*p),
			     "offers no memory any more", NULL, RED);
	for (p = list; *p; p++)
		if (!in_list(*last, revpin_provider_bdf(*p)) &&
		    (!bdf || !strcmp(bdf, revpin_provider_bdf(*p))))
			line("provider-new", revpin_provider_bdf(*p),
			     "offers memory", NULL, GREEN);
	revpin_provider_list_free(*last);
	*last = list;
	return 0;
}

/* *told: it was said that there is no list. There may be one later. */
static int holders(struct revpin_holders **last, const char *bdf, bool *told)
{
	struct revpin_holders *h;
	int err = revpin_holders_read(&h);

	if (err && no_list(err)) {
		if (!*told)
			note("only providers that come and go are seen: %s",
			     no_list(err));
		*told = true;
		return 0;
	}
	if (err)
		return err;
	*told = false;
	err = changes(*last, h, bdf, changed, NULL);
	revpin_holders_free(*last);
	*last = h;
	return err;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int cmd_watch(int argc, char **argv)
{
	unsigned long interval = 100, length = 0;
	const struct option_spec spec[] = {
		{ .name = "interval", .number = &interval, .min = 1,
		  .max = 60000 },
		{ .name = "for", .number = &length, .min = 1,
		  .max = 31536000 },
		{ .name = NULL },
	};
	int i = options(argc, argv, spec, 1), err, code, wait = 0;
	struct revpin_provider **list = NULL;
	struct revpin_holders *h = NULL;
	char bdf[REVPIN_BDF_SIZE];
	const char *which = NULL;
	bool told = false;
	struct pollfd pfd = { .events = POLLIN };
	double start = seconds();
	sigset_t stop;

	if (i < 0)
		return EXIT_USAGE;
	if (i < argc) {
		code = need_bdf(argv[i], bdf);
		if (code)
			return code;
		which = bdf;
	}
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	pfd.fd = signalfd(-1, &stop, SFD_CLOEXEC);
	if (pfd.fd < 0)
		return fail_err(-errno, "signals");
	code = EXIT_DONE;
	do {
		err = providers(&list, which);
		if (!err)
			err = holders(&h, which, &told);
		if (err) {
			code = fail_err(err, "cannot go on watching");
			break;
		}
		if (ferror(stdout))
			break;
		wait = (int)interval;
		if (length && seconds() - start + interval / 1e3 > (double)length)
			wait = (int)(((double)length + start - seconds()) * 1e3);
	} while ((!length || seconds() - start < (double)length) &&
		 poll(&pfd, 1, wait < 0 ? 0 : wait) == 0);
	close(pfd.fd);
	revpin_holders_free(h);
	revpin_provider_list_free(list);
	return code;
}
