// SPDX-License-Identifier: GPL-2.0
/*
 * DMA maps of the provider's memory in an IOAS of /dev/iommu, for devices that
 * are opened by their own character devices.
 *
 * Access pins (iommufd_access_pin_pages()) are not reached from here: of what
 * has one, the mediated devices, none that the kernel brings along pins memory
 * of the user's.
 */
#include "check.h"
#include "clock.h"
#include "iommufd.h"
#include "scene.h"
#include "slow.h"
#include "stage.h"
#include "sysfs.h"
#include "vfio_cases.h"
#include "vfio_event.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define BARE	(&(struct stage_layout){ 1, 0, 0, 0, 0 })

static int copy(struct stage *to, uint64_t to_iova, const struct stage *from,
		const void *at, size_t len)
{
	return iommufd_copy(to->space.fd, to->space.ioas, to_iova,
			    from->space.ioas, stage_iova(from, at), len);
}

static void unmap(struct stage *s, uint64_t iova, size_t len)
{
	uint64_t done;

	EXPECT_EQ(vfio_unmap(&s->space, iova, len, &done), 0);
	EXPECT_EQ(done, len);
}

static int attach(struct stage *s, unsigned int n, uint32_t to)
{
	return iommufd_cdev_attach(s->dev[n].fd, to);
}

/* b was opened while s was mapped, which ended meanwhile. */
static void unmapped_before(struct stage *b, const struct stage *s)
{
	b->locked = s->locked + (long)(2 * PAGE / 1024);
}

static uint32_t new_hwpt(struct stage *s, unsigned int n)
{
	uint32_t hwpt;

	ASSERT_EQ(iommufd_hwpt(s->space.fd, s->dev[n].id, s->space.ioas, &hwpt),
		  0);
	return hwpt;
}

/* An IOAS with nothing but the scratch memory in it. */
static uint32_t idle_ioas(struct stage *s)
{
	uint32_t ioas;

	ASSERT_EQ(iommufd_ioas(s->space.fd, &ioas), 0);
	ASSERT_EQ(iommufd_map(s->space.fd, ioas, s->scratch, STAGE_SCRATCH,
			      2 * PAGE, true), 0);
	return ioas;
}

/* Device n reads and writes that page, which the process sees at "at". */
static void reaches(struct stage *s, unsigned int n, uint64_t iova, void *at)
{
	static uint64_t seed = 0x9000;
	unsigned char *m = at;

	mem_fill(m, PAGE, ++seed);
	ASSERT_EQ(edu_run(&s->edu[n], EDU_READ, iova, 512), 0);
	EXPECT_EQ(stage_buffer_differs(s, n, seed, 512), 0);
	stage_load(s, n, ~seed, 512);
	ASSERT_EQ(edu_run(&s->edu[n], EDU_WRITE, iova + PAGE - 512, 512), 0);
	EXPECT_EQ(mem_differs(m + PAGE - 512, 512, ~seed), 0);
	EXPECT_EQ(mem_differs(m, PAGE - 512, seed), 0);
}

/* The pages of p2p[0] are out of everybody's reach, the others are not. */
static struct unbind gone(struct stage *s)
{
	struct unbind u;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	return u;
}

static void unchanged(struct stage *s)
{
	EXPECT_EQ(observer_changed(&s->observer), 0);
}

/*
 * Copies. The same pages in two IOASes: one unbind takes them from both. Which
 * one came first, or still is there, makes no difference.
 */
enum copy_how { COPY_TO_A_DEVICE, COPY_THEN_A_DEVICE, COPY_OUTLIVES };

static void copied(enum copy_how how)
{
	struct stage *s = stage_open(MIXED);
	struct stage *b = stage_open_near(BARE, s);
	uint64_t p2p = OTHER_IOVA + s->ram_len[0];
	uint64_t ram1 = p2p + s->p2p_len[0];
	unsigned int n = 0;
	struct unbind u;

	if (how == COPY_THEN_A_DEVICE) {
		stage_remove_edu(b, 0);
		n = 1;
	}
	ASSERT_EQ(copy(b, OTHER_IOVA, s, s->mem, s->len), 0);
	if (how == COPY_THEN_A_DEVICE)
		stage_add_edu(b, 1);
	if (how == COPY_OUTLIVES) {
		stage_unmap(s);
		unmapped_before(b, s);
	} else {
		stage_dma_works(s, 0);
	}
	reaches(b, n, p2p, s->p2p[0]);
	reaches(b, n, p2p + 3 * PAGE, s->p2p[0] + 3 * PAGE);
	reaches(b, n, OTHER_IOVA, s->ram[0]);

	u = gone(s);
	stage_faults(b, n, p2p);
	stage_dead_range(b, n, p2p, s->p2p_len[0]);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	reaches(b, n, OTHER_IOVA + PAGE, s->ram[0] + PAGE);
	reaches(b, n, ram1, s->ram[1]);
	unmap(b, OTHER_IOVA, s->len);
	stage_close(b);
	stage_aftermath(s, &u);
	stage_close(s);
}

static void copy_in_use(void)
{
	copied(COPY_TO_A_DEVICE);
}

static void copy_then_a_device(void)
{
	copied(COPY_THEN_A_DEVICE);
}

static void copy_outlives(void)
{
	copied(COPY_OUTLIVES);
}

/* Parts: over the border with ordinary memory, and within, in the same IOAS. */
static void copy_of_parts(void)
{
	struct stage *s = stage_open(MIXED);
	struct stage *b = stage_open_near(BARE, s);
	uint64_t within = OTHER_IOVA + 0x100000;
	struct unbind u;

	ASSERT_EQ(copy(b, OTHER_IOVA, s, s->ram[0] + PAGE, 2 * PAGE), 0);
	ASSERT_EQ(copy(b, within, s, s->p2p[0] + 3 * PAGE, 2 * PAGE), 0);
	ASSERT_EQ(copy(s, OTHER_IOVA, s, s->p2p[0] + PAGE, 2 * PAGE), 0);
	reaches(b, 0, OTHER_IOVA, s->ram[0] + PAGE);
	reaches(b, 0, OTHER_IOVA + PAGE, s->p2p[0]);
	reaches(b, 0, within, s->p2p[0] + 3 * PAGE);
	reaches(b, 0, within + PAGE, s->ram[1]);
	reaches(s, 0, OTHER_IOVA, s->p2p[0] + PAGE);
	reaches(s, 0, OTHER_IOVA + PAGE, s->p2p[0] + 2 * PAGE);
	/* a part goes, and comes again */
	unmap(b, within, 2 * PAGE);
	stage_faults(b, 0, within);
	ASSERT_EQ(copy(b, within, s, s->p2p[0] + 3 * PAGE, 2 * PAGE), 0);
	reaches(b, 0, within, s->p2p[0] + 3 * PAGE);

	u = gone(s);
	stage_dead_range(b, 0, OTHER_IOVA + PAGE, PAGE);
	stage_dead_range(b, 0, within, PAGE);
	stage_dead_range(s, 0, OTHER_IOVA, 2 * PAGE);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	reaches(b, 0, OTHER_IOVA, s->ram[0] + PAGE);
	reaches(b, 0, within + PAGE, s->ram[1]);
	unmap(b, OTHER_IOVA, 2 * PAGE);
	unmap(s, OTHER_IOVA, 2 * PAGE);
	stage_aftermath(s, &u);
	reaches(b, 0, within + PAGE, s->ram[1]);
	unmap(b, within, 2 * PAGE);
	unmapped_before(b, s);
	stage_close(b);
	stage_close(s);
}

/* The last part that is mapped holds the pages, and no longer than that. */
static void copy_of_a_part_holds(void)
{
	struct stage *s = stage_open(MIXED);
	struct stage *b = stage_open_near(BARE, s);

	ASSERT_EQ(copy(b, OTHER_IOVA, s, s->p2p[0] + PAGE, PAGE), 0);
	mem_fill(s->p2p[0], s->p2p_len[0], 5);
	ASSERT_TRUE(mmap(s->p2p[0], s->p2p_len[0], PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    s->p2p[0]);
	EXPECT_TRUE(stage_taken(s->p2p_len[0]));
	stage_unmap(s);
	ASSERT_EQ(edu_run(&b->edu[0], EDU_READ, OTHER_IOVA, 512), 0);
	stage_load(b, 0, 8, 512);
	ASSERT_EQ(edu_run(&b->edu[0], EDU_WRITE, OTHER_IOVA, 512), 0);
	ASSERT_EQ(edu_run(&b->edu[0], EDU_READ, OTHER_IOVA, 512), 0);
	EXPECT_EQ(stage_buffer_differs(b, 0, 8, 512), 0);
	EXPECT_TRUE(!stage_taken(0));
	unmap(b, OTHER_IOVA, PAGE);
	EXPECT_TRUE(stage_nothing_taken());
	unmapped_before(b, s);
	stage_close(b);
	stage_close(s);
}

/* What is gone is not copied into anybody's reach. */
static void copy_after_the_revoke(void)
{
	struct stage *s = stage_open(MIXED);
	struct stage *b = stage_open_near(BARE, s);
	uint64_t alone = OTHER_IOVA + 0x100000;
	struct unbind u = gone(s);

	ASSERT_EQ(copy(b, OTHER_IOVA, s, s->mem, s->len), 0);
	ASSERT_EQ(copy(b, alone, s, s->p2p[0], s->p2p_len[0]), 0);
	stage_faults(b, 0, OTHER_IOVA + s->ram_len[0]);
	stage_dead_range(b, 0, OTHER_IOVA + s->ram_len[0], s->p2p_len[0]);
	stage_dead_range(b, 0, alone, s->p2p_len[0]);
	unchanged(s);
	reaches(b, 0, OTHER_IOVA, s->ram[0]);
	stage_aftermath(s, &u);
	unmap(b, OTHER_IOVA, s->len);
	unmap(b, alone, s->p2p_len[0]);
	unmapped_before(b, s);
	stage_close(b);
	stage_close(s);
}

/*
 * Two page tables of one IOAS. The one that was there when the memory was mapped
 * gets it from the process, the other one from what is known of the mapping.
 */
static void two_tables(bool map_late)
{
	struct stage *s = stage_open_bare(MIXED);
	struct unbind u;
	uint32_t hwpt;

	if (!map_late)
		ASSERT_EQ(stage_map(s), 0);
	stage_add_edu(s, 1);
	hwpt = new_hwpt(s, 1);
	ASSERT_EQ(attach(s, 1, hwpt), 0);
	if (map_late)
		ASSERT_EQ(stage_map(s), 0);
	stage_dma_works(s, 0);
	stage_dma_works(s, 1);
	EXPECT_EQ(iommufd_destroy(s->space.fd, hwpt), -EBUSY);

	u = gone(s);
	stage_faults(s, 1, stage_iova(s, s->p2p[0]));
	stage_p2p_is_dead(s, 1);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	stage_ram_works(s, 1);
	/* back to the first table */
	ASSERT_EQ(attach(s, 1, s->space.ioas), 0);
	stage_p2p_is_dead(s, 1);
	unchanged(s);
	stage_ram_works(s, 1);
	EXPECT_EQ(iommufd_destroy(s->space.fd, hwpt), 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

static void second_table(void)
{
	two_tables(false);
}

static void mapped_in_two_tables(void)
{
	two_tables(true);
}

static void table_after_the_revoke(void)
{
	struct stage *s = stage_open(MANY_PARTS);
	struct unbind u;
	uint32_t hwpt;

	stage_add_edu(s, 1);
	u = gone(s);
	hwpt = new_hwpt(s, 1);
	ASSERT_EQ(attach(s, 1, hwpt), 0);
	stage_faults(s, 1, stage_iova(s, s->p2p[1]));
	stage_p2p_is_dead(s, 1);
	unchanged(s);
	stage_ram_works(s, 1);
	/* it is left with nothing but that table, which the others come from */
	stage_remove_edu(s, 0);
	stage_ram_works(s, 1);
	ASSERT_EQ(attach(s, 1, s->space.ioas), 0);
	stage_p2p_is_dead(s, 1);
	unchanged(s);
	stage_ram_works(s, 1);
	EXPECT_EQ(iommufd_destroy(s->space.fd, hwpt), 0);
	stage_add_edu(s, 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

/* The table that the memory was mapped in first goes, before the unbind. */
static void first_table_goes(void)
{
	struct stage *s = stage_open(MIXED);
	struct unbind u;
	uint32_t hwpt;

	stage_add_edu(s, 1);
	hwpt = new_hwpt(s, 1);
	ASSERT_EQ(attach(s, 1, hwpt), 0);
	stage_remove_edu(s, 0);
	stage_dma_works(s, 1);
	u = gone(s);
	stage_p2p_is_dead(s, 1);
	unchanged(s);
	stage_ram_works(s, 1);
	stage_add_edu(s, 0);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	stage_ram_works(s, 0);
	stage_remove_edu(s, 1);
	EXPECT_EQ(iommufd_destroy(s->space.fd, hwpt), 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

/* The device moves to another IOAS and back. */
static void replaced(void)
{
	struct stage *s = stage_open(MIXED);
	uint32_t idle = idle_ioas(s);
	struct unbind u;
	int round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(attach(s, 0, idle), 0);
		stage_faults(s, 0, stage_iova(s, s->p2p[0]));
		mem_fill(s->p2p[0], s->p2p_len[0], 7);
		stage_dead_range(s, 0, stage_iova(s, s->p2p[0]), s->p2p_len[0]);
		EXPECT_EQ(mem_differs(s->p2p[0], s->p2p_len[0], 7), 0);
		ASSERT_EQ(attach(s, 0, s->space.ioas), 0);
		stage_dma_works(s, 0);
	}
	u = gone(s);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	/* away and back: what is gone stays gone */
	ASSERT_EQ(attach(s, 0, idle), 0);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	ASSERT_EQ(attach(s, 0, s->space.ioas), 0);
	stage_ram_works(s, 0);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	EXPECT_EQ(iommufd_destroy(s->space.fd, idle), 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

/* Nothing is mapped anywhere when the provider goes. */
static void replaced_before_the_revoke(void)
{
	struct stage *s = stage_open(MIXED);
	uint32_t idle = idle_ioas(s);
	struct unbind u;
	int err;

	ASSERT_EQ(attach(s, 0, idle), 0);
	u = gone(s);
	/* the process has nothing there any more, and the IOAS never had */
	err = attach(s, 0, s->space.ioas);
	EXPECT_TRUE(err == -EFAULT || err == -ENODEV);
	/* the device is where it was */
	stage_load(s, 0, 2, 64);
	EXPECT_EQ(stage_buffer_differs(s, 0, 2, 64), 0);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	stage_unmap(s);
	ASSERT_EQ(attach(s, 0, s->space.ioas), 0);
	EXPECT_EQ(iommufd_destroy(s->space.fd, idle), 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

static void detached(void)
{
	struct stage *s = stage_open(MIXED);
	struct unbind u;

	ASSERT_EQ(iommufd_cdev_detach(s->dev[0].fd), 0);
	ASSERT_EQ(attach(s, 0, s->space.ioas), 0);
	stage_dma_works(s, 0);
	u = gone(s);
	stage_p2p_is_dead(s, 0);
	/* what was revoked stays a hole, also when there was no page table */
	ASSERT_EQ(iommufd_cdev_detach(s->dev[0].fd), 0);
	ASSERT_EQ(attach(s, 0, s->space.ioas), 0);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	stage_aftermath(s, &u);
	stage_close(s);
}

/* The IOAS goes, with all that is in it. */
static void ioas_destroyed(void)
{
	struct stage *s;
	int revoked;

	for (revoked = 0; revoked < 2; revoked++) {
		s = stage_open(MIXED);
		if (revoked)
			gone(s);
		EXPECT_EQ(iommufd_destroy(s->space.fd, s->space.ioas), -EBUSY);
		stage_remove_edu(s, 0);
		EXPECT_EQ(iommufd_destroy(s->space.fd, s->space.ioas), 0);
		EXPECT_EQ(stage_locked(), s->locked);
		munmap(s->p2p[0], s->p2p_len[0]);
		if (!revoked)
			EXPECT_TRUE(stage_nothing_taken());
		stage_drop(s);
		if (revoked)
			ASSERT_EQ(provider_bind(&scene_provider), 0);
	}
	stage_fresh_works();
}

/* One unmap of everything in a range, of which the maps are parts. */
static void unmap_of_more(void)
{
	struct stage *s = stage_open(MIXED);
	struct unbind u;
	uint64_t done;
	int round;

	for (round = 0; round < 2; round++) {
		if (round)
			u = gone(s);
		EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA, 3 * PAGE, &done),
			  -ENOENT);
		EXPECT_EQ(vfio_unmap(&s->space, stage_iova(s, s->p2p[0]),
				     s->p2p_len[0], &done), -ENOENT);
		if (round)
			stage_p2p_is_dead(s, 0);
		else
			stage_dma_works(s, 0);
		ASSERT_EQ(vfio_map(&s->space, s->ram[0], OTHER_IOVA, PAGE,
				   VFIO_RW), 0);
		EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA - PAGE,
				     OTHER_IOVA + 2 * PAGE - STAGE_IOVA,
				     &done), 0);
		EXPECT_EQ(done, s->len + PAGE);
		s->mapped = false;
		if (!round)
			ASSERT_EQ(stage_map(s), 0);
	}
	stage_aftermath(s, &u);
	stage_close(s);
}

/* No page of the IOMMU's is larger than a page. */
static void small_pages(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 1100, 1, 0, 0 });
	uint32_t was = s->space.ioas, ioas;

	ASSERT_EQ(iommufd_ioas(s->space.fd, &ioas), 0);
	ASSERT_EQ(iommufd_small_pages(s->space.fd, ioas), 0);
	ASSERT_EQ(iommufd_map(s->space.fd, ioas, s->scratch, STAGE_SCRATCH,
			      2 * PAGE, true), 0);
	ASSERT_EQ(attach(s, 0, ioas), 0);
	EXPECT_EQ(iommufd_destroy(s->space.fd, was), 0);
	s->space.ioas = ioas;
	ASSERT_EQ(stage_map(s), 0);
	stage_dma_works(s, 0);
	stage_unbind(s);
	stage_close(s);
}

/* Memory without pages behind it was never taken by iommufd, and is not now. */
static void pfnmap_is_refused(void)
{
	vfio_case_pfnmap_is_refused();
}

/*
 * Limits by process (IOMMU_OPTION_RLIMIT_MODE) count in VmLck, as type1 does:
 * ordinary pages only, once, and not by the revocation.
 */
#define LIMIT_PAGES 8

struct limited {
	struct vfio_space space;
	unsigned char *p2p;
};

static long vm_lck(void)
{
	unsigned long long kib;

	return sysfs_read_key("/proc/self/status", "VmLck:", &kib) ? -1 :
	       (long)kib;
}

static int maps_by_process(int fd, void *arg)
{
	struct rlimit rl = { LIMIT_PAGES * PAGE, LIMIT_PAGES * PAGE };
	size_t len = (LIMIT_PAGES + 1) * PAGE;
	struct limited *l = arg;
	unsigned char *ram;
	uint64_t done;

	ram = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(ram != MAP_FAILED);
	ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &rl), 0);
	ASSERT_EQ(setresuid(65534, 65534, 65534), 0);
	EXPECT_EQ(vfio_map(&l->space, ram, OTHER_IOVA, len, VFIO_RW), -ENOMEM);
	EXPECT_EQ(vm_lck(), 0);
	/* the provider's page in the place of one too many */
	ASSERT_TRUE(mremap(l->p2p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   ram + PAGE) == ram + PAGE);
	EXPECT_EQ(vfio_map(&l->space, ram, OTHER_IOVA, len, VFIO_RW), 0);
	EXPECT_EQ(vm_lck(), LIMIT_PAGES * 4);
	ASSERT_TRUE(worker_tell(fd, 'm'));
	ASSERT_TRUE(worker_hear(fd, 'u', 60));
	EXPECT_EQ(vm_lck(), LIMIT_PAGES * 4);
	EXPECT_EQ(vfio_unmap(&l->space, OTHER_IOVA, len, &done), 0);
	EXPECT_EQ(done, len);
	EXPECT_EQ(vm_lck(), 0);
	return 0;
}

static void limits_by_process(void)
{
	struct limited l = { .space = { .kind = VFIO_KIND_IOMMUFD } };
	struct vfio_dev dev;
	struct worker w;
	struct unbind u;

	l.space.fd = iommufd_open();
	ASSERT_GE(l.space.fd, 0);
	l.space.open = true;
	ASSERT_EQ(iommufd_limits_by_process(l.space.fd), 0);
	ASSERT_EQ(iommufd_ioas(l.space.fd, &l.space.ioas), 0);
	ASSERT_EQ(vfio_attach(&l.space, &dev, stage_edu(0)), 0);
	l.p2p = p2pmem_map(&scene_provider, PAGE);
	ASSERT_TRUE(l.p2p);
	ASSERT_EQ(worker_start(&w, "limited", maps_by_process, &l), 0);
	if (EXPECT_TRUE(worker_hear(w.fd, 'm', 20))) {
		EXPECT_TRUE(unbind_now(&scene_provider, &u));
		EXPECT_TRUE(worker_tell(w.fd, 'u'));
	}
	EXPECT_EQ(worker_join(&w, 20), 0);
	munmap(l.p2p, PAGE);
	vfio_detach(&dev);
	vfio_space_close(&l.space);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
}

/* Pages of a process that is not the one which lets a device at them. */
static int maps_for_others(int fd, void *arg)
{
	struct stage *s = arg;

	ASSERT_EQ(stage_map(s), 0);
	ASSERT_TRUE(worker_tell(fd, 'm'));
	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	return 0;
}

static void attached_by_another_process(void)
{
	struct stage *s = stage_open_bare(MIXED);
	struct worker w;
	struct unbind u;

	stage_remove_edu(s, 0);
	ASSERT_EQ(worker_start(&w, "owner", maps_for_others, s), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'm', 20));
	s->mapped = true;
	stage_add_edu(s, 0);
	/* the ordinary pages are the other's own */
	reaches(s, 0, stage_iova(s, s->p2p[0]), s->p2p[0]);
	u = gone(s);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	stage_unmap(s);
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

/*
 * An attach is what pins, and sleeps in a page that does not come, having taken
 * some of the provider's memory before.
 */
struct attacher {
	struct stage *stage;
	struct slow slow;
	size_t p2p_after;
	volatile bool attached;
	volatile int err;
};

#define BEFORE 3

static int sleeping_attacher(int fd, void *arg)
{
	struct attacher *a = arg;
	size_t len = (BEFORE + 1 + a->p2p_after) * PAGE;
	unsigned char *m;

	m = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	ASSERT_TRUE(p2pmem_mmap(&scene_provider, m, BEFORE * PAGE,
				MAP_SHARED | MAP_FIXED, 0));
	ASSERT_TRUE(slow_map(&a->slow, m + BEFORE * PAGE));
	if (a->p2p_after)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider, m + (BEFORE + 1) * PAGE,
					a->p2p_after * PAGE,
					MAP_SHARED | MAP_FIXED, 0));
	ASSERT_EQ(vfio_map(&a->stage->space, m, OTHER_IOVA, len, VFIO_RW), 0);
	ASSERT_TRUE(worker_tell(fd, 'm'));
	a->err = vfio_attach(&a->stage->space, &a->stage->dev[1], stage_edu(1));
	a->attached = true;
	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	return 0;
}

static void attach_sleeps(size_t p2p_after)
{
	struct attacher *a = worker_shared(sizeof(*a));
	size_t len = (BEFORE + 1 + p2p_after) * PAGE;
	struct stage *s = stage_open(MIXED);
	struct stage *b = stage_open_near(BARE, s);
	struct worker w;
	struct unbind u;
	int err;

	ASSERT_TRUE(a);
	stage_remove_edu(b, 0);
	a->stage = b;
	a->p2p_after = p2p_after;
	ASSERT_EQ(slow_open(&a->slow, PAGE), 0);
	ASSERT_EQ(worker_start(&w, "attacher", sleeping_attacher, a), 0);
	if (!EXPECT_TRUE(slow_somebody_sleeps(&a->slow, 10)))
		slow_close(&a->slow);
	ASSERT_TRUE(a->slow.dir[0]);
	ASSERT_TRUE(worker_hear(w.fd, 'm', 20));
	EXPECT_TRUE(!a->attached);
	u = gone(s);
	stage_p2p_is_dead(s, 0);
	unchanged(s);
	EXPECT_TRUE(!a->attached);
	EXPECT_EQ(slow_let_go(&a->slow), 0);
	slow_close(&a->slow);
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	EXPECT_TRUE(a->attached);
	err = a->err;
	tap_note("the attach that slept: %s", err ? strerror(-err) : "done");
	if (p2p_after)
		EXPECT_NE(err, 0);
	if (err)
		EXPECT_TRUE(err == -EFAULT || err == -ENODEV);
	unmap(b, OTHER_IOVA, len);
	stage_close(b);
	stage_aftermath(s, &u);
	stage_close(s);
	worker_unshare(a, sizeof(*a));
}

static void attach_sleeps_behind_p2p(void)
{
	attach_sleeps(0);
}

static void attach_sleeps_between_p2p(void)
{
	attach_sleeps(2);
}

/* Threads that copy, make tables and change them, while the driver goes. */
struct race {
	struct stage *s, *b;
	uint32_t idle;
	volatile bool stop;
	volatile unsigned int copies, tables, moves;
	volatile int odd;
	const char *volatile odd_what;
};

static bool odd(struct race *r, const char *what, int err)
{
	if (err) {
		r->odd_what = what;
		r->odd = err;
	}
	return err;
}

static void *copying(void *arg)
{
	struct race *r = arg;
	uint64_t done;
	unsigned int n;
	size_t len;

	for (n = 0; !r->stop; n++) {
		unsigned char *from = r->s->mem + n % 5 * PAGE;

		len = (1 + n % 3) * PAGE;
		if (odd(r, "copy", copy(r->b, OTHER_IOVA, r->s, from, len)))
			break;
		if (odd(r, "unmap", vfio_unmap(&r->b->space, OTHER_IOVA, len,
					       &done)))
			break;
		if (odd(r, "length of an unmap", done != len))
			break;
		r->copies++;
	}
	return NULL;
}

static void *making_tables(void *arg)
{
	struct race *r = arg;
	int fd = r->s->space.fd;
	uint32_t hwpt;

	while (!r->stop) {
		if (odd(r, "hwpt", iommufd_hwpt(fd, r->b->dev[0].id,
						r->s->space.ioas, &hwpt)))
			break;
		if (odd(r, "destroy", iommufd_destroy(fd, hwpt)))
			break;
		r->tables++;
		/* each flushes the IOMMU, which the machine is slow at */
		usleep(300);
	}
	return NULL;
}

/* The first stage's device stays, the other goes from one IOAS to the next. */
static void *moving(void *arg)
{
	struct race *r = arg;
	uint32_t to[] = { r->s->space.ioas, r->idle, r->b->space.ioas };
	unsigned int n;

	for (n = 0; !r->stop; n++) {
		if (odd(r, "attach", attach(r->b, 0, to[n % 3])))
			break;
		r->moves++;
		usleep(300);
	}
	return NULL;
}

static void more_threads(void)
{
	void *(*const jobs[])(void *) = { copying, making_tables, moving };
	unsigned int i, round, rounds = clock_fewer(6);
	pthread_t t[sizeof(jobs) / sizeof(jobs[0])];
	struct race r;
	struct unbind u;

	for (round = 0; round < rounds && !tap_failed(); round++) {
		memset(&r, 0, sizeof(r));
		r.s = stage_open(MIXED);
		r.b = stage_open_near(BARE, r.s);
		r.idle = idle_ioas(r.s);
		for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
			ASSERT_EQ(pthread_create(&t[i], NULL, jobs[i], &r), 0);
		clock_sleep_ms(30 + round * 17);
		EXPECT_TRUE(unbind_now(&scene_provider, &u));
		clock_sleep_ms(100);
		r.stop = true;
		for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
			pthread_join(t[i], NULL);
		tap_note("%u copies, %u tables, %u moves; the unbind took %.3f s",
			 r.copies, r.tables, r.moves, u.seconds);
		EXPECT_GE(r.copies, 1);
		EXPECT_GE(r.tables, 1);
		EXPECT_GE(r.moves, 3);
		if (!EXPECT_EQ(r.odd, 0))
			tap_note("%s: %s", r.odd_what, strerror(-r.odd));
		ASSERT_TRUE(u.done);
		ASSERT_EQ(attach(r.b, 0, r.b->space.ioas), 0);
		EXPECT_EQ(iommufd_destroy(r.s->space.fd, r.idle), 0);
		stage_close(r.b);
		stage_add_edu(r.s, 1);
		ASSERT_EQ(observer_snapshot(&r.s->observer), 0);
		stage_p2p_is_dead(r.s, 1);
		unchanged(r.s);
		stage_aftermath(r.s, &u);
		stage_close(r.s);
	}
}

/* Being told. */

static int listen_to(struct stage *s)
{
	int fd = vfio_event_open();

	ASSERT_EQ(vfio_event_fd(&s->space, fd), 0);
	return fd;
}

static void dead_are(struct stage *s, uint32_t n, struct vfio_range *list)
{
	uint32_t count = ~0u;

	ASSERT_EQ(vfio_event_list(&s->space, list, n, &count), 0);
	ASSERT_EQ(count, n);
}

static void is_range(const struct vfio_range *r, uint64_t iova, size_t len)
{
	EXPECT_EQ(r->first, iova);
	EXPECT_EQ(r->last, iova + len - 1);
}

/*
 * Copies share their pages: each IOAS is told once, whether it has one copy, or
 * three, or parts, and one without a device has it in its list only.
 */
static void told_of_copies(void)
{
	struct stage *s = stage_open(MIXED);
	struct stage *b = stage_open_near(BARE, s);
	int fd = listen_to(s), fd_b = listen_to(b), fd_idle = vfio_event_open();
	struct vfio_space idle = b->space;
	struct vfio_range r[3];
	struct unbind u;
	uint32_t count;

	ASSERT_EQ(iommufd_ioas(s->space.fd, &idle.ioas), 0);
	ASSERT_EQ(vfio_event_fd(&idle, fd_idle), 0);
	ASSERT_EQ(iommufd_copy(s->space.fd, idle.ioas, OTHER_IOVA,
			       s->space.ioas, STAGE_IOVA, s->len), 0);
	ASSERT_EQ(copy(s, OTHER_IOVA, s, s->p2p[0], s->p2p_len[0]), 0);
	ASSERT_EQ(copy(s, OTHER_IOVA + 0x100000, s, s->p2p[0] + PAGE, PAGE), 0);
	/* over the border, and then within: both parts touch */
	ASSERT_EQ(copy(b, OTHER_IOVA, s, s->ram[0] + PAGE, 2 * PAGE), 0);
	ASSERT_EQ(copy(b, OTHER_IOVA + 2 * PAGE, s, s->p2p[0] + 2 * PAGE,
		       2 * PAGE), 0);
	EXPECT_EQ(vfio_event_told(fd) + vfio_event_told(fd_b), 0);

	u = gone(s);
	EXPECT_EQ(vfio_event_told(fd), 1);
	EXPECT_EQ(vfio_event_told(fd_b), 1);
	EXPECT_EQ(vfio_event_told(fd_idle), 0);
	dead_are(s, 3, r);
	is_range(&r[0], stage_iova(s, s->p2p[0]), s->p2p_len[0]);
	is_range(&r[1], OTHER_IOVA, s->p2p_len[0]);
	is_range(&r[2], OTHER_IOVA + 0x100000, PAGE);
	dead_are(b, 1, r);
	is_range(&r[0], OTHER_IOVA + PAGE, 3 * PAGE);
	ASSERT_EQ(vfio_event_list(&idle, r, 1, &count), 0);
	EXPECT_EQ(count, 1);
	is_range(&r[0], OTHER_IOVA + s->ram_len[0], s->p2p_len[0]);

	/* each forgets what it unmaps */
	unmap(s, OTHER_IOVA, s->p2p_len[0]);
	dead_are(s, 2, r);
	unmap(s, OTHER_IOVA + 0x100000, PAGE);
	dead_are(s, 1, r);
	unmap(b, OTHER_IOVA, 2 * PAGE);
	dead_are(b, 1, r);
	is_range(&r[0], OTHER_IOVA + 2 * PAGE, 2 * PAGE);
	unmap(b, OTHER_IOVA + 2 * PAGE, 2 * PAGE);
	dead_are(b, 0, NULL);
	EXPECT_EQ(vfio_event_told(fd) + vfio_event_told(fd_b), 0);
	/* a copy of the hole is one, and news to whom it is added */
	ASSERT_EQ(copy(b, OTHER_IOVA, s, s->p2p[0], s->p2p_len[0]), 0);
	EXPECT_EQ(vfio_event_told(fd), 0);
	EXPECT_EQ(vfio_event_told(fd_b), 1);
	dead_are(b, 1, r);
	is_range(&r[0], OTHER_IOVA, s->p2p_len[0]);
	unmap(b, OTHER_IOVA, s->p2p_len[0]);
	EXPECT_EQ(vfio_event_told(fd) + vfio_event_told(fd_b), 0);
	EXPECT_EQ(iommufd_destroy(s->space.fd, idle.ioas), 0);

	stage_aftermath(s, &u);
	dead_are(s, 0, NULL);
	unmapped_before(b, s);
	stage_close(b);
	stage_close(s);
	close(fd);
	close(fd_b);
	close(fd_idle);
}

/* Two page tables of one IOAS, and a device that gets its first one later. */
static void told_once_for_two_tables(void)
{
	struct stage *s = stage_open(MIXED);
	int fd = listen_to(s);
	struct vfio_range r;
	struct unbind u;
	uint32_t hwpt;

	stage_add_edu(s, 1);
	hwpt = new_hwpt(s, 1);
	ASSERT_EQ(attach(s, 1, hwpt), 0);
	u = gone(s);
	EXPECT_EQ(vfio_event_told(fd), 1);
	dead_are(s, 1, &r);
	is_range(&r, stage_iova(s, s->p2p[0]), s->p2p_len[0]);
	ASSERT_EQ(attach(s, 1, s->space.ioas), 0);
	EXPECT_EQ(iommufd_destroy(s->space.fd, hwpt), 0);
	hwpt = new_hwpt(s, 1);
	EXPECT_EQ(iommufd_destroy(s->space.fd, hwpt), 0);
	EXPECT_EQ(vfio_event_told(fd), 0);
	dead_are(s, 1, &r);
	stage_remove_edu(s, 1);
	stage_aftermath(s, &u);
	stage_close(s);
	close(fd);
}

static const struct tap_test own[] = {
	{ "pfnmap_is_refused", pfnmap_is_refused, 0 },
	{ "copy_in_use", copy_in_use, 40 },
	{ "copy_then_a_device", copy_then_a_device, 40 },
	{ "copy_outlives", copy_outlives, 40 },
	{ "copy_of_parts", copy_of_parts, 40 },
	{ "copy_of_a_part_holds", copy_of_a_part_holds, 0 },
	{ "copy_after_the_revoke", copy_after_the_revoke, 40 },
	{ "second_table", second_table, 40 },
	{ "mapped_in_two_tables", mapped_in_two_tables, 40 },
	{ "table_after_the_revoke", table_after_the_revoke, 40 },
	{ "first_table_goes", first_table_goes, 40 },
	{ "replaced", replaced, 60 },
	{ "replaced_before_the_revoke", replaced_before_the_revoke, 40 },
	{ "detached", detached, 40 },
	{ "ioas_destroyed", ioas_destroyed, 40 },
	{ "unmap_of_more", unmap_of_more, 40 },
	{ "small_pages", small_pages, 60 },
	{ "limits_by_process", limits_by_process, 40 },
	{ "attached_by_another_process", attached_by_another_process, 40 },
	{ "attach_sleeps_behind_p2p", attach_sleeps_behind_p2p, 40 },
	{ "attach_sleeps_between_p2p", attach_sleeps_between_p2p, 40 },
	{ "more_threads", more_threads, 90 },
	{ "told_of_copies", told_of_copies, 40 },
	{ "told_once_for_two_tables", told_once_for_two_tables, 40 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return vfio_cases_main(argc, argv, "vfio-iommufd", VFIO_KIND_IOMMUFD,
			       own);
}
