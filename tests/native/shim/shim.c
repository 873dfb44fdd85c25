// SPDX-License-Identifier: GPL-2.0
#include <linux/debugfs.h>
#include <linux/pid_namespace.h>
#include <linux/refcount.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <shim.h>

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Complaints */

static unsigned int warnings;

unsigned int shim_warnings(void)
{
	return __atomic_exchange_n(&warnings, 0, __ATOMIC_SEQ_CST);
}

bool shim_warn(bool cond, const char *expr, const char *file, int line)
{
	if (cond) {
		__atomic_add_fetch(&warnings, 1, __ATOMIC_SEQ_CST);
		fprintf(stderr, "# WARN_ON(%s) at %s:%d\n", expr, file, line);
	}
	return cond;
}

void shim_die(const char *fmt, ...)
{
	va_list args;

	fputs("# died: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* Tasks */

static __thread struct task_struct task = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.woken = PTHREAD_COND_INITIALIZER,
};

/* Processes: none is ever forgotten, so that a late look finds it */

struct pid {
	bool dead;
	int references;
	struct task_struct task;	/* its name only */
};

static struct pid pids[512];
static pthread_mutex_t pids_lock = PTHREAD_MUTEX_INITIALIZER;
struct pid_namespace init_pid_ns;

struct task_struct *shim_current(void)
{
	return &task;
}

void shim_set_task(pid_t pid, const char *comm)
{
	task.pid = pid;
	snprintf(task.comm, sizeof(task.comm), "%s", comm);
	/* Its threads give it the same name */
	pthread_mutex_lock(&pids_lock);
	if (strcmp(shim_pid(pid)->task.comm, task.comm))
		memcpy(shim_pid(pid)->task.comm, task.comm, sizeof(task.comm));
	pthread_mutex_unlock(&pids_lock);
}

struct pid *shim_pid(pid_t nr)
{
	if (nr < 0 || nr >= 512)
		shim_die("the shim has no process %d", nr);
	return &pids[nr];
}

struct pid *shim_get_pid(struct pid *pid)
{
	__atomic_add_fetch(&pid->references, 1, __ATOMIC_RELAXED);
	return pid;
}

void shim_put_pid(struct pid *pid)
{
	if (__atomic_sub_fetch(&pid->references, 1, __ATOMIC_RELAXED) < 0)
		shim_die("put_pid() once too often");
}

/* Only with a reference, as it could be freed */
pid_t shim_pid_nr(struct pid *pid)
{
	if (__atomic_load_n(&pid->references, __ATOMIC_RELAXED) <= 0)
		shim_die("a pid without a reference");
	return pid - pids;
}

struct task_struct *shim_pid_task(struct pid *pid)
{
	if (!task.rcu_readers)
		shim_die("pid_task() by nobody that RCU knows");
	return __atomic_load_n(&pid->dead, __ATOMIC_RELAXED) ? NULL : &pid->task;
}

void shim_pid_dies(pid_t nr, bool dead)
{
	__atomic_store_n(&shim_pid(nr)->dead, dead, __ATOMIC_RELAXED);
}

long shim_pid_references(void)
{
	long sum = 0;
	int i;

	for (i = 0; i < 512; i++)
		sum += __atomic_load_n(&pids[i].references, __ATOMIC_RELAXED);
	return sum;
}

/* Locks */

void shim_spin_init(spinlock_t *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
	lock->owner = NULL;
}

static unsigned long contended;

unsigned long shim_contended(void)
{
	return __atomic_load_n(&contended, __ATOMIC_RELAXED);
}

void shim_spin_lock(spinlock_t *lock)
{
	if (shim_spin_held(lock))
		shim_die("spinlock taken twice by one task");
	if (task.freed_work)
		shim_die("a work goes on after it was freed: another one at its address would wait for it");
	if (pthread_mutex_trylock(&lock->mutex)) {
		__atomic_add_fetch(&contended, 1, __ATOMIC_RELAXED);
		pthread_mutex_lock(&lock->mutex);
	}
	__atomic_store_n(&lock->owner, &task, __ATOMIC_RELAXED);
	task.spinlocks++;
}

void shim_spin_unlock(spinlock_t *lock)
{
	if (!shim_spin_held(lock))
		shim_die("spinlock released by a task that does not hold it");
	__atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
	task.spinlocks--;
	pthread_mutex_unlock(&lock->mutex);
}

bool shim_spin_held(const spinlock_t *lock)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == &task;
}

void shim_might_sleep(const char *what)
{
	if (task.spinlocks)
		shim_die("%s with %d spinlocks held", what, task.spinlocks);
	if (task.rcu_readers)
		shim_die("%s by a reader of RCU", what);
}

/* Callbacks run with the map held; whoever may wait for one must not hold it */
void shim_map_acquire(void)
{
	/* Where lockdep would speak of possible recursive locking */
	shim_warn(task.revoke_map++, "pfn_revoke_map is held by this task", __FILE__, __LINE__);
}

void shim_map_release(void)
{
	if (--task.revoke_map < 0)
		shim_die("pfn_revoke_map released by a task that does not have it");
}

/* RCU */

void rcu_read_lock(void)
{
	task.rcu_readers++;
}

void rcu_read_unlock(void)
{
	if (--task.rcu_readers < 0)
		shim_die("rcu_read_unlock() without a lock");
}

static void shim_thread(void *(*func)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, func, arg))
		shim_die("no thread: %s", strerror(errno));
	pthread_attr_destroy(&attr);
}

/* Memory */

static long allocated;
static __thread unsigned int fail_from, failures;

unsigned int shim_fail_from(unsigned int n)
{
	unsigned int ret = failures;

	fail_from = n;
	failures = 0;
	return ret;
}

void *shim_alloc(size_t size, gfp_t gfp)
{
	void *p;

	if (gfp & __GFP_DIRECT_RECLAIM)
		shim_might_sleep("an allocation that may block");
	if (fail_from) {
		if (fail_from == 1) {
			failures++;
			return NULL;
		}
		fail_from--;
	}
	p = malloc(size);
	if (!p)
		shim_die("out of memory");
	memset(p, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	__atomic_add_fetch(&allocated, 1, __ATOMIC_RELAXED);
	return p;
}

void kfree(const void *p)
{
	if (!p)
		return;
	if (task.work >= p && (char *)task.work < (char *)p + malloc_usable_size((void *)p)) {
		task.work = NULL;
		task.freed_work = true;
	}
	__atomic_sub_fetch(&allocated, 1, __ATOMIC_RELAXED);
	free((void *)p);
}

long shim_allocated(void)
{
	return __atomic_load_n(&allocated, __ATOMIC_RELAXED);
}

/* References */

void shim_refcount_inc(refcount_t *ref)
{
	if (__atomic_fetch_add(&ref->count, 1, __ATOMIC_RELAXED) <= 0)
		shim_die("refcount_inc() of a dead object");
}

bool shim_refcount_dec_and_test(refcount_t *ref)
{
	int old = __atomic_fetch_sub(&ref->count, 1, __ATOMIC_RELEASE);

	if (old <= 0)
		shim_die("refcount_dec_and_test() below zero");
	/* Acquire for the last one only; by a load, since TSan knows no fences */
	return old == 1 && !__atomic_load_n(&ref->count, __ATOMIC_ACQUIRE);
}

/* Waiting */

static unsigned int sleeping;
static bool works_inline;
static bool run_one_work(void);

void init_waitqueue_head(wait_queue_head_t *wq)
{
	pthread_mutex_init(&wq->lock, NULL);
	INIT_LIST_HEAD(&wq->head);
}

static void set_sleeping(int state)
{
	pthread_mutex_lock(&task.lock);
	task.sleeping = state;
	pthread_mutex_unlock(&task.lock);
}

void shim_prepare_to_wait(wait_queue_head_t *wq, struct shim_wait *wait)
{
	pthread_mutex_lock(&wq->lock);
	if (!wait->task) {
		INIT_LIST_HEAD(&wait->node);
		wait->task = &task;
	}
	if (list_empty(&wait->node))
		list_add_tail(&wait->node, &wq->head);
	set_sleeping(1);
	pthread_mutex_unlock(&wq->lock);
}

long shim_schedule(long timeout)
{
	unsigned long end = shim_jiffies() + timeout;
	struct timespec tick;

	if (works_inline) {
		if (!run_one_work() && timeout == LONG_MAX)
			shim_die("sleeps for ever");
		shim_run_works();
		return timeout == LONG_MAX ? timeout : 0;
	}

	__atomic_add_fetch(&sleeping, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&task.lock);
	while (task.sleeping && (timeout == LONG_MAX || (long)(shim_jiffies() - end) < 0)) {
		if (timeout == LONG_MAX) {
			pthread_cond_wait(&task.woken, &task.lock);
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &tick);
		tick.tv_nsec += 500000;
		if (tick.tv_nsec >= 1000000000) {
			tick.tv_nsec -= 1000000000;
			tick.tv_sec++;
		}
		pthread_cond_timedwait(&task.woken, &task.lock, &tick);
	}
	pthread_mutex_unlock(&task.lock);
	__atomic_sub_fetch(&sleeping, 1, __ATOMIC_SEQ_CST);
	if (timeout == LONG_MAX)
		return timeout;
	timeout = end - shim_jiffies();
	return timeout > 0 ? timeout : 0;
}

unsigned int shim_sleeping(void)
{
	return __atomic_load_n(&sleeping, __ATOMIC_SEQ_CST);
}

void shim_finish_wait(wait_queue_head_t *wq, struct shim_wait *wait)
{
	set_sleeping(0);
	pthread_mutex_lock(&wq->lock);
	if (!list_empty(&wait->node))
		list_del_init(&wait->node);
	pthread_mutex_unlock(&wq->lock);
}

void shim_wake_up(wait_queue_head_t *wq)
{
	struct shim_wait *wait, *next;

	pthread_mutex_lock(&wq->lock);
	list_for_each_entry_safe(wait, next, &wq->head, node) {
		struct task_struct *sleeper = wait->task;

		list_del_init(&wait->node);
		pthread_mutex_lock(&sleeper->lock);
		sleeper->sleeping = 0;
		pthread_cond_signal(&sleeper->woken);
		pthread_mutex_unlock(&sleeper->lock);
	}
	pthread_mutex_unlock(&wq->lock);
}

/* Work */

/* A thread that runs a work, by the address alone: the work may be freed */
struct runner {
	struct list_head node;
	struct work_struct *work;
	void (*func)(struct work_struct *work);
	struct work_struct *next;	/* queued behind it */
};

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(runners);
static LIST_HEAD(queued);		/* if they are run inline */
static unsigned int works;

struct workqueue_struct *shim_workqueue(void)
{
	static int some;

	return (struct workqueue_struct *)&some;
}

unsigned int shim_works(void)
{
	return __atomic_load_n(&works, __ATOMIC_RELAXED);
}

void shim_works_inline(bool inline_)
{
	works_inline = inline_;
}

/* Called with the lock held, which is dropped meanwhile */
static void run_work(struct work_struct *work)
{
	void (*func)(struct work_struct *work) = work->func;

	work->pending = false;
	pthread_mutex_unlock(&work_lock);
	task.work = work;
	func(work);
	if (task.spinlocks || task.rcu_readers || task.revoke_map)
		shim_die("a work returns with a lock held");
	task.work = NULL;
	task.freed_work = false;
	pthread_mutex_lock(&work_lock);
}

static void *work_main(void *arg)
{
	struct work_struct *work = arg;
	struct runner me;

	shim_set_task(3, "kworker");
	pthread_mutex_lock(&work_lock);
	list_add(&me.node, &runners);
	for (; work; work = me.next) {
		me.work = work;
		me.func = work->func;
		me.next = NULL;
		run_work(work);
	}
	list_del(&me.node);
	pthread_mutex_unlock(&work_lock);
	return NULL;
}

void shim_init_work(struct work_struct *work, void (*func)(struct work_struct *))
{
	work->func = func;
	work->pending = false;
}

bool shim_queue_work(struct work_struct *work)
{
	struct runner *runner;
	bool ret = false, start = false;

	pthread_mutex_lock(&work_lock);
	if (work->pending)
		goto out;
	work->pending = ret = start = true;
	__atomic_add_fetch(&works, 1, __ATOMIC_RELAXED);
	if (works_inline) {
		list_add_tail(&work->node, &queued);
		start = false;
		goto out;
	}
	list_for_each_entry(runner, &runners, node) {
		if (runner->work != work || runner->func != work->func)
			continue;
		/* A second one can be there only if the first was freed */
		if (runner->next)
			shim_die("two works wait for a third at their address");
		runner->next = work;
		start = false;
	}
	/* Under the lock: nobody queues what is neither pending nor running yet */
	if (start)
		shim_thread(work_main, work);
out:
	pthread_mutex_unlock(&work_lock);
	return ret;
}

/* By a task that may be in the middle of something */
static bool run_one_work(void)
{
	int revoke_map = task.revoke_map;
	struct work_struct *work;
	pid_t pid = task.pid;

	pthread_mutex_lock(&work_lock);
	if (list_empty(&queued)) {
		pthread_mutex_unlock(&work_lock);
		return false;
	}
	work = list_first_entry(&queued, struct work_struct, node);
	list_del(&work->node);
	task.revoke_map = 0;
	task.pid = 3;
	run_work(work);
	task.pid = pid;
	task.revoke_map = revoke_map;
	pthread_mutex_unlock(&work_lock);
	return true;
}

void shim_run_works(void)
{
	while (run_one_work())
		;
}

/* Guards delayed works, the clock and the thread that serves them */
static pthread_mutex_t timer_lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(timers);
static unsigned long now;
static bool clock_runs, timer_thread;

unsigned long shim_jiffies(void)
{
	return __atomic_load_n(&now, __ATOMIC_RELAXED);
}

/* The first that is due. Called with the lock held */
static struct delayed_work *timer_due(void)
{
	struct delayed_work *work;

	list_for_each_entry(work, &timers, node)
		if ((long)(now - work->expires) >= 0)
			return work;
	return NULL;
}

static void timers_run(void)
{
	struct delayed_work *work;

	while ((work = timer_due())) {
		list_del_init(&work->node);
		work->pending = false;
		pthread_mutex_unlock(&timer_lock);
		task.work = work;
		work->work.func(&work->work);
		task.work = NULL;
		task.freed_work = false;
		pthread_mutex_lock(&timer_lock);
	}
}

static void *timer_main(void *unused)
{
	struct timespec tick = { .tv_nsec = 1000000 };

	shim_set_task(2, "timer");
	for (;;) {
		nanosleep(&tick, NULL);
		pthread_mutex_lock(&timer_lock);
		if (clock_runs) {
			__atomic_store_n(&now, now + 1, __ATOMIC_RELAXED);
			timers_run();
		}
		pthread_mutex_unlock(&timer_lock);
	}
	return unused;
}

void shim_clock_runs(bool runs)
{
	pthread_mutex_lock(&timer_lock);
	clock_runs = runs;
	if (runs && !timer_thread) {
		timer_thread = true;
		shim_thread(timer_main, NULL);
	}
	pthread_mutex_unlock(&timer_lock);
}

void shim_advance(unsigned long ticks)
{
	pthread_mutex_lock(&timer_lock);
	while (ticks--) {
		__atomic_store_n(&now, now + 1, __ATOMIC_RELAXED);
		timers_run();
	}
	pthread_mutex_unlock(&timer_lock);
}

void shim_init_delayed_work(struct delayed_work *work, void (*func)(struct work_struct *))
{
	memset(work, 0, sizeof(*work));
	work->work.func = func;
	INIT_LIST_HEAD(&work->node);
}

bool shim_queue_delayed_work(struct delayed_work *work, unsigned long delay)
{
	bool ret;

	pthread_mutex_lock(&timer_lock);
	ret = !work->pending;
	if (ret) {
		work->expires = now + delay;
		work->pending = true;
		list_add_tail(&work->node, &timers);
	}
	pthread_mutex_unlock(&timer_lock);
	return ret;
}

/* The log */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[16384];
static size_t log_len;

void shim_printk(const char *fmt, ...)
{
	va_list args;
	int n;

	pthread_mutex_lock(&log_lock);
	va_start(args, fmt);
	n = vsnprintf(log_text + log_len, sizeof(log_text) - log_len, fmt, args);
	va_end(args);
	if (n > 0 && log_len + n < sizeof(log_text))
		log_len += n;
	log_text[log_len] = '\0';
	pthread_mutex_unlock(&log_lock);
}

unsigned int shim_logged(const char *words)
{
	unsigned int lines = 0;
	char *line, *end;

	pthread_mutex_lock(&log_lock);
	for (line = log_text; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (strstr(line, words))
			lines++;
		*end = '\n';
	}
	pthread_mutex_unlock(&log_lock);
	return lines;
}

void shim_log_clear(void)
{
	pthread_mutex_lock(&log_lock);
	log_len = 0;
	log_text[0] = '\0';
	pthread_mutex_unlock(&log_lock);
}

/* Tracepoints */

bool shim_tracing;

static struct {
	const char *name;
	unsigned int hits;
} traces[32];

static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;

void shim_trace(const char *name)
{
	unsigned int i;

	pthread_mutex_lock(&trace_lock);
	for (i = 0; i < 31 && traces[i].name; i++)
		if (!strcmp(traces[i].name, name))
			break;
	traces[i].name = name;
	traces[i].hits++;
	pthread_mutex_unlock(&trace_lock);
}

unsigned int shim_traced(const char *name)
{
	unsigned int i, hits = 0;

	pthread_mutex_lock(&trace_lock);
	for (i = 0; i < 32 && traces[i].name; i++)
		if (!strcmp(traces[i].name, name))
			hits = traces[i].hits;
	pthread_mutex_unlock(&trace_lock);
	return hits;
}

/* debugfs: the one file, read as seq_read_iter() would */

static const struct file_operations *debugfs_file;

void shim_debugfs_create(const struct file_operations *fops)
{
	debugfs_file = fops;
}

void shim_seq_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	m->count += vsnprintf(m->buf + m->count, sizeof(m->buf) - m->count, fmt, args);
	va_end(args);
	if (m->count >= sizeof(m->buf))
		shim_die("a line of debugfs is too long");
}

void shim_seq_escape(struct seq_file *m, const char *string, const char *also)
{
	for (; *string; string++)
		shim_seq_printf(m, *string < ' ' || *string > '~' || strchr(also, *string) ? "\\%03o" : "%c",
				(unsigned char)*string);
}

void *shim_seq_open(struct file *file, const struct seq_operations *ops, size_t size)
{
	struct seq_file *m = calloc(1, sizeof(*m));

	m->op = ops;
	m->private = calloc(1, size);
	file->private_data = m;
	return m->private;
}

int shim_seq_release(struct file *file)
{
	struct seq_file *m = file->private_data;

	free(m->private);
	free(m);
	return 0;
}

/* Every @chunk lines a new read() begins, with a line that did not fit before */
size_t shim_debugfs_read(char *text, size_t size, unsigned int chunk)
{
	struct file file = {};
	struct inode inode;
	struct seq_file *m;
	size_t len = 0;
	loff_t pos = 0;
	void *v;

	if (debugfs_file->open(&inode, &file))
		shim_die("debugfs: open() has failed");
	m = file.private_data;
	do {
		unsigned int left = chunk;

		v = m->op->start(m, &pos);
		while (v) {
			m->count = 0;
			if (m->op->show(m, v))
				shim_die("debugfs: show() has failed");
			if (!left--)
				break;
			if (len + m->count >= size)
				shim_die("debugfs: too much text");
			memcpy(text + len, m->buf, m->count);
			len += m->count;
			v = m->op->next(m, v, &pos);
		}
		m->op->stop(m, v);
	} while (v);
	text[len] = '\0';
	debugfs_file->release(&inode, &file);
	return len;
}

/* The deadline */

static char overdue[64];

static void on_alarm(int sig)
{
	(void)sig;
	(void)!write(STDOUT_FILENO, overdue, strlen(overdue));
	_exit(1);
}

void shim_deadline(const char *name, unsigned long seconds)
{
	snprintf(overdue, sizeof(overdue), "# it hangs\nnot ok 1 %s\n", name);
	signal(SIGALRM, on_alarm);
	alarm((unsigned int)seconds);
}
