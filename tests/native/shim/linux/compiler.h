/* SPDX-License-Identifier: GPL-2.0 */
#include_next <linux/compiler.h>

#ifndef SHIM_LINUX_COMPILER_H
#define SHIM_LINUX_COMPILER_H

/* Atomic for the compiler too, so that TSan knows them for what they are */
#undef READ_ONCE
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#undef WRITE_ONCE
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#undef data_race
#define data_race(x) READ_ONCE(x)

#ifndef __must_hold
#define __must_hold(x)
#endif

#endif
