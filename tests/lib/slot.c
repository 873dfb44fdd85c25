// SPDX-License-Identifier: GPL-2.0
#include "slot.h"
#include "clock.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/serial.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define PCI "/sys/bus/pci/devices"
/* run-guest's two machines */
#ifdef __x86_64__
#define MONITOR "/dev/ttyS2"
#else
#define MONITOR "/dev/ttyS1"
#endif

#define CAP_POINTER 0x34
#define CAP_EXPRESS 0x10
#define SLOT_CONTROL 0x18
#define SLOT_INTERRUPT 0x0020
#define SLOT_OFF 0x0700		/* power indicator and power */

static char port_config[300];
static int monitor = -1;
static bool pulled;

static int open_monitor(void)
{
	struct serial_struct line;
	struct termios tio;
	int fd, err;

	/* ttyS0 has the interrupt that this line wants: it is polled instead */
	fd = open(MONITOR, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TIOCGSERIAL, &line))
		goto err;
	line.irq = 0;
	if (ioctl(fd, TIOCSSERIAL, &line))
		goto err;
	close(fd);
	fd = open(MONITOR, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &tio))
		goto err;
	cfmakeraw(&tio);
	if (tcsetattr(fd, TCSANOW, &tio))
		goto err;
	return fd;
err:
	err = -errno;
	close(fd);
	return err;
}

/* Sends one command (QMP) and waits for its answer. 0 or -errno. */
static int command(const char *json, bool quiet)
{
	double end = clock_now() + 10 * clock_scale();
	struct pollfd pfd = { .fd = monitor, .events = POLLIN };
	char answer[4096] = "", *error;
	size_t have = 0;
	ssize_t n;

	tcflush(monitor, TCIFLUSH);
	if (write(monitor, json, strlen(json)) < 0)
		return -errno;
	/* events may come in between */
	while (clock_now() < end && have < sizeof(answer) - 1) {
		if (poll(&pfd, 1, 200) <= 0)
			continue;
		n = read(monitor, answer + have, sizeof(answer) - 1 - have);
		if (n > 0)
			have += (size_t)n;
		answer[have] = '\0';
		if (strstr(answer, "\"return\""))
			return 0;
		error = strstr(answer, "\"error\":");
		if (!error || !strchr(error, '\n'))
			continue;
		/* the suite before this one may have said hello already */
		if (strstr(error, "negotiation is already complete"))
			return 0;
		if (strstr(error, "Duplicate device ID") ||
		    strstr(error, "Permission conflict on node"))
			return -EEXIST;
		if (!quiet)
			tap_note("monitor: %s", error);
		return -EIO;
	}
	tap_note("the monitor does not answer '%s': '%s'", json, answer);
	return -ETIMEDOUT;
}

/* Reads until nothing has come for a while. */
static void drain(void)
{
	struct pollfd pfd = { .fd = monitor, .events = POLLIN };
	char buf[256];

	while (poll(&pfd, 1, 300) > 0 && read(monitor, buf, sizeof(buf)) > 0)
		;
}

int slot_init(const struct provider *p)
{
	char link[128], real[PATH_MAX], *end;
	int i, err;

	snprintf(link, sizeof(link), PCI "/%s", p->bdf);
	if (!realpath(link, real))
		return -errno;
	end = strrchr(real, '/');
	*end = '\0';
	snprintf(port_config, sizeof(port_config), "%.280s/config", real);
	if (monitor < 0)
		monitor = open_monitor();
	err = monitor < 0 ? monitor : -EIO;
	/*
	 * The line echoed until it was raw, so the monitor has heard the
	 * beginning of its own words and waits for the rest. 0xff is nothing
	 * that JSON knows: it starts anew.
	 */
	for (i = 0; (err == -EIO || err == -ETIMEDOUT) && i < 5; i++) {
		if (write(monitor, "\xff\n", 2) < 0)
			return -errno;
		drain();
		err = command("\n{\"execute\":\"qmp_capabilities\"}\n", true);
	}
	if (err)
		tap_note(MONITOR ": %s (run-guest --hotplug gives the guest a monitor)",
			 strerror(-err));
	return err;
}

int slot_eject(void)
{
	return command("{\"execute\":\"device_del\",\"arguments\":{\"id\":\"provider\"}}\n", false);
}

/* Where the port's Slot Control is in its configuration space, 0 if nowhere. */
static off_t slot_control(int fd)
{
	uint8_t cap, head[2];
	int i;

	if (pread(fd, &cap, 1, CAP_POINTER) != 1)
		return 0;
	for (i = 0; cap && i < 48; i++, cap = head[1]) {
		if (pread(fd, head, 2, cap) != 2)
			return 0;
		if (head[0] == CAP_EXPRESS)
			return cap + SLOT_CONTROL;
	}
	return 0;
}

int slot_power_off(void)
{
	uint16_t control, off;
	int fd, err = 0;
	off_t at;

	fd = open(port_config, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	at = slot_control(fd);
	if (!at || pread(fd, &control, 2, at) != 2) {
		err = -ENXIO;
		goto out;
	}
	/*
	 * The machine takes a device out whose slot is dark and without power.
	 * The port's driver is to find an empty slot, not one that somebody
	 * switched off: its interrupt waits meanwhile.
	 */
	off = (control & ~SLOT_INTERRUPT) | SLOT_OFF;
	if (pwrite(fd, &off, 2, at) != 2 || pwrite(fd, &control, 2, at) != 2)
		err = -EIO;
	pulled = !err;
out:
	close(fd);
	return err;
}

/*
 * The port's driver switches the slot off, at leisure, when it has found it
 * empty. A device that comes before that would go with it.
 */
static int wait_until_off(void)
{
	double end = clock_now() + 10 * clock_scale();
	uint16_t control = 0;
	off_t at;
	int fd;

	fd = open(port_config, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	at = slot_control(fd);
	while (clock_now() < end && (control & SLOT_OFF) != SLOT_OFF) {
		if (!at || pread(fd, &control, 2, at) != 2)
			break;
		clock_sleep_ms(20);
	}
	close(fd);
	return (control & SLOT_OFF) == SLOT_OFF ? 0 : -ETIMEDOUT;
}

double slot_wait_empty(const struct provider *p, double limit)
{
	double start = clock_now();
	char path[128];

	snprintf(path, sizeof(path), PCI "/%s", p->bdf);
	while (clock_now() < start + limit) {
		if (access(path, F_OK))
			return clock_now() - start;
		clock_sleep_ms(5);
	}
	return -1;
}

int slot_fill(const struct provider *p)
{
	static const char fill[] =
		"{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"nvme\",\"id\":\"provider\","
		"\"serial\":\"revpin\",\"drive\":\"disk\",\"cmb_size_mb\":64,\"bus\":\"rp9\"}}\n";
	int err = 0, i;

	if (pulled)
		err = wait_until_off();
	if (err)
		return err;
	pulled = false;
	/*
	 * The guest is done with the old device before the machine is, which
	 * has its id and its disk for a moment still.
	 */
	for (i = 0; i < 50; i++) {
		err = command(fill, false);
		if (err != -EEXIST)
			break;
		clock_sleep_ms(100);
	}
	if (err)
		return err;
	/* the driver binds by itself; a slot's power takes a second or more */
	return provider_available_is_back(p, 30000) ? 0 : -ETIMEDOUT;
}
