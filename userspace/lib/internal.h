/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
#ifndef REVPIN_INTERNAL_H
#define REVPIN_INTERNAL_H

#include "revpin.h"

#include <stdbool.h>
#include <sys/types.h>

#define REVPIN_PATH_SIZE	512

/* More than this of text from the kernel is not believed. */
#define REVPIN_TEXT_MAX		((size_t)64 << 20)

#define PCI_DEVICES		"/sys/bus/pci/devices"
#define DEBUGFS			"/sys/kernel/debug"
#define HOLDERS			DEBUGFS "/pfn_revoke"

/* A path of /sys or /proc, below $REVPIN_TEST_ROOT if that is set. */
int rp_path(char buf[REVPIN_PATH_SIZE], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The whole file with a NUL behind it, to be freed. */
int rp_read_all(const char *path, char **text, size_t *len);
/* A file with one number in it. */
int rp_read_u64(const char *path, uint64_t *val);
/* A decimal or 0x number that fills all of the text; a newline may follow. */
int rp_parse_u64(const char *text, uint64_t *val);

/* Does the CPU of this /proc/cpuinfo forward P2P through its host bridge? */
bool rp_cpu_allows(const char *cpuinfo);
/*
 * Does this configuration space switch on one of the ACS redirections? -ENODATA
 * when it ends before the extended capabilities.
 */
int rp_acs_redirects(const uint8_t *config, size_t len);

/* Memory regions count on their memory. */
void rp_mem_hold(struct revpin_mem *mem);
void rp_mem_drop(struct revpin_mem *mem);

/*
 * No region is made or forgotten in between. An event that is read and looked up
 * in one go therefore finds the region it is about: a key is not given again
 * before, see mr.c.
 */
void rp_mr_lock(void);
void rp_mr_unlock(void);
/* Marks the region with that key as revoked; NULL when it is not ours. */
struct revpin_mr *rp_mr_mark(struct ibv_context *ctx, uint32_t lkey);

/* An address space of VFIO: a container, or an IOAS of /dev/iommu. */
struct rp_space {
	enum revpin_source source;
	int fd;
	uint32_t ioas;
};

/* Addresses that devices cannot reach any more. */
struct rp_range {
	uint64_t first, last;
};

/* More ranges than this are not believed. */
#define REVPIN_RANGES_MAX	((uint32_t)1 << 24)

/* -1 takes the eventfd away. */
int rp_space_set(const struct rp_space *space, int eventfd);
/* *list is NULL when there are none, or to be freed. */
int rp_space_list(const struct rp_space *space, struct rp_range **list,
		  size_t *n);

#endif
