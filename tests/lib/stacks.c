// SPDX-License-Identifier: GPL-2.0
#include "stacks.h"
#include "tap.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void slurp(const char *path, char *buf, size_t size)
{
	ssize_t n, have = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	buf[0] = '\0';
	if (fd < 0)
		return;
	while (have < (ssize_t)size - 1) {
		n = read(fd, buf + have, size - 1 - have);
		if (n <= 0)
			break;
		have += n;
	}
	buf[have] = '\0';
	close(fd);
}

void stack_of(pid_t pid, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	slurp(path, buf, size);
}

static void note_lines(char *text)
{
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		tap_note("    %s", line);
}

void stack_note(pid_t pid, const char *what)
{
	char buf[4096];

	stack_of(pid, buf, sizeof(buf));
	tap_note("stack of %s (pid %d)%s", what, pid,
		 buf[0] ? ":" : ": not readable");
	note_lines(buf);
}

static void note_if_blocked(const char *pid, const char *tid)
{
	char path[300], stat[512], stack[4096];
	char *state;

	snprintf(path, sizeof(path), "/proc/%s/task/%s/stat", pid, tid);
	slurp(path, stat, sizeof(stat));
	/* "tid (comm) state ...", and comm may hold a bracket */
	state = strrchr(stat, ')');
	if (!state || state[1] != ' ' || state[2] != 'D')
		return;
	state[1] = '\0';
	snprintf(path, sizeof(path), "/proc/%s/task/%s/stack", pid, tid);
	slurp(path, stack, sizeof(stack));
	tap_note("blocked: %s", stat);
	note_lines(stack);
}

void stacks_note_blocked(void)
{
	struct dirent *p, *t;
	DIR *proc, *tasks;
	char path[300];

	proc = opendir("/proc");
	if (!proc)
		return;
	while ((p = readdir(proc))) {
		if (!isdigit((unsigned char)p->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task", p->d_name);
		tasks = opendir(path);
		if (!tasks)
			continue;
		while ((t = readdir(tasks)))
			if (isdigit((unsigned char)t->d_name[0]))
				note_if_blocked(p->d_name, t->d_name);
		closedir(tasks);
	}
	closedir(proc);
}
