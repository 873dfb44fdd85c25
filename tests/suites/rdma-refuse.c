// SPDX-License-Identifier: GPL-2.0
/*
 * What is refused, and that it is refused in the way it always was: only MRs
 * of drivers that can be revoked may hold P2P pages for long.
 *
 * Buffers of QPs, CQs, SRQs and doorbells are not tried: rxe allocates them in
 * the kernel and has no umem of them that could be refused.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "p2pmem.h"
#include "scene.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The errno of a call that has to fail; 0 when it did not. */
#define ERRNO_OF(failed) ({ errno = 0; (failed) ? errno : 0; })

static void private_mapping(void)
{
	EXPECT_EQ(ERRNO_OF(!p2pmem_mmap(&scene_provider, NULL, PAGE,
					MAP_PRIVATE, 0)), EINVAL);
}

static void offset_mapping(void)
{
	EXPECT_EQ(ERRNO_OF(!p2pmem_mmap(&scene_provider, NULL, PAGE, MAP_SHARED,
					PAGE)), EINVAL);
	EXPECT_EQ(ERRNO_OF(!p2pmem_mmap(&scene_provider, NULL, PAGE, MAP_SHARED,
					1 << 20)), EINVAL);
}

static void more_than_there_is(void)
{
	EXPECT_EQ(ERRNO_OF(!p2pmem_map(&scene_provider,
				       scene_provider.size + PAGE)), ENOMEM);
}

static void mr_beyond_mapping(void)
{
	struct scene *s = scene_open_bare(1);
	unsigned char *m;

	m = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	ASSERT_TRUE(p2pmem_mmap(&scene_provider, m + PAGE, 2 * PAGE,
				MAP_SHARED | MAP_FIXED, 0));
	/* one page too far, one byte too far, one page too early */
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m + PAGE, 3 * PAGE,
				       RDMA_ALL)), EFAULT);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m + PAGE, 2 * PAGE + 1,
				       RDMA_ALL)), EFAULT);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m, 2 * PAGE, RDMA_ALL)),
		  EFAULT);
	/* with a hole behind it */
	munmap(m + 3 * PAGE, PAGE);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m + PAGE, 3 * PAGE,
				       RDMA_ALL)), EFAULT);
	EXPECT_EQ(account_pinned(getpid()), s->pinned + 4);
	/* and what was pinned on the way is free again */
	munmap(m, 3 * PAGE);
	scene_close(s);
}

static void read_only_mapping(void)
{
	struct scene *s = scene_open_bare(1);
	struct rdma_op op;
	char path[128];
	int fd;
	void *m;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/p2pmem/allocate",
		 scene_provider.bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	m = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	ASSERT_TRUE(m != MAP_FAILED);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m, PAGE, RDMA_ALL)), EFAULT);

	s->mr = ibv_reg_mr(s->rdma.pd, m, PAGE, IBV_ACCESS_REMOTE_READ);
	ASSERT_TRUE(s->mr);
	op = scene_op(s, IBV_WR_RDMA_READ, 64);
	op.raddr = (uintptr_t)m;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(memcmp(s->buf, m, 64), 0);
	op.opcode = IBV_WR_RDMA_WRITE;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_REM_ACCESS_ERR);
	munmap(m, PAGE);
	/* a revoke does not ask how it was pinned */
	scene_unbind(NULL, NULL, NULL, 0);
	op.opcode = IBV_WR_RDMA_READ;
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_REM_ACCESS_ERR);
	scene_close(s);
}

static int nobody(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	ASSERT_EQ(setgroups(0, NULL), 0);
	ASSERT_EQ(setgid(65534), 0);
	ASSERT_EQ(setuid(65534), 0);
	EXPECT_EQ(ERRNO_OF(!p2pmem_map(&scene_provider, PAGE)), EACCES);
	return 0;
}

static void no_permission(void)
{
	struct worker w;

	ASSERT_EQ(worker_start(&w, "nobody", nobody, NULL), 0);
	EXPECT_EQ(worker_join(&w, 10), 0);
}

static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		return -errno;
	d[CAP_IPC_LOCK / 32].effective &= ~(1u << (CAP_IPC_LOCK % 32));
	d[CAP_IPC_LOCK / 32].permitted &= ~(1u << (CAP_IPC_LOCK % 32));
	return syscall(SYS_capset, &h, d) ? -errno : 0;
}

static int limited(int fd, void *arg)
{
	struct ibv_mr *mr, *more;
	struct rdma r;
	unsigned char *m;

	(void)fd;
	(void)arg;
	ASSERT_EQ(rdma_open(&r), 0);
	m = p2pmem_map(&scene_provider, 32 * PAGE);
	ASSERT_TRUE(m);
	ASSERT_EQ(account_limit(16 * PAGE), 0);
	ASSERT_EQ(drop_ipc_lock(), 0);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(r.pd, m, 17 * PAGE, RDMA_ALL)), ENOMEM);
	EXPECT_EQ(account_pinned(getpid()), 0);
	mr = ibv_reg_mr(r.pd, m, 16 * PAGE, RDMA_ALL);
	ASSERT_TRUE(mr);
	EXPECT_EQ(account_pinned(getpid()), 64);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(r.pd, m, PAGE, RDMA_ALL)), ENOMEM);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	more = ibv_reg_mr(r.pd, m + PAGE, PAGE, RDMA_ALL);
	ASSERT_TRUE(more);
	EXPECT_EQ(account_pinned(getpid()), 4);
	EXPECT_EQ(ibv_dereg_mr(more), 0);
	EXPECT_EQ(account_pinned(getpid()), 0);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}

static void memlock_limit(void)
{
	struct worker w;

	ASSERT_EQ(worker_start(&w, "limited", limited, NULL), 0);
	EXPECT_EQ(worker_join(&w, 20), 0);
}

/* A revoke gives the charge back, so that the limit has room again. */
static int limited_revoked(int fd, void *arg)
{
	struct ibv_mr *mr, *ram;
	struct rdma r;
	void *m, *a;

	(void)arg;
	ASSERT_EQ(rdma_open(&r), 0);
	m = p2pmem_map(&scene_provider, 16 * PAGE);
	ASSERT_TRUE(m);
	a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(a != MAP_FAILED);
	ASSERT_EQ(account_limit(16 * PAGE), 0);
	ASSERT_EQ(drop_ipc_lock(), 0);
	mr = ibv_reg_mr(r.pd, m, 16 * PAGE, RDMA_ALL);
	ASSERT_TRUE(mr);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(r.pd, a, PAGE, RDMA_ALL)), ENOMEM);
	ASSERT_TRUE(worker_tell(fd, 'r'));
	ASSERT_TRUE(worker_hear(fd, 'u', 30));
	EXPECT_EQ(account_pinned(getpid()), 0);
	ram = ibv_reg_mr(r.pd, a, 16 * PAGE, RDMA_ALL);
	ASSERT_TRUE(ram);
	/* and deregistering the revoked one does not give it back twice */
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	EXPECT_EQ(account_pinned(getpid()), 64);
	EXPECT_EQ(ibv_dereg_mr(ram), 0);
	EXPECT_EQ(account_pinned(getpid()), 0);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}

static void memlock_after_revoke(void)
{
	struct worker w;
	struct unbind u;

	ASSERT_EQ(worker_start(&w, "limited", limited_revoked, NULL), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 20));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_TRUE(worker_tell(w.fd, 'u'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	scene_aftermath(&u, NULL, NULL, NULL, 0);
}

/* The mapping is still there, the memory is not. */
static void mr_on_zapped_mapping(void)
{
	struct scene *s = scene_open_bare(2);
	struct unbind u;
	int err;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	err = ERRNO_OF(!ibv_reg_mr(s->rdma.pd, s->area, s->len, RDMA_ALL));
	tap_note("while unbound: %s", strerror(err));
	EXPECT_TRUE(err == EFAULT || err == ENODEV);
	scene_aftermath(&u, &s->observer, NULL, NULL, 0);
	/* the driver is back, but this mapping belongs to the time before */
	err = ERRNO_OF(!ibv_reg_mr(s->rdma.pd, s->area, s->len, RDMA_ALL));
	tap_note("bound again: %s", strerror(err));
	EXPECT_TRUE(err == EFAULT || err == ENODEV);
	EXPECT_TRUE(mem_is_gone(s->area));
	scene_close(s);
}

/* Other long-term users: refused as on a stock kernel. */

static int fixed_buffer(void *at, size_t len)
{
	struct io_uring_params p = { 0 };
	struct iovec iov = { at, len };
	int ring, err = 0;

	ring = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (ring < 0)
		return errno;
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS,
		    &iov, 1))
		err = errno;
	close(ring);
	return err;
}

static void io_uring_fixed_buffers(void)
{
	struct scene *s = scene_open_bare(4);
	int err;

	err = fixed_buffer(s->buf, s->len);
	if (err == ENOSYS) {
		scene_close(s);
		TAP_SKIP("the kernel has no io_uring");
	}
	EXPECT_EQ(err, 0);		/* ordinary memory */
	err = fixed_buffer(s->area, s->len);
	tap_note("IORING_REGISTER_BUFFERS on p2pmem: %s", strerror(err));
	EXPECT_TRUE(err == EFAULT || err == EREMOTEIO);
	/* nothing stays pinned: the unbind has nobody to tell */
	scene_unbind(&s->observer, NULL, NULL, 0);
	scene_close(s);
}

/* Short-term users keep what they had. */

static void vmsplice_refused(void)
{
	struct scene *s = scene_open_bare(1);
	struct iovec iov = { s->area, PAGE };
	int fds[2], err;

	ASSERT_EQ(pipe(fds), 0);
	err = ERRNO_OF(vmsplice(fds[1], &iov, 1, 0) < 0);
	tap_note("vmsplice of p2pmem: %s", strerror(err));
	EXPECT_TRUE(err == EFAULT || err == EREMOTEIO);
	close(fds[0]);
	close(fds[1]);
	scene_close(s);
}

static void process_vm_refused(void)
{
	struct scene *s = scene_open_bare(1);
	struct iovec to = { s->buf, 64 }, from = { s->area, 64 };
	int err;

	/* the pages of a process are pinned, even one's own */
	err = ERRNO_OF(process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0);
	tap_note("process_vm_readv of p2pmem: %s", strerror(err));
	EXPECT_TRUE(err == EFAULT || err == EREMOTEIO);
	scene_close(s);
}

/*
 * O_DIRECT pins for the time of the transfer, with FOLL_PCI_P2PDMA: allowed
 * before, allowed now, on the provider's own namespace.
 */
static void o_direct_still_works(void)
{
	struct scene *s = scene_open_bare(2);
	unsigned char *ram;
	ssize_t n;
	int fd;

	fd = open("/dev/nvme0n1", O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0) {
		int err = errno;

		scene_close(s);
		TAP_SKIP("no namespace to read from: %s", strerror(err));
	}
	ram = aligned_alloc(PAGE, PAGE);
	ASSERT_TRUE(ram);
	ASSERT_EQ(pread(fd, ram, PAGE, 0), PAGE);
	n = pread(fd, s->area, PAGE, 0);
	if (n < 0)
		tap_note("O_DIRECT read into p2pmem: %s", strerror(errno));
	EXPECT_EQ(n, PAGE);
	EXPECT_EQ(memcmp(s->area, ram, PAGE), 0);
	free(ram);
	close(fd);
	scene_unbind(&s->observer, NULL, NULL, 0);
	scene_close(s);
}

/* The same, going on while the driver is unbound: it ends, it does not hang. */
struct reader {
	volatile uint64_t good, bad;
	volatile int err;
};

static int reading(int fd, void *arg)
{
	struct reader *r = arg;
	unsigned char *m;
	int disk;

	disk = open("/dev/nvme0n1", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ASSERT_GE(disk, 0);
	m = p2pmem_map(&scene_provider, 8 * PAGE);
	ASSERT_TRUE(m);
	ASSERT_TRUE(worker_tell(fd, 'r'));
	while (!worker_pending(fd)) {
		if (pread(disk, m, 8 * PAGE, 0) > 0) {
			r->good++;
			continue;
		}
		r->err = errno;
		r->bad++;
		usleep(1000);
	}
	EXPECT_TRUE(mem_is_gone(m));
	close(disk);
	return 0;
}

static void o_direct_at_unbind(void)
{
	struct reader *r = worker_shared(sizeof(*r));
	struct worker w;
	struct unbind u;
	double end;

	ASSERT_TRUE(r);
	if (access("/dev/nvme0n1", F_OK))
		TAP_SKIP("no namespace to read from");
	ASSERT_EQ(worker_start(&w, "reader", reading, r), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 20));
	end = clock_now() + 10 * clock_scale();
	while (r->good < 20 && clock_now() < end)
		usleep(5000);
	EXPECT_GE(r->good, 20);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	end = clock_now() + 10 * clock_scale();
	while (!r->bad && clock_now() < end)
		usleep(5000);
	EXPECT_GE(r->bad, 1);
	tap_note("%llu reads, then: %s", (unsigned long long)r->good,
		 strerror(r->err));
	EXPECT_TRUE(worker_tell(w.fd, 's'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	scene_aftermath(&u, NULL, NULL, NULL, 0);
	worker_unshare(r, sizeof(*r));
}

/*
 * Other memory for a region that is there already, which nobody would be notified
 * for: refused, whatever kind the two are. The region stays what it was.
 */
static void rereg_to_other_memory(void)
{
	struct scene *s = scene_open(2, 0);
	unsigned char *ram = aligned_alloc(PAGE, PAGE);
	struct rdma_op op;

	ASSERT_TRUE(ram);
	EXPECT_EQ(rdma_rereg(s->buf_mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL,
			     s->area, PAGE, 0), -EOPNOTSUPP);
	EXPECT_EQ(rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL,
			     s->area + PAGE, PAGE, 0), -EOPNOTSUPP);
	EXPECT_EQ(rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL,
			     ram, PAGE, 0), -EOPNOTSUPP);
	op = scene_op(s, IBV_WR_RDMA_WRITE, 64);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(memcmp(s->area, s->buf, 64), 0);
	EXPECT_EQ(rdma_told_revoked(&s->rdma), 0);
	scene_unbind(&s->observer, scene_attack_mr, s, 4);
	EXPECT_EQ(rdma_told_revoked(&s->rdma), s->mr->lkey);
	EXPECT_EQ(rdma_told_revoked(&s->rdma), 0);
	free(ram);
	scene_close(s);
}

static const struct tap_test tests[] = {
	{ "private_mapping", private_mapping, 0 },
	{ "offset_mapping", offset_mapping, 0 },
	{ "more_than_there_is", more_than_there_is, 0 },
	{ "mr_beyond_mapping", mr_beyond_mapping, 0 },
	{ "read_only_mapping", read_only_mapping, 0 },
	{ "no_permission", no_permission, 0 },
	{ "memlock_limit", memlock_limit, 0 },
	{ "memlock_after_revoke", memlock_after_revoke, 0 },
	{ "mr_on_zapped_mapping", mr_on_zapped_mapping, 0 },
	{ "rereg_to_other_memory", rereg_to_other_memory, 0 },
	{ "io_uring_fixed_buffers", io_uring_fixed_buffers, 0 },
	{ "vmsplice_refused", vmsplice_refused, 0 },
	{ "process_vm_refused", process_vm_refused, 0 },
	{ "o_direct_still_works", o_direct_still_works, 0 },
	{ "o_direct_at_unbind", o_direct_at_unbind, 30 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-refuse", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
