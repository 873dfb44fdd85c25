// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Can a PCI device reach a provider's memory?
 *
 * The kernel answers that inside (pci_p2pdma_distance()) and tells nobody. Two
 * of its three reasons can be seen from here: a bridge above both without ACS
 * redirection on the way, and a CPU that is known to forward such traffic. The
 * third is its list of host bridges; a copy of that would be out of date
 * with the next kernel, so that case is "unknown".
 */
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHAIN_MAX	64

/* The device and the bridges above it, the topmost first. */
struct chain {
	int n;
	char bdf[CHAIN_MAX][REVPIN_BDF_SIZE];
};

static int chain_read(const char *bdf, struct chain *c)
{
	char path[REVPIN_PATH_SIZE], real[PATH_MAX], *word, *save;
	int err;

	err = rp_path(path, PCI_DEVICES "/%s", bdf);
	if (err)
		return err;
	if (!realpath(path, real))
		return errno == ENOENT ? -ENODEV : -errno;
	c->n = 0;
	for (word = strtok_r(real, "/", &save); word;
	     word = strtok_r(NULL, "/", &save)) {
		if (revpin_bdf(word, c->bdf[c->n]))
			continue;
		if (++c->n == CHAIN_MAX)
			return -E2BIG;
	}
	return c->n ? 0 : -ENODEV;
}

/* A key of /proc/cpuinfo, of the first CPU. */
static const char *cpu_field(const char *text, const char *key, size_t *len)
{
	const char *line = text, *end, *val;
	size_t k = strlen(key);

	while (*line) {
		end = strchrnul(line, '\n');
		if (!strncmp(line, key, k) && strchr(" \t:", line[k])) {
			val = memchr(line, ':', end - line);
			if (val) {
				val++;
				while (val < end && *val == ' ')
					val++;
				*len = end - val;
				return val;
			}
		}
		line = *end ? end + 1 : end;
	}
	return NULL;
}

bool rp_cpu_allows(const char *cpuinfo)
{
	const char *vendor, *family;
	size_t len;

	vendor = cpu_field(cpuinfo, "vendor_id", &len);
	if (!vendor || len != strlen("AuthenticAMD") ||
	    strncmp(vendor, "AuthenticAMD", len))
		return false;
	/* from Zen on */
	family = cpu_field(cpuinfo, "cpu family", &len);
	return family && strtol(family, NULL, 10) >= 0x17;
}

static uint16_t word_at(const uint8_t *config, size_t pos)
{
	return config[pos] | config[pos + 1] << 8;
}

int rp_acs_redirects(const uint8_t *config, size_t len)
{
	size_t pos = 0x100;
	int hops;

	/* each capability has four bytes at least: a longer way is a loop */
	for (hops = 0; hops < (4096 - 256) / 4; hops++) {
		if (pos + 8 > len)
			return -ENODATA;
		if (word_at(config, pos) == 0x000d)	/* ACS */
			/* request, completion redirect, egress control */
			return !!(word_at(config, pos + 6) &
				  (1 << 2 | 1 << 3 | 1 << 5));
		pos = word_at(config, pos + 2) >> 4 & 0xffc;
		if (pos < 0x100)
			return 0;
	}
	return -ENODATA;
}

static int acs_of(const char *bdf)
{
	char path[REVPIN_PATH_SIZE], *text;
	size_t len;
	int err;

	err = rp_path(path, PCI_DEVICES "/%s/config", bdf);
	if (!err)
		err = rp_read_all(path, &text, &len);
	if (err)
		return err;
	/*
	 * 256 bytes are a conventional device, which has no ACS; the first 64
	 * are all that others than root get to see.
	 */
	err = len == 256 ? 0 : rp_acs_redirects((const uint8_t *)text, len);
	free(text);
	return err;
}

__attribute__((format(printf, 4, 5)))
static int answer(enum revpin_p2p what, char *why, size_t size,
		  const char *fmt, ...)
{
	va_list ap;

	if (size) {
		va_start(ap, fmt);
		vsnprintf(why, size, fmt, ap);
		va_end(ap);
	}
	return what;
}

static int through_host(char *why, size_t size, const char *because)
{
	char path[REVPIN_PATH_SIZE], *text;
	size_t len;
	bool allows;
	int err;

	err = rp_path(path, "/proc/cpuinfo");
	if (!err)
		err = rp_read_all(path, &text, &len);
	if (err)
		return err;
	allows = rp_cpu_allows(text);
	free(text);
	if (allows)
		return answer(REVPIN_P2P_HOST, why, size,
			      "%s; this CPU forwards P2P through its host bridge",
			      because);
	return answer(REVPIN_P2P_UNKNOWN, why, size,
		      "%s; whether the host bridge is on the kernel's list is only seen by trying (the kernel log says if not)",
		      because);
}

int revpin_provider_p2p(const struct revpin_provider *provider,
			const char *client, char *why, size_t size)
{
	char bdf[REVPIN_BDF_SIZE];
	struct chain a, b;
	int err, i, shared;

	err = revpin_bdf(client, bdf);
	if (!err)
		err = chain_read(revpin_provider_bdf(provider), &a);
	if (!err)
		err = chain_read(bdf, &b);
	if (err)
		return err;

	for (shared = 0; shared < a.n && shared < b.n; shared++)
		if (strcmp(a.bdf[shared], b.bdf[shared]))
			break;
	if (!shared)
		return through_host(why, size, "no bridge is above both devices");
	for (i = shared; i < a.n || i < b.n; i++) {
		err = i < a.n ? acs_of(a.bdf[i]) : 0;
		if (!err && i < b.n)
			err = acs_of(b.bdf[i]);
		if (err == 1)
			return through_host(why, size,
					    "ACS redirects what is sent below the shared bridge to the host bridge");
		if (err == -ENODATA || err == -EACCES)
			return answer(REVPIN_P2P_UNKNOWN, why, size,
				      "bridge %s is above both devices; only root can see whether ACS redirects",
				      a.bdf[shared - 1]);
		if (err)
			return err;
	}
	return answer(REVPIN_P2P_BRIDGE, why, size,
		      "bridge %s is above both devices", a.bdf[shared - 1]);
}
