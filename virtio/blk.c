// SPDX-License-Identifier: GPL-2.0-or-later
// The block device (virtio 1.2 5.2) on a disk, with a loop thread of its own.
//
// Each chain becomes a request in a slot of its own, with copies of what it needs of
// the chain, so that as many are in flight as the queue has descriptors. Requests
// that were popped together start together, and completions that come together
// interrupt once.

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "log.h"
#include "memory.h"
#include "virtio-devices.h"
#include "virtio.h"

#define SECTOR_BYTES 512 // the protocol's unit, whatever blk_size says (5.2.4)
#define QUEUE_SIZE 128
#define ID_BYTES 20 // 5.2.6

// With two descriptors for header and status a chain fills the queue (2.7.5.3.1).
#define SEG_MAX (QUEUE_SIZE - 2)

// So that no single request keeps the host busy for long; one segment each.
#define MAX_DISCARD_SECTORS (1 * GIB / SECTOR_BYTES)
#define MAX_ZEROES_SECTORS (256 * MIB / SECTOR_BYTES)

// Feature bits (5.2.3).
#define BLK_F_SEG_MAX (1ULL << 2)
#define BLK_F_RO (1ULL << 5)
#define BLK_F_BLK_SIZE (1ULL << 6)
#define BLK_F_FLUSH (1ULL << 9)
#define BLK_F_TOPOLOGY (1ULL << 10)
#define BLK_F_DISCARD (1ULL << 13)
#define BLK_F_WRITE_ZEROES (1ULL << 14)

// 5.2.4
struct blk_config {
	uint64_t capacity_sectors;
	uint32_t size_max;
	uint32_t seg_max;
	uint16_t cylinders;
	uint8_t heads;
	uint8_t track_sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp;
	uint8_t alignment_offset;
	uint16_t min_io_blocks;
	uint32_t opt_io_blocks;
	uint8_t writeback;
	uint8_t unused0;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_seg;
	uint32_t discard_sector_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t unused1[3];
	uint32_t max_secure_erase_sectors;
	uint32_t max_secure_erase_seg;
	uint32_t secure_erase_sector_alignment;
};
static_assert(sizeof(struct blk_config) == 72, "the layout of virtio 1.2 5.2.4");

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
	struct virtio_blk *blk;
	struct blk_slot *next_free;
	uint16_t head;
	uint8_t *status;
	uint64_t status_gpa;
	uint64_t in_bytes; // writable by the device, status included
	struct iovec *iov; // the data; room for as many as the queue has descriptors
	uint64_t *in_gpa;  // where it lies, when the device writes it
	unsigned in_count;
};

struct virtio_blk {
	struct virtio_device vdev;
	struct disk *disk;
	struct disk_queue *disk_queue;
	struct blk_config config;
	// From activate to reset.
	struct blk_slot *slots;
	struct iovec *iovs;
	uint64_t *gpas;
	struct blk_slot *free_slots;
	bool dropping; // being reset: what completes is not told to the driver
};

static struct virtio_blk *to_blk(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_blk, vdev);
}

static struct virtqueue *request_queue(struct virtio_blk *blk)
{
	return &blk->vdev.queues[0];
}

// -- the end of a request --

static void free_slot(struct blk_slot *slot)
{
	slot->next_free = slot->blk->free_slots;
	slot->blk->free_slots = slot;
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
	struct virtio_blk *blk = slot->blk;
	struct virtqueue *vq = request_queue(blk);

	if (!blk->dropping) {
		// Even a failed read may have written a part.
		virtqueue_mark_written(vq, slot->iov, slot->in_gpa, slot->in_count, UINT64_MAX);
		__atomic_store_n(slot->status, status, __ATOMIC_RELAXED);
		memory_mark_written(blk->vdev.memory, slot->status_gpa, 1);
		virtqueue_push(vq, slot->head, filled_bytes(slot, status));
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

static void request_done(struct disk_request *request, int error)
{
	struct blk_slot *slot = container_of(request, struct blk_slot, request);
	bool changes = request->op != DISK_READ && request->op != DISK_FLUSH;

	// 5.2.6.2: a driver that cannot flush gets a write-through cache.
	if (!error && changes && !virtio_has_feature(&slot->blk->vdev, BLK_F_FLUSH))
		submit(slot, DISK_FLUSH);
	else
		complete(slot, status_of(error));
}

static void signal_batch(void *opaque)
{
	struct virtio_blk *blk = opaque;

	virtio_signal(&blk->vdev, request_queue(blk));
}

// -- the start of a request; each returns its status, or that it is in flight --

static void submit(struct blk_slot *slot, enum disk_op op)
{
	slot->request.op = op;
	slot->request.done = request_done;
	disk_submit(slot->blk->disk_queue, &slot->request);
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
	slot->in_count = iov_slice(slot->iov, chain->in_count, chain->in, chain->in_count, 0,
				   chain->in_bytes - 1);
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
	iov_from_buf(slot->iov, slot->in_count, 0, disk_info(slot->blk->disk)->id, ID_BYTES);
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

	if (!virtio_has_feature(&slot->blk->vdev, discard ? BLK_F_DISCARD : BLK_F_WRITE_ZEROES))
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
static struct blk_slot *take_slot(struct virtio_blk *blk, const struct virtqueue_chain *chain)
{
	const struct iovec *last = &chain->in[chain->in_count - 1];
	struct blk_slot *slot = blk->free_slots;

	blk->free_slots = slot->next_free;
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
	slot = take_slot(to_blk(vdev), chain);
	status = start_request(slot, chain);
	if (status != BLK_IN_FLIGHT)
		complete(slot, status);
	return true;
}

static void blk_notify(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_blk *blk = to_blk(vdev);

	virtio_take_chains(vdev, queue, take_chain);
	disk_kick(blk->disk_queue);
	signal_batch(blk);
}

static void free_slots(struct virtio_blk *blk)
{
	free(blk->slots);
	free(blk->iovs);
	free(blk->gpas);
	blk->slots = NULL;
	blk->iovs = NULL;
	blk->gpas = NULL;
	blk->free_slots = NULL;
}

static int blk_activate(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);
	size_t size = request_queue(blk)->ready ? request_queue(blk)->size : 0;

	if (!size)
		return 0;
	blk->slots = calloc(size, sizeof(*blk->slots));
	blk->iovs = calloc(size * size, sizeof(*blk->iovs));
	blk->gpas = calloc(size * size, sizeof(*blk->gpas));
	if (!blk->slots || !blk->iovs || !blk->gpas) {
		free_slots(blk);
		return -ENOMEM;
	}
	for (size_t i = 0; i < size; i++) {
		blk->slots[i].blk = blk;
		blk->slots[i].iov = &blk->iovs[i * size];
		blk->slots[i].in_gpa = &blk->gpas[i * size];
		free_slot(&blk->slots[i]);
	}
	return 0;
}

static void blk_reset(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	blk->dropping = true;
	disk_drain(blk->disk_queue);
	blk->dropping = false;
	free_slots(blk);
}

// -- register side --

static uint64_t blk_features(struct virtio_device *vdev)
{
	const struct disk_info *info = disk_info(to_blk(vdev)->disk);
	uint64_t features = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_TOPOLOGY | BLK_F_FLUSH;

	if (info->read_only)
		return features | BLK_F_RO;
	features |= BLK_F_WRITE_ZEROES;
	return info->can_discard ? features | BLK_F_DISCARD : features;
}

static void blk_config_read(struct virtio_device *vdev, uint32_t offset, void *data, unsigned len)
{
	memcpy(data, (const char *)&to_blk(vdev)->config + offset, len);
}

static void fill_config(struct virtio_blk *blk)
{
	const struct disk_info *info = disk_info(blk->disk);
	uint32_t physical_blocks = MAX(info->physical_block_bytes / info->block_bytes, 1u);
	uint16_t min_io_blocks = MIN(physical_blocks, (uint32_t)UINT16_MAX);

	blk->config = (struct blk_config){
		.capacity_sectors = info->size_bytes / SECTOR_BYTES,
		.seg_max = SEG_MAX,
		.blk_size = info->block_bytes,
		.physical_block_exp = __builtin_ctz(physical_blocks),
		.min_io_blocks = min_io_blocks,
		.opt_io_blocks = info->optimal_io_bytes / info->block_bytes,
		.num_queues = 1,
		.max_discard_sectors = MAX_DISCARD_SECTORS,
		.max_discard_seg = 1,
		.discard_sector_alignment = info->physical_block_bytes / SECTOR_BYTES,
		.max_write_zeroes_sectors = MAX_ZEROES_SECTORS,
		.max_write_zeroes_seg = 1,
		.write_zeroes_may_unmap = info->can_discard,
	};
}

// -- life --

struct attachment {
	struct virtio_blk *blk;
	int ret;
};

static void attach_disk(void *arg)
{
	struct attachment *attachment = arg;
	struct virtio_blk *blk = attachment->blk;
	struct disk_events events = { .batch_done = signal_batch, .opaque = blk };

	attachment->ret = disk_attach(blk->disk, blk->vdev.loop, events, &blk->disk_queue);
}

static void detach_disk(void *arg)
{
	disk_detach(arg);
}

static void blk_free(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	virtio_reset(vdev);
	loop_call(vdev->loop, detach_disk, blk->disk_queue);
	virtio_exit(vdev);
	disk_close(blk->disk);
	free(blk);
}

static const struct virtio_ops blk_ops = {
	.type = VIRTIO_TYPE_BLK,
	.name = "blk",
	.queue_count = 1,
	.queue_size_max = QUEUE_SIZE,
	.features = blk_features,
	.config_read = blk_config_read,
	.config_bytes = sizeof(struct blk_config),
	.activate = blk_activate,
	.reset = blk_reset,
	.notify = blk_notify,
	.free = blk_free,
};

static int blk_init(struct virtio_blk *blk, const char *name, struct memory *mem)
{
	struct attachment attachment = { .blk = blk };
	struct virtio_setup setup = { .name = name, .memory = mem };
	int ret = virtio_init(&blk->vdev, &blk_ops, &setup);

	if (ret)
		return ret;
	loop_call(blk->vdev.loop, attach_disk, &attachment);
	if (attachment.ret)
		virtio_exit(&blk->vdev);
	return attachment.ret;
}

int virtio_blk_create(struct virtio_device **vdev, const char *name, struct memory *mem,
		      struct disk *disk)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	int ret;

	if (!blk) {
		disk_close(disk);
		return fail(ENOMEM, "%s", name);
	}
	blk->disk = disk;
	fill_config(blk);
	ret = blk_init(blk, name, mem);
	if (ret) {
		disk_close(disk);
		free(blk);
		return ret;
	}
	*vdev = &blk->vdev;
	return 0;
}
