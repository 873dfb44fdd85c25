// SPDX-License-Identifier: GPL-2.0
#include "vfio_event.h"
#include "check.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Numbers and layouts as the kernel's vfio.h and iommufd.h have them. */
#define EXTENSION_REVOKE_EVENT	11
#define TYPE1_REVOKE_EVENTFD	_IO(VFIO_TYPE, VFIO_BASE + 22)
#define TYPE1_REVOKED_RANGES	_IO(VFIO_TYPE, VFIO_BASE + 23)
#define IOAS_REVOKE_EVENTFD	_IO(';', 0x96)
#define IOAS_REVOKED_RANGES	_IO(';', 0x97)

static const struct vfio_request right;

static int call(const struct vfio_space *s, unsigned long cmd, void *arg)
{
	return ioctl(s->fd, cmd, arg) ? -errno : 0;
}

int vfio_event_known(const struct vfio_space *s)
{
	if (s->kind == VFIO_KIND_IOMMUFD)
		return 1;
	return ioctl(s->fd, VFIO_CHECK_EXTENSION, EXTENSION_REVOKE_EVENT);
}

int vfio_event_no_room(enum vfio_kind kind)
{
	return kind == VFIO_KIND_IOMMUFD ? -EMSGSIZE : -ENOSPC;
}

int vfio_event_bad_flags(enum vfio_kind kind)
{
	return kind == VFIO_KIND_IOMMUFD ? -EOPNOTSUPP : -EINVAL;
}

int vfio_event_fd_as(const struct vfio_space *s, int fd,
		     const struct vfio_request *req)
{
	struct {
		uint32_t argsz, flags;
		int32_t fd;
	} t = { sizeof(t) - req->short_by, req->flags, fd };
	struct {
		uint32_t size, flags, ioas;
		int32_t fd;
	} i = { sizeof(i) - req->short_by, req->flags, s->ioas, fd };

	if (s->kind == VFIO_KIND_IOMMUFD)
		return call(s, IOAS_REVOKE_EVENTFD, &i);
	return call(s, TYPE1_REVOKE_EVENTFD, &t);
}

int vfio_event_fd(const struct vfio_space *s, int fd)
{
	return vfio_event_fd_as(s, fd, &right);
}

static int list_type1(const struct vfio_space *s, struct vfio_range *list,
		      uint32_t room, uint32_t *count,
		      const struct vfio_request *req)
{
	struct {
		uint32_t argsz, flags, count, reserved;
		struct vfio_range ranges[];
	} *t;
	size_t len = sizeof(*t) + room * sizeof(*list);
	int err;

	/* one more, which has to stay as it is */
	t = malloc(len + sizeof(*list));
	if (!t)
		return -ENOMEM;
	memset(t, 0xa5, len + sizeof(*list));
	t->argsz = (uint32_t)len - req->short_by;
	t->flags = req->flags;
	err = call(s, TYPE1_REVOKED_RANGES, t);
	*count = t->count;
	if (!err && room)
		memcpy(list, t->ranges, room * sizeof(*list));
	EXPECT_EQ(t->ranges[room].first, 0xa5a5a5a5a5a5a5a5ULL);
	EXPECT_EQ(t->ranges[room].last, 0xa5a5a5a5a5a5a5a5ULL);
	free(t);
	return err;
}

int vfio_event_list_as(const struct vfio_space *s, struct vfio_range *list,
		       uint32_t room, uint32_t *count,
		       const struct vfio_request *req)
{
	struct {
		uint32_t size, ioas, count, reserved;
		uint64_t ranges;
	} i = {
		.size = sizeof(i) - req->short_by,
		.ioas = s->ioas,
		.count = room,
		.reserved = req->flags,
		.ranges = (uintptr_t)list,
	};
	int err;

	if (s->kind != VFIO_KIND_IOMMUFD)
		return list_type1(s, list, room, count, req);
	err = call(s, IOAS_REVOKED_RANGES, &i);
	*count = i.count;
	return err;
}

int vfio_event_list(const struct vfio_space *s, struct vfio_range *list,
		    uint32_t room, uint32_t *count)
{
	return vfio_event_list_as(s, list, room, count, &right);
}

int vfio_event_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	ASSERT_GE(fd, 0);
	return fd;
}

uint64_t vfio_event_told(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
