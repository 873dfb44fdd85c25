// SPDX-License-Identifier: GPL-2.0
/*
 * What things cost, in instructions, for scripts/bench: it runs the same program
 * on a kernel with and on one without the series and compares. A test passes
 * when it has measured; which figures are good enough is not decided here.
 * Those whose names begin with p2p_ need the series.
 */
#include "check.h"
#include "count.h"
#include "edu.h"
#include "iommufd.h"
#include "p2pmem.h"
#include "rdma.h"
#include "scene.h"
#include "sysfs.h"
#include "tap.h"
#include "vfio.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB	((size_t)1024)
#define MIB	(1024 * KIB)
#define ROUNDS	9
#define REG_ROUNDS	20
#define WIRE_ROUNDS	300
#define BATCH	8			/* work requests posted at a time */
#define IOVA	0x10000000ULL

#define IVSHMEM_VENDOR	0x1af4
#define IVSHMEM_DEVICE	0x1110
#define IVSHMEM_MEMORY	2

static void counter(void)
{
	ASSERT_TRUE(count_works());
}

/* Memory of the process, populated; with huge pages if it is asked for. */
static void *anon(size_t len, bool huge)
{
	size_t room = len + 2 * MIB;
	char *m = mmap(NULL, room, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_TRUE(m != MAP_FAILED);
	/* Both halves around it stay: it is this program's end that frees them. */
	m = (char *)(((uintptr_t)m + 2 * MIB - 1) & ~(2 * MIB - 1));
	ASSERT_EQ(madvise(m, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE), 0);
	memset(m, 1, len);
	return m;
}

/*
 * So often that a round takes some 15 million instructions, or four ticks: what
 * is freed by RCU comes back in bursts, which each round is to have its share of.
 */
static unsigned int times(size_t len)
{
	size_t pages = len / PAGE;

	return pages >= 8192 ? 3 : 15000000 / (12000 + 500 * pages);
}

struct region {
	struct ibv_pd *pd;
	void *at;
	size_t len;
};

static int reg_dereg(void *arg)
{
	struct region *r = arg;
	struct ibv_mr *mr = ibv_reg_mr(r->pd, r->at, r->len, RDMA_ALL);

	if (!mr)
		return -errno;
	return -ibv_dereg_mr(mr);
}

static const size_t reg_sizes[] = {
	4 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 32 * MIB, 64 * MIB,
};

static void reg_all(const char *row, void *at, size_t max)
{
	struct region r = { .at = at };
	struct rdma rdma;
	size_t i;

	ASSERT_EQ(rdma_open(&rdma), 0);
	r.pd = rdma.pd;
	for (i = 0; i < sizeof(reg_sizes) / sizeof(reg_sizes[0]); i++) {
		r.len = reg_sizes[i];
		if (r.len > max)
			break;
		EXPECT_EQ(count_row(row, r.len, r.len > MIB ? ROUNDS : REG_ROUNDS, times(r.len), 1, reg_dereg, &r), 0);
	}
	rdma_close(&rdma);
}

static void reg(void)
{
	reg_all("reg", anon(64 * MIB, false), 64 * MIB);
}

static void reg_huge(void)
{
	reg_all("reg-huge", anon(64 * MIB, true), 64 * MIB);
}

static void p2p_reg(void)
{
	void *m = p2pmem_map(&scene_provider, 32 * MIB);

	ASSERT_TRUE(m);
	reg_all("reg-p2p", m, 32 * MIB);
	munmap(m, 32 * MIB);
}

/* Two connected QPs; the first sleeps until its completions are there. */
struct wire {
	struct rdma rdma;
	struct ibv_comp_channel *channel;
	struct rdma_qp end[2];
	struct ibv_mr *local, *remote;
	enum ibv_wr_opcode opcode;
	uint32_t len;
	unsigned int batch;
};

static void wire_qp(struct wire *w, int i, struct ibv_comp_channel *channel)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 2 * BATCH, .max_recv_wr = 2 * BATCH,
			 .max_send_sge = 1, .max_recv_sge = 1 },
	};
	struct rdma_qp *q = &w->end[i];

	q->cq = ibv_create_cq(w->rdma.ctx, 4 * BATCH, NULL, channel, 0);
	ASSERT_TRUE(q->cq);
	init.send_cq = init.recv_cq = q->cq;
	q->qp = ibv_create_qp(w->rdma.pd, &init);
	ASSERT_TRUE(q->qp);
}

static void wire_open(struct wire *w, void *remote)
{
	uint32_t psn = rdma_new_psn();

	memset(w, 0, sizeof(*w));
	ASSERT_EQ(rdma_open(&w->rdma), 0);
	w->channel = ibv_create_comp_channel(w->rdma.ctx);
	ASSERT_TRUE(w->channel);
	wire_qp(w, 0, w->channel);
	wire_qp(w, 1, NULL);
	ASSERT_EQ(rdma_qp_connect(&w->rdma, &w->end[1],
				  w->end[0].qp->qp_num, psn), 0);
	ASSERT_EQ(rdma_qp_connect(&w->rdma, &w->end[0],
				  w->end[1].qp->qp_num, psn), 0);
	w->local = ibv_reg_mr(w->rdma.pd, anon(64 * KIB, false), 64 * KIB,
			      RDMA_ALL);
	w->remote = ibv_reg_mr(w->rdma.pd, remote, 64 * KIB, RDMA_ALL);
	ASSERT_TRUE(w->local && w->remote);
}

static void wire_close(struct wire *w)
{
	rdma_qp_destroy(&w->end[0]);
	rdma_qp_destroy(&w->end[1]);
	EXPECT_EQ(ibv_dereg_mr(w->local), 0);
	EXPECT_EQ(ibv_dereg_mr(w->remote), 0);
	EXPECT_EQ(ibv_destroy_comp_channel(w->channel), 0);
	rdma_close(&w->rdma);
}

static int take(struct ibv_cq *cq, unsigned int n)
{
	struct ibv_wc wc;

	while (n) {
		int got = ibv_poll_cq(cq, 1, &wc);

		if (got < 0 || (got && wc.status))
			return -EIO;
		if (!got)
			return -EAGAIN;
		n--;
	}
	return 0;
}

/* A batch of one kind; the last of them is completed when all are through. */
static int wire_run(void *arg)
{
	struct wire *w = arg;
	struct ibv_sge sge = { .addr = (uintptr_t)w->local->addr,
			       .length = w->len, .lkey = w->local->lkey };
	struct ibv_send_wr wr[BATCH] = {}, *bad;
	struct ibv_cq *cq;
	unsigned int i;
	void *context;
	int err;

	for (i = 0; i < w->batch; i++) {
		wr[i].opcode = w->opcode;
		wr[i].sg_list = &sge;
		wr[i].num_sge = 1;
		wr[i].wr.rdma.remote_addr = (uintptr_t)w->remote->addr;
		wr[i].wr.rdma.rkey = w->remote->rkey;
		wr[i].next = &wr[i + 1];
		if (w->opcode == IBV_WR_SEND)
			err = rdma_post_recv(&w->end[1],
					     (uintptr_t)w->remote->addr,
					     w->remote->lkey, w->len);
		else
			err = 0;
		if (err)
			return err;
	}
	wr[i - 1].next = NULL;
	wr[i - 1].send_flags = IBV_SEND_SIGNALED;

	err = -ibv_req_notify_cq(w->end[0].cq, 0);
	if (!err)
		err = -ibv_post_send(w->end[0].qp, wr, &bad);
	if (err)
		return err;
	if (ibv_get_cq_event(w->channel, &cq, &context))
		return -errno;
	ibv_ack_cq_events(cq, 1);
	err = take(w->end[0].cq, 1);
	if (!err && w->opcode == IBV_WR_SEND)
		err = take(w->end[1].cq, w->batch);
	return err;
}

static void wire_all(const char *suffix, void *remote, const uint32_t *sizes)
{
	static const struct {
		enum ibv_wr_opcode opcode;
		const char *name;
	} ops[] = {
		{ IBV_WR_RDMA_WRITE, "write" },
		{ IBV_WR_RDMA_READ, "read" },
		{ IBV_WR_SEND, "send" },
	};
	struct wire w;
	char row[32];
	size_t i;

	wire_open(&w, remote);
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		const uint32_t *len;

		snprintf(row, sizeof(row), "%s%s", ops[i].name, suffix);
		w.opcode = ops[i].opcode;
		for (len = sizes; *len; len++) {
			w.len = *len;
			/* Short, so that half of the rounds have no timer in them. */
			w.batch = *len > KIB ? 1 : BATCH;
			EXPECT_EQ(count_row(row, w.len, WIRE_ROUNDS, 1,
					    w.batch, wire_run, &w), 0);
		}
	}
	wire_close(&w);
}

static void wire(void)
{
	static const uint32_t sizes[] = { 64, 512, 1024, 4096, 65536, 0 };

	wire_all("", anon(64 * KIB, false), sizes);
}

static void p2p_wire(void)
{
	static const uint32_t sizes[] = { 64, 512, 1024, 0 };
	void *m = p2pmem_map(&scene_provider, 64 * KIB);

	ASSERT_TRUE(m);
	wire_all("-p2p", m, sizes);
	munmap(m, 64 * KIB);
}

struct map {
	struct vfio_space space;
	void *at;
	size_t len;
};

static int map_unmap(void *arg)
{
	struct map *m = arg;
	uint64_t done;
	int err = vfio_map(&m->space, m->at, IOVA, m->len, VFIO_RW);

	if (!err)
		err = vfio_unmap(&m->space, IOVA, m->len, &done);
	return err;
}

static void map_all(const char *row, enum vfio_kind kind, void *at, size_t max)
{
	struct map m = { .at = at };
	struct vfio_dev dev;
	char bdf[32];
	size_t i;

	ASSERT_EQ(vfio_find(EDU_VENDOR, EDU_DEVICE, 0, bdf), 0);
	ASSERT_EQ(vfio_bind(bdf), 0);
	ASSERT_EQ(vfio_space_open(&m.space, kind), 0);
	ASSERT_EQ(vfio_attach(&m.space, &dev, bdf), 0);
	for (i = 0; i < sizeof(reg_sizes) / sizeof(reg_sizes[0]); i++) {
		m.len = reg_sizes[i];
		if (m.len > max)
			break;
		EXPECT_EQ(count_row(row, m.len, ROUNDS, times(m.len), 1, map_unmap, &m), 0);
	}
	vfio_detach(&dev);
	vfio_space_close(&m.space);
	EXPECT_EQ(vfio_unbind(bdf), 0);
}

static void map(void)
{
	void *m = anon(32 * MIB, false);

	map_all("map-type1", VFIO_KIND_TYPE1, m, 32 * MIB);
	map_all("map-iommufd", VFIO_KIND_IOMMUFD, m, 32 * MIB);
}

static void p2p_map(void)
{
	void *m = p2pmem_map(&scene_provider, 32 * MIB);

	ASSERT_TRUE(m);
	map_all("map-type1-p2p", VFIO_KIND_TYPE1, m, 32 * MIB);
	map_all("map-iommufd-p2p", VFIO_KIND_IOMMUFD, m, 32 * MIB);
	munmap(m, 32 * MIB);
}

#define UNBINDS	11

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void say_median(const char *row, size_t size, double *value, unsigned int n)
{
	qsort(value, n, sizeof(value[0]), compare);
	tap_note("BENCH %s %zu %.1f %.1f", row, size, value[0], value[n / 2]);
}

#define NO_RCU	LONG_MIN

/*
 * Grace periods so far, or NO_RCU; they are counted from below 0. RCU tells when it is asked for its state, if
 * the command line has rcutree.sysrq_rcu=1; with rcupdate.rcu_normal=1 nobody
 * gets an expedited one, which it would not count.
 */
static long grace_periods(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[1024], *at;
	long seq = NO_RCU;
	ssize_t n;

	if (fd < 0)
		return NO_RCU;
	lseek(fd, 0, SEEK_END);
	sysfs_write("/proc/sysrq-trigger", "y");
	while ((n = read(fd, record, sizeof(record) - 1)) > 0) {
		record[n] = '\0';
		at = strstr(record, ";rcu_preempt: wait state:");
		at = at ? at : strstr(record, ";rcu: rcu_preempt: wait state:");
		at = at ? strstr(at, "->gp_seq ") : NULL;
		if (at)
			seq = strtol(at + 9, NULL, 10) >> 2;
	}
	close(fd);
	/* The console prints it meanwhile. */
	usleep(300000);
	return seq;
}

#define TRACING	"/sys/kernel/tracing/"
#define CALLS	TRACING "events/csd/csd_queue_cpu/enable"

/* To be truncated is what makes the file forget. */
static bool trace_clear(void)
{
	int fd = open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	return fd >= 0 && !close(fd);
}

static bool calls_start(void)
{
	return !sysfs_write(TRACING "buffer_size_kb", "16384") &&
	       trace_clear() && !sysfs_write(CALLS, "1");
}

/*
 * Functions that CPUs had others run: TLB flushes, expedited grace periods and
 * the like, but not wake-ups, which are a matter of luck. -1 on failure.
 */
static long calls_count(void)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[512];
	long n = 0;

	if (!f || sysfs_write(CALLS, "0"))
		n = -1;
	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, " csd_queue_cpu: ");

		at = at ? strstr(at, "func=") : NULL;
		if (!at || n < 0 || !strncmp(at + 5, "sched_ttwu_pending", 18))
			continue;
		n++;
	}
	if (f)
		fclose(f);
	return n;
}

/* Keeps a CPU busy, in an address space that has the memory mapped. */
static volatile unsigned char *spinner_map;

static int spinner(int fd, void *arg)
{
	cpu_set_t set;

	(void)fd;
	CPU_ZERO(&set);
	CPU_SET(*(int *)arg, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return 1;
	(void)spinner_map[0];
	for (;;)
		;
	return 0;
}

static void stop(struct worker *w)
{
	worker_kill(w, SIGKILL);
	EXPECT_GE(worker_join(w, 10), 0);
}

/* With the memory mapped, if so, but without a pin: what stock can do as well. */
static void unbind_rows(const char *row, size_t pages, bool loaded)
{
	double ticks[UNBINDS], gps[UNBINDS], ipis[UNBINDS];
	char path[128], name[64];
	int i, cpu, cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	bool rcu_tells = false;
	struct worker w[8];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", scene_provider.driver);
	for (i = 0; i < UNBINDS; i++) {
		void *m = pages ? p2pmem_map(&scene_provider, pages * PAGE) : NULL;
		uint64_t start;
		long gp, ipi;
		int err;

		ASSERT_TRUE(m || !pages);
		for (cpu = 0; loaded && cpu < cpus && cpu < 8; cpu++) {
			spinner_map = m;
			ASSERT_EQ(worker_start(&w[cpu], "spinner", spinner, &cpu), 0);
		}
		gp = grace_periods();
		EXPECT_TRUE(calls_start());
		start = count_now();
		err = sysfs_write(path, scene_provider.bdf);
		ticks[i] = (double)(count_now() - start);
		ipi = calls_count();
		ipis[i] = (double)ipi;
		gps[i] = (double)(grace_periods() - gp);
		for (cpu = 0; loaded && cpu < cpus && cpu < 8; cpu++)
			stop(&w[cpu]);
		EXPECT_EQ(err, 0);
		EXPECT_GE(ipi, 0);
		rcu_tells = gp != NO_RCU;
		if (m)
			munmap(m, pages * PAGE);
		ASSERT_EQ(provider_bind(&scene_provider), 0);
	}
	if (!loaded)
		say_median(row, pages, ticks, UNBINDS);
	snprintf(name, sizeof(name), "%s%s-gp", row, loaded ? "-loaded" : "");
	if (rcu_tells)
		say_median(name, pages, gps, UNBINDS);
	else
		tap_note("no grace periods counted: rcutree.sysrq_rcu=1 is not on the command line");
	snprintf(name, sizeof(name), "%s%s-ipi", row, loaded ? "-loaded" : "");
	say_median(name, pages, ipis, UNBINDS);
}

static void unbind(void)
{
	unbind_rows("unbind", 0, false);
	unbind_rows("unbind", 256, false);
}

static void unbind_loaded(void)
{
	unbind_rows("unbind", 256, true);
}

/* The notifier's own events, for the time a broadcast takes. */
#define EVENTS	TRACING "events/pfn_revoke/"

static bool trace_start(const char *event)
{
	char path[128];

	snprintf(path, sizeof(path), EVENTS "%senable", event);
	return !sysfs_write(TRACING "trace_clock", "boot") &&
	       !sysfs_write(TRACING "buffer_size_kb", "16384") &&
	       trace_clear() && !sysfs_write(path, "1");
}

static void trace_stop(void)
{
	EXPECT_EQ(sysfs_write(EVENTS "enable", "0"), 0);
}

/* pins= and ns= of the broadcast with the most pins, or false. */
static bool trace_broadcast(unsigned int *pins, unsigned long long *ns)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[512];
	bool found = false;

	if (!f)
		return false;
	*pins = 0;
	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, " pfn_revoke_end: ");
		unsigned long long n;
		unsigned int p;

		at = at ? strstr(at, "pins=") : NULL;
		if (!at || sscanf(at, "pins=%u ns=%llu", &p, &n) != 2)
			continue;
		if (!found || p > *pins) {
			*pins = p;
			*ns = n;
		}
		found = true;
	}
	fclose(f);
	return found;
}

/* Every event, and how long after the write to sysfs it was, in microseconds */
static void trace_timeline(unsigned int mrs, double start, double end)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[512];
	unsigned int n = 0;

	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f)) {
		static const char * const names[] = {
			"pfn_revoke_begin", "pfn_pin_start", "pfn_pin_finish",
			"pfn_revoke_end",
		};
		char *at = strstr(line, ": pfn_"), *stamp = at;
		size_t i;

		while (stamp && stamp > line && stamp[-1] != ' ')
			stamp--;
		for (i = 0; at && i < 4; i++) {
			if (strncmp(at + 2, names[i], strlen(names[i])))
				continue;
			/* Of a long list some are enough for a picture. */
			if (i % 3 == 0 || mrs <= 200 || n++ % (mrs / 100) == 0)
				tap_note("TIMELINE %u %s %.1f", mrs, names[i],
					 1e6 * (strtod(stamp, NULL) - start));
		}
	}
	fclose(f);
	tap_note("TIMELINE %u unbound %.1f", mrs, 1e6 * (end - start));
}

#define MAX_MRS	10000
#define PAGES	8192

static double revoke_mrs(unsigned int n, size_t pages, bool timeline)
{
	static struct ibv_mr *mr[MAX_MRS];
	unsigned int i, pins = 0;
	unsigned long long ns = 0;
	struct unbind u;
	struct rdma r;
	long gp = 0;
	char *m;

	m = p2pmem_map(&scene_provider, PAGES * PAGE);
	ASSERT_TRUE(m);
	ASSERT_EQ(rdma_open(&r), 0);
	for (i = 0; i < n; i++) {
		mr[i] = ibv_reg_mr(r.pd, m + i * pages % PAGES * PAGE,
				   pages * PAGE, RDMA_ALL);
		if (!mr[i])
			break;
	}
	ASSERT_EQ(i, n);
	ASSERT_TRUE(trace_start(timeline ? "" : "pfn_revoke_end/"));
	if (!timeline)
		gp = grace_periods();
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	if (!timeline && pages == 1 && gp != NO_RCU)
		count_say("revoke-gp", n, (double)(grace_periods() - gp));
	trace_stop();
	EXPECT_EQ(u.err, 0);
	EXPECT_TRUE(trace_broadcast(&pins, &ns));
	EXPECT_EQ(pins, n);
	if (timeline)
		trace_timeline(n, u.start, u.start + u.seconds);
	for (i = 0; i < n; i++)
		EXPECT_EQ(ibv_dereg_mr(mr[i]), 0);
	rdma_close(&r);
	munmap(m, PAGES * PAGE);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	return (double)ns;
}

static void p2p_revoke(void)
{
	static const unsigned int counts[] = { 1, 10, 100, 1000, MAX_MRS };
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		count_say("revoke", counts[i], revoke_mrs(counts[i], 1, false));
	/* The same number of larger ones, which do not overlap. */
	count_say("revoke-16-pages", 100, revoke_mrs(100, 16, false));
	count_say("revoke-80-pages", 100, revoke_mrs(100, 80, false));
}

/* The same of iommufd mappings of one page each */
static double revoke_maps(unsigned int n)
{
	struct map m = { .len = PAGE };
	unsigned int i, pins = 0;
	unsigned long long ns = 0;
	struct vfio_dev dev;
	struct unbind u;
	uint64_t done;
	char bdf[32];
	int err = 0;

	m.at = p2pmem_map(&scene_provider, n * PAGE);
	ASSERT_TRUE(m.at);
	ASSERT_EQ(vfio_find(EDU_VENDOR, EDU_DEVICE, 0, bdf), 0);
	ASSERT_EQ(vfio_bind(bdf), 0);
	ASSERT_EQ(vfio_space_open(&m.space, VFIO_KIND_IOMMUFD), 0);
	ASSERT_EQ(vfio_attach(&m.space, &dev, bdf), 0);
	for (i = 0; i < n && !err; i++)
		err = vfio_map(&m.space, (char *)m.at + i * PAGE, IOVA + 2 * i * PAGE,
			       PAGE, VFIO_RW);
	ASSERT_EQ(err, 0);
	ASSERT_TRUE(trace_start("pfn_revoke_end/"));
	ASSERT_TRUE(unbind_now(&scene_provider, &u));
	trace_stop();
	EXPECT_EQ(u.err, 0);
	EXPECT_TRUE(trace_broadcast(&pins, &ns));
	EXPECT_EQ(pins, n);
	EXPECT_EQ(vfio_unmap_all(&m.space, &done), 0);
	vfio_detach(&dev);
	vfio_space_close(&m.space);
	EXPECT_EQ(vfio_unbind(bdf), 0);
	munmap(m.at, n * PAGE);
	EXPECT_EQ(provider_bind(&scene_provider), 0);
	return (double)ns;
}

/*
 * Upstream's path for the same job: a BAR of a VFIO device as a dma-buf, which
 * iommufd maps n times. Switching memory decoding off revokes it.
 */
static double revoke_dmabuf(unsigned int n)
{
	struct vfio_dev dev, owner;
	struct vfio_space space, own;
	char bdf[32], owner_bdf[32];
	uint64_t start, cost, done;
	unsigned int i;
	int fd, err = 0;

	ASSERT_EQ(vfio_find(EDU_VENDOR, EDU_DEVICE, 0, bdf), 0);
	ASSERT_EQ(vfio_find(IVSHMEM_VENDOR, IVSHMEM_DEVICE, 0, owner_bdf), 0);
	ASSERT_EQ(vfio_bind(bdf), 0);
	ASSERT_EQ(vfio_bind(owner_bdf), 0);
	ASSERT_EQ(vfio_space_open(&space, VFIO_KIND_IOMMUFD), 0);
	ASSERT_EQ(vfio_attach(&space, &dev, bdf), 0);
	ASSERT_EQ(vfio_space_open(&own, VFIO_KIND_IOMMUFD), 0);
	ASSERT_EQ(vfio_attach(&own, &owner, owner_bdf), 0);
	ASSERT_EQ(vfio_memory(&owner, true), 0);
	fd = vfio_bar_dmabuf(&owner, IVSHMEM_MEMORY, PAGE);
	ASSERT_GE(fd, 0);
	for (i = 0; i < n && !err; i++)
		err = iommufd_map_file(space.fd, space.ioas, fd, IOVA + 2 * i * PAGE, PAGE);
	ASSERT_EQ(err, 0);

	start = count_now();
	err = vfio_memory(&owner, false);
	cost = count_now() - start;
	EXPECT_EQ(err, 0);
	/* It is revoked: it cannot be mapped any more. */
	if (n)
		EXPECT_TRUE(iommufd_map_file(space.fd, space.ioas, fd,
					     IOVA + 2 * n * PAGE, PAGE) < 0);
	EXPECT_EQ(vfio_memory(&owner, true), 0);

	EXPECT_EQ(n ? vfio_unmap_all(&space, &done) : 0, 0);
	close(fd);
	vfio_detach(&owner);
	vfio_space_close(&own);
	vfio_detach(&dev);
	vfio_space_close(&space);
	EXPECT_EQ(vfio_unbind(owner_bdf), 0);
	EXPECT_EQ(vfio_unbind(bdf), 0);
	return (double)cost;
}

static void p2p_dmabuf(void)
{
	static const unsigned int counts[] = { 1, 10, 100, 1000 };
	size_t i;

	count_say("dmabuf", 0, revoke_dmabuf(0));
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		count_say("dmabuf", counts[i], revoke_dmabuf(counts[i]));
		count_say("revoke-maps", counts[i], revoke_maps(counts[i]));
	}
}

static void p2p_timeline(void)
{
	revoke_mrs(1, 1, true);
	revoke_mrs(100, 1, true);
	revoke_mrs(MAX_MRS, 1, true);
}

static const struct tap_test tests[] = {
	{ "counter", counter, 0 },
	{ "reg", reg, 300 },
	{ "reg_huge", reg_huge, 300 },
	{ "wire", wire, 300 },
	{ "map", map, 300 },
	{ "unbind", unbind, 300 },
	{ "unbind_loaded", unbind_loaded, 300 },
	{ "p2p_reg", p2p_reg, 300 },
	{ "p2p_wire", p2p_wire, 300 },
	{ "p2p_map", p2p_map, 300 },
	{ "p2p_revoke", p2p_revoke, 300 },
	{ "p2p_timeline", p2p_timeline, 300 },
	{ "p2p_dmabuf", p2p_dmabuf, 300 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	static const struct tap_suite suite = {
		"bench", tests, scene_init, scene_before, scene_after,
	};

	return tap_main(argc, argv, &suite);
}
