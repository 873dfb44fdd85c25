// SPDX-License-Identifier: GPL-2.0
#include "keys.h"

#include <errno.h>

/*
 * As Linux 7.3's rxe reports them; the suite rdma-status compares. They are
 * not the specification's everywhere: a request that cannot fetch its data
 * puts the QP into the error state first, whereupon it is flushed like those
 * behind it. A bad receive buffer is "local QP operation error" there and
 * "remote operation error" for the sender.
 */
const struct key_case key_cases[] = {
	{ IBV_WR_RDMA_WRITE, KEY_REMOTE, 64, IBV_WC_REM_ACCESS_ERR, KEYS_NONE },
	{ IBV_WR_RDMA_WRITE, KEY_REMOTE, 4096, IBV_WC_REM_ACCESS_ERR, KEYS_NONE },
	{ IBV_WR_RDMA_WRITE_WITH_IMM, KEY_REMOTE, 64, IBV_WC_REM_ACCESS_ERR,
	  IBV_WC_REM_ACCESS_ERR },
	{ IBV_WR_RDMA_READ, KEY_REMOTE, 64, IBV_WC_REM_ACCESS_ERR, KEYS_NONE },
	{ IBV_WR_RDMA_READ, KEY_REMOTE, 4096, IBV_WC_REM_ACCESS_ERR, KEYS_NONE },
	{ IBV_WR_ATOMIC_FETCH_AND_ADD, KEY_REMOTE, 8, IBV_WC_REM_ACCESS_ERR,
	  KEYS_NONE },
	{ IBV_WR_ATOMIC_CMP_AND_SWP, KEY_REMOTE, 8, IBV_WC_REM_ACCESS_ERR,
	  KEYS_NONE },
	{ IBV_WR_ATOMIC_WRITE, KEY_REMOTE, 8, IBV_WC_REM_ACCESS_ERR, KEYS_NONE },
	{ IBV_WR_RDMA_WRITE, KEY_LOCAL, 64, IBV_WC_WR_FLUSH_ERR, KEYS_NONE },
	{ IBV_WR_RDMA_WRITE, KEY_LOCAL, 4096, IBV_WC_WR_FLUSH_ERR, KEYS_NONE },
	{ IBV_WR_SEND, KEY_LOCAL, 64, IBV_WC_WR_FLUSH_ERR, KEYS_NONE },
	{ IBV_WR_RDMA_READ, KEY_LOCAL, 64, IBV_WC_LOC_PROT_ERR, KEYS_NONE },
	{ IBV_WR_ATOMIC_FETCH_AND_ADD, KEY_LOCAL, 8, IBV_WC_LOC_PROT_ERR,
	  KEYS_NONE },
	{ IBV_WR_ATOMIC_CMP_AND_SWP, KEY_LOCAL, 8, IBV_WC_LOC_PROT_ERR,
	  KEYS_NONE },
	{ IBV_WR_SEND, KEY_RECV, 64, IBV_WC_REM_OP_ERR, IBV_WC_LOC_QP_OP_ERR },
	{ IBV_WR_SEND, KEY_RECV, 4096, IBV_WC_REM_OP_ERR, IBV_WC_LOC_QP_OP_ERR },
};

const int nr_key_cases = sizeof(key_cases) / sizeof(key_cases[0]);

const char *key_side_name(enum key_side side)
{
	switch (side) {
	case KEY_REMOTE:
		return "remote";
	case KEY_LOCAL:
		return "local";
	case KEY_RECV:
		return "receive";
	}
	return "?";
}

/* ATOMIC_WRITE needs a QP of its own, made for the ibv_wr_* interface. */
static int run_atomic_write(const struct key_trial *t,
			    const struct rdma_op *op, struct key_result *r)
{
	struct rdma_qp *peer = &t->pair->end[1];
	uint32_t psn = rdma_new_psn();
	struct rdma_qp q;
	int err;

	err = rdma_qp_create_ex(t->rdma, &q, IBV_QP_EX_WITH_ATOMIC_WRITE);
	if (err)
		return err;
	err = rdma_qp_connect(t->rdma, peer, q.qp->qp_num, psn);
	if (!err)
		err = rdma_qp_connect(t->rdma, &q, peer->qp->qp_num, psn);
	if (!err)
		r->sender = rdma_run(&q, op);
	rdma_qp_destroy(&q);
	return err;
}

int key_case_run(const struct key_trial *t, const struct key_case *c,
		 struct key_result *r)
{
	struct rdma_op op = {
		.opcode = c->opcode,
		.len = c->len,
		.laddr = c->side == KEY_LOCAL ? t->addr : t->good_addr,
		.lkey = c->side == KEY_LOCAL ? t->lkey : t->good_lkey,
		.raddr = c->side == KEY_REMOTE ? t->addr : t->good_addr,
		.rkey = c->side == KEY_REMOTE ? t->rkey : t->good_rkey,
		.swap = 1,
	};
	struct ibv_wc wc;
	int err;

	r->receiver = KEYS_NONE;
	if (c->opcode == IBV_WR_ATOMIC_WRITE)
		return run_atomic_write(t, &op, r);
	if (c->opcode == IBV_WR_SEND || c->opcode == IBV_WR_RDMA_WRITE_WITH_IMM) {
		bool bad = c->side == KEY_RECV;

		err = rdma_post_recv(&t->pair->end[1],
				     bad ? t->addr : t->good_addr,
				     bad ? t->lkey : t->good_lkey, c->len);
		if (err)
			return err;
	}
	r->sender = rdma_run(&t->pair->end[0], &op);
	if (c->receiver != KEYS_NONE || r->sender == IBV_WC_SUCCESS) {
		bool expected = c->opcode == IBV_WR_SEND ||
				c->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;

		if (expected && !rdma_poll(&t->pair->end[1], &wc, 5))
			r->receiver = (int)wc.status;
	}
	return 0;
}
