// SPDX-License-Identifier: GPL-2.0
/*
 * PFN-range revocation: long-term pins that the owner of the memory can end.
 *
 * Words
 * -----
 * provider	owns memory that can go away (a PCI BAR) and declares its PFNs
 *		as a struct pfn_range. A PFN has one provider at a time.
 * consumer	holds such memory for a time that user space decides, and can
 *		let go of it on demand (an RDMA MR, a VFIO mapping).
 * pin		a consumer's struct pfn_pin: who it is, its callbacks, its runs.
 * run		contiguous PFNs of one range that a pin holds.
 * broadcast	one pfn_revoke_range() call: all start()s, then all finish()es.
 * shut		a PFN is shut from the beginning of its broadcast until the
 *		provider opens it again; nothing attaches to it meanwhile.
 *
 * States of a pin (pin->state; leaves LIVE under pin->lock)
 * ---------------------------------------------------------
 *
 *	       alloc              claimed by a broadcast
 *	  ---------------> LIVE ------------------------> REVOKING
 *	                    | detach                          | finish() over,
 *	                    v                                 v runs retired
 *	                 DETACHED                          REVOKED
 *
 * Only LIVE pins gain runs. Whoever moves a pin out of LIVE takes its runs out
 * of range->runs: the detacher, or the thread that ran finish(). So a pin is
 * revoked once, and its runs leave once, whatever the order of detach and
 * broadcasts. The runs of a revoked pin go to range->revoked, where nothing but
 * /proc/pfn_revoke looks, until the pin is detached.
 * A detach that finds REVOKING waits for REVOKED, so that no callback runs
 * after it, unless it was called by the running callback itself: then the pin
 * is marked and the broadcast, which has a reference of its own, does the rest.
 *
 * What a broadcast does
 * ---------------------
 * 1. Under range->lock of every range concerned: shut the PFNs, move all LIVE
 *    pins with a run there to REVOKING.
 * 2. start() of every claimed pin, one after the other.
 * 3. finish() of every claimed pin, one after the other. One that takes longer
 *    than pfn_revoke_patience is named in the log, again and again, and a
 *    worker takes over those behind it; when that worker meets another stuck
 *    one, the next worker is started.
 * 4. Wait until range->runs has none left in the PFNs, whoever has to take it
 *    out: a finish of ours, a concurrent broadcast that had claimed the pin
 *    before us, or a detach that is under way.
 *
 * What stands between a page and the broadcast
 * --------------------------------------------
 * The provider unmaps first, then broadcasts; the consumer looks the PFN up
 * (pins the page), then attaches. The question is whether a look-up that saw
 * the memory through the old mapping can end as a live pin afterwards.
 *
 *	provider			consumer
 *	--------			--------
 *	close the door			gen = pfn_pin_begin()
 *	zap the PTEs, flush		look the PFN up: GUP
 *	[shut, claim]			[shut? newer than gen? else insert run]
 *
 * The two brackets exclude each other by range->lock. Either the attach comes
 * first: then the claim finds the run. Or the shut comes first: then the attach
 * is refused and the consumer unpins a page that it never used. It does not
 * matter when the look-up happened, so none of the following needs an argument
 * of its own:
 *
 * - GUP-fast that read the PTE before the zap and takes its reference after it,
 *   or after the whole broadcast. It re-reads the PTE and drops the page, or it
 *   had passed that check before the zap and is refused at attach. Whether the
 *   TLB flush waits for it (IPI) or not (MMU_GATHER_RCU_TABLE_FREE, INVLPGB)
 *   makes no difference here. It matters for the memory map, which must outlive
 *   the walker: memunmap_pages() says how.
 * - Recycling: the page was freed by the zap and handed out again before the
 *   walker took its reference. The PTE re-check drops it. If the same PTE was
 *   filled again in between, the walker has pinned what is mapped there now,
 *   which is what it was asked for.
 * - Collision: the pages reach zero and a new provider declares the same PFNs
 *   (rebind), or the same provider opens them again, between look-up and
 *   attach. Shut is over by then, and the generation tells: it was sampled
 *   before the look-up, is global, only grows, and register and reopen store a
 *   new one in the range. A range that is newer than the look-up refuses.
 * - Look-ups that take no reference at all (VM_PFNMAP): the same, as long as
 *   the generation is sampled before the PTE is read.
 *
 * pfn_pin_begin() orders its read before the PTE's; the provider's zap is
 * ordered before the new generation, by range->lock, the order of its calls and
 * the atomic increment. If the consumer read the old PTE it has therefore read
 * the old generation, or an even older one.
 *
 * The time between look-up and attach must be bounded, since the page cannot be
 * freed during it and nobody is told: pin_user_pages_revocable() never waits
 * for user space once it has pinned a page of a provider.
 *
 * Locks
 * -----
 * pfn_ranges (maple tree)	own lock for writers and walks, RCU for exact look-ups
 *  range->lock			runs, closed, gen, shuts of the range
 *   pin->lock			state, list of runs of the pin, use of its ops
 * broadcast->lock		its lists of pins
 *   pin->lock
 * pfn_runners_lock		who runs callbacks, for -EDEADLK
 *
 * All are spinlocks and none is held across a callback. Waiting is done without
 * any of them; pfn_revoke_map tells lockdep: it is "held" while callbacks run
 * and "taken" by whoever may have to wait for one. With the locks of the
 * environment that gives
 *
 *	device_lock -> pfn_revoke_map -> consumer's lock	on revoke
 *	consumer's lock -> mmap_lock, range->lock		on pin
 *
 * and a consumer that detaches with a lock held that its callback takes is
 * reported by lockdep the first time it detaches after its callback has run
 * once. Not checked by lockdep: device locks (they are novalidate), and that
 * callbacks allocate nothing.
 *
 * Telling who holds what
 * ----------------------
 * pfn_revoke_next() copies one range or run at a time and remembers its place
 * by a reference to the range and the sort key of the run, so it holds
 * range->lock for one descent of a tree, and once for a range for the closed
 * parts at its beginning; it keeps nobody from revoking. What is there all the
 * time is told once. A run that grows, or moves to range->revoked, during the
 * walk gets a new key and may be told again as what it is then.
 */
#define pr_fmt(fmt) "pfn_revoke: " fmt

#include <linux/interval_tree.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/maple_tree.h>
#include <linux/mmdebug.h>
#include <linux/pfn_revoke.h>
#include <linux/pid.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>
#include <kunit/visibility.h>

#define CREATE_TRACE_POINTS
#include <trace/events/pfn_revoke.h>

#include "pfn_revoke.h"

enum pfn_pin_state {
	PFN_PIN_LIVE,
	PFN_PIN_REVOKING,
	PFN_PIN_REVOKED,
	PFN_PIN_DETACHED,
};

struct pfn_broadcast;

struct pfn_range {
	refcount_t ref;
	unsigned long first;
	unsigned long last;

	spinlock_t lock;		/* guards the fields down to @drained */
	struct rb_root_cached runs;	/* pfn_run.it, may overlap */
	struct rb_root_cached revoked;	/* the same, of pins not yet detached */
	unsigned long nr_runs;		/* in both */
	u64 seq;			/* of the last insertion */
	struct rb_root_cached closed;	/* pfn_closed.it, disjoint */
	u64 gen;			/* pfn_revoke_gen at the last change */
	struct list_head shuts;		/* pfn_shut.in_range, under way */
	bool gone;			/* being unregistered */

	wait_queue_head_t drained;	/* woken when a run leaves @runs */
	struct interval_tree_node whole;/* closes all of it, needs no memory */
	struct rcu_head rcu;
	char name[];
};

struct pfn_run {
	struct interval_tree_node it;	/* in @range, under range->lock */
	u64 seq;			/* sorts those with the same start */
	struct list_head node;		/* pin->runs, under pin->lock */
	struct pfn_range *range;	/* a reference */
	struct pfn_pin *pin;
};

struct pfn_pin {
	refcount_t ref;			/* consumer, broadcast, takeover work */
	spinlock_t lock;		/* guards @runs, and @state while LIVE */
	enum pfn_pin_state state;	/* to REVOKED without the lock */
	bool in_finish;
	bool detached;			/* by its own callback, under @lock */
	bool taken_over;		/* those behind it have a worker */
	struct pid *pid;		/* a reference */
	u64 born;			/* CLOCK_BOOTTIME, ns */
	char comm[TASK_COMM_LEN];
	const struct pfn_pin_ops *ops;
	void *priv;
	struct list_head runs;		/* pfn_run.node */
	struct pfn_run first_run;	/* most have no other; in use: @range set */

	/* This and the bits belong to the broadcast that made @state REVOKING */
	struct list_head node;		/* broadcast->claimed, running, pending */
	struct pfn_broadcast *broadcast;
	struct task_struct *runner;	/* in a callback of this pin; own writes */
	unsigned long since;		/* callback's start, jiffies */
	unsigned long next_warning;	/* jiffies */
	struct work_struct takeover;
};

/* The part of one range that a broadcast shuts */
struct pfn_shut {
	struct list_head node;		/* broadcast->shuts */
	struct list_head in_range;	/* range->shuts */
	struct pfn_range *range;	/* a reference */
	unsigned long first;
	unsigned long last;
	struct interval_tree_node *spare;
};

struct pfn_broadcast {
	struct list_head shuts;		/* pfn_shut.node; the caller's own */
	struct list_head claimed;	/* before start(); the caller's own */

	spinlock_t lock;		/* guards what follows */
	struct list_head running;	/* in a callback */
	struct list_head pending;	/* started, finish() not begun */
	unsigned int unfinished;	/* claimed and not yet REVOKED */
	unsigned int workers;		/* takeovers queued or running */
	wait_queue_head_t done;
	struct delayed_work watchdog;
};

/* A task that runs the callbacks of a broadcast, on its stack */
struct pfn_runner {
	struct list_head node;
	struct task_struct *task;
};

/* How long a finish may delay the others, and how often it is named; jiffies */
VISIBLE_IF_KUNIT unsigned long pfn_revoke_patience = 10 * HZ;
EXPORT_SYMBOL_IF_KUNIT(pfn_revoke_patience);

static struct maple_tree pfn_ranges =
	MTREE_INIT(pfn_ranges, MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU);
static atomic64_t pfn_revoke_gen = ATOMIC64_INIT(0);
static atomic64_t pfn_gone_gen = ATOMIC64_INIT(0);	/* of the last that went */

static LIST_HEAD(pfn_runners);
static DEFINE_SPINLOCK(pfn_runners_lock);

#ifdef CONFIG_LOCKDEP
static struct lockdep_map pfn_revoke_map =
	STATIC_LOCKDEP_MAP_INIT("pfn_revoke", &pfn_revoke_map);
#endif

/* Ranges */

static void pfn_range_put(struct pfn_range *range)
{
	if (refcount_dec_and_test(&range->ref))
		kfree_rcu(range, rcu);
}

/*
 * The first range that has a PFN in [*@pfn, @last], with a reference. Under the
 * tree's lock: mt_find() under RCU does not survive that the tree becomes empty
 * while it looks for the next entry.
 */
static struct pfn_range *pfn_range_find(unsigned long *pfn, unsigned long last)
{
	struct pfn_range *range;

	mtree_lock(&pfn_ranges);
	range = mt_find(&pfn_ranges, pfn, last);
	if (range)
		refcount_inc(&range->ref);	/* the tree has one */
	mtree_unlock(&pfn_ranges);
	return range;
}

/* The range of a PFN, with a reference */
static struct pfn_range *pfn_range_get(unsigned long pfn)
{
	struct pfn_range *range;

	rcu_read_lock();
	range = mtree_load(&pfn_ranges, pfn);
	if (range && !refcount_inc_not_zero(&range->ref))
		range = NULL;
	rcu_read_unlock();
	return range;
}

static void pfn_closed_free(struct pfn_range *range,
			    struct interval_tree_node *closed)
{
	if (closed != &range->whole)
		kfree(closed);
}

/*
 * Keep the closed intervals disjoint: the new one swallows what it touches.
 * *@spare is taken if it is needed.
 */
static void pfn_range_close(struct pfn_range *range, unsigned long first,
			    unsigned long last,
			    struct interval_tree_node **spare)
{
	struct interval_tree_node *closed;

	lockdep_assert_held(&range->lock);

	while ((closed = interval_tree_iter_first(&range->closed, first, last))) {
		if (closed->start <= first && closed->last >= last)
			return;
		first = min(first, closed->start);
		last = max(last, closed->last);
		interval_tree_remove(closed, &range->closed);
		pfn_closed_free(range, closed);
	}

	if (first <= range->first && last >= range->last) {
		closed = &range->whole;
	} else {
		closed = *spare;
		*spare = NULL;
	}
	closed->start = first;
	closed->last = last;
	interval_tree_insert(closed, &range->closed);
}

static bool pfn_range_has_runs(struct pfn_range *range, unsigned long first,
			       unsigned long last)
{
	bool ret;

	spin_lock(&range->lock);
	ret = interval_tree_iter_first(&range->runs, first, last);
	spin_unlock(&range->lock);
	return ret;
}

/**
 * pfn_range_register - declare memory that can be revoked
 * @first: first PFN
 * @last: last PFN, inclusive
 * @name: of the provider, for messages; copied
 *
 * From now on consumers can attach to these PFNs. Look-ups that began before
 * the call cannot: they may have seen an earlier owner of the same PFNs.
 *
 * Context: process context, may sleep.
 * Return: the range, for pfn_range_unregister(); ERR_PTR(-EINVAL) if @first is
 * above @last or @last is no PFN, -EEXIST if one of the PFNs has a provider
 * already, -ENOMEM.
 */
struct pfn_range *pfn_range_register(unsigned long first, unsigned long last,
				     const char *name)
{
	size_t len = strlen(name) + 1;
	struct pfn_range *range;
	int err;

	if (first > last || last == ULONG_MAX)
		return ERR_PTR(-EINVAL);

	range = kzalloc_flex(*range, name, len);
	if (!range)
		return ERR_PTR(-ENOMEM);

	refcount_set(&range->ref, 1);
	range->first = first;
	range->last = last;
	spin_lock_init(&range->lock);
	range->runs = RB_ROOT_CACHED;
	range->revoked = RB_ROOT_CACHED;
	range->closed = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&range->shuts);
	init_waitqueue_head(&range->drained);
	memcpy(range->name, name, len);
	range->gen = U64_MAX;		/* nobody attaches until it has one */

	err = mtree_insert_range(&pfn_ranges, first, last, range, GFP_KERNEL);
	if (err) {
		kfree(range);
		return ERR_PTR(err);
	}

	spin_lock(&range->lock);
	range->gen = atomic64_inc_return(&pfn_revoke_gen);
	spin_unlock(&range->lock);
	return range;
}
EXPORT_SYMBOL_GPL(pfn_range_register);

/**
 * pfn_range_unregister - take a declared range back
 * @range: from pfn_range_register(); an error pointer or NULL does nothing
 *
 * Revokes what is still attached and forgets the range. The provider has
 * unmapped the memory before.
 *
 * Context: as pfn_revoke_range(), and never from a callback.
 */
void pfn_range_unregister(struct pfn_range *range)
{
	s64 gen, gone;

	if (IS_ERR_OR_NULL(range))
		return;

	spin_lock(&range->lock);
	range->gone = true;		/* for those who find it until the end */
	spin_unlock(&range->lock);

	if (WARN_ON_ONCE(pfn_revoke_range(range->first, range->last)))
		return;

	/*
	 * For pfn_range_extent(): whoever misses the range sees the change.
	 * Others may be ahead of us, so it only grows.
	 */
	gen = atomic64_inc_return(&pfn_revoke_gen);
	gone = atomic64_read(&pfn_gone_gen);
	do {
		if (gone >= gen)
			break;
	} while (!atomic64_try_cmpxchg(&pfn_gone_gen, &gone, gen));
	smp_mb();	/* before the tree is changed; pairs with the other one */
	mtree_erase(&pfn_ranges, range->first);
	pfn_range_put(range);
}
EXPORT_SYMBOL_GPL(pfn_range_unregister);

/**
 * pfn_reopen_range - let consumers attach to revoked PFNs again
 * @first: first PFN
 * @last: last PFN, inclusive
 *
 * For a provider that had the memory to itself for a while. Pins that were
 * revoked stay revoked, and a look-up that began before this call cannot
 * attach. PFNs that are open already stay open.
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL if @first is above @last; -ENOENT if no provider declared
 * any of the PFNs; -EBUSY if one is being revoked or unregistered right now;
 * -ENOMEM. After an error of a call that spans providers some of them may have
 * been opened.
 */
int pfn_reopen_range(unsigned long first, unsigned long last)
{
	struct interval_tree_node *closed, *left, *right;
	unsigned long index = first;
	struct pfn_range *range;
	struct pfn_shut *shut;
	int err = -ENOENT;

	if (first > last)
		return -EINVAL;

	while ((range = pfn_range_find(&index, last))) {
		left = kzalloc_obj(*left);
		right = kzalloc_obj(*right);

		spin_lock(&range->lock);
		err = left && right ? 0 : -ENOMEM;
		if (range->gone)
			err = -EBUSY;
		list_for_each_entry(shut, &range->shuts, in_range)
			if (shut->first <= last && shut->last >= first)
				err = -EBUSY;

		while (!err && (closed = interval_tree_iter_first(&range->closed,
								  first, last))) {
			interval_tree_remove(closed, &range->closed);
			/* Disjoint: one at most sticks out on either side */
			if (closed->start < first) {
				left->start = closed->start;
				left->last = first - 1;
				interval_tree_insert(left, &range->closed);
				left = NULL;
			}
			if (closed->last > last) {
				right->start = last + 1;
				right->last = closed->last;
				interval_tree_insert(right, &range->closed);
				right = NULL;
			}
			pfn_closed_free(range, closed);
			range->gen = atomic64_inc_return(&pfn_revoke_gen);
		}
		spin_unlock(&range->lock);

		kfree(left);
		kfree(right);
		pfn_range_put(range);
		if (err)
			break;
	}
	return err;
}
EXPORT_SYMBOL_GPL(pfn_reopen_range);

/**
 * pfn_range_extent - ask whether a PFN has a provider, and how far that is so
 * @pfn: a PFN that was looked up
 * @gen: from pfn_pin_begin(), called before the look-up
 * @last: if the function returns 0 or 1: the last PFN, counted from @pfn, that
 *	has the same provider, or that has none either
 *
 * For consumers who meet memory without a provider that they use all the same
 * (VM_PFNMAP mappings of whatever kind). The answer about a provider may be out
 * of date at once; pfn_pin_attach() checks again.
 *
 * Context: process context, takes a spinlock.
 * Return: 1 if @pfn has a provider; 0 if it has none and had none when it was
 * looked up; -EAGAIN if it has none now but some provider has gone since @gen,
 * so that it may have had one: look it up again. Which PFNs have gone is not
 * kept. Providers go when a device is unbound or closed and the time since @gen
 * is short, so a caller hardly ever meets this twice; one that repeats the
 * look-up for user space should heed fatal signals.
 */
int pfn_range_extent(unsigned long pfn, u64 gen, unsigned long *last)
{
	unsigned long index = pfn;
	struct pfn_range *range;
	int ret = 0;

	*last = ULONG_MAX;
	range = pfn_range_get(pfn);
	if (!range)
		range = pfn_range_find(&index, ULONG_MAX);
	if (range) {
		ret = range->first <= pfn;
		*last = ret ? range->last : range->first - 1;
		pfn_range_put(range);
	}
	if (ret)
		return ret;

	/*
	 * The tree is read before the generation. Pairs with smp_mb() in
	 * pfn_range_unregister(). A range that had gone by @gen was unmapped
	 * before, so the look-up has not seen it. One that came since is in the
	 * tree, or has gone as well.
	 */
	smp_mb();
	return atomic64_read(&pfn_gone_gen) <= gen ? 0 : -EAGAIN;
}
EXPORT_SYMBOL_GPL(pfn_range_extent);

/* Pins */

static void pfn_pin_put(struct pfn_pin *pin)
{
	if (refcount_dec_and_test(&pin->ref)) {
		put_pid(pin->pid);
		kfree(pin);
	}
}

static void pfn_run_insert(struct pfn_run *run, struct rb_root_cached *root)
{
	lockdep_assert_held(&run->range->lock);

	/* Among those with the same start it becomes the last */
	run->seq = ++run->range->seq;
	interval_tree_insert(&run->it, root);
}

static void pfn_run_free(struct pfn_run *run, struct pfn_pin *pin)
{
	if (run != &pin->first_run)
		kfree(run);
}

/* After finish(): nobody waits for these runs any more */
static void pfn_pin_retire_runs(struct pfn_pin *pin)
{
	struct pfn_run *run;

	list_for_each_entry(run, &pin->runs, node) {
		struct pfn_range *range = run->range;

		spin_lock(&range->lock);
		interval_tree_remove(&run->it, &range->runs);
		pfn_run_insert(run, &range->revoked);
		spin_unlock(&range->lock);
		if (wq_has_sleeper(&range->drained))
			wake_up_all(&range->drained);
	}
}

/*
 * By the detacher, who made the pin DETACHED or has seen it REVOKED, or for it:
 * the list cannot change any more.
 */
static void pfn_pin_free_runs(struct pfn_pin *pin, bool revoked)
{
	struct pfn_run *run, *next;

	list_for_each_entry_safe(run, next, &pin->runs, node) {
		struct pfn_range *range = run->range;

		spin_lock(&range->lock);
		interval_tree_remove(&run->it, revoked ? &range->revoked :
							 &range->runs);
		range->nr_runs--;
		spin_unlock(&range->lock);
		if (!revoked && wq_has_sleeper(&range->drained))
			wake_up_all(&range->drained);

		list_del(&run->node);
		pfn_run_free(run, pin);
		pfn_range_put(range);
	}
}

static void pfn_pin_trace_detach(struct pfn_pin *pin, bool revoked)
{
	struct pfn_run *run;

	if (!trace_pfn_pin_detach_enabled())
		return;
	list_for_each_entry(run, &pin->runs, node)
		trace_pfn_pin_detach(run->it.start, run->it.last,
				     run->range->name, pin->ops->name,
				     pid_nr(pin->pid), pin->comm, pin->born,
				     revoked);
}

/**
 * pfn_pin_alloc - make a pin that nothing is attached to yet
 * @ops: the consumer's callbacks; must outlive the pin
 * @priv: handed to them
 * @gfp: GFP_KERNEL; or GFP_NOWAIT by a caller that has looked PFNs up and not
 *	attached them yet, who lets go of them if that fails, and waits for
 *	memory only then
 *
 * The current process is recorded as the owner.
 *
 * Context: process context, may sleep if @gfp lets it.
 * Return: the pin, to be ended by pfn_pin_detach(); ERR_PTR(-ENOMEM).
 */
struct pfn_pin *pfn_pin_alloc(const struct pfn_pin_ops *ops, void *priv,
			      gfp_t gfp)
{
	struct pfn_pin *pin;

	pin = kzalloc_obj(*pin, gfp | __GFP_ACCOUNT);
	if (!pin)
		return ERR_PTR(-ENOMEM);

	refcount_set(&pin->ref, 1);
	spin_lock_init(&pin->lock);
	pin->state = PFN_PIN_LIVE;
	pin->pid = get_pid(task_tgid(current));
	pin->born = ktime_get_boottime_ns();
	get_task_comm(pin->comm, current);
	pin->ops = ops;
	pin->priv = priv;
	INIT_LIST_HEAD(&pin->runs);
	INIT_LIST_HEAD(&pin->node);
	return pin;
}
EXPORT_SYMBOL_GPL(pfn_pin_alloc);

/**
 * pfn_pin_begin - note the time before PFNs are looked up
 *
 * Call it before the page tables are read (before GUP; under mmap_lock for
 * look-ups that take no reference), and give what it returns to
 * pfn_pin_attach(). One call may serve many look-ups, but the older it is, the
 * likelier another part of the range was opened again meanwhile, and the attach
 * fails.
 *
 * Context: any.
 * Return: the generation, opaque to the caller.
 */
u64 pfn_pin_begin(void)
{
	u64 gen = atomic64_read(&pfn_revoke_gen);

	/*
	 * The generation is read before the PTE. Pairs with the full barrier
	 * of atomic64_inc_return() in pfn_reopen_range() and in
	 * pfn_range_register(), which come after the provider's zap.
	 */
	smp_mb();
	return gen;
}
EXPORT_SYMBOL_GPL(pfn_pin_begin);

static int pfn_range_attach(struct pfn_range *range, struct pfn_pin *pin,
			    unsigned long first, unsigned long last, u64 gen)
{
	struct pfn_run *run, *prev;
	int err = -ENODEV;

	/* Once set it stays set, so that no run is used twice */
	run = &pin->first_run;
	if (run->range) {
		/* Not accounted: a cgroup could throttle us with unattached pages */
		run = kzalloc_obj(*run);
		if (!run)
			return -ENOMEM;
	}

	spin_lock(&range->lock);
	if (range->gone || range->gen > gen ||
	    interval_tree_iter_first(&range->closed, first, last))
		goto out_unlock;

	spin_lock(&pin->lock);
	if (READ_ONCE(pin->state) != PFN_PIN_LIVE)
		goto out_unlock_pin;

	prev = list_empty(&pin->runs) ? NULL :
		list_last_entry(&pin->runs, struct pfn_run, node);
	if (prev && prev->range == range && prev->it.last + 1 == first) {
		interval_tree_remove(&prev->it, &range->runs);
		prev->it.last = last;
		pfn_run_insert(prev, &range->runs);
	} else {
		refcount_inc(&range->ref);
		run->range = range;
		run->pin = pin;
		run->it.start = first;
		run->it.last = last;
		list_add_tail(&run->node, &pin->runs);
		pfn_run_insert(run, &range->runs);
		range->nr_runs++;
		run = &pin->first_run;	/* nothing to free */
	}
	err = 0;
	trace_pfn_pin_attach(first, last, range->name, pin->ops->name,
			     pid_nr(pin->pid), pin->comm, pin->born, false);

out_unlock_pin:
	spin_unlock(&pin->lock);
out_unlock:
	spin_unlock(&range->lock);
	pfn_run_free(run, pin);
	return err;
}

/**
 * pfn_pin_attach - tell the notifier what was pinned
 * @pin: from pfn_pin_alloc()
 * @first: first PFN
 * @last: last PFN, inclusive
 * @gen: from pfn_pin_begin(), called before the PFNs were looked up
 *
 * On success a broadcast that covers one of the PFNs will call @pin's
 * callbacks; it may do so before this function has returned. A run that
 * continues the last one costs nothing extra.
 *
 * After an error the consumer unpins the pages, which it must not have used,
 * and detaches the pin; a part of the PFNs may have been attached.
 *
 * Context: process context, may sleep for memory; waits for nobody. Calls for
 * one pin must be serialised by the caller.
 * Return: 0; -ENODEV if a PFN has no provider, is shut, or belongs to a range
 * that changed since @gen, or if @pin has been revoked; -EINVAL if @first is
 * above @last; -ENOMEM.
 */
int pfn_pin_attach(struct pfn_pin *pin, unsigned long first,
		   unsigned long last, u64 gen)
{
	unsigned long end;
	int err;

	for (;; first = end + 1) {
		err = pfn_pin_attach_extent(pin, first, last, gen, &end);
		if (err || end >= last)
			return err;
	}
}
EXPORT_SYMBOL_GPL(pfn_pin_attach);

/**
 * pfn_pin_attach_extent - tell the notifier what was pinned of one provider
 * @pin: from pfn_pin_alloc()
 * @first: first PFN
 * @last: last PFN, inclusive
 * @gen: from pfn_pin_begin(), called before the PFNs were looked up
 * @end: if the function returns 0: the last PFN of the provider of @first
 *
 * As pfn_pin_attach(), for consumers whose unit must not cross the border
 * between two providers: what lies behind *@end has not been attached. After an
 * error nothing has.
 *
 * Context: as pfn_pin_attach().
 * Return: as pfn_pin_attach(), about the PFNs up to *@end.
 */
int pfn_pin_attach_extent(struct pfn_pin *pin, unsigned long first,
			  unsigned long last, u64 gen, unsigned long *end)
{
	struct pfn_range *range;
	int err;

	if (first > last)
		return -EINVAL;

	range = pfn_range_get(first);
	if (!range)
		return -ENODEV;

	*end = range->last;
	err = pfn_range_attach(range, pin, first, min(last, *end), gen);
	pfn_range_put(range);
	return err;
}
EXPORT_SYMBOL_GPL(pfn_pin_attach_extent);

/* Between two callbacks this task calls nothing that asks pfn_in_callback() */
static void pfn_runner_enter(struct pfn_runner *me)
{
	me->task = current;
	spin_lock(&pfn_runners_lock);
	list_add(&me->node, &pfn_runners);
	spin_unlock(&pfn_runners_lock);
}

static void pfn_runner_leave(struct pfn_runner *me)
{
	spin_lock(&pfn_runners_lock);
	list_del(&me->node);
	spin_unlock(&pfn_runners_lock);
}

static bool pfn_in_callback(void)
{
	struct pfn_runner *runner;
	bool ret = false;

	spin_lock(&pfn_runners_lock);
	list_for_each_entry(runner, &pfn_runners, node) {
		if (runner->task == current) {
			ret = true;
			break;
		}
	}
	spin_unlock(&pfn_runners_lock);
	return ret;
}

static bool pfn_pin_is_revoked(struct pfn_pin *pin)
{
	/* Pairs with store_release_wake_up(): what finish did is seen */
	return smp_load_acquire(&pin->state) == PFN_PIN_REVOKED;
}

/**
 * pfn_pin_detach - end a pin
 * @pin: from pfn_pin_alloc(); gone afterwards
 *
 * The consumer has unpinned its pages before, under the lock that it shares
 * with its callbacks: a broadcast takes a detached pin for one that holds
 * nothing. When the function returns no callback of the pin runs or will run.
 *
 * The pin's own callback may call this as well; then the callback that is
 * running is the last.
 *
 * Context: process context. Waits for a callback of this pin that runs or is
 * due, so the caller holds no lock that its callbacks take.
 */
void pfn_pin_detach(struct pfn_pin *pin)
{
	bool live;

	if (READ_ONCE(pin->runner) == current) {
		/* Its runs stay as they are until this callback is over */
		pfn_pin_trace_detach(pin, true);
		spin_lock(&pin->lock);
		pin->detached = true;
		spin_unlock(&pin->lock);
		pfn_pin_put(pin);
		return;
	}

	might_sleep();
	VM_WARN_ON_ONCE(pfn_in_callback());
	lock_map_acquire(&pfn_revoke_map);
	lock_map_release(&pfn_revoke_map);

	spin_lock(&pin->lock);
	live = READ_ONCE(pin->state) == PFN_PIN_LIVE;
	if (live)
		pin->state = PFN_PIN_DETACHED;
	spin_unlock(&pin->lock);

	if (!live)
		wait_var_event(&pin->state, pfn_pin_is_revoked(pin));
	pfn_pin_trace_detach(pin, !live);
	pfn_pin_free_runs(pin, !live);
	pfn_pin_put(pin);
}
EXPORT_SYMBOL_GPL(pfn_pin_detach);

/* Broadcast */

/* A callback that began then is over */
static void pfn_pin_trace_call(struct pfn_pin *pin, u64 began)
{
	struct pfn_run *run = list_first_entry(&pin->runs, struct pfn_run, node);
	/* Only callbacks set @detached, and this was the one that ran */
	const char *consumer = pin->detached ? "" : pin->ops->name;
	u64 ns = ktime_get_ns() - began;

	if (pin->in_finish)
		trace_pfn_pin_finish(run->it.start, run->it.last,
				     run->range->name, consumer,
				     pid_nr(pin->pid), pin->comm, pin->born, ns);
	else
		trace_pfn_pin_start(run->it.start, run->it.last,
				    run->range->name, consumer,
				    pid_nr(pin->pid), pin->comm, pin->born, ns);
}

/* Run the callback that is due for a pin that is on broadcast->running */
static void pfn_pin_call(struct pfn_pin *pin)
{
	void (*callback)(void *priv);
	u64 began = 0;

	/* Then its ops may be gone */
	if (pin->detached)
		return;

	callback = pin->in_finish ? pin->ops->finish : pin->ops->start;
	if (!callback)
		return;

	WRITE_ONCE(pin->runner, current);
	if (trace_pfn_pin_start_enabled() || trace_pfn_pin_finish_enabled())
		began = ktime_get_ns();
	callback(pin->priv);
	if (began)
		pfn_pin_trace_call(pin, began);
	WRITE_ONCE(pin->runner, NULL);
}

static void pfn_broadcast_set_running(struct pfn_broadcast *broadcast,
				      struct pfn_pin *pin, bool in_finish)
{
	lockdep_assert_held(&broadcast->lock);

	pin->in_finish = in_finish;
	pin->since = jiffies;
	pin->next_warning = jiffies + pfn_revoke_patience;
	list_move_tail(&pin->node, &broadcast->running);
}

/* The caller and every takeover worker do this, each with a pin at a time */
static void pfn_broadcast_finish_pins(struct pfn_broadcast *broadcast)
{
	struct pfn_pin *pin;

	spin_lock(&broadcast->lock);
	while ((pin = list_first_entry_or_null(&broadcast->pending,
					       struct pfn_pin, node))) {
		pfn_broadcast_set_running(broadcast, pin, true);
		spin_unlock(&broadcast->lock);

		pfn_pin_call(pin);

		/* Off the list first: the watchdog reads the runs */
		spin_lock(&broadcast->lock);
		list_del_init(&pin->node);
		spin_unlock(&broadcast->lock);
		pfn_pin_retire_runs(pin);
		if (pin->detached)
			pfn_pin_free_runs(pin, true);

		/* Nobody else changes REVOKING; for pfn_pin_detach() */
		store_release_wake_up(&pin->state, PFN_PIN_REVOKED);
		pfn_pin_put(pin);

		spin_lock(&broadcast->lock);
		if (!--broadcast->unfinished)
			wake_up_all(&broadcast->done);
	}
	spin_unlock(&broadcast->lock);
}

static void pfn_broadcast_takeover(struct work_struct *work)
{
	struct pfn_pin *pin = container_of(work, struct pfn_pin, takeover);
	struct pfn_broadcast *broadcast = pin->broadcast;
	struct pfn_runner me;

	lock_map_acquire(&pfn_revoke_map);
	pfn_runner_enter(&me);
	pfn_broadcast_finish_pins(broadcast);
	pfn_runner_leave(&me);
	lock_map_release(&pfn_revoke_map);

	/*
	 * The broadcast is on the stack of its caller, who looks at @workers
	 * under the lock: it is still there when the wake-up is over.
	 */
	spin_lock(&broadcast->lock);
	if (!--broadcast->workers)
		wake_up_all(&broadcast->done);
	spin_unlock(&broadcast->lock);
	pfn_pin_put(pin);
}

/* While it is on broadcast->running its runs do not change */
static void pfn_pin_name(struct pfn_pin *pin)
{
	struct pfn_run *run = list_first_entry(&pin->runs, struct pfn_run, node);

	spin_lock(&pin->lock);
	if (pin->detached)
		goto out;
	pr_warn("%s of %s (pid %d, %s) has held up the revocation for %u seconds: PFNs %#lx-%#lx of %s%s\n",
		pin->in_finish ? "finish" : "start", pin->ops->name,
		pid_nr(pin->pid), pin->comm, jiffies_to_msecs(jiffies - pin->since) / 1000,
		run->it.start, run->it.last, run->range->name,
		list_is_singular(&pin->runs) ? "" : " and others");
out:
	spin_unlock(&pin->lock);
}

static unsigned long pfn_watchdog_period(void)
{
	return max(pfn_revoke_patience / 10, 1UL);
}

static void pfn_broadcast_watchdog(struct work_struct *work)
{
	struct pfn_broadcast *broadcast =
		container_of(work, struct pfn_broadcast, watchdog.work);
	unsigned long due = jiffies + pfn_watchdog_period();
	struct pfn_pin *pin, *stuck = NULL;
	bool moving = false;

	spin_lock(&broadcast->lock);
	list_for_each_entry(pin, &broadcast->running, node) {
		if (time_after_eq(jiffies, pin->next_warning)) {
			pfn_pin_name(pin);
			pin->next_warning = jiffies + pfn_revoke_patience;
		}
		/* Those behind it must not wait for one more period */
		if (time_before(due, pin->since + pfn_revoke_patience))
			moving = true;
		else if (pin->in_finish && !pin->taken_over)
			stuck = pin;
	}
	if (stuck && !moving && !list_empty(&broadcast->pending)) {
		stuck->taken_over = true;
		stuck->broadcast = broadcast;
		refcount_inc(&stuck->ref);
		broadcast->workers++;
		INIT_WORK(&stuck->takeover, pfn_broadcast_takeover);
		queue_work(system_dfl_long_wq, &stuck->takeover);
	}
	spin_unlock(&broadcast->lock);

	queue_delayed_work(system_dfl_wq, &broadcast->watchdog,
			   pfn_watchdog_period());
}

/* Step 1: shut the PFNs and claim the pins */
static void pfn_broadcast_claim(struct pfn_broadcast *broadcast,
				struct pfn_shut *shut)
{
	struct pfn_range *range = shut->range;
	struct interval_tree_node *it;
	struct pfn_pin *pin;

	spin_lock(&range->lock);
	list_add(&shut->in_range, &range->shuts);
	pfn_range_close(range, shut->first, shut->last, &shut->spare);

	for (it = interval_tree_iter_first(&range->runs, shut->first, shut->last);
	     it; it = interval_tree_iter_next(it, shut->first, shut->last)) {
		pin = container_of(it, struct pfn_run, it)->pin;

		spin_lock(&pin->lock);
		if (READ_ONCE(pin->state) == PFN_PIN_LIVE) {
			pin->state = PFN_PIN_REVOKING;
			refcount_inc(&pin->ref);
			list_add_tail(&pin->node, &broadcast->claimed);
			broadcast->unfinished++;
		}
		spin_unlock(&pin->lock);
	}
	spin_unlock(&range->lock);
}

static bool pfn_broadcast_is_done(struct pfn_broadcast *broadcast)
{
	bool ret;

	spin_lock(&broadcast->lock);
	ret = !broadcast->unfinished && !broadcast->workers;
	spin_unlock(&broadcast->lock);
	return ret;
}

/* Steps 2 and 3 */
static void pfn_broadcast_run(struct pfn_broadcast *broadcast)
{
	struct pfn_runner me;
	struct pfn_pin *pin;
	LIST_HEAD(started);

	INIT_DELAYED_WORK_ONSTACK(&broadcast->watchdog, pfn_broadcast_watchdog);
	queue_delayed_work(system_dfl_wq, &broadcast->watchdog,
			   pfn_watchdog_period());

	pfn_runner_enter(&me);
	spin_lock(&broadcast->lock);
	while ((pin = list_first_entry_or_null(&broadcast->claimed,
					       struct pfn_pin, node))) {
		pfn_broadcast_set_running(broadcast, pin, false);
		spin_unlock(&broadcast->lock);

		pfn_pin_call(pin);

		spin_lock(&broadcast->lock);
		list_move_tail(&pin->node, &started);
	}
	list_splice_tail(&started, &broadcast->pending);
	spin_unlock(&broadcast->lock);

	pfn_broadcast_finish_pins(broadcast);
	pfn_runner_leave(&me);
	wait_event(broadcast->done, pfn_broadcast_is_done(broadcast));

	cancel_delayed_work_sync(&broadcast->watchdog);
	destroy_delayed_work_on_stack(&broadcast->watchdog);
}

static struct pfn_shut *pfn_shut_alloc(struct pfn_range *range,
				       unsigned long first, unsigned long last)
{
	struct pfn_shut *shut;

	/*
	 * The memory goes away whether or not there is memory to say so. These
	 * are two small objects, and the second only for a part of a range.
	 */
	shut = kzalloc_obj(*shut, GFP_KERNEL | __GFP_NOFAIL);
	shut->range = range;
	shut->first = max(first, range->first);
	shut->last = min(last, range->last);
	if (shut->first != range->first || shut->last != range->last)
		shut->spare = kzalloc_obj(*shut->spare,
					  GFP_KERNEL | __GFP_NOFAIL);
	return shut;
}

/* Step 4, and the end of @shut */
static void pfn_shut_wait_and_free(struct pfn_shut *shut)
{
	struct pfn_range *range = shut->range;

	wait_event(range->drained,
		   !pfn_range_has_runs(range, shut->first, shut->last));

	spin_lock(&range->lock);
	list_del(&shut->in_range);
	spin_unlock(&range->lock);

	pfn_range_put(range);
	kfree(shut->spare);
	kfree(shut);
}

/**
 * pfn_revoke_range - make everybody let go of a range of PFNs
 * @first: first PFN
 * @last: last PFN, inclusive; may be part of a declared range or span several
 *
 * The provider has removed the mappings through which the PFNs can be looked
 * up (unmap_mapping_range()), and sees to it that no new ones appear. When the
 * function returns, no consumer can reach the PFNs, their pins are gone, and
 * nobody can attach until pfn_reopen_range(). References that are no
 * consumer's (short-term pins, page table walkers) are not waited for.
 *
 * Repeated calls are harmless. Concurrent calls for common PFNs all return when
 * the last consumer is through.
 *
 * Context: process context. Waits for the callbacks of all consumers; one that
 * is stuck is named in the log every 10 seconds. The caller holds no lock that
 * a callback may take: no mmap_lock, no lock of a consumer.
 * Return: 0; -EINVAL if @first is above @last; -ENOENT if no provider declared
 * any of the PFNs; -EDEADLK if called by a callback.
 */
int pfn_revoke_range(unsigned long first, unsigned long last)
{
	struct pfn_broadcast broadcast = {};
	unsigned long index = first;
	struct pfn_shut *shut, *next;
	struct pfn_range *range;
	unsigned int pins;
	int err = -ENOENT;
	u64 began = 0;

	if (first > last)
		return -EINVAL;

	might_sleep();
	if (pfn_in_callback())
		return -EDEADLK;

	trace_pfn_revoke_begin(first, last);
	if (trace_pfn_revoke_end_enabled())
		began = ktime_get_ns();

	INIT_LIST_HEAD(&broadcast.shuts);
	INIT_LIST_HEAD(&broadcast.claimed);
	spin_lock_init(&broadcast.lock);
	INIT_LIST_HEAD(&broadcast.running);
	INIT_LIST_HEAD(&broadcast.pending);
	init_waitqueue_head(&broadcast.done);

	while ((range = pfn_range_find(&index, last))) {
		shut = pfn_shut_alloc(range, first, last);
		list_add_tail(&shut->node, &broadcast.shuts);
	}
	lock_map_acquire(&pfn_revoke_map);

	list_for_each_entry(shut, &broadcast.shuts, node)
		pfn_broadcast_claim(&broadcast, shut);
	pins = broadcast.unfinished;

	if (!list_empty(&broadcast.claimed))
		pfn_broadcast_run(&broadcast);

	list_for_each_entry_safe(shut, next, &broadcast.shuts, node) {
		pfn_shut_wait_and_free(shut);
		err = 0;
	}

	lock_map_release(&pfn_revoke_map);
	if (began)
		trace_pfn_revoke_end(first, last, pins, ktime_get_ns() - began,
				     err);
	return err;
}
EXPORT_SYMBOL_GPL(pfn_revoke_range);

/* Telling who holds what */

static const char *pfn_range_state(struct pfn_range *range)
{
	struct interval_tree_node *closed;
	unsigned long next = range->first;

	lockdep_assert_held(&range->lock);

	if (!list_empty(&range->shuts))
		return "revoking";

	closed = interval_tree_iter_first(&range->closed, 0, ULONG_MAX);
	if (!closed)
		return "open";
	for (; closed && closed->start == next;
	     closed = interval_tree_iter_next(closed, 0, ULONG_MAX))
		next = closed->last + 1;
	return next > range->last ? "closed" : "part";
}

/* The next range, which becomes the cursor's */
static bool pfn_revoke_next_range(struct pfn_revoke_cursor *cursor,
				  struct pfn_revoke_entry *entry)
{
	unsigned long index = 0;
	struct pfn_range *range;

	if (cursor->range)
		index = cursor->range->last + 1;
	pfn_revoke_end_walk(cursor);

	range = pfn_range_find(&index, ULONG_MAX);
	if (!range)
		return false;
	cursor->range = range;

	*entry = (struct pfn_revoke_entry) {
		.first = range->first,
		.last = range->last,
		.provider = range->name,
	};
	spin_lock(&range->lock);
	entry->state = pfn_range_state(range);
	entry->pins = range->nr_runs;
	spin_unlock(&range->lock);
	return true;
}

/* The first run behind the cursor; they are sorted by start and seq */
static struct pfn_run *pfn_revoke_next_run(struct pfn_revoke_cursor *cursor,
					   struct rb_root_cached *root)
{
	struct rb_node *node = root->rb_root.rb_node;
	struct pfn_run *run, *found = NULL;

	lockdep_assert_held(&cursor->range->lock);

	while (node) {
		run = rb_entry(node, struct pfn_run, it.rb);
		if (run->it.start > cursor->start ||
		    (run->it.start == cursor->start && run->seq > cursor->seq)) {
			found = run;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

static void pfn_revoke_tell_run(struct pfn_revoke_cursor *cursor,
				struct pfn_revoke_entry *entry,
				struct pfn_run *run)
{
	struct pfn_pin *pin = run->pin;

	lockdep_assert_held(&cursor->range->lock);

	*entry = (struct pfn_revoke_entry) {
		.is_pin = true,
		.first = run->it.start,
		.last = run->it.last,
		.born = pin->born,
	};
	memcpy(entry->comm, pin->comm, sizeof(entry->comm));

	/* Numbers are used again: that of a process that is gone says nothing */
	rcu_read_lock();
	if (pid_task(pin->pid, PIDTYPE_TGID))
		entry->pid = pid_nr_ns(pin->pid, cursor->ns);
	rcu_read_unlock();

	spin_lock(&pin->lock);
	if (cursor->in_revoked)
		entry->state = "revoked";
	else if (READ_ONCE(pin->state) == PFN_PIN_REVOKING)
		entry->state = "revoking";
	else
		entry->state = "attached";
	/* Its ops are there until it is detached, which takes one of the locks */
	if (!pin->detached)
		strscpy(entry->consumer, pin->ops->name);
	spin_unlock(&pin->lock);

	cursor->start = run->it.start;
	cursor->seq = run->seq;
}

/* Ends a walk early; does nothing after one that pfn_revoke_next() has ended */
void pfn_revoke_end_walk(struct pfn_revoke_cursor *cursor)
{
	if (cursor->range)
		pfn_range_put(cursor->range);
	cursor->range = NULL;
	cursor->in_revoked = false;
	cursor->start = 0;
	cursor->seq = 0;
}
EXPORT_SYMBOL_IF_KUNIT(pfn_revoke_end_walk);

/* The next range or run, until there is none */
bool pfn_revoke_next(struct pfn_revoke_cursor *cursor,
		     struct pfn_revoke_entry *entry)
{
	struct pfn_range *range = cursor->range;
	struct pfn_run *run;

	if (!range)
		return pfn_revoke_next_range(cursor, entry);

	spin_lock(&range->lock);
	run = pfn_revoke_next_run(cursor, cursor->in_revoked ? &range->revoked :
							       &range->runs);
	if (!run && !cursor->in_revoked) {
		cursor->in_revoked = true;
		cursor->start = 0;
		cursor->seq = 0;
		run = pfn_revoke_next_run(cursor, &range->revoked);
	}
	if (run)
		pfn_revoke_tell_run(cursor, entry, run);
	spin_unlock(&range->lock);

	return run || pfn_revoke_next_range(cursor, entry);
}
EXPORT_SYMBOL_IF_KUNIT(pfn_revoke_next);
