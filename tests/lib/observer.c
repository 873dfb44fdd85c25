// SPDX-License-Identifier: GPL-2.0
#include "observer.h"
#include "p2pmem.h"
#include "sysfs.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PM_PRESENT	(1ULL << 63)
#define PM_PFN		((1ULL << 55) - 1)

int observer_physical(const void *addr, uint64_t *phys)
{
	uint64_t entry;
	ssize_t n;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)addr / PAGE * sizeof(entry)));
	close(fd);
	if (n != sizeof(entry))
		return -EIO;
	if (!(entry & PM_PRESENT))
		return -ENOENT;
	if (!(entry & PM_PFN))
		return -EPERM;		/* not root: the kernel hides it */
	*phys = (entry & PM_PFN) * PAGE + (uintptr_t)addr % PAGE;
	return 0;
}

static int find_bar(struct observer *o, uint64_t phys)
{
	unsigned long long start, end, flags;
	char path[128], text[2048];
	char *line, *save;
	int err, bar = 0;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", o->bdf);
	err = sysfs_read(path, text, sizeof(text));
	if (err)
		return err;
	for (line = strtok_r(text, "\n", &save); line && bar < 6;
	     line = strtok_r(NULL, "\n", &save), bar++) {
		if (sscanf(line, "%llx %llx %llx", &start, &end, &flags) != 3)
			continue;
		if (end && phys >= start && phys + o->len - 1 <= end) {
			o->bar = bar;
			o->offset = phys - start;
			return 0;
		}
	}
	return -ENXIO;
}

int observer_locate(struct observer *o, const struct provider *p,
		    const void *addr, size_t len)
{
	uint64_t first, phys;
	size_t at;
	int err;

	memset(o, 0, sizeof(*o));
	memcpy(o->bdf, p->bdf, sizeof(o->bdf));
	o->len = len;
	err = observer_physical(addr, &first);
	for (at = PAGE; !err && at < len; at += PAGE) {
		err = observer_physical((const char *)addr + at, &phys);
		if (!err && phys != first + at)
			err = -ENXIO;
	}
	if (!err)
		err = find_bar(o, first);
	if (err)
		tap_note("cannot tell where the pages are in the BAR: %s",
			 strerror(-err));
	return err;
}

int observer_open(struct observer *o)
{
	char path[128];
	void *m;
	int fd, err;

	/* The driver's going may have left the device disabled. */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", o->bdf);
	err = sysfs_write(path, "1");
	if (err && err != -EBUSY) {
		tap_note("%s: %s", path, strerror(-err));
		return err;
	}
	o->enabled = !err;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d",
		 o->bdf, o->bar);
	fd = open(path, O_RDWR | O_CLOEXEC | O_SYNC);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	m = mmap(NULL, o->len, PROT_READ, MAP_SHARED, fd, (off_t)o->offset);
	err = m == MAP_FAILED ? -errno : 0;
	close(fd);
	if (!err)
		o->mem = m;
out:
	if (err)
		tap_note("%s: %s", path, strerror(-err));
	return err;
}

int observer_snapshot(struct observer *o)
{
	size_t i;
	int err;

	if (!o->mem) {
		err = observer_open(o);
		if (err)
			return err;
	}
	if (!o->seen)
		o->seen = malloc(o->len);
	if (!o->seen)
		return -ENOMEM;
	for (i = 0; i < o->len / 8; i++)
		o->seen[i] = o->mem[i];
	return 0;
}

static size_t bytes_in(uint64_t x)
{
	size_t n = 0;

	for (; x; x >>= 8)
		n += !!(x & 0xff);
	return n;
}

long observer_changed(const struct observer *o)
{
	size_t i, n = 0;

	if (!o->mem || !o->seen)
		return -EBADF;
	for (i = 0; i < o->len / 8; i++)
		n += bytes_in(o->mem[i] ^ o->seen[i]);
	return (long)n;
}

long observer_differs(const struct observer *o, uint64_t seed)
{
	size_t i, n = 0;

	if (!o->mem)
		return -EBADF;
	for (i = 0; i < o->len / 8; i++)
		n += bytes_in(o->mem[i] ^ mem_word(seed, i));
	return (long)n;
}

void observer_close(struct observer *o)
{
	char path[128];

	/* Enabling counts: take back what observer_open() did, while no driver is bound. */
	if (o->enabled) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable",
			 o->bdf);
		sysfs_write(path, "0");
	}
	if (o->mem)
		munmap((void *)(uintptr_t)o->mem, o->len);
	free(o->seen);
	memset(o, 0, sizeof(*o));
}
