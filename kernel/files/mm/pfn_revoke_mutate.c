// SPDX-License-Identifier: GPL-2.0
/*
 * pfn_revoke.mutate=NAME[,NAME...] on the kernel command line, or written to
 * /sys/module/pfn_revoke/parameters/mutate. "none" switches all off.
 *
 * broadcast_off	pfn_revoke_range() tells nobody
 * attach_unchecked	pfn_pin_attach() takes what is shut or has changed
 * unpin_drop		ib_umem forgets the pages instead of unpinning them
 * uncharge_off		ib_umem leaves revoked pages charged to pinned_vm
 * drain_skip		rxe does not wait for copies in flight
 * state_check_off	rxe copies without a look at the state of the MR
 * fence_off		rxe revokes without making the key invalid
 * early_off		pci_p2pdma_revoke() leaves everything to devres
 * door_open		the pool goes on to hand out memory to the kernel
 * detach_locked	ib_umem detaches with the lock that its callback takes
 * vfio_off		type1 does not let go
 * iommufd_off		iommufd does not let go
 * copy_slow		rxe waits 200 ms between the look at the state and the copy
 * copy_late		rxe waits 200 ms before the look at the state, with the key looked up
 * mmap_gap		kernfs waits before it maps, until switched off
 * attach_gap		ib_umem waits between pin and attach, until switched off
 * remove_gap		nvme waits between revoke and shutdown, until switched off
 *
 * What waits to be switched off waits 30 seconds at most.
 */
#define pr_fmt(fmt) "pfn_revoke: " fmt

#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/pfn_revoke_mutate.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

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
	[PFN_REVOKE_COPY_SLOW]		= "copy_slow",
	[PFN_REVOKE_COPY_LATE]		= "copy_late",
	[PFN_REVOKE_MMAP_GAP]		= "mmap_gap",
	[PFN_REVOKE_ATTACH_GAP]		= "attach_gap",
	[PFN_REVOKE_REMOVE_GAP]		= "remove_gap",
};

unsigned long pfn_revoke_mutations;
EXPORT_SYMBOL_GPL(pfn_revoke_mutations);

static DECLARE_WAIT_QUEUE_HEAD(pause_wq);

/* Wait for as long as @mutation is switched on */
void pfn_revoke_pause(enum pfn_revoke_mutation mutation)
{
	if (!pfn_revoke_mutated(mutation))
		return;
	pr_info("%s: paused\n", names[mutation]);
	wait_event_timeout(pause_wq, !pfn_revoke_mutated(mutation), 30 * HZ);
}
EXPORT_SYMBOL_GPL(pfn_revoke_pause);

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

static const struct kernel_param_ops mutate_ops = {
	.set = mutate_set,
	.get = mutate_get,
};
module_param_cb(mutate, &mutate_ops, NULL, 0644);
