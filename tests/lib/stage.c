// SPDX-License-Identifier: GPL-2.0
#include "stage.h"
#include "check.h"
#include "clock.h"
#include "faults.h"
#include "scene.h"
#include "sysfs.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_STAGES	4
#define MAX_EDUS	4
#define SCRATCH		(2 * PAGE)
#define SEED_MEM	0x51
#define SEED_FRESH	0xf4e5
#define SEED_ATTACK	0xbad0

static enum vfio_kind kind;
static char edus[MAX_EDUS][32];
static unsigned int nr_edus;
static struct stage stages[MAX_STAGES];
static long locked_at_start;

void stage_use(enum vfio_kind k)
{
	kind = k;
	locked_at_start = stage_locked();
}

enum vfio_kind stage_kind(void)
{
	return kind;
}

const char *stage_edu(unsigned int n)
{
	return edus[n];
}

long stage_locked(void)
{
	unsigned long long kib;

	if (sysfs_read_key("/proc/self/status",
			   kind == VFIO_KIND_TYPE1 ? "VmLck:" : "VmPin:", &kib))
		return -1;
	return (long)kib;
}

bool stage_taken(size_t len)
{
	unsigned long long now;

	return !provider_available(&scene_provider, &now) &&
	       now + len == scene_provider.available;
}

bool stage_nothing_taken(void)
{
	return provider_available_is_back(&scene_provider, 3000);
}

bool stage_init(void)
{
	if (!scene_init())
		return false;
	for (nr_edus = 0; nr_edus < MAX_EDUS; nr_edus++) {
		if (vfio_find(EDU_VENDOR, EDU_DEVICE, nr_edus, edus[nr_edus]))
			break;
		if (vfio_bind(edus[nr_edus]))
			return false;
	}
	if (nr_edus < STAGE_DEVS) {
		tap_note("%u edu devices, %d are needed: boot with device=edu device=edu",
			 nr_edus, STAGE_DEVS);
		return false;
	}
	return true;
}

void stage_drop(struct stage *s)
{
	int i;

	for (i = 0; i < STAGE_DEVS; i++)
		stage_remove_edu(s, (unsigned int)i);
	vfio_detach_mdev(&s->mdev);
	vfio_space_close(&s->space);
	if (s->mem)
		munmap(s->mem, s->len);
	if (s->scratch)
		munmap(s->scratch, SCRATCH);
	observer_close(&s->observer);
	memset(s, 0, sizeof(*s));
}

void stage_before(void)
{
	scene_before();
	locked_at_start = stage_locked();
}

void stage_after(void)
{
	int i;

	for (i = 0; i < MAX_STAGES; i++)
		if (stages[i].open)
			stage_drop(&stages[i]);
	scene_after();
	EXPECT_EQ(stage_locked(), locked_at_start);
}

static void *part(unsigned char **at, size_t pages, size_t *len)
{
	void *m = *at;

	*len = pages * PAGE;
	*at += *len;
	return pages ? m : NULL;
}

static void lay_out(struct stage *s, const struct stage_layout *l)
{
	unsigned char *at;
	int i;

	s->layout = *l;
	s->len = (l->ram0 + l->p2p0 + l->ram1 + l->p2p1 + l->ram2) * PAGE;
	at = mmap(NULL, s->len, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(at != MAP_FAILED);
	s->mem = at;
	s->ram[0] = part(&at, l->ram0, &s->ram_len[0]);
	s->p2p[0] = part(&at, l->p2p0, &s->p2p_len[0]);
	s->ram[1] = part(&at, l->ram1, &s->ram_len[1]);
	s->p2p[1] = part(&at, l->p2p1, &s->p2p_len[1]);
	s->ram[2] = part(&at, l->ram2, &s->ram_len[2]);
	for (i = 0; i < 2; i++)
		if (s->p2p[i])
			ASSERT_TRUE(p2pmem_mmap(&scene_provider, s->p2p[i],
						s->p2p_len[i],
						MAP_SHARED | MAP_FIXED, 0));
	mem_fill(s->mem, s->len, SEED_MEM);
	if (s->p2p[0])
		ASSERT_EQ(observer_locate(&s->observer, &scene_provider,
					  s->p2p[0], s->p2p_len[0]), 0);
}

int stage_try_edu(struct stage *s, unsigned int n)
{
	int err;

	/* one that is open already would be open for ever */
	ASSERT_TRUE(!s->dev[n].open);
	err = vfio_attach(&s->space, &s->dev[n], edus[n]);

	return err ? err : edu_open(&s->edu[n], &s->dev[n]);
}

void stage_add_edu(struct stage *s, unsigned int n)
{
	ASSERT_EQ(stage_try_edu(s, n), 0);
}

void stage_remove_edu(struct stage *s, unsigned int n)
{
	edu_close(&s->edu[n]);
	vfio_detach(&s->dev[n]);
}

void stage_add_mdev(struct stage *s)
{
	ASSERT_EQ(vfio_attach_mdev(&s->space, &s->mdev), 0);
}

static struct stage *open_stage(const struct stage_layout *l,
				const struct stage *near, bool v1)
{
	struct stage *s = stages;
	unsigned int n = 0;
	void *m;

	/* a device can be in one space only */
	while (s < stages + MAX_STAGES && s->open) {
		s++;
		n++;
	}
	ASSERT_TRUE(s < stages + MAX_STAGES && n < nr_edus);
	s->open = true;
	s->locked = stage_locked();
	lay_out(s, l);
	if (near)
		ASSERT_EQ(vfio_space_open_near(&s->space, &near->space), 0);
	else
		ASSERT_EQ(vfio_space_open(&s->space, kind), 0);
	s->space.v1 = v1;
	ASSERT_EQ(vfio_attach(&s->space, &s->dev[0], edus[n]), 0);
	ASSERT_EQ(edu_open(&s->edu[0], &s->dev[0]), 0);
	/* shared, so that workers load the device from the same pages */
	m = mmap(NULL, SCRATCH, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	s->scratch = m;
	ASSERT_EQ(vfio_map(&s->space, m, STAGE_SCRATCH, SCRATCH, VFIO_RW), 0);
	return s;
}

struct stage *stage_open_bare(const struct stage_layout *l)
{
	return open_stage(l, NULL, false);
}

struct stage *stage_open_near(const struct stage_layout *l,
			      const struct stage *near)
{
	return open_stage(l, near, false);
}

struct stage *stage_open_v1(const struct stage_layout *l)
{
	return open_stage(l, NULL, true);
}

struct stage *stage_open(const struct stage_layout *l)
{
	struct stage *s = stage_open_bare(l);

	ASSERT_EQ(stage_map(s), 0);
	return s;
}

int stage_map(struct stage *s)
{
	int err = vfio_map(&s->space, s->mem, STAGE_IOVA, s->len, VFIO_RW);

	s->mapped = !err;
	return err;
}

void stage_unmap(struct stage *s)
{
	uint64_t done;

	EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA, s->len, &done), 0);
	EXPECT_EQ(done, s->len);
	s->mapped = false;
}

void stage_close(struct stage *s)
{
	uint64_t done;

	if (s->mapped)
		stage_unmap(s);
	EXPECT_EQ(vfio_unmap(&s->space, STAGE_SCRATCH, SCRATCH, &done), 0);
	EXPECT_EQ(done, SCRATCH);
	EXPECT_EQ(stage_locked(), s->locked);
	stage_drop(s);
}

uint64_t stage_iova(const struct stage *s, const void *at)
{
	return STAGE_IOVA + (uint64_t)((const unsigned char *)at - s->mem);
}

void stage_load(struct stage *s, unsigned int n, uint64_t seed, size_t len)
{
	mem_fill(s->scratch, len, seed);
	ASSERT_EQ(edu_run(&s->edu[n], EDU_READ, STAGE_SCRATCH, len), 0);
	memset(s->scratch, 0, len);
}

size_t stage_buffer_differs(struct stage *s, unsigned int n, uint64_t seed,
			    size_t len)
{
	memset(s->scratch, 0, len);
	ASSERT_EQ(edu_run(&s->edu[n], EDU_WRITE, STAGE_SCRATCH, len), 0);
	return mem_differs(s->scratch, len, seed);
}

/*
 * The first bytes of one part to the last bytes of another, by the device, and
 * no others.
 */
static void copy_works(struct stage *s, unsigned int n, unsigned char *from,
		       unsigned char *to, size_t to_len)
{
	static uint64_t seed = 0x100;
	unsigned char *page = to + to_len - PAGE;
	size_t half = PAGE / 2;

	mem_fill(from, half, ++seed);
	mem_fill(page, PAGE, ~seed);
	ASSERT_EQ(edu_copy(&s->edu[n], stage_iova(s, from),
			   stage_iova(s, page + half), half), 0);
	EXPECT_EQ(mem_differs(page + half, half, seed), 0);
	EXPECT_EQ(mem_differs(page, half, ~seed), 0);
	EXPECT_EQ(mem_differs(from, half, seed), 0);
}

void stage_dma_works(struct stage *s, unsigned int n)
{
	unsigned char *p2p = s->p2p[0];

	/* within, if there are two pages */
	if (s->p2p_len[0] > PAGE)
		copy_works(s, n, p2p, p2p, s->p2p_len[0]);
	if (s->ram[0])
		copy_works(s, n, s->ram[0], p2p, s->p2p_len[0]);
	if (s->ram[1])
		copy_works(s, n, p2p, s->ram[1], s->ram_len[1]);
	if (s->p2p[1])
		copy_works(s, n, p2p, s->p2p[1], s->p2p_len[1]);
	if (s->ram[2])
		copy_works(s, n, s->p2p[1] ? s->p2p[1] : p2p, s->ram[2],
			   s->ram_len[2]);
}

void stage_ram_works(struct stage *s, unsigned int n)
{
	static uint64_t seed = 0x7000;
	int i;

	for (i = 0; i < 3; i++) {
		unsigned char *last = s->ram[i] + s->ram_len[i] - 256;

		if (!s->ram[i])
			continue;
		/* what borders on the provider's part: first and last bytes */
		mem_fill(s->ram[i], 256, ++seed);
		ASSERT_EQ(edu_run(&s->edu[n], EDU_READ,
				  stage_iova(s, s->ram[i]), 256), 0);
		ASSERT_EQ(edu_run(&s->edu[n], EDU_WRITE, stage_iova(s, last),
				  256), 0);
		EXPECT_EQ(mem_differs(last, 256, seed), 0);
	}
}

void stage_faults(struct stage *s, unsigned int n, uint64_t iova)
{
	struct faults f;
	bool seen = false;
	int tries;

	ASSERT_EQ(faults_open(&f), 0);
	for (tries = 0; tries < 3 && !seen; tries++) {
		/* the kernel may have said too much already: let it rest */
		if (tries)
			clock_sleep_ms(5200);
		if (!EXPECT_EQ(edu_run(&s->edu[n], EDU_WRITE, iova, 64), 0))
			break;
		seen = faults_seen(&f, s->edu[n].bdf, iova, 64, 0.5);
	}
	faults_close(&f);
	EXPECT_TRUE(seen);
}

/*
 * What QEMU gives a device whose read fails is no data: all bytes are the same,
 * 0 or 0xff. The memory itself holds a pattern.
 */
static size_t bytes_of_data(const unsigned char *at, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += at[i] != at[0] || (at[i] && at[i] != 0xff);
	return n;
}

static void read_brings_nothing(struct stage *s, unsigned int n, uint64_t iova)
{
	ASSERT_EQ(edu_run(&s->edu[n], EDU_READ, iova, 512), 0);
	mem_fill(s->scratch, 512, 1);
	ASSERT_EQ(edu_run(&s->edu[n], EDU_WRITE, STAGE_SCRATCH, 512), 0);
	EXPECT_EQ(bytes_of_data(s->scratch, 512), 0);
}

void stage_dead_range(struct stage *s, unsigned int n, uint64_t iova, size_t len)
{
	static uint64_t seed = SEED_ATTACK;

	/* the first page and the last */
	stage_load(s, n, ++seed, 512);
	EXPECT_EQ(edu_run(&s->edu[n], EDU_WRITE, iova, 512), 0);
	EXPECT_EQ(edu_run(&s->edu[n], EDU_WRITE, iova + len - 512, 512), 0);
	read_brings_nothing(s, n, iova);
	read_brings_nothing(s, n, iova + len - 512);
}

void stage_p2p_is_dead(struct stage *s, unsigned int n)
{
	int i;

	for (i = 0; i < 2; i++)
		if (s->p2p[i])
			stage_dead_range(s, n, stage_iova(s, s->p2p[i]),
					 s->p2p_len[i]);
}

/* Fresh memory of the provider, where the old one was. */
static void fresh_at_the_old_place(struct stage *s)
{
	int i;

	observer_close(&s->observer);
	for (i = 0; i < 2; i++)
		if (s->p2p[i])
			ASSERT_TRUE(p2pmem_mmap(&scene_provider, s->p2p[i],
						s->p2p_len[i],
						MAP_SHARED | MAP_FIXED, 0));
}

void stage_aftermath(struct stage *s, struct unbind *u)
{
	bool was_mapped = s->mapped;

	ASSERT_TRUE(u->done);
	EXPECT_EQ(u->err, 0);
	tap_note("the unbind took %.3f s of guest time", u->seconds);
	EXPECT_LE(u->seconds * 1000, unbind_limit() * 1000);

	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	stage_p2p_is_dead(s, 0);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	if (was_mapped)
		stage_ram_works(s, 0);
	observer_close(&s->observer);

	ASSERT_EQ(provider_bind(&scene_provider), 0);
	/* Very likely the same pages of the BAR: nothing gets through to them. */
	fresh_at_the_old_place(s);
	mem_fill(s->p2p[0], s->p2p_len[0], SEED_FRESH);
	stage_p2p_is_dead(s, 0);
	EXPECT_EQ(mem_differs(s->p2p[0], s->p2p_len[0], SEED_FRESH), 0);
	if (was_mapped)
		stage_unmap(s);
	ASSERT_EQ(stage_map(s), 0);
	stage_dma_works(s, 0);
	stage_unmap(s);
}

void stage_unbind(struct stage *s)
{
	struct unbind u;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	stage_aftermath(s, &u);
}

void *stage_map_bar(const struct stage *s)
{
	char path[128];
	void *m;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d",
		 scene_provider.bdf, s->observer.bar);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	m = mmap(NULL, s->p2p_len[0], PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 (off_t)s->observer.offset);
	close(fd);
	ASSERT_TRUE(m != MAP_FAILED);
	return m;
}

void stage_fresh_works(void)
{
	struct stage *s = stage_open(&(struct stage_layout){ 1, 2, 1, 0, 0 });

	stage_dma_works(s, 0);
	stage_close(s);
}
