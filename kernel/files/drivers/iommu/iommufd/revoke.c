// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that can be revoked.
 *
 * P2PDMA memory belongs to a PCI device and goes away with the device, whatever
 * is mapped here. It has a provider (see mm/pfn_revoke.c), is attached there
 * when it is pinned for a domain, and is not handled like ordinary memory but
 * in runs:
 *
 * run	a stretch of an iopt_pages that is contiguous in index and PFN and of one
 *	provider, with a pin of its own: revoking a part of it takes all of it,
 *	and nothing else. The run stores its PFNs. It is mapped by iommu_map()
 *	calls of its own, so that no IOMMU page reaches across its borders, and
 *	no domain is ever asked for its PFNs: a hole would be taken for PFN 0.
 * map	says how much of an area a domain has: the live runs in [first, end).
 *
 * Everything between the runs of an iopt_pages is ordinary memory, for which
 * nothing changes.
 *
 *		 pin, attach		     let go
 *	(spare) -------------> live ----------------------> hole
 *				 | no area covers it	     | iopt_pages
 *				 v			     v goes
 *				 +----------> freed <--------+
 *
 * "let go" is entered once, from the revocation or when the run is freed: it is
 * unmapped through all maps, the IOTLBs are synced (both by iommu_unmap()), and
 * only then its pages are unpinned. Nothing leads back. A live run stays for as
 * long as an area in domains_itree covers any of it; afterwards the next look-up
 * starts from the user pointer again. One that was revoked stays for as long as
 * the iopt_pages: an unmap reports its full size, and a new domain or a copy
 * gets the hole, also when there was no domain in between. What is at its
 * address by then is not what user space asked to map.
 *
 * Locks
 * -----
 * pages->mutex is held while user pages are pinned, for as long as user space
 * takes, and iova_rwsem and domains_rwsem are held around it. None of them may
 * hold up a revocation. So
 *
 *	pages->mutex		who makes, maps, unmaps, splits, frees
 *	 iopt->p2p_lock		groups and maps of an iopt, see below
 *	  pages->revoke_lock	the trees of runs and maps, and what is in them
 *
 * The callback takes revoke_lock only. Whoever holds it waits for memory, for
 * the IOMMU and for the group mutex, but not for user space, and does not detach
 * a pin. For a large run it is held for a chunk at a time while mapping, since
 * the cgroup to which page tables are charged may slow us down. Batches that
 * were pinned remotely are mapped with the mmap_lock of the source held, so all
 * of this is inside of it; callbacks do not take it. The trees are changed under
 * pages->mutex and revoke_lock and are read under either; that a run was let go
 * is written, and read, under revoke_lock alone.
 *
 *	map, new domain, copy		revocation
 *	---------------------		----------
 *	[pin a batch, attach it]
 *	 lock				lock
 *	  let go? unpin, -ENODEV	 unmap [first, end) in every map
 *	  add to run			 unpin
 *	 unlock				 let go
 *	[next batch]
 *	 lock				unlock
 *	  let go? skip it
 *	  iommu_map() of a chunk
 *	  move map->end
 *	 unlock
 *	[next chunk, next domain]
 *
 *	unmap, domain removed		revocation
 *	---------------------		----------
 *	 lock				(as above: it finds a run in a map or
 *	  not let go? unmap it		 does not, never half of it)
 *	  move map->first
 *	 unlock
 *	[next run; then the map goes]
 *	 no area left? let go, free
 *
 * The attach decides: it fails with -ENODEV if the memory is revoked already,
 * and the mapping fails; what is revoked later is a hole in a mapping that
 * succeeds, also if that is before the mapping is complete. The revocation can
 * come between the attach and the lock, and finds what was added by then.
 *
 * Who may reach it
 * ----------------
 * All devices of the groups that are attached to an IOAS, by the rules of
 * pci_p2pdma. Groups join iopt->p2p_groups before they are attached, runs are
 * checked when they are mapped, and the two meet under p2p_lock: a group that
 * joins checks the runs of all maps of the iopt, mapped yet or not, and who
 * mapped before it joined had a map by then.
 *
 * What is refused, and what is not covered
 * ----------------------------------------
 * In-kernel accesses cannot give pages back on demand, or copy with the CPU, so
 * they do not ask for P2PDMA memory when they pin, and are refused where a run
 * is. A copy through the page tables of the process itself pins nothing, and is
 * not refused while no domain has made it a run. A domain without an IOMMU
 * tells user space physical addresses, which nobody can take back: refused as
 * well. Dirty tracking leaves the runs out, since their page tables can go under
 * its feet: iova_rwsem, which it holds, is not for the callback. The memory of a
 * device is not migrated.
 *
 * VM_PFNMAP memory is not taken by iommufd at all, and dma-bufs are revoked by
 * their exporter (iopt_revoke_notify()).
 *
 * Accounting: runs are neither charged to locked_vm nor counted as pinned. They
 * are no memory that the system could use otherwise, and both need locks that a
 * revocation must not take.
 *
 * A run stays pinned until all of it is unmapped, even if areas were split or
 * copied and only a part is still in use.
 */
#include <linux/iommu.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pci-p2pdma.h>
#include <linux/pfn_revoke.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "io_pagetable.h"

/* A group that is attached to an iopt */
struct iopt_p2p_group {
	struct list_head elm;		/* iopt->p2p_groups */
	struct iommu_group *group;
	unsigned int users;
};

static struct iopt_run *to_run(struct interval_tree_node *node)
{
	return node ? container_of(node, struct iopt_run, node) : NULL;
}

static struct iopt_run_map *to_run_map(struct interval_tree_node *node)
{
	return node ? container_of(node, struct iopt_run_map, node) : NULL;
}

/**
 * iopt_pages_find_run() - Find memory that can be revoked
 * @pages: The pages to search
 * @first: First page index
 * @last: Inclusive last page index
 *
 * The caller holds pages->mutex or pages->revoke_lock. Returns the run with the
 * lowest index in the range, which may begin before @first.
 */
struct iopt_run *iopt_pages_find_run(struct iopt_pages *pages,
				     unsigned long first, unsigned long last)
{
	return to_run(interval_tree_iter_first(&pages->runs, first, last));
}

static struct iopt_run *iopt_run_next(struct iopt_run *run, unsigned long first,
				      unsigned long last)
{
	return to_run(interval_tree_iter_next(&run->node, first, last));
}

unsigned long iopt_run_index(struct iopt_run *run)
{
	return run->node.start;
}

unsigned long iopt_run_last_index(struct iopt_run *run)
{
	return run->node.last;
}

/**
 * iopt_pages_has_runs() - Say whether there is memory that can be revoked
 * @pages: The pages to search
 * @first: First page index
 * @last: Inclusive last page index
 *
 * The answer stays true for a range that an area in domains_itree covers.
 */
bool iopt_pages_has_runs(struct iopt_pages *pages, unsigned long first,
			 unsigned long last)
{
	/* Spares the lock, as almost always */
	if (RB_EMPTY_ROOT(&pages->runs.rb_root))
		return false;

	guard(mutex)(&pages->revoke_lock);
	return iopt_pages_find_run(pages, first, last);
}

/**
 * iopt_pages_next_ordinary() - Find the next stretch between the runs
 * @pages: The pages to search
 * @first: Where to begin, and where the stretch begins
 * @stretch_last: Where the stretch ends, inclusive
 * @last: Where the search ends, inclusive
 *
 * Returns false if there is none up to @last.
 */
bool iopt_pages_next_ordinary(struct iopt_pages *pages, unsigned long *first,
			      unsigned long *stretch_last, unsigned long last)
{
	struct iopt_run *run;

	*stretch_last = last;
	if (*first > last)
		return false;
	if (RB_EMPTY_ROOT(&pages->runs.rb_root))
		return true;

	guard(mutex)(&pages->revoke_lock);
	while ((run = iopt_pages_find_run(pages, *first, last))) {
		if (iopt_run_index(run) > *first) {
			*stretch_last = iopt_run_index(run) - 1;
			return true;
		}
		*first = iopt_run_last_index(run) + 1;
		if (*first > last)
			return false;
	}
	return true;
}

/* Make and free runs */

static unsigned long iopt_run_npages(struct iopt_run *run)
{
	return iopt_run_last_index(run) - iopt_run_index(run) + 1;
}

/* Unmaps what @map has of @run, and syncs the IOTLB */
static void iopt_run_unmap(struct iopt_run *run, struct iopt_run_map *map)
{
	unsigned long first = max(iopt_run_index(run), map->first);
	unsigned long end = min(iopt_run_last_index(run) + 1, map->end);

	lockdep_assert_held(&run->pages->revoke_lock);

	if (first < end && !run->let_go)
		iopt_area_unmap_domain_range(map->area, map->domain, first,
					     end - 1);
}

/* Says whether it was live */
static bool iopt_run_let_go(struct iopt_run *run)
{
	struct iopt_pages *pages = run->pages;
	struct interval_tree_node *node;
	unsigned long done, nr;

	lockdep_assert_held(&pages->revoke_lock);

	if (run->let_go)
		return false;
	/* Attached, and not added yet */
	if (RB_EMPTY_NODE(&run->node.rb)) {
		run->let_go = true;
		return false;
	}

	for (node = interval_tree_iter_first(&pages->run_maps, run->node.start,
					     run->node.last);
	     node; node = interval_tree_iter_next(node, run->node.start,
						  run->node.last))
		iopt_run_unmap(run, to_run_map(node));
	run->let_go = true;

	/* There is no backing store to write dirty pages to */
	for (done = 0; done < iopt_run_npages(run); done += nr) {
		nr = min_t(unsigned long, iopt_run_npages(run) - done,
			   SZ_64M >> PAGE_SHIFT);
		unpin_user_page_range_dirty_lock(pfn_to_page(run->pfn + done),
						 nr, false);
		cond_resched();
	}
	return true;
}

static void iopt_run_finish(struct pfn_pin *pin)
{
	struct iopt_run *run = container_of(pin, struct iopt_run, pin);

	guard(mutex)(&run->pages->revoke_lock);
	if (iopt_run_let_go(run))
		iopt_run_tell(run);
}

/*
 * No start(): there is nothing to set going beforehand, unmapping is the fence
 * and is synchronous.
 */
static const struct pfn_pin_ops iopt_run_ops = {
	.name	= "iommufd",
	.finish	= iopt_run_finish,
};

/**
 * iopt_run_alloc() - Make a spare run for iopt_pages_add_run()
 * @pages: The pages that it is for
 */
struct iopt_run *iopt_run_alloc(struct iopt_pages *pages)
{
	struct iopt_run *run;

	run = kzalloc_obj(*run, GFP_KERNEL_ACCOUNT);
	if (!run)
		return NULL;

	pfn_pin_init(&run->pin, &iopt_run_ops);
	RB_CLEAR_NODE(&run->node.rb);
	run->pages = pages;
	return run;
}

/**
 * iopt_run_free() - Free a run that is not in use, or not any more
 * @run: The run, or NULL
 *
 * Without revoke_lock: waits for the callback.
 */
void iopt_run_free(struct iopt_run *run)
{
	if (!run)
		return;

	pfn_pin_detach(&run->pin);
	kfree(run);
}

/**
 * iopt_run_grows() - Say which pin may grow by the page at @index
 * @run: The last run that was added, or NULL
 * @index: Page index
 */
struct pfn_pin *iopt_run_grows(struct iopt_run *run, unsigned long index)
{
	return run && iopt_run_last_index(run) + 1 == index ? &run->pin : NULL;
}

/**
 * iopt_pages_add_run() - Take over P2PDMA pages that were pinned and attached
 * @pages: The pages that they are part of
 * @grow: The last run that was added, or NULL
 * @spare: A spare run, or NULL
 * @index: Index of the first page
 * @list: The pages, which are contiguous
 * @npages: Number of pages
 *
 * They are in *@grow then, which is *@spare if its pin was attached. Returns
 * -ENODEV if they were revoked meanwhile; then they are unpinned.
 */
int iopt_pages_add_run(struct iopt_pages *pages, struct iopt_run **grow,
		       struct iopt_run **spare, unsigned long index,
		       struct page **list, unsigned long npages)
{
	bool new = *spare && pfn_pin_attached(&(*spare)->pin);
	struct iopt_run *run = new ? *spare : *grow;
	int rc = 0;

	lockdep_assert_held(&pages->mutex);

	mutex_lock(&pages->revoke_lock);
	if (run->let_go) {
		rc = -ENODEV;
	} else {
		if (new) {
			run->node.start = index;
			run->pfn = page_to_pfn(list[0]);
			*grow = run;
			*spare = NULL;
		} else {
			interval_tree_remove(&run->node, &pages->runs);
		}
		run->node.last = index + npages - 1;
		interval_tree_insert(&run->node, &pages->runs);
	}
	mutex_unlock(&pages->revoke_lock);

	if (rc)
		unpin_user_pages(list, npages);
	return rc;
}

/**
 * iopt_pages_drop_runs() - Free the live runs that no area covers
 * @pages: The pages to act on
 * @first: First page index
 * @last: Inclusive last page index
 *
 * Called when an area was unmapped, or could not be mapped. Without mmap_lock:
 * waits for callbacks.
 */
void iopt_pages_drop_runs(struct iopt_pages *pages, unsigned long first,
			  unsigned long last)
{
	struct iopt_run *run, *next;

	lockdep_assert_held(&pages->mutex);

	for (run = iopt_pages_find_run(pages, first, last); run; run = next) {
		next = iopt_run_next(run, first, last);
		if (interval_tree_iter_first(&pages->domains_itree,
					     iopt_run_index(run),
					     iopt_run_last_index(run)))
			continue;

		mutex_lock(&pages->revoke_lock);
		/* Revoked: stays a hole for whoever comes later */
		if (run->let_go) {
			mutex_unlock(&pages->revoke_lock);
			continue;
		}
		iopt_run_let_go(run);
		interval_tree_remove(&run->node, &pages->runs);
		mutex_unlock(&pages->revoke_lock);
		iopt_run_free(run);
		cond_resched();
	}
}

/**
 * iopt_pages_free_runs() - Free the holes that are left
 * @pages: The pages, which nobody uses any more
 *
 * Waits for callbacks.
 */
void iopt_pages_free_runs(struct iopt_pages *pages)
{
	struct iopt_run *run;

	while ((run = iopt_pages_find_run(pages, 0, ULONG_MAX))) {
		mutex_lock(&pages->revoke_lock);
		WARN_ON(!run->let_go);
		iopt_run_let_go(run);
		interval_tree_remove(&run->node, &pages->runs);
		mutex_unlock(&pages->revoke_lock);
		iopt_run_free(run);
	}
}

/* Who may reach them */

/*
 * The rules of dma_map_sg(), with one difference: a device that reaches its peer
 * by bus addresses, through a switch, is refused. The device is going to use an
 * IOVA, which the switch does not know, and whether the root complex would send
 * the request back to where it came from was not checked.
 */
static int iopt_check_p2pdma(struct device *dev, void *page)
{
	struct pci_p2pdma_map_state state = {};

	switch (pci_p2pdma_state(&state, dev, page)) {
	case PCI_P2PDMA_MAP_NONE:
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		return 0;
	default:
		return -EREMOTEIO;
	}
}

static int iopt_pages_check_group(struct iopt_pages *pages, unsigned long first,
				  unsigned long last, struct iommu_group *group)
{
	struct iopt_run *run;
	int rc;

	/* The pages are there for as long as the run is live */
	guard(mutex)(&pages->revoke_lock);
	for (run = iopt_pages_find_run(pages, first, last); run;
	     run = iopt_run_next(run, first, last)) {
		if (run->let_go)
			continue;
		rc = iommu_group_for_each_dev(group, pfn_to_page(run->pfn),
					      iopt_check_p2pdma);
		if (rc)
			return rc;
	}
	return 0;
}

static int iopt_area_check_runs(struct iopt_area *area,
				struct iopt_pages *pages,
				struct iommu_domain *domain,
				unsigned long first, unsigned long last)
{
	struct io_pagetable *iopt = area->iopt;
	struct iopt_p2p_group *group;
	int rc;

	/* Holes as well: they have no physical address to tell */
	if (IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU) &&
	    domain->owner == &iommufd_noiommu_ops)
		return -EREMOTEIO;

	guard(mutex)(&iopt->p2p_lock);
	list_for_each_entry(group, &iopt->p2p_groups, elm) {
		rc = iopt_pages_check_group(pages, first, last, group->group);
		if (rc)
			return rc;
	}
	return 0;
}

static int iopt_check_group(struct io_pagetable *iopt,
			    struct iommu_group *group)
{
	struct iopt_run_map *map;
	int rc;

	lockdep_assert_held(&iopt->p2p_lock);

	list_for_each_entry(map, &iopt->run_maps, elm) {
		rc = iopt_pages_check_group(map->pages, map->node.start,
					    map->node.last, group);
		if (rc)
			return rc;
	}
	return 0;
}

static struct iopt_p2p_group *iopt_find_group(struct io_pagetable *iopt,
					      struct iommu_group *group)
{
	struct iopt_p2p_group *cur;

	list_for_each_entry(cur, &iopt->p2p_groups, elm)
		if (cur->group == group)
			return cur;
	return NULL;
}

/**
 * iopt_table_add_group() - A group is going to be attached to a domain
 * @iopt: The io_pagetable of the domain
 * @group: The group, which stays until iopt_table_remove_group()
 *
 * Returns -EREMOTEIO if it cannot reach P2PDMA memory that is mapped.
 */
int iopt_table_add_group(struct io_pagetable *iopt, struct iommu_group *group)
{
	struct iopt_p2p_group *new, *cur;
	int rc;

	if (!IS_ENABLED(CONFIG_PFN_REVOKE) || !group)
		return 0;

	new = kzalloc_obj(*new);
	if (!new)
		return -ENOMEM;
	new->group = group;
	new->users = 1;

	guard(mutex)(&iopt->p2p_lock);
	cur = iopt_find_group(iopt, group);
	if (cur) {
		cur->users++;
		kfree(new);
		return 0;
	}

	rc = iopt_check_group(iopt, group);
	if (rc) {
		kfree(new);
		return rc;
	}
	list_add_tail(&new->elm, &iopt->p2p_groups);
	return 0;
}

/**
 * iopt_table_check_group() - A device joins a group that is attached
 * @iopt: The io_pagetable of the domain
 * @group: The group, for which iopt_table_add_group() was called
 *
 * Returns -EREMOTEIO if one of the group cannot reach P2PDMA memory that is
 * mapped.
 */
int iopt_table_check_group(struct io_pagetable *iopt, struct iommu_group *group)
{
	if (!IS_ENABLED(CONFIG_PFN_REVOKE) || !group)
		return 0;

	guard(mutex)(&iopt->p2p_lock);
	return iopt_check_group(iopt, group);
}

/**
 * iopt_table_remove_group() - Undo iopt_table_add_group()
 * @iopt: The io_pagetable
 * @group: The group
 */
void iopt_table_remove_group(struct io_pagetable *iopt,
			     struct iommu_group *group)
{
	struct iopt_p2p_group *cur;

	if (!IS_ENABLED(CONFIG_PFN_REVOKE) || !group)
		return;

	guard(mutex)(&iopt->p2p_lock);
	cur = iopt_find_group(iopt, group);
	if (WARN_ON(!cur) || --cur->users)
		return;
	list_del(&cur->elm);
	kfree(cur);
}

/* Map and unmap runs */

static struct iopt_run_map *iopt_find_map(struct iopt_pages *pages,
					  struct iopt_area *area,
					  struct iommu_domain *domain)
{
	unsigned long first = iopt_area_index(area);
	unsigned long last = iopt_area_last_index(area);
	struct interval_tree_node *node;

	for (node = interval_tree_iter_first(&pages->run_maps, first, last);
	     node; node = interval_tree_iter_next(node, first, last)) {
		struct iopt_run_map *map = to_run_map(node);

		if (map->area == area && (!domain || map->domain == domain))
			return map;
	}
	return NULL;
}

static void iopt_map_set_area(struct iopt_run_map *map, struct iopt_area *area)
{
	map->area = area;
	map->node.start = iopt_area_index(area);
	map->node.last = iopt_area_last_index(area);
}

static struct iopt_run_map *iopt_get_map(struct iopt_pages *pages,
					 struct iopt_area *area,
					 struct iommu_domain *domain)
{
	struct iopt_run_map *map;

	map = iopt_find_map(pages, area, domain);
	if (map)
		return map;

	map = kzalloc_obj(*map, GFP_KERNEL_ACCOUNT);
	if (!map)
		return ERR_PTR(-ENOMEM);
	iopt_map_set_area(map, area);
	map->pages = pages;
	map->domain = domain;
	map->first = iopt_area_index(area);
	map->end = map->first;

	guard(mutex)(&area->iopt->p2p_lock);
	guard(mutex)(&pages->revoke_lock);
	list_add_tail(&map->elm, &area->iopt->run_maps);
	interval_tree_insert(&map->node, &pages->run_maps);
	return map;
}

/*
 * How much to map at a time: as large as IOMMU pages can be, and else so much
 * that it needs few page tables. They are charged to a cgroup, and user space
 * can have it make us wait for seconds every now and then.
 */
static size_t iopt_chunk_size(struct iopt_run_map *map, unsigned long iova,
			      phys_addr_t phys, size_t left)
{
	unsigned long sizes = map->domain->pgsize_bitmap;
	unsigned long align = iova | phys;
	size_t chunk = SZ_64M;

	if (map->area->iopt->disable_large_pages) {
		chunk = SZ_2M;
	} else {
		sizes &= GENMASK(__fls(left), 0);
		if (align)
			sizes &= GENMASK(__ffs(align), 0);
		if (sizes >= SZ_64M)
			return BIT(__fls(sizes));
	}
	/* Up to where the next chunk may be better aligned */
	return min_t(size_t, left, chunk - (iova & (chunk - 1)));
}

/* Maps the run that @index is in, up to @last at most. Returns where it ends. */
static unsigned long iopt_run_map_chunk(struct iopt_run *run,
					struct iopt_run_map *map,
					unsigned long index, unsigned long last,
					int *rc)
{
	struct iopt_area *area = map->area;
	unsigned long iova, iova_last, end;
	phys_addr_t phys;
	size_t len;

	last = min(last, iopt_run_last_index(run));
	if (run->let_go) {
		/* It may be that it had no map when it was */
		iopt_run_tell(run);
		return last + 1;
	}

	iova = iopt_area_index_to_iova(area, index);
	iova_last = iopt_area_index_to_iova_last(area, last);
	phys = PFN_PHYS(run->pfn + index - iopt_run_index(run));
	if (index == iopt_area_index(area))
		phys += area->page_offset;
	len = iopt_chunk_size(map, iova, phys, iova_last - iova + 1);
	end = last + 1;
	if (len <= iova_last - iova) {
		/* IOMMU pages may be smaller than ours: end where an index does */
		end = max(iopt_area_iova_to_index(area, iova + len), index + 1);
		if (end <= last)
			len = iopt_area_index_to_iova(area, end) - iova;
		else
			len = iova_last - iova + 1;
	}

	/* A device's memory: uncached, and not encrypted */
	*rc = iopt_area_map_range(area, map->domain, iova, phys, len,
				  (area->iommu_prot & ~IOMMU_CACHE) |
				  IOMMU_MMIO);
	return end;
}

/**
 * iopt_area_map_runs() - Map runs into a domain
 * @area: The area to map
 * @pages: The pages of the area
 * @domain: Where to map it
 * @first: First page index, in a run
 * @last: Inclusive last page index; there is nothing but runs up to it
 *
 * To be called in the order of indexes. Runs that were let go are skipped. What
 * is mapped after an error is undone by iopt_area_unmap_runs().
 */
int iopt_area_map_runs(struct iopt_area *area, struct iopt_pages *pages,
		       struct iommu_domain *domain, unsigned long first,
		       unsigned long last)
{
	struct iopt_run_map *map;
	unsigned long index, end;
	int rc;

	lockdep_assert_held(&pages->mutex);

	map = iopt_get_map(pages, area, domain);
	if (IS_ERR(map))
		return PTR_ERR(map);

	/* With the map in place, see above */
	rc = iopt_area_check_runs(area, pages, domain, first, last);

	for (index = first; !rc && index <= last; index = end) {
		mutex_lock(&pages->revoke_lock);
		end = iopt_run_map_chunk(iopt_pages_find_run(pages, index, index),
					 map, index, last, &rc);
		if (!rc)
			map->end = end;
		mutex_unlock(&pages->revoke_lock);
		cond_resched();
	}
	return rc;
}

/**
 * iopt_area_unmap_runs() - Unmap the runs of an area from a domain
 * @area: The area to unmap
 * @pages: The pages of the area
 * @domain: The domain
 *
 * All that is mapped, be it complete or not. The runs themselves stay, see
 * iopt_pages_drop_runs().
 */
void iopt_area_unmap_runs(struct iopt_area *area, struct iopt_pages *pages,
			  struct iommu_domain *domain)
{
	unsigned long last = iopt_area_last_index(area);
	struct iopt_run_map *map;
	struct iopt_run *run;

	lockdep_assert_held(&pages->mutex);

	map = iopt_find_map(pages, area, domain);
	if (!map)
		return;

	while (map->first < map->end &&
	       (run = iopt_pages_find_run(pages, map->first, last))) {
		mutex_lock(&pages->revoke_lock);
		iopt_run_unmap(run, map);
		map->first = iopt_run_last_index(run) + 1;
		mutex_unlock(&pages->revoke_lock);
		cond_resched();
	}

	mutex_lock(&area->iopt->p2p_lock);
	mutex_lock(&pages->revoke_lock);
	interval_tree_remove(&map->node, &pages->run_maps);
	list_del(&map->elm);
	mutex_unlock(&pages->revoke_lock);
	mutex_unlock(&area->iopt->p2p_lock);
	kfree(map);
}

/* Split areas: VFIO_TYPE1_IOMMU compatibility */

/**
 * iopt_area_split_prepare() - Allocate what iopt_area_split_runs() needs
 * @area: The area that will be split
 * @pages: The pages of the area
 * @spares: Empty list, to be given to iopt_area_split_runs() or
 *	    iopt_area_split_abort()
 */
int iopt_area_split_prepare(struct iopt_area *area, struct iopt_pages *pages,
			    struct list_head *spares)
{
	unsigned long first = iopt_area_index(area);
	unsigned long last = iopt_area_last_index(area);
	struct interval_tree_node *node;

	lockdep_assert_held(&pages->mutex);

	for (node = interval_tree_iter_first(&pages->run_maps, first, last);
	     node; node = interval_tree_iter_next(node, first, last)) {
		struct iopt_run_map *spare;

		if (to_run_map(node)->area != area)
			continue;
		spare = kzalloc_obj(*spare, GFP_KERNEL_ACCOUNT);
		if (!spare) {
			iopt_area_split_abort(spares);
			return -ENOMEM;
		}
		list_add(&spare->elm, spares);
	}
	return 0;
}

/**
 * iopt_area_split_abort() - Undo iopt_area_split_prepare()
 * @spares: The list
 */
void iopt_area_split_abort(struct list_head *spares)
{
	struct iopt_run_map *spare, *next;

	list_for_each_entry_safe(spare, next, spares, elm) {
		list_del(&spare->elm);
		kfree(spare);
	}
}

/**
 * iopt_area_split_runs() - Hand the maps of an area over to its two parts
 * @area: The area that is split, mapped with small pages
 * @pages: The pages of the area
 * @lhs: The part with the lower indexes
 * @rhs: The other part
 * @spares: From iopt_area_split_prepare()
 */
void iopt_area_split_runs(struct iopt_area *area, struct iopt_pages *pages,
			  struct iopt_area *lhs, struct iopt_area *rhs,
			  struct list_head *spares)
{
	struct iopt_run_map *map, *new;

	lockdep_assert_held(&pages->mutex);

	guard(mutex)(&area->iopt->p2p_lock);
	guard(mutex)(&pages->revoke_lock);
	while ((map = iopt_find_map(pages, area, NULL))) {
		new = list_first_entry(spares, struct iopt_run_map, elm);
		new->pages = pages;
		new->domain = map->domain;
		new->first = max(map->first, iopt_area_index(rhs));
		new->end = max(map->end, iopt_area_index(rhs));

		interval_tree_remove(&map->node, &pages->run_maps);
		iopt_map_set_area(map, lhs);
		map->end = min(map->end, iopt_area_last_index(lhs) + 1);
		interval_tree_insert(&map->node, &pages->run_maps);

		iopt_map_set_area(new, rhs);
		interval_tree_insert(&new->node, &pages->run_maps);
		list_move(&new->elm, &area->iopt->run_maps);
	}
}
