// SPDX-License-Identifier: LGPL-2.1 OR MIT
/* Paths, files and numbers of the kernel. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rp_path(char buf[REVPIN_PATH_SIZE], const char *fmt, ...)
{
	/* For tests only; not obeyed by programs with raised privileges. */
	const char *root = secure_getenv("REVPIN_TEST_ROOT");
	size_t used = 0;
	va_list ap;
	int n;

	if (root) {
		used = strlen(root);
		if (used >= REVPIN_PATH_SIZE)
			return -ENAMETOOLONG;
		memcpy(buf, root, used);
	}
	va_start(ap, fmt);
	n = vsnprintf(buf + used, REVPIN_PATH_SIZE - used, fmt, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= REVPIN_PATH_SIZE - used ? -ENAMETOOLONG : 0;
}

int rp_read_all(const char *path, char **text, size_t *len)
{
	size_t used = 0, size = 4096;
	char *buf = NULL, *more;
	ssize_t n;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		if (!buf || used == size) {
			size = buf ? size * 2 : size;
			err = -EFBIG;
			if (size > REVPIN_TEXT_MAX)
				goto err;
			more = realloc(buf, size + 1);
			err = -ENOMEM;
			if (!more)
				goto err;
			buf = more;
		}
		n = read(fd, buf + used, size - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			goto err;
		}
		if (!n)
			break;
		used += n;
	}
	close(fd);
	buf[used] = '\0';
	*text = buf;
	*len = used;
	return 0;
err:
	free(buf);
	close(fd);
	return err;
}

int rp_parse_u64(const char *text, uint64_t *val)
{
	unsigned long long v;
	char *end;
	int base = 10;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	/* strtoull() takes signs, white space and a second 0x as well */
	if (!((text[0] >= '0' && text[0] <= '9') ||
	      (base == 16 && strchr("abcdefABCDEF", text[0]) && text[0])))
		return -EBADMSG;
	if (base == 16 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		return -EBADMSG;
	errno = 0;
	v = strtoull(text, &end, base);
	if (errno)
		return -ERANGE;
	if (*end == '\n')
		end++;
	if (*end)
		return -EBADMSG;
	*val = v;
	return 0;
}

int rp_read_u64(const char *path, uint64_t *val)
{
	char *text;
	size_t len;
	int err;

	err = rp_read_all(path, &text, &len);
	if (err)
		return err;
	err = strlen(text) == len ? rp_parse_u64(text, val) : -EBADMSG;
	free(text);
	return err;
}

const char *revpin_version(void)
{
	return REVPIN_VERSION;
}

int revpin_supported(void)
{
	char path[REVPIN_PATH_SIZE];

	/* it is there with CONFIG_PFN_REVOKE only, for everyone to see */
	return !rp_path(path, "/sys/module/p2pdma/parameters/revoke_timeout") &&
	       !access(path, F_OK);
}
