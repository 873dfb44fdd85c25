// SPDX-License-Identifier: GPL-2.0
/* DMA maps of the provider's memory, through the legacy group and container. */
#include "check.h"
#include "scene.h"
#include "stage.h"
#include "vfio_cases.h"

#include <sys/mman.h>

/*
 * The same pages without a pin, through the BAR that sysfs shows: nothing is
 * unpinned that was not pinned.
 */
static void through_sysfs(void)
{
	struct stage *s = stage_open(P2P_ALONE);
	struct unbind u;
	uint64_t done;
	void *m;
	int round;

	m = stage_map_bar(s);
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(vfio_map(&s->space, m, OTHER_IOVA, s->len, VFIO_RW), 0);
		EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA, s->len, &done), 0);
		EXPECT_EQ(done, s->len);
	}
	ASSERT_EQ(vfio_map(&s->space, m, OTHER_IOVA, s->len, VFIO_RW), 0);
	stage_load(s, 0, 41, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, OTHER_IOVA, 512), 0);
	EXPECT_EQ(mem_differs(s->p2p[0], 512, 41), 0);
	/* still pinned by the other map, and no more than that */
	EXPECT_TRUE(stage_taken(s->len));
	stage_dma_works(s, 0);

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_dead_range(s, 0, OTHER_IOVA, s->len);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	munmap(m, s->len);
	EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA, s->len, &done), 0);
	EXPECT_EQ(done, s->len);
	stage_aftermath(s, &u);
	stage_close(s);
}

static const struct tap_test own[] = {
	{ "through_sysfs", through_sysfs, 40 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return vfio_cases_main(argc, argv, "vfio-type1", VFIO_KIND_TYPE1, own);
}
