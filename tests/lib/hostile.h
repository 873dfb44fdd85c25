/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/test_pfn_revoke: consumers and providers that do what they are asked for. */
#ifndef REVPIN_HOSTILE_H
#define REVPIN_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>
#include <test_pfn_revoke_uapi.h>

#define HOSTILE_DEV "/dev/test_pfn_revoke"

/* The n-th PFN of the made-up memory. */
#define HPFN(n) (TEST_PFN_BASE + (uint64_t)(n))

/* The file, or -errno. What was made through it goes with it. */
int hostile_open(void);

/*
 * Pages are given by their numbers, from first to last. 0 or -errno, and an id
 * where something is made.
 */
int hostile_provide(int fd, uint64_t first, uint64_t last, uint32_t *id);
int hostile_unprovide(int fd, uint32_t id);
/*
 * All that the provider has, and what the other one has if that is not 0. How
 * many of the pages somebody may touch now, or -errno. ms 0: without a timeout.
 */
int hostile_revoke(int fd, uint32_t id, uint32_t other, uint32_t ms);

/* A part of what a provider has: to be revoked and opened again, many times. */
int hostile_part(int fd, uint32_t provider, uint64_t first, uint64_t last,
		 uint32_t *id);
/* The same with PFNs as they are, of any provider. */
int hostile_part_of_pfns(int fd, uint64_t first, uint64_t last, uint32_t *id);
/* As hostile_revoke(). */
int hostile_revoke_part(int fd, uint32_t id);
int hostile_reopen(int fd, uint32_t id);

/* flags are TEST_PFN_*; how->id is the answer. */
int hostile_consumer(int fd, struct test_pfn_arg *how);
/* ms between the attach and its record. */
int hostile_attach(int fd, uint32_t id, uint64_t first, uint64_t last,
		   uint32_t ms);
int hostile_detach(int fd, uint32_t id);
int hostile_go_on(int fd, uint32_t id);
int hostile_look(int fd, uint32_t id, struct test_pfn_arg *what);

#endif
