// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio device: its status and feature state machine, and what a device model
// supplies (virtio 1.2 chapters 2 and 3).
//
// Two sides meet here. The *register side* (the transport) runs on vCPU threads
// under the transport's device lock. The *queue side* (the model) runs on the
// device's loops only, between activate and reset: each queue on one loop, always
// the same, so that a queue and what belongs to it need no lock.
#ifndef KVIK_VIRTIO_H
#define KVIK_VIRTIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "irq.h"
#include "log.h"
#include "loop.h"
#include "util.h"
#include "virtqueue.h"

struct device;
struct memory;
struct metric_sink;
struct virtio_device;

#define VIRTIO_MAX_QUEUES 17 // eight pairs of network queues and one for control
#define VIRTIO_MAX_LOOPS 8U

// Device types (virtio 1.2 chapter 5).
enum {
	VIRTIO_TYPE_NET = 1,
	VIRTIO_TYPE_BLK = 2,
	VIRTIO_TYPE_CONSOLE = 3,
	VIRTIO_TYPE_RNG = 4,
	VIRTIO_TYPE_BALLOON = 5,
	VIRTIO_TYPE_INPUT = 18
};

// Device status bits (virtio 1.2 2.1).
#define VIRTIO_STATUS_ACKNOWLEDGE 1
#define VIRTIO_STATUS_DRIVER 2
#define VIRTIO_STATUS_DRIVER_OK 4
#define VIRTIO_STATUS_FEATURES_OK 8
#define VIRTIO_STATUS_NEEDS_RESET 64
#define VIRTIO_STATUS_FAILED 128

// Bits of the interrupt status (virtio 1.2 4.2.2).
#define VIRTIO_ISR_QUEUE 1
#define VIRTIO_ISR_CONFIG 2

// Feature bits of every device (virtio 1.2 chapter 6).
#define VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIRTIO_F_EVENT_IDX (1ULL << 29)
#define VIRTIO_F_VERSION_1 (1ULL << 32)
#define VIRTIO_F_RING_PACKED (1ULL << 34)

struct virtio_ops {
	uint32_t type;
	const char *name;
	unsigned queue_count;    // at most
	uint16_t queue_size_max; // of each; see virtio_limit_queue()
	// -- register side --
	// Device-specific feature bits; the common ones are added by virtio/device.c.
	uint64_t (*features)(struct virtio_device *vdev);
	// Copies of the configuration space; @offset + @len lie within config_bytes.
	// May be NULL when config_bytes is 0. write may be NULL: then it is read-only.
	void (*config_read)(struct virtio_device *vdev, uint32_t offset, void *data, unsigned len);
	void (*config_write)(struct virtio_device *vdev, uint32_t offset, const void *data,
			     unsigned len);
	uint32_t config_bytes;
	// Which of the device's @loops runs @queue, from 0; NULL: @queue % @loops. For
	// virtio_init().
	unsigned (*queue_loop)(const struct virtio_device *vdev, unsigned queue, unsigned loops);
	// -- queue side --
	// DRIVER_OK: memory and loops may be used from now on. On the first loop, whose
	// queues are started, and before the other loops hear of it. May be NULL.
	int (*activate)(struct virtio_device *vdev);
	// The driver uses @queue. On the queue's loop, after activate. May be NULL.
	int (*start_queue)(struct virtio_device *vdev, unsigned queue);
	// Undoes start_queue, also where another one failed: no request of the queue is
	// in flight and none is taken from now on. On the queue's loop. May be NULL.
	void (*stop_queue)(struct virtio_device *vdev, unsigned queue);
	// Undoes activate: nothing is in flight from now on. On the first loop, when every
	// queue has been stopped. May be NULL.
	void (*reset)(struct virtio_device *vdev);
	// The driver notified @queue. On the queue's loop.
	void (*notify)(struct virtio_device *vdev, unsigned queue);
	// Makes what serves its queues beside its loops stand still, or go on; doing so twice
	// does no harm. Main thread, vCPUs stopped, its loops standing still; of those that go
	// on every queue is notified. NULL: nothing does.
	void (*hold)(struct virtio_device *vdev, bool hold);
	// Another guest comes: what somebody outside knows of the one before is to be forgotten.
	// Register side, main thread, reset already. NULL: nobody knows anything.
	void (*forget)(struct virtio_device *vdev);
	// Tells what the device has counted, on the main thread at any time; NULL: nothing.
	void (*metrics)(struct virtio_device *vdev, struct metric_sink *sink);
	// Frees the model; vCPUs joined.
	void (*free)(struct virtio_device *vdev);
};

// Where a notification comes as a signal, without the vCPU's leaving its guest.
struct virtio_doorbell {
	struct loop_fd event; // an eventfd
	struct virtio_device *vdev;
	unsigned queue;
	bool open;
};

// A loop that runs some of the device's queues.
struct virtio_loop {
	struct virtio_device *vdev;
	struct loop *loop; // &own or the main loop
	struct loop own;
	uint32_t queues;            // bit n: runs queue n; never changes
	atomic_uint pending_notify; // bit n: queue n
	struct loop_post notify_post;
	// Queue side.
	bool live;                    // between start and stop
	uint32_t started;             // bit n: start_queue was called
	char apart[CACHE_LINE_BYTES]; // as struct virtqueue
};

// Embedded first in each model's struct.
struct virtio_device {
	const struct virtio_ops *ops;
	char name[24]; // for messages: "blk0"
	struct memory *memory;
	unsigned queue_count;
	struct virtqueue queues[VIRTIO_MAX_QUEUES];
	struct virtio_loop *queue_loop[VIRTIO_MAX_QUEUES];
	struct virtio_doorbell doorbells[VIRTIO_MAX_QUEUES];
	struct loop *loop; // the first of loops[]
	bool has_own_loops;
	unsigned loop_count;
	struct virtio_loop loops[VIRTIO_MAX_LOOPS];
	pthread_t main_thread; // runs the loop when that is not the device's own
	bool held;             // by virtio_hold(); of the main loop's devices, main thread
	// Register side, guarded by the transport's device lock.
	uint64_t features_offered;
	uint64_t features_driver;
	uint8_t status;
	bool active;
	bool activated; // queue side, first loop: between activate and reset
	// Index of the loop that may wait for the others, set by activate: it stands still first.
	unsigned leading_loop;
	// Shared between the sides.
	atomic_uint isr; // InterruptStatus bits; of an edge-triggered line's without the queues'
	atomic_uint config_generation;
	atomic_bool needs_reset;
	struct log_ratelimit fail_limit;
	struct irq_line irq;
	pthread_mutex_t irq_lock; // orders isr and line level; above the irqchip only
	// The transport's: InterruptStatus on an edge-triggered line has a bit more, of which
	// the driver hears next. irq_lock is held. NULL: it need not know.
	void (*isr_grew)(void *opaque);
	void *isr_opaque;
	bool live; // DRIVER_OK: may interrupt; guarded by irq_lock
};

// How an instance differs from others of its type.
struct virtio_setup {
	const char *name; // for messages and threads; copied
	struct memory *memory;
	struct loop *main_loop; // runs all queues; NULL: the device has loops of its own
	unsigned threads;       // how many, each on a thread; 0 stands for 1
	unsigned queue_count;   // 0: as many as the ops allow
	// Which of the features of every device (above) who else reads the rings knows; 0: all.
	uint64_t ring_features;
};

// Fills in the common part, starts the loops' threads and asks the model for its
// features. On failure there is nothing to undo. Main thread.
int virtio_init(struct virtio_device *vdev, const struct virtio_ops *ops,
		const struct virtio_setup *setup) MUST_CHECK;
// Makes a queue smaller than the ops say. After virtio_init(), before the guest runs.
void virtio_limit_queue(struct virtio_device *vdev, unsigned queue, uint16_t size_max);
// Resets the device, stops its loops' threads, frees the queues; the model's free()
// calls it. Main thread.
void virtio_exit(struct virtio_device *vdev);
// The loop that runs @queue. Any thread.
static inline struct loop *virtio_queue_loop(const struct virtio_device *vdev, unsigned queue)
{
	return vdev->queue_loop[queue]->loop;
}

// Makes the device's threads stand still, or go on; no reset and no exit in between. On
// the main loop, which goes on, nothing is notified meanwhile. Main thread, vCPUs stopped.
void virtio_hold(struct virtio_device *vdev, bool hold);

// -- register side, used by transports --
uint64_t virtio_features(const struct virtio_device *vdev);
void virtio_set_driver_features(struct virtio_device *vdev, uint64_t features);
uint8_t virtio_status(const struct virtio_device *vdev);
// Status written by the driver: 0 resets, other bits only ever get set; FEATURES_OK
// and DRIVER_OK do their checks here (virtio 1.2 3.1.1).
void virtio_set_status(struct virtio_device *vdev, uint8_t status);
// Also for the main thread while the vCPUs are stopped. Waits for requests in flight.
void virtio_reset(struct virtio_device *vdev);
// NULL beyond the last queue.
struct virtqueue *virtio_queue(struct virtio_device *vdev, unsigned queue);
// True between FEATURES_OK and DRIVER_OK: only then may queues be set up.
bool virtio_may_set_up_queues(const struct virtio_device *vdev);
void virtio_notify(struct virtio_device *vdev, unsigned queue); // doorbell
// Makes an eventfd whose signal is as good as virtio_notify(). Returns it, owned by the
// device, or -errno after a message. Main thread, vCPUs stopped.
int virtio_open_doorbell(struct virtio_device *vdev, unsigned queue) MUST_CHECK;
void virtio_close_doorbell(struct virtio_device *vdev, unsigned queue);
uint32_t virtio_isr(struct virtio_device *vdev);
void virtio_ack(struct virtio_device *vdev, uint32_t bits);

// -- queue side, used by models; what takes a queue: on the queue's loop --
static inline bool virtio_has_feature(const struct virtio_device *vdev, uint64_t feature)
{
	return vdev->features_driver & feature;
}
// Whether a device on the main loop may touch its queues when no notification asks it to;
// if not, notify() or a reset comes when it may.
static inline bool virtio_may_use_queues(const struct virtio_device *vdev)
{
	return vdev->activated && !vdev->held && !atomic_load(&vdev->needs_reset);
}
// Pops every chain that the driver offers, with notifications off meanwhile, and
// hands it to @take, until that returns false: then notifications stay off, and the
// model calls this again when it can go on. At most a queue full in one go: what is
// left is taken in a later turn of the loop, so that no driver can keep it busy.
void virtio_take_chains(struct virtio_device *vdev, unsigned queue,
			bool (*take)(struct virtio_device *vdev, unsigned queue,
				     struct virtqueue_chain *chain));
// Flushes the queue, and interrupts the driver if it wants to know what was pushed; returns
// whether it did. The interrupt is for all queues: the driver looks at each.
bool virtio_signal(struct virtio_device *vdev, struct virtqueue *vq);
// Interrupts the driver for what somebody else pushed. Any thread.
void virtio_interrupt(struct virtio_device *vdev);
// Whether the accelerator signals what the driver notifies of, so that the vCPU need not leave
// its guest for it: then all that makes it leave is dear.
static inline bool virtio_has_doorbell(const struct virtio_device *vdev, unsigned queue)
{
	return vdev->doorbells[queue].open;
}
// Lends the queue's doorbell to somebody else, who polls it from now on in place of
// notify(): its eventfd, or -1 where the accelerator signals none.
int virtio_lend_doorbell(struct virtio_device *vdev, unsigned queue);
void virtio_return_doorbell(struct virtio_device *vdev, unsigned queue);
// The configuration changed. Any thread.
void virtio_config_changed(struct virtio_device *vdev);
// The driver broke the rules, or the device cannot go on: NEEDS_RESET, a
// configuration interrupt, one log line with @why. It takes nothing more until it is
// reset. Any thread.
void virtio_fail(struct virtio_device *vdev, const char *why);

// The MMIO transport (virtio 1.2 4.2, version 2). Takes ownership of @vdev, also
// on failure. @irq is connected by it. Main thread.
int virtio_mmio_create(struct device **dev, struct virtio_device *vdev, uint64_t base,
		       uint64_t size_bytes, struct irq_line irq) MUST_CHECK;
#define VIRTIO_MMIO_SIZE 0x200

#endif
