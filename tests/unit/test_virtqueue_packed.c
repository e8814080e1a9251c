// SPDX-License-Identifier: GPL-2.0-or-later
// Packed rings: what a driver may do, and every rule that a hostile one may break.

#include "virtqueue-fixture.h"

#define SIZE 12 // not a power of two (2.8.10.1)

static int setup(void **state)
{
	return setup_ring(state, VIRTIO_F_RING_PACKED, SIZE);
}

static void offer(struct fixture *f, uint64_t gpa, uint32_t len, uint16_t flags)
{
	guest_offer_packed(&f->q, gpa, len, 0, flags);
}

static struct packed_desc *table(struct fixture *f)
{
	return (struct packed_desc *)guest_ram(&f->guest, TABLE_GPA);
}

// -- what a driver may do --

static void test_empty_queue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pop(f), 0);
	assert_false(virtqueue_should_interrupt(&f->vq));
	assert_false(virtqueue_enable_notify(&f->vq));
	virtqueue_stop(&f->vq);
	assert_int_equal(pop(f), 0);
	assert_false(virtqueue_should_interrupt(&f->vq));
	virtqueue_disable_notify(&f->vq);
	assert_false(virtqueue_enable_notify(&f->vq));
}

static void test_chain(void **state)
{
	struct fixture *f = *state;

	offer(f, BUFFER_GPA, 16, RING_DESC_NEXT);
	offer(f, 0, 0, RING_DESC_NEXT); // empty: left out
	offer(f, BUFFER_GPA + 0x100, 32, RING_DESC_NEXT);
	offer(f, BUFFER_GPA + 0x200, 64, RING_DESC_NEXT | RING_DESC_WRITE);
	offer(f, BUFFER_GPA + 0x300, 1, RING_DESC_WRITE);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.out_count, 2);
	assert_int_equal(f->chain.in_count, 2);
	assert_int_equal(f->chain.out_bytes, 48);
	assert_int_equal(f->chain.in_bytes, 65);
	assert_ptr_equal(f->chain.out[0].iov_base, guest_ram(&f->guest, BUFFER_GPA));
	assert_int_equal(f->chain.out_gpa[1], BUFFER_GPA + 0x100);
	assert_ptr_equal(f->chain.in[0].iov_base, guest_ram(&f->guest, BUFFER_GPA + 0x200));
	assert_int_equal(f->chain.in_gpa[1], BUFFER_GPA + 0x300);
	assert_int_equal(pop(f), 0);
}

// 2.8.1: equal flags are those of a used descriptor, or of a fresh ring.
static void test_whose_turn_it_is(void **state)
{
	struct fixture *f = *state;
	static const uint16_t not_there[] = { 0, PACKED_DESC_USED,
					      PACKED_DESC_USED | PACKED_DESC_AVAIL };

	f->q.ring[0] = (struct packed_desc){ .addr_gpa = BUFFER_GPA, .len = 8 };
	for (unsigned i = 0; i < ARRAY_SIZE(not_there); i++) {
		f->q.ring[0].flags = not_there[i];
		assert_int_equal(pop(f), 0);
		assert_false(virtqueue_enable_notify(&f->vq));
	}
	f->q.ring[0].flags = PACKED_DESC_AVAIL;
	assert_true(virtqueue_enable_notify(&f->vq));
	assert_int_equal(pop(f), 1);
}

// The id is in the last descriptor (2.8.6), and any number.
static void test_buffer_id(void **state)
{
	struct fixture *f = *state;

	guest_offer_packed(&f->q, BUFFER_GPA, 8, 7, RING_DESC_NEXT);
	guest_offer_packed(&f->q, BUFFER_GPA, 8, 65535, RING_DESC_WRITE);
	assert_int_equal(pop(f), 1);
	virtqueue_push(&f->vq, f->chain.head, 5);
	assert_int_equal(f->q.ring[0].id, 65535);
	assert_int_equal(f->q.ring[0].len, 5);
	assert_int_equal(f->q.ring[0].flags,
			 PACKED_DESC_AVAIL | PACKED_DESC_USED | RING_DESC_WRITE);
	// Nothing written: no such flag (2.8.3). It lies where the next chain began.
	guest_offer_packed(&f->q, BUFFER_GPA, 8, 3, RING_DESC_WRITE);
	assert_int_equal(pop(f), 1);
	virtqueue_push(&f->vq, f->chain.head, 0);
	assert_int_equal(f->q.ring[2].id, 3);
	assert_int_equal(f->q.ring[2].flags, PACKED_DESC_AVAIL | PACKED_DESC_USED);
}

// Chains of one to four descriptors, round and round.
static void test_many_rounds(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	for (unsigned i = 0; i < 10000; i++) {
		unsigned count = 1 + i % 4;

		for (unsigned d = 0; d < count; d++)
			guest_desc(&f->q, d, BUFFER_GPA + d, 1 + d,
				   d + 1 < count ? RING_DESC_NEXT : 0, d + 1);
		guest_offer(&f->q, 0);
		assert_int_equal(pop(f), 1);
		assert_int_equal(f->chain.out_count, count);
		assert_int_equal(pop(f), 0);
		assert_false(guest_take_used(&f->q, &elem));
		virtqueue_push(&f->vq, f->chain.head, i);
		assert_true(guest_take_used(&f->q, &elem));
		assert_int_equal(elem.len, i);
	}
	assert_int_equal(f->q.used_place, f->q.avail_place);
}

// Used in another order than offered, so that a used descriptor lies where that of a
// chain still in flight was.
static void test_out_of_order(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	uint16_t heads[3];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 3; i++) {
			guest_desc(&f->q, 2 * i, BUFFER_GPA, 8, RING_DESC_NEXT, 2 * i + 1);
			guest_desc(&f->q, 2 * i + 1, BUFFER_GPA, 8, RING_DESC_WRITE, 0);
			guest_offer(&f->q, 2 * i);
			assert_int_equal(pop(f), 1);
			heads[i] = f->chain.head;
		}
		for (unsigned i = 3; i--;)
			virtqueue_push(&f->vq, heads[i], 1 + i);
		for (unsigned i = 3; i--;) {
			assert_true(guest_take_used(&f->q, &elem));
			assert_int_equal(elem.id, 2 * i);
			assert_int_equal(elem.len, 1 + i);
		}
		assert_int_equal(f->vq.in_use, 0);
	}
}

static void test_chain_as_long_as_the_queue(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SIZE; i++)
		offer(f, BUFFER_GPA + i, 1, i < SIZE - 1 ? RING_DESC_NEXT : 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.out_count, SIZE);
	virtqueue_push(&f->vq, f->chain.head, 0);
	assert_int_equal(pop(f), 0);
}

// 2.8.7: only WRITE counts, in the order of the table; at an odd address, too.
static void test_indirect_table(void **state)
{
	struct fixture *f = *state;
	const struct packed_desc entries[] = {
		{ BUFFER_GPA, 8, 99, RING_DESC_NEXT | PACKED_DESC_USED },
		{ BUFFER_GPA + 8, 16, 0, RING_DESC_WRITE | RING_DESC_INDIRECT },
		{ BUFFER_GPA + 24, 1, 0, RING_DESC_WRITE },
	};

	for (unsigned odd = 0; odd < 16; odd += 3) {
		memcpy(guest_ram(&f->guest, TABLE_GPA + odd), entries, sizeof(entries));
		offer(f, TABLE_GPA + odd, sizeof(entries), RING_DESC_INDIRECT | RING_DESC_WRITE);
		assert_int_equal(pop(f), 1);
		assert_int_equal(f->chain.out_count, 1);
		assert_int_equal(f->chain.in_count, 2);
		assert_int_equal(f->chain.in_bytes, 17);
		virtqueue_push(&f->vq, f->chain.head, 17);
	}
}

// -- several chains at once --

static void test_unpop(void **state)
{
	struct fixture *f = *state;
	struct virtqueue_chain chains[3];
	struct ring_used_elem elem;

	for (unsigned round = 0; round < 20; round++) {
		offer_small(f, 3);
		assert_int_equal(virtqueue_pop(&f->vq, &chains[0]), 1);
		assert_int_equal(virtqueue_pop_more(&f->vq, &chains[1]), 1);
		assert_int_equal(virtqueue_pop_more(&f->vq, &chains[2]), 1);
		assert_ptr_equal(chains[2].in, chains[0].in + 2);
		virtqueue_unpop(&f->vq, &chains[2]);
		virtqueue_unpop(&f->vq, &chains[1]);
		virtqueue_push(&f->vq, chains[0].head, 0);
		for (unsigned i = 1; i < 3; i++) {
			assert_int_equal(pop(f), 1);
			assert_int_equal(f->chain.in_gpa[0], BUFFER_GPA + 0x100 * i);
			virtqueue_push(&f->vq, f->chain.head, 0);
		}
		assert_int_equal(pop(f), 0);
		while (guest_take_used(&f->q, &elem))
			;
	}
}

// 2.8.9: the rest is there before the first.
static void test_fill_and_flush(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	for (unsigned round = 0; round < 20; round++) {
		offer_small(f, 4);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(pop(f), 1);
			virtqueue_fill(&f->vq, f->chain.head, 10 * i);
			assert_false(guest_take_used(&f->q, &elem));
			assert_false(virtqueue_should_interrupt(&f->vq));
		}
		virtqueue_flush(&f->vq);
		for (unsigned i = 0; i < 4; i++) {
			assert_true(guest_take_used(&f->q, &elem));
			assert_int_equal(elem.id, i);
			assert_int_equal(elem.len, 10 * i);
		}
		assert_true(virtqueue_should_interrupt(&f->vq));
		virtqueue_flush(&f->vq);
		assert_false(guest_take_used(&f->q, &elem));
	}
}

// -- interrupts and notifications --

static void use(struct fixture *f, unsigned descs)
{
	struct ring_used_elem elem;

	for (unsigned i = 0; i < descs; i++)
		guest_desc(&f->q, i, BUFFER_GPA, 8, i + 1 < descs ? RING_DESC_NEXT : 0, i + 1);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	virtqueue_push(&f->vq, f->chain.head, 0);
	assert_true(guest_take_used(&f->q, &elem));
}

static void test_interrupt_flags(void **state)
{
	struct fixture *f = *state;

	use(f, 1);
	assert_true(virtqueue_should_interrupt(&f->vq));
	assert_false(virtqueue_should_interrupt(&f->vq));
	f->q.driver_event->flags = PACKED_EVENT_DISABLE;
	use(f, 2);
	assert_false(virtqueue_should_interrupt(&f->vq));
	// Only with VIRTIO_F_EVENT_IDX; else better one too many.
	f->q.driver_event->flags = PACKED_EVENT_DESC;
	use(f, 1);
	assert_true(virtqueue_should_interrupt(&f->vq));
}

// An interrupt for the descriptor at any place, when it and no other one is used: with
// chains of any length, in any round.
static void test_interrupt_event(void **state)
{
	struct fixture *f = *state;

	restart(f, VIRTIO_F_EVENT_IDX, SIZE);
	for (unsigned i = 0; i < 500; i++) {
		unsigned descs = 1 + i % SIZE, ahead = i % 7;
		uint16_t place = guest_place_after(&f->q, f->q.used_place, ahead);

		f->q.driver_event->flags = PACKED_EVENT_DESC;
		f->q.driver_event->off_wrap = guest_off_wrap(&f->q, place);
		use(f, descs);
		assert_int_equal(virtqueue_should_interrupt(&f->vq), ahead < descs);
		assert_false(virtqueue_should_interrupt(&f->vq));
	}
}

// A batch of more than two rounds has passed every place.
static void test_interrupt_after_a_long_batch(void **state)
{
	struct fixture *f = *state;

	restart(f, VIRTIO_F_EVENT_IDX, SIZE);
	f->q.driver_event->flags = PACKED_EVENT_DESC;
	f->q.driver_event->off_wrap = guest_off_wrap(&f->q, 1);
	for (unsigned i = 0; i < 2 * SIZE; i++)
		use(f, 2);
	assert_true(virtqueue_should_interrupt(&f->vq));
}

static void test_interrupt_at_no_place(void **state)
{
	struct fixture *f = *state;
	static const uint16_t places[] = { SIZE, SIZE | PACKED_EVENT_WRAP, 0x7fff, 0xffff };

	restart(f, VIRTIO_F_EVENT_IDX, SIZE);
	f->q.driver_event->flags = PACKED_EVENT_DESC;
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		f->q.driver_event->off_wrap = places[i];
		use(f, 1);
		virtqueue_should_interrupt(&f->vq); // either answer will do
		assert_false(virtqueue_should_interrupt(&f->vq));
	}
}

static void test_notify_flags(void **state)
{
	struct fixture *f = *state;

	virtqueue_disable_notify(&f->vq);
	assert_int_equal(f->q.device_event->flags, PACKED_EVENT_DISABLE);
	assert_false(virtqueue_enable_notify(&f->vq));
	assert_int_equal(f->q.device_event->flags, PACKED_EVENT_ENABLE);
	virtqueue_disable_notify(&f->vq);
	assert_int_equal(f->q.device_event->flags, PACKED_EVENT_DISABLE);
	offer_small(f, 1);
	assert_true(virtqueue_enable_notify(&f->vq));
}

static void test_notify_event(void **state)
{
	struct fixture *f = *state;

	restart(f, VIRTIO_F_EVENT_IDX, SIZE);
	for (unsigned i = 0; i < 5 * SIZE; i++) {
		virtqueue_disable_notify(&f->vq);
		assert_int_equal(f->q.device_event->flags, PACKED_EVENT_DISABLE);
		use(f, 1 + i % 3);
		assert_false(virtqueue_enable_notify(&f->vq));
		assert_int_equal(f->q.device_event->flags, PACKED_EVENT_DESC);
		assert_int_equal(f->q.device_event->off_wrap,
				 guest_off_wrap(&f->q, f->q.avail_place));
	}
	offer_small(f, 1);
	assert_true(virtqueue_enable_notify(&f->vq));
}

// -- what it may not --

static void test_ring_sizes(void **state)
{
	struct fixture *f = *state;
	static const unsigned bad[] = { 0, 257, 32768, 65535 };
	static const unsigned good[] = { 1, 3, 255, 256 };
	uint64_t gpa = GUEST_RING_GPA;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(try_start(f, bad[i], gpa, gpa, gpa), -EINVAL);
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(try_start(f, good[i], gpa, gpa, gpa), 0);
}

static void test_ring_addresses(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa = GUEST_RING_GPA;
	uint64_t bad[] = { 0, GUEST_RAM_GPA - 16, RAM_END, GUEST_MMIO_GPA, UINT64_MAX - 15 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(try_start(f, SIZE, bad[i], gpa, gpa), -EINVAL);
		assert_int_equal(try_start(f, SIZE, gpa, bad[i], gpa), -EINVAL);
		assert_int_equal(try_start(f, SIZE, gpa, gpa, bad[i]), -EINVAL);
	}
	// 2.8.10.1
	assert_int_equal(try_start(f, SIZE, gpa + 8, gpa, gpa), -EINVAL);
	assert_int_equal(try_start(f, SIZE, gpa, gpa + 2, gpa), -EINVAL);
	assert_int_equal(try_start(f, SIZE, gpa, gpa, gpa + 2), -EINVAL);
	// The last byte of each part is the last one of RAM.
	assert_int_equal(try_start(f, SIZE, RAM_END - SIZE * 16, gpa, gpa), 0);
	assert_int_equal(try_start(f, SIZE, RAM_END - SIZE * 16 + 16, gpa, gpa), -EINVAL);
	assert_int_equal(try_start(f, SIZE, gpa, RAM_END - 4, RAM_END - 4), 0);
}

// Nothing but descriptors with a next one: the whole ring is one chain that never ends.
static void test_endless_chain(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SIZE; i++)
		offer(f, BUFFER_GPA, 8, RING_DESC_NEXT);
	assert_next_refused(f, "longer than the queue");
	for (unsigned i = 0; i < SIZE; i++)
		offer(f, BUFFER_GPA, 0, RING_DESC_NEXT);
	assert_next_refused(f, "longer than the queue");
}

static void test_long_indirect_table(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 300; i++)
		table(f)[i] = (struct packed_desc){ BUFFER_GPA, i & 1, 0, 0 };
	offer(f, TABLE_GPA, 300 * 16, RING_DESC_INDIRECT);
	assert_next_refused(f, "longer than the queue");
	offer(f, TABLE_GPA, (SIZE + 1) * 16, RING_DESC_INDIRECT);
	assert_next_refused(f, "longer than the queue");
	offer(f, TABLE_GPA, SIZE * 16, RING_DESC_INDIRECT);
	assert_int_equal(pop(f), 1);
}

static void test_indirect_rules(void **state)
{
	struct fixture *f = *state;
	static const uint32_t bad_lengths[] = { 0, 8, 24, 15, 0xfffffff8 };

	table(f)[0] = (struct packed_desc){ BUFFER_GPA, 8, 0, 0 };
	offer(f, TABLE_GPA, 16, RING_DESC_INDIRECT | RING_DESC_NEXT);
	assert_next_refused(f, "with a next one");
	offer(f, BUFFER_GPA, 8, RING_DESC_NEXT);
	offer(f, TABLE_GPA, 16, RING_DESC_INDIRECT);
	assert_next_refused(f, "in a chain");
	for (unsigned i = 0; i < ARRAY_SIZE(bad_lengths); i++) {
		offer(f, TABLE_GPA, bad_lengths[i], RING_DESC_INDIRECT);
		assert_next_refused(f, "not that of whole descriptors");
	}
	offer(f, TABLE_GPA, 0xfffffff0, RING_DESC_INDIRECT);
	assert_next_refused(f, "indirect table outside RAM");
	offer(f, RAM_END - 16, 32, RING_DESC_INDIRECT);
	assert_next_refused(f, "indirect table outside RAM");
	offer(f, 0xfffffffffffffff0, 32, RING_DESC_INDIRECT);
	assert_next_refused(f, "indirect table outside RAM");
	restart(f, 0, SIZE);
	offer(f, TABLE_GPA, 16, RING_DESC_INDIRECT);
	assert_next_refused(f, "not negotiated");
}

static void test_buffer_addresses(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t gpa;
		uint32_t len;
	} bad[] = {
		{ 0xfffffffffffff000, 0x2000 }, // wraps
		{ UINT64_MAX, 1 },
		{ GUEST_MMIO_GPA, 4 },
		{ GUEST_RAM_GPA - 1, 2 },
		{ RAM_END - 1, 2 },
		{ GUEST_RAM_GPA, UINT32_MAX },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		offer(f, bad[i].gpa, bad[i].len, RING_DESC_WRITE);
		assert_next_refused(f, "buffer outside RAM");
		offer(f, BUFFER_GPA, 1, RING_DESC_NEXT);
		offer(f, bad[i].gpa, bad[i].len, 0);
		assert_next_refused(f, "buffer outside RAM");
		table(f)[0] = (struct packed_desc){ bad[i].gpa, bad[i].len, 0, 0 };
		offer(f, TABLE_GPA, 16, RING_DESC_INDIRECT);
		assert_next_refused(f, "buffer outside RAM");
	}
}

static void test_direction(void **state)
{
	struct fixture *f = *state;

	offer(f, BUFFER_GPA, 8, RING_DESC_WRITE | RING_DESC_NEXT);
	offer(f, BUFFER_GPA, 8, 0);
	assert_next_refused(f, "behind a writable one");
	table(f)[0] = (struct packed_desc){ BUFFER_GPA, 8, 0, RING_DESC_WRITE };
	table(f)[1] = (struct packed_desc){ BUFFER_GPA, 8, 0, 0 };
	offer(f, TABLE_GPA, 32, RING_DESC_INDIRECT);
	assert_next_refused(f, "behind a writable one");
}

// The driver offers descriptors that it has not got back.
static void test_more_in_flight_than_descriptors(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SIZE; i++) {
		offer(f, BUFFER_GPA, 8, 0);
		assert_int_equal(pop(f), 1);
	}
	offer(f, BUFFER_GPA, 8, 0);
	assert_next_refused(f, "more chains in flight");
}

// The same id twice is the driver's trouble: the device knows its own chains.
static void test_one_id_for_all(void **state)
{
	struct fixture *f = *state;
	uint16_t heads[SIZE];

	for (unsigned i = 0; i < SIZE; i++) {
		guest_offer_packed(&f->q, BUFFER_GPA, 8, 5, RING_DESC_WRITE);
		assert_int_equal(pop(f), 1);
		heads[i] = f->chain.head;
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(heads[i], heads[j]);
	}
	for (unsigned i = 0; i < SIZE; i++)
		virtqueue_push(&f->vq, heads[i], 8);
	assert_int_equal(f->vq.in_use, 0);
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(test_empty_queue),
		QUEUE_TEST(test_chain),
		QUEUE_TEST(test_whose_turn_it_is),
		QUEUE_TEST(test_buffer_id),
		QUEUE_TEST(test_many_rounds),
		QUEUE_TEST(test_out_of_order),
		QUEUE_TEST(test_chain_as_long_as_the_queue),
		QUEUE_TEST(test_indirect_table),
		QUEUE_TEST(test_unpop),
		QUEUE_TEST(test_fill_and_flush),
		QUEUE_TEST(test_interrupt_flags),
		QUEUE_TEST(test_interrupt_event),
		QUEUE_TEST(test_interrupt_after_a_long_batch),
		QUEUE_TEST(test_interrupt_at_no_place),
		QUEUE_TEST(test_notify_flags),
		QUEUE_TEST(test_notify_event),
		QUEUE_TEST(test_ring_sizes),
		QUEUE_TEST(test_ring_addresses),
		QUEUE_TEST(test_endless_chain),
		QUEUE_TEST(test_long_indirect_table),
		QUEUE_TEST(test_indirect_rules),
		QUEUE_TEST(test_buffer_addresses),
		QUEUE_TEST(test_direction),
		QUEUE_TEST(test_more_in_flight_than_descriptors),
		QUEUE_TEST(test_one_id_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
