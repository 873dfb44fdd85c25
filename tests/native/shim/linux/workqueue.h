/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_WORKQUEUE_H
#define SHIM_LINUX_WORKQUEUE_H

#include <shim.h>

#define system_dfl_wq NULL
#define system_dfl_long_wq NULL
#define INIT_WORK(w, f) ((w)->func = (f))
#define INIT_DELAYED_WORK_ONSTACK(w, f) shim_init_delayed_work((w), (f))
#define queue_work(wq, w) ((void)(wq), shim_queue_work(w))
#define queue_delayed_work(wq, w, delay) ((void)(wq), shim_queue_delayed_work((w), (delay)))

#endif
