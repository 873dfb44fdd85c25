/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel does for a task, from /proc/PID/stack (root). */
#ifndef REVPIN_STACKS_H
#define REVPIN_STACKS_H

#include <stddef.h>
#include <sys/types.h>

/* Copies the stack of a task; an empty string when it cannot be read. */
void stack_of(pid_t pid, char *buf, size_t size);
/* Prints, as TAP notes, the stack of every thread in D state. */
void stacks_note_blocked(void);
void stack_note(pid_t pid, const char *what);

#endif
