// SPDX-License-Identifier: GPL-2.0
/*
 * Which completion an operation gives when its key is not valid: for a key
 * that never was one, for one whose MR was deregistered, and for one whose MR
 * was revoked. The three have to be equal, and as in lib/keys.c. Prints the
 * table that the documentation quotes.
 */
#include "check.h"
#include "keys.h"
#include "p2pmem.h"
#include "scene.h"
#include "tap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_CASES 32
#define NOT_RUN (-1000)

enum { NEVER, DEREGISTERED, REVOKED, KINDS };

static struct key_result results[KINDS][MAX_CASES];
static int bind_result[KINDS];
static bool ran[KINDS];

static void run_all(struct scene *s, const struct key_trial *t, int kind)
{
	int i, err;

	ASSERT_LE(nr_key_cases, MAX_CASES);
	for (i = 0; i < nr_key_cases; i++) {
		const struct key_case *c = &key_cases[i];
		struct key_result *r = &results[kind][i];

		ASSERT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
		err = key_case_run(t, c, r);
		if (err == -EOPNOTSUPP) {
			r->sender = NOT_RUN;
			continue;
		}
		EXPECT_EQ(err, 0);
		if (r->sender != c->sender || r->receiver != c->receiver)
			tap_note("%s of %u bytes, %s key: sender %s, receiver %s",
				 rdma_opcode(c->opcode), c->len,
				 key_side_name(c->side), rdma_status(r->sender),
				 r->receiver == KEYS_NONE ? "-" :
				 rdma_status(r->receiver));
		EXPECT_EQ(r->sender, c->sender);
		EXPECT_EQ(r->receiver, c->receiver);
	}
}

static void trial_of(struct scene *s, struct key_trial *t)
{
	*t = (struct key_trial) {
		.rdma = &s->rdma, .pair = &s->pair,
		.good_addr = (uintptr_t)s->buf,
		.good_lkey = s->buf_mr->lkey, .good_rkey = s->buf_mr->rkey,
	};
}

/* What a type 2 window says when it is bound to an MR with this key. */
static int bind_to(struct scene *s, struct ibv_mr *mr)
{
	struct ibv_mw *mw = ibv_alloc_mw(s->rdma.pd, IBV_MW_TYPE_2);
	struct rdma_op op;
	int status;

	ASSERT_TRUE(mw);
	op = (struct rdma_op) {
		.opcode = IBV_WR_BIND_MW, .mw = mw, .mw_mr = mr,
		.raddr = (uintptr_t)mr->addr, .len = (uint32_t)mr->length,
		.rkey = ibv_inc_rkey(mw->rkey),
		.mw_access = IBV_ACCESS_REMOTE_WRITE,
	};
	ASSERT_EQ(rdma_pair_connect(&s->rdma, &s->pair), 0);
	status = rdma_run(&s->pair.end[0], &op);
	EXPECT_EQ(ibv_dealloc_mw(mw), 0);
	return status;
}

static void never_valid(void)
{
	struct scene *s = scene_open(1, IBV_ACCESS_MW_BIND);
	struct ibv_mr fake = *s->mr;
	struct key_trial t;

	trial_of(s, &t);
	t.addr = (uintptr_t)s->area;
	/* an index that rxe has not given out yet, and not the one of an MW */
	t.lkey = ((s->mr->lkey >> 8) + 4000) << 8 | 0x5a;
	t.rkey = t.lkey;
	run_all(s, &t, NEVER);
	fake.lkey = t.lkey;
	fake.rkey = t.rkey;
	bind_result[NEVER] = bind_to(s, &fake);
	ran[NEVER] = true;
	scene_close(s);
}

static void deregistered(void)
{
	struct scene *s = scene_open(1, IBV_ACCESS_MW_BIND);
	struct ibv_mr old = *s->mr;
	struct key_trial t;

	trial_of(s, &t);
	t.addr = (uintptr_t)s->area;
	t.lkey = s->mr->lkey;
	t.rkey = s->mr->rkey;
	ASSERT_EQ(ibv_dereg_mr(s->mr), 0);
	s->mr = NULL;
	run_all(s, &t, DEREGISTERED);
	bind_result[DEREGISTERED] = bind_to(s, &old);
	ran[DEREGISTERED] = true;
	scene_close(s);
}

static void revoked(void)
{
	struct scene *s = scene_open(1, IBV_ACCESS_MW_BIND);
	struct unbind u;
	struct key_trial t;

	trial_of(s, &t);
	t.addr = (uintptr_t)s->area;
	t.lkey = s->mr->lkey;
	t.rkey = s->mr->rkey;
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	EXPECT_EQ(u.err, 0);
	ASSERT_EQ(observer_snapshot(&s->observer), 0);
	run_all(s, &t, REVOKED);
	bind_result[REVOKED] = bind_to(s, s->mr);
	ran[REVOKED] = true;
	EXPECT_EQ(observer_changed(&s->observer), 0);
	scene_aftermath(&u, &s->observer, scene_attack_mr, s, 1);
	scene_close(s);
}

static const char *cell(int status)
{
	if (status == NOT_RUN)
		return "not offered by the library";
	return status == KEYS_NONE ? "-" : rdma_status(status);
}

static void all_equal(void)
{
	int i;

	/* each of them is a test of this suite, before this one */
	ASSERT_TRUE(ran[NEVER] && ran[DEREGISTERED] && ran[REVOKED]);
	tap_note("| operation | bytes | invalid key | requester | receiver |");
	tap_note("|---|---|---|---|---|");
	for (i = 0; i < nr_key_cases; i++) {
		const struct key_case *c = &key_cases[i];
		struct key_result *r = &results[REVOKED][i];

		tap_note("| %s | %u | %s | %s | %s |", rdma_opcode(c->opcode),
			 c->len, key_side_name(c->side), cell(r->sender),
			 cell(r->receiver));
		EXPECT_EQ(r->sender, results[NEVER][i].sender);
		EXPECT_EQ(r->receiver, results[NEVER][i].receiver);
		EXPECT_EQ(r->sender, results[DEREGISTERED][i].sender);
		EXPECT_EQ(r->receiver, results[DEREGISTERED][i].receiver);
	}
	tap_note("| BIND_MW | - | local | %s | - |", cell(bind_result[REVOKED]));
	EXPECT_EQ(bind_result[REVOKED], KEYS_BIND_STATUS);
	EXPECT_EQ(bind_result[REVOKED], bind_result[NEVER]);
	EXPECT_EQ(bind_result[REVOKED], bind_result[DEREGISTERED]);
}

static const struct tap_test tests[] = {
	{ "never_valid", never_valid, 0 },
	{ "deregistered", deregistered, 0 },
	{ "revoked", revoked, 0 },
	{ "all_equal", all_equal, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-status", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
