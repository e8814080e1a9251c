// SPDX-License-Identifier: GPL-2.0-or-later
// The memory that is shared with kvik, in pieces of a ring's size.

#include "area.h"

#include <sys/mman.h>

#include "log.h"

int area_open(struct area *area, int fd)
{
	int err = frames_area_map(&area->memory, fd, true);

	return err ? fail(-err, "--area %d", fd) : 0;
}

static unsigned piece_count(const struct area *area)
{
	return (unsigned)MIN(area->memory.size_bytes / AREA_PIECE_BYTES, (size_t)AREA_PIECES_MAX);
}

uint8_t *area_take(struct area *area)
{
	for (unsigned i = 0; i < piece_count(area); i++) {
		if (area->taken >> i & 1)
			continue;
		area->taken |= 1ULL << i;
		return area->memory.data + i * AREA_PIECE_BYTES;
	}
	return NULL;
}

void area_give(struct area *area, uint8_t *piece)
{
	size_t i = (size_t)(piece - area->memory.data) / AREA_PIECE_BYTES;

	area->taken &= ~(1ULL << i);
	(void)!madvise(piece, AREA_PIECE_BYTES, MADV_REMOVE);
}

bool area_has(const struct area *area, const void *data, size_t len)
{
	uintptr_t offset = (uintptr_t)data - (uintptr_t)area->memory.data;

	return area->memory.data && offset < area->memory.size_bytes &&
	       len <= area->memory.size_bytes - offset;
}
