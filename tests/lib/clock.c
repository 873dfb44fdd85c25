// SPDX-License-Identifier: GPL-2.0
#include "clock.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>

double clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void clock_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000L };

	while (nanosleep(&ts, &ts))
		;
}

double clock_scale(void)
{
	static double scale;
	struct utsname u;

	if (scale == 0) {
		scale = 1;
		if (uname(&u))
			return scale;
		if (strstr(u.release, "-debug") || strstr(u.release, "-kcsan"))
			scale = 6;
		else if (strcmp(u.machine, "x86_64"))
			scale = 2;
	}
	return scale;
}

unsigned int clock_fewer(unsigned int n)
{
	return clock_scale() > 2 ? (n + 3) / 4 : n;
}
