// SPDX-License-Identifier: GPL-2.0
#include "tell.h"
#include "clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void tell(const char *step, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fflush(stdout);
	dprintf(STDOUT_FILENO, "[%8.3f] %s: %s\n", clock_now(), step, line);
}
