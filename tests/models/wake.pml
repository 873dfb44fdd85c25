/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who sleeps on range->wait, and who wakes them: nobody sleeps for ever.
 *
 * Pins 0 and 1 have been claimed for part 0. Part 1, in half of the runs, has
 * only pin 0 in it, so its provider waits for what the other one has claimed. The
 * consumer of pin 0 detaches at any time, and frees the pin. Pin 1 is no business
 * of these two: its finish is stuck until both have returned. The wait for part 0
 * has a bound at first.
 *
 * RUN pass
 * RUN fail NO_WAKE		deadlock
 * RUN fail OWN_PART		deadlock
 * RUN fail WAKE_FIRST		deadlock
 * RUN fail QUEUE_LATE		deadlock
 * RUN fail NO_DETACHING	deadlock
 * RUN fail FLAG_LATE		deadlock
 * RUN fail FLAG_READ_LATE	gone
 * RUN fail LOOK_THEN_REMOVE	gone
 */
#define CLAIMED		0
#define STARTING	1
#define STARTED		2
#define FINISHING	3
#define REVOKED		4
#define FREE		5

#define IN_CALLBACK(p)	(state[p] == STARTING || state[p] == FINISHING)

byte state[2];			/* under range->lock: what is atomic here */
bool detaching;			/* pin 0 */
bool gone;			/* pin 0: its memory may be anything now */
byte unfinished[2];
bool returned[2];

/* Sleepers: the providers of part 0 and 1, who detaches pin 0 */
bool queued[3];
bool asleep[3];

inline wake_up_all()
{
	d_step {
		queued[0] = 0; asleep[0] = 0;
		queued[1] = 0; asleep[1] = 0;
		queued[2] = 0; asleep[2] = 0
	}
}

/* pfn_pin_finished() */
inline finished(p)
{
	unfinished[0]--;
	if
	:: p == 0 && unfinished[1] -> unfinished[1]--; none = 1
	:: else -> none = 0
	fi;
#ifndef NO_WAKE
	if
	:: unfinished[0] == 0 -> wake_up_all()
#ifndef OWN_PART
	:: none -> wake_up_all()	/* part 1 has none left */
#endif
	:: else
	fi;
#endif
	none = 0
}

/* The end of pfn_pin_call() */
inline callback_over(p)
{
	assert(p != 0 || !gone);
#ifndef FLAG_READ_LATE
#ifndef NO_DETACHING
	if
	:: p == 0 && detaching -> wake_up_all()
	:: else
	fi
#endif
#endif
}

/* pfn_range_start(), pfn_range_finish(): a thread per pin is the worst case */
proctype worker(byte p)
{
	bool none;

	if
	:: atomic { state[p] == CLAIMED -> state[p] = STARTING }
	:: atomic { state[p] == FREE -> goto out }
	fi;
#ifdef WAKE_FIRST
	callback_over(p);
#endif
	atomic {
#ifndef WAKE_FIRST
		callback_over(p);
#endif
		state[p] = STARTED
	}
#ifdef FLAG_READ_LATE
	atomic {
		assert(p != 0 || !gone);
		if
		:: p == 0 && detaching -> wake_up_all()
		:: else
		fi
	}
#endif
	;
	if
	:: atomic { state[p] == STARTED -> state[p] = FINISHING }
	:: atomic { state[p] == FREE -> goto out }
	fi;
	p == 0 || (returned[1] && gone);
#ifdef WAKE_FIRST
	callback_over(p);
#endif
	atomic {
#ifndef WAKE_FIRST
		callback_over(p);
#endif
		state[p] = REVOKED;
		finished(p)
	}
#ifdef FLAG_READ_LATE
	atomic {
		assert(p != 0 || !gone);
		if
		:: p == 0 && detaching -> wake_up_all()
		:: else
		fi
	}
#endif
	;
out:	skip
}

/* wait_event(range->wait, cond) */
inline wait_event(me, cond, bounded)
{
	do
	:: true ->
#ifdef QUEUE_LATE
		seen = cond;
		atomic { queued[me] = 1; asleep[me] = 1 };
#else
		atomic { queued[me] = 1; asleep[me] = 1 };	/* prepare_to_wait() */
		seen = cond;
#endif
		if
		:: seen -> break
		:: else ->
			if
			:: !asleep[me]		/* schedule() */
			:: bounded -> break
			fi
		fi
	od;
	atomic { queued[me] = 0; asleep[me] = 0 }
}

/* pfn_part_wait() */
proctype provider(byte part)
{
	bool seen;

	if
	:: part == 0 -> wait_event(0, unfinished[0] == 0, true)
	:: else
	fi;
	wait_event(part, unfinished[part] == 0, false);
	atomic {
		assert(state[0] >= REVOKED && (part == 1 || state[1] == REVOKED));
		returned[part] = 1
	}
}

/* pfn_pin_remove() */
inline remove()
{
	atomic {
		if
#ifndef LOOK_THEN_REMOVE
		:: IN_CALLBACK(0) -> seen = 0;
#ifndef FLAG_LATE
			detaching = 1
#endif
#endif
		:: else -> seen = 1;
			if
			:: state[0] != REVOKED -> finished(0)
			:: else
			fi;
			state[0] = FREE
		fi
	}
}

/* pfn_pin_detach() of pin 0: wait_event(range->wait, pfn_pin_remove(pin)) */
proctype detacher()
{
	bool seen, none;

	do
	:: true ->
		atomic { queued[2] = 1; asleep[2] = 1 };
#ifdef LOOK_THEN_REMOVE
		atomic {
			seen = !IN_CALLBACK(0);
			detaching = !seen
		};
		if
		:: seen -> remove()
		:: else
		fi;
#else
		remove();
#endif
#ifdef FLAG_LATE
		detaching = 1;
#endif
		if
		:: seen -> break
		:: else -> !asleep[2]
		fi
	od;
	atomic { queued[2] = 0; asleep[2] = 0 };
	gone = 1
}

init
{
	atomic {
		unfinished[0] = 2;
		if
		:: unfinished[1] = 1; run provider(1)
		:: returned[1] = 1
		fi;
		run worker(0); run worker(1); run provider(0); run detacher()
	}
	_nr_pr == 1;
	assert(gone && returned[0] && returned[1])
}
