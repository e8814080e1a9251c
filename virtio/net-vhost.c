// SPDX-License-Identifier: GPL-2.0-or-later
// Pairs of queues that the host's kernel serves (vhost): kvik only starts and stops them and
// carries interrupts.
//
// The driver's doorbell goes to the kernel without kvik where the accelerator signals an
// eventfd for it; else notify() hands it on. An interrupt goes to the guest without kvik where
// its line is edge-triggered; else InterruptStatus must be set, which says what it is for
// (virtio 1.2 4.2.2). Each signal on an eventfd is an edge for the loop, which so need not read
// it back.

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net-priv.h"

static struct net_vhost_ring *ring_of(struct net_pair *pair, unsigned queue)
{
	return &pair->vhost.rings[queue % 2];
}

static unsigned queue_of(const struct net_pair *pair, unsigned ring)
{
	return 2 * pair->index + ring;
}

// -- what the kernel tells --

static void on_call(struct loop_fd *event, uint32_t epoll_events)
{
	struct net_pair *pair = container_of(event, struct net_pair, vhost.call);

	virtio_interrupt(&pair->net->vdev);
}

// The kernel would try again with every notification.
static void on_error(struct loop_fd *event, uint32_t epoll_events)
{
	struct net_pair *pair = container_of(event, struct net_pair, vhost.error);

	virtio_fail(&pair->net->vdev, "the host's kernel (vhost-net) found a queue broken");
	for (unsigned i = 0; i < ARRAY_SIZE(pair->vhost.rings); i++)
		net_vhost_stop(pair, queue_of(pair, i));
}

// -- eventfds --

static int open_event(const struct net_pair *pair, int *fd)
{
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return *fd < 0 ? fail(errno, "%s: eventfd", pair->net->vdev.name) : 0;
}

static int watch_event(const struct net_pair *pair, struct loop_fd *event)
{
	int err = open_event(pair, &event->fd);

	if (!err && loop_add_fd(pair->loop, event, EPOLLIN | EPOLLET)) {
		close(event->fd);
		event->fd = -1;
		err = -ENOMEM; // told by loop_add_fd()
	}
	return err;
}

static void forget_event(const struct net_pair *pair, struct loop_fd *event, bool watched)
{
	if (event->fd < 0)
		return;
	if (watched)
		loop_remove_fd(pair->loop, event);
	close(event->fd);
}

int net_vhost_attach(struct net_pair *pair)
{
	struct net_vhost *vhost = &pair->vhost;
	int err;

	*vhost = (struct net_vhost){
		.call = { .fd = -1, .ready = on_call },
		.error = { .fd = -1, .ready = on_error },
		.rings = { { .own_kick_fd = -1 }, { .own_kick_fd = -1 } },
	};
	err = watch_event(pair, &vhost->call);
	if (!err)
		err = watch_event(pair, &vhost->error);
	for (unsigned i = 0; i < ARRAY_SIZE(vhost->rings) && !err; i++)
		err = open_event(pair, &vhost->rings[i].own_kick_fd);
	if (err)
		net_vhost_detach(pair);
	return err;
}

void net_vhost_detach(struct net_pair *pair)
{
	struct net_vhost *vhost = &pair->vhost;

	forget_event(pair, &vhost->call, !vhost->calls_kernel);
	forget_event(pair, &vhost->error, true);
	for (unsigned i = 0; i < ARRAY_SIZE(vhost->rings); i++)
		if (vhost->rings[i].own_kick_fd >= 0)
			close(vhost->rings[i].own_kick_fd);
}

// -- start and stop --

// From the first start on: before it the device had no line yet.
static void let_kernel_interrupt(struct net_pair *pair)
{
	struct net_vhost *vhost = &pair->vhost;

	if (vhost->calls_kernel || irq_pulse_by(&pair->net->vdev.irq, vhost->call.fd))
		return;
	loop_remove_fd(pair->loop, &vhost->call);
	vhost->calls_kernel = true;
}

int net_vhost_start(struct net_pair *pair, unsigned queue)
{
	struct virtio_device *vdev = &pair->net->vdev;
	const struct virtqueue *vq = &vdev->queues[queue];
	struct net_vhost_ring *ring = ring_of(pair, queue);
	int doorbell_fd = virtio_lend_doorbell(vdev, queue), err;

	ring->ring = (struct net_ring){
		.size = vq->size,
		.desc = vq->split.desc,
		.avail = vq->split.avail,
		.used = vq->split.used,
		.kick_fd = doorbell_fd >= 0 ? doorbell_fd : ring->own_kick_fd,
		.call_fd = pair->vhost.call.fd,
		.error_fd = pair->vhost.error.fd,
	};
	let_kernel_interrupt(pair);
	err = net_start_ring(pair->net->net, queue, &ring->ring);
	ring->running = !err;
	if (err)
		virtio_return_doorbell(vdev, queue);
	return err;
}

void net_vhost_stop(struct net_pair *pair, unsigned queue)
{
	struct net_vhost_ring *ring = ring_of(pair, queue);

	if (!ring->running)
		return;
	net_stop_ring(pair->net->net, queue, &ring->ring);
	virtio_return_doorbell(&pair->net->vdev, queue);
	ring->running = false;
}

// One that is full is one that the kernel will see.
void net_vhost_notified(struct net_pair *pair, unsigned queue)
{
	const struct net_vhost_ring *ring = ring_of(pair, queue);

	if (ring->running)
		(void)!eventfd_write(ring->ring.kick_fd, 1);
}

// -- hold --

static void hold_ring(struct net_pair *pair, unsigned queue)
{
	struct net_vhost_ring *ring = ring_of(pair, queue);

	if (!ring->running || ring->held)
		return;
	net_stop_ring(pair->net->net, queue, &ring->ring);
	ring->held = true;
}

// From where it was; what the driver or the interface has for it came unheard, perhaps.
static void release_ring(struct net_pair *pair, unsigned queue)
{
	struct net_vhost_ring *ring = ring_of(pair, queue);

	if (!ring->held)
		return;
	ring->held = false;
	ring->running = !net_start_ring(pair->net->net, queue, &ring->ring);
	net_vhost_notified(pair, queue);
	if (ring->running)
		return;
	virtio_return_doorbell(&pair->net->vdev, queue);
	virtio_fail(&pair->net->vdev, "a queue could not be started again");
}

void net_vhost_hold(struct net_pair *pair, bool hold)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pair->vhost.rings); i++) {
		if (hold)
			hold_ring(pair, queue_of(pair, i));
		else
			release_ring(pair, queue_of(pair, i));
	}
}
