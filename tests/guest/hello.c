// SPDX-License-Identifier: GPL-2.0-or-later
// The runtime itself: output, a caught trap, a second hart, U mode.
#include "lib/guest.h"

static void say(unsigned index)
{
	barrier_wait(2);
	if (index == 1)
		put("hart 1\n");
	barrier_wait(2);
	if (index == 0)
		put("hart 0\n");
}

int main(void)
{
	put("hello\n");
	catch_traps();
	__asm__ volatile("unimp");
	catch_end();
	show_trap("unimp");
	run_harts(2, say);
	return 0;
}
