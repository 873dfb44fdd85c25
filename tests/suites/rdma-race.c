// SPDX-License-Identifier: GPL-2.0
/*
 * Registering, re-registering, deregistering and using MRs from several
 * threads while the driver is unbound, and what ibv_rereg_mr() may do to a
 * revoked MR: anything but revive it.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "p2pmem.h"
#include "scene.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS	16
#define PAGES	8

/*
 * A slot holds an MR or nothing. Its lock keeps the threads of this process
 * from handing an MR that is gone to the library; the kernel sees no lock.
 */
struct slot {
	pthread_mutex_t lock;
	struct ibv_mr *mr;
};

struct race {
	volatile bool unbound, stop;	/* by the test */
	volatile uint64_t registered, refused, deregistered, reregistered, posted;
	volatile uint64_t failed;	/* posts, after the unbind */
	volatile uint64_t odd;		/* what must not be */
	volatile uint64_t late;		/* registered or written after the unbind */
	volatile int odd_errno;
	struct observer observer;
	long pinned;
};

struct arena {
	struct race *race;
	struct rdma rdma;
	struct ibv_pd *pd2;
	struct slot slot[SLOTS];
	unsigned char *map;
	unsigned char *buf;
	struct ibv_mr *buf_mr;
};

struct thread {
	pthread_t id;
	struct arena *arena;
	unsigned int seed;
	bool started;
};

static struct slot *some_slot(struct thread *t)
{
	return &t->arena->slot[(unsigned int)rand_r(&t->seed) % SLOTS];
}

static void *registering(void *arg)
{
	struct thread *t = arg;
	struct race *r = t->arena->race;

	while (!r->stop) {
		struct slot *s = some_slot(t);
		size_t at = (unsigned int)rand_r(&t->seed) % PAGES;
		size_t n = 1 + (unsigned int)rand_r(&t->seed) % (PAGES - at);
		bool before = r->unbound;
		struct ibv_mr *mr;

		errno = 0;
		mr = ibv_reg_mr(t->arena->rdma.pd, t->arena->map + at * PAGE,
				n * PAGE, RDMA_ALL);
		if (mr) {
			r->registered++;
			if (before)
				r->late++;
		} else if (errno == ENODEV || errno == EFAULT) {
			r->refused++;
			usleep(100);
			continue;
		} else {
			r->odd_errno = errno;
			r->odd++;
			continue;
		}
		pthread_mutex_lock(&s->lock);
		if (!s->mr) {
			s->mr = mr;
			mr = NULL;
		}
		pthread_mutex_unlock(&s->lock);
		if (mr && ibv_dereg_mr(mr))
			r->odd++;
	}
	return NULL;
}

static void *deregistering(void *arg)
{
	struct thread *t = arg;
	struct race *r = t->arena->race;

	while (!r->stop) {
		struct slot *s = some_slot(t);
		struct ibv_mr *mr;

		/* the first one stays: there has to be something to attack */
		if (r->unbound || s == &t->arena->slot[0]) {
			usleep(100);
			continue;
		}
		pthread_mutex_lock(&s->lock);
		mr = s->mr;
		s->mr = NULL;
		pthread_mutex_unlock(&s->lock);
		if (!mr) {
			sched_yield();
			continue;
		}
		if (ibv_dereg_mr(mr))
			r->odd++;
		r->deregistered++;
	}
	return NULL;
}

static void *reregistering(void *arg)
{
	struct thread *t = arg;
	struct race *r = t->arena->race;
	bool less = false;

	while (!r->stop) {
		struct slot *s = some_slot(t);

		pthread_mutex_lock(&s->lock);
		if (s->mr) {
			/* what it returns is the kernel's choice */
			rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL,
				   0, less ? RDMA_ALL & ~IBV_ACCESS_REMOTE_ATOMIC :
				   RDMA_ALL);
			r->reregistered++;
		}
		pthread_mutex_unlock(&s->lock);
		less = !less;
		usleep(50);
	}
	return NULL;
}

static void *posting(void *arg)
{
	struct thread *t = arg;
	struct race *r = t->arena->race;
	struct rdma_pair pair;
	struct rdma_op op = {
		.opcode = IBV_WR_RDMA_WRITE,
		.laddr = (uintptr_t)t->arena->buf,
		.lkey = t->arena->buf_mr->lkey,
		.len = 128,
	};
	int status;

	if (rdma_pair_create(&t->arena->rdma, &pair, IBV_QPT_RC)) {
		r->odd++;
		return NULL;
	}
	while (!r->stop) {
		struct slot *s = some_slot(t);
		bool before = r->unbound;

		/* the key is used without the lock: it may be dead by then */
		pthread_mutex_lock(&s->lock);
		op.rkey = s->mr ? s->mr->rkey : 0;
		op.raddr = s->mr ? (uintptr_t)s->mr->addr : 0;
		pthread_mutex_unlock(&s->lock);
		if (!op.rkey)
			continue;
		mem_fill(t->arena->buf, 128, r->posted);
		status = rdma_run(&pair.end[0], &op);
		r->posted++;
		if (status == IBV_WC_SUCCESS) {
			if (before)
				r->late++;
			continue;
		}
		if (before)
			r->failed++;
		if (status != IBV_WC_REM_ACCESS_ERR) {
			r->odd_errno = status;
			r->odd++;
		}
		if (rdma_pair_connect(&t->arena->rdma, &pair))
			r->odd++;
	}
	rdma_pair_destroy(&pair);
	return NULL;
}

static int racer(int fd, void *arg)
{
	void *(*const jobs[])(void *) = {
		registering, registering, deregistering, reregistering, posting,
	};
	struct arena a = { .race = arg };
	struct thread t[sizeof(jobs) / sizeof(jobs[0])];
	size_t i, n = sizeof(jobs) / sizeof(jobs[0]);

	ASSERT_EQ(rdma_open(&a.rdma), 0);
	a.buf = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(a.buf != MAP_FAILED);
	a.buf_mr = ibv_reg_mr(a.rdma.pd, a.buf, PAGE, RDMA_ALL);
	ASSERT_TRUE(a.buf_mr);
	a.race->pinned = account_pinned(getpid());
	a.map = p2pmem_map(&scene_provider, PAGES * PAGE);
	ASSERT_TRUE(a.map);
	mem_fill(a.map, PAGES * PAGE, 5);
	ASSERT_EQ(observer_locate(&a.race->observer, &scene_provider, a.map,
				  PAGES * PAGE), 0);
	for (i = 0; i < SLOTS; i++)
		pthread_mutex_init(&a.slot[i].lock, NULL);
	/* one that stays, so that there is always something to write to */
	a.slot[0].mr = ibv_reg_mr(a.rdma.pd, a.map, PAGE, RDMA_ALL);
	ASSERT_TRUE(a.slot[0].mr);
	for (i = 0; i < n; i++) {
		t[i] = (struct thread) { .arena = &a, .seed = (unsigned int)i + 1 };
		ASSERT_EQ(pthread_create(&t[i].id, NULL, jobs[i], &t[i]), 0);
	}
	ASSERT_TRUE(worker_tell(fd, 'r'));
	for (i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);
	/* what was revoked is charged no more, whatever raced with what */
	if (a.race->unbound)
		EXPECT_EQ(account_pinned(getpid()), a.race->pinned);
	for (i = 0; i < SLOTS; i++)
		if (a.slot[i].mr)
			EXPECT_EQ(ibv_dereg_mr(a.slot[i].mr), 0);
	EXPECT_EQ(account_pinned(getpid()), a.race->pinned);
	EXPECT_EQ(ibv_dereg_mr(a.buf_mr), 0);
	EXPECT_EQ(rdma_close(&a.rdma), 0);
	munmap(a.map, PAGES * PAGE);
	return 0;
}

static bool wait_until(struct worker *w, volatile uint64_t *count, uint64_t want)
{
	double end = clock_now() + 10 * clock_scale();

	while (*count < want && clock_now() < end && !worker_gone(w))
		clock_sleep_ms(1);
	return *count >= want;
}

static unsigned int attack_race(void *arg, unsigned int n)
{
	struct race *r = arg;
	uint64_t before = r->failed;
	double end = clock_now() + 10 * clock_scale();

	while (r->failed < before + n && clock_now() < end)
		clock_sleep_ms(1);
	return (unsigned int)(r->failed - before);
}

static void threads(void)
{
	struct race *r;
	struct worker w;
	struct unbind u;
	int round, rounds = (int)clock_fewer(6);

	for (round = 0; round < rounds && !tap_failed(); round++) {
		r = worker_shared(sizeof(*r));
		ASSERT_TRUE(r);
		ASSERT_EQ(worker_start(&w, "racer", racer, r), 0);
		ASSERT_TRUE(worker_hear(w.fd, 'r', 20));
		EXPECT_TRUE(wait_until(&w, &r->registered, 10));
		EXPECT_TRUE(wait_until(&w, &r->posted, 10));
		usleep((useconds_t)round * 3000);
		ASSERT_TRUE(unbind_now(&scene_provider, &u));
		r->unbound = true;
		EXPECT_TRUE(wait_until(&w, &r->refused, r->refused + 10));
		scene_aftermath(&u, &r->observer, attack_race, r, 16);
		r->stop = true;
		EXPECT_EQ(worker_join(&w, 20), 0);
		EXPECT_EQ(r->late, 0);
		if (!EXPECT_EQ(r->odd, 0))
			tap_note("the last odd errno or status was %d", r->odd_errno);
		tap_note("%llu registered, %llu refused, %llu deregistered, %llu re-registered, %llu posts",
			 (unsigned long long)r->registered,
			 (unsigned long long)r->refused,
			 (unsigned long long)r->deregistered,
			 (unsigned long long)r->reregistered,
			 (unsigned long long)r->posted);
		worker_unshare(r, sizeof(*r));
	}
}

/*
 * Processes that map, register and unmap all the time while the door closes,
 * with mappings that are large enough to be half-way in (MAP_POPULATE fills
 * them inside of mmap()). What they hold when the unbind has returned is gone.
 */
struct mappers {
	volatile bool unbound, stop;
	volatile uint64_t mapped, refused;
	volatile uint64_t late;		/* mapped with no driver bound */
	volatile uint64_t alive;	/* a touch of an old mapping succeeded */
};

#define MAPPERS 3

static int mapper(int fd, void *arg)
{
	struct mappers *m = arg;
	size_t small = 4 * PAGE, large = (size_t)8 << 20, len = 0;
	struct ibv_mr *mr;
	unsigned char *at = NULL;
	unsigned int n;
	struct rdma r;

	ASSERT_EQ(rdma_open(&r), 0);
	for (n = 0; !m->stop; n++) {
		bool before = m->unbound;

		if (n == 3)
			ASSERT_TRUE(worker_tell(fd, 'r'));
		if (before && at) {
			/* the last one from before the unbind */
			if (!mem_is_gone(at) || !mem_is_gone(at + len - PAGE))
				m->alive++;
			munmap(at, len);
			at = NULL;
		}
		len = n % 2 ? large : small;
		at = p2pmem_mmap(&scene_provider, NULL, len,
				 MAP_SHARED | MAP_POPULATE, 0);
		if (!at) {
			m->refused++;
			usleep(200);
			continue;
		}
		m->mapped++;
		if (before)
			m->late++;
		if (m->unbound)
			continue;
		/* refused when the unbind is faster */
		mr = ibv_reg_mr(r.pd, at, small, RDMA_ALL);
		if (mr)
			EXPECT_EQ(ibv_dereg_mr(mr), 0);
		if (m->unbound)
			continue;
		munmap(at, len);
		at = NULL;
	}
	if (at) {
		if (!mem_is_gone(at))
			m->alive++;
		munmap(at, len);
	}
	EXPECT_EQ(account_pinned(getpid()), 0);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}

static void mappings(void)
{
	struct worker w[MAPPERS];
	struct mappers *m;
	struct unbind u;
	int round, rounds = (int)clock_fewer(6), i;

	for (round = 0; round < rounds && !tap_failed(); round++) {
		m = worker_shared(sizeof(*m));
		ASSERT_TRUE(m);
		for (i = 0; i < MAPPERS; i++) {
			ASSERT_EQ(worker_start(&w[i], "mapper", mapper, m), 0);
			ASSERT_TRUE(worker_hear(w[i].fd, 'r', 20));
		}
		usleep((useconds_t)round * 2300);
		ASSERT_TRUE(unbind_now(&scene_provider, &u));
		EXPECT_EQ(u.err, 0);
		m->unbound = true;
		tap_note("the unbind took %.3f s of guest time", u.seconds);
		EXPECT_TRUE(wait_until(&w[0], &m->refused, m->refused + 50));
		m->stop = true;
		for (i = 0; i < MAPPERS; i++)
			EXPECT_EQ(worker_join(&w[i], 20), 0);
		EXPECT_GE(m->mapped, MAPPERS * 3);
		EXPECT_EQ(m->late, 0);
		EXPECT_EQ(m->alive, 0);
		scene_aftermath(&u, NULL, NULL, NULL, 0);
		worker_unshare(m, sizeof(*m));
	}
}

/* rereg_mr on a live MR works, or the rest of these tests shows nothing. */
static void rereg_of_a_live_mr(void)
{
	struct scene *s = scene_open(1, 0);
	struct rdma_op op = scene_op(s, IBV_WR_RDMA_WRITE, 64);

	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
			     IBV_ACCESS_REMOTE_READ), 0);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_REM_ACCESS_ERR);
	EXPECT_EQ(rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
			     RDMA_ALL), 0);
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	/* still revocable */
	scene_unbind(&s->observer, scene_attack_mr, s, 8);
	scene_close(s);
}

static void rereg_never_revives(void)
{
	struct scene *s = scene_open(1, 0);
	struct ibv_pd *pd2 = ibv_alloc_pd(s->rdma.ctx);
	struct unbind u;
	unsigned char *m;
	int err;

	ASSERT_TRUE(pd2);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	err = rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
			 RDMA_ALL);
	tap_note("rereg_mr(access) of a revoked MR: %s", strerror(-err));
	EXPECT_EQ(scene_attack_mr(s, 4), 4);
	err = rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, s->buf,
			 PAGE, RDMA_ALL);
	tap_note("rereg_mr(translation) of a revoked MR: %s", strerror(-err));
	EXPECT_NE(err, 0);
	EXPECT_EQ(scene_attack_mr(s, 4), 4);
	err = rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_PD, pd2, NULL, 0, 0);
	tap_note("rereg_mr(pd) of a revoked MR: %s", strerror(-err));
	EXPECT_EQ(scene_attack_mr(s, 4), 4);
	if (!err) {
		/* it went to the other PD: nor does it work there */
		struct rdma other = s->rdma;
		struct rdma_pair pair;
		struct rdma_op op = scene_op(s, IBV_WR_RDMA_WRITE, 64);
		struct ibv_mr *buf_mr;

		other.pd = pd2;
		buf_mr = ibv_reg_mr(pd2, s->buf, PAGE, RDMA_ALL);
		ASSERT_TRUE(buf_mr);
		ASSERT_EQ(rdma_pair_create(&other, &pair, IBV_QPT_RC), 0);
		op.lkey = buf_mr->lkey;
		EXPECT_EQ(rdma_run(&pair.end[0], &op), IBV_WC_REM_ACCESS_ERR);
		rdma_pair_destroy(&pair);
		EXPECT_EQ(ibv_dereg_mr(buf_mr), 0);
	}
	/* after the driver is back, with a new mapping at the same address */
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 4);
	munmap(s->map, s->map_len);
	m = p2pmem_mmap(&scene_provider, s->map, s->map_len,
			MAP_SHARED | MAP_FIXED, 0);
	ASSERT_TRUE(m == s->map);
	mem_fill(m, s->map_len, 3);
	rdma_rereg(s->mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, RDMA_ALL);
	EXPECT_EQ(scene_attack_mr(s, 4), 4);
	EXPECT_EQ(mem_differs(m, s->map_len, 3), 0);
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	EXPECT_EQ(ibv_dealloc_pd(pd2), 0);
	scene_close(s);
}

/*
 * The consumer leaves as well: the RDMA device is removed while the provider's
 * driver is unbound, the one first or the other.
 */
#define LINK_CMD "/usr/bin/rdma"

static int owner_of_both(int fd, void *arg)
{
	struct ibv_mr *mr[16];
	struct rdma r;
	void *m;
	int i;

	(void)arg;
	ASSERT_EQ(rdma_open(&r), 0);
	m = p2pmem_map(&scene_provider, 16 * PAGE);
	ASSERT_TRUE(m);
	for (i = 0; i < 16; i++) {
		mr[i] = ibv_reg_mr(r.pd, m, 16 * PAGE, RDMA_ALL);
		ASSERT_TRUE(mr[i]);
	}
	ASSERT_TRUE(worker_tell(fd, 'r'));
	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	EXPECT_TRUE(mem_is_gone(m));
	/* each may fail: the device is gone. What counts is what is left */
	for (i = 0; i < 16; i++)
		ibv_dereg_mr(mr[i]);
	EXPECT_EQ(account_pinned(getpid()), 0);
	munmap(m, 16 * PAGE);
	return 0;
}

static int link_delete(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	execl(LINK_CMD, "rdma", "link", "delete", "rxe0", NULL);
	return 127;
}

static int link_add(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	execl(LINK_CMD, "rdma", "link", "add", "rxe0", "type", "rxe", "netdev",
	      "dummy0", NULL);
	return 127;
}

static bool link_is_back(void)
{
	double end = clock_now() + 10 * clock_scale();
	struct worker w;
	struct rdma r;

	if (!EXPECT_EQ(worker_start(&w, "link add", link_add, NULL), 0) ||
	    !EXPECT_EQ(worker_join(&w, 20), 0))
		return false;
	/* the port and its addresses come a little later */
	while (rdma_open(&r)) {
		if (clock_now() > end)
			return false;
		clock_sleep_ms(50);
	}
	rdma_close(&r);
	return true;
}

static void rdma_device_goes_too(void)
{
	struct worker owner, link;
	struct unbind u;
	int round, rounds = (int)clock_fewer(6) + 1;

	if (access(LINK_CMD, X_OK))
		TAP_SKIP("no %s to remove the device with", LINK_CMD);
	for (round = 0; round < rounds && !tap_failed(); round++) {
		ASSERT_EQ(worker_start(&owner, "owner", owner_of_both, NULL), 0);
		ASSERT_TRUE(worker_hear(owner.fd, 'r', 20));
		if (round % 2) {
			ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
			usleep((useconds_t)round * 2000);
			ASSERT_EQ(worker_start(&link, "link", link_delete, NULL), 0);
		} else {
			ASSERT_EQ(worker_start(&link, "link", link_delete, NULL), 0);
			usleep((useconds_t)round * 4000);
			ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
		}
		EXPECT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
		EXPECT_EQ(worker_join(&link, 20), 0);
		EXPECT_TRUE(worker_tell(owner.fd, 'x'));
		EXPECT_EQ(worker_join(&owner, 20), 0);
		ASSERT_TRUE(u.done);
		ASSERT_TRUE(link_is_back());
		scene_aftermath(&u, NULL, NULL, NULL, 0);
	}
}

static const struct tap_test tests[] = {
	{ "rereg_of_a_live_mr", rereg_of_a_live_mr, 0 },
	{ "rereg_never_revives", rereg_never_revives, 0 },
	{ "threads", threads, 60 },
	{ "mappings", mappings, 60 },
	{ "rdma_device_goes_too", rdma_device_goes_too, 60 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-race", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
