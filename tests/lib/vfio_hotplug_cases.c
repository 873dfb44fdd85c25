// SPDX-License-Identifier: GPL-2.0
/*
 * The provider's memory is in DMA maps when it is taken out of its slot. While
 * it is out there is no BAR to watch: what counts is that it goes, that nothing
 * else does, and that the next one, at the same addresses, is not reached.
 */
#include "vfio_hotplug_cases.h"
#include "check.h"
#include "scene.h"
#include "slot.h"
#include "stage.h"
#include "tap.h"

#include <string.h>

static hotplug_how leave;
static double limit;

static bool init(void)
{
	return stage_init() && !slot_init(&scene_provider);
}

/* Also a test that failed leaves the others a provider. */
static void after(void)
{
	if (!provider_bound(&scene_provider))
		EXPECT_EQ(slot_fill(&scene_provider), 0);
	stage_after();
}

static void out(void)
{
	double seconds;

	ASSERT_EQ(leave(), 0);
	seconds = slot_wait_empty(&scene_provider, limit);
	ASSERT_TRUE(seconds >= 0);
	tap_note("gone after %.3f s of guest time", seconds);
}

/* The new device's memory, where the old one's was, and the map of that. */
static void next_one_is_safe(struct stage *s)
{
	ASSERT_EQ(slot_fill(&scene_provider), 0);
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_p2p_is_dead(s, 0);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	observer_close(&s->observer);
	stage_ram_works(s, 0);
}

static void mapped(enum vfio_kind kind)
{
	struct stage *s;

	stage_use(kind);
	s = stage_open(MIXED);
	stage_dma_works(s, 0);
	out();
	stage_faults(s, 0, stage_iova(s, s->p2p[0]));
	stage_p2p_is_dead(s, 0);
	stage_ram_works(s, 0);
	EXPECT_TRUE(mem_is_gone(s->p2p[0]));
	next_one_is_safe(s);
	stage_close(s);
	stage_fresh_works();
}

static void type1(void)
{
	mapped(VFIO_KIND_TYPE1);
}

static void iommufd(void)
{
	mapped(VFIO_KIND_IOMMUFD);
}

static void compat(void)
{
	mapped(VFIO_KIND_COMPAT);
}

/* In mid-transfer, and the pages are those of an MR as well. */
static void mr_and_map(void)
{
	struct stage *s;
	struct scene *m;
	uint64_t done;

	stage_use(VFIO_KIND_TYPE1);
	s = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });
	m = scene_open(2, 0);
	ASSERT_EQ(vfio_map(&s->space, m->area, OTHER_IOVA, m->len, VFIO_RW), 0);
	stage_load(s, 0, 6, 1024);
	ASSERT_EQ(edu_start(&s->edu[0], EDU_WRITE, OTHER_IOVA, 1024), 0);
	out();
	EXPECT_EQ(edu_wait(&s->edu[0]), 0);
	EXPECT_GE(scene_attack_mr(m, 20), 20);
	stage_dead_range(s, 0, OTHER_IOVA, m->len);

	ASSERT_EQ(slot_fill(&scene_provider), 0);
	ASSERT_EQ(observer_snapshot(&m->observer), 0);
	stage_dead_range(s, 0, OTHER_IOVA, m->len);
	EXPECT_GE(scene_attack_mr(m, 4), 4);
	EXPECT_EQ(observer_changed(&m->observer), 0);
	observer_close(&m->observer);
	EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA, m->len, &done), 0);
	EXPECT_EQ(done, m->len);
	scene_close(m);
	stage_close(s);
	stage_fresh_works();
}

static const struct tap_test tests[] = {
	{ "type1", type1, 60 },
	{ "iommufd", iommufd, 60 },
	{ "compat", compat, 60 },
	{ "mr_and_map", mr_and_map, 60 },
	{ NULL, NULL, 0 },
};

int vfio_hotplug_main(int argc, char **argv, const char *name, hotplug_how how,
		      double seconds)
{
	const struct tap_suite suite = {
		name, tests, init, stage_before, after,
	};

	leave = how;
	limit = seconds;
	return tap_main(argc, argv, &suite);
}
