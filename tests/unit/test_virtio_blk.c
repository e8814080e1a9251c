// SPDX-License-Identifier: GPL-2.0-or-later
// The block device: what it says about itself, requests, host errors, many at once.

#include "blk-fixture.h"

// -- what it says about itself --

static void test_features(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_device_features(&f->guest) ==
		    (F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE | F_DISCARD |
		     F_WRITE_ZEROES | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED |
		     VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX));
}

static void test_features_of_a_read_only_disk(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_device_features(&f->guest) ==
		    (F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | VIRTIO_F_VERSION_1 |
		     VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX));
}

static void test_config(void **state)
{
	struct guest *g = &((struct fixture *)*state)->guest;

	assert_int_equal(guest_read32(g, MMIO_DEVICE_ID), 2);
	assert_int_equal(guest_read_config(g, 0, 8), SECTORS);
	assert_int_equal(guest_read_config(g, 0, 4), SECTORS);
	assert_int_equal(guest_read_config(g, 4, 4), 0);
	assert_int_equal(guest_read_config(g, 12, 4), 510);     // seg_max
	assert_int_equal(guest_read_config(g, 20, 4), 512);     // blk_size
	assert_int_equal(guest_read_config(g, 24, 1), 3);       // physical_block_exp
	assert_int_equal(guest_read_config(g, 25, 1), 0);       // alignment_offset
	assert_int_equal(guest_read_config(g, 26, 2), 8);       // min_io_size
	assert_int_equal(guest_read_config(g, 28, 4), 128);     // opt_io_size
	assert_int_equal(guest_read_config(g, 36, 4), 1 << 21); // max_discard_sectors
	assert_int_equal(guest_read_config(g, 40, 4), 1);
	assert_int_equal(guest_read_config(g, 44, 4), 8);       // discard_sector_alignment
	assert_int_equal(guest_read_config(g, 48, 4), 1 << 19); // max_write_zeroes_sectors
	assert_int_equal(guest_read_config(g, 52, 4), 1);
	assert_int_equal(guest_read_config(g, 56, 1), 1); // write_zeroes_may_unmap
	assert_int_equal(guest_read_config(g, 72, 4), 0);
}

// -- requests --

static void test_read(void **state)
{
	struct fixture *f = *state;
	uint32_t used_bytes;

	assert_int_equal(transfer(f, T_IN, 3, 1024, &used_bytes), S_OK);
	assert_int_equal(used_bytes, 1025);
	assert_memory_equal(guest_ram(&f->guest, BUFFER_GPA), f->disk->data + 3 * 512, 1024);
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA, 1024));
	assert_int_equal(f->guest.written_bytes, 1025);
}

static void test_write(void **state)
{
	struct fixture *f = *state;
	uint32_t used_bytes;

	memset(guest_ram(&f->guest, BUFFER_GPA), 0x5a, 1024);
	assert_int_equal(transfer(f, T_OUT, SECTORS - 2, 1024, &used_bytes), S_OK);
	assert_int_equal(used_bytes, 1);
	assert_memory_equal(guest_ram(&f->guest, BUFFER_GPA), f->disk->data + DISK_BYTES - 1024,
			    1024);
	assert_int_equal(f->guest.written_bytes, 1);
	assert_int_equal(f->disk->submitted[DISK_FLUSH], 0);
}

static void test_flush(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(flush(f), S_OK);
	assert_int_equal(f->disk->submitted[DISK_FLUSH], 1);
}

// 5.2.6.2: without F_FLUSH a write is stable when it completes.
static void test_write_through(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->guest, 0, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(transfer(f, T_OUT, 0, 512, NULL), S_OK);
	assert_int_equal(f->disk->submitted[DISK_WRITE], 1);
	assert_int_equal(f->disk->submitted[DISK_FLUSH], 1);
	assert_int_equal(transfer(f, T_IN, 0, 512, NULL), S_OK);
	assert_int_equal(f->disk->submitted[DISK_FLUSH], 1);
	f->disk->error = -EIO;
	assert_int_equal(transfer(f, T_OUT, 0, 512, NULL), S_IOERR);
	assert_int_equal(f->disk->submitted[DISK_FLUSH], 1);
}

static void test_get_id(void **state)
{
	struct fixture *f = *state;
	uint32_t used_bytes;

	assert_int_equal(transfer(f, T_GET_ID, 0, 20, &used_bytes), S_OK);
	assert_int_equal(used_bytes, 21);
	assert_memory_equal(guest_ram(&f->guest, BUFFER_GPA), "kvik0123456789abcdef", 20);
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA, 20));
	assert_int_equal(transfer(f, T_GET_ID, 0, 19, &used_bytes), S_IOERR);
	assert_int_equal(transfer(f, T_GET_ID, 0, 4096, &used_bytes), S_IOERR);
	put_header(f, T_GET_ID, 0);
	put_status(f, 1);
	assert_int_equal(run(f, NULL), S_IOERR);
}

static void test_discard_and_zeroes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(range(f, T_DISCARD, (struct range){ 1, 2, 0 }), S_OK);
	assert_int_equal(f->disk->submitted[DISK_DISCARD], 1);
	assert_int_equal(f->disk->data[512 * 3 - 1], 0);
	assert_int_equal(range(f, T_WRITE_ZEROES, (struct range){ 4, 2, 0 }), S_OK);
	assert_int_equal(f->disk->data[512 * 4], 0);
	assert_int_equal(range(f, T_WRITE_ZEROES, (struct range){ 4, 2, 1 }), S_OK);
	assert_int_equal(f->disk->data[512 * 4], 0xdd); // was told that it may unmap
	assert_int_equal(f->disk->submitted[DISK_WRITE_ZEROES], 2);
}

static void test_bad_ranges(void **state)
{
	struct fixture *f = *state;
	static const struct range beyond[] = {
		{ SECTORS, 1, 0 },    { SECTORS - 1, 2, 0 }, { UINT64_MAX, 1, 0 },
		{ 1ULL << 55, 1, 0 }, { 0, UINT32_MAX, 0 },  { 0, (1 << 21) + 1, 0 },
		{ 0, 0, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(beyond); i++) {
		assert_int_equal(range(f, T_DISCARD, beyond[i]), S_IOERR);
		assert_int_equal(range(f, T_WRITE_ZEROES, beyond[i]), S_IOERR);
	}
	// 5.2.6.2: unmap means nothing to a discard; other flags mean nothing at all.
	assert_int_equal(range(f, T_DISCARD, (struct range){ 0, 1, 1 }), S_UNSUPP);
	assert_int_equal(range(f, T_DISCARD, (struct range){ 0, 1, 0x80000000 }), S_UNSUPP);
	assert_int_equal(range(f, T_WRITE_ZEROES, (struct range){ 0, 1, 2 }), S_UNSUPP);
	assert_int_equal(f->disk->submitted[DISK_DISCARD], 0);
	assert_int_equal(f->disk->submitted[DISK_WRITE_ZEROES], 0);
}

static void test_range_count(void **state)
{
	struct fixture *f = *state;
	static const uint32_t bad_lengths[] = { 0, 8, 15, 17, 32 };

	assert_int_equal(range(f, T_DISCARD, (struct range){ 0, 1, 0 }), S_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(bad_lengths); i++) {
		put_header(f, T_DISCARD, 0);
		guest_desc(&f->q, 1, RANGE_GPA, bad_lengths[i], RING_DESC_NEXT, 2);
		put_status(f, 2);
		assert_int_equal(run(f, NULL), S_IOERR);
	}
}

static void test_ranges_not_negotiated(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->guest, F_FLUSH, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(range(f, T_DISCARD, (struct range){ 0, 1, 0 }), S_UNSUPP);
	assert_int_equal(range(f, T_WRITE_ZEROES, (struct range){ 0, 1, 0 }), S_UNSUPP);
}

// -- the cache (5.2.6.2) --

static unsigned flushes_of_a_write(struct fixture *f)
{
	unsigned before = f->disk->submitted[DISK_FLUSH];

	assert_int_equal(transfer(f, T_OUT, 0, 512, NULL), S_OK);
	return f->disk->submitted[DISK_FLUSH] - before;
}

static void test_write_back_toggle(void **state)
{
	struct fixture *f = *state;
	struct guest *g = &f->guest;

	guest_start(g, F_FLUSH | F_CONFIG_WCE, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(guest_read_config(g, 32, 1), 1);
	assert_int_equal(flushes_of_a_write(f), 0);
	guest_write_config(g, 32, 0, 1);
	assert_int_equal(guest_read_config(g, 32, 1), 0);
	assert_int_equal(flushes_of_a_write(f), 1);
	guest_write_config(g, 32, 1, 1);
	assert_int_equal(flushes_of_a_write(f), 0);
	// Other fields cannot be written, and a new driver finds it as it was.
	guest_write_config(g, 33, 7, 1);
	guest_write_config(g, 0, 7, 1);
	assert_int_equal(guest_read_config(g, 0, 8), SECTORS);
	guest_write_config(g, 32, 0, 1);
	guest_start(g, F_FLUSH | F_CONFIG_WCE, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(guest_read_config(g, 32, 1), 1);
}

static void test_write_back_toggle_not_negotiated(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->guest, F_FLUSH, &f->q, 1, QUEUE_SIZE);
	guest_write_config(&f->guest, 32, 0, 1);
	assert_int_equal(flushes_of_a_write(f), 0);
	guest_start(&f->guest, F_CONFIG_WCE, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(guest_read_config(&f->guest, 32, 1), 0);
	assert_int_equal(flushes_of_a_write(f), 1);
}

static void test_read_only_disk(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(transfer(f, T_IN, 0, 512, NULL), S_OK);
	assert_int_equal(transfer(f, T_OUT, 0, 512, NULL), S_IOERR);
	assert_int_equal(range(f, T_DISCARD, (struct range){ 0, 1, 0 }), S_UNSUPP);
	assert_int_equal(range(f, T_WRITE_ZEROES, (struct range){ 0, 1, 0 }), S_UNSUPP);
	assert_int_equal(flush(f), S_OK);
	assert_int_equal(transfer(f, 0xff, 0, 512, NULL), S_UNSUPP);
}

// -- host errors --

static void test_host_errors(void **state)
{
	struct fixture *f = *state;
	uint32_t used_bytes;

	f->disk->error = -EIO;
	assert_int_equal(transfer(f, T_IN, 0, 512, &used_bytes), S_IOERR);
	assert_int_equal(used_bytes, 0);
	// A part may have arrived, so the engine must look at it.
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA, 512));
	assert_int_equal(transfer(f, T_OUT, 0, 512, &used_bytes), S_IOERR);
	assert_int_equal(used_bytes, 1);
	assert_int_equal(flush(f), S_IOERR);
	f->disk->error = -ENOSPC;
	assert_int_equal(transfer(f, T_OUT, 0, 512, NULL), S_IOERR);
	f->disk->error = -EOPNOTSUPP;
	assert_int_equal(range(f, T_DISCARD, (struct range){ 0, 1, 0 }), S_UNSUPP);
	f->disk->error = 0;
	assert_int_equal(transfer(f, T_OUT, 0, 512, NULL), S_OK);
}

static void test_no_aio(void **state)
{
	struct fixture f = { 0 };
	struct virtio_device *vdev;

	guest_init(&f.guest);
	set_up_disk(&f, false);
	f.disk->attach_result = -EAGAIN;
	assert_int_equal(virtio_blk_create(&vdev, "blk0", &f.guest.memory, f.disk), -EAGAIN);
	assert_int_equal(f.disk->closed, 1);
	guest_exit(&f.guest);
}

// -- many requests --

// @count chains of header and status, each with a status byte of its own.
static void offer_flushes(struct fixture *f, unsigned count)
{
	put_header(f, T_FLUSH, 0);
	memset(guest_ram(&f->guest, BUFFER_GPA), S_UNTOUCHED, count);
	for (unsigned i = 0; i < count; i++) {
		guest_desc(&f->q, 2 * i, HEADER_GPA, 16, RING_DESC_NEXT, 2 * i + 1);
		guest_desc(&f->q, 2 * i + 1, BUFFER_GPA + i, 1, RING_DESC_WRITE, 0);
		guest_offer(&f->q, 2 * i);
	}
	guest_kick(&f->q);
	guest_sync(&f->guest);
}

static void drain(void *arg)
{
	disk_drain(arg);
}

static void test_batch(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;
	unsigned kicks, count = QUEUE_SIZE / 2;

	// Past its first look at the queue, which could see the first chains alone.
	guest_sync(&f->guest);
	kicks = f->disk->kicks;
	f->disk->hold = true;
	offer_flushes(f, count);
	assert_int_equal(f->disk->kicks - kicks, 1);
	assert_int_equal(f->disk->submitted[DISK_FLUSH], count);
	assert_false(guest_take_used(&f->q, &elem));
	assert_int_equal(guest_read32(&f->guest, MMIO_INTERRUPT_STATUS), 0);
	loop_call(f->guest.vdev->loop, drain, &f->disk->queue);
	assert_int_equal(f->disk->batches, 1);
	assert_int_equal(f->guest.irqchip.edges, 1);
	for (unsigned i = 0; i < count; i++) {
		assert_true(guest_take_used(&f->q, &elem));
		assert_int_equal(elem.id, 2 * i);
		assert_int_equal(guest_ram(&f->guest, BUFFER_GPA)[i], S_OK);
	}
}

// The same head again and again: more in flight than there are descriptors.
static void test_more_requests_than_descriptors(void **state)
{
	struct fixture *f = *state;

	f->disk->hold = true;
	put_header(f, T_FLUSH, 0);
	put_status(f, 1);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < QUEUE_SIZE / 2; i++)
			guest_offer(&f->q, 0);
		guest_kick(&f->q);
		guest_sync(&f->guest);
	}
	assert_int_equal(f->disk->submitted[DISK_FLUSH], QUEUE_SIZE);
	assert_int_equal(guest_read32(&f->guest, MMIO_STATUS),
			 GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
}

static void test_reset_with_requests_in_flight(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	f->disk->hold = true;
	offer_flushes(f, 8);
	guest_forget_marks(&f->guest);
	guest_write32(&f->guest, MMIO_STATUS, 0);
	// The reset waited for them, and the driver's memory was left alone.
	assert_null(f->disk->first);
	assert_false(guest_take_used(&f->q, &elem));
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(guest_ram(&f->guest, BUFFER_GPA)[i], S_UNTOUCHED);
	assert_int_equal(f->guest.written_bytes, 0);
	assert_false(f->guest.irqchip.high);
	f->disk->hold = false;
	guest_start(&f->guest, F_FLUSH, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(flush(f), S_OK);
}

static void test_free_with_requests_in_flight(void **state)
{
	struct fixture *f = *state;

	f->disk->hold = true;
	offer_flushes(f, 8);
}

static void test_start_without_a_queue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_negotiate(&f->guest, 0), GUEST_FEATURES_OK);
	guest_write32(&f->guest, MMIO_STATUS, GUEST_DRIVER_OK);
	guest_kick(&f->q);
	guest_sync(&f->guest);
	assert_int_equal(guest_read32(&f->guest, MMIO_STATUS), GUEST_DRIVER_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BLK_TEST(test_features),
		READ_ONLY_TEST(test_features_of_a_read_only_disk),
		BLK_TEST(test_config),
		BLK_TEST(test_read),
		BLK_TEST(test_write),
		BLK_TEST(test_flush),
		BLK_TEST(test_write_through),
		BLK_TEST(test_get_id),
		BLK_TEST(test_discard_and_zeroes),
		BLK_TEST(test_write_back_toggle),
		BLK_TEST(test_write_back_toggle_not_negotiated),
		BLK_TEST(test_bad_ranges),
		BLK_TEST(test_range_count),
		BLK_TEST(test_ranges_not_negotiated),
		READ_ONLY_TEST(test_read_only_disk),
		BLK_TEST(test_host_errors),
		cmocka_unit_test(test_no_aio),
		BLK_TEST(test_batch),
		BLK_TEST(test_more_requests_than_descriptors),
		BLK_TEST(test_reset_with_requests_in_flight),
		BLK_TEST(test_free_with_requests_in_flight),
		BLK_TEST(test_start_without_a_queue),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
