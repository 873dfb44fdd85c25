// SPDX-License-Identifier: GPL-2.0
/*
 * What a device could reach is unmapped, in page tables and IOTLB, before its
 * pages are unpinned: an unbind that has returned cannot tell. Held open by the
 * switch unpin_gap, which is behind the unpin and before the return.
 */
#include "check.h"
#include "clock.h"
#include "mutate.h"
#include "scene.h"
#include "stage.h"
#include "tap.h"

#include <string.h>

static bool init(void)
{
	int err = mutate_restore();

	if (err)
		tap_note("the kernel has no debug switches: %s", strerror(-err));
	return !err && stage_init();
}

static void after(void)
{
	mutate_restore();
	stage_after();
}

static void unpinned_last(enum vfio_kind kind)
{
	struct stage *s;
	struct unbind u;

	stage_use(kind);
	s = stage_open(P2P_ALONE);
	/* now the translation is in QEMU's IOTLB */
	stage_dma_works(s, 0);
	stage_load(s, 0, 0xdead, 512);
	/* the observer's own mapping of the BAR, while there is time */
	ASSERT_EQ(observer_open(&s->observer), 0);
	ASSERT_EQ(observer_snapshot(&s->observer), 0);

	ASSERT_EQ(mutate_add("unpin_gap"), 0);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	if (!EXPECT_TRUE(!unbind_wait(&u, 1 * clock_scale(), NULL, 0)))
		tap_note("the unbind was not held: is the switch where the gap is?");
	/* the pages are free by now */
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, stage_iova(s, s->p2p[0]), 512), 0);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	EXPECT_EQ(mutate_restore(), 0);
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	observer_close(&s->observer);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	stage_unmap(s);
	stage_close(s);
	stage_fresh_works();
}

static void type1(void)
{
	unpinned_last(VFIO_KIND_TYPE1);
}

static void iommufd(void)
{
	unpinned_last(VFIO_KIND_IOMMUFD);
}

static void compat(void)
{
	unpinned_last(VFIO_KIND_COMPAT);
}

static const struct tap_test tests[] = {
	{ "type1", type1, 30 },
	{ "iommufd", iommufd, 30 },
	{ "compat", compat, 30 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"vfio-order", tests, init, stage_before, after,
	};

	return tap_main(argc, argv, &suite);
}
