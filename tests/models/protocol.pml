/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Broadcasts against broadcasts and detaches: two ranges, two pins.
 *
 * Pin 0 has a run in both ranges, pin 1 in the second. One broadcast is for both
 * ranges, one for the second, at the same time. Each consumer detaches whenever
 * it likes, from outside, or in its own start or finish, or never before it is
 * revoked.
 *
 * RUN pass
 * RUN fail NO_STATE		starts
 * RUN fail NO_PIN_LOCK		gone
 * RUN fail NO_REFERENCE	ref
 * RUN fail NO_WAIT_REVOKED	gone
 * RUN fail NO_RUNNER		deadlock
 * RUN fail NO_DETACHED		gone
 * RUN fail NO_STEP4		may_use
 * RUN fail ERASE_FIRST		may_use
 * RUN fail NO_EDEADLK		deadlock
 * RUN fail NO_HOLDS		unpins
 * RUN fail DETACH_FIRST	may_use
 */
#define PINS	2
#define RANGES	2
#define AT(p, r) ((p) * RANGES + (r))

#define LIVE	 0
#define REVOKING 1
#define REVOKED	 2
#define DETACHED 3

/* When a consumer detaches */
#define NEVER	   0
#define OUTSIDE	   1
#define IN_START   2
#define IN_FINISH  3

/* The notifier */
byte state[PINS];
byte ref[PINS] = 1;
bool freed[PINS];
bool runs[4];			/* range->runs, AT(pin, range) */
byte runner[PINS];		/* pid in its callback; 0: none */
bool detached[PINS];

/* The consumers */
byte how[PINS];
bool may_use[PINS];		/* its hardware can reach the memory */
bool holds[PINS];
byte unpins[PINS], starts[PINS], finishes[PINS];
bool gone[PINS];		/* detached: its ops and priv may be freed */

inline put(p)
{
	d_step {
		assert(!freed[p] && ref[p] > 0);
		ref[p]--;
		if
		:: ref[p] == 0 -> freed[p] = 1; assert(!runs[AT(p, 0)] && !runs[AT(p, 1)])
		:: else
		fi
	}
}

/* pfn_pin_retire_runs(), pfn_pin_free_runs(): by whoever moved the pin out of LIVE */
inline erase(p)
{
	atomic {
		assert(!freed[p]);
		if
		:: p == 0 -> assert(runs[AT(0, 0)]); runs[AT(0, 0)] = 0
		:: else
		fi
	};
	d_step { assert(!freed[p] && runs[AT(p, 1)]); runs[AT(p, 1)] = 0 }
}

/* What a consumer does under its own lock, from wherever it comes first */
inline let_go(p)
{
	d_step {
#ifndef NO_HOLDS
		if
		:: holds[p] -> holds[p] = 0; unpins[p]++
		:: else
		fi;
#else
		holds[p] = 0; unpins[p]++;
#endif
		may_use[p] = 0
	}
}

inline detach_outside(p)
{
	assert(!freed[p]);
#ifndef NO_PIN_LOCK
	atomic {
#endif
		live = (state[p] == LIVE);
		if
		:: live -> state[p] = DETACHED
		:: else
		fi
#ifndef NO_PIN_LOCK
	}
#endif
	;
	if
	:: live -> erase(p)
	:: else ->
#ifndef NO_WAIT_REVOKED
		state[p] == REVOKED
#else
		skip
#endif
	fi;
	put(p);
	live = 0;
	gone[p] = 1
}

inline detach_inside(p)
{
#ifndef NO_RUNNER
	assert(runner[p] == _pid);
	detached[p] = 1;
	put(p);
	gone[p] = 1
#else
	detach_outside(p)
#endif
}

/* pfn_pin_call(), for start and for finish */
inline begin_callback(p)
{
	assert(!freed[p] && !gone[p]);
	runner[p] = _pid
}

inline end_callback(p)
{
#ifdef NO_EDEADLK
	/* A callback that revokes: without the refusal it waits for its own run */
	!runs[AT(p, 1)];
#endif
	runner[p] = 0
}

inline call_start(p)
{
	begin_callback(p);
	assert(starts[p] == 0 && finishes[p] == 0);
	starts[p]++;
	if
	:: how[p] == IN_START -> let_go(p); detach_inside(p)
	:: else -> assert(!gone[p])	/* nobody takes it away meanwhile */
	fi;
	end_callback(p)
}

inline call_finish(p)
{
	if
#ifndef NO_DETACHED
	:: detached[p]
#endif
	:: else ->
		begin_callback(p);
		assert(starts[p] == 1 && finishes[p] == 0);
		let_go(p);
		finishes[p]++;
		if
		:: how[p] == IN_FINISH -> detach_inside(p)
		:: else -> assert(!gone[p])
		fi;
		end_callback(p)
	fi
}

inline claim(r)
{
	atomic {
		p = 0;
		do
		:: p < PINS ->
			if
#ifndef NO_STATE
			:: runs[AT(p, r)] && state[p] == LIVE ->
#else
			:: runs[AT(p, r)] && state[p] != DETACHED ->
#endif
				state[p] = REVOKING;
#ifndef NO_REFERENCE
				ref[p]++;
#endif
				mine[p] = 1
			:: else
			fi;
			p++
		:: else -> break
		od;
		p = 0
	}
}

/* pfn_shut_wait_and_free(); wake.pml is about the sleep */
inline step4(r)
{
#ifndef NO_STEP4
	!runs[AT(0, r)] && !runs[AT(1, r)]
#else
	skip
#endif
}

proctype broadcast(byte first)
{
	bool mine[PINS];
	bool live;
	byte p;

	if
	:: first == 0 -> claim(0)
	:: else
	fi;
	claim(1);

	do
	:: p < PINS ->
		if
		:: mine[p] -> call_start(p)
		:: else
		fi;
		p++
	:: else -> break
	od;

	p = 0;
	do
	:: p < PINS ->
		if
		:: mine[p] ->
#ifdef ERASE_FIRST
			erase(p);
			call_finish(p);
#else
			call_finish(p);
			erase(p);
#endif
			state[p] = REVOKED;
			put(p)
		:: else
		fi;
		p++
	:: else -> break
	od;

	if
	:: first == 0 -> step4(0)
	:: else
	fi;
	step4(1);

	/* Returned: both pins had a run in the second range */
	assert(!may_use[0] && !may_use[1])
}

proctype consumer(byte p)
{
	bool live;

	if
	:: how[p] == OUTSIDE ->
#ifdef DETACH_FIRST
		detach_outside(p);
		let_go(p)
#else
		let_go(p);
		detach_outside(p)
#endif
	:: else
	fi
}

init
{
	byte p;

	atomic {
		runs[AT(0, 0)] = 1; runs[AT(0, 1)] = 1; runs[AT(1, 1)] = 1;
		do
		:: p < PINS ->
			may_use[p] = 1; holds[p] = 1;
			if
			:: how[p] = NEVER
			:: how[p] = OUTSIDE
			:: how[p] = IN_START
			:: how[p] = IN_FINISH
			fi;
			p++
		:: else -> break
		od;
		run broadcast(0); run broadcast(1); run consumer(0); run consumer(1)
	}
	_nr_pr == 1;
	p = 0;
	do
	:: p < PINS ->
		assert(unpins[p] == 1);
		assert(finishes[p] <= 1 && starts[p] >= finishes[p]);
		/* A consumer that does not detach is told, and its pin is still there */
		assert(how[p] != NEVER || (finishes[p] == 1 && state[p] == REVOKED && ref[p] == 1));
		assert(how[p] == NEVER || freed[p]);
		p++
	:: else -> break
	od
}
