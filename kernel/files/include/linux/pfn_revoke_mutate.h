/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Switches that break revocation on purpose, so that tests can show that they
 * notice. Not part of the mailed series.
 */
#ifndef _LINUX_PFN_REVOKE_MUTATE_H
#define _LINUX_PFN_REVOKE_MUTATE_H

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/cpumask_types.h>
#include <linux/types.h>

enum pfn_revoke_mutation {
	PFN_REVOKE_BROADCAST_OFF,
	PFN_REVOKE_ATTACH_UNCHECKED,
	PFN_REVOKE_UNPIN_DROP,
	PFN_REVOKE_UNCHARGE_OFF,
	PFN_REVOKE_DRAIN_SKIP,
	PFN_REVOKE_STATE_CHECK_OFF,
	PFN_REVOKE_FENCE_OFF,
	PFN_REVOKE_EARLY_OFF,
	PFN_REVOKE_DOOR_OPEN,
	PFN_REVOKE_DETACH_LOCKED,
	PFN_REVOKE_VFIO_OFF,
	PFN_REVOKE_IOMMUFD_OFF,
	PFN_REVOKE_UNPIN_EARLY,
	PFN_REVOKE_WINDOW_OFF,
	/* These break nothing: they make room for a race, or a driver fail */
	PFN_REVOKE_DEREG_FAILS,
	PFN_REVOKE_COPY_SLOW,
	PFN_REVOKE_COPY_LATE,
	PFN_REVOKE_MMAP_GAP,
	PFN_REVOKE_ATTACH_GAP,
	PFN_REVOKE_MAP_GAP,
	PFN_REVOKE_REMOVE_GAP,
	PFN_REVOKE_UNPIN_GAP,
	PFN_REVOKE_BIND_GAP,
	PFN_REVOKE_GUP_HOLD,
	PFN_REVOKE_GUP_HOLD_OPEN,
	PFN_REVOKE_IPI_SKIP,
	PFN_REVOKE_NR_MUTATIONS
};

extern unsigned long pfn_revoke_mutations;

static inline bool pfn_revoke_mutated(enum pfn_revoke_mutation mutation)
{
	return unlikely(READ_ONCE(pfn_revoke_mutations) & BIT(mutation));
}

void pfn_revoke_pause(enum pfn_revoke_mutation mutation);
void pfn_revoke_hold(enum pfn_revoke_mutation mutation, unsigned int seconds);
void pfn_revoke_hold_walker(void);
const struct cpumask *pfn_revoke_flushed(const struct cpumask *cpumask,
					 struct cpumask *buf);

#endif /* _LINUX_PFN_REVOKE_MUTATE_H */
