/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stuck consumers, and the broadcast on its caller's stack: three pins are due.
 *
 * Either each takes a moment; or the finish of pin 0 does not come to its end
 * before the others' have, and that of pin 1 not before pin 2's: then nothing
 * ends unless somebody takes over those behind a stuck one.
 *
 * Waiting for workers == 0 would be enough: the caller's own pins are over by
 * then. The wait for unfinished is a second rope, and therefore no guard here.
 *
 * RUN pass
 * RUN fail NO_TAKEOVER		deadlock
 * RUN fail NO_SECOND_WORKER	deadlock
 * RUN fail NO_WORKERS		on_stack
 * RUN fail NO_CANCEL		on_stack
 * RUN fail NO_WORK_REFERENCE	freed
 * RUN fail NO_LOCK		finishes
 */
#define PINS 3
#define STUCK(p) (running[p] && !taken_over[p])

bool chain;			/* they wait for each other; else only one after the other */
bool on_stack = 1;		/* the broadcast is there */
bool pending[PINS] = 1;
bool running[PINS];
bool taken_over[PINS];
bool over[PINS];
byte finishes[PINS];
byte ref[PINS] = 1;		/* the broadcast's; the consumers have detached */
bool freed[PINS];
byte unfinished = PINS;
byte workers;
bool timer = 1;			/* the watchdog is queued or runs */
bool cancelled;

inline put(p)
{
	d_step {
		assert(!freed[p] && ref[p] > 0);
		ref[p]--;
		freed[p] = (ref[p] == 0)
	}
}

/* The first that is pending, to me = PINS if there is none */
inline first_pending()
{
	me = 0;
	do
	:: me < PINS && !pending[me] -> me++
	:: else -> break
	od
}

/* pfn_broadcast_finish_pins() */
inline finish_pins()
{
	do
	:: true ->
#ifndef NO_LOCK
		atomic {
			assert(on_stack);
			first_pending();
			if
			:: me < PINS -> pending[me] = 0; running[me] = 1
			:: else -> break
			fi
		};
#else
		first_pending();
		if
		:: me < PINS -> skip
		:: else -> break
		fi;
		pending[me] = 0; running[me] = 1;
#endif
		finishes[me]++;
		assert(finishes[me] == 1);
		/* It depends on all that come behind it */
		!chain || ((me > 0 || over[1]) && (me > 1 || over[2]));
		over[me] = 1;
		atomic { assert(on_stack); running[me] = 0 };
		put(me);
		atomic { assert(on_stack); unfinished-- }
	od
}

proctype worker(byte pin)
{
	byte me;

	finish_pins();
	atomic { assert(on_stack && workers > 0); workers-- };
	put(pin)
}

/* It may find anything stuck at any time, which includes too early */
proctype watchdog()
{
	bool looked;
	byte p;

	do
	:: cancelled -> break
	:: atomic { !cancelled && (pending[0] || pending[1] || pending[2]) &&
		    (STUCK(0) || STUCK(1) || STUCK(2)) ->
		assert(on_stack);
		p = 0;
		do
		:: !STUCK(p) -> p++
		:: else -> break
		od;
		taken_over[p] = 1;
#ifndef NO_TAKEOVER
#ifdef NO_SECOND_WORKER
		if
		:: p == 0 ->
#endif
			workers++;
#ifndef NO_WORK_REFERENCE
			ref[p]++;
#endif
			run worker(p)
#ifdef NO_SECOND_WORKER
		:: else
		fi
#endif
#endif
	   }
	:: atomic { !cancelled && !looked -> looked = 1 };
		assert(on_stack)	/* it takes the broadcast's lock each time */
	od;
	timer = 0
}

proctype caller()
{
	byte me;

	finish_pins();
	/* pfn_broadcast_is_done() */
#ifndef NO_WORKERS
	unfinished == 0 && workers == 0;
#else
	unfinished == 0;
#endif
#ifndef NO_CANCEL
	cancelled = 1;			/* cancel_delayed_work_sync() */
	!timer;
#endif
	on_stack = 0;
	cancelled = 1;
	assert(over[0] && over[1] && over[2])
}

init
{
	atomic {
		if
		:: chain = 1
		:: chain = 0
		fi;
		run watchdog(); run caller()
	}
	_nr_pr == 1;
	assert(freed[0] && freed[1] && freed[2] && workers == 0)
}
