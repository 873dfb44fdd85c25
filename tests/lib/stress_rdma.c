// SPDX-License-Identifier: GPL-2.0
/* A member with MRs. */
#include "stress.h"
#include "account.h"
#include "check.h"
#include "clock.h"
#include "keys.h"
#include "rdma.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS	10
#define AREAS	3
#define ACCESS	(RDMA_ALL | IBV_ACCESS_MW_BIND)

/* The lock is for the library; the kernel sees none. */
struct slot {
	pthread_mutex_t lock;
	struct ibv_mr *mr;
	struct area *area;		/* NULL: ordinary pages only */
	unsigned int epoch;		/* pinned in this one, or before */
	bool sure;			/* in this one */
	unsigned int serial;		/* of the MR in here */
};

struct member {
	struct stress *s;
	struct stress_member *m;
	struct rdma rdma;
	struct area area[AREAS];
	pthread_mutex_t remap[AREAS];
	unsigned int nr_areas;
	struct slot slot[SLOTS];
	unsigned char *good;		/* a page for each thread */
	struct ibv_mr *good_mr;
};

struct thread {
	struct member *mb;
	struct dice dice;
	struct rdma_pair pair;
	unsigned char *good;
	pthread_t id;
};

static bool dead(const struct member *mb, const struct slot *sl)
{
	return sl->area && mb->s->epoch[sl->area->provider] > sl->epoch;
}

static void drop(struct member *mb, struct slot *sl)
{
	int err;

	if (!sl->mr)
		return;
	err = ibv_dereg_mr(sl->mr);
	if (err)
		stress_odd(mb->m, STRESS_ODD, "deregistration: %s",
			   strerror(err));
	sl->mr = NULL;
	sl->serial++;
	stress_count(mb->m, STRESS_DEREG);
}

static void do_remap(struct thread *t, unsigned int i)
{
	struct member *mb = t->mb;
	struct area *a = &mb->area[i];
	unsigned int epoch;
	bool calm;
	int err;

	pthread_mutex_lock(&mb->remap[i]);
	epoch = mb->s->epoch[a->provider];
	calm = !mb->s->leaving[a->provider];
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	err = area_remap(a, mb->s, mb->m);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (err && err != -EAGAIN) {
		stress_count(mb->m, STRESS_REFUSED);
		if (calm && !mb->s->leaving[a->provider] &&
		    epoch == mb->s->epoch[a->provider])
			stress_odd(mb->m, STRESS_ODD, "no memory of %s: %s",
				   stress_provider[a->provider].bdf,
				   strerror(-err));
	}
	pthread_mutex_unlock(&mb->remap[i]);
}

static bool anchored(struct member *mb, unsigned int i)
{
	struct slot *sl = &mb->slot[i];
	bool yes;

	pthread_mutex_lock(&sl->lock);
	yes = i < STRESS_ANCHORS && sl->mr && !dead(mb, sl);
	pthread_mutex_unlock(&sl->lock);
	return yes;
}

static void do_reg(struct thread *t)
{
	struct member *mb = t->mb;
	unsigned int i = dice(&t->dice, SLOTS);
	struct slot *sl = &mb->slot[i];
	/* an anchor is all of its area */
	unsigned int which = i < STRESS_ANCHORS ? i :
			     dice(&t->dice, mb->nr_areas);
	struct area *a = &mb->area[which];
	size_t pages = a->pages + 2 * AREA_EDGE;
	size_t at = i < STRESS_ANCHORS ? 0 :
		    dice(&t->dice, (unsigned int)pages);
	size_t n = i < STRESS_ANCHORS ? pages :
		   1 + dice(&t->dice, (unsigned int)(pages - at));
	bool p2p = at < AREA_EDGE + a->pages && at + n > AREA_EDGE;
	struct view v = view_begin(mb->s, a);
	bool was_dead = a->mapped && v.epoch > a->epoch && !(v.serial & 1);
	struct ibv_mr *mr;
	int err;

	if (anchored(mb, i))
		return;
	errno = 0;
	mr = ibv_reg_mr(mb->rdma.pd, a->at + at * PAGE, n * PAGE, ACCESS);
	err = mr ? 0 : -errno;
	if (!p2p) {
		if (err)
			stress_odd(mb->m, STRESS_ODD,
				   "registration of ordinary memory: %s",
				   strerror(-err));
	} else if (!err && was_dead && a->serial == v.serial) {
		stress_odd(mb->m, STRESS_LATE,
			   "registered memory that was gone");
	} else if (err && !area_may_refuse(mb->s, a, &v, err)) {
		stress_odd(mb->m, STRESS_ODD, "registration: %s",
			   strerror(-err));
	}
	if (err) {
		stress_count(mb->m, was_dead ? STRESS_DEAD : STRESS_REFUSED);
		if (!dice(&t->dice, 4))
			do_remap(t, which);
		return;
	}
	stress_count(mb->m, STRESS_REG);
	pthread_mutex_lock(&sl->lock);
	/* another thread may have been here meanwhile: the same, if an anchor */
	drop(mb, sl);
	sl->area = p2p ? a : NULL;
	sl->epoch = mb->s->epoch[a->provider];
	sl->sure = sl->epoch == v.epoch;
	sl->mr = mr;
	pthread_mutex_unlock(&sl->lock);
}

static void do_dereg(struct thread *t)
{
	struct slot *sl = &t->mb->slot[STRESS_ANCHORS +
				       dice(&t->dice, SLOTS - STRESS_ANCHORS)];

	pthread_mutex_lock(&sl->lock);
	drop(t->mb, sl);
	pthread_mutex_unlock(&sl->lock);
}

/* Whatever it returns: it must not revive an MR, and posting would show it. */
static void do_rereg(struct thread *t)
{
	struct slot *sl = &t->mb->slot[dice(&t->dice, SLOTS)];

	pthread_mutex_lock(&sl->lock);
	if (sl->mr) {
		rdma_rereg(sl->mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
			   ACCESS);
		stress_count(t->mb->m, STRESS_REREG);
	}
	pthread_mutex_unlock(&sl->lock);
}

static void repair(struct thread *t, bool anew)
{
	int err = 0;

	if (anew)
		rdma_pair_destroy(&t->pair);
	else
		err = rdma_pair_connect(&t->mb->rdma, &t->pair);
	if (anew)
		err = rdma_pair_create(&t->mb->rdma, &t->pair, IBV_QPT_RC);
	if (err)
		stress_odd(t->mb->m, STRESS_ODD, "new connection: %s",
			   strerror(-err));
}

static void do_post(struct thread *t)
{
	struct member *mb = t->mb;
	struct slot *sl = &mb->slot[dice(&t->dice, SLOTS)];
	const struct key_case *c = &key_cases[dice(&t->dice, (unsigned int)nr_key_cases)];
	struct key_trial trial = {
		.rdma = &mb->rdma,
		.pair = &t->pair,
		.good_addr = (uintptr_t)t->good,
		.good_lkey = mb->good_mr->lkey,
		.good_rkey = mb->good_mr->rkey,
	};
	struct key_result r = { .receiver = KEYS_NONE };
	bool was_dead = false, calm = false, here;
	struct view v = { 0 };
	unsigned int serial;
	struct area *a;
	int err;

	/* not in Debian 12's library */
	if (c->opcode == IBV_WR_ATOMIC_WRITE)
		c = &key_cases[0];
	/* The key is used without the lock: its MR may be gone by then. */
	pthread_mutex_lock(&sl->lock);
	here = sl->mr;
	serial = sl->serial;
	a = sl->area;
	if (here) {
		trial.addr = (uintptr_t)sl->mr->addr + PAGE *
			     dice(&t->dice, (unsigned int)(sl->mr->length / PAGE));
		trial.lkey = sl->mr->lkey;
		trial.rkey = sl->mr->rkey;
		was_dead = dead(mb, sl);
		if (a) {
			v.epoch = mb->s->epoch[a->provider];
			calm = !mb->s->leaving[a->provider] &&
			       sl->sure && sl->epoch == v.epoch;
		} else {
			calm = true;
		}
	}
	pthread_mutex_unlock(&sl->lock);
	if (!here) {
		do_reg(t);
		return;
	}
	/* never the same bytes: what gets through is seen */
	mem_fill(t->good, 64, dice_next(&t->dice));
	err = key_case_run(&trial, c, &r);
	if (err) {
		stress_odd(mb->m, STRESS_ODD, "%s could not be posted: %s",
			   rdma_opcode(c->opcode), strerror(-err));
	} else if (r.sender == IBV_WC_SUCCESS) {
		stress_count(mb->m, STRESS_POST);
		if (was_dead)
			stress_odd(mb->m, STRESS_LATE,
				   "%s (%s key) of a revoked MR succeeded",
				   rdma_opcode(c->opcode),
				   key_side_name(c->side));
		return;
	} else if (r.sender == IBV_WC_RETRY_EXC_ERR) {
		stress_count(mb->m, STRESS_RETRIED_OUT);
	} else if (r.sender == c->sender &&
		   (c->receiver == KEYS_NONE || r.receiver == c->receiver)) {
		stress_count(mb->m, was_dead ? STRESS_DEAD : STRESS_FAILED);
		/* one provider's leaving is nothing to the other's MRs */
		pthread_mutex_lock(&sl->lock);
		if (calm && serial == sl->serial &&
		    (!a || (!mb->s->leaving[a->provider] &&
			    mb->s->epoch[a->provider] == v.epoch)))
			stress_odd(mb->m, STRESS_ODD,
				   "%s (%s key) failed with a live MR: %s",
				   rdma_opcode(c->opcode),
				   key_side_name(c->side),
				   rdma_status(r.sender));
		pthread_mutex_unlock(&sl->lock);
	} else {
		stress_odd(mb->m, STRESS_ODD,
			   "%s (%s key): sender %s, receiver %s",
			   rdma_opcode(c->opcode), key_side_name(c->side),
			   rdma_status(r.sender),
			   r.receiver == KEYS_NONE ? "nothing" :
			   rdma_status(r.receiver));
	}
	repair(t, c->opcode == IBV_WR_RDMA_READ);
}

/* Bound, written through, freed; the MR cannot go meanwhile, its memory can. */
static void do_window(struct thread *t)
{
	struct member *mb = t->mb;
	struct slot *sl = &mb->slot[dice(&t->dice, SLOTS)];
	struct rdma_op op = { .opcode = IBV_WR_BIND_MW };
	bool was_dead;
	int status, err;

	pthread_mutex_lock(&sl->lock);
	if (!sl->mr)
		goto out;
	op.mw = ibv_alloc_mw(mb->rdma.pd, IBV_MW_TYPE_2);
	if (!op.mw) {
		stress_odd(mb->m, STRESS_ODD, "no window: %s", strerror(errno));
		goto out;
	}
	was_dead = dead(mb, sl);
	op.mw_mr = sl->mr;
	op.raddr = (uintptr_t)sl->mr->addr;
	op.len = PAGE;
	op.rkey = ibv_inc_rkey(op.mw->rkey);
	op.mw_access = IBV_ACCESS_REMOTE_WRITE;
	status = rdma_run(&t->pair.end[0], &op);
	if (status == IBV_WC_SUCCESS) {
		if (was_dead)
			stress_odd(mb->m, STRESS_LATE,
				   "a window was bound to a revoked MR");
		was_dead = dead(mb, sl);
		op.opcode = IBV_WR_RDMA_WRITE;
		op.laddr = (uintptr_t)t->good;
		op.lkey = mb->good_mr->lkey;
		op.len = 256;
		status = rdma_run(&t->pair.end[0], &op);
		if (status == IBV_WC_SUCCESS && was_dead)
			stress_odd(mb->m, STRESS_LATE,
				   "a window of a revoked MR was written to");
	} else if (status != KEYS_BIND_STATUS &&
		   status != IBV_WC_RETRY_EXC_ERR) {
		stress_odd(mb->m, STRESS_ODD, "bind of a window: %s",
			   rdma_status(status));
	}
	if (status != IBV_WC_SUCCESS)
		repair(t, false);
	err = ibv_dealloc_mw(op.mw);
	if (err)
		stress_odd(mb->m, STRESS_ODD, "freeing a window: %s",
			   strerror(err));
	stress_count(mb->m, STRESS_WINDOW);
out:
	pthread_mutex_unlock(&sl->lock);
}

/*
 * The child has the mappings and none of the MRs. It reads, or runs another
 * program, or just leaves.
 */
static void do_fork(struct thread *t)
{
	struct area *a = &t->mb->area[dice(&t->dice, t->mb->nr_areas)];
	unsigned int what = dice(&t->dice, 3), ms = dice(&t->dice, 8);
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (what == 0 && a->mapped)
			(void)*(volatile unsigned char *)(a->at + AREA_EDGE * PAGE);
		if (what == 1)
			execl("/usr/bin/true", "true", NULL);
		usleep(ms * 1000);
		_exit(0);
	}
	if (pid < 0) {
		stress_odd(t->mb->m, STRESS_ODD, "fork: %s", strerror(errno));
		return;
	}
	waitpid(pid, &status, 0);
	/* its memory may have been taken away */
	if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS))
		stress_odd(t->mb->m, STRESS_ODD, "a child ended with %#x",
			   (unsigned int)status);
	stress_count(t->mb->m, STRESS_FORK);
}

static void *run(void *arg)
{
	struct thread *t = arg;

	while (!t->mb->s->end) {
		unsigned int what = dice(&t->dice, 100);

		if (what < 22)
			do_reg(t);
		else if (what < 32)
			do_dereg(t);
		else if (what < 37)
			do_rereg(t);
		else if (what < 44)
			do_window(t);
		else if (what < 48)
			do_remap(t, dice(&t->dice, t->mb->nr_areas));
		else if (what < 50)
			do_fork(t);
		else
			do_post(t);
	}
	return NULL;
}

int stress_rdma_member(int fd, void *arg)
{
	struct stress_arg *sa = arg;
	struct member mb = { .s = sa->stress, .m = sa->member };
	struct thread t[STRESS_THREADS] = { 0 };
	unsigned int i, n = mb.m->threads;
	struct dice d = { mb.m->seed };
	size_t len = n * PAGE;
	long pinned;

	ASSERT_LE(n, STRESS_THREADS);
	ASSERT_EQ(rdma_open(&mb.rdma), 0);
	mb.good = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(mb.good != MAP_FAILED);
	/* a child of the member must not take the pinned pages away from it */
	ASSERT_EQ(madvise(mb.good, len, MADV_DONTFORK), 0);
	pinned = account_pinned(getpid());
	mb.good_mr = ibv_reg_mr(mb.rdma.pd, mb.good, len, ACCESS);
	ASSERT_TRUE(mb.good_mr);
	mb.nr_areas = STRESS_ANCHORS +
		      dice(&d, AREAS - STRESS_ANCHORS + 1);
	for (i = 0; i < mb.nr_areas; i++) {
		pthread_mutex_init(&mb.remap[i], NULL);
		ASSERT_EQ(area_init(&mb.area[i], i < STRESS_ANCHORS ? (int)i :
				    (int)dice(&d, (unsigned int)stress_nr_providers),
				    1 + dice(&d, STRESS_AREA_PAGES)), 0);
		ASSERT_EQ(area_remap(&mb.area[i], mb.s, mb.m), 0);
	}
	for (i = 0; i < SLOTS; i++)
		pthread_mutex_init(&mb.slot[i].lock, NULL);
	for (i = 0; i < n; i++) {
		t[i].mb = &mb;
		t[i].dice.state = dice_next(&d);
		t[i].good = mb.good + i * PAGE;
		ASSERT_EQ(rdma_pair_create(&mb.rdma, &t[i].pair, IBV_QPT_RC), 0);
	}
	for (i = 0; i < STRESS_ANCHORS; i++) {
		struct slot *sl = &mb.slot[i];

		sl->area = &mb.area[i];
		sl->sure = true;
		sl->mr = ibv_reg_mr(mb.rdma.pd, sl->area->at,
				    AREA_LEN(sl->area), ACCESS);
		sl->epoch = mb.s->epoch[i];
		ASSERT_TRUE(sl->mr);
		stress_count(mb.m, STRESS_REG);
	}
	ASSERT_TRUE(worker_tell(fd, 'r'));
	for (i = 0; i < n; i++)
		ASSERT_EQ(pthread_create(&t[i].id, NULL, run, &t[i]), 0);
	for (i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);

	for (i = 0; i < n; i++)
		rdma_pair_destroy(&t[i].pair);
	for (i = 0; i < SLOTS; i++)
		drop(&mb, &mb.slot[i]);
	EXPECT_EQ(ibv_dereg_mr(mb.good_mr), 0);
	/* charged once, uncharged once, whatever raced with what */
	EXPECT_EQ(account_pinned(getpid()), pinned);
	EXPECT_EQ(rdma_close(&mb.rdma), 0);
	for (i = 0; i < mb.nr_areas; i++)
		area_exit(&mb.area[i]);
	return 0;
}
