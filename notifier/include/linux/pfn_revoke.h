/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PFN-range revocation: long-term pins that the owner of the memory can end.
 *
 * A provider declares a range of PFNs, a consumer attaches what it pinned
 * there, and the provider revokes: all consumers release what they hold. The
 * states, the locks and the interleavings are at the top of mm/pfn_revoke.c.
 */
#ifndef _LINUX_PFN_REVOKE_H
#define _LINUX_PFN_REVOKE_H

#include <linux/err.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/types.h>

struct page;
struct pfn_pin;
struct pfn_range;
struct pid;

/**
 * struct pfn_pin_ops - what a consumer does when its memory goes away
 * @name: consumer's name in messages, for example "ib_umem"
 * @start: Refuse new use and set the hardware fence going. Must not wait: the
 *	starts of a broadcast run before its finishes, so that the fences run
 *	side by side. (Not all of them, if another broadcast of the same range
 *	is under way.) Optional.
 * @finish: Wait until nothing can reach the memory, drop the translations,
 *	sync the IOTLB, unpin. When it returns, the consumer must not touch the
 *	memory again. Called at most once, in bounded time.
 *
 * Both are called in process context with no lock of the notifier held, maybe
 * in different tasks; @finish may sleep on the consumer's own locks. They do not
 * allocate with GFP_KERNEL, do not wait for user space, take neither mmap_lock
 * nor a device lock (lockdep does not check the latter), do not revoke, do not
 * detach a pin, and flush no work that is not on a WQ_MEM_RECLAIM queue. A
 * consumer may allocate under a lock that @finish takes: a provider that memory
 * reclaim may be waiting for bounds its wait.
 *
 * Both can run before the call that attached the pin has returned, so before
 * the consumer has recorded the pages. A consumer that has got pages looks,
 * under a lock that its @finish takes as well, whether @finish has run, and
 * unpins them itself then. It does not hold that lock while it waits for user
 * space, nor across pfn_pin_detach().
 */
struct pfn_pin_ops {
	const char *name;
	void (*start)(struct pfn_pin *pin);
	void (*finish)(struct pfn_pin *pin);
};

/*
 * struct pfn_pin - contiguous PFNs of one range that a consumer holds
 *
 * Part of the consumer's structure, which stays until pfn_pin_detach() has
 * returned; initialised by pfn_pin_init(). All fields but @ops are the
 * notifier's, and under the lock of @range. The consumer does not attach, grow
 * and detach one pin at the same time.
 */
struct pfn_pin {
	const struct pfn_pin_ops *ops;
	struct pfn_range *range;	/* a reference; NULL: not attached */
	struct interval_tree_node it;	/* in range->pins or range->revoked */
	u64 seq;			/* sorts those with the same start */
	struct list_head node;		/* range->claimed, pending or running */
	struct pid *pid;		/* a reference */
	u64 since;			/* attached, CLOCK_BOOTTIME, ns */
	unsigned long began;		/* callback's start, jiffies */
	unsigned long next_warning;	/* jiffies */
	u8 state;			/* enum pfn_pin_state */
	bool detaching;			/* waits for the callback */
};

/*
 * struct pfn_part - PFNs of a range that are revoked
 *
 * The provider's, until pfn_part_reopen() has returned. Its calls come in turn:
 * revoked once, reopened when pfn_part_revoke() has returned.
 */
struct pfn_part {
	struct interval_tree_node it;	/* in range->closed, under its lock */
	struct pfn_range *range;
	unsigned long pins;		/* claimed for it, by the last call */
	unsigned long unfinished;	/* pins that it waits for */
};

#ifdef CONFIG_PFN_REVOKE

/* Providers */
struct pfn_range *pfn_range_register(unsigned long first, unsigned long last,
				     const char *name);
void pfn_range_unregister(struct pfn_range *range);
int pfn_range_revoke(struct pfn_range *const *ranges, unsigned int nr,
		     long timeout);
void pfn_part_revoke(struct pfn_part *part, struct pfn_range *range,
		     unsigned long first, unsigned long last);
void pfn_part_reopen(struct pfn_part *part);

/* Consumers; see pin_user_pages_revocable() for P2PDMA pages */
void pfn_pin_init(struct pfn_pin *pin, const struct pfn_pin_ops *ops);
long pfn_pin_attach_pfns(struct pfn_pin *last, struct pfn_pin *spare,
			 unsigned long pfn, unsigned long *nr);
void pfn_pin_detach(struct pfn_pin *pin);

/* For mm/gup.c */
long pfn_pin_attach_pages(struct pfn_pin *last, struct pfn_pin *spare,
			  struct page **pages, unsigned long nr);

#else /* !CONFIG_PFN_REVOKE: nobody attaches, so there is nobody to revoke */

static inline struct pfn_range *pfn_range_register(unsigned long first,
						   unsigned long last,
						   const char *name)
{
	return NULL;
}

static inline void pfn_range_unregister(struct pfn_range *range) {}

static inline int pfn_range_revoke(struct pfn_range *const *ranges,
				   unsigned int nr, long timeout)
{
	return 0;
}

static inline void pfn_part_revoke(struct pfn_part *part,
				   struct pfn_range *range, unsigned long first,
				   unsigned long last) {}
static inline void pfn_part_reopen(struct pfn_part *part) {}

static inline void pfn_pin_init(struct pfn_pin *pin,
				const struct pfn_pin_ops *ops)
{
	*pin = (struct pfn_pin){ .ops = ops };
}

static inline long pfn_pin_attach_pfns(struct pfn_pin *last,
				       struct pfn_pin *spare,
				       unsigned long pfn, unsigned long *nr)
{
	return 0;
}

static inline void pfn_pin_detach(struct pfn_pin *pin) {}

static inline long pfn_pin_attach_pages(struct pfn_pin *last,
					struct pfn_pin *spare,
					struct page **pages, unsigned long nr)
{
	return -EREMOTEIO;
}

#endif /* CONFIG_PFN_REVOKE */

/* The owner's view: has it been attached, to what */
static inline bool pfn_pin_attached(struct pfn_pin *pin)
{
	return pin->range;
}

#endif /* _LINUX_PFN_REVOKE_H */
