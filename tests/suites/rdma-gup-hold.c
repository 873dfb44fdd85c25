// SPDX-License-Identifier: GPL-2.0
/*
 * A GUP-fast walker that has read the PTE of a P2P page and has not taken its
 * reference yet, when the mapping goes away. It is held there by a debug switch
 * (lib/mutate.h), with interrupts off.
 *
 * An x86 that flushes its TLBs by IPI waits for such a walker in the unmap. So
 * that the walker outlives the unmap there, too, the switch ipi_skip leaves its CPU
 * out. Where flushes need no IPI and page tables are freed behind a grace period
 * (arm64) it does so by itself.
 */
#include "account.h"
#include "check.h"
#include "clock.h"
#include "holders.h"
#include "mutate.h"
#include "p2pmem.h"
#include "registrar.h"
#include "scene.h"
#include "stacks.h"
#include "sysfs.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * One for the walker, one that may wait for it without being able to do
 * anything else (an IPI), and one to look on.
 */
#define WALKER_CPU	1
#define NEEDED_CPUS	3

#ifdef __x86_64__
#define HELD		"gup_hold,ipi_skip"
#else
#define HELD		"gup_hold"
#endif

static bool run_as_walker(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(WALKER_CPU, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* Also those that are forked: the walker's CPU answers nobody. */
static bool run_elsewhere(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) ||
	    CPU_COUNT(&set) < NEEDED_CPUS) {
		tap_note("%d CPUs are needed: boot with smp=%d", NEEDED_CPUS,
			 NEEDED_CPUS);
		return false;
	}
	CPU_CLR(WALKER_CPU, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static bool init(void)
{
	return mutate_there() && run_elsewhere() && scene_init();
}

static void after(void)
{
	mutate_restore();
	scene_after();
}

struct walker {
	struct scene *s;
	pthread_t thread;
	struct ibv_mr *mr;
	int err;
	volatile bool placed, back;
};

static void *walk(void *arg)
{
	struct walker *w = arg;

	w->placed = run_as_walker();
	errno = 0;
	w->mr = ibv_reg_mr(w->s->rdma.pd, w->s->area, w->s->len, RDMA_ALL);
	w->err = errno;
	w->back = true;
	return NULL;
}

static void start_walker(struct walker *w, struct scene *s, const char *how)
{
	memset(w, 0, sizeof(*w));
	w->s = s;
	ASSERT_EQ(mutate_add(how), 0);
	ASSERT_EQ(pthread_create(&w->thread, NULL, walk, w), 0);
	EXPECT_TRUE(mutate_wait_held(10));
	EXPECT_TRUE(w->placed);
	EXPECT_TRUE(!w->back);
}

static void end_walker(struct walker *w)
{
	ASSERT_EQ(mutate_restore(), 0);
	ASSERT_EQ(pthread_join(w->thread, NULL), 0);
}

/* Has the notifier shut the provider's range, or is it gone already? */
static bool is_shut(void)
{
	struct holders h;
	bool shut;

	if (holders_read(&h, HOLDERS_PATH, scene_provider.bdf, 0))
		return false;
	shut = !h.found || !strcmp(h.state, "closed");
	holders_free(&h);
	return shut;
}

static bool shut_within(double seconds)
{
	double end = clock_now() + seconds;

	while (!is_shut() && clock_now() < end)
		clock_sleep_ms(5);
	return is_shut();
}

static void walker_came_away_empty(struct walker *w)
{
	EXPECT_TRUE(!w->mr);
	if (w->mr)
		ibv_dereg_mr(w->mr);
	else
		tap_note("ibv_reg_mr(): %s", strerror(w->err));
	EXPECT_TRUE(w->mr || w->err == EFAULT || w->err == ENODEV);
	EXPECT_EQ(account_pinned(getpid()), w->s->pinned + (long)w->s->len / 1024);
}

/*
 * The mapping is unmapped and the broadcast is over, and the walker still has
 * the page of before. The memory map must outlive it, it must not get the page.
 */
static void walker_outlives_the_broadcast(void)
{
	struct scene *s = scene_open_bare(4);
	struct walker w;
	struct unbind u;

	ASSERT_EQ(observer_open(&s->observer), 0);
	start_walker(&w, s, HELD);
	ASSERT_EQ(unbind_start(&scene_provider, &u), 0);
	EXPECT_TRUE(shut_within(2 * clock_scale()));
	EXPECT_TRUE(!w.back);
	/* what waits for the walker now is a grace period */
	EXPECT_TRUE(!unbind_wait(&u, 0.5 * clock_scale(), NULL, 0));
	stack_note(u.pid, "the unbind, with the walker held");
	EXPECT_TRUE(!w.back);
	end_walker(&w);
	walker_came_away_empty(&w);
	ASSERT_TRUE(unbind_wait(&u, unbind_limit(), NULL, 0));
	scene_aftermath(&u, &s->observer, NULL, NULL, 0);
	scene_close(s);
}

#ifdef __x86_64__
/* The same without memory of its own: to free that flushes, and waits as well. */
static bool is_open(void)
{
	static char text[4096], want[64];
	int fd = open(HOLDERS_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *line;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	snprintf(want, sizeof(want), "provider=\"%s\"", scene_provider.bdf);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strstr(line, want))
			return strstr(line, " state=open ");
	return false;
}

static int unbinder(int fd, void *arg)
{
	char path[128];

	(void)arg;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind",
		 scene_provider.driver);
	ASSERT_TRUE(worker_hear(fd, 'u', 20));
	EXPECT_EQ(sysfs_write(path, scene_provider.bdf), 0);
	return 0;
}

/*
 * Without the skipped IPI the flush waits for it: there is no such walker. It
 * is a process of its own, whose page tables nobody else flushes: a copy of a
 * page after a fork would wait as well.
 */
static void flush_waits_for_the_walker(void)
{
	struct registrar *reg = worker_shared(sizeof(*reg));
	struct unbind u = { .done = true };
	struct worker who, w;

	ASSERT_TRUE(reg);
	reg->place = run_as_walker;
	ASSERT_EQ(mutate_add("gup_hold"), 0);
	ASSERT_EQ(worker_start(&who, "unbinder", unbinder, NULL), 0);
	ASSERT_EQ(worker_start(&w, "walker", registrar, reg), 0);
	EXPECT_TRUE(mutate_wait_held(10));
	EXPECT_TRUE(!reg->left);
	u.start = clock_now();
	ASSERT_TRUE(worker_tell(who.fd, 'u'));
	clock_sleep_ms((unsigned int)(500 * clock_scale()));
	EXPECT_TRUE(is_open());
	EXPECT_TRUE(!reg->left);
	ASSERT_EQ(mutate_restore(), 0);
	EXPECT_EQ(worker_join(&who, 10), 0);
	u.seconds = clock_now() - u.start;
	/* it may have got the pages, before the unmap was over */
	EXPECT_TRUE(worker_hear(w.fd, 'm', 10));
	EXPECT_TRUE(worker_tell(w.fd, 'x'));
	EXPECT_EQ(worker_join(&w, 10), 0);
	scene_aftermath(&u, NULL, NULL, NULL, 0);
	worker_unshare(reg, sizeof(*reg));
}
#endif

/*
 * The page is unmapped, given back and handed out to another mapping while the
 * walker is there (ABA): what it finds is not the PTE of before.
 */
static void handed_out_again(bool same_place)
{
	struct scene *s = scene_open_bare(4);
	unsigned char *again = NULL, *old = s->map;
	size_t len = s->map_len;
	uint64_t was, is = 0;
	struct walker w;
	int tries;

	ASSERT_EQ(observer_physical(s->area, &was), 0);
	start_walker(&w, s, HELD);
	/* or the place stays taken */
	if (same_place)
		ASSERT_EQ(munmap(old, len), 0);
	else
		ASSERT_TRUE(mmap(old, len, PROT_NONE, MAP_PRIVATE | MAP_FIXED |
				 MAP_ANONYMOUS, -1, 0) == old);
	for (tries = 0; tries < 8 && is != was; tries++) {
		again = same_place ?
			p2pmem_mmap(&scene_provider, old, len,
				    MAP_SHARED | MAP_FIXED, 0) :
			p2pmem_map(&scene_provider, len);
		ASSERT_TRUE(again);
		mem_fill(again, len, 4711);
		ASSERT_EQ(observer_physical(again + PAGE, &is), 0);
		if (is != was)
			tap_note("handed out %#llx, the walker has %#llx",
				 (unsigned long long)is, (unsigned long long)was);
	}
	EXPECT_EQ(is, was);
	EXPECT_TRUE(!w.back);
	end_walker(&w);
	EXPECT_EQ(mem_differs(again, len, 4711), 0);
	if (same_place) {
		/* what is mapped there now is what it was asked for */
		EXPECT_TRUE(w.mr);
	} else {
		EXPECT_TRUE(!w.mr);
		EXPECT_EQ(w.err, EFAULT);
		munmap(again, len);
	}
	if (w.mr)
		EXPECT_EQ(ibv_dereg_mr(w.mr), 0);
	scene_close(s);
}

static void page_is_handed_out_again(void)
{
	handed_out_again(false);
}

static void to_the_same_place(void)
{
	handed_out_again(true);
}

/* Held for a while and nothing happens: the registration works. */
static void held_and_let_go(void)
{
	struct scene *s = scene_open_bare(1);
	struct walker w;

	start_walker(&w, s, HELD);
	end_walker(&w);
	ASSERT_TRUE(w.mr);
	EXPECT_EQ(ibv_dereg_mr(w.mr), 0);
	scene_close(s);
}

static const struct tap_test tests[] = {
	{ "held_and_let_go", held_and_let_go, 0 },
	{ "walker_outlives_the_broadcast", walker_outlives_the_broadcast, 30 },
#ifdef __x86_64__
	{ "flush_waits_for_the_walker", flush_waits_for_the_walker, 30 },
#endif
	{ "page_is_handed_out_again", page_is_handed_out_again, 0 },
	{ "to_the_same_place", to_the_same_place, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"rdma-gup-hold", tests, init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
