// SPDX-License-Identifier: GPL-2.0-or-later
// Resets by each of the ways that there are; RAM that no image covers survives them.
#include "lib/guest.h"

#define MAGIC 0x6b76696b

static struct {
	uint32_t magic;
	uint32_t boots;
} *const kept = (void *)0x2000000;

static void reset(unsigned way)
{
	switch (way) {
	case 1:
		out8(PORT_RESET, 1);
		break;
	case 2:
		out8(PORT_I8042, 0xfe);
		break;
	case 3:
		out8(PORT_RESET_CONTROL, 0x02);
		out8(PORT_RESET_CONTROL, 0x06);
		break;
	}
	for (;;)
		__asm__ volatile("hlt");
}

void main(const uint8_t *boot_params)
{
	if (kept->magic != MAGIC)
		kept->boots = 0;
	kept->magic = MAGIC;
	print("boot %d\n", (uint64_t)++kept->boots);
	if (kept->boots <= 3)
		reset(kept->boots);
}
