/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What something costs in instructions, user space and kernel together: under
 * QEMU's -icount with one CPU the time stamp counter goes up by one with each.
 * Time spent idle counts too, so what is counted must not sleep. Only on x86:
 * elsewhere count_works() says no.
 */
#ifndef REVPIN_COUNT_H
#define REVPIN_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint64_t count_now(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

/* Is this such a machine? Says what is wrong if not. */
bool count_works(void);

/*
 * Runs op(arg) n times, and that so many rounds (300 at most) after one that
 * does not count, and prints
 *	# BENCH row size least median mean
 * in instructions, of the cheapest round, of the middle one and of all, divided by
 * n and by each, which is how many of what counts op does. Rounds come in two
 * kinds, with and without RCU callbacks to run, or a timer: a median jumps where
 * they are equally many, and what op leaves to RCU is in the mean only. op returns
 * 0 or -errno, which ends it.
 */
int count_row(const char *row, size_t size, unsigned int rounds, unsigned int n,
	      unsigned int each, int (*op)(void *arg), void *arg);
/* The line alone, of a number that was found otherwise. */
void count_say(const char *row, size_t size, double value);

#endif
