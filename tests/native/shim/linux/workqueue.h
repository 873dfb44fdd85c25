/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_WORKQUEUE_H
#define SHIM_LINUX_WORKQUEUE_H

#include <shim.h>

enum { WQ_UNBOUND = 1, WQ_MEM_RECLAIM = 2 };

/* Those who are waited for may be what memory is waiting for */
#define alloc_workqueue(name, flags, max) \
	((flags) & WQ_MEM_RECLAIM ? shim_workqueue() : NULL)
#define INIT_WORK(w, f) shim_init_work((w), (f))
#define INIT_DELAYED_WORK(w, f) shim_init_delayed_work((w), (f))
#define queue_work(wq, w) ((void)(wq), shim_queue_work(w))
#define queue_delayed_work(wq, w, delay) ((void)(wq), shim_queue_delayed_work((w), (delay)))

#endif
