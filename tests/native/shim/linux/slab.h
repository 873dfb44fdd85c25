/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <linux/gfp.h>
#include <linux/overflow.h>
#include <shim.h>

#define kzalloc(size, gfp) shim_alloc((size), (gfp) | __GFP_ZERO)
#define kzalloc_obj(obj, ...) ((__typeof__(obj) *)kzalloc(sizeof(obj), default_gfp(__VA_ARGS__)))
#define kzalloc_flex(obj, array, n, ...) \
	((__typeof__(obj) *)kzalloc(sizeof(obj) + (n) * sizeof((obj).array[0]), default_gfp(__VA_ARGS__)))

#endif
