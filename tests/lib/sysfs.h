/* SPDX-License-Identifier: GPL-2.0 */
/* Small files under /sys and /proc. All return 0 or -errno. */
#ifndef REVPIN_SYSFS_H
#define REVPIN_SYSFS_H

#include <stddef.h>

int sysfs_read(const char *path, char *buf, size_t size);
int sysfs_read_ull(const char *path, unsigned long long *val);
int sysfs_write(const char *path, const char *text);
/* The number after "key" in a file of "key value" lines, such as VmPin. */
int sysfs_read_key(const char *path, const char *key, unsigned long long *val);

#endif
