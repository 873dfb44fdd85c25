/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * librevpin: PCI peer-to-peer memory for long-term pins that a device unbind
 * can revoke. revpin(3) is the overview; every function has a man page.
 *
 * Functions that can fail return a negative errno. Objects are opaque and
 * belong to who made them; what they point to lives as long as they do.
 */
#ifndef REVPIN_H
#define REVPIN_H

#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REVPIN_VERSION	"0.1"

/* The version of the library that runs, which may be a later one. */
const char *revpin_version(void);
/* 1: the kernel revokes long-term pins. 0: it does not. */
int revpin_supported(void);

/* A PCI address with its NUL; domains may have up to eight digits. */
#define REVPIN_BDF_SIZE	20

/* "4:0.0", "04:00.0" or "0000:04:00.0" to the form that sysfs uses. */
int revpin_bdf(const char *text, char bdf[REVPIN_BDF_SIZE]);

/* Providers: PCI devices whose driver publishes memory for others. */

struct revpin_provider;

/* The number of providers; *list ends with NULL. */
int revpin_provider_list(struct revpin_provider ***list);
void revpin_provider_list_free(struct revpin_provider **list);
int revpin_provider_open(const char *bdf, struct revpin_provider **provider);
void revpin_provider_close(struct revpin_provider *provider);

const char *revpin_provider_bdf(const struct revpin_provider *provider);
/* Asked of the kernel at each call: -ENODEV when the provider is gone. */
int revpin_provider_driver(const struct revpin_provider *provider, char *buf,
			   size_t size);
int revpin_provider_size(const struct revpin_provider *provider,
			 uint64_t *bytes);
int revpin_provider_available(const struct revpin_provider *provider,
			      uint64_t *bytes);
int revpin_provider_published(const struct revpin_provider *provider);

enum revpin_p2p {
	REVPIN_P2P_UNKNOWN,	/* by the kernel's list of host bridges */
	REVPIN_P2P_BRIDGE,	/* below a bridge that both share */
	REVPIN_P2P_HOST,	/* through the host bridge: the CPU allows it */
};

/* Can that PCI device reach the memory? An enum revpin_p2p, and why. */
int revpin_provider_p2p(const struct revpin_provider *provider,
			const char *client, char *why, size_t size);

/* Memory of a provider, mapped into this process. */

struct revpin_mem;

int revpin_mem_map(const struct revpin_provider *provider, size_t len,
		   struct revpin_mem **mem);
/* -EBUSY while it has memory regions. */
int revpin_mem_unmap(struct revpin_mem *mem);
void *revpin_mem_addr(const struct revpin_mem *mem);
size_t revpin_mem_len(const struct revpin_mem *mem);

/* Memory regions on it. */

struct revpin_mr;

int revpin_mr_reg(struct ibv_pd *pd, struct revpin_mem *mem, size_t offset,
		  size_t len, int access, struct revpin_mr **mr);
int revpin_mr_dereg(struct revpin_mr *mr);
struct ibv_mr *revpin_mr_verbs(const struct revpin_mr *mr);
/* 1 once the event of its revoke was read in this process. */
int revpin_mr_revoked(const struct revpin_mr *mr);

/* Being told of revokes. */

/*
 * The type of the asynchronous event of verbs, which verbs.h does not know;
 * the lkey is in element.port_num.
 */
#define REVPIN_IBV_EVENT_MR_REVOKED	21

enum revpin_source {
	REVPIN_SOURCE_VERBS = 1,
	REVPIN_SOURCE_VFIO,
	REVPIN_SOURCE_IOMMUFD,
	/* Others may follow: ignore events of a source that is not known. */
};

struct revpin_notify;
struct revpin_event;

typedef void (*revpin_event_fn)(const struct revpin_event *event, void *arg);
typedef void (*revpin_other_fn)(struct ibv_context *ctx,
				const struct ibv_async_event *event, void *arg);

int revpin_notify_open(struct revpin_notify **notify);
void revpin_notify_close(struct revpin_notify *notify);
/* Readable when there may be something to read. */
int revpin_notify_fd(const struct revpin_notify *notify);
int revpin_notify_add_verbs(struct revpin_notify *notify,
			    struct ibv_context *ctx);
int revpin_notify_del_verbs(struct revpin_notify *notify,
			    struct ibv_context *ctx);
/* A VFIO container, or a /dev/iommu in its place. */
int revpin_notify_add_vfio(struct revpin_notify *notify, int container);
int revpin_notify_del_vfio(struct revpin_notify *notify, int container);
int revpin_notify_add_iommufd(struct revpin_notify *notify, int iommufd,
			      uint32_t ioas);
int revpin_notify_del_iommufd(struct revpin_notify *notify, int iommufd,
			      uint32_t ioas);
void revpin_notify_callback(struct revpin_notify *notify, revpin_event_fn fn,
			    void *arg);
/* Events of verbs that are no revokes; without this they are dropped. */
void revpin_notify_other(struct revpin_notify *notify, revpin_other_fn fn,
			 void *arg);
/* The next revoke: 1, or 0 when there is none. It does not wait. */
int revpin_notify_read(struct revpin_notify *notify,
		       const struct revpin_event **event);
/* Waits up to that many ms (-1: for ever); the number of callbacks made. */
int revpin_notify_dispatch(struct revpin_notify *notify, int timeout);
/* For those who read the events of verbs themselves: 1 if it was a revoke. */
int revpin_notify_feed(struct revpin_notify *notify, struct ibv_context *ctx,
		       const struct ibv_async_event *async,
		       const struct revpin_event **event);

int revpin_event_source(const struct revpin_event *event);
/* The library's own region, or NULL when it was registered by other means. */
struct revpin_mr *revpin_event_mr(const struct revpin_event *event);
struct ibv_context *revpin_event_context(const struct revpin_event *event);
uint32_t revpin_event_lkey(const struct revpin_event *event);
/* Of VFIO: which space, and which addresses in it are dead. */
int revpin_event_fd(const struct revpin_event *event);
uint32_t revpin_event_ioas(const struct revpin_event *event);
uint64_t revpin_event_iova(const struct revpin_event *event);
uint64_t revpin_event_bytes(const struct revpin_event *event);

/* Who holds what: a reading of /sys/kernel/debug/pfn_revoke. */

struct revpin_holders;
struct revpin_range;
struct revpin_pin;

enum revpin_state {
	REVPIN_STATE_UNKNOWN,	/* a word that this library does not know */
	REVPIN_STATE_OPEN,	/* of a range: pins can be made */
	REVPIN_STATE_REVOKING,	/* of a range or a pin: under way */
	REVPIN_STATE_CLOSED,	/* of a range: no pins any more */
	REVPIN_STATE_ATTACHED,	/* of a pin */
	REVPIN_STATE_REVOKED,	/* of a pin: its owner has not let go of it yet */
	REVPIN_STATE_PART,	/* of a range: closed in part */
};

const char *revpin_state_name(enum revpin_state state);

/*
 * -EOPNOTSUPP: the kernel does not revoke. -ENOENT: it does, and has no list:
 * debugfs is not mounted or not built. -EACCES: the list is for root.
 */
int revpin_holders_read(struct revpin_holders **holders);
int revpin_holders_parse(const char *text, size_t len,
			 struct revpin_holders **holders);
void revpin_holders_free(struct revpin_holders *holders);
size_t revpin_holders_count(const struct revpin_holders *holders);
/* NULL when there are not that many. */
const struct revpin_range *
revpin_holders_range(const struct revpin_holders *holders, size_t index);

const char *revpin_range_provider(const struct revpin_range *range);
enum revpin_state revpin_range_state(const struct revpin_range *range);
uint64_t revpin_range_start(const struct revpin_range *range);
/* The last byte, not the one behind it. */
uint64_t revpin_range_end(const struct revpin_range *range);
size_t revpin_range_count(const struct revpin_range *range);
const struct revpin_pin *revpin_range_pin(const struct revpin_range *range,
					  size_t index);

enum revpin_state revpin_pin_state(const struct revpin_pin *pin);
uint64_t revpin_pin_start(const struct revpin_pin *pin);
uint64_t revpin_pin_end(const struct revpin_pin *pin);
uint64_t revpin_pin_bytes(const struct revpin_pin *pin);
/* Microseconds of CLOCK_BOOTTIME, to a tick (some milliseconds). */
uint64_t revpin_pin_since(const struct revpin_pin *pin);
/* 0: not seen from this pid namespace, or the process is gone. */
int revpin_pin_pid(const struct revpin_pin *pin);
const char *revpin_pin_consumer(const struct revpin_pin *pin);
/* The name that the process has now; empty: the process is gone. */
const char *revpin_pin_comm(const struct revpin_pin *pin);

#ifdef __cplusplus
}
#endif
#endif
