// SPDX-License-Identifier: GPL-2.0-or-later
// Split rings: what a driver may do, and every rule that a hostile one may break.

#include <time.h>

#include "virtqueue-fixture.h"

#define SIZE 16

static int setup(void **state)
{
	return setup_ring(state, 0, SIZE);
}

// The chain that starts at @head is refused.
static void assert_refused(struct fixture *f, uint16_t head, const char *why)
{
	guest_offer(&f->q, head);
	assert_next_refused(f, why);
}

static struct ring_desc *table(struct fixture *f)
{
	return (struct ring_desc *)guest_ram(&f->guest, TABLE_GPA);
}

// -- what a driver may do --

static void test_empty_queue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(pop(f), 0);
	assert_false(virtqueue_should_interrupt(&f->vq));
	assert_false(virtqueue_enable_notify(&f->vq));
}

static void test_queue_that_was_not_started(void **state)
{
	struct fixture *f = *state;

	virtqueue_stop(&f->vq);
	assert_int_equal(pop(f), 0);
	assert_false(virtqueue_should_interrupt(&f->vq));
	virtqueue_disable_notify(&f->vq);
	assert_false(virtqueue_enable_notify(&f->vq));
}

static void test_chain(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q, 3, BUFFER_GPA, 16, RING_DESC_NEXT, 9);
	guest_desc(&f->q, 9, BUFFER_GPA + 0x100, 32, RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, BUFFER_GPA + 0x200, 64, RING_DESC_NEXT | RING_DESC_WRITE, 0);
	guest_desc(&f->q, 0, BUFFER_GPA + 0x300, 1, RING_DESC_WRITE, 5);
	guest_offer(&f->q, 3);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, 3);
	assert_int_equal(f->chain.out_count, 2);
	assert_int_equal(f->chain.in_count, 2);
	assert_int_equal(f->chain.out_bytes, 48);
	assert_int_equal(f->chain.in_bytes, 65);
	assert_ptr_equal(f->chain.out[0].iov_base, guest_ram(&f->guest, BUFFER_GPA));
	assert_int_equal(f->chain.out[1].iov_len, 32);
	assert_int_equal(f->chain.out_gpa[1], BUFFER_GPA + 0x100);
	assert_ptr_equal(f->chain.in[0].iov_base, guest_ram(&f->guest, BUFFER_GPA + 0x200));
	assert_int_equal(f->chain.in_gpa[1], BUFFER_GPA + 0x300);
	assert_int_equal(pop(f), 0);
}

static void test_empty_descriptors_are_left_out(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q, 0, 0, 0, RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, BUFFER_GPA, 4, RING_DESC_NEXT | RING_DESC_WRITE, 2);
	guest_desc(&f->q, 2, 0, 0, RING_DESC_WRITE, 0);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.out_count, 0);
	assert_int_equal(f->chain.in_count, 1);
}

static void test_chain_as_long_as_the_queue(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SIZE; i++)
		guest_desc(&f->q, i, BUFFER_GPA + i, 1, i < SIZE - 1 ? RING_DESC_NEXT : 0, i + 1);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.out_count, SIZE);
}

static void test_indirect_table(void **state)
{
	struct fixture *f = *state;
	struct ring_desc *t = table(f);

	t[0] = (struct ring_desc){ BUFFER_GPA, 8, RING_DESC_NEXT, 2 };
	t[2] = (struct ring_desc){ BUFFER_GPA + 8, 8, RING_DESC_NEXT | RING_DESC_WRITE, 1 };
	t[1] = (struct ring_desc){ BUFFER_GPA + 16, 8, RING_DESC_WRITE, 0 };
	// The write flag of the descriptor itself means nothing (2.7.5.3.2), and
	// direct ones may come before it.
	guest_desc(&f->q, 4, BUFFER_GPA + 99, 5, RING_DESC_NEXT, 5);
	guest_desc(&f->q, 5, TABLE_GPA, 48, RING_DESC_INDIRECT | RING_DESC_WRITE, 0);
	guest_offer(&f->q, 4);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, 4);
	assert_int_equal(f->chain.out_count, 2);
	assert_int_equal(f->chain.out_bytes, 13);
	assert_int_equal(f->chain.in_count, 2);
}

static void test_indirect_table_at_an_odd_address(void **state)
{
	struct fixture *f = *state;
	struct ring_desc entry = { BUFFER_GPA, 8, RING_DESC_WRITE, 0 };

	memcpy(guest_ram(&f->guest, TABLE_GPA + 3), &entry, sizeof(entry));
	guest_desc(&f->q, 0, TABLE_GPA + 3, sizeof(entry), RING_DESC_INDIRECT, 0);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.in_gpa[0], BUFFER_GPA);
}

static void test_used_ring(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	guest_desc(&f->q, 7, BUFFER_GPA, 8, RING_DESC_WRITE, 0);
	// Often enough for both indexes to run through 16 bits.
	for (unsigned i = 0; i < 70000; i++) {
		guest_offer(&f->q, 7);
		assert_int_equal(pop(f), 1);
		assert_false(guest_take_used(&f->q, &elem));
		virtqueue_push(&f->vq, f->chain.head, i);
		assert_true(guest_take_used(&f->q, &elem));
		assert_int_equal(elem.id, 7);
		assert_int_equal(elem.len, i);
	}
}

static void test_mark_written(void **state)
{
	struct fixture *f = *state;
	uint64_t second = BUFFER_GPA + 0x1000;

	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, second, 8, RING_DESC_WRITE, 0);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	virtqueue_mark_written(&f->vq, f->chain.in, f->chain.in_gpa, f->chain.in_count, 11);
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA, 8));
	assert_true(guest_was_marked(&f->guest, second, 3));
	assert_int_equal(f->guest.written_bytes, 11);
	virtqueue_mark_written(&f->vq, f->chain.in, f->chain.in_gpa, f->chain.in_count, UINT64_MAX);
	assert_int_equal(f->guest.written_bytes, 11 + 16);
}

// -- several chains at once --

static void test_pop_more(void **state)
{
	struct fixture *f = *state;
	struct virtqueue_chain chains[3];

	offer_small(f, 3);
	assert_int_equal(virtqueue_pop(&f->vq, &chains[0]), 1);
	assert_int_equal(virtqueue_pop_more(&f->vq, &chains[1]), 1);
	assert_int_equal(virtqueue_pop_more(&f->vq, &chains[2]), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_ptr_equal(chains[i].in, chains[0].in + i);
		assert_ptr_equal(chains[i].in_gpa, chains[0].in_gpa + i);
		assert_int_equal(chains[i].in_gpa[0], BUFFER_GPA + 0x100 * i);
		assert_int_equal(chains[i].in_bytes, 16 + i);
		assert_int_equal(chains[i].out_count, 0);
	}
	assert_int_equal(virtqueue_pop_more(&f->vq, &f->chain), 0);
}

// Each chain as long as the queue: the third one has no room.
static void test_pop_more_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < SIZE; i++)
		guest_desc(&f->q, i, BUFFER_GPA + i, 1, i < SIZE - 1 ? RING_DESC_NEXT : 0, i + 1);
	for (unsigned i = 0; i < 3; i++)
		guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(virtqueue_pop_more(&f->vq, &f->chain), 1);
	assert_int_equal(virtqueue_pop_more(&f->vq, &f->chain), 0);
	assert_int_equal(pop(f), 1);
}

static void test_unpop(void **state)
{
	struct fixture *f = *state;
	struct virtqueue_chain chains[3];

	for (unsigned round = 0; round < 10; round++) {
		offer_small(f, 3);
		assert_int_equal(virtqueue_pop(&f->vq, &chains[0]), 1);
		assert_int_equal(virtqueue_pop_more(&f->vq, &chains[1]), 1);
		assert_int_equal(virtqueue_pop_more(&f->vq, &chains[2]), 1);
		virtqueue_unpop(&f->vq, &chains[2]);
		virtqueue_unpop(&f->vq, &chains[1]);
		virtqueue_push(&f->vq, chains[0].head, 0);
		for (unsigned i = 1; i < 3; i++) {
			assert_int_equal(pop(f), 1);
			assert_int_equal(f->chain.head, i);
			virtqueue_push(&f->vq, f->chain.head, 0);
		}
		assert_int_equal(pop(f), 0);
	}
}

static void test_fill_and_flush(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	offer_small(f, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pop(f), 1);
		virtqueue_fill(&f->vq, f->chain.head, 10 * i);
	}
	assert_false(guest_take_used(&f->q, &elem));
	assert_false(virtqueue_should_interrupt(&f->vq));
	virtqueue_flush(&f->vq);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(guest_take_used(&f->q, &elem));
		assert_int_equal(elem.id, i);
		assert_int_equal(elem.len, 10 * i);
	}
	assert_false(guest_take_used(&f->q, &elem));
	assert_true(virtqueue_should_interrupt(&f->vq));
	virtqueue_flush(&f->vq);
	assert_false(virtqueue_should_interrupt(&f->vq));
}

// -- interrupts and notifications --

static void use_one(struct fixture *f)
{
	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_WRITE, 0);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	virtqueue_push(&f->vq, 0, 0);
}

static void test_interrupt_flag(void **state)
{
	struct fixture *f = *state;

	use_one(f);
	assert_true(virtqueue_should_interrupt(&f->vq));
	assert_false(virtqueue_should_interrupt(&f->vq));
	f->q.avail->flags = RING_AVAIL_NO_INTERRUPT;
	use_one(f);
	assert_false(virtqueue_should_interrupt(&f->vq));
	f->q.avail->flags = 0;
	assert_false(virtqueue_should_interrupt(&f->vq));
	use_one(f);
	assert_true(virtqueue_should_interrupt(&f->vq));
}

static void test_interrupt_event(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_event;

	restart(f, VIRTIO_F_EVENT_IDX, SIZE);
	used_event = ring_used_event(f->q.avail, SIZE);
	// When the third is used; the flag means nothing now.
	*used_event = 2;
	f->q.avail->flags = RING_AVAIL_NO_INTERRUPT;
	use_one(f);
	use_one(f);
	assert_false(virtqueue_should_interrupt(&f->vq));
	use_one(f);
	assert_true(virtqueue_should_interrupt(&f->vq));
	use_one(f);
	assert_false(virtqueue_should_interrupt(&f->vq));
	*used_event = 5;
	use_one(f);
	use_one(f);
	use_one(f);
	assert_true(virtqueue_should_interrupt(&f->vq));
}

static void test_notify_flag(void **state)
{
	struct fixture *f = *state;

	virtqueue_disable_notify(&f->vq);
	assert_int_equal(f->q.used->flags, RING_USED_NO_NOTIFY);
	assert_false(virtqueue_enable_notify(&f->vq));
	assert_int_equal(f->q.used->flags, 0);
	guest_offer(&f->q, 0);
	assert_true(virtqueue_enable_notify(&f->vq));
}

static void test_notify_event(void **state)
{
	struct fixture *f = *state;
	uint16_t *avail_event;

	restart(f, VIRTIO_F_EVENT_IDX, SIZE);
	avail_event = ring_avail_event(f->q.used, SIZE);
	use_one(f);
	use_one(f);
	virtqueue_disable_notify(&f->vq);
	assert_int_equal(*avail_event, 0);
	assert_int_equal(f->q.used->flags, 0);
	assert_false(virtqueue_enable_notify(&f->vq));
	assert_int_equal(*avail_event, 2);
	guest_offer(&f->q, 0);
	assert_true(virtqueue_enable_notify(&f->vq));
}

// -- what it may not --

static void test_ring_sizes(void **state)
{
	struct fixture *f = *state;
	static const unsigned bad[] = { 0, 3, 255, 512, 32768, 65535 };
	uint64_t gpa = GUEST_RING_GPA;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(try_start(f, bad[i], gpa, gpa, gpa), -EINVAL);
	assert_int_equal(try_start(f, 1, gpa, gpa, gpa), 0);
	assert_int_equal(try_start(f, 256, gpa, gpa, gpa), 0);
}

static void test_ring_addresses(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa = GUEST_RING_GPA;
	uint64_t bad[] = {
		0,
		GUEST_RAM_GPA - 16,
		RAM_END - 16,
		RAM_END,
		GUEST_MMIO_GPA,
		UINT64_MAX - 15,
		0xfffffffffffff000,
	};

	assert_int_equal(try_start(f, SIZE, gpa + 8, gpa, gpa), -EINVAL);
	assert_int_equal(try_start(f, SIZE, gpa, gpa + 1, gpa), -EINVAL);
	assert_int_equal(try_start(f, SIZE, gpa, gpa, gpa + 2), -EINVAL);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(try_start(f, SIZE, bad[i], gpa, gpa), -EINVAL);
		assert_int_equal(try_start(f, SIZE, gpa, bad[i], gpa), -EINVAL);
		assert_int_equal(try_start(f, SIZE, gpa, gpa, bad[i]), -EINVAL);
	}
	// The last byte of each part is the last one of RAM.
	assert_int_equal(try_start(f, SIZE, RAM_END - 256, gpa, gpa), 0);
	assert_int_equal(try_start(f, SIZE, gpa, RAM_END - 38, gpa), 0);
	assert_int_equal(try_start(f, SIZE, gpa, RAM_END - 36, gpa), -EINVAL);
	assert_int_equal(try_start(f, SIZE, gpa, gpa, RAM_END - 136), 0);
	assert_int_equal(try_start(f, SIZE, gpa, gpa, RAM_END - 132), -EINVAL);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static void test_loops(void **state)
{
	struct fixture *f = *state;
	uint64_t before = cpu_ns();

	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_NEXT, 0);
	assert_refused(f, 0, "longer than the queue");
	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, BUFFER_GPA, 8, RING_DESC_NEXT, 0);
	assert_refused(f, 0, "longer than the queue");
	guest_desc(&f->q, 0, BUFFER_GPA, 0, RING_DESC_NEXT, 0); // of empty ones
	assert_refused(f, 0, "longer than the queue");
	for (unsigned i = 0; i < SIZE; i++)
		guest_desc(&f->q, i, BUFFER_GPA, 8, RING_DESC_NEXT, (i + 1) % SIZE);
	assert_refused(f, 0, "longer than the queue");
	assert_true(cpu_ns() - before < 100000000);
}

static void test_long_indirect_chain(void **state)
{
	struct fixture *f = *state;
	struct ring_desc *t = table(f);

	for (unsigned i = 0; i < 300; i++)
		t[i] = (struct ring_desc){ BUFFER_GPA, 1, RING_DESC_NEXT, i + 1 };
	t[300] = (struct ring_desc){ BUFFER_GPA, 1, 0, 0 };
	guest_desc(&f->q, 0, TABLE_GPA, 301 * 16, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "longer than the queue");
	t[5].next = 5;
	guest_desc(&f->q, 0, TABLE_GPA, 301 * 16, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "longer than the queue");
	// Direct and indirect ones count together.
	t[SIZE - 1] = (struct ring_desc){ BUFFER_GPA, 1, 0, 0 };
	t[5].next = 6;
	guest_desc(&f->q, 0, BUFFER_GPA, 1, RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, TABLE_GPA, SIZE * 16, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "longer than the queue");
}

static void test_indexes(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, SIZE, "beyond the table");
	assert_refused(f, 65535, "beyond the table");
	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_NEXT, SIZE);
	assert_refused(f, 0, "beyond the table");
	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_NEXT, 65535);
	assert_refused(f, 0, "beyond the table");
	table(f)[0] = (struct ring_desc){ BUFFER_GPA, 8, RING_DESC_NEXT, 2 };
	guest_desc(&f->q, 0, TABLE_GPA, 32, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "beyond the table");
}

static void test_avail_idx_jump(void **state)
{
	struct fixture *f = *state;
	static const uint16_t jumps[] = { SIZE + 1, 40000, 65535 };

	for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
		f->q.avail->idx = jumps[i];
		assert_int_equal(pop(f), -EINVAL);
		assert_non_null(strstr(f->vq.why_broken, "jumped"));
		restart(f, 0, SIZE);
	}
	// Also where it was not the pop that read it.
	f->q.avail->idx = SIZE + 1;
	assert_true(virtqueue_enable_notify(&f->vq));
	assert_int_equal(pop(f), -EINVAL);
	restart(f, 0, SIZE);
	guest_desc(&f->q, 0, BUFFER_GPA, 8, 0, 0);
	f->q.avail->idx = SIZE; // all at once is not a jump
	assert_int_equal(pop(f), 1);
}

static void test_more_in_flight_than_descriptors(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q, 0, BUFFER_GPA, 8, 0, 0);
	for (unsigned i = 0; i < SIZE; i++) {
		guest_offer(&f->q, 0);
		assert_int_equal(pop(f), 1);
	}
	assert_refused(f, 0, "more chains in flight");
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
		{ UINT64_MAX, 2 },
		{ GUEST_MMIO_GPA, 4 },
		{ 0, 1 },
		{ GUEST_RAM_GPA - 1, 2 },
		{ RAM_END - 1, 2 },
		{ RAM_END, 1 },
		{ GUEST_RAM_GPA, UINT32_MAX },
		{ RAM_END - 4096, 0xfffff000 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_desc(&f->q, 0, bad[i].gpa, bad[i].len, RING_DESC_WRITE, 0);
		assert_refused(f, 0, "buffer outside RAM");
		guest_desc(&f->q, 0, BUFFER_GPA, 1, RING_DESC_NEXT, 1);
		guest_desc(&f->q, 1, bad[i].gpa, bad[i].len, 0, 0);
		assert_refused(f, 0, "buffer outside RAM");
	}
	guest_desc(&f->q, 0, RAM_END - 1, 1, 0, 0);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
}

static void test_direction(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, BUFFER_GPA, 8, 0, 0);
	assert_refused(f, 0, "behind a writable one");
	guest_desc(&f->q, 0, BUFFER_GPA, 0, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, BUFFER_GPA, 0, 0, 0);
	assert_refused(f, 0, "behind a writable one");
	// Also from a direct one to an indirect table.
	table(f)[0] = (struct ring_desc){ BUFFER_GPA, 8, 0, 0 };
	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, TABLE_GPA, 16, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "behind a writable one");
}

static void test_indirect_rules(void **state)
{
	struct fixture *f = *state;
	static const uint32_t bad_lengths[] = { 0, 8, 24, 15, 0xfffffff8 };

	table(f)[0] = (struct ring_desc){ BUFFER_GPA, 8, 0, 0 };
	guest_desc(&f->q, 0, TABLE_GPA, 16, RING_DESC_INDIRECT | RING_DESC_NEXT, 1);
	assert_refused(f, 0, "with a next one");
	for (unsigned i = 0; i < ARRAY_SIZE(bad_lengths); i++) {
		guest_desc(&f->q, 0, TABLE_GPA, bad_lengths[i], RING_DESC_INDIRECT, 0);
		assert_refused(f, 0, "not that of whole descriptors");
	}
	guest_desc(&f->q, 0, TABLE_GPA, 0xfffffff0, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "indirect table outside RAM");
	guest_desc(&f->q, 0, RAM_END - 16, 32, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "indirect table outside RAM");
	guest_desc(&f->q, 0, 0xfffffffffffffff0, 32, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "indirect table outside RAM");
	table(f)[0] = (struct ring_desc){ TABLE_GPA, 16, RING_DESC_INDIRECT, 0 };
	guest_desc(&f->q, 0, TABLE_GPA, 16, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "in an indirect table");
	restart(f, 0, SIZE);
	guest_desc(&f->q, 0, TABLE_GPA, 16, RING_DESC_INDIRECT, 0);
	assert_refused(f, 0, "not negotiated");
}

// 2.7.5 forbids it; the device gives the answer, so the sum must be right.
static void test_chain_over_4_gib(void **state)
{
	struct fixture *f = *state;
	struct ring_desc *t = table(f);
	unsigned n = 256;
	uint32_t each = GUEST_RAM_BYTES;

	restart(f, VIRTIO_F_INDIRECT_DESC, 256);
	for (unsigned i = 0; i < n; i++)
		t[i] = (struct ring_desc){ GUEST_RAM_GPA, each, i < n - 1 ? RING_DESC_NEXT : 0,
					   i + 1 };
	guest_desc(&f->q, 0, TABLE_GPA, n * 16, RING_DESC_INDIRECT, 0);
	guest_offer(&f->q, 0);
	assert_int_equal(pop(f), 1);
	assert_true(f->chain.out_bytes == (uint64_t)n * each);
}

// The driver moves its rings: nothing is translated again.
static void test_rings_do_not_move(void **state)
{
	struct fixture *f = *state;
	struct ring_used *used = f->vq.split.used;

	f->vq.desc_gpa = 0;
	f->vq.avail_gpa = UINT64_MAX;
	f->vq.used_gpa = GUEST_MMIO_GPA;
	use_one(f);
	assert_int_equal(used->idx, 1);
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUE_TEST(test_empty_queue),
		QUEUE_TEST(test_queue_that_was_not_started),
		QUEUE_TEST(test_chain),
		QUEUE_TEST(test_empty_descriptors_are_left_out),
		QUEUE_TEST(test_chain_as_long_as_the_queue),
		QUEUE_TEST(test_indirect_table),
		QUEUE_TEST(test_indirect_table_at_an_odd_address),
		QUEUE_TEST(test_used_ring),
		QUEUE_TEST(test_mark_written),
		QUEUE_TEST(test_pop_more),
		QUEUE_TEST(test_pop_more_than_there_is_room_for),
		QUEUE_TEST(test_unpop),
		QUEUE_TEST(test_fill_and_flush),
		QUEUE_TEST(test_interrupt_flag),
		QUEUE_TEST(test_interrupt_event),
		QUEUE_TEST(test_notify_flag),
		QUEUE_TEST(test_notify_event),
		QUEUE_TEST(test_ring_sizes),
		QUEUE_TEST(test_ring_addresses),
		QUEUE_TEST(test_loops),
		QUEUE_TEST(test_long_indirect_chain),
		QUEUE_TEST(test_indexes),
		QUEUE_TEST(test_avail_idx_jump),
		QUEUE_TEST(test_more_in_flight_than_descriptors),
		QUEUE_TEST(test_buffer_addresses),
		QUEUE_TEST(test_direction),
		QUEUE_TEST(test_indirect_rules),
		QUEUE_TEST(test_chain_over_4_gib),
		QUEUE_TEST(test_rings_do_not_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
