// SPDX-License-Identifier: GPL-2.0
/*
 * A machine whose host bridge is not known to pass traffic between devices
 * (boot it with cpu=max): what dma_map would refuse, VFIO refuses as well. The
 * same maps work in vfio_cases.c, on the CPU of the other boots.
 */
#include "vfio_cases.h"
#include "check.h"
#include "scene.h"
#include "stage.h"

#include <errno.h>
#include <sys/mman.h>

static void no_route(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 0, 4, 0, 0, 0 });
	long locked = stage_locked();

	EXPECT_EQ(stage_map(s), -EREMOTEIO);
	EXPECT_EQ(stage_locked(), locked);
	/* nothing is there, and nothing is pinned */
	stage_faults(s, 0, STAGE_IOVA);
	munmap(s->p2p[0], s->p2p_len[0]);
	EXPECT_TRUE(provider_available_is_back(&scene_provider, 3000));
	stage_close(s);
}

static void replace_by_ordinary(struct stage *s)
{
	ASSERT_TRUE(mmap(s->mem, s->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    s->mem);
}

/* A range of both kinds goes as a whole, whichever comes first. */
static void no_route_and_ordinary_memory(void)
{
	static const struct stage_layout layouts[] = {
		{ 2, 4, 2, 0, 0 }, { 0, 2, 2, 0, 0 }, { 2, 1, 0, 0, 0 },
		{ 600, 2, 2, 2, 2 },
	};
	struct stage *s;
	long locked;
	size_t i;

	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		s = stage_open_bare(&layouts[i]);
		locked = stage_locked();
		EXPECT_EQ(stage_map(s), -EREMOTEIO);
		EXPECT_EQ(stage_locked(), locked);
		/* nothing is left there: one fault is proof, an IOMMU that
		 * finds an old entry in the way complains in the log
		 */
		if (!i)
			stage_faults(s, 0, STAGE_IOVA);
		replace_by_ordinary(s);
		ASSERT_EQ(stage_map(s), 0);
		stage_close(s);
	}
}

/*
 * Mapped while there was no device to ask about: the one that comes then is
 * refused, and not once the memory has gone.
 */
static void attached_later(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 2, 1, 0, 0 });

	stage_add_mdev(s);
	stage_remove_edu(s, 0);
	ASSERT_EQ(stage_map(s), 0);
	EXPECT_EQ(stage_try_edu(s, 0), -EREMOTEIO);
	stage_unmap(s);
	stage_add_edu(s, 0);
	stage_faults(s, 0, STAGE_IOVA + PAGE);
	stage_close(s);
}

static void ordinary_memory(void)
{
	struct stage *s = stage_open(&(struct stage_layout){ 4, 0, 0, 0, 0 });

	stage_ram_works(s, 0);
	stage_close(s);
}

static const struct tap_test tests[] = {
	{ "no_route", no_route, 30 },
	{ "no_route_and_ordinary_memory", no_route_and_ordinary_memory, 90 },
	{ "attached_later", attached_later, 30 },
	{ "ordinary_memory", ordinary_memory, 0 },
	{ NULL, NULL, 0 },
};

int vfio_refuse_main(int argc, char **argv, const char *name,
		     enum vfio_kind kind, const struct tap_test *own)
{
	return vfio_main(argc, argv, name, kind, tests, own);
}
