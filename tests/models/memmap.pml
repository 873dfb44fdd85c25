/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory map of a provider that goes away, under GUP-fast.
 *
 * A walker runs with interrupts off from the read of the PTE to the last look at
 * the struct page. Nothing waits for it in the TLB flush. It is no consumer: the
 * page is dropped in the end, or its attach was refused.
 *
 * RUN pass
 * RUN fail NO_GRACE_PERIOD	map
 * RUN fail EARLY_GRACE_PERIOD	map
 * RUN fail NO_DRAIN		map
 * RUN fail NO_ZAP		deadlock
 * RUN fail NO_IRQ_OFF		map
 */
bool pte = 1;
byte ref = 1;
bool map = 1;			/* struct page is there */
bool walking[2];		/* RCU readers, as interrupts are off */

/* Two walks each, so that one can begin at any time */
proctype walker(byte me)
{
	byte n;

	do
	:: n < 2 ->
#ifndef NO_IRQ_OFF
		walking[me] = 1;
#endif
		if
		:: pte ->
			assert(map);		/* page_folio(), its reference count */
			if
			:: atomic { ref > 0 -> assert(map); ref++ };
				if
				:: pte ->
					walking[me] = 0;
					/* pinned; the attach is refused or it is over */
					atomic { assert(map); ref-- }
				:: else ->
					atomic { assert(map); ref-- };
					walking[me] = 0
				fi
			:: ref == 0 ->
				assert(map);
				walking[me] = 0
			fi
		:: else ->
			walking[me] = 0
		fi;
		n++
	:: else -> break
	od
}

proctype unbind()
{
	bool was[2];

#ifdef EARLY_GRACE_PERIOD
	atomic { was[0] = walking[0]; was[1] = walking[1] };
#endif
#ifndef NO_ZAP
	atomic { pte = 0; ref-- };
#endif
#ifndef EARLY_GRACE_PERIOD
	/* get_state_synchronize_rcu(): those that are in a walk now */
	atomic { was[0] = walking[0]; was[1] = walking[1] };
#endif
#ifndef NO_DRAIN
	ref == 0;
#endif
#ifndef NO_GRACE_PERIOD
	/* cond_synchronize_rcu(). A reader that ends and begins again reads no PTE */
	do
	:: was[0] && !walking[0] -> was[0] = 0
	:: was[1] && !walking[1] -> was[1] = 0
	:: !was[0] && !was[1] -> break
	od;
#endif
	map = 0
}

init
{
	atomic { run walker(0); run walker(1); run unbind() }
}
