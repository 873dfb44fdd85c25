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
 *	[pin a batch]
 *	lock				start: remember it
 *	 revoked? unpin, -ENODEV	 ops set? tell the driver
 *	 attach, refused? unpin		lock
 *	 add the batch			 ops set? driver finishes
 *	unlock				 unmap, unpin, uncharge
 *	... next batch, then map	 revoked
 *	lock				unlock
 *	 driver builds its region	... then the owner is told
 *	 set ops, started? -ENODEV
 *	unlock
 *
 * The lock is not held while a batch is pinned: that may take as long as user
 * space likes, and batches pinned before must be revocable meanwhile. Between
 * a batch of P2PDMA pages and its attach nothing waits but for this lock and
 * for memory.
 *
 * A umem without a pin cannot be revoked. Those who register, change and release
 * a memory region exclude each other (by the lock of its uobject), so that none
 * of the locks is taken, and ordinary memory does not pay for them. The pin comes
 * during the registration, by the thread itself and with the locks free, before
 * anything is attached; it goes with the umem.
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

static void ib_umem_revocable_lock(struct ib_umem_revocable *umem_revocable)
{
	if (umem_revocable->pin)
		mutex_lock(&umem_revocable->lock);
}

static void ib_umem_revocable_assert_locked(struct ib_umem_revocable *umem_revocable)
{
	if (umem_revocable->pin)
		lockdep_assert_held(&umem_revocable->lock);
}

static void ib_umem_revocable_let_go(struct ib_umem_revocable *umem_revocable)
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

static void ib_umem_pin_start(void *priv)
{
	struct ib_umem_revocable *umem_revocable = priv;
	const struct ib_umem_revoke_ops *ops;

	spin_lock(&umem_revocable->ops_lock);
	umem_revocable->started = true;
	ops = umem_revocable->ops;
	spin_unlock(&umem_revocable->ops_lock);

	/* Once set they stay, and release waits for us in pfn_pin_detach() */
	if (ops && ops->start)
		ops->start(umem_revocable->priv);
}

static void ib_umem_pin_finish(void *priv)
{
	struct ib_umem_revocable *umem_revocable = priv;
	struct ib_mr *mr = NULL;

	/*
	 * Without a memory region the registration fails. If the release was
	 * first the memory region is being deregistered and nobody wants to
	 * know; otherwise it waits for us and keeps the memory region.
	 */
	mutex_lock(&umem_revocable->lock);
	if (!umem_revocable->revoked)
		mr = umem_revocable->mr;
	ib_umem_revocable_let_go(umem_revocable);
	mutex_unlock(&umem_revocable->lock);

	if (mr)
		ib_mr_set_revoked(mr);
}

static const struct pfn_pin_ops ib_umem_pin_ops = {
	.name	= "ib_umem",
	.start	= ib_umem_pin_start,
	.finish	= ib_umem_pin_finish,
};

static int ib_umem_attach_pages(struct ib_umem_revocable *umem_revocable,
				struct page **pages, unsigned int nr, u64 gen)
{
	unsigned int i = 0;

	while (i < nr) {
		unsigned long first = page_to_pfn(pages[i]);
		unsigned long last = first;
		int err;

		while (++i < nr && page_to_pfn(pages[i]) == last + 1)
			last++;
		err = pfn_pin_attach(umem_revocable->pin, first, last, gen);
		if (err)
			return err;
	}
	return 0;
}

/*
 * A cgroup may throttle the allocation, and user space sets that, so there must
 * be no pages in hand when it waits. -EAGAIN: they have been unpinned and are to
 * be pinned again.
 */
static int ib_umem_alloc_pin(struct ib_umem_revocable *umem_revocable,
			     struct page **pages, unsigned int nr)
{
	struct pfn_pin *pin;
	int err = 0;

	pin = pfn_pin_alloc(&ib_umem_pin_ops, umem_revocable, GFP_NOWAIT);
	if (IS_ERR(pin)) {
		unpin_user_pages(pages, nr);
		pin = pfn_pin_alloc(&ib_umem_pin_ops, umem_revocable,
				    GFP_KERNEL);
		if (IS_ERR(pin))
			return PTR_ERR(pin);
		err = -EAGAIN;
	}
	mutex_init(&umem_revocable->lock);
	spin_lock_init(&umem_revocable->ops_lock);
	umem_revocable->pin = pin;
	return err;
}

/*
 * Takes over @nr pinned pages; @left more will follow. -EAGAIN: they have been
 * unpinned and are to be pinned again.
 */
static int ib_umem_add_pages(struct ib_umem_revocable *umem_revocable,
			     struct page **pages, unsigned int nr, size_t left,
			     u64 gen)
{
	bool attach = is_pci_p2pdma_page(pages[0]);
	int err = 0;

	if (attach && !umem_revocable->pin) {
		err = ib_umem_alloc_pin(umem_revocable, pages, nr);
		if (err)
			return err;
	}

	ib_umem_revocable_lock(umem_revocable);
	if (umem_revocable->revoked)
		err = -ENODEV;
	if (!err && attach)
		err = ib_umem_attach_pages(umem_revocable, pages, nr, gen);
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
	struct page **page_list;
	int pinned, ret = 0;

	page_list = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!page_list)
		return -ENOMEM;

	while (npages) {
		u64 gen = pfn_pin_begin();

		cond_resched();
		pinned = pin_user_pages_revocable(cur_base, min(npages, batch),
						  gup_flags, page_list);
		if (pinned < 0) {
			ret = pinned;
			break;
		}
		ret = ib_umem_add_pages(umem_revocable, page_list, pinned,
					npages - pinned, gen);
		if (ret == -EAGAIN)
			continue;
		if (ret)
			break;
		cur_base += pinned * PAGE_SIZE;
		npages -= pinned;
	}

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
 * cannot reach another one. It may refuse to deregister one that is in use, but not
 * to the last, when all that its owner had is destroyed: a revocation would find
 * the owner gone.
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
 * Return: 0, or -ENODEV if the revocation has begun: then neither callback will
 * be called, and the driver takes its memory region down again, unlocks, and
 * releases the umem.
 */
int ib_umem_revocable_set_ops_locked(struct ib_umem_revocable *umem_revocable,
				     const struct ib_umem_revoke_ops *ops,
				     struct ib_mr *mr, void *priv)
{
	int ret = 0;

	ib_umem_revocable_assert_locked(umem_revocable);

	if (!umem_revocable->pin) {
		ib_umem_revocable_set_ops(umem_revocable, ops, mr, priv);
		return 0;
	}

	spin_lock(&umem_revocable->ops_lock);
	if (umem_revocable->started) {
		ret = -ENODEV;
	} else {
		mr->revocable = true;
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
	if (umem_revocable->pin)
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

void ib_umem_revocable_release(struct ib_umem_revocable *umem_revocable)
{
	ib_umem_revocable_lock(umem_revocable);
	ib_umem_revocable_let_go(umem_revocable);
	ib_umem_revocable_unlock(umem_revocable);

	/* Without the lock: it waits for callbacks, and they take it */
	if (umem_revocable->pin) {
		pfn_pin_detach(umem_revocable->pin);
		mutex_destroy(&umem_revocable->lock);
	}
	mmdrop(umem_revocable->umem.owning_mm);
	kfree(umem_revocable);
}
