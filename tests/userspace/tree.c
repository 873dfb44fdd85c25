// SPDX-License-Identifier: GPL-2.0
#include "tree.h"

#include <err.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static int drop(const char *path, const struct stat *st, int flag,
		struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* The path below root, with the folders above it made. */
static void below(char buf[512], const char *path)
{
	char *s;

	if (snprintf(buf, 512, "%s/%s", root, path) >= 512)
		errx(2, "%s is too long", path);
	for (s = buf + strlen(root) + 1; (s = strchr(s, '/')); *s++ = '/') {
		*s = '\0';
		if (mkdir(buf, 0755) && errno != EEXIST)
			err(2, "%s", buf);
	}
}

void tree_make(void)
{
	strcpy(root, "/tmp/revpin-tree.XXXXXX");
	if (!mkdtemp(root) || chmod(root, 0755))
		err(2, "%s", root);
	setenv("REVPIN_TEST_ROOT", root, 1);
	tree_file("sys/bus/pci/devices/.keep", "x");
	tree_remove("sys/bus/pci/devices/.keep");
	tree_file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n"
		  "cpu family\t: 6\n");
}

void tree_drop(void)
{
	if (nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS))
		err(2, "%s", root);
}

void tree_bytes(const char *path, const void *data, size_t len)
{
	char buf[512];
	FILE *f;

	below(buf, path);
	f = fopen(buf, "w");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f))
		err(2, "%s", buf);
}

void tree_file(const char *path, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		errx(2, "out of memory");
	tree_bytes(path, text, (size_t)n);
	free(text);
}

void tree_link(const char *path, const char *to)
{
	char buf[512];

	below(buf, path);
	if (symlink(to, buf) && errno != EEXIST)
		err(2, "%s", buf);
}

void tree_remove(const char *path)
{
	char buf[512];

	below(buf, path);
	if (nftw(buf, drop, 16, FTW_DEPTH | FTW_PHYS))
		err(2, "%s", buf);
}

void tree_mode(const char *path, unsigned int mode)
{
	char buf[512];

	below(buf, path);
	if (chmod(buf, mode))
		err(2, "%s", buf);
}

void tree_device(const char *where, const char *bdf)
{
	static const char nothing[4096];
	char path[256], to[256];

	snprintf(path, sizeof(path), "sys/devices/%s/%s/config", where, bdf);
	tree_bytes(path, nothing, sizeof(nothing));
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	snprintf(to, sizeof(to), "../../../devices/%s/%s", where, bdf);
	tree_link(path, to);
}

void tree_provider(const char *where, const char *bdf, unsigned long size)
{
	char path[256], to[256];
	void *zeroes;

	tree_device(where, bdf);
	snprintf(path, sizeof(path), "sys/devices/%s/%s/p2pmem/size", where,
		 bdf);
	tree_file(path, "%lu\n", size);
	snprintf(path, sizeof(path), "sys/devices/%s/%s/p2pmem/available",
		 where, bdf);
	tree_file(path, "%lu\n", size - 4096);
	snprintf(path, sizeof(path), "sys/devices/%s/%s/p2pmem/published",
		 where, bdf);
	tree_file(path, "1\n");
	zeroes = calloc(1, size);
	snprintf(path, sizeof(path), "sys/devices/%s/%s/p2pmem/allocate",
		 where, bdf);
	tree_bytes(path, zeroes, size);
	free(zeroes);
	tree_file("sys/bus/pci/drivers/nvme/unbind", "%s", "");
	snprintf(path, sizeof(path), "sys/devices/%s/%s/driver", where, bdf);
	snprintf(to, sizeof(to), "%s/sys/bus/pci/drivers/nvme", root);
	tree_link(path, to);
}

void tree_acs(const char *where, const char *bdf, unsigned int control)
{
	unsigned char config[4096] = { 0 };
	char path[256];

	/* AER first, then ACS at 0x148 */
	config[0x100] = 0x01;
	config[0x102] = 0x81;
	config[0x103] = 0x14;
	config[0x148] = 0x0d;
	config[0x14a] = 0x01;
	config[0x14e] = (unsigned char)control;
	snprintf(path, sizeof(path), "sys/devices/%s/%s/config", where, bdf);
	tree_bytes(path, config, sizeof(config));
}
