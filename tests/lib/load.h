/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that owns MRs on p2pmem and keeps RDMA going through them, in all
 * directions, before, during and after an unbind.
 */
#ifndef REVPIN_LOAD_H
#define REVPIN_LOAD_H

#include "observer.h"
#include "worker.h"

#include <stdbool.h>
#include <stdint.h>

struct load {
	/* set before load_start() */
	unsigned int mrs;
	unsigned int pages;		/* of the mapping, plus two guards */
	bool overlap;			/* MRs of several pages, on each other */
	bool idle;			/* posts only once after_unbind is set */

	/* shared with the process */
	volatile bool after_unbind;	/* from here on success is an error */
	volatile bool stop;
	volatile uint64_t good;		/* operations that succeeded */
	volatile uint64_t failed;	/* that failed as they should */
	volatile uint64_t odd;		/* anything else: the test fails */
	volatile uint64_t late;		/* succeeded after after_unbind */
	struct observer observer;	/* located by the process */
	volatile long pinned_before;	/* VmPin without P2P memory */

	struct worker worker;
};

/* In shared memory; freed by load_stop(). */
struct load *load_new(unsigned int mrs, unsigned int pages);
/* Starts it and waits until it has registered and tried every MR. */
bool load_start(struct load *l, const char *name);
bool load_wait_good(struct load *l, uint64_t n);
/* Waits for n more failures. Returns how many came. */
unsigned int load_wait_failed(struct load *l, unsigned int n);
/*
 * Ends it: the process finds its mapping gone, deregisters everything and
 * leaves. True when all of that went well.
 */
bool load_stop(struct load *l);
/* Forgets one whose process was killed. */
void load_free(struct load *l);

#endif
