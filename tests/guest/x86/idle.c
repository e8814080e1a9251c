// SPDX-License-Identifier: GPL-2.0-or-later
// HLT without interrupts: nothing ever happens again.
#include "lib/guest.h"

void main(const uint8_t *boot_params)
{
	put("idle\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}
