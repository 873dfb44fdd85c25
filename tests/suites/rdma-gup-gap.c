// SPDX-License-Identifier: GPL-2.0
/*
 * One registration covers P2P pages and a page whose fault user space answers
 * when it likes (userfaultfd). Nothing may wait on user space between pinning
 * a P2P page and attaching it to the notifier: else any user could hang the
 * unbind at will.
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
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Pages of the region, in this order; any of them may be 0. */
struct layout {
	size_t p2p_before, slow, p2p_after;
};

struct region {
	unsigned char *mem;
	size_t len;
	unsigned char *slow;
	size_t slow_len;
	int uffd;
};

static int slow_pages(struct region *g)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)g->slow, g->slow_len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	g->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (g->uffd < 0)
		return -errno;
	if (ioctl(g->uffd, UFFDIO_API, &api) ||
	    ioctl(g->uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

static void region_open(struct region *g, const struct layout *l)
{
	size_t at = 0;

	g->len = (l->p2p_before + l->slow + l->p2p_after) * PAGE;
	g->mem = mmap(NULL, g->len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(g->mem != MAP_FAILED);
	if (l->p2p_before)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider, g->mem,
					l->p2p_before * PAGE,
					MAP_SHARED | MAP_FIXED, 0));
	at = l->p2p_before * PAGE;
	g->slow = g->mem + at;
	g->slow_len = l->slow * PAGE;
	at += g->slow_len;
	if (l->p2p_after)
		ASSERT_TRUE(p2pmem_mmap(&scene_provider, g->mem + at,
					l->p2p_after * PAGE,
					MAP_SHARED | MAP_FIXED, 0));
	ASSERT_EQ(slow_pages(g), 0);
}

static void region_close(struct region *g)
{
	close(g->uffd);
	munmap(g->mem, g->len);
}

/* True once somebody sleeps on one of the slow pages. */
static bool somebody_sleeps(struct region *g)
{
	struct pollfd pfd = { .fd = g->uffd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&pfd, 1, (int)(10000 * clock_scale())) == 1 &&
	       read(g->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

static int let_go(struct region *g)
{
	struct uffdio_zeropage z = {
		.range = { (uintptr_t)g->slow, g->slow_len },
	};

	return ioctl(g->uffd, UFFDIO_ZEROPAGE, &z) ? -errno : 0;
}

struct registration {
	struct rdma *rdma;
	struct region *region;
	struct ibv_mr *mr;
	int err;
	volatile bool done;
};

static void *registrar(void *arg)
{
	struct registration *r = arg;

	errno = 0;
	r->mr = ibv_reg_mr(r->rdma->pd, r->region->mem, r->region->len, RDMA_ALL);
	r->err = errno;
	r->done = true;
	return NULL;
}

static bool join(pthread_t t)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += (time_t)(10 * clock_scale());
	return pthread_timedjoin_np(t, NULL, &end) == 0;
}

static void unbind_in_the_gap(const struct layout *l)
{
	struct scene *s = scene_open_bare(1);
	long before = account_pinned(getpid());
	struct region g;
	struct registration r = { .rdma = &s->rdma, .region = &g };
	struct unbind u;
	pthread_t t;

	region_open(&g, l);
	ASSERT_EQ(pthread_create(&t, NULL, registrar, &r), 0);
	ASSERT_TRUE(somebody_sleeps(&g));
	EXPECT_TRUE(!r.done);

	if (!unbind_now(&scene_provider, &u)) {
		/* Let the thread go, so that the machine comes out of it. */
		EXPECT_TRUE(!"the unbind waits for user space");
		let_go(&g);
		join(t);
		if (r.mr)
			ibv_dereg_mr(r.mr);
		unbind_wait(&u, 10 * clock_scale(), NULL, 0);
		region_close(&g);
		scene_close(s);
		return;
	}
	EXPECT_EQ(u.err, 0);
	tap_note("the unbind took %.3f s while the registration slept", u.seconds);
	EXPECT_LE(u.seconds * 1000, unbind_limit() * 1000);
	EXPECT_TRUE(!r.done);

	EXPECT_EQ(let_go(&g), 0);
	ASSERT_TRUE(join(t));
	EXPECT_TRUE(!r.mr);
	if (r.mr) {
		ibv_dereg_mr(r.mr);
	} else {
		tap_note("ibv_reg_mr(): %s", strerror(r.err));
		EXPECT_TRUE(r.err == ENODEV || r.err == EFAULT);
	}
	EXPECT_EQ(account_pinned(getpid()), before);
	region_close(&g);
	scene_aftermath(&u, NULL, NULL, NULL, 0);
	scene_close(s);
}

static void p2p_then_slow(void)
{
	unbind_in_the_gap(&(struct layout){ 4, 1, 0 });
}

static void slow_then_p2p(void)
{
	unbind_in_the_gap(&(struct layout){ 0, 1, 4 });
}

static void p2p_slow_p2p(void)
{
	unbind_in_the_gap(&(struct layout){ 2, 2, 2 });
}

/* More pages than ib_umem pins in one call, and a slow one in the last. */
static void many_p2p_then_slow(void)
{
	unbind_in_the_gap(&(struct layout){ 1100, 1, 3 });
}

/* Without an unbind the registration just takes longer, and works. */
static void no_unbind(void)
{
	struct scene *s = scene_open_bare(6);
	struct layout l = { 2, 2, 2 };
	struct region g;
	struct registration r = { .rdma = &s->rdma, .region = &g };
	struct rdma_op op;
	pthread_t t;

	region_open(&g, &l);
	ASSERT_EQ(pthread_create(&t, NULL, registrar, &r), 0);
	ASSERT_TRUE(somebody_sleeps(&g));
	EXPECT_EQ(let_go(&g), 0);
	ASSERT_TRUE(join(t));
	if (!r.mr)
		errno = r.err;
	ASSERT_TRUE(r.mr);
	op = scene_op(s, IBV_WR_RDMA_WRITE, g.len);
	op.raddr = (uintptr_t)g.mem;
	op.rkey = r.mr->rkey;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(memcmp(g.mem, s->buf, g.len), 0);
	EXPECT_EQ(ibv_dereg_mr(r.mr), 0);
	region_close(&g);
	scene_close(s);
}

/* The page stays missing for ever: the unbind returns, the owner can be killed. */
static int sleeping_owner(int fd, void *arg)
{
	struct layout l = { 4, 1, 0 };
	struct rdma r;
	struct region g;
	struct registration reg = { .rdma = &r, .region = &g };
	pthread_t t;

	(void)arg;
	ASSERT_EQ(rdma_open(&r), 0);
	region_open(&g, &l);
	ASSERT_EQ(pthread_create(&t, NULL, registrar, &reg), 0);
	ASSERT_TRUE(somebody_sleeps(&g));
	ASSERT_TRUE(worker_tell(fd, 's'));
	pause();
	return 0;
}

static void owner_killed_in_the_gap(void)
{
	struct worker w;
	struct unbind u;
	int round;

	/* killed after the unbind, and killed before it */
	for (round = 0; round < 2 && !tap_failed(); round++) {
		ASSERT_EQ(worker_start(&w, "sleeper", sleeping_owner, NULL), 0);
		ASSERT_TRUE(worker_hear(w.fd, 's', 20));
		if (round)
			worker_kill(&w, SIGKILL);
		if (!EXPECT_TRUE(unbind_now(&scene_provider, &u))) {
			worker_kill(&w, SIGKILL);
			worker_join(&w, 10);
			unbind_wait(&u, 10 * clock_scale(), NULL, 0);
			return;
		}
		worker_kill(&w, SIGKILL);
		EXPECT_NE(worker_join(&w, 10), -1);
		scene_aftermath(&u, NULL, NULL, NULL, 0);
	}
}

static const struct tap_test tests[] = {
	{ "no_unbind", no_unbind, 0 },
	{ "p2p_then_slow", p2p_then_slow, 30 },
	{ "slow_then_p2p", slow_then_p2p, 30 },
	{ "p2p_slow_p2p", p2p_slow_p2p, 30 },
	{ "many_p2p_then_slow", many_p2p_then_slow, 30 },
	{ "owner_killed_in_the_gap", owner_killed_in_the_gap, 40 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-gup-gap", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
