/* SPDX-License-Identifier: GPL-2.0 */
/* The tests that each interface of VFIO runs. */
#ifndef REVPIN_VFIO_CASES_H
#define REVPIN_VFIO_CASES_H

#include "vfio.h"

/* main() of a suite of that name. */
int vfio_cases_main(int argc, char **argv, const char *name,
		    enum vfio_kind kind);
/* The same for those that take minutes. */
int vfio_long_main(int argc, char **argv, const char *name,
		   enum vfio_kind kind);

#endif
