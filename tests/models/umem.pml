/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memory region (ib_umem_revocable): registration, use, deregistration, against
 * the revocation. A batch of a provider's pages is pinned and attached in one call,
 * then one of ordinary memory; what was got is recorded under the region's lock
 * when the call has returned. So start and finish may run before there is anything
 * to unpin.
 *
 * RUN pass
 * RUN fail NO_REVOKED		charged
 * RUN fail NO_LOCK		pinned|charged
 * RUN fail NO_LOOK		pinned
 * RUN fail NO_LOOK_AT_END	usable
 * RUN fail NO_FENCE		fenced
 * RUN fail LOCKED_DETACH	deadlock
 * RUN fail LOCKED_CALL		deadlock
 * RUN fail NO_DETACH		alive
 */
#define LIVE	 1
#define CLAIMED	 2
#define CALLBACK 3
#define REVOKED	 4

byte lock;			/* of the region; who has it, 0: nobody */
bool revoked;			/* under it */
bool ops;			/* under it: the driver can be told */
byte pinned;			/* recorded pages that it holds */
bool charged = 1;
bool fenced;			/* the driver was told to stop */
bool usable;			/* a key has been handed out */
bool alive = 1;			/* the umem, and the pin in it */

/* The notifier */
byte state;			/* of the pin; 0: not attached */
bool closed;
bool returned;			/* the broadcast has */

#ifndef NO_LOCK
#define LOCK	atomic { assert(alive); lock == 0 -> lock = _pid }
#define UNLOCK	lock = 0
#else
#define LOCK	assert(alive)
#define UNLOCK	skip
#endif

inline let_go()
{
	if
#ifndef NO_REVOKED
	:: revoked
	:: else ->
#else
	:: true ->
#endif
		revoked = 1;
		pinned = 0;
		assert(charged);
		charged = 0
	fi
}

/* pin_user_pages_revocable() may wait for user space: a fault that needs what we revoke */
inline get_pages(n)
{
	if
	:: n == 1 -> !closed || returned
	:: else
	fi
}

proctype user()
{
	byte n;

	do
	:: n < 2 ->
#ifdef LOCKED_CALL
		LOCK;
#endif
		get_pages(n);
		atomic {		/* and attaches, under range->lock */
			if
			:: n == 0 && closed -> goto out
			:: n == 0 && !closed -> state = LIVE
			:: n == 1	/* ordinary memory: no attach */
			fi
		};
#ifndef LOCKED_CALL
		LOCK;
#endif
		/* Has finish been through? Then they are ours to unpin */
		if
#ifndef NO_LOOK
		:: revoked -> UNLOCK; goto out
#endif
		:: else -> pinned++
		fi;
		UNLOCK;
		n++
	:: else -> break
	od;

	LOCK;
	if
#ifndef NO_LOOK_AT_END
	:: revoked
#endif
	:: else -> ops = 1; usable = 1
	fi;
	UNLOCK;

out:
	/* The driver takes its part down; then ib_umem_release() */
	usable = 0;
	LOCK;
	let_go();
#ifndef LOCKED_DETACH
	UNLOCK;
#endif
#ifndef NO_DETACH
	atomic { state != CALLBACK -> state = 0 };
#endif
#ifdef LOCKED_DETACH
	UNLOCK;
#endif
	alive = 0
}

proctype revocation()
{
	atomic {
		closed = 1;
		if
		:: state == LIVE -> state = CLAIMED
		:: else -> goto out
		fi
	};
	/* start(): nothing to be set going before the driver can be told */
	if
	:: atomic { state == CLAIMED -> state = CALLBACK }
	:: atomic { state == 0 -> goto out }
	fi;
	assert(alive);
	state = CLAIMED;
	/* finish() */
	if
	:: atomic { state == CLAIMED -> state = CALLBACK }
	:: atomic { state == 0 -> goto out }
	fi;
	LOCK;
#ifndef NO_FENCE
	if
	:: ops && !revoked -> fenced = 1; usable = 0
	:: else
	fi;
#endif
	let_go();
	assert(pinned == 0);
	UNLOCK;
	assert(alive);
	state = REVOKED;
out:
	/* pfn_part_is_drained() */
	atomic {
		assert(pinned == 0);
		/* Whoever has a key has been stopped */
		assert(!usable || fenced);
		assert(!usable);
		returned = 1
	}
}

init
{
	atomic { run user(); run revocation() }
	_nr_pr == 1;
	assert(pinned == 0 && !charged && lock == 0)
}
