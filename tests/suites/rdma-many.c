// SPDX-License-Identifier: GPL-2.0
/*
 * Unbinding the provider's driver under several processes with many MRs, which
 * go on posting. What has to hold afterwards is in scene_aftermath().
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "load.h"
#include "scene.h"
#include "tap.h"

#include <stdio.h>

#define MAX_PROCS 8

/* Several loads at once, as one attack. */
struct fleet {
	struct load *load[MAX_PROCS];
	int n;
};

static unsigned int attack_fleet(void *arg, unsigned int n)
{
	struct fleet *f = arg;
	unsigned int got, least = ~0u;
	int i;

	for (i = 0; i < f->n; i++)
		f->load[i]->after_unbind = true;
	for (i = 0; i < f->n; i++) {
		got = load_wait_failed(f->load[i], n);
		if (got < least)
			least = got;
	}
	return least;
}

/*
 * mrs MRs in procs processes, over as many pages each or fewer. All of their
 * pages and guards are watched.
 */
static void fleet_unbind(int procs, unsigned int mrs, unsigned int pages,
			 bool overlap, bool idle_before, unsigned int n)
{
	struct fleet f = { .n = procs };
	struct unbind u;
	char name[16];
	int i;

	n = clock_fewer(n);
	for (i = 0; i < procs; i++) {
		f.load[i] = load_new(mrs / (unsigned int)procs, pages);
		f.load[i]->overlap = overlap;
		f.load[i]->idle = idle_before;
		snprintf(name, sizeof(name), "load%d", i);
		ASSERT_TRUE(load_start(f.load[i], name));
	}
	if (!idle_before)
		for (i = 0; i < procs; i++)
			EXPECT_TRUE(load_wait_good(f.load[i], 20));

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	for (i = 0; i < procs; i++) {
		f.load[i]->after_unbind = true;
		EXPECT_EQ(account_pinned(f.load[i]->worker.pid),
			  f.load[i]->pinned_before);
		ASSERT_EQ(observer_snapshot(&f.load[i]->observer), 0);
	}
	EXPECT_GE(attack_fleet(&f, n), n);
	for (i = 0; i < procs; i++) {
		EXPECT_EQ(observer_changed(&f.load[i]->observer), 0);
		observer_close(&f.load[i]->observer);
	}
	tap_note("%d processes with %u MRs each", procs, mrs / (unsigned int)procs);
	scene_aftermath(&u, NULL, attack_fleet, &f, 0);
	for (i = 0; i < procs; i++)
		load_stop(f.load[i]);
}

static void under_traffic(void)
{
	fleet_unbind(1, 4, 4, false, false, 200);
}

static void under_traffic_8_processes(void)
{
	fleet_unbind(8, 32, 4, false, false, 20);
}

static void mrs_1_in_1(void)
{
	fleet_unbind(1, 1, 1, false, true, 16);
}

static void mrs_8_in_1(void)
{
	fleet_unbind(1, 8, 8, false, true, 16);
}

static void mrs_8_in_2(void)
{
	fleet_unbind(2, 8, 4, false, true, 8);
}

static void mrs_64_in_1(void)
{
	fleet_unbind(1, 64, 64, false, true, 64);
}

static void mrs_64_in_2(void)
{
	fleet_unbind(2, 64, 32, false, true, 32);
}

static void mrs_256_in_1(void)
{
	fleet_unbind(1, 256, 64, false, true, 256);
}

static void mrs_256_in_8(void)
{
	fleet_unbind(8, 256, 32, false, true, 32);
}

static void overlapping(void)
{
	fleet_unbind(2, 48, 6, true, false, 24);
}

/* One process after the other takes its turn: nothing is left of the first. */
static void again_and_again(void)
{
	int i;

	for (i = 0; i < (int)clock_fewer(4) + 1 && !tap_failed(); i++)
		fleet_unbind(1, 2, 2, false, false, 8);
}

static const struct tap_test tests[] = {
	{ "under_traffic", under_traffic, 30 },
	{ "under_traffic_8_processes", under_traffic_8_processes, 40 },
	{ "mrs_1_in_1", mrs_1_in_1, 0 },
	{ "mrs_8_in_1", mrs_8_in_1, 0 },
	{ "mrs_8_in_2", mrs_8_in_2, 0 },
	{ "mrs_64_in_1", mrs_64_in_1, 0 },
	{ "mrs_64_in_2", mrs_64_in_2, 0 },
	{ "mrs_256_in_1", mrs_256_in_1, 30 },
	{ "mrs_256_in_8", mrs_256_in_8, 40 },
	{ "overlapping", overlapping, 0 },
	{ "again_and_again", again_and_again, 40 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-many", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
