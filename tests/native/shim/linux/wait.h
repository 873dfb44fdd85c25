/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_WAIT_H
#define SHIM_LINUX_WAIT_H

#include <linux/spinlock.h>

/*
 * The kernel's order: a look without the queue, then on the queue and a look
 * again. A wake-up that comes too early for the queue is lost here as well.
 */
#define shim_wait(wq, key, condition)				\
do {								\
	struct shim_wait __wait = { .var = (key) };		\
								\
	shim_might_sleep("wait_event()");			\
	if (condition)						\
		break;						\
	for (;;) {						\
		shim_prepare_to_wait((wq), &__wait);		\
		if (condition)					\
			break;					\
		shim_schedule();				\
	}							\
	shim_finish_wait((wq), &__wait);			\
} while (0)

#define wait_event(wq, condition) shim_wait(&(wq), NULL, condition)
#define wake_up_all(wq) shim_wake_up((wq), NULL)
#define wake_up(wq) shim_wake_up((wq), NULL)

#endif
