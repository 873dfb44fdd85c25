/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watches the provider's memory from the outside: through the BAR as the PCI
 * core shows it in sysfs, not through the mapping that is taken away.
 */
#ifndef REVPIN_OBSERVER_H
#define REVPIN_OBSERVER_H

#include "provider.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct observer {
	char bdf[32];
	int bar;
	bool enabled;			/* by us: to be undone */
	uint64_t offset;		/* of the watched pages in that BAR */
	size_t len;
	uint64_t *seen;			/* at the last snapshot */
	volatile uint64_t *mem;
};

/* Where a page that is present lies: 0 or -errno. */
int observer_physical(const void *addr, uint64_t *phys);
/*
 * Finds where the pages of a p2pmem mapping are; they are to be present and
 * contiguous. Call it while the mapping is alive. 0 or -errno with a note.
 */
int observer_locate(struct observer *o, const struct provider *p,
		    const void *addr, size_t len);
/*
 * Opens the BAR. To be called before an unbind that is going to hang, since
 * enabling the device would wait for it; otherwise observer_snapshot() does.
 */
int observer_open(struct observer *o);
/* Opens the BAR (once) and remembers what the pages hold. 0 or -errno. */
int observer_snapshot(struct observer *o);
/* Bytes that differ from the snapshot, -errno when it cannot look. */
long observer_changed(const struct observer *o);
/* Bytes that differ from mem_fill(seed) over the whole watched range. */
long observer_differs(const struct observer *o, uint64_t seed);
/* Before the driver is bound again. */
void observer_close(struct observer *o);

#endif
