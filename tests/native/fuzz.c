// SPDX-License-Identifier: GPL-2.0
/* libFuzzer's way into the sequences */
#include <shim.h>

#include "ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	shim_set_task(42, "fuzz");
	ops_run(data, size);
	return 0;
}
