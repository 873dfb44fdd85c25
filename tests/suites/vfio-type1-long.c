// SPDX-License-Identifier: GPL-2.0
/* vfio-type1, what takes minutes: a hundred unbinds under DMA. */
#include "vfio_cases.h"

int main(int argc, char **argv)
{
	return vfio_long_main(argc, argv, "vfio-type1-long", VFIO_KIND_TYPE1);
}
