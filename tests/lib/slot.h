/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hot-plug slot in which the provider sits (run-guest --hotplug). A serial
 * line is the machine's monitor: the guest pulls its own device.
 */
#ifndef REVPIN_SLOT_H
#define REVPIN_SLOT_H

#include "provider.h"

#include <stdbool.h>

/* Finds the port above the provider, and the monitor. 0 or -errno with a note. */
int slot_init(const struct provider *p);
/* Asks for the device in an orderly way: the guest has to let go of it. */
int slot_eject(void);
/* Takes the power away at once, as a hand that pulls the card out does. */
int slot_power_off(void);
/* Waits until the device is gone from sysfs. Seconds of guest time, or -1. */
double slot_wait_empty(const struct provider *p, double limit);
/* Puts a new device in; waits until its memory is there. 0 or -errno. */
int slot_fill(const struct provider *p);

#endif
