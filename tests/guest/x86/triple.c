// SPDX-License-Identifier: GPL-2.0-or-later
// An exception without handlers, and none for what that leads to.
#include "lib/guest.h"

void main(const uint8_t *boot_params)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nothing = { 0 };

	put("now\n");
	__asm__ volatile("lidt %0; ud2" : : "m"(nothing));
	put("still here\n");
}
