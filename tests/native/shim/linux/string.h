/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_STRING_H
#define SHIM_LINUX_STRING_H

#include <stdio.h>
#include <string.h>

/* With the size of an array, or with another one */
#define shim_strscpy(to, from, size, ...) ((void)snprintf((to), (size), "%s", (from)))
#define strscpy(to, from, ...) shim_strscpy(to, from, ##__VA_ARGS__, sizeof(to))

#endif
