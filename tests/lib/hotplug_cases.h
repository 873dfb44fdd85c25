/* SPDX-License-Identifier: GPL-2.0 */
/* What must hold when the provider leaves its slot, however it does. */
#ifndef REVPIN_HOTPLUG_CASES_H
#define REVPIN_HOTPLUG_CASES_H

#include <stdbool.h>

/* Starts the removal: 0 or -errno. */
typedef int (*hotplug_how)(void);

/* For struct tap_suite. */
bool hotplug_init(void);
/* limit: seconds of guest time until the device is gone. */
void hotplug_idle(hotplug_how how, double limit);
void hotplug_under_traffic(hotplug_how how, double limit);
void hotplug_rounds(hotplug_how how, double limit, unsigned int n);

#endif
