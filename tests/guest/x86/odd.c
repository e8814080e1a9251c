// SPDX-License-Identifier: GPL-2.0-or-later
// Accesses of every size at places that were not made for them.
#include "lib/guest.h"

static const uint16_t ports[] = {
	0x20, 0x21, 0x40, 0x43, 0x60, 0x61, 0x70, 0x71, 0x80, 0x2f8, 0x3f9, 0x3fa, 0x3fb,
	0x3fc, 0x3ff, 0x4d0, 0x5ff, 0x601, 0xcf8, 0xcfc, 0x1000, 0xfffc,
};

static const uint64_t addresses[] = {
	0xc0000000, 0xcffffffc, 0xd0000000, 0xd0000003, 0xd0000ffd, 0xd0100000, 0xe0000000,
	0xfec00010, 0xfec00fff, 0xfed00000, 0xffffff00,
};

static void touch_port(uint16_t port)
{
	in8(port);
	in16(port);
	in32(port);
	// Values without a bit that switches anything off.
	out8(port, 0);
	out16(port, 0);
	out32(port, 0);
}

static void touch_address(uint64_t at)
{
	*(volatile uint8_t *)at = *(volatile uint8_t *)at;
	*(volatile uint16_t *)at = *(volatile uint16_t *)at;
	*(volatile uint32_t *)at = *(volatile uint32_t *)at;
	*(volatile uint64_t *)at = *(volatile uint64_t *)at;
	*(volatile uint64_t *)(at + 1) = *(volatile uint64_t *)(at + 1);
}

// String instructions: one exit for several accesses.
static void touch_strings(void)
{
	static uint8_t buffer[64];
	static const char text[] = "by a string instruction\n";
	const void *from = text;
	void *to = buffer;
	uint64_t count = sizeof(text) - 1;

	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(PORT_SERIAL) : "memory");
	count = sizeof(buffer) / 4;
	__asm__ volatile("rep insl" : "+D"(to), "+c"(count) : "d"(0x1000) : "memory");
	for (unsigned i = 0; i < sizeof(buffer); i++)
		if (buffer[i] != 0xff)
			print("byte %d is %x\n", (uint64_t)i, (uint64_t)buffer[i]);
}

void main(const uint8_t *boot_params)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		touch_port(ports[i]);
	out8(PORT_SERIAL + 3, 0x03); // LCR: out of the divisor, should it be there
	for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++)
		touch_address(addresses[i]);
	touch_strings();
	print("nothing: %x %x\n", (uint64_t)in32(0x1000),
	      (uint64_t) * (volatile uint32_t *)0xc0000000);
	put("survived\n");
}
