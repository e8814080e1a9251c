// SPDX-License-Identifier: GPL-2.0-or-later
// Resets by each of the ways that there are; RAM that no image covers survives them.
#include "lib/guest.h"

#define MAGIC 0x6b76696b

static struct {
	uint32_t magic;
	uint32_t boots;
} *const kept = (void *)0x2000000;

// Far into the firmware in real mode, which is where a SIPI starts the second CPU.
static void jump_to_firmware(void)
{
	static const uint8_t code[] = { 0xea, 0xf0, 0xff, 0x00, 0xf0 }; // ljmp 0xf000:0xfff0
	uint8_t *to = (uint8_t *)AP_START;

	for (unsigned i = 0; i < sizeof(code); i++)
		to[i] = code[i];
	start_cpu(1);
}

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
	case 4:
		jump_to_firmware();
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
	if (kept->boots <= 4)
		reset(kept->boots);
}
