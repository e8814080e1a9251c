// SPDX-License-Identifier: GPL-2.0-or-later
// The receive side of the network device (virtio 1.2 5.1.6.3, 5.1.6.4).
//
// A frame is read straight into the driver's buffers. As many are gathered before as the
// frame before it makes likely; what exceeds them lands in the spill buffer and is copied
// to further buffers, for which the frame waits if it must. While there is no buffer at
// all the backend is not watched: it keeps the frames, or drops them as a wire does.

#include <errno.h>
#include <stdlib.h>

#include "net-priv.h"

#define FRAMES_PER_TURN 64           // then other events of the loop have theirs
#define BYTES_PER_SIGNAL (128 * KIB) // so that the driver works while more comes

// A frame of the usual size, or anything that segmentation offload makes of many.
#define EXPECT_SMALL 2048
#define EXPECT_LARGE (NET_VNET_HEADER_BYTES + FRAME_MAX)

static bool merges(const struct net_pair *pair)
{
	return virtio_has_feature(&pair->net->vdev, NET_F_MRG_RXBUF);
}

// -- buffers --

// Takes chains until @bytes are held, or the ring is empty. False after a broken one.
static bool gather(struct net_pair *pair, uint64_t bytes)
{
	struct virtio_device *vdev = &pair->net->vdev;
	struct virtqueue_chain chain;

	while (pair->held.bytes < bytes && net_held_has_room(&pair->held)) {
		int got = virtqueue_pop(pair->receive_queue, &chain);

		if (!got)
			return true;
		if (got < 0) {
			virtio_fail(vdev, pair->receive_queue->why_broken);
			return false;
		}
		// 5.1.6.3.1
		if (chain.in_bytes < NET_VNET_HEADER_BYTES) {
			virtio_fail(vdev, "a receive buffer has no room for a header");
			return false;
		}
		net_held_add(&pair->held, &chain);
	}
	return true;
}

// The same, and asks for a notification where @least are not there; returns whether
// they are.
static bool gather_at_least(struct net_pair *pair, uint64_t least, uint64_t bytes)
{
	do {
		if (!gather(pair, bytes))
			return false;
		if (pair->held.bytes >= least || !net_held_has_room(&pair->held))
			return pair->held.bytes >= least;
	} while (virtqueue_enable_notify(pair->receive_queue));
	return false;
}

// -- frames --

static void signal_driver(struct net_pair *pair)
{
	if (virtio_signal(&pair->net->vdev, pair->receive_queue))
		net_send_told(pair);
}

static void drop(struct net_pair *pair)
{
	io_stats_error(&pair->stats, IO_READ);
	pair->waiting_bytes = 0;
}

// Completes the frame that waits. False while it has to wait for buffers.
static bool finish_frame(struct net_pair *pair)
{
	uint32_t bytes = pair->waiting_bytes, held = pair->waiting_held;

	if (pair->held.bytes < bytes && !(merges(pair) && gather_at_least(pair, bytes, bytes))) {
		// The driver could add more.
		if (merges(pair) && net_held_has_room(&pair->held))
			return false;
		drop(pair);
		return true;
	}
	if (bytes > held)
		net_held_write(&pair->held, held, pair->spill, bytes - held);
	pair->waiting_header.num_buffers = net_held_chains(&pair->held, bytes);
	net_held_write(&pair->held, 0, &pair->waiting_header, sizeof(pair->waiting_header));
	net_held_mark(&pair->held, pair->receive_queue, bytes);
	net_held_use(&pair->held, pair->receive_queue, bytes);
	io_stats_count(&pair->stats, IO_READ, 1, bytes - NET_VNET_HEADER_BYTES);
	pair->waiting_bytes = 0;
	return true;
}

static bool passes_filter(const struct net_pair *pair, const struct iovec *iov, unsigned count)
{
	uint8_t start[NET_FILTER_BYTES];

	if (pair->filter.promiscuous)
		return true;
	return net_filter_passes(&pair->filter, start,
				 iov_to_buf(iov, count, 0, start, sizeof(start)));
}

// Reads a frame into what is held and, beyond that, @spill. Returns its length without
// the header, or -errno.
static ssize_t read_frame(struct net_pair *pair, struct net_header *header, uint32_t *held,
			  bool *passes)
{
	struct iovec *vector = pair->vector;
	bool has_header = net_info(pair->net->net)->vnet_header;
	size_t header_bytes = has_header ? sizeof(*header) : 0;
	unsigned count;
	ssize_t got;

	*held = merges(pair) ? pair->held.bytes : pair->held.chains[pair->held.chain_first].bytes;
	vector[0] = (struct iovec){ .iov_base = header, .iov_len = header_bytes };
	count = 1 + net_held_slice(&pair->held, &vector[1], pair->held.iov_count, sizeof(*header),
				   *held - sizeof(*header));
	vector[count++] = (struct iovec){ .iov_base = pair->spill, .iov_len = FRAME_MAX };
	got = net_receive(pair->net->net, pair->index, has_header ? vector : vector + 1,
			  has_header ? count : count - 1);
	if (got < 0)
		return got;
	if ((size_t)got < header_bytes)
		return -EMSGSIZE;
	*passes = (got - header_bytes >= ETHERNET_HEADER_BYTES) &&
		  passes_filter(pair, vector + 1, count - 1);
	return got - header_bytes;
}

// 0; -EAGAIN: there is none; other -errno: the backend has failed.
static int receive_frame(struct net_pair *pair)
{
	struct net_header header = { 0 };
	bool passes = false;
	uint32_t held;
	ssize_t bytes = read_frame(pair, &header, &held, &passes);

	if (bytes == -EMSGSIZE) {
		drop(pair);
		return 0;
	}
	if (bytes < 0)
		return bytes;
	pair->receive_paid = false;
	pair->receive_last = bytes;
	pair->receive_expect = bytes > EXPECT_SMALL ? EXPECT_LARGE : EXPECT_SMALL;
	if (!passes || !net_header_check_received(&header, pair->offloads)) {
		// Memory of the driver's was written all the same.
		net_held_mark(&pair->held, pair->receive_queue,
			      MIN((uint64_t)held, sizeof(header) + bytes));
		if (passes)
			drop(pair);
		return 0;
	}
	pair->waiting_header = header;
	pair->waiting_bytes = sizeof(header) + bytes;
	pair->waiting_held = held;
	return 0;
}

static bool may_pass(struct net_pair *pair)
{
	if (!pair->receive_paid)
		pair->receive_paid = rate_waiter_take(&pair->receive_rate, pair->receive_last);
	return pair->receive_paid;
}

// Receives up to a turn's frames; returns whether there may be more at once.
static bool receive_frames(struct net_pair *pair)
{
	uint64_t least = merges(pair) ? 1 : NET_VNET_HEADER_BYTES, unsignalled = 0;

	virtqueue_disable_notify(pair->receive_queue);
	for (unsigned i = 0; i < FRAMES_PER_TURN; i++) {
		int ret;

		if (pair->waiting_bytes && !finish_frame(pair))
			return false;
		if (!gather_at_least(pair, least, merges(pair) ? pair->receive_expect : least) ||
		    !may_pass(pair))
			return false;
		ret = receive_frame(pair);
		if (ret)
			return ret == -EAGAIN;
		unsignalled += pair->waiting_bytes;
		if (pair->waiting_bytes && !finish_frame(pair))
			return false;
		if (unsignalled >= BYTES_PER_SIGNAL) {
			signal_driver(pair);
			unsignalled = 0;
		}
	}
	return true;
}

void net_receive_continue(struct net_pair *pair)
{
	bool go_on = pair->receiving && pair->in_use &&
		     !atomic_load(&pair->net->vdev.needs_reset) && receive_frames(pair);

	net_watch(pair->net->net, pair->index, go_on);
	if (pair->receiving)
		signal_driver(pair);
}

void net_receive_rate_ready(struct rate_waiter *waiter)
{
	net_receive_continue(container_of(waiter, struct net_pair, receive_rate));
}

// -- start and stop --

int net_receive_start(struct net_pair *pair)
{
	unsigned size = pair->receive_queue->size;

	if (net_held_init(&pair->held, size))
		return -ENOMEM;
	// All that can be held, a header and the spill buffer.
	pair->vector = calloc(2 * size + 2, sizeof(*pair->vector));
	pair->spill = malloc(FRAME_MAX);
	pair->receiving = true;
	pair->receive_paid = false;
	pair->receive_last = 0;
	pair->receive_expect = EXPECT_SMALL;
	pair->waiting_bytes = 0;
	if (pair->vector && pair->spill)
		return 0;
	net_receive_stop(pair);
	return -ENOMEM;
}

void net_receive_stop(struct net_pair *pair)
{
	net_watch(pair->net->net, pair->index, false);
	pair->receiving = false;
	net_held_exit(&pair->held);
	free(pair->vector);
	free(pair->spill);
	pair->vector = NULL;
	pair->spill = NULL;
}
