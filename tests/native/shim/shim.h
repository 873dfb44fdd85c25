/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What mm/pfn_revoke.c asks of the kernel, for a process.
 *
 * Data structures (lists, rbtree, interval tree, maple tree) are the kernel's
 * own. What is here are locks, waiting, RCU, work and memory, each as strict as
 * a kernel with debugging: sleeping or a blocking allocation under a spinlock,
 * a lock released by another task, a reference count that comes back from zero
 * end the process. shim.c has the rest.
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
bool shim_pid_alive(struct pid *pid);
void shim_pid_dies(pid_t nr, bool dead);
long shim_pid_references(void);
void shim_set_task(pid_t pid, const char *comm);

/* Locks */

typedef struct spinlock {
	pthread_mutex_t mutex;
	struct task_struct *owner;
} spinlock_t;

#define SHIM_SPINLOCK { .mutex = PTHREAD_MUTEX_INITIALIZER }

void shim_spin_init(spinlock_t *lock);
void shim_spin_lock(spinlock_t *lock);
void shim_spin_unlock(spinlock_t *lock);
bool shim_spin_held(const spinlock_t *lock);
/* How often a task found a lock taken by another one */
unsigned long shim_contended(void);
void shim_might_sleep(const char *what);

void shim_map_acquire(void);
void shim_map_release(void);

/* RCU: readers share a lock that the grace period takes for itself */

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

void rcu_read_lock(void);
void rcu_read_unlock(void);
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void shim_kfree_rcu(void *p, struct rcu_head *head);
void rcu_barrier(void);

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
	unsigned int sleepers;		/* read without the lock */
} wait_queue_head_t;

struct shim_wait {
	struct list_head node;
	struct task_struct *task;
	const void *var;
};

void init_waitqueue_head(wait_queue_head_t *wq);
void shim_prepare_to_wait(wait_queue_head_t *wq, struct shim_wait *wait);
void shim_schedule(void);
void shim_finish_wait(wait_queue_head_t *wq, struct shim_wait *wait);
void shim_wake_up(wait_queue_head_t *wq, const void *var);
bool wq_has_sleeper(wait_queue_head_t *wq);
wait_queue_head_t *shim_var_queue(const void *var);
/* Between the change and the wake-up */
extern void (*shim_before_wake_up)(void);
/* Between finding an object and taking a reference */
extern void (*shim_before_inc_not_zero)(void);
/* Between the read and the exchange */
extern void (*shim_before_cmpxchg)(void);
/* Tasks that sleep in a wait_event() now */
unsigned int shim_sleeping(void);

/* Work: each item has a thread of its own */

struct work_struct {
	void (*func)(struct work_struct *work);
};

struct delayed_work {
	struct work_struct work;
	unsigned long expires;
	bool pending, running, dying;
	struct list_head node;
};

struct workqueue_struct;
void shim_queue_work(struct work_struct *work);
/* How many were queued, delayed ones aside */
unsigned int shim_works(void);
void shim_queue_delayed_work(struct delayed_work *work, unsigned long delay);
void shim_init_delayed_work(struct delayed_work *work, void (*func)(struct work_struct *));
void cancel_delayed_work_sync(struct delayed_work *work);
void destroy_delayed_work_on_stack(struct delayed_work *work);

/* A program that still runs then has failed: it says "not ok 1 NAME", and ends */
void shim_deadline(const char *name, unsigned long seconds);

/* The log */

void shim_printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Lines with @words in them since the log was cleared */
unsigned int shim_logged(const char *words);
void shim_log_clear(void);

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
