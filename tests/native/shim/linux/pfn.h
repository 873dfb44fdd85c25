/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_PFN_H
#define SHIM_LINUX_PFN_H

#include <linux/mm.h>

#define PFN_PHYS(pfn) ((unsigned long long)(pfn) << PAGE_SHIFT)

#endif
