/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices under vfio-pci and the address spaces that they do DMA in: a legacy
 * container, or an iommufd that plays one.
 */
#ifndef REVPIN_VFIO_H
#define REVPIN_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vfio_kind {
	VFIO_KIND_TYPE1,		/* /dev/vfio/vfio */
	VFIO_KIND_COMPAT,		/* /dev/iommu in its place */
};

#define VFIO_RW		0		/* default rights of vfio_map() */
#define VFIO_RO		1		/* the device may only read */

struct vfio_space {
	bool open;
	enum vfio_kind kind;
	int fd;
	bool has_iommu;
};

struct vfio_dev {
	bool open;
	char bdf[32];
	int group;
	int fd;
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

/* Adds a device to the space and lets it do DMA. 0 or -errno. */
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

/* 0 or -errno. */
int vfio_map(const struct vfio_space *s, const void *at, uint64_t iova,
	     size_t len, int rights);
/* 0 or -errno; *done is what the kernel says it has unmapped. */
int vfio_unmap(const struct vfio_space *s, uint64_t iova, size_t len,
	       uint64_t *done);
int vfio_unmap_all(const struct vfio_space *s, uint64_t *done);

/* A BAR of the device in memory, NULL with errno. *len is its size. */
void *vfio_map_bar(const struct vfio_dev *d, unsigned int bar, size_t *len);
/* VFIO_DEVICE_RESET: 0 or -errno. */
int vfio_reset(const struct vfio_dev *d);

#endif
