/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_TIME64_H
#define SHIM_LINUX_TIME64_H

#define NSEC_PER_USEC 1000L
#define NSEC_PER_SEC 1000000000L

struct timespec64 {
	long long tv_sec;
	long tv_nsec;
};

#define ns_to_timespec64(ns) ((struct timespec64){ (ns) / NSEC_PER_SEC, (ns) % NSEC_PER_SEC })

#endif
