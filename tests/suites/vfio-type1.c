// SPDX-License-Identifier: GPL-2.0
/* DMA maps of the provider's memory, through the legacy group and container. */
#include "vfio_cases.h"

int main(int argc, char **argv)
{
	return vfio_cases_main(argc, argv, "vfio-type1", VFIO_KIND_TYPE1);
}
