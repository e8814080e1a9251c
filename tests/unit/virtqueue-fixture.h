// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of split and packed rings share: a queue in a guest's memory, and what is
// popped from it.
#ifndef KVIK_VIRTQUEUE_FIXTURE_H
#define KVIK_VIRTQUEUE_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "support-virtio.h"

#include <cmocka.h>

#define RAM_END (GUEST_RAM_GPA + GUEST_RAM_BYTES)
#define TABLE_GPA GUEST_DATA_GPA
#define BUFFER_GPA (GUEST_DATA_GPA + 0x10000)

struct fixture {
	uint64_t ring; // VIRTIO_F_RING_PACKED, or 0 for a split one
	unsigned size; // of the queue that setup makes
	struct guest guest;
	struct guest_queue q;
	struct virtqueue vq;
	struct virtqueue_chain chain;
};

static inline void start(struct fixture *f, uint64_t features, unsigned size)
{
	if (f->ring)
		guest_place_packed(&f->guest, &f->q, 0, size);
	else
		guest_place_queue(&f->guest, &f->q, 0, size);
	f->vq = (struct virtqueue){
		.size_max = 256,
		.size = size,
		.desc_gpa = f->q.desc_gpa,
		.avail_gpa = f->q.avail_gpa,
		.used_gpa = f->q.used_gpa,
	};
	assert_int_equal(virtqueue_start(&f->vq, &f->guest.memory, features | f->ring), 0);
}

static inline void restart(struct fixture *f, uint64_t features, unsigned size)
{
	virtqueue_stop(&f->vq);
	start(f, features, size);
}

// Whether a queue of that size at those places can be started.
static inline int try_start(struct fixture *f, unsigned size, uint64_t desc, uint64_t avail,
			    uint64_t used)
{
	struct virtqueue vq = {
		.size_max = 256,
		.size = size,
		.desc_gpa = desc,
		.avail_gpa = avail,
		.used_gpa = used,
	};
	int ret = virtqueue_start(&vq, &f->guest.memory, f->ring);

	virtqueue_stop(&vq);
	return ret;
}

static inline int setup_ring(void **state, uint64_t ring, unsigned size)
{
	static struct fixture f;

	f = (struct fixture){ .ring = ring, .size = size };
	guest_init(&f.guest);
	start(&f, VIRTIO_F_INDIRECT_DESC, size);
	*state = &f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	virtqueue_stop(&f->vq);
	guest_exit(&f->guest);
	return 0;
}

static inline int pop(struct fixture *f)
{
	return virtqueue_pop(&f->vq, &f->chain);
}

// What the ring holds next is refused, for a reason that names @why; and so is everything
// after it.
static inline void assert_next_refused(struct fixture *f, const char *why)
{
	assert_int_equal(pop(f), -EINVAL);
	assert_true(f->vq.broken);
	if (!strstr(f->vq.why_broken, why))
		fail_msg("refused with \"%s\" instead of \"%s\"", f->vq.why_broken, why);
	assert_int_equal(pop(f), -EINVAL);
	restart(f, VIRTIO_F_INDIRECT_DESC, f->size);
}

// @count chains of one small buffer each, by descriptors of their own.
static inline void offer_small(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		guest_desc(&f->q, i, BUFFER_GPA + 0x100 * i, 16 + i, RING_DESC_WRITE, 0);
		guest_offer(&f->q, i);
	}
}

#endif
