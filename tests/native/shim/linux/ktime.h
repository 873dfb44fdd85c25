/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_KTIME_H
#define SHIM_LINUX_KTIME_H

#include <shim.h>

/* Never 0 */
#define ktime_get_ns() (shim_jiffies() * 1000000ULL + 1)
#define ktime_get_coarse_boottime_ns() ktime_get_ns()

#endif
