/* SPDX-License-Identifier: GPL-2.0 */
/* The RDMA device, pairs of connected QPs on it, and single operations. */
#ifndef REVPIN_RDMA_H
#define REVPIN_RDMA_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stdint.h>

#define RDMA_GID_INDEX	1		/* the IPv4 address of the netdev */
#define RDMA_SQ_DEPTH	64
#define RDMA_MAX_INLINE	64

#define RDMA_LOCAL	IBV_ACCESS_LOCAL_WRITE
#define RDMA_ALL	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | \
			 IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)

struct rdma {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	union ibv_gid gid;
	enum ibv_mtu mtu;
};

/* 0 or -errno, with a note that says what is missing. */
int rdma_open(struct rdma *r);
/* Expects that nothing is left open in it. */
int rdma_close(struct rdma *r);
/*
 * The next MR that an asynchronous event says is revoked: its lkey, or 0 when
 * there is none now. Other events (GIDs of the netdev) are passed over.
 */
uint32_t rdma_told_revoked(struct rdma *r);

/* One end of a connection, with a CQ of its own. */
struct rdma_qp {
	struct ibv_qp *qp;
	struct ibv_cq *cq;
	struct ibv_qp_ex *ex;		/* if it was made with rdma_qp_create_ex */
};

int rdma_qp_create(struct rdma *r, struct rdma_qp *q, enum ibv_qp_type type);
/* With the ibv_wr_* interface; ops are IBV_QP_EX_WITH_*. */
int rdma_qp_create_ex(struct rdma *r, struct rdma_qp *q, uint64_t ops);
void rdma_qp_destroy(struct rdma_qp *q);
/*
 * From any state, through RESET. Old completions are thrown away. Both ends
 * start at packet number psn, which has to be a new one when QPs are connected
 * again: packets of the connection before may still be under way.
 */
int rdma_qp_connect(struct rdma *r, struct rdma_qp *q, uint32_t dest_qpn,
		    uint32_t psn);
/* The same with a QP of another machine. */
int rdma_qp_connect_to(struct rdma *r, struct rdma_qp *q,
		       const union ibv_gid *gid, uint32_t dest_qpn,
		       uint32_t psn);
/* Higher than every one before, by more than a connection uses. */
uint32_t rdma_new_psn(void);

/* Two QPs of one process, connected to each other: [0] asks, [1] responds. */
struct rdma_pair {
	struct rdma_qp end[2];
};

int rdma_pair_create(struct rdma *r, struct rdma_pair *p, enum ibv_qp_type type);
int rdma_pair_connect(struct rdma *r, struct rdma_pair *p);
void rdma_pair_destroy(struct rdma_pair *p);

struct rdma_op {
	enum ibv_wr_opcode opcode;
	uint64_t laddr;
	uint32_t lkey;
	uint32_t len;
	uint64_t raddr;
	uint32_t rkey;
	unsigned int flags;		/* IBV_SEND_*, SIGNALED is added */
	uint64_t compare, swap;		/* swap is the addend of fetch-add */
	struct ibv_mw *mw;		/* BIND_MW: window, region and rights */
	struct ibv_mr *mw_mr;
	unsigned int mw_access;
};

int rdma_post(struct rdma_qp *q, const struct rdma_op *op);
int rdma_post_recv(struct rdma_qp *q, uint64_t addr, uint32_t lkey, uint32_t len);
/* 0 and *wc, -ETIMEDOUT, or what polling failed with. */
int rdma_poll(struct rdma_qp *q, struct ibv_wc *wc, double seconds);
/* Posts one and waits: a completion status, or -errno. */
int rdma_run(struct rdma_qp *q, const struct rdma_op *op);

/* "remote access error (10)"; also for the negative values of rdma_run(). */
const char *rdma_status(int status);
const char *rdma_opcode(enum ibv_wr_opcode op);
/* Is it one of those that carry data from the remote side? */
bool rdma_op_reads(enum ibv_wr_opcode op);

/*
 * ibv_rereg_mr() without libibverbs, whose rxe provider does not have it.
 * 0 or -errno.
 */
int rdma_rereg(struct ibv_mr *mr, unsigned int flags, struct ibv_pd *pd,
	       void *addr, size_t len, unsigned int access);
/* The same for ibv_advise_mr(): IBV_ADVISE_MR_*, and whether it waits. */
int rdma_advise(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, bool wait,
		const struct ibv_mr *mr, void *addr, size_t len);

#endif
