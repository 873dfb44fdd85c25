// SPDX-License-Identifier: GPL-2.0
#include "scene.h"
#include "account.h"
#include "check.h"
#include "clock.h"
#include "tap.h"
#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SCENES	4
#define SEED_AREA	0xa5a5
#define SEED_BUF	0x1001

struct provider scene_provider;
static long pinned_at_start;
static struct scene scenes[MAX_SCENES];

bool scene_init(void)
{
	struct rdma r;

	if (provider_find(&scene_provider))
		return false;
	if (rdma_open(&r))
		return false;
	rdma_close(&r);
	tap_note("provider %s: size %llu, available %llu", scene_provider.bdf,
		 scene_provider.size, scene_provider.available);
	return true;
}

/*
 * A failed assertion jumps over the end of its test. Closing the context makes
 * the kernel drop all that hangs on it, so that the tests after it start clean.
 */
static void abandon_scenes(void)
{
	int i;

	for (i = 0; i < MAX_SCENES; i++) {
		struct scene *s = &scenes[i];

		if (!s->open)
			continue;
		/*
		 * The queues are mapped from the context's file and keep it
		 * alive: they go first.
		 */
		rdma_pair_destroy(&s->pair);
		if (s->rdma.ctx)
			ibv_close_device(s->rdma.ctx);
		if (s->buf)
			munmap(s->buf, s->len);
		if (s->map)
			munmap(s->map, s->map_len);
		observer_close(&s->observer);
		memset(s, 0, sizeof(*s));
	}
}

void scene_before(void)
{
	pinned_at_start = account_pinned(getpid());
}

void scene_after(void)
{
	int left = worker_sweep();

	EXPECT_EQ(left, 0);
	abandon_scenes();
	if (!provider_bound(&scene_provider)) {
		tap_note("the test left the driver unbound");
		EXPECT_EQ(provider_bind(&scene_provider), 0);
	}
	EXPECT_TRUE(provider_available_is_back(&scene_provider, 3000));
	EXPECT_EQ(account_pinned(getpid()), pinned_at_start);
}

struct scene *scene_open_bare(size_t pages)
{
	struct scene *s = scenes;

	while (s < scenes + MAX_SCENES && s->open)
		s++;
	ASSERT_TRUE(s < scenes + MAX_SCENES);
	s->open = true;
	s->pinned = account_pinned(getpid());
	ASSERT_EQ(rdma_open(&s->rdma), 0);
	ASSERT_EQ(rdma_pair_create(&s->rdma, &s->pair, IBV_QPT_RC), 0);

	s->len = pages * PAGE;
	s->map_len = s->len + 2 * PAGE;
	s->map = p2pmem_map(&scene_provider, s->map_len);
	ASSERT_TRUE(s->map);
	s->area = s->map + PAGE;
	mem_fill(s->map, s->map_len, SEED_AREA);
	ASSERT_EQ(observer_locate(&s->observer, &scene_provider, s->map,
				  s->map_len), 0);

	s->buf = mmap(NULL, s->len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->buf == MAP_FAILED)
		s->buf = NULL;
	ASSERT_TRUE(s->buf);
	mem_fill(s->buf, s->len, SEED_BUF);
	s->buf_mr = ibv_reg_mr(s->rdma.pd, s->buf, s->len, RDMA_ALL);
	ASSERT_TRUE(s->buf_mr);
	return s;
}

struct scene *scene_open(size_t pages, unsigned int access)
{
	struct scene *s = scene_open_bare(pages);

	s->mr = ibv_reg_mr(s->rdma.pd, s->area, s->len, RDMA_ALL | access);
	ASSERT_TRUE(s->mr);
	return s;
}

void scene_close(struct scene *s)
{
	rdma_pair_destroy(&s->pair);
	if (s->mr)
		EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	if (s->buf_mr)
		EXPECT_EQ(ibv_dereg_mr(s->buf_mr), 0);
	if (s->buf)
		munmap(s->buf, s->len);
	if (s->map)
		munmap(s->map, s->map_len);
	observer_close(&s->observer);
	EXPECT_EQ(rdma_close(&s->rdma), 0);
	EXPECT_EQ(account_pinned(getpid()), s->pinned);
	memset(s, 0, sizeof(*s));
}

struct scene *scene_at(int i)
{
	return &scenes[i];
}

struct rdma_op scene_op(const struct scene *s, enum ibv_wr_opcode opcode,
			size_t len)
{
	return (struct rdma_op) {
		.opcode = opcode,
		.laddr = (uintptr_t)s->buf,
		.lkey = s->buf_mr->lkey,
		.len = (uint32_t)len,
		.raddr = (uintptr_t)s->area,
		.rkey = s->mr ? s->mr->rkey : 0,
		.swap = 1,
	};
}

unsigned int scene_attack_mr(void *scene, unsigned int n)
{
	struct scene *s = scene;
	struct rdma_op op = scene_op(s, IBV_WR_RDMA_WRITE, 64);
	unsigned int i, failed = 0;
	int status;

	for (i = 0; i < n; i++) {
		/* never the same bytes: what got through would be seen */
		mem_fill(s->buf, 64, i);
		if (!EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0))
			break;
		status = rdma_run(&s->pair.end[0], &op);
		if (!EXPECT_EQ(status, IBV_WC_REM_ACCESS_ERR))
			break;
		failed++;
	}
	return failed;
}

void scene_fresh_works(void)
{
	struct scene *s = scene_open(1, 0);
	struct rdma_op op;

	op = scene_op(s, IBV_WR_RDMA_WRITE, 256);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(s->area, 256, SEED_BUF), 0);
	EXPECT_EQ(mem_differs(s->map, PAGE, SEED_AREA), 0);
	op.opcode = IBV_WR_RDMA_READ;
	memset(s->buf, 0, 256);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(s->buf, 256, SEED_BUF), 0);
	scene_close(s);
}

void scene_aftermath(struct unbind *u, struct observer *o, scene_attack attack,
		     void *arg, unsigned int n)
{
	ASSERT_TRUE(u->done);
	EXPECT_EQ(u->err, 0);
	tap_note("the unbind took %.3f s of guest time", u->seconds);
	EXPECT_LE(u->seconds * 1000, unbind_limit() * 1000);

	if (o)
		ASSERT_EQ(observer_snapshot(o), 0);
	if (attack)
		EXPECT_GE(attack(arg, n), n);
	if (o) {
		EXPECT_EQ(observer_changed(o), 0);
		observer_close(o);
	}

	ASSERT_EQ(provider_bind(&scene_provider), 0);
	if (attack)
		EXPECT_GE(attack(arg, 4), 4);
	scene_fresh_works();
}

void scene_unbind(struct observer *o, scene_attack attack, void *arg,
		  unsigned int n)
{
	struct unbind u;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	scene_aftermath(&u, o, attack, arg, n);
}
