// SPDX-License-Identifier: GPL-2.0
/*
 * The data path on p2pmem: every opcode that rxe has, with the P2P memory on
 * the remote and on the local side, and MRs of all shapes. What arrives is
 * compared byte by byte, and so is what must not change around it.
 */
#include "check.h"
#include "clock.h"
#include "p2pmem.h"
#include "scene.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum side { P2P_REMOTE, P2P_LOCAL };

static const char *const side_name[] = { "remote", "local" };

/* Device memory is read a byte at a time here: lengths need not be even. */
static void copy_out(void *to, const volatile unsigned char *from, size_t len)
{
	unsigned char *t = to;

	while (len--)
		*t++ = *from++;
}

/* One end of a transfer: memory with its region, and where in it. */
struct part {
	unsigned char *mem;		/* all of the region */
	size_t len;
	struct ibv_mr *mr;
	size_t at;
};

/*
 * Moves n bytes from one part to another with one operation and checks all of
 * the destination's region.
 */
static void transfer(struct scene *s, enum ibv_wr_opcode opcode,
		     struct part *local, struct part *remote, size_t n,
		     unsigned int flags)
{
	bool reads = rdma_op_reads(opcode);
	bool sends = opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
	bool consumes = sends || opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct part *from = reads ? remote : local;
	struct part *to = reads ? local : remote;
	unsigned char *want = malloc(to->len), *got = malloc(to->len);
	struct rdma_op op = {
		.opcode = opcode,
		.laddr = (uintptr_t)local->mem + local->at,
		.lkey = local->mr ? local->mr->lkey : 0,
		.len = (uint32_t)n,
		.raddr = (uintptr_t)remote->mem + remote->at,
		.rkey = remote->mr->rkey,
		.flags = flags,
	};
	struct ibv_wc wc;
	size_t i;

	ASSERT_TRUE(want && got);
	mem_fill(from->mem, from->len, 11);
	mem_fill(to->mem, to->len, 22);
	copy_out(want, to->mem, to->len);
	copy_out(want + to->at, from->mem + from->at, n);

	if (consumes)
		EXPECT_EQ(rdma_post_recv(&s->pair.end[1],
					 (uintptr_t)remote->mem + remote->at,
					 remote->mr->lkey, (uint32_t)n), 0);
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	if (consumes && EXPECT_EQ(rdma_poll(&s->pair.end[1], &wc, 10), 0)) {
		EXPECT_EQ(wc.status, IBV_WC_SUCCESS);
		if (sends)
			EXPECT_EQ(wc.byte_len, n);
		if (opcode != IBV_WR_SEND)
			EXPECT_EQ(wc.imm_data, 0x12345678);
	}

	copy_out(got, to->mem, to->len);
	for (i = 0; i < to->len && got[i] == want[i]; i++)
		;
	if (i < to->len)
		tap_note("%s of %zu bytes: first wrong byte at %zu, the data is at %zu",
			 rdma_opcode(opcode), n, i, to->at);
	EXPECT_EQ(i, to->len);
	free(want);
	free(got);
}

static void parts(struct scene *s, enum side p2p, struct part *local,
		  struct part *remote)
{
	struct part device = { s->area, s->len, s->mr, 0 };
	struct part memory = { s->buf, s->len, s->buf_mr, 0 };

	*local = p2p == P2P_LOCAL ? device : memory;
	*remote = p2p == P2P_LOCAL ? memory : device;
}

/* Both directions, aligned and not. */
static void both_sides(enum ibv_wr_opcode opcode, size_t pages, size_t len,
		       unsigned int flags)
{
	struct scene *s = scene_open(pages, 0);
	struct part local, remote;
	enum side side;

	for (side = P2P_REMOTE; side <= P2P_LOCAL; side++) {
		parts(s, side, &local, &remote);
		transfer(s, opcode, &local, &remote, len, flags);
		if (len + 64 <= s->len) {
			local.at = 3;
			remote.at = 29;
			transfer(s, opcode, &local, &remote, len, flags);
		}
		if (tap_failed()) {
			tap_note("with the P2P memory on the %s side",
				 side_name[side]);
			break;
		}
	}
	scene_close(s);
}

static void op_write(void)
{
	both_sides(IBV_WR_RDMA_WRITE, 1, 200, 0);
}

static void op_write_with_imm(void)
{
	both_sides(IBV_WR_RDMA_WRITE_WITH_IMM, 1, 200, 0);
}

static void op_read(void)
{
	both_sides(IBV_WR_RDMA_READ, 1, 200, 0);
}

static void op_send(void)
{
	both_sides(IBV_WR_SEND, 1, 200, 0);
}

static void op_send_with_imm(void)
{
	both_sides(IBV_WR_SEND_WITH_IMM, 1, 200, 0);
}

/* The library copies the data when it posts: from the mapping if it is local. */
static void op_inline(void)
{
	both_sides(IBV_WR_RDMA_WRITE, 1, 40, IBV_SEND_INLINE);
	both_sides(IBV_WR_SEND, 1, 40, IBV_SEND_INLINE);
}

static void multi_packet(void)
{
	size_t len = 4 * PAGE - 100;

	both_sides(IBV_WR_RDMA_WRITE, 4, len, 0);
	both_sides(IBV_WR_RDMA_READ, 4, len, 0);
	both_sides(IBV_WR_SEND, 4, len, 0);
}

static void atomics_on(struct scene *s, enum side side)
{
	struct part local, remote;
	struct rdma_op op;
	volatile uint64_t *word, *old;

	parts(s, side, &local, &remote);
	word = (volatile uint64_t *)(remote.mem + 64);
	old = (volatile uint64_t *)(local.mem + 8);
	op = (struct rdma_op) {
		.laddr = (uintptr_t)old, .lkey = local.mr->lkey, .len = 8,
		.raddr = (uintptr_t)word, .rkey = remote.mr->rkey,
	};
	*word = 1000;
	*old = 0;

	op.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
	op.swap = 23;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(*word, 1023);
	EXPECT_EQ(*old, 1000);

	op.opcode = IBV_WR_ATOMIC_CMP_AND_SWP;
	op.compare = 1023;
	op.swap = 5;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(*word, 5);
	EXPECT_EQ(*old, 1023);

	op.compare = 6;			/* does not match: only reads */
	op.swap = 7;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(*word, 5);
	EXPECT_EQ(*old, 5);
}

static void op_atomics(void)
{
	struct scene *s = scene_open(1, 0);

	atomics_on(s, P2P_REMOTE);
	atomics_on(s, P2P_LOCAL);
	scene_close(s);
}

static void op_atomic_write(void)
{
	struct scene *s = scene_open(1, 0);
	uint32_t psn = rdma_new_psn();
	struct rdma_qp q;
	struct rdma_op op;
	int err;

	err = rdma_qp_create_ex(&s->rdma, &q, IBV_QP_EX_WITH_ATOMIC_WRITE);
	if (err) {
		scene_close(s);
		TAP_SKIP("the installed libibverbs has no ATOMIC_WRITE for rxe (%s)",
			 strerror(-err));
	}
	EXPECT_EQ(rdma_qp_connect(&s->rdma, &s->pair.end[1], q.qp->qp_num, psn), 0);
	EXPECT_EQ(rdma_qp_connect(&s->rdma, &q, s->pair.end[1].qp->qp_num, psn), 0);
	op = scene_op(s, IBV_WR_ATOMIC_WRITE, 8);
	op.swap = 0x1122334455667788ULL;
	op.raddr += 24;
	EXPECT_EQ(rdma_run(&q, &op), IBV_WC_SUCCESS);
	EXPECT_EQ(((volatile uint64_t *)s->area)[3], 0x1122334455667788ULL);
	rdma_qp_destroy(&q);
	scene_close(s);
}

/* No acknowledgements: the data is there when the next READ on RC says so. */
static void uc_write(void)
{
	struct scene *s = scene_open(1, 0);
	struct rdma_pair uc;
	struct rdma_op op;
	double end;

	ASSERT_EQ(rdma_pair_create(&s->rdma, &uc, IBV_QPT_UC), 0);
	mem_fill(s->buf, s->len, 33);
	mem_fill(s->area, s->len, 44);
	op = scene_op(s, IBV_WR_RDMA_WRITE, 512);
	EXPECT_EQ(rdma_run(&uc.end[0], &op), IBV_WC_SUCCESS);
	end = clock_now() + clock_scale();
	while (mem_differs(s->area, 512, 33) && clock_now() < end)
		usleep(1000);
	EXPECT_EQ(mem_differs(s->area, 512, 33), 0);
	rdma_pair_destroy(&uc);
	scene_close(s);
}

/* Datagrams: from P2P memory into P2P memory, behind the 40 bytes of a GRH. */
static void ud_send(void)
{
	struct scene *s = scene_open(2, 0);
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = 0x1234,
	};
	struct ibv_ah_attr ah_attr = {
		.is_global = 1, .port_num = 1,
		.grh = { .dgid = s->rdma.gid, .sgid_index = RDMA_GID_INDEX,
			 .hop_limit = 1 },
	};
	struct ibv_sge sge = { (uintptr_t)s->area, 256, s->mr->lkey };
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND, .sg_list = &sge, .num_sge = 1,
		.send_flags = IBV_SEND_SIGNALED,
	}, *bad;
	struct rdma_qp q[2];
	struct ibv_wc wc;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(rdma_qp_create(&s->rdma, &q[i], IBV_QPT_UD), 0);
		attr.qp_state = IBV_QPS_INIT;
		ASSERT_EQ(ibv_modify_qp(q[i].qp, &attr, IBV_QP_STATE |
					IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					IBV_QP_QKEY), 0);
		attr.qp_state = IBV_QPS_RTR;
		ASSERT_EQ(ibv_modify_qp(q[i].qp, &attr, IBV_QP_STATE), 0);
		attr.qp_state = IBV_QPS_RTS;
		ASSERT_EQ(ibv_modify_qp(q[i].qp, &attr,
					IBV_QP_STATE | IBV_QP_SQ_PSN), 0);
	}
	mem_fill(s->area, PAGE, 5);
	wr.wr.ud.ah = ibv_create_ah(s->rdma.pd, &ah_attr);
	ASSERT_TRUE(wr.wr.ud.ah);
	wr.wr.ud.remote_qpn = q[1].qp->qp_num;
	wr.wr.ud.remote_qkey = 0x1234;
	EXPECT_EQ(rdma_post_recv(&q[1], (uintptr_t)s->area + PAGE,
				 s->mr->lkey, 40 + 256), 0);
	EXPECT_EQ(ibv_post_send(q[0].qp, &wr, &bad), 0);
	if (EXPECT_EQ(rdma_poll(&q[0], &wc, 10), 0))
		EXPECT_EQ(wc.status, IBV_WC_SUCCESS);
	if (EXPECT_EQ(rdma_poll(&q[1], &wc, 10), 0))
		EXPECT_EQ(wc.status, IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(s->area + PAGE + 40, 256, 5), 0);
	ibv_destroy_ah(wr.wr.ud.ah);
	rdma_qp_destroy(&q[0]);
	rdma_qp_destroy(&q[1]);
	scene_close(s);
}

/* One request that gathers from P2P and from ordinary memory. */
static void two_sges(void)
{
	struct scene *s = scene_open(2, 0);
	struct ibv_sge sge[2] = {
		{ (uintptr_t)s->area, 128, s->mr->lkey },
		{ (uintptr_t)s->buf, 128, s->buf_mr->lkey },
	};
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_WRITE, .sg_list = sge, .num_sge = 2,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { (uintptr_t)s->area + PAGE, s->mr->rkey },
	}, *bad;
	struct ibv_wc wc;

	mem_fill(s->area, s->len, 61);
	mem_fill(s->buf, s->len, 62);
	EXPECT_EQ(ibv_post_send(s->pair.end[0].qp, &wr, &bad), 0);
	if (EXPECT_EQ(rdma_poll(&s->pair.end[0], &wc, 10), 0))
		EXPECT_EQ(wc.status, IBV_WC_SUCCESS);
	EXPECT_EQ(mem_differs(s->area + PAGE, 128, 61), 0);
	EXPECT_EQ(mem_differs(s->area + PAGE + 128, 128, 62), 0);
	EXPECT_EQ(mem_differs(s->area, PAGE, 61), 0);
	scene_close(s);
}

/*
 * A READ that fails between two of its packets, because the second half of its
 * destination has no valid key, leaves nothing behind in a QP that is reset.
 */
static void reset_after_a_cut_read(void)
{
	struct scene *s = scene_open(2, 0);
	struct ibv_sge sge[2] = {
		{ (uintptr_t)s->buf, 1024, s->buf_mr->lkey },
		{ (uintptr_t)s->buf + 1024, 3072, 0x12345678 },
	};
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_READ, .sg_list = sge, .num_sge = 2,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { (uintptr_t)s->area, s->mr->rkey },
	}, *bad;
	struct rdma_op op = scene_op(s, IBV_WR_ATOMIC_FETCH_AND_ADD, 8);
	struct ibv_wc wc;

	EXPECT_EQ(ibv_post_send(s->pair.end[0].qp, &wr, &bad), 0);
	if (EXPECT_EQ(rdma_poll(&s->pair.end[0], &wc, 10), 0))
		EXPECT_EQ(wc.status, IBV_WC_LOC_PROT_ERR);
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	*(volatile uint64_t *)s->area = 41;
	*(volatile uint64_t *)s->buf = 0;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_SUCCESS);
	EXPECT_EQ(*(volatile uint64_t *)s->area, 42);
	/* a completion that reports success has delivered the data, too */
	EXPECT_EQ(*(volatile uint64_t *)s->buf, 41);
	scene_close(s);
}

/* MRs that start and end anywhere, inside a page and across pages. */
static void shape(size_t at, size_t len)
{
	struct scene *s = scene_open_bare(3);
	struct part device, memory = { s->buf, s->len, s->buf_mr, 0 };
	struct rdma_op op;

	s->mr = ibv_reg_mr(s->rdma.pd, s->area + at, len, RDMA_ALL);
	ASSERT_TRUE(s->mr);
	/* all of the area is looked at, the MR is only a part of it */
	device = (struct part) { s->area, s->len, s->mr, at };
	transfer(s, IBV_WR_RDMA_WRITE, &memory, &device, len, 0);
	transfer(s, IBV_WR_RDMA_READ, &memory, &device, len, 0);
	transfer(s, IBV_WR_RDMA_READ, &device, &memory, len, 0);

	/* one byte more than the MR has, at either end */
	op = scene_op(s, IBV_WR_RDMA_WRITE, len + 1);
	op.raddr = (uintptr_t)s->area + at;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_REM_ACCESS_ERR);
	EXPECT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	op.len = 1;
	op.raddr--;
	EXPECT_EQ(rdma_run(&s->pair.end[0], &op), IBV_WC_REM_ACCESS_ERR);
	scene_close(s);
}

static void sub_page_mr(void)
{
	shape(16, 100);
	shape(PAGE - 1, 1);
}

static void unaligned_mr(void)
{
	shape(100, PAGE);
	shape(PAGE - 7, PAGE + 14);
}

static void part_of_mapping(void)
{
	shape(PAGE, PAGE);
	shape(0, 2 * PAGE);
}

/* Ordinary, P2P and ordinary pages side by side in one MR. */
static void spans_p2p_and_ram(void)
{
	struct scene *s = scene_open_bare(1);
	struct part all, memory;
	unsigned char *m, *other;
	struct ibv_mr *mr, *other_mr;
	size_t len = 6 * PAGE;

	m = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(m != MAP_FAILED);
	ASSERT_TRUE(p2pmem_mmap(&scene_provider, m + 2 * PAGE, 2 * PAGE,
				MAP_SHARED | MAP_FIXED, 0));
	other = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(other != MAP_FAILED);
	mr = ibv_reg_mr(s->rdma.pd, m, len, RDMA_ALL);
	ASSERT_TRUE(mr);
	other_mr = ibv_reg_mr(s->rdma.pd, other, len, RDMA_ALL);
	ASSERT_TRUE(other_mr);
	all = (struct part) { m, len, mr, 100 };
	memory = (struct part) { other, len, other_mr, 0 };
	transfer(s, IBV_WR_RDMA_WRITE, &memory, &all, len - 200, 0);
	transfer(s, IBV_WR_RDMA_READ, &memory, &all, len - 200, 0);
	transfer(s, IBV_WR_SEND, &all, &memory, len - 200, 0);
	EXPECT_EQ(ibv_dereg_mr(mr), 0);
	EXPECT_EQ(ibv_dereg_mr(other_mr), 0);
	munmap(m, len);
	munmap(other, len);
	scene_close(s);
}

static const struct tap_test tests[] = {
	{ "write", op_write, 0 },
	{ "write_with_imm", op_write_with_imm, 0 },
	{ "read", op_read, 0 },
	{ "send", op_send, 0 },
	{ "send_with_imm", op_send_with_imm, 0 },
	{ "inline", op_inline, 0 },
	{ "multi_packet", multi_packet, 0 },
	{ "atomics", op_atomics, 0 },
	{ "atomic_write", op_atomic_write, 0 },
	{ "uc_write", uc_write, 0 },
	{ "ud_send", ud_send, 0 },
	{ "two_sges", two_sges, 0 },
	{ "reset_after_a_cut_read", reset_after_a_cut_read, 0 },
	{ "sub_page_mr", sub_page_mr, 0 },
	{ "unaligned_mr", unaligned_mr, 0 },
	{ "part_of_mapping", part_of_mapping, 0 },
	{ "spans_p2p_and_ram", spans_p2p_and_ram, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-data", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
