/* SPDX-License-Identifier: GPL-2.0 */
/* pfn_revoke in debugfs: who holds memory that can be revoked. */
#ifndef REVPIN_HOLDERS_H
#define REVPIN_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOLDERS_PATH "/sys/kernel/debug/pfn_revoke"

struct holder {
	uint64_t start, end;
	uint64_t bytes;
	char state[16];
	double since;
	int pid;
	char consumer[64];
	char comm[80];			/* as it is written, escapes and all */
};

struct holders {
	char *text;			/* of the whole file */
	size_t len;
	/* the range of one provider */
	bool found;
	uint64_t start, end;
	char state[16];
	unsigned long pins;
	struct holder *pin;
	unsigned long nr;
};

/*
 * Reads the file, at most chunk bytes at a time (0: as many as fit), and picks
 * out the range of that provider. A line that is not as documented is -EPROTO,
 * with a note; whether pins= matches the lines is for the caller to see, who
 * knows whether anything changed meanwhile. Returns 0 or -errno.
 */
int holders_read(struct holders *h, const char *path, const char *provider,
		 size_t chunk);
void holders_free(struct holders *h);
/* How many pins of that process there are; -1 counts all. */
unsigned long holders_of(const struct holders *h, int pid, const char *state);

#endif
