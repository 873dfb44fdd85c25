// SPDX-License-Identifier: GPL-2.0
/*
 * The provider is pulled out without a word: the power of its slot goes off
 * under traffic, and the kernel learns of it afterwards. Whatever lets go of
 * the memory now must not need an answer from the device.
 *
 * Runs in a boot with run-guest --hotplug native.
 */
#include "check.h"
#include "clock.h"
#include "hotplug_cases.h"
#include "scene.h"
#include "slot.h"
#include "tap.h"

static void pulled_idle(void)
{
	hotplug_idle(slot_power_off, unbind_limit());
}

static void pulled_under_traffic(void)
{
	hotplug_under_traffic(slot_power_off, unbind_limit());
}

static void pulled_again_and_again(void)
{
	hotplug_rounds(slot_power_off, unbind_limit(), clock_fewer(4) + 1);
}

static const struct tap_test tests[] = {
	{ "pulled_idle", pulled_idle, 60 },
	{ "pulled_under_traffic", pulled_under_traffic, 60 },
	{ "pulled_again_and_again", pulled_again_and_again, 120 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"surprise", tests, hotplug_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
