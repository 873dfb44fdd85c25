// SPDX-License-Identifier: GPL-2.0
#include "count.h"
#include "tap.h"

#include <stdlib.h>

#define MAX_ROUNDS	300

bool count_works(void)
{
#ifdef __x86_64__
	uint64_t i = 1000000, n = count_now();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r" (i));
	n = count_now() - n;
	/* The timer may interrupt it. */
	if (n >= 2000000 && n < 2100000)
		return true;
	tap_note("the counter went up by %llu in a loop of 2000000 instructions: boot with --icount --smp 1",
		 (unsigned long long)n);
#else
	tap_note("instructions are counted on x86 only");
#endif
	return false;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int count_row(const char *row, size_t size, unsigned int rounds, unsigned int n,
	      unsigned int each, int (*op)(void *arg), void *arg)
{
	uint64_t cost[MAX_ROUNDS], all = 0;
	unsigned int i, k;
	int err;

	if (rounds > MAX_ROUNDS)
		rounds = MAX_ROUNDS;
	for (i = 0; i <= rounds; i++) {
		uint64_t start = count_now();

		for (k = 0; k < n; k++) {
			err = op(arg);
			if (err)
				return err;
		}
		if (i) {
			cost[i - 1] = count_now() - start;
			all += cost[i - 1];
		}
	}
	qsort(cost, rounds, sizeof(cost[0]), compare);
	tap_note("BENCH %s %zu %.1f %.1f %.1f", row, size, (double)cost[0] / (n * each),
		 (double)cost[rounds / 2] / (n * each), (double)all / rounds / (n * each));
	return 0;
}

void count_say(const char *row, size_t size, double value)
{
	tap_note("BENCH %s %zu %.1f %.1f %.1f", row, size, value, value, value);
}
