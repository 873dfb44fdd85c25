/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ioctl() of an address space of VFIO, without a kernel that has it: its eventfd
 * and the list of dead ranges.
 */
#ifndef REVPIN_FAKEVFIO_H
#define REVPIN_FAKEVFIO_H

#include "internal.h"

#include <stdbool.h>
#include <stdint.h>

#define FAKE_RANGES	64

struct fake_space {
	int fd;
	uint32_t ioas;			/* 0: the ioctls of a container */
	int eventfd;			/* the kernel's hold on it, or -1 */
	uint32_t n;
	struct rp_range dead[FAKE_RANGES];
	int set_errno, list_errno;	/* all such calls fail */
	uint32_t grows;			/* ranges that die while a list is read */
	uint32_t lies;			/* the count it gives instead */
	unsigned int asked;
};

void fake_space_open(struct fake_space *s, uint32_t ioas);
void fake_space_close(struct fake_space *s);
/* A range dies: it is told. */
void fake_dies(struct fake_space *s, uint64_t first, uint64_t last);
void fake_unmap_all(struct fake_space *s);

#endif
