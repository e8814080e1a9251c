// SPDX-License-Identifier: GPL-2.0-or-later
// Misaligned accesses to the lowest addresses: whatever marks an empty TLB entry, no
// address may be taken for it.
#include "lib/guest.h"

int main(void)
{
	uint64_t v = 7;

	catch_traps();
	__asm__ volatile(".option push; .option norvc; li t5, 1; lh %0, 0(t5); .option pop"
			 : "+r"(v)::"t5");
	catch_end();
	show_trap("lh at 1");
	catch_traps();
	__asm__ volatile(".option push; .option norvc; li t5, 1; sd %0, 8(t5); .option pop" ::"r"(v)
			 : "t5");
	catch_end();
	show_trap("sd at 9");
	return 0;
}
