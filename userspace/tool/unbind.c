// SPDX-License-Identifier: GPL-2.0
/*
 * revpin unbind: take the driver off a provider and watch what happens.
 *
 * The write to sysfs is done by a child process: on a kernel that cannot
 * revoke, or with a consumer that does not finish, it sleeps uninterruptibly
 * for as long as somebody holds the memory, and nothing wakes it. The parent
 * reads the list of holders every few milliseconds meanwhile.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_MS	2

/* Pins of one owner to which the same happened at the same time: one line. */
struct group {
	size_t n;			/* 0: there is none */
	uint64_t bytes;
	char owner[2 * SAFE_TEXT];	/* "pid 131 (app): ib_umem" */
	const char *what;
	enum colour colour;
};

struct story {
	const char *bdf;
	char driver[64], path[REVPIN_PATH_SIZE];
	double start;
	struct json_object *timeline;
	size_t revoked;
	bool listed;			/* the holders can be seen */
	struct group group;
};

struct report {
	int err;
	double end;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void tell(struct story *s, double at, const char *what,
		 const struct revpin_pin *pin, const char *text,
		 enum colour colour)
{
	struct json_object *o;

	if (!want_json) {
		printf("%9.3f s  %s%s%s\n", at - s->start, colour_on(colour),
		       text, colour_off(colour));
		fflush(stdout);
		return;
	}
	o = json_object_new_object();
	json_u64(o, "us", (uint64_t)((at - s->start) * 1e6));
	json_text(o, "event", what);
	json_text(o, "text", text);
	if (pin)
		json_object_object_add(o, "pin", pin_json(pin));
	json_object_array_add(s->timeline, o);
}

static void tell_group(struct story *s)
{
	char text[3 * SAFE_TEXT], size[SIZE_TEXT], count[32] = "";
	struct group *g = &s->group;

	if (!g->n)
		return;
	if (g->n > 1)
		snprintf(count, sizeof(count), "%zu pins, ", g->n);
	snprintf(text, sizeof(text), "%s, %s%s: %s", g->owner, count,
		 size_text(g->bytes, size), g->what);
	tell(s, now(), "pins", NULL, text, g->colour);
	g->n = 0;
}

static void tell_pin(struct story *s, enum change change,
		     const struct revpin_pin *pin, const char *what,
		     enum colour colour)
{
	char owner[2 * SAFE_TEXT], text[3 * SAFE_TEXT], size[SIZE_TEXT];
	struct group *g = &s->group;

	pin_owner(pin, owner);
	if (want_json) {
		snprintf(text, sizeof(text), "%s, %s: %s", owner,
			 size_text(revpin_pin_bytes(pin), size), what);
		tell(s, now(), change_name(change), pin, text, colour);
		return;
	}
	if (g->n && (strcmp(g->owner, owner) || strcmp(g->what, what)))
		tell_group(s);
	if (!g->n) {
		memcpy(g->owner, owner, sizeof(owner));
		g->what = what;
		g->colour = colour;
		g->bytes = 0;
	}
	g->n++;
	g->bytes += revpin_pin_bytes(pin);
}

static void changed(enum change what, const struct revpin_range *range,
		    const struct revpin_pin *pin, void *arg)
{
	struct story *s = arg;
	enum revpin_state state;
	char text[SAFE_TEXT];

	switch (what) {
	case RANGE_NEW:
	case RANGE_STATE:
		state = revpin_range_state(range);
		snprintf(text, sizeof(text), "%s: %s", s->bdf,
			 revpin_state_name(state));
		tell(s, now(), change_name(what), NULL, text,
		     state_colour(state));
		break;
	case RANGE_GONE:
		snprintf(text, sizeof(text), "%s: its memory is gone", s->bdf);
		tell(s, now(), change_name(what), NULL, text, PLAIN);
		break;
	case PIN_GONE:
		tell_pin(s, what, pin, "let go", PLAIN);
		break;
	case PIN_GONE_WITH_RANGE:
		/* what was seen to be revoked is not worth a second line */
		if (revpin_pin_state(pin) == REVPIN_STATE_REVOKED)
			break;
		s->revoked++;
		tell_pin(s, what, pin, "revoked or let go", RED);
		break;
	default:
		state = revpin_pin_state(pin);
		s->revoked += state == REVPIN_STATE_REVOKED;
		tell_pin(s, what, pin, revpin_state_name(state),
			 state_colour(state));
		break;
	}
}

static pid_t start(struct story *s, int *from)
{
	struct report r = { 0 };
	int fds[2], fd, null;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	fflush(stdout);
	s->start = now();
	pid = fork();
	if (pid) {
		close(fds[1]);
		*from = fds[0];
		if (pid < 0) {
			pid = -errno;
			close(fds[0]);
		}
		return pid;
	}
	/* whoever reads our output must not have to wait for the kernel */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	setsid();
	fd = open(s->path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, s->bdf, strlen(s->bdf)) < 0)
		r.err = -errno;
	r.end = now();
	_exit(write(fds[1], &r, sizeof(r)) != sizeof(r));
}

/* Reads on until it has returned or the time is over: 0 or -ETIMEDOUT. */
static int follow(struct story *s, int from, struct revpin_holders *last,
		  unsigned long timeout, struct report *r)
{
	struct pollfd pfd = { .fd = from, .events = POLLIN };
	struct revpin_holders *h;
	bool done = false;

	while (!done) {
		done = poll(&pfd, 1, SAMPLE_MS) > 0;
		/* once more after the end: that is when the range has gone */
		h = NULL;
		if (last && !revpin_holders_read(&h)) {
			changes(last, h, s->bdf, changed, s);
			tell_group(s);
			revpin_holders_free(last);
			last = h;
		}
		if (!done && now() - s->start >= (double)timeout)
			break;
	}
	revpin_holders_free(last);
	if (!done)
		return -ETIMEDOUT;
	if (read(from, r, sizeof(*r)) != sizeof(*r))
		r->err = -ECHILD, r->end = now();
	return 0;
}

static int ask(const struct story *s, size_t pins)
{
	char answer[16];

	if (!isatty(STDIN_FILENO))
		return fail(EXIT_USAGE, "there is no terminal to ask on: give --yes to unbind %s, or --dry-run to look only",
			    s->bdf);
	if (pins)
		printf("Unbind %s from %s and revoke %zu pin%s? [y/N] ",
		       s->driver, s->bdf, pins, pins == 1 ? "" : "s");
	else
		printf("Unbind %s from %s? [y/N] ", s->driver, s->bdf);
	fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin) ||
	    (strcasecmp(answer, "y\n") && strcasecmp(answer, "yes\n"))) {
		printf("Nothing was done.\n");
		return EXIT_NO;
	}
	return 0;
}

static int result(const struct story *s, int late, const struct report *r,
		  unsigned long timeout)
{
	if (late && s->listed)
		return fail(EXIT_LATE, "the unbind has not returned after %lu s and goes on in the kernel; 'revpin holders %s' and the kernel log say who holds it up",
			    timeout, s->bdf);
	if (late)
		return fail(EXIT_LATE, "the unbind has not returned after %lu s and goes on in the kernel; the kernel log says who holds it up",
			    timeout);
	if (r->err == -ENODEV || r->err == -ENOENT)
		return fail(EXIT_DEVICE, "%s was not bound to %s any more",
			    s->bdf, s->driver);
	if (r->err)
		return fail_err(r->err, "cannot write to %s", s->path);
	return EXIT_DONE;
}

static int run(struct story *s, struct revpin_holders *h,
	       unsigned long timeout, struct json_object *o)
{
	struct report r = { 0 };
	char text[SAFE_TEXT];
	int from = -1, late, code;
	pid_t pid;

	pid = start(s, &from);
	if (pid < 0) {
		revpin_holders_free(h);
		return fail_err(pid, "cannot start the unbind");
	}
	snprintf(text, sizeof(text), "unbind of %s starts", s->bdf);
	tell(s, s->start, "unbind-start", NULL, text, PLAIN);
	late = follow(s, from, h, timeout, &r);
	close(from);
	if (!late) {
		waitpid(pid, NULL, 0);
		snprintf(text, sizeof(text), r.err ? "the unbind failed: %s" :
			 "the unbind has returned", strerror(-r.err));
		tell(s, r.end, r.err ? "unbind-error" : "unbind-end", NULL,
		     text, r.err ? RED : GREEN);
	}
	code = result(s, late, &r, timeout);
	if (o) {
		json_object_object_add(o, "timeline", s->timeline);
		json_text(o, "result", late ? "late" : r.err ? "error" :
			  "unbound");
		if (!late)
			json_u64(o, "us", (uint64_t)((r.end - s->start) * 1e6));
		if (s->listed)
			json_u64(o, "revoked", s->revoked);
		else
			json_object_object_add(o, "revoked", NULL);
	}
	return code;
}

int cmd_unbind(int argc, char **argv)
{
	bool yes = false, dry = false;
	unsigned long timeout = 60;
	const struct option_spec spec[] = {
		{ .name = "yes", .flag = &yes },
		{ .name = "dry-run", .flag = &dry },
		{ .name = "timeout", .number = &timeout, .min = 1,
		  .max = 86400 },
		{ .name = NULL },
	};
	struct revpin_holders *h = NULL;
	struct revpin_provider *p;
	struct json_object *o = NULL;
	struct story s = { 0 };
	int i, err, code;

	i = options(argc, argv, spec, 1);
	if (i < 0)
		return EXIT_USAGE;
	if (i == argc)
		return fail(EXIT_USAGE, "'revpin unbind' needs the address of a device; 'revpin list' shows them");
	code = need_provider(argv[i], &p);
	if (code)
		return code;
	s.bdf = revpin_provider_bdf(p);
	err = revpin_provider_driver(p, s.driver, sizeof(s.driver));
	if (err == -ENODEV)
		code = fail(EXIT_DEVICE, "no driver is bound to %s: there is nothing to unbind",
			    s.bdf);
	else if (err)
		code = fail_err(err, "the driver of %s", s.bdf);
	if (!code && rp_path(s.path, PCI_DEVICES "/%s/driver/unbind", s.bdf))
		code = fail(EXIT_OTHER, "the path is too long");
	if (code)
		goto out;
	if (access(s.path, W_OK)) {
		/* it went while it was looked at */
		err = errno == ENOENT ? -ENODEV : -errno;
		code = fail_err(err, "%s", s.path);
		goto out;
	}
	err = revpin_holders_read(&h);
	if (err && !no_list(err)) {
		code = fail_list(err, "cannot read who holds what");
		goto out;
	}
	s.listed = !err;
	if (err)
		note("cannot say who holds memory of %s%s: %s", s.bdf,
		     err == -EOPNOTSUPP ? ", and may wait for them" : "",
		     no_list(err));
	if (want_json) {
		o = json_object_new_object();
		json_text(o, "device", s.bdf);
		json_text(o, "driver", s.driver);
		json_object_object_add(o, "holders", h ?
				       holders_json(h, s.bdf) : NULL);
		s.timeline = json_object_new_array();
	} else if (h) {
		holders_text(h, s.bdf);
		fflush(stdout);
	}
	if (!dry && !yes) {
		code = want_json ?
		       fail(EXIT_USAGE, "--json does not ask: give --yes or --dry-run") :
		       ask(&s, h ? holders_pins(h, s.bdf, true) : 0);
		if (code)
			goto out;
	}
	if (dry) {
		if (o)
			json_text(o, "result", "dry-run");
		else
			printf("dry run: %s stays bound to %s\n", s.bdf,
			       s.driver);
	} else {
		code = run(&s, h, timeout, o);
		h = NULL;
		s.timeline = o ? NULL : s.timeline;
	}
	if (o)
		json_print(o, false);
	o = NULL;
out:
	json_object_put(o);
	json_object_put(s.timeline);
	revpin_holders_free(h);
	revpin_provider_close(p);
	return code;
}
