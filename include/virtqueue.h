// SPDX-License-Identifier: GPL-2.0-or-later
// Virtqueues: the only code that reads rings (virtio 1.2 2.6 to 2.8).
//
// Theory of operation stands at the head of virtio/queue.c. A virtqueue is set up
// by the transport while its device is not active, and used by the device's loop
// thread only from activate to reset.
#ifndef KVIK_VIRTQUEUE_H
#define KVIK_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "iov.h"
#include "util.h"

struct memory;
struct packed_desc;
struct packed_event;
struct ring_avail;
struct ring_desc;
struct ring_used;

#define VIRTQUEUE_MAX_SIZE 1024 // descriptors
#define CACHE_LINE_BYTES 64

// The state of a split ring (2.7).
struct virtqueue_split {
	struct ring_desc *desc;
	struct ring_avail *avail;
	struct ring_used *used;
	uint16_t last_avail;
	uint16_t avail_seen;     // avail.idx when it was last read
	uint16_t used_idx;       // as the driver knows it
	uint16_t signalled_used; // used_idx when it was last decided on an interrupt
};

// A chain of a packed ring that the device has.
struct virtqueue_slot {
	uint16_t id;    // the driver's name for it
	uint16_t descs; // how many of the ring it takes
	uint16_t next_free;
};

// The state of a packed ring (2.8). A place counts through the ring twice: in the first
// round the wrap counter is 1, in the second 0.
struct virtqueue_packed {
	struct packed_desc *desc;
	const struct packed_event *driver_event;
	struct packed_event *device_event;
	uint16_t avail_place;     // of the next descriptor to take
	uint16_t used_place;      // of the next one to give back, also if only filled
	uint16_t signalled_place; // used_place when it was last decided on an interrupt
	unsigned used_descs;      // since then
	uint16_t first_place;     // of those filled: written last
	uint64_t first_tail;
	bool notify_off;
	struct virtqueue_slot *slots; // a chain's head is an index
	uint16_t free_slot;
};

struct virtqueue {
	// Set by the transport.
	uint16_t size_max; // what the device offers
	uint16_t size;     // what the driver chose
	bool ready;
	uint64_t desc_gpa;
	uint64_t avail_gpa; // the driver area
	uint64_t used_gpa;  // the device area
	// From virtqueue_start() on; addresses are translated once, never again.
	bool started;
	bool is_packed;
	bool event_idx;
	bool indirect;
	bool broken; // nothing more is taken from it until reset
	const char *why_broken;
	struct memory *memory;
	uint16_t in_use;   // chains popped and not yet pushed
	uint16_t filled;   // chains pushed and not yet flushed
	unsigned gathered; // entries of iov that belong to chains
	struct iovec *iov; // the popped chains; twice @size entries
	uint64_t *iov_gpa; // where each of them lies
	union {
		struct virtqueue_split split;
		struct virtqueue_packed packed;
	};
	char apart[CACHE_LINE_BYTES]; // queues in an array may be used by different CPUs
};

// A chain taken from the ring: host iovecs, device-readable ones first. They are valid
// until the next virtqueue_pop() on the same queue: a device that keeps requests in
// flight copies them.
struct virtqueue_chain {
	uint16_t head;      // what virtqueue_push() wants
	unsigned out_count; // readable by the device
	unsigned in_count;  // writable by the device
	struct iovec *out;
	struct iovec *in;
	const uint64_t *out_gpa;
	const uint64_t *in_gpa;
	uint64_t out_bytes;
	uint64_t in_bytes;
};

// Checks size, alignment and that all three parts lie in RAM, then translates
// them. @features: the negotiated feature bits. Returns 0, -EINVAL or -ENOMEM (no
// message).
int virtqueue_start(struct virtqueue *vq, struct memory *mem, uint64_t features) MUST_CHECK;
void virtqueue_stop(struct virtqueue *vq); // back to unused; frees iov

// Takes the next chain. Returns 1; 0 when the ring is empty or was not started;
// -EINVAL when the driver broke the rules: then vq->broken and why_broken are set.
// Empty descriptors are left out. The total may exceed 4 GiB, which no driver may
// send (2.7.5): the device answers that with its own error.
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain) MUST_CHECK;
// As virtqueue_pop(), but the chains popped before stay valid, and the new one's iovecs
// follow theirs in memory: several chains without readable parts are one array. 0 also
// when more than @size buffers have been gathered like this.
int virtqueue_pop_more(struct virtqueue *vq, struct virtqueue_chain *chain) MUST_CHECK;
// Undoes the last pop, and after that the one before: the chain is there to be popped
// again. Only chains of the last virtqueue_pop() and what was popped behind it.
void virtqueue_unpop(struct virtqueue *vq, const struct virtqueue_chain *chain);

// Gives a chain back, the first @written bytes of its writable part filled. @head
// must be one that pop returned.
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);
// The same in two steps: the driver sees all chains that were filled at once, and not
// before virtqueue_flush().
void virtqueue_fill(struct virtqueue *vq, uint16_t head, uint32_t written);
void virtqueue_flush(struct virtqueue *vq);
// Marks the first @written bytes of the segments as written by the host; call it
// before the push.
void virtqueue_mark_written(struct virtqueue *vq, const struct iovec *in, const uint64_t *in_gpa,
			    unsigned count, uint64_t written);

// True when the driver wants an interrupt for what was pushed since the last call
// (2.7.7, 2.7.10, 2.8.10).
bool virtqueue_should_interrupt(struct virtqueue *vq);

// Switches notifications from the driver off or on (2.7.7). After switching on,
// returns true when chains have arrived meanwhile: pop again.
void virtqueue_disable_notify(struct virtqueue *vq);
bool virtqueue_enable_notify(struct virtqueue *vq);

#endif
