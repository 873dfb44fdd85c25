/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/pfn_revoke.c asks of the kernel, for a process.
 *
 * Data structures (lists, rbtree, interval tree) are the kernel's own. What is
 * here are locks, waiting, work and memory, each as strict as a kernel with
 * debugging: sleeping or a blocking allocation under a spinlock, a lock released
 * by another task, a reference count that comes back from zero end the process.
 * shim.c has the rest.
 */
#ifndef REVPIN_SHIM_H
#define REVPIN_SHIM_H

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/list.h>

#ifdef __cplusplus
#error "C only"
#endif

/* Complaints */

/* One that a test can ask for: the count of those since the last call */
unsigned int shim_warnings(void);
bool shim_warn(bool cond, const char *expr, const char *file, int line);
_Noreturn void shim_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Tasks */

#define TASK_COMM_LEN 16

struct task_struct {
	pid_t pid;
	char comm[TASK_COMM_LEN];
	int spinlocks;			/* held */
	int revoke_map;			/* lock_map_acquire()s */
	int rcu_readers;
	void *work;			/* that it runs, until that is freed */
	bool freed_work;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	int sleeping;			/* under lock */
};

struct task_struct *shim_current(void);

/* Processes by number; those who have a reference to one are counted */
struct pid;
struct pid *shim_pid(pid_t nr);
struct pid *shim_get_pid(struct pid *pid);
void shim_put_pid(struct pid *pid);
pid_t shim_pid_nr(struct pid *pid);
/* NULL: it is dead */
struct task_struct *shim_pid_task(struct pid *pid);
void shim_pid_dies(pid_t nr, bool dead);
long shim_pid_references(void);
void shim_set_task(pid_t pid, const char *comm);

/* Locks */

typedef struct spinlock {
	pthread_mutex_t mutex;
	struct task_struct *owner;
} spinlock_t;

#define SHIM_SPINLOCK { .mutex = PTHREAD_MUTEX_INITIALIZER }
#define __SPIN_LOCK_UNLOCKED(x) (spinlock_t)SHIM_SPINLOCK

void shim_spin_init(spinlock_t *lock);
void shim_spin_lock(spinlock_t *lock);
void shim_spin_unlock(spinlock_t *lock);
bool shim_spin_held(const spinlock_t *lock);
/* How often a task found a lock taken by another one */
unsigned long shim_contended(void);
void shim_might_sleep(const char *what);

void shim_map_acquire(void);
void shim_map_release(void);

/* RCU: whether it is read, which is all that is asked */
void rcu_read_lock(void);
void rcu_read_unlock(void);

/* Memory */

void *shim_alloc(size_t size, gfp_t gfp);
void kfree(const void *p);
long shim_allocated(void);

/*
 * The n-th allocation of the calling thread from now on fails, and all behind
 * it; 0 for none. Returns how many have failed since the last call.
 */
unsigned int shim_fail_from(unsigned int n);

/* Time: jiffies are milliseconds, and stand still unless told otherwise */

#define HZ 1000UL
unsigned long shim_jiffies(void);
void shim_clock_runs(bool runs);
/* One tick after the other, with what is due in each */
void shim_advance(unsigned long ticks);

/* Waiting */

typedef struct wait_queue_head {
	pthread_mutex_t lock;
	struct list_head head;
} wait_queue_head_t;

struct shim_wait {
	struct list_head node;
	struct task_struct *task;
};

void init_waitqueue_head(wait_queue_head_t *wq);
void shim_prepare_to_wait(wait_queue_head_t *wq, struct shim_wait *wait);
/* What is left of the time; for ever: LONG_MAX */
long shim_schedule(long timeout);
void shim_finish_wait(wait_queue_head_t *wq, struct shim_wait *wait);
void shim_wake_up(wait_queue_head_t *wq);
/* Tasks that sleep in a wait_event() now */
unsigned int shim_sleeping(void);

/*
 * Work. One that runs and is queued again runs behind itself, and what is at the
 * address of one that runs counts as the same, as in kernel/workqueue.c. A work
 * that takes a lock after it has been freed ends the process: its address may be
 * another work's by now.
 */

struct work_struct {
	void (*func)(struct work_struct *work);
	bool pending;
	struct list_head node;
};

struct delayed_work {
	struct work_struct work;
	unsigned long expires;
	bool pending;
	struct list_head node;
};

struct workqueue_struct;
struct workqueue_struct *shim_workqueue(void);
bool shim_queue_work(struct work_struct *work);
bool shim_queue_delayed_work(struct delayed_work *work, unsigned long delay);
void shim_init_work(struct work_struct *work, void (*func)(struct work_struct *));
void shim_init_delayed_work(struct delayed_work *work, void (*func)(struct work_struct *));
/* How many were queued, delayed ones aside */
unsigned int shim_works(void);
/* By the caller while it sleeps, one after the other; not each in a thread */
void shim_works_inline(bool inline_);
/* Those that are queued, now */
void shim_run_works(void);

/* A program that still runs then has failed: it says "not ok 1 NAME", and ends */
void shim_deadline(const char *name, unsigned long seconds);

/* The log */

void shim_printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Lines with @words in them since the log was cleared */
unsigned int shim_logged(const char *words);
void shim_log_clear(void);

/* What is in debugfs now, read in pieces of @chunk lines */
size_t shim_debugfs_read(char *text, size_t size, unsigned int chunk);

/* The tests end with _exit(), which writes no counts */
#ifdef SHIM_COVERAGE
void __gcov_dump(void);
void __gcov_reset(void);
static inline void shim_coverage(void)
{
	__gcov_dump();
	__gcov_reset();
}
#else
static inline void shim_coverage(void) {}
#endif

/* Tracepoints: whether they are on, and how often each was hit */
extern bool shim_tracing;
void shim_trace(const char *name);
unsigned int shim_traced(const char *name);

#endif
