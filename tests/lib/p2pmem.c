// SPDX-License-Identifier: GPL-2.0
#include "p2pmem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *p2pmem_mmap(const struct provider *p, void *at, size_t len, int flags,
		  off_t off)
{
	char path[128];
	void *m;
	int fd, err;

	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/p2pmem/allocate", p->bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	m = mmap(at, len, PROT_READ | PROT_WRITE, flags, fd, off);
	err = errno;
	close(fd);
	if (m == MAP_FAILED) {
		errno = err;
		return NULL;
	}
	return m;
}

void *p2pmem_map(const struct provider *p, size_t len)
{
	return p2pmem_mmap(p, NULL, len, MAP_SHARED, 0);
}

uint64_t mem_word(uint64_t seed, size_t index)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + index + 1;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 32;
	return x;
}

/*
 * Device memory: one access of 8 bytes each, nothing that a compiler or
 * memcpy() might widen, repeat or split.
 */
void mem_fill(void *at, size_t len, uint64_t seed)
{
	volatile uint64_t *w = at;
	size_t i;

	for (i = 0; i < len / 8; i++)
		w[i] = mem_word(seed, i);
}

size_t mem_differs(const void *at, size_t len, uint64_t seed)
{
	const volatile uint64_t *w = at;
	size_t i, bytes = 0;
	uint64_t x;

	for (i = 0; i < len / 8; i++)
		for (x = w[i] ^ mem_word(seed, i); x; x >>= 8)
			bytes += !!(x & 0xff);
	return bytes;
}

static sigjmp_buf back;

static void on_sigbus(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

bool mem_is_gone(const void *at)
{
	struct sigaction sa = { .sa_handler = on_sigbus }, old;
	volatile bool gone = true;

	sigaction(SIGBUS, &sa, &old);
	if (!sigsetjmp(back, 1)) {
		(void)*(const volatile unsigned char *)at;
		gone = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return gone;
}
