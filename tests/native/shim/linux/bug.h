/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_BUG_H
#define SHIM_LINUX_BUG_H

#include_next <linux/bug.h>
#include <shim.h>

#undef WARN_ON
#undef WARN_ON_ONCE
#define WARN_ON(c) shim_warn(!!(c), #c, __FILE__, __LINE__)
#define WARN_ON_ONCE(c) WARN_ON(c)

#endif
