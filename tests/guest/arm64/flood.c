// SPDX-License-Identifier: GPL-2.0-or-later
// A driver that never waits: the serial port loses what it must, and nothing else.
#include "lib/guest.h"

#define BYTES 20000
#define LSR 5
#define LSR_EMPTY 0x20

int main(void)
{
	struct fdt_device device;

	if (!fdt_find("ns16550a", &device))
		fatal("no such port");
	for (unsigned i = 0; i < BYTES; i++)
		write8(device.reg[0], '.');
	while (!(read8(device.reg[0] + LSR) & LSR_EMPTY))
		;
	put("\nafter the flood\n");
	return 0;
}
