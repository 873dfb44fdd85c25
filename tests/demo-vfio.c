// SPDX-License-Identifier: GPL-2.0
/*
 * The other half of the story: a device that user space drives does DMA to an
 * NVMe controller's memory while the driver of that controller is unbound.
 *
 * D owns the device (edu, under vfio-pci) and the DMA mapping, and never lets go
 * of either. The process that tells the story unbinds the driver. Every line
 * that is printed as a fact was checked; the last one is the verdict, and the
 * exit status says the same.
 */
#include "check.h"
#include "clock.h"
#include "edu.h"
#include "faults.h"
#include "observer.h"
#include "p2pmem.h"
#include "provider.h"
#include "stacks.h"
#include "tell.h"
#include "vfio.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_PAGES	2
#define P2P_PAGES	16
#define LEN		((RAM_PAGES + P2P_PAGES) * PAGE)
#define P2P_LEN		(P2P_PAGES * PAGE)
/* As tests/log-allow.dmar has it. */
#define IOVA		0x0a000000ULL
#define P2P_IOVA	(IOVA + RAM_PAGES * PAGE)
/* From the first page of the provider's to the last one. */
#define COPY		((size_t)4096)
#define FROM		0
#define TO		(P2P_LEN - COPY)

/* Seen by both. */
struct story {
	struct provider provider;
	struct observer observer;
	char edu[32];

	volatile unsigned int copies;	/* by the device, each of COPY bytes */
	volatile bool unbound;
	volatile unsigned int late;	/* begun after the unbind had returned */
	volatile bool ram_works, sigbus;
	volatile uint64_t unmapped;
};

static struct story *st;

struct owner {
	struct vfio_space space;
	struct vfio_dev dev;
	struct edu edu;
	unsigned char *mem, *p2p;
};

static void own(struct owner *o)
{
	ASSERT_EQ(vfio_space_open(&o->space, VFIO_KIND_TYPE1), 0);
	ASSERT_EQ(vfio_attach(&o->space, &o->dev, st->edu), 0);
	ASSERT_EQ(edu_open(&o->edu, &o->dev), 0);
	o->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(o->mem != MAP_FAILED);
	o->p2p = o->mem + RAM_PAGES * PAGE;
	ASSERT_TRUE(p2pmem_mmap(&st->provider, o->p2p, P2P_LEN,
				MAP_SHARED | MAP_FIXED, 0));
	mem_fill(o->mem, LEN, 1);
	ASSERT_EQ(observer_locate(&st->observer, &st->provider, o->p2p, P2P_LEN),
		  0);
	ASSERT_EQ(vfio_map(&o->space, o->mem, IOVA, LEN, VFIO_RW), 0);
}

/* Within the provider's memory, by the device: the CPU looks on. */
static void copy_once(struct owner *o, uint64_t seed)
{
	mem_fill(o->p2p + FROM, COPY, seed);
	ASSERT_EQ(edu_copy(&o->edu, P2P_IOVA + FROM, P2P_IOVA + TO, COPY), 0);
	EXPECT_EQ(mem_differs(o->p2p + TO, COPY, seed), 0);
}

/*
 * D. Obeys the narrator: 'd' does DMA until the next word, 'm' the ordinary part
 * of the mapping and a touch of the other one, 'u' unmap, 'n' map fresh memory at
 * the same place, 'e' end.
 */
static int process_d(int fd, void *arg)
{
	struct owner o;
	uint64_t n = 0;
	void *fresh;
	char what;

	(void)arg;
	memset(&o, 0, sizeof(o));
	own(&o);
	copy_once(&o, 42);
	if (check_worker_failed())
		return 1;
	ASSERT_TRUE(worker_tell(fd, 'r'));
	while (read(fd, &what, 1) == 1 && what != 'e') {
		switch (what) {
		case 'd':
			/* other bytes each time, from ordinary memory */
			while (!worker_pending(fd)) {
				bool after = st->unbound;

				mem_fill(o.mem, COPY, 1000 + n++);
				ASSERT_EQ(edu_copy(&o.edu, IOVA, P2P_IOVA + TO,
						   COPY), 0);
				st->copies++;
				if (after)
					st->late++;
			}
			continue;
		case 'm':
			mem_fill(o.mem, PAGE, 77);
			ASSERT_EQ(edu_copy(&o.edu, IOVA, IOVA + PAGE, PAGE), 0);
			st->ram_works = !mem_differs(o.mem + PAGE, PAGE, 77);
			st->sigbus = mem_is_gone(o.p2p);
			break;
		case 'u': {
			uint64_t done;

			EXPECT_EQ(vfio_unmap(&o.space, IOVA, LEN, &done), 0);
			st->unmapped = done;
			break;
		}
		case 'n':
			fresh = p2pmem_mmap(&st->provider, o.p2p, P2P_LEN,
					    MAP_SHARED | MAP_FIXED, 0);
			ASSERT_TRUE(fresh);
			ASSERT_EQ(vfio_map(&o.space, o.mem, IOVA, LEN, VFIO_RW),
				  0);
			copy_once(&o, 43);
			break;
		}
		if (check_worker_failed())
			return 1;
		ASSERT_TRUE(worker_tell(fd, 'o'));
	}
	edu_close(&o.edu);
	vfio_detach(&o.dev);
	vfio_space_close(&o.space);
	munmap(o.mem, LEN);
	return 0;
}

static void ask(struct worker *d, char what)
{
	ASSERT_TRUE(worker_tell(d->fd, what));
	ASSERT_TRUE(worker_hear(d->fd, 'o', 30));
}

static void wait_for_copies(volatile unsigned int *count, unsigned int n,
			    struct worker *d)
{
	double end = clock_now() + 20 * clock_scale();

	while (*count < n && clock_now() < end && !worker_gone(d))
		clock_sleep_ms(1);
	ASSERT_GE(*count, n);
}

static void story(void)
{
	struct faults f;
	struct worker d;
	struct unbind u;

	ASSERT_EQ(provider_find(&st->provider), 0);
	if (vfio_find(EDU_VENDOR, EDU_DEVICE, 0, st->edu)) {
		tell("1 error", "there is no edu device: boot with --device edu");
		ASSERT_TRUE(!"an edu device");
	}
	ASSERT_EQ(vfio_bind(st->edu), 0);
	tell("1 guest", "provider %s (NVMe controller memory buffer), device %s (QEMU's edu, under vfio-pci)",
	     st->provider.bdf, st->edu);

	ASSERT_EQ(worker_start(&d, "D", process_d, NULL), 0);
	ASSERT_TRUE(worker_hear(d.fd, 'r', 20));
	tell("2 D", "pid %d mapped %zu KiB of memory and %zu KiB of p2pmem with one VFIO_IOMMU_MAP_DMA at %#llx",
	     d.pid, RAM_PAGES * PAGE / 1024, P2P_LEN / 1024, IOVA);
	tell("2 edu", "copied %zu bytes within the p2pmem by DMA through the IOMMU: the CPU sees them",
	     COPY);

	ASSERT_TRUE(worker_tell(d.fd, 'd'));
	wait_for_copies(&st->copies, 1, &d);
	tell("3 edu", "keeps writing to the p2pmem");
	tell("3 sysfs", "echo %s > /sys/bus/pci/drivers/%s/unbind",
	     st->provider.bdf, st->provider.driver);
	ASSERT_EQ(faults_open(&f), 0);
	ASSERT_TRUE(unbind_now(&st->provider, &u));
	ASSERT_EQ(u.err, 0);
	ASSERT_EQ(observer_snapshot(&st->observer), 0);
	st->unbound = true;
	tell("4 sysfs", "the unbind returned after %.3f s of guest time (allowed: %.0f s); D holds the mapping",
	     u.seconds, unbind_limit());
	EXPECT_LE(u.seconds * 1000, unbind_limit() * 1000);

	wait_for_copies(&st->late, 3, &d);
	/* the kernel reports few of many: faults.h */
	ASSERT_TRUE(faults_seen(&f, st->edu, P2P_IOVA, P2P_LEN, 10));
	tell("4 kernel", "%s", f.line);
	faults_close(&f);
	EXPECT_EQ(observer_changed(&st->observer), 0);
	tell("4 observer", "on the raw BAR: %ld of %zu bytes changed since the unbind returned, under %u more writes of %zu bytes",
	     observer_changed(&st->observer), P2P_LEN, st->late, COPY);
	ask(&d, 'm');
	EXPECT_TRUE(st->ram_works);
	EXPECT_TRUE(st->sigbus);
	tell("4 edu", "the ordinary memory of the same mapping: %zu bytes copied, as before",
	     PAGE);
	tell("4 D", "is alive; a CPU touch of the p2pmem: SIGBUS");
	observer_close(&st->observer);

	ASSERT_EQ(provider_bind(&st->provider), 0);
	tell("5 sysfs", "the driver is bound again");
	ask(&d, 'u');
	EXPECT_EQ(st->unmapped, LEN);
	tell("5 D", "VFIO_IOMMU_UNMAP_DMA reports all of the %llu bytes",
	     (unsigned long long)st->unmapped);
	ask(&d, 'n');
	tell("5 D", "fresh p2pmem at the same %#llx: edu copies within it", IOVA);
	ASSERT_TRUE(worker_tell(d.fd, 'e'));
	EXPECT_EQ(worker_join(&d, 20), 0);
	EXPECT_EQ(vfio_unbind(st->edu), 0);
	EXPECT_TRUE(provider_available_is_back(&st->provider, 3000));
}

static void failed(void)
{
	stacks_note_blocked();
	worker_sweep();
	tell("verdict", "FAILED, see the lines that begin with #");
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		fprintf(stderr, "%s: unknown argument \"%s\"\nusage: %s\n",
			argv[0], argv[1], argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	check_in_worker("demo-vfio");
	check_on_fatal(failed);
	st = worker_shared(sizeof(*st));
	ASSERT_TRUE(st);
	story();
	if (check_worker_failed()) {
		failed();
		return 1;
	}
	tell("verdict", "passed: the memory was taken back under the DMA mapping");
	return 0;
}
