/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <string.h>

/* With the size of an array, as it is used */
#define strscpy(to, from) ((void)snprintf((to), sizeof(to), "%s", (from)))

#endif
