// SPDX-License-Identifier: GPL-2.0
/*
 * The story: two processes do RDMA on an NVMe controller's memory while the
 * driver of that controller is unbound.
 *
 * A owns the memory region, B has a context of its own and writes into it.
 * The process that tells the story starts both and unbinds the driver.
 * Every line that is printed as a fact was checked; the last one is the
 * verdict, and the exit status says the same.
 *
 * --contrast tells what happens without the broadcast: to be run on a kernel
 * with pfn_revoke.mutate=broadcast_off.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "keys.h"
#include "mutate.h"
#include "observer.h"
#include "p2pmem.h"
#include "provider.h"
#include "rdma.h"
#include "stacks.h"
#include "tell.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MR_LEN		((size_t)1 << 20)
#define MAP_LEN		(MR_LEN + 2 * PAGE)
#define CHUNK		((size_t)4096)
#define FAILURES_WANTED	1000

/* Seen by all three. */
struct story {
	struct provider provider;
	struct observer observer;

	/* the region, and A's end of the connection */
	uint64_t addr;
	uint32_t rkey, lkey;
	volatile uint32_t a_qpn, b_qpn, psn;
	int a_to_b[2];			/* they reconnect through this */

	volatile uint64_t writes;	/* of B, that completed */
	volatile uint64_t failures;	/* of B, remote access errors */
	volatile int first_status;	/* of B's first failure */
	volatile double first_time;
	volatile bool unbound;		/* the unbind has returned */
	volatile uint64_t late;		/* successes after that */
	volatile int other_status;	/* of a failure that was another one */
	volatile int a_status;		/* of A's own request afterwards */
	volatile bool a_sigbus;
	volatile uint32_t a_event;	/* lkey of the region that A is told of */
	volatile long a_pinned[3];	/* before, with, after */
	volatile bool key_given_again;
};

static struct story *st;

/*
 * B asks, A follows: both ends through RESET into a new connection. Again if
 * rxe was still busy with the one before, see rdma_pair_connect().
 */
static bool reconnect_a(struct rdma *r, struct rdma_qp *q, int fd)
{
	int tries, err = -EINVAL;

	for (tries = 0; err == -EINVAL && tries < 20; tries++) {
		if (tries)
			usleep(500);
		err = rdma_qp_connect(r, q, st->b_qpn, st->psn);
	}
	return !err && worker_tell(fd, 'k');
}

static bool reconnect_b(struct rdma *r, struct rdma_qp *q, int fd)
{
	int tries;

	for (tries = 0; tries < 20; tries++) {
		st->psn = rdma_new_psn();
		if (!worker_tell(fd, 'c') || !worker_hear(fd, 'k', 5))
			return false;
		if (!rdma_qp_connect(r, q, st->a_qpn, st->psn))
			return true;
		usleep(500);
	}
	return false;
}

/*
 * A. Obeys the narrator: 'f' the bytes that B wrote are seen by the CPU, 'e' is
 * there an event, 'l' use the region locally, 't' touch the mapping, 'k' is the
 * key reserved, 'd' deregister and end. In between it serves B's wish to reconnect.
 */
static void a_looks(unsigned char *area)
{
	EXPECT_EQ(mem_differs(area, 16 * CHUNK, 4711), 0);
}

static void a_uses_region(struct rdma *r, struct ibv_mr *mr)
{
	struct rdma_pair second;
	struct rdma_op op;
	struct ibv_mr *ram;
	void *m;

	m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	ram = ibv_reg_mr(r->pd, m, PAGE, RDMA_ALL);
	ASSERT_TRUE(ram);
	ASSERT_EQ(rdma_pair_create(r, &second, IBV_QPT_RC), 0);
	op = (struct rdma_op) {
		.opcode = IBV_WR_RDMA_READ,
		.laddr = (uintptr_t)mr->addr, .lkey = mr->lkey, .len = 64,
		.raddr = (uintptr_t)m, .rkey = ram->rkey,
	};
	st->a_status = rdma_run(&second.end[0], &op);
	rdma_pair_destroy(&second);
	EXPECT_EQ(ibv_dereg_mr(ram), 0);
	munmap(m, PAGE);
}

static void a_looks_for_key(struct rdma *r, uint32_t rkey)
{
	struct ibv_mr *mr[64];
	void *m;
	int i;

	m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	for (i = 0; i < 64; i++) {
		mr[i] = ibv_reg_mr(r->pd, m, PAGE, RDMA_ALL);
		ASSERT_TRUE(mr[i]);
		if (mr[i]->rkey >> 8 == rkey >> 8)
			st->key_given_again = true;
	}
	while (i--)
		EXPECT_EQ(ibv_dereg_mr(mr[i]), 0);
	munmap(m, PAGE);
}

static int process_a(int fd, void *arg)
{
	int peer = st->a_to_b[0];
	unsigned char *map;
	struct rdma_qp q;
	struct ibv_mr *mr;
	struct rdma r;
	char what;

	(void)arg;
	close(st->a_to_b[1]);
	ASSERT_EQ(rdma_open(&r), 0);
	ASSERT_EQ(rdma_qp_create(&r, &q, IBV_QPT_RC), 0);
	st->a_pinned[0] = account_pinned(getpid());
	map = p2pmem_map(&st->provider, MAP_LEN);
	ASSERT_TRUE(map);
	mem_fill(map, MAP_LEN, 1);
	ASSERT_EQ(observer_locate(&st->observer, &st->provider, map, MAP_LEN), 0);
	mr = ibv_reg_mr(r.pd, map + PAGE, MR_LEN, RDMA_ALL);
	ASSERT_TRUE(mr);
	st->a_pinned[1] = account_pinned(getpid());
	st->addr = (uintptr_t)mr->addr;
	st->rkey = mr->rkey;
	st->lkey = mr->lkey;
	st->a_qpn = q.qp->qp_num;
	ASSERT_TRUE(worker_tell(fd, 'r'));

	for (;;) {
		if (worker_pending(peer)) {
			if (read(peer, &what, 1) != 1)
				break;		/* B has ended */
			ASSERT_EQ(what, 'c');
			ASSERT_TRUE(reconnect_a(&r, &q, peer));
			continue;
		}
		if (!worker_pending(fd)) {
			usleep(200);
			continue;
		}
		if (read(fd, &what, 1) != 1)
			return 1;
		switch (what) {
		case 'f':
			a_looks(map + PAGE);
			break;
		case 'e':
			st->a_event = rdma_told_revoked(&r);
			break;
		case 'l':
			a_uses_region(&r, mr);
			break;
		case 't':
			st->a_pinned[2] = account_pinned(getpid());
			st->a_sigbus = mem_is_gone(map + PAGE);
			break;
		case 'k':
			a_looks_for_key(&r, mr->rkey);
			break;
		case 'd':
			goto out;
		}
		ASSERT_TRUE(worker_tell(fd, 'o'));
	}
	/* B is gone: wait for the narrator's word */
	ASSERT_TRUE(worker_hear(fd, 'd', 60));
out:
	rdma_qp_destroy(&q);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	munmap(map, MAP_LEN);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}

/*
 * B. First writes and reads back once, then after 'w' writes and writes,
 * reconnecting when it fails, until it is told to stop.
 */
static int process_b(int fd, void *arg)
{
	int peer = st->a_to_b[1];
	struct rdma_op op;
	struct rdma_qp q;
	struct ibv_mr *mr;
	struct rdma r;
	uint64_t n;
	int status;
	void *buf;

	(void)arg;
	close(st->a_to_b[0]);
	ASSERT_EQ(rdma_open(&r), 0);
	ASSERT_EQ(rdma_qp_create(&r, &q, IBV_QPT_RC), 0);
	st->b_qpn = q.qp->qp_num;
	buf = mmap(NULL, 16 * CHUNK, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(buf != MAP_FAILED);
	mr = ibv_reg_mr(r.pd, buf, 16 * CHUNK, RDMA_ALL);
	ASSERT_TRUE(mr);
	ASSERT_TRUE(reconnect_b(&r, &q, peer));

	mem_fill(buf, 16 * CHUNK, 4711);
	op = (struct rdma_op) {
		.opcode = IBV_WR_RDMA_WRITE,
		.laddr = (uintptr_t)buf, .lkey = mr->lkey, .len = 16 * CHUNK,
		.raddr = st->addr, .rkey = st->rkey,
	};
	EXPECT_EQ(rdma_run(&q, &op), IBV_WC_SUCCESS);
	memset(buf, 0, 16 * CHUNK);
	op.opcode = IBV_WR_RDMA_READ;
	EXPECT_EQ(rdma_run(&q, &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(buf, 16 * CHUNK, 4711), 0);
	if (check_worker_failed())
		return 1;
	ASSERT_TRUE(worker_tell(fd, 'r'));
	ASSERT_TRUE(worker_hear(fd, 'w', 60));

	op.opcode = IBV_WR_RDMA_WRITE;
	op.len = CHUNK;
	for (n = 0; !worker_pending(fd); n++) {
		bool after = st->unbound;

		/* other bytes each time, so that each write can be seen */
		mem_fill(buf, CHUNK, 1000 + n);
		op.raddr = st->addr + n % (MR_LEN / CHUNK) * CHUNK;
		status = rdma_run(&q, &op);
		if (status == IBV_WC_SUCCESS) {
			st->writes++;
			if (after)
				st->late++;
			continue;
		}
		if (!st->failures) {
			st->first_status = status;
			st->first_time = clock_now();
		}
		if (status == IBV_WC_REM_ACCESS_ERR)
			st->failures++;
		else
			st->other_status = status;
		ASSERT_TRUE(reconnect_b(&r, &q, peer));
	}
	ASSERT_TRUE(worker_hear(fd, 's', 1));
	rdma_qp_destroy(&q);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}

/* A third process: does the memory serve somebody new? */
static int process_c(int fd, void *arg)
{
	struct rdma_pair pair;
	struct rdma_op op;
	struct ibv_mr *mr, *ram;
	struct rdma r;
	void *m, *p;

	(void)fd;
	(void)arg;
	ASSERT_EQ(rdma_open(&r), 0);
	ASSERT_EQ(rdma_pair_create(&r, &pair, IBV_QPT_RC), 0);
	p = p2pmem_map(&st->provider, 4 * PAGE);
	ASSERT_TRUE(p);
	m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	mr = ibv_reg_mr(r.pd, p, 4 * PAGE, RDMA_ALL);
	ASSERT_TRUE(mr);
	ram = ibv_reg_mr(r.pd, m, 4 * PAGE, RDMA_ALL);
	ASSERT_TRUE(ram);
	EXPECT_NE(mr->rkey, st->rkey);
	mem_fill(m, 4 * PAGE, 8);
	op = (struct rdma_op) {
		.opcode = IBV_WR_RDMA_WRITE,
		.laddr = (uintptr_t)m, .lkey = ram->lkey, .len = 4 * PAGE,
		.raddr = (uintptr_t)p, .rkey = mr->rkey,
	};
	EXPECT_EQ(rdma_run(&pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(p, 4 * PAGE, 8), 0);
	rdma_pair_destroy(&pair);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	EXPECT_EQ(ibv_dereg_mr(ram), 0);
	munmap(p, 4 * PAGE);
	EXPECT_EQ(rdma_close(&r), 0);
	return 0;
}

static void ask_a(struct worker *a, char what)
{
	ASSERT_TRUE(worker_tell(a->fd, what));
	ASSERT_TRUE(worker_hear(a->fd, 'o', 20));
}

/* What the tool says of the provider. True if it names the process. */
static bool show_holders(pid_t pid)
{
	char cmd[64], line[256];
	bool named = false;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "revpin holders %s 2>&1", st->provider.bdf);
	f = popen(cmd, "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		tell("3 holders", "%s", line);
		named |= atoi(line) == pid;
	}
	return pclose(f) == 0 && named;
}

static void wait_for_writes(uint64_t n, struct worker *b)
{
	double end = clock_now() + 20 * clock_scale();

	n += st->writes;
	while (st->writes < n && clock_now() < end && !worker_gone(b))
		clock_sleep_ms(1);
	ASSERT_GE(st->writes, n);
}

/* Steps 1 to 3, which both stories share. */
static void set_the_scene(struct worker *a, struct worker *b)
{
	struct utsname u;

	uname(&u);
	ASSERT_EQ(provider_find(&st->provider), 0);
	tell("1 guest", "Linux %s; provider %s (NVMe controller memory buffer, driver %s): %llu bytes, %llu available",
	     u.release, st->provider.bdf, st->provider.driver,
	     st->provider.size, st->provider.available);

	ASSERT_EQ(worker_start(a, "A", process_a, NULL), 0);
	ASSERT_TRUE(worker_hear(a->fd, 'r', 20));
	close(st->a_to_b[0]);
	EXPECT_EQ(st->a_pinned[1] - st->a_pinned[0], MR_LEN / 1024);
	tell("2 A", "pid %d registered %zu KiB of p2pmem with ibv_reg_mr(): rkey %#x, pinned %ld KiB",
	     a->pid, MR_LEN / 1024, st->rkey, st->a_pinned[1] - st->a_pinned[0]);

	ASSERT_EQ(worker_start(b, "B", process_b, NULL), 0);
	ASSERT_TRUE(worker_hear(b->fd, 'r', 20));
	close(st->a_to_b[1]);
	tell("2 B", "pid %d wrote %zu KiB into it by RDMA and read the same bytes back",
	     b->pid, 16 * CHUNK / 1024);
	ask_a(a, 'f');
	tell("2 A", "the CPU sees B's bytes in the mapping");

	ASSERT_TRUE(worker_tell(b->fd, 'w'));
	wait_for_writes(100, b);
	tell("3 B", "keeps writing: %llu WRITEs of %zu bytes so far",
	     (unsigned long long)st->writes, CHUNK);
	tell("3 revpin", "revpin holders %s", st->provider.bdf);
	EXPECT_TRUE(show_holders(a->pid));
	tell("3 sysfs", "echo %s > /sys/bus/pci/drivers/%s/unbind",
	     st->provider.bdf, st->provider.driver);
}

static void wait_for_failures(uint64_t n, struct worker *b)
{
	double end = clock_now() + 60 * clock_scale();

	while (st->failures < n && clock_now() < end && !worker_gone(b))
		clock_sleep_ms(1);
	ASSERT_GE(st->failures, n);
}

static void story(void)
{
	struct worker a, b, c;
	struct unbind u;
	uint64_t before;

	set_the_scene(&a, &b);
	ASSERT_TRUE(unbind_now(&st->provider, &u));
	st->unbound = true;
	ASSERT_EQ(u.err, 0);
	tell("4 sysfs", "the unbind returned after %.3f s of guest time (allowed: %.0f s)",
	     u.seconds, unbind_limit());
	EXPECT_LE(u.seconds * 1000, unbind_limit() * 1000);
	ASSERT_EQ(observer_snapshot(&st->observer), 0);
	before = st->failures;

	wait_for_failures(1, &b);
	EXPECT_EQ(st->first_status, IBV_WC_REM_ACCESS_ERR);
	tell("4 B", "the completion behind the last success: %s, at %.3f",
	     rdma_status(st->first_status), st->first_time);
	ask_a(&a, 'e');
	EXPECT_EQ(st->a_event, st->lkey);
	tell("4 A", "was told by an asynchronous event: the MR with lkey %#x is revoked",
	     st->a_event);
	ask_a(&a, 'l');
	EXPECT_EQ(st->a_status, IBV_WC_LOC_PROT_ERR);
	tell("4 A", "on a second QP, READ into the region: %s",
	     rdma_status(st->a_status));
	ask_a(&a, 't');
	EXPECT_TRUE(st->a_sigbus);
	EXPECT_EQ(st->a_pinned[2], st->a_pinned[0]);
	tell("4 A", "a CPU touch of the old mapping: SIGBUS; pinned now: %ld KiB",
	     st->a_pinned[2] - st->a_pinned[0]);
	ASSERT_TRUE(!worker_gone(&a) && !worker_gone(&b));
	tell("4 both", "A and B are alive");

	wait_for_failures(before + FAILURES_WANTED, &b);
	EXPECT_EQ(st->late, 0);
	EXPECT_EQ(st->other_status, 0);
	EXPECT_EQ(observer_changed(&st->observer), 0);
	tell("5 B", "reconnected and posted on: %llu work requests failed, %llu succeeded",
	     (unsigned long long)(st->failures - before),
	     (unsigned long long)st->late);
	tell("5 observer", "on the raw BAR: %ld of %zu bytes changed since the unbind returned",
	     observer_changed(&st->observer), MAP_LEN);
	observer_close(&st->observer);

	ASSERT_EQ(provider_bind(&st->provider), 0);
	tell("6 sysfs", "the driver is bound again, %llu bytes available as before",
	     st->provider.available);
	ASSERT_EQ(worker_start(&c, "C", process_c, NULL), 0);
	ASSERT_EQ(worker_join(&c, 20), 0);
	tell("6 C", "a fresh mmap, MR and WRITE work");
	wait_for_failures(st->failures + 20, &b);
	EXPECT_EQ(st->late, 0);
	tell("6 B", "the old rkey is still dead");
	ask_a(&a, 'k');
	EXPECT_TRUE(!st->key_given_again);
	tell("6 A", "and not given to another MR (64 tried)");
	ASSERT_TRUE(worker_tell(b.fd, 's'));
	EXPECT_EQ(worker_join(&b, 20), 0);
	ASSERT_TRUE(worker_tell(a.fd, 'd'));
	EXPECT_EQ(worker_join(&a, 20), 0);
	tell("6 A", "ibv_dereg_mr() succeeded, A and B ended well");
	EXPECT_TRUE(provider_available_is_back(&st->provider, 3000));
}

static void print_stack(char *stack)
{
	char *line, *save;

	for (line = strtok_r(stack, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		tell("7 stack", "%s", line);
}

static void contrast(void)
{
	char stack[4096] = "";
	struct worker a, b;
	struct unbind u;
	uint64_t writes;

	if (!mutate_is("broadcast_off")) {
		tell("7 error", "this needs a kernel with the debug switch, booted with pfn_revoke.mutate=broadcast_off");
		ASSERT_TRUE(mutate_is("broadcast_off"));
	}
	set_the_scene(&a, &b);
	ASSERT_EQ(observer_open(&st->observer), 0);
	ASSERT_EQ(unbind_start(&st->provider, &u), 0);
	tell("7 contrast", "the broadcast is switched off: nobody is told that the memory goes away");
	EXPECT_TRUE(!unbind_wait(&u, unbind_limit(), stack, sizeof(stack)));
	if (u.done)
		return;
	EXPECT_TRUE(strstr(stack, "memunmap_pages"));
	tell("7 sysfs", "after %.0f s the unbind (pid %d) still hangs:",
	     clock_now() - u.start, u.pid);
	print_stack(stack);

	ASSERT_EQ(observer_snapshot(&st->observer), 0);
	writes = st->writes;
	wait_for_writes(300, &b);
	EXPECT_GE(observer_changed(&st->observer), 1);
	tell("7 observer", "meanwhile B's WRITEs succeed (%llu more) and change the memory: %ld bytes differ",
	     (unsigned long long)(st->writes - writes),
	     observer_changed(&st->observer));
	EXPECT_TRUE(!unbind_wait(&u, 0, NULL, 0));

	ASSERT_TRUE(worker_tell(b.fd, 's'));
	EXPECT_EQ(worker_join(&b, 20), 0);
	ASSERT_TRUE(worker_tell(a.fd, 'd'));
	EXPECT_EQ(worker_join(&a, 20), 0);
	EXPECT_TRUE(unbind_wait(&u, 10 * clock_scale(), NULL, 0));
	tell("7 sysfs", "it returned %.3f s after it began: only when A had let go",
	     u.seconds);
	observer_close(&st->observer);
}

static void failed(void)
{
	stacks_note_blocked();
	worker_sweep();
	tell("verdict", "FAILED, see the lines that begin with #");
}

int main(int argc, char **argv)
{
	bool other = argc == 2 && !strcmp(argv[1], "--contrast");

	if (argc > 2 || (argc == 2 && !other)) {
		fprintf(stderr, "%s: unknown argument \"%s\"\nusage: %s [--contrast]\n",
			argv[0], argv[1], argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	/* no CUnit here: a failed check that matters to the rest ends the story */
	check_in_worker(other ? "contrast" : "demo");
	check_on_fatal(failed);
	st = worker_shared(sizeof(*st));
	ASSERT_TRUE(st);
	ASSERT_TRUE(worker_channel(st->a_to_b));
	if (other)
		contrast();
	else
		story();
	if (check_worker_failed()) {
		failed();
		return 1;
	}
	tell("verdict", "%s", other ?
	     "as foretold: without the broadcast the unbind hangs" :
	     "passed: the memory was taken back under the pin");
	return 0;
}
