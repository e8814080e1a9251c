// SPDX-License-Identifier: GPL-2.0-or-later
// Virtqueues: what split and packed rings share. This, queue-split.c and
// queue-packed.c are the only code that reads rings (virtio 1.2 2.6).
//
// Theory of operation
//
// Driver and device share rings in guest memory: the driver offers chains of buffers,
// the device takes them and gives them back used.
//
// Each side may ask the other not to be told of news: the driver for interrupts, the
// device for notifications. Whoever switches them on again must look at the other's
// part of the ring once more, and whoever puts something there must look at the other's
// wish after that: store, then load, on both sides. Only a full fence keeps that order;
// without it both can miss each other and the queue stands still.
//
// The driver is hostile, and so may be another vCPU that writes while we read.
// Hence: ring addresses are translated once, when the queue starts; a descriptor
// is copied once and only the copy is checked and used; every index is bounded
// before it is used; a chain has no more buffers than the queue has descriptors,
// so that a loop ends. After the first broken rule nothing more is taken.
//
// The ring's own pages are not reported by memory_mark_written(), unlike the
// buffers': no guest executes its used ring.

#include <errno.h>
#include <stdlib.h>

#include "queue-priv.h"
#include "virtio.h"

// -- start and stop --

// Room for a whole chain behind as many buffers as one can have.
static int allocate_iov(struct virtqueue *vq)
{
	vq->iov = calloc(2 * vq->size, sizeof(*vq->iov));
	vq->iov_gpa = calloc(2 * vq->size, sizeof(*vq->iov_gpa));
	return vq->iov && vq->iov_gpa ? 0 : -ENOMEM;
}

int virtqueue_start(struct virtqueue *vq, struct memory *mem, uint64_t features)
{
	int ret = -EINVAL;

	vq->is_packed = features & VIRTIO_F_RING_PACKED;
	if (vq->size && vq->size <= vq->size_max && vq->size <= VIRTQUEUE_MAX_SIZE)
		ret = vq->is_packed ? queue_packed_start(vq, mem) : queue_split_start(vq, mem);
	if (!ret)
		ret = allocate_iov(vq);
	if (ret) {
		virtqueue_stop(vq);
		return ret;
	}
	vq->memory = mem;
	vq->event_idx = features & VIRTIO_F_EVENT_IDX;
	vq->indirect = features & VIRTIO_F_INDIRECT_DESC;
	vq->started = true;
	return 0;
}

void virtqueue_stop(struct virtqueue *vq)
{
	if (vq->is_packed)
		queue_packed_stop(vq);
	free(vq->iov);
	free(vq->iov_gpa);
	*vq = (struct virtqueue){
		.size_max = vq->size_max,
		.size = vq->size,
		.ready = vq->ready,
		.desc_gpa = vq->desc_gpa,
		.avail_gpa = vq->avail_gpa,
		.used_gpa = vq->used_gpa,
	};
}

// -- taking chains --

const char *queue_open_table(const struct virtqueue *vq, uint64_t gpa, uint32_t len, uint16_t flags,
			     struct queue_table *table)
{
	if (!vq->indirect)
		return "indirect descriptor, which was not negotiated";
	if (flags & RING_DESC_NEXT)
		return "indirect descriptor with a next one";
	if (!len || len % sizeof(*table->entries))
		return "length of an indirect table is not that of whole descriptors";
	table->entries = memory_ptr(vq->memory, gpa, len);
	table->count = len / sizeof(*table->entries);
	return table->entries ? NULL : "indirect table outside RAM";
}

int queue_break(struct virtqueue *vq, const char *why)
{
	vq->broken = true;
	vq->why_broken = why;
	return -EINVAL;
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	vq->gathered = 0;
	return virtqueue_pop_more(vq, chain);
}

int virtqueue_pop_more(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	unsigned first = vq->gathered;
	int got;

	if (vq->broken)
		return -EINVAL;
	if (!vq->started || first > vq->size)
		return 0;
	*chain = (struct virtqueue_chain){ .out = vq->iov + first, .out_gpa = vq->iov_gpa + first };
	got = vq->is_packed ? queue_packed_pop(vq, chain) : queue_split_pop(vq, chain);
	if (got <= 0)
		return got;
	chain->in = chain->out + chain->out_count;
	chain->in_gpa = chain->out_gpa + chain->out_count;
	vq->in_use++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *vq, const struct virtqueue_chain *chain)
{
	if (vq->is_packed)
		queue_packed_unpop(vq, chain->head);
	else
		queue_split_unpop(vq);
	vq->gathered -= chain->out_count + chain->in_count;
	vq->in_use--;
}

// -- giving them back --

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	virtqueue_fill(vq, head, written);
	virtqueue_flush(vq);
}

void virtqueue_fill(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	if (vq->is_packed)
		queue_packed_fill(vq, head, written);
	else
		queue_split_fill(vq, head, written);
	vq->in_use--;
	vq->filled++;
}

void virtqueue_flush(struct virtqueue *vq)
{
	if (!vq->filled)
		return;
	if (vq->is_packed)
		queue_packed_flush(vq);
	else
		queue_split_flush(vq);
	vq->filled = 0;
}

void virtqueue_mark_written(struct virtqueue *vq, const struct iovec *in, const uint64_t *in_gpa,
			    unsigned count, uint64_t written)
{
	if (!vq->memory->written)
		return;
	for (unsigned i = 0; i < count && written; i++) {
		uint64_t len = MIN((uint64_t)in[i].iov_len, written);

		memory_mark_written(vq->memory, in_gpa[i], len);
		written -= len;
	}
}

// -- interrupts and notifications --

bool virtqueue_should_interrupt(struct virtqueue *vq)
{
	if (!vq->started)
		return false;
	return vq->is_packed ? queue_packed_should_interrupt(vq) : queue_split_should_interrupt(vq);
}

void virtqueue_disable_notify(struct virtqueue *vq)
{
	if (!vq->started)
		return;
	if (vq->is_packed)
		queue_packed_disable_notify(vq);
	else
		queue_split_disable_notify(vq);
}

bool virtqueue_enable_notify(struct virtqueue *vq)
{
	if (!vq->started)
		return false;
	return vq->is_packed ? queue_packed_enable_notify(vq) : queue_split_enable_notify(vq);
}
