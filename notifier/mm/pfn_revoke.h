/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/pfn_revoke.c tells about who holds what, for /proc/pfn_revoke.
 */
#ifndef __MM_PFN_REVOKE_H
#define __MM_PFN_REVOKE_H

#include <linux/sched.h>
#include <linux/types.h>

struct pid_namespace;
struct pfn_range;

#define PFN_REVOKE_CONSUMER_LEN	32

/* One range, or one run of a pin in it: copies, so no lock is held */
struct pfn_revoke_entry {
	bool is_pin;
	const char *state;
	unsigned long first;
	unsigned long last;

	/* A range */
	const char *provider;		/* as long as the cursor is in the range */
	unsigned long pins;

	/* A run of a pin */
	u64 born;			/* CLOCK_BOOTTIME, ns */
	pid_t pid;
	char comm[TASK_COMM_LEN];
	char consumer[PFN_REVOKE_CONSUMER_LEN];
};

/* Where a walk is; zeroed but for @ns to begin with */
struct pfn_revoke_cursor {
	struct pid_namespace *ns;	/* in which pids are told */
	struct pfn_range *range;	/* a reference; NULL at both ends */
	bool in_revoked;		/* past range->runs */
	unsigned long start;		/* sort key of the run told last */
	u64 seq;
};

bool pfn_revoke_next(struct pfn_revoke_cursor *cursor,
		     struct pfn_revoke_entry *entry);
void pfn_revoke_end_walk(struct pfn_revoke_cursor *cursor);

#endif /* __MM_PFN_REVOKE_H */
