// SPDX-License-Identifier: GPL-2.0
/* Memory regions and being told, over fakeverbs.c. */
#include "fakeverbs.h"
#include "internal.h"
#include "tree.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define WHERE	"pci0000:00"
#define REVOKED	REVPIN_IBV_EVENT_MR_REVOKED

struct scene {
	struct fake dev;
	struct revpin_provider *p;
	struct revpin_mem *mem;
	struct revpin_notify *n;
};

static void begin(struct scene *s)
{
	tree_provider(WHERE, "0000:00:04.0", 1 << 16);
	fake_open(&s->dev);
	EQ(revpin_provider_open("0000:00:04.0", &s->p), 0);
	EQ(revpin_mem_map(s->p, 16384, &s->mem), 0);
	EQ(revpin_notify_open(&s->n), 0);
	EQ(revpin_notify_add_verbs(s->n, &s->dev.ctx), 0);
}

static void end(struct scene *s)
{
	revpin_notify_close(s->n);
	EQ(revpin_mem_unmap(s->mem), 0);
	revpin_provider_close(s->p);
	fake_close(&s->dev);
	EQ(fake_unacked, 0);
}

static struct revpin_mr *region(struct scene *s)
{
	struct revpin_mr *mr = NULL;

	EQ(revpin_mr_reg(&s->dev.pd, s->mem, 0, 4096, IBV_ACCESS_LOCAL_WRITE,
			 &mr), 0);
	return mr;
}

static void regions(void)
{
	struct revpin_mr *mr;
	struct scene s;

	begin(&s);
	EQ(revpin_mr_reg(&s.dev.pd, s.mem, 0, 0, 0, &mr), -EINVAL);
	EQ(revpin_mr_reg(&s.dev.pd, s.mem, 0, 16385, 0, &mr), -EINVAL);
	EQ(revpin_mr_reg(&s.dev.pd, s.mem, 16384, 1, 0, &mr), -EINVAL);
	EQ(revpin_mr_reg(&s.dev.pd, s.mem, 4096, SIZE_MAX - 10, 0, &mr),
	   -EINVAL);
	EQ(revpin_mr_reg(&s.dev.pd, s.mem, SIZE_MAX, 4096, 0, &mr), -EINVAL);
	fake_reg_errno = EFAULT;
	EQ(revpin_mr_reg(&s.dev.pd, s.mem, 0, 4096, 0, &mr), -EFAULT);

	EQ(revpin_mr_reg(&s.dev.pd, s.mem, 4096, 8192, IBV_ACCESS_LOCAL_WRITE,
			 &mr), 0);
	CU_ASSERT_PTR_EQUAL(revpin_mr_verbs(mr)->addr,
			    (char *)revpin_mem_addr(s.mem) + 4096);
	EQ(revpin_mr_verbs(mr)->length, 8192);
	EQ(revpin_mr_revoked(mr), 0);
	EQ(revpin_mem_unmap(s.mem), -EBUSY);
	fake_dereg_error = EBUSY;
	EQ(revpin_mr_dereg(mr), -EBUSY);
	fake_dereg_error = 0;
	EQ(revpin_mem_unmap(s.mem), -EBUSY);
	EQ(revpin_mr_dereg(mr), 0);
	EQ(revpin_mr_dereg(NULL), 0);
	end(&s);
}

static int readable(struct revpin_notify *n)
{
	struct pollfd pfd = { .fd = revpin_notify_fd(n), .events = POLLIN };

	return poll(&pfd, 1, 0);
}

static void told(void)
{
	const struct revpin_event *e;
	struct revpin_mr *a, *b;
	struct scene s;

	begin(&s);
	a = region(&s);
	b = region(&s);
	EQ(readable(s.n), 0);
	EQ(revpin_notify_read(s.n, &e), 0);
	fake_event(&s.dev, REVOKED, revpin_mr_verbs(b)->lkey);
	EQ(readable(s.n), 1);
	EQ(revpin_notify_read(s.n, &e), 1);
	EQ(revpin_event_source(e), REVPIN_SOURCE_VERBS);
	CU_ASSERT_PTR_EQUAL(revpin_event_mr(e), b);
	CU_ASSERT_PTR_EQUAL(revpin_event_context(e), &s.dev.ctx);
	EQ(revpin_event_lkey(e), revpin_mr_verbs(b)->lkey);
	EQ(revpin_mr_revoked(a), 0);
	EQ(revpin_mr_revoked(b), 1);
	EQ(readable(s.n), 0);
	EQ(revpin_notify_read(s.n, &e), 0);

	/* a region that was registered by other means; keys use all 32 bits */
	fake_event(&s.dev, REVOKED, 0xfffffff0);
	EQ(revpin_notify_read(s.n, &e), 1);
	CU_ASSERT_PTR_NULL(revpin_event_mr(e));
	EQ(revpin_event_lkey(e), 0xfffffff0);
	EQ(revpin_mr_dereg(a), 0);
	EQ(revpin_mr_dereg(b), 0);
	end(&s);
}

/* The key of a region that is gone belongs to the next that has it. */
static void key_again(void)
{
	const struct revpin_event *e;
	struct revpin_mr *a, *b, *c;
	struct scene s;

	begin(&s);
	a = region(&s);
	fake_next_key = revpin_mr_verbs(a)->lkey;
	EQ(revpin_mr_dereg(a), 0);
	b = region(&s);
	c = region(&s);
	fake_event(&s.dev, REVOKED, revpin_mr_verbs(b)->lkey);
	EQ(revpin_notify_read(s.n, &e), 1);
	CU_ASSERT_PTR_EQUAL(revpin_event_mr(e), b);
	EQ(revpin_mr_revoked(c), 0);
	EQ(revpin_mr_dereg(b), 0);
	EQ(revpin_mr_dereg(c), 0);
	end(&s);
}

/* Keys are per device: the same one twice. */
static void two_devices(void)
{
	const struct revpin_event *e;
	struct revpin_mr *a, *b;
	struct fake dev;
	struct scene s;

	begin(&s);
	fake_open(&dev);
	EQ(revpin_notify_add_verbs(s.n, &dev.ctx), 0);
	a = region(&s);
	fake_next_key = revpin_mr_verbs(a)->lkey;
	EQ(revpin_mr_reg(&dev.pd, s.mem, 0, 4096, 0, &b), 0);
	fake_event(&s.dev, REVOKED, revpin_mr_verbs(a)->lkey);
	EQ(revpin_notify_read(s.n, &e), 1);
	CU_ASSERT_PTR_EQUAL(revpin_event_mr(e), a);
	fake_event(&dev, REVOKED, revpin_mr_verbs(b)->lkey);
	EQ(revpin_notify_read(s.n, &e), 1);
	CU_ASSERT_PTR_EQUAL(revpin_event_mr(e), b);
	CU_ASSERT_PTR_EQUAL(revpin_event_context(e), &dev.ctx);
	EQ(revpin_mr_dereg(a), 0);
	EQ(revpin_mr_dereg(b), 0);
	EQ(revpin_notify_del_verbs(s.n, &dev.ctx), 0);
	fake_close(&dev);
	end(&s);
}

struct seen {
	int revokes, others;
	uint32_t last;
};

static void on_revoke(const struct revpin_event *e, void *arg)
{
	struct seen *seen = arg;

	seen->revokes++;
	seen->last = revpin_event_lkey(e);
	/* what a program does with it */
	if (revpin_event_mr(e))
		EQ(revpin_mr_dereg(revpin_event_mr(e)), 0);
}

static void on_other(struct ibv_context *ctx,
		     const struct ibv_async_event *event, void *arg)
{
	struct seen *seen = arg;

	CU_ASSERT_PTR_NOT_NULL(ctx);
	EQ(event->event_type, IBV_EVENT_PORT_ERR);
	EQ(event->element.port_num, 1);
	seen->others++;
}

static void callbacks(void)
{
	struct timespec before, after;
	struct seen seen = { 0 };
	struct revpin_mr *mr;
	struct scene s;
	uint32_t key;

	begin(&s);
	EQ(revpin_notify_dispatch(s.n, 0), -EINVAL);
	revpin_notify_callback(s.n, on_revoke, &seen);
	EQ(revpin_notify_dispatch(s.n, 0), 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	EQ(revpin_notify_dispatch(s.n, 50), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CU_ASSERT((after.tv_sec - before.tv_sec) * 1000000000L +
		  after.tv_nsec - before.tv_nsec >= 50000000L);

	/* without a function for them, other events are dropped */
	fake_event(&s.dev, IBV_EVENT_PORT_ERR, 1);
	EQ(revpin_notify_dispatch(s.n, 1000), 0);
	EQ(seen.others, 0);

	revpin_notify_other(s.n, on_other, &seen);
	mr = region(&s);
	key = revpin_mr_verbs(mr)->lkey;
	fake_event(&s.dev, IBV_EVENT_PORT_ERR, 1);
	fake_event(&s.dev, REVOKED, 0x7777);
	fake_event(&s.dev, IBV_EVENT_PORT_ERR, 1);
	fake_event(&s.dev, REVOKED, key);
	EQ(revpin_notify_dispatch(s.n, -1), 2);
	EQ(seen.revokes, 2);
	EQ(seen.others, 2);
	EQ(seen.last, key);
	end(&s);
}

/* A program that reads the events of verbs itself. */
static void fed(void)
{
	struct ibv_async_event async = { .event_type = IBV_EVENT_PORT_ERR };
	const struct revpin_event *e = NULL;
	struct revpin_mr *mr;
	struct scene s;

	begin(&s);
	mr = region(&s);
	EQ(revpin_notify_feed(s.n, &s.dev.ctx, &async, &e), 0);
	CU_ASSERT_PTR_NULL(e);
	async.event_type = (enum ibv_event_type)REVOKED;
	async.element.port_num = (int)revpin_mr_verbs(mr)->lkey;
	EQ(revpin_notify_feed(s.n, &s.dev.ctx, &async, &e), 1);
	CU_ASSERT_PTR_EQUAL(revpin_event_mr(e), mr);
	EQ(revpin_mr_revoked(mr), 1);
	EQ(revpin_mr_dereg(mr), 0);
	end(&s);
}

static void sources(void)
{
	const struct revpin_event *e;
	struct fake closed;
	struct scene s;
	int flags;

	begin(&s);
	EQ(revpin_notify_add_verbs(s.n, &s.dev.ctx), -EEXIST);
	CU_ASSERT(fcntl(s.dev.ctx.async_fd, F_GETFL) & O_NONBLOCK);
	EQ(revpin_notify_del_verbs(s.n, &s.dev.ctx), 0);
	flags = fcntl(s.dev.ctx.async_fd, F_GETFL);
	EQ(flags & O_NONBLOCK, 0);
	EQ(revpin_notify_del_verbs(s.n, &s.dev.ctx), -ENOENT);
	fake_event(&s.dev, REVOKED, 1);
	EQ(readable(s.n), 0);
	EQ(revpin_notify_read(s.n, &e), 0);
	fake_open(&closed);
	fake_close(&closed);
	EQ(revpin_notify_add_verbs(s.n, &closed.ctx), -EBADF);
	revpin_notify_close(NULL);
	end(&s);
}

/* The context's descriptor is closed under the watcher. */
static void closed_fd(void)
{
	struct seen seen = { 0 };
	const struct revpin_event *e;
	struct scene s;

	begin(&s);
	revpin_notify_callback(s.n, on_revoke, &seen);
	fake_close(&s.dev);
	EQ(revpin_notify_read(s.n, &e), -EBADF);
	EQ(revpin_notify_dispatch(s.n, -1), -EBADF);
	EQ(revpin_notify_del_verbs(s.n, &s.dev.ctx), -EBADF);
	EQ(revpin_notify_read(s.n, &e), 0);
	fake_open(&s.dev);
	EQ(revpin_notify_add_verbs(s.n, &s.dev.ctx), 0);
	end(&s);
}

/* The kernel's end is gone: end of file, and no errno. */
static void device_gone(void)
{
	const struct revpin_event *e;
	struct scene s;

	begin(&s);
	close(s.dev.write);
	EQ(readable(s.n), 1);
	EQ(revpin_notify_read(s.n, &e), -EIO);
	s.dev.write = dup(s.dev.ctx.async_fd);
	end(&s);
}

static struct {
	struct scene *s;
	struct revpin_mr *old, *new;
	pthread_t thread;
} late;

static void *same_key_again(void *arg)
{
	(void)arg;
	fake_next_key = revpin_mr_verbs(late.old)->lkey;
	EQ(revpin_mr_dereg(late.old), 0);
	late.new = region(late.s);
	return NULL;
}

static void meanwhile(void)
{
	EQ(pthread_create(&late.thread, NULL, same_key_again, NULL), 0);
	/* all the time it wants, if nothing holds it up */
	usleep(100000);
}

/* The event is in hand when its region goes and its key is given again. */
static void late_event(void)
{
	const struct revpin_event *e;
	struct scene s;

	begin(&s);
	late.s = &s;
	late.old = region(&s);
	fake_event(&s.dev, REVOKED, revpin_mr_verbs(late.old)->lkey);
	fake_in_read = meanwhile;
	EQ(revpin_notify_read(s.n, &e), 1);
	pthread_join(late.thread, NULL);
	EQ(revpin_mr_verbs(late.new)->lkey, revpin_event_lkey(e));
	EQ(revpin_mr_revoked(late.new), 0);
	CU_ASSERT_PTR_EQUAL(revpin_event_mr(e), late.old);
	EQ(revpin_mr_dereg(late.new), 0);
	end(&s);
}

#define ROUNDS	2000

static void *come_and_go(void *arg)
{
	struct scene *s = arg;
	int i;

	for (i = 0; i < ROUNDS; i++)
		EQ(revpin_mr_dereg(region(s)), 0);
	return NULL;
}

/* Regions come and go in two threads while a third is told of others. */
static void threads(void)
{
	struct ibv_async_event async = {
		.event_type = (enum ibv_event_type)REVOKED,
	};
	const struct revpin_event *e;
	struct revpin_mr *mr;
	pthread_t t[2];
	struct scene s;
	int i;

	begin(&s);
	mr = region(&s);
	for (i = 0; i < 2; i++)
		EQ(pthread_create(&t[i], NULL, come_and_go, &s), 0);
	async.element.port_num = (int)revpin_mr_verbs(mr)->lkey;
	for (i = 0; i < ROUNDS; i++) {
		EQ(revpin_notify_feed(s.n, &s.dev.ctx, &async, &e), 1);
		CU_ASSERT_PTR_EQUAL(revpin_event_mr(e), mr);
		EQ(revpin_mr_revoked(mr), 1);
	}
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EQ(revpin_mr_dereg(mr), 0);
	end(&s);
}

const struct unit rdma_units[] = {
	{ "regions", regions }, { "told", told }, { "key_again", key_again },
	{ "two_devices", two_devices }, { "callbacks", callbacks },
	{ "fed", fed }, { "sources", sources }, { "closed_fd", closed_fd },
	{ "device_gone", device_gone },
	{ "late_event", late_event }, { "threads", threads }, { NULL, NULL },
};
