/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_SCHED_H
#define SHIM_LINUX_SCHED_H

#include <shim.h>

#define current shim_current()
#define might_sleep() shim_might_sleep("might_sleep()")
#define cond_resched() ((void)0)
#define get_task_comm(buf, task) snprintf((buf), TASK_COMM_LEN, "%s", (task)->comm)

#endif
