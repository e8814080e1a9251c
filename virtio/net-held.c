// SPDX-License-Identifier: GPL-2.0-or-later
// The receive buffers that were taken from the ring and wait for frames.
//
// A frame may need many merged buffers, and how many is known only when it is there. So
// buffers are taken ahead, and what one frame leaves is for the next.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net-priv.h"

#define CHAIN_BYTES_MAX (NET_VNET_HEADER_BYTES + FRAME_MAX) // more of one is not used

// Less than a queue of buffers is held before a chain is added, and two after; there is
// room for two more, so that they seldom have to move.
#define IOV_QUEUES 4

int net_held_init(struct net_held *held, unsigned queue_size)
{
	*held = (struct net_held){
		.chain_max = queue_size,
		.iov_max = IOV_QUEUES * queue_size,
	};
	held->chains = calloc(held->chain_max, sizeof(*held->chains));
	held->iov = calloc(held->iov_max, sizeof(*held->iov));
	held->gpa = calloc(held->iov_max, sizeof(*held->gpa));
	if (held->chains && held->iov && held->gpa)
		return 0;
	net_held_exit(held);
	return -ENOMEM;
}

void net_held_exit(struct net_held *held)
{
	free(held->chains);
	free(held->iov);
	free(held->gpa);
	*held = (struct net_held){ 0 };
}

bool net_held_has_room(const struct net_held *held)
{
	return held->chain_count < held->chain_max && held->iov_count < held->chain_max;
}

// Where the chain behind @nth others stands. A packed ring may have any size.
static unsigned ring_index(const struct net_held *held, unsigned nth)
{
	unsigned index = held->chain_first + nth;

	return index < held->chain_max ? index : index - held->chain_max;
}

static void move_to_front(struct net_held *held)
{
	memmove(held->iov, held->iov + held->iov_first, held->iov_count * sizeof(*held->iov));
	memmove(held->gpa, held->gpa + held->iov_first, held->iov_count * sizeof(*held->gpa));
	held->iov_first = 0;
}

void net_held_add(struct net_held *held, const struct virtqueue_chain *chain)
{
	struct net_held_chain *added = &held->chains[ring_index(held, held->chain_count++)];
	unsigned end;

	if (held->iov_first + held->iov_count + chain->in_count > held->iov_max)
		move_to_front(held);
	end = held->iov_first + held->iov_count;
	added->head = chain->head;
	added->bytes = MIN(chain->in_bytes, (uint64_t)CHAIN_BYTES_MAX);
	added->iov_count = iov_slice(&held->iov[end], chain->in_count, chain->in, chain->in_count,
				     0, added->bytes);
	memcpy(&held->gpa[end], chain->in_gpa, added->iov_count * sizeof(*held->gpa));
	held->iov_count += added->iov_count;
	held->bytes += added->bytes;
}

unsigned net_held_slice(const struct net_held *held, struct iovec *slice, unsigned slice_max,
			size_t offset, size_t len)
{
	return iov_slice(slice, slice_max, held->iov + held->iov_first, held->iov_count, offset,
			 len);
}

void net_held_write(struct net_held *held, size_t offset, const void *data, size_t len)
{
	iov_from_buf(held->iov + held->iov_first, held->iov_count, offset, data, len);
}

unsigned net_held_chains(const struct net_held *held, uint64_t bytes)
{
	unsigned count = 0;

	for (uint64_t sum = 0; sum < bytes && count < held->chain_count; count++)
		sum += held->chains[ring_index(held, count)].bytes;
	return count;
}

void net_held_mark(const struct net_held *held, struct virtqueue *vq, uint64_t bytes)
{
	virtqueue_mark_written(vq, held->iov + held->iov_first, held->gpa + held->iov_first,
			       held->iov_count, bytes);
}

// The driver must see all chains of a frame or none (5.1.6.4).
void net_held_use(struct net_held *held, struct virtqueue *vq, uint64_t bytes)
{
	while (bytes) {
		const struct net_held_chain *chain = &held->chains[held->chain_first];
		uint32_t filled = MIN(bytes, (uint64_t)chain->bytes);

		virtqueue_fill(vq, chain->head, filled);
		bytes -= filled;
		held->bytes -= chain->bytes;
		held->iov_first += chain->iov_count;
		held->iov_count -= chain->iov_count;
		held->chain_first = ring_index(held, 1);
		held->chain_count--;
	}
	virtqueue_flush(vq);
}
