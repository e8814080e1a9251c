// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes that wait, oldest first: one direction of a TCP connection.

#include "ring.h"

#include <stdlib.h>

#include "iov.h"

bool ring_allocate(struct ring *ring, struct area *area)
{
	if (ring->data)
		return true;
	ring->data = area ? area_take(area) : NULL;
	ring->area = ring->data ? area : NULL;
	if (!ring->data)
		ring->data = malloc(RING_BYTES);
	return ring->data != NULL;
}

void ring_free(struct ring *ring)
{
	if (ring->area)
		area_give(ring->area, ring->data);
	else
		free(ring->data);
	*ring = (struct ring){ .data = NULL };
}

unsigned ring_slice(const struct ring *ring, size_t offset, size_t len, struct iovec pieces[2])
{
	size_t begin = (ring->start + offset) % RING_BYTES;
	size_t first = MIN(len, (size_t)RING_BYTES - begin);

	pieces[0] = (struct iovec){ ring->data + begin, first };
	pieces[1] = (struct iovec){ ring->data, len - first };
	return len > first ? 2 : 1;
}

size_t ring_put(struct ring *ring, const uint8_t *data, size_t len)
{
	struct iovec pieces[2];
	size_t fits = MIN(len, ring_room(ring));

	if (!fits || !ring_allocate(ring, NULL))
		return 0;
	iov_from_buf(pieces, ring_slice(ring, ring->used, fits, pieces), 0, data, fits);
	ring->used += fits;
	return fits;
}

// An empty one begins anew, so that little traffic needs little memory.
void ring_drop(struct ring *ring, size_t len)
{
	ring->used -= len;
	ring->start = ring->used ? (ring->start + len) % RING_BYTES : 0;
}
