// SPDX-License-Identifier: GPL-2.0
/*
 * The owner of an address space is told which ranges died: once, before the
 * unbind is over, and of nothing else.
 */
#include "vfio_cases.h"
#include "check.h"
#include "clock.h"
#include "scene.h"
#include "stage.h"
#include "tap.h"
#include "vfio_event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <revpin.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void is_range(const struct vfio_range *r, uint64_t iova, size_t len)
{
	EXPECT_EQ(r->first, iova);
	EXPECT_EQ(r->last, iova + len - 1);
}

/* So many ranges are dead, and no more. */
static void dead_are(struct stage *s, struct vfio_range *list, uint32_t n)
{
	uint32_t count = ~0u;

	memset(list, 0, n * sizeof(*list));
	ASSERT_EQ(vfio_event_list(&s->space, list, n, &count), 0);
	ASSERT_EQ(count, n);
}

static void nothing_is_dead(struct stage *s)
{
	dead_are(s, NULL, 0);
}

static void dead_is(struct stage *s, uint64_t iova, size_t len)
{
	struct vfio_range r;

	dead_are(s, &r, 1);
	is_range(&r, iova, len);
}

static int listen_to(struct stage *s)
{
	int fd = vfio_event_open();

	ASSERT_EQ(vfio_event_known(&s->space), 1);
	ASSERT_EQ(vfio_event_fd(&s->space, fd), 0);
	EXPECT_EQ(vfio_event_told(fd), 0);
	nothing_is_dead(s);
	return fd;
}

static void unbind(struct unbind *u)
{
	ASSERT_TRUE(unbind_now(&scene_provider, u));
	EXPECT_EQ(u->err, 0);
}

/* A part of a mapping: that part, not the ordinary memory beside it. */
static void told(void)
{
	struct stage *s = stage_open(MIXED);
	struct pollfd p = { .fd = listen_to(s), .events = POLLIN };
	struct unbind u;

	stage_dma_works(s, 0);
	EXPECT_EQ(poll(&p, 1, 0), 0);
	unbind(&u);
	/* it does not come later than the unbind returns */
	EXPECT_EQ(poll(&p, 1, 0), 1);
	EXPECT_EQ(vfio_event_told(p.fd), 1);
	dead_is(s, stage_iova(s, s->p2p[0]), s->p2p_len[0]);
	stage_ram_works(s, 0);
	/* looking changes nothing */
	dead_is(s, stage_iova(s, s->p2p[0]), s->p2p_len[0]);

	/* unmapped, mapped again with what is there now, and unmapped */
	stage_aftermath(s, &u);
	nothing_is_dead(s);
	EXPECT_EQ(vfio_event_told(p.fd), 0);
	stage_close(s);
	close(p.fd);
}

static void told_of_all(void)
{
	struct stage *s = stage_open(P2P_ALONE);
	int fd = listen_to(s);
	struct unbind u;

	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd), 1);
	dead_is(s, STAGE_IOVA, s->len);
	stage_aftermath(s, &u);
	/* the same once more, with the same eventfd */
	ASSERT_EQ(observer_locate(&s->observer, &scene_provider, s->p2p[0],
				  s->p2p_len[0]), 0);
	ASSERT_EQ(stage_map(s), 0);
	nothing_is_dead(s);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd), 1);
	dead_is(s, STAGE_IOVA, s->len);
	stage_aftermath(s, &u);
	EXPECT_EQ(vfio_event_told(fd), 0);
	stage_close(s);
	close(fd);
}

/* Two parts of one mapping; and a list that has no room for them. */
static void told_of_two_parts(void)
{
	struct stage *s = stage_open(MANY_PARTS);
	const struct vfio_range untouched = { 1, 2 };
	struct vfio_range r[3] = { untouched, untouched, untouched };
	int fd = listen_to(s), i;
	struct unbind u;
	uint32_t count;

	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd), 2);
	for (i = 0; i < 2; i++) {
		count = ~0u;
		EXPECT_EQ(vfio_event_list(&s->space, r, (uint32_t)i, &count),
			  vfio_event_no_room(s->space.kind));
		EXPECT_EQ(count, 2);
		EXPECT_EQ(r[i].first, 1);
	}
	/* more room than it takes */
	EXPECT_EQ(vfio_event_list(&s->space, r, 3, &count), 0);
	EXPECT_EQ(count, 2);
	for (i = 0; i < 2; i++)
		is_range(&r[i], stage_iova(s, s->p2p[i]), s->p2p_len[i]);
	stage_aftermath(s, &u);
	nothing_is_dead(s);
	stage_close(s);
	close(fd);
}

/* Mappings that touch are one range, until one of them is unmapped. */
static void told_of_neighbours(void)
{
	struct stage *s = stage_open(MIXED);
	size_t len = s->p2p_len[0];
	struct vfio_range r[2];
	struct unbind u;
	uint64_t done;
	int fd, i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(vfio_map(&s->space, s->p2p[0], OTHER_IOVA + i * len,
				   len, VFIO_RW), 0);
	fd = listen_to(s);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd), 4);
	dead_are(s, r, 2);
	is_range(&r[0], stage_iova(s, s->p2p[0]), len);
	is_range(&r[1], OTHER_IOVA, 3 * len);
	EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA + len, len, &done), 0);
	EXPECT_EQ(done, len);
	{
		struct vfio_range three[3];

		dead_are(s, three, 3);
		is_range(&three[1], OTHER_IOVA, len);
		is_range(&three[2], OTHER_IOVA + 2 * len, len);
	}
	EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA + 2 * len, len, &done), 0);
	dead_are(s, r, 2);
	is_range(&r[1], OTHER_IOVA, len);
	EXPECT_EQ(vfio_unmap(&s->space, OTHER_IOVA, len, &done), 0);
	dead_is(s, stage_iova(s, s->p2p[0]), len);
	EXPECT_EQ(vfio_event_told(fd), 0);
	stage_aftermath(s, &u);
	stage_close(s);
	close(fd);
}

/* Each space for itself, and only those that have the memory. */
static void told_in_two_spaces(void)
{
	struct stage *a = stage_open(MIXED);
	struct stage *b = stage_open_bare(&(struct stage_layout){ 1, 1, 0, 0, 0 });
	int fd_a = listen_to(a), fd_b = listen_to(b);
	struct unbind u;
	uint64_t done;

	ASSERT_EQ(vfio_map(&b->space, a->p2p[0] + PAGE, OTHER_IOVA, PAGE,
			   VFIO_RW), 0);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd_a), 1);
	EXPECT_EQ(vfio_event_told(fd_b), 1);
	dead_is(a, stage_iova(a, a->p2p[0]), a->p2p_len[0]);
	dead_is(b, OTHER_IOVA, PAGE);
	EXPECT_EQ(vfio_unmap(&b->space, OTHER_IOVA, PAGE, &done), 0);
	nothing_is_dead(b);
	dead_is(a, stage_iova(a, a->p2p[0]), a->p2p_len[0]);
	stage_aftermath(a, &u);

	/* now b has none of it */
	ASSERT_EQ(observer_locate(&a->observer, &scene_provider, a->p2p[0],
				  a->p2p_len[0]), 0);
	ASSERT_EQ(stage_map(a), 0);
	stage_close(b);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd_a), 1);
	EXPECT_EQ(vfio_event_told(fd_b), 0);
	stage_aftermath(a, &u);
	stage_close(a);
	close(fd_a);
	close(fd_b);
}

/* What its owner unmaps, or takes all devices from, was not revoked. */
static void not_told_of_an_unmap(void)
{
	struct stage *s = stage_open(MIXED);
	int fd = listen_to(s);
	struct unbind u;
	int round;

	for (round = 0; round < 3; round++) {
		stage_unmap(s);
		ASSERT_EQ(stage_map(s), 0);
	}
	stage_add_edu(s, 1);
	stage_remove_edu(s, 1);
	stage_unmap(s);
	nothing_is_dead(s);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd), 0);
	nothing_is_dead(s);
	stage_aftermath(s, &u);
	EXPECT_EQ(vfio_event_told(fd), 0);
	stage_close(s);
	EXPECT_EQ(vfio_event_told(fd), 0);
	close(fd);
}

/* A device that comes later has the hole, which is old news. */
static void told_once_with_more_devices(void)
{
	struct stage *s = stage_open(MIXED);
	int fd = listen_to(s);
	struct unbind u;

	stage_add_edu(s, 1);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd), 1);
	stage_remove_edu(s, 1);
	stage_add_edu(s, 1);
	dead_is(s, stage_iova(s, s->p2p[0]), s->p2p_len[0]);
	EXPECT_EQ(vfio_event_told(fd), 0);
	stage_remove_edu(s, 1);
	stage_aftermath(s, &u);
	EXPECT_EQ(vfio_event_told(fd), 0);
	stage_close(s);
	close(fd);
}

/* Another eventfd takes the place of the first, and none that of the second. */
static void taken_away(void)
{
	struct stage *s = stage_open(MIXED);
	int first = listen_to(s), second;
	struct unbind u;

	second = listen_to(s);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(first), 0);
	EXPECT_EQ(vfio_event_told(second), 1);
	stage_aftermath(s, &u);

	ASSERT_EQ(vfio_event_fd(&s->space, -1), 0);
	/* there is none: the same again */
	ASSERT_EQ(vfio_event_fd(&s->space, -1), 0);
	ASSERT_EQ(observer_locate(&s->observer, &scene_provider, s->p2p[0],
				  s->p2p_len[0]), 0);
	ASSERT_EQ(stage_map(s), 0);
	unbind(&u);
	EXPECT_EQ(vfio_event_told(first), 0);
	EXPECT_EQ(vfio_event_told(second), 0);
	/* set too late to be told, and the list has it */
	ASSERT_EQ(vfio_event_fd(&s->space, first), 0);
	EXPECT_EQ(vfio_event_told(first), 0);
	dead_is(s, stage_iova(s, s->p2p[0]), s->p2p_len[0]);
	stage_aftermath(s, &u);
	stage_close(s);
	close(first);
	close(second);
}

/* Closed by user space while it is set; and the space before the eventfd. */
static void event_closed(void)
{
	struct stage *s = stage_open(MIXED);
	int fd = listen_to(s);
	struct unbind u;

	close(fd);
	unbind(&u);
	dead_is(s, stage_iova(s, s->p2p[0]), s->p2p_len[0]);
	stage_aftermath(s, &u);
	fd = listen_to(s);
	stage_close(s);
	EXPECT_EQ(vfio_event_told(fd), 0);
	EXPECT_EQ(eventfd_write(fd, 3), 0);
	EXPECT_EQ(vfio_event_told(fd), 3);
	close(fd);
}

/* The same through librevpin, beside the ordinary memory and after it. */
static int library_adds(struct revpin_notify *n, const struct vfio_space *v)
{
	if (v->kind == VFIO_KIND_IOMMUFD)
		return revpin_notify_add_iommufd(n, v->fd, v->ioas);
	return revpin_notify_add_vfio(n, v->fd);
}

static int library_removes(struct revpin_notify *n, const struct vfio_space *v)
{
	if (v->kind == VFIO_KIND_IOMMUFD)
		return revpin_notify_del_iommufd(n, v->fd, v->ioas);
	return revpin_notify_del_vfio(n, v->fd);
}

static void library_tells(struct revpin_notify *n, struct stage *s, int i)
{
	struct pollfd p = { .fd = revpin_notify_fd(n), .events = POLLIN };
	const struct revpin_event *e = NULL;

	EXPECT_EQ(poll(&p, 1, 0), 1);
	ASSERT_EQ(revpin_notify_read(n, &e), 1);
	EXPECT_EQ(revpin_event_source(e), s->space.kind == VFIO_KIND_IOMMUFD ?
		  REVPIN_SOURCE_IOMMUFD : REVPIN_SOURCE_VFIO);
	EXPECT_EQ(revpin_event_fd(e), s->space.fd);
	EXPECT_EQ(revpin_event_ioas(e), s->space.ioas);
	EXPECT_EQ(revpin_event_iova(e), stage_iova(s, s->p2p[i]));
	EXPECT_EQ(revpin_event_bytes(e), s->p2p_len[i]);
}

static void library_is_told(void)
{
	struct stage *s = stage_open(MANY_PARTS);
	const struct revpin_event *e;
	struct revpin_notify *n;
	struct unbind u;
	int i;

	ASSERT_EQ(revpin_notify_open(&n), 0);
	ASSERT_EQ(library_adds(n, &s->space), 0);
	EXPECT_EQ(library_adds(n, &s->space), -EEXIST);
	EXPECT_EQ(revpin_notify_read(n, &e), 0);
	unbind(&u);
	for (i = 0; i < 2; i++)
		library_tells(n, s, i);
	EXPECT_EQ(revpin_notify_read(n, &e), 0);
	EXPECT_EQ(library_removes(n, &s->space), 0);
	/* who comes later is told of what is dead already */
	ASSERT_EQ(library_adds(n, &s->space), 0);
	for (i = 0; i < 2; i++)
		library_tells(n, s, i);
	stage_aftermath(s, &u);
	EXPECT_EQ(revpin_notify_read(n, &e), 0);
	revpin_notify_close(n);
	stage_close(s);
}

static void event_bad_input(void)
{
	const struct vfio_request small = { .short_by = 1 }, flags = { .flags = 2 };
	struct stage *s = stage_open(MIXED);
	int fd = listen_to(s), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct vfio_space *v = &s->space;
	struct vfio_space other = *v;
	struct vfio_range r;
	struct unbind u;
	uint32_t count;

	ASSERT_GE(null, 0);
	EXPECT_EQ(vfio_event_fd(v, null), -EINVAL);
	EXPECT_EQ(vfio_event_fd(v, v->fd), -EINVAL);
	EXPECT_EQ(vfio_event_fd(v, 9999), -EBADF);
	EXPECT_EQ(vfio_event_fd(v, -2), -EINVAL);
	EXPECT_EQ(vfio_event_fd_as(v, -1, &small), -EINVAL);
	EXPECT_EQ(vfio_event_fd_as(v, -1, &flags), vfio_event_bad_flags(v->kind));
	EXPECT_EQ(vfio_event_list_as(v, &r, 0, &count, &small), -EINVAL);
	EXPECT_EQ(vfio_event_list_as(v, &r, 1, &count, &flags),
		  vfio_event_bad_flags(v->kind));
	if (v->kind == VFIO_KIND_IOMMUFD) {
		other.ioas = 0x7fff;
		EXPECT_EQ(vfio_event_fd(&other, fd), -ENOENT);
		EXPECT_EQ(vfio_event_list(&other, &r, 1, &count), -ENOENT);
		/* an object, but a device */
		other.ioas = s->dev[0].id;
		EXPECT_EQ(vfio_event_fd(&other, fd), -ENOENT);
	}
	close(null);

	/* none of that has changed who is told */
	unbind(&u);
	EXPECT_EQ(vfio_event_told(fd), 1);
	if (v->kind == VFIO_KIND_IOMMUFD)
		EXPECT_EQ(vfio_event_list(v, (void *)1, 1, &count), -EFAULT);
	dead_is(s, stage_iova(s, s->p2p[0]), s->p2p_len[0]);
	stage_aftermath(s, &u);
	stage_close(s);
	close(fd);
}

const struct tap_test vfio_event_tests[] = {
	{ "told", told, 40 },
	{ "told_of_all", told_of_all, 60 },
	{ "told_of_two_parts", told_of_two_parts, 40 },
	{ "told_of_neighbours", told_of_neighbours, 40 },
	{ "told_in_two_spaces", told_in_two_spaces, 60 },
	{ "told_once_with_more_devices", told_once_with_more_devices, 40 },
	{ "not_told_of_an_unmap", not_told_of_an_unmap, 40 },
	{ "taken_away", taken_away, 60 },
	{ "event_closed", event_closed, 40 },
	{ "event_bad_input", event_bad_input, 40 },
	{ "library_is_told", library_is_told, 40 },
	{ NULL, NULL, 0 },
};
