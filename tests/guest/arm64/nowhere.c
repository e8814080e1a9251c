// SPDX-License-Identifier: GPL-2.0-or-later
// Accesses to where nothing lives, and to a device by instructions that do not say what
// they do.
#include "lib/guest.h"

#define NOTHING 0x3ffff000UL    // mapped as a device
#define NO_MEMORY 0x1c0000000UL // mapped as memory
#define PAGE 4096UL

static void jump(void)
{
	catch_faults();
	((void (*)(void))NO_MEMORY)();
	print("jump: %d faults\n", (uint64_t)catch_end());
}

// Answered or refused, whatever the machine does; then the next one.
static void plain(uint64_t at)
{
	catch_faults();
	read8(at);
	read32(at);
	write8(at, 1);
	write32(at, 1);
	catch_end();
}

// Two registers at once: no syndrome (Arm ARM, ISS encoding of data aborts, ISV).
static void pair(uint64_t at)
{
	uint64_t a = 0, b = 0;

	catch_faults();
	__asm__ volatile("ldp %0, %1, [%2]" : "+r"(a), "+r"(b) : "r"(at) : "memory");
	__asm__ volatile("stp %0, %1, [%2]" : : "r"(a), "r"(b), "r"(at) : "memory");
	print("pairs: %d faults\n", (uint64_t)catch_end());
}

int main(void)
{
	jump();
	for (unsigned i = 0; i < 200; i++) {
		plain(NOTHING + 8 * i);
		plain(NO_MEMORY + PAGE * i);
	}
	put("loads and stores\n");
	pair(NOTHING);
	put("survived\n");
	return 0;
}
