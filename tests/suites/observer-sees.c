// SPDX-License-Identifier: GPL-2.0
/*
 * Can the other suites fail at all? With the broadcast switched off the same
 * observer that sees no byte change after an unbind has to see the RDMA writes
 * go on into the memory of a driver that is leaving, and the unbind has to
 * hang where it does on a stock kernel with only the checks removed.
 *
 * Every other switch of that kind is for the boots that expect failures: this
 * one leaves the machine as it was, because the hang ends with the MRs.
 */
#include "check.h"
#include "clock.h"
#include "load.h"
#include "mutate.h"
#include "scene.h"
#include "stacks.h"
#include "sysfs.h"
#include "tap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void after(void)
{
	mutate_restore();
	scene_after();
}

static void broadcast_off(void)
{
	struct load *l;
	char stack[4096] = "";
	struct unbind u;
	uint64_t good;
	int err;

	err = mutate_add("broadcast_off");
	if (err == -ENOENT)
		tap_note("the kernel has no debug switches: is it the mailed series alone?");
	ASSERT_EQ(err, 0);
	l = load_new(4, 4);
	ASSERT_TRUE(load_start(l, "load"));
	ASSERT_EQ(observer_open(&l->observer), 0);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	EXPECT_TRUE(!unbind_wait(&u, 2 * clock_scale(), stack, sizeof(stack)));
	EXPECT_TRUE(strstr(stack, "memunmap_pages"));
	tap_note("the unbind hangs, as it should:");
	stack_note(u.pid, "the unbind");

	ASSERT_EQ(observer_snapshot(&l->observer), 0);
	good = l->good;
	EXPECT_TRUE(load_wait_good(l, 200));
	EXPECT_EQ(l->failed, 0);
	EXPECT_GE(observer_changed(&l->observer), 1);
	tap_note("%llu operations later %ld bytes have changed",
		 (unsigned long long)(l->good - good),
		 observer_changed(&l->observer));
	EXPECT_TRUE(!unbind_wait(&u, 0, NULL, 0));
	observer_close(&l->observer);

	/* The MRs go: so does what the unbind waits for. */
	load_stop(l);
	EXPECT_TRUE(unbind_wait(&u, 10 * clock_scale(), NULL, 0));
	EXPECT_EQ(mutate_restore(), 0);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_fresh_works();
}

/* What counts the bytes is not blind to a single one, at either end. */
static void single_bytes(void)
{
	struct scene *s = scene_open(2, 0);
	size_t at[] = { 0, PAGE - 1, PAGE, s->map_len - 1 };
	size_t i;

	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		((volatile unsigned char *)s->map)[at[i]] ^= 0x80;
		EXPECT_EQ(observer_changed(&s->observer), i + 1);
	}
	scene_close(s);
}

#define HUNG_TASK "/proc/sys/kernel/hung_task_timeout_secs"

/*
 * The hung unbind is one to khungtaskd as well, although it says what it waits
 * for: its log= in tests/plan. Eleven seconds, since it says so every ten.
 */
static void hung_task(void)
{
	struct scene *s = scene_open(1, 0);
	char was[16];
	struct unbind u;

	ASSERT_EQ(sysfs_read(HUNG_TASK, was, sizeof(was)), 0);
	ASSERT_EQ(sysfs_write(HUNG_TASK, "11"), 0);
	ASSERT_EQ(mutate_add("broadcast_off"), 0);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	/* one look to remember it, one to see that it has not run since */
	EXPECT_TRUE(!unbind_wait(&u, 27, NULL, 0));
	EXPECT_EQ(sysfs_write(HUNG_TASK, was), 0);
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	EXPECT_TRUE(unbind_wait(&u, 10 * clock_scale(), NULL, 0));
	EXPECT_EQ(mutate_restore(), 0);
	observer_close(&s->observer);
	scene_close(s);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_fresh_works();
}

static const struct tap_test tests[] = {
	{ "single_bytes", single_bytes, 0 },
	{ "broadcast_off", broadcast_off, 40 },
	{ "hung_task", hung_task, 60 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"observer-sees", tests, scene_init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
