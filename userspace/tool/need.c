// SPDX-License-Identifier: GPL-2.0
/* What commands need before they can begin. 0, or an exit code. */
#include "tool.h"

#include <errno.h>
#include <stdio.h>
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

	return err ? fail_err(err, "cannot read who holds what") : 0;
}
