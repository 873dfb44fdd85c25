// SPDX-License-Identifier: GPL-2.0
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

int hostile_open(void)
{
	int fd = open(HOSTILE_DEV, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int call(int fd, unsigned long cmd, struct test_pfn_arg *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static int on(int fd, unsigned long cmd, uint32_t id)
{
	struct test_pfn_arg arg = { .id = id };

	return call(fd, cmd, &arg);
}

int hostile_provide(int fd, uint64_t first, uint64_t last, uint32_t *id)
{
	struct test_pfn_arg arg = { .first = HPFN(first), .last = HPFN(last) };
	int err = call(fd, TEST_PFN_PROVIDE, &arg);

	*id = arg.id;
	return err;
}

int hostile_unprovide(int fd, uint32_t id)
{
	return on(fd, TEST_PFN_UNPROVIDE, id);
}

int hostile_revoke(int fd, uint32_t id, uint32_t other, uint32_t ms)
{
	struct test_pfn_arg arg = { .id = id, .other = other, .ms = ms };

	return call(fd, TEST_PFN_REVOKE, &arg);
}

static int part(int fd, uint32_t provider, uint64_t first, uint64_t last,
		uint32_t *id)
{
	struct test_pfn_arg arg = {
		.other = provider, .first = first, .last = last,
	};
	int err = call(fd, TEST_PFN_PART, &arg);

	*id = arg.id;
	return err;
}

int hostile_part(int fd, uint32_t provider, uint64_t first, uint64_t last,
		 uint32_t *id)
{
	return part(fd, provider, HPFN(first), HPFN(last), id);
}

int hostile_part_of_pfns(int fd, uint64_t first, uint64_t last, uint32_t *id)
{
	return part(fd, 0, first, last, id);
}

int hostile_revoke_part(int fd, uint32_t id)
{
	return on(fd, TEST_PFN_REVOKE_PART, id);
}

int hostile_reopen(int fd, uint32_t id)
{
	return on(fd, TEST_PFN_REOPEN, id);
}

int hostile_consumer(int fd, struct test_pfn_arg *how)
{
	return call(fd, TEST_PFN_CONSUMER, how);
}

int hostile_attach(int fd, uint32_t id, uint64_t first, uint64_t last,
		   uint32_t ms)
{
	struct test_pfn_arg arg = {
		.id = id, .ms = ms, .first = HPFN(first), .last = HPFN(last),
	};

	return call(fd, TEST_PFN_ATTACH, &arg);
}

int hostile_detach(int fd, uint32_t id)
{
	return on(fd, TEST_PFN_DETACH, id);
}

int hostile_go_on(int fd, uint32_t id)
{
	return on(fd, TEST_PFN_GO_ON, id);
}

int hostile_look(int fd, uint32_t id, struct test_pfn_arg *what)
{
	what->id = id;
	return call(fd, TEST_PFN_LOOK, what);
}
