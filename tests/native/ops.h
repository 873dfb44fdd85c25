/* SPDX-License-Identifier: GPL-2.0 */
#ifndef REVPIN_NATIVE_OPS_H
#define REVPIN_NATIVE_OPS_H

#include <stddef.h>
#include <stdint.h>

/* Runs what @bytes say; ends the process with the last steps if it is wrong */
void ops_run(const uint8_t *bytes, size_t size);

/* How often each kind of step did something, since the start */
void ops_print_counts(void);

#endif
