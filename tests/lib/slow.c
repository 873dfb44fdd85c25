// SPDX-License-Identifier: GPL-2.0
/*
 * As much of a FUSE server as it takes: one directory with one file "f" in it.
 * slow_open() and slow_map() of another process work since the test answers
 * everything but reads, which it keeps waiting.
 */
#include "slow.h"
#include "clock.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NODE_FILE	2
#define REQUEST_MAX	((size_t)256 << 10)

static int reply(const struct slow *s, uint64_t unique, int err,
		 const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len),
		.error = err,
		.unique = unique,
	};
	struct iovec iov[2] = {
		{ &out, sizeof(out) },
		{ (void *)(uintptr_t)data, len },
	};

	return writev(s->dev, iov, len ? 2 : 1) < 0 ? -errno : 0;
}

static struct fuse_attr attr_of(const struct slow *s, uint64_t node)
{
	struct fuse_attr a = {
		.ino = node,
		.mode = node == NODE_FILE ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
		.size = node == NODE_FILE ? s->len : 0,
		.blksize = 4096,
	};

	return a;
}

static int answer(struct slow *s, const struct fuse_in_header *in,
		  const void *arg)
{
	switch (in->opcode) {
	case FUSE_INIT: {
		struct fuse_init_out o = {
			.major = FUSE_KERNEL_VERSION,
			.minor = FUSE_KERNEL_MINOR_VERSION,
			.max_write = 4096,
			.max_readahead = 0,
		};

		return reply(s, in->unique, 0, &o, sizeof(o));
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out o = {
			.nodeid = NODE_FILE,
			.attr_valid = 1000,
			.entry_valid = 1000,
			.attr = attr_of(s, NODE_FILE),
		};

		if (strcmp(arg, "f"))
			return reply(s, in->unique, -ENOENT, NULL, 0);
		return reply(s, in->unique, 0, &o, sizeof(o));
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out o = {
			.attr_valid = 1000,
			.attr = attr_of(s, in->nodeid),
		};

		return reply(s, in->unique, 0, &o, sizeof(o));
	}
	case FUSE_OPEN: {
		struct fuse_open_out o = { .fh = 1 };

		return reply(s, in->unique, 0, &o, sizeof(o));
	}
	case FUSE_READ:
		s->waiting = in->unique;
		s->wanted = ((const struct fuse_read_in *)arg)->size;
		return 0;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return 0;		/* no answer to these */
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return reply(s, in->unique, 0, NULL, 0);
	default:
		return reply(s, in->unique, -ENOSYS, NULL, 0);
	}
}

/* Answers what comes within the time, or until a read has come. */
static int serve(struct slow *s, double seconds)
{
	struct pollfd pfd = { .fd = s->dev, .events = POLLIN };
	double end = clock_now() + seconds;
	struct fuse_in_header *in;
	ssize_t n;
	int err = 0;

	in = malloc(REQUEST_MAX);
	if (!in)
		return -ENOMEM;
	while (!err && !s->waiting && clock_now() < end) {
		if (poll(&pfd, 1, 10) <= 0)
			continue;
		n = read(s->dev, in, REQUEST_MAX);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ENOENT)
				err = -errno;
			continue;
		}
		err = answer(s, in, in + 1);
	}
	free(in);
	return err;
}

int slow_open(struct slow *s, size_t len)
{
	char opts[128];
	int err;

	memset(s, 0, sizeof(*s));
	s->len = len;
	strcpy(s->dir, "/tmp/slow-XXXXXX");
	if (!mkdtemp(s->dir))
		return -errno;
	snprintf(s->file, sizeof(s->file), "%s/f", s->dir);
	s->dev = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (s->dev < 0) {
		err = -errno;
		goto err_dir;
	}
	snprintf(opts, sizeof(opts), "fd=%d,rootmode=40000,user_id=0,group_id=0",
		 s->dev);
	if (mount("slow", s->dir, "fuse", MS_NOSUID | MS_NODEV, opts)) {
		err = -errno;
		goto err_dev;
	}
	/* INIT comes by itself */
	err = serve(s, 0.05);
	if (!err)
		return 0;
	umount2(s->dir, MNT_DETACH);
err_dev:
	close(s->dev);
err_dir:
	rmdir(s->dir);
	s->dir[0] = '\0';
	return err;
}

void slow_close(struct slow *s)
{
	if (!s->dir[0])
		return;
	close(s->dev);
	umount2(s->dir, MNT_DETACH);
	rmdir(s->dir);
	s->dir[0] = '\0';
}

void *slow_map(const struct slow *s, void *at)
{
	void *m;
	int fd, err;

	fd = open(s->file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	m = mmap(at, s->len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, 0);
	err = errno;
	close(fd);
	if (m == MAP_FAILED) {
		errno = err;
		return NULL;
	}
	return m;
}

bool slow_somebody_sleeps(struct slow *s, double seconds)
{
	int err = serve(s, seconds * clock_scale());

	if (err)
		tap_note("/dev/fuse: %s", strerror(-err));
	return !err && s->waiting;
}

int slow_let_go(struct slow *s)
{
	size_t len = s->wanted < s->len ? s->wanted : s->len;
	void *zeros;
	int err;

	if (!s->waiting)
		return -ESRCH;
	zeros = calloc(1, len);
	if (!zeros)
		return -ENOMEM;
	err = reply(s, s->waiting, 0, zeros, len);
	s->waiting = 0;
	free(zeros);
	/* a file of several pages may be asked for in parts */
	while (!err) {
		err = serve(s, 0.2);
		if (err || !s->waiting)
			break;
		err = slow_let_go(s);
	}
	return err;
}
