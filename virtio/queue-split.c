// SPDX-License-Identifier: GPL-2.0-or-later
// Split virtqueues (virtio 1.2 2.7).
//
// Such a queue is three arrays in guest memory. The driver puts the number of a chain's
// first descriptor (its head) into the avail ring and then raises avail.idx; the
// device walks the chain, works, puts the head into the used ring and then raises
// used.idx. Both indexes run freely through 16 bits; the queue size is a power of
// two, so idx & (size - 1) is the place in the ring.
//
//	driver                          device
//	desc[], avail.ring[] = head
//	avail.idx++  --- release ---->  acquire: avail.idx, head, desc[], buffers
//	                                buffers, used.ring[] = head
//	acquire: used.idx  <--release-- used.idx++
//
// The device reads avail.idx again only when it has taken all that it saw, and raises
// used.idx once for all chains that are flushed together: each is a cache line that
// travels between two CPUs.

#include <errno.h>

#include "queue-priv.h"

static uint16_t load_avail_idx(struct virtqueue *vq)
{
	vq->split.avail_seen = __atomic_load_n(&vq->split.avail->idx, __ATOMIC_ACQUIRE);
	return vq->split.avail_seen - vq->split.last_avail;
}

int queue_split_start(struct virtqueue *vq, struct memory *mem)
{
	struct virtqueue_split *ring = &vq->split;
	unsigned size = vq->size;

	if (size & (size - 1))
		return -EINVAL;
	ring->desc = queue_translate(mem, vq->desc_gpa, ring_desc_bytes(size), RING_DESC_ALIGN);
	ring->avail = queue_translate(mem, vq->avail_gpa, ring_avail_bytes(size), RING_AVAIL_ALIGN);
	ring->used = queue_translate(mem, vq->used_gpa, ring_used_bytes(size), RING_USED_ALIGN);
	return ring->desc && ring->avail && ring->used ? 0 : -EINVAL;
}

// -- taking chains --

// Returns what is wrong with the chain, or NULL.
static const char *walk_chain(struct queue_walk *walk, uint16_t head)
{
	const struct virtqueue *vq = walk->vq;
	struct queue_table table = { .entries = vq->split.desc, .count = vq->size };
	bool indirect = false;
	uint16_t index = head;

	for (;;) {
		struct ring_desc desc;
		const char *why;

		if (index >= table.count)
			return "descriptor index beyond the table";
		desc = queue_copy_desc(&table.entries[index]);
		if (desc.flags & RING_DESC_INDIRECT) {
			if (indirect)
				return "indirect descriptor in an indirect table";
			why = queue_open_table(vq, desc.addr_gpa, desc.len, desc.flags, &table);
			if (why)
				return why;
			indirect = true;
			index = 0;
			continue;
		}
		why = queue_walk_add(walk, desc.addr_gpa, desc.len, desc.flags & RING_DESC_WRITE);
		if (why || !(desc.flags & RING_DESC_NEXT))
			return why;
		index = desc.next;
	}
}

int queue_split_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct queue_walk walk = { .vq = vq, .chain = chain };
	struct virtqueue_split *ring = &vq->split;
	const char *why;

	if (ring->avail_seen == ring->last_avail && !load_avail_idx(vq))
		return 0;
	if ((uint16_t)(ring->avail_seen - ring->last_avail) > vq->size)
		return queue_break(vq, "avail.idx jumped by more than the queue size");
	if (vq->in_use == vq->size)
		return queue_break(vq, "more chains in flight than the queue has descriptors");
	chain->head = queue_load(&ring->avail->ring[ring->last_avail & (vq->size - 1)]);
	why = walk_chain(&walk, chain->head);
	if (why)
		return queue_break(vq, why);
	ring->last_avail++;
	return 1;
}

void queue_split_unpop(struct virtqueue *vq)
{
	vq->split.last_avail--;
}

// -- giving them back --

void queue_split_fill(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct virtqueue_split *ring = &vq->split;
	uint16_t index = (ring->used_idx + vq->filled) & (vq->size - 1);

	__atomic_store_n(&ring->used->ring[index].id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->used->ring[index].len, written, __ATOMIC_RELAXED);
}

void queue_split_flush(struct virtqueue *vq)
{
	struct virtqueue_split *ring = &vq->split;

	ring->used_idx += vq->filled;
	__atomic_store_n(&ring->used->idx, ring->used_idx, __ATOMIC_RELEASE);
}

// -- interrupts and notifications --

// True when @event lies in what went from @before up to @now (2.7.10.1).
static bool event_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

bool queue_split_should_interrupt(struct virtqueue *vq)
{
	struct virtqueue_split *ring = &vq->split;
	uint16_t before = ring->signalled_used;

	if (ring->used_idx == before)
		return false;
	ring->signalled_used = ring->used_idx;
	// used.idx first, then the driver's wish.
	queue_fence();
	if (!vq->event_idx)
		return !(queue_load(&ring->avail->flags) & RING_AVAIL_NO_INTERRUPT);
	return event_passed(queue_load(ring_used_event(ring->avail, vq->size)), ring->used_idx,
			    before);
}

// With event indexes nothing needs to be said: avail_event stays behind, and the
// driver notifies when it passes that, not again (2.7.7.1).
void queue_split_disable_notify(struct virtqueue *vq)
{
	if (!vq->event_idx)
		queue_store(&vq->split.used->flags, RING_USED_NO_NOTIFY);
}

bool queue_split_enable_notify(struct virtqueue *vq)
{
	struct virtqueue_split *ring = &vq->split;

	if (vq->event_idx)
		queue_store(ring_avail_event(ring->used, vq->size), ring->last_avail);
	else
		queue_store(&ring->used->flags, 0);
	// The wish first, then avail.idx.
	queue_fence();
	return load_avail_idx(vq);
}
