/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_JIFFIES_H
#define SHIM_LINUX_JIFFIES_H

#include <shim.h>

#define jiffies shim_jiffies()
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define time_before(a, b) time_after(b, a)
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define time_before_eq(a, b) time_after_eq(b, a)
static inline unsigned int jiffies_to_msecs(unsigned long j)
{
	return j;
}

static inline unsigned long msecs_to_jiffies(unsigned int ms)
{
	return ms;
}

#endif
