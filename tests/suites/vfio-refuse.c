// SPDX-License-Identifier: GPL-2.0
/* Boot with cpu=max: peers that cannot reach each other, through type1. */
#include "check.h"
#include "stage.h"
#include "vfio_cases.h"

#include <sys/mman.h>

/* A BAR without pages behind it was never asked about, and is not now. */
static void through_sysfs(void)
{
	struct stage *s = stage_open_bare(&(struct stage_layout){ 0, 2, 0, 0, 0 });
	uint64_t done;
	void *m;

	m = stage_map_bar(s);
	EXPECT_EQ(vfio_map(&s->space, m, STAGE_IOVA, s->len, VFIO_RW), 0);
	stage_load(s, 0, 41, 512);
	EXPECT_EQ(edu_run(&s->edu[0], EDU_WRITE, STAGE_IOVA, 512), 0);
	EXPECT_EQ(mem_differs(s->p2p[0], 512, 41), 0);
	EXPECT_EQ(vfio_unmap(&s->space, STAGE_IOVA, s->len, &done), 0);
	munmap(m, s->len);
	stage_close(s);
}

static const struct tap_test own[] = {
	{ "through_sysfs", through_sysfs, 0 },
	{ NULL, NULL, 0 },
};

int main(int argc, char **argv)
{
	return vfio_refuse_main(argc, argv, "vfio-refuse", VFIO_KIND_TYPE1, own);
}
