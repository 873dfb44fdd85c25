/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/test_pfn_revoke: providers and consumers of PFN-range revocation that do
 * what user space asks for, also what nobody should. Not part of the mailed
 * series.
 *
 * The memory is made up: TEST_PFN_PAGES PFNs from TEST_PFN_BASE on that no
 * machine has. Each of them counts the pins through which it may be touched.
 */
#ifndef _LIB_TEST_PFN_REVOKE_UAPI_H
#define _LIB_TEST_PFN_REVOKE_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define TEST_PFN_BASE		(1ULL << 62)
#define TEST_PFN_PAGES		1024

/* How many pins a consumer has */
#define TEST_PFN_PINS		8

/* What a callback does, in this order; the upper half is for finish() */
#define TEST_PFN_SLOW		0x001	/* waits for @ms milliseconds */
#define TEST_PFN_STUCK		0x002	/* waits for TEST_PFN_GO_ON */
#define TEST_PFN_ATTACH_IN	0x004	/* attaches @other to @first to @last */
#define TEST_PFN_IN_FINISH(x)	((x) << 16)
/* After an attach it does not look whether finish() has run */
#define TEST_PFN_FORGETS	0x100
/* finish() keeps the memory. Who revokes has to notice both */
#define TEST_PFN_KEEPS		TEST_PFN_IN_FINISH(0x100)

/**
 * struct test_pfn_arg - argument of every ioctl
 * @id: consumer, provider or part; out for those that make one
 * @flags: TEST_PFN_*, of TEST_PFN_CONSUMER
 * @ms: TEST_PFN_SLOW; the time between an attach and its record; the timeout of
 *	TEST_PFN_REVOKE, 0: none
 * @other: consumer for TEST_PFN_ATTACH_IN, 0: itself; provider of TEST_PFN_PART,
 *	0: whoever has @first, also a real one; a second provider for
 *	TEST_PFN_REVOKE, or 0
 * @first: first PFN
 * @last: last PFN, inclusive
 * @pins: out, as what follows: of TEST_PFN_LOOK. Pins that are attached, of
 *	those revoked too
 * @starts: how often
 * @finishes: how often
 * @late: callbacks after the end of the detach, or more than one of a kind
 * @ret: of TEST_PFN_ATTACH_IN the last time, 1 if never
 * @pad: nothing
 *
 * TEST_PFN_REVOKE and TEST_PFN_REVOKE_PART return how many of the made-up pages
 * may still be touched.
 */
struct test_pfn_arg {
	__u32 id;
	__u32 flags;
	__u32 ms;
	__u32 other;
	__u64 first;
	__u64 last;
	__u32 pins;
	__u32 starts;
	__u32 finishes;
	__u32 late;
	__s32 ret;
	__u32 pad;
};

#define TEST_PFN_PROVIDE	_IOWR('r', 0, struct test_pfn_arg)
#define TEST_PFN_UNPROVIDE	_IOW('r', 1, struct test_pfn_arg)
#define TEST_PFN_REVOKE		_IOW('r', 2, struct test_pfn_arg)
#define TEST_PFN_PART		_IOWR('r', 3, struct test_pfn_arg)
#define TEST_PFN_REVOKE_PART	_IOW('r', 4, struct test_pfn_arg)
#define TEST_PFN_REOPEN		_IOW('r', 5, struct test_pfn_arg)
#define TEST_PFN_CONSUMER	_IOWR('r', 6, struct test_pfn_arg)
#define TEST_PFN_ATTACH		_IOW('r', 7, struct test_pfn_arg)
#define TEST_PFN_DETACH		_IOW('r', 8, struct test_pfn_arg)
#define TEST_PFN_GO_ON		_IOW('r', 9, struct test_pfn_arg)
#define TEST_PFN_LOOK		_IOWR('r', 10, struct test_pfn_arg)

#endif /* _LIB_TEST_PFN_REVOKE_UAPI_H */
