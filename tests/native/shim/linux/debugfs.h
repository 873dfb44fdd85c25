/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_DEBUGFS_H
#define SHIM_LINUX_DEBUGFS_H

#include <shim.h>

struct inode { int unused; };
struct file { void *private_data; };

struct file_operations {
	void *owner;
	int (*open)(struct inode *inode, struct file *file);
	int (*release)(struct inode *inode, struct file *file);
	const char *read, *read_iter;
	const char *llseek;
};

#define THIS_MODULE NULL

void shim_debugfs_create(const struct file_operations *fops);
#define debugfs_create_file(name, mode, parent, data, fops) shim_debugfs_create(fops)

#endif
