// SPDX-License-Identifier: GPL-2.0
/*
 * lookups [ROUNDS]: the only provider comes and goes while others look. TAP.
 *
 * Most of the time of a machine there is one provider, or none: the tree of
 * ranges becomes empty, or a tree again, under who walks it.
 */
#include <linux/err.h>
#include <linux/pfn_revoke.h>
#include <shim.h>

#include "pfn_revoke.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST	0x5000UL
#define LAST	0x50ffUL

static unsigned long rounds, there, gone, told;
static int stop;

static void wrong(const char *what, long value)
{
	printf("# wrong: %s (%ld)\nnot ok 1 lookups\n", what, value);
	fflush(stdout);
	_exit(1);
}

static bool go_on(void)
{
	return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* Without all of these it tests less than it says */
static bool all_happened(void)
{
	return __atomic_load_n(&there, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&gone, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&told, __ATOMIC_RELAXED);
}

static void *provider_main(void *arg)
{
	unsigned long i;

	(void)arg;
	for (i = 0; i < rounds || !all_happened(); i++) {
		struct pfn_range *range = pfn_range_register(FIRST, LAST, "comes and goes");

		if (IS_ERR(range))
			wrong("pfn_range_register", (long)range);
		pfn_revoke_range(FIRST, LAST);
		pfn_range_unregister(range);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* From below the range, in it and above it */
static void *asker_main(void *arg)
{
	static const unsigned long at[] = { 0, FIRST - 1, FIRST, LAST, LAST + 1 };
	unsigned int i = 0;

	while (go_on()) {
		unsigned long pfn = at[i++ % 5], last;
		int ret = pfn_range_extent(pfn, pfn_pin_begin(), &last);

		if (ret == 1) {
			if (pfn < FIRST || last != LAST)
				wrong("pfn_range_extent: last of the range", (long)last);
			__atomic_add_fetch(&there, 1, __ATOMIC_RELAXED);
		} else if (!ret || ret == -EAGAIN) {
			if (last != ULONG_MAX && (pfn >= FIRST || last != FIRST - 1))
				wrong("pfn_range_extent: last in front of it", (long)last);
			__atomic_add_fetch(&gone, 1, __ATOMIC_RELAXED);
		} else {
			wrong("pfn_range_extent", ret);
		}
	}
	return arg;
}

static void *walker_main(void *arg)
{
	while (go_on()) {
		struct pfn_revoke_cursor cursor = {};
		struct pfn_revoke_entry entry;
		int err;

		while (pfn_revoke_next(&cursor, &entry)) {
			if (entry.first != FIRST || entry.last != LAST)
				wrong("a walk tells nonsense", (long)entry.first);
			__atomic_add_fetch(&told, 1, __ATOMIC_RELAXED);
		}
		err = pfn_revoke_range(0, ULONG_MAX);
		if (err && err != -ENOENT)
			wrong("pfn_revoke_range", err);
		err = pfn_reopen_range(0, ULONG_MAX);
		if (err && err != -ENOENT && err != -EBUSY)
			wrong("pfn_reopen_range", err);
	}
	return arg;
}

int main(int argc, char **argv)
{
	void *(*const mains[])(void *) = { provider_main, asker_main, walker_main };
	pthread_t id[3];
	int i;

	rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000;
	if (argc > 2 || !rounds) {
		fprintf(stderr, "usage: lookups [ROUNDS], a number, at least 1\n");
		return 2;
	}
	printf("1..1\n");
	fflush(stdout);
	/* Long after anything in here should have come to its end */
	shim_deadline("lookups", 60 + rounds / 100);

	for (i = 0; i < 3; i++)
		pthread_create(&id[i], NULL, mains[i], NULL);
	for (i = 0; i < 3; i++)
		pthread_join(id[i], NULL);

	rcu_barrier();
	if (shim_allocated() || shim_warnings())
		wrong("objects are left, or warnings", shim_allocated());
	printf("# it was there %lu times, gone %lu times, told %lu times\n",
	       there, gone, told);
	shim_coverage();
	printf("ok 1 lookups\n");
	return 0;
}
