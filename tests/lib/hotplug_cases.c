// SPDX-License-Identifier: GPL-2.0
#include "hotplug_cases.h"
#include "account.h"
#include "check.h"
#include "clock.h"
#include "load.h"
#include "scene.h"
#include "slot.h"
#include "stacks.h"
#include "tap.h"

#include <string.h>
#include <unistd.h>

#define PROCS 2

bool hotplug_init(void)
{
	return scene_init() && !slot_init(&scene_provider);
}

static bool gone(hotplug_how how, double limit, double *seconds)
{
	if (!EXPECT_EQ(how(), 0))
		return false;
	*seconds = slot_wait_empty(&scene_provider, limit);
	if (*seconds >= 0)
		return true;
	tap_note("the device is not gone after %.0f s", limit);
	stacks_note_blocked();
	return EXPECT_TRUE(*seconds >= 0);
}

void hotplug_idle(hotplug_how how, double limit)
{
	struct scene *s = scene_open(4, 0);
	double seconds;

	ASSERT_TRUE(gone(how, limit, &seconds));
	tap_note("gone after %.3f s of guest time", seconds);
	EXPECT_EQ(account_pinned(getpid()), s->pinned + 16);
	EXPECT_TRUE(mem_is_gone(s->area));
	EXPECT_EQ(scene_attack_mr(s, 16), 16);

	ASSERT_EQ(slot_fill(&scene_provider), 0);
	/* the next device has the same addresses */
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	EXPECT_EQ(scene_attack_mr(s, 16), 16);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	observer_close(&s->observer);
	scene_fresh_works();
	scene_close(s);
}

static void round_under_traffic(hotplug_how how, double limit, unsigned int n,
				double *seconds)
{
	struct load *load[PROCS];
	int i;

	for (i = 0; i < PROCS; i++) {
		load[i] = load_new(4, 4);
		ASSERT_TRUE(load_start(load[i], i ? "load1" : "load0"));
	}
	for (i = 0; i < PROCS; i++)
		EXPECT_TRUE(load_wait_good(load[i], 20));

	ASSERT_TRUE(gone(how, limit, seconds));
	for (i = 0; i < PROCS; i++) {
		load[i]->after_unbind = true;
		EXPECT_EQ(account_pinned(load[i]->worker.pid),
			  load[i]->pinned_before);
	}
	for (i = 0; i < PROCS; i++)
		EXPECT_GE(load_wait_failed(load[i], n), n);

	ASSERT_EQ(slot_fill(&scene_provider), 0);
	for (i = 0; i < PROCS; i++)
		ASSERT_EQ(observer_snapshot(&load[i]->observer), 0);
	for (i = 0; i < PROCS; i++)
		EXPECT_GE(load_wait_failed(load[i], n), n);
	for (i = 0; i < PROCS; i++) {
		EXPECT_EQ(observer_changed(&load[i]->observer), 0);
		observer_close(&load[i]->observer);
		EXPECT_TRUE(load_stop(load[i]));
	}
}

void hotplug_under_traffic(hotplug_how how, double limit)
{
	double seconds;

	round_under_traffic(how, limit, clock_fewer(50), &seconds);
	tap_note("gone after %.3f s of guest time", seconds);
	scene_fresh_works();
}

void hotplug_rounds(hotplug_how how, double limit, unsigned int n)
{
	double seconds, slowest = 0;
	unsigned int i;

	for (i = 0; i < n && !tap_failed(); i++) {
		round_under_traffic(how, limit, 4, &seconds);
		if (seconds > slowest)
			slowest = seconds;
	}
	tap_note("%u rounds, the slowest %.3f s of guest time", i, slowest);
	scene_fresh_works();
}
