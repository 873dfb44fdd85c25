// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Memory regions: ibv_reg_mr(), and a list by which the key of an event leads
 * back to the region.
 *
 * A read of events that begins after ibv_dereg_mr() has returned does not return
 * one about that region, and its key is not given away before. One that began
 * earlier may: it is looked up under the lock under which it was read, and
 * registration needs that lock, so the key cannot be that of a new region yet.
 */
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct revpin_mr {
	struct revpin_mr *next;
	struct ibv_mr *mr;		/* gone while revpin_mr_dereg() ends */
	struct ibv_context *ctx;
	uint32_t lkey;
	struct revpin_mem *mem;
	bool revoked;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct revpin_mr *regions;	/* and all .revoked: under lock */

int revpin_mr_reg(struct ibv_pd *pd, struct revpin_mem *mem, size_t offset,
		  size_t len, int access, struct revpin_mr **mr)
{
	char *addr = revpin_mem_addr(mem);
	size_t size = revpin_mem_len(mem);
	struct revpin_mr *r;
	int err;

	if (!len || offset > size || len > size - offset)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->mem = mem;
	rp_mem_hold(mem);
	/*
	 * The lock is held across it: a revoke that comes at once must find the
	 * region in the list when its event is read.
	 */
	pthread_mutex_lock(&lock);
	errno = 0;
	r->mr = ibv_reg_mr(pd, addr + offset, len, access);
	if (!r->mr) {
		err = errno ? -errno : -EIO;
		pthread_mutex_unlock(&lock);
		rp_mem_drop(mem);
		free(r);
		return err;
	}
	r->ctx = r->mr->context;
	r->lkey = r->mr->lkey;
	r->next = regions;
	regions = r;
	pthread_mutex_unlock(&lock);
	*mr = r;
	return 0;
}

int revpin_mr_dereg(struct revpin_mr *mr)
{
	struct revpin_mr **p;
	int err;

	if (!mr)
		return 0;
	/*
	 * Not under the lock: it may wait for a revoke under way, and the
	 * region stays in the list until no event can come any more.
	 */
	err = ibv_dereg_mr(mr->mr);
	if (err)
		return err > 0 ? -err : -errno;
	pthread_mutex_lock(&lock);
	for (p = &regions; *p != mr; p = &(*p)->next)
		;
	*p = mr->next;
	pthread_mutex_unlock(&lock);
	rp_mem_drop(mr->mem);
	free(mr);
	return 0;
}

struct ibv_mr *revpin_mr_verbs(const struct revpin_mr *mr)
{
	return mr->mr;
}

int revpin_mr_revoked(const struct revpin_mr *mr)
{
	bool revoked;

	pthread_mutex_lock(&lock);
	revoked = mr->revoked;
	pthread_mutex_unlock(&lock);
	return revoked;
}

void rp_mr_lock(void)
{
	pthread_mutex_lock(&lock);
}

void rp_mr_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

struct revpin_mr *rp_mr_mark(struct ibv_context *ctx, uint32_t lkey)
{
	struct revpin_mr *r;

	/*
	 * The newest is first, so that one which is about to leave the list
	 * does not answer to a key that was given again.
	 */
	for (r = regions; r; r = r->next)
		if (r->ctx == ctx && r->lkey == lkey)
			break;
	if (r)
		r->revoked = true;
	return r;
}
