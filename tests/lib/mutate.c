// SPDX-License-Identifier: GPL-2.0
#include "mutate.h"
#include "sysfs.h"

#include <string.h>

#define SWITCH "/sys/module/pfn_revoke/parameters/mutate"

bool mutate_is(const char *name)
{
	char now[64];

	if (sysfs_read(SWITCH, now, sizeof(now)))
		return false;
	now[strcspn(now, "\n")] = '\0';
	return !strcmp(now, name);
}

int mutate_set(const char *name)
{
	return sysfs_write(SWITCH, name);
}
