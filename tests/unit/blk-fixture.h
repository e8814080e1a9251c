// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of the block device share: a disk in memory that can hold requests
// back and fail them (it takes the place of disk/), the device, and a driver.
#ifndef KVIK_BLK_FIXTURE_H
#define KVIK_BLK_FIXTURE_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "io-stats.h"
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
#define F_CONFIG_WCE (1ULL << 11)
#define F_MQ (1ULL << 12)
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

struct disk_queue {
	struct disk *disk;
};

struct disk {
	struct disk_info info;
	struct disk_queue queue;
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

void disk_stats(const struct disk *disk, struct io_totals *totals)
{
	*totals = (struct io_totals){ 0 };
}

int disk_attach(struct disk *disk, struct loop *loop, struct disk_events events,
		struct disk_queue **queue)
{
	disk->events = events;
	disk->queue.disk = disk;
	*queue = &disk->queue;
	if (!disk->attach_result)
		disk->attached++;
	return disk->attach_result;
}

void disk_detach(struct disk_queue *queue)
{
	disk_drain(queue);
	queue->disk->attached--;
}

void disk_close(struct disk *disk)
{
	disk->closed++;
}

static inline int check_range(const struct disk *disk, const struct disk_request *request)
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

static inline int carry_out(struct disk *disk, struct disk_request *request)
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

void disk_submit(struct disk_queue *queue, struct disk_request *request)
{
	struct disk *disk = queue->disk;
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

void disk_drain(struct disk_queue *queue)
{
	struct disk *disk = queue->disk;
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

void disk_kick(struct disk_queue *queue)
{
	queue->disk->kicks++;
	if (!queue->disk->hold)
		disk_drain(queue);
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

static inline void create(struct fixture *f)
{
	struct virtio_device *vdev;

	assert_int_equal(virtio_blk_create(&vdev, "blk0", &f->guest.memory, f->disk), 0);
	guest_attach(&f->guest, vdev);
}

static inline void set_up_disk(struct fixture *f, bool read_only)
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
		.queues_max = 1,
		.queues = 1,
		.id = "kvik0123456789abcdef",
	};
	for (unsigned i = 0; i < DISK_BYTES; i++)
		f->disk->data[i] = i / 512 + i;
}

static inline int setup(void **state)
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

static inline int setup_read_only(void **state)
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

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	guest_exit(&f->guest);
	assert_int_equal(f->disk->attached, 0);
	assert_int_equal(f->disk->closed, 1);
	return 0;
}

// -- a driver --

static inline void put_header(struct fixture *f, uint32_t type, uint64_t sector)
{
	struct header header = { .type = type, .sector = sector };

	memcpy(guest_ram(&f->guest, HEADER_GPA), &header, sizeof(header));
	*guest_ram(&f->guest, STATUS_GPA) = S_UNTOUCHED;
	guest_desc(&f->q, 0, HEADER_GPA, sizeof(header), RING_DESC_NEXT, 1);
}

static inline void put_status(struct fixture *f, unsigned index)
{
	guest_desc(&f->q, index, STATUS_GPA, 1, RING_DESC_WRITE, 0);
}

// Offers the chain at 0 and returns the status that it comes back with.
static inline unsigned run(struct fixture *f, uint32_t *used_bytes)
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

static inline unsigned transfer(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
				uint32_t *used_bytes)
{
	uint16_t direction = type == T_OUT ? 0 : RING_DESC_WRITE;

	put_header(f, type, sector);
	guest_desc(&f->q, 1, BUFFER_GPA, len, direction | RING_DESC_NEXT, 2);
	put_status(f, 2);
	return run(f, used_bytes);
}

static inline unsigned flush(struct fixture *f)
{
	put_header(f, T_FLUSH, 0);
	put_status(f, 1);
	return run(f, NULL);
}

static inline unsigned range(struct fixture *f, uint32_t type, struct range r)
{
	memcpy(guest_ram(&f->guest, RANGE_GPA), &r, sizeof(r));
	put_header(f, type, 0);
	guest_desc(&f->q, 1, RANGE_GPA, sizeof(r), RING_DESC_NEXT, 2);
	put_status(f, 2);
	return run(f, NULL);
}

static inline void expect_needs_reset(struct fixture *f)
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

#define BLK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define READ_ONLY_TEST(f) cmocka_unit_test_setup_teardown(f, setup_read_only, teardown)

#endif
