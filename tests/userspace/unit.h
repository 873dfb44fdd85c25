/* SPDX-License-Identifier: GPL-2.0 */
#ifndef REVPIN_UNIT_H
#define REVPIN_UNIT_H

#include <CUnit/CUnit.h>

struct unit {
	const char *name;
	void (*run)(void);
};

extern const struct unit provider_units[], rdma_units[], holders_units[],
	vfio_units[];

#define EQ(a, b)	CU_ASSERT_EQUAL((long long)(a), (long long)(b))
#define STR(a, b)	CU_ASSERT_STRING_EQUAL(a, b)

#endif
