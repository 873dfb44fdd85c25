// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/pfn_revoke: who holds memory that its provider can revoke. The format
 * is in Documentation/ABI/testing/procfs-pfn_revoke.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/pfn.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>
#include <linux/time64.h>
#include <linux/time_namespace.h>

#include "pfn_revoke.h"

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
		seq->cursor.ns = proc_pid_ns(file_inode(m->file)->i_sb);
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
	u64 since;
	u32 nsec;

	seq_printf(m, "%s start=0x%llx end=0x%llx", entry->is_pin ? "pin" : "range",
		   (u64)PFN_PHYS(entry->first),
		   (u64)PFN_PHYS(entry->last) + PAGE_SIZE - 1);
	if (!entry->is_pin) {
		seq_printf(m, " state=%s pins=%lu", entry->state, entry->pins);
		pfn_revoke_seq_string(m, "provider", entry->provider);
		seq_putc(m, '\n');
		return 0;
	}

	since = div_u64_rem(timens_add_boottime_ns(entry->born), NSEC_PER_SEC,
			    &nsec);
	seq_printf(m, " bytes=%llu state=%s since=%llu.%06lu pid=%d",
		   (u64)(entry->last - entry->first + 1) << PAGE_SHIFT,
		   entry->state, since, nsec / NSEC_PER_USEC, entry->pid);
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

static int pfn_revoke_proc_open(struct inode *inode, struct file *file)
{
	/* Physical addresses, and other people's processes */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return seq_open_private(file, &pfn_revoke_seq_ops,
				sizeof(struct pfn_revoke_seq));
}

static int pfn_revoke_proc_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;
	struct pfn_revoke_seq *seq = m->private;

	pfn_revoke_end_walk(&seq->cursor);
	return seq_release_private(inode, file);
}

static const struct proc_ops pfn_revoke_proc_ops = {
	.proc_open	= pfn_revoke_proc_open,
	.proc_read_iter	= seq_read_iter,
	.proc_lseek	= seq_lseek,
	.proc_release	= pfn_revoke_proc_release,
};

static int __init pfn_revoke_proc_init(void)
{
	proc_create("pfn_revoke", 0400, NULL, &pfn_revoke_proc_ops);
	return 0;
}
fs_initcall(pfn_revoke_proc_init);
