// SPDX-License-Identifier: GPL-2.0
/* DMA maps when the provider is ejected: run-guest --hotplug acpi, native. */
#include "slot.h"
#include "vfio_hotplug_cases.h"

int main(int argc, char **argv)
{
	/* a native slot waits five seconds for a second thought after its button */
	return vfio_hotplug_main(argc, argv, "vfio-hotplug", slot_eject,
				 5 + unbind_limit());
}
