// SPDX-License-Identifier: GPL-2.0
#include "rdma.h"
#include "clock.h"
#include "tap.h"

#include <errno.h>
#include <poll.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EVENT_MR_REVOKED 21	/* libibverbs does not know it, and passes it on */

int rdma_open(struct rdma *r)
{
	struct ibv_device **list;
	struct ibv_port_attr port;
	int i, n = 0, err;

	memset(r, 0, sizeof(*r));
	list = ibv_get_device_list(&n);
	if (!list || !n) {
		tap_note("no RDMA device: was rxe set up (rdma link add rxe0 type rxe netdev ...)?");
		if (list)
			ibv_free_device_list(list);
		return -ENODEV;
	}
	for (i = 0; i < n - 1; i++)
		if (!strncmp(ibv_get_device_name(list[i]), "rxe", 3))
			break;
	errno = 0;
	r->ctx = ibv_open_device(list[i]);
	err = errno ? -errno : -EIO;
	ibv_free_device_list(list);
	if (!r->ctx)
		return err;
	r->pd = ibv_alloc_pd(r->ctx);
	if (!r->pd) {
		err = -errno;
		goto err_close;
	}
	err = -ibv_query_gid(r->ctx, 1, RDMA_GID_INDEX, &r->gid);
	if (err) {
		tap_note("no GID at index %d: has the netdev an IPv4 address?",
			 RDMA_GID_INDEX);
		err = -ENODEV;
		goto err_pd;
	}
	err = -ibv_query_port(r->ctx, 1, &port);
	if (err)
		goto err_pd;
	if (port.state != IBV_PORT_ACTIVE) {
		tap_note("port is %s, not active: is the netdev up?",
			 ibv_port_state_str(port.state));
		err = -ENETDOWN;
		goto err_pd;
	}
	r->mtu = port.active_mtu;
	return 0;
err_pd:
	ibv_dealloc_pd(r->pd);
err_close:
	ibv_close_device(r->ctx);
	r->ctx = NULL;
	return err;
}

int rdma_close(struct rdma *r)
{
	int err;

	if (!r->ctx)
		return 0;
	err = ibv_dealloc_pd(r->pd);
	ibv_close_device(r->ctx);
	memset(r, 0, sizeof(*r));
	return -err;
}

uint32_t rdma_told_revoked(struct rdma *r)
{
	struct pollfd p = { .fd = r->ctx->async_fd, .events = POLLIN };
	struct ibv_async_event e;

	while (poll(&p, 1, 0) > 0 && !ibv_get_async_event(r->ctx, &e)) {
		ibv_ack_async_event(&e);
		if ((int)e.event_type == EVENT_MR_REVOKED)
			return (uint32_t)e.element.port_num;
	}
	return 0;
}

static int new_cq(struct rdma *r, struct rdma_qp *q)
{
	memset(q, 0, sizeof(*q));
	q->cq = ibv_create_cq(r->ctx, 2 * RDMA_SQ_DEPTH, NULL, NULL, 0);
	return q->cq ? 0 : -errno;
}

int rdma_qp_create(struct rdma *r, struct rdma_qp *q, enum ibv_qp_type type)
{
	struct ibv_qp_init_attr init = {
		.qp_type = type,
		.cap = {
			.max_send_wr = RDMA_SQ_DEPTH,
			.max_recv_wr = RDMA_SQ_DEPTH,
			.max_send_sge = 2,
			.max_recv_sge = 2,
			.max_inline_data = RDMA_MAX_INLINE,
		},
	};
	int err = new_cq(r, q);

	if (err)
		return err;
	init.send_cq = q->cq;
	init.recv_cq = q->cq;
	q->qp = ibv_create_qp(r->pd, &init);
	if (!q->qp) {
		err = -errno;
		ibv_destroy_cq(q->cq);
		memset(q, 0, sizeof(*q));
	}
	return err;
}

int rdma_qp_create_ex(struct rdma *r, struct rdma_qp *q, uint64_t ops)
{
	struct ibv_qp_init_attr_ex init = {
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = RDMA_SQ_DEPTH,
			.max_recv_wr = RDMA_SQ_DEPTH,
			.max_send_sge = 2,
			.max_recv_sge = 2,
		},
		.comp_mask = IBV_QP_INIT_ATTR_PD |
			     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = r->pd,
		.send_ops_flags = ops,
	};
	int err = new_cq(r, q);

	if (err)
		return err;
	init.send_cq = q->cq;
	init.recv_cq = q->cq;
	q->qp = ibv_create_qp_ex(r->ctx, &init);
	if (!q->qp) {
		err = -errno;
		ibv_destroy_cq(q->cq);
		memset(q, 0, sizeof(*q));
		return err;
	}
	q->ex = ibv_qp_to_qp_ex(q->qp);
	return 0;
}

void rdma_qp_destroy(struct rdma_qp *q)
{
	if (q->qp)
		ibv_destroy_qp(q->qp);
	if (q->cq)
		ibv_destroy_cq(q->cq);
	memset(q, 0, sizeof(*q));
}

static void drain(struct rdma_qp *q)
{
	struct ibv_wc wc[16];

	while (ibv_poll_cq(q->cq, 16, wc) > 0)
		;
}

uint32_t rdma_new_psn(void)
{
	static uint32_t psn;

	/* Higher, so that rxe takes what is left of the one before for old. */
	psn = (psn + 0x4000) & 0xffffff;
	return psn;
}

int rdma_qp_connect(struct rdma *r, struct rdma_qp *q, uint32_t dest_qpn,
		    uint32_t psn)
{
	return rdma_qp_connect_to(r, q, &r->gid, dest_qpn, psn);
}

int rdma_qp_connect_to(struct rdma *r, struct rdma_qp *q,
		       const union ibv_gid *gid, uint32_t dest_qpn,
		       uint32_t psn)
{
	bool rc = q->qp->qp_type == IBV_QPT_RC;
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	int mask, err;

	err = ibv_modify_qp(q->qp, &attr, IBV_QP_STATE);
	if (err)
		return -err;
	drain(q);

	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = RDMA_ALL | IBV_ACCESS_MW_BIND,
	};
	err = ibv_modify_qp(q->qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX |
			    IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
	if (err)
		return -err;

	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = r->mtu < IBV_MTU_1024 ? r->mtu : IBV_MTU_1024,
		.dest_qp_num = dest_qpn,
		.rq_psn = psn,
		.max_dest_rd_atomic = 16,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh = {
				.dgid = *gid,
				.sgid_index = RDMA_GID_INDEX,
				.hop_limit = 1,
			},
		},
	};
	mask = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
	       IBV_QP_RQ_PSN;
	if (rc)
		mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	err = ibv_modify_qp(q->qp, &attr, mask);
	if (err)
		return -err;

	attr = (struct ibv_qp_attr) {
		.qp_state = IBV_QPS_RTS,
		.sq_psn = psn,
		.timeout = 18,		/* 1 s: the machine is emulated */
		.retry_cnt = 5,
		.rnr_retry = 6,
		.max_rd_atomic = 16,
	};
	mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
	if (rc)
		mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_MAX_QP_RD_ATOMIC;
	return -ibv_modify_qp(q->qp, &attr, mask);
}

int rdma_pair_create(struct rdma *r, struct rdma_pair *p, enum ibv_qp_type type)
{
	int err;

	memset(p, 0, sizeof(*p));
	err = rdma_qp_create(r, &p->end[0], type);
	if (err)
		return err;
	err = rdma_qp_create(r, &p->end[1], type);
	if (!err)
		err = rdma_pair_connect(r, p);
	if (err)
		rdma_pair_destroy(p);
	return err;
}

int rdma_pair_connect(struct rdma *r, struct rdma_pair *p)
{
	int tries, err = 0;
	uint32_t psn;

	/*
	 * rxe may still be busy with packets of the connection before and put
	 * a QP into the error state while it is on its way up (-EINVAL).
	 */
	for (tries = 0; tries < 20; tries++) {
		psn = rdma_new_psn();
		/* The responder first: nothing arrives before it is ready. */
		err = rdma_qp_connect(r, &p->end[1], p->end[0].qp->qp_num, psn);
		if (!err)
			err = rdma_qp_connect(r, &p->end[0],
					      p->end[1].qp->qp_num, psn);
		if (err != -EINVAL)
			break;
		usleep(200);
	}
	return err;
}

void rdma_pair_destroy(struct rdma_pair *p)
{
	rdma_qp_destroy(&p->end[0]);
	rdma_qp_destroy(&p->end[1]);
}

int rdma_post(struct rdma_qp *q, const struct rdma_op *op)
{
	struct ibv_sge sge = {
		.addr = op->laddr,
		.length = op->len,
		.lkey = op->lkey,
	};
	struct ibv_send_wr wr = {
		.opcode = op->opcode,
		.sg_list = &sge,
		.num_sge = op->len ? 1 : 0,
		.send_flags = op->flags | IBV_SEND_SIGNALED,
	}, *bad;

	if (op->opcode == IBV_WR_ATOMIC_WRITE) {
		uint64_t value = op->swap;

		if (!q->ex)
			return -EOPNOTSUPP;
		/* its payload is in the work request: no local memory */
		ibv_wr_start(q->ex);
		q->ex->wr_flags = IBV_SEND_SIGNALED;
		ibv_wr_atomic_write(q->ex, op->rkey, op->raddr, &value);
		return -ibv_wr_complete(q->ex);
	}

	switch (op->opcode) {
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		wr.wr.atomic.remote_addr = op->raddr;
		wr.wr.atomic.rkey = op->rkey;
		wr.wr.atomic.compare_add = op->swap;
		break;
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		wr.wr.atomic.remote_addr = op->raddr;
		wr.wr.atomic.rkey = op->rkey;
		wr.wr.atomic.compare_add = op->compare;
		wr.wr.atomic.swap = op->swap;
		break;
	case IBV_WR_BIND_MW:
		wr.num_sge = 0;
		wr.bind_mw.mw = op->mw;
		wr.bind_mw.rkey = op->rkey;
		wr.bind_mw.bind_info.mr = op->mw_mr;
		wr.bind_mw.bind_info.addr = op->raddr;
		wr.bind_mw.bind_info.length = op->len;
		wr.bind_mw.bind_info.mw_access_flags = op->mw_access;
		break;
	case IBV_WR_LOCAL_INV:
		wr.num_sge = 0;
		wr.invalidate_rkey = op->rkey;
		break;
	case IBV_WR_RDMA_WRITE_WITH_IMM:
	case IBV_WR_SEND_WITH_IMM:
		wr.imm_data = 0x12345678;
		/* fall through */
	default:
		wr.wr.rdma.remote_addr = op->raddr;
		wr.wr.rdma.rkey = op->rkey;
		break;
	}
	return -ibv_post_send(q->qp, &wr, &bad);
}

int rdma_post_recv(struct rdma_qp *q, uint64_t addr, uint32_t lkey, uint32_t len)
{
	struct ibv_sge sge = { .addr = addr, .length = len, .lkey = lkey };
	struct ibv_recv_wr wr = { .sg_list = &sge, .num_sge = len ? 1 : 0 }, *bad;

	return -ibv_post_recv(q->qp, &wr, &bad);
}

int rdma_poll(struct rdma_qp *q, struct ibv_wc *wc, double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	unsigned int spins = 0;
	int n;

	for (;;) {
		n = ibv_poll_cq(q->cq, 1, wc);
		if (n == 1)
			return 0;
		if (n < 0)
			return -EIO;
		if (clock_now() > end)
			return -ETIMEDOUT;
		/* rxe works in kernel threads: do not take their CPU */
		if (++spins > 50)
			usleep(50);
	}
}

int rdma_run(struct rdma_qp *q, const struct rdma_op *op)
{
	struct ibv_wc wc;
	int err;

	err = rdma_post(q, op);
	if (!err)
		err = rdma_poll(q, &wc, 10);
	return err ? err : (int)wc.status;
}

const char *rdma_status(int status)
{
	static char buf[4][64];
	static int next;
	char *b = buf[next++ & 3];

	if (status < 0)
		snprintf(b, sizeof(buf[0]), "no completion: %s",
			 strerror(-status));
	else
		snprintf(b, sizeof(buf[0]), "%s (%d)",
			 ibv_wc_status_str((enum ibv_wc_status)status), status);
	return b;
}

const char *rdma_opcode(enum ibv_wr_opcode op)
{
	switch (op) {
	case IBV_WR_RDMA_WRITE:
		return "WRITE";
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return "WRITE_WITH_IMM";
	case IBV_WR_SEND:
		return "SEND";
	case IBV_WR_SEND_WITH_IMM:
		return "SEND_WITH_IMM";
	case IBV_WR_RDMA_READ:
		return "READ";
	case IBV_WR_ATOMIC_CMP_AND_SWP:
		return "CMP_AND_SWP";
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		return "FETCH_AND_ADD";
	case IBV_WR_ATOMIC_WRITE:
		return "ATOMIC_WRITE";
	case IBV_WR_BIND_MW:
		return "BIND_MW";
	case IBV_WR_LOCAL_INV:
		return "LOCAL_INV";
	default:
		return "?";
	}
}

bool rdma_op_reads(enum ibv_wr_opcode op)
{
	return op == IBV_WR_RDMA_READ || op == IBV_WR_ATOMIC_CMP_AND_SWP ||
	       op == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

int rdma_rereg(struct ibv_mr *mr, unsigned int flags, struct ibv_pd *pd,
	       void *addr, size_t len, unsigned int access)
{
	struct ib_uverbs_rereg_mr_resp resp;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_rereg_mr arg;
	} cmd = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_REREG_MR,
			.in_words = sizeof(cmd) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.arg = {
			.response = (uintptr_t)&resp,
			.mr_handle = mr->handle,
			.flags = flags,
			.start = (uintptr_t)addr,
			.length = len,
			.hca_va = (uintptr_t)addr,
			.pd_handle = pd ? pd->handle : 0,
			.access_flags = access,
		},
	};

	if (write(mr->context->cmd_fd, &cmd, sizeof(cmd)) != sizeof(cmd))
		return -errno;
	return 0;
}

int rdma_advise(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, bool wait,
		const struct ibv_mr *mr, void *addr, size_t len)
{
	struct ib_uverbs_sge sge = {
		.addr = (uintptr_t)addr,
		.length = (uint32_t)len,
		.lkey = mr->lkey,
	};
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attr[4];
	} cmd = {
		.hdr = {
			.length = sizeof(cmd),
			.object_id = UVERBS_OBJECT_MR,
			.method_id = UVERBS_METHOD_ADVISE_MR,
			.driver_id = RDMA_DRIVER_RXE,
			.num_attrs = 4,
		},
		.attr = {
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_PD_HANDLE,
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .data = pd->handle },
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_ADVICE,
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .len = 8, .data = advice },
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_FLAGS,
			  .flags = UVERBS_ATTR_F_MANDATORY, .len = 8,
			  .data = wait ? IB_UVERBS_ADVISE_MR_FLAG_FLUSH : 0 },
			{ .attr_id = UVERBS_ATTR_ADVISE_MR_SGE_LIST,
			  .flags = UVERBS_ATTR_F_MANDATORY,
			  .len = sizeof(sge), .data = (uintptr_t)&sge },
		},
	};

	if (ioctl(pd->context->cmd_fd, RDMA_VERBS_IOCTL, &cmd))
		return -errno;
	return 0;
}
