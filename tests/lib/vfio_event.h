/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Being told by an address space that memory in it was revoked: an eventfd, and
 * the list of the ranges that are dead now. The headers of Debian 12 are older
 * than this.
 */
#ifndef REVPIN_VFIO_EVENT_H
#define REVPIN_VFIO_EVENT_H

#include "vfio.h"

#include <stdint.h>

struct vfio_range {
	uint64_t first, last;
};

/* How a request says what it is; 0 for both is right. */
struct vfio_request {
	uint32_t short_by;		/* bytes that the size is too small */
	uint32_t flags;
};

/* VFIO_CHECK_EXTENSION; always 1 with VFIO_KIND_IOMMUFD, which has no such call. */
int vfio_event_known(const struct vfio_space *s);
/* fd -1 takes it away. 0 or -errno. */
int vfio_event_fd(const struct vfio_space *s, int fd);
int vfio_event_fd_as(const struct vfio_space *s, int fd,
		     const struct vfio_request *req);
/*
 * The dead ranges. 0 or -errno; if there are more than "room" *count says how
 * many, and the error is vfio_event_no_room().
 */
int vfio_event_list(const struct vfio_space *s, struct vfio_range *list,
		    uint32_t room, uint32_t *count);
int vfio_event_list_as(const struct vfio_space *s, struct vfio_range *list,
		       uint32_t room, uint32_t *count,
		       const struct vfio_request *req);
int vfio_event_no_room(enum vfio_kind kind);
/* What is wrong with flags that are not known. */
int vfio_event_bad_flags(enum vfio_kind kind);

/* An eventfd for that: ends the test if there is none. */
int vfio_event_open(void);
/* How often it was signalled since it was last asked; it does not wait. */
uint64_t vfio_event_told(int fd);

#endif
