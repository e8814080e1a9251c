// SPDX-License-Identifier: GPL-2.0-or-later
// The block device (virtio 1.2 5.2) on a disk: what it says about itself, and its life.
// Each of its queues has a loop thread of its own.

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "blk-priv.h"
#include "io-stats.h"
#include "log.h"
#include "metrics.h"
#include "virtio-devices.h"

// -- register side --

static uint64_t blk_features(struct virtio_device *vdev)
{
	const struct disk_info *info = disk_info(to_blk(vdev)->disk);
	uint64_t features = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_TOPOLOGY | BLK_F_FLUSH;

	if (vdev->queue_count > 1)
		features |= BLK_F_MQ;
	if (info->read_only)
		return features | BLK_F_RO;
	features |= BLK_F_WRITE_ZEROES | BLK_F_CONFIG_WCE;
	return info->can_discard ? features | BLK_F_DISCARD : features;
}

// 5.2.5.2: 0 where the driver cannot flush.
static uint8_t writeback_field(struct virtio_blk *blk)
{
	uint64_t features = blk->vdev.features_driver;

	if (features & BLK_F_CONFIG_WCE && !(features & BLK_F_FLUSH))
		return 0;
	return atomic_load(&blk->writeback);
}

static void blk_config_read(struct virtio_device *vdev, uint32_t offset, void *data, unsigned len)
{
	struct virtio_blk *blk = to_blk(vdev);
	struct blk_config config = blk->config;

	config.writeback = writeback_field(blk);
	memcpy(data, (const char *)&config + offset, len);
}

// One field can be written, of one byte.
static void blk_config_write(struct virtio_device *vdev, uint32_t offset, const void *data,
			     unsigned len)
{
	uint8_t value = *(const uint8_t *)data;

	if (offset == offsetof(struct blk_config, writeback) && len == sizeof(value) &&
	    virtio_has_feature(vdev, BLK_F_CONFIG_WCE))
		atomic_store(&to_blk(vdev)->writeback, value & 1);
}

static void blk_reset(struct virtio_device *vdev)
{
	atomic_store(&to_blk(vdev)->writeback, true);
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
		.num_queues = info->queues,
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
	unsigned queue;
	int ret;
};

static void attach_disk(void *arg)
{
	struct attachment *attachment = arg;
	struct virtio_blk *blk = attachment->blk;
	struct blk_queue *queue = &blk->queues[attachment->queue];
	struct disk_events events = { .batch_done = blk_signal_batch, .opaque = queue };

	queue->blk = blk;
	queue->vq = &blk->vdev.queues[attachment->queue];
	attachment->ret = disk_attach(blk->disk, virtio_queue_loop(&blk->vdev, attachment->queue),
				      events, &queue->disk_queue);
}

static void detach_disk(void *arg)
{
	disk_detach(arg);
}

static void detach_queues(struct virtio_blk *blk, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		loop_call(virtio_queue_loop(&blk->vdev, i), detach_disk, blk->queues[i].disk_queue);
}

static int attach_queues(struct virtio_blk *blk)
{
	for (unsigned i = 0; i < blk->vdev.queue_count; i++) {
		struct attachment attachment = { .blk = blk, .queue = i };

		loop_call(virtio_queue_loop(&blk->vdev, i), attach_disk, &attachment);
		if (attachment.ret) {
			detach_queues(blk, i);
			return attachment.ret;
		}
	}
	return 0;
}

static void blk_free(struct virtio_device *vdev)
{
	struct virtio_blk *blk = to_blk(vdev);

	virtio_reset(vdev);
	detach_queues(blk, vdev->queue_count);
	virtio_exit(vdev);
	disk_close(blk->disk);
	free(blk);
}

static void blk_metrics(struct virtio_device *vdev, struct metric_sink *sink)
{
	struct io_totals totals = { 0 };

	disk_stats(to_blk(vdev)->disk, &totals);
	metric_put_io(sink, vdev->name, &totals);
}

static const struct virtio_ops blk_ops = {
	.type = VIRTIO_TYPE_BLK,
	.name = "blk",
	.queue_count = BLK_MAX_QUEUES,
	.queue_size_max = QUEUE_SIZE,
	.features = blk_features,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
	.config_bytes = sizeof(struct blk_config),
	.start_queue = blk_start_queue,
	.stop_queue = blk_stop_queue,
	.reset = blk_reset,
	.notify = blk_notify,
	.metrics = blk_metrics,
	.free = blk_free,
};

static int blk_init(struct virtio_blk *blk, const char *name, struct memory *mem)
{
	unsigned queues = disk_info(blk->disk)->queues;
	struct virtio_setup setup = {
		.name = name,
		.memory = mem,
		.threads = queues,
		.queue_count = queues,
	};
	int ret = virtio_init(&blk->vdev, &blk_ops, &setup);

	if (ret)
		return ret;
	ret = attach_queues(blk);
	if (ret)
		virtio_exit(&blk->vdev);
	return ret;
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
	blk->writeback = true;
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
