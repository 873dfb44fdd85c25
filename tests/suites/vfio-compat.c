// SPDX-License-Identifier: GPL-2.0
/*
 * DMA maps of the provider's memory through groups and a container, which
 * /dev/iommu plays: what a program written for type1 gets on a kernel without.
 */
#include "check.h"
#include "iommufd.h"
#include "scene.h"
#include "stage.h"
#include "vfio_cases.h"
#include "vfio_event.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void pfnmap_is_refused(void)
{
	vfio_case_pfnmap_is_refused();
}

/* Device 0 writes to a page of p2p[0], and it arrives. */
static void page_works(struct stage *s, size_t page)
{
	static uint64_t seed = 0xc000;
	unsigned char *at = s->p2p[0] + page * PAGE;

	stage_load(s, 0, ++seed, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, stage_iova(s, at), 512), 0);
	EXPECT_EQ(mem_differs(at, 512, seed), 0);
}

static void part_is_dead(struct stage *s, size_t first, size_t pages)
{
	stage_dead_range(s, 0, stage_iova(s, s->p2p[0] + first * PAGE),
			 pages * PAGE);
}

/*
 * Version 1 of type1 takes parts out of mappings. Of 6 pages of the provider's
 * some go, before or after the unbind takes them all. The sizes that unmapping
 * reports add up to all of it.
 */
#define PAGES 6

static void parts_unmapped(size_t first, size_t pages, bool revoke_first)
{
	struct stage *s = stage_open_v1(&(struct stage_layout){ 2, PAGES, 2, 0, 0 });
	uint64_t at = stage_iova(s, s->p2p[0] + first * PAGE), done;
	struct unbind u;
	size_t page;
	void *fresh;

	ASSERT_EQ(stage_map(s), 0);
	stage_dma_works(s, 0);
	if (revoke_first)
		ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(vfio_unmap(&s->space, at, pages * PAGE, &done), 0);
	EXPECT_EQ(done, pages * PAGE);
	if (!revoke_first) {
		stage_faults(s, 0, at);
		mem_fill(s->p2p[0], s->p2p_len[0], 3);
		part_is_dead(s, first, pages);
		EXPECT_EQ(mem_differs(s->p2p[0], s->p2p_len[0], 3), 0);
		for (page = 0; page < PAGES; page++)
			if (page < first || page >= first + pages)
				page_works(s, page);
		stage_ram_works(s, 0);
		ASSERT_TRUE(unbind_now(&scene_provider, &u));
	}
	EXPECT_EQ(u.err, 0);
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	part_is_dead(s, first, pages);
	part_is_dead(s, 0, PAGES);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	stage_ram_works(s, 0);
	observer_close(&s->observer);
	ASSERT_EQ(provider_bind(&scene_provider), 0);

	/* there is room for as much as went, beside what is still dead */
	fresh = p2pmem_map(&scene_provider, pages * PAGE);
	ASSERT_TRUE(fresh);
	ASSERT_EQ(vfio_map(&s->space, fresh, at, pages * PAGE, VFIO_RW), 0);
	mem_fill(fresh, pages * PAGE, 4);
	stage_load(s, 0, 5, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, at, 512), 0);
	EXPECT_EQ(mem_differs(fresh, 512, 5), 0);
	mem_fill(fresh, pages * PAGE, 6);
	if (first)
		part_is_dead(s, 0, first);
	if (first + pages < PAGES)
		part_is_dead(s, first + pages, PAGES - first - pages);
	EXPECT_EQ(mem_differs(fresh, pages * PAGE, 6), 0);
	stage_ram_works(s, 0);
	/* all of it, in as many pieces as it is by now */
	stage_unmap(s);
	munmap(fresh, pages * PAGE);
	stage_close(s);
	stage_fresh_works();
}

static void lower_part_unmapped(void)
{
	parts_unmapped(0, 2, false);
}

static void upper_part_unmapped(void)
{
	parts_unmapped(3, 3, false);
}

static void middle_unmapped(void)
{
	parts_unmapped(2, 1, false);
}

static void lower_part_unmapped_later(void)
{
	parts_unmapped(0, 3, true);
}

static void upper_part_unmapped_later(void)
{
	parts_unmapped(4, 2, true);
}

static void middle_unmapped_later(void)
{
	parts_unmapped(1, 4, true);
}

/* Unmapped page by page, the pins go with the last one. */
static void crumbs(void)
{
	struct stage *s = stage_open_v1(P2P_ALONE);
	static const size_t order[] = { 2, 0, 3, 1 };
	uint64_t done;
	size_t i;

	ASSERT_EQ(stage_map(s), 0);
	stage_dma_works(s, 0);
	ASSERT_TRUE(mmap(s->p2p[0], s->p2p_len[0], PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    s->p2p[0]);
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(!stage_taken(0));
		EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA + order[i] * PAGE,
				     PAGE, &done), 0);
		EXPECT_EQ(done, PAGE);
	}
	EXPECT_TRUE(stage_nothing_taken());
	/* nothing is left in the page table: it refuses to map over that */
	ASSERT_EQ(stage_map(s), 0);
	stage_close(s);
}

/* A new device takes over what is left of a mapping that was split. */
static void split_and_attached(void)
{
	struct stage *s = stage_open_v1(MIXED);
	uint64_t second = stage_iova(s, s->p2p[0] + PAGE), done;
	struct unbind u;

	ASSERT_EQ(stage_map(s), 0);
	EXPECT_EQ(vfio_unmap(&s->space, second, PAGE, &done), 0);
	stage_add_mdev(s);
	/* the last device with an IOMMU goes, the next one brings a new table */
	stage_remove_edu(s, 0);
	EXPECT_EQ(stage_locked(), s->locked);
	stage_add_edu(s, 1);
	stage_load(s, 1, 17, 512);
	EXPECT_EQ(edu_run(&s->edu[1], EDU_WRITE, second + PAGE, 512), 0);
	EXPECT_EQ(mem_differs(s->p2p[0] + 2 * PAGE, 512, 17), 0);
	stage_faults(s, 1, second);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_p2p_is_dead(s, 1);
	stage_add_edu(s, 0);
	stage_p2p_is_dead(s, 0);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	stage_ram_works(s, 0);
	stage_ram_works(s, 1);
	EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA, s->len, &done), 0);
	EXPECT_EQ(done, s->len - PAGE);
	s->mapped = false;
	stage_aftermath(s, &u);
	stage_close(s);
}

/* The container is an IOAS: a device with a file of its own joins it. */
static void joined_by_a_cdev(void)
{
	struct stage *s = stage_open(MIXED);
	struct vfio_space same = s->space;
	struct unbind u;

	same.kind = VFIO_KIND_IOMMUFD;
	ASSERT_EQ(iommufd_compat_ioas(s->space.fd, &same.ioas), 0);
	ASSERT_EQ(vfio_attach(&same, &s->dev[1], stage_edu(1)), 0);
	ASSERT_EQ(edu_open(&s->edu[1], &s->dev[1]), 0);
	stage_dma_works(s, 0);
	stage_dma_works(s, 1);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_p2p_is_dead(s, 1);
	stage_ram_works(s, 1);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

/*
 * A container that splits, unmapped in the middle: the parts of one run are
 * told together, as the ranges that they are now. The IOAS behind it is the same
 * whichever way it is asked.
 */
static void told_of_split_parts(void)
{
	struct stage *s = stage_open_v1(P2P_ALONE);
	struct vfio_space same = s->space;
	int fd = vfio_event_open();
	struct vfio_range r[2];
	struct unbind u;
	uint32_t count;
	uint64_t done;

	ASSERT_EQ(stage_map(s), 0);
	ASSERT_EQ(vfio_event_fd(&s->space, fd), 0);
	EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA + PAGE, PAGE, &done), 0);
	EXPECT_EQ(done, PAGE);
	EXPECT_EQ(vfio_event_told(fd), 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
	EXPECT_EQ(vfio_event_told(fd), 1);
	same.kind = VFIO_KIND_IOMMUFD;
	ASSERT_EQ(iommufd_compat_ioas(s->space.fd, &same.ioas), 0);
	for (int i = 0; i < 2; i++) {
		memset(r, 0, sizeof(r));
		ASSERT_EQ(vfio_event_list(i ? &same : &s->space, r, 2, &count), 0);
		EXPECT_EQ(count, 2);
		EXPECT_EQ(r[0].first, STAGE_IOVA);
		EXPECT_EQ(r[0].last, STAGE_IOVA + PAGE - 1);
		EXPECT_EQ(r[1].first, STAGE_IOVA + 2 * PAGE);
		EXPECT_EQ(r[1].last, STAGE_IOVA + s->len - 1);
	}
	EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA, s->len, &done), 0);
	EXPECT_EQ(done, s->len - PAGE);
	s->mapped = false;
	EXPECT_EQ(vfio_event_list(&s->space, r, 0, &count), 0);
	EXPECT_EQ(count, 0);
	stage_aftermath(s, &u);
	stage_close(s);
	close(fd);
}

static const struct tap_test own[] = {
	{ "pfnmap_is_refused", pfnmap_is_refused, 0 },
	{ "lower_part_unmapped", lower_part_unmapped, 40 },
	{ "upper_part_unmapped", upper_part_unmapped, 40 },
	{ "middle_unmapped", middle_unmapped, 40 },
	{ "lower_part_unmapped_later", lower_part_unmapped_later, 40 },
	{ "upper_part_unmapped_later", upper_part_unmapped_later, 40 },
	{ "middle_unmapped_later", middle_unmapped_later, 40 },
	{ "crumbs", crumbs, 0 },
	{ "split_and_attached", split_and_attached, 40 },
	{ "joined_by_a_cdev", joined_by_a_cdev, 40 },
	{ "told_of_split_parts", told_of_split_parts, 40 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return vfio_cases_main(argc, argv, "vfio-compat", VFIO_KIND_COMPAT, own);
}
