/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/test_pfn_revoke: providers and consumers of PFN-range revocation that do
 * what user space tells them, also what nobody should. Not part of the mailed
 * series.
 *
 * The memory is made up: TEST_PFN_PAGES PFNs from TEST_PFN_BASE on that no
 * machine has. Each of them counts the consumers that may touch it.
 */
#ifndef _LIB_TEST_PFN_REVOKE_UAPI_H
#define _LIB_TEST_PFN_REVOKE_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define TEST_PFN_BASE		(1ULL << 62)
#define TEST_PFN_PAGES		1024

/* What a callback does, in this order; the upper half is for finish() */
#define TEST_PFN_SLOW		0x001	/* waits for @ms milliseconds */
#define TEST_PFN_STUCK		0x002	/* waits for TEST_PFN_LET_GO */
#define TEST_PFN_REVOKE_IN	0x004	/* revokes @first to @last */
#define TEST_PFN_REOPEN_IN	0x008	/* opens @first to @last */
#define TEST_PFN_ATTACH_IN	0x010	/* attaches @other to @first to @last */
#define TEST_PFN_DETACH_IN	0x020	/* detaches itself */
#define TEST_PFN_IN_FINISH(x)	((x) << 16)
/* finish() goes on to hold the memory: who revokes has to notice */
#define TEST_PFN_HOLDS_ON	TEST_PFN_IN_FINISH(0x100)

/**
 * struct test_pfn_arg - argument of every ioctl
 * @id: consumer or provider; out for those that make one
 * @flags: TEST_PFN_*, of TEST_PFN_CONSUMER
 * @ms: TEST_PFN_SLOW, or the time between look-up and attach
 * @first: first PFN
 * @last: last PFN, inclusive
 * @other: consumer for TEST_PFN_ATTACH_IN
 * @starts: out, as what follows: of TEST_PFN_LOOK
 * @finishes: how often
 * @late: callbacks after the end of the detach
 * @ret: of what a callback called last, 1 if nothing
 * @dead: revoked
 * @pad: nothing
 *
 * TEST_PFN_REVOKE returns how many of the pages somebody may touch after it.
 */
struct test_pfn_arg {
	__u32 id;
	__u32 flags;
	__u32 ms;
	__u32 other;
	__u64 first;
	__u64 last;
	__u32 starts;
	__u32 finishes;
	__u32 late;
	__s32 ret;
	__u32 dead;
	__u32 pad;
};

#define TEST_PFN_PROVIDE	_IOWR('r', 0, struct test_pfn_arg)
#define TEST_PFN_UNPROVIDE	_IOW('r', 1, struct test_pfn_arg)
#define TEST_PFN_REVOKE		_IOW('r', 2, struct test_pfn_arg)
#define TEST_PFN_REOPEN		_IOW('r', 3, struct test_pfn_arg)
#define TEST_PFN_CONSUMER	_IOWR('r', 4, struct test_pfn_arg)
#define TEST_PFN_ATTACH		_IOW('r', 5, struct test_pfn_arg)
#define TEST_PFN_DETACH		_IOW('r', 6, struct test_pfn_arg)
#define TEST_PFN_LET_GO		_IOW('r', 7, struct test_pfn_arg)
#define TEST_PFN_LOOK		_IOWR('r', 8, struct test_pfn_arg)

#endif /* _LIB_TEST_PFN_REVOKE_UAPI_H */
