// SPDX-License-Identifier: GPL-2.0-or-later
// What split and packed rings share, for virtio/queue*.c only.
#ifndef KVIK_VIRTIO_QUEUE_PRIV_H
#define KVIK_VIRTIO_QUEUE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"
#include "ring.h"
#include "virtqueue.h"

// -- a kind of ring; contracts as of the functions in virtqueue.h --

// Checks and translates the ring's parts.
int queue_split_start(struct virtqueue *vq, struct memory *mem) MUST_CHECK;
// 1: there is a next chain, and it was walked; 0: there is none; -EINVAL: broken.
int queue_split_pop(struct virtqueue *vq, struct virtqueue_chain *chain) MUST_CHECK;
void queue_split_unpop(struct virtqueue *vq);
void queue_split_fill(struct virtqueue *vq, uint16_t head, uint32_t written);
void queue_split_flush(struct virtqueue *vq);
bool queue_split_should_interrupt(struct virtqueue *vq);
void queue_split_disable_notify(struct virtqueue *vq);
bool queue_split_enable_notify(struct virtqueue *vq);

int queue_packed_start(struct virtqueue *vq, struct memory *mem) MUST_CHECK;
void queue_packed_stop(struct virtqueue *vq);
int queue_packed_pop(struct virtqueue *vq, struct virtqueue_chain *chain) MUST_CHECK;
void queue_packed_unpop(struct virtqueue *vq, uint16_t head);
void queue_packed_fill(struct virtqueue *vq, uint16_t head, uint32_t written);
void queue_packed_flush(struct virtqueue *vq);
bool queue_packed_should_interrupt(struct virtqueue *vq);
void queue_packed_disable_notify(struct virtqueue *vq);
bool queue_packed_enable_notify(struct virtqueue *vq);

// -- the chain that is being popped --

struct queue_walk {
	struct virtqueue *vq;
	struct virtqueue_chain *chain;
	unsigned count; // descriptors so far, empty ones included
	bool writable;  // the last one was
};

// Adds a buffer to the chain; returns what is wrong, or NULL.
static inline const char *queue_walk_add(struct queue_walk *walk, uint64_t gpa, uint32_t len,
					 bool writable)
{
	struct virtqueue_chain *chain = walk->chain;
	struct virtqueue *vq = walk->vq;
	void *host;

	if (walk->count++ == vq->size)
		return "chain longer than the queue (a loop?)";
	if (walk->writable && !writable)
		return "readable buffer behind a writable one";
	walk->writable = writable;
	if (!len)
		return NULL;
	host = memory_ptr(vq->memory, gpa, len);
	if (!host)
		return "buffer outside RAM";
	vq->iov[vq->gathered] = (struct iovec){ .iov_base = host, .iov_len = len };
	vq->iov_gpa[vq->gathered++] = gpa;
	if (writable) {
		chain->in_count++;
		chain->in_bytes += len;
	} else {
		chain->out_count++;
		chain->out_bytes += len;
	}
	return NULL;
}

// Finds the table that a descriptor with @flags stands for. Returns what is wrong with
// it, or NULL. An indirect table may lie at any address (2.7.5.3).
struct queue_table {
	const struct ring_desc *entries; // of a packed ring: of that size
	uint32_t count;
};
const char *queue_open_table(const struct virtqueue *vq, uint64_t gpa, uint32_t len, uint16_t flags,
			     struct queue_table *table);

// Remembers that the driver broke a rule, and which; returns -EINVAL.
int queue_break(struct virtqueue *vq, const char *why);

// -- guest memory --

static inline uint16_t queue_load(const uint16_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static inline void queue_store(uint16_t *field, uint16_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

// Orders a store before a later load. (For atomic_thread_fence() gcc warns under
// ThreadSanitizer, which does not model it.)
static inline void queue_fence(void)
{
	__sync_synchronize();
}

// [@gpa, @gpa + @len), or NULL if it is not aligned or not RAM.
static inline void *queue_translate(struct memory *mem, uint64_t gpa, uint64_t len, uint64_t align)
{
	return gpa % align ? NULL : memory_ptr(mem, gpa, len);
}

// The driver may change a descriptor while it is copied; what matters is that it is not
// read again.
static inline struct ring_desc queue_copy_desc(const struct ring_desc *desc)
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

#endif
