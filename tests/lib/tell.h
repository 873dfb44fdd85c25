/* SPDX-License-Identifier: GPL-2.0 */
/* The lines of a story: "[guest's clock] step who: what". */
#ifndef REVPIN_TELL_H
#define REVPIN_TELL_H

void tell(const char *step, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
