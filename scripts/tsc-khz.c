// SPDX-License-Identifier: GPL-2.0
/*
 * Prints how fast this machine's time stamp counter runs, in kHz. A guest under
 * TCG sees the host's; what it makes of it on a busy host is off by up to eight
 * times, and then all of its clocks are.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Both clocks at about the same time: the closest of some tries. */
static long long both(unsigned long long *tsc)
{
	long long before, after, best = -1, at = 0;
	int i;

	for (i = 0; i < 100; i++) {
		unsigned long long t;

		before = now();
		t = __rdtsc();
		after = now();
		if (best >= 0 && after - before >= best)
			continue;
		best = after - before;
		at = before + best / 2;
		*tsc = t;
	}
	return at;
}

int main(void)
{
	const struct timespec wait = { .tv_nsec = 200000000 };
	unsigned long long t0, t1;
	long long a, b;

	a = both(&t0);
	nanosleep(&wait, NULL);
	b = both(&t1);
	printf("%lld\n", (long long)(t1 - t0) * 1000000 / (b - a));
	return 0;
}
