// SPDX-License-Identifier: GPL-2.0
/* Boot with cpu=max: the same through the devices' own files and an IOAS. */
#include "check.h"
#include "iommufd.h"
#include "stage.h"
#include "vfio_cases.h"

#include <errno.h>
#include <sys/mman.h>

/* An IOAS without a device takes anything; whoever has one does not take it over. */
static void copied(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 1, 2, 1, 0, 0 });
	uint32_t idle;
	uint64_t done;

	ASSERT_EQ(iommufd_ioas(s->space.fd, &idle), 0);
	ASSERT_EQ(iommufd_map(s->space.fd, idle, s->mem, STAGE_IOVA, s->len,
			      true), 0);
	EXPECT_EQ(iommufd_copy(s->space.fd, s->space.ioas, STAGE_IOVA, idle,
			       STAGE_IOVA, s->len), -EREMOTEIO);
	/* the ordinary part alone */
	EXPECT_EQ(iommufd_copy(s->space.fd, s->space.ioas, STAGE_IOVA, idle,
			       STAGE_IOVA, PAGE), 0);
	EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA, PAGE, &done), 0);
	EXPECT_EQ(iommufd_cdev_attach(s->dev[0].fd, idle), -EREMOTEIO);
	/* where the device was before, it still is */
	stage_load(s, 0, 3, 64);
	EXPECT_EQ(stage_buffer_differs(s, 0, 3, 64), 0);
	EXPECT_EQ(iommufd_destroy(s->space.fd, idle), 0);
	munmap(s->p2p[0], s->p2p_len[0]);
	EXPECT_TRUE(stage_nothing_taken());
	stage_close(s);
}

static const struct tap_test own[] = {
	{ "copied", copied, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return vfio_refuse_main(argc, argv, "vfio-refuse-iommufd",
				VFIO_KIND_IOMMUFD, own);
}
