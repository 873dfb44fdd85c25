/* SPDX-License-Identifier: GPL-2.0 */
/* A /sys and /proc of our own: $REVPIN_TEST_ROOT points to it. */
#ifndef REVPIN_TREE_H
#define REVPIN_TREE_H

#include <stdbool.h>
#include <stddef.h>

/* These end the program when they fail: there is nothing to test then. */
void tree_make(void);
void tree_drop(void);
void tree_file(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void tree_bytes(const char *path, const void *data, size_t len);
void tree_link(const char *path, const char *to);
void tree_remove(const char *path);
void tree_mode(const char *path, unsigned int mode);
/* A PCI device; where is the path below sys/devices, "pci0000:00/...". */
void tree_device(const char *where, const char *bdf);
/* The same with p2pmem of so many bytes, and the driver nvme. */
void tree_provider(const char *where, const char *bdf, unsigned long size);
/* Configuration space with an ACS capability of that control word. */
void tree_acs(const char *where, const char *bdf, unsigned int control);

#endif
