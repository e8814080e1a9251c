// SPDX-License-Identifier: GPL-2.0-or-later
// The block device and what a hostile driver tries: an error for the request, or for
// the device, and nothing else.

#include "blk-fixture.h"

static void test_sectors_beyond_the_end(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{ UINT64_MAX, 512 },       { 1ULL << 55, 512 },      { SECTORS - 1, 1024 },
		{ SECTORS, 512 },          { UINT64_MAX - 1, 1024 }, { 1ULL << 63, 512 },
		{ (1ULL << 55) - 1, 512 }, { 0, DISK_BYTES + 512 },
	};
	uint32_t used_bytes;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(transfer(f, T_OUT, bad[i].sector, bad[i].len, NULL), S_IOERR);
		assert_int_equal(transfer(f, T_IN, bad[i].sector, bad[i].len, &used_bytes),
				 S_IOERR);
		assert_int_equal(used_bytes, 0); // nothing was filled from the start
	}
	assert_int_equal(f->disk->submitted[DISK_WRITE], 0);
}

static void test_odd_lengths(void **state)
{
	struct fixture *f = *state;
	static const uint32_t bad[] = { 0, 1, 511, 513, 1000 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(transfer(f, T_IN, 0, bad[i], NULL), S_IOERR);
		assert_int_equal(transfer(f, T_OUT, 0, bad[i], NULL), S_IOERR);
	}
}

static void test_no_data(void **state)
{
	struct fixture *f = *state;

	put_header(f, T_IN, 0);
	put_status(f, 1);
	assert_int_equal(run(f, NULL), S_IOERR);
	put_header(f, T_OUT, 0);
	put_status(f, 1);
	assert_int_equal(run(f, NULL), S_IOERR);
}

// 4 GiB and a sector, by the same buffer again and again: cut to 32 bits it would be
// one sector.
static unsigned transfer_huge(struct fixture *f, uint32_t type)
{
	uint16_t flags = RING_DESC_NEXT | (type == T_OUT ? 0 : RING_DESC_WRITE);
	struct ring_desc *table = (struct ring_desc *)guest_ram(&f->guest, TABLE_GPA);
	unsigned count = 4 * GIB / BIG_BYTES;

	put_header(f, type, 0);
	for (unsigned i = 0; i < count; i++)
		table[i] = (struct ring_desc){ BIG_GPA, BIG_BYTES, flags, i + 1 };
	table[count] = (struct ring_desc){ BIG_GPA, 512, flags, count + 1 };
	table[count + 1] = (struct ring_desc){ STATUS_GPA, 1, RING_DESC_WRITE, 0 };
	guest_desc(&f->q, 1, TABLE_GPA, (count + 2) * 16, RING_DESC_INDIRECT, 0);
	return run(f, NULL);
}

static void test_huge_transfers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(memory_add_ram(&f->guest.memory, BIG_GPA, BIG_BYTES), 0);
	assert_int_equal(transfer_huge(f, T_IN), S_IOERR);
	assert_int_equal(transfer_huge(f, T_OUT), S_IOERR);
}

static void test_unknown_types(void **state)
{
	struct fixture *f = *state;
	static const uint32_t types[] = { 2, 3, 5, 10, 12, 14, 0xff, UINT32_MAX, 0x80000000 };

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(transfer(f, types[i], 0, 512, NULL), S_UNSUPP);
}

static void test_split_header(void **state)
{
	struct fixture *f = *state;

	put_header(f, T_IN, 5);
	for (unsigned i = 0; i < 16; i++)
		guest_desc(&f->q, i, HEADER_GPA + i, 1, RING_DESC_NEXT, i + 1);
	guest_desc(&f->q, 16, BUFFER_GPA, 100, RING_DESC_WRITE | RING_DESC_NEXT, 17);
	guest_desc(&f->q, 17, BUFFER_GPA + 100, 412, RING_DESC_WRITE | RING_DESC_NEXT, 18);
	put_status(f, 18);
	assert_int_equal(run(f, NULL), S_OK);
	assert_memory_equal(guest_ram(&f->guest, BUFFER_GPA), f->disk->data + 5 * 512, 512);
}

// Header and data in one buffer, data and status in another.
static void test_merged_parts(void **state)
{
	struct fixture *f = *state;
	struct header header = { .type = T_OUT, .sector = 7 };
	uint8_t *buffer = guest_ram(&f->guest, BUFFER_GPA);

	memcpy(buffer, &header, sizeof(header));
	memset(buffer + sizeof(header), 0x77, 512);
	guest_desc(&f->q, 0, BUFFER_GPA, sizeof(header) + 512, RING_DESC_NEXT, 1);
	put_status(f, 1);
	assert_int_equal(run(f, NULL), S_OK);
	assert_int_equal(f->disk->data[7 * 512], 0x77);
	assert_int_equal(f->disk->data[8 * 512 - 1], 0x77);
	put_header(f, T_IN, 7);
	guest_desc(&f->q, 1, STATUS_GPA - 512, 513, RING_DESC_WRITE, 0);
	put_header(f, T_IN, 7);
	memcpy(guest_ram(&f->guest, TABLE_GPA), guest_ram(&f->guest, HEADER_GPA), sizeof(header));
	guest_desc(&f->q, 0, TABLE_GPA, sizeof(header), RING_DESC_NEXT, 1);
	assert_int_equal(run(f, NULL), S_OK);
	assert_int_equal(*guest_ram(&f->guest, STATUS_GPA - 1), 0x77);
}

static void test_short_header(void **state)
{
	struct fixture *f = *state;

	put_header(f, T_FLUSH, 0);
	guest_desc(&f->q, 0, HEADER_GPA, 15, RING_DESC_NEXT, 1);
	put_status(f, 1);
	assert_int_equal(run(f, NULL), S_IOERR);
	put_status(f, 0); // no header at all
	assert_int_equal(run(f, NULL), S_IOERR);
}

static void test_status_is_not_writable(void **state)
{
	struct fixture *f = *state;

	put_header(f, T_FLUSH, 0);
	guest_desc(&f->q, 1, STATUS_GPA, 1, 0, 0);
	expect_needs_reset(f);
	put_header(f, T_FLUSH, 0);
	guest_desc(&f->q, 1, STATUS_GPA, 0, RING_DESC_WRITE, 0);
	expect_needs_reset(f);
}

static void test_bad_rings(void **state)
{
	struct fixture *f = *state;

	put_header(f, T_FLUSH, 0);
	guest_desc(&f->q, 1, STATUS_GPA, 1, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	expect_needs_reset(f);
	put_header(f, T_FLUSH, 0);
	guest_desc(&f->q, 1, GUEST_MMIO_GPA, 1, RING_DESC_WRITE, 0);
	expect_needs_reset(f);
	put_header(f, T_FLUSH, 0);
	put_status(f, 1);
	f->q.avail_idx = 40000 - 1;
	expect_needs_reset(f);
}

// -- another vCPU that changes everything while the device looks --

struct flipper {
	struct fixture *f;
	atomic_bool stop;
};

// A guest's race is the guest's business.
__attribute__((no_sanitize("thread"))) static void *flip(void *arg)
{
	struct flipper *flipper = arg;
	struct fixture *f = flipper->f;
	volatile struct ring_desc *desc = f->q.desc;
	volatile struct header *header = (void *)guest_ram(&f->guest, HEADER_GPA);

	for (unsigned i = 0; !flipper->stop; i++) {
		desc[1].len = i & 1 ? 512 : 0xfffffe00;
		desc[1].addr_gpa = i & 2 ? BUFFER_GPA : UINT64_MAX - 255;
		desc[1].flags = i & 4 ? RING_DESC_WRITE | RING_DESC_NEXT : RING_DESC_NEXT;
		desc[2].flags = i & 8 ? RING_DESC_WRITE : RING_DESC_INDIRECT;
		header->sector = i & 16 ? 0 : UINT64_MAX;
		header->type = i & 32 ? T_IN : T_OUT;
	}
	return NULL;
}

static void test_changes_while_the_device_looks(void **state)
{
	struct fixture *f = *state;
	struct flipper flipper = { .f = f };
	pthread_t thread;

	put_header(f, T_IN, 0);
	put_status(f, 2);
	assert_int_equal(pthread_create(&thread, NULL, flip, &flipper), 0);
	for (unsigned i = 0; i < 3000; i++) {
		guest_offer(&f->q, 0);
		guest_kick(&f->q);
		guest_sync(&f->guest);
		if (guest_read32(&f->guest, MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET)
			guest_start(&f->guest, F_FLUSH, &f->q, 1, QUEUE_SIZE);
	}
	flipper.stop = true;
	pthread_join(thread, NULL);
	guest_start(&f->guest, F_FLUSH, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(flush(f), S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BLK_TEST(test_sectors_beyond_the_end),
		BLK_TEST(test_odd_lengths),
		BLK_TEST(test_no_data),
		BLK_TEST(test_huge_transfers),
		BLK_TEST(test_unknown_types),
		BLK_TEST(test_split_header),
		BLK_TEST(test_merged_parts),
		BLK_TEST(test_short_header),
		BLK_TEST(test_status_is_not_writable),
		BLK_TEST(test_bad_rings),
		BLK_TEST(test_changes_while_the_device_looks),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
