// SPDX-License-Identifier: GPL-2.0
/*
 * A fixed piece of work on two threads: what a compiler and an emulated CPU do most,
 * look-ups in tables that do not fit the first caches, and branches that depend on
 * them. Prints the milliseconds that it took, by the clock.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ENTRIES	(1u << 20)
#define STEPS	(48u << 20)

static void *work(void *arg)
{
	uint32_t *table = arg, x = 1, i;

	for (i = 0; i < ENTRIES; i++)
		table[i] = x = x * 1664525 + 1013904223;
	for (i = 0; i < STEPS; i++) {
		uint32_t *at = &table[(x >> 8) % ENTRIES];

		if (*at & 0x10000)
			x = x * 1664525 + *at;
		else
			x ^= (x << 13) + *at;
		/* most of the time nearby, as programs are */
		if (i & 7)
			x = (x & 0x3fff) | (i << 8);
		*at += x;
	}
	return (void *)(uintptr_t)x;
}

int main(void)
{
	struct timespec from, to;
	pthread_t threads[2];
	void *tables[2];
	int i;

	for (i = 0; i < 2; i++) {
		tables[i] = malloc(ENTRIES * sizeof(uint32_t));
		if (!tables[i])
			return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, work, tables[i]))
			return 1;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.0f\n", (double)(to.tv_sec - from.tv_sec) * 1e3 +
			 (double)(to.tv_nsec - from.tv_nsec) / 1e6);
	return 0;
}
