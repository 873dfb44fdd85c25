/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_INIT_H
#define SHIM_LINUX_INIT_H

#define __init
/* Before main(), and it has to succeed */
#define core_initcall(func)						\
static void __attribute__((constructor)) shim_##func(void)		\
{									\
	if (func())							\
		shim_die(#func "() has failed");			\
}
#define fs_initcall(func) core_initcall(func)

#endif
