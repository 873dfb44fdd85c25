// SPDX-License-Identifier: GPL-2.0
/*
 * What PFN-range revocation costs by itself, as KUnit cases that print
 *
 *	BENCH <row> <size> <least> <median>
 *
 * in ticks of the time stamp counter. They are instructions under an emulator
 * that counts them (QEMU -icount) on one CPU. The provider declares PFNs that no
 * machine has: the notifier never touches memory.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hardirq.h>
#include <linux/hrtimer.h>
#include <linux/interval_tree.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/percpu-refcount.h>
#include <linux/pfn_revoke.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <asm/tlb.h>
#include <asm/tsc.h>

/* Page @n of the provider; beyond the physical addresses of any machine */
#define PFN(n)		((ULONG_MAX >> 1) + 1 + (n))
#define PAGES		(1UL << 20)

#define ROUNDS		15
#define TIMES		100
#define MAX_PINS	100000

struct bench {
	struct pfn_range *range;
	struct pfn_range *other;	/* behind the first one */
	struct pfn_pin *pins;
	u64 cost[ROUNDS];
};

static int compare(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void say(struct bench *b, const char *row, unsigned int size,
		unsigned int n)
{
	sort(b->cost, ROUNDS, sizeof(b->cost[0]), compare, NULL);
	pr_info("BENCH %s %u %llu %llu\n", row, size, b->cost[0] / n,
		b->cost[ROUNDS / 2] / n);
}

static void nothing(struct pfn_pin *pin)
{
}

static const struct pfn_pin_ops idle_ops = {
	.name	= "bench",
	.start	= nothing,
	.finish	= nothing,
};

static void attach(struct kunit *test, struct pfn_pin *pin,
		   const struct pfn_pin_ops *ops, unsigned long first,
		   unsigned long last)
{
	unsigned long nr = last - first + 1;

	pfn_pin_init(pin, ops);
	KUNIT_ASSERT_EQ(test, nr, pfn_pin_attach_pfns(NULL, pin, PFN(first), &nr));
}

/* @n more pins of one page each, from page @first on */
static void attach_many(struct kunit *test, unsigned int n, unsigned long first)
{
	struct bench *b = test->priv;
	unsigned int i;

	for (i = 0; i < n; i++)
		attach(test, &b->pins[i], &idle_ops, first + i, first + i);
}

static void detach_many(struct kunit *test, unsigned int n)
{
	struct bench *b = test->priv;

	while (n--)
		pfn_pin_detach(&b->pins[n]);
}

static bool invalidate(struct mmu_interval_notifier *mni,
		       const struct mmu_notifier_range *range,
		       unsigned long cur_seq)
{
	return true;
}

static const struct mmu_interval_notifier_ops mni_ops = {
	.invalidate = invalidate,
};

/* Both with so many others there */
static void attach_cost(struct kunit *test, unsigned int others)
{
	struct bench *b = test->priv;
	struct mmu_interval_notifier *mni;
	struct pfn_pin pin;
	unsigned int i, k;

	attach_many(test, others, 2 * TIMES);
	for (i = 0; i < ROUNDS; i++) {
		u64 start = rdtsc_ordered();

		for (k = 0; k < TIMES; k++) {
			unsigned long nr = 1;

			pfn_pin_init(&pin, &idle_ops);
			pfn_pin_attach_pfns(NULL, &pin, PFN(k), &nr);
			pfn_pin_detach(&pin);
		}
		b->cost[i] = rdtsc_ordered() - start;
	}
	say(b, "attach", others, TIMES);
	for (i = 0; i < ROUNDS; i++) {
		u64 start = rdtsc_ordered();

		for (k = 0; k < TIMES; k++) {
			pfn_pin_init(&pin, &idle_ops);
			pfn_pin_detach(&pin);
		}
		b->cost[i] = rdtsc_ordered() - start;
	}
	say(b, "alloc", others, TIMES);
	detach_many(test, others);

	mni = kvcalloc(others + 1, sizeof(*mni), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mni);
	for (i = 1; i <= others; i++)
		KUNIT_ASSERT_EQ(test, 0,
				mmu_interval_notifier_insert(&mni[i], current->mm,
							     (2 * TIMES + i) * PAGE_SIZE,
							     PAGE_SIZE, &mni_ops));
	for (i = 0; i < ROUNDS; i++) {
		u64 start = rdtsc_ordered();

		for (k = 0; k < TIMES; k++) {
			if (mmu_interval_notifier_insert(mni, current->mm,
							 k * PAGE_SIZE,
							 PAGE_SIZE, &mni_ops))
				break;
			mmu_interval_notifier_remove(mni);
		}
		b->cost[i] = rdtsc_ordered() - start;
		KUNIT_EXPECT_EQ(test, k, TIMES);
	}
	say(b, "mmu-interval", others, TIMES);
	for (i = 1; i <= others; i++)
		mmu_interval_notifier_remove(&mni[i]);
	kvfree(mni);
}

static void bench_attach(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	attach_cost(test, 0);
	attach_cost(test, 1000);
}

/* One revocation of these pages of the first range, then they are opened again */
static u64 revoke(struct kunit *test, unsigned long last)
{
	struct bench *b = test->priv;
	u64 start = rdtsc_ordered(), cost;
	struct pfn_part part;

	pfn_part_revoke(&part, b->range, PFN(0), PFN(last));
	cost = rdtsc_ordered() - start;
	pfn_part_reopen(&part);
	return cost;
}

static void bench_revoke_idle(struct kunit *test)
{
	static const unsigned int counts[] = { 0, 1, 10, 100, 1000, 10000 };
	struct bench *b = test->priv;
	unsigned int i, k;

	for (k = 0; k < ARRAY_SIZE(counts); k++) {
		for (i = 0; i < ROUNDS; i++) {
			attach_many(test, counts[k], 0);
			b->cost[i] = revoke(test, PAGES - 1);
			detach_many(test, counts[k]);
		}
		say(b, "broadcast", counts[k], 1);
	}
}

static void bench_revoke_others(struct kunit *test)
{
	static const unsigned int counts[] = { 0, 100, 10000, MAX_PINS };
	struct bench *b = test->priv;
	struct pfn_pin pin;
	unsigned int i, k;

	for (k = 0; k < ARRAY_SIZE(counts); k++) {
		/* In the other provider, and in the same one behind it */
		attach_many(test, counts[k], PAGES);
		for (i = 0; i < ROUNDS; i++) {
			attach(test, &pin, &idle_ops, 0, 0);
			b->cost[i] = revoke(test, PAGES - 1);
			pfn_pin_detach(&pin);
		}
		detach_many(test, counts[k]);
		say(b, "others", counts[k], 1);

		attach_many(test, counts[k], 1);
		for (i = 0; i < ROUNDS; i++) {
			attach(test, &pin, &idle_ops, 0, 0);
			b->cost[i] = revoke(test, 0);
			pfn_pin_detach(&pin);
		}
		detach_many(test, counts[k]);
		say(b, "neighbours", counts[k], 1);
	}
}

/* A fence that the device needs 10 ms for, from start() on */
#define FENCE	(10 * NSEC_PER_MSEC)

static ktime_t fence_ends[256];
static struct pfn_pin *fence_pins;

static void fence_start(struct pfn_pin *pin)
{
	fence_ends[pin - fence_pins] = ktime_add_ns(ktime_get(), FENCE);
}

static void fence_finish(struct pfn_pin *pin)
{
	ktime_t *end = &fence_ends[pin - fence_pins];

	while (ktime_before(ktime_get(), *end)) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule_hrtimeout(end, HRTIMER_MODE_ABS);
	}
}

static const struct pfn_pin_ops fence_ops = {
	.name	= "bench",
	.start	= fence_start,
	.finish	= fence_finish,
};

static void bench_fences(struct kunit *test)
{
	static const unsigned int counts[] = { 1, 16, 256 };
	struct bench *b = test->priv;
	unsigned int i, k, p;

	fence_pins = b->pins;
	for (k = 0; k < ARRAY_SIZE(counts); k++) {
		for (i = 0; i < ROUNDS; i++) {
			for (p = 0; p < counts[k]; p++)
				attach(test, &b->pins[p], &fence_ops, p, p);
			b->cost[i] = revoke(test, PAGES - 1);
			detach_many(test, counts[k]);
		}
		say(b, "fences", counts[k], 1);
	}
}

/* What a driver without all this would do: unpin, page by page */
static void bench_unpin(struct kunit *test)
{
	const unsigned int n = 1000;
	struct bench *b = test->priv;
	struct page **pages;
	unsigned int i, k;
	unsigned long at;

	pages = kunit_kcalloc(test, n, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	at = kunit_vm_mmap(test, NULL, 0, n * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, 0);
	KUNIT_ASSERT_NE(test, at, 0);
	for (i = 0; i < ROUNDS; i++) {
		u64 start;

		KUNIT_ASSERT_EQ(test, n,
				pin_user_pages_fast(at, n, FOLL_WRITE | FOLL_LONGTERM,
						    pages));
		start = rdtsc_ordered();
		for (k = 0; k < n; k++)
			unpin_user_page_range_dirty_lock(pages[k], 1, true);
		b->cost[i] = rdtsc_ordered() - start;
	}
	say(b, "unpin", 1, n);
}

/* A pin is part of its consumer, whatever it covers */
static void bench_memory(struct kunit *test)
{
	pr_info("BENCH memory 1 %zu %zu\n", sizeof(struct pfn_pin),
		sizeof(struct pfn_pin));
	pr_info("BENCH memory %lu %zu %zu\n", PAGES, sizeof(struct pfn_pin),
		sizeof(struct pfn_pin));
}

/*
 * Waiting for GUP-fast walkers before the memory map goes away: grace periods of
 * both kinds and function calls to other CPUs, counted. "drain" is what
 * memunmap_pages() does in any case, "chosen" what it does with the series.
 */
unsigned long rcu_get_gp_seq(void);		/* kernel/rcu/rcu.h */
unsigned long rcu_exp_batches_completed(void);
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);

enum window {
	WINDOW_DRAIN,
	WINDOW_CHOSEN,
	WINDOW_SYNCHRONIZE,
	WINDOW_EXPEDITED,
	WINDOW_SYNC_ONE,
	NR_WINDOWS,
};

static const char * const window_names[] = {
	"drain", "chosen", "synchronize", "expedited", "sync-one",
};

struct window_drain {
	struct percpu_ref ref;
	struct completion done;
};

static void window_released(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct window_drain, ref)->done);
}

static u64 window_ipis(void)
{
	unsigned int cpu;
	u64 sum = 0;

	for_each_online_cpu(cpu)
		sum += READ_ONCE(per_cpu(irq_stat, cpu).counts[IRQ_COUNT_CALL_FUNCTION]);
	return sum;
}

/* How many have begun */
static u64 window_gps(unsigned long seq)
{
	return (seq + 3) >> 2;
}

static void window_wait(struct kunit *test, enum window how)
{
	struct window_drain *drain = NULL;
	unsigned long state;

	if (how == WINDOW_SYNCHRONIZE)
		return synchronize_rcu();
	if (how == WINDOW_EXPEDITED)
		return synchronize_rcu_expedited();
	if (how == WINDOW_SYNC_ONE)
		return tlb_remove_table_sync_one();

	drain = kzalloc_obj(*drain);
	KUNIT_ASSERT_NOT_NULL(test, drain);
	init_completion(&drain->done);
	KUNIT_ASSERT_EQ(test, 0, percpu_ref_init(&drain->ref, window_released, 0,
						 GFP_KERNEL));
	state = get_state_synchronize_rcu();
	percpu_ref_kill(&drain->ref);
	wait_for_completion(&drain->done);
	if (how == WINDOW_CHOSEN)
		cond_synchronize_rcu(state);
	percpu_ref_exit(&drain->ref);
	kfree(drain);
}

/* In and out of RCU, never idle */
static int window_spin(void *unused)
{
	while (!kthread_should_stop()) {
		rcu_read_lock();
		udelay(50);
		rcu_read_unlock();
		cond_resched();
	}
	return 0;
}

static void window_count(struct kunit *test, bool loaded)
{
	u64 gps[ROUNDS], exps[ROUNDS], ipis[ROUNDS];
	enum window how;
	unsigned int i;

	for (how = 0; how < NR_WINDOWS; how++) {
		for (i = 0; i < ROUNDS; i++) {
			/* What is under way is over, and the CPUs are idle, if so */
			synchronize_rcu();
			msleep(20);
			gps[i] = window_gps(rcu_get_gp_seq());
			exps[i] = window_gps(rcu_exp_batches_completed());
			ipis[i] = window_ipis();
			window_wait(test, how);
			ipis[i] = window_ipis() - ipis[i];
			exps[i] = window_gps(rcu_exp_batches_completed()) - exps[i];
			gps[i] = window_gps(rcu_get_gp_seq()) - gps[i];
		}
		sort(gps, ROUNDS, sizeof(gps[0]), compare, NULL);
		sort(exps, ROUNDS, sizeof(exps[0]), compare, NULL);
		sort(ipis, ROUNDS, sizeof(ipis[0]), compare, NULL);
		pr_info("BENCH window-%s-gp %u %llu %llu\n", window_names[how],
			loaded, gps[0], gps[ROUNDS / 2]);
		pr_info("BENCH window-%s-exp %u %llu %llu\n", window_names[how],
			loaded, exps[0], exps[ROUNDS / 2]);
		pr_info("BENCH window-%s-ipi %u %llu %llu\n", window_names[how],
			loaded, ipis[0], ipis[ROUNDS / 2]);
	}
}

static void bench_window(struct kunit *test)
{
	struct task_struct *spin[NR_CPUS] = {};
	unsigned int cpu;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");
	/* While the kernel boots all grace periods are expedited */
	rcu_unexpedite_gp();
	window_count(test, false);
	for_each_online_cpu(cpu) {
		spin[cpu] = kthread_run_on_cpu(window_spin, NULL, cpu, "window/%u");
		KUNIT_EXPECT_FALSE(test, IS_ERR(spin[cpu]));
	}
	window_count(test, true);
	for_each_online_cpu(cpu)
		if (!IS_ERR(spin[cpu]))
			kthread_stop(spin[cpu]);
	rcu_expedite_gp();
}

static int bench_init(struct kunit *test)
{
	struct bench *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	b->pins = vcalloc(MAX_PINS, sizeof(b->pins[0]));
	KUNIT_ASSERT_NOT_NULL(test, b->pins);
	b->range = pfn_range_register(PFN(0), PFN(PAGES - 1), "bench");
	b->other = pfn_range_register(PFN(PAGES), PFN(2 * PAGES - 1), "other");
	KUNIT_ASSERT_FALSE(test, IS_ERR(b->range) || IS_ERR(b->other));
	test->priv = b;
	return 0;
}

static void bench_exit(struct kunit *test)
{
	struct bench *b = test->priv;

	if (!b)
		return;
	pfn_range_unregister(b->range);
	pfn_range_unregister(b->other);
	vfree(b->pins);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(bench_attach),
	KUNIT_CASE(bench_revoke_idle),
	KUNIT_CASE(bench_revoke_others),
	KUNIT_CASE(bench_fences),
	KUNIT_CASE(bench_unpin),
	KUNIT_CASE(bench_memory),
	{}
};

static struct kunit_suite suite = {
	.name		= "pfn_revoke_bench",
	.init		= bench_init,
	.exit		= bench_exit,
	.test_cases	= cases,
};

/* Counts events, on two CPUs and without instructions being counted */
static struct kunit_case window_cases[] = {
	KUNIT_CASE(bench_window),
	{}
};

static struct kunit_suite window_suite = {
	.name		= "pfn_revoke_window",
	.test_cases	= window_cases,
};
kunit_test_suites(&suite, &window_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Cost of PFN-range revocation");
