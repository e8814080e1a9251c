// SPDX-License-Identifier: GPL-2.0-or-later
// What the two halves of the block device share: the device and its queues.
#ifndef KVIK_BLK_PRIV_H
#define KVIK_BLK_PRIV_H

#include <assert.h>
#include <stdatomic.h>

#include "blk-pace.h"
#include "disk.h"
#include "virtio.h"

#define SECTOR_BYTES 512 // the protocol's unit, whatever blk_size says (5.2.4)
#define BLK_MAX_QUEUES VIRTIO_MAX_LOOPS

// As many segments as a guest has in 1 MiB, so that this is one request, and more.
#define QUEUE_SIZE 512

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
#define BLK_F_CONFIG_WCE (1ULL << 11)
#define BLK_F_MQ (1ULL << 12)
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

struct blk_slot;
struct virtio_blk;

// All of it is the queue's loop's.
struct blk_queue {
	struct virtio_blk *blk;
	struct virtqueue *vq;
	struct disk_queue *disk_queue;
	// From start to stop.
	struct blk_slot *slots;
	struct iovec *iovs;
	uint64_t *gpas;
	struct blk_slot *free_slots;
	unsigned slots_used; // those behind were never used, and cost no memory
	struct blk_pace pace;
	unsigned taken; // in this round
	bool dropping;  // being stopped: what completes is not told to the driver
};

struct virtio_blk {
	struct virtio_device vdev;
	struct disk *disk;
	struct blk_config config; // but for the field below
	atomic_bool writeback;    // the driver's wish (5.2.6.2)
	struct blk_queue queues[BLK_MAX_QUEUES];
};

static inline struct virtio_blk *to_blk(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_blk, vdev);
}

// The requests of a queue; the queue's operations in struct virtio_ops.
int blk_start_queue(struct virtio_device *vdev, unsigned queue);
void blk_stop_queue(struct virtio_device *vdev, unsigned queue);
void blk_notify(struct virtio_device *vdev, unsigned queue);
// After a round of completions; @opaque is the struct blk_queue.
void blk_signal_batch(void *opaque);

#endif
