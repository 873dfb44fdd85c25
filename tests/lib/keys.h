/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an operation reports when the key that it needs is not valid. A revoked
 * MR has to give the same as a key that never was one, so both are run through
 * the same cases.
 */
#ifndef REVPIN_KEYS_H
#define REVPIN_KEYS_H

#include "rdma.h"

#include <stdbool.h>

enum key_side {
	KEY_REMOTE,			/* the rkey of a request */
	KEY_LOCAL,			/* the lkey of a send request */
	KEY_RECV,			/* the lkey of a receive request */
};

struct key_case {
	enum ibv_wr_opcode opcode;
	enum key_side side;
	unsigned int len;
	/* IBV_WC_*; receiver is KEYS_NONE when nothing completes there */
	int sender;
	int receiver;
};

#define KEYS_NONE (-1)

/* Binding a window to an MR whose key is not valid: flushed, as above. */
#define KEYS_BIND_STATUS IBV_WC_WR_FLUSH_ERR

extern const struct key_case key_cases[];
extern const int nr_key_cases;

/* The memory whose key is on trial, and good memory for the other side. */
struct key_trial {
	struct rdma *rdma;
	struct rdma_pair *pair;
	uint64_t addr;
	uint32_t lkey, rkey;
	uint64_t good_addr;
	uint32_t good_lkey, good_rkey;
};

struct key_result {
	int sender;
	int receiver;
};

/*
 * Runs one case on a connected pair. Afterwards the pair is unusable unless
 * everything succeeded. 0, or -errno when the case could not be run: that of
 * ATOMIC_WRITE is -EOPNOTSUPP if the library does not have it.
 */
int key_case_run(const struct key_trial *t, const struct key_case *c,
		 struct key_result *r);
const char *key_side_name(enum key_side side);

#endif
