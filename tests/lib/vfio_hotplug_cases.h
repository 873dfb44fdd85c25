/* SPDX-License-Identifier: GPL-2.0 */
/* DMA maps, through each interface, when the provider leaves its slot. */
#ifndef REVPIN_VFIO_HOTPLUG_CASES_H
#define REVPIN_VFIO_HOTPLUG_CASES_H

#include "hotplug_cases.h"

/*
 * main() of a suite of that name. limit: seconds of guest time until the device
 * is gone.
 */
int vfio_hotplug_main(int argc, char **argv, const char *name, hotplug_how how,
		      double limit);

#endif
