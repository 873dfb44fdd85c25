/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_LOCKDEP_H
#define SHIM_LINUX_LOCKDEP_H

#include <linux/spinlock.h>

struct lockdep_map { int unused; };

/* The one map there is */
#define lock_map_acquire(m) shim_map_acquire()
#define lock_map_release(m) shim_map_release()
#define lockdep_assert_held(l) shim_warn(!shim_spin_held(l), "lockdep_assert_held(" #l ")", __FILE__, __LINE__)

#endif
