// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile providers and consumers of PFN-range revocation, see
 * lib/test_pfn_revoke_uapi.h. Not part of the mailed series.
 *
 * A file has providers, parts and consumers of its own; their PFNs are
 * everybody's, so files (processes) meet there. Closing the file ends what is
 * stuck, detaches and unregisters, whatever is going on elsewhere.
 *
 * test_pages[] has the number of pins through which each page may be touched.
 * The record of an attach raises it, detaching and finish() lower it.
 *
 * Locks:
 *
 * test_file.lock	the xarrays, users of providers, states of parts
 * consumer->attaching	the attaches of a consumer, which use its last pin
 * consumer->lock	what is recorded; callbacks take it
 *
 * An attach is recorded under the last one and made without it, so callbacks
 * come in between. A callback takes the last two for TEST_PFN_ATTACH_IN, so
 * none is held across pfn_pin_detach().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pfn_revoke.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "../mm/pfn_revoke.h"
#include "test_pfn_revoke_uapi.h"

#define TEST_PFN_LAST	(TEST_PFN_BASE + TEST_PFN_PAGES - 1)
#define NOT_CALLED	1

static atomic_t test_pages[TEST_PFN_PAGES];

struct test_file {
	struct mutex lock;		/* guards the next three */
	struct xarray consumers;
	struct xarray providers;
	struct xarray parts;
	wait_queue_head_t unused;
};

struct test_provider {
	struct pfn_range *range;
	unsigned int users;
	bool leaving;
};

struct test_part {
	struct pfn_part part;
	struct test_provider *provider;	/* NULL: a real one */
	struct pfn_range *range;	/* of a real one a reference */
	unsigned long first, last;
	enum { PART_OPEN, PART_REVOKING, PART_CLOSED } state;
};

struct test_pin {
	struct pfn_pin pin;
	struct test_consumer *consumer;
	bool detached;			/* no callback may come */
	unsigned int starts, finishes;	/* since it was attached */

	/* Under consumer->lock */
	bool dead;			/* revoked, or being detached */
	unsigned long first, nr;	/* that may be touched */
};

struct test_consumer {
	struct kref ref;
	struct test_consumer *other;	/* a reference, for ATTACH_IN */
	u32 flags;
	u32 ms;
	unsigned long first, last;
	struct completion go_on;

	struct mutex attaching;		/* guards @nr, @detaching */
	unsigned int nr;		/* pins attached */
	bool detaching;

	struct mutex lock;		/* guards what is recorded */
	struct test_pin pins[TEST_PFN_PINS];

	atomic_t starts, finishes, late;
	int ret;
};

static bool test_pfns(u64 first, u64 last)
{
	return first >= TEST_PFN_BASE && first <= last && last <= TEST_PFN_LAST;
}

/* How many of them may be touched */
static int test_touched(u64 first, u64 last)
{
	int touched = 0;
	u64 pfn;

	/* Memory of a real provider counts nothing */
	if (!test_pfns(first, last))
		return 0;
	for (pfn = first; pfn <= last; pfn++)
		if (atomic_read(&test_pages[pfn - TEST_PFN_BASE]))
			touched++;
	return touched;
}

/* Consumers */

static void test_consumer_free(struct kref *ref)
{
	struct test_consumer *c = container_of(ref, struct test_consumer, ref);

	if (c->other)
		kref_put(&c->other->ref, test_consumer_free);
	mutex_destroy(&c->attaching);
	mutex_destroy(&c->lock);
	kfree(c);
}

static void test_consumer_put(struct test_consumer *c)
{
	kref_put(&c->ref, test_consumer_free);
}

static void test_pin_release(struct test_pin *tp)
{
	unsigned long i;

	lockdep_assert_held(&tp->consumer->lock);

	for (i = 0; i < tp->nr; i++)
		atomic_dec(&test_pages[tp->first + i - TEST_PFN_BASE]);
	tp->nr = 0;
}

/* False: finish() has run in the meantime, and has not seen these pages */
static bool test_pin_record(struct test_pin *tp, unsigned long pfn,
			    unsigned long nr)
{
	struct test_consumer *c = tp->consumer;
	unsigned long i;

	guard(mutex)(&c->lock);
	if (tp->dead && !(c->flags & TEST_PFN_FORGETS))
		return false;
	if (!tp->nr)
		tp->first = pfn;
	tp->nr += nr;
	for (i = 0; i < nr; i++)
		atomic_inc(&test_pages[pfn + i - TEST_PFN_BASE]);
	return true;
}

/* What one call attaches; returns how many PFNs */
static long test_attach_run(struct test_consumer *c, unsigned long pfn,
			    unsigned long nr, u32 ms)
{
	struct test_pin *last = NULL, *spare = NULL, *tp;
	long ret;

	lockdep_assert_held(&c->attaching);

	if (c->nr)
		last = &c->pins[c->nr - 1];
	if (c->nr < TEST_PFN_PINS) {
		spare = &c->pins[c->nr];
		spare->starts = 0;
		spare->finishes = 0;
		spare->dead = false;
		WRITE_ONCE(spare->detached, false);
	}

	ret = pfn_pin_attach_pfns(last ? &last->pin : NULL,
				  spare ? &spare->pin : NULL, pfn, &nr);
	if (ret <= 0)
		return ret ? ret : -ENXIO;

	tp = last;
	if (spare && pfn_pin_attached(&spare->pin)) {
		tp = spare;
		WRITE_ONCE(c->nr, c->nr + 1);
	}
	if (ms)
		msleep(ms);
	return test_pin_record(tp, pfn, ret) ? ret : -ENODEV;
}

/* If it fails, what is attached by then stays */
static int test_attach(struct test_consumer *c, u64 first, u64 last, u32 ms)
{
	unsigned long pfn = first;
	long ret;

	guard(mutex)(&c->attaching);
	if (c->detaching)
		return -ENODEV;
	while (pfn <= last) {
		ret = test_attach_run(c, pfn, last - pfn + 1, ms);
		if (ret < 0)
			return ret;
		pfn += ret;
	}
	return 0;
}

/* Can be attached again, if it is not @for_good */
static int test_detach(struct test_consumer *c, bool for_good)
{
	struct test_pin *tp;
	unsigned int i;

	scoped_guard(mutex, &c->attaching) {
		if (c->detaching)
			return -EALREADY;
		c->detaching = true;
	}

	scoped_guard(mutex, &c->lock) {
		for (tp = c->pins; tp < c->pins + c->nr; tp++) {
			tp->dead = true;
			test_pin_release(tp);
		}
	}
	for (i = 0; i < c->nr; i++) {
		pfn_pin_detach(&c->pins[i].pin);
		WRITE_ONCE(c->pins[i].detached, true);
	}

	guard(mutex)(&c->attaching);
	WRITE_ONCE(c->nr, 0);
	c->detaching = for_good;
	return 0;
}

static void test_misbehave(struct test_pin *tp, u32 flags, bool twice)
{
	struct test_consumer *c = tp->consumer;

	if (twice || READ_ONCE(tp->detached))
		atomic_inc(&c->late);
	if (flags & TEST_PFN_SLOW)
		msleep(c->ms);
	if (flags & TEST_PFN_STUCK)
		wait_for_completion_state(&c->go_on, TASK_IDLE);
	if (flags & TEST_PFN_ATTACH_IN)
		WRITE_ONCE(c->ret, test_attach(c->other ?: c, c->first,
					       c->last, 0));
	if (READ_ONCE(tp->detached))
		atomic_inc(&c->late);
}

static void test_start(struct pfn_pin *pin)
{
	struct test_pin *tp = container_of(pin, struct test_pin, pin);

	atomic_inc(&tp->consumer->starts);
	test_misbehave(tp, tp->consumer->flags & 0xffff,
		       tp->starts++ || tp->finishes);
}

static void test_finish(struct pfn_pin *pin)
{
	struct test_pin *tp = container_of(pin, struct test_pin, pin);
	struct test_consumer *c = tp->consumer;

	atomic_inc(&c->finishes);
	test_misbehave(tp, c->flags >> 16, !tp->starts || tp->finishes++);

	guard(mutex)(&c->lock);
	tp->dead = true;
	if (!(c->flags & TEST_PFN_KEEPS))
		test_pin_release(tp);
}

static const struct pfn_pin_ops test_pin_ops = {
	.name	= "test_pfn_revoke",
	.start	= test_start,
	.finish	= test_finish,
};

static struct test_consumer *test_consumer_get(struct test_file *f, u32 id)
{
	struct test_consumer *c;

	guard(mutex)(&f->lock);
	c = xa_load(&f->consumers, id);
	if (c)
		kref_get(&c->ref);
	return c;
}

static int test_consumer_new(struct test_file *f, struct test_pfn_arg *arg)
{
	struct test_consumer *c;
	struct test_pin *tp;
	int err;

	if (((arg->flags | arg->flags >> 16) & TEST_PFN_ATTACH_IN) &&
	    !test_pfns(arg->first, arg->last))
		return -EINVAL;

	c = kzalloc_obj(*c);
	if (!c)
		return -ENOMEM;
	kref_init(&c->ref);
	mutex_init(&c->attaching);
	mutex_init(&c->lock);
	init_completion(&c->go_on);
	c->flags = arg->flags;
	c->ms = arg->ms;
	c->first = arg->first;
	c->last = arg->last;
	c->ret = NOT_CALLED;
	for (tp = c->pins; tp < c->pins + TEST_PFN_PINS; tp++) {
		pfn_pin_init(&tp->pin, &test_pin_ops);
		tp->consumer = c;
	}
	if (arg->other) {
		c->other = test_consumer_get(f, arg->other);
		if (!c->other) {
			err = -ENOENT;
			goto err_put;
		}
	}

	mutex_lock(&f->lock);
	err = xa_alloc(&f->consumers, &arg->id, c, xa_limit_31b, GFP_KERNEL);
	mutex_unlock(&f->lock);
	if (!err)
		return 0;

err_put:
	test_consumer_put(c);
	return err;
}

/* The consumer stays, for TEST_PFN_LOOK, until the file is closed */
static int test_consumer_call(struct test_file *f, unsigned int cmd,
			      struct test_pfn_arg *arg)
{
	struct test_consumer *c = test_consumer_get(f, arg->id);
	int err = 0;

	if (!c)
		return -ENOENT;

	switch (cmd) {
	case TEST_PFN_ATTACH:
		err = test_pfns(arg->first, arg->last) ?
			test_attach(c, arg->first, arg->last, arg->ms) : -EINVAL;
		break;
	case TEST_PFN_DETACH:
		err = test_detach(c, false);
		break;
	case TEST_PFN_GO_ON:
		complete_all(&c->go_on);
		break;
	}
	arg->pins = READ_ONCE(c->nr);
	arg->starts = atomic_read(&c->starts);
	arg->finishes = atomic_read(&c->finishes);
	arg->late = atomic_read(&c->late);
	arg->ret = READ_ONCE(c->ret);
	test_consumer_put(c);
	return err;
}

/* Providers */

static struct test_provider *test_provider_get(struct test_file *f, u32 id)
{
	struct test_provider *p;

	guard(mutex)(&f->lock);
	p = xa_load(&f->providers, id);
	if (p)
		p->users++;
	return p;
}

static void test_provider_put(struct test_file *f, struct test_provider *p)
{
	guard(mutex)(&f->lock);
	WRITE_ONCE(p->users, p->users - 1);
	wake_up_all(&f->unused);
}

static int test_provide(struct test_file *f, struct test_pfn_arg *arg)
{
	struct test_provider *p;
	char name[32];
	int err;

	if (!test_pfns(arg->first, arg->last))
		return -EINVAL;
	p = kzalloc_obj(*p);
	if (!p)
		return -ENOMEM;
	snprintf(name, sizeof(name), "test_pfn_revoke-%llu",
		 arg->first - TEST_PFN_BASE);
	p->range = pfn_range_register(arg->first, arg->last, name);
	if (IS_ERR(p->range)) {
		err = PTR_ERR(p->range);
		goto err_free;
	}

	mutex_lock(&f->lock);
	err = xa_alloc(&f->providers, &arg->id, p, xa_limit_31b, GFP_KERNEL);
	mutex_unlock(&f->lock);
	if (!err)
		return 0;

	pfn_range_unregister(p->range);
err_free:
	kfree(p);
	return err;
}

/* Nobody uses it any more; its parts that are closed end with it */
static void test_provider_end(struct test_file *f, struct test_provider *p)
{
	struct test_part *part;
	unsigned long id;

	pfn_range_unregister(p->range);

	guard(mutex)(&f->lock);
	xa_for_each(&f->parts, id, part) {
		if (part->provider != p)
			continue;
		xa_erase(&f->parts, id);
		kfree(part);
	}
	kfree(p);
}

static int test_unprovide(struct test_file *f, u32 id)
{
	struct test_provider *p;

	mutex_lock(&f->lock);
	p = xa_erase(&f->providers, id);
	if (p)
		p->leaving = true;
	mutex_unlock(&f->lock);
	if (!p)
		return -ENOENT;

	/* Nobody finds it any more */
	wait_event(f->unused, !READ_ONCE(p->users));
	test_provider_end(f, p);
	return 0;
}

static int test_revoke(struct test_file *f, struct test_pfn_arg *arg)
{
	long timeout = arg->ms ? msecs_to_jiffies(arg->ms) :
				 MAX_SCHEDULE_TIMEOUT;
	struct test_provider *p[2] = { };
	struct pfn_range *ranges[2] = { };
	int ret = -ENOENT, i;

	p[0] = test_provider_get(f, arg->id);
	if (!p[0])
		return -ENOENT;
	if (arg->other) {
		p[1] = test_provider_get(f, arg->other);
		if (!p[1])
			goto out;
	}

	for (i = 0; i < 2 && p[i]; i++)
		ranges[i] = p[i]->range;
	ret = pfn_range_revoke(ranges, 2, timeout);
	for (i = 0; i < 2 && p[i] && ret >= 0; i++)
		ret += test_touched(ranges[i]->it.start, ranges[i]->it.last);
out:
	for (i = 0; i < 2 && p[i]; i++)
		test_provider_put(f, p[i]);
	return ret;
}

/* Parts */

static void test_part_free(struct test_part *part)
{
	if (!part->provider && part->range)
		pfn_range_put(part->range);
	kfree(part);
}

/* False: its provider is leaving or has left. Of a real one only tests know */
static bool test_part_has_provider(struct test_part *part)
{
	struct pfn_range *range;

	if (part->provider)
		return !part->provider->leaving;
	range = pfn_range_find(part->first);
	if (range)
		pfn_range_put(range);
	return range == part->range;
}

static int test_part_add(struct test_file *f, struct test_part *part,
			 struct test_pfn_arg *arg)
{
	guard(mutex)(&f->lock);
	if (arg->other) {
		part->provider = xa_load(&f->providers, arg->other);
		if (!part->provider)
			return -ENOENT;
		part->range = part->provider->range;
	}
	if (part->first > part->last || part->first < part->range->it.start ||
	    part->last > part->range->it.last)
		return -EINVAL;
	return xa_alloc(&f->parts, &arg->id, part, xa_limit_31b, GFP_KERNEL);
}

static int test_part_new(struct test_file *f, struct test_pfn_arg *arg)
{
	struct test_part *part;
	int err = -ENOENT;

	part = kzalloc_obj(*part);
	if (!part)
		return -ENOMEM;
	part->first = arg->first;
	part->last = arg->last;
	if (!arg->other)
		part->range = pfn_range_find(arg->first);
	if (arg->other || part->range)
		err = test_part_add(f, part, arg);
	if (err)
		test_part_free(part);
	return err;
}

static int test_part_drop(struct test_file *f, u32 id)
{
	struct test_part *part;

	guard(mutex)(&f->lock);
	part = xa_load(&f->parts, id);
	if (!part || part->state != PART_OPEN)
		return -ENOENT;
	xa_erase(&f->parts, id);
	test_part_free(part);
	return 0;
}

static int test_part_revoke(struct test_file *f, u32 id)
{
	struct test_provider *provider;
	struct test_part *part;
	int touched;

	scoped_guard(mutex, &f->lock) {
		part = xa_load(&f->parts, id);
		if (!part || !test_part_has_provider(part))
			return -ENOENT;
		if (part->state != PART_OPEN)
			return -EBUSY;
		part->state = PART_REVOKING;
		provider = part->provider;
		if (provider)
			provider->users++;
	}

	pfn_part_revoke(&part->part, part->range, part->first, part->last);
	touched = test_touched(part->first, part->last);

	scoped_guard(mutex, &f->lock)
		part->state = PART_CLOSED;
	/* With which the part can end */
	if (provider)
		test_provider_put(f, provider);
	return touched;
}

static int test_part_reopen(struct test_file *f, u32 id)
{
	struct test_part *part;

	guard(mutex)(&f->lock);
	part = xa_load(&f->parts, id);
	if (!part || !test_part_has_provider(part))
		return -ENOENT;
	if (part->state != PART_CLOSED)
		return part->state == PART_OPEN ? -EALREADY : -EBUSY;
	pfn_part_reopen(&part->part);
	part->state = PART_OPEN;
	return 0;
}

/* The device */

static long test_ioctl(struct file *file, unsigned int cmd, unsigned long data)
{
	struct test_file *f = file->private_data;
	struct test_pfn_arg arg;
	int err;

	if (copy_from_user(&arg, (void __user *)data, sizeof(arg)))
		return -EFAULT;

	switch (cmd) {
	case TEST_PFN_PROVIDE:
		err = test_provide(f, &arg);
		break;
	case TEST_PFN_UNPROVIDE:
		err = test_unprovide(f, arg.id);
		break;
	case TEST_PFN_REVOKE:
		err = test_revoke(f, &arg);
		break;
	case TEST_PFN_PART:
		err = test_part_new(f, &arg);
		break;
	case TEST_PFN_REVOKE_PART:
		err = test_part_revoke(f, arg.id);
		break;
	case TEST_PFN_REOPEN:
		err = test_part_reopen(f, arg.id);
		break;
	case TEST_PFN_CONSUMER:
		err = test_consumer_new(f, &arg);
		break;
	case TEST_PFN_ATTACH:
	case TEST_PFN_DETACH:
	case TEST_PFN_GO_ON:
	case TEST_PFN_LOOK:
		err = test_consumer_call(f, cmd, &arg);
		break;
	default:
		return -ENOTTY;
	}

	if (err < 0 || !(_IOC_DIR(cmd) & _IOC_READ))
		return err;
	/* A consumer stays, unattached, until the file is closed */
	if (copy_to_user((void __user *)data, &arg, sizeof(arg))) {
		if (cmd == TEST_PFN_PROVIDE)
			test_unprovide(f, arg.id);
		if (cmd == TEST_PFN_PART)
			test_part_drop(f, arg.id);
		return -EFAULT;
	}
	return 0;
}

static int test_open(struct inode *inode, struct file *file)
{
	struct test_file *f = kzalloc_obj(*f);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	xa_init_flags(&f->consumers, XA_FLAGS_ALLOC1);
	xa_init_flags(&f->providers, XA_FLAGS_ALLOC1);
	xa_init_flags(&f->parts, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&f->unused);
	file->private_data = f;
	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	struct test_file *f = file->private_data;
	struct test_provider *p;
	struct test_consumer *c;
	struct test_part *part;
	unsigned long id;

	/* All of them, before anything here waits for one */
	xa_for_each(&f->consumers, id, c)
		complete_all(&c->go_on);
	/* All of them, before one that another attaches in a callback is freed */
	xa_for_each(&f->consumers, id, c) {
		test_detach(c, true);
		cond_resched();
	}
	xa_for_each(&f->consumers, id, c)
		test_consumer_put(c);
	xa_for_each(&f->providers, id, p)
		test_provider_end(f, p);
	/* Those of real providers */
	xa_for_each(&f->parts, id, part) {
		if (part->state == PART_CLOSED &&
		    test_part_has_provider(part))
			pfn_part_reopen(&part->part);
		test_part_free(part);
	}
	xa_destroy(&f->consumers);
	xa_destroy(&f->providers);
	xa_destroy(&f->parts);
	mutex_destroy(&f->lock);
	kfree(f);
	return 0;
}

static const struct file_operations test_fops = {
	.owner		= THIS_MODULE,
	.open		= test_open,
	.release	= test_release,
	.unlocked_ioctl	= test_ioctl,
};

/*
 * /sys/class/misc/test_pfn_revoke/mapped_by_action: its handler leaves the mapping
 * to mm, which would do that without an active reference to the file.
 */
static int test_mmap_prepare(struct file *file, struct kobject *kobj,
			     const struct bin_attribute *attr,
			     struct vm_area_desc *desc)
{
	mmap_action_remap_full(desc, page_to_pfn(ZERO_PAGE(0)));
	return 0;
}

static const struct bin_attribute test_mapped_by_action = {
	.attr = { .name = "mapped_by_action", .mode = 0600 },
	.size = PAGE_SIZE,
	.mmap_prepare = test_mmap_prepare,
};

static const struct bin_attribute *const test_bin_attrs[] = {
	&test_mapped_by_action,
	NULL,
};

static const struct attribute_group test_group = {
	.bin_attrs = test_bin_attrs,
};

static const struct attribute_group *test_groups[] = {
	&test_group,
	NULL,
};

static struct miscdevice test_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "test_pfn_revoke",
	.mode	= 0600,
	.fops	= &test_fops,
	.groups	= test_groups,
};
module_misc_device(test_misc);

MODULE_DESCRIPTION("Hostile consumers of PFN-range revocation");
MODULE_LICENSE("GPL");
