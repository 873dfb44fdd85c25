// SPDX-License-Identifier: GPL-2.0
#include "stress.h"
#include "clock.h"
#include "observer.h"
#include "tap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct provider stress_provider[STRESS_PROVIDERS];
int stress_nr_providers;

const char *const stress_what_name[STRESS_NR_WHAT] = {
	[STRESS_REG]		= "registered",
	[STRESS_REFUSED]	= "refused",
	[STRESS_DEREG]		= "deregistered",
	[STRESS_REREG]		= "re-registered",
	[STRESS_POST]		= "requests done",
	[STRESS_FAILED]		= "requests failed",
	[STRESS_DEAD]		= "tries on what is dead",
	[STRESS_WINDOW]		= "windows",
	[STRESS_REMAP]		= "mappings",
	[STRESS_FORK]		= "forks",
	[STRESS_MAP]		= "DMA maps",
	[STRESS_UNMAP]		= "DMA unmaps",
	[STRESS_DMA]		= "DMA transfers",
	[STRESS_RETRIED_OUT]	= "retried out",
	[STRESS_LATE]		= "LATE",
	[STRESS_ODD]		= "ODD",
};

uint64_t dice_next(struct dice *d)
{
	uint64_t x = d->state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

unsigned int dice(struct dice *d, unsigned int n)
{
	return (unsigned int)(dice_next(d) % n);
}

void stress_count(struct stress_member *m, enum stress_what what)
{
	__atomic_add_fetch(&m->count[what], 1, __ATOMIC_RELAXED);
}

void stress_odd(struct stress_member *m, enum stress_what what, const char *fmt,
		...)
{
	char text[400];
	va_list ap;

	if (__atomic_add_fetch(&m->count[what], 1, __ATOMIC_RELAXED) > 3)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tap_note("%s: %s", stress_what_name[what], text);
}

struct view view_begin(const struct stress *s, const struct area *a)
{
	struct view v;

	v.serial = a->serial;
	v.epoch = s->epoch[a->provider];
	v.calm = !s->leaving[a->provider] && !(v.serial & 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return v;
}

bool view_held(const struct stress *s, const struct area *a,
	       const struct view *v)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return v->calm && !s->leaving[a->provider] &&
	       s->epoch[a->provider] == v->epoch && a->serial == v->serial;
}

int area_init(struct area *a, int provider, size_t pages)
{
	void *at;

	memset(a, 0, sizeof(*a));
	a->provider = provider;
	a->pages = pages;
	at = mmap(NULL, AREA_LEN(a), PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	a->at = at;
	return mprotect(a->at + AREA_EDGE * PAGE, pages * PAGE, PROT_NONE) ?
	       -errno : 0;
}

void area_exit(struct area *a)
{
	if (a->at)
		munmap(a->at, AREA_LEN(a));
	a->at = NULL;
}

/* Widens what the director watches. */
static void note_place(struct stress *s, int provider, const void *at,
		       size_t len)
{
	uint64_t phys, old;

	/* not there any more: whoever looks has nothing to see in it */
	if (observer_physical(at, &phys))
		return;
	old = s->lo[provider];
	while (phys < old &&
	       !__atomic_compare_exchange_n(&s->lo[provider], &old, phys, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	old = s->hi[provider];
	while (phys + len > old &&
	       !__atomic_compare_exchange_n(&s->hi[provider], &old, phys + len,
					    false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
}

static void *ask_provider(struct area *a, struct stress *s,
			  struct stress_member *m)
{
	void *fresh = NULL;

	/* The director sets quiet and waits until nobody is in here. */
	__atomic_add_fetch(&m->mapping, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&s->quiet, __ATOMIC_SEQ_CST)) {
		errno = EAGAIN;
	} else {
		fresh = p2pmem_mmap(&stress_provider[a->provider], NULL,
				    a->pages * PAGE, MAP_SHARED | MAP_POPULATE,
				    0);
	}
	__atomic_sub_fetch(&m->mapping, 1, __ATOMIC_SEQ_CST);
	return fresh;
}

/*
 * Made elsewhere and moved: a mapping that fails halfway would leave a hole,
 * into which anything may fall.
 */
int area_remap(struct area *a, struct stress *s, struct stress_member *m)
{
	unsigned char *middle = a->at + AREA_EDGE * PAGE;
	size_t len = a->pages * PAGE;
	unsigned int epoch;
	int err = 0;
	void *fresh;

	a->serial++;
	epoch = s->epoch[a->provider];
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	fresh = ask_provider(a, s, m);
	if (!fresh) {
		err = -errno;
	} else {
		note_place(s, a->provider, fresh, len);
		if (mremap(fresh, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			   middle) == MAP_FAILED) {
			err = -errno;
			munmap(fresh, len);
		}
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!err) {
		a->epoch = s->epoch[a->provider];
		a->sure = a->epoch == epoch;
		a->mapped = true;
		stress_count(m, STRESS_REMAP);
	}
	a->serial++;
	return err;
}

bool area_may_refuse(const struct stress *s, const struct area *a,
		     const struct view *v, int err)
{
	/* what a dead mapping, an absent one and a closed door give */
	if (err != -EFAULT && err != -ENODEV && err != -ENOENT &&
	    err != -ENXIO)
		return false;
	return !view_held(s, a, v) || !a->mapped || !a->sure ||
	       a->epoch != v->epoch;
}
