// SPDX-License-Identifier: GPL-2.0
#include "holders.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int slurp(struct holders *h, const char *path, size_t chunk)
{
	size_t room = 0;
	ssize_t n;
	int fd, err = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		if (room - h->len < 65536) {
			char *more;

			room = room ? 2 * room : 1 << 20;
			more = realloc(h->text, room);
			if (!more) {
				err = -ENOMEM;
				break;
			}
			h->text = more;
		}
		n = read(fd, h->text + h->len,
			 chunk ? chunk : room - h->len - 1);
		if (n < 0)
			err = -errno;
		else
			h->len += (size_t)n;
	} while (n > 0);
	if (h->text)
		h->text[h->len] = '\0';
	close(fd);
	return err;
}

/* The value of ` key="..."` at *at, which moves behind it. */
static bool string_at(const char **at, const char *key, char *buf, size_t size)
{
	size_t len = strlen(key), n;
	const char *end;

	if (**at != ' ' || strncmp(*at + 1, key, len) ||
	    strncmp(*at + 1 + len, "=\"", 2))
		return false;
	*at += len + 3;
	end = strchr(*at, '"');
	if (!end)
		return false;
	n = (size_t)(end - *at);
	if (n >= size)
		return false;
	memcpy(buf, *at, n);
	buf[n] = '\0';
	*at = end + 1;
	return true;
}

static bool range_line(const char *at, struct holders *r, char *name,
		       size_t size)
{
	int n = 0;

	if (sscanf(at, "range start=0x%" SCNx64 " end=0x%" SCNx64
		   " state=%15s pins=%lu%n", &r->start, &r->end, r->state,
		   &r->pins, &n) != 4)
		return false;
	at += n;
	return string_at(&at, "provider", name, size) && !*at &&
	       r->start < r->end &&
	       (!strcmp(r->state, "open") || !strcmp(r->state, "part") ||
		!strcmp(r->state, "revoking") || !strcmp(r->state, "closed"));
}

static bool pin_line(const char *at, struct holder *p)
{
	unsigned long sec, usec;
	int n = 0;

	if (sscanf(at, "pin start=0x%" SCNx64 " end=0x%" SCNx64
		   " bytes=%" SCNu64 " state=%15s since=%lu.%6lu pid=%d%n",
		   &p->start, &p->end, &p->bytes, p->state, &sec, &usec,
		   &p->pid, &n) != 7)
		return false;
	at += n;
	p->since = (double)sec + (double)usec / 1e6;
	return string_at(&at, "consumer", p->consumer, sizeof(p->consumer)) &&
	       string_at(&at, "comm", p->comm, sizeof(p->comm)) && !*at &&
	       p->bytes == p->end - p->start + 1 && *p->consumer &&
	       (!strcmp(p->state, "attached") || !strcmp(p->state, "revoking") ||
		!strcmp(p->state, "revoked"));
}

static int parse(struct holders *h, const char *provider)
{
	char *copy = strdup(h->text), *save = NULL, *line;
	struct holders range;
	struct holder pin, *more;
	char name[128] = "";
	bool mine = false;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	for (line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (range_line(line, &range, name, sizeof(name))) {
			mine = !strcmp(name, provider);
			if (!mine)
				continue;
			h->found = true;
			h->start = range.start;
			h->end = range.end;
			h->pins = range.pins;
			memcpy(h->state, range.state, sizeof(h->state));
		} else if (name[0] && pin_line(line, &pin)) {
			if (!mine)
				continue;
			more = realloc(h->pin, (h->nr + 1) * sizeof(*more));
			if (!more) {
				err = -ENOMEM;
				break;
			}
			h->pin = more;
			h->pin[h->nr++] = pin;
		} else {
			tap_note("%s is not as documented: %s", HOLDERS_PATH,
				 line);
			err = -EPROTO;
			break;
		}
	}
	free(copy);
	return err;
}

int holders_read(struct holders *h, const char *path, const char *provider,
		 size_t chunk)
{
	int err;

	memset(h, 0, sizeof(*h));
	err = slurp(h, path, chunk);
	if (!err)
		err = parse(h, provider);
	if (err)
		holders_free(h);
	return err;
}

void holders_free(struct holders *h)
{
	free(h->text);
	free(h->pin);
	memset(h, 0, sizeof(*h));
}

unsigned long holders_of(const struct holders *h, int pid, const char *state)
{
	unsigned long i, n = 0;

	for (i = 0; i < h->nr; i++)
		if ((pid < 0 || h->pin[i].pid == pid) &&
		    !strcmp(h->pin[i].state, state))
			n++;
	return n;
}
