// SPDX-License-Identifier: GPL-2.0
#include "worker.h"
#include "check.h"
#include "clock.h"
#include "stacks.h"
#include "tap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WORKERS 32

static struct { pid_t pid; int fd; } alive[MAX_WORKERS];

static void remember(pid_t pid, int fd)
{
	int i;

	for (i = 0; i < MAX_WORKERS; i++) {
		if (alive[i].pid)
			continue;
		alive[i].pid = pid;
		alive[i].fd = fd;
		return;
	}
}

static void forget(pid_t pid)
{
	int i;

	for (i = 0; i < MAX_WORKERS; i++)
		if (alive[i].pid == pid)
			alive[i].pid = 0;
}

void *worker_shared(size_t size)
{
	void *m = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return m == MAP_FAILED ? NULL : m;
}

void worker_unshare(void *mem, size_t size)
{
	if (mem)
		munmap(mem, size);
}

int worker_start(struct worker *w, const char *name,
		 int (*fn)(int fd, void *arg), void *arg)
{
	int sv[2], i, ret;
	pid_t pid;

	snprintf(w->name, sizeof(w->name), "%s", name);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -errno;
	/* w may be shared with the worker: only this side writes to it */
	pid = fork();
	if (pid < 0) {
		close(sv[0]);
		close(sv[1]);
		return -errno;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		close(sv[0]);
		/* or a dead test would look alive to the other workers */
		for (i = 0; i < MAX_WORKERS; i++) {
			if (alive[i].pid)
				close(alive[i].fd);
			alive[i].pid = 0;
		}
		check_in_worker(name);
		ret = fn(sv[1], arg);
		fflush(stdout);
		_exit(ret ? ret : check_worker_failed());
	}
	close(sv[1]);
	w->pid = pid;
	w->fd = sv[0];
	remember(w->pid, w->fd);
	return 0;
}

bool worker_channel(int fds[2])
{
	return !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
}

bool worker_tell(int fd, char what)
{
	return send(fd, &what, 1, MSG_NOSIGNAL) == 1;
}

bool worker_hear(int fd, char what, double seconds)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char got;
	int n;

	do {
		n = poll(&pfd, 1, (int)(seconds * clock_scale() * 1000));
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		tap_note("waited for '%c' for %.0f s", what,
			 seconds * clock_scale());
		return false;
	}
	if (read(fd, &got, 1) != 1) {
		tap_note("waited for '%c', the other side is gone", what);
		return false;
	}
	if (got != what)
		tap_note("waited for '%c', got '%c'", what, got);
	return got == what;
}

bool worker_pending(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

bool worker_gone(const struct worker *w)
{
	struct pollfd pfd = { .fd = w->fd };

	return !w->pid || (poll(&pfd, 1, 0) > 0 && (pfd.revents & POLLHUP));
}

int worker_join(struct worker *w, double seconds)
{
	double end = clock_now() + seconds * clock_scale();
	bool killed = false;
	int status;

	if (!w->pid)
		return -1;
	for (;;) {
		pid_t got = waitpid(w->pid, &status, WNOHANG);

		if (got == w->pid)
			break;
		if (clock_now() > end) {
			if (killed) {
				tap_note("%s cannot be killed", w->name);
				status = -1;
				break;
			}
			stack_note(w->pid, w->name);
			kill(w->pid, SIGKILL);
			killed = true;
			end = clock_now() + 5 * clock_scale();
		}
		clock_sleep_ms(2);
	}
	forget(w->pid);
	close(w->fd);
	w->pid = 0;
	return killed ? -1 : status;
}

void worker_kill(struct worker *w, int sig)
{
	if (w->pid)
		kill(w->pid, sig);
}

int worker_sweep(void)
{
	int i, n = 0;

	for (i = 0; i < MAX_WORKERS; i++) {
		struct worker w = { .pid = alive[i].pid, .fd = alive[i].fd };

		if (!w.pid)
			continue;
		snprintf(w.name, sizeof(w.name), "leftover worker");
		kill(w.pid, SIGKILL);
		worker_join(&w, 5);
		n++;
	}
	return n;
}
