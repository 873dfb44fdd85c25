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

/*
 * A node's parent is written to mark it dead while readers look at it; they then
 * walk again. Known and meant: KCSAN is told so by the choice of what it checks.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race_top:mte_set_node_dead\nrace_top:ma_dead_node\nrace_top:mte_dead_node\n"
	       "race:mte_destroy_walk\n";
}

/* The kernel calls it while it boots */
static void __attribute__((constructor)) boot(void)
{
	maple_tree_init();
}
