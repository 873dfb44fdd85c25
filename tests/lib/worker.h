/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Other processes that take part in a test. A worker and the test speak in
 * single bytes; numbers go through memory that both share.
 */
#ifndef REVPIN_WORKER_H
#define REVPIN_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct worker {
	pid_t pid;
	int fd;
	char name[24];
};

/* Zeroed memory that forked processes share; NULL on failure. */
void *worker_shared(size_t size);
void worker_unshare(void *mem, size_t size);

/* Runs fn(fd, arg) in a new process, which ends with what fn returns. */
int worker_start(struct worker *w, const char *name,
		 int (*fn)(int fd, void *arg), void *arg);
/* Both ends of a line between two workers. */
bool worker_channel(int fds[2]);
/* For both sides. Time-outs are stretched on the debug kernel. */
bool worker_tell(int fd, char what);
/* True when the next byte is that one. False: another, closed, or too late. */
bool worker_hear(int fd, char what, double seconds);
/* Has a byte come? Does not wait. */
bool worker_pending(int fd);
/* Has it ended (or closed its side)? Does not wait. */
bool worker_gone(const struct worker *w);
/* The wait status; kills the worker and returns -1 when it does not end. */
int worker_join(struct worker *w, double seconds);
void worker_kill(struct worker *w, int sig);
/* Kills what a failed test left behind. Returns how many there were. */
int worker_sweep(void);

#endif
