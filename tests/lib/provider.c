// SPDX-License-Identifier: GPL-2.0
#include "provider.h"
#include "clock.h"
#include "stacks.h"
#include "sysfs.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PCI "/sys/bus/pci/devices"

struct report {
	int err;
	double start;
	double seconds;
};

static void p2pmem_path(const struct provider *p, const char *file,
			char *buf, size_t size)
{
	snprintf(buf, size, PCI "/%s/p2pmem/%s", p->bdf, file);
}

int provider_available(const struct provider *p, unsigned long long *val)
{
	char path[128];

	p2pmem_path(p, "available", path, sizeof(path));
	return sysfs_read_ull(path, val);
}

bool provider_bound(const struct provider *p)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s", p->driver,
		 p->bdf);
	return access(path, F_OK) == 0;
}

/* The driver takes its queues some time after it published the memory. */
static int wait_until_settled(struct provider *p)
{
	unsigned long long now, last = 0;
	double end = clock_now() + 15 * clock_scale();
	int same = 0;

	while (clock_now() < end) {
		if (provider_available(p, &now))
			now = 0;
		same = now && now == last ? same + 1 : 0;
		last = now;
		if (same >= 20) {
			p->available = now;
			return 0;
		}
		clock_sleep_ms(20);
	}
	return -ETIMEDOUT;
}

int provider_find_nth(struct provider *p, unsigned int n)
{
	struct dirent **list;
	char path[300];
	int i, nr, err = -ENODEV;

	memset(p, 0, sizeof(*p));
	strcpy(p->driver, "nvme");
	nr = scandir(PCI, &list, NULL, alphasort);
	if (nr < 0)
		return -errno;
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), PCI "/%s/p2pmem/size",
			 list[i]->d_name);
		if (err == -ENODEV && list[i]->d_name[0] != '.' &&
		    !sysfs_read_ull(path, &p->size) && n-- == 0) {
			snprintf(p->bdf, sizeof(p->bdf), "%.31s",
				 list[i]->d_name);
			err = wait_until_settled(p);
		}
		free(list[i]);
	}
	free(list);
	if (err && err != -ENODEV)
		tap_note("%s: available does not settle: %s", p->bdf, strerror(-err));
	return err;
}

int provider_find(struct provider *p)
{
	int err = provider_find_nth(p, 0);

	if (err == -ENODEV)
		tap_note("no PCI device publishes p2pmem: is there an nvme device with cmb_size_mb, and its driver bound?");
	return err;
}

bool provider_available_is_back(const struct provider *p, unsigned int ms)
{
	double end = clock_now() + ms * clock_scale() / 1000;
	unsigned long long now = 0;
	int err;

	do {
		err = provider_available(p, &now);
		if (!err && now == p->available)
			return true;
		clock_sleep_ms(5);
	} while (clock_now() < end);
	if (err)
		tap_note("available of %s: %s", p->bdf, strerror(-err));
	else
		tap_note("available of %s is %llu, was %llu", p->bdf, now,
			 p->available);
	return false;
}

int provider_bind(const struct provider *p)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", p->driver);
	err = sysfs_write(path, p->bdf);
	if (err) {
		tap_note("bind of %s: %s", p->bdf, strerror(-err));
		return err;
	}
	return provider_available_is_back(p, 15000) ? 0 : -ETIMEDOUT;
}

static int write_in_child(struct unbind *u, const char *path, const char *text)
{
	int fds[2];

	memset(u, 0, sizeof(*u));
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	u->start = clock_now();
	u->pid = fork();
	if (u->pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return -errno;
	}
	if (!u->pid) {
		struct report r;

		prctl(PR_SET_NAME, "unbind");
		r.start = clock_now();
		r.err = -sysfs_write(path, text);
		r.seconds = clock_now() - r.start;
		_exit(write(fds[1], &r, sizeof(r)) == sizeof(r) ? 0 : 1);
	}
	close(fds[1]);
	u->fd = fds[0];
	return 0;
}

int unbind_start(const struct provider *p, struct unbind *u)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind",
		 p->driver);
	return write_in_child(u, path, p->bdf);
}

int remove_start(const struct provider *p, struct unbind *u)
{
	char path[128];

	snprintf(path, sizeof(path), PCI "/%s/remove", p->bdf);
	return write_in_child(u, path, "1");
}

int provider_rescan(const struct provider *p)
{
	int err = sysfs_write("/sys/bus/pci/rescan", "1");

	if (err)
		return err;
	/* the driver binds by itself */
	return provider_available_is_back(p, 15000) ? 0 : -ETIMEDOUT;
}

bool unbind_wait(struct unbind *u, double seconds, char *stack, size_t size)
{
	struct pollfd pfd = { .fd = u->fd, .events = POLLIN };
	struct report r;
	int n;

	if (u->done)
		return true;
	do {
		n = poll(&pfd, 1, (int)(seconds * 1000));
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		if (stack)
			stack_of(u->pid, stack, size);
		return false;
	}
	if (read(u->fd, &r, sizeof(r)) != sizeof(r)) {
		/* it died before it could tell */
		r.err = ECHILD;
		r.start = u->start;
		r.seconds = clock_now() - u->start;
	}
	waitpid(u->pid, NULL, 0);
	close(u->fd);
	u->done = true;
	u->err = r.err;
	u->start = r.start;
	u->seconds = r.seconds;
	return true;
}

double unbind_limit(void)
{
	return 5 * clock_scale();
}

bool unbind_now(const struct provider *p, struct unbind *u)
{
	int err = unbind_start(p, u);

	if (err) {
		tap_note("cannot start the unbind: %s", strerror(-err));
		return false;
	}
	if (unbind_wait(u, unbind_limit(), NULL, 0))
		return true;
	tap_note("the unbind did not return within %.0f s", unbind_limit());
	stack_note(u->pid, "the unbind");
	return false;
}
