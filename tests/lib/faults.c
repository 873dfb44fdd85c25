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

/* "DMAR: [DMA Write NO_PASID] Request device [0000:00:03.0] fault addr 0xa000000 [...". */
static bool is_fault(const char *line, const char *bdf, uint64_t iova, size_t len)
{
	const char *at = strstr(line, "Request device [");
	unsigned long long addr;
	char who[32];

	if (!strstr(line, "DMAR: [DMA ") || !at)
		return false;
	if (sscanf(at, "Request device [%31[^]]] fault addr %llx", who, &addr) != 2)
		return false;
	/* the IOMMU reports pages */
	return !strcmp(who, bdf) && addr >= (iova & ~4095ULL) && addr < iova + len;
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
			line[n] = '\0';
			if (!is_fault(line, bdf, iova, len))
				continue;
			snprintf(f->line, sizeof(f->line), "%.*s",
				 (int)strcspn(strstr(line, "DMAR"), "\n"),
				 strstr(line, "DMAR"));
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
