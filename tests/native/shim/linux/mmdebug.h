/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_MMDEBUG_H
#define SHIM_LINUX_MMDEBUG_H

#include <linux/bug.h>

#undef VM_WARN_ON
#undef VM_WARN_ON_ONCE
#ifdef CONFIG_DEBUG_VM
#define VM_WARN_ON(c) ((void)WARN_ON(c))
#else
#define VM_WARN_ON(c) ((void)sizeof(c))
#endif
#define VM_WARN_ON_ONCE(c) VM_WARN_ON(c)

#endif
