// SPDX-License-Identifier: GPL-2.0-or-later
// What the virtio fuzzers share: a guest with one device, and a script for its driver.
//
// The first byte of an input chooses features and queue size, the rest is a script of
// steps, each an opcode and its arguments (enum step; little-endian). A script runs on
// a device that a well-behaved driver has brought to DRIVER_OK, so that it is deep in
// the queues at once; it ends with a reset. The device stays from input to input: what
// a reset forgets to forget shows up, too.
#ifndef KVIK_FUZZ_VIRTIO_H
#define KVIK_FUZZ_VIRTIO_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../virtio/ring.h"
#include "bus.h"
#include "device.h"
#include "log.h"
#include "loop.h"
#include "memory.h"
#include "virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_GPA 0x80000000ULL
#define RAM_BYTES (256 * KIB)
#define MMIO_GPA 0x10001000ULL
#define RING_GPA RAM_GPA
#define RING_STRIDE 0x2000
#define RING_COUNT 8
#define DATA_GPA (RAM_GPA + 0x10000)
#define MAX_STEPS 1000

enum step {
	STEP_DESC,      // queue, index, address in RAM (3), length (3), flags, next
	STEP_DESC_WILD, // queue, index, address (8), length (4), flags (2), next (2)
	STEP_OFFER,     // queue, head (2)
	STEP_AVAIL_IDX, // queue, index (2)
	STEP_EVENT,     // queue, used_event (2), avail.flags (2)
	STEP_POKE,      // address in RAM (3), count, bytes
	STEP_KICK,      // queue
	STEP_WRITE,     // register, value (4)
	STEP_READ,      // offset, size
	STEP_RESTART,   // features and size, as the input's first byte
	STEP_DEVICE,    // what the fuzzer at hand makes of it
	STEP_COUNT
};

struct script {
	const uint8_t *data;
	size_t left;
};

static inline uint64_t take(struct script *script, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && script->left; i++) {
		value |= (uint64_t)*script->data++ << (8 * i);
		script->left--;
	}
	return value;
}

// A driver's idea of a packed ring: chains are made in @table, as those of a split one,
// and written into the ring when they are offered.
struct fuzz_packed {
	struct ring_desc table[256];
	unsigned place; // of the next descriptor; twice through the ring, as the device counts
};

struct fuzz_guest {
	struct memory memory;
	struct bus bus;
	struct loop loop;
	struct virtio_device *vdev;
	uint64_t features; // that the driver would take
	bool is_packed;
	struct fuzz_packed packed[RING_COUNT];
	void (*step)(struct fuzz_guest *g, struct script *script);
	void *opaque;
};

// The device reports what it wrote: that must be RAM.
static inline void fuzz_written(void *opaque, uint64_t gpa, uint64_t len)
{
	if (!memory_ptr(opaque, gpa, len))
		abort();
}

static inline void fuzz_guest_init(struct fuzz_guest *g)
{
	log_set_level(LOG_LEVEL_ERROR); // a million broken drivers say nothing new
	memory_init(&g->memory);
	if (memory_add_ram(&g->memory, RAM_GPA, RAM_BYTES) || loop_init(&g->loop))
		abort();
	g->memory.written = fuzz_written;
	g->memory.written_opaque = &g->memory;
	bus_init(&g->bus);
}

static inline void fuzz_guest_attach(struct fuzz_guest *g, struct virtio_device *vdev)
{
	struct irq_line nowhere = { 0 };
	struct device *dev;

	g->vdev = vdev;
	if (virtio_mmio_create(&dev, vdev, MMIO_GPA, VIRTIO_MMIO_SIZE, nowhere) ||
	    bus_add(&g->bus, &dev->region))
		abort();
}

static inline void fuzz_write32(struct fuzz_guest *g, uint64_t reg, uint32_t value)
{
	if (bus_write(&g->bus, MMIO_GPA + reg, &value, sizeof(value)))
		abort();
}

static inline void fuzz_nothing(void *arg)
{
}

// Everything that was posted has been served.
static inline void fuzz_sync(struct fuzz_guest *g)
{
	if (!g->vdev->has_own_loops) {
		loop_stop(&g->loop);
		loop_run(&g->loop);
		return;
	}
	for (unsigned i = 0; i < g->vdev->loop_count; i++)
		loop_call(g->vdev->loops[i].loop, fuzz_nothing, NULL);
}

struct fuzz_rings {
	unsigned size;
	struct ring_desc *desc;
	struct ring_avail *avail;
	struct packed_desc *ring;
	struct fuzz_packed *packed;
	uint64_t desc_gpa, avail_gpa, used_gpa;
};

static inline struct fuzz_rings fuzz_rings(struct fuzz_guest *g, unsigned queue, unsigned size)
{
	struct fuzz_rings r = { .size = size };

	r.packed = &g->packed[queue % RING_COUNT];
	r.desc_gpa = RING_GPA + queue % RING_COUNT * RING_STRIDE;
	r.avail_gpa = r.desc_gpa + ring_desc_bytes(size);
	r.used_gpa = align_up(r.avail_gpa + ring_avail_bytes(size), RING_USED_ALIGN);
	if (g->is_packed)
		r.avail_gpa = align_up(r.avail_gpa, PACKED_EVENT_ALIGN);
	r.ring = memory_ptr(&g->memory, r.desc_gpa, 1);
	r.desc = g->is_packed ? r.packed->table : memory_ptr(&g->memory, r.desc_gpa, 1);
	r.avail = memory_ptr(&g->memory, r.avail_gpa, 1);
	return r;
}

static inline void fuzz_set_up_queue(struct fuzz_guest *g, unsigned queue, unsigned size)
{
	struct fuzz_rings r = fuzz_rings(g, queue, size);
	const uint64_t parts[] = { r.desc_gpa, r.avail_gpa, r.used_gpa };

	fuzz_write32(g, 0x030, queue);
	fuzz_write32(g, 0x038, size);
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		fuzz_write32(g, 0x080 + 0x10 * i, parts[i]);
		fuzz_write32(g, 0x084 + 0x10 * i, parts[i] >> 32);
	}
	fuzz_write32(g, 0x044, 1);
}

// Bits 0 to 2: log2 of the queue size, of which packed rings have three quarters, since
// any size will do for them; 3: event index; 4: no indirect descriptors;
// 5: none of the device's own features; 6: no DRIVER_OK; 7: packed rings. Returns the
// queue size.
static inline unsigned fuzz_start(struct fuzz_guest *g, uint8_t choice)
{
	unsigned size = MIN(1u << (choice & 7), (unsigned)g->vdev->ops->queue_size_max);
	uint64_t features = g->features | VIRTIO_F_INDIRECT_DESC;

	memset(memory_ptr(&g->memory, RAM_GPA, RAM_BYTES), 0, RAM_BYTES);
	memset(g->packed, 0, sizeof(g->packed));
	g->is_packed = choice & 128;
	if (g->is_packed)
		size -= size / 4;
	if (choice & 32)
		features = VIRTIO_F_INDIRECT_DESC;
	if (choice & 8)
		features |= VIRTIO_F_EVENT_IDX;
	if (choice & 16)
		features &= ~VIRTIO_F_INDIRECT_DESC;
	fuzz_write32(g, 0x070, 0);
	fuzz_write32(g, 0x070, 3);
	fuzz_write32(g, 0x024, 0);
	fuzz_write32(g, 0x020, features);
	fuzz_write32(g, 0x024, 1);
	fuzz_write32(g, 0x020, 1 | (g->is_packed ? VIRTIO_F_RING_PACKED >> 32 : 0));
	fuzz_write32(g, 0x070, 11);
	for (unsigned i = 0; i < g->vdev->queue_count; i++)
		fuzz_set_up_queue(g, i, size);
	if (!(choice & 64))
		fuzz_write32(g, 0x070, 15);
	return size;
}

static inline void fuzz_desc(struct fuzz_guest *g, struct script *script, unsigned size, bool wild)
{
	struct fuzz_rings r = fuzz_rings(g, take(script, 1), size);
	struct ring_desc *desc = &r.desc[take(script, 1) % size];

	desc->addr_gpa = wild ? take(script, 8) : RAM_GPA + take(script, 3) % RAM_BYTES;
	desc->len = wild ? take(script, 4) : take(script, 3);
	desc->flags = take(script, wild ? 2 : 1);
	desc->next = take(script, wild ? 2 : 1);
}

static inline void fuzz_offer_packed(struct fuzz_rings *r, unsigned head)
{
	unsigned first = r->packed->place, count = 0;
	uint16_t chain[256] = { head % r->size };

	while (r->desc[chain[count]].flags & RING_DESC_NEXT && count + 1 < r->size) {
		chain[count + 1] = r->desc[chain[count]].next % r->size;
		count++;
	}
	for (unsigned i = 0; i <= count; i++) {
		unsigned place = (first + i) % (2 * r->size);
		const struct ring_desc *desc = &r->desc[chain[i]];

		r->ring[place % r->size] = (struct packed_desc){
			.addr_gpa = desc->addr_gpa,
			.len = desc->len,
			.id = head,
			.flags = (desc->flags & ~(PACKED_DESC_AVAIL | PACKED_DESC_USED)) |
				 (place < r->size ? PACKED_DESC_AVAIL : PACKED_DESC_USED),
		};
	}
	r->packed->place = (first + count + 1) % (2 * r->size);
}

static inline void fuzz_offer(struct fuzz_guest *g, struct script *script, unsigned size)
{
	struct fuzz_rings r = fuzz_rings(g, take(script, 1), size);
	unsigned head = take(script, 2);

	if (g->is_packed)
		fuzz_offer_packed(&r, head);
	else
		r.avail->ring[r.avail->idx++ % size] = head;
}

static inline void fuzz_poke(struct fuzz_guest *g, struct script *script)
{
	uint64_t gpa = RAM_GPA + take(script, 3) % (RAM_BYTES - 256);
	uint8_t *ram = memory_ptr(&g->memory, gpa, 256);

	for (unsigned count = take(script, 1); count; count--)
		*ram++ = take(script, 1);
}

static inline void fuzz_read(struct fuzz_guest *g, struct script *script)
{
	uint64_t offset = take(script, 1) * 2, value;
	unsigned size = 1u << (take(script, 1) & 3);

	if (bus_read(&g->bus, MMIO_GPA + offset, &value, size))
		abort();
}

// Returns the queue size from here on.
static inline unsigned fuzz_step(struct fuzz_guest *g, struct script *script, unsigned size)
{
	enum step step = take(script, 1) % STEP_COUNT;
	struct fuzz_rings r;
	uint64_t reg;

	switch (step) {
	case STEP_DESC:
	case STEP_DESC_WILD:
		fuzz_desc(g, script, size, step == STEP_DESC_WILD);
		break;
	case STEP_OFFER:
		fuzz_offer(g, script, size);
		break;
	case STEP_AVAIL_IDX:
		r = fuzz_rings(g, take(script, 1), size);
		r.avail->idx = take(script, 2);
		break;
	case STEP_EVENT:
		r = fuzz_rings(g, take(script, 1), size);
		*ring_used_event(r.avail, size) = take(script, 2);
		r.avail->flags = take(script, 2);
		break;
	case STEP_POKE:
		fuzz_poke(g, script);
		break;
	case STEP_KICK:
		fuzz_write32(g, 0x050, take(script, 1));
		fuzz_sync(g);
		break;
	case STEP_WRITE:
		reg = take(script, 1) % 0x80 * 4;
		fuzz_write32(g, reg, take(script, 4));
		break;
	case STEP_READ:
		fuzz_read(g, script);
		break;
	case STEP_RESTART:
		return fuzz_start(g, take(script, 1));
	default:
		if (g->step)
			g->step(g, script);
	}
	return size;
}

static inline void fuzz_run(struct fuzz_guest *g, const uint8_t *data, size_t bytes)
{
	struct script script = { .data = data, .left = bytes };
	unsigned size = fuzz_start(g, take(&script, 1));

	for (unsigned i = 0; i < MAX_STEPS && script.left; i++)
		size = fuzz_step(g, &script, size);
	fuzz_sync(g);
	fuzz_write32(g, 0x070, 0);
	fuzz_sync(g);
}

#endif
