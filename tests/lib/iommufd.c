// SPDX-License-Identifier: GPL-2.0
#include "iommufd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Numbers and layouts as the kernel's iommufd.h and vfio.h have them. */
#define CMD(n)		_IO(';', 0x80 + (n))
#define VFIO_CMD(n)	_IO(';', 100 + (n))

#define CMD_DESTROY	CMD(0x00)
#define CMD_IOAS_ALLOC	CMD(0x01)
#define CMD_IOAS_COPY	CMD(0x03)
#define CMD_IOAS_MAP	CMD(0x05)
#define CMD_IOAS_UNMAP	CMD(0x06)
#define CMD_OPTION	CMD(0x07)
#define CMD_VFIO_IOAS	CMD(0x08)
#define CMD_HWPT_ALLOC	CMD(0x09)
#define CMD_MAP_FILE	CMD(0x0f)

#define CMD_BIND	VFIO_CMD(18)
#define CMD_ATTACH	VFIO_CMD(19)
#define CMD_DETACH	VFIO_CMD(20)

#define FIXED_IOVA	1u
#define WRITEABLE	2u
#define READABLE	4u

#define OPTION_RLIMIT_MODE	0
#define OPTION_HUGE_PAGES	1

static int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommufd_ioas(int fd, uint32_t *ioas)
{
	struct {
		uint32_t size, flags, out;
	} a = { .size = sizeof(a) };
	int err = call(fd, CMD_IOAS_ALLOC, &a);

	*ioas = a.out;
	return err;
}

int iommufd_destroy(int fd, uint32_t id)
{
	struct {
		uint32_t size, id;
	} a = { sizeof(a), id };

	return call(fd, CMD_DESTROY, &a);
}

int iommufd_map(int fd, uint32_t ioas, const void *at, uint64_t iova,
		size_t len, bool writable)
{
	struct {
		uint32_t size, flags, ioas, reserved;
		uint64_t va, len, iova;
	} a = {
		.size = sizeof(a),
		.flags = FIXED_IOVA | READABLE | (writable ? WRITEABLE : 0),
		.ioas = ioas,
		.va = (uintptr_t)at,
		.len = len,
		.iova = iova,
	};

	return call(fd, CMD_IOAS_MAP, &a);
}

int iommufd_map_file(int fd, uint32_t ioas, int file, uint64_t iova, size_t len)
{
	struct {
		uint32_t size, flags, ioas;
		int32_t file;
		uint64_t start, len, iova;
	} a = {
		.size = sizeof(a),
		.flags = FIXED_IOVA | READABLE | WRITEABLE,
		.ioas = ioas,
		.file = file,
		.len = len,
		.iova = iova,
	};

	return call(fd, CMD_MAP_FILE, &a);
}

int iommufd_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t len,
		  uint64_t *done)
{
	struct {
		uint32_t size, ioas;
		uint64_t iova, len;
	} a = { sizeof(a), ioas, iova, len };
	int err = call(fd, CMD_IOAS_UNMAP, &a);

	*done = err ? 0 : a.len;
	return err;
}

int iommufd_copy(int fd, uint32_t to, uint64_t to_iova, uint32_t from,
		 uint64_t from_iova, size_t len)
{
	struct {
		uint32_t size, flags, to, from;
		uint64_t len, to_iova, from_iova;
	} a = {
		.size = sizeof(a),
		.flags = FIXED_IOVA | READABLE | WRITEABLE,
		.to = to,
		.from = from,
		.len = len,
		.to_iova = to_iova,
		.from_iova = from_iova,
	};

	return call(fd, CMD_IOAS_COPY, &a);
}

int iommufd_hwpt(int fd, uint32_t dev, uint32_t ioas, uint32_t *hwpt)
{
	struct {
		uint32_t size, flags, dev, pt, out, reserved, type, data_len;
		uint64_t data;
		uint32_t fault, reserved2;
	} a = { .size = sizeof(a), .dev = dev, .pt = ioas };
	int err = call(fd, CMD_HWPT_ALLOC, &a);

	*hwpt = a.out;
	return err;
}

int iommufd_compat_ioas(int fd, uint32_t *ioas)
{
	struct {
		uint32_t size, ioas;
		uint16_t op, reserved;
	} a = { .size = sizeof(a) };
	int err = call(fd, CMD_VFIO_IOAS, &a);

	*ioas = a.ioas;
	return err;
}

static int option(int fd, uint32_t which, uint32_t object, uint64_t val)
{
	struct {
		uint32_t size, option;
		uint16_t op, reserved;
		uint32_t object;
		uint64_t val;
	} a = {
		.size = sizeof(a),
		.option = which,
		.object = object,
		.val = val,
	};

	return call(fd, CMD_OPTION, &a);
}

int iommufd_limits_by_process(int fd)
{
	return option(fd, OPTION_RLIMIT_MODE, 0, 1);
}

int iommufd_small_pages(int fd, uint32_t ioas)
{
	return option(fd, OPTION_HUGE_PAGES, ioas, 0);
}

int iommufd_cdev_open(const char *sysfs_device)
{
	struct dirent *d;
	char path[300];
	int fd = -ENODEV;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/vfio-dev", sysfs_device);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s",
			 d->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
		break;
	}
	closedir(dir);
	return fd;
}

int iommufd_cdev_bind(int cdev, int fd, uint32_t *dev)
{
	struct {
		uint32_t size, flags;
		int32_t iommufd;
		uint32_t out;
		uint64_t token;
	} a = { .size = sizeof(a), .iommufd = fd };
	int err = call(cdev, CMD_BIND, &a);

	*dev = a.out;
	return err;
}

int iommufd_cdev_attach(int cdev, uint32_t to)
{
	struct {
		uint32_t size, flags, pt, pasid;
	} a = { .size = sizeof(a), .pt = to };

	return call(cdev, CMD_ATTACH, &a);
}

int iommufd_cdev_detach(int cdev)
{
	struct {
		uint32_t size, flags, pasid;
	} a = { .size = sizeof(a) };

	return call(cdev, CMD_DETACH, &a);
}
