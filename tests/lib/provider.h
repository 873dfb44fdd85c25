/* SPDX-License-Identifier: GPL-2.0 */
/* The NVMe controller whose memory buffer is published as p2pmem. */
#ifndef REVPIN_PROVIDER_H
#define REVPIN_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct provider {
	char bdf[32];
	char driver[32];
	unsigned long long size;
	/*
	 * What is free while the driver is bound and no test runs. Less than
	 * size: the driver's submission queues may live in the buffer.
	 */
	unsigned long long available;
};

/* Finds it and waits until the driver has settled. 0 or -errno, with a note. */
int provider_find(struct provider *p);
/* The n-th of them (from 0), in the order of addresses. */
int provider_find_nth(struct provider *p, unsigned int n);
/* 0 or -errno; -ENOENT while no driver is bound. */
int provider_available(const struct provider *p, unsigned long long *val);
bool provider_bound(const struct provider *p);
/* Binds the driver and waits until available is p->available again. */
int provider_bind(const struct provider *p);
/* Waits until available is what it was; false when it did not in time. */
bool provider_available_is_back(const struct provider *p, unsigned int ms);

/* An unbind runs in a process of its own: it may hang. */
struct unbind {
	pid_t pid;
	int fd;
	bool done;
	int err;			/* 0 or errno of the write to sysfs */
	double start;			/* clock_now() just before the write */
	double seconds;			/* guest time of the write */
};

int unbind_start(const struct provider *p, struct unbind *u);
/* The same by removing the whole PCI device; provider_rescan() brings it back. */
int remove_start(const struct provider *p, struct unbind *u);
int provider_rescan(const struct provider *p);
/*
 * Waits for it. True when it returned. Otherwise its kernel stack is left in
 * stack (if not NULL) and it can be waited for again.
 */
bool unbind_wait(struct unbind *u, double seconds, char *stack, size_t size);
/* Both, with the limit of the requirement: 5 s on the plain kernel. */
bool unbind_now(const struct provider *p, struct unbind *u);
double unbind_limit(void);

#endif
