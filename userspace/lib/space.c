// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * The kernel's end of being told by an address space of VFIO: an eventfd that
 * says "look", and the list of the ranges that are dead. Headers that are older
 * than this kernel have neither.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TYPE1_REVOKE_EVENTFD	_IO(';', 100 + 22)
#define TYPE1_REVOKED_RANGES	_IO(';', 100 + 23)
#define IOAS_REVOKE_EVENTFD	_IO(';', 0x96)
#define IOAS_REVOKED_RANGES	_IO(';', 0x97)

struct type1_eventfd {
	uint32_t argsz, flags;
	int32_t fd;
};

struct type1_ranges {
	uint32_t argsz, flags, count, reserved;
	struct rp_range ranges[];
};

struct ioas_eventfd {
	uint32_t size, flags, ioas;
	int32_t fd;
};

struct ioas_ranges {
	uint32_t size, ioas, count, reserved;
	uint64_t ranges;
};

int rp_space_set(const struct rp_space *space, int eventfd)
{
	struct type1_eventfd t = { .argsz = sizeof(t), .fd = eventfd };
	struct ioas_eventfd i = {
		.size = sizeof(i),
		.ioas = space->ioas,
		.fd = eventfd,
	};
	int fails;

	if (space->source == REVPIN_SOURCE_IOMMUFD)
		fails = ioctl(space->fd, IOAS_REVOKE_EVENTFD, &i);
	else
		fails = ioctl(space->fd, TYPE1_REVOKE_EVENTFD, &t);
	if (!fails)
		return 0;
	/* a kernel that does not know of it */
	return errno == ENOTTY ? -EOPNOTSUPP : -errno;
}

/* Up to that many; *count is how many there are. */
static int ask(const struct rp_space *space, struct type1_ranges *t,
	       uint32_t room, uint32_t *count)
{
	struct ioas_ranges i = {
		.size = sizeof(i),
		.ioas = space->ioas,
		.count = room,
		.ranges = (uintptr_t)t->ranges,
	};
	int fails;

	t->argsz = (uint32_t)(sizeof(*t) + room * sizeof(t->ranges[0]));
	t->flags = 0;
	if (space->source == REVPIN_SOURCE_IOMMUFD) {
		fails = ioctl(space->fd, IOAS_REVOKED_RANGES, &i);
		*count = i.count;
	} else {
		fails = ioctl(space->fd, TYPE1_REVOKED_RANGES, t);
		*count = t->count;
	}
	return fails ? -errno : 0;
}

int rp_space_list(const struct rp_space *space, struct rp_range **list,
		  size_t *n)
{
	uint32_t room = 16, count = 0;
	struct type1_ranges *t;
	int err;

	for (;;) {
		t = malloc(sizeof(*t) + room * sizeof(t->ranges[0]));
		if (!t)
			return -ENOMEM;
		err = ask(space, t, room, &count);
		if (!err && count <= room)
			break;
		free(t);
		if (!err)
			return -EPROTO;
		if ((err != -ENOSPC && err != -EMSGSIZE) || count <= room)
			return err;
		/* by the time that there is room it may have grown again */
		if (count > REVPIN_RANGES_MAX)
			return -E2BIG;
		room = count;
	}
	*n = count;
	*list = NULL;
	if (count) {
		*list = malloc(count * sizeof(**list));
		if (*list)
			memcpy(*list, t->ranges, count * sizeof(**list));
		else
			err = -ENOMEM;
	}
	free(t);
	return err;
}
