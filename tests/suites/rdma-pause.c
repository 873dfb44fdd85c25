// SPDX-License-Identifier: GPL-2.0
/*
 * Races that are too narrow to be met by chance, held open by the debug
 * switches of the kernels that are booted here (lib/mutate.h): a copy that is
 * in flight when its MR is revoked, an mmap() that is half-way in when the
 * door closes, pages that are pinned and not yet attached.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "holders.h"
#include "mutate.h"
#include "p2pmem.h"
#include "registrar.h"
#include "scene.h"
#include "stacks.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* How long what must not happen has time to happen. */
#define WATCH_MS 300

static bool init(void)
{
	return mutate_there() && scene_init();
}

static void after(void)
{
	mutate_restore();
	scene_after();
}

/* Has the broadcast begun, or is it over? */
static bool revoke_began(double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	struct holders h;
	bool open;

	for (;;) {
		ASSERT_EQ(holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0),
			  0);
		open = h.found && !strcmp(h.state, "open");
		holders_free(&h);
		if (!open || clock_now() > end)
			return !open;
		clock_sleep_ms(1);
	}
}

/* Only the MR of the buffer is still charged. */
static bool unpinned(const struct scene *s, double seconds)
{
	double end = clock_now() + seconds;

	while (account_pinned(getpid()) != s->pinned + 4) {
		if (clock_now() > end)
			return false;
		clock_sleep_ms(1);
	}
	return true;
}

/*
 * One operation is held before its copy when the unbind begins: behind the look
 * at the state, so that the revoke has to wait for it, or before that look, so
 * that it must not happen. Once the pages are unpinned, which VmPin shows, no byte
 * may change any more. That is before the unbind returns, whose other work would
 * hide a copy that comes late.
 */
static void held_copy(const char *how, bool waits, enum ibv_wr_opcode opcode,
		      size_t len, bool local)
{
	struct scene *s = scene_open(1, 0);
	struct rdma_op op = scene_op(s, opcode, len);
	size_t words = len / 8;
	struct unbind u;
	struct ibv_wc wc = { .status = IBV_WC_GENERAL_ERR };
	size_t i, old = 0, new = 0;

	if (local) {
		uint64_t addr = op.laddr;

		op.laddr = op.raddr;
		op.raddr = addr;
		op.lkey = s->mr->lkey;
		op.rkey = s->buf_mr->rkey;
	}
	mem_fill(s->area, len, 100);
	mem_fill(s->buf, len, 200);
	if (opcode == IBV_WR_SEND)
		ASSERT_EQ(rdma_post_recv(&s->pair.end[1], (uintptr_t)s->area,
					 s->mr->lkey, (uint32_t)len), 0);
	/* the observer's own mapping of the BAR, while there is time */
	ASSERT_EQ(observer_open(&s->observer), 0);

	ASSERT_EQ(mutate_add(how), 0);
	ASSERT_EQ(rdma_post(&s->pair.end[0], &op), 0);
	EXPECT_TRUE(mutate_wait_held(10));
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	EXPECT_TRUE(revoke_began(10));
	if (waits && EXPECT_TRUE(!unpinned(s, WATCH_MS / 1000. * clock_scale())))
		EXPECT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(unpinned(s, 10 * clock_scale()));
	/* what must not be is held on to, so that the bytes show it */
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	EXPECT_EQ(mutate_restore(), 0);
	/* it came in time and succeeded, or too late and did nothing */
	if (EXPECT_EQ(rdma_poll(&s->pair.end[0], &wc, 10), 0))
		tap_note("the operation in flight: %s", rdma_status(wc.status));
	clock_sleep_ms(WATCH_MS);
	EXPECT_EQ(observer_changed(&s->observer), 0);

	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	for (i = 0; i < words; i++) {
		uint64_t word = s->observer.seen[PAGE / 8 + i];

		old += word == mem_word(100, i);
		new += word != mem_word(100, i);
	}
	tap_note("its words: %zu old, %zu new", old, new);
	if (wc.status == IBV_WC_SUCCESS)
		EXPECT_EQ(new, words);
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 8);
	scene_close(s);
}

static void copy_in_flight(enum ibv_wr_opcode opcode, size_t len, bool local)
{
	held_copy("copy_slow", true, opcode, len, local);
}

/*
 * The key was looked up before the revoke, the copy has not begun: the revoke
 * does not wait for it, so the copy must not happen.
 */
static void late_copy_of_a_write(void)
{
	held_copy("copy_late", false, IBV_WR_RDMA_WRITE, 64, false);
}

static void late_copy_of_an_atomic(void)
{
	held_copy("copy_late", false, IBV_WR_ATOMIC_FETCH_AND_ADD, 8, false);
}

static void late_copy_of_a_receive(void)
{
	held_copy("copy_late", false, IBV_WR_SEND, 64, false);
}

static void copy_of_a_write(void)
{
	copy_in_flight(IBV_WR_RDMA_WRITE, 64, false);
}

static void copy_of_an_atomic(void)
{
	copy_in_flight(IBV_WR_ATOMIC_FETCH_AND_ADD, 8, false);
}

static void copy_of_a_receive(void)
{
	copy_in_flight(IBV_WR_SEND, 64, false);
}

static void copy_of_a_read_response(void)
{
	copy_in_flight(IBV_WR_RDMA_READ, 64, true);
}

/*
 * One packet is being copied when the revoke comes, those behind it must be
 * stopped: each is looked up again.
 */
static void copy_of_many_packets(void)
{
	copy_in_flight(IBV_WR_RDMA_WRITE, PAGE, false);
}

static void copy_of_many_received(void)
{
	copy_in_flight(IBV_WR_SEND, PAGE, false);
}

/* A worker that is held in mmap(). */
struct mapper {
	volatile bool left;
	volatile bool got;		/* a mapping */
	volatile int err;
	volatile bool gone;		/* the mapping gives SIGBUS */
	volatile bool mr_refused;
};

static int mapping(int fd, void *arg)
{
	struct mapper *h = arg;
	struct ibv_mr *mr;
	struct rdma r;
	void *m;

	ASSERT_EQ(rdma_open(&r), 0);
	m = p2pmem_map(&scene_provider, 4 * PAGE);
	h->err = m ? 0 : errno;
	h->got = m;
	h->left = true;
	if (m) {
		h->gone = mem_is_gone(m);
		mr = ibv_reg_mr(r.pd, m, 4 * PAGE, RDMA_ALL);
		h->mr_refused = !mr;
		if (mr)
			ibv_dereg_mr(mr);
	}
	ASSERT_TRUE(worker_tell(fd, 'm'));
	ASSERT_TRUE(worker_hear(fd, 'x', 60));
	if (m)
		munmap(m, 4 * PAGE);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}

/*
 * kernfs has let go of the file for the mmap(), the VMA cannot be found yet:
 * an unmap in between finds nothing. The mapping must not work afterwards.
 */
static void mmap_half_way_in(void)
{
	struct mapper *h = worker_shared(sizeof(*h));
	struct worker w;
	struct unbind u;

	ASSERT_TRUE(h);
	ASSERT_EQ(mutate_add("mmap_gap"), 0);
	ASSERT_EQ(worker_start(&w, "mapper", mapping, h), 0);
	EXPECT_TRUE(mutate_wait_held(20));
	EXPECT_TRUE(!h->left);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	/* whether it waits for the mmap() or not is its own choice */
	if (unbind_wait(&u, 1 * clock_scale(), NULL, 0))
		tap_note("the unbind returned with the mmap() half-way in");
	else
		tap_note("the unbind waits for the mmap()");
	EXPECT_TRUE(!h->left);
	ASSERT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(worker_hear(w.fd, 'm', 20));
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	tap_note("mmap(): %s", h->got ? "succeeded" : strerror(h->err));
	if (h->got) {
		EXPECT_TRUE(h->gone);
		EXPECT_TRUE(h->mr_refused);
	} else {
		EXPECT_TRUE(h->err == ENODEV || h->err == ENOENT);
	}
	/* with that mapping still there */
	scene_aftermath(&u, NULL, NULL, NULL, 0);
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	worker_unshare(h, sizeof(*h));
}

static void start_registering(struct worker *w, struct registrar *reg)
{
	ASSERT_EQ(mutate_add("attach_gap"), 0);
	ASSERT_EQ(worker_start(w, "registrar", registrar, reg), 0);
	EXPECT_TRUE(mutate_wait_held(20));
	EXPECT_TRUE(!reg->left);
}

/* The broadcast comes after the pin and before the attach: that is refused. */
static void pinned_not_attached(void)
{
	struct registrar *reg = worker_shared(sizeof(*reg));
	struct worker w;
	struct unbind u;

	ASSERT_TRUE(reg);
	start_registering(&w, reg);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	EXPECT_TRUE(revoke_began(10));
	EXPECT_TRUE(!reg->left);
	ASSERT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(worker_hear(w.fd, 'm', 20));
	EXPECT_TRUE(!reg->got);
	tap_note("ibv_reg_mr(): %s", strerror(reg->err));
	EXPECT_EQ(reg->err, ENODEV);
	/* the registration has given its pages back by itself */
	if (!EXPECT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0)))
		stack_note(u.pid, "the unbind");
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	scene_aftermath(&u, NULL, NULL, NULL, 0);
	worker_unshare(reg, sizeof(*reg));
}

/* Held for a while and no unbind: nothing is wrong with it. */
static void attach_late(void)
{
	struct registrar *reg = worker_shared(sizeof(*reg));
	struct worker w;

	ASSERT_TRUE(reg);
	start_registering(&w, reg);
	ASSERT_EQ(mutate_restore(), 0);
	EXPECT_TRUE(worker_hear(w.fd, 'm', 20));
	EXPECT_TRUE(reg->got);
	scene_unbind(NULL, NULL, NULL, 0);
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	EXPECT_EQ(worker_join(&w, 20), 0);
	worker_unshare(reg, sizeof(*reg));
}

static const struct tap_test tests[] = {
	{ "copy_of_a_write", copy_of_a_write, 0 },
	{ "copy_of_an_atomic", copy_of_an_atomic, 0 },
	{ "copy_of_a_receive", copy_of_a_receive, 0 },
	{ "copy_of_a_read_response", copy_of_a_read_response, 0 },
	{ "late_copy_of_a_write", late_copy_of_a_write, 0 },
	{ "late_copy_of_an_atomic", late_copy_of_an_atomic, 0 },
	{ "late_copy_of_a_receive", late_copy_of_a_receive, 0 },
	{ "copy_of_many_packets", copy_of_many_packets, 0 },
	{ "copy_of_many_received", copy_of_many_received, 0 },
	{ "mmap_half_way_in", mmap_half_way_in, 30 },
	{ "pinned_not_attached", pinned_not_attached, 30 },
	{ "attach_late", attach_late, 30 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-pause", tests, init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
