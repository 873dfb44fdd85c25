// SPDX-License-Identifier: GPL-2.0
/*
 * What comes before what: the revoke before the shutdown of the controller,
 * GUP-fast before the mmap_lock. And two ways to map the provider's memory
 * that are no way to an MR: the BAR itself, and a file system stacked on sysfs.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "mutate.h"
#include "p2pmem.h"
#include "scene.h"
#include "stacks.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The errno of a call that has to fail; 0 when it did not. */
#define ERRNO_OF(failed) ({ errno = 0; (failed) ? errno : 0; })

static bool init(void)
{
	return mutate_there() && scene_init();
}

static void after(void)
{
	mutate_restore();
	scene_after();
}

/* Waits until the kernel stack of a task shows a function. */
static bool wait_for_stack(pid_t tid, const char *function, double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	char stack[4096];

	do {
		stack_of(tid, stack, sizeof(stack));
		if (strstr(stack, function))
			return true;
		clock_sleep_ms(2);
	} while (clock_now() < end);
	stack_note(tid, function);
	return false;
}

static bool wait_for(volatile bool *flag, double seconds)
{
	double end = clock_now() + seconds * clock_scale();

	while (!*flag && clock_now() < end)
		clock_sleep_ms(1);
	return *flag;
}

/*
 * The unbind is held in the driver's remove(), after the revoke and before
 * anything of the controller is shut down. All must be over by then: nobody
 * may do DMA to a device that is going off. While it is held, the kernel also
 * tries the pool, and warns if it gets memory (case 54): what this test says
 * nothing about, the kernel log does.
 */
static void revoked_before_shutdown(void)
{
	struct scene *s = scene_open(2, 0);
	struct rdma_op op = scene_op(s, IBV_WR_RDMA_WRITE, 64);
	struct ibv_mr *mr;
	struct unbind u;
	double held;
	void *m;

	ASSERT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(account_pinned(getpid()), s->pinned + 16);
	/* enabling the device would wait for the unbind */
	ASSERT_EQ(observer_open(&s->observer), 0);

	ASSERT_EQ(mutate_add("remove_gap"), 0);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	ASSERT_TRUE(wait_for_stack(u.pid, "pfn_revoke_pause", 10));
	held = clock_now();

	/* at once: nothing of this may still be under way */
	EXPECT_EQ(account_pinned(getpid()), s->pinned + 8);
	EXPECT_TRUE(mem_is_gone(s->area));
	EXPECT_TRUE(mem_is_gone(s->map));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	EXPECT_GE(scene_attack_mr(s, 8), 8);
	EXPECT_EQ(observer_changed(&s->observer), 0);
	/* the door is closed: no new mapping, no new MR of the old one */
	m = p2pmem_map(&scene_provider, PAGE);
	EXPECT_TRUE(!m);
	if (m)
		munmap(m, PAGE);
	mr = ibv_reg_mr(s->rdma.pd, s->area, PAGE, RDMA_ALL);
	EXPECT_TRUE(!mr);
	if (mr)
		ibv_dereg_mr(mr);

	/* all of that with the unbind in remove() */
	EXPECT_TRUE(!unbind_wait(&u, 0, NULL, 0));
	EXPECT_TRUE(wait_for_stack(u.pid, "nvme_remove", 0));

	held = clock_now() - held;
	ASSERT_EQ(mutate_restore(), 0);
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	/* the pause is not the unbind's own time */
	u.seconds -= held;
	/*
	 * What got through to the device would now fall into a hole, and the
	 * kernel over it.
	 */
	if (tap_failed())
		scene_aftermath(&u, NULL, NULL, NULL, 0);
	else
		scene_aftermath(&u, &s->observer, scene_attack_mr, s, 8);
	scene_close(s);
}

/* One thread each; what they do is in shared memory, for the parent to see. */
struct lock_race {
	volatile pid_t mapper_tid, slow_tid;
	volatile bool mapped, slow_done, fast_done;
	volatile bool mapped_first;	/* the mmap() was over by then */
	volatile int map_err, slow_err, anon_err, p2p_err;
	volatile double anon_seconds, p2p_seconds;
};

/* What the threads of the worker share. All of it is touched beforehand. */
static struct {
	struct lock_race *race;
	struct rdma rdma;
	sem_t map, slow;
	int fd;				/* of p2pmem/allocate */
	void *p2p, *anon, *warm, *untouched, *mapping;
	struct ibv_mr *slow_mr;
} lock;

static int reg_dereg(void *at)
{
	struct ibv_mr *mr = ibv_reg_mr(lock.rdma.pd, at, 4 * PAGE, RDMA_ALL);

	if (!mr)
		return errno ? errno : EINVAL;
	return ibv_dereg_mr(mr);
}

/* Holds the mmap_lock for writing while it is paused. */
static void *lock_mapper(void *arg)
{
	struct lock_race *race = lock.race;
	void *m;

	(void)arg;
	race->mapper_tid = (pid_t)syscall(SYS_gettid);
	sem_wait(&lock.map);
	m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, lock.fd, 0);
	race->map_err = m == MAP_FAILED ? errno : 0;
	race->mapped = true;
	lock.mapping = m == MAP_FAILED ? NULL : m;
	return NULL;
}

/* Registers memory that is not there yet: that takes the mmap_lock. */
static void *lock_slow(void *arg)
{
	struct lock_race *race = lock.race;

	(void)arg;
	reg_dereg(lock.warm);
	race->slow_tid = (pid_t)syscall(SYS_gettid);
	sem_wait(&lock.slow);
	race->slow_err = reg_dereg(lock.untouched);
	race->slow_done = true;
	return NULL;
}

static void *anon_pages(void)
{
	void *m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_TRUE(m != MAP_FAILED);
	return m;
}

static int lock_owner(int fd, void *arg)
{
	struct lock_race *race = arg;
	pthread_t mapper, slow;
	char path[128];
	double t;

	/*
	 * Nothing in user space may need the lock: one arena that grows now
	 * and never shrinks, and every call made once before it counts.
	 */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 1 << 25);
	mallopt(M_TRIM_THRESHOLD, 1 << 25);
	mallopt(M_TOP_PAD, 1 << 20);

	lock.race = race;
	ASSERT_EQ(rdma_open(&lock.rdma), 0);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/p2pmem/allocate",
		 scene_provider.bdf);
	lock.fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(lock.fd, 0);
	lock.p2p = p2pmem_map(&scene_provider, 4 * PAGE);
	ASSERT_TRUE(lock.p2p);
	lock.anon = anon_pages();
	lock.warm = anon_pages();
	lock.untouched = anon_pages();
	mem_fill(lock.p2p, 4 * PAGE, 1);
	mem_fill(lock.anon, 4 * PAGE, 2);
	mem_fill(lock.warm, 4 * PAGE, 3);
	ASSERT_EQ(sem_init(&lock.map, 0, 0), 0);
	ASSERT_EQ(sem_init(&lock.slow, 0, 0), 0);
	ASSERT_EQ(pthread_create(&mapper, NULL, lock_mapper, NULL), 0);
	ASSERT_EQ(pthread_create(&slow, NULL, lock_slow, NULL), 0);
	ASSERT_EQ(reg_dereg(lock.anon), 0);
	ASSERT_EQ(reg_dereg(lock.p2p), 0);
	t = clock_now();
	while (!race->mapper_tid || !race->slow_tid) {
		ASSERT_TRUE(clock_now() < t + 10 * clock_scale());
		clock_sleep_ms(1);
	}
	ASSERT_TRUE(worker_tell(fd, 'r'));

	/* the parent has switched the pause on, and sees who is where */
	ASSERT_TRUE(worker_hear(fd, 'm', 20));
	sem_post(&lock.map);
	ASSERT_TRUE(worker_hear(fd, 's', 20));
	sem_post(&lock.slow);
	ASSERT_TRUE(worker_hear(fd, 'f', 20));
	t = clock_now();
	race->anon_err = reg_dereg(lock.anon);
	race->anon_seconds = clock_now() - t;
	t = clock_now();
	race->p2p_err = reg_dereg(lock.p2p);
	race->p2p_seconds = clock_now() - t;
	race->mapped_first = race->mapped;
	race->fast_done = true;

	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	ASSERT_EQ(pthread_join(mapper, NULL), 0);
	ASSERT_EQ(pthread_join(slow, NULL), 0);
	if (lock.mapping)
		EXPECT_EQ(reg_dereg(lock.mapping), 0);
	EXPECT_EQ(account_pinned(getpid()), 0);
	if (lock.mapping)
		munmap(lock.mapping, 4 * PAGE);
	munmap(lock.p2p, 4 * PAGE);
	close(lock.fd);
	EXPECT_EQ(rdma_close(&lock.rdma), 0);
	return 0;
}

/*
 * An mmap() sits in the kernel with the mmap_lock of the process held for
 * writing. Registering pages that are mapped must not care: GUP-fast does
 * without that lock, and only GUP-fast does. The control is a registration of
 * pages that are not there, which has to wait for the lock.
 */
static void gup_fast_is_taken(void)
{
	struct lock_race *race = worker_shared(sizeof(*race));
	struct worker w;
	bool held;

	ASSERT_TRUE(race);
	ASSERT_EQ(worker_start(&w, "registrar", lock_owner, race), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 20));
	ASSERT_EQ(mutate_add("mmap_gap"), 0);
	ASSERT_TRUE(worker_tell(w.fd, 'm'));
	held = EXPECT_TRUE(wait_for_stack(race->mapper_tid, "pfn_revoke_pause", 5));
	ASSERT_TRUE(worker_tell(w.fd, 's'));
	/* in GUP and not, say, in malloc() */
	held &= EXPECT_TRUE(wait_for_stack(race->slow_tid,
					   "__gup_longterm_locked", 5));
	if (!held)
		tap_note("the lock was not held: what follows says nothing");

	ASSERT_TRUE(worker_tell(w.fd, 'f'));
	EXPECT_TRUE(wait_for(&race->fast_done, 5));
	if (!race->fast_done)
		stack_note(w.pid, "the registration");
	EXPECT_TRUE(!race->mapped);
	EXPECT_TRUE(!race->slow_done);
	EXPECT_TRUE(wait_for_stack(race->slow_tid, "__gup_longterm_locked", 0));

	ASSERT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(wait_for(&race->mapped, 5));
	EXPECT_TRUE(wait_for(&race->slow_done, 5));
	EXPECT_TRUE(wait_for(&race->fast_done, 5));
	EXPECT_TRUE(!race->mapped_first);
	EXPECT_EQ(race->map_err, 0);
	EXPECT_EQ(race->slow_err, 0);
	EXPECT_EQ(race->anon_err, 0);
	EXPECT_EQ(race->p2p_err, 0);
	tap_note("with the mmap_lock held elsewhere: ordinary memory %.1f ms, p2pmem %.1f ms",
		 race->anon_seconds * 1000, race->p2p_seconds * 1000);
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	worker_unshare(race, sizeof(*race));
}

/* Neither of it may be registered, nor leave anything behind. */
static void refused(struct scene *s, unsigned char *m, unsigned char *mixed)
{
	long pinned = account_pinned(getpid());

	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m, PAGE, RDMA_ALL)), EFAULT);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m, PAGE,
				       IBV_ACCESS_REMOTE_READ)), EFAULT);
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, m + 8, 64, 0)), EFAULT);
	/* behind a page that is pinned first */
	EXPECT_EQ(ERRNO_OF(!ibv_reg_mr(s->rdma.pd, mixed, 2 * PAGE, RDMA_ALL)),
		  EFAULT);
	EXPECT_EQ(account_pinned(getpid()), pinned);
}

/*
 * The BAR through its sysfs resource file is VM_PFNMAP. While the driver is
 * bound these are the very PFNs that p2pmem hands out, with struct pages; that
 * makes no difference.
 */
static void pfnmap_refused(void)
{
	struct scene *s = scene_open(1, 0);
	struct observer *o = &s->observer;
	unsigned char *m, *mixed;
	char path[128];
	struct unbind u;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d",
		 o->bdf, o->bar);
	fd = open(path, O_RDWR | O_CLOEXEC | O_SYNC);
	ASSERT_GE(fd, 0);
	mixed = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(mixed != MAP_FAILED);
	mem_fill(mixed, PAGE, 1);
	ASSERT_TRUE(mmap(mixed + PAGE, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd,
			 (off_t)(o->offset + PAGE)) != MAP_FAILED);
	m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 (off_t)(o->offset + PAGE));
	ASSERT_TRUE(m != MAP_FAILED);
	close(fd);

	/* the page of the area, and it is mapped */
	mem_fill(s->area, PAGE, 7);
	EXPECT_EQ(mem_differs(m, PAGE, 7), 0);
	EXPECT_EQ(mem_differs(mixed + PAGE, PAGE, 7), 0);
	refused(s, m, mixed);

	ASSERT_EQ(observer_open(o), 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	/* it is the BAR still */
	EXPECT_TRUE(mem_is_gone(s->area));
	EXPECT_TRUE(!mem_is_gone(m));
	EXPECT_TRUE(!mem_is_gone(mixed + PAGE));
	refused(s, m, mixed);
	munmap(m, PAGE);
	munmap(mixed, 2 * PAGE);
	scene_aftermath(&u, o, scene_attack_mr, s, 8);
	scene_close(s);
}

/*
 * overlayfs maps the file below it in its own mmap(), when no removal of that
 * file could find the mapping. So there is none.
 */
static void overlay_refused(void)
{
	char top[] = "/tmp/overlay-XXXXXX", empty[64], at[64], path[128];
	char options[256], text[32] = "";
	struct unbind u;
	void *m;
	int fd, direct;

	ASSERT_TRUE(mkdtemp(top));
	snprintf(empty, sizeof(empty), "%s/empty", top);
	snprintf(at, sizeof(at), "%s/at", top);
	ASSERT_EQ(mkdir(empty, 0700), 0);
	ASSERT_EQ(mkdir(at, 0700), 0);
	/* with a colon in it, which has a meaning there */
	snprintf(path, sizeof(path), "%s/p2pmem", top);
	snprintf(options, sizeof(options), "/sys/bus/pci/devices/%s/p2pmem",
		 scene_provider.bdf);
	ASSERT_EQ(symlink(options, path), 0);
	snprintf(options, sizeof(options), "lowerdir=%s:%s", path, empty);
	ASSERT_EQ(mount("overlay", at, "overlay", MS_RDONLY, options), 0);

	/* it is that directory */
	snprintf(path, sizeof(path), "%s/size", at);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT_GE(fd, 0);
	EXPECT_TRUE(read(fd, text, sizeof(text) - 1) > 0);
	EXPECT_EQ(strtoull(text, NULL, 0), scene_provider.size);
	close(fd);

	snprintf(path, sizeof(path), "%s/allocate", at);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT_GE(fd, 0);
	EXPECT_EQ(ERRNO_OF(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) ==
			   MAP_FAILED), EOPNOTSUPP);
	/* without the overlay the same call works */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/p2pmem/allocate",
		 scene_provider.bdf);
	direct = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT_GE(direct, 0);
	m = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, direct, 0);
	EXPECT_TRUE(m != MAP_FAILED);
	if (m != MAP_FAILED)
		munmap(m, PAGE);
	close(direct);
	EXPECT_TRUE(provider_available_is_back(&scene_provider, 3000));

	/* nor does the open file hold the unbind up */
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(ERRNO_OF(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) ==
			   MAP_FAILED), ENODEV);
	close(fd);
	EXPECT_EQ(umount2(at, 0), 0);
	scene_aftermath(&u, NULL, NULL, NULL, 0);
	snprintf(path, sizeof(path), "%s/p2pmem", top);
	unlink(path);
	rmdir(at);
	rmdir(empty);
	rmdir(top);
}

static const struct tap_test tests[] = {
	{ "revoked_before_shutdown", revoked_before_shutdown, 30 },
	{ "gup_fast_is_taken", gup_fast_is_taken, 30 },
	{ "pfnmap_refused", pfnmap_refused, 0 },
	{ "overlay_refused", overlay_refused, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-order", tests, init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
