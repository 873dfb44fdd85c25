/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the VFIO tests share: an address space with an edu device in it, memory
 * made of ordinary pages and pages of the provider, an observer on the latter,
 * and ONE list of what must hold after an unbind.
 *
 *   memory	ram[0]   p2p[0]   ram[1]   p2p[1]   ram[2]		(virtual)
 *   IOVA	STAGE_IOVA ...		in one VFIO_IOMMU_MAP_DMA
 *
 * Each part has any number of pages, also none. Beside it, in a mapping of its
 * own, STAGE_SCRATCH is ordinary memory to load the device's buffer from and
 * to look at what is in it.
 */
#ifndef REVPIN_STAGE_H
#define REVPIN_STAGE_H

#include "edu.h"
#include "observer.h"
#include "p2pmem.h"
#include "provider.h"
#include "vfio.h"

#include <stdbool.h>

/* tests/log-allow.dmar goes by these. */
#define STAGE_IOVA	0x0a000000ULL
#define STAGE_SCRATCH	0x0af00000ULL

/* Beside the mapping of a stage, below STAGE_SCRATCH. */
#define OTHER_IOVA	(STAGE_IOVA + 0x800000)

#define STAGE_DEVS	2

struct stage_layout {
	size_t ram0, p2p0, ram1, p2p1, ram2;	/* pages */
};

#define P2P_ALONE	(&(struct stage_layout){ 0, 4, 0, 0, 0 })
#define MIXED		(&(struct stage_layout){ 2, 4, 2, 0, 0 })
#define MANY_PARTS	(&(struct stage_layout){ 2, 2, 2, 2, 2 })

struct stage {
	bool open;
	struct vfio_space space;
	struct vfio_dev dev[STAGE_DEVS];
	struct edu edu[STAGE_DEVS];
	struct vfio_dev mdev;		/* if stage_add_mdev() */
	struct stage_layout layout;
	unsigned char *mem;
	size_t len;
	unsigned char *ram[3], *p2p[2];
	size_t ram_len[3], p2p_len[2];
	bool mapped;
	unsigned char *scratch;
	struct observer observer;	/* of p2p[0] */
	long locked;			/* stage_locked() before anything was mapped */
};

/* For struct tap_suite; every edu device is bound to vfio-pci. */
bool stage_init(void);
void stage_before(void);
/* Leaves the machine as it was found, and checks that it is. */
void stage_after(void);

/* Which of the interfaces the stages use, while none is open. */
void stage_use(enum vfio_kind kind);
enum vfio_kind stage_kind(void);

/*
 * Ordinary memory that is mapped, in KiB, as the kernel counts it for this
 * process: type1 in VmLck, iommufd in VmPin (its limit is on another count, that
 * of the user, which nothing shows).
 */
long stage_locked(void);
/* Is so much of the provider's memory taken, beyond what the driver holds? */
bool stage_taken(size_t len);
bool stage_nothing_taken(void);
/* BDF of the n-th edu device. */
const char *stage_edu(unsigned int n);

/* All of it but the mapping of the memory. */
struct stage *stage_open_bare(const struct stage_layout *l);
/* The same in an IOAS of its own in the iommufd of another stage. */
struct stage *stage_open_near(const struct stage_layout *l,
			      const struct stage *near);
/* In a container that splits mappings (VFIO_TYPE1_IOMMU). */
struct stage *stage_open_v1(const struct stage_layout *l);
/* With the memory mapped at STAGE_IOVA. */
struct stage *stage_open(const struct stage_layout *l);
/* Unmaps with the full size, if it is mapped, and closes everything. */
void stage_close(struct stage *s);
/* Closes everything as it is, whatever state it is in. */
void stage_drop(struct stage *s);
/* Another device in the same space. */
void stage_add_edu(struct stage *s, unsigned int n);
/* The same, when it may be refused: 0 or -errno. */
int stage_try_edu(struct stage *s, unsigned int n);
void stage_remove_edu(struct stage *s, unsigned int n);
/* A device that keeps the space's mappings without having an IOMMU. */
void stage_add_mdev(struct stage *s);

int stage_map(struct stage *s);
/* Expects that all of it goes. */
void stage_unmap(struct stage *s);
/* Where the device sees an address of the memory. */
uint64_t stage_iova(const struct stage *s, const void *at);

/* The device's buffer, through the scratch memory; len up to EDU_MAX. */
void stage_load(struct stage *s, unsigned int n, uint64_t seed, size_t len);
size_t stage_buffer_differs(struct stage *s, unsigned int n, uint64_t seed,
			    size_t len);

/* Bytes go there and back between every two parts of the memory. */
void stage_dma_works(struct stage *s, unsigned int n);
/* Ordinary memory of the mapping is reachable, both ways. */
void stage_ram_works(struct stage *s, unsigned int n);
/* DMA to and from the provider's part of the mapping does nothing at all. */
void stage_p2p_is_dead(struct stage *s, unsigned int n);
/*
 * The same for any range of one page or more, which holds a pattern: reads bring
 * nothing of it. That writes do not arrive is for an observer to see.
 */
void stage_dead_range(struct stage *s, unsigned int n, uint64_t iova,
		      size_t len);
/*
 * One write by the device that has to be reported as a fault. It may have to
 * wait for the kernel to speak again, up to five seconds: see faults.h.
 */
void stage_faults(struct stage *s, unsigned int n, uint64_t iova);

/*
 * Post-conditions of an unbind that has returned: it did so in time and
 * without an error; DMA to the provider's memory brings nothing and changes
 * nothing there; ordinary memory in the same mapping goes on; after the driver is back
 * the old mapping is as dead as before, goes in one unmap of the full size,
 * and leaves room for fresh memory that works.
 */
void stage_aftermath(struct stage *s, struct unbind *u);
/* unbind_now() and the above. */
void stage_unbind(struct stage *s);
/* The pages of p2p[0] as the BAR in sysfs, without a pin; ends the test if not. */
void *stage_map_bar(const struct stage *s);
/* A new space, mapping and device: DMA works. */
void stage_fresh_works(void);

#endif
