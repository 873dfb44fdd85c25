/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_SLAB_H
#define SHIM_LINUX_SLAB_H

#include <linux/gfp.h>
#include <linux/overflow.h>
#include <shim.h>

#define SLAB_PANIC 0
#define SLAB_HWCACHE_ALIGN 0
#define SLAB_TYPESAFE_BY_RCU 0

#define kmalloc(size, gfp) shim_alloc((size), (gfp))
#define kzalloc(size, gfp) shim_alloc((size), (gfp) | __GFP_ZERO)
#define kzalloc_obj(obj, ...) ((__typeof__(obj) *)kzalloc(sizeof(obj), default_gfp(__VA_ARGS__)))
#define kmalloc_obj(obj, ...) ((__typeof__(obj) *)kmalloc(sizeof(obj), default_gfp(__VA_ARGS__)))
#define kzalloc_flex(obj, array, n, ...) \
	((__typeof__(obj) *)kzalloc(sizeof(obj) + (n) * sizeof((obj).array[0]), default_gfp(__VA_ARGS__)))

/* For the maple tree */
struct kmem_cache_args {
	unsigned int align;
	unsigned int sheaf_capacity;
};

struct kmem_cache;
struct slab_sheaf;

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     struct kmem_cache_args *args, unsigned long flags);
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *obj);
void kmem_cache_free_bulk(struct kmem_cache *cache, size_t n, void **objs);
struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp, unsigned int n);
int kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf **sheaf, unsigned int n);
void kmem_cache_return_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf);
void *kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf);
unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf);

#endif
