// SPDX-License-Identifier: GPL-2.0
/*
 * random [SEED [RUNS]]: random sequences against the oracle. TAP.
 * A failure names the seed of the very run: give it back with RUNS 1.
 */
#include <shim.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ops.h"

static uint64_t seed;

static void on_abort(int sig)
{
	char text[100];
	int n = snprintf(text, sizeof(text), "not ok 1 random # again: random %llu 1\n",
			 (unsigned long long)seed);

	(void)sig;
	(void)!write(STDOUT_FILENO, text, n);
	_exit(1);
}

static uint64_t scramble(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

int main(int argc, char **argv)
{
	unsigned long runs = argc > 2 ? strtoul(argv[2], NULL, 0) : 300, run;
	static uint8_t bytes[6000];
	uint64_t state;
	size_t size, i;

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 1000;
	if (argc > 3 || !runs) {
		fprintf(stderr, "usage: random [SEED [RUNS]], numbers; RUNS at least 1\n");
		return 2;
	}
	signal(SIGABRT, on_abort);
	shim_set_task(42, "random");
	printf("1..1\n# seed %llu, %lu runs\n", (unsigned long long)seed, runs);
	fflush(stdout);
	for (run = 0; run < runs; run++, seed++) {
		state = seed;
		size = scramble(&state) % sizeof(bytes);
		for (i = 0; i < size; i++)
			bytes[i] = scramble(&state);
		ops_run(bytes, size);
	}
	ops_print_counts();
	printf("ok 1 random\n");
	return 0;
}
