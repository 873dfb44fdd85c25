// SPDX-License-Identifier: GPL-2.0
/* DMA maps when the provider is pulled out: run-guest --hotplug native. */
#include "slot.h"
#include "vfio_hotplug_cases.h"

int main(int argc, char **argv)
{
	return vfio_hotplug_main(argc, argv, "vfio-surprise", slot_power_off,
				 unbind_limit());
}
