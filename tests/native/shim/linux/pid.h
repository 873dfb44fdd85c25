/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_PID_H
#define SHIM_LINUX_PID_H

#include <shim.h>

#define task_tgid_nr(task) ((task)->pid)
#define task_pid_nr(task) ((task)->pid)

#endif
