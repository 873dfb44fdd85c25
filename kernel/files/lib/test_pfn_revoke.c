// SPDX-License-Identifier: GPL-2.0
/*
 * Hostile providers and consumers of PFN-range revocation, see
 * lib/test_pfn_revoke_uapi.h. Not part of the mailed series.
 *
 * A file has providers and consumers of its own; their PFNs are everybody's, so
 * files (processes) meet there. Closing the file lets go who is stuck, detaches
 * and unregisters, whatever is going on elsewhere.
 *
 * What is in a consumer's callback is counted against it: test_pages[] has the
 * number of consumers that may touch each page. Attaching raises it, detaching
 * and finish() lower it.
 *
 * Locks: test_file.lock protects the two xarrays' entries against free.
 * test_consumer.lock is taken by the callbacks and across pfn_pin_attach(), as
 * the contract allows, and never across pfn_pin_detach().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pfn_revoke.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "test_pfn_revoke_uapi.h"

#define TEST_PFN_LAST	(TEST_PFN_BASE + TEST_PFN_PAGES - 1)
#define NOT_CALLED	1
#define TEST_PFN_WITH_PFNS	(TEST_PFN_REVOKE_IN | TEST_PFN_REOPEN_IN | \
				 TEST_PFN_ATTACH_IN)

static atomic_t test_pages[TEST_PFN_PAGES];

struct test_file {
	struct mutex lock;
	struct xarray consumers;
	struct xarray providers;
};

struct test_consumer {
	struct kref ref;
	struct pfn_pin_ops ops;
	struct pfn_pin *pin;
	struct test_consumer *other;	/* a reference, for ATTACH_IN */
	u32 flags;
	u32 ms;
	unsigned long first, last;
	struct completion let_go;

	struct mutex lock;
	bool dead;
	bool detaching;			/* who sets this detaches */
	DECLARE_BITMAP(held, TEST_PFN_PAGES);

	bool gone;			/* no callback may come any more */
	atomic_t starts, finishes, late;
	int ret;
};

static bool test_pfns(u64 first, u64 last)
{
	return first >= TEST_PFN_BASE && first <= last && last <= TEST_PFN_LAST;
}

static void test_consumer_free(struct kref *ref)
{
	struct test_consumer *c = container_of(ref, struct test_consumer, ref);

	if (c->other)
		kref_put(&c->other->ref, test_consumer_free);
	mutex_destroy(&c->lock);
	kfree(c);
}

static void test_consumer_put(struct test_consumer *c)
{
	kref_put(&c->ref, test_consumer_free);
}

static void test_let_go_of_pages(struct test_consumer *c)
{
	unsigned long page;

	lockdep_assert_held(&c->lock);

	for_each_set_bit(page, c->held, TEST_PFN_PAGES)
		atomic_dec(&test_pages[page]);
	bitmap_zero(c->held, TEST_PFN_PAGES);
}

static int test_attach(struct test_consumer *c, u64 first, u64 last, u32 ms)
{
	unsigned long page;
	u64 gen;
	int err;

	gen = pfn_pin_begin();
	if (ms)
		msleep(ms);		/* the look-up */

	mutex_lock(&c->lock);
	err = c->detaching ? -ENODEV : pfn_pin_attach(c->pin, first, last, gen);
	for (page = first - TEST_PFN_BASE;
	     !err && page <= last - TEST_PFN_BASE; page++)
		if (!__test_and_set_bit(page, c->held))
			atomic_inc(&test_pages[page]);
	mutex_unlock(&c->lock);
	return err;
}

/*
 * False if it is detached already, or somebody else is about to. Otherwise the
 * caller now owns the pin's reference to the consumer.
 */
static bool test_detach(struct test_consumer *c)
{
	bool mine;

	mutex_lock(&c->lock);
	mine = !c->detaching;
	c->detaching = true;
	if (mine)
		test_let_go_of_pages(c);
	mutex_unlock(&c->lock);
	if (!mine)
		return false;

	pfn_pin_detach(c->pin);
	WRITE_ONCE(c->gone, true);
	return true;
}

/* True if it has detached: see there */
static bool test_misbehave(struct test_consumer *c, u32 flags)
{
	if (READ_ONCE(c->gone))
		atomic_inc(&c->late);
	if (flags & TEST_PFN_SLOW)
		msleep(c->ms);
	if (flags & TEST_PFN_STUCK)
		wait_for_completion_state(&c->let_go, TASK_IDLE);
	if (flags & TEST_PFN_REVOKE_IN)
		WRITE_ONCE(c->ret, pfn_revoke_range(c->first, c->last));
	if (flags & TEST_PFN_REOPEN_IN)
		WRITE_ONCE(c->ret, pfn_reopen_range(c->first, c->last));
	if (flags & TEST_PFN_ATTACH_IN)
		WRITE_ONCE(c->ret, test_attach(c->other ?: c, c->first,
					       c->last, 0));
	return (flags & TEST_PFN_DETACH_IN) && test_detach(c);
}

static void test_start(void *priv)
{
	struct test_consumer *c = priv;

	atomic_inc(&c->starts);
	mutex_lock(&c->lock);
	WRITE_ONCE(c->dead, true);
	mutex_unlock(&c->lock);
	if (test_misbehave(c, c->flags & 0xffff))
		test_consumer_put(c);
}

static void test_finish(void *priv)
{
	struct test_consumer *c = priv;
	bool detached;

	atomic_inc(&c->finishes);
	detached = test_misbehave(c, c->flags >> 16);
	if (!detached && !(c->flags & TEST_PFN_HOLDS_ON)) {
		mutex_lock(&c->lock);
		test_let_go_of_pages(c);
		mutex_unlock(&c->lock);
	}
	if (detached)
		test_consumer_put(c);
}

static struct test_consumer *test_consumer_get(struct test_file *f, u32 id)
{
	struct test_consumer *c;

	mutex_lock(&f->lock);
	c = xa_load(&f->consumers, id);
	if (c)
		kref_get(&c->ref);
	mutex_unlock(&f->lock);
	return c;
}

static int test_consumer_new(struct test_file *f, struct test_pfn_arg *arg)
{
	struct test_consumer *c;
	int err;

	if (((arg->flags | arg->flags >> 16) & TEST_PFN_WITH_PFNS) &&
	    !test_pfns(arg->first, arg->last))
		return -EINVAL;

	c = kzalloc_obj(*c);
	if (!c)
		return -ENOMEM;
	kref_init(&c->ref);
	mutex_init(&c->lock);
	init_completion(&c->let_go);
	c->ops.name = "test_pfn_revoke";
	c->ops.start = test_start;
	c->ops.finish = test_finish;
	c->flags = arg->flags;
	c->ms = arg->ms;
	c->first = arg->first;
	c->last = arg->last;
	c->ret = NOT_CALLED;
	if (arg->other) {
		c->other = test_consumer_get(f, arg->other);
		if (!c->other) {
			err = -ENOENT;
			goto err_put;
		}
	}

	c->pin = pfn_pin_alloc(&c->ops, c, GFP_KERNEL);
	if (IS_ERR(c->pin)) {
		err = PTR_ERR(c->pin);
		goto err_put;
	}

	kref_get(&c->ref);		/* one is the pin's, one the file's */
	mutex_lock(&f->lock);
	err = xa_alloc(&f->consumers, &arg->id, c, xa_limit_31b, GFP_KERNEL);
	mutex_unlock(&f->lock);
	if (err)
		goto err_detach;
	return 0;

err_detach:
	pfn_pin_detach(c->pin);
	test_consumer_put(c);
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
		err = test_detach(c) ? 0 : -EALREADY;
		if (!err)
			test_consumer_put(c);
		break;
	case TEST_PFN_LET_GO:
		complete_all(&c->let_go);
		break;
	}
	arg->dead = READ_ONCE(c->dead);
	arg->starts = atomic_read(&c->starts);
	arg->finishes = atomic_read(&c->finishes);
	arg->late = atomic_read(&c->late);
	arg->ret = READ_ONCE(c->ret);
	test_consumer_put(c);
	return err;
}

static int test_provide(struct test_file *f, struct test_pfn_arg *arg)
{
	struct pfn_range *range;
	char name[32];
	int err;

	if (!test_pfns(arg->first, arg->last))
		return -EINVAL;
	snprintf(name, sizeof(name), "test_pfn_revoke-%llu",
		 arg->first - TEST_PFN_BASE);
	range = pfn_range_register(arg->first, arg->last, name);
	if (IS_ERR(range))
		return PTR_ERR(range);

	mutex_lock(&f->lock);
	err = xa_alloc(&f->providers, &arg->id, range, xa_limit_31b, GFP_KERNEL);
	mutex_unlock(&f->lock);
	if (err)
		pfn_range_unregister(range);
	return err;
}

static int test_unprovide(struct test_file *f, struct test_pfn_arg *arg)
{
	struct pfn_range *range;

	mutex_lock(&f->lock);
	range = xa_erase(&f->providers, arg->id);
	mutex_unlock(&f->lock);
	if (!range)
		return -ENOENT;
	pfn_range_unregister(range);
	return 0;
}

/* Any PFNs, also those of a real provider: its consumers lose them */
static int test_revoke(struct test_pfn_arg *arg)
{
	int err, touched = 0;
	u64 pfn;

	err = pfn_revoke_range(arg->first, arg->last);
	if (err || !test_pfns(arg->first, arg->last))
		return err;
	for (pfn = arg->first; pfn <= arg->last; pfn++)
		if (atomic_read(&test_pages[pfn - TEST_PFN_BASE]))
			touched++;
	return touched;
}

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
		err = test_unprovide(f, &arg);
		break;
	case TEST_PFN_REVOKE:
		err = test_revoke(&arg);
		break;
	case TEST_PFN_REOPEN:
		err = pfn_reopen_range(arg.first, arg.last);
		break;
	case TEST_PFN_CONSUMER:
		err = test_consumer_new(f, &arg);
		break;
	case TEST_PFN_ATTACH:
	case TEST_PFN_DETACH:
	case TEST_PFN_LET_GO:
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
			test_unprovide(f, &arg);
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
	file->private_data = f;
	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	struct test_file *f = file->private_data;
	struct test_consumer *c;
	struct pfn_range *range;
	unsigned long id;

	/* All of them, before anything here waits for one */
	xa_for_each(&f->consumers, id, c)
		complete_all(&c->let_go);
	xa_for_each(&f->consumers, id, c) {
		if (test_detach(c))
			test_consumer_put(c);
		test_consumer_put(c);
		cond_resched();
	}
	xa_for_each(&f->providers, id, range)
		pfn_range_unregister(range);
	xa_destroy(&f->consumers);
	xa_destroy(&f->providers);
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

static struct miscdevice test_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "test_pfn_revoke",
	.mode	= 0600,
	.fops	= &test_fops,
};
module_misc_device(test_misc);

MODULE_DESCRIPTION("Hostile consumers of PFN-range revocation");
MODULE_LICENSE("GPL");
