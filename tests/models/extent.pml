/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pfn_range_extent(): "nobody's memory" is said only of memory that was nobody's
 * when it was looked up. It decides whether a VM_PFNMAP page is used for good
 * without an attach, so that nobody could revoke it.
 *
 * RUN pass
 * RUN fail TREE_LAST		was_theirs
 * RUN fail NO_COUNT		was_theirs
 * RUN fail COUNT_LATE		was_theirs
 */
bool in_tree = 1;		/* the first provider has the PFN */
bool mapped = 1;		/* the PFN can be looked up */
bool theirs = 1;		/* and belongs to a provider while it can */
byte gen = 1;

proctype consumer()
{
	byte sampled = 0, now = 0;
	bool was_theirs = 0, found = 0;

	sampled = gen;			/* pfn_pin_begin() */
	if
	:: atomic { mapped -> was_theirs = theirs }	/* the look-up */
	:: !mapped -> goto out
	fi;
#ifdef TREE_LAST
	now = gen;
	found = in_tree;
#else
	found = in_tree;		/* pfn_range_find() */
	now = gen;			/* behind smp_mb() */
#endif
	if
	:: found			/* attach decides, by shut and generation */
	:: !found && now != sampled	/* -EAGAIN */
	:: !found && now == sampled -> assert(!was_theirs)
	fi;
out:	skip
}

proctype provider()
{
	/* It goes away */
	mapped = 0;
#ifndef NO_COUNT
#ifdef COUNT_LATE
	in_tree = 0;
	gen++;
#else
	gen++;				/* pfn_range_unregister() */
	in_tree = 0;
#endif
#else
	in_tree = 0;
#endif
	/* The address is used for something that has no provider, for a while */
	theirs = 0;
	mapped = 1;
	mapped = 0;
	/* Another provider comes, in the order of pfn_range_register() */
	in_tree = 1;
	gen++;
	theirs = 1;
	mapped = 1
}

init
{
	atomic { run consumer(); run consumer(); run provider() }
}
