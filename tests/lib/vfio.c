// SPDX-License-Identifier: GPL-2.0
#include "vfio.h"
#include "iommufd.h"
#include "sysfs.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCI "/sys/bus/pci"
#define MDEV "/sys/bus/mdev"
#define MDEV_TYPE "/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1"
#define MDEV_UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

static bool has_ids(const char *bdf, unsigned int vendor, unsigned int device)
{
	unsigned long long v, d;
	char path[300];

	snprintf(path, sizeof(path), PCI "/devices/%s/vendor", bdf);
	if (sysfs_read_ull(path, &v))
		return false;
	snprintf(path, sizeof(path), PCI "/devices/%s/device", bdf);
	return !sysfs_read_ull(path, &d) && v == vendor && d == device;
}

int vfio_find(unsigned int vendor, unsigned int device, unsigned int n,
	      char bdf[32])
{
	struct dirent **list;
	int i, nr, err = -ENODEV;

	nr = scandir(PCI "/devices", &list, NULL, alphasort);
	if (nr < 0)
		return -errno;
	for (i = 0; i < nr; i++) {
		if (err && has_ids(list[i]->d_name, vendor, device) && n-- == 0) {
			snprintf(bdf, 32, "%.31s", list[i]->d_name);
			err = 0;
		}
		free(list[i]);
	}
	free(list);
	return err;
}

static bool bound_to_vfio(const char *bdf)
{
	char path[128];

	snprintf(path, sizeof(path), PCI "/drivers/vfio-pci/%s", bdf);
	return access(path, F_OK) == 0;
}

int vfio_bind(const char *bdf)
{
	char path[128];
	int err;

	if (bound_to_vfio(bdf))
		return 0;
	snprintf(path, sizeof(path), PCI "/devices/%s/driver/unbind", bdf);
	err = sysfs_write(path, bdf);
	if (err && err != -ENOENT)
		goto out;
	snprintf(path, sizeof(path), PCI "/devices/%s/driver_override", bdf);
	err = sysfs_write(path, "vfio-pci");
	if (err)
		goto out;
	snprintf(path, sizeof(path), PCI "/drivers_probe");
	err = sysfs_write(path, bdf);
	if (!err && !bound_to_vfio(bdf))
		err = -ENODEV;
out:
	if (err)
		tap_note("vfio-pci for %s: %s: %s", bdf, path, strerror(-err));
	return err;
}

int vfio_unbind(const char *bdf)
{
	char path[128];
	int err;

	err = sysfs_write(PCI "/drivers/vfio-pci/unbind", bdf);
	if (err)
		return err;
	snprintf(path, sizeof(path), PCI "/devices/%s/driver_override", bdf);
	return sysfs_write(path, "\n");
}

int vfio_space_open(struct vfio_space *s, enum vfio_kind kind)
{
	int err = 0;

	memset(s, 0, sizeof(*s));
	s->kind = kind;
	if (kind == VFIO_KIND_TYPE1) {
		s->fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
		if (s->fd < 0)
			return -errno;
	} else {
		s->fd = iommufd_open();
		if (s->fd < 0)
			return s->fd;
	}
	if (kind == VFIO_KIND_IOMMUFD)
		err = iommufd_ioas(s->fd, &s->ioas);
	if (err) {
		close(s->fd);
		return err;
	}
	s->open = true;
	return 0;
}

int vfio_space_open_near(struct vfio_space *s, const struct vfio_space *near)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->kind = VFIO_KIND_IOMMUFD;
	s->fd = fcntl(near->fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		return -errno;
	err = iommufd_ioas(s->fd, &s->ioas);
	if (err) {
		close(s->fd);
		return err;
	}
	s->open = true;
	return 0;
}

void vfio_space_close(struct vfio_space *s)
{
	if (s->open)
		close(s->fd);
	memset(s, 0, sizeof(*s));
}

static int open_group(const char *bus, const char *name_on_bus)
{
	char path[128], link[256];
	const char *name;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/devices/%s/iommu_group", bus,
		 name_on_bus);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = '\0';
	name = strrchr(link, '/');
	if (!name)
		return -ENODEV;
	snprintf(path, sizeof(path), "/dev/vfio/%.16s", name + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int vfio_group_open(const char *bdf)
{
	return open_group(PCI, bdf);
}

static int region(const struct vfio_dev *d, unsigned int index,
		  struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, info) ? -errno : 0;
}

/* Memory decoding, and bus mastering, which opening the device switched off. */
static int let_it_master(const struct vfio_dev *d)
{
	struct vfio_region_info info;
	off_t at;
	uint16_t cmd;
	int err;

	err = region(d, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	if (err)
		return err;
	at = (off_t)info.offset + PCI_COMMAND;
	if (pread(d->fd, &cmd, sizeof(cmd), at) != sizeof(cmd))
		return -EIO;
	cmd |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(d->fd, &cmd, sizeof(cmd), at) != sizeof(cmd))
		return -EIO;
	return 0;
}

static int attach_cdev(struct vfio_space *s, struct vfio_dev *d,
		       const char *bus, const char *name)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), "%s/devices/%s", bus, name);
	d->group = -1;
	d->fd = iommufd_cdev_open(path);
	if (d->fd < 0)
		return d->fd;
	err = iommufd_cdev_bind(d->fd, s->fd, &d->id);
	if (!err)
		err = iommufd_cdev_attach(d->fd, s->ioas);
	if (err)
		close(d->fd);
	else
		d->open = true;
	return err;
}

static int attach_group(struct vfio_space *s, struct vfio_dev *d,
			const char *bus, const char *name)
{
	int err;

	d->group = open_group(bus, name);
	if (d->group < 0)
		return d->group;
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &s->fd)) {
		err = -errno;
		goto err_group;
	}
	if (!s->has_iommu && ioctl(s->fd, VFIO_SET_IOMMU, s->v1 ?
				   VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU)) {
		err = -errno;
		goto err_group;
	}
	s->has_iommu = true;
	d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, name);
	if (d->fd < 0) {
		err = -errno;
		goto err_group;
	}
	d->open = true;
	return 0;

err_group:
	close(d->group);
	return err;
}

static int attach(struct vfio_space *s, struct vfio_dev *d, const char *bus,
		  const char *name)
{
	memset(d, 0, sizeof(*d));
	if (s->kind == VFIO_KIND_IOMMUFD)
		return attach_cdev(s, d, bus, name);
	return attach_group(s, d, bus, name);
}

bool vfio_is_busy(enum vfio_kind kind, int err)
{
	/* a group can be open once, a character device be bound once */
	return err == (kind == VFIO_KIND_IOMMUFD ? -EINVAL : -EBUSY);
}

int vfio_attach(struct vfio_space *s, struct vfio_dev *d, const char *bdf)
{
	int err = attach(s, d, PCI, bdf);

	if (err)
		return err;
	snprintf(d->bdf, sizeof(d->bdf), "%.31s", bdf);
	err = let_it_master(d);
	if (err)
		vfio_detach(d);
	return err;
}

int vfio_attach_mdev(struct vfio_space *s, struct vfio_dev *d)
{
	int err;

	memset(d, 0, sizeof(*d));
	err = sysfs_write(MDEV_TYPE "/create", MDEV_UUID);
	if (err) {
		tap_note("%s/create: %s", MDEV_TYPE, strerror(-err));
		return err;
	}
	err = attach(s, d, MDEV, MDEV_UUID);
	if (err)
		sysfs_write(MDEV "/devices/" MDEV_UUID "/remove", "1");
	return err;
}

void vfio_detach_mdev(struct vfio_dev *d)
{
	bool was_open = d->open;

	vfio_detach(d);
	if (was_open)
		sysfs_write(MDEV "/devices/" MDEV_UUID "/remove", "1");
}

void vfio_detach(struct vfio_dev *d)
{
	if (d->open) {
		close(d->fd);
		/* leaves the container as well */
		if (d->group >= 0)
			close(d->group);
	}
	memset(d, 0, sizeof(*d));
}

int vfio_map(const struct vfio_space *s, const void *at, uint64_t iova,
	     size_t len, int rights)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ |
			 (rights == VFIO_RO ? 0 : VFIO_DMA_MAP_FLAG_WRITE),
		.vaddr = (uintptr_t)at,
		.iova = iova,
		.size = len,
	};

	if (s->kind == VFIO_KIND_IOMMUFD)
		return iommufd_map(s->fd, s->ioas, at, iova, len,
				   rights != VFIO_RO);
	return ioctl(s->fd, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

static int unmap(const struct vfio_space *s, unsigned int flags, uint64_t iova,
		 size_t len, uint64_t *done)
{
	struct vfio_iommu_type1_dma_unmap req = {
		.argsz = sizeof(req),
		.flags = flags,
		.iova = iova,
		.size = len,
	};
	int err = ioctl(s->fd, VFIO_IOMMU_UNMAP_DMA, &req) ? -errno : 0;

	*done = err ? 0 : req.size;
	return err;
}

int vfio_unmap(const struct vfio_space *s, uint64_t iova, size_t len,
	       uint64_t *done)
{
	if (s->kind == VFIO_KIND_IOMMUFD)
		return iommufd_unmap(s->fd, s->ioas, iova, len, done);
	return unmap(s, 0, iova, len, done);
}

int vfio_unmap_all(const struct vfio_space *s, uint64_t *done)
{
	if (s->kind == VFIO_KIND_IOMMUFD)
		return iommufd_unmap(s->fd, s->ioas, 0, ~0ULL, done);
	return unmap(s, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, done);
}

void *vfio_map_bar(const struct vfio_dev *d, unsigned int bar, size_t *len)
{
	struct vfio_region_info info;
	void *m;
	int err;

	err = region(d, bar, &info);
	if (!err && !(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		err = -EOPNOTSUPP;
	if (err) {
		errno = -err;
		return NULL;
	}
	m = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
		 (off_t)info.offset);
	if (m == MAP_FAILED)
		return NULL;
	*len = info.size;
	return m;
}

/* As the kernel's vfio.h has it, which is newer than Debian's. */
#define FEATURE_DMA_BUF	11

int vfio_bar_dmabuf(const struct vfio_dev *d, unsigned int bar, size_t len)
{
	struct {
		struct vfio_device_feature head;
		uint32_t bar, open_flags, flags, nr;
		uint64_t offset, len;
	} a = {
		.head = { sizeof(a), VFIO_DEVICE_FEATURE_GET | FEATURE_DMA_BUF },
		.bar = bar,
		.open_flags = O_RDWR | O_CLOEXEC,
		.nr = 1,
		.len = len,
	};
	int fd = ioctl(d->fd, VFIO_DEVICE_FEATURE, &a);

	return fd < 0 ? -errno : fd;
}

int vfio_memory(const struct vfio_dev *d, bool on)
{
	struct vfio_region_info info;
	uint16_t command;
	off_t at;
	int err = region(d, VFIO_PCI_CONFIG_REGION_INDEX, &info);

	if (err)
		return err;
	at = (off_t)info.offset + PCI_COMMAND;
	if (pread(d->fd, &command, sizeof(command), at) != sizeof(command))
		return -errno;
	if (on)
		command |= PCI_COMMAND_MEMORY;
	else
		command &= ~PCI_COMMAND_MEMORY;
	if (pwrite(d->fd, &command, sizeof(command), at) != sizeof(command))
		return -errno;
	return 0;
}

int vfio_reset(const struct vfio_dev *d)
{
	return ioctl(d->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}
