// SPDX-License-Identifier: GPL-2.0
/* revpin check: is this machine ready? */
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

enum verdict { NO, YES, UNKNOWN };

struct checks {
	struct json_object *all;	/* NULL: text */
	struct table *table;
	char advice[4096];
	bool ready, sure;
};

/* An item; what is optional does not make the machine unready. */
__attribute__((format(printf, 6, 7)))
static void item(struct checks *c, const char *name, enum verdict v,
		 bool required, const char *advice, const char *fmt, ...)
{
	static const char *const words[] = { "no", "yes", "unknown" };
	static const enum colour colours[] = { RED, GREEN, YELLOW };
	char text[512], safe[SAFE_TEXT];
	struct json_object *o;
	size_t used = strlen(c->advice);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (v == NO && required)
		c->ready = false;
	if (v == UNKNOWN)
		c->sure = false;
	if (c->all) {
		o = json_object_new_object();
		json_text(o, "check", name);
		json_text(o, "answer", words[v]);
		json_object_object_add(o, "required",
				       json_object_new_boolean(required));
		json_text(o, "text", text);
		json_object_object_add(o, "advice", v == YES ? NULL :
				       json_object_new_string(advice));
		json_object_array_add(c->all, o);
		return;
	}
	table_cell(c->table, PLAIN, "%s", name);
	table_cell(c->table, v == NO && !required ? YELLOW : colours[v],
		   "%s%s", words[v], v == NO && !required ? " (optional)" : "");
	table_cell(c->table, PLAIN, "%s", safe_text(text, safe));
	if (v != YES && *advice)
		snprintf(c->advice + used, sizeof(c->advice) - used,
			 "  %s: %s\n", name, advice);
}

static void check_kernel(struct checks *c, const struct utsname *u)
{
	bool yes = revpin_supported();

	item(c, "kernel", yes ? YES : NO, true,
	     "boot a kernel with the revpin series and CONFIG_PFN_REVOKE=y",
	     yes ? "%s revokes long-term pins" :
		   "%s refuses long-term pins (p2pdma.revoke_timeout is not there)",
	     u->release);
}

/* Can be seen who holds what? Without it all works but that. */
static void check_list(struct checks *c)
{
	char path[REVPIN_PATH_SIZE];
	const char *why = NULL;

	if (!revpin_supported() || rp_path(path, HOLDERS))
		return;
	/* others than root get no further than to the mount point */
	if (access(path, F_OK) && errno != EACCES)
		why = no_list(-errno);
	if (why)
		item(c, "list", NO, false, why,
		     "no list of who holds what; unbinding works without");
	else
		item(c, "list", YES, false, "",
		     "who holds what is in " HOLDERS ", for root");
}

/* The kernel's configuration, compressed or not; NULL if there is none. */
static char *config_text(const char *release)
{
	char path[REVPIN_PATH_SIZE], *text = NULL;
	size_t size = (size_t)1 << 20;
	gzFile f = NULL;
	int n;

	if (!rp_path(path, "/proc/config.gz"))
		f = gzopen(path, "r");
	if (!f && !rp_path(path, "/boot/config-%s", release))
		f = gzopen(path, "r");
	if (!f)
		return NULL;
	text = malloc(size);
	n = text ? gzread(f, text, (unsigned int)size - 1) : -1;
	gzclose(f);
	if (n <= 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

static bool has_option(const char *text, const char *option)
{
	size_t n = strlen(option);
	const char *at = text;

	for (; (at = strstr(at, option)); at += n)
		if ((at == text || at[-1] == '\n') &&
		    (!strncmp(at + n, "=y", 2) || !strncmp(at + n, "=m", 2)))
			return true;
	return false;
}

static void check_options(struct checks *c, const struct utsname *u)
{
	static const char *const wanted[] = {
		"CONFIG_PFN_REVOKE", "CONFIG_PCI_P2PDMA", "CONFIG_ZONE_DEVICE",
		"CONFIG_INFINIBAND_USER_ACCESS",
	};
	char missing[256] = "";
	char *text = config_text(u->release);
	size_t i, used;

	if (!text) {
		item(c, "options", UNKNOWN, true,
		     "compare the kernel's configuration by hand with CONFIG_PFN_REVOKE, PCI_P2PDMA, ZONE_DEVICE, INFINIBAND_USER_ACCESS",
		     "neither /proc/config.gz nor /boot/config-%s can be read",
		     u->release);
		return;
	}
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		used = strlen(missing);
		if (!has_option(text, wanted[i]))
			snprintf(missing + used, sizeof(missing) - used, "%s%s",
				 used ? ", " : "", wanted[i]);
	}
	free(text);
	if (*missing)
		item(c, "options", NO, true,
		     "build the kernel with them (CONFIG_PFN_REVOKE comes with the revpin series)",
		     "not set: %s", missing);
	else
		item(c, "options", YES, true, "", "all are set");
}

static void check_provider(struct checks *c, struct revpin_provider **list)
{
	uint64_t size = 0, available = 0;
	const char *bdf = NULL, *full = NULL;
	char a[SIZE_TEXT], b[SIZE_TEXT];
	int n = 0, i;

	for (i = 0; list && list[i]; i++) {
		if (revpin_provider_size(list[i], &size) ||
		    revpin_provider_available(list[i], &available))
			continue;
		n++;
		full = revpin_provider_bdf(list[i]);
		if (!available)
			continue;
		bdf = full;
		break;
	}
	if (bdf)
		item(c, "provider", YES, true, "",
		     "%s: %s, %s available", bdf, size_text(size, a),
		     size_text(available, b));
	else if (n)
		item(c, "provider", NO, true,
		     "end the programs that hold it ('revpin holders'), or wait for them",
		     "%s and all others have none left", full);
	else
		item(c, "provider", NO, true,
		     "bind the driver of a device with memory to share: nvme and a controller memory buffer (in QEMU -device nvme,cmb_size_mb=64)",
		     "no PCI device offers peer-to-peer memory");
}

static bool visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The PCI address of an RDMA device; false if it is none. */
static bool parent(const char *name, char bdf[REVPIN_BDF_SIZE])
{
	char path[REVPIN_PATH_SIZE], link[4096];
	const char *last;
	ssize_t n;

	if (rp_path(path, "/sys/class/infiniband/%.64s/device", name))
		return false;
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return false;
	link[n] = '\0';
	last = strrchr(link, '/');
	return !revpin_bdf(last ? last + 1 : link, bdf);
}

static void check_reach(struct checks *c, const char *rdma,
			struct revpin_provider **list)
{
	char bdf[REVPIN_BDF_SIZE], why[256] = "";
	int got;

	if (!parent(rdma, bdf)) {
		item(c, "reach", YES, true, "",
		     "%s is no PCI device: the CPU copies for it", rdma);
		return;
	}
	if (!list || !*list)
		return;
	got = revpin_provider_p2p(*list, bdf, why, sizeof(why));
	if (got < 0)
		item(c, "reach", UNKNOWN, true, "look again as root",
		     "%s to %s: %s", rdma, revpin_provider_bdf(*list),
		     strerror(-got));
	else
		item(c, "reach", got == REVPIN_P2P_UNKNOWN ? UNKNOWN : YES,
		     true,
		     "register memory once and read the kernel log: pci_p2pdma says there why not",
		     "%s to %s: %s", rdma, revpin_provider_bdf(*list), why);
}

static void check_rdma(struct checks *c, struct revpin_provider **list)
{
	char path[REVPIN_PATH_SIZE];
	struct dirent *d;
	DIR *dir = NULL;
	int n = 0;

	if (!rp_path(path, "/sys/class/infiniband"))
		dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (!visible(d))
			continue;
		n++;
		item(c, "rdma", YES, true, "", "%s", d->d_name);
		check_reach(c, d->d_name, list);
	}
	if (dir)
		closedir(dir);
	if (!n)
		item(c, "rdma", NO, true,
		     "load the driver of an RDMA device, or make a software one: rdma link add rxe0 type rxe netdev NETDEV",
		     "there is no RDMA device");
}

static void check_uverbs(struct checks *c)
{
	char path[REVPIN_PATH_SIZE];
	bool some = false, usable = false;
	struct dirent *d;
	DIR *dir = NULL;

	if (!rp_path(path, "/sys/class/infiniband_verbs"))
		dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (strncmp(d->d_name, "uverbs", 6))
			continue;
		some = true;
		if (!rp_path(path, "/dev/infiniband/%.64s", d->d_name))
			usable |= !access(path, R_OK | W_OK);
	}
	if (dir)
		closedir(dir);
	if (usable)
		item(c, "verbs", YES, true, "", "user programs may use it");
	else if (some)
		item(c, "verbs", NO, true,
		     "give this user rights to /dev/infiniband/uverbs* (udev rule, group rdma)",
		     "/dev/infiniband/uverbs* cannot be opened by this user");
	else
		item(c, "verbs", NO, true, "modprobe ib_uverbs",
		     "there is no /dev/infiniband/uverbs*");
}

static void check_iommu(struct checks *c)
{
	char path[REVPIN_PATH_SIZE];
	char first[64] = "";
	struct dirent *d;
	DIR *dir = NULL;

	if (!rp_path(path, "/sys/class/iommu"))
		dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (visible(d) && (!*first || strcmp(d->d_name, first) < 0))
			snprintf(first, sizeof(first), "%.60s", d->d_name);
	if (dir)
		closedir(dir);
	if (*first)
		item(c, "iommu", YES, false, "", "%s", first);
	else
		item(c, "iommu", NO, false,
		     "switch it on in the firmware and on the kernel command line (intel_iommu=on) if VFIO is wanted",
		     "none; RDMA does without, VFIO does not");
}

#define CAP_IPC_LOCK_BIT	14

static bool may_lock_all(void)
{
	char path[REVPIN_PATH_SIZE], *text, *at;
	unsigned long long caps = 0;
	size_t len;

	if (rp_path(path, "/proc/self/status") || rp_read_all(path, &text, &len))
		return false;
	at = strstr(text, "\nCapEff:");
	if (at)
		caps = strtoull(at + strlen("\nCapEff:"), NULL, 16);
	free(text);
	return caps >> CAP_IPC_LOCK_BIT & 1;
}

static void check_memlock(struct checks *c, struct revpin_provider **list)
{
	uint64_t want = 0, available;
	char a[SIZE_TEXT], b[SIZE_TEXT];
	struct rlimit lim;
	int i;

	for (i = 0; list && list[i]; i++)
		if (!revpin_provider_available(list[i], &available) &&
		    available > want)
			want = available;
	if (may_lock_all())
		item(c, "memlock", YES, true, "",
		     "no limit for this user (CAP_IPC_LOCK)");
	else if (getrlimit(RLIMIT_MEMLOCK, &lim))
		item(c, "memlock", UNKNOWN, true, "", "%s", strerror(errno));
	else if (lim.rlim_cur == RLIM_INFINITY)
		item(c, "memlock", YES, true, "", "no limit");
	else
		item(c, "memlock", lim.rlim_cur >= want ? YES : NO, true,
		     "raise it: ulimit -l unlimited, memlock in /etc/security/limits.conf, or LimitMEMLOCK= of the service",
		     "%s may be locked, %s are available",
		     size_text(lim.rlim_cur, a), size_text(want, b));
}

int cmd_check(int argc, char **argv)
{
	static const char *const head[] = { "CHECK", "ANSWER", "", NULL };
	struct revpin_provider **list = NULL;
	struct checks c = { .ready = true, .sure = true };
	const char *verdict;
	struct json_object *o;
	struct utsname u;

	if (options(argc, argv, NULL, 0) < 0)
		return EXIT_USAGE;
	if (uname(&u))
		return fail_err(-errno, "uname");
	if (revpin_provider_list(&list) < 0)
		list = NULL;
	if (want_json)
		c.all = json_object_new_array();
	else
		c.table = table_new(head, "lll");
	check_kernel(&c, &u);
	check_list(&c);
	check_options(&c, &u);
	check_provider(&c, list);
	check_rdma(&c, list);
	check_uverbs(&c);
	check_iommu(&c);
	check_memlock(&c, list);
	revpin_provider_list_free(list);
	if (c.all) {
		o = json_object_new_object();
		json_object_object_add(o, "ready",
				       json_object_new_boolean(c.ready));
		json_object_object_add(o, "sure",
				       json_object_new_boolean(c.sure));
		json_object_object_add(o, "checks", c.all);
		json_print(o, false);
	} else {
		table_print(c.table, 0);
		if (*c.advice)
			printf("\nWhat to do:\n%s", c.advice);
		verdict = !c.ready ? "not ready" : c.sure ? "ready" :
			  "ready, as far as can be seen";
		printf("\n%s%s%s\n", colour_on(c.ready ? GREEN : RED), verdict,
		       colour_off(c.ready ? GREEN : RED));
	}
	return c.ready ? EXIT_DONE : EXIT_NO;
}
