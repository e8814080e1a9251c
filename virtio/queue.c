// SPDX-License-Identifier: GPL-2.0-or-later
// Split virtqueues: the only code that reads rings (virtio 1.2 2.6, 2.7).
//
// Theory of operation
//
// A queue is three arrays in guest memory. The driver puts the number of a chain's
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
// Each side may ask the other not to be told of news: the driver for interrupts
// (avail.flags, or used_event with VIRTIO_F_EVENT_IDX), the device for
// notifications (used.flags, or avail_event). Whoever switches them on again must
// look at the other's index once more, and whoever raises an index must look at
// the other's wish after that: store, then load, on both sides. Only a full fence
// keeps that order; without it both can miss each other and the queue stands still.
//
// The driver is hostile, and so may be another vCPU that writes while we read.
// Hence: ring addresses are translated once, when the queue starts; a descriptor
// is copied once and only the copy is checked and used; every index is bounded
// before it is used; a chain has no more buffers than the queue has descriptors,
// so that a loop ends. After the first broken rule nothing more is taken.
//
// The ring's own pages are not reported by memory_mark_written(), unlike the
// buffers': no guest executes its used ring.

#include "virtqueue.h"

#include <errno.h>
#include <stdlib.h>

#include "memory.h"
#include "ring.h"
#include "virtio.h"

static uint16_t load_relaxed(const uint16_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static void store_relaxed(uint16_t *field, uint16_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

// Orders a store before a later load. (For atomic_thread_fence() gcc warns under
// ThreadSanitizer, which does not model it.)
static void full_fence(void)
{
	__sync_synchronize();
}

static uint16_t load_avail_idx(const struct virtqueue *vq)
{
	return __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
}

// -- start and stop --

static bool size_is_valid(const struct virtqueue *vq)
{
	return vq->size && !(vq->size & (vq->size - 1)) && vq->size <= vq->size_max &&
	       vq->size <= VIRTQUEUE_MAX_SIZE;
}

static void *translate_part(struct memory *mem, uint64_t gpa, uint64_t len, uint64_t align)
{
	return gpa % align ? NULL : memory_ptr(mem, gpa, len);
}

static int translate_rings(struct virtqueue *vq, struct memory *mem)
{
	vq->desc = translate_part(mem, vq->desc_gpa, ring_desc_bytes(vq->size), RING_DESC_ALIGN);
	vq->avail =
		translate_part(mem, vq->avail_gpa, ring_avail_bytes(vq->size), RING_AVAIL_ALIGN);
	vq->used = translate_part(mem, vq->used_gpa, ring_used_bytes(vq->size), RING_USED_ALIGN);
	return vq->desc && vq->avail && vq->used ? 0 : -EINVAL;
}

static int allocate_iov(struct virtqueue *vq)
{
	vq->iov = calloc(vq->size, sizeof(*vq->iov));
	vq->iov_gpa = calloc(vq->size, sizeof(*vq->iov_gpa));
	return vq->iov && vq->iov_gpa ? 0 : -ENOMEM;
}

int virtqueue_start(struct virtqueue *vq, struct memory *mem, uint64_t features)
{
	int ret = size_is_valid(vq) ? translate_rings(vq, mem) : -EINVAL;

	if (!ret)
		ret = allocate_iov(vq);
	if (ret) {
		virtqueue_stop(vq);
		return ret;
	}
	vq->memory = mem;
	vq->event_idx = features & VIRTIO_F_EVENT_IDX;
	vq->indirect = features & VIRTIO_F_INDIRECT_DESC;
	return 0;
}

void virtqueue_stop(struct virtqueue *vq)
{
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

// A descriptor table: the queue's own, or an indirect one.
struct table {
	const struct ring_desc *entries;
	uint32_t count;
	bool indirect;
};

// The driver may change a descriptor while it is copied; what matters is that it
// is not read again. An indirect table may lie at any address (2.7.5.3).
static struct ring_desc copy_desc(const struct ring_desc *desc)
{
	union {
		struct ring_desc desc;
		uint64_t words[2];
		uint8_t bytes[16];
	} copy;
	const uint64_t *words = (const uint64_t *)desc;
	const uint8_t *bytes = (const uint8_t *)desc;

	static_assert(sizeof(copy) == sizeof(*desc), "the copy is a descriptor");
	if ((uintptr_t)desc % sizeof(uint64_t) == 0) {
		for (unsigned i = 0; i < ARRAY_SIZE(copy.words); i++)
			copy.words[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
	} else {
		for (unsigned i = 0; i < ARRAY_SIZE(copy.bytes); i++)
			copy.bytes[i] = __atomic_load_n(&bytes[i], __ATOMIC_RELAXED);
	}
	return copy.desc;
}

// 2.7.5.3; returns what is wrong, or NULL.
static const char *enter_indirect(const struct virtqueue *vq, const struct ring_desc *desc,
				  struct table *table)
{
	if (!vq->indirect)
		return "indirect descriptor, which was not negotiated";
	if (table->indirect)
		return "indirect descriptor in an indirect table";
	if (desc->flags & RING_DESC_NEXT)
		return "indirect descriptor with a next one";
	if (!desc->len || desc->len % sizeof(*desc))
		return "length of an indirect table is not that of whole descriptors";
	table->entries = memory_ptr(vq->memory, desc->addr_gpa, desc->len);
	table->count = desc->len / sizeof(*desc);
	table->indirect = true;
	return table->entries ? NULL : "indirect table outside RAM";
}

// Adds the buffer of @desc to the chain; returns what is wrong, or NULL.
static const char *add_buffer(const struct virtqueue *vq, const struct ring_desc *desc,
			      struct virtqueue_chain *chain)
{
	unsigned index = chain->out_count + chain->in_count;
	void *host;

	if (!desc->len)
		return NULL;
	host = memory_ptr(vq->memory, desc->addr_gpa, desc->len);
	if (!host)
		return "buffer outside RAM";
	vq->iov[index] = (struct iovec){ .iov_base = host, .iov_len = desc->len };
	vq->iov_gpa[index] = desc->addr_gpa;
	if (desc->flags & RING_DESC_WRITE) {
		chain->in_count++;
		chain->in_bytes += desc->len;
	} else {
		chain->out_count++;
		chain->out_bytes += desc->len;
	}
	return NULL;
}

// Returns what is wrong with the chain, or NULL.
static const char *walk_chain(const struct virtqueue *vq, uint16_t head,
			      struct virtqueue_chain *chain)
{
	struct table table = { .entries = vq->desc, .count = vq->size };
	bool writable = false;
	uint16_t index = head;
	unsigned count = 0;

	for (;;) {
		struct ring_desc desc;
		const char *why;

		if (index >= table.count)
			return "descriptor index beyond the table";
		desc = copy_desc(&table.entries[index]);
		if (desc.flags & RING_DESC_INDIRECT) {
			why = enter_indirect(vq, &desc, &table);
			if (why)
				return why;
			index = 0;
			continue;
		}
		if (count++ == vq->size)
			return "chain longer than the queue (a loop?)";
		if (writable && !(desc.flags & RING_DESC_WRITE))
			return "readable buffer behind a writable one";
		writable = desc.flags & RING_DESC_WRITE;
		why = add_buffer(vq, &desc, chain);
		if (why || !(desc.flags & RING_DESC_NEXT))
			return why;
		index = desc.next;
	}
}

static int break_queue(struct virtqueue *vq, const char *why)
{
	vq->broken = true;
	vq->why_broken = why;
	return -EINVAL;
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	uint16_t pending, head;
	const char *why;

	if (vq->broken)
		return -EINVAL;
	if (!vq->desc)
		return 0;
	pending = load_avail_idx(vq) - vq->last_avail;
	if (!pending)
		return 0;
	if (pending > vq->size)
		return break_queue(vq, "avail.idx jumped by more than the queue size");
	if (vq->in_use == vq->size)
		return break_queue(vq, "more chains in flight than the queue has descriptors");
	head = load_relaxed(&vq->avail->ring[vq->last_avail & (vq->size - 1)]);
	*chain = (struct virtqueue_chain){ .head = head };
	why = walk_chain(vq, head, chain);
	if (why)
		return break_queue(vq, why);
	chain->out = vq->iov;
	chain->out_gpa = vq->iov_gpa;
	chain->in = vq->iov + chain->out_count;
	chain->in_gpa = vq->iov_gpa + chain->out_count;
	vq->last_avail++;
	vq->in_use++;
	return 1;
}

// -- giving them back --

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct ring_used_elem *elem = &vq->used->ring[vq->used_idx & (vq->size - 1)];

	__atomic_store_n(&elem->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
	vq->used_idx++;
	vq->in_use--;
	__atomic_store_n(&vq->used->idx, vq->used_idx, __ATOMIC_RELEASE);
}

void virtqueue_mark_written(struct virtqueue *vq, const struct iovec *in, const uint64_t *in_gpa,
			    unsigned count, uint64_t written)
{
	for (unsigned i = 0; i < count && written; i++) {
		uint64_t len = MIN((uint64_t)in[i].iov_len, written);

		memory_mark_written(vq->memory, in_gpa[i], len);
		written -= len;
	}
}

// -- interrupts and notifications --

// True when @event lies in what went from @before up to @now (2.7.10.1).
static bool event_passed(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

bool virtqueue_should_interrupt(struct virtqueue *vq)
{
	uint16_t before = vq->signalled_used;

	if (!vq->desc || vq->used_idx == before)
		return false;
	vq->signalled_used = vq->used_idx;
	// used.idx first, then the driver's wish.
	full_fence();
	if (!vq->event_idx)
		return !(load_relaxed(&vq->avail->flags) & RING_AVAIL_NO_INTERRUPT);
	return event_passed(load_relaxed(ring_used_event(vq->avail, vq->size)), vq->used_idx,
			    before);
}

// With event indexes nothing needs to be said: avail_event stays behind, and the
// driver notifies when it passes that, not again (2.7.7.1).
void virtqueue_disable_notify(struct virtqueue *vq)
{
	if (vq->desc && !vq->event_idx)
		store_relaxed(&vq->used->flags, RING_USED_NO_NOTIFY);
}

bool virtqueue_enable_notify(struct virtqueue *vq)
{
	if (!vq->desc)
		return false;
	if (vq->event_idx)
		store_relaxed(ring_avail_event(vq->used, vq->size), vq->last_avail);
	else
		store_relaxed(&vq->used->flags, 0);
	// The wish first, then avail.idx.
	full_fence();
	return load_avail_idx(vq) != vq->last_avail;
}
