/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs a suite of tests through CUnit and prints TAP.
 *
 * The tests run in a child process. The parent watches it: a test that does
 * not come back within its time is reported as failed, with the kernel stacks
 * of every task that sleeps uninterruptibly, and the rest of the plan is
 * reported as not run. A hung kernel therefore gives a red suite, not a
 * silent one.
 */
#ifndef REVPIN_TAP_H
#define REVPIN_TAP_H

#include <stdbool.h>

struct tap_test {
	const char *name;
	void (*run)(void);
	unsigned int seconds;		/* on the plain kernel; 0: the default */
};

struct tap_suite {
	const char *name;
	const struct tap_test *tests;	/* ends with a NULL name */
	/* Returns false with a reason printed: then every test fails. */
	bool (*init)(void);
	void (*before)(void);		/* around each test, also a failed one */
	void (*after)(void);
};

int tap_main(int argc, char **argv, const struct tap_suite *suite);

/* A line of explanation, "# ..." in TAP. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Leaves the test: it is reported as skipped, with the reason. */
#define TAP_SKIP(...) do { tap_skip(__VA_ARGS__); return; } while (0)
void tap_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * For a test that waits for somebody else's work, however long that takes: the
 * work goes on, and the time that the test is allowed begins anew.
 */
void tap_goes_on(void);

/* True after a check of the running test has failed. */
bool tap_failed(void);

#endif
