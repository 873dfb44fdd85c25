// SPDX-License-Identifier: GPL-2.0
/*
 * pfn_revoke.mutate=NAME[,NAME...] on the kernel command line, or written to
 * /sys/module/pfn_revoke/parameters/mutate. "none" switches all off.
 *
 * broadcast_off	pfn_range_revoke() notifies nobody
 * attach_unchecked	PFNs are attached although they are closed
 * unpin_drop		ib_umem forgets the pages instead of unpinning them
 * uncharge_off		ib_umem leaves revoked pages charged to pinned_vm
 * drain_skip		rxe does not wait for copies in flight
 * state_check_off	rxe copies without a look at the state of the MR
 * fence_off		rxe revokes without making the key invalid
 * early_off		pci_p2pdma_revoke() leaves everything to devres
 * door_open		the pool goes on to hand out memory to the kernel
 * detach_locked	ib_umem detaches with the lock that its callback takes
 * vfio_off		type1 does not release anything
 * iommufd_off		iommufd does not release anything
 * unpin_early		type1 and iommufd unpin before they unmap and sync the IOTLB
 * dereg_fails		rxe does not deregister MRs
 * window_off		rxe binds and uses windows without a look at the MR behind
 * copy_slow		rxe waits between the look at the state and the copy, until
 *			switched off
 * copy_late		rxe waits before the look at the state, with the key looked up,
 *			until switched off
 * mmap_gap		kernfs waits before it maps, until switched off
 * attach_gap		GUP waits between pin and attach, until switched off
 * map_gap		type1 and iommufd wait when a run is mapped and the call is not
 *			over, until switched off
 * remove_gap		nvme waits between revoke and shutdown, until switched off
 * bind_gap		rxe waits when it has found the MR that a window is to be bound
 *			to, until switched off
 * unpin_gap		type1 and iommufd wait when they have unpinned, until switched off
 * gup_hold		GUP-fast waits between a PTE of P2PDMA memory and the
 *			reference, with interrupts off, until switched off
 * gup_hold_open	it does so with interrupts on and outside RCU: as if nothing
 *			waited for walkers
 * ipi_skip		TLB flushes of user memory leave out CPUs with such a walker, as
 *			on machines that flush without IPI
 *
 * What waits to be switched off waits 30 seconds at most, walkers 10.
 */
#define pr_fmt(fmt) "pfn_revoke: " fmt

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/pfn_revoke_mutate.h>
#include <linux/printk.h>
#include <linux/processor.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/time64.h>
#include <linux/wait.h>
#ifdef CONFIG_X86
#include <asm/tlbflush.h>
#endif

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "pfn_revoke."

static const char * const names[PFN_REVOKE_NR_MUTATIONS] = {
	[PFN_REVOKE_BROADCAST_OFF]	= "broadcast_off",
	[PFN_REVOKE_ATTACH_UNCHECKED]	= "attach_unchecked",
	[PFN_REVOKE_UNPIN_DROP]		= "unpin_drop",
	[PFN_REVOKE_UNCHARGE_OFF]	= "uncharge_off",
	[PFN_REVOKE_DRAIN_SKIP]		= "drain_skip",
	[PFN_REVOKE_STATE_CHECK_OFF]	= "state_check_off",
	[PFN_REVOKE_FENCE_OFF]		= "fence_off",
	[PFN_REVOKE_EARLY_OFF]		= "early_off",
	[PFN_REVOKE_DOOR_OPEN]		= "door_open",
	[PFN_REVOKE_DETACH_LOCKED]	= "detach_locked",
	[PFN_REVOKE_VFIO_OFF]		= "vfio_off",
	[PFN_REVOKE_IOMMUFD_OFF]	= "iommufd_off",
	[PFN_REVOKE_UNPIN_EARLY]	= "unpin_early",
	[PFN_REVOKE_WINDOW_OFF]		= "window_off",
	[PFN_REVOKE_DEREG_FAILS]	= "dereg_fails",
	[PFN_REVOKE_COPY_SLOW]		= "copy_slow",
	[PFN_REVOKE_COPY_LATE]		= "copy_late",
	[PFN_REVOKE_MMAP_GAP]		= "mmap_gap",
	[PFN_REVOKE_ATTACH_GAP]		= "attach_gap",
	[PFN_REVOKE_MAP_GAP]		= "map_gap",
	[PFN_REVOKE_REMOVE_GAP]		= "remove_gap",
	[PFN_REVOKE_UNPIN_GAP]		= "unpin_gap",
	[PFN_REVOKE_BIND_GAP]		= "bind_gap",
	[PFN_REVOKE_GUP_HOLD]		= "gup_hold",
	[PFN_REVOKE_GUP_HOLD_OPEN]	= "gup_hold_open",
	[PFN_REVOKE_IPI_SKIP]		= "ipi_skip",
};

unsigned long pfn_revoke_mutations;
EXPORT_SYMBOL_GPL(pfn_revoke_mutations);

static DECLARE_WAIT_QUEUE_HEAD(pause_wq);
/* /sys/module/pfn_revoke/parameters/held: how many wait right now */
static atomic_t held = ATOMIC_INIT(0);

/* Wait for as long as @mutation is switched on */
void pfn_revoke_pause(enum pfn_revoke_mutation mutation)
{
	if (!pfn_revoke_mutated(mutation))
		return;
	pr_info("%s: paused\n", names[mutation]);
	atomic_inc(&held);
	wait_event_timeout(pause_wq, !pfn_revoke_mutated(mutation), 30 * HZ);
	atomic_dec(&held);
}
EXPORT_SYMBOL_GPL(pfn_revoke_pause);

static struct cpumask held_cpus;

/*
 * Spin for as long as @mutation is switched on, @seconds at most. Interrupts may
 * be off and this may be the CPU that counts jiffies; udelay() is as good as the
 * calibration of a CPU that shared its core then.
 */
void pfn_revoke_hold(enum pfn_revoke_mutation mutation, unsigned int seconds)
{
	u64 end;

	if (!pfn_revoke_mutated(mutation))
		return;
	pr_info("%s: held\n", names[mutation]);
	end = local_clock() + (u64)seconds * NSEC_PER_SEC;
	atomic_inc(&held);
	while (local_clock() < end && pfn_revoke_mutated(mutation))
		cpu_relax();
	atomic_dec(&held);
}
EXPORT_SYMBOL_GPL(pfn_revoke_hold);

/* What a flush by broadcast instruction would have done to this CPU by now */
static void flush_what_was_skipped(void)
{
#ifdef CONFIG_X86
	__flush_tlb_all();
#endif
}

/* Called by GUP-fast between reading the PTE and taking the reference */
void pfn_revoke_hold_walker(void)
{
	bool open = pfn_revoke_mutated(PFN_REVOKE_GUP_HOLD_OPEN);
	int i;

	if (!pfn_revoke_mutated(PFN_REVOKE_GUP_HOLD))
		return;
	if (open) {
		pr_info("gup_hold_open: held\n");
		atomic_inc(&held);
		/* pte_offset_map() has taken it */
		rcu_read_unlock();
		local_irq_enable();
		for (i = 0; i < 1000 && pfn_revoke_mutated(PFN_REVOKE_GUP_HOLD); i++)
			msleep(1);
		local_irq_disable();
		rcu_read_lock();
		atomic_dec(&held);
		return;
	}

	cpumask_set_cpu(smp_processor_id(), &held_cpus);
	pfn_revoke_hold(PFN_REVOKE_GUP_HOLD, 10);
	cpumask_clear_cpu(smp_processor_id(), &held_cpus);
	/* ipi_skip may be switched off by now */
	flush_what_was_skipped();
}

/* The CPUs that a flush has to interrupt */
const struct cpumask *pfn_revoke_flushed(const struct cpumask *cpumask,
					 struct cpumask *buf)
{
	if (!pfn_revoke_mutated(PFN_REVOKE_IPI_SKIP))
		return cpumask;
	cpumask_andnot(buf, cpumask, &held_cpus);
	return buf;
}

static int mutate_set(const char *val, const struct kernel_param *kp)
{
	unsigned long mutations = 0;
	char buf[256], *next = buf, *name;
	int i;

	if (strscpy(buf, val) < 0)
		return -EINVAL;
	strim(buf);
	while ((name = strsep(&next, ","))) {
		if (!*name || !strcmp(name, "none"))
			continue;
		i = match_string(names, ARRAY_SIZE(names), name);
		if (i < 0) {
			pr_err("there is no mutation '%s'\n", name);
			return i;
		}
		mutations |= BIT(i);
	}
	WRITE_ONCE(pfn_revoke_mutations, mutations);
	wake_up_all(&pause_wq);
	pr_info("mutate=%s\n", *val ? val : "none");
	return 0;
}

static int mutate_get(char *buffer, const struct kernel_param *kp)
{
	int i, len = 0;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (pfn_revoke_mutated(i))
			len += sysfs_emit_at(buffer, len, "%s%s",
					     len ? "," : "", names[i]);
	return len + sysfs_emit_at(buffer, len, "%s\n", len ? "" : "none");
}

static int held_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&held));
}

static const struct kernel_param_ops held_ops = {
	.get = held_get,
};
module_param_cb(held, &held_ops, NULL, 0444);

static const struct kernel_param_ops mutate_ops = {
	.set = mutate_set,
	.get = mutate_get,
};
module_param_cb(mutate, &mutate_ops, NULL, 0644);
