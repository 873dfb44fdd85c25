// SPDX-License-Identifier: GPL-2.0
/*
 * The order of things in VFIO's revocation, held open by debug switches.
 *
 * What a device could reach is unmapped, in page tables and IOTLB, before its
 * pages are unpinned: an unbind that has returned cannot tell. The switch
 * unpin_gap is behind the unpin and before the return.
 *
 * Memory that goes when its last part was mapped already, and the call that maps
 * it is not over: either that call fails, or its caller is told of the hole. The
 * switch map_gap is there. The unbind does not wait for the call.
 */
#include "check.h"
#include "clock.h"
#include "mutate.h"
#include "scene.h"
#include "stage.h"
#include "tap.h"
#include "vfio_event.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static bool init(void)
{
	return mutate_there() && stage_init();
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
	EXPECT_TRUE(mutate_wait_held(10));
	EXPECT_TRUE(!unbind_wait(&u, 0, NULL, 0));
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

struct mapper {
	struct stage *s;
	atomic_bool over;
	int err;
};

static void *mapping(void *arg)
{
	struct mapper *m = arg;

	m->err = stage_map(m->s);
	atomic_store(&m->over, true);
	return NULL;
}

static void dies_while_mapped(enum vfio_kind kind)
{
	struct mapper m = { .err = 0 };
	struct vfio_range dead;
	uint32_t count = ~0u;
	uint64_t signals;
	struct unbind u;
	pthread_t id;
	int fd;

	stage_use(kind);
	m.s = stage_open_bare(P2P_ALONE);
	fd = vfio_event_open();
	ASSERT_EQ(vfio_event_fd(&m.s->space, fd), 0);
	ASSERT_EQ(mutate_add("map_gap"), 0);
	ASSERT_EQ(pthread_create(&id, NULL, mapping, &m), 0);
	EXPECT_TRUE(mutate_wait_held(10));

	EXPECT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_TRUE(!atomic_load(&m.over));
	EXPECT_EQ(mutate_restore(), 0);
	pthread_join(id, NULL);

	signals = vfio_event_told(fd);
	ASSERT_EQ(vfio_event_list(&m.s->space, &dead, 1, &count), 0);
	tap_note("the map: %s; signals: %llu; holes: %u", strerror(-m.err),
		 (unsigned long long)signals, count);
	if (m.err) {
		EXPECT_EQ(m.err, -ENODEV);
		EXPECT_EQ(count, 0);
	} else {
		EXPECT_GE(signals, 1);
		EXPECT_EQ(count, 1);
		EXPECT_EQ(dead.first, STAGE_IOVA);
		EXPECT_EQ(dead.last, STAGE_IOVA + m.s->len - 1);
		stage_p2p_is_dead(m.s, 0);
	}
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	if (!m.err)
		stage_unmap(m.s);
	stage_close(m.s);
	close(fd);
	stage_fresh_works();
}

static void type1_told(void)
{
	dies_while_mapped(VFIO_KIND_TYPE1);
}

static void iommufd_told(void)
{
	dies_while_mapped(VFIO_KIND_IOMMUFD);
}

static void compat_told(void)
{
	dies_while_mapped(VFIO_KIND_COMPAT);
}

static const struct tap_test tests[] = {
	{ "type1", type1, 30 },
	{ "iommufd", iommufd, 30 },
	{ "compat", compat, 30 },
	{ "type1_told", type1_told, 30 },
	{ "iommufd_told", iommufd_told, 30 },
	{ "compat_told", compat_told, 30 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"vfio-order", tests, init, stage_before, after,
	};

	return tap_main(argc, argv, &suite);
}
