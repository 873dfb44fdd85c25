// SPDX-License-Identifier: GPL-2.0
/*
 * What rxe itself did wrong, on ordinary memory as on p2pmem: the fixes at the
 * front of the series. On a kernel without them these tests oops or hang, so
 * each was seen to fail in a boot of its own.
 */
#include "check.h"
#include "clock.h"
#include "mutate.h"
#include "p2pmem.h"
#include "scene.h"
#include "tap.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool init(void)
{
	return mutate_there() && scene_init();
}

static void after(void)
{
	mutate_restore();
	scene_after();
}

static const enum ibv_advise_mr_advice advices[] = {
	IBV_ADVISE_MR_ADVICE_PREFETCH,
	IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
	IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
};

#define NR_ADVICES (sizeof(advices) / sizeof(advices[0]))

/* There is nothing to fetch for a region whose pages are pinned. */
static void advise_of(struct scene *s, const struct ibv_mr *mr, void *addr)
{
	size_t i;

	for (i = 0; i < NR_ADVICES; i++) {
		EXPECT_EQ(rdma_advise(s->rdma.pd, advices[i], true, mr, addr,
				      PAGE), -EINVAL);
		EXPECT_EQ(rdma_advise(s->rdma.pd, advices[i], false, mr, addr,
				      PAGE), -EINVAL);
	}
}

static void advise_ordinary_region(void)
{
	struct scene *s = scene_open(2, 0);

	advise_of(s, s->buf_mr, s->buf);
	/* the region is none the worse, and goes */
	scene_unbind(&s->observer, scene_attack_mr, s, 4);
	scene_close(s);
}

static void advise_p2p_region(void)
{
	struct scene *s = scene_open(2, 0);

	advise_of(s, s->mr, s->area);
	scene_unbind(&s->observer, scene_attack_mr, s, 4);
	scene_close(s);
}

/* And those that it is for go on. */
static void advise_on_demand_region(void)
{
	struct scene *s = scene_open_bare(2);
	struct ibv_mr *mr;
	size_t i;

	mr = ibv_reg_mr(s->rdma.pd, s->buf, s->len,
			RDMA_ALL | IBV_ACCESS_ON_DEMAND);
	if (!mr) {
		int err = errno;

		scene_close(s);
		TAP_SKIP("no regions on demand: %s", strerror(err));
	}
	for (i = 0; i < NR_ADVICES; i++) {
		EXPECT_EQ(rdma_advise(s->rdma.pd, advices[i], true, mr, s->buf,
				      PAGE), 0);
		EXPECT_EQ(rdma_advise(s->rdma.pd, advices[i], false, mr, s->buf,
				      PAGE), 0);
	}
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	scene_close(s);
}

/* Data arrives where it is sent to, in a page and across two of them. */
static void on_demand_region_offsets(void)
{
	static const struct { size_t at, len; } cases[] = {
		{ 0, 64 }, { 100, 64 }, { PAGE - 32, 64 }, { 8, 2 * PAGE - 16 },
	};
	struct scene *s = scene_open_bare(2);
	unsigned char *mem, *want;
	struct ibv_mr *mr;
	struct rdma_op op;
	size_t i;

	mem = aligned_alloc(PAGE, 2 * PAGE);
	want = malloc(2 * PAGE);
	ASSERT_TRUE(mem && want);
	mr = ibv_reg_mr(s->rdma.pd, mem, 2 * PAGE,
			RDMA_ALL | IBV_ACCESS_ON_DEMAND);
	if (!mr) {
		int err = errno;

		scene_close(s);
		TAP_SKIP("no regions on demand: %s", strerror(err));
	}
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at = cases[i].at, len = cases[i].len;

		memset(mem, 0, 2 * PAGE);
		memset(want, 0, 2 * PAGE);
		mem_fill(s->buf, 2 * PAGE, i);
		memcpy(want + at, s->buf, len);
		op = scene_op(s, IBV_WR_RDMA_WRITE, len);
		op.raddr = (uintptr_t)mem + at;
		op.rkey = mr->rkey;
		EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
		if (!EXPECT_EQ(memcmp(mem, want, 2 * PAGE), 0))
			tap_note("WRITE of %zu bytes at %zu", len, at);
		memcpy(mem, want, 2 * PAGE);
		memset(s->buf, 0, 2 * PAGE);
		op.opcode = IBV_WR_RDMA_READ;
		EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
		if (!EXPECT_EQ(memcmp(s->buf, want + at, len), 0))
			tap_note("READ of %zu bytes at %zu", len, at);
	}
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	free(mem);
	free(want);
	scene_close(s);
}

/* Windows */

/* rxe flushes what it refuses of local operations, as in KEYS_BIND_STATUS. */
#define INV_STATUS IBV_WC_WR_FLUSH_ERR

static struct rdma_op bind_op(struct ibv_mw *mw, struct ibv_mr *mr)
{
	return (struct rdma_op) {
		.opcode = IBV_WR_BIND_MW,
		.mw = mw,
		.mw_mr = mr,
		.raddr = (uintptr_t)mr->addr,
		.len = (uint32_t)mr->length,
		.rkey = ibv_inc_rkey(mw->rkey),
		.mw_access = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	};
}

static struct ibv_mw *new_window(struct scene *s, enum ibv_mw_type type)
{
	struct ibv_mw *mw = ibv_alloc_mw(s->rdma.pd, type);

	ASSERT_TRUE(mw);
	return mw;
}

/*
 * A type 2 window that was never bound, and one that has been invalidated: there
 * is nothing to invalidate. The window can be bound afterwards all the same.
 */
static void local_inv_of_unbound_window(void)
{
	struct scene *s = scene_open(1, IBV_ACCESS_MW_BIND);
	struct ibv_mw *mw = new_window(s, IBV_MW_TYPE_2);
	struct rdma_qp *q = &s->pair.end[1];
	struct rdma_op bind = bind_op(mw, s->mr);
	struct rdma_op inv = { .opcode = IBV_WR_LOCAL_INV, .rkey = mw->rkey };

	EXPECT_EQ(rdma_run(q, &inv), INV_STATUS);
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	EXPECT_EQ(rdma_run(q, &bind), IBV_WC_SUCCESS);
	inv.rkey = bind.rkey;
	EXPECT_EQ(rdma_run(q, &inv), IBV_WC_SUCCESS);
	EXPECT_EQ(rdma_run(q, &inv), INV_STATUS);
	EXPECT_EQ(ibv_dealloc_mw(mw), 0);
	scene_close(s);
}

/* The same by the peer, who needs nothing but the key. */
static void peer_invalidates_unbound_window(void)
{
	struct scene *s = scene_open(1, IBV_ACCESS_MW_BIND);
	struct ibv_mw *mw = new_window(s, IBV_MW_TYPE_2);
	struct ibv_sge sge = {
		.addr = (uintptr_t)s->buf, .length = 8, .lkey = s->buf_mr->lkey,
	};
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND_WITH_INV,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = &sge,
		.num_sge = 1,
		.invalidate_rkey = mw->rkey,
	}, *bad;
	struct rdma_op bind = bind_op(mw, s->mr);
	struct ibv_wc wc = { .status = IBV_WC_GENERAL_ERR };

	ASSERT_EQ(rdma_post_recv(&s->pair.end[1], (uintptr_t)s->area,
				 s->mr->lkey, PAGE), 0);
	ASSERT_EQ(ibv_post_send(s->pair.end[0].qp, &wr, &bad), 0);
	/* rxe has acknowledged it by then: the receiver is who learns of it */
	EXPECT_EQ(rdma_poll(&s->pair.end[1], &wc, 10), 0);
	tap_note("the receiver of SEND_WITH_INV: %s", rdma_status(wc.status));
	EXPECT_NE(wc.status, IBV_WC_SUCCESS);
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	EXPECT_EQ(rdma_run(&s->pair.end[1], &bind), IBV_WC_SUCCESS);
	EXPECT_EQ(ibv_dealloc_mw(mw), 0);
	scene_close(s);
}

/* A deregistration in a thread: it may have to wait. */
struct dereg {
	pthread_t thread;
	struct ibv_mr *mr;
	volatile int ret;
	volatile bool done;
};

static void *deregistering(void *arg)
{
	struct dereg *d = arg;

	d->ret = ibv_dereg_mr(d->mr);
	d->done = true;
	return NULL;
}

static bool dereg_wait(struct dereg *d, double seconds)
{
	double end = clock_now() + seconds * clock_scale();

	while (!d->done && clock_now() < end)
		clock_sleep_ms(2);
	return d->done;
}

/*
 * The bind has found the region and not counted its window yet when the region
 * is deregistered. One of them has to fail: a window on a region that is gone
 * would lead into freed memory.
 */
static void bind_beside_dereg(enum ibv_mw_type type)
{
	struct scene *s = scene_open(1, 0);
	struct rdma_qp *q = &s->pair.end[1];
	struct ibv_mw *mw = new_window(s, type);
	struct ibv_mw_bind type_1;
	struct dereg d = { .done = false };
	struct ibv_wc wc = { .status = IBV_WC_GENERAL_ERR };
	struct rdma_op bind;

	d.mr = ibv_reg_mr(s->rdma.pd, s->buf, s->len,
			  RDMA_ALL | IBV_ACCESS_MW_BIND);
	ASSERT_TRUE(d.mr);
	bind = bind_op(mw, d.mr);
	type_1 = (struct ibv_mw_bind) {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = {
			.mr = d.mr,
			.addr = bind.raddr,
			.length = bind.len,
			.mw_access_flags = bind.mw_access,
		},
	};

	ASSERT_EQ(mutate_add("bind_gap"), 0);
	ASSERT_EQ(type == IBV_MW_TYPE_1 ? -ibv_bind_mw(q->qp, mw, &type_1) :
					  rdma_post(q, &bind), 0);
	EXPECT_TRUE(mutate_wait_held(10));
	ASSERT_EQ(pthread_create(&d.thread, NULL, deregistering, &d), 0);
	/* it has looked whether there are windows, and waits, or has failed */
	dereg_wait(&d, 0.5);
	EXPECT_EQ(mutate_restore(), 0);
	EXPECT_EQ(rdma_poll(q, &wc, 10), 0);
	EXPECT_TRUE(dereg_wait(&d, 10));
	pthread_join(d.thread, NULL);
	tap_note("bind: %s, ibv_dereg_mr(): %s", rdma_status(wc.status),
		 strerror(d.ret));
	EXPECT_EQ((wc.status == IBV_WC_SUCCESS) + (d.ret == 0), 1);
	EXPECT_EQ(ibv_dealloc_mw(mw), 0);
	if (d.ret)
		EXPECT_EQ(ibv_dereg_mr(d.mr), 0);
	scene_close(s);
}

static void bind_1_beside_dereg(void)
{
	bind_beside_dereg(IBV_MW_TYPE_1);
}

static void bind_2_beside_dereg(void)
{
	bind_beside_dereg(IBV_MW_TYPE_2);
}

static const struct tap_test tests[] = {
	{ "advise_ordinary_region", advise_ordinary_region, 0 },
	{ "advise_p2p_region", advise_p2p_region, 0 },
	{ "advise_on_demand_region", advise_on_demand_region, 0 },
	{ "on_demand_region_offsets", on_demand_region_offsets, 0 },
	{ "local_inv_of_unbound_window", local_inv_of_unbound_window, 0 },
	{ "peer_invalidates_unbound_window", peer_invalidates_unbound_window, 0 },
	{ "bind_1_beside_dereg", bind_1_beside_dereg, 90 },
	{ "bind_2_beside_dereg", bind_2_beside_dereg, 90 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-rxe", tests, init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
