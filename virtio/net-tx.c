// SPDX-License-Identifier: GPL-2.0-or-later
// The transmit side of the network device (virtio 1.2 5.1.6.2).
//
// A chain is one frame, which goes to the backend from where it lies. When the backend
// has no room the chain stays where it is, and those behind it in the ring.
//
// Who sends little mostly waits for an answer: the driver sees at once that a small frame is
// done, if it looks, but is interrupted for it only with what is received next, with the next
// frame sent, or when the answer takes long. An interrupt makes the vCPU leave its guest more
// than once. Where that costs nothing, the driver is told at once, and works while the answer
// is on its way.

#include <errno.h>
#include <stdlib.h>

#include "net-priv.h"

#define OWED_BYTES 1024           // a frame of so many is small
#define PATIENCE_NS NSEC_PER_MSEC // an answer that takes longer is not worth waiting for

static void complete(struct net_pair *pair)
{
	pair->send_done++;
	virtqueue_push(pair->send_queue, pair->send_chain.head, 0);
}

// -- interrupts --

void net_send_told(struct net_pair *pair)
{
	loop_disarm_timer(pair->loop, &pair->send_owed);
}

void net_send_late(struct loop_timer *timer)
{
	virtio_interrupt(&container_of(timer, struct net_pair, send_owed)->net->vdev);
}

// Who goes on to send without an answer is told at once.
static void signal_driver(struct net_pair *pair)
{
	bool lone = pair->send_done == 1 && pair->send_chain.out_bytes <= OWED_BYTES;

	pair->send_done = 0;
	if (!virtqueue_should_interrupt(pair->send_queue))
		return;
	if (lone && pair->send_patience_ns && !pair->send_owed.deadline_ns) {
		loop_arm_timer(pair->loop, &pair->send_owed,
			       clock_monotonic_ns() + pair->send_patience_ns);
		return;
	}
	net_send_told(pair);
	virtio_interrupt(&pair->net->vdev);
}

// -- frames --

// Copies and checks the header; returns the frame's length, or 0 if it is not to be sent.
static size_t check_frame(const struct net_pair *pair, struct net_header *header)
{
	const struct virtqueue_chain *chain = &pair->send_chain;
	uint64_t bytes = chain->out_bytes - sizeof(*header);

	if (chain->out_bytes < sizeof(*header) + ETHERNET_HEADER_BYTES || bytes > FRAME_MAX)
		return 0;
	iov_to_buf(chain->out, chain->out_count, 0, header, sizeof(*header));
	return net_header_check_sent(header, pair->net->vdev.features_driver, bytes) ? bytes : 0;
}

static int hand_over(struct net_pair *pair, struct net_header *header, size_t bytes)
{
	const struct virtqueue_chain *chain = &pair->send_chain;
	struct iovec *vector = pair->send_vector;
	unsigned count = net_info(pair->net->net)->vnet_header;

	vector[0] = (struct iovec){ .iov_base = header, .iov_len = sizeof(*header) };
	count += iov_slice(vector + count, chain->out_count, chain->out, chain->out_count,
			   sizeof(*header), bytes);
	return net_send(pair->net->net, pair->index, vector, count);
}

static bool may_pass(struct net_pair *pair, size_t bytes)
{
	if (!pair->send_paid)
		pair->send_paid = rate_waiter_take(&pair->send_rate, bytes);
	return pair->send_paid;
}

// Sends the chain at hand; false when it has to wait.
static bool send_frame(struct net_pair *pair)
{
	struct net_header header;
	size_t bytes = check_frame(pair, &header);
	int ret;

	if (!bytes) {
		io_stats_error(&pair->stats, IO_WRITE);
		complete(pair);
		return true;
	}
	ret = may_pass(pair, bytes) ? hand_over(pair, &header, bytes) : -EAGAIN;
	pair->send_waits = ret == -EAGAIN;
	if (pair->send_waits)
		return false;
	if (ret)
		io_stats_error(&pair->stats, IO_WRITE);
	else
		io_stats_count(&pair->stats, IO_WRITE, 1, bytes);
	pair->send_paid = false;
	complete(pair);
	return true;
}

static bool take_frame(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	struct net_pair *pair = net_queue_pair(to_net(vdev), queue);

	pair->send_chain = *chain;
	return send_frame(pair);
}

void net_send_notified(struct net_pair *pair)
{
	struct virtio_device *vdev = &pair->net->vdev;

	if (pair->send_waits)
		return;
	virtio_take_chains(vdev, 2 * pair->index + 1, take_frame);
	signal_driver(pair);
}

void net_send_continue(struct net_pair *pair)
{
	if (!pair->sending || !pair->send_waits || atomic_load(&pair->net->vdev.needs_reset))
		return;
	if (send_frame(pair))
		net_send_notified(pair);
}

void net_send_rate_ready(struct rate_waiter *waiter)
{
	net_send_continue(container_of(waiter, struct net_pair, send_rate));
}

int net_send_start(struct net_pair *pair)
{
	bool exits_are_dear = virtio_has_doorbell(&pair->net->vdev, 2 * pair->index + 1);

	pair->send_vector = calloc(pair->send_queue->size + 1, sizeof(*pair->send_vector));
	pair->sending = pair->send_vector;
	pair->send_waits = pair->send_paid = false;
	pair->send_done = 0;
	pair->send_patience_ns = exits_are_dear ? PATIENCE_NS : 0;
	return pair->sending ? 0 : -ENOMEM;
}

void net_send_stop(struct net_pair *pair)
{
	pair->sending = pair->send_waits = false;
	loop_disarm_timer(pair->loop, &pair->send_owed);
	free(pair->send_vector);
	pair->send_vector = NULL;
}
