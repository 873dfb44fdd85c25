/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Look-ups by PFN (VM_PFNMAP), where nothing has a reference: one PFN, and two
 * providers that declare it one after the other.
 *
 * The first takes the memory for itself for a while, and then goes away; the second
 * comes, maps the PFN and goes away. Both zap their mapping first, under the page
 * table lock. One consumer looks up through their mapping. Another one looks up
 * through a sysfs file's, which is there all the time and is not zapped: what it
 * attaches is revoked, whoever owns the PFN then.
 *
 * RUN pass
 * RUN fail NO_PAGE_TABLE_LOCK	seen
 * RUN fail ZAP_WITHOUT_LOCK	seen
 * RUN fail NO_ZAP		seen
 * RUN fail NEW_PTES		seen
 * RUN fail NO_FIND_REFERENCE	freed
 * RUN fail NO_CLOSED		holds
 * RUN fail NO_RANGE_LOCK	holds
 * RUN fail NO_CLAIM		holds
 * RUN fail OPEN_AT_END		in_tree
 * RUN fail PUT_FIRST		freed
 */
#define NONE	2		/* no range */
#define MMAP	0		/* consumers, by how they look up */
#define SYSFS	1

#define LIVE	1
#define CLAIMED	2
#define REVOKED	3

byte lock;			/* of the page table; who has it, 0: nobody */
bool pte;			/* in the provider's mapping */
byte epoch;			/* times the provider has begun anew */
bool exclusive;			/* it relies on nobody else */

/* Ranges: both of the same PFN */
byte in_tree = NONE;		/* pfn_ranges */
byte ref[2];
bool freed[2];
bool closed[2];

/* Pins */
byte state[2];
byte range_of[2];		/* consumer's pin -> range */
bool finished[2];		/* under the consumer's lock */
bool holds[2];
bool over;			/* the last provider has gone */

inline put(r)
{
	d_step {
		assert(!freed[r] && ref[r] > 0);
		ref[r]--;
		freed[r] = (ref[r] == 0)
	}
}

proctype consumer(byte me)
{
	byte seen, r;

	/* follow_pfnmap_start() */
#ifndef NO_PAGE_TABLE_LOCK
	atomic { lock == 0 -> lock = _pid };
#endif
	atomic {
		if
		:: me == MMAP && !pte -> goto unlock
		:: else -> seen = epoch
		fi
	};
	/* pfn_range_find() */
	atomic {
		r = in_tree;
		if
		:: r == NONE -> goto unlock	/* "it has no provider" */
		:: else ->
#ifndef NO_FIND_REFERENCE
			ref[r]++
#else
			skip
#endif
		fi
	};
	/* pfn_range_attach() */
#ifndef NO_RANGE_LOCK
	atomic {
		assert(!freed[r]);
		if
#ifndef NO_CLOSED
		:: closed[r]
#endif
		:: else ->
			/* Only a range that is declared is revoked once more */
			assert(in_tree == r && (me == SYSFS || seen == epoch));
			state[me] = LIVE; range_of[me] = r; ref[r]++
		fi
	};
#else
	if
	:: closed[r]
	:: else ->
		atomic {
			assert(in_tree == r && (me == SYSFS || seen == epoch));
			state[me] = LIVE; range_of[me] = r; ref[r]++
		}
	fi;
#endif
#ifndef NO_FIND_REFERENCE
	put(r);
#endif
unlock:
#ifndef NO_PAGE_TABLE_LOCK
	lock = 0;
#endif
	if
	:: state[me] -> skip
	:: else -> goto out
	fi;
	/* The consumer's lock: has finish been through? */
	atomic {
		if
		:: finished[me]
		:: else -> holds[me] = 1; assert(!exclusive)
		fi
	};
	if
	:: true -> holds[me] = 0
	:: state[me] == REVOKED
	fi;
	/* pfn_pin_detach() */
#ifndef PUT_FIRST
	atomic { assert(!freed[range_of[me]]); state[me] = 0 };
	put(range_of[me]);
#else
	put(range_of[me]);
	atomic { assert(!freed[range_of[me]]); state[me] = 0 };
#endif
out:	skip
}

#define MINE(c, r)	(state[c] && range_of[c] == r)

inline broadcast(r)
{
	atomic {
		assert(!freed[r]);
		closed[r] = 1;
#ifndef NO_CLAIM
		if
		:: MINE(0, r) && state[0] == LIVE -> state[0] = CLAIMED
		:: else
		fi;
		if
		:: MINE(1, r) && state[1] == LIVE -> state[1] = CLAIMED
		:: else
		fi
#endif
	};
	do
	:: atomic { MINE(0, r) && state[0] == CLAIMED -> finished[0] = 1; holds[0] = 0; state[0] = REVOKED }
	:: atomic { MINE(1, r) && state[1] == CLAIMED -> finished[1] = 1; holds[1] = 0; state[1] = REVOKED }
	:: atomic { !(MINE(0, r) && state[0] == CLAIMED) && !(MINE(1, r) && state[1] == CLAIMED) -> break }
	od;
	atomic { exclusive = 1; assert(!(MINE(0, r) && holds[0]) && !(MINE(1, r) && holds[1])) }
}

inline zap()
{
#ifndef NO_ZAP
#ifndef ZAP_WITHOUT_LOCK
	atomic { lock == 0 -> pte = 0 }
#else
	pte = 0
#endif
#else
	skip
#endif
}

inline declare(r)
{
	/* pfn_range_register(): through sysfs consumers come at once */
	atomic { in_tree = r; ref[r] = 1; exclusive = 0 };
	atomic { epoch++; pte = 1 }
}

inline take_back(r)
{
	/* pfn_range_unregister() */
	in_tree = NONE;
#ifdef OPEN_AT_END
	closed[r] = 0;
#endif
	put(r)
}

init
{
	declare(0);
	run consumer(MMAP);
	run consumer(SYSFS);

	zap();
	broadcast(0);
	atomic { closed[0] = 0; exclusive = 0 };	/* pfn_part_reopen() */
#ifndef NEW_PTES
	atomic { epoch++; pte = 1 };
#else
	/* A fault that was on its way before the zap, or nobody stops */
	pte = 1;
	epoch++;
#endif

	zap();
	broadcast(0);
#ifdef NEW_PTES
	pte = 1;
#endif
	take_back(0);
	declare(1);

	zap();
	broadcast(1);
	take_back(1);
	_nr_pr == 1;
	assert(!holds[0] && !holds[1] && freed[0] && freed[1])
}
