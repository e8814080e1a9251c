// SPDX-License-Identifier: GPL-2.0-or-later
// The requests of the block device (virtio 1.2 5.2.6), from descriptor chain to status.
//
// Each chain becomes a request in a slot of its own, with copies of what it needs of
// the chain, so that as many are in flight as the queue has descriptors. Requests
// that were popped together start together, and completions that come together
// interrupt once.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blk-priv.h"
#include "iov.h"
#include "memory.h"

#define ID_BYTES 20 // 5.2.6

// 5.2.6
enum {
	BLK_T_IN = 0,
	BLK_T_OUT = 1,
	BLK_T_FLUSH = 4,
	BLK_T_GET_ID = 8,
	BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13
};
enum blk_status { BLK_S_OK, BLK_S_IOERR, BLK_S_UNSUPP, BLK_IN_FLIGHT };

struct blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct blk_range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};
#define BLK_RANGE_UNMAP 1

// A request in flight.
struct blk_slot {
	struct disk_request request;
	struct blk_queue *queue;
	struct blk_slot *next_free;
	uint16_t head;
	uint8_t *status;
	uint64_t status_gpa;
	uint64_t in_bytes; // writable by the device, status included
	struct iovec *iov; // the data; room for as many as the queue has descriptors
	uint64_t *in_gpa;  // where it lies, when the device writes it
	unsigned in_count;
};

static struct virtio_device *vdev_of(const struct blk_slot *slot)
{
	return &slot->queue->blk->vdev;
}

// -- the end of a request --

static void free_slot(struct blk_slot *slot)
{
	slot->next_free = slot->queue->free_slots;
	slot->queue->free_slots = slot;
}

// The status is the last byte: the used length says what was filled from the start
// (2.7.8), so it counts only where all of the data was.
static uint32_t filled_bytes(const struct blk_slot *slot, enum blk_status status)
{
	bool data_filled = slot->in_bytes == 1 || (slot->in_count && status == BLK_S_OK);

	return data_filled ? slot->in_bytes : 0;
}

static void complete(struct blk_slot *slot, enum blk_status status)
{
	struct blk_queue *queue = slot->queue;
	struct virtqueue *vq = queue->vq;

	if (!queue->dropping) {
		// Even a failed read may have written a part.
		virtqueue_mark_written(vq, slot->iov, slot->in_gpa, slot->in_count, UINT64_MAX);
		__atomic_store_n(slot->status, status, __ATOMIC_RELAXED);
		memory_mark_written(vdev_of(slot)->memory, slot->status_gpa, 1);
		virtqueue_fill(vq, slot->head, filled_bytes(slot, status));
	}
	free_slot(slot);
}

static enum blk_status status_of(int error)
{
	if (!error)
		return BLK_S_OK;
	return error == -EOPNOTSUPP ? BLK_S_UNSUPP : BLK_S_IOERR;
}

static void submit(struct blk_slot *slot, enum disk_op op);

// 5.2.6.2: a driver that cannot flush, or that wishes so, gets a write-through cache.
static bool is_write_through(const struct blk_slot *slot)
{
	struct virtio_device *vdev = vdev_of(slot);

	if (!virtio_has_feature(vdev, BLK_F_FLUSH))
		return true;
	return virtio_has_feature(vdev, BLK_F_CONFIG_WCE) &&
	       !atomic_load(&slot->queue->blk->writeback);
}

static void request_done(struct disk_request *request, int error)
{
	struct blk_slot *slot = container_of(request, struct blk_slot, request);
	bool changes = request->op != DISK_READ && request->op != DISK_FLUSH;

	if (!error && changes && is_write_through(slot))
		submit(slot, DISK_FLUSH);
	else
		complete(slot, status_of(error));
}

void blk_signal_batch(void *opaque)
{
	struct blk_queue *queue = opaque;

	virtio_signal(&queue->blk->vdev, queue->vq);
}

// -- the start of a request; each returns its status, or that it is in flight --

static void submit(struct blk_slot *slot, enum disk_op op)
{
	slot->request.op = op;
	slot->request.done = request_done;
	disk_submit(slot->queue->disk_queue, &slot->request);
}

// Sectors to bytes; beyond what 64 bits hold there is no disk.
static bool set_range(struct blk_slot *slot, uint64_t sector, uint64_t len_bytes)
{
	slot->request.len_bytes = len_bytes;
	return !__builtin_mul_overflow(sector, SECTOR_BYTES, &slot->request.offset_bytes);
}

// Makes @slot describe the data: what lies in front of the status byte.
static void take_in_data(struct blk_slot *slot, const struct virtqueue_chain *chain)
{
	unsigned count = chain->in_count;

	if (chain->in[count - 1].iov_len == 1) { // what every driver does, and quick
		slot->in_count = count - 1;
		memcpy(slot->iov, chain->in, slot->in_count * sizeof(slot->iov[0]));
	} else {
		slot->in_count =
			iov_slice(slot->iov, count, chain->in, count, 0, chain->in_bytes - 1);
	}
	memcpy(slot->in_gpa, chain->in_gpa, slot->in_count * sizeof(slot->in_gpa[0]));
}

static bool transfer_is_valid(uint64_t len_bytes)
{
	return len_bytes && len_bytes % SECTOR_BYTES == 0 && len_bytes <= UINT32_MAX - 1;
}

static enum blk_status start_read(struct blk_slot *slot, const struct virtqueue_chain *chain,
				  uint64_t sector)
{
	uint64_t len_bytes = chain->in_bytes - 1;

	if (!transfer_is_valid(len_bytes) || !set_range(slot, sector, len_bytes))
		return BLK_S_IOERR;
	take_in_data(slot, chain);
	slot->request.iov = slot->iov;
	slot->request.iov_count = slot->in_count;
	submit(slot, DISK_READ);
	return BLK_IN_FLIGHT;
}

static enum blk_status start_write(struct blk_slot *slot, const struct virtqueue_chain *chain,
				   uint64_t sector)
{
	uint64_t len_bytes = chain->out_bytes - sizeof(struct blk_header);

	if (!transfer_is_valid(len_bytes) || !set_range(slot, sector, len_bytes))
		return BLK_S_IOERR;
	slot->request.iov = slot->iov;
	slot->request.iov_count = iov_slice(slot->iov, chain->out_count, chain->out,
					    chain->out_count, sizeof(struct blk_header), len_bytes);
	submit(slot, DISK_WRITE);
	return BLK_IN_FLIGHT;
}

static enum blk_status start_flush(struct blk_slot *slot)
{
	submit(slot, DISK_FLUSH);
	return BLK_IN_FLIGHT;
}

static enum blk_status get_id(struct blk_slot *slot, const struct virtqueue_chain *chain)
{
	if (chain->in_bytes != ID_BYTES + 1)
		return BLK_S_IOERR;
	take_in_data(slot, chain);
	iov_from_buf(slot->iov, slot->in_count, 0, disk_info(slot->queue->blk->disk)->id, ID_BYTES);
	return BLK_S_OK;
}

// 5.2.6.2; discard and write zeroes
static enum blk_status start_range(struct blk_slot *slot, const struct virtqueue_chain *chain,
				   enum disk_op op)
{
	bool discard = op == DISK_DISCARD;
	uint32_t known_flags = discard ? 0 : BLK_RANGE_UNMAP;
	uint32_t max_sectors = discard ? MAX_DISCARD_SECTORS : MAX_ZEROES_SECTORS;
	struct blk_range range;

	if (!virtio_has_feature(vdev_of(slot), discard ? BLK_F_DISCARD : BLK_F_WRITE_ZEROES))
		return BLK_S_UNSUPP;
	if (chain->out_bytes != sizeof(struct blk_header) + sizeof(range))
		return BLK_S_IOERR;
	iov_to_buf(chain->out, chain->out_count, sizeof(struct blk_header), &range, sizeof(range));
	if (range.flags & ~known_flags)
		return BLK_S_UNSUPP;
	if (range.sectors > max_sectors ||
	    !set_range(slot, range.sector, (uint64_t)range.sectors * SECTOR_BYTES))
		return BLK_S_IOERR;
	slot->request.unmap = range.flags & BLK_RANGE_UNMAP;
	submit(slot, op);
	return BLK_IN_FLIGHT;
}

static enum blk_status start_request(struct blk_slot *slot, const struct virtqueue_chain *chain)
{
	struct blk_header header;

	if (iov_to_buf(chain->out, chain->out_count, 0, &header, sizeof(header)) != sizeof(header))
		return BLK_S_IOERR;
	switch (header.type) {
	case BLK_T_IN:
		return start_read(slot, chain, header.sector);
	case BLK_T_OUT:
		return start_write(slot, chain, header.sector);
	case BLK_T_FLUSH:
		return start_flush(slot);
	case BLK_T_GET_ID:
		return get_id(slot, chain);
	case BLK_T_DISCARD:
		return start_range(slot, chain, DISK_DISCARD);
	case BLK_T_WRITE_ZEROES:
		return start_range(slot, chain, DISK_WRITE_ZEROES);
	default:
		return BLK_S_UNSUPP;
	}
}

// -- queue side --

// As many slots as chains can be in use: there is always one.
static struct blk_slot *find_slot(struct blk_queue *queue)
{
	struct blk_slot *slot = queue->free_slots;
	size_t i = queue->slots_used;

	if (slot) {
		queue->free_slots = slot->next_free;
		return slot;
	}
	queue->slots_used++;
	slot = &queue->slots[i];
	slot->queue = queue;
	slot->iov = &queue->iovs[i * queue->vq->size];
	slot->in_gpa = &queue->gpas[i * queue->vq->size];
	return slot;
}

static struct blk_slot *take_slot(struct blk_queue *queue, const struct virtqueue_chain *chain)
{
	const struct iovec *last = &chain->in[chain->in_count - 1];
	struct blk_slot *slot = find_slot(queue);

	slot->request = (struct disk_request){ 0 };
	slot->head = chain->head;
	slot->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	slot->status_gpa = chain->in_gpa[chain->in_count - 1] + last->iov_len - 1;
	slot->in_bytes = chain->in_bytes;
	slot->in_count = 0;
	return slot;
}

static bool take_chain(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	enum blk_status status;
	struct blk_slot *slot;

	if (!chain->in_count) {
		virtio_fail(vdev, "a request has no place for its status");
		return false;
	}
	to_blk(vdev)->queues[queue].taken++;
	slot = take_slot(&to_blk(vdev)->queues[queue], chain);
	status = start_request(slot, chain);
	if (status != BLK_IN_FLIGHT)
		complete(slot, status);
	return true;
}

void blk_notify(struct virtio_device *vdev, unsigned queue)
{
	struct blk_queue *bq = &to_blk(vdev)->queues[queue];

	bq->taken = 0;
	virtio_take_chains(vdev, queue, take_chain);
	disk_kick(bq->disk_queue);
	blk_signal_batch(bq);
	blk_pace_note(&bq->pace, bq->taken);
}

static void free_slots(struct blk_queue *queue)
{
	free(queue->slots);
	free(queue->iovs);
	free(queue->gpas);
	queue->slots = NULL;
	queue->iovs = NULL;
	queue->gpas = NULL;
	queue->free_slots = NULL;
	queue->slots_used = 0;
}

int blk_start_queue(struct virtio_device *vdev, unsigned queue)
{
	struct blk_queue *bq = &to_blk(vdev)->queues[queue];
	size_t size = bq->vq->size;

	bq->slots = calloc(size, sizeof(*bq->slots));
	bq->iovs = calloc(size * size, sizeof(*bq->iovs));
	bq->gpas = calloc(size * size, sizeof(*bq->gpas));
	if (bq->slots && bq->iovs && bq->gpas)
		return 0;
	free_slots(bq);
	return -ENOMEM;
}

void blk_stop_queue(struct virtio_device *vdev, unsigned queue)
{
	struct blk_queue *bq = &to_blk(vdev)->queues[queue];

	bq->dropping = true;
	disk_drain(bq->disk_queue);
	bq->dropping = false;
	free_slots(bq);
}
