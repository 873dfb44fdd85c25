// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: pfn_revoke: who holds memory that its provider can revoke. The format
 * is in Documentation/ABI/testing/debugfs-pfn_revoke.
 *
 * pfn_revoke_next() copies one range or pin at a time and remembers its place by
 * a reference to the range and the sort key of the pin, so it holds range->lock
 * for one descent of a tree and keeps nobody from revoking. What is there all
 * the time is listed once. A pin that grows, or is revoked, during the walk gets
 * a new key and may be listed again as what it is then.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/pfn.h>
#include <linux/pid_namespace.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>
#include <linux/time64.h>
#include <linux/time_namespace.h>
#include <kunit/visibility.h>

#include "pfn_revoke.h"

static const char *pfn_range_state(struct pfn_range *range)
{
	struct interval_tree_node *it;

	lockdep_assert_held(&range->lock);

	for (it = interval_tree_iter_first(&range->closed, 0, ULONG_MAX); it;
	     it = interval_tree_iter_next(it, 0, ULONG_MAX))
		if (container_of(it, struct pfn_part, it)->unfinished)
			return "revoking";
	if (!RB_EMPTY_NODE(&range->whole.it.rb))
		return "closed";
	return RB_EMPTY_ROOT(&range->closed.rb_root) ? "open" : "part";
}

/* The next range, which becomes the cursor's */
static bool pfn_revoke_next_range(struct pfn_revoke_cursor *cursor,
				  struct pfn_revoke_entry *entry)
{
	unsigned long index = cursor->range ? cursor->range->it.last + 1 : 0;
	struct pfn_range *range;

	pfn_revoke_end_walk(cursor);
	range = pfn_range_find(index);
	if (!range)
		return false;
	cursor->range = range;

	*entry = (struct pfn_revoke_entry) {
		.first = range->it.start,
		.last = range->it.last,
		.provider = range->name,
	};
	spin_lock(&range->lock);
	entry->state = pfn_range_state(range);
	entry->pins = range->nr_pins;
	spin_unlock(&range->lock);
	return true;
}

/* The first pin behind the cursor; they are sorted by start and seq */
static struct pfn_pin *pfn_revoke_next_pin(struct pfn_revoke_cursor *cursor,
					   struct rb_root_cached *root)
{
	struct rb_node *node = root->rb_root.rb_node;
	struct pfn_pin *pin, *found = NULL;

	lockdep_assert_held(&cursor->range->lock);

	while (node) {
		pin = rb_entry(node, struct pfn_pin, it.rb);
		if (pin->it.start > cursor->start ||
		    (pin->it.start == cursor->start && pin->seq > cursor->seq)) {
			found = pin;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

static void pfn_revoke_show_pin(struct pfn_revoke_cursor *cursor,
				struct pfn_revoke_entry *entry,
				struct pfn_pin *pin)
{
	lockdep_assert_held(&cursor->range->lock);

	*entry = (struct pfn_revoke_entry) {
		.is_pin = true,
		.state = pin->state == PFN_PIN_LIVE ? "attached" :
			 pin->state == PFN_PIN_REVOKED ? "revoked" : "revoking",
		.first = pin->it.start,
		.last = pin->it.last,
		.since = pin->since,
	};
	entry->pid = pfn_pin_owner(pin, cursor->ns, entry->comm);
	/* Its ops are there until it is detached, which takes the lock */
	strscpy(entry->consumer, pin->ops->name);

	cursor->start = pin->it.start;
	cursor->seq = pin->seq;
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

/* The next range or pin, until there is none */
bool pfn_revoke_next(struct pfn_revoke_cursor *cursor,
		     struct pfn_revoke_entry *entry)
{
	struct pfn_range *range = cursor->range;
	struct pfn_pin *pin;

	if (!range)
		return pfn_revoke_next_range(cursor, entry);

	spin_lock(&range->lock);
	pin = pfn_revoke_next_pin(cursor, cursor->in_revoked ? &range->revoked :
							       &range->pins);
	if (!pin && !cursor->in_revoked) {
		cursor->in_revoked = true;
		cursor->start = 0;
		cursor->seq = 0;
		pin = pfn_revoke_next_pin(cursor, &range->revoked);
	}
	if (pin)
		pfn_revoke_show_pin(cursor, entry, pin);
	spin_unlock(&range->lock);

	return pin || pfn_revoke_next_range(cursor, entry);
}
EXPORT_SYMBOL_IF_KUNIT(pfn_revoke_next);

struct pfn_revoke_seq {
	struct pfn_revoke_cursor cursor;
	struct pfn_revoke_entry entry;
	loff_t pos;			/* of @entry */
	bool valid;			/* it is one */
};

static void *pfn_revoke_seq_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct pfn_revoke_seq *seq = m->private;

	seq->pos = ++*pos;
	seq->valid = pfn_revoke_next(&seq->cursor, &seq->entry);
	return seq->valid ? &seq->entry : NULL;
}

static void *pfn_revoke_seq_start(struct seq_file *m, loff_t *pos)
{
	struct pfn_revoke_seq *seq = m->private;

	if (!*pos) {
		pfn_revoke_end_walk(&seq->cursor);
		seq->pos = 0;
		seq->valid = pfn_revoke_next(&seq->cursor, &seq->entry);
	}
	/* Otherwise @entry is the one that had no room in the buffer before */
	return seq->valid && seq->pos == *pos ? &seq->entry : NULL;
}

static void pfn_revoke_seq_stop(struct seq_file *m, void *v)
{
}

static void pfn_revoke_seq_string(struct seq_file *m, const char *key,
				  const char *string)
{
	seq_printf(m, " %s=\"", key);
	seq_escape_str(m, string, ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND,
		       "\"\\");
	seq_putc(m, '"');
}

static int pfn_revoke_seq_show(struct seq_file *m, void *v)
{
	const struct pfn_revoke_entry *entry = v;
	struct timespec64 since;

	seq_printf(m, "%s start=0x%llx end=0x%llx", entry->is_pin ? "pin" : "range",
		   (u64)PFN_PHYS(entry->first),
		   (u64)PFN_PHYS(entry->last) + PAGE_SIZE - 1);
	if (!entry->is_pin) {
		seq_printf(m, " state=%s pins=%lu", entry->state, entry->pins);
		pfn_revoke_seq_string(m, "provider", entry->provider);
		seq_putc(m, '\n');
		return 0;
	}

	since = ns_to_timespec64(timens_add_boottime_ns(entry->since));
	seq_printf(m, " bytes=%llu state=%s since=%lld.%06ld pid=%d",
		   (u64)(entry->last - entry->first + 1) << PAGE_SHIFT,
		   entry->state, since.tv_sec, since.tv_nsec / NSEC_PER_USEC,
		   entry->pid);
	pfn_revoke_seq_string(m, "consumer", entry->consumer);
	pfn_revoke_seq_string(m, "comm", entry->comm);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations pfn_revoke_seq_ops = {
	.start	= pfn_revoke_seq_start,
	.next	= pfn_revoke_seq_next,
	.stop	= pfn_revoke_seq_stop,
	.show	= pfn_revoke_seq_show,
};

static int pfn_revoke_debugfs_open(struct inode *inode, struct file *file)
{
	struct pfn_revoke_seq *seq;

	seq = __seq_open_private(file, &pfn_revoke_seq_ops, sizeof(*seq));
	if (!seq)
		return -ENOMEM;
	seq->cursor.ns = get_pid_ns(task_active_pid_ns(current));
	return 0;
}

static int pfn_revoke_debugfs_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;
	struct pfn_revoke_seq *seq = m->private;

	pfn_revoke_end_walk(&seq->cursor);
	put_pid_ns(seq->cursor.ns);
	return seq_release_private(inode, file);
}

static const struct file_operations pfn_revoke_debugfs_fops = {
	.owner		= THIS_MODULE,
	.open		= pfn_revoke_debugfs_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= pfn_revoke_debugfs_release,
};

static int __init pfn_revoke_debugfs_init(void)
{
	/* Physical addresses, and other people's processes */
	debugfs_create_file("pfn_revoke", 0400, NULL, NULL,
			    &pfn_revoke_debugfs_fops);
	return 0;
}
fs_initcall(pfn_revoke_debugfs_init);
