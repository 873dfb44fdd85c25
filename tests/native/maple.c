// SPDX-License-Identifier: GPL-2.0
/* The kernel's maple tree, as it is */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/spinlock.h>
#include <linux/slab.h>
#include <linux/rcupdate.h>

#include "maple_tree.c"

/* The kernel calls it while it boots */
static void __attribute__((constructor)) boot(void)
{
	maple_tree_init();
}
