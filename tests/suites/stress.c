// SPDX-License-Identifier: GPL-2.0
/*
 * Processes with MRs, windows and DMA maps on the memory of two providers, while
 * these leave and come back, members fork and are killed. Everything that is
 * chosen comes from a seed:
 *
 *   revpin.seed=N	on the kernel command line; else one from the clock
 *   revpin.seconds=N	of guest time for the rounds, 25 if not given
 *   revpin.round=N	begins with that round of the seed
 *   revpin.unbinds=1	providers are unbound only, not removed
 *
 * The same seed makes the same choices; threads do not meet at the same moments
 * again. A round:
 *
 *   members start
 *   1 to 3 times: one provider leaves, or the other, or both at once
 *	it returns in time; nobody holds a pin
 *	members go on; not one byte of the BAR changes
 *	the driver is back; all memory is free, although the old MRs and maps are there
 *	fresh memory of the director's is not reached through them
 *   members let go of everything: nothing is charged any more
 *   all memory of both providers is free, nobody holds a pin
 */
#include "check.h"
#include "clock.h"
#include "holders.h"
#include "observer.h"
#include "scene.h"
#include "slot.h"
#include "stacks.h"
#include "stage.h"
#include "stress.h"
#include "sysfs.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WATCHED		(128 * PAGE)	/* of the BAR, at most */
#define FRESH		(32 * PAGE)
#define SETTLE		120		/* seconds that a round and its end may need */

enum how { UNBIND, REMOVE, EJECT, POWER_OFF };

static const char *const how_name[] = { "unbind", "remove", "eject", "power off" };

struct exit_of {
	int provider;
	enum how how;
	struct unbind u;
	double seconds;
};

static uint64_t bar_at[STRESS_PROVIDERS];	/* physical */
static int bar_nr[STRESS_PROVIDERS];
static int slot_of = -1;			/* the provider in a hot-plug slot */
static int nr_edus;
static unsigned long long opt_seed, opt_seconds = 25, opt_round, opt_unbinds;

static struct stress *st;
static struct worker worker[STRESS_MEMBERS];
static struct stress_arg args[STRESS_MEMBERS];
static bool killed[STRESS_MEMBERS];
static int nr_members;

static struct {
	unsigned long rounds, left[4], both, members, kills, watched;
	uint64_t count[STRESS_NR_WHAT];
	double slowest;
} total;

static void option(const char *name, unsigned long long *val)
{
	char text[4096], *at, *end;
	size_t n = strlen(name);

	if (sysfs_read("/proc/cmdline", text, sizeof(text)))
		return;
	for (at = text; (at = strstr(at, name)); at += n)
		if ((at == text || at[-1] == ' ') && at[n] == '=')
			*val = strtoull(at + n + 1, &end, 0);
}

/* Where the provider's BAR is, by a page of it. A device that returns may get another place. */
static int find_bar(int i, void *page)
{
	struct observer o;
	uint64_t phys;
	int err;

	err = observer_physical(page, &phys);
	if (!err)
		err = observer_locate(&o, &stress_provider[i], page, PAGE);
	if (err)
		return err;
	bar_nr[i] = o.bar;
	bar_at[i] = phys - o.offset;
	return 0;
}

static bool find_provider(int i)
{
	struct provider *p = &stress_provider[i];
	void *m;
	int err;

	err = provider_find_nth(p, (unsigned int)i);
	if (err) {
		tap_note("provider %d: %s; two are needed: device=nvme,serial=second,cmb_size_mb=16",
			 i, strerror(-err));
		return false;
	}
	m = p2pmem_map(p, PAGE);
	if (!m)
		return false;
	mem_fill(m, PAGE, 1);
	err = find_bar(i, m);
	munmap(m, PAGE);
	tap_note("provider %s: size %llu, available %llu", p->bdf, p->size,
		 p->available);
	return !err;
}

/* A kernel that looks for data races, and is switched off, finds none. */
static bool kcsan_is_on(void)
{
	char text[4096];
	struct utsname u;

	if (uname(&u) || !strstr(u.release, "-kcsan"))
		return true;
	if (!sysfs_read("/sys/kernel/debug/kcsan", text, sizeof(text)) &&
	    strstr(text, "enabled: 1"))
		return true;
	tap_note("KCSAN is in this kernel and not switched on");
	return false;
}

static bool set_up(void)
{
	int i;

	opt_seed = (unsigned long long)time(NULL);
	option("revpin.seed", &opt_seed);
	option("revpin.seconds", &opt_seconds);
	option("revpin.round", &opt_round);
	option("revpin.unbinds", &opt_unbinds);
	tap_note("seed %llu, %llu s; again with make stress SEED=%llu", opt_seed,
		 opt_seconds, opt_seed);
	if (!kcsan_is_on() || !stage_init())
		return false;
	nr_edus = STAGE_DEVS;
	for (i = 0; i < STRESS_PROVIDERS; i++) {
		if (!find_provider(i))
			return false;
		/* behind a port: it sits in a slot */
		if (strncmp(stress_provider[i].bdf, "0000:00:", 8)) {
			if (slot_init(&stress_provider[i]))
				return false;
			slot_of = i;
		}
	}
	stress_nr_providers = STRESS_PROVIDERS;
	return true;
}

static uint64_t sum(enum stress_what what)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < nr_members; i++)
		n += st->member[i].count[what];
	return n;
}

/* Waits until it has grown by n, or for some time. */
static void await(enum stress_what what, uint64_t n, double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	uint64_t from = sum(what);

	while (sum(what) < from + n && clock_now() < end)
		clock_sleep_ms(1);
}

static void start_members(struct dice *d)
{
	int i, edu = 0;

	nr_members = 2 + (int)dice(d, STRESS_MEMBERS - 1);
	for (i = 0; i < nr_members; i++) {
		struct stress_member *m = &st->member[i];
		char name[16];

		m->seed = dice_next(d);
		m->threads = 1 + dice(d, STRESS_THREADS);
		m->kind = dice(d, 3);
		/* the first one always has MRs */
		m->edu = i && edu < nr_edus && dice(d, 2) ? edu++ : -1;
		args[i] = (struct stress_arg) { st, m };
		killed[i] = false;
		snprintf(name, sizeof(name), "%s%d", m->edu < 0 ? "mr" : "dma", i);
		ASSERT_EQ(worker_start(&worker[i], name, m->edu < 0 ?
				       stress_rdma_member : stress_vfio_member,
				       &args[i]), 0);
	}
	for (i = 0; i < nr_members; i++)
		ASSERT_TRUE(worker_hear(worker[i].fd, 'r', 30));
	total.members += (unsigned long)nr_members;
}

/* Not the first one: somebody has to go on. */
static void kill_one(struct dice *d)
{
	int i;

	if (nr_members < 2)
		return;
	i = 1 + (int)dice(d, (unsigned int)nr_members - 1);
	if (killed[i])
		return;
	worker_kill(&worker[i], SIGKILL);
	killed[i] = true;
	total.kills++;
}

static void begin_leaving(struct exit_of *x)
{
	const struct provider *p = &stress_provider[x->provider];

	__atomic_store_n(&st->leaving[x->provider], true, __ATOMIC_SEQ_CST);
	total.left[x->how]++;
	x->seconds = clock_now();
	switch (x->how) {
	case UNBIND:
		ASSERT_EQ(unbind_start(p, &x->u), 0);
		break;
	case REMOVE:
		ASSERT_EQ(remove_start(p, &x->u), 0);
		break;
	case EJECT:
		ASSERT_EQ(slot_eject(), 0);
		break;
	case POWER_OFF:
		ASSERT_EQ(slot_power_off(), 0);
		break;
	}
}

static void end_leaving(struct exit_of *x)
{
	const struct provider *p = &stress_provider[x->provider];
	bool gone;

	if (x->how == UNBIND || x->how == REMOVE) {
		gone = unbind_wait(&x->u, unbind_limit(), NULL, 0);
		x->seconds = x->u.seconds;
		if (gone)
			EXPECT_EQ(x->u.err, 0);
	} else {
		/* a native slot waits five seconds before it begins */
		x->seconds = slot_wait_empty(p, 5 + unbind_limit());
		gone = x->seconds >= 0;
	}
	if (!gone) {
		tap_note("round %lu: the %s of %s did not return", total.rounds,
			 how_name[x->how], p->bdf);
		stacks_note_blocked();
	}
	ASSERT_TRUE(gone);
	EXPECT_LE(x->seconds * 1000, (unbind_limit() + 5 * (x->how >= EJECT)) * 1000);
	if (x->how < EJECT && x->seconds > total.slowest)
		total.slowest = x->seconds;
	/* from here on, what was pinned before must be dead */
	__atomic_add_fetch(&st->epoch[x->provider], 1, __ATOMIC_SEQ_CST);
}

static void nobody_holds(int i)
{
	struct holders h;

	ASSERT_EQ(holders_read(&h, HOLDERS_PATH, stress_provider[i].bdf, 0), 0);
	if (!EXPECT_EQ(h.nr, 0) || !EXPECT_EQ(h.pins, 0))
		tap_note("%s", h.text);
	holders_free(&h);
}

/* Watches what members were given of the BAR, while they go on. */
static void nothing_arrives(int i)
{
	struct observer o = { .bar = bar_nr[i] };
	uint64_t lo = st->lo[i], hi = st->hi[i];

	if (lo >= hi)
		return;
	memcpy(o.bdf, stress_provider[i].bdf, sizeof(o.bdf));
	o.offset = lo - bar_at[i];
	o.len = hi - lo < WATCHED ? hi - lo : WATCHED;
	ASSERT_EQ(observer_snapshot(&o), 0);
	await(STRESS_DEAD, 12, 1);
	EXPECT_EQ(observer_changed(&o), 0);
	total.watched += o.len;
	observer_close(&o);
}

/* Whoever is about to ask a provider for memory is done with it. */
static void be_quiet(void)
{
	double end = clock_now() + 10 * clock_scale();
	int i;

	__atomic_store_n(&st->quiet, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < nr_members; i++)
		while (__atomic_load_n(&st->member[i].mapping, __ATOMIC_SEQ_CST) &&
		       !killed[i] && clock_now() < end)
			clock_sleep_ms(1);
	EXPECT_TRUE(clock_now() < end);
}

/* All of it is free, and what a new owner writes stays as it is. */
static void comes_back(struct exit_of *x)
{
	struct provider *p = &stress_provider[x->provider];
	uint64_t seed = (uint64_t)clock_now() + total.rounds;
	void *fresh;

	if (x->how == UNBIND)
		ASSERT_EQ(provider_bind(p), 0);
	else if (x->how == REMOVE)
		ASSERT_EQ(provider_rescan(p), 0);
	else
		ASSERT_EQ(slot_fill(p), 0);
	fresh = p2pmem_map(p, FRESH);
	ASSERT_TRUE(fresh);
	mem_fill(fresh, FRESH, seed);
	EXPECT_EQ(find_bar(x->provider, fresh), 0);
	st->lo[x->provider] = UINT64_MAX;
	st->hi[x->provider] = 0;
	await(STRESS_DEAD, 8, 0.5);
	EXPECT_EQ(mem_differs(fresh, FRESH, seed), 0);
	munmap(fresh, FRESH);
	EXPECT_TRUE(provider_available_is_back(p, 3000));
	__atomic_store_n(&st->leaving[x->provider], false, __ATOMIC_SEQ_CST);
}

static enum how some_way(struct dice *d, int provider)
{
	unsigned int n = dice(d, 100);

	if (provider == slot_of && n < 30)
		/* QEMU 7.2 does not survive it with another CPU in an access */
		return n < 15 && sysconf(_SC_NPROCESSORS_ONLN) == 1 ?
		       POWER_OFF : EJECT;
	return n < 80 || opt_unbinds ? UNBIND : REMOVE;
}

static void one_cycle(struct dice *d)
{
	struct exit_of x[STRESS_PROVIDERS] = { 0 };
	unsigned int which = 1 + dice(d, 3), when = dice(d, 4);
	int i, n = 0;

	for (i = 0; i < stress_nr_providers; i++) {
		if (!(which & (1U << i)))
			continue;
		x[n].provider = i;
		x[n].how = some_way(d, i);
		n++;
	}
	total.both += n == 2;
	/* members are in the middle of it */
	await(STRESS_POST, 10 + dice(d, 60), 3);
	clock_sleep_ms(dice(d, 40));
	if (when == 0)
		kill_one(d);
	for (i = 0; i < n; i++)
		begin_leaving(&x[i]);
	if (when == 1) {
		clock_sleep_ms(dice(d, 100));
		kill_one(d);
	}
	for (i = 0; i < n; i++)
		end_leaving(&x[i]);
	for (i = 0; i < n; i++)
		nobody_holds(x[i].provider);
	for (i = 0; i < n; i++)
		if (x[i].how == UNBIND)
			nothing_arrives(x[i].provider);
	be_quiet();
	for (i = 0; i < n; i++)
		comes_back(&x[i]);
	__atomic_store_n(&st->quiet, false, __ATOMIC_SEQ_CST);
	if (when == 2)
		kill_one(d);
}

static void end_members(void)
{
	int i, w, status;

	st->end = true;
	for (i = 0; i < nr_members; i++) {
		status = worker_join(&worker[i], 30);
		if (killed[i])
			/* it may have been about to leave */
			EXPECT_TRUE(status == SIGKILL || status == 0);
		else
			EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(sum(STRESS_LATE), 0);
	EXPECT_EQ(sum(STRESS_ODD), 0);
	for (w = 0; w < STRESS_NR_WHAT; w++)
		total.count[w] += sum((enum stress_what)w);
}

static void one_round(unsigned long round)
{
	struct dice d = { opt_seed * 0x100000001b3ULL + round };
	int i, cycles;

	dice_next(&d);
	st = worker_shared(sizeof(*st));
	ASSERT_TRUE(st);
	for (i = 0; i < STRESS_PROVIDERS; i++)
		st->lo[i] = UINT64_MAX;
	start_members(&d);
	cycles = 1 + (int)dice(&d, 3);
	for (i = 0; i < cycles && !tap_failed(); i++)
		one_cycle(&d);
	end_members();
	for (i = 0; i < stress_nr_providers; i++) {
		EXPECT_TRUE(provider_available_is_back(&stress_provider[i], 5000));
		nobody_holds(i);
	}
	worker_unshare(st, sizeof(*st));
	total.rounds++;
}

static void tell_progress(double start)
{
	unsigned long left = total.left[UNBIND] + total.left[REMOVE] +
			     total.left[EJECT] + total.left[POWER_OFF];

	tap_note("%.0f s: %lu rounds, %lu unbinds and removals, %lu kills, %llu MRs, %llu DMA maps, %llu requests, %llu tries on what is dead",
		 clock_now() - start, total.rounds, left, total.kills,
		 (unsigned long long)total.count[STRESS_REG],
		 (unsigned long long)total.count[STRESS_MAP],
		 (unsigned long long)total.count[STRESS_POST],
		 (unsigned long long)total.count[STRESS_DEAD]);
}

static void mix(void)
{
	double start = clock_now(), told = start;
	unsigned long round = (unsigned long)opt_round;
	int w;

	for (; clock_now() < start + (double)opt_seconds; round++) {
		one_round(round);
		if (tap_failed()) {
			tap_note("that was round %lu of seed %llu: make stress SEED=%llu ROUND=%lu",
				 round, opt_seed, opt_seed, round);
			break;
		}
		if (clock_now() > told + 10) {
			told = clock_now();
			tell_progress(start);
		}
	}
	tell_progress(start);
	tap_note("%lu unbinds, %lu removals, %lu ejects, %lu without power, %lu times both at once; the slowest unbind %.3f s",
		 total.left[UNBIND], total.left[REMOVE], total.left[EJECT],
		 total.left[POWER_OFF], total.both, total.slowest);
	tap_note("%lu members, %lu killed; %lu KiB of BAR watched", total.members,
		 total.kills, total.watched / 1024);
	for (w = 0; w < STRESS_NR_WHAT; w++)
		tap_note("%s: %llu", stress_what_name[w],
			 (unsigned long long)total.count[w]);
	/* a mix in which little happened proves little */
	EXPECT_GE(total.rounds, 1);
	EXPECT_GE(total.count[STRESS_REG], 10 * total.rounds);
	EXPECT_GE(total.count[STRESS_DEAD], total.left[UNBIND]);
	EXPECT_GE(total.watched, PAGE);
	/* the machine's fault now and then, ours if it is the rule */
	EXPECT_LE(total.count[STRESS_RETRIED_OUT],
		  1 + total.count[STRESS_POST] / 1000);
}

static void before(void)
{
	stage_before();
}

static void after(void)
{
	int i;

	stage_after();
	for (i = 0; i < stress_nr_providers; i++)
		if (!provider_bound(&stress_provider[i]))
			provider_bind(&stress_provider[i]);
}

int main(int argc, char **argv)
{
	static struct tap_test tests[] = {
		{ "mix", mix, 0 },
		{ NULL, NULL, 0 },
	};
	static const struct tap_suite suite = {
		"stress", tests, set_up, before, after,
	};

	option("revpin.seconds", &opt_seconds);
	/* the limit is stretched on slow kernels, the time of the rounds is not */
	tests[0].seconds = (unsigned int)((double)opt_seconds / clock_scale()) + SETTLE;
	return tap_main(argc, argv, &suite);
}
