/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_MMDEBUG_H
#define SHIM_LINUX_MMDEBUG_H

#include <linux/bug.h>

#undef VM_WARN_ON
#undef VM_WARN_ON_ONCE
#define VM_WARN_ON(c) ((void)WARN_ON(c))
#define VM_WARN_ON_ONCE(c) ((void)WARN_ON(c))

#endif
