// SPDX-License-Identifier: GPL-2.0-or-later
// Much output by a driver that asks before each byte, then one byte by one that does not,
// and HLT without interrupts: no access follows that could bring the byte along.
#include "lib/guest.h"

void main(const uint8_t *boot_params)
{
	for (unsigned i = 0; i < 10; i++)
		put("not yet idle\n");
	put("idle");
	out8(PORT_SERIAL, '\n');
	for (;;)
		__asm__ volatile("cli; hlt");
}
