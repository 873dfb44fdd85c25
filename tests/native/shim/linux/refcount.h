/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_REFCOUNT_H
#define SHIM_LINUX_REFCOUNT_H

#include <shim.h>

typedef struct { int count; } refcount_t;

void shim_refcount_inc(refcount_t *ref);
bool shim_refcount_dec_and_test(refcount_t *ref);

#define refcount_set(r, n) __atomic_store_n(&(r)->count, (n), __ATOMIC_RELAXED)
#define refcount_read(r) __atomic_load_n(&(r)->count, __ATOMIC_RELAXED)
#define refcount_inc(r) shim_refcount_inc(r)
#define refcount_dec_and_test(r) shim_refcount_dec_and_test(r)

#endif
