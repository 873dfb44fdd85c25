// SPDX-License-Identifier: GPL-2.0
#include "load.h"
#include "account.h"
#include "check.h"
#include "clock.h"
#include "keys.h"
#include "p2pmem.h"
#include "rdma.h"
#include "scene.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct load *load_new(unsigned int mrs, unsigned int pages)
{
	struct load *l = worker_shared(sizeof(*l));

	ASSERT_TRUE(l);
	l->mrs = mrs;
	l->pages = pages;
	return l;
}

/* The pages of the i-th MR, in the mapping without its guards. */
static void mr_range(const struct load *l, unsigned int i, size_t *at, size_t *len)
{
	*at = (i % l->pages) * PAGE;
	*len = PAGE;
	if (l->overlap) {
		*len = (1 + i % 3) * PAGE;
		if (*at + *len > l->pages * PAGE)
			*at = l->pages * PAGE - *len;
	}
}

static void judge(struct load *l, const struct key_case *c,
		  const struct key_result *r, bool revoked_before)
{
	if (r->sender == IBV_WC_SUCCESS) {
		if (revoked_before)
			l->late++;
		else
			l->good++;
		return;
	}
	if (r->sender == c->sender &&
	    (c->receiver == KEYS_NONE || r->receiver == c->receiver)) {
		l->failed++;
		return;
	}
	if (!l->odd++)
		tap_note("%s (%s key): sender %s, receiver %s",
			 rdma_opcode(c->opcode), key_side_name(c->side),
			 rdma_status(r->sender),
			 r->receiver == KEYS_NONE ? "nothing" :
			 rdma_status(r->receiver));
}

static int load_main(int fd, void *arg)
{
	struct load *l = arg;
	struct ibv_mr **mrs = calloc(l->mrs, sizeof(*mrs));
	size_t map_len = (l->pages + 2) * PAGE, at, len;
	const struct key_case *c;
	struct key_trial trial;
	struct key_result result;
	struct rdma_pair pair;
	struct ibv_mr *buf_mr;
	unsigned char *map, *buf;
	struct rdma r;
	uint64_t n;
	unsigned int i;
	int err;

	ASSERT_TRUE(mrs);
	ASSERT_EQ(rdma_open(&r), 0);
	ASSERT_EQ(rdma_pair_create(&r, &pair, IBV_QPT_RC), 0);
	buf = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(buf != MAP_FAILED);
	buf_mr = ibv_reg_mr(r.pd, buf, PAGE, RDMA_ALL);
	ASSERT_TRUE(buf_mr);
	l->pinned_before = account_pinned(getpid());

	map = p2pmem_map(&scene_provider, map_len);
	ASSERT_TRUE(map);
	mem_fill(map, map_len, (uint64_t)getpid());
	ASSERT_EQ(observer_locate(&l->observer, &scene_provider, map, map_len), 0);
	for (i = 0; i < l->mrs; i++) {
		mr_range(l, i, &at, &len);
		mrs[i] = ibv_reg_mr(r.pd, map + PAGE + at, len, RDMA_ALL);
		ASSERT_TRUE(mrs[i]);
	}
	trial = (struct key_trial) {
		.rdma = &r, .pair = &pair,
		.good_addr = (uintptr_t)buf,
		.good_lkey = buf_mr->lkey, .good_rkey = buf_mr->rkey,
	};
	for (n = 0; !l->stop; n++) {
		bool before = l->after_unbind;

		if (n == l->mrs) {
			/* every MR was seen to work */
			ASSERT_EQ(l->good, l->mrs);
			ASSERT_TRUE(worker_tell(fd, 'r'));
		}
		if (n >= l->mrs && l->idle && !l->after_unbind) {
			clock_sleep_ms(1);
			continue;
		}
		/*
		 * A different step for the two, or an MR would always meet the
		 * same few opcodes.
		 */
		i = (unsigned int)(n % l->mrs);
		c = &key_cases[(n + n / l->mrs) % (uint64_t)nr_key_cases];
		if (c->opcode == IBV_WR_ATOMIC_WRITE)
			c = &key_cases[0];
		memset(buf, (int)n, 64);
		trial.addr = (uintptr_t)mrs[i]->addr;
		trial.lkey = mrs[i]->lkey;
		trial.rkey = mrs[i]->rkey;
		err = key_case_run(&trial, c, &result);
		if (err)
			result.sender = err;
		judge(l, c, &result, before);
		if (result.sender != IBV_WC_SUCCESS &&
		    c->opcode == IBV_WR_RDMA_READ) {
			/*
			 * rxe 7.3.4 forgets to reset comp.opcode with the QP:
			 * after a READ that was cut short a reset is not enough.
			 */
			rdma_pair_destroy(&pair);
			ASSERT_EQ(rdma_pair_create(&r, &pair, IBV_QPT_RC), 0);
		} else if (err || result.sender != IBV_WC_SUCCESS ||
			   (n > 0 && n % 1024 == 0)) {
			ASSERT_EQ(rdma_pair_connect(&r, &pair), 0);
		}
	}
	if (l->after_unbind) {
		EXPECT_TRUE(mem_is_gone(map));
		EXPECT_TRUE(mem_is_gone(map + map_len - PAGE));
		EXPECT_EQ(account_pinned(getpid()), l->pinned_before);
	}
	rdma_pair_destroy(&pair);
	for (i = 0; i < l->mrs; i++)
		EXPECT_EQ(ibv_dereg_mr(mrs[i]), 0);
	EXPECT_EQ(account_pinned(getpid()), l->pinned_before);
	EXPECT_EQ(ibv_dereg_mr(buf_mr), 0);
	EXPECT_EQ(rdma_close(&r), 0);
	munmap(map, map_len);
	free(mrs);
	return 0;
}

bool load_start(struct load *l, const char *name)
{
	return EXPECT_EQ(worker_start(&l->worker, name, load_main, l), 0) &&
	       EXPECT_TRUE(worker_hear(l->worker.fd, 'r', 20));
}

static bool wait_for(struct load *l, volatile uint64_t *count, uint64_t want)
{
	double end = clock_now() + 10 * clock_scale();

	while (*count < want && clock_now() < end && !worker_gone(&l->worker))
		clock_sleep_ms(1);
	return *count >= want;
}

bool load_wait_good(struct load *l, uint64_t n)
{
	return wait_for(l, &l->good, l->good + n);
}

unsigned int load_wait_failed(struct load *l, unsigned int n)
{
	uint64_t before = l->failed;

	wait_for(l, &l->failed, before + n);
	return (unsigned int)(l->failed - before);
}

bool load_stop(struct load *l)
{
	bool ok;

	l->stop = true;
	ok = EXPECT_EQ(worker_join(&l->worker, 20), 0);
	ok &= EXPECT_EQ(l->odd, 0);
	ok &= EXPECT_EQ(l->late, 0);
	load_free(l);
	return ok;
}

void load_free(struct load *l)
{
	observer_close(&l->observer);
	worker_unshare(l, sizeof(*l));
}
