/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_MEMREMAP_H
#define SHIM_LINUX_MEMREMAP_H

struct dev_pagemap {
	struct pfn_range *pfn_range;
};

#endif
