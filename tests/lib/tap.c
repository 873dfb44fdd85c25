// SPDX-License-Identifier: GPL-2.0
#include "tap.h"
#include "check.h"
#include "clock.h"
#include "stacks.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_SECONDS 20
#define MAX_TESTS 64

/* Shared between the process that runs the tests and the one that watches. */
struct progress {
	volatile int done;		/* tests whose line is printed */
	volatile bool running;
	volatile double deadline;	/* of the running test */
	volatile bool verdict;		/* the runner came to its end */
};

static struct progress *progress;
static const struct tap_suite *suite;
static const struct tap_test *chosen[MAX_TESTS];
static int nr_chosen;

/* The runner's own state. */
static char skip_reason[256];
static unsigned int asserts_before;
static unsigned int failures_before;
static int failed_tests;
static double started;
static char *worker_name;
static bool worker_failed;
static void (*worker_last_words)(void);

void tap_note(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	/* one write, so that lines of several processes do not mix */
	fflush(stdout);
	dprintf(STDOUT_FILENO, "# %s%s%s\n", worker_name ? worker_name : "",
		worker_name ? ": " : "", line);
}

void tap_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(skip_reason, sizeof(skip_reason), fmt, ap);
	va_end(ap);
}

bool tap_failed(void)
{
	return CU_get_number_of_failures() > failures_before;
}

void check_in_worker(const char *name)
{
	worker_name = strdup(name);
	worker_failed = false;
	worker_last_words = NULL;
}

void check_on_fatal(void (*fn)(void))
{
	worker_last_words = fn;
}

bool check_worker_failed(void)
{
	return worker_failed;
}

bool check_result(bool ok, bool fatal, const char *file, int line, int err,
		  const char *fmt, ...)
{
	char what[800], msg[1000];
	const char *base;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	if (err)
		snprintf(msg, sizeof(msg), "%s (errno %d: %s)", what, err,
			 strerror(err));
	else
		snprintf(msg, sizeof(msg), "%s", what);

	if (worker_name) {
		if (!ok) {
			worker_failed = true;
			tap_note("%s:%d: %s", base, line, msg);
			if (fatal) {
				if (worker_last_words)
					worker_last_words();
				_exit(1);
			}
		}
		return ok;
	}
	if (!ok)
		tap_note("%s:%d: %s", base, line, msg);
	CU_assertImplementation(ok ? CU_TRUE : CU_FALSE, line, msg, base, "",
				fatal ? CU_TRUE : CU_FALSE);
	return ok;
}

static unsigned int allowed_seconds(const struct tap_test *t)
{
	unsigned int s = t->seconds ? t->seconds : DEFAULT_SECONDS;

	return (unsigned int)(s * clock_scale());
}

void tap_goes_on(void)
{
	progress->deadline = clock_now() + allowed_seconds(chosen[progress->done]);
}

static void on_start(const CU_pTest test, const CU_pSuite s)
{
	(void)s;
	(void)test;
	skip_reason[0] = '\0';
	asserts_before = CU_get_number_of_asserts();
	failures_before = CU_get_number_of_failures();
	started = clock_now();
	tap_goes_on();
	progress->running = true;
}

static void on_complete(const CU_pTest test, const CU_pSuite s,
			const CU_pFailureRecord first)
{
	const char *name = test->pName;
	bool bad = CU_get_number_of_failures() > failures_before;

	(void)s;
	(void)first;
	if (!bad && !skip_reason[0] &&
	    CU_get_number_of_asserts() == asserts_before) {
		tap_note("%s checked nothing", name);
		bad = true;
	}
	progress->running = false;
	fflush(stdout);
	if (bad)
		failed_tests++;
	if (skip_reason[0] && !bad)
		dprintf(STDOUT_FILENO, "ok %d %s # SKIP %s\n",
			progress->done + 1, name, skip_reason);
	else
		dprintf(STDOUT_FILENO, "%s %d %s # %.2f s\n",
			bad ? "not ok" : "ok", progress->done + 1, name,
			clock_now() - started);
	progress->done++;
}

static void fail_the_rest(const char *why, const char *then)
{
	while (progress->done < nr_chosen) {
		dprintf(STDOUT_FILENO, "not ok %d %s # %s\n",
			progress->done + 1, chosen[progress->done]->name, why);
		why = then;
		progress->done++;
	}
}

static int run_tests(void)
{
	CU_pSuite cs;
	int i;

	progress->deadline = clock_now() + 60 * clock_scale();
	progress->running = true;
	if (suite->init && !suite->init()) {
		fail_the_rest("the suite could not be set up",
			      "the suite could not be set up");
		return 1;
	}
	progress->running = false;
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	cs = CU_add_suite_with_setup_and_teardown(suite->name, NULL, NULL,
						  suite->before, suite->after);
	if (!cs)
		return 1;
	for (i = 0; i < nr_chosen; i++)
		if (!CU_add_test(cs, chosen[i]->name, chosen[i]->run))
			return 1;
	CU_set_test_start_handler(on_start);
	CU_set_test_complete_handler(on_complete);
	/*
	 * What CU_run_all_tests() returns says nothing about failures: count
	 * them, and the tests that were really run.
	 */
	CU_set_error_action(CUEA_IGNORE);
	CU_run_all_tests();
	if ((int)CU_get_number_of_tests_run() != nr_chosen) {
		tap_note("%u of %d tests were run", CU_get_number_of_tests_run(),
			 nr_chosen);
		failed_tests++;
	}
	if (CU_get_number_of_tests_failed())
		failed_tests++;
	CU_cleanup_registry();
	return failed_tests ? 1 : 0;
}

/* Waits for the runner; true when it ended, false when its time was up. */
static bool watch(pid_t runner, int *status)
{
	for (;;) {
		pid_t got = waitpid(runner, status, WNOHANG);

		if (got == runner)
			return true;
		if (progress->running && clock_now() > progress->deadline)
			return false;
		clock_sleep_ms(20);
	}
}

static void give_up(pid_t runner)
{
	int i;

	tap_note("%s: time is up; tasks in D state:",
		 chosen[progress->done]->name);
	stacks_note_blocked();
	stack_note(runner, "the test process");
	kill(-runner, SIGKILL);
	fail_the_rest("did not end in time",
		      "not run, an earlier test did not end");
	/* A task in D state cannot be reaped: do not wait for ever. */
	for (i = 0; i < 100 && waitpid(runner, NULL, WNOHANG) != runner; i++)
		clock_sleep_ms(20);
}

static int usage(const char *prog)
{
	const struct tap_test *t;

	fprintf(stderr, "usage: %s [-l | test...]\ntests of this suite:\n", prog);
	for (t = suite->tests; t->name; t++)
		fprintf(stderr, "  %s\n", t->name);
	return 2;
}

static bool choose(int argc, char **argv)
{
	const struct tap_test *t;
	int i;

	if (argc < 2) {
		for (t = suite->tests; t->name && nr_chosen < MAX_TESTS; t++)
			chosen[nr_chosen++] = t;
		return true;
	}
	for (i = 1; i < argc && nr_chosen < MAX_TESTS; i++) {
		for (t = suite->tests; t->name; t++)
			if (!strcmp(t->name, argv[i]))
				break;
		if (!t->name) {
			fprintf(stderr, "%s: no test is called \"%s\"\n",
				suite->name, argv[i]);
			return false;
		}
		chosen[nr_chosen++] = t;
	}
	return true;
}

int tap_main(int argc, char **argv, const struct tap_suite *s)
{
	int status = 0;
	pid_t runner;

	suite = s;
	if (argc == 2 && !strcmp(argv[1], "-l")) {
		const struct tap_test *t;

		for (t = s->tests; t->name; t++)
			printf("%s\n", t->name);
		return 0;
	}
	if (!choose(argc, argv))
		return usage(argv[0]);

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", nr_chosen);
	fflush(stdout);

	runner = fork();
	if (runner < 0) {
		perror("fork");
		return 1;
	}
	if (!runner) {
		int ret;

		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ret = run_tests();
		progress->verdict = true;
		fflush(stdout);
		_exit(ret);
	}
	setpgid(runner, runner);
	if (!watch(runner, &status)) {
		give_up(runner);
		return 1;
	}
	if (!progress->verdict) {
		tap_note("the test process ended early, wait status %#x", status);
		fail_the_rest("the test process ended early",
			      "not run, the test process ended early");
		return 1;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : 1;
}
