// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that cannot deregister its regions: the debug switch dereg_fails lets
 * rxe be one. When the owner closes its file the core gives up, with a warning,
 * and the region stays behind: without its memory, and the unbind of that memory's
 * device looks for no owner who is gone.
 */
#include "check.h"
#include "mutate.h"
#include "p2pmem.h"
#include "scene.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
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

/* Registers, and leaves the rest to the end of the process. */
static int owner(int fd, void *arg)
{
	struct ibv_mr *mr;
	struct rdma r;
	void *m;

	(void)arg;
	ASSERT_EQ(rdma_open(&r), 0);
	m = p2pmem_map(&scene_provider, 4 * PAGE);
	ASSERT_TRUE(m);
	mr = ibv_reg_mr(r.pd, m, 4 * PAGE, RDMA_ALL);
	ASSERT_TRUE(mr);
	ASSERT_TRUE(worker_tell(fd, 'm'));
	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	return 0;
}

static void owner_start(struct worker *w)
{
	ASSERT_EQ(worker_start(w, "owner", owner, NULL), 0);
	ASSERT_TRUE(worker_hear(w->fd, 'm', 20));
}

static void owner_ends(struct worker *w)
{
	ASSERT_EQ(mutate_add("dereg_fails"), 0);
	EXPECT_TRUE(worker_tell(w->fd, 'x'));
	EXPECT_EQ(worker_join(w, 20), 0);
	EXPECT_EQ(mutate_restore(), 0);
}

/* The region is as it was, and goes at the next attempt. */
static void fails_once(void)
{
	struct scene *s = scene_open(1, 0);

	ASSERT_EQ(mutate_add("dereg_fails"), 0);
	EXPECT_EQ(ibv_dereg_mr(s->mr), EIO);
	EXPECT_EQ(mutate_restore(), 0);
	scene_unbind(&s->observer, scene_attack_mr, s, 4);
	EXPECT_EQ(rdma_told_revoked(&s->rdma), s->mr->lkey);
	EXPECT_EQ(rdma_told_revoked(&s->rdma), 0);
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	scene_close(s);
}

static void fails_to_the_last(void)
{
	struct worker w;
	struct unbind u;

	owner_start(&w);
	owner_ends(&w);
	/* the memory is back before anything happens to its device */
	EXPECT_TRUE(provider_available_is_back(&scene_provider, 2000));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	scene_aftermath(&u, NULL, NULL, NULL, 0);
}

/* Revoked before, and the event has not been read. */
static void fails_after_the_revoke(void)
{
	struct worker w;
	struct unbind u;

	owner_start(&w);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	owner_ends(&w);
	scene_aftermath(&u, NULL, NULL, NULL, 0);
}

static const struct tap_test tests[] = {
	{ "fails_once", fails_once, 0 },
	{ "fails_to_the_last", fails_to_the_last, 0 },
	{ "fails_after_the_revoke", fails_after_the_revoke, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-dereg", tests, init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
