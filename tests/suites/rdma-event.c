// SPDX-License-Identifier: GPL-2.0
/*
 * The asynchronous event that tells the owner of an MR that it was revoked, as
 * an unmodified libibverbs hands it out: once for each MR that was hit, with
 * its lkey, for nobody else, and for none that has been deregistered.
 */
#include "check.h"
#include "clock.h"
#include "mutate.h"
#include "scene.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define EVENT_MR_REVOKED 21
/*
 * VmPin in KiB. A scene remembers it from when it was opened, with the page of
 * a scene before it, which the unbind takes away.
 */
#define PINNED_PAGE 4

/*
 * The next event about an MR: its lkey, or 0 when there is none now. Others
 * (GID changes of the netdev) are passed over.
 */
static uint32_t next_event(struct ibv_context *ctx)
{
	struct pollfd p = { .fd = ctx->async_fd, .events = POLLIN };
	struct ibv_async_event e;

	while (poll(&p, 1, 0) > 0) {
		if (ibv_get_async_event(ctx, &e))
			return 0;
		ibv_ack_async_event(&e);
		if ((int)e.event_type == EVENT_MR_REVOKED)
			return (uint32_t)e.element.port_num;
	}
	return 0;
}

static void no_event(struct ibv_context *ctx)
{
	EXPECT_EQ(next_event(ctx), 0);
}

static void unbind(void)
{
	struct unbind u;

	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
}

/* It is there when the unbind returns, and then no more. */
static void one(void)
{
	struct scene *s = scene_open(4, 0);

	no_event(s->rdma.ctx);
	unbind();
	EXPECT_EQ(next_event(s->rdma.ctx), s->mr->lkey);
	no_event(s->rdma.ctx);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	no_event(s->rdma.ctx);
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	no_event(s->rdma.ctx);
	scene_close(s);
}

/* Somebody who waits in ibv_get_async_event() is woken. */
struct waiter {
	struct ibv_context *ctx;
	volatile uint32_t lkey;
	volatile double when;
};

static void *wait_for_event(void *arg)
{
	struct waiter *w = arg;
	struct ibv_async_event e;

	do {
		if (ibv_get_async_event(w->ctx, &e))
			return NULL;
		ibv_ack_async_event(&e);
	} while ((int)e.event_type != EVENT_MR_REVOKED);
	w->when = clock_now();
	w->lkey = (uint32_t)e.element.port_num;
	return NULL;
}

static void wakes_the_reader(void)
{
	struct scene *s = scene_open(1, 0);
	struct waiter w = { .ctx = s->rdma.ctx };
	struct timespec limit;
	struct unbind u;
	pthread_t t;

	ASSERT_EQ(pthread_create(&t, NULL, wait_for_event, &w), 0);
	clock_sleep_ms(50);
	EXPECT_EQ(w.lkey, 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += (time_t)(5 * clock_scale());
	if (!EXPECT_EQ(pthread_timedjoin_np(t, NULL, &limit), 0)) {
		pthread_cancel(t);
		pthread_join(t, NULL);
	}
	EXPECT_EQ(w.lkey, s->mr->lkey);
	tap_note("the reader had it %.3f s after the unbind began, which took %.3f s",
		 w.when - u.start, u.seconds);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

/* It does not wait for the rest of the unbind, which is held up here. */
static void before_the_unbind_returns(void)
{
	double limit = clock_now() + 5 * clock_scale();
	struct scene *s = scene_open(1, 0);
	struct unbind u;
	uint32_t lkey;

	ASSERT_EQ(mutate_add("remove_gap"), 0);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	do {
		lkey = next_event(s->rdma.ctx);
		if (!lkey)
			clock_sleep_ms(1);
	} while (!lkey && clock_now() < limit);
	EXPECT_EQ(lkey, s->mr->lkey);
	EXPECT_TRUE(!unbind_wait(&u, 0, NULL, 0));
	/* and the MR can go before the device does */
	EXPECT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	EXPECT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

/* Position of an lkey in a list, -1 if it is not there. */
static int find(struct ibv_mr **mr, int n, uint32_t lkey)
{
	int i;

	for (i = 0; i < n; i++)
		if (mr[i] && mr[i]->lkey == lkey)
			return i;
	return -1;
}

/* Reads all events: each must be of one of these MRs and come once. */
static int collect(struct ibv_context *ctx, struct ibv_mr **mr, int n,
		   unsigned char *seen)
{
	uint32_t lkey;
	int i, got = 0;

	while ((lkey = next_event(ctx))) {
		i = find(mr, n, lkey);
		if (!EXPECT_GE(i, 0) || !EXPECT_EQ(seen[i], 0))
			tap_note("lkey %#x", lkey);
		if (i >= 0)
			seen[i]++;
		got++;
	}
	return got;
}

/* n MRs of one page each over the area, round and round */
static void many(int n)
{
	struct scene *s = scene_open_bare(4);
	struct ibv_mr **mr = calloc((size_t)n, sizeof(*mr));
	unsigned char *seen = calloc((size_t)n, 1);
	int i;

	ASSERT_TRUE(mr && seen);
	for (i = 0; i < n; i++) {
		mr[i] = ibv_reg_mr(s->rdma.pd, s->area + (size_t)(i % 4) * PAGE,
				   PAGE, RDMA_ALL);
		ASSERT_TRUE(mr[i]);
	}
	no_event(s->rdma.ctx);
	unbind();
	EXPECT_EQ(collect(s->rdma.ctx, mr, n, seen), n);
	for (i = 0; i < n; i++)
		EXPECT_EQ(ibv_dereg_mr(mr[i]), 0);
	no_event(s->rdma.ctx);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
	free(mr);
	free(seen);
}

static void two(void)
{
	many(2);
}

static void many_64(void)
{
	many(64);
}

static void many_1000(void)
{
	many(1000);
}

/* Several pages of the same MR are one event; so is a mixed one. */
static void spans_p2p_and_ram(void)
{
	struct scene *s = scene_open_bare(1);
	size_t len = 4 * PAGE;
	unsigned char *ram = mmap(NULL, len, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *mr;

	ASSERT_TRUE(ram != MAP_FAILED);
	ASSERT_TRUE(p2pmem_mmap(&scene_provider, ram, PAGE,
				MAP_SHARED | MAP_FIXED, 0));
	ASSERT_TRUE(p2pmem_mmap(&scene_provider, ram + 2 * PAGE, PAGE,
				MAP_SHARED | MAP_FIXED, 0));
	mr = ibv_reg_mr(s->rdma.pd, ram, len, RDMA_ALL);
	ASSERT_TRUE(mr);
	unbind();
	EXPECT_EQ(next_event(s->rdma.ctx), mr->lkey);
	no_event(s->rdma.ctx);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	munmap(ram, len);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

/* Ordinary memory, MRs that are gone, and other contexts' MRs give none. */
static void only_who_was_hit(void)
{
	struct scene *s = scene_open(1, 0), *ram = scene_open_bare(1);
	struct ibv_mr *gone;

	gone = ibv_reg_mr(s->rdma.pd, s->area, PAGE, RDMA_ALL);
	ASSERT_TRUE(gone);
	EXPECT_EQ(ibv_dereg_mr(gone), 0);
	unbind();
	EXPECT_EQ(next_event(s->rdma.ctx), s->mr->lkey);
	no_event(s->rdma.ctx);
	no_event(ram->rdma.ctx);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	ram->pinned -= PINNED_PAGE;
	scene_close(ram);
	scene_close(s);
}

/* Each context is told of its own. */
static void two_contexts(void)
{
	struct scene *a = scene_open(1, 0), *b = scene_open(1, 0);
	struct ibv_mr *a2 = ibv_reg_mr(a->rdma.pd, b->area, PAGE, RDMA_ALL);
	struct ibv_mr *mrs[2] = { a->mr, a2 };
	unsigned char seen[2] = { 0, 0 };

	ASSERT_TRUE(a2);
	unbind();
	EXPECT_EQ(next_event(b->rdma.ctx), b->mr->lkey);
	no_event(b->rdma.ctx);
	EXPECT_EQ(collect(a->rdma.ctx, mrs, 2, seen), 2);
	EXPECT_EQ(ibv_dereg_mr(a2), 0);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	b->pinned -= PINNED_PAGE;
	scene_close(b);
	scene_close(a);
}

/* What was not read goes with its MR, and nothing else does. */
static void none_after_dereg(void)
{
	struct scene *s = scene_open_bare(1);
	struct ibv_mr *mr[8];
	int i;

	for (i = 0; i < 8; i++) {
		mr[i] = ibv_reg_mr(s->rdma.pd, s->area, PAGE, RDMA_ALL);
		ASSERT_TRUE(mr[i]);
	}
	unbind();
	/* the first, the last and one in between */
	for (i = 0; i < 8; i++)
		if (i == 0 || i == 3 || i == 7) {
			EXPECT_EQ(ibv_dereg_mr(mr[i]), 0);
			mr[i] = NULL;
		}
	for (i = 0; i < 8; i++)
		if (mr[i])
			EXPECT_GE(find(mr, 8, next_event(s->rdma.ctx)), 0);
	no_event(s->rdma.ctx);
	for (i = 0; i < 8; i++)
		if (mr[i])
			EXPECT_EQ(ibv_dereg_mr(mr[i]), 0);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

/* A dereg that is refused leaves the event where it is. */
static void failed_dereg(void)
{
	struct scene *s = scene_open(1, IBV_ACCESS_MW_BIND);
	struct ibv_mw *mw = ibv_alloc_mw(s->rdma.pd, IBV_MW_TYPE_2);
	struct rdma_op op = {
		.opcode = IBV_WR_BIND_MW,
		.mw = mw,
		.mw_mr = s->mr,
		.raddr = (uintptr_t)s->area,
		.len = PAGE,
		.mw_access = IBV_ACCESS_REMOTE_WRITE,
	};

	ASSERT_TRUE(mw);
	op.rkey = ibv_inc_rkey(mw->rkey);
	ASSERT_EQ(rdma_run(&s->pair.end[1], &op), IBV_WC_SUCCESS);
	unbind();
	EXPECT_EQ(ibv_dereg_mr(s->mr), EINVAL);
	EXPECT_EQ(next_event(s->rdma.ctx), s->mr->lkey);
	no_event(s->rdma.ctx);
	EXPECT_EQ(ibv_dealloc_mw(mw), 0);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(s);
}

/* The next unbind is about the MRs made since. */
static void rebind(void)
{
	struct scene *s = scene_open(1, 0), *fresh;

	unbind();
	EXPECT_EQ(next_event(s->rdma.ctx), s->mr->lkey);
	ASSERT_EQ(provider_bind(&scene_provider), 0);
	fresh = scene_open(1, 0);
	unbind();
	no_event(s->rdma.ctx);
	EXPECT_EQ(next_event(fresh->rdma.ctx), fresh->mr->lkey);
	no_event(fresh->rdma.ctx);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(fresh);
	scene_close(s);
}

/* Nobody reads, and nobody ever can: the context goes with the events in it. */
static void nobody_reads(void)
{
	struct scene *s = scene_open(1, 0), *shut = scene_open(1, 0);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* closes the file behind it, and leaves libibverbs something to close */
	ASSERT_GE(null, 0);
	ASSERT_EQ(dup2(null, shut->rdma.ctx->async_fd),
		  shut->rdma.ctx->async_fd);
	close(null);
	unbind();
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	shut->pinned -= PINNED_PAGE;
	scene_close(shut);
	/* its context is closed with the MR still in it */
	rdma_pair_destroy(&s->pair);
	ibv_close_device(s->rdma.ctx);
	s->rdma.ctx = NULL;
	EXPECT_EQ(munmap(s->map, s->map_len), 0);
	munmap(s->buf, s->len);
	memset(s, 0, sizeof(*s));
}

static int owner(int fd, void *arg)
{
	struct scene *s = scene_open(1, 0);

	(void)arg;
	(void)s;
	worker_tell(fd, 'r');
	worker_hear(fd, 'e', 60);
	return 0;
}

/* The owner dies with the event unread, or before there is one. */
static void owner_dies(void)
{
	struct worker w[2];
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(worker_start(&w[i], i ? "owner1" : "owner0", owner,
				       NULL), 0);
		ASSERT_TRUE(worker_hear(w[i].fd, 'r', 20));
	}
	worker_kill(&w[0], SIGKILL);
	worker_join(&w[0], 10);
	unbind();
	worker_kill(&w[1], SIGKILL);
	worker_join(&w[1], 10);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_fresh_works();
}

/*
 * Threads register and deregister as fast as they can until the unbind is upon
 * them, then deregister half of what they have, and the test reads. Whoever holds the lock knows which MRs there
 * are; the reader takes it around a read that does not wait. The event may be
 * faster than the return of ibv_reg_mr(): then its lkey is early.
 */
#define RACERS 4
#define SLOTS 16
#define EARLY (2 * RACERS)

struct race {
	struct scene *s;
	pthread_mutex_t lock;
	struct ibv_mr *live[RACERS][SLOTS];
	bool told[RACERS][SLOTS];
	uint32_t early[EARLY];
	volatile bool stop;
	unsigned int registered, refused, events, early_events, twice, lost;
};

struct racer {
	struct race *race;
	int me;
};

static bool take_early(struct race *r, uint32_t lkey)
{
	int i;

	for (i = 0; i < EARLY; i++)
		if (r->early[i] == lkey) {
			r->early[i] = 0;
			return true;
		}
	return false;
}

static void *race_thread(void *arg)
{
	struct racer *me = arg;
	struct race *r = me->race;
	bool refused = false;
	unsigned int i = 0;

	while (!r->stop && !refused) {
		unsigned int slot = i++ % SLOTS;
		struct ibv_mr **live = &r->live[me->me][slot], *mr;

		pthread_mutex_lock(&r->lock);
		if (*live && !ibv_dereg_mr(*live))
			*live = NULL;
		pthread_mutex_unlock(&r->lock);

		mr = ibv_reg_mr(r->s->rdma.pd, r->s->area, PAGE, RDMA_ALL);

		pthread_mutex_lock(&r->lock);
		*live = mr;
		r->told[me->me][slot] = mr && take_early(r, mr->lkey);
		if (mr)
			r->registered++;
		else
			r->refused++;
		pthread_mutex_unlock(&r->lock);
		refused = !mr;
	}
	for (i = 1; i < SLOTS; i += 2) {
		struct ibv_mr **live = &r->live[me->me][i];

		pthread_mutex_lock(&r->lock);
		if (*live && !ibv_dereg_mr(*live))
			*live = NULL;
		pthread_mutex_unlock(&r->lock);
	}
	return NULL;
}

static void race_tell(struct race *r, uint32_t lkey)
{
	int i, j;

	r->events++;
	for (i = 0; i < RACERS; i++)
		for (j = 0; j < SLOTS; j++) {
			if (!r->live[i][j] || r->live[i][j]->lkey != lkey)
				continue;
			r->twice += r->told[i][j];
			r->told[i][j] = true;
			return;
		}
	r->early_events++;
	for (i = 0; i < EARLY; i++)
		if (!r->early[i]) {
			r->early[i] = lkey;
			return;
		}
	r->lost++;
}

static void race_read(struct race *r)
{
	uint32_t lkey;

	pthread_mutex_lock(&r->lock);
	while ((lkey = next_event(r->s->rdma.ctx)))
		race_tell(r, lkey);
	pthread_mutex_unlock(&r->lock);
}

static void racing_dereg(void)
{
	unsigned int left = 0, untold = 0, stale = 0;
	struct race r = { .s = scene_open_bare(1) };
	struct racer racer[RACERS];
	pthread_t t[RACERS];
	struct unbind u;
	double start;
	int i, j;

	pthread_mutex_init(&r.lock, NULL);
	for (i = 0; i < RACERS; i++) {
		racer[i] = (struct racer) { &r, i };
		ASSERT_EQ(pthread_create(&t[i], NULL, race_thread, &racer[i]),
			  0);
	}
	clock_sleep_ms(200);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	start = clock_now();
	while (clock_now() < start + 1 ||
	       (r.refused < RACERS && clock_now() < start + 10 * clock_scale())) {
		race_read(&r);
		clock_sleep_ms(1);
	}
	EXPECT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	r.stop = true;
	for (i = 0; i < RACERS; i++)
		pthread_join(t[i], NULL);
	race_read(&r);

	for (i = 0; i < RACERS; i++)
		for (j = 0; j < SLOTS; j++) {
			left += !!r.live[i][j];
			untold += r.live[i][j] && !r.told[i][j];
		}
	for (i = 0; i < EARLY; i++)
		stale += !!r.early[i];
	tap_note("%u registered, %u refused; %u events, %u of them early; %u revoked MRs at the end",
		 r.registered, r.refused, r.events, r.early_events, left);
	EXPECT_GE(r.registered, 10);
	EXPECT_EQ(r.refused, RACERS);
	EXPECT_GE(left, RACERS);
	EXPECT_GE(r.events, left);
	EXPECT_EQ(r.twice, 0);
	EXPECT_EQ(stale + r.lost, 0);
	EXPECT_EQ(untold, 0);
	for (i = 0; i < RACERS; i++)
		for (j = 0; j < SLOTS; j++)
			if (r.live[i][j])
				EXPECT_EQ(ibv_dereg_mr(r.live[i][j]), 0);
	no_event(r.s->rdma.ctx);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	scene_close(r.s);
}

/*
 * A context that has no asynchronous event file when the revoke comes, and gets
 * one later. libibverbs always makes it at once, so this speaks to the kernel.
 */
struct raw_ioctl {
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attr[4];
};

static int raw_ioctl(int fd, struct raw_ioctl *cmd, int attrs)
{
	cmd->hdr.num_attrs = (__u16)attrs;
	cmd->hdr.length = (__u16)(sizeof(cmd->hdr) +
				  (size_t)attrs * sizeof(cmd->attr[0]));
	cmd->hdr.driver_id = RDMA_DRIVER_RXE;
	return ioctl(fd, RDMA_VERBS_IOCTL, cmd) ? -errno : 0;
}

static int raw_get_context(int fd)
{
	uint64_t core = 0;
	uint32_t vectors = 0;
	struct raw_ioctl cmd = {
		.hdr.object_id = UVERBS_OBJECT_DEVICE,
		.hdr.method_id = UVERBS_METHOD_GET_CONTEXT,
		.attr = {
			{
				.attr_id = UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS,
				.len = sizeof(vectors),
				.data = (uintptr_t)&vectors,
			}, {
				.attr_id = UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT,
				.len = sizeof(core),
				.data = (uintptr_t)&core,
			},
		},
	};

	return raw_ioctl(fd, &cmd, 2);
}

static int raw_async_file(int fd)
{
	struct raw_ioctl cmd = {
		.hdr.object_id = UVERBS_OBJECT_ASYNC_EVENT,
		.hdr.method_id = UVERBS_METHOD_ASYNC_EVENT_ALLOC,
		.attr[0] = {
			.attr_id = UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE,
			.flags = UVERBS_ATTR_F_MANDATORY,
		},
	};
	int err = raw_ioctl(fd, &cmd, 1);

	return err ? err : (int)cmd.attr[0].data_s64;
}

static int raw_alloc_pd(int fd, uint32_t *pd)
{
	struct ib_uverbs_alloc_pd_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_alloc_pd arg;
	} cmd = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_ALLOC_PD,
			.in_words = sizeof(cmd) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.arg.response = (uintptr_t)&resp,
	};

	if (write(fd, &cmd, sizeof(cmd)) != sizeof(cmd))
		return -errno;
	*pd = resp.pd_handle;
	return 0;
}

static int raw_reg_mr(int fd, uint32_t pd, void *at, uint32_t *lkey)
{
	struct ib_uverbs_reg_mr_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_reg_mr arg;
	} cmd = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_REG_MR,
			.in_words = sizeof(cmd) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.arg = {
			.response = (uintptr_t)&resp,
			.start = (uintptr_t)at,
			.length = PAGE,
			.hca_va = (uintptr_t)at,
			.pd_handle = pd,
			.access_flags = RDMA_ALL,
		},
	};

	if (write(fd, &cmd, sizeof(cmd)) != sizeof(cmd))
		return -errno;
	*lkey = resp.lkey;
	return (int)resp.mr_handle;
}

static int raw_dereg_mr(int fd, int handle)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_dereg_mr arg;
	} cmd = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_DEREG_MR,
			.in_words = sizeof(cmd) / 4,
		},
		.arg.mr_handle = (uint32_t)handle,
	};

	return write(fd, &cmd, sizeof(cmd)) == sizeof(cmd) ? 0 : -errno;
}

static void async_file_comes_later(void)
{
	struct ib_uverbs_async_event_desc e;
	void *m = p2pmem_map(&scene_provider, PAGE);
	uint32_t pd = 0, lkey[2] = { 0, 0 };
	int fd, async, mr[2], i, flags;

	ASSERT_TRUE(m);
	fd = open("/dev/infiniband/uverbs0", O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(raw_get_context(fd), 0);
	ASSERT_EQ(raw_alloc_pd(fd, &pd), 0);
	for (i = 0; i < 2; i++) {
		mr[i] = raw_reg_mr(fd, pd, m, &lkey[i]);
		ASSERT_GE(mr[i], 0);
	}
	unbind();
	/* of two that wait, one goes with its MR */
	EXPECT_EQ(raw_dereg_mr(fd, mr[0]), 0);
	async = raw_async_file(fd);
	ASSERT_GE(async, 0);
	flags = fcntl(async, F_GETFL);
	fcntl(async, F_SETFL, flags | O_NONBLOCK);
	ASSERT_EQ(read(async, &e, sizeof(e)), sizeof(e));
	EXPECT_EQ(e.event_type, EVENT_MR_REVOKED);
	EXPECT_EQ(e.element, lkey[1]);
	EXPECT_EQ(read(async, &e, sizeof(e)), -1);
	EXPECT_EQ(raw_dereg_mr(fd, mr[1]), 0);
	close(async);
	close(fd);
	munmap(m, PAGE);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

static void after(void)
{
	mutate_restore();
	scene_after();
}

static const struct tap_test tests[] = {
	{ "one", one, 0 },
	{ "wakes_the_reader", wakes_the_reader, 30 },
	{ "before_the_unbind_returns", before_the_unbind_returns, 30 },
	{ "two", two, 0 },
	{ "many_64", many_64, 0 },
	{ "many_1000", many_1000, 60 },
	{ "spans_p2p_and_ram", spans_p2p_and_ram, 0 },
	{ "only_who_was_hit", only_who_was_hit, 0 },
	{ "two_contexts", two_contexts, 0 },
	{ "none_after_dereg", none_after_dereg, 0 },
	{ "failed_dereg", failed_dereg, 0 },
	{ "rebind", rebind, 30 },
	{ "nobody_reads", nobody_reads, 0 },
	{ "owner_dies", owner_dies, 30 },
	{ "racing_dereg", racing_dereg, 40 },
	{ "async_file_comes_later", async_file_comes_later, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-event", tests, scene_init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
