// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Being told of revokes.
 *
 * One epoll descriptor stands for all sources, so that a program has one thing
 * to poll whatever its sources are: the asynchronous events of a verbs context,
 * and the eventfd of an address space of VFIO. A further kind adds a function
 * like revpin_notify_add_verbs(), a member of enum revpin_source and accessors;
 * nothing that exists has to change for it.
 *
 * An address space has no queue. When its eventfd was signalled all ranges that
 * are dead are told, those that were told before and are still mapped as well:
 * one that was unmapped, mapped again and has died again looks no different, and
 * must not be missed. While ranges are left to be told, the eventfd is kept
 * readable by ourselves.
 *
 * There is no thread in here: callbacks run in revpin_notify_dispatch().
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct revpin_event {
	enum revpin_source source;
	struct ibv_context *ctx;
	struct revpin_mr *mr;
	uint32_t lkey;
	struct rp_space space;
	struct rp_range range;
};

struct source {
	struct source *next;
	struct ibv_context *ctx;	/* or NULL */
	int flags;			/* of the descriptor, before */

	struct rp_space space;
	int eventfd;
	struct rp_range *list;		/* what is dead, told up to @told */
	size_t n, told;
	bool kept;			/* readable by ourselves: counts for one */
};

struct revpin_notify {
	int epoll;
	struct source *sources;
	struct revpin_event event;	/* the last one read */
	revpin_event_fn fn;
	void *arg;
	revpin_other_fn other;
	void *other_arg;
};

int revpin_notify_open(struct revpin_notify **notify)
{
	struct revpin_notify *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (n->epoll < 0) {
		err = -errno;
		free(n);
		return err;
	}
	*notify = n;
	return 0;
}

static struct source **find(struct revpin_notify *notify,
			    struct ibv_context *ctx)
{
	struct source **p = &notify->sources;

	while (*p && (*p)->ctx != ctx)
		p = &(*p)->next;
	return p;
}

int revpin_notify_add_verbs(struct revpin_notify *notify,
			    struct ibv_context *ctx)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct source *s;
	int err;

	if (*find(notify, ctx))
		return -EEXIST;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->ctx = ctx;
	s->flags = fcntl(ctx->async_fd, F_GETFL);
	/* ibv_get_async_event() must not wait in revpin_notify_read() */
	if (s->flags < 0 ||
	    fcntl(ctx->async_fd, F_SETFL, s->flags | O_NONBLOCK)) {
		err = -errno;
		goto err_free;
	}
	ev.data.ptr = s;
	if (epoll_ctl(notify->epoll, EPOLL_CTL_ADD, ctx->async_fd, &ev)) {
		err = -errno;
		goto err_flags;
	}
	s->next = notify->sources;
	notify->sources = s;
	return 0;
err_flags:
	fcntl(ctx->async_fd, F_SETFL, s->flags);
err_free:
	free(s);
	return err;
}

int revpin_notify_del_verbs(struct revpin_notify *notify,
			    struct ibv_context *ctx)
{
	struct source **p = find(notify, ctx), *s = *p;
	int err = 0;

	if (!s)
		return -ENOENT;
	if (epoll_ctl(notify->epoll, EPOLL_CTL_DEL, ctx->async_fd, NULL) ||
	    fcntl(ctx->async_fd, F_SETFL, s->flags))
		err = -errno;
	*p = s->next;
	free(s);
	return err;
}

static struct source **find_space(struct revpin_notify *notify,
				  const struct rp_space *space)
{
	struct source **p = &notify->sources;

	while (*p && ((*p)->ctx || (*p)->space.source != space->source ||
		      (*p)->space.fd != space->fd ||
		      (*p)->space.ioas != space->ioas))
		p = &(*p)->next;
	return p;
}

static int add_space(struct revpin_notify *notify, const struct rp_space *space)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct source *s;
	int err;

	/* or it might be the number of what is opened below */
	if (fcntl(space->fd, F_GETFD) < 0)
		return -errno;
	if (*find_space(notify, space))
		return -EEXIST;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->space = *space;
	/* once set it is not told of what was dead before: look at that first */
	s->eventfd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->eventfd < 0) {
		err = -errno;
		goto err_free;
	}
	ev.data.ptr = s;
	if (epoll_ctl(notify->epoll, EPOLL_CTL_ADD, s->eventfd, &ev)) {
		err = -errno;
		goto err_close;
	}
	err = rp_space_set(space, s->eventfd);
	if (err)
		goto err_close;
	s->next = notify->sources;
	notify->sources = s;
	return 0;
err_close:
	close(s->eventfd);
err_free:
	free(s);
	return err;
}

static int del_space(struct revpin_notify *notify, const struct rp_space *space)
{
	struct source **p = find_space(notify, space), *s = *p;
	int err;

	if (!s)
		return -ENOENT;
	err = rp_space_set(&s->space, -1);
	*p = s->next;
	/*
	 * A space that has not let go of it keeps it alive: it must not stay in
	 * the epoll set.
	 */
	epoll_ctl(notify->epoll, EPOLL_CTL_DEL, s->eventfd, NULL);
	close(s->eventfd);
	free(s->list);
	free(s);
	return err;
}

int revpin_notify_add_vfio(struct revpin_notify *notify, int container)
{
	return add_space(notify, &(struct rp_space){
				 REVPIN_SOURCE_VFIO, container, 0 });
}

int revpin_notify_del_vfio(struct revpin_notify *notify, int container)
{
	return del_space(notify, &(struct rp_space){
				 REVPIN_SOURCE_VFIO, container, 0 });
}

int revpin_notify_add_iommufd(struct revpin_notify *notify, int iommufd,
			      uint32_t ioas)
{
	return add_space(notify, &(struct rp_space){
				 REVPIN_SOURCE_IOMMUFD, iommufd, ioas });
}

int revpin_notify_del_iommufd(struct revpin_notify *notify, int iommufd,
			      uint32_t ioas)
{
	return del_space(notify, &(struct rp_space){
				 REVPIN_SOURCE_IOMMUFD, iommufd, ioas });
}

void revpin_notify_close(struct revpin_notify *notify)
{
	struct source *s;

	if (!notify)
		return;
	while ((s = notify->sources)) {
		if (s->ctx)
			revpin_notify_del_verbs(notify, s->ctx);
		else
			del_space(notify, &s->space);
	}
	close(notify->epoll);
	free(notify);
}

int revpin_notify_fd(const struct revpin_notify *notify)
{
	return notify->epoll;
}

void revpin_notify_callback(struct revpin_notify *notify, revpin_event_fn fn,
			    void *arg)
{
	notify->fn = fn;
	notify->arg = arg;
}

void revpin_notify_other(struct revpin_notify *notify, revpin_other_fn fn,
			 void *arg)
{
	notify->other = fn;
	notify->other_arg = arg;
}

/* Under the lock of the regions. */
static int decode(struct revpin_notify *notify, struct ibv_context *ctx,
		  const struct ibv_async_event *async,
		  const struct revpin_event **event)
{
	struct revpin_event *e = &notify->event;

	/* the type is none that the compiler knows of */
	if ((int)async->event_type != REVPIN_IBV_EVENT_MR_REVOKED)
		return 0;
	e->source = REVPIN_SOURCE_VERBS;
	e->ctx = ctx;
	e->lkey = (uint32_t)async->element.port_num;
	e->mr = rp_mr_mark(ctx, e->lkey);
	e->space = (struct rp_space){ .fd = -1 };
	e->range = (struct rp_range){ 1, 0 };
	*event = e;
	return 1;
}

int revpin_notify_feed(struct revpin_notify *notify, struct ibv_context *ctx,
		       const struct ibv_async_event *async,
		       const struct revpin_event **event)
{
	int got;

	rp_mr_lock();
	got = decode(notify, ctx, async, event);
	rp_mr_unlock();
	return got;
}

/* The next revoke of one context: 1, 0 or -errno. */
static int read_verbs(struct revpin_notify *notify, struct source *s,
		      const struct revpin_event **event)
{
	struct ibv_async_event async;
	int got, fails, err;

	for (;;) {
		/* this does not wait, see revpin_notify_add_verbs() */
		rp_mr_lock();
		errno = 0;
		fails = ibv_get_async_event(s->ctx, &async);
		err = errno;
		got = fails ? 0 : decode(notify, s->ctx, &async, event);
		rp_mr_unlock();
		if (fails && err == EINTR)
			continue;
		if (fails && err == EAGAIN)
			return 0;
		if (fails)
			return err ? -err : -EIO;
		if (!got && notify->other)
			notify->other(s->ctx, &async, notify->other_arg);
		ibv_ack_async_event(&async);
		if (got)
			return 1;
	}
}

/* Gets the list if there is a reason to: 1, 0 or -errno. */
static int look(struct source *s)
{
	eventfd_t count;
	int err;

	if (eventfd_read(s->eventfd, &count))
		return errno == EAGAIN ? 0 : -errno;
	err = rp_space_list(&s->space, &s->list, &s->n);
	if (err) {
		/* the reason is still there */
		eventfd_write(s->eventfd, count);
		return err;
	}
	s->told = 0;
	s->kept = s->n > 1;
	if (s->kept)
		eventfd_write(s->eventfd, 1);
	return 1;
}

static void forget_list(struct source *s)
{
	eventfd_t count;

	free(s->list);
	s->list = NULL;
	s->n = 0;
	if (!s->kept)
		return;
	s->kept = false;
	/* what came meanwhile is a reason to look again */
	if (!eventfd_read(s->eventfd, &count) && count > 1)
		eventfd_write(s->eventfd, count - 1);
}

static int read_space(struct revpin_notify *notify, struct source *s,
		      const struct revpin_event **event)
{
	int got;

	while (!s->n) {
		got = look(s);
		if (got <= 0)
			return got;
	}
	notify->event = (struct revpin_event){
		.source = s->space.source,
		.space = s->space,
		.range = s->list[s->told++],
	};
	*event = &notify->event;
	if (s->told == s->n)
		forget_list(s);
	return 1;
}

static int read_source(struct revpin_notify *notify, struct source *s,
		       const struct revpin_event **event)
{
	if (s->ctx)
		return read_verbs(notify, s, event);
	return read_space(notify, s, event);
}

int revpin_notify_read(struct revpin_notify *notify,
		       const struct revpin_event **event)
{
	struct source *s;
	int got;

	for (s = notify->sources; s; s = s->next) {
		got = read_source(notify, s, event);
		if (got)
			return got;
	}
	return 0;
}

int revpin_notify_dispatch(struct revpin_notify *notify, int timeout)
{
	struct pollfd pfd = { .fd = notify->epoll, .events = POLLIN };
	const struct revpin_event *event;
	int got, n = 0;

	if (!notify->fn)
		return -EINVAL;
	/* epoll forgets a descriptor that was closed: nothing would come */
	got = revpin_notify_read(notify, &event);
	if (!got && poll(&pfd, 1, timeout) < 0)
		return -errno;
	while (got || (got = revpin_notify_read(notify, &event))) {
		if (got < 0)
			return n ? n : got;
		notify->fn(event, notify->arg);
		n++;
		got = 0;
	}
	return n;
}

int revpin_event_source(const struct revpin_event *event)
{
	return event->source;
}

struct revpin_mr *revpin_event_mr(const struct revpin_event *event)
{
	return event->mr;
}

struct ibv_context *revpin_event_context(const struct revpin_event *event)
{
	return event->ctx;
}

uint32_t revpin_event_lkey(const struct revpin_event *event)
{
	return event->lkey;
}

int revpin_event_fd(const struct revpin_event *event)
{
	return event->space.fd;
}

uint32_t revpin_event_ioas(const struct revpin_event *event)
{
	return event->space.ioas;
}

uint64_t revpin_event_iova(const struct revpin_event *event)
{
	return event->range.first;
}

uint64_t revpin_event_bytes(const struct revpin_event *event)
{
	return event->range.last - event->range.first + 1;
}
