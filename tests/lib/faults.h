/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DMA that the IOMMU stopped, as the kernel's log tells it. The kernel prints
 * about three faults in five seconds and keeps quiet about the others: not to
 * see one is no proof that there was none.
 */
#ifndef REVPIN_FAULTS_H
#define REVPIN_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults {
	int fd;
	char line[256];			/* the fault that was seen last */
};

/* Looks at what is logged from now on. 0 or -errno. */
int faults_open(struct faults *f);
void faults_close(struct faults *f);
/* Has a fault of that device in [iova, iova + len) come, within the time? */
bool faults_seen(struct faults *f, const char *bdf, uint64_t iova, size_t len,
		 double seconds);

#endif
