/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pfn_range_extent(): "nobody's memory" is said only of memory that was nobody's
 * when it was looked up. It decides whether a VM_PFNMAP page is used for good
 * without an attach, so that nobody could revoke it.
 *
 * Two providers go, one PFN each, and their counting may overlap. The first PFN is
 * then used for something that has no provider, and after that by a provider
 * again. Not modelled: the order of reads and writes, see extent.litmus.
 *
 * RUN pass
 * RUN fail TREE_LAST		was_theirs
 * RUN fail NO_COUNT		was_theirs
 * RUN fail COUNT_LATE		was_theirs
 * RUN fail COUNT_SHRINKS	was_theirs
 */
bool in_tree[2] = 1;		/* pfn_ranges */
bool mapped[2] = 1;		/* the PFN can be looked up */
bool theirs[2] = 1;		/* and belongs to a provider while it can */
byte gen = 2;			/* pfn_revoke_gen: both have registered */
byte gone_gen;			/* pfn_gone_gen */

proctype consumer(byte pfn)
{
	byte sampled, gone;
	bool was_theirs, found;

	sampled = gen;			/* pfn_pin_begin() */
	if
	:: atomic { mapped[pfn] -> was_theirs = theirs[pfn] }	/* the look-up */
	:: !mapped[pfn] -> goto out
	fi;
#ifdef TREE_LAST
	gone = gone_gen;
	found = in_tree[pfn];
#else
	found = in_tree[pfn];		/* pfn_range_find() */
	gone = gone_gen;
#endif
	if
	:: found			/* attach decides, by shut and generation */
	:: !found && gone > sampled	/* -EAGAIN */
	:: !found && gone <= sampled -> assert(!was_theirs)
	fi;
out:	skip
}

inline count()
{
#ifndef NO_COUNT
	atomic { gen++; now = gen };
#ifdef COUNT_SHRINKS
	gone_gen = now;
#else
	before = gone_gen;
	do
	:: before >= now -> break
	:: else ->
		atomic {		/* atomic64_try_cmpxchg() */
			if
			:: gone_gen == before -> gone_gen = now; break
			:: else -> before = gone_gen
			fi
		}
	od
#endif
#else
	skip
#endif
}

proctype provider(byte pfn)
{
	byte now, before;

	mapped[pfn] = 0;		/* the zap, the broadcast */
#ifdef COUNT_LATE
	in_tree[pfn] = 0;
	count();
#else
	count();			/* pfn_range_unregister() */
	in_tree[pfn] = 0;
#endif
	if
	:: pfn == 0 ->
		theirs[0] = 0;
		mapped[0] = 1;
		mapped[0] = 0;
		in_tree[0] = 1;		/* pfn_range_register() */
		gen++;
		theirs[0] = 1;
		mapped[0] = 1
	:: else
	fi
}

init
{
	atomic { run consumer(0); run consumer(1); run provider(0); run provider(1) }
}
