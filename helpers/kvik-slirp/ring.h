// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes that wait, oldest first: one direction of a TCP connection.
#ifndef KVIK_SLIRP_RING_H
#define KVIK_SLIRP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "area.h"
#include "util.h"

// What is on its way at most, in one direction of a connection. A few of the largest frames,
// so that guest and host need not take turns, and not more than a cache holds.
#define RING_BYTES AREA_PIECE_BYTES

struct ring {
	uint8_t *data;     // NULL until ring_allocate()
	struct area *area; // that it is of; NULL: it is the heap's
	size_t start;
	size_t used;
};

// The memory, if it is not there yet: of @area where that has some left; NULL: the heap's.
// False: there is none.
bool ring_allocate(struct ring *ring, struct area *area) MUST_CHECK;
void ring_free(struct ring *ring);
// Describes bytes [@offset, @offset + @len), counted from the oldest one on, by up to two
// pieces; returns how many. The free room begins at offset @used. At most RING_BYTES.
unsigned ring_slice(const struct ring *ring, size_t offset, size_t len, struct iovec pieces[2]);
// Appends what fits; returns how much.
size_t ring_put(struct ring *ring, const uint8_t *data, size_t len);
// The oldest @len bytes are done with.
void ring_drop(struct ring *ring, size_t len);

static inline size_t ring_room(const struct ring *ring)
{
	return RING_BYTES - ring->used;
}

#endif
