// SPDX-License-Identifier: GPL-2.0-or-later
// Register accesses as a guest makes them, through the bus.
#ifndef KVIK_BUS_ACCESS_H
#define KVIK_BUS_ACCESS_H

#include <endian.h>
#include <stdint.h>

#include "bus.h"

// 0 where nothing answers.
static inline uint64_t bus_get(struct bus *bus, uint64_t addr, unsigned size)
{
	uint64_t value = 0;

	if (bus_read(bus, addr, &value, size))
		return 0;
	return le64toh(value);
}

static inline void bus_put(struct bus *bus, uint64_t addr, unsigned size, uint64_t value)
{
	uint64_t data = htole64(value);

	if (bus_write(bus, addr, &data, size))
		return;
}

#endif
