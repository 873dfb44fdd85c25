// SPDX-License-Identifier: GPL-2.0
#include "account.h"
#include "sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

long account_pinned(pid_t pid)
{
	unsigned long long kib;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (sysfs_read_key(path, "VmPin:", &kib))
		return -1;
	return (long)kib;
}

int account_limit(size_t bytes)
{
	struct rlimit l = { bytes, bytes };

	return setrlimit(RLIMIT_MEMLOCK, &l) ? -errno : 0;
}
