// SPDX-License-Identifier: GPL-2.0-or-later
// The layout of virtqueues in guest memory: split (virtio 1.2 2.7) and packed (2.8).
#ifndef KVIK_VIRTIO_RING_H
#define KVIK_VIRTIO_RING_H

#include <assert.h>
#include <endian.h>
#include <stdint.h>

// The rings are little-endian, as is every host that kvik runs on.
static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "rings are read in host byte order");

// 2.7.5
struct ring_desc {
	uint64_t addr_gpa;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
enum { RING_DESC_NEXT = 1, RING_DESC_WRITE = 2, RING_DESC_INDIRECT = 4 };

// 2.7.6; behind ring[] lies used_event
struct ring_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};
enum { RING_AVAIL_NO_INTERRUPT = 1 };

// 2.7.8; behind ring[] lies avail_event
struct ring_used_elem {
	uint32_t id;
	uint32_t len;
};

struct ring_used {
	uint16_t flags;
	uint16_t idx;
	struct ring_used_elem ring[];
};
enum { RING_USED_NO_NOTIFY = 1 };

#define RING_DESC_ALIGN 16
#define RING_AVAIL_ALIGN 2
#define RING_USED_ALIGN 4

// The event fields have their place also where VIRTIO_F_EVENT_IDX was not
// negotiated (2.7).
static inline uint64_t ring_desc_bytes(unsigned size)
{
	return size * sizeof(struct ring_desc);
}

static inline uint64_t ring_avail_bytes(unsigned size)
{
	return sizeof(struct ring_avail) + size * sizeof(uint16_t) + sizeof(uint16_t);
}

static inline uint64_t ring_used_bytes(unsigned size)
{
	return sizeof(struct ring_used) + size * sizeof(struct ring_used_elem) + sizeof(uint16_t);
}

static inline uint16_t *ring_used_event(struct ring_avail *avail, unsigned size)
{
	return &avail->ring[size];
}

static inline uint16_t *ring_avail_event(struct ring_used *used, unsigned size)
{
	return (uint16_t *)&used->ring[size];
}

// 2.8.13; flags as of ring_desc, and two of its own. Where it is used, id and len say
// what a split ring's used element does.
struct packed_desc {
	uint64_t addr_gpa;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};
enum { PACKED_DESC_AVAIL = 1 << 7, PACKED_DESC_USED = 1 << 15 };

// 2.8.14; both areas hold one.
struct packed_event {
	uint16_t off_wrap; // place in the ring; highest bit: the wrap counter
	uint16_t flags;
};
enum { PACKED_EVENT_ENABLE = 0, PACKED_EVENT_DISABLE = 1, PACKED_EVENT_DESC = 2 };
#define PACKED_EVENT_WRAP (1 << 15)
#define PACKED_EVENT_ALIGN 4

static_assert(sizeof(struct packed_desc) == sizeof(struct ring_desc), "one copy serves both");

#endif
