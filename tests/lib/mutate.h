/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The debug-only switches of the kernels that are booted here, which break the
 * notifier on purpose. A kernel of the mailed series does not have them.
 */
#ifndef REVPIN_MUTATE_H
#define REVPIN_MUTATE_H

#include <stdbool.h>

/* Is that the one that is switched on? */
bool mutate_is(const char *name);
/* "none" switches off. 0 or -errno; -ENOENT on a kernel without the switch. */
int mutate_set(const char *name);

#endif
