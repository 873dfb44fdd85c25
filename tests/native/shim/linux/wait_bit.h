/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_WAIT_BIT_H
#define SHIM_LINUX_WAIT_BIT_H

#include <asm/barrier.h>
#include <linux/wait.h>

#define wait_var_event(var, condition) shim_wait(shim_var_queue(var), (var), condition)
#define wake_up_var(var) shim_wake_up(shim_var_queue(var), (var))
#define store_release_wake_up(var, val)				\
do {								\
	smp_store_release((var), (val));			\
	smp_mb();						\
	wake_up_var(var);					\
} while (0)

#endif
