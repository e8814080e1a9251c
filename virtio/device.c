// SPDX-License-Identifier: GPL-2.0-or-later
// The status and feature state machine of every virtio device, and the meeting of
// its register side with its queue side (virtio 1.2 2.1, 2.2, 3.1).

#include "virtio.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COMMON_FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)
#define DRIVER_STATUS_BITS ((uint8_t)~VIRTIO_STATUS_NEEDS_RESET)

static void deliver_notifications(struct loop_post *post);

// -- life --

static int start_own_loop(struct virtio_device *vdev)
{
	int ret = loop_init(&vdev->own_loop);

	if (ret)
		return ret;
	ret = loop_start_thread(&vdev->own_loop, vdev->name);
	if (ret) {
		loop_exit(&vdev->own_loop);
		return ret;
	}
	vdev->has_own_loop = true;
	vdev->loop = &vdev->own_loop;
	return 0;
}

int virtio_init(struct virtio_device *vdev, const struct virtio_ops *ops, const char *name,
		struct memory *mem, struct loop *loop)
{
	int ret;

	*vdev = (struct virtio_device){
		.ops = ops,
		.memory = mem,
		.loop = loop,
		.main_thread = pthread_self(),
		.notify_post.call = deliver_notifications,
	};
	snprintf(vdev->name, sizeof(vdev->name), "%s", name);
	vdev->features_offered = COMMON_FEATURES | ops->features(vdev);
	for (unsigned i = 0; i < ops->queue_count; i++)
		vdev->queues[i].size_max = ops->queue_size_max;
	ret = loop ? 0 : start_own_loop(vdev);
	if (ret)
		return ret;
	pthread_mutex_init(&vdev->irq_lock, NULL);
	return 0;
}

void virtio_exit(struct virtio_device *vdev)
{
	virtio_reset(vdev);
	for (unsigned i = 0; i < vdev->ops->queue_count; i++)
		virtio_close_doorbell(vdev, i);
	if (vdev->has_own_loop) {
		loop_stop_thread(&vdev->own_loop);
		loop_exit(&vdev->own_loop);
	}
	pthread_mutex_destroy(&vdev->irq_lock);
}

// The main thread is the loop thread of a device without a loop of its own; it
// must not wait for itself.
static void call_queue_side(struct virtio_device *vdev, void (*call)(void *arg), void *arg)
{
	if (!vdev->has_own_loop && pthread_equal(pthread_self(), vdev->main_thread))
		call(arg);
	else
		loop_call(vdev->loop, call, arg);
}

// -- interrupts --

// The line is level-triggered: high while a bit of isr is set (4.2.2).
static void set_isr(struct virtio_device *vdev, uint32_t isr)
{
	uint32_t before = atomic_exchange(&vdev->isr, isr);

	if (!isr != !before)
		irq_set(&vdev->irq, isr);
}

static void raise_isr(struct virtio_device *vdev, uint32_t bits)
{
	pthread_mutex_lock(&vdev->irq_lock);
	// 3.1.1: no interrupt before DRIVER_OK.
	if (vdev->live)
		set_isr(vdev, atomic_load(&vdev->isr) | bits);
	pthread_mutex_unlock(&vdev->irq_lock);
}

uint32_t virtio_isr(struct virtio_device *vdev)
{
	return atomic_load(&vdev->isr);
}

void virtio_ack(struct virtio_device *vdev, uint32_t bits)
{
	pthread_mutex_lock(&vdev->irq_lock);
	set_isr(vdev, atomic_load(&vdev->isr) & ~bits);
	pthread_mutex_unlock(&vdev->irq_lock);
}

static void set_live(struct virtio_device *vdev, bool live)
{
	pthread_mutex_lock(&vdev->irq_lock);
	vdev->live = live;
	if (!live)
		set_isr(vdev, 0);
	pthread_mutex_unlock(&vdev->irq_lock);
}

void virtio_signal(struct virtio_device *vdev, struct virtqueue *vq)
{
	if (virtqueue_should_interrupt(vq))
		raise_isr(vdev, VIRTIO_ISR_QUEUE);
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

static void stop_queues(struct virtio_device *vdev)
{
	for (unsigned i = 0; i < vdev->ops->queue_count; i++)
		virtqueue_stop(&vdev->queues[i]);
}

static int start_queues(struct virtio_device *vdev)
{
	for (unsigned i = 0; i < vdev->ops->queue_count; i++) {
		struct virtqueue *vq = &vdev->queues[i];
		int ret = vq->ready ? virtqueue_start(vq, vdev->memory, vdev->features_driver) : 0;

		if (ret) {
			stop_queues(vdev);
			return ret;
		}
	}
	return 0;
}

struct activation {
	struct virtio_device *vdev;
	int ret;
};

static void activate(void *arg)
{
	struct activation *activation = arg;
	struct virtio_device *vdev = activation->vdev;

	if (vdev->ops->activate)
		activation->ret = vdev->ops->activate(vdev);
	vdev->queues_live = !activation->ret;
}

static void start(struct virtio_device *vdev)
{
	struct activation activation = { .vdev = vdev };
	int ret = start_queues(vdev);

	set_live(vdev, true);
	if (ret) {
		virtio_fail(vdev, ret == -ENOMEM ? "out of memory" :
						   "a queue's size or addresses are not valid");
		return;
	}
	call_queue_side(vdev, activate, &activation);
	if (activation.ret) {
		stop_queues(vdev);
		virtio_fail(vdev, "it could not be started");
		return;
	}
	vdev->active = true;
	// Chains may have been offered before, when no notification was taken.
	atomic_store(&vdev->pending_notify, (1u << vdev->ops->queue_count) - 1);
	loop_post(vdev->loop, &vdev->notify_post);
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

// Completions that come later find no queue; a notification that was posted finds
// none pending.
static void deactivate(void *arg)
{
	struct virtio_device *vdev = arg;

	vdev->queues_live = false;
	if (vdev->ops->reset)
		vdev->ops->reset(vdev);
	stop_queues(vdev);
	atomic_store(&vdev->pending_notify, 0);
}

void virtio_reset(struct virtio_device *vdev)
{
	if (vdev->active)
		call_queue_side(vdev, deactivate, vdev);
	vdev->active = false;
	vdev->status = 0;
	vdev->features_driver = 0;
	for (unsigned i = 0; i < vdev->ops->queue_count; i++)
		vdev->queues[i] = (struct virtqueue){ .size_max = vdev->ops->queue_size_max };
	set_live(vdev, false);
	atomic_store(&vdev->needs_reset, false);
}

// -- queues --

struct virtqueue *virtio_queue(struct virtio_device *vdev, unsigned queue)
{
	return queue < vdev->ops->queue_count ? &vdev->queues[queue] : NULL;
}

bool virtio_may_set_up_queues(const struct virtio_device *vdev)
{
	return (vdev->status & (VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)) ==
	       VIRTIO_STATUS_FEATURES_OK;
}

static void post_notification(struct virtio_device *vdev, unsigned queue)
{
	atomic_fetch_or(&vdev->pending_notify, 1u << queue);
	loop_post(vdev->loop, &vdev->notify_post);
}

void virtio_notify(struct virtio_device *vdev, unsigned queue)
{
	if (vdev->active && queue < vdev->ops->queue_count)
		post_notification(vdev, queue);
}

static void deliver_notifications(struct loop_post *post)
{
	struct virtio_device *vdev = container_of(post, struct virtio_device, notify_post);
	unsigned pending = atomic_exchange(&vdev->pending_notify, 0);

	for (unsigned i = 0; i < vdev->ops->queue_count; i++)
		if (pending & 1u << i && vdev->queues[i].desc && !atomic_load(&vdev->needs_reset))
			vdev->ops->notify(vdev, i);
}

// A doorbell may ring before the device is live, or after its reset: then nobody hears.
static void doorbell_rang(struct loop_fd *event, uint32_t epoll_events)
{
	struct virtio_doorbell *doorbell = container_of(event, struct virtio_doorbell, event);
	struct virtio_device *vdev = doorbell->vdev;
	uint64_t rings;

	if (read(event->fd, &rings, sizeof(rings)) == sizeof(rings) && vdev->queues_live &&
	    !atomic_load(&vdev->needs_reset) && vdev->queues[doorbell->queue].desc)
		vdev->ops->notify(vdev, doorbell->queue);
}

static void watch_doorbell(void *arg)
{
	struct virtio_doorbell *doorbell = arg;

	doorbell->open = !loop_add_fd(doorbell->vdev->loop, &doorbell->event, EPOLLIN);
}

static void forget_doorbell(void *arg)
{
	struct virtio_doorbell *doorbell = arg;

	loop_remove_fd(doorbell->vdev->loop, &doorbell->event);
	doorbell->open = false;
}

int virtio_open_doorbell(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_doorbell *doorbell = &vdev->doorbells[queue];
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return fail(errno, "%s: eventfd", vdev->name);
	*doorbell = (struct virtio_doorbell){
		.event = { .fd = fd, .ready = doorbell_rang },
		.vdev = vdev,
		.queue = queue,
	};
	call_queue_side(vdev, watch_doorbell, doorbell);
	if (doorbell->open)
		return fd;
	close(fd);
	return -ENOMEM; // told by loop_add_fd()
}

void virtio_close_doorbell(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_doorbell *doorbell = &vdev->doorbells[queue];

	if (!doorbell->open)
		return;
	call_queue_side(vdev, forget_doorbell, doorbell);
	close(doorbell->event.fd);
}

void virtio_take_chains(struct virtio_device *vdev, unsigned queue,
			bool (*take)(struct virtio_device *vdev, struct virtqueue_chain *chain))
{
	struct virtqueue *vq = &vdev->queues[queue];
	struct virtqueue_chain chain;

	if (atomic_load(&vdev->needs_reset))
		return;
	virtqueue_disable_notify(vq);
	for (unsigned turns = vq->size; turns; turns--) {
		int got = virtqueue_pop(vq, &chain);

		if (got < 0) {
			virtio_fail(vdev, vq->why_broken);
			return;
		}
		if (got && !take(vdev, &chain))
			return;
		if (!got && !virtqueue_enable_notify(vq))
			return;
	}
	post_notification(vdev, queue);
}
