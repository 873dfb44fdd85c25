// SPDX-License-Identifier: GPL-2.0
#include "faults.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int faults_open(struct faults *f)
{
	f->line[0] = '\0';
	f->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (f->fd < 0)
		return -errno;
	if (lseek(f->fd, 0, SEEK_END) < 0) {
		int err = -errno;

		faults_close(f);
		return err;
	}
	return 0;
}

void faults_close(struct faults *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/*
 * Where a line begins to tell of a fault, and of which:
 * DMAR: [DMA Write NO_PASID] Request device [0000:00:03.0] fault addr 0xa000000 [...
 * arm-smmu-v3 9050000.smmuv3: event: F_TRANSLATION client: 0000:00:03.0 sid: ... iova: 0xa000000 ...
 */
static const char *fault_in(const char *line, char who[32], unsigned long long *addr)
{
	const char *dmar = strstr(line, "DMAR: [DMA ");
	const char *smmu = strstr(line, "event: F_TRANSLATION client: ");
	const char *at;

	if (dmar) {
		at = strstr(dmar, "Request device [");
		if (at && sscanf(at, "Request device [%31[^]]] fault addr %llx",
				 who, addr) == 2)
			return dmar;
	} else if (smmu) {
		at = strstr(smmu, " iova: ");
		if (at && sscanf(smmu, "event: F_TRANSLATION client: %31s", who) == 1 &&
		    sscanf(at, " iova: %llx", addr) == 1)
			return smmu;
	}
	return NULL;
}

bool faults_seen(struct faults *f, const char *bdf, uint64_t iova, size_t len,
		 double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	char line[1024];
	ssize_t n;

	for (;;) {
		n = read(f->fd, line, sizeof(line) - 1);
		if (n > 0) {
			unsigned long long addr;
			const char *at;
			char who[32];

			line[n] = '\0';
			at = fault_in(line, who, &addr);
			if (!at || strcmp(who, bdf) ||
			    /* an IOMMU may report the page */
			    addr < (iova & ~4095ULL) || addr >= iova + len)
				continue;
			snprintf(f->line, sizeof(f->line), "%.*s",
				 (int)strcspn(at, "\n"), at);
			return true;
		}
		/* overrun: the oldest lines are lost, go on with the next */
		if (n < 0 && errno == EPIPE)
			continue;
		if (clock_now() > end)
			return false;
		clock_sleep_ms(5);
	}
}
