// SPDX-License-Identifier: GPL-2.0-or-later
// The block device, on a disk in memory that can hold requests back and fail them.

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "support-virtio.h"
#include "virtio-devices.h"

#include <cmocka.h>

#define SECTORS 128
#define DISK_BYTES (SECTORS * 512)
#define QUEUE_SIZE 64

#define F_SEG_MAX (1ULL << 2)
#define F_RO (1ULL << 5)
#define F_BLK_SIZE (1ULL << 6)
#define F_FLUSH (1ULL << 9)
#define F_TOPOLOGY (1ULL << 10)
#define F_DISCARD (1ULL << 13)
#define F_WRITE_ZEROES (1ULL << 14)

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_UNTOUCHED = 0xaa };

// Where a request's parts lie.
#define HEADER_GPA GUEST_DATA_GPA
#define RANGE_GPA (GUEST_DATA_GPA + 0x20)
#define STATUS_GPA (GUEST_DATA_GPA + 0x40)
#define TABLE_GPA (GUEST_DATA_GPA + 0x1000)
#define BUFFER_GPA (GUEST_DATA_GPA + 0x10000)
#define BIG_GPA 0x100000000ULL
#define BIG_BYTES (128 * MIB)

// -- the disk --

struct disk {
	struct disk_info info;
	uint8_t data[DISK_BYTES];
	struct disk_events events;
	// The test's wishes.
	atomic_int error; // for each request that reaches the disk
	atomic_bool hold; // keep requests in flight until the disk is drained
	atomic_int attach_result;
	// What came.
	struct disk_request *first, **last;
	atomic_uint submitted[DISK_OP_COUNT];
	atomic_uint kicks, batches, attached, closed;
};

static struct disk the_disk; // there is one a test; the device thinks it owns it

const struct disk_info *disk_info(const struct disk *disk)
{
	return &disk->info;
}

int disk_attach(struct disk *disk, struct loop *loop, struct disk_events events)
{
	disk->events = events;
	if (!disk->attach_result)
		disk->attached++;
	return disk->attach_result;
}

void disk_detach(struct disk *disk)
{
	disk_drain(disk);
	disk->attached--;
}

void disk_close(struct disk *disk)
{
	disk->closed++;
}

static int check_range(const struct disk *disk, const struct disk_request *request)
{
	if (request->op == DISK_FLUSH)
		return 0;
	if (request->op != DISK_READ && disk->info.read_only)
		return -EROFS;
	if (!request->len_bytes || request->offset_bytes > DISK_BYTES ||
	    request->len_bytes > DISK_BYTES - request->offset_bytes)
		return -EINVAL;
	return 0;
}

static int carry_out(struct disk *disk, struct disk_request *request)
{
	uint8_t *data = disk->data + request->offset_bytes;
	size_t len = request->len_bytes;

	if (disk->error)
		return disk->error;
	switch (request->op) {
	case DISK_READ:
		assert(iov_from_buf(request->iov, request->iov_count, 0, data, len) == len);
		break;
	case DISK_WRITE:
		assert(iov_to_buf(request->iov, request->iov_count, 0, data, len) == len);
		break;
	case DISK_DISCARD:
	case DISK_WRITE_ZEROES:
		memset(data, request->unmap ? 0xdd : 0, len);
		break;
	default:
		break;
	}
	return 0;
}

void disk_submit(struct disk *disk, struct disk_request *request)
{
	int error = check_range(disk, request);

	if (error) {
		request->done(request, error);
		return;
	}
	disk->submitted[request->op]++;
	request->next = NULL;
	*disk->last = request;
	disk->last = &request->next;
}

void disk_drain(struct disk *disk)
{
	bool any = disk->first;

	while (disk->first) {
		struct disk_request *request = disk->first;

		disk->first = request->next;
		if (!disk->first)
			disk->last = &disk->first;
		request->done(request, carry_out(disk, request));
	}
	if (any && disk->events.batch_done) {
		disk->batches++;
		disk->events.batch_done(disk->events.opaque);
	}
}

void disk_kick(struct disk *disk)
{
	disk->kicks++;
	if (!disk->hold)
		disk_drain(disk);
}

// -- the device --

struct fixture {
	struct guest guest;
	struct guest_queue q;
	struct disk *disk;
};

struct header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

static void create(struct fixture *f)
{
	struct virtio_device *vdev;

	assert_int_equal(virtio_blk_create(&vdev, "blk0", &f->guest.memory, f->disk), 0);
	guest_attach(&f->guest, vdev);
}

static void set_up_disk(struct fixture *f, bool read_only)
{
	memset(&the_disk, 0, sizeof(the_disk));
	f->disk = &the_disk;
	f->disk->last = &f->disk->first;
	f->disk->info = (struct disk_info){
		.size_bytes = DISK_BYTES,
		.block_bytes = 512,
		.physical_block_bytes = 4096,
		.optimal_io_bytes = 65536,
		.read_only = read_only,
		.can_discard = !read_only,
		.id = "kvik0123456789abcdef",
	};
	for (unsigned i = 0; i < DISK_BYTES; i++)
		f->disk->data[i] = i / 512 + i;
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ 0 };
	guest_init(&f.guest);
	set_up_disk(&f, false);
	create(&f);
	guest_start(&f.guest, F_FLUSH | F_DISCARD | F_WRITE_ZEROES | VIRTIO_F_INDIRECT_DESC, &f.q,
		    1, QUEUE_SIZE);
	*state = &f;
	return 0;
}

static int setup_read_only(void **state)
{
	static struct fixture f;

	f = (struct fixture){ 0 };
	guest_init(&f.guest);
	set_up_disk(&f, true);
	create(&f);
	guest_start(&f.guest, F_RO | F_FLUSH, &f.q, 1, QUEUE_SIZE);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_exit(&f->guest);
	assert_int_equal(f->disk->attached, 0);
	assert_int_equal(f->disk->closed, 1);
	return 0;
}

// -- a driver --

static void put_header(struct fixture *f, uint32_t type, uint64_t sector)
{
	struct header header = { .type = type, .sector = sector };

	memcpy(guest_ram(&f->guest, HEADER_GPA), &header, sizeof(header));
	*guest_ram(&f->guest, STATUS_GPA) = S_UNTOUCHED;
	guest_desc(&f->q, 0, HEADER_GPA, sizeof(header), RING_DESC_NEXT, 1);
}

static void put_status(struct fixture *f, unsigned index)
{
	guest_desc(&f->q, index, STATUS_GPA, 1, RING_DESC_WRITE, 0);
}

// Offers the chain at 0 and returns the status that it comes back with.
static unsigned run(struct fixture *f, uint32_t *used_bytes)
{
	struct ring_used_elem elem;

	guest_forget_marks(&f->guest);
	guest_offer(&f->q, 0);
	guest_kick(&f->q);
	guest_wait_used(&f->q, &elem);
	guest_sync(&f->guest);
	assert_int_equal(elem.id, 0);
	if (used_bytes)
		*used_bytes = elem.len;
	assert_true(guest_was_marked(&f->guest, STATUS_GPA, 1));
	return *guest_ram(&f->guest, STATUS_GPA);
}

static unsigned transfer(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
			 uint32_t *used_bytes)
{
	uint16_t direction = type == T_OUT ? 0 : RING_DESC_WRITE;

	put_header(f, type, sector);
	guest_desc(&f->q, 1, BUFFER_GPA, len, direction | RING_DESC_NEXT, 2);
	put_status(f, 2);
	return run(f, used_bytes);
}

static unsigned flush(struct fixture *f)
{
	put_header(f, T_FLUSH, 0);
	put_status(f, 1);
	return run(f, NULL);
}

static unsigned range(struct fixture *f, uint32_t type, struct range r)
{
	memcpy(guest_ram(&f->guest, RANGE_GPA), &r, sizeof(r));
	put_header(f, type, 0);
	guest_desc(&f->q, 1, RANGE_GPA, sizeof(r), RING_DESC_NEXT, 2);
	put_status(f, 2);
	return run(f, NULL);
}

static void expect_needs_reset(struct fixture *f)
{
	guest_offer(&f->q, 0);
	guest_kick(&f->q);
	guest_sync(&f->guest);
	assert_int_equal(guest_read32(&f->guest, MMIO_STATUS),
			 GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	assert_true(guest_read32(&f->guest, MMIO_INTERRUPT_STATUS) & VIRTIO_ISR_CONFIG);
	guest_start(&f->guest, F_FLUSH, &f->q, 1, QUEUE_SIZE);
	assert_int_equal(flush(f), S_OK);
}

// -- what it says about itself --

static void test_features(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_device_features(&f->guest) ==
		    (F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_DISCARD | F_WRITE_ZEROES |
		     VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX));
}

static void test_features_of_a_read_only_disk(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_device_features(&f->guest) ==
		    (F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | VIRTIO_F_VERSION_1 |
		     VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX));
}

static void test_config(void **state)
{
	struct guest *g = &((struct fixture *)*state)->guest;

	assert_int_equal(guest_read32(g, MMIO_DEVICE_ID), 2);
	assert_int_equal(guest_read_config(g, 0, 8), SECTORS);
	assert_int_equal(guest_read_config(g, 0, 4), SECTORS);
	assert_int_equal(guest_read_config(g, 4, 4), 0);
	assert_int_equal(guest_read_config(g, 12, 4), 126);     // seg_max
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

// -- what a hostile driver tries --

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
	unsigned kicks = f->disk->kicks, count = QUEUE_SIZE / 2;

	f->disk->hold = true;
	offer_flushes(f, count);
	assert_int_equal(f->disk->kicks - kicks, 1);
	assert_int_equal(f->disk->submitted[DISK_FLUSH], count);
	assert_false(guest_take_used(&f->q, &elem));
	assert_int_equal(guest_read32(&f->guest, MMIO_INTERRUPT_STATUS), 0);
	loop_call(f->guest.vdev->loop, drain, f->disk);
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

#define BLK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define READ_ONLY_TEST(f) cmocka_unit_test_setup_teardown(f, setup_read_only, teardown)

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
		BLK_TEST(test_bad_ranges),
		BLK_TEST(test_range_count),
		BLK_TEST(test_ranges_not_negotiated),
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
		READ_ONLY_TEST(test_read_only_disk),
		BLK_TEST(test_host_errors),
		cmocka_unit_test(test_no_aio),
		BLK_TEST(test_batch),
		BLK_TEST(test_more_requests_than_descriptors),
		BLK_TEST(test_reset_with_requests_in_flight),
		BLK_TEST(test_free_with_requests_in_flight),
		BLK_TEST(test_start_without_a_queue),
		BLK_TEST(test_changes_while_the_device_looks),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
