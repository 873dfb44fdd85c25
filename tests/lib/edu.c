// SPDX-License-Identifier: GPL-2.0
#include "edu.h"
#include "clock.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Offsets in the BAR; the DMA engine's registers are 8 bytes wide. */
#define IDENT		0x00
#define IDENT_VAL	0x010000ed
#define DMA_SRC		0x80
#define DMA_DST		0x88
#define DMA_COUNT	0x90
#define DMA_CMD		0x98
#define CMD_START	1
#define CMD_TO_MEMORY	2
/* Where the engine sees the device's buffer; not part of the BAR. */
#define BUFFER		0x40000

static void put(struct edu *e, unsigned int reg, uint64_t val)
{
	e->bar[reg / 8] = val;
}

static bool busy(const struct edu *e)
{
	return e->bar[DMA_CMD / 8] & CMD_START;
}

int edu_open(struct edu *e, const struct vfio_dev *d)
{
	memset(e, 0, sizeof(*e));
	e->bar = vfio_map_bar(d, 0, &e->bar_len);
	if (!e->bar)
		return -errno;
	memcpy(e->bdf, d->bdf, sizeof(e->bdf));
	/* below 0x80 the device takes 4 bytes at a time */
	if (*(volatile uint32_t *)e->bar != IDENT_VAL) {
		edu_close(e);
		return -ENODEV;
	}
	/* what an owner before this one has begun */
	return edu_wait(e);
}

void edu_close(struct edu *e)
{
	if (e->bar)
		munmap((void *)(uintptr_t)e->bar, e->bar_len);
	memset(e, 0, sizeof(*e));
}

int edu_start(struct edu *e, enum edu_dir dir, uint64_t iova, size_t len)
{
	if (!len || len > EDU_MAX || iova + len > EDU_IOVA_END)
		return -EINVAL;
	if (busy(e))
		return -EBUSY;
	put(e, DMA_SRC, dir == EDU_READ ? iova : BUFFER);
	put(e, DMA_DST, dir == EDU_READ ? BUFFER : iova);
	put(e, DMA_COUNT, len);
	put(e, DMA_CMD, CMD_START | (dir == EDU_WRITE ? CMD_TO_MEMORY : 0));
	return 0;
}

int edu_wait(struct edu *e)
{
	double end = clock_now() + 5 * clock_scale();

	while (busy(e)) {
		if (clock_now() > end)
			return -ETIMEDOUT;
		clock_sleep_ms(2);
	}
	return 0;
}

int edu_run(struct edu *e, enum edu_dir dir, uint64_t iova, size_t len)
{
	int err = edu_start(e, dir, iova, len);

	return err ? err : edu_wait(e);
}

int edu_copy(struct edu *e, uint64_t from, uint64_t to, size_t len)
{
	size_t at, n;
	int err = 0;

	for (at = 0; !err && at < len; at += n) {
		n = len - at < EDU_MAX ? len - at : EDU_MAX;
		err = edu_run(e, EDU_READ, from + at, n);
		if (!err)
			err = edu_run(e, EDU_WRITE, to + at, n);
	}
	return err;
}
