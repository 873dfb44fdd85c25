/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_ATOMIC_H
#define SHIM_LINUX_ATOMIC_H

#include <asm/barrier.h>
#include <linux/types.h>

#define ATOMIC_INIT(i) { (i) }
#define ATOMIC64_INIT(i) { (i) }

typedef struct { s64 counter; } atomic64_t;

/* Fully ordered, as in the kernel */
#define shim_inc_return(v) (__atomic_add_fetch(&(v)->counter, 1, __ATOMIC_SEQ_CST))
#define shim_dec_return(v) (__atomic_sub_fetch(&(v)->counter, 1, __ATOMIC_SEQ_CST))
#define shim_atomic_read(v) (__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED))

#define atomic_read(v) shim_atomic_read(v)
#define atomic_set(v, i) __atomic_store_n(&(v)->counter, (i), __ATOMIC_RELAXED)
#define atomic_inc(v) ((void)shim_inc_return(v))
#define atomic_dec(v) ((void)shim_dec_return(v))
#define atomic_inc_return(v) shim_inc_return(v)
#define atomic_dec_return(v) shim_dec_return(v)
#define atomic_dec_and_test(v) (shim_dec_return(v) == 0)
#define atomic64_read(v) shim_atomic_read(v)
#define atomic64_set(v, i) atomic_set(v, i)
#define atomic64_inc(v) ((void)shim_inc_return(v))
#define atomic64_inc_return(v) shim_inc_return(v)
#define atomic64_try_cmpxchg(v, old, new) shim_try_cmpxchg(v, old, new)

void shim_cmpxchg_begins(void);
static inline bool shim_try_cmpxchg(atomic64_t *v, s64 *old, s64 new)
{
	shim_cmpxchg_begins();
	return __atomic_compare_exchange_n(&v->counter, old, new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

#endif
