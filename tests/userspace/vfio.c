// SPDX-License-Identifier: GPL-2.0
/* Being told by address spaces of VFIO, over fakevfio.c. */
#include "fakevfio.h"
#include "fakeverbs.h"
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int readable(struct revpin_notify *n)
{
	struct pollfd pfd = { .fd = revpin_notify_fd(n), .events = POLLIN };

	return poll(&pfd, 1, 0);
}

static int add(struct revpin_notify *n, const struct fake_space *s)
{
	return s->ioas ? revpin_notify_add_iommufd(n, s->fd, s->ioas) :
			 revpin_notify_add_vfio(n, s->fd);
}

static int del(struct revpin_notify *n, const struct fake_space *s)
{
	return s->ioas ? revpin_notify_del_iommufd(n, s->fd, s->ioas) :
			 revpin_notify_del_vfio(n, s->fd);
}

/* The next event is that one. */
static void next_is(struct revpin_notify *n, const struct fake_space *s,
		    uint64_t iova, uint64_t bytes)
{
	const struct revpin_event *e = NULL;

	EQ(readable(n), 1);
	EQ(revpin_notify_read(n, &e), 1);
	if (!e)
		return;
	EQ(revpin_event_source(e), s->ioas ? REVPIN_SOURCE_IOMMUFD :
					     REVPIN_SOURCE_VFIO);
	EQ(revpin_event_fd(e), s->fd);
	EQ(revpin_event_ioas(e), s->ioas);
	EQ(revpin_event_iova(e), iova);
	EQ(revpin_event_bytes(e), bytes);
	CU_ASSERT_PTR_NULL(revpin_event_mr(e));
	CU_ASSERT_PTR_NULL(revpin_event_context(e));
	EQ(revpin_event_lkey(e), 0);
}

static void nothing(struct revpin_notify *n)
{
	const struct revpin_event *e;

	EQ(revpin_notify_read(n, &e), 0);
	EQ(readable(n), 0);
}

static void told_by(uint32_t ioas)
{
	struct revpin_notify *n;
	struct fake_space s;

	fake_space_open(&s, ioas);
	EQ(revpin_notify_open(&n), 0);
	EQ(add(n, &s), 0);
	nothing(n);
	fake_dies(&s, 0x1000, 0x1fff);
	next_is(n, &s, 0x1000, 0x1000);
	nothing(n);

	/* two at once: the descriptor stays readable until both are told */
	fake_unmap_all(&s);
	fake_dies(&s, 0x1000, 0x1fff);
	fake_dies(&s, ~0ULL - 0xfff, ~0ULL);
	next_is(n, &s, 0x1000, 0x1000);
	next_is(n, &s, ~0ULL - 0xfff, 0x1000);
	nothing(n);

	/* another while the first is told: all of them are told then */
	fake_unmap_all(&s);
	fake_dies(&s, 0x1000, 0x1fff);
	fake_dies(&s, 0x4000, 0x4fff);
	next_is(n, &s, 0x1000, 0x1000);
	fake_dies(&s, 0x8000, 0x8fff);
	next_is(n, &s, 0x4000, 0x1000);
	next_is(n, &s, 0x1000, 0x1000);
	next_is(n, &s, 0x4000, 0x1000);
	next_is(n, &s, 0x8000, 0x1000);
	nothing(n);

	/* the same range again, which looks no different */
	fake_unmap_all(&s);
	fake_dies(&s, 0x1000, 0x1fff);
	next_is(n, &s, 0x1000, 0x1000);
	fake_unmap_all(&s);
	fake_dies(&s, 0x1000, 0x1fff);
	next_is(n, &s, 0x1000, 0x1000);
	/* unmapped before anybody looked */
	fake_dies(&s, 0x2000, 0x2fff);
	fake_unmap_all(&s);
	nothing(n);
	EQ(del(n, &s), 0);
	EQ(s.eventfd, -1);
	revpin_notify_close(n);
	fake_space_close(&s);
}

static void container(void)
{
	told_by(0);
}

static void ioas(void)
{
	told_by(7);
}

/* What was dead before it was added is told first. */
static void dead_before(void)
{
	struct revpin_notify *n;
	struct fake_space s;

	fake_space_open(&s, 3);
	fake_dies(&s, 0x1000, 0x2fff);
	EQ(revpin_notify_open(&n), 0);
	EQ(add(n, &s), 0);
	next_is(n, &s, 0x1000, 0x2000);
	nothing(n);
	revpin_notify_close(n);
	EQ(s.eventfd, -1);
	fake_space_close(&s);
}

/* More than it has made room for, and more still when it has. */
static void many(void)
{
	struct revpin_notify *n;
	struct fake_space s;
	uint32_t kind, i;

	for (kind = 0; kind < 2; kind++) {
		fake_space_open(&s, kind);
		EQ(revpin_notify_open(&n), 0);
		EQ(add(n, &s), 0);
		nothing(n);
		for (i = 0; i < 40; i++)
			fake_dies(&s, 0x1000000ULL * (i + 1),
				  0x1000000ULL * (i + 1) + 9);
		s.grows = 5;
		for (i = 0; i < 45; i++)
			next_is(n, &s, 0x1000000ULL * (i + 1), 10);
		/* those that died in the middle of it are a reason of their own */
		for (i = 0; i < 45; i++)
			next_is(n, &s, 0x1000000ULL * (i + 1), 10);
		nothing(n);
		revpin_notify_close(n);
		fake_space_close(&s);
	}
}

static void spaces(void)
{
	const struct revpin_event *e;
	struct fake_space a, b;
	struct revpin_notify *n;

	fake_space_open(&a, 0);
	fake_space_open(&b, 5);
	EQ(revpin_notify_open(&n), 0);
	EQ(add(n, &a), 0);
	EQ(add(n, &b), 0);
	EQ(add(n, &a), -EEXIST);
	EQ(add(n, &b), -EEXIST);
	/* not the same: another IOAS, another kind */
	EQ(revpin_notify_del_iommufd(n, b.fd, 6), -ENOENT);
	EQ(revpin_notify_del_vfio(n, b.fd), -ENOENT);
	EQ(revpin_notify_del_iommufd(n, a.fd, 0), -ENOENT);
	nothing(n);
	fake_dies(&b, 0x3000, 0x3fff);
	next_is(n, &b, 0x3000, 0x1000);
	fake_dies(&a, 0x5000, 0x5fff);
	next_is(n, &a, 0x5000, 0x1000);
	nothing(n);
	EQ(del(n, &a), 0);
	EQ(del(n, &a), -ENOENT);
	fake_dies(&a, 0x7000, 0x7fff);
	EQ(revpin_notify_read(n, &e), 0);
	/* removed with ranges that are not told yet */
	fake_dies(&b, 0x9000, 0x9fff);
	next_is(n, &b, 0x3000, 0x1000);
	EQ(del(n, &b), 0);
	nothing(n);
	EQ(add(n, &b), 0);
	next_is(n, &b, 0x3000, 0x1000);
	next_is(n, &b, 0x9000, 0x1000);
	revpin_notify_close(n);
	fake_space_close(&a);
	fake_space_close(&b);
}

struct seen {
	struct revpin_notify *n;
	struct fake_space *s;
	struct fake *dev;
	int vfio, verbs;
};

static void on_revoke(const struct revpin_event *e, void *arg)
{
	struct seen *seen = arg;

	if (revpin_event_source(e) == REVPIN_SOURCE_VERBS) {
		seen->verbs++;
		EQ(revpin_event_fd(e), -1);
		EQ(revpin_event_bytes(e), 0);
		return;
	}
	seen->vfio++;
	/* what a program does with it; the space may go as well */
	fake_unmap_all(seen->s);
	EQ(del(seen->n, seen->s), 0);
}

/* Beside an RDMA context, with callbacks. */
static void with_verbs(void)
{
	struct fake_space s;
	struct fake dev;
	struct seen seen = { .s = &s, .dev = &dev };

	fake_space_open(&s, 0);
	fake_open(&dev);
	EQ(revpin_notify_open(&seen.n), 0);
	EQ(add(seen.n, &s), 0);
	EQ(revpin_notify_add_verbs(seen.n, &dev.ctx), 0);
	revpin_notify_callback(seen.n, on_revoke, &seen);
	EQ(revpin_notify_dispatch(seen.n, 0), 0);
	fake_dies(&s, 0x1000, 0x1fff);
	fake_event(&dev, REVPIN_IBV_EVENT_MR_REVOKED, 0x77);
	EQ(revpin_notify_dispatch(seen.n, -1), 2);
	EQ(seen.vfio, 1);
	EQ(seen.verbs, 1);
	EQ(revpin_notify_dispatch(seen.n, 0), 0);
	revpin_notify_close(seen.n);
	fake_close(&dev);
	fake_space_close(&s);
	EQ(fake_unacked, 0);
}

static void errors(void)
{
	const struct revpin_event *e;
	struct revpin_notify *n;
	struct fake_space s;
	int fd, null;

	fake_space_open(&s, 4);
	EQ(revpin_notify_open(&n), 0);
	/* a kernel without it; what is no address space; what is not open */
	s.set_errno = ENOTTY;
	EQ(add(n, &s), -EOPNOTSUPP);
	s.set_errno = EOPNOTSUPP;
	EQ(add(n, &s), -EOPNOTSUPP);
	s.set_errno = ENOENT;
	EQ(add(n, &s), -ENOENT);
	s.set_errno = 0;
	null = eventfd(0, EFD_CLOEXEC);
	EQ(revpin_notify_add_vfio(n, null), -EOPNOTSUPP);
	close(null);
	EQ(revpin_notify_add_vfio(n, null), -EBADF);
	EQ(revpin_notify_add_iommufd(n, -1, 1), -EBADF);
	EQ(readable(n), 0);

	/* the list cannot be had now: it is asked for again, nothing is lost */
	EQ(add(n, &s), 0);
	nothing(n);
	fake_dies(&s, 0x1000, 0x1fff);
	s.list_errno = ENOMEM;
	EQ(revpin_notify_read(n, &e), -ENOMEM);
	EQ(revpin_notify_read(n, &e), -ENOMEM);
	s.list_errno = 0;
	next_is(n, &s, 0x1000, 0x1000);
	nothing(n);
	/* a count that cannot be: not believed, and no room is made for it */
	fake_dies(&s, 0x2000, 0x2fff);
	s.lies = ~0u;
	EQ(revpin_notify_read(n, &e), -E2BIG);
	s.lies = 0;
	next_is(n, &s, 0x1000, 0x1000);
	next_is(n, &s, 0x2000, 0x1000);
	nothing(n);

	/* closed under the watcher, by a program that forgot to remove it */
	fake_dies(&s, 0x3000, 0x3fff);
	fd = s.fd;
	close(fd);
	s.fd = -1;
	EQ(revpin_notify_read(n, &e), -EBADF);
	EQ(revpin_notify_del_iommufd(n, fd, 4), -EBADF);
	nothing(n);
	revpin_notify_close(n);
	fake_space_close(&s);
}

const struct unit vfio_units[] = {
	{ "container", container }, { "ioas", ioas },
	{ "dead_before", dead_before }, { "many", many },
	{ "spaces", spaces }, { "with_verbs", with_verbs },
	{ "errors", errors }, { NULL, NULL },
};
