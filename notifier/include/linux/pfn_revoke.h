/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PFN-range revocation: long-term pins that the owner of the memory can end.
 *
 * A provider declares a range of PFNs, a consumer attaches what it pinned
 * there, and pfn_revoke_range() makes every consumer let go. The states, the
 * locks and the interleavings are at the top of mm/pfn_revoke.c.
 */
#ifndef _LINUX_PFN_REVOKE_H
#define _LINUX_PFN_REVOKE_H

#include <linux/err.h>
#include <linux/gfp_types.h>
#include <linux/limits.h>
#include <linux/types.h>

struct pfn_pin;
struct pfn_range;

/**
 * struct pfn_pin_ops - what a consumer does when its memory goes away
 * @name: consumer's name in messages, for example "ib_umem"
 * @start: Refuse new use and set the hardware fence going. Must not wait: the
 *	starts of all consumers run before the first finish, so that their
 *	fences run side by side. Optional.
 * @finish: Wait until nothing can reach the memory, drop the translations,
 *	sync the IOTLB, unpin. When it returns, the consumer must not touch the
 *	memory again. Called exactly once, in bounded time.
 *
 * Both get the @priv of pfn_pin_alloc() and are called in process context with
 * no lock of the notifier held, maybe in different tasks; @finish may sleep on
 * the consumer's own locks. They must not allocate memory, wait for user space,
 * take mmap_lock or a device lock (lockdep does not check the latter), call
 * pfn_revoke_range() (it returns -EDEADLK) or detach another pin. They may
 * detach their own, once nobody else can be in pfn_pin_attach() for it; if
 * @start does, @finish is not called.
 *
 * @start and @finish can run before pfn_pin_attach() has returned, and without
 * the consumer having attached all that it wants to: what is attached may be
 * revoked at once. A consumer that builds its state while it attaches needs a
 * lock of its own that the callbacks take as well; it must not hold that lock
 * while it waits for user space (GUP) nor across pfn_pin_detach().
 */
struct pfn_pin_ops {
	const char *name;
	void (*start)(void *priv);
	void (*finish)(void *priv);
};

#ifdef CONFIG_PFN_REVOKE

#if IS_ENABLED(CONFIG_KUNIT)
extern unsigned long pfn_revoke_patience;
#endif

struct pfn_range *pfn_range_register(unsigned long first, unsigned long last,
				     const char *name);
void pfn_range_unregister(struct pfn_range *range);
int pfn_revoke_range(unsigned long first, unsigned long last);
int pfn_reopen_range(unsigned long first, unsigned long last);
int pfn_range_extent(unsigned long pfn, u64 gen, unsigned long *last);

struct pfn_pin *pfn_pin_alloc(const struct pfn_pin_ops *ops, void *priv,
			      gfp_t gfp);
u64 pfn_pin_begin(void);
int pfn_pin_attach(struct pfn_pin *pin, unsigned long first,
		   unsigned long last, u64 gen);
int pfn_pin_attach_extent(struct pfn_pin *pin, unsigned long first,
			  unsigned long last, u64 gen, unsigned long *end);
void pfn_pin_detach(struct pfn_pin *pin);

#else /* !CONFIG_PFN_REVOKE: nobody attaches, so there is nobody to revoke */

static inline struct pfn_range *pfn_range_register(unsigned long first,
						   unsigned long last,
						   const char *name)
{
	return NULL;
}

static inline void pfn_range_unregister(struct pfn_range *range) {}

static inline int pfn_revoke_range(unsigned long first, unsigned long last)
{
	return 0;
}

static inline int pfn_reopen_range(unsigned long first, unsigned long last)
{
	return 0;
}

static inline int pfn_range_extent(unsigned long pfn, u64 gen,
				   unsigned long *last)
{
	*last = ULONG_MAX;
	return 0;
}

static inline struct pfn_pin *pfn_pin_alloc(const struct pfn_pin_ops *ops,
					    void *priv, gfp_t gfp)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline u64 pfn_pin_begin(void)
{
	return 0;
}

static inline int pfn_pin_attach(struct pfn_pin *pin, unsigned long first,
				 unsigned long last, u64 gen)
{
	return -EOPNOTSUPP;
}

static inline int pfn_pin_attach_extent(struct pfn_pin *pin,
					unsigned long first, unsigned long last,
					u64 gen, unsigned long *end)
{
	return -EOPNOTSUPP;
}

static inline void pfn_pin_detach(struct pfn_pin *pin) {}

#endif /* CONFIG_PFN_REVOKE */
#endif /* _LINUX_PFN_REVOKE_H */
