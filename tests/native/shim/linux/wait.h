/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_WAIT_H
#define SHIM_LINUX_WAIT_H

#include <linux/spinlock.h>

/*
 * The kernel's order: a look without the queue, then on the queue and a look
 * again. A condition that is true is not asked again, since it may have done
 * something. 0: it is not, and the time is over; otherwise what is left, but at
 * least 1.
 */
#define shim_wait_event(wq, condition, timeout)			\
({								\
	struct shim_wait __wait = {};				\
	long __left = (timeout);				\
	bool __true;						\
								\
	shim_might_sleep("wait_event()");			\
	__true = (condition);					\
	if (!__true && __left) {				\
		for (;;) {					\
			shim_prepare_to_wait(&(wq), &__wait);	\
			__true = (condition);			\
			if (__true || !__left)			\
				break;				\
			__left = shim_schedule(__left);		\
		}						\
		shim_finish_wait(&(wq), &__wait);		\
	}							\
	__true && !__left ? 1 : __true ? __left : 0;		\
})

#define wait_event(wq, condition) ((void)shim_wait_event(wq, condition, LONG_MAX))
#define wait_event_timeout(wq, condition, timeout) shim_wait_event(wq, condition, timeout)
#define wake_up_all(wq) shim_wake_up(wq)

#endif
