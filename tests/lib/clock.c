// SPDX-License-Identifier: GPL-2.0
#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
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

static double kernel_scale(void)
{
	struct utsname u;

	if (uname(&u))
		return 1;
	if (strstr(u.release, "-debug") || strstr(u.release, "-kcsan"))
		return 6;
	return strcmp(u.machine, "x86_64") ? 2 : 1;
}

double clock_slow(void)
{
	static double slow;
	char text[4096], *at;
	size_t n = 0;
	FILE *f;

	if (slow > 0)
		return slow;
	f = fopen("/proc/cmdline", "re");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	at = strstr(text, " revpin.slow=");
	slow = at ? strtod(strchr(at, '=') + 1, NULL) : 1;
	if (!(slow >= 1))
		slow = 1;
	return slow;
}

double clock_scale(void)
{
	static double scale;

	if (scale == 0)
		scale = kernel_scale() * clock_slow();
	return scale;
}

unsigned int clock_fewer(unsigned int n)
{
	return kernel_scale() > 2 ? (n + 3) / 4 : n;
}
