// SPDX-License-Identifier: GPL-2.0-or-later
// A driver that never waits: the serial port loses what it must, and nothing else.
#include "lib/guest.h"

void main(const uint8_t *boot_params)
{
	for (unsigned i = 0; i < 100000; i++)
		out8(PORT_SERIAL, 'x');
	put("\nafter the flood\n");
}
