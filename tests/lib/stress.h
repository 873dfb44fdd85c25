/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What takes part in the suite "stress". The suite is the director: it makes
 * providers leave and come back, and looks. The members are processes that
 * map, register, use and let go as a seeded generator tells them, and judge
 * what comes out by what was known when they began:
 *
 *   epoch[p]	how often provider p has gone, and the unbind has returned. What
 *		was pinned in an earlier epoch must be dead.
 *   leaving[p]	set from before an unbind until the driver is back: anything may
 *		fail. While it is clear, what belongs to this epoch must work.
 *
 * Both are read before and after each operation. What was going on while they
 * changed cannot be judged, and is not.
 */
#ifndef REVPIN_STRESS_H
#define REVPIN_STRESS_H

#include "p2pmem.h"
#include "provider.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRESS_PROVIDERS	2
#define STRESS_MEMBERS		6
#define STRESS_THREADS		3	/* of one member, at most */
#define STRESS_AREA_PAGES	8	/* of p2pmem in one area, at most */

enum stress_what {
	STRESS_REG,		/* MRs registered */
	STRESS_REFUSED,		/* registrations and maps refused, rightly */
	STRESS_DEREG,
	STRESS_REREG,
	STRESS_POST,		/* work requests that succeeded */
	STRESS_FAILED,		/* that failed with the status of a bad key */
	STRESS_DEAD,		/* attempts on what was known to be dead: all failed */
	STRESS_WINDOW,
	STRESS_REMAP,		/* fresh memory of a provider in an area */
	STRESS_FORK,
	STRESS_MAP,		/* DMA maps */
	STRESS_UNMAP,
	STRESS_DMA,		/* transfers that were compared */
	STRESS_RETRIED_OUT,	/* the machine was too slow for rxe's retries */
	STRESS_LATE,		/* something dead worked: never */
	STRESS_ODD,		/* anything else that must not be */
	STRESS_NR_WHAT
};

extern const char *const stress_what_name[STRESS_NR_WHAT];

struct stress_member {
	/* set by the director */
	uint64_t seed;
	unsigned int threads;
	int edu;			/* a VFIO member, with that device; -1: RDMA */
	unsigned int kind;		/* enum vfio_kind */
	/* by the member */
	volatile uint64_t count[STRESS_NR_WHAT];
	volatile unsigned int mapping;	/* threads that ask a provider for memory */
};

struct stress {
	volatile bool end;		/* let go of everything and leave */
	volatile bool quiet;		/* ask no provider for memory */
	volatile unsigned int epoch[STRESS_PROVIDERS];
	volatile bool leaving[STRESS_PROVIDERS];
	/* physical addresses that members were given in this round */
	volatile uint64_t lo[STRESS_PROVIDERS], hi[STRESS_PROVIDERS];
	struct stress_member member[STRESS_MEMBERS];
};

/* Providers, sorted by address; set before members start. */
extern struct provider stress_provider[STRESS_PROVIDERS];
extern int stress_nr_providers;

/* A generator of its own for each thread: the same seed, the same choices. */
struct dice {
	uint64_t state;
};

uint64_t dice_next(struct dice *d);
/* 0 .. n - 1 */
unsigned int dice(struct dice *d, unsigned int n);

/*
 * A place in the address space of a member: ordinary pages, a provider's, and
 * ordinary pages again. It stays where it is; the middle is replaced.
 */
struct area {
	int provider;
	unsigned char *at;
	size_t pages;			/* in the middle */
	bool mapped;			/* has ever been */
	volatile unsigned int epoch;	/* not later than this */
	volatile bool sure;		/* and not earlier */
	volatile unsigned int serial;	/* of the memory in the middle; odd while it changes */
};

/*
 * The first of these, one for each provider, hold on to what they have until it
 * is dead: no unbind is ever spared the work by members that happen to let go.
 */
#define STRESS_ANCHORS STRESS_PROVIDERS

#define AREA_EDGE ((size_t)2)		/* pages on both sides */
#define AREA_LEN(a) (((a)->pages + 2 * AREA_EDGE) * PAGE)

/* What was known when an operation on an area began. */
struct view {
	unsigned int epoch, serial;
	bool calm;			/* nobody is leaving */
};

struct view view_begin(const struct stress *s, const struct area *a);
/* Has the same held all the time? */
bool view_held(const struct stress *s, const struct area *a,
	       const struct view *v);

int area_init(struct area *a, int provider, size_t pages);
/* Fresh memory into the middle: 0, -errno, -EAGAIN when it has to be quiet. */
int area_remap(struct area *a, struct stress *s, struct stress_member *m);
void area_exit(struct area *a);
/* Is it right that the memory of an area is refused with that errno? */
bool area_may_refuse(const struct stress *s, const struct area *a,
		     const struct view *v, int err);

void stress_count(struct stress_member *m, enum stress_what what);
/* One that must not be; the first few are explained. */
void stress_odd(struct stress_member *m, enum stress_what what, const char *fmt,
		...) __attribute__((format(printf, 3, 4)));

/* For worker_start(): an RDMA member, and one with an edu device. */
struct stress_arg {
	struct stress *stress;
	struct stress_member *member;
};

int stress_rdma_member(int fd, void *arg);
int stress_vfio_member(int fd, void *arg);

#endif
