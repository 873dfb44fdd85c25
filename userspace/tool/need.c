// SPDX-License-Identifier: GPL-2.0
/* What commands need before they can begin. 0, or an exit code. */
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int need_bdf(const char *text, char bdf[REVPIN_BDF_SIZE])
{
	char path[REVPIN_PATH_SIZE], safe[SAFE_TEXT];
	int err;

	if (revpin_bdf(text, bdf))
		return fail(EXIT_USAGE, "'%s' is not a PCI address; it looks like 0000:04:00.0 or 04:00.0",
			    safe_text(text, safe));
	err = rp_path(path, PCI_DEVICES "/%s", bdf);
	if (err)
		return fail_err(err, "%s", bdf);
	if (access(path, F_OK))
		return fail(EXIT_DEVICE, "there is no PCI device %s; lspci -D lists what there is",
			    bdf);
	return 0;
}

int need_provider(const char *text, struct revpin_provider **provider)
{
	char bdf[REVPIN_BDF_SIZE];
	int err, code;

	code = need_bdf(text, bdf);
	if (code)
		return code;
	err = revpin_provider_open(bdf, provider);
	if (err == -ENXIO)
		return fail(EXIT_DEVICE, "%s offers no peer-to-peer memory; 'revpin list' shows the devices that do",
			    bdf);
	if (err)
		return fail_err(err, "%s", bdf);
	return 0;
}

int need_holders(struct revpin_holders **holders)
{
	int err = revpin_holders_read(holders);

	return err ? fail_list(err, "cannot read who holds what") : 0;
}

/* Does that folder exist, and is something in it? */
static bool look_into(const char *path, bool *empty)
{
	const struct dirent *d;
	DIR *dir = opendir(path);

	*empty = true;
	if (!dir)
		return errno != ENOENT;
	while (*empty && (d = readdir(dir)))
		*empty = !strcmp(d->d_name, ".") || !strcmp(d->d_name, "..");
	closedir(dir);
	return true;
}

const char *no_list(int err)
{
	char path[REVPIN_PATH_SIZE];
	bool empty;

	if (err == -EOPNOTSUPP)
		return "this kernel does not revoke long-term pins; 'revpin check' says what is missing";
	if (err != -ENOENT || rp_path(path, DEBUGFS))
		return NULL;
	/* the folder comes with debugfs; it is empty until that is mounted */
	if (!look_into(path, &empty))
		return "this kernel has no debugfs: build it with CONFIG_DEBUG_FS=y, and boot it without debugfs=off";
	if (empty)
		return "debugfs is not mounted: mount -t debugfs debugfs " DEBUGFS;
	return DEBUGFS " has no file pfn_revoke: 'findmnt " DEBUGFS "' says whether debugfs is mounted there";
}

int fail_list(int err, const char *what)
{
	const char *why = no_list(err);

	if (!why)
		return fail_err(err, "%s", what);
	return fail(err == -EOPNOTSUPP ? EXIT_KERNEL : EXIT_LIST, "%s: %s",
		    what, why);
}
