/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memory region (ib_umem_revocable): registration, use, deregistration, against
 * the revocation. A batch of a provider's pages is pinned, then one of ordinary
 * memory.
 *
 * RUN pass
 * RUN fail NO_REVOKED		charged
 * RUN fail NO_LOCK		pinned|charged
 * RUN fail NO_CHECK_AT_ADD	pinned
 * RUN fail NO_STARTED		fenced|told
 * RUN fail LOCKED_DETACH	deadlock
 * RUN fail NO_DETACH		alive
 */
byte lock;			/* umem_revocable->lock; 0: free, else who + 1 */
bool revoked, started, ops;
byte pinned;			/* pages that it holds */
bool charged = 1;
bool fenced;			/* the driver was told to stop */
bool usable;			/* a key has been handed out */
bool attached;			/* the notifier knows a run */
bool in_callback, claimed, callbacks_over;
bool alive = 1;			/* the umem */
bool shut;			/* the broadcast has shut the range */

#ifndef NO_LOCK
#define LOCK	atomic { assert(alive); lock == 0 -> lock = _pid }
#define UNLOCK	lock = 0
#else
#define LOCK	assert(alive)
#define UNLOCK	skip
#endif

inline let_go(told)
{
	if
#ifndef NO_REVOKED
	:: revoked
	:: else ->
#else
	:: true ->
#endif
		revoked = 1;
		if
		:: ops -> assert(told); usable = 0
		:: else
		fi;
		pinned = 0;
		assert(charged);
		charged = 0
	fi
}

inline release()
{
	LOCK;
	let_go(true);			/* the driver has taken its part down */
#ifndef LOCKED_DETACH
	UNLOCK;
#endif
	/* pfn_pin_detach(): claimed means REVOKING, then it waits */
#ifndef NO_DETACH
	if
	:: atomic { !claimed -> attached = 0 }
	:: claimed -> callbacks_over
	fi;
#endif
#ifdef LOCKED_DETACH
	UNLOCK;
#endif
	assert(!in_callback || !alive);
	alive = 0
}

proctype user()
{
	byte n;

	do
	:: n < 2 ->
		LOCK;
		if
#ifndef NO_CHECK_AT_ADD
		:: revoked -> goto refused
#endif
		:: else -> skip
		fi;
		atomic {		/* pfn_pin_attach() */
			if
			:: n == 0 && (shut || claimed) -> goto refused
			:: n == 0 && !shut && !claimed -> attached = 1
			:: n == 1	/* ordinary memory: no attach */
			fi
		};
		pinned++;
		UNLOCK;
		n++
	:: else -> break
	od;

	LOCK;
	if
	:: revoked -> goto refused
	:: else
	fi;
	/* ib_umem_revocable_set_ops_locked() under ops_lock */
	atomic {
		if
#ifndef NO_STARTED
		:: started -> goto refused
#endif
		:: else -> ops = 1; usable = 1
		fi
	};
refused:
	UNLOCK;
	release()
}

proctype revocation()
{
	bool tell;

	atomic {
		shut = 1;
		if
		:: attached -> claimed = 1
		:: else -> goto out
		fi
	};
	/* ib_umem_pin_start() */
	in_callback = 1;
	atomic { assert(alive); started = 1; tell = ops };
	if
	:: tell -> fenced = 1
	:: else
	fi;
	/* ib_umem_pin_finish() */
	LOCK;
	let_go(fenced);
	assert(pinned == 0);
	UNLOCK;
	in_callback = 0;
	callbacks_over = 1;
	/* The broadcast returns */
	assert(pinned == 0 && (fenced || !usable));
out:	skip
}

init
{
	atomic { run user(); run revocation() }
	_nr_pr == 1;
	assert(pinned == 0 && !charged && lock == 0)
}
