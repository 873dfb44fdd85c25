/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stuck consumers, the works of a range, and their references to it.
 *
 * Pins 0 and 1 are started, then somebody else revokes a part with pin 2 in it,
 * when the embedded work of the range (range->finisher) may be stuck already.
 * Either each finish takes a moment; or that of pin 0 does not come to its end
 * before that of pin 1, and that not before pin 2's; or only that of pin 0 waits
 * for pin 2's. The consumers detach as soon as they are revoked.
 *
 * RUN pass
 * RUN fail NO_TAKEOVER		deadlock
 * RUN fail ONE_TAKEOVER	deadlock
 * RUN fail NO_WATCH		deadlock
 * RUN fail NO_AGAIN		deadlock
 * RUN fail NO_KICK		deadlock
 * RUN fail NO_LOCK		finishes
 * RUN fail FINISHER_WITHOUT	freed
 * RUN fail TAKEOVER_WITHOUT	freed
 * RUN fail WATCHDOG_WITHOUT	freed
 * RUN fail PUT_FIRST		freed
 * RUN fail KEEP_REFERENCE	deadlock
 */
#define PINS	3

#define CLAIMED	1
#define PENDING	2
#define RUNNING	3
#define OVER	4

#define ANY(s)	(state[0] == s || state[1] == s || state[2] == s)

byte waits;			/* 0: nobody; 1: 0 for 1, 1 for 2; 2: 0 for 2 */
byte state[PINS];
byte finishes[PINS];
byte ref = 2;			/* the provider's, for each of its threads */
bool freed;
bool queued;			/* range->finisher */
bool watching;			/* range->watchdog */
byte takeovers;			/* queued or running */
byte queued_takeovers;
#ifdef ONE_TAKEOVER
bool did_one;
#endif

/* Pins wait, and it has been a while since the last callback began */
#ifdef NO_TAKEOVER
#define MAY_TAKE_OVER	false
#else
#ifdef ONE_TAKEOVER
#define MAY_TAKE_OVER	(ANY(PENDING) && ANY(RUNNING) && !did_one)
#else
#define MAY_TAKE_OVER	(ANY(PENDING) && ANY(RUNNING) && takeovers < 2)
#endif
#endif

inline put()
{
	d_step {
		assert(!freed && ref > 0);
		ref--;
		freed = (ref == 0)
	}
}

/* pfn_range_watch(); queue_delayed_work() says whether it was queued before */
inline watch()
{
	assert(!freed);
	if
	:: !watching ->
		watching = 1;
#ifndef WATCHDOG_WITHOUT
		ref++
#endif
	:: else
	fi
}

/* Another worker: two beside the embedded one are enough for three pins */
inline take_over()
{
	takeovers++;
	queued_takeovers++;
#ifndef TAKEOVER_WITHOUT
	ref++
#endif
}

/* pfn_range_kick() */
inline kick()
{
	atomic {
		assert(!freed);
#ifndef NO_KICK
		if
		:: ANY(PENDING) ->	/* if something runs and there is no memory, too */
			if
			:: !queued ->
				queued = 1;
#ifndef FINISHER_WITHOUT
				ref++
#endif
			:: else ->
#ifdef KEEP_REFERENCE
				ref++
#else
				skip
#endif
			fi
#ifndef NO_TAKEOVER
#ifndef ONE_TAKEOVER
		:: ANY(PENDING) && ANY(RUNNING) && takeovers < 2 -> take_over()
#endif
#endif
		:: else
		fi
#endif
	}
}

/* pfn_range_finish() */
inline finish()
{
	do
	:: true ->
#ifndef NO_LOCK
		atomic {
#endif
			assert(!freed);
			me = 0;
			do
			:: me < PINS && state[me] != PENDING -> me++
			:: else -> break
			od;
			if
			:: me < PINS -> state[me] = RUNNING
			:: else -> me = 0; break
			fi;
			finishes[me]++;
			assert(finishes[me] == 1)
#ifndef NO_LOCK
		}
#endif
		;
		waits == 0 || me == 2 || (waits == 2 && me == 1) || state[(waits == 1 -> me + 1 : 2)] == OVER;
		atomic { assert(!freed); state[me] = OVER; me = 0 }
	od
}

/* The workqueue runs a work once at a time */
proctype finisher()
{
	byte me;

end:	do
	:: atomic { queued -> queued = 0 };
		finish();
#ifndef FINISHER_WITHOUT
		put()
#endif
	od
}

/* pfn_range_finish() of a work that pfn_range_take_over() made */
proctype takeover()
{
	byte me;

end:	do
	:: atomic { queued_takeovers > 0 -> queued_takeovers-- };
		finish();
		atomic {
			takeovers--;
#ifndef TAKEOVER_WITHOUT
			put()
#endif
		}
	od
}

/*
 * It may find anything stuck at any time, which includes too early. Looks that
 * change nothing are left out.
 */
proctype watchdog()
{
	bool again;

end:	do
	:: atomic { watching -> watching = 0 };
		atomic {
			MAY_TAKE_OVER || !(ANY(CLAIMED) || ANY(PENDING) || ANY(RUNNING));
			assert(!freed);
			if
			:: MAY_TAKE_OVER ->
#ifdef ONE_TAKEOVER
				did_one = 1;
#endif
				take_over()
			:: else
			fi;
			again = ANY(CLAIMED) || ANY(PENDING) || ANY(RUNNING)
		};
#ifdef PUT_FIRST
		put();
#endif
#ifndef NO_AGAIN
		atomic {
			if
			:: again -> watch()
			:: else
			fi;
			again = 0
		};
#endif
#ifndef PUT_FIRST
#ifndef WATCHDOG_WITHOUT
		put()
#endif
#endif
	od
}

/* pfn_part_claim() and pfn_range_start(); pin 0 and 1 go together */
inline revoke(p, q)
{
	atomic {
		state[p] = CLAIMED; state[q] = CLAIMED;
#ifndef NO_WATCH
		watch()
#endif
	};
	atomic { assert(!freed); state[p] = PENDING; state[q] = PENDING };
	kick();
	state[p] == OVER && state[q] == OVER
}

proctype provider()
{
	revoke(2, 2);
	put()
}

init
{
	atomic {
		if
		:: waits = 0
		:: waits = 1
		:: waits = 2
		fi;
		run finisher(); run takeover(); run takeover(); run watchdog(); run provider()
	}
	revoke(0, 1);
	/* When both have returned it is unregistered */
	put();
	atomic { ref == 0; assert(freed && !queued && !watching && takeovers == 0) }
}
