/* SPDX-License-Identifier: GPL-2.0 */
/* The tests that each interface of VFIO runs. */
#ifndef REVPIN_VFIO_CASES_H
#define REVPIN_VFIO_CASES_H

#include "tap.h"
#include "vfio.h"

/*
 * main() of a suite of that name: the common tests, and behind them those that
 * make sense with this interface only, or mean something else there.
 */
int vfio_cases_main(int argc, char **argv, const char *name,
		    enum vfio_kind kind, const struct tap_test *own);
/* The same on a machine whose devices cannot reach each other. */
int vfio_refuse_main(int argc, char **argv, const char *name,
		     enum vfio_kind kind, const struct tap_test *own);
/* Any list. */
int vfio_main(int argc, char **argv, const char *name, enum vfio_kind kind,
	      const struct tap_test *common, const struct tap_test *own);
/* Those of them about being told: vfio_event_cases.c. */
extern const struct tap_test vfio_event_tests[];
/*
 * iommufd takes no memory without pages behind it, as vfio-type1/through_sysfs
 * and the suite vfio-bar have it: it never did.
 */
void vfio_case_pfnmap_is_refused(void);
/* The common ones that take minutes. */
int vfio_long_main(int argc, char **argv, const char *name,
		   enum vfio_kind kind);

#endif
