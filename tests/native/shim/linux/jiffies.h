/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_JIFFIES_H
#define SHIM_LINUX_JIFFIES_H

#include <shim.h>

#define jiffies shim_jiffies()
#define time_after_eq(a, b) ((long)((a) - (b)) >= 0)
#define jiffies_to_msecs(j) ((unsigned int)(j))

#endif
