// SPDX-License-Identifier: GPL-2.0
#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sysfs_read(const char *path, char *buf, size_t size)
{
	size_t have = 0;
	ssize_t n;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buf + have, size - 1 - have);
		if (n < 0) {
			err = -errno;
			break;
		}
		have += (size_t)n;
	} while (n > 0 && have < size - 1);
	buf[have] = '\0';
	close(fd);
	return err;
}

int sysfs_read_ull(const char *path, unsigned long long *val)
{
	char buf[64], *end;
	int err = sysfs_read(path, buf, sizeof(buf));

	if (err)
		return err;
	errno = 0;
	*val = strtoull(buf, &end, 0);
	if (errno || end == buf)
		return -EINVAL;
	return 0;
}

int sysfs_write(const char *path, const char *text)
{
	int fd, err = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int sysfs_read_key(const char *path, const char *key, unsigned long long *val)
{
	char buf[8192];
	char *at = buf;
	int err = sysfs_read(path, buf, sizeof(buf));

	if (err)
		return err;
	while (at) {
		if (!strncmp(at, key, strlen(key))) {
			*val = strtoull(at + strlen(key), NULL, 0);
			return 0;
		}
		at = strchr(at, '\n');
		if (at)
			at++;
	}
	return -ENOENT;
}
