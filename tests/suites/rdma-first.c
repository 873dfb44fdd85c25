// SPDX-License-Identifier: GPL-2.0
/*
 * The main job in its smallest form, one step a test: a plain ibv_reg_mr() of
 * p2pmem, data through it, and an unbind under the pin.
 */
#include "account.h"
#include "check.h"
#include "scene.h"
#include "tap.h"

#include <string.h>
#include <unistd.h>

static void reg_and_dereg(void)
{
	struct scene *s = scene_open_bare(4);
	long before = account_pinned(getpid());
	struct ibv_mr *mr;

	mr = ibv_reg_mr(s->rdma.pd, s->area, s->len, RDMA_ALL);
	ASSERT_TRUE(mr);
	EXPECT_EQ(account_pinned(getpid()), before + 16);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	EXPECT_EQ(account_pinned(getpid()), before);
	scene_close(s);
}

static void write_and_read(void)
{
	struct scene *s = scene_open(4, 0);
	struct rdma_op op;

	op = scene_op(s, IBV_WR_RDMA_WRITE, s->len);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(memcmp(s->area, s->buf, s->len), 0);
	mem_fill(s->area, s->len, 77);
	op.opcode = IBV_WR_RDMA_READ;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(s->buf, s->len, 77), 0);
	scene_close(s);
}

static void unbind_revokes(void)
{
	struct scene *s = scene_open(4, 0);
	struct unbind u;

	EXPECT_TRUE(!mem_is_gone(s->area));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_TRUE(mem_is_gone(s->area));
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 16);
	scene_close(s);
}

static const struct tap_test tests[] = {
	{ "reg_and_dereg", reg_and_dereg, 0 },
	{ "write_and_read", write_and_read, 0 },
	{ "unbind_revokes", unbind_revokes, 30 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-first", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
