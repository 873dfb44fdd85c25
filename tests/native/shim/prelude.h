/* SPDX-License-Identifier: GPL-2.0 */
/* In front of the notifier's files: what kernel code gets without asking */
#include <errno.h>

#include <linux/bug.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/mmdebug.h>
#include <linux/string.h>
#include <shim.h>

#undef pr_warn
#define pr_warn(fmt, ...) shim_printk(pr_fmt(fmt), ##__VA_ARGS__)
