// SPDX-License-Identifier: GPL-2.0
/*
 * PFN-range revocation: long-term pins that the owner of the memory can end.
 *
 * Words
 * -----
 * provider	owns memory that can go away (a PCI BAR) and declares its PFNs
 *		as a struct pfn_range. A PFN has one provider at a time.
 * consumer	holds such memory for a time that user space decides, and can
 *		release it on demand (an RDMA MR, a VFIO mapping).
 * pin		contiguous PFNs of one range that a consumer holds: a struct
 *		pfn_pin in the consumer's own structure.
 * part		PFNs of a range that are revoked together, or all of them.
 * closed	a PFN is closed from the beginning of its revocation until the
 *		provider reopens it; nothing attaches to it meanwhile.
 * broadcast	what a provider's call does: all start()s, then all finish()es.
 *
 * States of a pin (pin->state, under range->lock)
 * -----------------------------------------------
 *
 *	 attach        claimed        start()        over        finish()
 *	--------> LIVE -------> CLAIMED ----> STARTING ----> STARTED ----+
 *	            |              |                            |        v
 *	            | detach       | detach              detach |    FINISHING
 *	            v              v                            v        | over
 *	          (gone) <---------+----------------------------+        v
 *	            ^                    detach                       REVOKED
 *	            +----------------------------------------------------+
 *
 * Only LIVE pins grow. A detach waits for the two states in which a callback
 * runs, and for nothing else: a pin whose finish() has not begun is taken out of
 * the broadcast, since its consumer has unpinned already (see
 * pfn_pin_detach()). So a consumer never waits for another one's callback, a
 * pin is revoked once, and no callback runs after the detach has returned.
 *
 * A pin is in range->pins until it is REVOKED, then in range->revoked, for the
 * list of holders. It has a reference to its range, so the lock of its state is
 * there for as long as the pin.
 *
 * What a broadcast does
 * ---------------------
 * 1. Under range->lock: close the PFNs; LIVE pins there become CLAIMED.
 * 2. start() of every claimed pin, one after the other, by the caller (or by
 *    another one, if two come to the same range at once).
 * 3. finish() of every started pin, one after the other, by a worker of the
 *    range, one for each broadcast. The caller sleeps meanwhile.
 * 4. It is over when range->pins has none left in the PFNs: whoever takes a pin
 *    out, a worker, one of another broadcast that had claimed it, or a detach.
 *
 * A watchdog names a callback that takes longer than a tenth of
 * pfn_revoke_patience, and again every pfn_revoke_patience. When one has taken
 * that long, another worker does the finishes behind it.
 *
 * What stands between a page and the broadcast
 * --------------------------------------------
 * The provider unmaps first, then broadcasts. A consumer looks PFNs up and then
 * attaches. Can a look-up through the old mapping become a pin that nobody
 * revokes?
 *
 *	provider			consumer, by page
 *	--------			-----------------
 *	close the door			GUP: a reference to the page
 *	zap the PTEs, flush		page -> pagemap -> range
 *	[close, claim]			[closed? or else attach]
 *	...				closed: drop the reference
 *	wait for the references
 *
 * The two brackets exclude each other by range->lock. Either the attach comes
 * first, and the claim finds the pin; or it comes second, and is refused. It
 * does not matter when the look-up happened, so a GUP-fast walker that saw the
 * old PTE needs no argument of its own; memunmap_pages() says what keeps the
 * memory map for it.
 *
 * "closed" ends behind the last reference to a page: with the range, or with
 * pfn_part_reopen(), before which the provider waits until nobody has one. So an
 * attach that was on its way during the revocation meets the closed part, and
 * no generation is needed.
 *
 *	provider			consumer, by PFN (VM_PFNMAP)
 *	--------			----------------------------
 *	no new PTEs			page table lock
 *	zap the PTEs:			 PTE gone? no PFN
 *	 page table lock each		 PFN -> range
 *	[close, claim]			 [closed? or else attach]
 *	...				page table unlock
 *
 * Here nothing is referenced, and the lock that the zap has to take does the
 * same: a PTE that is there was not zapped, so its range has not been closed, or
 * the claim is still to come. That holds for mappings that the provider zaps.
 * The resource files of sysfs map the same PFNs and are not zapped: what is
 * attached through them while the range is there is revoked, and what is looked
 * up while there is none has no provider.
 *
 * The time between a reference and its attach must be bounded, since nobody
 * knows of it: pin_user_pages_revocable() does both, and never waits for user
 * space in between.
 *
 * Locks
 * -----
 * pfn_ranges_lock	pfn_ranges
 * range->lock		what is in the range; its pins but for @ops; its parts
 *
 * Both are spinlocks, are taken under page table locks, and are not held across
 * a callback or a lock of those who call. Waiting is done without them.
 * pfn_revoke_map is for lockdep:
 * it is "held" while callbacks run and while a provider waits, and "taken" by a
 * detach. With the locks of the environment that gives
 *
 *	device_lock -> pfn_revoke_map -> consumer's lock	on revoke
 *	consumer's lock -> mmap_lock -> range->lock		on pin
 *
 * and a consumer that detaches with a lock held that its callback takes, or
 * within a callback, is reported. Not checked by lockdep: device locks (they are
 * novalidate), and that callbacks make progress without GFP_KERNEL.
 */
#define pr_fmt(fmt) "pfn_revoke: " fmt

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/panic.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <kunit/visibility.h>

#define CREATE_TRACE_POINTS
#include <trace/events/pfn_revoke.h>

#include "pfn_revoke.h"

/* How long a finish may delay others, and how often it is named; jiffies */
VISIBLE_IF_KUNIT unsigned long pfn_revoke_patience = 10 * HZ;
EXPORT_SYMBOL_IF_KUNIT(pfn_revoke_patience);

/* Those who wait may be what memory is waiting for: it has a rescuer */
static struct workqueue_struct *pfn_revoke_wq;

static struct rb_root_cached pfn_ranges = RB_ROOT_CACHED;
static DEFINE_SPINLOCK(pfn_ranges_lock);

#ifdef CONFIG_LOCKDEP
static struct lockdep_map pfn_revoke_map =
	STATIC_LOCKDEP_MAP_INIT("pfn_revoke", &pfn_revoke_map);
#endif

void pfn_range_put(struct pfn_range *range)
{
	if (refcount_dec_and_test(&range->ref))
		kfree(range);
}

/* The first range that ends at @pfn or behind it, with a reference */
struct pfn_range *pfn_range_find(unsigned long pfn)
{
	struct interval_tree_node *it;
	struct pfn_range *range;

	guard(spinlock)(&pfn_ranges_lock);
	it = interval_tree_iter_first(&pfn_ranges, pfn, ULONG_MAX);
	if (!it)
		return NULL;
	range = container_of(it, struct pfn_range, it);
	refcount_inc(&range->ref);	/* the provider has one */
	return range;
}

static void pfn_part_init(struct pfn_part *part, struct pfn_range *range,
			  unsigned long first, unsigned long last)
{
	*part = (struct pfn_part){
		.range = range, .it.start = first, .it.last = last,
	};
	RB_CLEAR_NODE(&part->it.rb);
}

/* Pins */

static void pfn_pin_insert(struct pfn_pin *pin, struct rb_root_cached *root)
{
	lockdep_assert_held(&pin->range->lock);

	/* Among those with the same start it becomes the last */
	pin->seq = ++pin->range->seq;
	interval_tree_insert(&pin->it, root);
}

/**
 * pfn_pin_init - make a pin that is not attached
 * @pin: part of the consumer's structure
 * @ops: the consumer's callbacks; they outlive the pin
 */
void pfn_pin_init(struct pfn_pin *pin, const struct pfn_pin_ops *ops)
{
	*pin = (struct pfn_pin){ .ops = ops };
}
EXPORT_SYMBOL_GPL(pfn_pin_init);

/* Let @last grow by the PFNs, or attach @spare; those that belong to @range */
static long pfn_range_attach(struct pfn_range *range, struct pfn_pin *last,
			     struct pfn_pin *spare, unsigned long pfn,
			     unsigned long nr)
{
	struct pfn_pin *pin = spare;
	long ret;

	VM_WARN_ON_ONCE(!nr);
	nr = min(nr, range->it.last - pfn + 1);
	ret = nr;

	spin_lock(&range->lock);
	if (interval_tree_iter_first(&range->closed, pfn, pfn + nr - 1)) {
		ret = -ENODEV;
	} else if (last && last->range == range &&
		   last->state == PFN_PIN_LIVE && last->it.last + 1 == pfn) {
		pin = last;
		interval_tree_remove(&pin->it, &range->pins);
		pin->it.last += nr;
		pfn_pin_insert(pin, &range->pins);
	} else if (!spare) {
		ret = -ENOBUFS;
	} else {
		VM_WARN_ON_ONCE(pin->range);
		refcount_inc(&range->ref);
		pin->range = range;
		pin->it.start = pfn;
		pin->it.last = pfn + nr - 1;
		pin->pid = get_pid(task_tgid(current));
		pin->since = ktime_get_coarse_boottime_ns();
		pin->state = PFN_PIN_LIVE;
		pfn_pin_insert(pin, &range->pins);
		range->nr_pins++;
	}
	if (ret > 0)
		trace_pfn_pin_attach(range->name, pin, pfn, pfn + nr - 1, 0);
	spin_unlock(&range->lock);
	return ret;
}

/*
 * For pin_user_pages_revocable() and its like, which have a reference to each
 * page: @nr P2PDMA pages, of which the first that are contiguous and of one
 * provider are attached. Returns how many; -EREMOTEIO if the owner of the first
 * one has declared no range; or as pfn_pin_attach_pfns().
 */
long pfn_pin_attach_pages(struct pfn_pin *last, struct pfn_pin *spare,
			  struct page **pages, unsigned long nr)
{
	struct pfn_range *range = page_pgmap(pages[0])->pfn_range;
	unsigned long i, pfn = page_to_pfn(pages[0]);

	if (!range || WARN_ON_ONCE(pfn < range->it.start ||
				   pfn > range->it.last))
		return -EREMOTEIO;

	for (i = 1; i < nr; i++)
		if (page_to_pfn(pages[i]) != pfn + i)
			break;
	return pfn_range_attach(range, last, spare, pfn, i);
}
EXPORT_SYMBOL_IF_KUNIT(pfn_pin_attach_pages);

/**
 * pfn_pin_attach_pfns - attach PFNs of a VM_PFNMAP mapping
 * @last: a pin of the consumer that may grow by them, or NULL
 * @spare: a pin that is not attached, to be attached if @last cannot grow, or
 *	NULL
 * @pfn: first PFN
 * @nr: how many; if the function returns 0: how many of them have no provider
 *
 * The callbacks of the pin may run before this function has returned.
 *
 * Context: between follow_pfnmap_start() and follow_pfnmap_end(), which have
 * given @pfn: the page table lock orders this against the provider's zap.
 * Return: how many PFNs were attached, those of one provider; 0 if @pfn has
 * none; -ENODEV if one is closed; -ENOBUFS if there would have to be a @spare.
 */
long pfn_pin_attach_pfns(struct pfn_pin *last, struct pfn_pin *spare,
			 unsigned long pfn, unsigned long *nr)
{
	struct pfn_range *range = pfn_range_find(pfn);
	long ret = 0;

	if (!range)
		return 0;
	if (range->it.start > pfn)
		*nr = min(*nr, range->it.start - pfn);
	else
		ret = pfn_range_attach(range, last, spare, pfn, *nr);
	pfn_range_put(range);
	return ret;
}
EXPORT_SYMBOL_GPL(pfn_pin_attach_pfns);

/* A claimed pin leaves range->pins: no closed part waits for it any more */
static void pfn_pin_finished(struct pfn_pin *pin)
{
	struct pfn_range *range = pin->range;
	struct interval_tree_node *it;

	lockdep_assert_held(&range->lock);

	list_del(&pin->node);
	for (it = interval_tree_iter_first(&range->closed, pin->it.start,
					   pin->it.last);
	     it; it = interval_tree_iter_next(it, pin->it.start, pin->it.last))
		if (!--container_of(it, struct pfn_part, it)->unfinished)
			wake_up_all(&range->wait);
}

/* Unless a callback of it is running, after which we are woken */
static bool pfn_pin_remove(struct pfn_pin *pin)
{
	struct pfn_range *range = pin->range;

	guard(spinlock)(&range->lock);
	if (pin->state == PFN_PIN_STARTING || pin->state == PFN_PIN_FINISHING) {
		pin->detaching = true;
		return false;
	}
	interval_tree_remove(&pin->it, pin->state == PFN_PIN_REVOKED ?
				       &range->revoked : &range->pins);
	range->nr_pins--;
	if (pin->state == PFN_PIN_CLAIMED || pin->state == PFN_PIN_STARTED)
		pfn_pin_finished(pin);
	return true;
}

/**
 * pfn_pin_detach - end a pin
 * @pin: initialised by pfn_pin_init(); if it is not attached nothing happens
 *
 * The consumer has unpinned its pages before, under the lock that it shares
 * with its callbacks: a broadcast takes a detached pin for one that holds
 * nothing. When the function returns no callback of the pin runs or will run,
 * and the pin can be attached again or freed.
 *
 * Context: process context. Waits for a callback of this pin that is running,
 * so the caller holds no lock that its callbacks take.
 */
void pfn_pin_detach(struct pfn_pin *pin)
{
	struct pfn_range *range = pin->range;

	might_sleep();
	lock_map_acquire(&pfn_revoke_map);
	lock_map_release(&pfn_revoke_map);
	if (!range)
		return;

	wait_event(range->wait, pfn_pin_remove(pin));
	trace_pfn_pin_detach(range->name, pin, pin->it.start, pin->it.last,
			     pin->state == PFN_PIN_REVOKED);
	put_pid(pin->pid);
	pfn_pin_init(pin, pin->ops);
	pfn_range_put(range);
}
EXPORT_SYMBOL_GPL(pfn_pin_detach);

/* Broadcast */

/* The lock is dropped for the callback */
static void pfn_pin_call(struct pfn_pin *pin, enum pfn_pin_state state,
			 void (*callback)(struct pfn_pin *pin))
	__must_hold(&pin->range->lock)
{
	struct pfn_range *range = pin->range;
	u64 began = ktime_get_ns();

	pin->state = state;
	pin->began = jiffies;
	pin->next_warning = jiffies + READ_ONCE(pfn_revoke_patience) / 10;
	range->progress = jiffies;
	list_move_tail(&pin->node, &range->running);
	spin_unlock(&range->lock);

	if (callback)
		callback(pin);
	if (state == PFN_PIN_STARTING)
		trace_pfn_pin_start(range->name, pin, pin->it.start,
				    pin->it.last, ktime_get_ns() - began);
	else
		trace_pfn_pin_finish(range->name, pin, pin->it.start,
				     pin->it.last, ktime_get_ns() - began);

	spin_lock(&range->lock);
	/* The waiter comes to the lock after us */
	if (pin->detaching)
		wake_up_all(&range->wait);
}

static void pfn_range_watch(struct pfn_range *range)
{
	refcount_inc(&range->ref);
	if (!queue_delayed_work(pfn_revoke_wq, &range->watchdog,
				max(READ_ONCE(pfn_revoke_patience) / 40, 1UL)))
		pfn_range_put(range);
}

/*
 * Step 1. While the part is closed no pin comes to overlap it, and none that does
 * grows, so that each of those there now counts it down once.
 */
static void pfn_part_claim(struct pfn_part *part)
{
	struct pfn_range *range = part->range;
	struct interval_tree_node *it;
	struct pfn_pin *pin;
	bool closed;

	trace_pfn_revoke_begin(range->name, part->it.start, part->it.last);

	spin_lock(&range->lock);
	closed = !RB_EMPTY_NODE(&part->it.rb);
	if (!closed)
		interval_tree_insert(&part->it, &range->closed);
	part->pins = 0;

	for (it = interval_tree_iter_first(&range->pins, part->it.start,
					   part->it.last);
	     it; it = interval_tree_iter_next(it, part->it.start,
					      part->it.last)) {
		pin = container_of(it, struct pfn_pin, it);
		if (!closed)
			part->unfinished++;
		if (pin->state != PFN_PIN_LIVE)
			continue;
		pin->state = PFN_PIN_CLAIMED;
		part->pins++;
		list_add_tail(&pin->node, &range->claimed);
	}
	if (!list_empty(&range->claimed))
		pfn_range_watch(range);
	spin_unlock(&range->lock);
}

/* Step 2 */
static void pfn_range_start(struct pfn_range *range)
{
	struct pfn_pin *pin;

	spin_lock(&range->lock);
	while ((pin = list_first_entry_or_null(&range->claimed, struct pfn_pin,
					       node))) {
		pfn_pin_call(pin, PFN_PIN_STARTING, pin->ops->start);
		pin->state = PFN_PIN_STARTED;
		list_move_tail(&pin->node, &range->pending);
		cond_resched_lock(&range->lock);
	}
	spin_unlock(&range->lock);
}

/* Step 3, by every worker, each with a pin at a time */
static void pfn_range_finish(struct work_struct *work)
{
	struct pfn_finisher *finisher =
		container_of(work, struct pfn_finisher, work);
	struct pfn_range *range = finisher->range;
	struct pfn_pin *pin;

	lock_map_acquire(&pfn_revoke_map);
	spin_lock(&range->lock);
	while ((pin = list_first_entry_or_null(&range->pending, struct pfn_pin,
					       node))) {
		pfn_pin_call(pin, PFN_PIN_FINISHING, pin->ops->finish);
		pin->state = PFN_PIN_REVOKED;
		interval_tree_remove(&pin->it, &range->pins);
		pfn_pin_insert(pin, &range->revoked);
		pfn_pin_finished(pin);
		/* Its consumer may free it now */
		cond_resched_lock(&range->lock);
	}
	spin_unlock(&range->lock);
	lock_map_release(&pfn_revoke_map);

	/* Last: a work at the same address would have to wait for this one */
	if (finisher != &range->finisher)
		kfree(finisher);
	pfn_range_put(range);
}

/* The number of its owner, and its name; 0 and none if it is gone */
pid_t pfn_pin_owner(struct pfn_pin *pin, struct pid_namespace *ns, char *comm)
{
	struct task_struct *task;
	pid_t nr = 0;

	comm[0] = '\0';
	/* Numbers are recycled: do not report that of a dead task */
	rcu_read_lock();
	task = pid_task(pin->pid, PIDTYPE_TGID);
	if (task) {
		nr = pid_nr_ns(pin->pid, ns);
		strscpy(comm, task->comm, TASK_COMM_LEN);
	}
	rcu_read_unlock();
	return nr;
}

static void pfn_pin_warn(struct pfn_pin *pin)
{
	char comm[TASK_COMM_LEN];
	pid_t pid = pfn_pin_owner(pin, &init_pid_ns, comm);

	pr_warn("%s of %s (pid %d, %s) has held up the revocation for %u seconds: PFNs %#lx-%#lx of %s\n",
		pin->state == PFN_PIN_FINISHING ? "finish" : "start",
		pin->ops->name, pid, comm,
		jiffies_to_msecs(jiffies - pin->began) / 1000,
		pin->it.start, pin->it.last, pin->range->name);
	pin->next_warning = jiffies + READ_ONCE(pfn_revoke_patience);
}

/* A work that is queued has a reference */
static void pfn_finisher_queue(struct pfn_finisher *finisher)
{
	refcount_inc(&finisher->range->ref);
	if (!queue_work(pfn_revoke_wq, &finisher->work))
		pfn_range_put(finisher->range);
}

/* Another worker, beside one that is stuck or busy */
static bool pfn_range_take_over(struct pfn_range *range)
{
	struct pfn_finisher *finisher = kzalloc_obj(*finisher, GFP_NOWAIT);

	if (!finisher)
		return false;
	INIT_WORK(&finisher->work, pfn_range_finish);
	finisher->range = range;
	range->progress = jiffies;
	pfn_finisher_queue(finisher);
	return true;
}

static void pfn_range_watchdog(struct work_struct *work)
{
	struct pfn_range *range =
		container_of(work, struct pfn_range, watchdog.work);
	struct pfn_pin *pin;
	bool again;

	spin_lock(&range->lock);
	list_for_each_entry(pin, &range->running, node)
		if (time_after_eq(jiffies, pin->next_warning))
			pfn_pin_warn(pin);

	/* If there is no memory now: the watchdog comes again */
	if (!list_empty(&range->pending) &&
	    time_after_eq(jiffies, range->progress +
				   READ_ONCE(pfn_revoke_patience)))
		pfn_range_take_over(range);
	again = !list_empty(&range->claimed) || !list_empty(&range->pending) ||
		!list_empty(&range->running);
	spin_unlock(&range->lock);

	if (again)
		pfn_range_watch(range);
	pfn_range_put(range);
}

/* One work does not run twice at a time: a worker that is stuck has it */
static void pfn_range_kick(struct pfn_range *range)
{
	guard(spinlock)(&range->lock);
	if (!list_empty(&range->pending) &&
	    (list_empty(&range->running) || !pfn_range_take_over(range)))
		pfn_finisher_queue(&range->finisher);
}

/* Step 4 */
static bool pfn_part_is_drained(struct pfn_part *part)
{
	guard(spinlock)(&part->range->lock);
	return !part->unfinished;
}

/* What is left of @timeout, but at least 1; 0: the part is not drained */
static long pfn_part_wait(struct pfn_part *part, long timeout, u64 began)
{
	timeout = wait_event_timeout(part->range->wait,
				     pfn_part_is_drained(part), timeout);
	trace_pfn_revoke_end(part->range->name, part->it.start, part->it.last,
			     /* A concurrent call may count anew */
			     data_race(part->pins), ktime_get_ns() - began,
			     timeout ? 0 : -ETIMEDOUT);
	return timeout;
}

/**
 * pfn_range_revoke - make all consumers release what they hold of a provider
 * @ranges: the ranges of one provider, from pfn_range_register(), or NULL
 * @nr: number of ranges
 * @timeout: how long to wait for the consumers, in jiffies; for ever if it is
 *	MAX_SCHEDULE_TIMEOUT
 *
 * The provider has removed the mappings through which the PFNs can be looked
 * up (unmap_mapping_range()), and sees to it that no new ones appear. When the
 * function returns 0, no consumer can reach the PFNs, their pins are gone, and
 * nobody can attach any more. References that are no consumer's (short-term
 * pins, page table walkers) are not waited for.
 *
 * All consumers of all ranges are asked to stop before the first is waited for.
 * A bound is for providers that wait for the page references later, as
 * memunmap_pages() does: when it is reached, the consumers are still on their
 * way. It is for finish(); start() does not wait.
 *
 * Repeated and concurrent calls are harmless, up to pfn_range_unregister(): all
 * return when the last consumer is through.
 *
 * Context: process context. A consumer that is stuck is named in the log after
 * a second and every 10 seconds. The caller holds no lock that a callback may
 * take: no mmap_lock, no lock of a consumer.
 * Return: 0, or -ETIMEDOUT.
 */
int pfn_range_revoke(struct pfn_range *const *ranges, unsigned int nr,
		     long timeout)
{
	u64 began = ktime_get_ns();
	unsigned int i;
	int err = 0;

	might_sleep();
	lock_map_acquire(&pfn_revoke_map);
	for (i = 0; i < nr; i++)
		if (ranges[i])
			pfn_part_claim(&ranges[i]->whole);
	for (i = 0; i < nr; i++)
		if (ranges[i])
			pfn_range_start(ranges[i]);
	for (i = 0; i < nr; i++)
		if (ranges[i])
			pfn_range_kick(ranges[i]);
	for (i = 0; i < nr; i++) {
		if (!ranges[i])
			continue;
		timeout = pfn_part_wait(&ranges[i]->whole, timeout, began);
		if (!timeout)
			err = -ETIMEDOUT;
	}
	lock_map_release(&pfn_revoke_map);
	return err;
}
EXPORT_SYMBOL_GPL(pfn_range_revoke);

/**
 * pfn_part_revoke - make all consumers release a part of a range
 * @part: of the provider, for pfn_part_reopen()
 * @range: from pfn_range_register()
 * @first: first PFN, in @range
 * @last: last PFN, inclusive, in @range
 *
 * As pfn_range_revoke(), for a provider that wants to have some of its memory to
 * itself for a while. It waits for the consumers without a bound. A pin of which
 * only some PFNs are in the part is revoked whole.
 *
 * Context: as pfn_range_revoke().
 */
void pfn_part_revoke(struct pfn_part *part, struct pfn_range *range,
		     unsigned long first, unsigned long last)
{
	u64 began = ktime_get_ns();

	might_sleep();
	pfn_part_init(part, range, first, last);
	if (WARN_ON_ONCE(first > last || first < range->it.start ||
			 last > range->it.last))
		return;

	lock_map_acquire(&pfn_revoke_map);
	pfn_part_claim(part);
	pfn_range_start(range);
	pfn_range_kick(range);
	pfn_part_wait(part, MAX_SCHEDULE_TIMEOUT, began);
	lock_map_release(&pfn_revoke_map);
}
EXPORT_SYMBOL_GPL(pfn_part_revoke);

/**
 * pfn_part_reopen - let consumers attach to a revoked part again
 * @part: from pfn_part_revoke(), the provider's again when this returns
 *
 * Pins that were revoked stay revoked. PFNs that another part covers stay
 * closed. If the PFNs have struct pages, the provider has waited until nobody
 * has a reference to one of them, as it has to before it uses them alone: who
 * looked a page up before the revocation could attach it now.
 *
 * Context: process context, does not sleep.
 */
void pfn_part_reopen(struct pfn_part *part)
{
	guard(spinlock)(&part->range->lock);
	if (!RB_EMPTY_NODE(&part->it.rb))
		interval_tree_remove(&part->it, &part->range->closed);
}
EXPORT_SYMBOL_GPL(pfn_part_reopen);

/* Providers come and go */

/**
 * pfn_range_register - declare memory that can be revoked
 * @first: first PFN
 * @last: last PFN, inclusive
 * @name: of the provider, for messages; copied
 *
 * From now on consumers can attach to these PFNs. For memory that has struct
 * pages the provider puts the range into their pagemap (pgmap->pfn_range) before
 * it maps the first of them to user space; P2PDMA pages without a range cannot
 * be pinned for long.
 *
 * Context: process context, may sleep.
 * Return: the range, for pfn_range_unregister(); ERR_PTR(-EINVAL) if the PFNs are
 * none, -EEXIST if one of them has a provider already, -ENOMEM.
 */
struct pfn_range *pfn_range_register(unsigned long first, unsigned long last,
				     const char *name)
{
	size_t len = strlen(name) + 1;
	struct pfn_range *range;
	bool taken;

	if (first > last || last == ULONG_MAX)
		return ERR_PTR(-EINVAL);

	range = kzalloc_flex(*range, name, len);
	if (!range)
		return ERR_PTR(-ENOMEM);

	refcount_set(&range->ref, 1);
	range->it.start = first;
	range->it.last = last;
	spin_lock_init(&range->lock);
	range->pins = RB_ROOT_CACHED;
	range->revoked = RB_ROOT_CACHED;
	range->closed = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&range->claimed);
	INIT_LIST_HEAD(&range->pending);
	INIT_LIST_HEAD(&range->running);
	pfn_part_init(&range->whole, range, first, last);
	init_waitqueue_head(&range->wait);
	INIT_WORK(&range->finisher.work, pfn_range_finish);
	range->finisher.range = range;
	INIT_DELAYED_WORK(&range->watchdog, pfn_range_watchdog);
	memcpy(range->name, name, len);

	spin_lock(&pfn_ranges_lock);
	taken = interval_tree_iter_first(&pfn_ranges, first, last);
	if (!taken)
		interval_tree_insert(&range->it, &pfn_ranges);
	spin_unlock(&pfn_ranges_lock);
	if (taken) {
		kfree(range);
		return ERR_PTR(-EEXIST);
	}
	return range;
}
EXPORT_SYMBOL_GPL(pfn_range_register);

/**
 * pfn_range_unregister - take a declared range back
 * @range: from pfn_range_register(); an error pointer or NULL does nothing
 *
 * Revokes what is still attached and forgets the range. The provider has
 * unmapped the memory before, and waited for the last reference to its pages if
 * there are any. Parts that it has not reopened it keeps until this returns.
 *
 * Context: as pfn_range_revoke(), without a bound.
 */
void pfn_range_unregister(struct pfn_range *range)
{
	if (IS_ERR_OR_NULL(range))
		return;

	pfn_range_revoke(&range, 1, MAX_SCHEDULE_TIMEOUT);

	spin_lock(&pfn_ranges_lock);
	interval_tree_remove(&range->it, &pfn_ranges);
	spin_unlock(&pfn_ranges_lock);

	/* Parts are the provider's, and somebody may still have the range */
	spin_lock(&range->lock);
	range->closed = RB_ROOT_CACHED;
	interval_tree_insert(&range->whole.it, &range->closed);
	spin_unlock(&range->lock);
	pfn_range_put(range);
}
EXPORT_SYMBOL_GPL(pfn_range_unregister);

static int __init pfn_revoke_init(void)
{
	pfn_revoke_wq = alloc_workqueue("pfn_revoke",
					WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!pfn_revoke_wq)
		panic("%s: no workqueue\n", __func__);
	return 0;
}
core_initcall(pfn_revoke_init);
