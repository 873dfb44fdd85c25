/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What most tests share: the provider, an RDMA device with a connected pair of
 * QPs, a p2pmem mapping with a guard page on both sides, ordinary memory for
 * the other end, an observer on the BAR, and ONE list of what must hold after
 * an unbind.
 */
#ifndef REVPIN_SCENE_H
#define REVPIN_SCENE_H

#include "observer.h"
#include "p2pmem.h"
#include "provider.h"
#include "rdma.h"

#include <stdbool.h>

struct scene {
	bool open;
	struct rdma rdma;
	struct rdma_pair pair;
	unsigned char *map;		/* guard, area, guard */
	size_t map_len;
	unsigned char *area;
	size_t len;
	struct ibv_mr *mr;		/* of the area, if scene_open() */
	unsigned char *buf;		/* ordinary memory, as long as the area */
	struct ibv_mr *buf_mr;
	struct observer observer;
	long pinned;			/* VmPin before anything was registered */
};

extern struct provider scene_provider;

/* For struct tap_suite. */
bool scene_init(void);
void scene_before(void);
/* Leaves the machine as it was found, and checks that it is. */
void scene_after(void);

/*
 * Everything, with one MR (RDMA_ALL | access) over the area. The scene belongs
 * to the library, so that scene_after() can close what a failed test left.
 */
struct scene *scene_open(size_t pages, unsigned int access);
/* The same without that MR. */
struct scene *scene_open_bare(size_t pages);
void scene_close(struct scene *s);
/* The i-th open scene: for a worker that inherited it. */
struct scene *scene_at(int i);

/*
 * Posts about n work requests that must fail, as they should; returns how
 * many did. What came out otherwise it reports itself.
 */
typedef unsigned int (*scene_attack)(void *arg, unsigned int n);

/*
 * Post-conditions of an unbind that has returned, in the order in which they
 * are to be seen: it did so in time and without an error; not one watched byte
 * changes while the attack goes on; the driver binds again and available is
 * what it was; the attack (on the old keys) still fails; a fresh mapping and
 * MR work. The observer is closed on the way.
 */
void scene_aftermath(struct unbind *u, struct observer *o, scene_attack attack,
		     void *arg, unsigned int n);
/* unbind_now() and the above. */
void scene_unbind(struct observer *o, scene_attack attack, void *arg,
		  unsigned int n);
/* WRITEs from s->buf to s->mr: each has to be a remote access error. */
unsigned int scene_attack_mr(void *scene, unsigned int n);
/* A new context, mapping and MR: WRITE and READ work and bytes arrive. */
void scene_fresh_works(void);

/* One operation between the buffer and the area, as seen from end 0. */
struct rdma_op scene_op(const struct scene *s, enum ibv_wr_opcode opcode,
			size_t len);

#endif
