// SPDX-License-Identifier: GPL-2.0
#include "nth.h"
#include "account.h"
#include "check.h"
#include "clock.h"
#include "holders.h"
#include "scene.h"
#include "sysfs.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAULT "/sys/kernel/debug/"
#define CACHES "/sys/kernel/slab"
#define MAX_N 5000

static const char * const sources[] = {
	"failslab", "fail_page_alloc", "fail_usercopy",
};

/* One line in the log for each fault, with its stack if the level is 2. */
static int talk(unsigned int level)
{
	char path[96], text[8];
	unsigned int i;
	int err = 0;

	snprintf(text, sizeof(text), "%u", level);
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]) && !err; i++) {
		snprintf(path, sizeof(path), FAULT "%s/verbose", sources[i]);
		err = sysfs_write(path, text);
		if (err == -ENOENT && i == 2)
			err = 0;
	}
	return err;
}

/*
 * All caches but those of the ACPI interpreter: when it cannot count a reference
 * it warns, goes on, and uses the object after it has freed it. Every unbind of a
 * PCI device runs it.
 */
static int choose_caches(void)
{
	char path[320];
	struct dirent *e;
	DIR *dir = opendir(CACHES);
	int n = 0;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || !strncmp(e->d_name, "Acpi-", 5))
			continue;
		snprintf(path, sizeof(path), CACHES "/%s/failslab", e->d_name);
		n += !sysfs_write(path, "1");
	}
	closedir(dir);
	/* the smallest kernel has more */
	return n < 20 ? -ENOENT : 0;
}

bool nth_init(void)
{
	static const struct { const char *path, *text; } set[] = {
		{ FAULT "failslab/ignore-gfp-wait", "N" },
		{ FAULT "failslab/cache-filter", "Y" },
		{ FAULT "fail_page_alloc/ignore-gfp-wait", "N" },
		{ FAULT "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ FAULT "fail_page_alloc/min-order", "0" },
	};
	unsigned int i;
	int err;

	for (i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		err = sysfs_write(set[i].path, set[i].text);
		if (err)
			break;
	}
	if (!err)
		err = choose_caches();
	if (!err)
		err = talk(0);
	if (err)
		tap_note("no fault injection (%s): boot the debug kernel",
			 strerror(-err));
	return !err;
}

/* Each process its own: the file belongs to who opened it. */
static int nth_file(void)
{
	static int fd = -1;
	static pid_t owner;

	if (owner != getpid()) {
		if (owner)
			close(fd);
		fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
		owner = getpid();
	}
	return fd;
}

void nth_arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);
	int fd = nth_file();

	if (fd < 0 || pwrite(fd, text, (size_t)len, 0) != len) {
		fprintf(stderr, "fail-nth: %s\n", strerror(errno));
		exit(1);
	}
}

bool nth_hit(void)
{
	char text[16] = "";
	ssize_t len = pread(nth_file(), text, sizeof(text) - 1, 0);
	bool hit;

	/* With EFAULT it was this read that it hit. */
	hit = len > 0 && !atoi(text);
	/* Its own copy from user space may be one more that fails. */
	if (pwrite(nth_file(), "0", 1, 0) != 1)
		nth_arm(0);
	return hit;
}

void nth_look(struct nth_state *s)
{
	unsigned long long kib = 0;
	struct holders h;

	memset(s, 0, sizeof(*s));
	provider_available(&scene_provider, &s->available);
	s->pinned = account_pinned(getpid());
	sysfs_read_key("/proc/self/status", "VmLck:", &kib);
	s->locked = (long)kib;
	if (!holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0)) {
		s->pins = h.nr;
		holders_free(&h);
	} else {
		s->pins = ~0UL;
	}
}

bool nth_same(const struct nth_state *a, const struct nth_state *b)
{
	if (a->available == b->available && a->pinned == b->pinned &&
	    a->locked == b->locked && a->pins == b->pins)
		return true;
	tap_note("available %llu, VmPin %ld, VmLck %ld, %lu pins; should be %llu, %ld, %ld, %lu",
		 a->available, a->pinned, a->locked, a->pins,
		 b->available, b->pinned, b->locked, b->pins);
	return false;
}

static bool is_one_of(const struct nth_state *want, const struct nth_state *or)
{
	double end = clock_now() + 2 * clock_scale();
	struct nth_state now;

	/* What a worker of the kernel does comes a moment later. */
	do {
		nth_look(&now);
		if (!memcmp(&now, want, sizeof(now)) ||
		    !memcmp(&now, or, sizeof(now)))
			return true;
		clock_sleep_ms(5);
	} while (clock_now() < end);
	return nth_same(&now, want);
}

static bool is(const struct nth_state *want)
{
	return is_one_of(want, want);
}

static bool known(const struct nth_op *o, int err)
{
	if (o->kind == NTH_NEVER_FAILS)
		return false;
	if (err == -ENOMEM)
		return o->kind == NTH_TAKES;
	return err == -EFAULT || (o->also && err == -o->also);
}

/*
 * Some calls of stock VFIO and iommufd end by copying their answer out, and when
 * that fails they say EFAULT and leave done what they did. The second call tells:
 * there is something already, or nothing any more.
 */
static bool was_done(int again)
{
	return again == -EEXIST || again == -ENOENT || again == -EPROTO;
}

struct tally {
	unsigned int n, refused, absorbed;
};

/* One n. False: the sweep ends, for good or bad. */
static bool one(const struct nth_op *o, const struct nth_state *before,
		const struct nth_state *done, struct tally *t)
{
	int err, again;
	bool hit;

	nth_arm(t->n);
	err = o->op(o->arg);
	hit = nth_hit();
	if (err && !hit) {
		EXPECT_EQ(err, 0);
		return false;
	}
	if (err) {
		t->refused++;
		EXPECT_TRUE(known(o, err));
		EXPECT_TRUE(err == -EFAULT ? is_one_of(before, done) : is(before));
		again = o->op(o->arg);
		if (err != -EFAULT || !was_done(again))
			EXPECT_EQ(again, 0);
	} else if (hit) {
		t->absorbed++;
	}
	EXPECT_TRUE(is(done));
	EXPECT_EQ(o->undo(o->arg), 0);
	EXPECT_TRUE(is(before));
	if (tap_failed())
		tap_note("%s: that was fault %u: %s", o->name, t->n,
			 strerror(-err));
	return hit && !tap_failed();
}

void nth_sweep(const struct nth_op *o)
{
	struct nth_state before, done;
	struct tally t = { 0, 0, 0 };

	/* Twice: what is allocated once and kept is there then. */
	ASSERT_EQ(o->op(o->arg), 0);
	ASSERT_EQ(o->undo(o->arg), 0);
	nth_look(&before);
	ASSERT_EQ(o->op(o->arg), 0);
	nth_look(&done);
	ASSERT_EQ(o->undo(o->arg), 0);
	ASSERT_TRUE(is(&before));

	do {
		t.n++;
	} while (one(o, &before, &done, &t) && t.n < MAX_N);
	EXPECT_LE(t.n, MAX_N - 1);
	tap_note("%s: %u faults, %u refused, %u absorbed", o->name, t.n - 1,
		 t.refused, t.absorbed);
	if (tap_failed()) {
		/* once more, with a stack in the log */
		talk(2);
		nth_arm(t.n);
		if (!o->op(o->arg)) {
			nth_hit();
			o->undo(o->arg);
		}
		nth_hit();
		talk(0);
	} else {
		/* an operation without a single fault was not swept */
		EXPECT_TRUE(t.n >= 2 || o->kind != NTH_TAKES);
	}
}
