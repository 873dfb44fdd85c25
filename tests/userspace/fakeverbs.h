/* SPDX-License-Identifier: GPL-2.0 */
/* The few functions of libibverbs that librevpin calls, without a device. */
#ifndef REVPIN_FAKEVERBS_H
#define REVPIN_FAKEVERBS_H

#include <infiniband/verbs.h>
#include <stdint.h>

struct fake {
	struct ibv_context ctx;
	struct ibv_pd pd;
	int write;			/* the kernel's end of async_fd */
};

void fake_open(struct fake *f);
void fake_close(struct fake *f);
/* What the kernel would queue. */
void fake_event(struct fake *f, int type, uint32_t element);

extern int fake_reg_errno;		/* the next ibv_reg_mr() fails so */
extern int fake_dereg_error;		/* ibv_dereg_mr() returns that */
extern uint32_t fake_next_key;
extern void (*fake_in_read)(void);	/* called once with an event in hand */
extern int fake_unacked;		/* events that were read and not acked */

#endif
