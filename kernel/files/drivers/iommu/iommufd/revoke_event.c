// SPDX-License-Identifier: GPL-2.0
/*
 * Tell user space which memory was revoked.
 *
 * The event is a hint and the holes are the state: runs that were let go stay
 * where they are until the range is unmapped (see revoke.c), and
 * IOMMU_IOAS_REVOKED_RANGES lists them. So there is nothing to queue, to lose, or
 * to allocate when memory goes, and all that is signalled is "look again".
 *
 * Who is told
 * -----------
 * The rule is that an IOAS is told when a hole is added to its list, except where
 * nothing could do DMA to it: an IOAS without a domain is not told of what dies.
 *
 * A run has a map for every area and domain that it is mapped through. When it
 * is revoked, the IOAS of each map is told, once, however many of the maps it
 * has: two domains, or two areas that are copies of each other. But not for an
 * area that is being mapped or copied yet. It is not in the list, and may never
 * be, as the call may fail; if it does not, the holes are told when it is done.
 * That is true also for holes that were there before the copy was begun.
 *
 *	MAP, copy			revocation
 *	---------			----------
 *	[make the map]
 *					 revoke_lock
 *					  let go, unpin
 *					  area without pages: not told
 *					 unlock
 *	 iova_rwsem
 *	  area has its pages
 *	  revoke_lock
 *	   holes? signal
 *	  unlock
 *					 revoke_lock
 *					  let go, unpin
 *					  area with pages: signal
 *					 unlock
 *	 unlock
 *
 * If the area gets its pages and a revocation comes before the holes are looked
 * for, both signal. That does not happen twice.
 *
 *	unmap, domain removed		revocation
 *	---------------------		----------
 *	[area without pages]
 *	 revoke_lock
 *	  unmap the run
 *	  map->first behind it
 *	 unlock
 *					 revoke_lock
 *					  let go, unpin
 *					  not in this map: not told
 *					 unlock
 *
 * The first domain of an IOAS makes runs where none were. Such a run may be
 * revoked when it is attached and before it has a map. Nobody is told then, and
 * "told" stays false, so that who makes the first map tells:
 *
 *	first domain			revocation
 *	------------			----------
 *	[attach, add run]
 *					 revoke_lock
 *					  let go, unpin
 *					  no map: told stays false
 *					 unlock
 *	[make the map]
 *	 revoke_lock
 *	  let go, not told: signal
 *	 unlock
 *	[a hole; the call succeeds]
 *
 * An event may be about a range that is unmapped before the list is read: then
 * it is not in the list.
 *
 * Locks
 * -----
 *	iopt->iova_rwsem	the list: areas that have their pages
 *	 pages->revoke_lock	holes, told
 *	  iopt_event_lock	io_pagetable::revoke_eventfd and ::event_walk
 *
 * A revocation begins with revoke_lock, and reads iopt_area::pages without
 * iova_rwsem: revoke_lock is taken after it was set, and orders the two.
 *
 * iopt_event_lock is one for all, since a revocation has to know which IOASs it
 * has told already, and others may be at work on the same ones. It is held while
 * the maps of one run are walked, as many as there are copies of it, and waits
 * for nothing: eventfd_signal() does not sleep. Whoever exchanges the eventfd
 * knows that the old one is not signalled any more when he has had the lock.
 */
#include <linux/eventfd.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "io_pagetable.h"

static DEFINE_MUTEX(iopt_event_lock);
static u64 iopt_event_walks;

static void iopt_signal(struct io_pagetable *iopt)
{
	lockdep_assert_held(&iopt_event_lock);

	if (iopt->revoke_eventfd)
		eventfd_signal(iopt->revoke_eventfd);
}

/**
 * iopt_run_tell() - Tell those who had it mapped that a run was revoked
 * @run: The run, which was let go by the revocation
 *
 * Once for a run, when there is somebody to tell for the first time.
 */
void iopt_run_tell(struct iopt_run *run)
{
	struct iopt_pages *pages = run->pages;
	struct interval_tree_node *node;

	lockdep_assert_held(&pages->revoke_lock);

	if (run->told)
		return;

	guard(mutex)(&iopt_event_lock);
	iopt_event_walks++;
	for (node = interval_tree_iter_first(&pages->run_maps, run->node.start,
					     run->node.last);
	     node; node = interval_tree_iter_next(node, run->node.start,
						  run->node.last)) {
		struct iopt_run_map *map =
			container_of(node, struct iopt_run_map, node);
		struct io_pagetable *iopt = map->area->iopt;

		/* Being mapped, or unmapped; or a domain goes that has not got it */
		if (!READ_ONCE(map->area->pages) || map->first > run->node.last)
			continue;

		run->told = true;
		if (iopt->event_walk == iopt_event_walks)
			continue;
		iopt->event_walk = iopt_event_walks;
		iopt_signal(iopt);
	}
}

/**
 * iopt_area_tell_holes() - Tell that an area has holes from the beginning
 * @area: The area, which was mapped and has its pages since right now
 *
 * Under iova_rwsem for writing, and under domains_rwsem: whether the area has a
 * domain does not change.
 */
void iopt_area_tell_holes(struct iopt_area *area)
{
	unsigned long last = iopt_area_last_index(area);
	unsigned long first = iopt_area_index(area);
	struct iopt_pages *pages = area->pages;
	struct interval_tree_node *node;
	bool holes = false;

	/* Spares the lock, as almost always */
	if (RB_EMPTY_ROOT(&pages->runs.rb_root))
		return;

	guard(mutex)(&pages->revoke_lock);
	for (node = interval_tree_iter_first(&pages->runs, first, last); node;
	     node = interval_tree_iter_next(node, first, last)) {
		struct iopt_run *run = container_of(node, struct iopt_run, node);

		if (!run->let_go)
			continue;
		/* Who makes the first map tells the others, see above */
		if (area->storage_domain)
			run->told = true;
		holes = true;
	}
	if (!holes)
		return;

	guard(mutex)(&iopt_event_lock);
	iopt_signal(area->iopt);
}

/**
 * iopt_set_revoke_eventfd() - Exchange the eventfd of an io_pagetable
 * @iopt: The io_pagetable
 * @fd: An eventfd, or -1 for none
 *
 * The one before is not signalled any more on return.
 */
int iopt_set_revoke_eventfd(struct io_pagetable *iopt, int fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd < -1)
		return -EINVAL;
	if (fd != -1) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}

	mutex_lock(&iopt_event_lock);
	swap(iopt->revoke_eventfd, ctx);
	mutex_unlock(&iopt_event_lock);

	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

/* Holes on their way to user space, merged where they touch */
struct iopt_holes {
	struct iommu_iova_range __user *ranges;
	u32 room;
	u32 count;			/* with @cur, also those without room */
	struct iommu_iova_range cur;	/* not written yet, if there are any */
};

static int iopt_holes_flush(struct iopt_holes *holes)
{
	if (!holes->count || holes->count > holes->room)
		return 0;
	if (copy_to_user(&holes->ranges[holes->count - 1], &holes->cur,
			 sizeof(holes->cur)))
		return -EFAULT;
	return 0;
}

static int iopt_holes_add(struct iopt_holes *holes, unsigned long iova,
			  unsigned long last_iova)
{
	int rc;

	if (holes->count && holes->cur.last + 1 == iova) {
		holes->cur.last = last_iova;
		return 0;
	}

	rc = iopt_holes_flush(holes);
	if (rc)
		return rc;
	holes->cur.start = iova;
	holes->cur.last = last_iova;
	holes->count++;
	return 0;
}

/* What is found under the lock may be gone behind it, as with all lists */
static bool iopt_pages_next_hole(struct iopt_pages *pages, unsigned long *first,
				 unsigned long *hole_last, unsigned long last)
{
	struct iopt_run *run;

	if (*first > last || RB_EMPTY_ROOT(&pages->runs.rb_root))
		return false;

	guard(mutex)(&pages->revoke_lock);
	while ((run = iopt_pages_find_run(pages, *first, last))) {
		if (run->let_go) {
			*first = max(*first, iopt_run_index(run));
			*hole_last = min(last, iopt_run_last_index(run));
			return true;
		}
		*first = iopt_run_last_index(run) + 1;
		if (*first > last)
			break;
	}
	return false;
}

static int iopt_area_add_holes(struct iopt_area *area, struct iopt_holes *holes)
{
	unsigned long last = iopt_area_last_index(area);
	unsigned long first = iopt_area_index(area);
	unsigned long hole_last;
	int rc;

	for (; iopt_pages_next_hole(area->pages, &first, &hole_last, last);
	     first = hole_last + 1) {
		rc = iopt_holes_add(holes, iopt_area_index_to_iova(area, first),
				    iopt_area_index_to_iova_last(area,
								 hole_last));
		if (rc)
			return rc;
		cond_resched();
	}
	return 0;
}

/**
 * iopt_copy_revoked() - Copy the revoked ranges of an io_pagetable to user space
 * @iopt: The io_pagetable
 * @ranges: Where to
 * @room: For how many ranges there is room
 * @count: How many there are, whatever the room
 *
 * Those that touch are one.
 */
int iopt_copy_revoked(struct io_pagetable *iopt,
		      struct iommu_iova_range __user *ranges, u32 room,
		      u32 *count)
{
	struct iopt_holes holes = { .ranges = ranges, .room = room };
	struct iopt_area *area;
	int rc;

	/* As with other lists, page faults of the user are in here */
	guard(rwsem_read)(&iopt->iova_rwsem);
	for (area = iopt_area_iter_first(iopt, 0, ULONG_MAX); area;
	     area = iopt_area_iter_next(area, 0, ULONG_MAX)) {
		/* Is being set up, or going away */
		if (!area->pages)
			continue;
		rc = iopt_area_add_holes(area, &holes);
		if (rc)
			return rc;
	}
	*count = holes.count;
	return iopt_holes_flush(&holes);
}

int iommufd_ioas_revoke_eventfd(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_revoke_eventfd *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->flags || !IS_ENABLED(CONFIG_PFN_REVOKE))
		return -EOPNOTSUPP;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iopt_set_revoke_eventfd(&ioas->iopt, cmd->fd);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

int iommufd_ioas_revoked_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_revoked_ranges *cmd = ucmd->cmd;
	u32 room = cmd->num_iovas;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved || !IS_ENABLED(CONFIG_PFN_REVOKE))
		return -EOPNOTSUPP;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iopt_copy_revoked(&ioas->iopt, u64_to_user_ptr(cmd->revoked_iovas),
			       room, &cmd->num_iovas);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	if (rc)
		return rc;

	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (!rc && cmd->num_iovas > room)
		rc = -EMSGSIZE;
	return rc;
}
