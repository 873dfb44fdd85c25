// SPDX-License-Identifier: GPL-2.0
/*
 * Unbinding the provider's driver under MRs, one situation a test. What has
 * to hold afterwards is in scene_aftermath(), for all of them.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "keys.h"
#include "load.h"
#include "scene.h"
#include "stacks.h"
#include "sysfs.h"
#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void idle(void)
{
	struct scene *s = scene_open(4, 0);
	struct unbind u;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_TRUE(mem_is_gone(s->area));
	/* the pin is gone with the revoke, not only with ibv_dereg_mr() */
	EXPECT_EQ(account_pinned(getpid()), s->pinned + 16);
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 32);
	EXPECT_EQ(account_pinned(getpid()), s->pinned + 16);
	scene_close(s);
}

/* The key of a revoked MR belongs to it until it is deregistered. */
static void key_stays_reserved(void)
{
	struct scene *s = scene_open(1, 0);
	uint32_t index = s->mr->rkey >> 8;
	struct ibv_mr *others[256];
	int i;

	scene_unbind(&s->observer, scene_attack_mr, s, 4);
	for (i = 0; i < 256; i++) {
		others[i] = ibv_reg_mr(s->rdma.pd, s->buf, PAGE, RDMA_ALL);
		ASSERT_TRUE(others[i]);
		if (others[i]->rkey >> 8 == index)
			break;
	}
	EXPECT_EQ(i, 256);
	EXPECT_EQ(scene_attack_mr(s, 4), 4);
	while (i--)
		EXPECT_EQ(ibv_dereg_mr(others[i]), 0);
	scene_close(s);
}

/* Every key case on the revoked MR, in one process and one unbind. */
static void every_opcode_fails(void)
{
	struct scene *s = scene_open(1, 0);
	struct key_trial t = {
		.rdma = &s->rdma, .pair = &s->pair,
		.addr = (uintptr_t)s->area,
		.lkey = s->mr->lkey, .rkey = s->mr->rkey,
		.good_addr = (uintptr_t)s->buf,
		.good_lkey = s->buf_mr->lkey, .good_rkey = s->buf_mr->rkey,
	};
	struct key_result r;
	struct unbind u;
	int i, err;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	for (i = 0; i < nr_key_cases; i++) {
		const struct key_case *c = &key_cases[i];

		ASSERT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
		err = key_case_run(&t, c, &r);
		if (err == -EOPNOTSUPP)
			continue;
		EXPECT_EQ(err, 0);
		EXPECT_EQ(r.sender, c->sender);
		EXPECT_EQ(r.receiver, c->receiver);
		if (tap_failed()) {
			tap_note("case: %s, %s key, %u bytes",
				 rdma_opcode(c->opcode), key_side_name(c->side),
				 c->len);
			break;
		}
	}
	EXPECT_EQ(observer_changed(&s->observer), 0);
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 4);
	scene_close(s);
}

/* An MR over ordinary, P2P and ordinary pages dies whole; one over RAM lives. */
struct mixed {
	struct scene *s;
	struct ibv_mr *mr;
	unsigned char *ram;
};

static unsigned int attack_mixed(void *arg, unsigned int n)
{
	struct mixed *m = arg;
	struct rdma_op op = scene_op(m->s, IBV_WR_RDMA_WRITE, 64);
	unsigned int i, failed = 0;

	op.rkey = m->mr->rkey;
	op.raddr = (uintptr_t)m->ram;
	for (i = 0; i < n; i++) {
		mem_fill(m->s->buf, 64, i);
		if (!EXPECT_EQ(rdma_pair_connect(&m->s->rdma, &m->s->pair), 0) ||
		    !EXPECT_EQ(rdma_run(&m->s->pair.end[0], &op),
			       IBV_WC_REM_ACCESS_ERR))
			break;
		failed++;
	}
	return failed;
}

static void spans_p2p_and_ram(void)
{
	struct scene *s = scene_open(1, 0);
	long before = account_pinned(getpid());
	size_t len = 3 * PAGE;
	struct mixed m = { .s = s };
	struct ibv_mr *ram_mr;
	struct rdma_op op;
	struct unbind u;

	m.ram = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m.ram != MAP_FAILED);
	ASSERT_TRUE(p2pmem_mmap(&scene_provider, m.ram + PAGE, PAGE,
				MAP_SHARED | MAP_FIXED, 0));
	mem_fill(m.ram, PAGE, 1);
	mem_fill(m.ram + 2 * PAGE, PAGE, 2);
	m.mr = ibv_reg_mr(s->rdma.pd, m.ram, len, RDMA_ALL);
	ASSERT_TRUE(m.mr);
	EXPECT_EQ(account_pinned(getpid()), before + 12);
	ram_mr = ibv_reg_mr(s->rdma.pd, m.ram, PAGE, RDMA_ALL);
	ASSERT_TRUE(ram_mr);

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	/* all three pages of the first, and the scene's own MR; the last stays */
	EXPECT_EQ(account_pinned(getpid()), before - 4 + 4);
	scene_aftermath(&u, &s->observer, attack_mixed, &m, 8);
	EXPECT_EQ(mem_differs(m.ram, PAGE, 1), 0);
	EXPECT_EQ(mem_differs(m.ram + 2 * PAGE, PAGE, 2), 0);
	EXPECT_TRUE(mem_is_gone(m.ram + PAGE));

	op = scene_op(s, IBV_WR_RDMA_WRITE, 64);
	op.rkey = ram_mr->rkey;
	op.raddr = (uintptr_t)m.ram;
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(memcmp(m.ram, s->buf, 64), 0);
	EXPECT_EQ(ibv_dereg_mr(m.mr), 0);
	EXPECT_EQ(ibv_dereg_mr(ram_mr), 0);
	munmap(m.ram, len);
	scene_close(s);
}

/* Memory windows */
struct window {
	struct scene *s;
	struct ibv_mw *mw;
	uint32_t rkey;
};

static int bind_window(struct window *w, enum ibv_mw_type type)
{
	struct rdma_qp *q = &w->s->pair.end[1];
	struct ibv_mw_bind bind = {
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = {
			.mr = w->s->mr,
			.addr = (uintptr_t)w->s->area,
			.length = w->s->len,
			.mw_access_flags = IBV_ACCESS_REMOTE_WRITE |
					   IBV_ACCESS_REMOTE_READ,
		},
	};
	struct rdma_op op = {
		.opcode = IBV_WR_BIND_MW,
		.mw = w->mw,
		.mw_mr = w->s->mr,
		.raddr = (uintptr_t)w->s->area,
		.len = (uint32_t)w->s->len,
		.rkey = ibv_inc_rkey(w->mw->rkey),
		.mw_access = bind.bind_info.mw_access_flags,
	};
	struct ibv_wc wc;
	int err;

	if (type == IBV_MW_TYPE_1) {
		err = -ibv_bind_mw(q->qp, w->mw, &bind);
		if (!err)
			err = rdma_poll(q, &wc, 10);
		if (!err)
			err = (int)wc.status;
		w->rkey = w->mw->rkey;
		return err;
	}
	err = rdma_run(q, &op);
	w->rkey = op.rkey;
	return err;
}

static int write_window(struct window *w)
{
	struct rdma_op op = scene_op(w->s, IBV_WR_RDMA_WRITE, 64);

	op.rkey = w->rkey;
	return rdma_run(&w->s->pair.end[0], &op);
}

static unsigned int attack_window(void *arg, unsigned int n)
{
	struct window *w = arg;
	unsigned int i, failed = 0;

	for (i = 0; i < n; i++) {
		mem_fill(w->s->buf, 64, i);
		if (!EXPECT_EQ(rdma_pair_connect(&w->s->rdma, &w->s->pair), 0) ||
		    !EXPECT_EQ(write_window(w), IBV_WC_REM_ACCESS_ERR))
			break;
		failed++;
	}
	return failed;
}

static void window_bound(enum ibv_mw_type type)
{
	struct scene *s = scene_open(1, IBV_ACCESS_MW_BIND);
	struct window w = { .s = s }, late = { .s = s };
	struct unbind u;

	w.mw = ibv_alloc_mw(s->rdma.pd, type);
	if (!w.mw) {
		int err = errno;

		scene_close(s);
		TAP_SKIP("no memory windows of this type: %s", strerror(err));
	}
	late.mw = ibv_alloc_mw(s->rdma.pd, type);
	ASSERT_TRUE(late.mw);
	ASSERT_EQ(bind_window(&w, type), IBV_WC_SUCCESS);
	EXPECT_EQ(write_window(&w), IBV_WC_SUCCESS);
	EXPECT_EQ(memcmp(s->area, s->buf, 64), 0);

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	/* the connection has not failed yet: the window itself must refuse */
	EXPECT_EQ(write_window(&w), IBV_WC_REM_ACCESS_ERR);
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	EXPECT_EQ(bind_window(&late, type), KEYS_BIND_STATUS);
	scene_aftermath(&u, &s->observer, attack_window, &w, 16);

	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	EXPECT_EQ(bind_window(&late, type), KEYS_BIND_STATUS);
	/* a window keeps its MR from being deregistered, revoked or not */
	EXPECT_EQ(ibv_dereg_mr(s->mr), EINVAL);
	EXPECT_EQ(ibv_dealloc_mw(w.mw), 0);
	EXPECT_EQ(ibv_dealloc_mw(late.mw), 0);
	scene_close(s);
}

static void window_type_1(void)
{
	window_bound(IBV_MW_TYPE_1);
}

static void window_type_2(void)
{
	window_bound(IBV_MW_TYPE_2);
}

/* Nothing of the mapping is left when the revoke comes. */
static void after_munmap(void)
{
	struct scene *s = scene_open(4, 0);
	unsigned long long left;
	struct rdma_op op;

	munmap(s->map, s->map_len);
	s->map = NULL;
	ASSERT_EQ(provider_available(&scene_provider, &left), 0);
	/* the guards went back, the pinned pages did not */
	EXPECT_EQ(scene_provider.available - left, s->len);
	op = scene_op(s, IBV_WR_RDMA_WRITE, 64);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	scene_unbind(&s->observer, scene_attack_mr, s, 16);
	scene_close(s);
}

/* The pages are elsewhere in the address space than when they were pinned. */
static void after_mremap(void)
{
	struct scene *s = scene_open(2, 0);
	unsigned char *to, *moved;
	struct unbind u;

	to = mmap(NULL, s->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(to != MAP_FAILED);
	moved = mremap(s->map, s->map_len, s->map_len,
		       MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_TRUE(moved == to);
	s->map = moved;
	EXPECT_TRUE(!mem_is_gone(moved));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_TRUE(mem_is_gone(moved));
	EXPECT_TRUE(mem_is_gone(moved + s->map_len - PAGE));
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 8);
	scene_close(s);
}

static int fork_child(int fd, void *arg)
{
	struct scene *s = arg;

	EXPECT_TRUE(!mem_is_gone(s->area));
	ASSERT_TRUE(worker_tell(fd, 'r'));
	ASSERT_TRUE(worker_hear(fd, 'u', 30));
	EXPECT_TRUE(mem_is_gone(s->area));
	EXPECT_TRUE(mem_is_gone(s->map));
	return 0;
}

/* The child has the mapping too, and the file descriptor of the context. */
static void after_fork(void)
{
	struct scene *s = scene_open(2, 0);
	struct worker w;
	struct unbind u;

	ASSERT_EQ(worker_start(&w, "child", fork_child, s), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 10));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_TRUE(worker_tell(w.fd, 'u'));
	EXPECT_EQ(worker_join(&w, 10), 0);
	EXPECT_TRUE(mem_is_gone(s->area));
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 16);
	scene_close(s);
}

/*
 * The owner dies, but a child of it has inherited the context: MR and QPs live
 * on with nobody's mm behind them. The child may not use the context (uverbs
 * wants the process that opened it), so the test itself is the peer. Each
 * refused request ends its connection for good: one QP for each.
 */
#define LEGACY_QPS 8

struct legacy {
	struct observer observer;
	uint64_t addr;
	uint32_t rkey;
	uint32_t owner_qpn[LEGACY_QPS];
	uint32_t peer_qpn[LEGACY_QPS];
	bool execs;			/* the owner, instead of dying */
	volatile bool stop;
	volatile bool gone, ended;

	/* the peer's */
	struct rdma rdma;
	struct rdma_qp qp[LEGACY_QPS];
	struct ibv_mr *mr;
	int used;
};

static int heir_main(int fd, void *arg)
{
	struct legacy *l = arg;
	struct scene *s = scene_at(0);

	prctl(PR_SET_PDEATHSIG, 0);
	ASSERT_TRUE(worker_tell(fd, 'r'));
	while (!l->stop)
		clock_sleep_ms(2);
	l->gone = mem_is_gone(s->area);
	l->ended = true;
	return 0;
}

static int forking_owner(int fd, void *arg)
{
	struct legacy *l = arg;
	struct scene *s = scene_open(2, 0);
	struct rdma_qp qp[LEGACY_QPS];
	struct worker w;
	int i;

	l->observer = s->observer;
	l->addr = (uintptr_t)s->area;
	l->rkey = s->mr->rkey;
	for (i = 0; i < LEGACY_QPS; i++) {
		ASSERT_EQ(rdma_qp_create(&s->rdma, &qp[i], IBV_QPT_RC), 0);
		l->owner_qpn[i] = qp[i].qp->qp_num;
	}
	ASSERT_TRUE(worker_tell(fd, 'q'));
	ASSERT_TRUE(worker_hear(fd, 'q', 20));
	for (i = 0; i < LEGACY_QPS; i++)
		ASSERT_EQ(rdma_qp_connect(&s->rdma, &qp[i], l->peer_qpn[i], 0), 0);
	ASSERT_EQ(worker_start(&w, "heir", heir_main, l), 0);
	ASSERT_TRUE(worker_hear(w.fd, 'r', 10));
	ASSERT_TRUE(worker_tell(fd, 'r'));
	ASSERT_TRUE(worker_hear(fd, 'x', 30));
	if (l->execs) {
		execl("/bin/busybox", "sleep", "60", NULL);
		ASSERT_TRUE(!"exec of busybox");
	}
	_exit(0);
}

static int write_legacy(struct legacy *l, int i)
{
	struct rdma_op op = {
		.opcode = IBV_WR_RDMA_WRITE,
		.laddr = (uintptr_t)l->mr->addr, .lkey = l->mr->lkey, .len = 64,
		.raddr = l->addr, .rkey = l->rkey,
	};

	return rdma_run(&l->qp[i], &op);
}

static unsigned int attack_legacy(void *arg, unsigned int n)
{
	struct legacy *l = arg;
	unsigned int failed = 0;

	while (failed < n && l->used < LEGACY_QPS) {
		memset(l->mr->addr, l->used, 64);
		if (!EXPECT_EQ(write_legacy(l, l->used++), IBV_WC_REM_ACCESS_ERR))
			break;
		failed++;
	}
	return failed;
}

static void owner_leaves_child_stays(bool execs)
{
	struct legacy *l = worker_shared(sizeof(*l));
	char path[64], comm[32];
	struct worker w;
	double end;
	void *m;
	int i;

	ASSERT_TRUE(l);
	l->execs = execs;
	m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	ASSERT_EQ(worker_start(&w, "owner", forking_owner, l), 0);
	ASSERT_EQ(rdma_open(&l->rdma), 0);
	l->mr = ibv_reg_mr(l->rdma.pd, m, PAGE, RDMA_ALL);
	ASSERT_TRUE(l->mr);
	ASSERT_TRUE(worker_hear(w.fd, 'q', 20));
	for (i = 0; i < LEGACY_QPS; i++) {
		ASSERT_EQ(rdma_qp_create(&l->rdma, &l->qp[i], IBV_QPT_RC), 0);
		l->peer_qpn[i] = l->qp[i].qp->qp_num;
		ASSERT_EQ(rdma_qp_connect(&l->rdma, &l->qp[i],
					  l->owner_qpn[i], 0), 0);
	}
	EXPECT_TRUE(worker_tell(w.fd, 'q'));
	ASSERT_TRUE(worker_hear(w.fd, 'r', 20));
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	if (execs) {
		snprintf(path, sizeof(path), "/proc/%d/comm", w.pid);
		end = clock_now() + 10 * clock_scale();
		do {
			clock_sleep_ms(2);
			if (sysfs_read(path, comm, sizeof(comm)))
				comm[0] = '\0';
		} while (strcmp(comm, "sleep\n") && strcmp(comm, "busybox\n") &&
			 clock_now() < end);
		EXPECT_TRUE(clock_now() < end);
		EXPECT_EQ(account_pinned(w.pid), 0);
	} else {
		EXPECT_EQ(worker_join(&w, 10), 0);
	}
	/* the owner's memory is dead and buried, its region is not */
	memset(m, 0x77, 64);
	EXPECT_EQ(write_legacy(l, 0), IBV_WC_SUCCESS);
	scene_unbind(&l->observer, attack_legacy, l, 4);
	EXPECT_EQ(l->used, LEGACY_QPS);
	if (execs) {
		/* charged to the old mm, so given back to that one */
		EXPECT_EQ(account_pinned(w.pid), 0);
		worker_kill(&w, SIGKILL);
		EXPECT_NE(worker_join(&w, 10), -1);
	}
	l->stop = true;
	end = clock_now() + 10 * clock_scale();
	while (!l->ended && clock_now() < end)
		clock_sleep_ms(1);
	EXPECT_TRUE(l->ended);
	EXPECT_TRUE(l->gone);
	for (i = 0; i < LEGACY_QPS; i++)
		rdma_qp_destroy(&l->qp[i]);
	EXPECT_EQ(ibv_dereg_mr(l->mr), 0);
	EXPECT_EQ(rdma_close(&l->rdma), 0);
	munmap(m, PAGE);
	worker_unshare(l, sizeof(*l));
}

static void owner_exits_child_stays(void)
{
	owner_leaves_child_stays(false);
}

static void owner_execs_child_stays(void)
{
	owner_leaves_child_stays(true);
}

static void after_owner_exit(void)
{
	struct load *l = load_new(16, 16);

	ASSERT_TRUE(load_start(l, "owner"));
	worker_kill(&l->worker, SIGKILL);
	worker_join(&l->worker, 10);
	EXPECT_TRUE(provider_available_is_back(&scene_provider, 2000));
	scene_unbind(&l->observer, NULL, NULL, 0);
	load_free(l);
}

/* SIGKILL at moments that move from round to round */

enum kill_when { KILL_REGISTER, KILL_DEREGISTER };

struct victim {
	enum kill_when when;
	volatile uint64_t done;
};

#define VICTIM_MRS 32

static int victim_main(int fd, void *arg)
{
	struct victim *v = arg;
	struct ibv_mr *mr[VICTIM_MRS];
	size_t len = 16 * PAGE;
	bool told = false;
	struct rdma r;
	void *m;
	int i;

	ASSERT_EQ(rdma_open(&r), 0);
	m = p2pmem_map(&scene_provider, len);
	ASSERT_TRUE(m);
	while (v->done < ~0ULL) {
		if (v->when == KILL_REGISTER && !told)
			told = worker_tell(fd, 'r');
		for (i = 0; i < VICTIM_MRS; i++)
			mr[i] = ibv_reg_mr(r.pd, m, len, RDMA_ALL);
		if (v->when == KILL_DEREGISTER && !told)
			told = worker_tell(fd, 'r');
		for (i = 0; i < VICTIM_MRS; i++)
			if (mr[i])
				ibv_dereg_mr(mr[i]);
		v->done++;
	}
	return 0;
}

static void kill_while(enum kill_when when, bool unbinding)
{
	struct victim *v = worker_shared(sizeof(*v));
	struct worker w;
	struct unbind u;
	int round, rounds = (int)clock_fewer(unbinding ? 6 : 12);

	ASSERT_TRUE(v);
	v->when = when;
	for (round = 0; round < rounds && !tap_failed(); round++) {
		ASSERT_EQ(worker_start(&w, "victim", victim_main, v), 0);
		ASSERT_TRUE(worker_hear(w.fd, 'r', 20));
		if (unbinding)
			ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
		usleep((useconds_t)(round * 1700 * clock_scale()));
		worker_kill(&w, SIGKILL);
		EXPECT_NE(worker_join(&w, 10), -1);
		if (!unbinding) {
			EXPECT_TRUE(provider_available_is_back(&scene_provider,
							       2000));
			continue;
		}
		ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
		scene_aftermath(&u, NULL, NULL, NULL, 0);
	}
	if (!unbinding && !tap_failed())
		scene_unbind(NULL, NULL, NULL, 0);
	worker_unshare(v, sizeof(*v));
}

static void kill_during_register(void)
{
	kill_while(KILL_REGISTER, false);
}

static void kill_during_deregister(void)
{
	kill_while(KILL_DEREGISTER, false);
}

static void kill_during_register_and_unbind(void)
{
	kill_while(KILL_REGISTER, true);
}

static void kill_during_deregister_and_unbind(void)
{
	kill_while(KILL_DEREGISTER, true);
}

/* An owner of many MRs, with traffic on them, dies while the unbind runs. */
static void kill_during_unbind(void)
{
	struct load *l;
	struct unbind u;
	int round, rounds = (int)clock_fewer(6);

	for (round = 0; round < rounds && !tap_failed(); round++) {
		l = load_new(64, 16);
		ASSERT_TRUE(load_start(l, "owner"));
		ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
		usleep((useconds_t)(round * 4000 * clock_scale()));
		worker_kill(&l->worker, SIGKILL);
		EXPECT_NE(worker_join(&l->worker, 10), -1);
		ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
		scene_aftermath(&u, &l->observer, NULL, NULL, 0);
		load_free(l);
	}
}

/* The process that does the unbind is killed: the unbind is none the worse. */
static void kill_the_unbind(void)
{
	struct load *l = load_new(32, 16);
	struct unbind u;
	double end = clock_now() + 5 * clock_scale();
	char stack[4096] = "";

	ASSERT_TRUE(load_start(l, "owner"));
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	/* not before it is in the middle of it */
	while (!strstr(stack, "unbind_store") && clock_now() < end)
		stack_of(u.pid, stack, sizeof(stack));
	EXPECT_TRUE(strstr(stack, "unbind_store"));
	kill(u.pid, SIGKILL);
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	stack[strcspn(stack, "\n")] = '\0';
	tap_note("killed at: %s", stack);
	/* it did not live to tell, and what it began is complete */
	if (u.err == ECHILD)
		u.err = 0;
	EXPECT_TRUE(!provider_bound(&scene_provider));
	l->after_unbind = true;
	end = clock_now() + 5 * clock_scale();
	while (l->failed < 16 && clock_now() < end)
		clock_sleep_ms(1);
	EXPECT_GE(l->failed, 16);
	scene_aftermath(&u, &l->observer, NULL, NULL, 0);
	load_stop(l);
}

/* Not only its driver goes, but the device: no BAR is left to be looked at. */
static void device_removed(void)
{
	struct scene *s = scene_open(4, 0);
	struct unbind u;
	bool back;

	ASSERT_EQ(remove_start(&scene_provider, &u), 0);
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	EXPECT_EQ(u.err, 0);
	tap_note("the removal took %.3f s of guest time", u.seconds);
	EXPECT_EQ(account_pinned(getpid()), s->pinned + 16);
	EXPECT_TRUE(mem_is_gone(s->area));
	EXPECT_EQ(scene_attack_mr(s, 16), 16);
	back = EXPECT_EQ(provider_rescan(&scene_provider), 0);
	EXPECT_EQ(scene_attack_mr(s, 4), 4);
	if (back)
		scene_fresh_works();
	scene_close(s);
}

static const struct tap_test tests[] = {
	{ "idle", idle, 0 },
	{ "key_stays_reserved", key_stays_reserved, 0 },
	{ "every_opcode_fails", every_opcode_fails, 0 },
	{ "spans_p2p_and_ram", spans_p2p_and_ram, 0 },
	{ "window_type_1", window_type_1, 0 },
	{ "window_type_2", window_type_2, 0 },
	{ "device_removed", device_removed, 0 },
	{ "after_munmap", after_munmap, 0 },
	{ "after_mremap", after_mremap, 0 },
	{ "after_fork", after_fork, 0 },
	{ "owner_exits_child_stays", owner_exits_child_stays, 0 },
	{ "owner_execs_child_stays", owner_execs_child_stays, 0 },
	{ "after_owner_exit", after_owner_exit, 0 },
	{ "kill_during_register", kill_during_register, 30 },
	{ "kill_during_deregister", kill_during_deregister, 30 },
	{ "kill_during_register_and_unbind", kill_during_register_and_unbind, 40 },
	{ "kill_during_deregister_and_unbind",
	  kill_during_deregister_and_unbind, 40 },
	{ "kill_during_unbind", kill_during_unbind, 40 },
	{ "kill_the_unbind", kill_the_unbind, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-unbind", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
