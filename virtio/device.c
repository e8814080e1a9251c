// SPDX-License-Identifier: GPL-2.0-or-later
// The status and feature state machine of every virtio device, and its interrupts
// (virtio 1.2 2.1, 2.2, 3.1).

#include <stdio.h>

#include "device-priv.h"

#define COMMON_FEATURES \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)
#define DRIVER_STATUS_BITS ((uint8_t)~VIRTIO_STATUS_NEEDS_RESET)

// -- life --

int virtio_init(struct virtio_device *vdev, const struct virtio_ops *ops,
		const struct virtio_setup *setup)
{
	int ret;

	*vdev = (struct virtio_device){
		.ops = ops,
		.memory = setup->memory,
		.queue_count = setup->queue_count ? setup->queue_count : ops->queue_count,
		.main_thread = pthread_self(),
	};
	snprintf(vdev->name, sizeof(vdev->name), "%s", setup->name);
	for (unsigned i = 0; i < vdev->queue_count; i++)
		vdev->queues[i].size_max = ops->queue_size_max;
	ret = virtio_loops_init(vdev, setup);
	if (ret)
		return ret;
	vdev->features_offered = COMMON_FEATURES | ops->features(vdev);
	if (setup->ring_features)
		vdev->features_offered &= setup->ring_features | ~COMMON_FEATURES;
	pthread_mutex_init(&vdev->irq_lock, NULL);
	return 0;
}

void virtio_limit_queue(struct virtio_device *vdev, unsigned queue, uint16_t size_max)
{
	vdev->queues[queue].size_max = size_max;
}

void virtio_exit(struct virtio_device *vdev)
{
	virtio_reset(vdev);
	virtio_loops_exit(vdev);
	pthread_mutex_destroy(&vdev->irq_lock);
}

// -- interrupts --

static void pulse(struct virtio_device *vdev)
{
	if (vdev->isr_grew)
		vdev->isr_grew(vdev->isr_opaque);
	irq_pulse(&vdev->irq);
}

// A level-triggered line is high while a bit of isr is set (4.2.2).
static void set_isr(struct virtio_device *vdev, uint32_t isr)
{
	uint32_t before = atomic_exchange(&vdev->isr, isr);

	if (!vdev->irq.edge && !isr != !before)
		irq_set(&vdev->irq, isr);
	else if (vdev->irq.edge && isr & ~before)
		pulse(vdev);
}

// While the driver has not acknowledged the last interrupt the line is high, or about to
// be, and nothing needs to be done: a driver acknowledges first and looks at the rings
// then, or it would miss interrupts in any case. It sees the news, since these come
// before the load here and its look comes after the change in virtio_ack(), with a full
// fence between on both sides.
static void raise_isr(struct virtio_device *vdev, uint32_t bits)
{
	__sync_synchronize();
	if ((atomic_load(&vdev->isr) & bits) == bits)
		return;
	pthread_mutex_lock(&vdev->irq_lock);
	// 3.1.1: no interrupt before DRIVER_OK.
	if (vdev->live)
		set_isr(vdev, atomic_load(&vdev->isr) | bits);
	pthread_mutex_unlock(&vdev->irq_lock);
}

// On an edge-triggered line an interrupt for a queue is a pulse and leaves nothing behind:
// InterruptStatus has its bit at all times, an acknowledgement of it changes nothing, and so
// the accelerator can take that without us (virtio/mmio.c). A driver that is told
// of used buffers that are not there finds none.
void virtio_interrupt(struct virtio_device *vdev)
{
	if (!vdev->irq.edge) {
		raise_isr(vdev, VIRTIO_ISR_QUEUE);
		return;
	}
	pthread_mutex_lock(&vdev->irq_lock);
	if (vdev->live)
		irq_pulse(&vdev->irq);
	pthread_mutex_unlock(&vdev->irq_lock);
}

uint32_t virtio_isr(struct virtio_device *vdev)
{
	return atomic_load(&vdev->isr) | (vdev->irq.edge ? VIRTIO_ISR_QUEUE : 0);
}

void virtio_ack(struct virtio_device *vdev, uint32_t bits)
{
	pthread_mutex_lock(&vdev->irq_lock);
	set_isr(vdev, atomic_load(&vdev->isr) & ~bits);
	pthread_mutex_unlock(&vdev->irq_lock);
	__sync_synchronize();
}

static void set_live(struct virtio_device *vdev, bool live)
{
	pthread_mutex_lock(&vdev->irq_lock);
	vdev->live = live;
	if (!live)
		set_isr(vdev, 0);
	pthread_mutex_unlock(&vdev->irq_lock);
}

bool virtio_signal(struct virtio_device *vdev, struct virtqueue *vq)
{
	bool wanted;

	virtqueue_flush(vq);
	wanted = virtqueue_should_interrupt(vq);
	if (wanted)
		virtio_interrupt(vdev);
	return wanted;
}

void virtio_config_changed(struct virtio_device *vdev)
{
	atomic_fetch_add(&vdev->config_generation, 1);
	raise_isr(vdev, VIRTIO_ISR_CONFIG);
}

void virtio_fail(struct virtio_device *vdev, const char *why)
{
	if (atomic_exchange(&vdev->needs_reset, true))
		return;
	warn_ratelimited(&vdev->fail_limit, "%s: stopped until the driver resets it: %s",
			 vdev->name, why);
	raise_isr(vdev, VIRTIO_ISR_CONFIG);
}

// -- features --

uint64_t virtio_features(const struct virtio_device *vdev)
{
	return vdev->features_offered;
}

void virtio_set_driver_features(struct virtio_device *vdev, uint64_t features)
{
	if (!(vdev->status & VIRTIO_STATUS_FEATURES_OK))
		vdev->features_driver = features;
}

// 2.2.2, 6.2
static bool features_acceptable(const struct virtio_device *vdev)
{
	return !(vdev->features_driver & ~vdev->features_offered) &&
	       vdev->features_driver & VIRTIO_F_VERSION_1;
}

// -- status --

static void start(struct virtio_device *vdev)
{
	const char *why_not;

	set_live(vdev, true);
	why_not = virtio_loops_start(vdev);
	vdev->active = !why_not;
	if (why_not)
		virtio_fail(vdev, why_not);
}

uint8_t virtio_status(const struct virtio_device *vdev)
{
	return vdev->status | (atomic_load(&vdev->needs_reset) ? VIRTIO_STATUS_NEEDS_RESET : 0);
}

void virtio_set_status(struct virtio_device *vdev, uint8_t status)
{
	uint8_t added = status & ~vdev->status & DRIVER_STATUS_BITS;

	if (!status) {
		virtio_reset(vdev);
		return;
	}
	if (added & VIRTIO_STATUS_FEATURES_OK && !features_acceptable(vdev))
		added &= ~VIRTIO_STATUS_FEATURES_OK;
	if (!((vdev->status | added) & VIRTIO_STATUS_FEATURES_OK))
		added &= ~VIRTIO_STATUS_DRIVER_OK;
	vdev->status |= added;
	if (added & VIRTIO_STATUS_DRIVER_OK)
		start(vdev);
}

static void forget_queue(struct virtqueue *vq)
{
	*vq = (struct virtqueue){ .size_max = vq->size_max };
}

void virtio_reset(struct virtio_device *vdev)
{
	if (vdev->active)
		virtio_loops_stop(vdev);
	vdev->active = false;
	vdev->status = 0;
	vdev->features_driver = 0;
	for (unsigned i = 0; i < vdev->queue_count; i++)
		forget_queue(&vdev->queues[i]);
	set_live(vdev, false);
	atomic_store(&vdev->needs_reset, false);
}

// -- queues --

struct virtqueue *virtio_queue(struct virtio_device *vdev, unsigned queue)
{
	return queue < vdev->queue_count ? &vdev->queues[queue] : NULL;
}

bool virtio_may_set_up_queues(const struct virtio_device *vdev)
{
	return (vdev->status & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)) ==
	       VIRTIO_STATUS_FEATURES_OK;
}
