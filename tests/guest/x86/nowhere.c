// SPDX-License-Identifier: GPL-2.0-or-later
// A jump to where nothing lives.
#include "lib/guest.h"

void main(const uint8_t *boot_params)
{
	put("now\n");
	((void (*)(void))0xd8000000UL)();
	put("still here\n");
}
