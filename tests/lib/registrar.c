// SPDX-License-Identifier: GPL-2.0
#include "registrar.h"
#include "account.h"
#include "check.h"
#include "p2pmem.h"
#include "rdma.h"
#include "scene.h"
#include "worker.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEN (4 * PAGE)

int registrar(int fd, void *arg)
{
	struct registrar *reg = arg;
	struct ibv_mr *mr;
	struct rdma r;
	void *m;

	ASSERT_EQ(rdma_open(&r), 0);
	m = p2pmem_map(&scene_provider, LEN);
	ASSERT_TRUE(m);
	/* nothing but the registration is to fault */
	mem_fill(m, LEN, 1);
	if (reg->place)
		ASSERT_TRUE(reg->place());
	errno = 0;
	mr = ibv_reg_mr(r.pd, m, LEN, RDMA_ALL);
	reg->err = mr ? 0 : errno;
	reg->got = mr;
	reg->left = true;
	if (!mr)
		EXPECT_EQ(account_pinned(getpid()), 0);
	ASSERT_TRUE(worker_tell(fd, 'm'));
	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	if (mr)
		EXPECT_EQ(ibv_dereg_mr(mr), 0);
	munmap(m, LEN);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}
