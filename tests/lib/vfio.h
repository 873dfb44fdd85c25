/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices under vfio-pci and the address spaces that they do DMA in, through
 * one of the three interfaces that the kernel has for that.
 */
#ifndef REVPIN_VFIO_H
#define REVPIN_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vfio_kind {
	VFIO_KIND_TYPE1,		/* groups in a container: /dev/vfio/vfio */
	VFIO_KIND_COMPAT,		/* the same, with /dev/iommu in its place */
	VFIO_KIND_IOMMUFD,		/* character devices, an IOAS of /dev/iommu */
};

#define VFIO_RW		0		/* default rights of vfio_map() */
#define VFIO_RO		1		/* the device may only read */

struct vfio_space {
	bool open;
	enum vfio_kind kind;
	int fd;
	bool has_iommu;			/* not with VFIO_KIND_IOMMUFD */
	bool v1;			/* VFIO_TYPE1_IOMMU: it splits mappings */
	uint32_t ioas;			/* VFIO_KIND_IOMMUFD */
};

struct vfio_dev {
	bool open;
	char bdf[32];
	int group;			/* -1 with VFIO_KIND_IOMMUFD */
	int fd;
	uint32_t id;			/* in the iommufd, VFIO_KIND_IOMMUFD */
};

/*
 * The n-th PCI device (from 0) with these ids, in the order of addresses.
 * 0 or -ENODEV.
 */
int vfio_find(unsigned int vendor, unsigned int device, unsigned int n,
	      char bdf[32]);
/* Binds vfio-pci, whatever was bound before. 0 or -errno with a note. */
int vfio_bind(const char *bdf);
/* Unbinds it and forgets the override. The device must not be open. */
int vfio_unbind(const char *bdf);

int vfio_space_open(struct vfio_space *s, enum vfio_kind kind);
void vfio_space_close(struct vfio_space *s);
/* Another IOAS in the same iommufd. */
int vfio_space_open_near(struct vfio_space *s, const struct vfio_space *near);

/*
 * Adds a device to the space and lets it do DMA. 0 or -errno; vfio_is_busy()
 * tells whether it was for a file of the device that is still open elsewhere.
 */
int vfio_attach(struct vfio_space *s, struct vfio_dev *d, const char *bdf);
/*
 * The same with a mediated device (the kernel's sample "mtty"), which has no
 * IOMMU: it keeps the space's mappings when no other device is left in it.
 */
int vfio_attach_mdev(struct vfio_space *s, struct vfio_dev *d);
/* Closes it and takes the mediated device away. */
void vfio_detach_mdev(struct vfio_dev *d);
/* Closes it. The space may go on with other devices. */
void vfio_detach(struct vfio_dev *d);

bool vfio_is_busy(enum vfio_kind kind, int err);
/* The group's file alone: the fd, or -errno. */
int vfio_group_open(const char *bdf);

/* 0 or -errno. */
int vfio_map(const struct vfio_space *s, const void *at, uint64_t iova,
	     size_t len, int rights);
/* 0 or -errno; *done is what the kernel says it has unmapped. */
int vfio_unmap(const struct vfio_space *s, uint64_t iova, size_t len,
	       uint64_t *done);
int vfio_unmap_all(const struct vfio_space *s, uint64_t *done);

/* A BAR of the device in memory, NULL with errno. *len is its size. */
void *vfio_map_bar(const struct vfio_dev *d, unsigned int bar, size_t *len);
/* The beginning of a BAR as a dma-buf: the fd, or -errno. */
int vfio_bar_dmabuf(const struct vfio_dev *d, unsigned int bar, size_t len);
/* Memory decoding in the device's command register. Off revokes its dma-bufs. */
int vfio_memory(const struct vfio_dev *d, bool on);
/* VFIO_DEVICE_RESET: 0 or -errno. */
int vfio_reset(const struct vfio_dev *d);

#endif
