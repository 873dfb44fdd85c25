/* SPDX-License-Identifier: GPL-2.0 */
/* In front of every file, as the kernel does with its configuration */
#include <linux/kconfig.h>
#define CONFIG_64BIT 1
#define CONFIG_SMP 1
#define CONFIG_PFN_REVOKE 1
#define CONFIG_KUNIT 1
/* Checks take locks, and locks order what would not be ordered without */
#ifndef SHIM_PRODUCTION
#define CONFIG_DEBUG_VM 1
#endif
