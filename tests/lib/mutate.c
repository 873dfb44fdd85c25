// SPDX-License-Identifier: GPL-2.0
#include "mutate.h"
#include "clock.h"
#include "sysfs.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWITCH "/sys/module/pfn_revoke/parameters/mutate"
#define HELD "/sys/module/pfn_revoke/parameters/held"

static char booted[128];
static bool known;

static int now(char *buf, size_t size)
{
	int err = sysfs_read(SWITCH, buf, size);

	if (!err)
		buf[strcspn(buf, "\n")] = '\0';
	return err;
}

bool mutate_is(const char *name)
{
	char buf[128];

	return !now(buf, sizeof(buf)) && !strcmp(buf, name);
}

/* The first who asks does so before anything was added. */
static int remember(void)
{
	int err = 0;

	if (!known)
		err = now(booted, sizeof(booted));
	known = !err;
	return err;
}

int mutate_add(const char *name)
{
	char all[192];
	int err = remember();

	if (err)
		return err;
	snprintf(all, sizeof(all), "%s,%s", booted, name);
	return sysfs_write(SWITCH, all);
}

int mutate_held(void)
{
	char buf[16];

	return sysfs_read(HELD, buf, sizeof(buf)) ? 0 : atoi(buf);
}

bool mutate_wait_held(double seconds)
{
	double end = clock_now() + seconds * clock_scale();

	while (!mutate_held()) {
		if (clock_now() > end) {
			tap_note("nothing was held: is the switch where the gap is?");
			return false;
		}
		clock_sleep_ms(1);
	}
	return true;
}

int mutate_restore(void)
{
	int err = remember();

	return err ? err : sysfs_write(SWITCH, booted);
}

bool mutate_there(void)
{
	int err = mutate_restore();

	if (err)
		tap_note("the kernel has no debug switches: %s", strerror(-err));
	return !err;
}
