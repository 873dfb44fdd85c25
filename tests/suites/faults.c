// SPDX-License-Identifier: GPL-2.0
/*
 * Every path that takes, uses or gives back memory of the provider, with each
 * of its allocations failing once (lib/nth.h). A revocation must not fail,
 * whatever does: nothing in it may need memory.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "holders.h"
#include "hostile.h"
#include "iommufd.h"
#include "nth.h"
#include "scene.h"
#include "stage.h"
#include "sysfs.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* RDMA: a region, and what is registered there. */

struct mem {
	struct scene *s;
	unsigned char *at;
	size_t len;
	unsigned int access;
	struct ibv_mr *mr;
	struct ibv_mw *mw;
	struct ibv_pd *pd[2];		/* of a rereg */
	int turn;
};

static int mr_reg(void *arg)
{
	struct mem *m = arg;

	errno = 0;
	m->mr = ibv_reg_mr(m->s->rdma.pd, m->at, m->len, m->access);
	return m->mr ? 0 : errno ? -errno : -EPROTO;
}

static int mr_dereg(void *arg)
{
	struct mem *m = arg;
	int err = ibv_dereg_mr(m->mr);

	if (!err)
		m->mr = NULL;
	return -err;
}

/* Bytes arrive where they should. */
static void mr_works(struct mem *m)
{
	struct rdma_op op = scene_op(m->s, IBV_WR_RDMA_WRITE, 64);

	op.raddr = (uintptr_t)m->at;
	op.rkey = m->mr->rkey;
	mem_fill(m->s->buf, 64, 77);
	EXPECT_EQ(rdma_run(&m->s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(m->at, 64, 77), 0);
}

static void reg_sweep(const char *name, struct mem *m)
{
	m->access = RDMA_ALL;
	nth_sweep(&(struct nth_op){ name, mr_reg, mr_dereg, m, NTH_TAKES, 0 });
	ASSERT_EQ(mr_reg(m), 0);
	mr_works(m);
	nth_sweep(&(struct nth_op){ "dereg_mr", mr_dereg, mr_reg, m, NTH_FREES, 0 });
	EXPECT_EQ(mr_dereg(m), 0);
}

static void reg_p2p(void)
{
	struct scene *s = scene_open_bare(4);
	struct mem m = { .s = s, .at = s->area, .len = s->len };

	reg_sweep("reg_mr", &m);
	scene_close(s);
}

/* More than ib_umem pins in one go. */
static void reg_large(void)
{
	struct scene *s = scene_open_bare(1100);
	struct mem m = { .s = s, .at = s->area, .len = s->len };

	reg_sweep("reg_mr of 1100 pages", &m);
	scene_close(s);
}

static unsigned char *mixed(size_t *len)
{
	unsigned char *at;
	int i;

	*len = 12 * PAGE;
	at = mmap(NULL, *len, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(at != MAP_FAILED);
	for (i = 0; i < 2; i++)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider,
					at + (2 + 5 * i) * PAGE, 3 * PAGE,
					MAP_SHARED | MAP_FIXED, 0));
	/* no page fault is to be in the way */
	mem_fill(at, *len, 7);
	return at;
}

/* Ordinary memory, P2P memory, ordinary, P2P, ordinary. */
static void reg_mixed(void)
{
	struct scene *s = scene_open_bare(1);
	struct mem m = { .s = s };

	m.at = mixed(&m.len);
	reg_sweep("reg_mr of a mixture", &m);
	munmap(m.at, m.len);
	scene_close(s);
}

static void reg_ordinary(void)
{
	struct scene *s = scene_open_bare(4);
	struct mem m = { .s = s, .len = s->len };

	m.at = s->buf;
	m.access = RDMA_ALL;
	nth_sweep(&(struct nth_op){ "reg_mr of ordinary memory", mr_reg,
				    mr_dereg, &m, NTH_TAKES, 0 });
	scene_close(s);
}

static int mr_rereg(void *arg)
{
	struct mem *m = arg;
	int err;

	err = rdma_rereg(m->mr, IBV_REREG_MR_CHANGE_PD |
			 IBV_REREG_MR_CHANGE_ACCESS, m->pd[!m->turn], NULL, 0,
			 RDMA_ALL);
	if (!err)
		m->turn = !m->turn;
	return err;
}

/* There and back are the same call. */
static void rereg(void)
{
	struct scene *s = scene_open(4, 0);
	struct mem m = { .s = s, .at = s->area, .len = s->len, .mr = s->mr };

	m.pd[0] = s->rdma.pd;
	m.pd[1] = ibv_alloc_pd(s->rdma.ctx);
	ASSERT_TRUE(m.pd[1]);
	nth_sweep(&(struct nth_op){ "rereg_mr", mr_rereg, mr_rereg, &m, NTH_TAKES, 0 });
	mr_works(&m);
	ASSERT_EQ(ibv_dealloc_pd(m.pd[1]), 0);
	scene_close(s);
}

static int mw_alloc(void *arg)
{
	struct mem *m = arg;

	errno = 0;
	m->mw = ibv_alloc_mw(m->s->rdma.pd, IBV_MW_TYPE_2);
	return m->mw ? 0 : errno ? -errno : -EPROTO;
}

static int mw_dealloc(void *arg)
{
	struct mem *m = arg;

	return -ibv_dealloc_mw(m->mw);
}

static void windows(void)
{
	struct scene *s = scene_open(4, IBV_ACCESS_MW_BIND);
	struct mem m = { .s = s };

	nth_sweep(&(struct nth_op){ "alloc_mw", mw_alloc, mw_dealloc, &m, NTH_TAKES, 0 });
	scene_close(s);
}

/* The whole of it: the file is closed with MRs open. */
static int ctx_open(void *arg)
{
	struct mem *m = arg;
	struct rdma r;
	int err;

	errno = 0;
	r.ctx = ibv_open_device(m->s->rdma.ctx->device);
	if (!r.ctx)
		return errno ? -errno : -EPROTO;
	errno = 0;
	r.pd = ibv_alloc_pd(r.ctx);
	if (r.pd)
		m->mr = ibv_reg_mr(r.pd, m->at, m->len, m->access);
	if (!r.pd || !m->mr) {
		err = errno ? -errno : -EPROTO;
		ibv_close_device(r.ctx);
		return err;
	}
	return 0;
}

static int ctx_close(void *arg)
{
	struct mem *m = arg;

	/* libibverbs frees what it knows; the kernel has the MR and the PD */
	return ibv_close_device(m->mr->context);
}

static void close_with_mrs(void)
{
	struct scene *s = scene_open_bare(4);
	struct mem m = { .s = s, .at = s->area, .len = s->len,
			 .access = RDMA_ALL };

	ASSERT_EQ(ctx_open(&m), 0);
	nth_sweep(&(struct nth_op){ "close", ctx_close, ctx_open, &m, NTH_NEVER_FAILS, 0 });
	EXPECT_EQ(ctx_close(&m), 0);
	scene_close(s);
}

/* DMA maps, through each interface. */

#define LAYOUTS 3
static const struct stage_layout layouts[LAYOUTS] = {
	{ 0, 4, 0, 0, 0 }, { 2, 2, 2, 2, 2 }, { 0, 600, 0, 0, 0 },
};
static const char * const layout_names[LAYOUTS] = {
	"P2P", "a mixture", "600 pages of P2P",
};

static int dma_map(void *arg)
{
	return stage_map(arg);
}

static int dma_unmap(void *arg)
{
	struct stage *s = arg;
	uint64_t done = 0;
	int err = vfio_unmap(&s->space, STAGE_IOVA, s->len, &done);

	if (err)
		return err;
	s->mapped = false;
	return done == s->len ? 0 : -EPROTO;
}

static void maps(enum vfio_kind kind)
{
	char name[64];
	int i;

	stage_use(kind);
	for (i = 0; i < LAYOUTS; i++) {
		struct stage *s = stage_open_bare(&layouts[i]);

		snprintf(name, sizeof(name), "map of %s", layout_names[i]);
		nth_sweep(&(struct nth_op){ name, dma_map, dma_unmap, s, NTH_TAKES, 0 });
		if (tap_failed())
			return;
		ASSERT_EQ(dma_map(s), 0);
		snprintf(name, sizeof(name), "unmap of %s", layout_names[i]);
		nth_sweep(&(struct nth_op){ name, dma_unmap, dma_map, s, NTH_FREES, 0 });
		if (tap_failed())
			return;
		if (i < 2)
			stage_dma_works(s, 0);
		stage_close(s);
	}
}

static void type1_map(void)
{
	maps(VFIO_KIND_TYPE1);
}

static void compat_map(void)
{
	maps(VFIO_KIND_COMPAT);
}

static void iommufd_maps(void)
{
	maps(VFIO_KIND_IOMMUFD);
}

/*
 * A container and a group in it, without the device's own file: to open and
 * close that runs the firmware's byte code, and the interpreter frees what it
 * still uses when its allocations fail.
 */
struct grp {
	struct stage *s;
	int fd;
};

static int group_join(void *arg)
{
	struct grp *g = arg;

	return ioctl(g->fd, VFIO_GROUP_SET_CONTAINER, &g->s->space.fd) ?
		-errno : 0;
}

static int group_leave(void *arg)
{
	struct grp *g = arg;

	return ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER) ? -errno : 0;
}

/* Everything is closed at once, with the maps in it. */
static int container_open(void *arg)
{
	struct grp *g = arg;
	int err;

	g->fd = vfio_group_open(stage_edu(0));
	if (g->fd < 0)
		return g->fd;
	err = vfio_space_open(&g->s->space, VFIO_KIND_TYPE1);
	if (!err)
		err = group_join(g);
	if (!err && ioctl(g->s->space.fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err = -errno;
	return err ? err : stage_map(g->s);
}

static int container_close(void *arg)
{
	struct grp *g = arg;

	close(g->fd);
	vfio_space_close(&g->s->space);
	g->s->mapped = false;
	return 0;
}

static void type1_close(void)
{
	struct grp g;

	stage_use(VFIO_KIND_TYPE1);
	g.s = stage_open_bare(MANY_PARTS);
	stage_remove_edu(g.s, 0);
	vfio_space_close(&g.s->space);
	ASSERT_EQ(container_open(&g), 0);
	nth_sweep(&(struct nth_op){ "close", container_close, container_open, &g,
				    NTH_NEVER_FAILS, 0 });
	if (tap_failed())
		return;
	container_close(&g);
	stage_drop(g.s);
}

/* A group joins mappings that no IOMMU shows: each is pinned and mapped then. */
static void joins(bool revoked)
{
	struct unbind u;
	struct grp g;

	stage_use(VFIO_KIND_TYPE1);
	g.s = stage_open(MANY_PARTS);
	stage_add_mdev(g.s);
	if (revoked)
		ASSERT_TRUE(unbind_now(&scene_provider, &u));
	stage_remove_edu(g.s, 0);
	g.fd = vfio_group_open(stage_edu(0));
	ASSERT_GE(g.fd, 0);
	nth_sweep(&(struct nth_op){ revoked ? "attach after the revoke" : "attach",
				    group_join, group_leave, &g, NTH_TAKES, 0 });
	if (tap_failed())
		return;
	ASSERT_EQ(group_join(&g), 0);
	nth_sweep(&(struct nth_op){ "detach", group_leave, group_join, &g,
				    NTH_FREES, 0 });
	close(g.fd);
	if (tap_failed())
		return;
	stage_add_edu(g.s, 0);
	if (revoked) {
		stage_ram_works(g.s, 0);
		ASSERT_EQ(observer_snapshot(&g.s->observer), 0);
		stage_p2p_is_dead(g.s, 0);
		EXPECT_EQ(observer_changed(&g.s->observer), 0);
		stage_aftermath(g.s, &u);
	} else {
		stage_dma_works(g.s, 0);
	}
	stage_close(g.s);
}

static void type1_attach(void)
{
	joins(false);
}

static void type1_attach_revoked(void)
{
	joins(true);
}

/* iommufd alone: copies, and page tables. */

struct two {
	struct stage *from, *to;
	uint32_t hwpt;
};

static int ioas_copy(void *arg)
{
	struct two *t = arg;

	return iommufd_copy(t->to->space.fd, t->to->space.ioas, OTHER_IOVA,
			    t->from->space.ioas, STAGE_IOVA, t->from->len);
}

static int ioas_uncopy(void *arg)
{
	struct two *t = arg;
	uint64_t done = 0;
	int err = iommufd_unmap(t->to->space.fd, t->to->space.ioas, OTHER_IOVA,
				t->from->len, &done);

	return err ? err : done == t->from->len ? 0 : -EPROTO;
}

static void iommufd_copies(void)
{
	struct two t;

	stage_use(VFIO_KIND_IOMMUFD);
	t.from = stage_open(MANY_PARTS);
	t.to = stage_open_near(P2P_ALONE, t.from);
	nth_sweep(&(struct nth_op){ "copy", ioas_copy, ioas_uncopy, &t, NTH_TAKES, 0 });
	if (tap_failed())
		return;
	ASSERT_EQ(ioas_copy(&t), 0);
	nth_sweep(&(struct nth_op){ "unmap of a copy", ioas_uncopy, ioas_copy,
				    &t, NTH_FREES, 0 });
	if (tap_failed())
		return;
	stage_dma_works(t.from, 0);
	ASSERT_EQ(ioas_uncopy(&t), 0);
	stage_close(t.to);
	stage_close(t.from);
}

static int table_make(void *arg)
{
	struct two *t = arg;

	return iommufd_hwpt(t->from->space.fd, t->from->dev[0].id,
			    t->from->space.ioas, &t->hwpt);
}

static int table_destroy(void *arg)
{
	struct two *t = arg;

	return iommufd_destroy(t->from->space.fd, t->hwpt);
}

/* A second page table shows what the first does. */
static void iommufd_tables(void)
{
	struct two t;

	stage_use(VFIO_KIND_IOMMUFD);
	t.from = stage_open(MANY_PARTS);
	nth_sweep(&(struct nth_op){ "page table", table_make, table_destroy, &t,
				    NTH_TAKES, 0 });
	if (tap_failed())
		return;
	ASSERT_EQ(table_make(&t), 0);
	nth_sweep(&(struct nth_op){ "end of a page table", table_destroy,
				    table_make, &t, NTH_FREES, 0 });
	if (tap_failed())
		return;
	stage_dma_works(t.from, 0);
	ASSERT_EQ(table_destroy(&t), 0);
	stage_close(t.from);
}

static int cdev_attach(void *arg)
{
	struct two *t = arg;

	return iommufd_cdev_attach(t->from->dev[0].fd, t->from->space.ioas);
}

static int cdev_detach(void *arg)
{
	struct two *t = arg;

	return iommufd_cdev_detach(t->from->dev[0].fd);
}

static int cdev_to_table(void *arg)
{
	struct two *t = arg;

	return iommufd_cdev_attach(t->from->dev[0].fd, t->hwpt);
}

/* The first page table comes and goes with the device; and is replaced. */
static void iommufd_attach(void)
{
	struct two t;

	stage_use(VFIO_KIND_IOMMUFD);
	t.from = stage_open(MANY_PARTS);
	nth_sweep(&(struct nth_op){ "detach", cdev_detach, cdev_attach, &t,
				    NTH_FREES, 0 });
	if (tap_failed())
		return;
	ASSERT_EQ(cdev_detach(&t), 0);
	nth_sweep(&(struct nth_op){ "attach", cdev_attach, cdev_detach, &t,
				    NTH_TAKES, 0 });
	if (tap_failed())
		return;
	ASSERT_EQ(cdev_attach(&t), 0);
	ASSERT_EQ(table_make(&t), 0);
	nth_sweep(&(struct nth_op){ "replace", cdev_to_table, cdev_attach, &t,
				    NTH_TAKES, 0 });
	if (tap_failed())
		return;
	stage_dma_works(t.from, 0);
	ASSERT_EQ(table_destroy(&t), 0);
	stage_close(t.from);
}

/* The provider's own side of a mapping. */

static void *mapping;

static int p2pmem_take(void *arg)
{
	(void)arg;
	errno = 0;
	mapping = p2pmem_map(&scene_provider, 8 * PAGE);
	if (!mapping)
		return -errno;
	return 0;
}

static int p2pmem_give(void *arg)
{
	(void)arg;
	return munmap(mapping, 8 * PAGE) ? -errno : 0;
}

static void p2pmem_mappings(void)
{
	nth_sweep(&(struct nth_op){ "mmap of p2pmem", p2pmem_take, p2pmem_give,
				    NULL, NTH_TAKES, ENOENT });
}

/* The notifier itself, with made-up memory. */

struct fake {
	int fd;
	uint32_t provider, part, pin;
};

static int fake_provide(void *arg)
{
	struct fake *f = arg;

	return hostile_provide(f->fd, 100, 199, &f->provider);
}

static int fake_unprovide(void *arg)
{
	struct fake *f = arg;

	return hostile_unprovide(f->fd, f->provider);
}

static int fake_pin(void *arg)
{
	struct fake *f = arg;
	struct test_pfn_arg how = { 0 };
	int err = hostile_consumer(f->fd, &how);

	f->pin = how.id;
	return err;
}

static int fake_detach(void *arg)
{
	struct fake *f = arg;

	return hostile_detach(f->fd, f->pin);
}

/* Two runs: the second may fail with the first one there. */
static int fake_attach(void *arg)
{
	struct fake *f = arg;

	return hostile_attach(f->fd, f->pin, 0, 150, 0);
}

static int fake_detach_and_anew(void *arg)
{
	int err = fake_detach(arg);

	return err ? err : fake_pin(arg);
}

static int fake_revoke(void *arg)
{
	struct fake *f = arg;

	return hostile_revoke_part(f->fd, f->part);
}

static int fake_reopen(void *arg)
{
	struct fake *f = arg;

	return hostile_reopen(f->fd, f->part);
}

static void notifier(void)
{
	struct fake f;
	uint32_t id;

	f.fd = hostile_open();
	ASSERT_GE(f.fd, 0);
	ASSERT_EQ(hostile_provide(f.fd, 0, 99, &id), 0);
	ASSERT_EQ(hostile_part(f.fd, id, 20, 29, &f.part), 0);
	nth_sweep(&(struct nth_op){ "register", fake_provide, fake_unprovide,
				    &f, NTH_TAKES, 0 });
	ASSERT_EQ(fake_provide(&f), 0);
	nth_sweep(&(struct nth_op){ "unregister", fake_unprovide, fake_provide,
				    &f, NTH_FREES, 0 });
	nth_sweep(&(struct nth_op){ "pin", fake_pin, fake_detach, &f,
				    NTH_TAKES, 0 });
	ASSERT_EQ(fake_pin(&f), 0);
	nth_sweep(&(struct nth_op){ "attach", fake_attach, fake_detach_and_anew,
				    &f, NTH_TAKES, 0 });
	nth_sweep(&(struct nth_op){ "revoke of a part", fake_revoke, fake_reopen,
				    &f, NTH_FREES, 0 });
	ASSERT_EQ(fake_revoke(&f), 0);
	nth_sweep(&(struct nth_op){ "reopen of a part", fake_reopen, fake_revoke,
				    &f, NTH_TAKES, 0 });
	close(f.fd);
}

/*
 * The revoke alone, of everything that is attached to the provider's memory.
 * The provider knows nothing of it: its mappings stay, and can be pinned again
 * once the memory is open again.
 */
#define SPACES 3

struct all {
	int fd;
	uint32_t part;
	struct mem mem[2];
	struct stage *stage[SPACES];
};

static int all_take(struct all *a)
{
	int i, err = 0;

	for (i = 0; i < 2 && !err; i++)
		err = mr_reg(&a->mem[i]);
	for (i = 0; i < SPACES && !err; i++)
		if (a->stage[i])
			err = stage_map(a->stage[i]);
	return err;
}

static int all_give(struct all *a)
{
	int i, err = 0;

	for (i = 0; i < 2 && !err; i++)
		err = mr_dereg(&a->mem[i]);
	for (i = 0; i < SPACES && !err; i++)
		if (a->stage[i])
			err = dma_unmap(a->stage[i]);
	return err;
}

static int all_revoke(void *arg)
{
	struct all *a = arg;

	return hostile_revoke_part(a->fd, a->part);
}

static int all_again(void *arg)
{
	struct all *a = arg;
	int err = all_give(a);

	if (!err)
		err = hostile_reopen(a->fd, a->part);
	return err ? err : all_take(a);
}

static void revoke_all(void)
{
	static const enum vfio_kind kinds[] = {
		VFIO_KIND_TYPE1, VFIO_KIND_IOMMUFD,
	};
	struct scene *s = scene_open_bare(4);
	struct all a = { 0 };
	struct holders h;
	unsigned int i;

	a.fd = hostile_open();
	ASSERT_GE(a.fd, 0);
	ASSERT_EQ(holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0), 0);
	ASSERT_EQ(hostile_part_of_pfns(a.fd, h.start / PAGE, h.end / PAGE,
				       &a.part), 0);
	holders_free(&h);
	a.mem[0] = (struct mem){ .s = s, .at = s->area, .len = s->len,
				 .access = RDMA_ALL };
	a.mem[1] = (struct mem){ .s = s, .access = RDMA_ALL };
	a.mem[1].at = mixed(&a.mem[1].len);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		stage_use(kinds[i]);
		a.stage[i] = stage_open_bare(MANY_PARTS);
	}
	ASSERT_EQ(all_take(&a), 0);
	mr_works(&a.mem[0]);
	nth_sweep(&(struct nth_op){ "revoke", all_revoke, all_again, &a,
				    NTH_FREES, 0 });
	if (tap_failed())
		return;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		stage_dma_works(a.stage[i], 0);
	ASSERT_EQ(all_revoke(&a), 0);
	s->mr = a.mem[0].mr;
	EXPECT_GE(scene_attack_mr(s, 1), 1);
	s->mr = NULL;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		stage_p2p_is_dead(a.stage[i], 0);
	EXPECT_EQ(all_give(&a), 0);
	EXPECT_EQ(hostile_reopen(a.fd, a.part), 0);
	munmap(a.mem[1].at, a.mem[1].len);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		stage_drop(a.stage[i]);
	stage_use(VFIO_KIND_TYPE1);
	scene_close(s);
	close(a.fd);
}

/*
 * The unbind, with everything attached that there is. It may fail before it has
 * begun (the copy of what was written to sysfs), and then has done nothing.
 */
struct armed {
	int err;
	bool hit;
};

static bool unbind_armed(unsigned int n, struct armed *a)
{
	char path[128];
	int fds[2], fd;
	size_t len;
	pid_t pid;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind",
		 scene_provider.driver);
	len = strlen(scene_provider.bdf);
	if (pipe2(fds, O_CLOEXEC))
		return false;
	pid = fork();
	if (!pid) {
		struct armed mine = { 0, false };

		fd = open(path, O_WRONLY | O_CLOEXEC);
		nth_arm(n);
		if (write(fd, scene_provider.bdf, len) != (ssize_t)len)
			mine.err = errno;
		mine.hit = nth_hit();
		_exit(write(fds[1], &mine, sizeof(mine)) != sizeof(mine));
	}
	close(fds[1]);
	if (pid > 0 && read(fds[0], a, sizeof(*a)) != sizeof(*a))
		pid = -1;
	close(fds[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid > 0;
}

static bool all_revoked(void)
{
	struct holders h;
	bool none;

	if (holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0))
		return false;
	none = !h.found && !h.nr;
	holders_free(&h);
	return none;
}

static void unbinds(unsigned int limit)
{
	unsigned int n, refused = 0, absorbed = 0;
	struct armed a = { 0, true };

	for (n = 1; a.hit && n <= limit && !tap_failed(); n++) {
		struct scene *s = scene_open(4, 0);
		struct stage *t1, *fd;

		stage_use(VFIO_KIND_TYPE1);
		t1 = stage_open(MANY_PARTS);
		stage_use(VFIO_KIND_IOMMUFD);
		fd = stage_open(MANY_PARTS);
again:
		ASSERT_TRUE(unbind_armed(n, &a));
		if (a.err) {
			/* not begun */
			refused++;
			EXPECT_TRUE(a.hit);
			EXPECT_TRUE(a.err == ENOMEM || a.err == EFAULT);
			ASSERT_TRUE(provider_bound(&scene_provider));
			n++;
			goto again;
		}
		absorbed += a.hit;
		EXPECT_TRUE(!provider_bound(&scene_provider));
		EXPECT_TRUE(all_revoked());
		EXPECT_GE(scene_attack_mr(s, 1), 1);
		ASSERT_EQ(provider_bind(&scene_provider), 0);
		stage_drop(fd);
		stage_drop(t1);
		scene_close(s);
		stage_use(VFIO_KIND_TYPE1);
	}
	tap_note("unbind: %u faults%s, %u refused, %u absorbed",
		 refused + absorbed, a.hit ? " (there are more)" : "", refused, absorbed);
	EXPECT_GE(absorbed, 1);
}

static void unbind_all(void)
{
	unbinds(5000);
}

static void unbind_first(void)
{
	unbinds(6);
}

static bool init(void)
{
	return nth_init() && stage_init();
}

static const struct tap_test tests[] = {
	{ "reg_p2p", reg_p2p, 60 },
	{ "reg_large", reg_large, 60 },
	{ "reg_mixed", reg_mixed, 60 },
	{ "reg_ordinary", reg_ordinary, 60 },
	{ "rereg", rereg, 60 },
	{ "windows", windows, 60 },
	{ "close_with_mrs", close_with_mrs, 60 },
	{ "p2pmem_mappings", p2pmem_mappings, 60 },
	{ "type1_map", type1_map, 90 },
	{ "type1_close", type1_close, 90 },
	{ "type1_attach", type1_attach, 90 },
	{ "type1_attach_revoked", type1_attach_revoked, 90 },
	{ "compat_map", compat_map, 90 },
	{ "iommufd_maps", iommufd_maps, 90 },
	{ "iommufd_copies", iommufd_copies, 90 },
	{ "iommufd_tables", iommufd_tables, 90 },
	{ "iommufd_attach", iommufd_attach, 90 },
	{ "notifier", notifier, 60 },
	{ "revoke_all", revoke_all, 90 },
	{ "unbind_first", unbind_first, 60 },
	{ "unbind_all", unbind_all, 900 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"faults", tests, init, stage_before, stage_after,
	};

	return tap_main(argc, argv, &suite);
}
