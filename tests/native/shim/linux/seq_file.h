/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_SEQ_FILE_H
#define SHIM_LINUX_SEQ_FILE_H

#include <linux/debugfs.h>

struct seq_file;

struct seq_operations {
	void *(*start)(struct seq_file *m, loff_t *pos);
	void (*stop)(struct seq_file *m, void *v);
	void *(*next)(struct seq_file *m, void *v, loff_t *pos);
	int (*show)(struct seq_file *m, void *v);
};

/* One line at a time */
struct seq_file {
	const struct seq_operations *op;
	void *private;
	char buf[512];
	size_t count;
};

void *shim_seq_open(struct file *file, const struct seq_operations *ops, size_t size);
int shim_seq_release(struct file *file);
/* Not checked: a u64 is another type here */
void shim_seq_printf(struct seq_file *m, const char *fmt, ...);
void shim_seq_escape(struct seq_file *m, const char *string, const char *also);

#define ESCAPE_OCTAL 1
#define ESCAPE_NAP 2
#define ESCAPE_APPEND 4
#define seq_read "seq_read"
#define seq_read_iter "seq_read_iter"
#define seq_lseek "seq_lseek"
#define __seq_open_private(file, ops, size) shim_seq_open((file), (ops), (size))
#define seq_release_private(inode, file) ((void)(inode), shim_seq_release(file))
#define seq_printf(m, ...) shim_seq_printf((m), __VA_ARGS__)
#define seq_putc(m, c) shim_seq_printf((m), "%c", (c))
#define seq_escape_str(m, s, flags, also) shim_seq_escape((m), (s), (also))

#endif
