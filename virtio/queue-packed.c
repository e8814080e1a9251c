// SPDX-License-Identifier: GPL-2.0-or-later
// Packed virtqueues (virtio 1.2 2.8).
//
// Such a queue is one ring of descriptors. The driver writes a chain's descriptors at
// its place in the ring, the first one's flags last; the device walks them, works, and
// writes one used descriptor at a place of its own, over what it has read before. A
// chain's buffer id, in its last descriptor, tells the driver which one is used; both
// sides skip as many descriptors as the chain had.
//
// Whose turn a descriptor is, its flags AVAIL and USED say, together with the number
// of rounds through the ring modulo two, the wrap counter: the driver sets AVAIL to
// its counter and USED to the opposite, the device sets both to its own.
//
//	driver                           device
//	desc[n + 1], desc[n].addr, .len
//	desc[n].flags  --- release --->  acquire: desc[n], desc[n + 1], buffers
//	                                 buffers
//	acquire: flags  <-- release ---  desc[m] = id, len, flags
//
// The device keeps id and length of each chain that it has in a slot: the driver's id
// is any number, and may be wrong.

#include <errno.h>
#include <stdlib.h>

#include "queue-priv.h"

// The second half of a descriptor, which one load or store moves as a whole.
union tail {
	struct {
		uint32_t len;
		uint16_t id;
		uint16_t flags;
	};
	uint64_t word;
};
static_assert(sizeof(union tail) == sizeof(uint64_t), "one word");

// -- places --

static uint16_t index_of(const struct virtqueue *vq, uint16_t place)
{
	return place < vq->size ? place : place - vq->size;
}

static bool wrap_counter(const struct virtqueue *vq, uint16_t place)
{
	return place < vq->size;
}

// @count is at most the queue size.
static uint16_t place_after(const struct virtqueue *vq, uint16_t place, uint16_t count)
{
	unsigned next = place + count;

	return next < 2u * vq->size ? next : next - 2u * vq->size;
}

static uint16_t place_before(const struct virtqueue *vq, uint16_t place, uint16_t count)
{
	return place >= count ? place - count : place - count + 2 * vq->size;
}

static uint64_t *words_at(const struct virtqueue *vq, uint16_t place)
{
	return (uint64_t *)&vq->packed.desc[index_of(vq, place)];
}

// 2.8.1
static bool is_available(const struct virtqueue *vq, uint16_t place, uint16_t flags)
{
	bool wrap = wrap_counter(vq, place);

	return !!(flags & PACKED_DESC_AVAIL) == wrap && !!(flags & PACKED_DESC_USED) != wrap;
}

// -- start and stop --

static int allocate_slots(struct virtqueue *vq)
{
	struct virtqueue_slot *slots = calloc(vq->size, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (unsigned i = 0; i < vq->size; i++)
		slots[i].next_free = i + 1;
	vq->packed.slots = slots;
	return 0;
}

int queue_packed_start(struct virtqueue *vq, struct memory *mem)
{
	struct virtqueue_packed *ring = &vq->packed;
	const unsigned event_bytes = sizeof(struct packed_event);

	*ring = (struct virtqueue_packed){ 0 };
	ring->desc = queue_translate(mem, vq->desc_gpa, ring_desc_bytes(vq->size), RING_DESC_ALIGN);
	ring->driver_event = queue_translate(mem, vq->avail_gpa, event_bytes, PACKED_EVENT_ALIGN);
	ring->device_event = queue_translate(mem, vq->used_gpa, event_bytes, PACKED_EVENT_ALIGN);
	if (!ring->desc || !ring->driver_event || !ring->device_event)
		return -EINVAL;
	return allocate_slots(vq);
}

void queue_packed_stop(struct virtqueue *vq)
{
	free(vq->packed.slots);
}

// -- taking chains --

// 2.8.7: of an indirect descriptor only WRITE means anything.
static const char *walk_table(struct queue_walk *walk, uint64_t gpa, const union tail *tail)
{
	struct queue_table table;
	const char *why = queue_open_table(walk->vq, gpa, tail->len, tail->flags, &table);

	for (uint32_t i = 0; !why && i < table.count; i++) {
		union {
			struct ring_desc copy;
			struct packed_desc desc;
		} entry = { .copy = queue_copy_desc(&table.entries[i]) };

		why = queue_walk_add(walk, entry.desc.addr_gpa, entry.desc.len,
				     entry.desc.flags & RING_DESC_WRITE);
	}
	return why;
}

// Walks the chain from its first descriptor, the second half of which is @tail; leaves
// that of the last one there. Returns what is wrong, or NULL.
static const char *walk_chain(struct queue_walk *walk, union tail *tail, uint16_t *descs)
{
	struct virtqueue *vq = walk->vq;
	uint16_t place = vq->packed.avail_place;

	for (*descs = 1;; ++*descs) {
		const uint64_t *words = words_at(vq, place);
		uint64_t gpa = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
		const char *why;

		// The first one was read already.
		if (*descs > 1)
			tail->word = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
		if (tail->flags & RING_DESC_INDIRECT)
			return *descs > 1 ? "indirect descriptor in a chain" :
					    walk_table(walk, gpa, tail);
		why = queue_walk_add(walk, gpa, tail->len, tail->flags & RING_DESC_WRITE);
		if (why || !(tail->flags & RING_DESC_NEXT))
			return why;
		place = place_after(vq, place, 1);
	}
}

static uint16_t take_slot(struct virtqueue_packed *ring, uint16_t id, uint16_t descs)
{
	uint16_t head = ring->free_slot;
	struct virtqueue_slot *slot = &ring->slots[head];

	ring->free_slot = slot->next_free;
	slot->id = id;
	slot->descs = descs;
	return head;
}

static void free_slot(struct virtqueue_packed *ring, uint16_t head)
{
	ring->slots[head].next_free = ring->free_slot;
	ring->free_slot = head;
}

int queue_packed_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	struct queue_walk walk = { .vq = vq, .chain = chain };
	struct virtqueue_packed *ring = &vq->packed;
	union tail tail = {
		.word = __atomic_load_n(&words_at(vq, ring->avail_place)[1], __ATOMIC_ACQUIRE),
	};
	uint16_t descs;
	const char *why;

	if (!is_available(vq, ring->avail_place, tail.flags))
		return 0;
	if (vq->in_use == vq->size)
		return queue_break(vq, "more chains in flight than the queue has descriptors");
	why = walk_chain(&walk, &tail, &descs);
	if (why)
		return queue_break(vq, why);
	chain->head = take_slot(ring, tail.id, descs);
	ring->avail_place = place_after(vq, ring->avail_place, descs);
	return 1;
}

void queue_packed_unpop(struct virtqueue *vq, uint16_t head)
{
	struct virtqueue_packed *ring = &vq->packed;

	ring->avail_place = place_before(vq, ring->avail_place, ring->slots[head].descs);
	free_slot(ring, head);
}

// -- giving them back --

static void store_used(struct virtqueue *vq, uint16_t place, uint64_t word)
{
	__atomic_store_n(&words_at(vq, place)[1], word, __ATOMIC_RELEASE);
}

// The driver reads used descriptors in their order: none behind the first one that is
// not there yet, so that the rest may be written at once (2.8.9).
void queue_packed_fill(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct virtqueue_packed *ring = &vq->packed;
	const struct virtqueue_slot *slot = &ring->slots[head];
	bool wrap = wrap_counter(vq, ring->used_place);
	union tail tail = {
		.len = written,
		.id = slot->id,
		.flags = (wrap ? PACKED_DESC_AVAIL | PACKED_DESC_USED : 0) |
			 (written ? RING_DESC_WRITE : 0), // 2.8.3
	};

	if (vq->filled) {
		store_used(vq, ring->used_place, tail.word);
	} else {
		ring->first_place = ring->used_place;
		ring->first_tail = tail.word;
	}
	ring->used_place = place_after(vq, ring->used_place, slot->descs);
	ring->used_descs += slot->descs;
	free_slot(ring, head);
}

void queue_packed_flush(struct virtqueue *vq)
{
	store_used(vq, vq->packed.first_place, vq->packed.first_tail);
}

// -- interrupts and notifications --

static struct packed_event load_event(const struct packed_event *event)
{
	union {
		uint32_t word;
		struct packed_event event;
	} copy = { .word = __atomic_load_n((const uint32_t *)event, __ATOMIC_RELAXED) };

	return copy.event;
}

static void store_event(struct packed_event *event, struct packed_event value)
{
	union {
		struct packed_event event;
		uint32_t word;
	} copy = { .event = value };

	__atomic_store_n((uint32_t *)event, copy.word, __ATOMIC_RELAXED);
}

// True when the descriptor at @off_wrap was used among the last @used_descs. A driver's
// offset beyond the ring means no place at all: then the answer does not matter.
static bool event_passed(const struct virtqueue *vq, uint16_t off_wrap, unsigned used_descs)
{
	unsigned offset = off_wrap & ~PACKED_EVENT_WRAP;
	unsigned place = off_wrap & PACKED_EVENT_WRAP ? offset : offset + vq->size;

	if (offset >= vq->size)
		return true;
	return place_before(vq, vq->packed.used_place, place) - 1u < used_descs;
}

bool queue_packed_should_interrupt(struct virtqueue *vq)
{
	struct virtqueue_packed *ring = &vq->packed;
	unsigned used_descs = ring->used_descs;
	struct packed_event event;

	if (!used_descs || vq->filled)
		return false;
	ring->used_descs = 0;
	// The used descriptors first, then the driver's wish.
	queue_fence();
	event = load_event(ring->driver_event);
	if (vq->event_idx && event.flags == PACKED_EVENT_DESC)
		return event_passed(vq, event.off_wrap, used_descs);
	return event.flags != PACKED_EVENT_DISABLE;
}

void queue_packed_disable_notify(struct virtqueue *vq)
{
	struct packed_event event = { .flags = PACKED_EVENT_DISABLE };

	if (!vq->packed.notify_off)
		store_event(vq->packed.device_event, event);
	vq->packed.notify_off = true;
}

bool queue_packed_enable_notify(struct virtqueue *vq)
{
	struct virtqueue_packed *ring = &vq->packed;
	struct packed_event event = { .flags = PACKED_EVENT_ENABLE };
	union tail tail;

	if (vq->event_idx) {
		event.flags = PACKED_EVENT_DESC;
		event.off_wrap = index_of(vq, ring->avail_place) |
				 (wrap_counter(vq, ring->avail_place) ? PACKED_EVENT_WRAP : 0);
	}
	store_event(ring->device_event, event);
	ring->notify_off = false;
	// The wish first, then the next descriptor.
	queue_fence();
	tail.word = __atomic_load_n(&words_at(vq, ring->avail_place)[1], __ATOMIC_ACQUIRE);
	return is_available(vq, ring->avail_place, tail.flags);
}
