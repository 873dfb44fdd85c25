/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_SPINLOCK_H
#define SHIM_LINUX_SPINLOCK_H

#include <shim.h>

#define DEFINE_SPINLOCK(x) spinlock_t x = SHIM_SPINLOCK
#define __SPIN_LOCK_UNLOCKED(x) (spinlock_t)SHIM_SPINLOCK
#define spin_lock_init(l) shim_spin_init(l)
#define spin_lock(l) shim_spin_lock(l)
#define spin_lock_nested(l, n) shim_spin_lock(l)
#define spin_unlock(l) shim_spin_unlock(l)
#define spin_lock_irq(l) shim_spin_lock(l)
#define spin_unlock_irq(l) shim_spin_unlock(l)
#define spin_lock_bh(l) shim_spin_lock(l)
#define spin_unlock_bh(l) shim_spin_unlock(l)
#define spin_lock_irqsave(l, f) ((void)(f), shim_spin_lock(l))
#define spin_unlock_irqrestore(l, f) ((void)(f), shim_spin_unlock(l))

#endif
