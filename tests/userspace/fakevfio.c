// SPDX-License-Identifier: GPL-2.0
#include "fakevfio.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Numbers and layouts as the kernel's vfio.h and iommufd.h have them. */
#define TYPE1_EVENTFD	_IO(';', 122)
#define TYPE1_RANGES	_IO(';', 123)
#define IOAS_EVENTFD	_IO(';', 0x96)
#define IOAS_RANGES	_IO(';', 0x97)

#define MAX_SPACES	4

static struct fake_space *spaces[MAX_SPACES];

void fake_space_open(struct fake_space *s, uint32_t ioas)
{
	unsigned int i;

	memset(s, 0, sizeof(*s));
	s->eventfd = -1;
	s->ioas = ioas;
	s->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (i = 0; i < MAX_SPACES && spaces[i]; i++)
		;
	if (s->fd < 0 || i == MAX_SPACES)
		err(2, "space");
	spaces[i] = s;
}

void fake_space_close(struct fake_space *s)
{
	unsigned int i;

	for (i = 0; i < MAX_SPACES; i++)
		if (spaces[i] == s)
			spaces[i] = NULL;
	if (s->eventfd >= 0)
		close(s->eventfd);
	close(s->fd);
}

static void dead(struct fake_space *s, uint64_t first, uint64_t last)
{
	s->dead[s->n++] = (struct rp_range){ first, last };
	if (s->eventfd >= 0 && eventfd_write(s->eventfd, 1))
		err(2, "eventfd");
}

void fake_dies(struct fake_space *s, uint64_t first, uint64_t last)
{
	dead(s, first, last);
}

void fake_unmap_all(struct fake_space *s)
{
	s->n = 0;
}

static int set(struct fake_space *s, int fd)
{
	if (s->set_errno)
		return s->set_errno;
	if (s->eventfd >= 0)
		close(s->eventfd);
	s->eventfd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd >= 0 && s->eventfd < 0 ? errno : 0;
}

/* Copies what there is room for; *count is how many there are. */
static int list(struct fake_space *s, void *to, uint32_t room, uint32_t *count,
		int no_room)
{
	s->asked++;
	if (s->list_errno)
		return s->list_errno;
	*count = s->lies ? s->lies : s->n;
	if (s->n > room) {
		while (s->grows) {
			s->grows--;
			dead(s, 0x1000000 * (s->n + 1), 0x1000000 * (s->n + 1) + 9);
		}
		return no_room;
	}
	memcpy(to, s->dead, s->n * sizeof(s->dead[0]));
	return s->lies > room ? no_room : 0;
}

static int answer(struct fake_space *s, unsigned long cmd, void *arg)
{
	/* as the structures begin: size or argsz, and three more */
	uint32_t *u = arg;
	uint64_t to;

	switch (cmd) {
	case TYPE1_EVENTFD:
		return s->ioas || u[0] != 12 || u[1] ? EINVAL : set(s, (int)u[2]);
	case TYPE1_RANGES:
		if (s->ioas || u[0] < 16 || u[1])
			return EINVAL;
		return list(s, u + 4, (u[0] - 16) / 16, &u[2], ENOSPC);
	case IOAS_EVENTFD:
		return u[0] != 16 || u[1] ? EOPNOTSUPP : set(s, (int)u[3]);
	case IOAS_RANGES:
		if (u[0] != 24 || u[3])
			return EOPNOTSUPP;
		memcpy(&to, u + 4, sizeof(to));
		return list(s, (void *)(uintptr_t)to, u[2], &u[2], EMSGSIZE);
	default:
		return ENOTTY;
	}
}

static struct fake_space *find(int fd, unsigned long cmd, const uint32_t *arg)
{
	bool ioas = cmd == IOAS_EVENTFD || cmd == IOAS_RANGES;
	uint32_t id = !ioas ? 0 : arg[cmd == IOAS_EVENTFD ? 2 : 1];
	unsigned int i;

	for (i = 0; i < MAX_SPACES; i++)
		if (spaces[i] && spaces[i]->fd == fd && spaces[i]->ioas == id)
			return spaces[i];
	return NULL;
}

int ioctl(int fd, unsigned long cmd, ...)
{
	struct fake_space *s;
	va_list ap;
	void *arg;
	int error;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (cmd != TYPE1_EVENTFD && cmd != TYPE1_RANGES &&
	    cmd != IOAS_EVENTFD && cmd != IOAS_RANGES)
		return (int)syscall(SYS_ioctl, fd, cmd, arg);
	s = find(fd, cmd, arg);
	if (!s)
		error = fcntl(fd, F_GETFD) < 0 ? EBADF : ENOTTY;
	else
		error = answer(s, cmd, arg);
	if (!error)
		return 0;
	errno = error;
	return -1;
}
