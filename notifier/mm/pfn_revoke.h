/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of PFN-range revocation: for mm/pfn_revoke.c, which says how it
 * works, and for mm/pfn_revoke_debugfs.c, which lists who holds what.
 */
#ifndef __MM_PFN_REVOKE_H
#define __MM_PFN_REVOKE_H

#include <linux/pfn_revoke.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct pid_namespace;

enum pfn_pin_state {
	PFN_PIN_LIVE,
	PFN_PIN_CLAIMED,
	PFN_PIN_STARTING,
	PFN_PIN_STARTED,
	PFN_PIN_FINISHING,
	PFN_PIN_REVOKED,
};

/* A worker for the finishes of a range; it has a reference while it is queued */
struct pfn_finisher {
	struct work_struct work;
	struct pfn_range *range;
};

struct pfn_range {
	refcount_t ref;			/* provider, pins, works, readers */
	struct interval_tree_node it;	/* in pfn_ranges */

	spinlock_t lock;		/* guards the fields down to @whole */
	struct rb_root_cached pins;	/* pfn_pin.it, may overlap */
	struct rb_root_cached revoked;	/* the same, REVOKED */
	unsigned long nr_pins;		/* in both */
	u64 seq;			/* of the last insertion */
	struct rb_root_cached closed;	/* pfn_part.it, may overlap */
	struct list_head claimed;	/* pfn_pin.node: CLAIMED */
	struct list_head pending;	/* STARTED */
	struct list_head running;	/* STARTING, FINISHING */
	unsigned long progress;		/* last callback's start, jiffies */
	struct pfn_part whole;

	/* Woken when a part has no unfinished pin, and for who detaches */
	wait_queue_head_t wait;
	struct pfn_finisher finisher;	/* the first; others are allocated */
	struct delayed_work watchdog;
	char name[];
};

struct pfn_range *pfn_range_find(unsigned long pfn);
void pfn_range_put(struct pfn_range *range);
pid_t pfn_pin_owner(struct pfn_pin *pin, struct pid_namespace *ns, char *comm);

/* For mm/tests/pfn_revoke_kunit.c */
#if IS_ENABLED(CONFIG_KUNIT)
extern unsigned long pfn_revoke_patience;
#endif

#define PFN_REVOKE_CONSUMER_LEN	32

/* One range, or one pin in it: copies, so no lock is held */
struct pfn_revoke_entry {
	bool is_pin;
	const char *state;
	unsigned long first;
	unsigned long last;

	/* A range */
	const char *provider;		/* as long as the cursor is in the range */
	unsigned long pins;

	/* A pin */
	u64 since;			/* CLOCK_BOOTTIME, ns */
	pid_t pid;
	char comm[TASK_COMM_LEN];
	char consumer[PFN_REVOKE_CONSUMER_LEN];
};

/* Where a walk is; zeroed but for @ns to begin with */
struct pfn_revoke_cursor {
	struct pid_namespace *ns;	/* in which pids are reported */
	struct pfn_range *range;	/* a reference; NULL at both ends */
	bool in_revoked;		/* past range->pins */
	unsigned long start;		/* sort key of the pin reported last */
	u64 seq;
};

bool pfn_revoke_next(struct pfn_revoke_cursor *cursor,
		     struct pfn_revoke_entry *entry);
void pfn_revoke_end_walk(struct pfn_revoke_cursor *cursor);

#endif /* __MM_PFN_REVOKE_H */
