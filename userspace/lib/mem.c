// SPDX-License-Identifier: LGPL-2.1 OR MIT
/* Mappings of a provider's memory. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct revpin_mem {
	void *addr;
	size_t len;
	atomic_uint regions;
};

int revpin_mem_map(const struct revpin_provider *provider, size_t len,
		   struct revpin_mem **mem)
{
	char path[REVPIN_PATH_SIZE];
	struct revpin_mem *m;
	int fd, err;

	if (!len || len % (size_t)sysconf(_SC_PAGESIZE))
		return -EINVAL;
	err = rp_path(path, PCI_DEVICES "/%s/p2pmem/allocate",
		      revpin_provider_bdf(provider));
	if (err)
		return err;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		err = errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
		goto err_free;
	}
	/* The pages are allocated here, and given back at the last unmap. */
	m->addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = -errno;
	close(fd);
	if (m->addr == MAP_FAILED)
		goto err_free;
	m->len = len;
	*mem = m;
	return 0;
err_free:
	free(m);
	return err;
}

int revpin_mem_unmap(struct revpin_mem *mem)
{
	if (!mem)
		return 0;
	if (atomic_load(&mem->regions))
		return -EBUSY;
	if (munmap(mem->addr, mem->len))
		return -errno;
	free(mem);
	return 0;
}

void *revpin_mem_addr(const struct revpin_mem *mem)
{
	return mem->addr;
}

size_t revpin_mem_len(const struct revpin_mem *mem)
{
	return mem->len;
}

void rp_mem_hold(struct revpin_mem *mem)
{
	atomic_fetch_add(&mem->regions, 1);
}

void rp_mem_drop(struct revpin_mem *mem)
{
	atomic_fetch_sub(&mem->regions, 1);
}
