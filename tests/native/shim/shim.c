// SPDX-License-Identifier: GPL-2.0
#include <linux/refcount.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <shim.h>

#include <errno.h>
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

struct task_struct *shim_current(void)
{
	return &task;
}

void shim_set_task(pid_t pid, const char *comm)
{
	task.pid = pid;
	snprintf(task.comm, sizeof(task.comm), "%s", comm);
}

/* Processes: none is ever forgotten, so that a late look finds it */

struct pid {
	bool dead;
	int references;
};

static struct pid pids[512];

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

bool shim_pid_alive(struct pid *pid)
{
	if (!task.rcu_readers)
		shim_die("pid_task() by nobody that RCU knows");
	return !__atomic_load_n(&pid->dead, __ATOMIC_RELAXED);
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

static pthread_rwlock_t readers = PTHREAD_RWLOCK_INITIALIZER;
static pthread_mutex_t rcu_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t rcu_more = PTHREAD_COND_INITIALIZER;
static pthread_cond_t rcu_less = PTHREAD_COND_INITIALIZER;
static struct rcu_head *rcu_queue;
static bool rcu_busy, rcu_thread;

void rcu_read_lock(void)
{
	if (!task.rcu_readers++)
		pthread_rwlock_rdlock(&readers);
}

void rcu_read_unlock(void)
{
	if (task.rcu_readers <= 0)
		shim_die("rcu_read_unlock() without a lock");
	if (!--task.rcu_readers)
		pthread_rwlock_unlock(&readers);
}

static void *rcu_main(void *unused)
{
	struct rcu_head *batch, *next;

	pthread_mutex_lock(&rcu_lock);
	for (;;) {
		while (!rcu_queue)
			pthread_cond_wait(&rcu_more, &rcu_lock);
		batch = rcu_queue;
		rcu_queue = NULL;
		rcu_busy = true;
		pthread_mutex_unlock(&rcu_lock);

		pthread_rwlock_wrlock(&readers);
		pthread_rwlock_unlock(&readers);
		for (; batch; batch = next) {
			next = batch->next;
			batch->func(batch);
		}

		pthread_mutex_lock(&rcu_lock);
		rcu_busy = false;
		pthread_cond_broadcast(&rcu_less);
	}
	return unused;
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

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	pthread_mutex_lock(&rcu_lock);
	head->func = func;
	head->next = rcu_queue;
	rcu_queue = head;
	if (!rcu_thread)
		shim_thread(rcu_main, NULL);
	rcu_thread = true;
	pthread_cond_signal(&rcu_more);
	pthread_mutex_unlock(&rcu_lock);
}

void rcu_barrier(void)
{
	if (task.rcu_readers)
		shim_die("a reader of RCU waits for itself");
	pthread_mutex_lock(&rcu_lock);
	while (rcu_queue || rcu_busy)
		pthread_cond_wait(&rcu_less, &rcu_lock);
	pthread_mutex_unlock(&rcu_lock);
}

/* The head is at some offset of the object: it is found by where malloc began */
struct rcu_free {
	struct rcu_head head;
	void *object;
};

static void rcu_free(struct rcu_head *head)
{
	struct rcu_free *it = container_of(head, struct rcu_free, head);

	kfree(it->object);
	free(it);
}

void shim_kfree_rcu(void *p, struct rcu_head *head)
{
	struct rcu_free *it = malloc(sizeof(*it));

	(void)head;
	if (!it)
		shim_die("out of memory");
	it->object = p;
	call_rcu(&it->head, rcu_free);
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

static void *alloc_aligned(size_t size, size_t align, gfp_t gfp)
{
	void *p;

	if (gfp & __GFP_DIRECT_RECLAIM)
		shim_might_sleep("an allocation that may block");
	if (!(gfp & __GFP_NOFAIL) && fail_from) {
		if (fail_from == 1) {
			failures++;
			return NULL;
		}
		fail_from--;
	}
	if (posix_memalign(&p, align, size))
		shim_die("out of memory");
	memset(p, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	__atomic_add_fetch(&allocated, 1, __ATOMIC_RELAXED);
	return p;
}

void *shim_alloc(size_t size, gfp_t gfp)
{
	return alloc_aligned(size, sizeof(long), gfp);
}

void kfree(const void *p)
{
	if (!p)
		return;
	__atomic_sub_fetch(&allocated, 1, __ATOMIC_RELAXED);
	free((void *)p);
}

long shim_allocated(void)
{
	return __atomic_load_n(&allocated, __ATOMIC_RELAXED);
}

struct kmem_cache {
	size_t size;
	size_t align;
};

struct slab_sheaf {
	unsigned int n;
	void *objects[];
};

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     struct kmem_cache_args *args, unsigned long flags)
{
	static struct kmem_cache cache;

	(void)name;
	(void)flags;
	if (cache.size)
		shim_die("a second kmem_cache: the shim has one");
	cache.size = size;
	cache.align = args->align;
	return &cache;
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	return alloc_aligned(cache->size, cache->align, gfp);
}

void kmem_cache_free(struct kmem_cache *cache, void *obj)
{
	(void)cache;
	kfree(obj);
}

void kmem_cache_free_bulk(struct kmem_cache *cache, size_t n, void **objs)
{
	while (n--)
		kmem_cache_free(cache, objs[n]);
}

struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp, unsigned int n)
{
	struct slab_sheaf *sheaf = malloc(sizeof(*sheaf) + 64 * sizeof(void *));

	if (!sheaf || n > 64)
		shim_die("no sheaf of %u", n);
	sheaf->n = 0;
	while (sheaf->n < n) {
		sheaf->objects[sheaf->n] = kmem_cache_alloc(cache, gfp);
		if (!sheaf->objects[sheaf->n]) {
			kmem_cache_return_sheaf(cache, gfp, sheaf);
			return NULL;
		}
		sheaf->n++;
	}
	return sheaf;
}

int kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf **sheaf, unsigned int n)
{
	while ((*sheaf)->n < n) {
		void *obj = kmem_cache_alloc(cache, gfp);

		if (!obj)
			return -ENOMEM;
		(*sheaf)->objects[(*sheaf)->n++] = obj;
	}
	return 0;
}

void kmem_cache_return_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf)
{
	(void)gfp;
	while (sheaf->n)
		kmem_cache_free(cache, sheaf->objects[--sheaf->n]);
	free(sheaf);
}

void *kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp, struct slab_sheaf *sheaf)
{
	(void)cache;
	(void)gfp;
	return sheaf->n ? sheaf->objects[--sheaf->n] : NULL;
}

unsigned int kmem_cache_sheaf_size(struct slab_sheaf *sheaf)
{
	return sheaf->n;
}

/* References */

void shim_refcount_inc(refcount_t *ref)
{
	if (__atomic_fetch_add(&ref->count, 1, __ATOMIC_RELAXED) <= 0)
		shim_die("refcount_inc() of a dead object");
}

void (*shim_before_inc_not_zero)(void);
void (*shim_before_cmpxchg)(void);

void shim_cmpxchg_begins(void)
{
	if (shim_before_cmpxchg)
		shim_before_cmpxchg();
}

bool shim_refcount_inc_not_zero(refcount_t *ref)
{
	int old;

	if (shim_before_inc_not_zero)
		shim_before_inc_not_zero();
	old = refcount_read(ref);
	while (old) {
		if (old < 0)
			shim_die("refcount_inc_not_zero() below zero");
		if (__atomic_compare_exchange_n(&ref->count, &old, old + 1, true,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	}
	return false;
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

void (*shim_before_wake_up)(void);
static unsigned int sleeping;

void init_waitqueue_head(wait_queue_head_t *wq)
{
	pthread_mutex_init(&wq->lock, NULL);
	INIT_LIST_HEAD(&wq->head);
	wq->sleepers = 0;
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
	if (list_empty(&wait->node)) {
		list_add_tail(&wait->node, &wq->head);
		__atomic_add_fetch(&wq->sleepers, 1, __ATOMIC_SEQ_CST);
	}
	set_sleeping(1);
	pthread_mutex_unlock(&wq->lock);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void shim_schedule(void)
{
	__atomic_add_fetch(&sleeping, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&task.lock);
	while (task.sleeping)
		pthread_cond_wait(&task.woken, &task.lock);
	pthread_mutex_unlock(&task.lock);
	__atomic_sub_fetch(&sleeping, 1, __ATOMIC_SEQ_CST);
}

unsigned int shim_sleeping(void)
{
	return __atomic_load_n(&sleeping, __ATOMIC_SEQ_CST);
}

static void wait_del(wait_queue_head_t *wq, struct shim_wait *wait)
{
	list_del_init(&wait->node);
	__atomic_sub_fetch(&wq->sleepers, 1, __ATOMIC_SEQ_CST);
}

void shim_finish_wait(wait_queue_head_t *wq, struct shim_wait *wait)
{
	set_sleeping(0);
	pthread_mutex_lock(&wq->lock);
	if (!list_empty(&wait->node))
		wait_del(wq, wait);
	pthread_mutex_unlock(&wq->lock);
}

void shim_wake_up(wait_queue_head_t *wq, const void *var)
{
	struct shim_wait *wait, *next;

	if (shim_before_wake_up)
		shim_before_wake_up();
	pthread_mutex_lock(&wq->lock);
	list_for_each_entry_safe(wait, next, &wq->head, node) {
		struct task_struct *sleeper = wait->task;

		if (wait->var != var)
			continue;
		wait_del(wq, wait);
		pthread_mutex_lock(&sleeper->lock);
		sleeper->sleeping = 0;
		pthread_cond_signal(&sleeper->woken);
		pthread_mutex_unlock(&sleeper->lock);
	}
	pthread_mutex_unlock(&wq->lock);
}

bool wq_has_sleeper(wait_queue_head_t *wq)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&wq->sleepers, __ATOMIC_SEQ_CST);
}

wait_queue_head_t *shim_var_queue(const void *var)
{
	static wait_queue_head_t queue = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.head = LIST_HEAD_INIT(queue.head),
	};

	/* One for all: the key tells them apart, as in the kernel's table */
	(void)var;
	return &queue;
}

/* Work */

static void *work_main(void *arg)
{
	struct work_struct *work = arg;

	shim_set_task(3, "kworker");
	work->func(work);
	return NULL;
}

static unsigned int works;

unsigned int shim_works(void)
{
	return __atomic_load_n(&works, __ATOMIC_RELAXED);
}

void shim_queue_work(struct work_struct *work)
{
	__atomic_add_fetch(&works, 1, __ATOMIC_RELAXED);
	shim_thread(work_main, work);
}

/* Guards delayed works, the clock and the thread that serves them */
static pthread_mutex_t timer_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t timer_event = PTHREAD_COND_INITIALIZER;
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
		work->running = true;
		pthread_mutex_unlock(&timer_lock);
		work->work.func(&work->work);
		pthread_mutex_lock(&timer_lock);
		work->running = false;
		pthread_cond_broadcast(&timer_event);
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

void shim_queue_delayed_work(struct delayed_work *work, unsigned long delay)
{
	pthread_mutex_lock(&timer_lock);
	if (!work->dying && !work->pending) {
		work->expires = now + delay;
		work->pending = true;
		list_add_tail(&work->node, &timers);
	}
	pthread_mutex_unlock(&timer_lock);
}

void cancel_delayed_work_sync(struct delayed_work *work)
{
	shim_might_sleep("cancel_delayed_work_sync()");
	pthread_mutex_lock(&timer_lock);
	work->dying = true;
	if (work->pending)
		list_del_init(&work->node);
	work->pending = false;
	while (work->running)
		pthread_cond_wait(&timer_event, &timer_lock);
	work->dying = false;
	pthread_mutex_unlock(&timer_lock);
}

void destroy_delayed_work_on_stack(struct delayed_work *work)
{
	pthread_mutex_lock(&timer_lock);
	if (work->pending || work->running)
		shim_die("a work on the stack ends while it is queued");
	pthread_mutex_unlock(&timer_lock);
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
