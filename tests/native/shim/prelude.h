/* SPDX-License-Identifier: GPL-2.0 */
/* In front of pfn_revoke.c: what kernel code gets without asking */
#include <errno.h>
#include <string.h>

#include <linux/bug.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <shim.h>

#undef pr_warn
#define pr_warn(fmt, ...) shim_printk(pr_fmt(fmt), ##__VA_ARGS__)
