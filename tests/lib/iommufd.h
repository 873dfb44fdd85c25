/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of /dev/iommu and of VFIO's character devices that the tests use.
 * The headers of Debian 12 are older than they are.
 *
 * All return 0 or -errno. An IOAS is a list of mappings; a page table of the
 * IOMMU (HWPT) shows the mappings of one IOAS to the devices attached to it.
 */
#ifndef REVPIN_IOMMUFD_H
#define REVPIN_IOMMUFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int iommufd_open(void);			/* the fd, or -errno */
int iommufd_ioas(int fd, uint32_t *ioas);
/* Any object. -EBUSY while another one needs it. */
int iommufd_destroy(int fd, uint32_t id);

int iommufd_map(int fd, uint32_t ioas, const void *at, uint64_t iova,
		size_t len, bool writable);
/* The beginning of a file: a memfd, or a dma-buf of vfio-pci. */
int iommufd_map_file(int fd, uint32_t ioas, int file, uint64_t iova, size_t len);
/* *done is what the kernel says; iova 0 with a length of ~0ULL is everything. */
int iommufd_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t len,
		  uint64_t *done);
/* Mappings, or parts of them, once more: in another IOAS or the same one. */
int iommufd_copy(int fd, uint32_t to, uint64_t to_iova, uint32_t from,
		 uint64_t from_iova, size_t len);
/* A page table of its own for an IOAS, such as that device can use. */
int iommufd_hwpt(int fd, uint32_t dev, uint32_t ioas, uint32_t *hwpt);
/* The IOAS behind the container's ioctls. */
int iommufd_compat_ioas(int fd, uint32_t *ioas);

/* Limits count per process (VmLck), not per user. For root, at the start. */
int iommufd_limits_by_process(int fd);
/* Pages of an IOAS are mapped one by one, not as large as they come. */
int iommufd_small_pages(int fd, uint32_t ioas);

/* The character device of a device under VFIO, in sysfs: the fd, or -errno. */
int iommufd_cdev_open(const char *sysfs_device);
int iommufd_cdev_bind(int cdev, int fd, uint32_t *dev);
/* To an IOAS or an HWPT, also if it is attached to another one. */
int iommufd_cdev_attach(int cdev, uint32_t to);
int iommufd_cdev_detach(int cdev);

#endif
