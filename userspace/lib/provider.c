// SPDX-License-Identifier: LGPL-2.1 OR MIT
/* Providers, as sysfs shows them. */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct revpin_provider {
	char bdf[REVPIN_BDF_SIZE];
};

/*
 * A file of p2pmem/. Between two calls the driver can be unbound or the device
 * be removed: what is then missing, or stale while it is read, is the device.
 */
static int read_p2pmem(const char *bdf, const char *name, uint64_t *val)
{
	char path[REVPIN_PATH_SIZE];
	int err;

	err = rp_path(path, PCI_DEVICES "/%s/p2pmem/%s", bdf, name);
	if (!err)
		err = rp_read_u64(path, val);
	return err == -ENOENT || err == -ENOTDIR ? -ENODEV : err;
}

int revpin_provider_open(const char *text, struct revpin_provider **provider)
{
	struct revpin_provider *p;
	char path[REVPIN_PATH_SIZE], bdf[REVPIN_BDF_SIZE];
	uint64_t size;
	int err;

	err = revpin_bdf(text, bdf);
	if (err)
		return err;
	err = rp_path(path, PCI_DEVICES "/%s", bdf);
	if (err)
		return err;
	if (access(path, F_OK))
		return -ENODEV;
	err = read_p2pmem(bdf, "size", &size);
	if (err)	/* the device is there and offers nothing */
		return err == -ENODEV ? -ENXIO : err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	memcpy(p->bdf, bdf, sizeof(bdf));
	*provider = p;
	return 0;
}

void revpin_provider_close(struct revpin_provider *provider)
{
	free(provider);
}

void revpin_provider_list_free(struct revpin_provider **list)
{
	size_t i;

	if (!list)
		return;
	for (i = 0; list[i]; i++)
		revpin_provider_close(list[i]);
	free(list);
}

static int by_bdf(const void *a, const void *b)
{
	const struct revpin_provider *const *x = a, *const *y = b;
	size_t m = strlen((*x)->bdf), n = strlen((*y)->bdf);

	/* a domain of more than four digits is a higher one */
	if (m != n)
		return m < n ? -1 : 1;
	return strcmp((*x)->bdf, (*y)->bdf);
}

int revpin_provider_list(struct revpin_provider ***list)
{
	struct revpin_provider **all, **more, *p;
	char path[REVPIN_PATH_SIZE];
	struct dirent *d;
	int err, n = 0;
	DIR *dir;

	err = rp_path(path, PCI_DEVICES);
	if (err)
		return err;
	all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	dir = opendir(path);
	if (!dir) {
		err = -errno;
		/* a machine without PCI has no providers */
		if (err == -ENOENT)
			goto out;
		goto err;
	}
	while ((d = readdir(dir))) {
		err = revpin_provider_open(d->d_name, &p);
		/* no device, not a provider, or gone meanwhile */
		if (err == -EINVAL || err == -ENXIO || err == -ENODEV)
			continue;
		if (err)
			goto err_dir;
		more = realloc(all, (n + 2) * sizeof(*all));
		if (!more) {
			revpin_provider_close(p);
			err = -ENOMEM;
			goto err_dir;
		}
		all = more;
		all[n++] = p;
		all[n] = NULL;
	}
	closedir(dir);
	qsort(all, n, sizeof(*all), by_bdf);
out:
	*list = all;
	return n;
err_dir:
	closedir(dir);
err:
	revpin_provider_list_free(all);
	return err;
}

const char *revpin_provider_bdf(const struct revpin_provider *provider)
{
	return provider->bdf;
}

int revpin_provider_driver(const struct revpin_provider *provider, char *buf,
			   size_t size)
{
	char path[REVPIN_PATH_SIZE], link[PATH_MAX];
	const char *name;
	ssize_t n;
	int err;

	err = rp_path(path, PCI_DEVICES "/%s/driver", provider->bdf);
	if (err)
		return err;
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	link[n] = '\0';
	name = strrchr(link, '/');
	name = name ? name + 1 : link;
	if (strlen(name) >= size)
		return -ENOBUFS;
	memcpy(buf, name, strlen(name) + 1);
	return 0;
}

int revpin_provider_size(const struct revpin_provider *provider,
			 uint64_t *bytes)
{
	return read_p2pmem(provider->bdf, "size", bytes);
}

int revpin_provider_available(const struct revpin_provider *provider,
			      uint64_t *bytes)
{
	return read_p2pmem(provider->bdf, "available", bytes);
}

int revpin_provider_published(const struct revpin_provider *provider)
{
	uint64_t val;
	int err = read_p2pmem(provider->bdf, "published", &val);

	return err ? err : !!val;
}
