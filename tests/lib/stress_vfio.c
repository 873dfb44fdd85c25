// SPDX-License-Identifier: GPL-2.0
/* A member with an edu device: one thread maps and unmaps, one does DMA. */
#include "stress.h"
#include "check.h"
#include "clock.h"
#include "edu.h"
#include "stage.h"
#include "sysfs.h"
#include "vfio.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS	8
#define APART	0x80000ULL
#define SCRATCH	(2 * PAGE)
#define BYTES	512

struct slot {
	pthread_mutex_t lock;
	struct area area;
	bool mapped;
	unsigned int epoch;		/* pinned in this one, or before */
	bool sure;			/* in this one */
};

struct member {
	struct stress *s;
	struct stress_member *m;
	struct vfio_space space;
	struct vfio_dev dev;
	struct edu edu;
	struct slot slot[SLOTS];
	unsigned char *scratch;
	struct dice dice[2];
};

static uint64_t iova_of(const struct member *mb, const struct slot *sl)
{
	return STAGE_IOVA + (uint64_t)(sl - mb->slot) * APART;
}

static void unmap(struct member *mb, struct slot *sl)
{
	uint64_t done = 0;
	int err = vfio_unmap(&mb->space, iova_of(mb, sl), AREA_LEN(&sl->area),
			     &done);

	if (err || done != AREA_LEN(&sl->area))
		stress_odd(mb->m, STRESS_ODD, "unmap: %s, %llu of %zu bytes",
			   strerror(-err), (unsigned long long)done,
			   AREA_LEN(&sl->area));
	sl->mapped = false;
	stress_count(mb->m, STRESS_UNMAP);
}

static void map(struct member *mb, struct slot *sl)
{
	struct area *a = &sl->area;
	struct view v = view_begin(mb->s, a);
	bool was_dead = a->mapped && v.epoch > a->epoch;
	int err = vfio_map(&mb->space, a->at, iova_of(mb, sl), AREA_LEN(a),
			   VFIO_RW);

	if (!err && was_dead)
		stress_odd(mb->m, STRESS_LATE, "mapped memory that was gone");
	if (err && !area_may_refuse(mb->s, a, &v, err))
		stress_odd(mb->m, STRESS_ODD, "map: %s", strerror(-err));
	if (err) {
		stress_count(mb->m, was_dead ? STRESS_DEAD : STRESS_REFUSED);
		return;
	}
	sl->mapped = true;
	sl->epoch = mb->s->epoch[a->provider];
	sl->sure = sl->epoch == v.epoch;
	stress_count(mb->m, STRESS_MAP);
}

static bool anchored(const struct member *mb, const struct slot *sl)
{
	return sl < mb->slot + STRESS_ANCHORS &&
	       mb->s->epoch[sl->area.provider] == sl->epoch;
}

static void *mapping(void *arg)
{
	struct member *mb = arg;
	struct dice *d = &mb->dice[0];

	while (!mb->s->end) {
		struct slot *sl = &mb->slot[dice(d, SLOTS)];

		pthread_mutex_lock(&sl->lock);
		/* what is dead stays a while, to be attacked */
		if (!sl->mapped)
			map(mb, sl);
		else if (!anchored(mb, sl) && !dice(d, 3))
			unmap(mb, sl);
		/* also under a map: its pages are not those of the area then */
		if (!dice(d, sl->mapped ? 4 : 2))
			area_remap(&sl->area, mb->s, mb->m);
		pthread_mutex_unlock(&sl->lock);
		clock_sleep_ms(dice(d, 20));
	}
	return NULL;
}

static int dma(struct member *mb, enum edu_dir dir, uint64_t iova)
{
	int err = edu_run(&mb->edu, dir, iova, BYTES);

	if (err)
		stress_odd(mb->m, STRESS_ODD, "edu: %s", strerror(-err));
	return err;
}

/* Through the device into the provider's memory, and back from there. */
static void there_and_back(struct member *mb, struct slot *sl, uint64_t seed)
{
	struct area *a = &sl->area;
	uint64_t at = iova_of(mb, sl) + AREA_EDGE * PAGE;
	unsigned int epoch = mb->s->epoch[a->provider];
	bool was_dead = epoch > sl->epoch;
	bool calm = !mb->s->leaving[a->provider] && !was_dead && sl->sure;
	size_t differs;

	mem_fill(mb->scratch, BYTES, seed);
	if (dma(mb, EDU_READ, STAGE_SCRATCH) || dma(mb, EDU_WRITE, at))
		return;
	memset(mb->scratch, 0, BYTES);
	/* something else into the device's buffer, or it would still be there */
	mem_fill(mb->scratch + PAGE, BYTES, ~seed);
	if (dma(mb, EDU_READ, STAGE_SCRATCH + PAGE) ||
	    dma(mb, EDU_READ, at) || dma(mb, EDU_WRITE, STAGE_SCRATCH))
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	differs = mem_differs(mb->scratch, BYTES, seed);
	stress_count(mb->m, was_dead ? STRESS_DEAD : STRESS_DMA);
	if (was_dead && !differs)
		stress_odd(mb->m, STRESS_LATE, "DMA went through a dead map");
	if (calm && differs && !mb->s->leaving[a->provider] &&
	    epoch == mb->s->epoch[a->provider])
		stress_odd(mb->m, STRESS_ODD,
			   "%zu bytes differ after DMA through a live map",
			   differs);
}

static void *transferring(void *arg)
{
	struct member *mb = arg;
	struct dice *d = &mb->dice[1];

	while (!mb->s->end) {
		struct slot *sl = &mb->slot[dice(d, SLOTS)];
		uint64_t seed = dice_next(d);

		pthread_mutex_lock(&sl->lock);
		if (sl->mapped)
			there_and_back(mb, sl, seed);
		pthread_mutex_unlock(&sl->lock);
		usleep(1000);
	}
	return NULL;
}

/* Ordinary memory as it is counted there: see stage_locked(). */
static long locked(enum vfio_kind kind)
{
	unsigned long long kib;

	if (sysfs_read_key("/proc/self/status",
			   kind == VFIO_KIND_TYPE1 ? "VmLck:" : "VmPin:", &kib))
		return -1;
	return (long)kib;
}

/* The one before may have been killed a moment ago. */
static int attach(struct member *mb)
{
	double end = clock_now() + 5 * clock_scale();
	int err;

	do {
		err = vfio_attach(&mb->space, &mb->dev,
				  stage_edu((unsigned int)mb->m->edu));
		if (!vfio_is_busy(mb->space.kind, err))
			break;
		clock_sleep_ms(10);
	} while (clock_now() < end);
	return err;
}

int stress_vfio_member(int fd, void *arg)
{
	struct stress_arg *sa = arg;
	struct member mb = { .s = sa->stress, .m = sa->member };
	struct dice d = { mb.m->seed };
	enum vfio_kind kind = mb.m->kind;
	pthread_t id[2];
	uint64_t done;
	long before;
	void *m;
	int i;

	before = locked(kind);
	ASSERT_EQ(vfio_space_open(&mb.space, kind), 0);
	ASSERT_EQ(attach(&mb), 0);
	ASSERT_EQ(edu_open(&mb.edu, &mb.dev), 0);
	m = mmap(NULL, SCRATCH, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	mb.scratch = m;
	ASSERT_EQ(vfio_map(&mb.space, m, STAGE_SCRATCH, SCRATCH, VFIO_RW), 0);
	for (i = 0; i < SLOTS; i++) {
		pthread_mutex_init(&mb.slot[i].lock, NULL);
		ASSERT_EQ(area_init(&mb.slot[i].area, i < STRESS_ANCHORS ? i :
				    (int)dice(&d, (unsigned int)stress_nr_providers),
				    1 + dice(&d, STRESS_AREA_PAGES)), 0);
		ASSERT_EQ(area_remap(&mb.slot[i].area, mb.s, mb.m), 0);
		if (i < STRESS_ANCHORS) {
			map(&mb, &mb.slot[i]);
			ASSERT_TRUE(mb.slot[i].mapped);
		}
	}
	mb.dice[0].state = dice_next(&d);
	mb.dice[1].state = dice_next(&d);
	ASSERT_TRUE(worker_tell(fd, 'r'));
	ASSERT_EQ(pthread_create(&id[0], NULL, mapping, &mb), 0);
	ASSERT_EQ(pthread_create(&id[1], NULL, transferring, &mb), 0);
	pthread_join(id[0], NULL);
	pthread_join(id[1], NULL);

	for (i = 0; i < SLOTS; i++)
		if (mb.slot[i].mapped)
			unmap(&mb, &mb.slot[i]);
	EXPECT_EQ(vfio_unmap(&mb.space, STAGE_SCRATCH, SCRATCH, &done), 0);
	EXPECT_EQ(done, SCRATCH);
	EXPECT_EQ(locked(kind), before);
	edu_close(&mb.edu);
	vfio_detach(&mb.dev);
	vfio_space_close(&mb.space);
	for (i = 0; i < SLOTS; i++)
		area_exit(&mb.slot[i].area);
	return 0;
}
