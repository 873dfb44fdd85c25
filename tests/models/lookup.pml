/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Look-ups against the broadcast: one page of a provider, one PTE.
 *
 * The provider takes the memory for itself (zap, broadcast, use, reopen, map
 * again) and then goes away (zap, broadcast, drain). Two consumers look the page
 * up, slowly or fast, with any delay between the steps; the page is handed out
 * again by the kernel's allocator whenever it is free.
 *
 * RUN pass
 * RUN fail NO_SHUT		exclusive|deadlock
 * RUN fail NO_GENERATION	epoch
 * RUN fail LATE_GENERATION	epoch
 * RUN fail NO_RANGE_LOCK	epoch
 * RUN fail NO_RECHECK		owner!=2
 * RUN fail NO_TRYGET		owner!=0
 * RUN fail NO_CLAIM		deadlock
 * RUN fail NO_CONSUMER_LOCK	exclusive
 * RUN fail NO_DOOR		ref==0
 * RUN fail NO_DRAIN		ref==0
 */
#define FREE	0
#define USER	1
#define KERNEL	2

#define LIVE	0
#define REVOKING 1
#define OVER	2

bool pte = 1;		/* maps the page */
byte ref = 1;		/* of the page; the mapping has one */
byte owner = USER;
bool door = 1;
bool gone;		/* drained, the memory map may go */
bool exclusive;		/* the provider relies on nobody else */

/* The range */
bool shut;
byte gen = 1;		/* pfn_revoke_gen */
byte range_gen = 1;
byte epoch;		/* times the page was mapped anew */

/* Pins */
byte state[2];
bool attached[2];
bool holds[2];
bool claimed[2];
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
	atomic {
		if
		:: holds[me] -> holds[me] = 0; unpins[me]++; put()
		:: else
		fi
	}
}

proctype consumer(byte me)
{
	byte sampled, seen;
	bool ok;

#ifndef LATE_GENERATION
	sampled = gen;			/* pfn_pin_begin() */
#endif
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
		:: else -> goto drop
		fi
#else
		seen = epoch
#endif
	   }
	fi;
#ifdef LATE_GENERATION
	sampled = gen;
#endif
	/* What it pinned was mapped when it looked: nobody else's page */
	assert(owner != KERNEL);

	/* pfn_range_attach() */
#ifndef NO_RANGE_LOCK
	atomic {
#endif
		ok = 1;
#ifndef NO_SHUT
		ok = ok && !shut;
#endif
#ifndef NO_GENERATION
		ok = ok && range_gen <= sampled;
#endif
		ok = ok && state[me] == LIVE;
		if
		:: ok -> attached[me] = 1; holds[me] = 1; assert(seen == epoch)
		:: else
		fi
#ifndef NO_RANGE_LOCK
	}
#endif
	;
	if
	:: ok -> skip
	:: else -> goto drop
	fi;

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
	:: true -> let_go(me);		/* unpin, then pfn_pin_detach() */
	   if
	   :: atomic { state[me] == LIVE -> state[me] = OVER };
	      attached[me] = 0
	   :: state[me] != LIVE -> state[me] == OVER
	   fi
	:: true -> state[me] == OVER	/* or it keeps it until it is revoked */
	fi;
	goto out;
drop:	put();
out:	skip
}

inline broadcast()
{
	atomic {			/* pfn_broadcast_claim() */
		shut = 1;
#ifndef NO_CLAIM
		i = 0;
		do
		:: i < 2 ->
			if
			:: attached[i] && state[i] == LIVE -> state[i] = REVOKING; claimed[i] = 1
			:: else
			fi;
			i++
		:: else -> break
		od
#endif
	}
	i = 0;
	do				/* finish() of each */
	:: i < 2 ->
		if
		:: claimed[i] -> let_go(i); attached[i] = 0; claimed[i] = 0; state[i] = OVER
		:: else
		fi;
		i++
	:: else -> break
	od;
	!attached[0] && !attached[1]	/* pfn_shut_wait_and_free() */
}

proctype provider()
{
	byte i;

	/* For a while the memory is its own */
	zap();
	broadcast();
	exclusive = 1;
	exclusive = 0;
	atomic {			/* pfn_reopen_range() */
		shut = 0;
		gen++;
		range_gen = gen
	}
	atomic {			/* map again, unless the kernel has the page */
		if
		:: owner != KERNEL && door ->
			epoch++; pte = 1; ref++; owner = USER
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
#ifndef NO_DRAIN
	ref == 0;			/* memunmap_pages() */
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
