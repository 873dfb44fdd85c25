/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_SCHED_H
#define SHIM_LINUX_SCHED_H

#include <limits.h>

#include <shim.h>

#define MAX_SCHEDULE_TIMEOUT LONG_MAX
#define current shim_current()
#define might_sleep() shim_might_sleep("might_sleep()")
/* A good moment for somebody else */
#define cond_resched_lock(l) (shim_spin_unlock(l), shim_might_sleep("cond_resched_lock()"), shim_spin_lock(l))

#endif
