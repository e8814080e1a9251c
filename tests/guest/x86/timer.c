// SPDX-License-Identifier: GPL-2.0-or-later
// Sleeping between interrupts of the timer chip.
#include "lib/guest.h"

static volatile unsigned ticks;

static void tick(void)
{
	ticks++;
}

void main(const uint8_t *boot_params)
{
	interrupts_init();
	on_irq(0, tick);
	// Counter 0, both bytes, rate generator: 1193182 Hz / 11932 is 100 Hz.
	out8(PORT_PIT + 3, 0x34);
	out8(PORT_PIT, 11932 & 0xff);
	out8(PORT_PIT, 11932 >> 8);
	while (ticks < 10)
		wait_interrupt();
	print("%d ticks\n", (uint64_t)ticks);
}
