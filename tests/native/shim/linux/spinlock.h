/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_SPINLOCK_H
#define SHIM_LINUX_SPINLOCK_H

#include <shim.h>

#define DEFINE_SPINLOCK(x) spinlock_t x = SHIM_SPINLOCK
#define spin_lock_init(l) shim_spin_init(l)
#define spin_lock(l) shim_spin_lock(l)
#define spin_unlock(l) shim_spin_unlock(l)

static inline void shim_guard_end(spinlock_t **lock)
{
	shim_spin_unlock(*lock);
}

/* One in a block, which is all that is asked for */
#define guard(kind) shim_guard_##kind
#define shim_guard_spinlock(l)						\
	spinlock_t *shim_guard __attribute__((cleanup(shim_guard_end), unused)) = \
		({ spinlock_t *__l = (l); shim_spin_lock(__l); __l; })

#endif
