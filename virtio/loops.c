// SPDX-License-Identifier: GPL-2.0-or-later
// Where a virtio device's queues run: its loops, and how notifications reach them.
//
// A notification is a bit in the mask of the queue's loop and one post, which all of
// the loop's queues share; queues on different loops have nothing in common. Under an
// accelerator that signals eventfds each queue has one, watched by its loop, which sees
// each signal as an edge and so need not read it back.

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device-priv.h"

#define DOORBELL_EVENTS (EPOLLIN | EPOLLET)

static void deliver_notifications(struct loop_post *post);

// -- life --

static int start_thread(struct virtio_loop *vl, unsigned index)
{
	char name[16]; // what a thread may have
	int ret = loop_init(&vl->own);

	if (ret)
		return ret;
	if (index)
		snprintf(name, sizeof(name), "%.12s/%u", vl->vdev->name, index % 100);
	else
		snprintf(name, sizeof(name), "%.15s", vl->vdev->name);
	ret = loop_start_thread(&vl->own, name);
	if (ret)
		loop_exit(&vl->own);
	return ret;
}

static void stop_threads(struct virtio_device *vdev, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		loop_stop_thread(&vdev->loops[i].own);
		loop_exit(&vdev->loops[i].own);
	}
}

static void assign_queues(struct virtio_device *vdev)
{
	for (unsigned i = 0; i < vdev->queue_count; i++) {
		unsigned index = vdev->ops->queue_loop ?
					 vdev->ops->queue_loop(vdev, i, vdev->loop_count) :
					 i % vdev->loop_count;

		vdev->queue_loop[i] = &vdev->loops[index];
		vdev->loops[index].queues |= 1u << i;
	}
}

int virtio_loops_init(struct virtio_device *vdev, const struct virtio_setup *setup)
{
	vdev->has_own_loops = !setup->main_loop;
	vdev->loop_count = setup->main_loop ? 1 : MIN(MAX(setup->threads, 1u), VIRTIO_MAX_LOOPS);
	for (unsigned i = 0; i < vdev->loop_count; i++) {
		struct virtio_loop *vl = &vdev->loops[i];
		int ret;

		vl->vdev = vdev;
		vl->notify_post.call = deliver_notifications;
		vl->loop = vdev->has_own_loops ? &vl->own : setup->main_loop;
		ret = vdev->has_own_loops ? start_thread(vl, i) : 0;
		if (ret) {
			stop_threads(vdev, i);
			return ret;
		}
	}
	vdev->loop = vdev->loops[0].loop;
	assign_queues(vdev);
	return 0;
}

void virtio_loops_exit(struct virtio_device *vdev)
{
	for (unsigned i = 0; i < vdev->queue_count; i++)
		virtio_close_doorbell(vdev, i);
	if (vdev->has_own_loops)
		stop_threads(vdev, vdev->loop_count);
	else
		loop_cancel_post(vdev->loop, &vdev->loops[0].notify_post);
}

// The main thread is the loop thread of a device without loops of its own; it must not
// wait for itself.
static void call_loop(struct virtio_loop *vl, void (*call)(void *arg), void *arg)
{
	struct virtio_device *vdev = vl->vdev;

	if (!vdev->has_own_loops && pthread_equal(pthread_self(), vdev->main_thread))
		call(arg);
	else
		loop_call(vl->loop, call, arg);
}

// -- start and stop --

static bool runs_queue(const struct virtio_loop *vl, unsigned queue)
{
	return vl->queues >> queue & 1;
}

static const char *start_rings(struct virtio_loop *vl)
{
	struct virtio_device *vdev = vl->vdev;

	for (unsigned i = 0; i < vdev->queue_count; i++) {
		struct virtqueue *vq = &vdev->queues[i];
		int ret;

		if (!runs_queue(vl, i) || !vq->ready)
			continue;
		ret = virtqueue_start(vq, vdev->memory, vdev->features_driver);
		if (ret)
			return ret == -ENOMEM ? "out of memory" :
						"a queue's size or addresses are not valid";
	}
	return NULL;
}

static int activate(struct virtio_loop *vl)
{
	struct virtio_device *vdev = vl->vdev;
	int ret;

	if (vl != &vdev->loops[0])
		return 0;
	ret = vdev->ops->activate ? vdev->ops->activate(vdev) : 0;
	vdev->activated = !ret;
	return ret;
}

static int start_queues(struct virtio_loop *vl)
{
	struct virtio_device *vdev = vl->vdev;
	int ret = 0;

	for (unsigned i = 0; i < vdev->queue_count && !ret; i++) {
		if (!runs_queue(vl, i) || !vdev->queues[i].ready)
			continue;
		ret = vdev->ops->start_queue ? vdev->ops->start_queue(vdev, i) : 0;
		if (!ret)
			vl->started |= 1u << i;
	}
	return ret;
}

struct loop_start {
	struct virtio_loop *vl;
	const char *why_not;
};

static void start_loop(void *arg)
{
	struct loop_start *start = arg;

	start->why_not = start_rings(start->vl);
	if (!start->why_not && (activate(start->vl) || start_queues(start->vl)))
		start->why_not = "it could not be started";
	start->vl->live = !start->why_not;
}

// Completions that come later find no queue; a notification that was posted finds
// none pending.
static void stop_loop(void *arg)
{
	struct virtio_loop *vl = arg;
	struct virtio_device *vdev = vl->vdev;

	vl->live = false;
	for (unsigned i = 0; i < vdev->queue_count; i++)
		if (vl->started >> i & 1 && vdev->ops->stop_queue)
			vdev->ops->stop_queue(vdev, i);
	vl->started = 0;
	if (vl == &vdev->loops[0] && vdev->activated) {
		vdev->activated = false;
		if (vdev->ops->reset)
			vdev->ops->reset(vdev);
	}
	for (unsigned i = 0; i < vdev->queue_count; i++)
		if (runs_queue(vl, i))
			virtqueue_stop(&vdev->queues[i]);
	atomic_store(&vl->pending_notify, 0);
}

static void stop_loops(struct virtio_device *vdev, unsigned count)
{
	while (count--)
		call_loop(&vdev->loops[count], stop_loop, &vdev->loops[count]);
}

static void post_notifications(struct virtio_loop *vl, uint32_t queues)
{
	// Who set the first bit posts for all that come before they are delivered.
	if (!atomic_fetch_or(&vl->pending_notify, queues))
		loop_post(vl->loop, &vl->notify_post);
}

const char *virtio_loops_start(struct virtio_device *vdev)
{
	for (unsigned i = 0; i < vdev->loop_count; i++) {
		struct loop_start start = { .vl = &vdev->loops[i] };

		call_loop(start.vl, start_loop, &start);
		if (start.why_not) {
			stop_loops(vdev, i + 1);
			return start.why_not;
		}
	}
	// Chains may have been offered before, when no notification was taken.
	for (unsigned i = 0; i < vdev->loop_count; i++)
		post_notifications(&vdev->loops[i], vdev->loops[i].queues);
	return NULL;
}

void virtio_loops_stop(struct virtio_device *vdev)
{
	stop_loops(vdev, vdev->loop_count);
}

// Whatever was asked of them meanwhile, by a driver or by others.
static void notify_all(struct virtio_device *vdev)
{
	for (unsigned i = 0; i < vdev->loop_count; i++) {
		struct virtio_loop *vl = &vdev->loops[i];

		atomic_fetch_or(&vl->pending_notify, vl->queues);
		loop_post(vl->loop, &vl->notify_post);
	}
}

// The main loop serves others as well: there notifications wait.
static void hold_on_main_loop(struct virtio_device *vdev, bool hold)
{
	bool was_held = vdev->held;

	vdev->held = hold;
	if (was_held && !hold)
		notify_all(vdev);
}

static void hold_own_loops(struct virtio_device *vdev, bool hold)
{
	for (unsigned i = 0; i < vdev->loop_count; i++) {
		unsigned index = (vdev->leading_loop + i) % vdev->loop_count;

		if (hold)
			loop_hold(vdev->loops[index].loop);
		else
			loop_release(vdev->loops[index].loop);
	}
}

static void hold_loops(struct virtio_device *vdev, bool hold)
{
	if (vdev->has_own_loops)
		hold_own_loops(vdev, hold);
	else
		hold_on_main_loop(vdev, hold);
}

void virtio_hold(struct virtio_device *vdev, bool hold)
{
	if (hold)
		hold_loops(vdev, true);
	if (vdev->ops->hold)
		vdev->ops->hold(vdev, hold);
	if (!hold)
		hold_loops(vdev, false);
}

// -- notifications --

void virtio_notify(struct virtio_device *vdev, unsigned queue)
{
	if (vdev->active && queue < vdev->queue_count)
		post_notifications(vdev->queue_loop[queue], 1u << queue);
}

// Nobody hears what comes before the device is live, or after its reset.
static void hear_notification(struct virtio_device *vdev, unsigned queue)
{
	if (vdev->queue_loop[queue]->live && vdev->queues[queue].started &&
	    !atomic_load(&vdev->needs_reset))
		vdev->ops->notify(vdev, queue);
}

static void deliver_notifications(struct loop_post *post)
{
	struct virtio_loop *vl = container_of(post, struct virtio_loop, notify_post);
	unsigned pending;

	if (vl->vdev->held)
		return; // with the bits set: virtio_hold() posts again
	pending = atomic_exchange(&vl->pending_notify, 0);
	for (; pending; pending &= pending - 1)
		hear_notification(vl->vdev, __builtin_ctz(pending));
}

static void doorbell_rang(struct loop_fd *event, uint32_t epoll_events)
{
	struct virtio_doorbell *doorbell = container_of(event, struct virtio_doorbell, event);

	if (!doorbell->vdev->held)
		hear_notification(doorbell->vdev, doorbell->queue);
}

static void watch_doorbell(void *arg)
{
	struct virtio_doorbell *doorbell = arg;
	struct loop *loop = virtio_queue_loop(doorbell->vdev, doorbell->queue);

	doorbell->open = !loop_add_fd(loop, &doorbell->event, DOORBELL_EVENTS);
}

int virtio_lend_doorbell(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_doorbell *doorbell = &vdev->doorbells[queue];

	if (!doorbell->open)
		return -1;
	loop_modify_fd(virtio_queue_loop(vdev, queue), &doorbell->event, 0);
	return doorbell->event.fd;
}

void virtio_return_doorbell(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_doorbell *doorbell = &vdev->doorbells[queue];

	if (doorbell->open)
		loop_modify_fd(virtio_queue_loop(vdev, queue), &doorbell->event, DOORBELL_EVENTS);
}

static void forget_doorbell(void *arg)
{
	struct virtio_doorbell *doorbell = arg;

	loop_remove_fd(virtio_queue_loop(doorbell->vdev, doorbell->queue), &doorbell->event);
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
	call_loop(vdev->queue_loop[queue], watch_doorbell, doorbell);
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
	call_loop(vdev->queue_loop[queue], forget_doorbell, doorbell);
	close(doorbell->event.fd);
}

void virtio_take_chains(struct virtio_device *vdev, unsigned queue,
			bool (*take)(struct virtio_device *vdev, unsigned queue,
				     struct virtqueue_chain *chain))
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
		if (got && !take(vdev, queue, &chain))
			return;
		if (!got && !virtqueue_enable_notify(vq))
			return;
	}
	post_notifications(vdev->queue_loop[queue], 1u << queue);
}
