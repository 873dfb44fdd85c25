/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_PID_H
#define SHIM_LINUX_PID_H

#include <shim.h>

struct pid_namespace;
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };

#define task_tgid(task) shim_pid((task)->pid)
#define get_pid(pid) shim_get_pid(pid)
#define put_pid(pid) shim_put_pid(pid)
#define pid_nr(pid) shim_pid_nr(pid)
#define pid_nr_ns(pid, ns) ((void)(ns), shim_pid_nr(pid))
#define pid_task(pid, type) ((void)(type), shim_pid_task(pid))

#endif
