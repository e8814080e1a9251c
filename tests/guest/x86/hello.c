// SPDX-License-Identifier: GPL-2.0-or-later
// The runtime itself; then ACPI's power off.
#include "lib/guest.h"

void main(const uint8_t *boot_params)
{
	print("hello %s %x %d\n", "world", (uint64_t)0xabc, (uint64_t)10);
}
