/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memory region with two pins, of two providers that leave at the same time: the
 * first start acts for both pins, and so does the first finish. They need not be of
 * the same broadcast. A packet copies meanwhile.
 *
 * RUN pass
 * RUN fail NO_START_IN_FINISH	mapped
 * RUN fail DONE_EARLY		mapped
 * RUN fail NO_FENCE		mapped
 */
bool started;			/* under ops_lock: what is atomic here */
bool start_done;
bool told;			/* the driver: its key is not valid any more */
bool revoked;			/* under the region's lock */
bool locked;
bool mapped = 1;
bool copying;

/* ib_umem_pin_start() */
inline start()
{
	atomic {
		first = !started;
		started = 1
	}
	if
	:: first ->
#ifdef DONE_EARLY
		start_done = 1;
#endif
		told = 1;
		start_done = 1
	:: else
	fi
}

/* ib_umem_pin_finish(), with the driver's finish: a driver that was not told has nothing to wait for */
inline finish()
{
	atomic { !locked -> locked = 1 }
	if
	:: !revoked ->
#ifndef NO_START_IN_FINISH
		if
		:: !start_done -> told = 1
		:: else
		fi;
#endif
		revoked = 1;
#ifndef NO_FENCE
		if
		:: told -> !copying
		:: else
		fi;
#endif
		mapped = 0
	:: else
	fi;
	locked = 0
}

/* pfn_range_revoke() of one provider, for the pin in its memory */
proctype provider()
{
	bool first;

	start();
	finish();
	assert(!mapped)
}

/* rxe_mr_begin_access() and rxe_mr_end_access() */
proctype packet()
{
	copying = 1;
	if
	:: !told ->
		assert(mapped);
		assert(mapped)
	:: else
	fi;
	copying = 0
}

init
{
	atomic {
		run provider();
		run provider();
		run packet()
	}
}
