/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The n-th allocation (or copy from or to user space) of an operation fails,
 * for each n until the operation is over before its n-th one: fail-nth of the
 * kernel's fault injection, which the debug kernel has.
 */
#ifndef REVPIN_NTH_H
#define REVPIN_NTH_H

#include <stdbool.h>

/* What must be as it was after an operation that failed. */
struct nth_state {
	unsigned long long available;	/* of the provider */
	long pinned, locked;		/* KiB of this process */
	unsigned long pins;		/* in the list of holders */
};

enum nth_kind {
	NTH_TAKES,			/* may fail for want of memory */
	NTH_FREES,			/* must not, and may need none at all */
	NTH_NEVER_FAILS,
};

struct nth_op {
	const char *name;
	int (*op)(void *arg);		/* 0 or -errno */
	/* The way back from an op that succeeded; no fault is injected. */
	int (*undo)(void *arg);
	void *arg;
	enum nth_kind kind;
	int also;			/* an errno besides ENOMEM (NTH_TAKES) and EFAULT */
};

/* For struct tap_suite: false with a note if the kernel cannot do it. */
bool nth_init(void);
/* The n-th fault from now on, in this thread. 0 switches it off. */
void nth_arm(unsigned int n);
/* Switches it off; true if it has come. */
bool nth_hit(void);

void nth_look(struct nth_state *s);
bool nth_same(const struct nth_state *a, const struct nth_state *b);

/*
 * Runs the operation for every n. One that fails has to say so with an errno
 * that its interface knows, to leave no trace and to work at the next try; one
 * that succeeds has to have done all of its work.
 */
void nth_sweep(const struct nth_op *o);

#endif
