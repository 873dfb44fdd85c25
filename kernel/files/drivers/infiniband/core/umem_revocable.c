// SPDX-License-Identifier: GPL-2.0
/*
 * Memory regions by virtual address that may contain P2PDMA memory, which is
 * revoked when its device is unbound. Shaped like the revocable dma-buf umem.
 *
 * States, all under umem_revocable->lock, if there is a pin
 * ---------------------------------------------------------
 *
 *	PINNING --> MAPPED --> revoked
 *	   |                     ^
 *	   +---------------------+
 *
 * "revoked" is entered once, by whoever comes first: the revocation or the
 * release. It lets the driver finish, unmaps, unpins and uncharges everything:
 * a memory region with one revoked page dies whole. The umem stays until the
 * driver releases it, and with it the key of the memory region.
 *
 *	registration			revocation
 *	------------			----------
 *	[pin a batch, attach it]
 *	lock				start: remember it
 *	 revoked? unpin, -ENODEV	 ops set? notify the driver
 *	 add the batch			lock
 *	unlock				 ops set? driver finishes
 *	... next batch, then map	 unmap, unpin, uncharge
 *	lock				 revoked
 *	 driver builds its region	unlock
 *	 set ops, started? -ENODEV	... then the owner is notified
 *	unlock
 *
 * The lock is not held while a batch is pinned: that may take as long as user
 * space likes, and batches pinned before must be revocable meanwhile. So the
 * revocation may come between the attach of a batch and the lock, and not find
 * it: the registration does, and unpins it.
 *
 * A umem without a pin cannot be revoked. Those who register, change and release
 * a memory region exclude each other (by the lock of its uobject), so that none
 * of the locks is taken, and ordinary memory does not pay for them. The pins, one
 * for each contiguous piece of P2PDMA memory, come during the registration, by
 * the thread itself and with the locks free; they go with the umem.
 *
 * Accounting: mm->pinned_vm is charged for the whole region first and uncharged
 * with the pages. It is atomic and needs the mm_struct only, which the umem
 * keeps, so the revocation needs neither mmap_lock nor a living process.
 */
#include <linux/dma-mapping.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pfn_revoke.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "uverbs.h"

/* A contiguous piece of P2PDMA memory */
struct ib_umem_pin {
	struct pfn_pin pin;
	struct ib_umem_revocable *umem_revocable;
	struct ib_umem_pin *next;	/* umem_revocable->pins */
};

static struct ib_umem_revocable *pin_to_umem(struct pfn_pin *pin)
{
	return container_of(pin, struct ib_umem_pin, pin)->umem_revocable;
}

static void ib_umem_revocable_lock(struct ib_umem_revocable *umem_revocable)
{
	if (umem_revocable->pins)
		mutex_lock(&umem_revocable->lock);
}

static void ib_umem_revocable_assert_locked(struct ib_umem_revocable *umem_revocable)
{
	if (umem_revocable->pins)
		lockdep_assert_held(&umem_revocable->lock);
}

static void ib_umem_revocable_end(struct ib_umem_revocable *umem_revocable)
{
	struct ib_umem *umem = &umem_revocable->umem;

	ib_umem_revocable_assert_locked(umem_revocable);

	if (umem_revocable->revoked)
		return;
	umem_revocable->revoked = 1;

	/* No need for ops_lock: they are set under the lock that we hold */
	if (umem_revocable->ops)
		umem_revocable->ops->finish(umem_revocable->priv);
	ib_umem_release_pages(umem, umem_revocable->mapped);
	umem_revocable->mapped = 0;
	atomic64_sub(umem_revocable->npages, &umem->owning_mm->pinned_vm);
}

static void ib_umem_pin_start(struct pfn_pin *pin)
{
	struct ib_umem_revocable *umem_revocable = pin_to_umem(pin);
	const struct ib_umem_revoke_ops *ops;
	bool first;

	/* The first pin acts for all */
	spin_lock(&umem_revocable->ops_lock);
	first = !umem_revocable->started;
	umem_revocable->started = true;
	ops = umem_revocable->ops;
	spin_unlock(&umem_revocable->ops_lock);
	if (!first)
		return;

	/* Once set they stay, and release waits for us in pfn_pin_detach() */
	if (ops && ops->start)
		ops->start(umem_revocable->priv);
	/* Pairs with the finish of another pin */
	smp_store_release(&umem_revocable->start_done, true);
}

static void ib_umem_pin_finish(struct pfn_pin *pin)
{
	struct ib_umem_revocable *umem_revocable = pin_to_umem(pin);
	struct ib_mr *mr = NULL;

	/*
	 * Without a memory region the registration fails. If the release was
	 * first the memory region is being deregistered and nobody wants to
	 * know; otherwise it waits for us and keeps the memory region.
	 */
	mutex_lock(&umem_revocable->lock);
	if (!umem_revocable->revoked) {
		mr = umem_revocable->mr;
		/*
		 * The start of the first pin may be under way in another
		 * broadcast, and the driver not have heard of it.
		 */
		if (umem_revocable->ops && umem_revocable->ops->start &&
		    !smp_load_acquire(&umem_revocable->start_done))
			umem_revocable->ops->start(umem_revocable->priv);
	}
	ib_umem_revocable_end(umem_revocable);
	mutex_unlock(&umem_revocable->lock);

	if (mr)
		ib_mr_set_revoked(mr);
}

static const struct pfn_pin_ops ib_umem_pin_ops = {
	.name	= "ib_umem",
	.start	= ib_umem_pin_start,
	.finish	= ib_umem_pin_finish,
};

/* Before it is attached to the first piece, nobody uses the locks */
static struct ib_umem_pin *ib_umem_alloc_pin(struct ib_umem_revocable *umem_revocable)
{
	struct ib_umem_pin *pin;

	pin = kzalloc_obj(*pin, GFP_KERNEL_ACCOUNT);
	if (!pin)
		return NULL;

	pfn_pin_init(&pin->pin, &ib_umem_pin_ops);
	pin->umem_revocable = umem_revocable;
	if (!umem_revocable->pins) {
		mutex_init(&umem_revocable->lock);
		spin_lock_init(&umem_revocable->ops_lock);
	}
	return pin;
}

/* Takes over @nr pinned pages; @left more will follow */
static int ib_umem_add_pages(struct ib_umem_revocable *umem_revocable,
			     struct page **pages, unsigned int nr, size_t left)
{
	int err = 0;

	ib_umem_revocable_lock(umem_revocable);
	if (umem_revocable->revoked)
		err = -ENODEV;
	if (!err)
		err = ib_umem_append_pages(&umem_revocable->umem, pages, nr,
					   left);
	if (err)
		unpin_user_pages(pages, nr);
	ib_umem_revocable_unlock(umem_revocable);
	return err;
}

static int ib_umem_pin_pages(struct ib_umem_revocable *umem_revocable)
{
	const size_t batch = PAGE_SIZE / sizeof(struct page *);
	struct ib_umem *umem = &umem_revocable->umem;
	unsigned int gup_flags = umem->writable ? FOLL_WRITE : 0;
	unsigned long cur_base = umem->address & PAGE_MASK;
	size_t npages = umem_revocable->npages;
	struct ib_umem_pin *last, *spare = NULL;
	size_t ask = batch, asked;
	struct page **page_list;
	int pinned, ret = 0;

	page_list = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!page_list)
		return -ENOMEM;

	while (npages) {
		last = umem_revocable->pins;
		asked = min(npages, ask);

		cond_resched();
		pinned = pin_user_pages_revocable(cur_base, asked, gup_flags,
						  page_list,
						  last ? &last->pin : NULL,
						  spare ? &spare->pin : NULL);
		if (pinned == -ENOBUFS && !spare) {
			spare = ib_umem_alloc_pin(umem_revocable);
			if (spare)
				continue;
			pinned = -ENOMEM;
		}
		if (pinned < 0) {
			ret = pinned;
			break;
		}
		if (spare && pfn_pin_attached(&spare->pin)) {
			spare->next = last;
			umem_revocable->pins = spare;
			spare = NULL;
		}
		/* Small pieces are not worth many pages that are unpinned again */
		if (is_pci_p2pdma_page(page_list[0]))
			ask = pinned == asked ? min(ask * 2, batch) : 1;

		ret = ib_umem_add_pages(umem_revocable, page_list, pinned,
					npages - pinned);
		if (ret)
			break;
		cur_base += pinned * PAGE_SIZE;
		npages -= pinned;
	}

	kfree(spare);
	kfree(page_list);
	return ret;
}

/**
 * ib_umem_get_va_revocable_and_lock - Pin & map memory that may be revoked
 * @device: IB device.
 * @addr: Start address in the current process.
 * @size: Length in bytes.
 * @access: Access flags.
 *
 * As ib_umem_get_va(), for drivers that can make the device stop using a memory
 * region on demand. The memory may then be, or contain, P2PDMA memory (a mapping
 * of a PCI BAR made by p2pmem/allocate), which is revoked when the device that
 * owns it is unbound.
 *
 * Returns with the umem locked upon success, against revocations: if there can be
 * none no lock is taken. The driver builds its memory region, calls
 * ib_umem_revocable_set_ops_locked(), and unlocks with
 * ib_umem_revocable_unlock(). From then on the ops may be called at any time
 * before ib_umem_release() has returned. After a revocation the umem has no
 * pages: the driver must not look at its sg table without the lock.
 *
 * The driver must keep the key of a revoked memory region in use until it is
 * deregistered (ibv_dereg_mr()) and ib_umem_release() has returned, so that it
 * cannot reach another one. A dereg_mr() that fails leaves the umem alone. If it
 * fails to the last, when all that the owner had is destroyed, the memory is
 * revoked there and then, and the memory region stays behind without it.
 *
 * For memory regions only: queues, doorbells and the like cannot be revoked and
 * are for ib_umem_get_va().
 *
 * Context: process context, may sleep for as long as user space takes to
 * provide the pages; no lock is held that @ops take.
 * Return: A pointer to ib_umem_revocable on success, or an ERR_PTR on failure:
 * as ib_umem_get_va(), and -ENODEV if the memory was revoked meanwhile.
 */
struct ib_umem_revocable *
ib_umem_get_va_revocable_and_lock(struct ib_device *device, unsigned long addr,
				  size_t size, int access)
{
	struct ib_umem_revocable *umem_revocable;
	struct ib_umem *umem;
	int ret;

	umem_revocable = kzalloc_obj(*umem_revocable);
	if (!umem_revocable)
		return ERR_PTR(-ENOMEM);
	umem = &umem_revocable->umem;

	ret = ib_umem_init_va(umem, device, addr, size, access);
	if (ret) {
		kfree(umem_revocable);
		return ERR_PTR(ret);
	}
	umem->is_revocable = 1;
	umem_revocable->npages = ib_umem_num_pages(umem);

	ret = ib_umem_pin_pages(umem_revocable);
	if (ret)
		goto err_release;

	ib_umem_revocable_lock(umem_revocable);
	ret = -ENODEV;
	if (umem_revocable->revoked)
		goto err_unlock;
	ret = ib_dma_map_sgtable_attrs(device, &umem->sgt_append.sgt,
				       DMA_BIDIRECTIONAL, umem->dma_attrs);
	if (ret)
		goto err_unlock;
	umem_revocable->mapped = 1;
	return umem_revocable;

err_unlock:
	ib_umem_revocable_unlock(umem_revocable);
err_release:
	ib_umem_release(umem);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL(ib_umem_get_va_revocable_and_lock);

static void ib_umem_revocable_set_ops(struct ib_umem_revocable *umem_revocable,
				      const struct ib_umem_revoke_ops *ops,
				      struct ib_mr *mr, void *priv)
{
	umem_revocable->mr = mr;
	umem_revocable->priv = priv;
	umem_revocable->ops = ops;
}

/**
 * ib_umem_revocable_set_ops_locked - Say how the memory region is revoked
 * @umem_revocable: From ib_umem_get_va_revocable_and_lock(), still locked.
 * @ops: The driver's callbacks, see struct ib_umem_revoke_ops.
 * @mr: The memory region, with its keys; kept until ib_umem_release().
 * @priv: Handed to @ops.
 *
 * To be called once, when the driver is ready to be called.
 *
 * Return: 0, -ENODEV if the revocation has begun, or -EOPNOTSUPP if the umem can
 * be revoked and is to replace another one of @mr, whose owner would not be
 * notified. On failure neither callback will be called, and the driver takes its
 * memory region down again, unlocks, and releases the umem.
 */
int ib_umem_revocable_set_ops_locked(struct ib_umem_revocable *umem_revocable,
				     const struct ib_umem_revoke_ops *ops,
				     struct ib_mr *mr, void *priv)
{
	int ret = 0;

	ib_umem_revocable_assert_locked(umem_revocable);

	if (!umem_revocable->pins) {
		ib_umem_revocable_set_ops(umem_revocable, ops, mr, priv);
		return 0;
	}
	/* Set when the driver's reg_user_mr() has returned */
	if (mr->uobject)
		return -EOPNOTSUPP;

	spin_lock(&umem_revocable->ops_lock);
	if (umem_revocable->started) {
		ret = -ENODEV;
	} else {
		mr->revocable = umem_revocable;
		ib_umem_revocable_set_ops(umem_revocable, ops, mr, priv);
	}
	spin_unlock(&umem_revocable->ops_lock);
	return ret;
}
EXPORT_SYMBOL(ib_umem_revocable_set_ops_locked);

/**
 * ib_umem_revocable_unlock - Let revocations proceed
 * @umem_revocable: From ib_umem_get_va_revocable_and_lock().
 */
void ib_umem_revocable_unlock(struct ib_umem_revocable *umem_revocable)
{
	if (umem_revocable->pins)
		mutex_unlock(&umem_revocable->lock);
}
EXPORT_SYMBOL(ib_umem_revocable_unlock);

/* For rereg_mr: a revoked memory region does not come back */
bool ib_umem_revocable_is_revoked(struct ib_umem_revocable *umem_revocable)
{
	bool ret;

	ib_umem_revocable_lock(umem_revocable);
	ret = umem_revocable->revoked;
	ib_umem_revocable_unlock(umem_revocable);
	return ret;
}

/* Without the lock: this waits for callbacks, and they take it */
static void ib_umem_free_pins(struct ib_umem_revocable *umem_revocable)
{
	struct ib_umem_pin *pin, *next;

	if (!umem_revocable->pins)
		return;
	for (pin = umem_revocable->pins; pin; pin = next) {
		next = pin->next;
		pfn_pin_detach(&pin->pin);
		kfree(pin);
	}
	umem_revocable->pins = NULL;
	mutex_destroy(&umem_revocable->lock);
}

void ib_umem_revocable_release(struct ib_umem_revocable *umem_revocable)
{
	ib_umem_revocable_lock(umem_revocable);
	ib_umem_revocable_end(umem_revocable);
	ib_umem_revocable_unlock(umem_revocable);

	ib_umem_free_pins(umem_revocable);
	mmdrop(umem_revocable->umem.owning_mm);
	kfree(umem_revocable);
}

/*
 * The driver could not deregister a memory region, and its owner is gone. The
 * region stays behind, its memory must not: there is nobody left to give it back
 * or to be notified, and the device may go before the provider of the memory. So
 * this is the revocation; one under way is waited for, and none comes any more.
 */
void ib_umem_revocable_abandon(struct ib_umem_revocable *umem_revocable)
{
	if (umem_revocable->ops->start)
		umem_revocable->ops->start(umem_revocable->priv);

	ib_umem_revocable_lock(umem_revocable);
	ib_umem_revocable_end(umem_revocable);
	ib_umem_revocable_unlock(umem_revocable);

	/* Should the driver release it after all, there is nothing left to do */
	ib_umem_free_pins(umem_revocable);
}
