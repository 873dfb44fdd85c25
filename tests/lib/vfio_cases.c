// SPDX-License-Identifier: GPL-2.0
/*
 * DMA maps of the provider's memory: that they work, what an unbind leaves of
 * them, and who may do what at the same time.
 */
#include "vfio_cases.h"
#include "check.h"
#include "clock.h"
#include "iommufd.h"
#include "p2pmem.h"
#include "rdma.h"
#include "scene.h"
#include "slow.h"
#include "stage.h"
#include "sysfs.h"
#include "tap.h"
#include "vfio_event.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Beyond the reach of the edu device. */
#define FAR_IOVA	EDU_IOVA_END

#define MAX_TESTS	80

/* The device and the space, with ordinary memory: all the rest stands on it. */
static void ordinary(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 2, 0, 0, 0, 0 });
	long locked = stage_locked();

	ASSERT_EQ(stage_map(s), 0);
	EXPECT_EQ(stage_locked(), locked + 8);
	stage_load(s, 0, 77, EDU_MAX);
	EXPECT_EQ(stage_buffer_differs(s, 0, 77, EDU_MAX), 0);
	EXPECT_GE(stage_buffer_differs(s, 0, 78, EDU_MAX), EDU_MAX - 100);
	stage_ram_works(s, 0);
	stage_unmap(s);
	EXPECT_EQ(stage_locked(), locked);
	/* what is not mapped faults, and is seen to: the other tests rely on it */
	stage_faults(s, 0, STAGE_IOVA);
	stage_close(s);
}

static void alone(void)
{
	struct stage *s = stage_open(P2P_ALONE);
	struct unbind u;

	stage_dma_works(s, 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	/* said aloud, and for each page */
	stage_faults(s, 0, STAGE_IOVA);
	stage_faults(s, 0, STAGE_IOVA + s->len - PAGE);
	stage_aftermath(s, &u);
	stage_close(s);
	stage_fresh_works();
}

static void with_ordinary_memory(void)
{
	struct stage *s = stage_open(MIXED);
	struct unbind u;

	stage_dma_works(s, 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	stage_faults(s, 0, stage_iova(s, s->p2p[0]));
	stage_aftermath(s, &u);
	stage_close(s);
	stage_fresh_works();
}

static void many_parts(void)
{
	struct stage *s = stage_open(MANY_PARTS);

	stage_dma_works(s, 0);
	stage_unbind(s);
	stage_close(s);
}

/* More pages than are pinned in one go, and what borders on 2 MiB. */
static void many_pages(void)
{
	struct stage *s = stage_open(&(struct stage_layout){ 1, 1200, 1, 0, 0 });

	stage_dma_works(s, 0);
	stage_unbind(s);
	stage_close(s);
}

/* Two mappings next to each other, which are next to each other in the BAR. */
static void neighbours(void)
{
	struct stage *s = stage_open(&(struct stage_layout){ 1, 2, 0, 2, 1 });

	stage_dma_works(s, 0);
	stage_unbind(s);
	stage_close(s);
}

/* The provider's PCI device goes, not only its driver. */
static void device_removed(void)
{
	struct stage *s = stage_open(MIXED);
	struct unbind u;

	stage_dma_works(s, 0);
	ASSERT_EQ(remove_start(&scene_provider, &u), 0);
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	EXPECT_EQ(u.err, 0);
	stage_faults(s, 0, stage_iova(s, s->p2p[0]));
	tap_note("the removal took %.3f s of guest time", u.seconds);
	stage_p2p_is_dead(s, 0);
	stage_ram_works(s, 0);
	ASSERT_EQ(provider_rescan(&scene_provider), 0);
	stage_p2p_is_dead(s, 0);
	stage_close(s);
	stage_fresh_works();
}

/* The process has no mapping any more, the device still has. */
static void munmapped(void)
{
	struct stage *s = stage_open(MIXED);
	void *m;

	stage_dma_works(s, 0);
	m = mmap(s->p2p[0], s->p2p_len[0], PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_TRUE(m == s->p2p[0]);
	EXPECT_TRUE(stage_taken(s->p2p_len[0]));
	stage_load(s, 0, 31, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, stage_iova(s, m), 512), 0);
	stage_load(s, 0, 32, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_READ, stage_iova(s, m), 512), 0);
	EXPECT_EQ(stage_buffer_differs(s, 0, 31, 512), 0);
	stage_unbind(s);
	stage_close(s);
}

/* Another process maps, into the same space, and is gone. */
static int maps_and_exits(int fd, void *arg)
{
	(void)fd;
	ASSERT_EQ(stage_map(arg), 0);
	return 0;
}

static void owner_exited(void)
{
	struct stage *s = stage_open_bare(P2P_ALONE);
	struct worker w;

	ASSERT_EQ(worker_start(&w, "owner", maps_and_exits, s), 0);
	ASSERT_EQ(worker_join(&w, 20), 0);
	s->mapped = true;
	stage_dma_works(s, 0);
	stage_unbind(s);
	stage_close(s);
}

/*
 * Pins do not leak. Each way in which a mapping can end: the provider's memory
 * is held until then, and given back by then.
 */
static struct stage *held_by_the_map_alone(void)
{
	struct stage *s = stage_open(MIXED);

	ASSERT_TRUE(mmap(s->p2p[0], s->p2p_len[0], PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    s->p2p[0]);
	EXPECT_TRUE(stage_taken(s->p2p_len[0]));
	return s;
}

static int maps_and_waits(int fd, void *arg)
{
	(void)arg;
	stage_open(MIXED);
	ASSERT_TRUE(worker_tell(fd, 'm'));
	pause();
	return 0;
}

static void no_leak(void)
{
	struct stage *s;
	struct worker w;
	uint64_t done;
	int round;

	for (round = 0; round < 3; round++) {
		s = held_by_the_map_alone();
		stage_unmap(s);
		EXPECT_TRUE(stage_nothing_taken());
		stage_close(s);
	}

	s = held_by_the_map_alone();
	EXPECT_EQ(vfio_unmap_all(&s->space, &done), 0);
	EXPECT_EQ(done, s->len + 2 * PAGE);
	EXPECT_TRUE(stage_nothing_taken());
	EXPECT_EQ(stage_locked(), s->locked);

	stage_drop(s);

	/* the device leaves the space, the space stays open */
	s = held_by_the_map_alone();
	stage_remove_edu(s, 0);
	EXPECT_TRUE(stage_nothing_taken());
	EXPECT_EQ(stage_locked(), s->locked);
	stage_drop(s);

	/* everything is closed at once, in a process that is killed */
	ASSERT_EQ(worker_start(&w, "owner", maps_and_waits, NULL), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'm', 20));
	EXPECT_TRUE(stage_taken(4 * PAGE));
	worker_kill(&w, SIGKILL);
	EXPECT_NE(worker_join(&w, 10), -1);
	EXPECT_TRUE(stage_nothing_taken());
}

/* Revoked, and then closed without an unmap. */
static void closed_after_the_revoke(void)
{
	struct stage *s = stage_open(MIXED);
	struct unbind u;
	uint64_t done;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
	stage_remove_edu(s, 0);
	EXPECT_EQ(stage_locked(), s->locked);
	stage_drop(s);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	stage_fresh_works();

	/* and with everything unmapped in one go */
	s = stage_open(MANY_PARTS);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(vfio_unmap_all(&s->space, &done), 0);
	EXPECT_EQ(done, s->len + 2 * PAGE);
	EXPECT_EQ(stage_locked(), s->locked);
	stage_drop(s);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
}

/* A device that comes later finds what is left, and nothing more. */
static void attach_after_the_revoke(void)
{
	struct stage *s = stage_open(MANY_PARTS);
	struct unbind u;

	stage_dma_works(s, 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	stage_add_edu(s, 1);
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_faults(s, 1, stage_iova(s, s->p2p[1]));
	stage_p2p_is_dead(s, 1);
	stage_p2p_is_dead(s, 0);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	stage_ram_works(s, 1);
	/* the first one leaves */
	stage_remove_edu(s, 0);
	stage_ram_works(s, 1);
	stage_p2p_is_dead(s, 1);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	observer_close(&s->observer);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	stage_add_edu(s, 0);
	stage_p2p_is_dead(s, 0);
	stage_ram_works(s, 0);
	stage_close(s);
}

/*
 * A device without an IOMMU keeps the mappings while no other is there: what
 * comes next gets them anew.
 */
static void replay(void)
{
	struct stage *s = stage_open(MANY_PARTS);
	long locked = stage_locked();
	struct unbind u;
	int round;

	stage_add_mdev(s);
	for (round = 0; round < 2; round++) {
		stage_remove_edu(s, 0);
		EXPECT_EQ(stage_locked(), s->locked);
		stage_add_edu(s, 0);
		EXPECT_EQ(stage_locked(), locked);
		stage_dma_works(s, 0);
	}
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	stage_aftermath(s, &u);
	stage_close(s);
}

/* What was revoked before does not come back with it. */
static void replay_after_the_revoke(void)
{
	struct stage *s = stage_open(MANY_PARTS);
	struct unbind u;
	int round;

	stage_dma_works(s, 0);
	stage_add_mdev(s);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_p2p_is_dead(s, 0);
	for (round = 0; round < 2; round++) {
		stage_remove_edu(s, 0);
		EXPECT_EQ(stage_locked(), s->locked);
		stage_add_edu(s, 0);
		stage_ram_works(s, 0);
		stage_p2p_is_dead(s, 0);
	}
	EXPECT_EQ(observer_changed(&s->observer), 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

/*
 * The holes stay holes with the new driver's memory at their addresses, and
 * what has become the provider's between them since is found and let go of.
 */
static void replay_beside_holes(void)
{
	struct stage *s = stage_open(MANY_PARTS);
	unsigned char *was_ram = s->ram[1];
	size_t len = s->ram_len[1];
	struct unbind u;
	int i;

	stage_add_mdev(s);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	stage_remove_edu(s, 0);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	for (i = 0; i < 2; i++)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider, s->p2p[i],
					s->p2p_len[i], MAP_SHARED | MAP_FIXED,
					0));
	ASSERT_TRUE(p2pmem_mmap(&scene_provider, was_ram, len,
				MAP_SHARED | MAP_FIXED, 0));
	s->ram[1] = NULL;
	stage_add_edu(s, 0);

	mem_fill(s->p2p[0], s->p2p_len[0], 51);
	mem_fill(s->p2p[1], s->p2p_len[1], 52);
	stage_p2p_is_dead(s, 0);
	EXPECT_EQ(mem_differs(s->p2p[0], s->p2p_len[0], 51), 0);
	EXPECT_EQ(mem_differs(s->p2p[1], s->p2p_len[1], 52), 0);
	for (i = 0; i < 2; i++) {
		stage_load(s, 0, 53 + i, 512);
		EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE,
				  stage_iova(s, was_ram) + i * PAGE, 512), 0);
		EXPECT_EQ(mem_differs(was_ram + i * PAGE, 512, 53 + i), 0);
	}
	stage_ram_works(s, 0);

	ASSERT_EQ(observer_locate(&s->observer, &scene_provider, was_ram, len), 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_dead_range(s, 0, stage_iova(s, was_ram), len);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	ASSERT_TRUE(mmap(was_ram, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		    was_ram);
	stage_aftermath(s, &u);
	stage_close(s);
}

/* disable_hugepages=1: the IOMMU gets single pages, all the same works. */
#define HUGEPAGES "/sys/module/vfio_iommu_type1/parameters/disable_hugepages"

static void single_pages(void)
{
	struct stage *s;

	ASSERT_EQ(sysfs_write(HUGEPAGES, "Y"), 0);
	s = stage_open(&(struct stage_layout){ 1, 600, 1, 0, 0 });
	/* only asked when memory is mapped */
	ASSERT_EQ(sysfs_write(HUGEPAGES, "N"), 0);
	stage_dma_works(s, 0);
	stage_unbind(s);
	stage_close(s);
}

/* Mapped when there was no device to map it for, and revoked at that. */
static void replay_of_what_was_never_mapped(void)
{
	struct stage *s = stage_open_bare(MIXED);
	struct unbind u;
	int err;

	stage_add_mdev(s);
	stage_remove_edu(s, 0);
	ASSERT_EQ(stage_map(s), 0);
	stage_add_edu(s, 0);
	stage_dma_works(s, 0);
	stage_unmap(s);

	stage_remove_edu(s, 0);
	ASSERT_EQ(stage_map(s), 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	err = stage_try_edu(s, 0);
	EXPECT_TRUE(err == -EFAULT || err == -ENODEV);
	stage_unmap(s);
	if (err)
		stage_add_edu(s, 0);
	stage_aftermath(s, &u);
	stage_close(s);
}

static void two_devices(void)
{
	struct stage *s = stage_open(MIXED);
	struct unbind u;

	stage_add_edu(s, 1);
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

/* The same pages in two spaces, and twice in one of them. */
static void two_spaces(void)
{
	struct stage *a = stage_open(MIXED);
	struct stage *b = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });
	struct unbind u;
	uint64_t done;

	ASSERT_EQ(vfio_map(&b->space, a->p2p[0], OTHER_IOVA, a->p2p_len[0],
			   VFIO_RW), 0);
	ASSERT_EQ(vfio_map(&a->space, a->p2p[0], OTHER_IOVA, a->p2p_len[0],
			   VFIO_RW), 0);
	stage_load(b, 0, 9, 512);
	EXPECT_EQ(edu_run(&b->edu[0], EDU_WRITE, OTHER_IOVA, 512), 0);
	EXPECT_EQ(mem_differs(a->p2p[0], 512, 9), 0);

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&a->observer), 0);
	stage_dead_range(b, 0, OTHER_IOVA, a->p2p_len[0]);
	stage_dead_range(a, 0, OTHER_IOVA, a->p2p_len[0]);
	EXPECT_EQ(observer_changed(&a->observer), 0);
	EXPECT_EQ(vfio_unmap(&b->space, OTHER_IOVA, a->p2p_len[0], &done), 0);
	EXPECT_EQ(done, a->p2p_len[0]);
	stage_close(b);
	stage_aftermath(a, &u);
	EXPECT_EQ(vfio_unmap(&a->space, OTHER_IOVA, a->p2p_len[0], &done), 0);
	EXPECT_EQ(done, a->p2p_len[0]);
	stage_close(a);
}

/* One unbind takes the same pages from an MR and from a DMA map. */
struct both {
	struct scene *scene;
	struct stage *stage;
};

static unsigned int attack_both(void *arg, unsigned int n)
{
	struct both *b = arg;

	stage_dead_range(b->stage, 0, OTHER_IOVA, b->scene->len);
	return scene_attack_mr(b->scene, n);
}

static void mr_and_map(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });
	struct both b = { scene_open(2, 0), s };
	uint64_t done;

	ASSERT_EQ(vfio_map(&s->space, b.scene->area, OTHER_IOVA, b.scene->len,
			   VFIO_RW), 0);
	stage_load(s, 0, 6, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, OTHER_IOVA, 512), 0);
	EXPECT_EQ(mem_differs(b.scene->area, 512, 6), 0);
	scene_unbind(&b.scene->observer, attack_both, &b, 8);
	EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA, b.scene->len, &done), 0);
	EXPECT_EQ(done, b.scene->len);
	scene_close(b.scene);
	stage_close(s);
}

/* Devices that never stop, before, during and after the unbind. */
struct loop {
	pthread_t id;
	struct edu *edu;
	uint64_t from, to;
	volatile bool stop;
	volatile unsigned int rounds;
	volatile int err;
};

static void *looping(void *arg)
{
	struct loop *l = arg;

	while (!l->stop && !l->err) {
		/* now and then new bytes for the writes */
		if (l->rounds % 3)
			l->err = edu_run(l->edu, EDU_WRITE, l->to, 1024);
		else
			l->err = edu_run(l->edu, EDU_READ, l->from, 1024);
		l->rounds++;
	}
	return NULL;
}

static void loop_start(struct loop *l, struct edu *e, uint64_t from, uint64_t to)
{
	memset(l, 0, sizeof(*l));
	l->edu = e;
	l->from = from;
	l->to = to;
	ASSERT_EQ(pthread_create(&l->id, NULL, looping, l), 0);
}

static bool loop_wait(struct loop *l, unsigned int n)
{
	double end = clock_now() + 10 * clock_scale();
	unsigned int want = l->rounds + n;

	while (l->rounds < want && !l->err && clock_now() < end)
		clock_sleep_ms(2);
	return l->rounds >= want;
}

static void loop_stop(struct loop *l)
{
	l->stop = true;
	pthread_join(l->id, NULL);
	EXPECT_EQ(l->err, 0);
}

static void loop_rounds(unsigned int rounds)
{
	unsigned int round;
	double worst = 0;
	struct loop l[2];
	struct stage *s;
	struct unbind u;
	int i;

	for (round = 0; round < rounds && !tap_failed(); round++) {
		s = stage_open(MIXED);
		stage_add_edu(s, 1);
		/* ordinary to provider's memory, and within the provider's */
		loop_start(&l[0], &s->edu[0], stage_iova(s, s->ram[0]),
			   stage_iova(s, s->p2p[0]));
		loop_start(&l[1], &s->edu[1], stage_iova(s, s->p2p[0] + PAGE),
			   stage_iova(s, s->p2p[0] + 3 * PAGE));
		/* the devices take a tenth of a second for a transfer */
		clock_sleep_ms(round * 37 % 200);
		ASSERT_TRUE(unbind_now(&scene_provider, &u));
		EXPECT_EQ(u.err, 0);
		if (u.seconds > worst)
			worst = u.seconds;
		ASSERT_EQ(observer_snapshot(&s->observer), 0);
		/* what the device brings now was never there before */
		mem_fill(s->ram[0], PAGE, 0xabc + round);
		for (i = 0; i < 2; i++)
			EXPECT_TRUE(loop_wait(&l[i], 4));
		EXPECT_EQ(observer_changed(&s->observer), 0);
		for (i = 0; i < 2; i++)
			loop_stop(&l[i]);
		observer_close(&s->observer);
		stage_close(s);
		ASSERT_EQ(provider_bind(&scene_provider), 0);
	}
	tap_note("%u rounds, the slowest unbind took %.3f s", round, worst);
	stage_fresh_works();
}

static void under_traffic(void)
{
	loop_rounds(clock_fewer(10));
}

static void under_traffic_for_long(void)
{
	loop_rounds(clock_scale() > 1 ? 10 : 100);
}

/*
 * Threads that map, unmap, attach, detach and close, while the driver goes.
 */
struct race {
	struct stage *stage;
	unsigned char *mem;
	size_t len;
	volatile bool unbound, stop;
	volatile unsigned int mapped, refused, late, attached, told;
	volatile int odd;		/* errno of what should not happen */
	const char *volatile odd_what;
};

struct racer {
	pthread_t id;
	struct race *race;
	unsigned int n;
};

static void odd(struct race *r, const char *what, int err)
{
	r->odd_what = what;
	r->odd = err;
}

/* Each thread its own IOVA, and a part of the memory. */
static void *mapping(void *arg)
{
	struct racer *t = arg;
	struct race *r = t->race;
	uint64_t iova = OTHER_IOVA + t->n * 0x100000, done;
	size_t len;
	bool before;
	int err;

	while (!r->stop) {
		len = r->len - t->n * PAGE;
		before = r->unbound;
		err = vfio_map(&r->stage->space, r->mem, iova, len, VFIO_RW);
		if (err) {
			if (err == -EFAULT || err == -ENODEV)
				r->refused++;
			else
				odd(r, "map", err);
			usleep(200);
			continue;
		}
		r->mapped++;
		if (before)
			r->late++;
		err = vfio_unmap(&r->stage->space, iova, len, &done);
		if (err || done != len)
			odd(r, "unmap", err ? err : -ERANGE);
	}
	return NULL;
}

/* The second device comes and goes, in the same space and in one of its own. */
static void *attaching(void *arg)
{
	struct racer *t = arg;
	struct race *r = t->race;
	struct vfio_space own;
	struct vfio_dev dev;
	bool before;
	int err, n;

	for (n = 0; !r->stop; n++) {
		struct vfio_space *in = &r->stage->space;

		if (n % 2) {
			err = vfio_space_open(&own, in->kind);
			if (err) {
				odd(r, "open", err);
				break;
			}
			in = &own;
		}
		err = vfio_attach(in, &dev, stage_edu(1));
		if (vfio_is_busy(in->kind, err)) {
			/* a process that is just being forked has it open, too */
			usleep(1000);
		} else if (err) {
			odd(r, "attach", err);
		} else {
			r->attached++;
			before = r->unbound;
			if (n % 2) {
				err = vfio_map(&own, r->mem, STAGE_IOVA, r->len,
					       VFIO_RW);
				if (!err && before)
					r->late++;
				if (err && err != -EFAULT && err != -ENODEV)
					odd(r, "map of its own", err);
			}
			/* closed with the mapping in it */
			vfio_detach(&dev);
		}
		if (n % 2)
			vfio_space_close(&own);
	}
	return NULL;
}

/* Who is told changes all the time, and the list is read. */
static void *listening(void *arg)
{
	struct racer *t = arg;
	struct race *r = t->race;
	const struct vfio_space *v = &r->stage->space;
	struct vfio_range list[16];
	uint32_t count;
	int fd, err;

	while (!r->stop) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		err = fd < 0 ? -errno : vfio_event_fd(v, fd);
		if (err)
			odd(r, "event", err);
		r->told += vfio_event_told(fd) > 0;
		err = vfio_event_list(v, list, 16, &count);
		if (err)
			odd(r, "list", err);
		usleep(100);
		r->told += vfio_event_told(fd) > 0;
		close(fd);
	}
	return NULL;
}

static void threads(void)
{
	void *(*const jobs[])(void *) = { mapping, mapping, mapping, attaching,
					  listening };
	struct racer t[sizeof(jobs) / sizeof(jobs[0])];
	unsigned int i, round, rounds = clock_fewer(8);
	struct vfio_range dead;
	struct stage *s;
	uint32_t nr_dead;
	struct unbind u;
	struct race r;

	for (round = 0; round < rounds && !tap_failed(); round++) {
		s = stage_open(MIXED);
		memset(&r, 0, sizeof(r));
		r.stage = s;
		/* ordinary pages in front, so that they are half-way in */
		r.mem = s->mem;
		r.len = s->ram_len[0] + s->p2p_len[0];
		for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
			t[i].race = &r;
			t[i].n = i;
			ASSERT_EQ(pthread_create(&t[i].id, NULL, jobs[i], &t[i]), 0);
		}
		clock_sleep_ms(30 + round * 13);
		if (EXPECT_TRUE(unbind_now(&scene_provider, &u)))
			r.unbound = true;
		clock_sleep_ms(100);
		r.stop = true;
		for (i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
			pthread_join(t[i].id, NULL);
		tap_note("%u mapped, %u refused, %u attached, told %u times; the unbind took %.3f s",
			 r.mapped, r.refused, r.attached, r.told, u.seconds);
		EXPECT_GE(r.mapped, 1);
		EXPECT_GE(r.refused, 1);
		EXPECT_GE(r.attached, 1);
		EXPECT_EQ(r.late, 0);
		if (!EXPECT_EQ(r.odd, 0))
			tap_note("%s: %s", r.odd_what, strerror(-r.odd));
		ASSERT_TRUE(u.done);
		/* what is left is what the stage itself has mapped */
		EXPECT_EQ(vfio_event_list(&s->space, &dead, 1, &nr_dead), 0);
		EXPECT_EQ(nr_dead, 1);
		EXPECT_EQ(dead.first, stage_iova(s, s->p2p[0]));
		stage_aftermath(s, &u);
		stage_close(s);
	}
}

/* The owner is killed before, during and after the unbind, in mid-transfer. */
static int owner_at_work(int fd, void *arg)
{
	struct stage *s = stage_open(MIXED);
	struct loop l;

	(void)arg;
	loop_start(&l, &s->edu[0], stage_iova(s, s->ram[0]),
		   stage_iova(s, s->p2p[0]));
	ASSERT_TRUE(loop_wait(&l, 2));
	ASSERT_TRUE(worker_tell(fd, 'w'));
	while (!l.stop) {
		uint64_t done;

		/* in and out of the kernel as well */
		if (!vfio_map(&s->space, s->p2p[0], OTHER_IOVA, PAGE, VFIO_RW))
			vfio_unmap(&s->space, OTHER_IOVA, PAGE, &done);
	}
	return 0;
}

static void owner_killed(void)
{
	unsigned int round, rounds = 3 * clock_fewer(4);
	struct worker w;
	struct unbind u;

	for (round = 0; round < rounds && !tap_failed(); round++) {
		ASSERT_EQ(worker_start(&w, "owner", owner_at_work, NULL), 0);
		ASSERT_TRUE(worker_hear(w.fd, 'w', 20));
		if (round % 3 == 0)
			worker_kill(&w, SIGKILL);
		ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
		if (round % 3 == 1) {
			usleep(round * 3000);
			worker_kill(&w, SIGKILL);
		}
		EXPECT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
		worker_kill(&w, SIGKILL);
		EXPECT_NE(worker_join(&w, 10), -1);
		ASSERT_TRUE(u.done);
		EXPECT_EQ(u.err, 0);
		ASSERT_EQ(provider_bind(&scene_provider), 0);
	}
	stage_fresh_works();
}

/*
 * A map that sleeps on a page which user space does not provide: it holds the
 * space's lock all the time. The unbind must not wait for it.
 */
struct sleep_layout {
	size_t ram, p2p_before, p2p_after;	/* pages around the slow one */
	bool attach;			/* a device wants to join meanwhile */
};

struct sleeper {
	struct sleep_layout l;
	struct stage *stage;
	uint64_t iova;
	size_t len;
	struct slow slow;
	volatile bool mapped;
	volatile int err;
};

static int sleeping_map(int fd, void *arg)
{
	struct sleeper *z = arg;
	unsigned char *m, *at;

	m = mmap(NULL, z->len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	at = m + z->l.ram * PAGE;
	if (z->l.p2p_before)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider, at,
					z->l.p2p_before * PAGE,
					MAP_SHARED | MAP_FIXED, 0));
	at += z->l.p2p_before * PAGE;
	ASSERT_TRUE(slow_map(&z->slow, at));
	if (z->l.p2p_after)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider, at + PAGE,
					z->l.p2p_after * PAGE,
					MAP_SHARED | MAP_FIXED, 0));
	ASSERT_TRUE(worker_tell(fd, 'm'));
	z->err = vfio_map(&z->stage->space, m, z->iova, z->len, VFIO_RW);
	z->mapped = true;
	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	return 0;
}

static void sleeper_start(struct sleeper *z, struct worker *w, struct stage *s,
			  const struct sleep_layout *l)
{
	z->l = *l;
	z->stage = s;
	z->len = (l->ram + l->p2p_before + 1 + l->p2p_after) * PAGE;
	/* a lot is put where no device of the tests gets to */
	z->iova = l->ram ? FAR_IOVA : OTHER_IOVA;
	ASSERT_EQ(slow_open(&z->slow, PAGE), 0);
	ASSERT_EQ(worker_start(w, "sleeper", sleeping_map, z), 0);
	if (!EXPECT_TRUE(slow_somebody_sleeps(&z->slow, 10)))
		slow_close(&z->slow);
	ASSERT_TRUE(z->slow.dir[0]);
	EXPECT_TRUE(!z->mapped);
	ASSERT_TRUE(worker_hear(w->fd, 'm', 20));
}

static void sleeper_wake(struct sleeper *z, struct worker *w)
{
	EXPECT_EQ(slow_let_go(&z->slow), 0);
	slow_close(&z->slow);
	EXPECT_TRUE(worker_tell(w->fd, 'x'));
	EXPECT_EQ(worker_join(w, 20), 0);
	EXPECT_TRUE(z->mapped);
	tap_note("the map that slept: %s", z->err ? strerror(-z->err) : "mapped");
}

static void sleeper_unmap(struct sleeper *z)
{
	uint64_t done;

	if (z->err)
		return;
	EXPECT_EQ(vfio_unmap(&z->stage->space, z->iova, z->len, &done), 0);
	EXPECT_EQ(done, z->len);
}

/*
 * The second device wants to join, and has to wait behind the map: type1 looks
 * at all mappings, iommufd for a new page table only.
 */
struct joiner {
	pthread_t id;
	struct stage *stage;
	struct vfio_dev dev;
	volatile bool done;
	volatile int err;
};

static void *joining(void *arg)
{
	struct joiner *j = arg;
	struct vfio_space *v = &j->stage->space;
	uint32_t hwpt;

	j->err = vfio_attach(v, &j->dev, stage_edu(1));
	if (!j->err && v->kind == VFIO_KIND_IOMMUFD) {
		j->err = iommufd_hwpt(v->fd, j->dev.id, v->ioas, &hwpt);
		if (!j->err)
			j->err = iommufd_destroy(v->fd, hwpt);
	}
	j->done = true;
	return NULL;
}

/*
 * Told at once of what was mapped before; of what died in mid-map when that map
 * succeeds, as it failed if it does not.
 */
static void told_of_the_sleeper(struct stage *s, struct sleeper *z, int fd)
{
	bool more = z->l.p2p_before && !z->err;
	struct vfio_range dead[2] = { 0 };
	uint32_t count;

	EXPECT_EQ(vfio_event_told(fd), more ? 1 : 0);
	EXPECT_EQ(vfio_event_list(&s->space, dead, 2, &count), 0);
	EXPECT_EQ(count, more ? 2 : 1);
	EXPECT_EQ(dead[0].first, stage_iova(s, s->p2p[0]));
	EXPECT_EQ(dead[0].last, dead[0].first + s->p2p_len[0] - 1);
	if (more) {
		EXPECT_EQ(dead[1].first, z->iova + z->l.ram * PAGE);
		EXPECT_EQ(dead[1].last,
			  dead[1].first + z->l.p2p_before * PAGE - 1);
	}
	close(fd);
}

static void unbind_meanwhile(const struct sleep_layout *l)
{
	struct sleeper *z = worker_shared(sizeof(*z));
	struct stage *s = stage_open(MIXED);
	bool waits = s->space.kind != VFIO_KIND_COMPAT;
	struct joiner j = { .stage = s };
	int event = vfio_event_open();
	struct worker w;
	struct unbind u;
	bool returned;

	ASSERT_TRUE(z);
	ASSERT_EQ(vfio_event_fd(&s->space, event), 0);
	sleeper_start(z, &w, s, l);
	if (l->attach) {
		ASSERT_EQ(pthread_create(&j.id, NULL, joining, &j), 0);
		clock_sleep_ms(200);
		if (waits)
			EXPECT_TRUE(!j.done);
	}

	returned = unbind_now(&scene_provider, &u);
	EXPECT_TRUE(returned);
	EXPECT_TRUE(!z->mapped);
	if (l->attach && waits)
		EXPECT_TRUE(!j.done);
	if (returned) {
		EXPECT_EQ(vfio_event_told(event), 1);
		/* what was mapped before is dead although the lock is held */
		ASSERT_EQ(observer_snapshot(&s->observer), 0);
		stage_p2p_is_dead(s, 0);
		EXPECT_EQ(observer_changed(&s->observer), 0);
	}
	EXPECT_TRUE(!z->mapped);
	sleeper_wake(z, &w);
	if (l->attach) {
		pthread_join(j.id, NULL);
		if (EXPECT_EQ(j.err, 0))
			vfio_detach(&j.dev);
	}
	if (!returned)
		unbind_wait(&u, 10 * clock_scale(), NULL, 0);
	if (!l->p2p_before && !l->p2p_after)
		EXPECT_EQ(z->err, 0);
	if (l->p2p_after)
		EXPECT_NE(z->err, 0);
	if (z->err)
		EXPECT_TRUE(z->err == -EFAULT || z->err == -ENODEV);
	ASSERT_TRUE(u.done);
	told_of_the_sleeper(s, z, event);
	if (l->p2p_before)
		stage_dead_range(s, 0, z->iova, l->p2p_before * PAGE);
	stage_aftermath(s, &u);
	sleeper_unmap(z);
	stage_close(s);
	worker_unshare(z, sizeof(*z));
}

static void sleeping_elsewhere(void)
{
	unbind_meanwhile(&(struct sleep_layout){ 0 });
}

static void sleeping_behind_p2p(void)
{
	unbind_meanwhile(&(struct sleep_layout){ .p2p_before = 3 });
}

static void sleeping_between_p2p(void)
{
	unbind_meanwhile(&(struct sleep_layout){ .p2p_before = 2, .p2p_after = 2 });
}

/*
 * Another process pins 128 MiB of ordinary memory and is not done yet: that it
 * never will be before the unbind returns stands for any length of time.
 */
static void sleeping_behind_much(void)
{
	unbind_meanwhile(&(struct sleep_layout){ .ram = 32768 });
}

static void sleeping_with_an_attach(void)
{
	unbind_meanwhile(&(struct sleep_layout){ .p2p_before = 1, .attach = true });
}

/* Without an unbind it is only slow. */
static void only_slow(const struct stage_layout *layout,
		      const struct sleep_layout *l)
{
	struct sleeper *z = worker_shared(sizeof(*z));
	struct stage *s = stage_open(layout);
	struct worker w;

	ASSERT_TRUE(z);
	sleeper_start(z, &w, s, l);
	clock_sleep_ms(100);
	EXPECT_TRUE(!z->mapped);
	sleeper_wake(z, &w);
	EXPECT_EQ(z->err, 0);
	sleeper_unmap(z);
	stage_close(s);
	worker_unshare(z, sizeof(*z));
}

static void sleeping_ordinary(void)
{
	only_slow(&(struct stage_layout){ 1, 0, 0, 0, 0 },
		  &(struct sleep_layout){ 0 });
}

static void sleeping_no_unbind(void)
{
	only_slow(MIXED, &(struct sleep_layout){ .p2p_before = 2, .p2p_after = 2 });
}

/* Maps that must be refused, and leave nothing behind. */
static void bad_input(void)
{
	struct stage *s = stage_open_bare(P2P_ALONE);
	struct vfio_space *v = &s->space;
	unsigned char *m = s->p2p[0];
	size_t len = s->p2p_len[0];
	uint64_t top = ~0ULL - PAGE + 1, done;
	struct unbind u;
	int err;

	EXPECT_EQ(vfio_map(v, m, STAGE_IOVA, 0, VFIO_RW), -EINVAL);
	EXPECT_EQ(vfio_map(v, m + 1, STAGE_IOVA, PAGE, VFIO_RW), -EINVAL);
	EXPECT_EQ(vfio_map(v, m, STAGE_IOVA + 1, PAGE, VFIO_RW), -EINVAL);
	EXPECT_EQ(vfio_map(v, m, STAGE_IOVA, PAGE + 1, VFIO_RW), -EINVAL);
	/* wraps, either way */
	err = vfio_map(v, m, top, len, VFIO_RW);
	tap_note("an IOVA that wraps: %s", strerror(-err));
	EXPECT_TRUE(err == -EINVAL || err == -EOVERFLOW);
	err = vfio_map(v, (void *)(uintptr_t)top, STAGE_IOVA, len, VFIO_RW);
	tap_note("an address that wraps: %s", strerror(-err));
	EXPECT_TRUE(err == -EINVAL || err == -EOVERFLOW);
	/* beyond what the IOMMU can map */
	err = vfio_map(v, m, top - len, len, VFIO_RW);
	tap_note("an IOVA that is too high: %s", strerror(-err));
	EXPECT_NE(err, 0);
	/* into what is not there: the first pages were pinned by then */
	ASSERT_EQ(mprotect(m + len - PAGE, PAGE, PROT_NONE), 0);
	EXPECT_EQ(vfio_map(v, m, STAGE_IOVA, len, VFIO_RW), -EFAULT);
	/* writable for the device, not for the process */
	ASSERT_EQ(mprotect(m + len - PAGE, PAGE, PROT_READ), 0);
	EXPECT_EQ(vfio_map(v, m, STAGE_IOVA, len, VFIO_RW), -EFAULT);
	ASSERT_EQ(mprotect(m, len, PROT_READ | PROT_WRITE), 0);
	EXPECT_EQ(vfio_unmap(v, STAGE_IOVA, len, &done),
		  v->kind == VFIO_KIND_IOMMUFD ? -ENOENT : 0);
	EXPECT_EQ(done, 0);

	ASSERT_EQ(stage_map(s), 0);
	EXPECT_EQ(vfio_map(v, m, STAGE_IOVA, len, VFIO_RW), -EEXIST);
	EXPECT_EQ(vfio_map(v, m, STAGE_IOVA + len - PAGE, len, VFIO_RW), -EEXIST);
	/* nobody splits, but type1 as it was before version 2 */
	EXPECT_EQ(vfio_unmap(v, STAGE_IOVA, PAGE, &done),
		  v->kind == VFIO_KIND_TYPE1 ? -EINVAL : -ENOENT);
	stage_dma_works(s, 0);
	stage_unbind(s);
	/* what an unbind leaves of a mapping is nothing to map */
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	err = vfio_map(v, m, STAGE_IOVA, len, VFIO_RW);
	tap_note("revoked memory: %s", strerror(-err));
	EXPECT_TRUE(err == -EFAULT || err == -ENODEV);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	err = vfio_map(v, m, STAGE_IOVA, len, VFIO_RW);
	EXPECT_TRUE(err == -EFAULT || err == -ENODEV);
	stage_close(s);
}

static void read_only(void)
{
	struct stage *s = stage_open_bare(P2P_ALONE);
	unsigned char *m = s->p2p[0];

	ASSERT_EQ(vfio_map(&s->space, m, STAGE_IOVA, s->len, VFIO_RO), 0);
	s->mapped = true;
	mem_fill(m, s->len, 12);
	ASSERT_EQ(edu_run(&s->edu[0], EDU_READ, STAGE_IOVA, 512), 0);
	EXPECT_EQ(stage_buffer_differs(s, 0, 12, 512), 0);
	stage_load(s, 0, 13, 512);
	/* QEMU's IOMMU does not report it if it remembers the read */
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, STAGE_IOVA, 512), 0);
	EXPECT_EQ(mem_differs(m, s->len, 12), 0);
	stage_unbind(s);
	stage_close(s);
}

/*
 * Ordinary pages count against RLIMIT_MEMLOCK, the provider's do not: as it
 * was for all memory without ordinary pages.
 */
#define LIMIT_PAGES 16

struct limited {
	struct stage *stage;
	unsigned char *ram;
};

static int maps_within_limits(int fd, void *arg)
{
	struct rlimit rl = { LIMIT_PAGES * PAGE, LIMIT_PAGES * PAGE };
	struct stage *s = arg;
	size_t len = (LIMIT_PAGES + 1) * PAGE;
	uint64_t done;
	int round;
	void *ram;

	(void)fd;
	ram = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(ram != MAP_FAILED);
	ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &rl), 0);
	ASSERT_EQ(setresuid(65534, 65534, 65534), 0);
	/* twice: what is not given back is missing at the second time */
	for (round = 0; round < 2; round++) {
		EXPECT_EQ(vfio_map(&s->space, ram, OTHER_IOVA, len, VFIO_RW), -ENOMEM);
		EXPECT_EQ(stage_locked(), 0);
		/* to the page */
		EXPECT_EQ(vfio_map(&s->space, ram, OTHER_IOVA, len - PAGE, VFIO_RW), 0);
		EXPECT_EQ(stage_locked(), LIMIT_PAGES * 4);
		/* and then more of the provider's than the limit */
		EXPECT_EQ(stage_map(s), 0);
		EXPECT_EQ(stage_locked(), LIMIT_PAGES * 4);
		EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA, s->len, &done), 0);
		EXPECT_EQ(stage_locked(), LIMIT_PAGES * 4);
		EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA, len - PAGE, &done), 0);
		EXPECT_EQ(stage_locked(), 0);
	}
	return 0;
}

static void memlock(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 0, 2 * LIMIT_PAGES, 0, 0, 0 });
	struct worker w;

	ASSERT_EQ(worker_start(&w, "limited", maps_within_limits, s), 0);
	EXPECT_EQ(worker_join(&w, 20), 0);
	stage_close(s);
}

void vfio_case_pfnmap_is_refused(void)
{
	struct stage *s = stage_open(P2P_ALONE);
	void *m = stage_map_bar(s);

	EXPECT_EQ(vfio_map(&s->space, m, OTHER_IOVA, s->len, VFIO_RW), -EFAULT);
	munmap(m, s->len);
	/* the BAR of a device under vfio-pci */
	EXPECT_EQ(vfio_map(&s->space, (void *)(uintptr_t)s->edu[0].bar,
			   OTHER_IOVA, PAGE, VFIO_RW), -EFAULT);
	EXPECT_TRUE(stage_taken(s->len));
	stage_unbind(s);
	stage_close(s);
}

/* Again and again in one space that stays. */
static void again_and_again(void)
{
	struct stage *s = stage_open(MIXED);
	unsigned int round;

	for (round = 0; round < clock_fewer(3) && !tap_failed(); round++) {
		stage_dma_works(s, 0);
		stage_unbind(s);
		ASSERT_EQ(observer_locate(&s->observer, &scene_provider,
					  s->p2p[0], s->p2p_len[0]), 0);
		ASSERT_EQ(stage_map(s), 0);
	}
	stage_close(s);
}

static const struct tap_test tests[] = {
	{ "ordinary", ordinary, 0 },
	{ "alone", alone, 30 },
	{ "with_ordinary_memory", with_ordinary_memory, 30 },
	{ "many_parts", many_parts, 30 },
	{ "many_pages", many_pages, 60 },
	{ "single_pages", single_pages, 60 },
	{ "neighbours", neighbours, 30 },
	{ "munmapped", munmapped, 30 },
	{ "owner_exited", owner_exited, 30 },
	{ "no_leak", no_leak, 30 },
	{ "closed_after_the_revoke", closed_after_the_revoke, 30 },
	{ "attach_after_the_revoke", attach_after_the_revoke, 40 },
	{ "replay", replay, 40 },
	{ "replay_after_the_revoke", replay_after_the_revoke, 40 },
	{ "replay_beside_holes", replay_beside_holes, 40 },
	{ "replay_of_what_was_never_mapped", replay_of_what_was_never_mapped, 40 },
	{ "two_devices", two_devices, 40 },
	{ "two_spaces", two_spaces, 40 },
	{ "mr_and_map", mr_and_map, 40 },
	{ "read_only", read_only, 40 },
	{ "bad_input", bad_input, 40 },
	{ "memlock", memlock, 0 },
	{ "sleeping_ordinary", sleeping_ordinary, 0 },
	{ "sleeping_no_unbind", sleeping_no_unbind, 0 },
	{ "sleeping_elsewhere", sleeping_elsewhere, 40 },
	{ "sleeping_behind_p2p", sleeping_behind_p2p, 40 },
	{ "sleeping_between_p2p", sleeping_between_p2p, 40 },
	{ "sleeping_behind_much", sleeping_behind_much, 40 },
	{ "sleeping_with_an_attach", sleeping_with_an_attach, 40 },
	{ "again_and_again", again_and_again, 40 },
	{ "device_removed", device_removed, 40 },
	{ "threads", threads, 120 },
	{ "owner_killed", owner_killed, 60 },
	{ "under_traffic", under_traffic, 60 },
	{ NULL, NULL, 0 },
};

static const struct tap_test long_tests[] = {
	{ "under_traffic_for_long", under_traffic_for_long, 300 },
	{ NULL, NULL, 0 },
};

/* The lists end with NULL. */
static int run(int argc, char **argv, const char *name, enum vfio_kind kind,
	       const struct tap_test *const *lists)
{
	const struct tap_test *t;
	struct tap_test all[MAX_TESTS + 1];
	const struct tap_suite suite = {
		name, all, stage_init, stage_before, stage_after,
	};
	size_t n = 0;

	memset(all, 0, sizeof(all));
	for (; *lists; lists++) {
		for (t = *lists; t->name; t++) {
			if (n == MAX_TESTS) {
				fprintf(stderr, "%s: more than %d tests\n",
					name, MAX_TESTS);
				return 2;
			}
			all[n++] = *t;
		}
	}
	stage_use(kind);
	return tap_main(argc, argv, &suite);
}

int vfio_main(int argc, char **argv, const char *name, enum vfio_kind kind,
	      const struct tap_test *common, const struct tap_test *own)
{
	return run(argc, argv, name, kind,
		   (const struct tap_test *const[]){ common, own, NULL });
}

int vfio_cases_main(int argc, char **argv, const char *name, enum vfio_kind kind,
		    const struct tap_test *own)
{
	return run(argc, argv, name, kind,
		   (const struct tap_test *const[]){
			   tests, vfio_event_tests, own, NULL });
}

int vfio_long_main(int argc, char **argv, const char *name, enum vfio_kind kind)
{
	return vfio_main(argc, argv, name, kind, long_tests, NULL);
}
