// SPDX-License-Identifier: LGPL-2.1 OR MIT
/* PCI addresses: [DOMAIN:]BUS:DEVICE.FUNCTION, in hexadecimal. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Up to that many digits; NULL when there is none, or too many. */
static const char *number(const char *s, int digits, unsigned int *val)
{
	*val = 0;
	if (hex(*s) < 0)
		return NULL;
	for (; hex(*s) >= 0; s++) {
		if (!digits--)
			return NULL;
		*val = *val << 4 | (unsigned int)hex(*s);
	}
	return s;
}

int revpin_bdf(const char *text, char bdf[REVPIN_BDF_SIZE])
{
	unsigned int part[3] = { 0 }, fn;
	const char *s = text;
	int n;

	for (n = 0; n < 3; n++) {
		s = number(s, 8, &part[n]);
		if (!s)
			return -EINVAL;
		if (*s != ':')
			break;
		s++;
	}
	/* n colons were seen: bus:device or domain:bus:device */
	if (n != 1 && n != 2)
		return -EINVAL;
	if (n == 1) {
		part[2] = part[1];
		part[1] = part[0];
		part[0] = 0;
	}
	if (*s++ != '.')
		return -EINVAL;
	s = number(s, 1, &fn);
	if (!s || *s || part[1] > 0xff || part[2] > 0x1f || fn > 7)
		return -EINVAL;
	snprintf(bdf, REVPIN_BDF_SIZE, "%04x:%02x:%02x.%x", part[0], part[1],
		 part[2], fn);
	return 0;
}
