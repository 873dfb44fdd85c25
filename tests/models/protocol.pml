/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Broadcasts against broadcasts, detaches and growth: one range of three PFNs.
 *
 * Pin 0 holds PFN 0 and may grow by PFN 1, pin 1 holds PFN 2. One thread of the
 * provider revokes PFNs 0-1 and reopens them, or all with a bound; then all
 * without a bound, and unregisters. Another one revokes PFNs 1-2 meanwhile and
 * reopens them. Each consumer detaches whenever it likes, or when it is revoked.
 * In some runs the finish of pin 0 is stuck until consumer 1 has detached.
 *
 * RUN pass
 * RUN fail NO_LIVE		starts|gone
 * RUN fail NO_CLOSED		uses|unfinished
 * RUN fail NO_GROW_LIVE	in_pins
 * RUN fail NO_WAIT		gone
 * RUN fail WAIT_REVOKED	deadlock
 * RUN fail SPLIT_DETACH	gone|in_pins|starts
 * RUN fail ERASE_FIRST		uses
 * RUN fail OWN_PINS		uses|in_pins
 * RUN fail COUNT_AGAIN		deadlock|unfinished
 * RUN fail FORGET_DETACHED	deadlock|unfinished
 * RUN fail DETACH_FIRST	uses
 * RUN fail NO_PIN_REFERENCE	freed
 * RUN fail NO_WORK_REFERENCE	freed
 * RUN fail KEEP_REFERENCE	deadlock
 * RUN fail KICK_FIRST		deadlock
 * RUN fail REOPEN_FIRST	freed|parts
 */
#define LIVE		0
#define CLAIMED		1
#define STARTING	2
#define STARTED		3
#define FINISHING	4
#define REVOKED		5
#define FREE		6

/* Parts */
#define LOW	0		/* PFNs 0-1 */
#define HIGH	1		/* PFNs 1-2 */
#define WHOLE	2

/* Is in the part */
#define TOUCHES(p, part) ((part) == WHOLE || (part) == (p) || ((part) == HIGH && grown))
#define IN_CALLBACK(p)	(state[p] == STARTING || state[p] == FINISHING)
#define WAITED_FOR(p, part) (in_pins[p] && TOUCHES(p, part))

/* The range */
byte ref = 1;
bool freed;
bool closed[3];			/* range->closed */
byte unfinished[3];
byte parts;			/* of the provider, in use */
bool queued;			/* range->finisher */

/* Pins */
byte state[2] = FREE;
bool in_pins[2];		/* range->pins; otherwise range->revoked, or nowhere */
bool grown;			/* pin 0 */

/* Consumers */
bool uses[3];			/* its hardware can reach the PFN */
byte starts[2], finishes[2];
bool gone[2];			/* detached: its memory may be anything now */
bool stuck;
#ifdef OWN_PINS
byte claimer[2];
#endif

inline put()
{
	d_step {
		assert(!freed && ref > 0);
		ref--;
		freed = (ref == 0)
	}
}

/* pfn_pin_finished() */
inline finished(p)
{
	assert(!freed);
	part = 0;
	do
	:: part < 3 ->
		if
#ifndef OWN_PINS
		:: closed[part] && TOUCHES(p, part) ->
#else
		:: part == claimer[p] ->
#endif
			assert(unfinished[part] > 0);
			unfinished[part]--
		:: else
		fi;
		part++
	:: else -> part = 0; break
	od
}

/* Under the consumer's own lock */
inline let_go(p)
{
	d_step {
		if
		:: p == 0 -> uses[0] = 0; uses[1] = 0
		:: else -> uses[2] = 0
		fi
	}
}

/* pfn_part_claim() */
inline claim(p, mine)
{
	atomic {
		assert(!freed);
		if
#ifndef COUNT_AGAIN
		:: !closed[mine] ->
#else
		:: true ->
#endif
#ifndef OWN_PINS
			unfinished[mine] = unfinished[mine] + WAITED_FOR(0, mine) + WAITED_FOR(1, mine);
#else
			unfinished[mine] = (WAITED_FOR(0, mine) && state[0] == LIVE) + (WAITED_FOR(1, mine) && state[1] == LIVE);
#endif
			closed[mine] = 1
#ifndef COUNT_AGAIN
		:: else
#endif
		fi;
		p = 0;
		do
		:: p < 2 ->
			if
#ifndef NO_LIVE
			:: WAITED_FOR(p, mine) && state[p] == LIVE ->
#else
			:: WAITED_FOR(p, mine) ->
#endif
#ifdef OWN_PINS
				claimer[p] = mine;
#endif
				state[p] = CLAIMED
			:: else
			fi;
			p++
		:: else -> p = 0; break
		od
	}
}

/* pfn_range_start(): whatever is claimed, by whomever */
inline start(p)
{
	do
	:: atomic { state[0] == CLAIMED || state[1] == CLAIMED ->
		assert(!freed);
		p = (state[0] != CLAIMED);
		state[p] = STARTING;
		starts[p]++;
		assert(starts[p] == 1 && finishes[p] == 0) };
		atomic { assert(!freed && !gone[p]); state[p] = STARTED; p = 0 }
	:: atomic { else -> assert(!freed); break }
	od
}

/* pfn_range_kick(); takeover.pml has more than one worker */
inline kick()
{
	atomic {
		assert(!freed);
		if
		:: (state[0] == STARTED || state[1] == STARTED) ->
			if
			:: !queued ->
				queued = 1;
#ifndef NO_WORK_REFERENCE
				ref++
#endif
			:: else ->
#ifdef KEEP_REFERENCE
				ref++
#else
				skip
#endif
			fi
		:: else
		fi
	}
}

inline start_and_kick(p)
{
#ifndef KICK_FIRST
	start(p);
	kick()
#else
	kick();
	start(p)
#endif
}

/* pfn_range_finish(), by the one worker of this model */
proctype finisher()
{
	byte p, part;

end:	do
	:: atomic { queued -> queued = 0 };
		do
		:: atomic { state[0] == STARTED || state[1] == STARTED ->
			assert(!freed);
			if
			:: state[0] == STARTED -> p = 0
			:: state[1] == STARTED -> p = 1
			fi;
			state[p] = FINISHING;
			finishes[p]++;
			assert(starts[p] == 1 && finishes[p] == 1);
#ifdef ERASE_FIRST
			in_pins[p] = 0;
			finished(p)
#endif
			};
			atomic { !(stuck && p == 0) || gone[1]; assert(!gone[p]); let_go(p) };
			atomic {
				assert(!freed && !gone[p]);
				state[p] = REVOKED;
#ifndef ERASE_FIRST
				in_pins[p] = 0;
				finished(p)
#endif
			}
		:: atomic { state[0] != STARTED && state[1] != STARTED -> assert(!freed); break }
		od;
#ifndef NO_WORK_REFERENCE
		put()
#endif
	od
}

/* pfn_range_attach(): the pin, or more of it */
inline attach(p)
{
	atomic {
		if
#ifndef NO_CLOSED
		:: closed[WHOLE] || closed[p] -> goto out
#endif
		:: else ->
			assert(!freed);
			state[p] = LIVE; in_pins[p] = 1; uses[2 * p] = 1;
#ifndef NO_PIN_REFERENCE
			ref++
#endif
		fi
	}
}

inline grow()
{
	atomic {
		assert(!freed);
		if
#ifndef NO_CLOSED
		:: closed[WHOLE] || closed[LOW] || closed[HIGH]
#endif
#ifndef NO_GROW_LIVE
		:: state[0] != LIVE
#endif
		:: else -> assert(in_pins[0]); grown = 1; uses[1] = 1
		fi
	}
}

/* pfn_pin_detach() */
inline detach(p)
{
	atomic {
#ifdef WAIT_REVOKED
		(state[p] == LIVE || state[p] == REVOKED);
#else
#ifndef NO_WAIT
		!IN_CALLBACK(p);
#endif
#endif
		assert(!freed)
#ifdef SPLIT_DETACH
	};
	atomic {
#else
		;
#endif
		if
		:: state[p] != REVOKED -> assert(in_pins[p]); in_pins[p] = 0
		:: else -> assert(!in_pins[p])
		fi;
		if
		:: (state[p] == CLAIMED || state[p] == STARTED) ->
#ifndef FORGET_DETACHED
			finished(p)
#else
			skip
#endif
		:: else
		fi;
		state[p] = FREE
	};
	atomic {
#ifndef NO_PIN_REFERENCE
		put();
#endif
		gone[p] = 1
	}
}

proctype consumer(byte p)
{
	byte part;

	attach(p);
	if
	:: p == 0 -> grow()
	:: true
	fi;
	if
	:: !stuck || p == 0 -> state[p] == REVOKED
#ifndef DETACH_FIRST
	:: let_go(p)
#else
	:: true
#endif
	fi;
	detach(p);
#ifdef DETACH_FIRST
	let_go(p);
#endif
out:	gone[p] = 1
}

/* pfn_part_is_drained(), and what the provider relies on then */
#define DRAINED(part) (unfinished[part] == 0)

#define ALONE(part) (!uses[1] && ((part) == HIGH || !uses[0]) && ((part) == LOW || !uses[2]))

inline wait_drained(mine)
{
	atomic {
		DRAINED(mine);
		assert(!freed);
		assert(ALONE(mine));
		assert(!WAITED_FOR(0, mine) && !WAITED_FOR(1, mine))
	}
}

/* pfn_part_reopen() */
inline reopen(mine)
{
	atomic {
		assert(!freed);
		assert(closed[mine] && ALONE(mine));
		closed[mine] = 0
	}
}

proctype other()
{
	byte p;

	claim(p, HIGH);
	start_and_kick(p);
	wait_drained(HIGH);
	atomic { reopen(HIGH); parts-- }
}

init
{
	byte p;

	atomic {
		if
		:: stuck = 1
		:: stuck = 0
		fi;
		parts = 1;
		run finisher(); run consumer(0); run consumer(1); run other()
	};
	if
	:: true ->
		claim(p, LOW);
		start_and_kick(p);
		wait_drained(LOW);
		reopen(LOW)
	:: true ->
		claim(p, WHOLE);
		start_and_kick(p);
		if
		:: wait_drained(WHOLE)
		:: atomic { !DRAINED(WHOLE) -> skip }	/* -ETIMEDOUT */
		fi
	fi;
#ifndef REOPEN_FIRST
	parts == 0;		/* the provider's own order */
#endif
	/* pfn_range_unregister() */
	claim(p, WHOLE);
	start_and_kick(p);
	wait_drained(WHOLE);
	atomic { closed[LOW] = 0; closed[HIGH] = 0; assert(parts == 0) };
	put();
	/* The consumers are through, and so is the worker */
	gone[0] && gone[1] && _nr_pr == 2 && !queued;
	atomic {
		assert(state[0] == FREE && state[1] == FREE);
		ref == 0;
		assert(freed)
	}
}
