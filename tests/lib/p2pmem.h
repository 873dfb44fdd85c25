/* SPDX-License-Identifier: GPL-2.0 */
/* User mappings of a provider's memory, and what their bytes are. */
#ifndef REVPIN_P2PMEM_H
#define REVPIN_P2PMEM_H

#include "provider.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE ((size_t)4096)

/* NULL with errno set. */
void *p2pmem_map(const struct provider *p, size_t len);
/* The same with everything of mmap() in the caller's hands. */
void *p2pmem_mmap(const struct provider *p, void *at, size_t len, int flags,
		  off_t off);

/* The pattern that mem_fill() writes: it differs in every 8 bytes. */
uint64_t mem_word(uint64_t seed, size_t index);
void mem_fill(void *at, size_t len, uint64_t seed);
/* Bytes that are not as mem_fill() left them. */
size_t mem_differs(const void *at, size_t len, uint64_t seed);
/* True when reading the byte raises SIGBUS. */
bool mem_is_gone(const void *at);

#endif
