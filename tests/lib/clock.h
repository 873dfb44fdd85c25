/* SPDX-License-Identifier: GPL-2.0 */
#ifndef REVPIN_CLOCK_H
#define REVPIN_CLOCK_H

/* Seconds since the guest booted: CLOCK_BOOTTIME. */
double clock_now(void);
void clock_sleep_ms(unsigned int ms);
/*
 * How many times longer things may take than on the plain kernel and the machine
 * for which the limits were chosen: the debug kernel (KASAN, lockdep, emulated CPU)
 * and the one that looks for data races say so in their release, the host measures
 * itself and says what came of it (revpin.slow=).
 */
double clock_scale(void);
/* The host's part of it, at least 1. */
double clock_slow(void);
/*
 * How often to repeat what is done n times on the plain kernel: fewer times on
 * the debug kernel, which is there for what it sees in each of them.
 */
unsigned int clock_fewer(unsigned int n);

#endif
