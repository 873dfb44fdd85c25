/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's edu device under vfio-pci, for its DMA engine: one transfer at a time
 * between an IOVA and a buffer of 4096 bytes in the device. A transfer takes a
 * tenth of a second and says nothing about how it went: look at the bytes, and
 * at the IOMMU's complaints (faults.h).
 */
#ifndef REVPIN_EDU_H
#define REVPIN_EDU_H

#include "vfio.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8
/* QEMU 7.2 exits when a transfer reaches the end of the buffer. */
#define EDU_MAX		((size_t)2048)
/* It has 28 address lines. */
#define EDU_IOVA_END	(1ULL << 28)

enum edu_dir {
	EDU_READ = 0,			/* memory to device */
	EDU_WRITE = 1,			/* device to memory */
};

struct edu {
	volatile uint64_t *bar;
	size_t bar_len;
	char bdf[32];
};

/* 0 or -errno. */
int edu_open(struct edu *e, const struct vfio_dev *d);
void edu_close(struct edu *e);

/* Begins a transfer at the start of the buffer. -EINVAL, -EBUSY or 0. */
int edu_start(struct edu *e, enum edu_dir dir, uint64_t iova, size_t len);
/* Waits for the end of it. 0 or -ETIMEDOUT. */
int edu_wait(struct edu *e);
/* Both. */
int edu_run(struct edu *e, enum edu_dir dir, uint64_t iova, size_t len);
/* len bytes from one IOVA to another, through the buffer. */
int edu_copy(struct edu *e, uint64_t from, uint64_t to, size_t len);

#endif
