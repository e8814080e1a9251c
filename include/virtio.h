// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio device: its status and feature state machine, and what a device model
// supplies (virtio 1.2 chapters 2 and 3).
//
// Two sides meet here. The *register side* (the transport) runs on vCPU threads
// under the transport's device lock. The *queue side* (the model) runs on the
// device's loop only, between activate and reset.
#ifndef KVIK_VIRTIO_H
#define KVIK_VIRTIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "irq.h"
#include "loop.h"
#include "util.h"
#include "virtqueue.h"

struct device;
struct memory;
struct virtio_device;

#define VIRTIO_MAX_QUEUES 8

// Device types (virtio 1.2 chapter 5).
enum { VIRTIO_TYPE_NET = 1, VIRTIO_TYPE_BLK = 2, VIRTIO_TYPE_CONSOLE = 3, VIRTIO_TYPE_RNG = 4 };

// Feature bits of every device (virtio 1.2 chapter 6).
#define VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIRTIO_F_EVENT_IDX (1ULL << 29)
#define VIRTIO_F_VERSION_1 (1ULL << 32)

struct virtio_ops {
	uint32_t type;
	const char *name;
	unsigned queue_count;
	uint16_t queue_size_max;
	// -- register side --
	// Device-specific feature bits; the common ones are added by virtio/device.c.
	uint64_t (*features)(struct virtio_device *vdev);
	// Copies of the configuration space; @offset + @len lie within config_bytes.
	// May be NULL when config_bytes is 0. write may be NULL: then it is read-only.
	void (*config_read)(struct virtio_device *vdev, uint32_t offset, void *data, unsigned len);
	void (*config_write)(struct virtio_device *vdev, uint32_t offset, const void *data,
			     unsigned len);
	uint32_t config_bytes;
	// -- queue side --
	// DRIVER_OK: queues are started, memory and loop may be used from now on.
	int (*activate)(struct virtio_device *vdev);
	// Stop: no request in flight and none taken from now on. After activate only.
	void (*reset)(struct virtio_device *vdev);
	// The driver notified @queue.
	void (*notify)(struct virtio_device *vdev, unsigned queue);
	// Frees the model; vCPUs joined, loop stopped.
	void (*free)(struct virtio_device *vdev);
};

// Embedded first in each model's struct.
struct virtio_device {
	const struct virtio_ops *ops;
	char name[24]; // for messages: "blk0"
	struct memory *memory;
	struct loop *loop;     // queue side
	struct loop own_loop;  // used when the model asked for a thread
	bool has_own_loop;
	struct virtqueue queues[VIRTIO_MAX_QUEUES];
	// Register side, guarded by the transport's device lock.
	uint64_t features_offered;
	uint64_t features_driver;
	uint8_t status;
	bool active;
	// Shared between the sides.
	atomic_uint isr;               // InterruptStatus bits
	atomic_uint config_generation;
	atomic_bool needs_reset;
	atomic_uint pending_notify;    // bit n: queue n
	struct loop_post notify_post;
	struct irq_line irq;
	pthread_mutex_t irq_lock;      // orders isr and line level; a leaf
};

// Fills in the common part. @loop NULL: the device gets a loop on a thread of its
// own, called after @name. Main thread.
int virtio_init(struct virtio_device *vdev, const struct virtio_ops *ops, const char *name,
		struct memory *mem, struct loop *loop) MUST_CHECK;
// Stops the loop thread, frees the queues; the model's free() calls it.
void virtio_exit(struct virtio_device *vdev);

// -- register side, used by transports --
uint64_t virtio_features(const struct virtio_device *vdev);
void virtio_set_driver_features(struct virtio_device *vdev, uint64_t features);
uint8_t virtio_status(const struct virtio_device *vdev);
// Status written by the driver: 0 resets, other bits only ever get set; FEATURES_OK
// and DRIVER_OK do their checks here (virtio 1.2 3.1.1).
void virtio_set_status(struct virtio_device *vdev, uint8_t status);
void virtio_reset(struct virtio_device *vdev);
void virtio_notify(struct virtio_device *vdev, unsigned queue); // doorbell
uint32_t virtio_isr(struct virtio_device *vdev);
void virtio_ack(struct virtio_device *vdev, uint32_t bits);

// -- queue side, used by models --
static inline bool virtio_has_feature(const struct virtio_device *vdev, uint64_t feature)
{
	return vdev->features_driver & feature;
}
// Interrupts the driver if it wants to know what was pushed to the queue.
void virtio_signal(struct virtio_device *vdev, struct virtqueue *vq);
// The configuration changed. Any thread.
void virtio_config_changed(struct virtio_device *vdev);
// The driver broke the rules: NEEDS_RESET, a configuration interrupt, one log
// line. The device does no more until it is reset.
void virtio_fail(struct virtio_device *vdev, const char *why);

// The MMIO transport (virtio 1.2 4.2, version 2). Takes ownership of @vdev, also
// on failure. @irq is connected by it. Main thread.
int virtio_mmio_create(struct device **dev, struct virtio_device *vdev, uint64_t base,
		       uint64_t size_bytes, struct irq_line irq) MUST_CHECK;
#define VIRTIO_MMIO_SIZE 0x200

#endif
