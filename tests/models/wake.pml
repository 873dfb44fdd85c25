/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two waits: nobody sleeps for ever.
 *
 * pfn_shut_wait_and_free() sleeps until no run is left, pfn_pin_retire_runs() looks
 * for sleepers without a lock. Each writes one thing and then reads the other's:
 * without a full barrier in between the read can come first, which is what the
 * guards NO_MB_... do. (drained.litmus is the same for the kernel's memory model.)
 *
 * pfn_pin_detach() sleeps until a state is REVOKED, and store_release_wake_up()
 * always looks at the queue under its lock.
 *
 * RUN pass
 * RUN fail NO_MB_ERASER	deadlock
 * RUN fail NO_MB_WAITER	deadlock
 * RUN fail QUEUE_LATE		deadlock
 * RUN fail NO_WAKE		deadlock
 * RUN fail WAKE_FIRST		deadlock
 * RUN fail NO_WAKE_DETACHER	deadlock
 */
byte runs = 2;
bool queued[2];			/* on range->drained */
bool asleep[2];
bool revoked;
bool detacher_queued, detacher_asleep;

inline wake_up_all()
{
	atomic {
		i = 0;
		do
		:: i < 2 ->
			if
			:: queued[i] -> queued[i] = 0; asleep[i] = 0
			:: else
			fi;
			i++
		:: else -> break
		od
	}
}

/* wait_event(range->drained, ...) of two broadcasts */
proctype waiter(byte me)
{
	byte seen;

	do
	:: true ->
#ifdef NO_MB_WAITER
		seen = runs;		/* the read comes before the writes */
		queued[me] = 1; asleep[me] = 1;
#else
#ifdef QUEUE_LATE
		seen = runs;
		asleep[me] = 1; queued[me] = 1;
#else
		atomic { queued[me] = 1; asleep[me] = 1 };	/* prepare_to_wait() */
		seen = runs;
#endif
#endif
		if
		:: seen == 0 -> break
		:: else -> !asleep[me]	/* schedule() */
		fi
	od;
	atomic { queued[me] = 0; asleep[me] = 0 }
}

proctype eraser(byte n)
{
	bool sleeper;
	byte i;

	do
	:: n > 0 ->
#ifdef WAKE_FIRST
		sleeper = queued[0] || queued[1];
		if
		:: sleeper -> wake_up_all()
		:: else
		fi;
		runs--;
#else
#ifdef NO_MB_ERASER
		sleeper = queued[0] || queued[1];
		runs--;
#else
		runs--;
		sleeper = queued[0] || queued[1];	/* wq_has_sleeper() */
#endif
		if
#ifndef NO_WAKE
		:: sleeper -> wake_up_all()
#endif
		:: else
		fi;
#endif
		n--
	:: else -> break
	od
}

proctype finisher()
{
	revoked = 1;
#ifndef NO_WAKE_DETACHER
	atomic {
		if
		:: detacher_queued -> detacher_queued = 0; detacher_asleep = 0
		:: else
		fi
	}
#endif
}

proctype detacher()
{
	do
	:: true ->
		atomic { detacher_queued = 1; detacher_asleep = 1 };
		if
		:: revoked -> break
		:: else -> !detacher_asleep
		fi
	od
}

init
{
	atomic {
		run waiter(0); run waiter(1); run eraser(1); run eraser(1);
		run finisher(); run detacher()
	}
}
