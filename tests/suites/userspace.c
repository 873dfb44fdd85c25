// SPDX-License-Identifier: GPL-2.0
/* librevpin and the revpin tool on the real thing. */
#include "check.h"
#include "clock.h"
#include "mutate.h"
#include "p2pmem.h"
#include "provider.h"
#include "rdma.h"
#include "scene.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <revpin.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL	"/usr/bin/revpin"
#define TOLD	"/usr/libexec/revpin/examples/told"
#define MRS	4
#define MAX_OUT	65536

/* For the log, line by line. */
static void note_lines(const char *text)
{
	char *copy = strdup(text), *line, *save;

	for (line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		tap_note("| %s", line);
	free(copy);
}

/* Runs it through the shell; its output, and its exit status. */
static int shell(char **out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int shell(char **out, const char *fmt, ...)
{
	static char buf[MAX_OUT];
	char cmd[512];
	size_t n = 0, got;
	va_list ap;
	int status;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	fflush(stdout);
	f = popen(cmd, "r");
	if (!f)
		return -1;
	while ((got = fread(buf + n, 1, sizeof(buf) - 1 - n, f)))
		n += got;
	buf[n] = '\0';
	status = pclose(f);
	*out = buf;
	if (tap_failed()) {
		tap_note("%s:", cmd);
		note_lines(buf);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool has(const char *text, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool has(const char *text, const char *fmt, ...)
{
	char word[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (!strstr(text, word)) {
		tap_note("no '%s' in:", word);
		note_lines(text);
	}
	return strstr(text, word);
}

/* Some regions of one mapping, by the library; the last by verbs alone. */
struct user {
	struct rdma rdma;
	struct revpin_provider *p;
	struct revpin_mem *mem;
	struct revpin_notify *notify;
	struct revpin_mr *mr[MRS];
	struct ibv_mr *plain;
};

static void user_open(struct user *u)
{
	int i;

	memset(u, 0, sizeof(*u));
	ASSERT_EQ(rdma_open(&u->rdma), 0);
	ASSERT_EQ(revpin_provider_open(scene_provider.bdf, &u->p), 0);
	ASSERT_EQ(revpin_mem_map(u->p, (MRS + 1) * PAGE, &u->mem), 0);
	ASSERT_EQ(revpin_notify_open(&u->notify), 0);
	ASSERT_EQ(revpin_notify_add_verbs(u->notify, u->rdma.ctx), 0);
	for (i = 0; i < MRS; i++)
		ASSERT_EQ(revpin_mr_reg(u->rdma.pd, u->mem, i * PAGE, PAGE,
					RDMA_ALL, &u->mr[i]), 0);
	u->plain = ibv_reg_mr(u->rdma.pd,
			      (char *)revpin_mem_addr(u->mem) + MRS * PAGE,
			      PAGE, RDMA_ALL);
	ASSERT_TRUE(u->plain);
}

static void user_close(struct user *u)
{
	int i;

	for (i = 0; i < MRS; i++)
		EXPECT_EQ(revpin_mr_dereg(u->mr[i]), 0);
	EXPECT_EQ(ibv_dereg_mr(u->plain), 0);
	revpin_notify_close(u->notify);
	EXPECT_EQ(revpin_mem_unmap(u->mem), 0);
	revpin_provider_close(u->p);
	EXPECT_EQ(rdma_close(&u->rdma), 0);
}

static void library_finds(void)
{
	struct revpin_provider **list;
	char driver[32];
	uint64_t val;

	ASSERT_EQ(revpin_provider_list(&list), 1);
	EXPECT_TRUE(!strcmp(revpin_provider_bdf(list[0]), scene_provider.bdf));
	EXPECT_EQ(revpin_provider_driver(list[0], driver, sizeof(driver)), 0);
	EXPECT_TRUE(!strcmp(driver, "nvme"));
	EXPECT_EQ(revpin_provider_size(list[0], &val), 0);
	EXPECT_EQ(val, scene_provider.size);
	EXPECT_EQ(revpin_provider_available(list[0], &val), 0);
	EXPECT_EQ(val, scene_provider.available);
	EXPECT_EQ(revpin_provider_published(list[0]), 1);
	EXPECT_EQ(revpin_provider_p2p(list[0], scene_provider.bdf, NULL, 0) >= 0,
		  1);
	EXPECT_EQ(revpin_supported(), 1);
	revpin_provider_list_free(list);
}

static void library_maps(void)
{
	unsigned long long left;
	struct revpin_provider *p;
	struct revpin_mem *mem;

	ASSERT_EQ(revpin_provider_open(scene_provider.bdf, &p), 0);
	EXPECT_EQ(revpin_mem_map(p, scene_provider.size + PAGE, &mem), -ENOMEM);
	EXPECT_EQ(revpin_mem_map(p, PAGE + 1, &mem), -EINVAL);
	ASSERT_EQ(revpin_mem_map(p, 2 * PAGE, &mem), 0);
	mem_fill(revpin_mem_addr(mem), 2 * PAGE, 5);
	EXPECT_EQ(mem_differs(revpin_mem_addr(mem), 2 * PAGE, 5), 0);
	EXPECT_EQ(provider_available(&scene_provider, &left), 0);
	EXPECT_EQ(left, scene_provider.available - 2 * PAGE);
	EXPECT_EQ(revpin_mem_unmap(mem), 0);
	EXPECT_TRUE(provider_available_is_back(&scene_provider, 1000));
	revpin_provider_close(p);
}

/* The pins of this process on the provider, or -1. */
static int my_pins(enum revpin_state state)
{
	const struct revpin_range *r;
	const struct revpin_pin *p;
	struct revpin_holders *h;
	size_t i, j;
	int n = 0;

	if (revpin_holders_read(&h))
		return -1;
	for (i = 0; (r = revpin_holders_range(h, i)); i++) {
		if (strcmp(revpin_range_provider(r), scene_provider.bdf))
			continue;
		for (j = 0; (p = revpin_range_pin(r, j)); j++) {
			if (revpin_pin_pid(p) != getpid() ||
			    revpin_pin_state(p) != state)
				continue;
			n++;
			EXPECT_EQ(revpin_pin_bytes(p), PAGE);
			EXPECT_LE(revpin_range_start(r), revpin_pin_start(p));
			EXPECT_GE(revpin_range_end(r), revpin_pin_end(p));
			EXPECT_TRUE(!strcmp(revpin_pin_consumer(p), "ib_umem"));
			/* to a tick */
			EXPECT_LE(revpin_pin_since(p), clock_now() * 1e6 + 1e4);
			EXPECT_GE(revpin_pin_since(p), clock_now() * 1e6 - 60e6);
		}
	}
	revpin_holders_free(h);
	return n;
}

static void library_is_told(void)
{
	const struct revpin_event *e;
	struct pollfd pfd = { .events = POLLIN };
	bool plain = false;
	struct unbind un;
	struct user u;
	int i, n = 0;

	user_open(&u);
	EXPECT_EQ(my_pins(REVPIN_STATE_ATTACHED), MRS + 1);
	/* what was let go before is not told of */
	EXPECT_EQ(revpin_mr_dereg(u.mr[0]), 0);
	u.mr[0] = NULL;
	EXPECT_EQ(my_pins(REVPIN_STATE_ATTACHED), MRS);
	EXPECT_EQ(revpin_notify_read(u.notify, &e), 0);
	ASSERT_TRUE(unbind_now(&scene_provider, &un));
	EXPECT_EQ(un.err, 0);
	EXPECT_EQ(my_pins(REVPIN_STATE_ATTACHED), 0);

	pfd.fd = revpin_notify_fd(u.notify);
	EXPECT_EQ(poll(&pfd, 1, (int)(5000 * clock_scale())), 1);
	while ((i = revpin_notify_read(u.notify, &e)) > 0) {
		n++;
		EXPECT_EQ(revpin_event_source(e), REVPIN_SOURCE_VERBS);
		EXPECT_TRUE(revpin_event_context(e) == u.rdma.ctx);
		if (revpin_event_lkey(e) == u.plain->lkey) {
			EXPECT_TRUE(!revpin_event_mr(e));
			EXPECT_TRUE(!plain);
			plain = true;
			continue;
		}
		ASSERT_TRUE(revpin_event_mr(e));
		EXPECT_EQ(revpin_event_lkey(e),
			  revpin_mr_verbs(revpin_event_mr(e))->lkey);
	}
	EXPECT_EQ(i, 0);
	EXPECT_EQ(n, MRS);
	EXPECT_TRUE(plain);
	for (i = 1; i < MRS; i++)
		EXPECT_EQ(revpin_mr_revoked(u.mr[i]), 1);
	user_close(&u);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

static void tool_shows(void)
{
	struct user u;
	char *out;

	user_open(&u);
	EXPECT_EQ(shell(&out, TOOL " --json list"), 0);
	EXPECT_TRUE(has(out, "\"device\": \"%s\"", scene_provider.bdf));
	EXPECT_TRUE(has(out, "\"size\": %llu", scene_provider.size));
	EXPECT_TRUE(has(out, "\"pins\": %d", MRS + 1));
	EXPECT_EQ(shell(&out, TOOL " holders %s", scene_provider.bdf), 0);
	EXPECT_TRUE(has(out, "open, %d pins", MRS + 1));
	EXPECT_TRUE(has(out, "%d", getpid()));
	EXPECT_TRUE(has(out, "ib_umem   4 KiB  attached"));
	EXPECT_EQ(shell(&out, TOOL " unbind --dry-run %s", scene_provider.bdf),
		  0);
	EXPECT_TRUE(has(out, "stays bound to nvme"));
	EXPECT_TRUE(provider_bound(&scene_provider));
	user_close(&u);
	EXPECT_EQ(shell(&out, TOOL " holders"), 0);
	EXPECT_TRUE(has(out, "nobody holds it"));
	EXPECT_EQ(shell(&out, TOOL " check"), 0);
	EXPECT_TRUE(has(out, "rxe0 is no PCI device"));
}

static void tool_unbinds(void)
{
	struct user u;
	char *out;

	user_open(&u);
	EXPECT_EQ(shell(&out, TOOL " --json unbind --yes %s",
			scene_provider.bdf), 0);
	EXPECT_TRUE(has(out, "\"result\": \"unbound\""));
	EXPECT_TRUE(has(out, "\"revoked\": %d", MRS + 1));
	EXPECT_TRUE(!provider_bound(&scene_provider));
	EXPECT_EQ(shell(&out, TOOL " unbind --yes %s 2>&1",
			scene_provider.bdf), 3);
	EXPECT_TRUE(has(out, "offers no peer-to-peer memory"));
	EXPECT_EQ(shell(&out, TOOL " check"), 1);
	EXPECT_TRUE(has(out, "provider  no"));
	user_close(&u);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

/* Waits until the watcher has written that many lines of the kind. */
static bool watched(const char *kind, int lines)
{
	double end = clock_now() + 10 * clock_scale();
	char *out;

	do {
		shell(&out, "grep -c %s /tmp/watched", kind);
		if (atoi(out) >= lines)
			return true;
		clock_sleep_ms(5);
	} while (clock_now() < end);
	return false;
}

static void tool_watches(void)
{
	struct user u;
	char *out;
	FILE *f;

	f = popen(TOOL " watch --json --interval 5 --for 600 >/tmp/watched",
		  "r");
	ASSERT_TRUE(f);
	EXPECT_TRUE(watched("provider-new", 1));
	user_open(&u);
	EXPECT_TRUE(watched("pin-new", MRS + 1));
	EXPECT_EQ(shell(&out, TOOL " unbind --yes %s", scene_provider.bdf), 0);
	note_lines(out);
	EXPECT_TRUE(has(out, "the unbind has returned"));
	EXPECT_TRUE(watched("provider-gone", 1));
	EXPECT_EQ(shell(&out, "kill -INT $(pidof revpin)"), 0);
	EXPECT_EQ(pclose(f), 0);
	EXPECT_EQ(shell(&out, "grep -c pin-new /tmp/watched"), 0);
	EXPECT_EQ(atoi(out), MRS + 1);
	EXPECT_EQ(shell(&out, "grep pin- /tmp/watched | grep -c 'pin-gone-with-range\\|\"revoked\"'"), 0);
	EXPECT_GE(atoi(out), MRS + 1);
	EXPECT_EQ(shell(&out, "grep -c provider-gone /tmp/watched"), 0);
	unlink("/tmp/watched");
	user_close(&u);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

/* A kernel that cannot: the tool names who is in the way and does not hang. */
static void tool_gives_up(void)
{
	double end = clock_now() + unbind_limit();
	struct user u;
	char *out;

	user_open(&u);
	ASSERT_EQ(mutate_add("broadcast_off"), 0);
	EXPECT_EQ(shell(&out, TOOL " unbind --yes --timeout 2 %s 2>&1",
			scene_provider.bdf), 6);
	EXPECT_TRUE(has(out, "has not returned after 2 s and goes on"));
	EXPECT_EQ(shell(&out, TOOL " holders %s", scene_provider.bdf), 0);
	EXPECT_TRUE(has(out, "%d pins", MRS + 1));
	EXPECT_TRUE(has(out, "attached"));
	EXPECT_EQ(mutate_restore(), 0);
	/* it ends with what held it up */
	user_close(&u);
	while (provider_bound(&scene_provider) && clock_now() < end)
		clock_sleep_ms(20);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

static void after(void)
{
	mutate_restore();
	scene_after();
}

/* The program that the manual quotes. */
static void example_is_told(void)
{
	char *out, *text = NULL, line[128];
	size_t n = 0;
	FILE *f;

	f = popen(TOLD, "r");
	ASSERT_TRUE(f);
	ASSERT_TRUE(fgets(line, sizeof(line), f));
	EXPECT_TRUE(has(line, "registered, lkey 0x"));
	EXPECT_EQ(shell(&out, TOOL " unbind --yes %s", scene_provider.bdf), 0);
	EXPECT_TRUE(getdelim(&text, &n, '\0', f) > 0);
	EXPECT_TRUE(has(text, "was revoked"));
	line[strcspn(line, "\n")] = '\0';
	EXPECT_TRUE(has(text, "%s was", strstr(line, "0x")));
	free(text);
	EXPECT_EQ(pclose(f), 0);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

static int as_nobody(int fd, void *arg)
{
	char *out;

	(void)fd;
	(void)arg;
	ASSERT_EQ(setgid(65534), 0);
	ASSERT_EQ(setuid(65534), 0);
	EXPECT_EQ(shell(&out, TOOL " holders 2>&1"), 4);
	EXPECT_TRUE(has(out, "no permission"));
	EXPECT_EQ(shell(&out, TOOL " unbind --yes %s 2>&1",
			scene_provider.bdf), 4);
	EXPECT_EQ(shell(&out, TOOL " list"), 0);
	EXPECT_TRUE(has(out, "%s", scene_provider.bdf));
	return check_worker_failed();
}

static void without_rights(void)
{
	struct worker w;

	ASSERT_EQ(worker_start(&w, "nobody", as_nobody, NULL), 0);
	EXPECT_EQ(worker_join(&w, 20), 0);
	EXPECT_TRUE(provider_bound(&scene_provider));
}

/* Without debugfs nobody can be named; all else works. */
static int no_debugfs(int fd, void *arg)
{
	struct revpin_holders *h;
	char *out;

	(void)fd;
	(void)arg;
	ASSERT_EQ(unshare(CLONE_NEWNS), 0);
	ASSERT_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ASSERT_EQ(umount2("/sys/kernel/debug", MNT_DETACH), 0);
	EXPECT_EQ(revpin_supported(), 1);
	EXPECT_EQ(revpin_holders_read(&h), -ENOENT);
	EXPECT_EQ(shell(&out, TOOL " holders 2>&1"), 8);
	EXPECT_TRUE(has(out, "debugfs is not mounted: mount -t debugfs"));
	EXPECT_EQ(shell(&out, TOOL " check"), 0);
	EXPECT_TRUE(has(out, "list      no (optional)"));
	EXPECT_EQ(shell(&out, TOOL " unbind --yes %s 2>&1",
			scene_provider.bdf), 0);
	EXPECT_TRUE(has(out, "cannot say who holds memory of %s",
			scene_provider.bdf));
	EXPECT_TRUE(has(out, "the unbind has returned"));
	/* as it says */
	EXPECT_EQ(shell(&out, "mount -t debugfs debugfs /sys/kernel/debug 2>&1"),
		  0);
	EXPECT_EQ(shell(&out, TOOL " holders 2>&1"), 0);
	return check_worker_failed();
}

static void without_debugfs(void)
{
	struct worker w;
	struct user u;

	user_open(&u);
	ASSERT_EQ(worker_start(&w, "no-debugfs", no_debugfs, NULL), 0);
	EXPECT_EQ(worker_join(&w, 20), 0);
	EXPECT_TRUE(!provider_bound(&scene_provider));
	EXPECT_EQ(my_pins(REVPIN_STATE_ATTACHED), 0);
	user_close(&u);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
}

static const struct tap_test tests[] = {
	{ "library_finds", library_finds, 0 },
	{ "library_maps", library_maps, 0 },
	{ "library_is_told", library_is_told, 0 },
	{ "tool_shows", tool_shows, 30 },
	{ "tool_unbinds", tool_unbinds, 30 },
	{ "tool_watches", tool_watches, 40 },
	{ "tool_gives_up", tool_gives_up, 40 },
	{ "example_is_told", example_is_told, 30 },
	{ "without_rights", without_rights, 30 },
	{ "without_debugfs", without_debugfs, 30 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"userspace", tests, scene_init, scene_before, after,
	};

	return tap_main(argc, argv, &suite);
}
