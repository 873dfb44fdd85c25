/* SPDX-License-Identifier: GPL-2.0 */
/* Pinned memory and the limit on it. */
#ifndef REVPIN_ACCOUNT_H
#define REVPIN_ACCOUNT_H

#include <stddef.h>
#include <sys/types.h>

/* VmPin of a process in KiB, which is where ib_umem charges; -1 if unknown. */
long account_pinned(pid_t pid);
/* Sets RLIMIT_MEMLOCK of this process. 0 or -errno. */
int account_limit(size_t bytes);

#endif
