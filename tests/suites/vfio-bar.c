// SPDX-License-Identifier: GPL-2.0
/*
 * The BAR of one device under vfio-pci (X) in the address space of another (the
 * edu device). X's owner lets go of it: the other device's DMA must not reach
 * it any more. X is ivshmem: its BAR 2 is memory, which sysfs still shows when
 * nobody owns the device.
 */
#include "check.h"
#include "clock.h"
#include "scene.h"
#include "stage.h"
#include "sysfs.h"
#include "tap.h"
#include "vfio_event.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* X and which of its BARs is memory. */
struct kind {
	unsigned int vendor, device, bar;
	const char *boot;		/* what brings it */
};

static const struct kind ivshmem = { 0x1af4, 0x1110, 2, "device=ivshmem" };
/* Behind a port of its own, through which it can be reset. */
static const struct kind display = {
	0x1234, 0x1111, 0,
	"device=pcie-root-port,id=rp,chassis=1 device=bochs-display,bus=rp"
};

#define BAR_IOVA	(STAGE_IOVA + 0x400000)
#define BAR_LEN		(4 * PAGE)

struct x {
	bool open;
	struct vfio_space space;
	struct vfio_dev dev;
	unsigned char *bar;
	size_t bar_len;
};

static char x_bdf[32];
static struct x the_x;

static bool init(void)
{
	if (!stage_init())
		return false;
	if (vfio_find(ivshmem.vendor, ivshmem.device, 0, x_bdf)) {
		tap_note("no ivshmem device: boot with %s", ivshmem.boot);
		return false;
	}
	return true;
}

static void x_open_as(const struct kind *k, const char *bdf, struct vfio_space *in)
{
	struct x *x = &the_x;

	ASSERT_EQ(vfio_bind(bdf), 0);
	x->open = true;
	if (!in) {
		ASSERT_EQ(vfio_space_open(&x->space, VFIO_KIND_TYPE1), 0);
		in = &x->space;
	}
	ASSERT_EQ(vfio_attach(in, &x->dev, bdf), 0);
	x->bar = vfio_map_bar(&x->dev, k->bar, &x->bar_len);
	ASSERT_TRUE(x->bar);
}

static void x_open(void)
{
	x_open_as(&ivshmem, x_bdf, NULL);
}

static void x_unmap(void)
{
	if (the_x.bar)
		munmap(the_x.bar, the_x.bar_len);
	the_x.bar = NULL;
}

static void x_close(void)
{
	x_unmap();
	vfio_detach(&the_x.dev);
	vfio_space_close(&the_x.space);
	the_x.open = false;
}

static void after(void)
{
	if (the_x.open)
		x_close();
	/* only after the devices are closed, which the first part does */
	stage_after();
	vfio_unbind(x_bdf);
}

static struct stage *bar_in_edus_space(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });

	ASSERT_EQ(vfio_map(&s->space, the_x.bar, BAR_IOVA, BAR_LEN, VFIO_RW), 0);
	return s;
}

static void bar_unmap(struct stage *s)
{
	uint64_t done;

	EXPECT_EQ(vfio_unmap(&s->space, BAR_IOVA, BAR_LEN, &done), 0);
	EXPECT_EQ(done, BAR_LEN);
}

/* The edu device writes to the BAR, and reads from it. */
static void dma_works(struct stage *s)
{
	static uint64_t seed = 0x300;

	seed++;
	mem_fill(the_x.bar, BAR_LEN, seed << 8);
	stage_load(s, 0, seed, 1024);
	ASSERT_EQ(edu_run(&s->edu[0], EDU_WRITE, BAR_IOVA + PAGE, 1024), 0);
	EXPECT_EQ(mem_differs(the_x.bar + PAGE, 1024, seed), 0);
	mem_fill(the_x.bar + PAGE, 1024, ~seed);
	ASSERT_EQ(edu_run(&s->edu[0], EDU_READ, BAR_IOVA + PAGE, 1024), 0);
	EXPECT_EQ(stage_buffer_differs(s, 0, ~seed, 1024), 0);
}

static void watch(struct observer *o, const char *bdf, const struct kind *k)
{
	memset(o, 0, sizeof(*o));
	strcpy(o->bdf, bdf);
	o->bar = (int)k->bar;
	o->len = BAR_LEN;
	ASSERT_EQ(observer_snapshot(o), 0);
}

/* Nobody owns X: DMA by the edu device faults and its BAR stays as it is. */
static void is_out_of_reach(struct stage *s)
{
	struct observer o;

	watch(&o, x_bdf, &ivshmem);
	stage_faults(s, 0, BAR_IOVA);
	stage_dead_range(s, 0, BAR_IOVA, BAR_LEN);
	EXPECT_EQ(observer_changed(&o), 0);
	observer_close(&o);
}

static void works_while_open(void)
{
	struct stage *s;

	x_open();
	s = bar_in_edus_space();
	dma_works(s);
	/* not the user's mapping is what counts */
	x_unmap();
	the_x.bar = vfio_map_bar(&the_x.dev, ivshmem.bar, &the_x.bar_len);
	ASSERT_TRUE(the_x.bar);
	dma_works(s);
	bar_unmap(s);
	stage_close(s);
	x_close();
}

static void closed_and_unbound(void)
{
	struct stage *s;

	x_open();
	s = bar_in_edus_space();
	dma_works(s);
	x_close();
	ASSERT_EQ(vfio_unbind(x_bdf), 0);
	is_out_of_reach(s);
	bar_unmap(s);
	stage_close(s);
}

/* Closed is enough, and an owner after this one has it for itself. */
static void next_owner(void)
{
	struct stage *s;

	x_open();
	s = bar_in_edus_space();
	dma_works(s);
	x_close();
	stage_faults(s, 0, BAR_IOVA);
	x_open();
	mem_fill(the_x.bar, BAR_LEN, 11);
	stage_dead_range(s, 0, BAR_IOVA, BAR_LEN);
	EXPECT_EQ(mem_differs(the_x.bar, BAR_LEN, 11), 0);
	/* the space has room for it again, and then it works */
	bar_unmap(s);
	ASSERT_EQ(vfio_map(&s->space, the_x.bar, BAR_IOVA, BAR_LEN, VFIO_RW), 0);
	dma_works(s);
	bar_unmap(s);
	stage_close(s);
	x_close();
}

/*
 * X's owner is a process of its own, which maps the BAR into the space that it
 * shares with this one. It is killed: X is closed by that, the space lives on.
 */
static int owner_of_x(int fd, void *arg)
{
	struct stage *s = arg;

	x_open();
	ASSERT_EQ(vfio_map(&s->space, the_x.bar, BAR_IOVA, BAR_LEN, VFIO_RW), 0);
	dma_works(s);
	ASSERT_TRUE(worker_tell(fd, 'o'));
	pause();
	return 0;
}

static void owner_killed(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });
	struct worker w;

	ASSERT_EQ(worker_start(&w, "owner", owner_of_x, s), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'o', 20));
	worker_kill(&w, SIGKILL);
	worker_join(&w, 10);
	ASSERT_EQ(vfio_unbind(x_bdf), 0);
	is_out_of_reach(s);
	bar_unmap(s);
	stage_close(s);
}

/* X in the space of the edu device: closing it leaves the edu device alone. */
static void same_space(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });

	x_open_as(&ivshmem, x_bdf, &s->space);
	ASSERT_EQ(vfio_map(&s->space, the_x.bar, BAR_IOVA, BAR_LEN, VFIO_RW), 0);
	dma_works(s);
	x_close();
	ASSERT_EQ(vfio_unbind(x_bdf), 0);
	is_out_of_reach(s);
	stage_load(s, 0, 5, 256);
	EXPECT_EQ(stage_buffer_differs(s, 0, 5, 256), 0);
	bar_unmap(s);
	stage_close(s);
}

/* Its own BAR in its own space, which goes with the device. */
static void own_space(void)
{
	uint64_t done;
	int round;

	for (round = 0; round < 3; round++) {
		x_open();
		ASSERT_EQ(vfio_map(&the_x.space, the_x.bar, BAR_IOVA, BAR_LEN,
				   VFIO_RW), 0);
		if (round == 1) {
			EXPECT_EQ(vfio_unmap(&the_x.space, BAR_IOVA, BAR_LEN,
					     &done), 0);
			EXPECT_EQ(done, BAR_LEN);
		}
		if (round == 2) {
			/* the space first, as far as user space is concerned */
			close(the_x.space.fd);
			the_x.space.open = false;
		}
		x_close();
	}
	ASSERT_EQ(vfio_unbind(x_bdf), 0);
}

/* Reset while X stays open: the same owner, the same memory. */
static void reset_while_open(void)
{
	char bdf[32];
	struct stage *s;

	if (vfio_find(display.vendor, display.device, 0, bdf)) {
		tap_note("no bochs-display: boot with %s", display.boot);
		EXPECT_TRUE(!"there is no device that can be reset");
		return;
	}
	x_open_as(&display, bdf, NULL);
	s = bar_in_edus_space();
	dma_works(s);
	EXPECT_EQ(vfio_reset(&the_x.dev), 0);
	dma_works(s);
	EXPECT_EQ(vfio_reset(&the_x.dev), 0);
	dma_works(s);
	bar_unmap(s);
	stage_close(s);
	x_close();
	EXPECT_EQ(vfio_unbind(bdf), 0);
}

/*
 * The BAR through sysfs, which no provider declares while vfio-pci has nothing
 * to do with the device. It is as it always was: root's own risk.
 */
static void sysfs_resource(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });
	char path[128];
	int fd;
	void *m;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", x_bdf);
	ASSERT_EQ(sysfs_write(path, "1"), 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", x_bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	m = mmap(NULL, BAR_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	ASSERT_TRUE(m != MAP_FAILED);
	ASSERT_EQ(vfio_map(&s->space, m, BAR_IOVA, BAR_LEN, VFIO_RW), 0);
	mem_fill(m, BAR_LEN, 1);
	stage_load(s, 0, 21, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, BAR_IOVA, 512), 0);
	EXPECT_EQ(mem_differs(m, 512, 21), 0);
	bar_unmap(s);
	munmap(m, BAR_LEN);
	stage_close(s);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", x_bdf);
	EXPECT_EQ(sysfs_write(path, "0"), 0);
}

/*
 * X is closed while its BAR is being mapped: whatever comes of the map, nothing
 * is left of it in the IOMMU.
 */
struct mapper {
	struct stage *stage;
	void *bar;
	volatile bool closed;
	volatile unsigned int maps;
	bool left_mapped;
	volatile int err;
	int unmap_err;
};

static void *mapping(void *arg)
{
	struct mapper *m = arg;
	uint64_t done;

	for (;;) {
		m->err = vfio_map(&m->stage->space, m->bar, BAR_IOVA, BAR_LEN,
				  VFIO_RW);
		if (m->err)
			return NULL;
		m->maps++;
		/* half of them stand for a while */
		if (m->maps % 2)
			usleep(500);
		if (m->closed) {
			m->left_mapped = true;
			return NULL;
		}
		m->unmap_err = vfio_unmap(&m->stage->space, BAR_IOVA, BAR_LEN,
					  &done);
		if (!m->unmap_err && done != BAR_LEN)
			m->unmap_err = -ERANGE;
		if (m->unmap_err)
			return NULL;
	}
}

static void closed_while_mapping(void)
{
	unsigned int round, rounds = clock_fewer(12), maps = 0, left = 0;
	struct mapper m;
	double end;
	struct stage *s;
	pthread_t t;

	s = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });
	for (round = 0; round < rounds && !tap_failed(); round++) {
		x_open();
		mem_fill(the_x.bar, BAR_LEN, round);
		m = (struct mapper){ .stage = s, .bar = the_x.bar };
		ASSERT_EQ(pthread_create(&t, NULL, mapping, &m), 0);
		/* it has begun, and is somewhere in the middle */
		end = clock_now() + 10 * clock_scale();
		while (!m.maps && !m.err && clock_now() < end)
			usleep(500);
		usleep(5000 + round * 700);
		/* nothing else may come to be at that address */
		EXPECT_TRUE(mmap(the_x.bar, the_x.bar_len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				 0) != MAP_FAILED);
		vfio_detach(&the_x.dev);
		m.closed = true;
		pthread_join(t, NULL);
		x_close();
		EXPECT_EQ(m.unmap_err, 0);
		EXPECT_GE(m.maps, 1);
		if (m.err)
			EXPECT_TRUE(m.err == -EFAULT || m.err == -ENODEV);
		maps += m.maps;
		left += m.left_mapped;

		/* the next owner sees what arrives */
		x_open();
		mem_fill(the_x.bar, BAR_LEN, 100 + round);
		stage_dead_range(s, 0, BAR_IOVA, BAR_LEN);
		EXPECT_EQ(mem_differs(the_x.bar, BAR_LEN, 100 + round), 0);
		x_close();
		if (m.left_mapped)
			bar_unmap(s);
	}
	tap_note("%u maps, %u of them stood when X was closed", maps, left);
	stage_close(s);
}

/* The BAR goes when X is closed: the edu device's owner is told, X's is not. */
static void told(void)
{
	int fd = vfio_event_open();
	struct vfio_range r;
	struct stage *s;
	uint32_t count;

	x_open();
	s = bar_in_edus_space();
	ASSERT_EQ(vfio_event_known(&s->space), 1);
	ASSERT_EQ(vfio_event_fd(&s->space, fd), 0);
	dma_works(s);
	/* the mapping of the process is not what counts */
	x_unmap();
	EXPECT_EQ(vfio_event_told(fd), 0);
	EXPECT_EQ(vfio_event_list(&s->space, &r, 0, &count), 0);
	EXPECT_EQ(count, 0);
	x_close();
	EXPECT_EQ(vfio_event_told(fd), 1);
	ASSERT_EQ(vfio_event_list(&s->space, &r, 1, &count), 0);
	ASSERT_EQ(count, 1);
	EXPECT_EQ(r.first, BAR_IOVA);
	EXPECT_EQ(r.last, BAR_IOVA + BAR_LEN - 1);
	ASSERT_EQ(vfio_unbind(x_bdf), 0);
	is_out_of_reach(s);
	bar_unmap(s);
	EXPECT_EQ(vfio_event_list(&s->space, &r, 0, &count), 0);
	EXPECT_EQ(count, 0);
	EXPECT_EQ(vfio_event_told(fd), 0);
	stage_close(s);
	close(fd);
}

static const struct tap_test tests[] = {
	{ "works_while_open", works_while_open, 0 },
	{ "closed_and_unbound", closed_and_unbound, 30 },
	{ "next_owner", next_owner, 30 },
	{ "owner_killed", owner_killed, 30 },
	{ "same_space", same_space, 30 },
	{ "own_space", own_space, 0 },
	{ "reset_while_open", reset_while_open, 0 },
	{ "closed_while_mapping", closed_while_mapping, 60 },
	{ "sysfs_resource", sysfs_resource, 0 },
	{ "told", told, 30 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"vfio-bar", tests, init, stage_before, after,
	};

	return tap_main(argc, argv, &suite);
}
