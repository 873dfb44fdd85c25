// SPDX-License-Identifier: GPL-2.0
/*
 * The provider is taken out of its slot: asked for by the machine (an ACPI
 * eject, or the attention button of a native slot). There is no BAR to watch
 * while it is out; a new device comes to the same addresses, and the old keys
 * must not reach that one either.
 *
 * The boots that run this are of their own: run-guest --hotplug acpi, native.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "hotplug_cases.h"
#include "scene.h"
#include "slot.h"
#include "tap.h"

/* A native slot waits five seconds for a second thought after its button. */
static double eject_limit(void)
{
	return 5 + unbind_limit();
}

static void ejected_idle(void)
{
	hotplug_idle(slot_eject, eject_limit());
}

static void ejected_under_traffic(void)
{
	hotplug_under_traffic(slot_eject, eject_limit());
}

static void ejected_again_and_again(void)
{
	hotplug_rounds(slot_eject, eject_limit(), clock_fewer(4) + 1);
}

static const struct tap_test tests[] = {
	{ "ejected_idle", ejected_idle, 60 },
	{ "ejected_under_traffic", ejected_under_traffic, 60 },
	{ "ejected_again_and_again", ejected_again_and_again, 120 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"hotplug", tests, hotplug_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
