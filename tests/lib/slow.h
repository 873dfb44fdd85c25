/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory whose page faults take as long as the test likes: a file of a FUSE
 * file system, which the test answers for. Unlike userfaultfd it also makes
 * those sleep who fault without being able to retry, as VFIO's type1 does; they
 * hold the mmap lock of their process meanwhile, so let another process than
 * the test do it.
 */
#ifndef REVPIN_SLOW_H
#define REVPIN_SLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slow {
	int dev;			/* /dev/fuse */
	char dir[64];
	char file[80];
	size_t len;
	uint64_t waiting;		/* the read that is not answered yet */
	uint32_t wanted;
};

/* A file of that length. 0 or -errno. */
int slow_open(struct slow *s, size_t len);
/* Whoever still sleeps gets an error. */
void slow_close(struct slow *s);
/* Maps the file, private and writable, at that place. */
void *slow_map(const struct slow *s, void *at);
/* Answers until somebody has to wait for the file's content. */
bool slow_somebody_sleeps(struct slow *s, double seconds);
/* The content is zeros. 0 or -errno. */
int slow_let_go(struct slow *s);

#endif
