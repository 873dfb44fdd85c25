// SPDX-License-Identifier: GPL-2.0
/* Boot with cpu=max: the same through an iommufd that plays a container. */
#include "vfio_cases.h"

int main(int argc, char **argv)
{
	return vfio_refuse_main(argc, argv, "vfio-refuse-compat",
				VFIO_KIND_COMPAT, NULL);
}
