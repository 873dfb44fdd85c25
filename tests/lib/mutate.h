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
/*
 * Switches one on, in addition to what the kernel was booted with. 0 or
 * -errno; -ENOENT on a kernel without switches.
 */
int mutate_add(const char *name);
/* How many calls, copies and page table walkers are held at this moment. */
int mutate_held(void);
/*
 * Waits until something is, that many seconds at most (as long as clock_scale()
 * says): what is to happen to it begins then, however slow the machine is. False,
 * with a note, when nothing was.
 */
bool mutate_wait_held(double seconds);
/* Back to what the kernel was booted with. */
int mutate_restore(void);
/*
 * The same, for the init() of a suite that needs switches: false, with a note, on a
 * kernel without them.
 */
bool mutate_there(void);

#endif
