// SPDX-License-Identifier: GPL-2.0-or-later
// As much of the device tree as a test needs: a node by its "compatible", with two
// cells of address and of size (Devicetree Specification 5.4).
#include "guest.h"

#define BEGIN_NODE 1
#define END_NODE 2
#define PROP 3
#define NOP 4

const uint8_t *device_tree; // boot_main()

static uint32_t cell(const void *at)
{
	const uint8_t *b = at;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static size_t length_of(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

// Whether one of the strings in a property is @wanted.
static bool lists(const uint8_t *value, uint32_t bytes, const char *wanted)
{
	for (uint32_t at = 0; at < bytes; at += length_of((const char *)value + at) + 1)
		if (same((const char *)value + at, wanted))
			return true;
	return false;
}

static void read_property(const char *name, const uint8_t *value, uint32_t bytes,
			  struct fdt_device *device)
{
	if (same(name, "reg"))
		for (uint32_t i = 0; i < 4 && 8 * i + 8 <= bytes; i++)
			device->reg[i] = (uint64_t)cell(value + 8 * i) << 32 | cell(value + 8 * i + 4);
	if (same(name, "interrupts"))
		for (uint32_t i = 0; i < 3 && 4 * i + 4 <= bytes; i++)
			device->interrupt[i] = cell(value + 4 * i);
}

// A node's properties come before its children: its end is the next node, or END_NODE.
bool fdt_find(const char *compatible, struct fdt_device *device)
{
	const uint8_t *at = device_tree + cell(device_tree + 8);
	const char *names = (const char *)device_tree + cell(device_tree + 12);
	bool found = false;

	for (;;) {
		uint32_t token = cell(at), bytes;
		const char *name;

		at += 4;
		if (found && token != PROP && token != NOP)
			return true;
		switch (token) {
		case BEGIN_NODE:
			at += (length_of((const char *)at) + 4) & ~3UL;
			*device = (struct fdt_device){ 0 };
			break;
		case PROP:
			bytes = cell(at);
			name = names + cell(at + 4);
			read_property(name, at + 8, bytes, device);
			found |= same(name, "compatible") && lists(at + 8, bytes, compatible);
			at += 8 + ((bytes + 3) & ~3U);
			break;
		case END_NODE:
		case NOP:
			break;
		default:
			return false;
		}
	}
}
