/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks that say what was compared, with which values, and errno.
 *
 * EXPECT_* go on after a failure, ASSERT_* leave the test (in a worker
 * process: end the worker, which its parent notices). Use them on the main
 * thread only: threads hand their results back.
 */
#ifndef REVPIN_CHECK_H
#define REVPIN_CHECK_H

#include <errno.h>
#include <stdbool.h>

bool check_result(bool ok, bool fatal, const char *file, int line, int err,
		  const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* From now on failures end this process with status 1 when they are fatal. */
void check_in_worker(const char *name);
/* Runs before a fatal failure ends the process. */
void check_on_fatal(void (*fn)(void));
/* In a worker: has any check failed? */
bool check_worker_failed(void);

/* The texts are taken where a macro in the expression is still its name. */
#define CHECK_CMP(fatal, ta, a, op, tb, b) ({				\
	errno = 0;							\
	long long a_ = (long long)(a);					\
	int e_ = errno;							\
	long long b_ = (long long)(b);					\
	check_result(a_ op b_, fatal, __FILE__, __LINE__, e_,		\
		     "%s %s %s: %lld (%#llx) against %lld (%#llx)",	\
		     ta, #op, tb, a_, (unsigned long long)a_,		\
		     b_, (unsigned long long)b_); })

/* errno may be an older one here: what is checked often was a call before. */
#define CHECK_TRUE(fatal, ta, a) ({					\
	bool a_ = !!(a);						\
	check_result(a_, fatal, __FILE__, __LINE__, errno,		\
		     "%s: false", ta); })

#define EXPECT_EQ(a, b)	CHECK_CMP(false, #a, a, ==, #b, b)
#define EXPECT_NE(a, b)	CHECK_CMP(false, #a, a, !=, #b, b)
#define EXPECT_LE(a, b)	CHECK_CMP(false, #a, a, <=, #b, b)
#define EXPECT_GE(a, b)	CHECK_CMP(false, #a, a, >=, #b, b)
#define EXPECT_TRUE(a)	CHECK_TRUE(false, #a, a)
#define ASSERT_EQ(a, b)	CHECK_CMP(true, #a, a, ==, #b, b)
#define ASSERT_NE(a, b)	CHECK_CMP(true, #a, a, !=, #b, b)
#define ASSERT_LE(a, b)	CHECK_CMP(true, #a, a, <=, #b, b)
#define ASSERT_GE(a, b)	CHECK_CMP(true, #a, a, >=, #b, b)
#define ASSERT_TRUE(a)	CHECK_TRUE(true, #a, a)

#endif
