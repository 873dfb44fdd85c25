// SPDX-License-Identifier: GPL-2.0
/* Is everything there that the other suites stand on? */
#include "account.h"
#include "check.h"
#include "p2pmem.h"
#include "scene.h"
#include "tap.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static void provider(void)
{
	void *m;

	EXPECT_TRUE(provider_bound(&scene_provider));
	EXPECT_GE(scene_provider.size, scene_provider.available);
	EXPECT_GE(scene_provider.available, 1 << 20);
	m = p2pmem_map(&scene_provider, 4 * PAGE);
	ASSERT_TRUE(m);
	mem_fill(m, 4 * PAGE, 7);
	EXPECT_EQ(mem_differs(m, 4 * PAGE, 7), 0);
	/* the check itself can see a difference */
	((volatile unsigned char *)m)[4097] ^= 1;
	EXPECT_EQ(mem_differs(m, 4 * PAGE, 7), 1);
	munmap(m, 4 * PAGE);
}

static void observer_finds_pages(void)
{
	struct observer o;
	unsigned char *m;

	m = p2pmem_map(&scene_provider, 3 * PAGE);
	ASSERT_TRUE(m);
	mem_fill(m, 3 * PAGE, 9);
	ASSERT_EQ(observer_locate(&o, &scene_provider, m, 3 * PAGE), 0);
	ASSERT_EQ(observer_snapshot(&o), 0);
	EXPECT_EQ(observer_differs(&o, 9), 0);
	((volatile unsigned char *)m)[2 * PAGE + 5] ^= 0x10;
	EXPECT_EQ(observer_changed(&o), 1);
	EXPECT_EQ(observer_differs(&o, 9), 1);
	observer_close(&o);
	munmap(m, 3 * PAGE);
}

static void rebind(void)
{
	struct unbind u;
	unsigned long long left;
	unsigned char *m;

	m = p2pmem_map(&scene_provider, PAGE);
	ASSERT_TRUE(m);
	EXPECT_TRUE(!mem_is_gone(m));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
	tap_note("the unbind took %.3f s of guest time", u.seconds);
	EXPECT_TRUE(!provider_bound(&scene_provider));
	EXPECT_NE(provider_available(&scene_provider, &left), 0);
	EXPECT_TRUE(mem_is_gone(m));
	EXPECT_TRUE(!p2pmem_map(&scene_provider, PAGE));
	munmap(m, PAGE);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

static void ordinary_mr(void)
{
	long before = account_pinned(getpid());
	struct rdma_pair pair;
	struct rdma_op op;
	struct ibv_mr *a, *b;
	struct rdma r;
	void *m;

	m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	ASSERT_EQ(rdma_open(&r), 0);
	ASSERT_EQ(rdma_pair_create(&r, &pair, IBV_QPT_RC), 0);
	a = ibv_reg_mr(r.pd, m, PAGE, RDMA_ALL);
	ASSERT_TRUE(a);
	b = ibv_reg_mr(r.pd, (char *)m + PAGE, PAGE, RDMA_ALL);
	ASSERT_TRUE(b);
	EXPECT_EQ(account_pinned(getpid()), before + 8);
	mem_fill(m, PAGE, 3);
	op = (struct rdma_op) {
		.opcode = IBV_WR_RDMA_WRITE,
		.laddr = (uintptr_t)a->addr, .lkey = a->lkey, .len = PAGE,
		.raddr = (uintptr_t)b->addr, .rkey = b->rkey,
	};
	EXPECT_EQ(rdma_run(&pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs((char *)m + PAGE, PAGE, 3), 0);
	rdma_pair_destroy(&pair);
	EXPECT_EQ(ibv_dereg_mr(a), 0);
	EXPECT_EQ(ibv_dereg_mr(b), 0);
	EXPECT_EQ(rdma_close(&r), 0);
	munmap(m, 2 * PAGE);
}

static const struct tap_test tests[] = {
	{ "provider", provider, 0 },
	{ "observer_finds_pages", observer_finds_pages, 0 },
	{ "rebind", rebind, 0 },
	{ "ordinary_mr", ordinary_mr, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"smoke", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
