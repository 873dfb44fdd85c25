// SPDX-License-Identifier: GPL-2.0
/* Runs the tests of librevpin through CUnit and prints TAP. */
#include "unit.h"
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>

static int done, bad;

static void complete(const CU_pTest test, const CU_pSuite suite,
		     const CU_pFailureRecord failure)
{
	const struct CU_FailureRecord *f;

	if (failure)
		bad++;
	printf("%sok %d %s/%s\n", failure ? "not " : "", ++done, suite->pName,
	       test->pName);
	for (f = failure; f; f = f->pNext)
		printf("# %s:%u: %s\n", f->strFileName, f->uiLineNumber,
		       f->strCondition);
	fflush(stdout);
}

static int add(const char *name, const struct unit *units)
{
	CU_pSuite s = CU_add_suite_with_setup_and_teardown(name, NULL, NULL,
							   tree_make, tree_drop);
	int n;

	for (n = 0; s && units[n].name; n++)
		if (!CU_add_test(s, units[n].name, units[n].run))
			exit(2);
	return s ? n : 0;
}

int main(void)
{
	int n = 0;

	if (CU_initialize_registry())
		return 2;
	n += add("provider", provider_units);
	n += add("rdma", rdma_units);
	n += add("holders", holders_units);
	n += add("vfio", vfio_units);
	printf("1..%d\n", n);
	CU_set_test_complete_handler(complete);
	CU_run_all_tests();
	bad += CU_get_number_of_suites_failed() > 0;
	CU_cleanup_registry();
	return bad || done != n;
}
