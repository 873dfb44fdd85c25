/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_MM_H
#define SHIM_LINUX_MM_H

#include <linux/memremap.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)

struct page {
	unsigned long pfn;
	struct dev_pagemap *pgmap;
};

#define page_to_pfn(page) ((page)->pfn)
#define page_pgmap(page) ((page)->pgmap)

#endif
