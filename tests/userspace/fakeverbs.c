// SPDX-License-Identifier: GPL-2.0
#include "fakeverbs.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#undef ibv_reg_mr

int fake_reg_errno, fake_dereg_error, fake_unacked;
uint32_t fake_next_key = 0x100;
void (*fake_in_read)(void);

struct event {
	uint32_t element;
	int type;
};

void fake_open(struct fake *f)
{
	int fds[2];

	memset(f, 0, sizeof(*f));
	if (pipe(fds))
		err(2, "pipe");
	f->ctx.async_fd = fds[0];
	f->write = fds[1];
	f->pd.context = &f->ctx;
}

void fake_close(struct fake *f)
{
	close(f->ctx.async_fd);
	close(f->write);
}

void fake_event(struct fake *f, int type, uint32_t element)
{
	struct event e = { .element = element, .type = type };

	if (write(f->write, &e, sizeof(e)) != sizeof(e))
		err(2, "event");
}

int ibv_get_async_event(struct ibv_context *ctx, struct ibv_async_event *event)
{
	void (*hook)(void) = fake_in_read;
	struct event e;

	if (read(ctx->async_fd, &e, sizeof(e)) != sizeof(e))
		return -1;
	memset(event, 0, sizeof(*event));
	event->element.port_num = (int)e.element;
	event->event_type = (enum ibv_event_type)e.type;
	fake_unacked++;
	fake_in_read = NULL;
	if (hook)
		hook();
	return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
	(void)event;
	fake_unacked--;
}

static struct ibv_mr *reg(struct ibv_pd *pd, void *addr, size_t length)
{
	struct ibv_mr *mr;

	if (fake_reg_errno) {
		errno = fake_reg_errno;
		fake_reg_errno = 0;
		return NULL;
	}
	mr = calloc(1, sizeof(*mr));
	if (!mr)
		return NULL;
	mr->context = pd->context;
	mr->pd = pd;
	mr->addr = addr;
	mr->length = length;
	mr->lkey = mr->rkey = fake_next_key++;
	return mr;
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t length,
			  int access)
{
	(void)access;
	return reg(pd, addr, length);
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t length,
				uint64_t iova, unsigned int access)
{
	(void)iova;
	(void)access;
	return reg(pd, addr, length);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	if (fake_dereg_error)
		return fake_dereg_error;
	free(mr);
	return 0;
}
