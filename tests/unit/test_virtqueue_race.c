// SPDX-License-Identifier: GPL-2.0-or-later
// A second vCPU writes over rings and tables while the device reads them: whatever it
// sees, each chain lies in RAM and its parts add up.

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "support-virtio.h"

#include <cmocka.h>

#define SIZE 16
#define POPS 20000
#define RAM_END (GUEST_RAM_GPA + GUEST_RAM_BYTES)
#define TABLE_GPA GUEST_DATA_GPA
#define TABLE_DESCS 32

struct race {
	struct guest guest;
	struct guest_queue q;
	struct virtqueue vq;
	bool packed;
	atomic_bool stop;
	unsigned seed;
	unsigned good, bad, empty; // chains popped, queues broken, nothing there
};

static unsigned next_random(struct race *r)
{
	r->seed = r->seed * 1103515245 + 12345;
	return r->seed >> 16;
}

// What a check refuses and what it lets through, so that a second look would find the
// other one.
static uint64_t some_address(struct race *r)
{
	static const uint64_t addresses[] = {
		GUEST_DATA_GPA, GUEST_DATA_GPA + 0x8000, TABLE_GPA,      TABLE_GPA,
		RAM_END - 8,    0xfffffffffffffff0ULL,   GUEST_MMIO_GPA,
	};

	return addresses[next_random(r) % ARRAY_SIZE(addresses)];
}

static uint32_t some_length(struct race *r)
{
	static const uint32_t lengths[] = { 8, 8, 16, 64, 16 * TABLE_DESCS, 0, 0xfffffff0 };

	return lengths[next_random(r) % ARRAY_SIZE(lengths)];
}

static uint64_t tail_of(struct race *r)
{
	unsigned random = next_random(r);
	uint16_t flags = random & 3 ? 0 : RING_DESC_NEXT;
	union {
		struct ring_desc split;
		struct packed_desc packed;
		uint64_t words[2];
	} desc = { .words = { 0 } };

	if (random & 4)
		flags |= RING_DESC_WRITE;
	if ((random & 0x38) == 0)
		flags |= RING_DESC_INDIRECT;
	if (r->packed) {
		desc.packed.len = some_length(r);
		desc.packed.id = random >> 8;
		desc.packed.flags = flags | (random & 64 ? PACKED_DESC_AVAIL : PACKED_DESC_USED);
	} else {
		desc.split.len = some_length(r);
		desc.split.flags = flags;
		desc.split.next = random >> 8 & (SIZE - 1);
	}
	return desc.words[1];
}

static void scribble(struct race *r, uint64_t *descs, unsigned count)
{
	uint64_t *words = &descs[2 * (next_random(r) % count)];

	__atomic_store_n(&words[0], some_address(r), __ATOMIC_RELAXED);
	__atomic_store_n(&words[1], tail_of(r), __ATOMIC_RELAXED);
}

static void *second_vcpu(void *arg)
{
	struct race *r = arg;
	uint64_t *ring = (uint64_t *)guest_ram(&r->guest, r->q.desc_gpa);
	uint64_t *table = (uint64_t *)guest_ram(&r->guest, TABLE_GPA);

	while (!atomic_load(&r->stop)) {
		scribble(r, ring, SIZE);
		scribble(r, table, TABLE_DESCS);
		if (!r->packed)
			__atomic_store_n(&r->q.avail->ring[next_random(r) % SIZE],
					 next_random(r) % (SIZE + 1), __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start(struct race *r)
{
	if (r->packed)
		guest_place_packed(&r->guest, &r->q, 0, SIZE);
	else
		guest_place_queue(&r->guest, &r->q, 0, SIZE);
	r->vq = (struct virtqueue){
		.size_max = SIZE,
		.size = SIZE,
		.desc_gpa = r->q.desc_gpa,
		.avail_gpa = r->q.avail_gpa,
		.used_gpa = r->q.used_gpa,
	};
}

static void run_device(struct race *r)
{
	uint64_t features = VIRTIO_F_INDIRECT_DESC | (r->packed ? VIRTIO_F_RING_PACKED : 0);

	virtqueue_stop(&r->vq);
	assert_int_equal(virtqueue_start(&r->vq, &r->guest.memory, features), 0);
	if (!r->packed)
		__atomic_store_n(&r->q.avail->idx, 0, __ATOMIC_RELAXED);
}

static void check_part(struct race *r, const struct iovec *iov, const uint64_t *gpa, unsigned count,
		       uint64_t bytes)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++) {
		assert_ptr_equal(memory_ptr(&r->guest.memory, gpa[i], iov[i].iov_len),
				 iov[i].iov_base);
		assert_non_null(iov[i].iov_base);
		sum += iov[i].iov_len;
	}
	assert_true(sum == bytes);
}

static void pop_one(struct race *r)
{
	struct virtqueue_chain chain;
	int got;

	if (!r->packed)
		__atomic_store_n(&r->q.avail->idx, r->vq.split.last_avail + 1, __ATOMIC_RELEASE);
	got = virtqueue_pop(&r->vq, &chain);
	if (!got) {
		r->empty++;
		return;
	}
	if (got < 0) {
		r->bad++;
		run_device(r);
		return;
	}
	r->good++;
	assert_true(chain.head < SIZE);
	assert_true(chain.out_count + chain.in_count <= SIZE);
	check_part(r, chain.out, chain.out_gpa, chain.out_count, chain.out_bytes);
	check_part(r, chain.in, chain.in_gpa, chain.in_count, chain.in_bytes);
	virtqueue_push(&r->vq, chain.head, 1);
}

static void race(bool packed)
{
	static struct race r;
	pthread_t thread;

	r = (struct race){ .packed = packed, .seed = 1 };
	guest_init(&r.guest);
	start(&r);
	run_device(&r);
	assert_int_equal(pthread_create(&thread, NULL, second_vcpu, &r), 0);
	for (unsigned i = 0; i < POPS || !r.good || !r.bad; i++) {
		pop_one(&r);
		if (i % 64 == 0)
			usleep(1); // also where both share a CPU
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	print_message("%u chains, %u refused, %u times nothing\n", r.good, r.bad, r.empty);
	virtqueue_stop(&r.vq);
	guest_exit(&r.guest);
}

static void test_split(void **state)
{
	race(false);
}

static void test_packed(void **state)
{
	race(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
	};

	alarm(100); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
