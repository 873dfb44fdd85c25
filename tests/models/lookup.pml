/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Look-ups by page against the broadcast: one page of a provider, one PTE.
 *
 * The provider takes the memory for itself (zap, broadcast, wait for the
 * references, use, reopen, map again) and then goes away (zap, broadcast, wait for
 * the references, unregister). Two consumers look the page up, slowly or fast, with
 * any delay between the steps, and attach by the page's pagemap; the page is handed
 * out again by the kernel's allocator whenever it is free.
 *
 * There is no generation: what was looked up before the revocation and attaches
 * behind it has a reference, and the part is closed for as long as there is one.
 *
 * RUN pass
 * RUN fail NO_WAIT_TO_REOPEN	seen
 * RUN fail NO_WAIT_TO_UNREGISTER	range
 * RUN fail NO_WAIT_TO_GO	ref==0
 * RUN fail PUT_FIRST		seen|range|exclusive
 * RUN fail NO_CLOSED		exclusive|seen
 * RUN fail NO_RANGE_LOCK	exclusive|seen
 * RUN fail NO_CLAIM		exclusive
 * RUN fail NO_RECHECK		owner!=2
 * RUN fail NO_TRYGET		owner!=0
 * RUN fail NO_CONSUMER_LOCK	exclusive
 * RUN fail NO_LOOK		exclusive|deadlock
 * RUN fail NO_DOOR		ref==0
 */
#define FREE	0
#define USER	1
#define KERNEL	2

#define LIVE	1
#define CLAIMED	2
#define REVOKED	3

bool pte = 1;		/* maps the page */
byte ref = 1;		/* of the page; the mapping has one */
byte owner = USER;
bool door = 1;
bool gone;		/* the memory map may go */
bool exclusive;		/* the provider relies on nobody else */
bool epoch;		/* the page was mapped anew */

/* The range, found through the page's pagemap */
bool range = 1;
bool closed;

/* Pins and consumers */
byte state[2];		/* 0: not attached, or detached */
bool finished[2];	/* finish() has run; under the consumer's lock */
bool holds[2];		/* the same */
byte unpins[2];

/* put_page(): the last one gives it back to the pool */
inline put()
{
	d_step {
		assert(ref > 0 && owner != FREE);
		ref--;
		if
		:: ref == 0 -> owner = FREE
		:: else
		fi
	}
}

/* For all that the attach made the consumer's */
inline unpin()
{
#ifndef PUT_FIRST
	put()
#else
	skip
#endif
}

inline zap()
{
	atomic {
		if
		:: pte -> pte = 0; put()
		:: else
		fi
	}
}

/* A consumer's lock is held over what is one step here */
inline let_go(me)
{
	if
	:: holds[me] -> holds[me] = 0; unpins[me]++; unpin()
	:: else
	fi
}

proctype consumer(byte me)
{
	bool seen, ok;

	if
	:: true -> atomic {		/* slow GUP, under the page table's lock */
		if
		:: pte -> assert(ref > 0); ref++; seen = epoch
		:: else -> goto out
		fi
	   }
	:: true -> if			/* GUP-fast reads the PTE */
	   :: pte -> skip
	   :: else -> goto out
	   fi;
	   atomic {			/* try_grab_folio_fast() */
#ifndef NO_TRYGET
		if
		:: ref == 0 -> goto out
		:: else -> ref++
		fi
#else
		ref++
#endif
	   }
	   atomic {			/* and reads it again */
#ifndef NO_RECHECK
		if
		:: pte -> seen = epoch
		:: else -> put(); goto out
		fi
#else
		seen = epoch
#endif
	   }
	fi;
	/* What it pinned was mapped when it looked: nobody else's page */
	assert(owner != KERNEL);
#ifdef PUT_FIRST
	put();
#endif

	/* pfn_pin_attach_pages(): the range is there as long as the page */
	atomic {
		assert(range);
#ifndef NO_CLOSED
		ok = !closed;
#else
		ok = 1;
#endif
#ifdef NO_RANGE_LOCK
	};
	atomic {
#endif
		if
		:: ok -> state[me] = LIVE; assert(seen == epoch)
		:: else -> goto drop
		fi
	};
	/* The look under the lock: finish may have found nothing to unpin */
	atomic {
		if
#ifndef NO_LOOK
		:: finished[me] ->
			unpins[me]++;
			unpin()
#endif
		:: else -> holds[me] = 1
		fi
	};

	/* DMA for as long as the consumer has the page */
#ifndef NO_CONSUMER_LOCK
	atomic {
		if
		:: holds[me] -> assert(!exclusive && !gone)
		:: else
		fi
	}
#else
	if
	:: holds[me] -> assert(!exclusive && !gone)
	:: else
	fi
#endif
	;
	if
	:: atomic { true -> let_go(me) }	/* unpin, then pfn_pin_detach() */
	:: state[me] == REVOKED			/* or it keeps it until it is revoked */
	fi;
	atomic { state[me] = 0; finished[me] = 0 };
	goto out;
drop:
	unpin();
out:	skip
}

inline broadcast()
{
	atomic {			/* pfn_part_claim() */
		assert(range);
		closed = 1;
#ifndef NO_CLAIM
		if
		:: state[0] == LIVE -> state[0] = CLAIMED
		:: else
		fi;
		if
		:: state[1] == LIVE -> state[1] = CLAIMED
		:: else
		fi
#endif
	}
	do				/* finish() of each; a detached one is taken out */
	:: atomic { state[0] == CLAIMED -> finished[0] = 1; let_go(0); state[0] = REVOKED }
	:: atomic { state[1] == CLAIMED -> finished[1] = 1; let_go(1); state[1] = REVOKED }
	:: atomic { state[0] != CLAIMED && state[1] != CLAIMED -> break }
	od
}

proctype provider()
{
	/* For a while the memory is its own */
	zap();
	broadcast();
#ifndef NO_WAIT_TO_REOPEN
	ref == 0;
#endif
	exclusive = 1;
	exclusive = 0;
	atomic { assert(range); closed = 0 };	/* pfn_part_reopen() */
	atomic {			/* map again, unless the kernel has the page */
		if
		:: owner != KERNEL && door ->
			epoch = 1; pte = 1; ref++; owner = USER
		:: else
		fi
	}

	/* The unbind */
#ifndef NO_DOOR
	door = 0;
#endif
	zap();
	broadcast();
	exclusive = 1;
#ifndef NO_WAIT_TO_UNREGISTER
#ifndef NO_WAIT_TO_GO
	ref == 0;			/* memunmap_pages() */
#endif
#endif
	range = 0;			/* pfn_range_unregister() */
#ifndef NO_WAIT_TO_GO
	ref == 0;
#endif
	atomic { gone = 1; assert(ref == 0) }
}

/* The pool: gen_pool_alloc() for a driver, twice */
proctype allocator()
{
	byte n;

	do
	:: n < 2 ->
		atomic {
			if
			:: door && owner == FREE && ref == 0 ->
				assert(!gone); owner = KERNEL; ref = 1
			:: gone || !door -> goto out
			fi
		};
		put();
		n++
	:: else -> break
	od;
out:	skip
}

init
{
	atomic { run provider(); run consumer(0); run consumer(1); run allocator() }
	_nr_pr == 1;
	assert(unpins[0] <= 1 && unpins[1] <= 1);
	assert(ref == 0 && !holds[0] && !holds[1])
}
