// SPDX-License-Identifier: GPL-2.0-or-later
// The TAP backend: an interface of the host's, whose kernel takes checksums and
// segmentation off the guest. Also for macvtap, which speaks the same.
//
// Each pair of queues is a descriptor. Frames have the vnet header unless a descriptor
// that somebody else opened has none.

#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iov.h"
#include "log.h"
#include "tap-priv.h"
#include "vm-config.h"

#ifndef TUN_F_USO4 // Linux 6.2
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define SEND_BUFFER_BYTES (1024 * 1024) // of frames that the host has not done with
#define SEND_BUFFER_VHOST INT_MAX       // no limit, or vhost takes frames one by one
#define FRAME_LONG_BYTES 65535          // beyond that it may be too long

// -- watching --

static void update_watch(struct tap_queue *queue)
{
	if (queue->watched)
		loop_modify_fd(queue->loop, &queue->file,
			       (queue->receive ? EPOLLIN : 0) | (queue->send ? EPOLLOUT : 0));
}

static void stop_watching(struct tap_queue *queue)
{
	if (queue->watched)
		loop_remove_fd(queue->loop, &queue->file);
	queue->watched = false;
	queue->receive = queue->send = false;
}

// The descriptor of an interface that was deleted never becomes good again, and would
// wake the loop for ever. The first queue tells for all.
static void lose(struct tap_queue *queue)
{
	stop_watching(queue);
	queue->gone = true;
	if (queue->first)
		queue->events.link_changed(queue->events.opaque, false);
}

static void queue_ready(struct loop_fd *file, uint32_t epoll_events)
{
	struct tap_queue *queue = container_of(file, struct tap_queue, file);

	if (epoll_events & EPOLLERR) {
		lose(queue);
		return;
	}
	if (epoll_events & EPOLLOUT && queue->send) {
		queue->send = false;
		update_watch(queue);
		queue->events.writable(queue->events.opaque);
	}
	if (epoll_events & EPOLLIN && queue->receive)
		queue->events.readable(queue->events.opaque);
}

static void tap_watch(struct net *net, unsigned pair, bool receive)
{
	struct tap_queue *queue = &tap_of(net)->queues[pair];

	if (queue->receive == receive || queue->gone)
		return;
	queue->receive = receive;
	update_watch(queue);
}

// -- frames --

static int tap_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned count)
{
	struct tap_queue *queue = &tap_of(net)->queues[pair];

	if (writev(queue->file.fd, iov, (int)count) >= 0)
		return 0;
	if (errno != EAGAIN)
		return -errno;
	if (!queue->send) {
		queue->send = true;
		update_watch(queue);
	}
	return -EAGAIN;
}

// A frame that is too long comes cut to what there is room for.
static ssize_t tap_receive(struct net *net, unsigned pair, const struct iovec *iov, unsigned count)
{
	ssize_t bytes = readv(tap_of(net)->queues[pair].file.fd, iov, (int)count);

	if (bytes < 0)
		return -errno;
	if (bytes >= FRAME_LONG_BYTES && (size_t)bytes == iov_total(iov, count))
		return -EMSGSIZE;
	return bytes;
}

// -- pairs and offloads --

static int set_queue_use(struct tap_queue *queue, bool use)
{
	struct ifreq request = { .ifr_flags = use ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	if (queue->unused == !use || queue->gone)
		return 0;
	if (ioctl(queue->file.fd, TUNSETQUEUE, &request) < 0)
		return -errno;
	queue->unused = !use;
	return 0;
}

// A queue that is not used must not be one that the host chooses for a flow.
static int tap_use_pairs(struct net *net, unsigned pairs)
{
	struct tap *tap = tap_of(net);

	for (unsigned i = 0; i < tap->queue_count; i++) {
		int err = set_queue_use(&tap->queues[i], i < pairs);

		if (err)
			return fail(-err, "%s: use %u pairs of queues", tap->text, pairs);
	}
	return 0;
}

static unsigned tun_offloads(unsigned offloads)
{
	static const struct {
		unsigned net, tun;
	} bits[] = {
		{ NET_OFFLOAD_CSUM, TUN_F_CSUM },
		{ NET_OFFLOAD_TSO4, TUN_F_TSO4 },
		{ NET_OFFLOAD_TSO6, TUN_F_TSO6 },
		{ NET_OFFLOAD_ECN, TUN_F_TSO_ECN },
		{ NET_OFFLOAD_USO, TUN_F_USO4 | TUN_F_USO6 },
	};
	unsigned tun = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
		if (offloads & bits[i].net)
			tun |= bits[i].tun;
	return tun;
}

static int try_offloads(const struct tap *tap, unsigned offloads)
{
	int fd = tap->queues[0].file.fd;

	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)tun_offloads(offloads)) < 0 ? -errno : 0;
}

static int tap_set_offloads(struct net *net, unsigned offloads)
{
	struct tap *tap = tap_of(net);
	int err;

	if (offloads == tap->offloads || tap->queues[0].gone)
		return 0;
	err = try_offloads(tap, offloads);
	if (err)
		return fail(-err, "%s: set offloads", tap->text);
	tap->offloads = offloads;
	return 0;
}

// -- link --

void tap_link_changed(struct tap *tap, bool up)
{
	struct tap_queue *queue = &tap->queues[0];

	if (queue->loop && !(up && queue->gone))
		queue->events.link_changed(queue->events.opaque, up);
}

// -- life --

static int tap_attach(struct net *net, unsigned pair, struct loop *loop, struct net_events events)
{
	struct tap *tap = tap_of(net);
	struct tap_queue *queue = &tap->queues[pair];

	queue->loop = loop;
	queue->events = events;
	if (loop_add_fd(loop, &queue->file, 0)) {
		queue->loop = NULL;
		return -EINVAL; // told by loop_add_fd()
	}
	queue->watched = true;
	if (pair == 0)
		tap_watch_link(tap, loop);
	return 0;
}

static void tap_detach(struct net *net, unsigned pair)
{
	struct tap *tap = tap_of(net);
	struct tap_queue *queue = &tap->queues[pair];

	if (pair == 0)
		tap_unwatch_link(tap);
	stop_watching(queue);
	queue->loop = NULL;
}

static void free_tap(struct tap *tap)
{
	tap_close_vhost(tap);
	for (unsigned i = 0; i < tap->queue_count; i++)
		close(tap->queues[i].file.fd);
	free(tap);
}

static void tap_close(struct net *net)
{
	tap_take_down(tap_of(net));
	free_tap(tap_of(net));
}

static const struct net_ops tap_ops = {
	.close = tap_close,
	.attach = tap_attach,
	.detach = tap_detach,
	.use_pairs = tap_use_pairs,
	.watch = tap_watch,
	.send = tap_send,
	.receive = tap_receive,
	.set_offloads = tap_set_offloads,
	.set_up_rings = tap_set_up_rings,
	.start_ring = tap_start_ring,
	.stop_ring = tap_stop_ring,
};

// -- open --

static int get_interface(const struct tap *tap, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	*ifr = (struct ifreq){ 0 };
	memcpy(ifr->ifr_name, tap->name, IFNAMSIZ);
	ret = fd < 0 || ioctl(fd, request, ifr) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return ret;
}

// The guest shall not send packets that the interface's other users could not; frames for
// a macvtap are those to its address.
static void examine_interface(struct tap *tap)
{
	struct net_info *info = &tap->net.info;
	struct ifreq ifr;

	if (tap->link_unknown)
		return;
	if (!tap->is_new && !get_interface(tap, SIOCGIFMTU, &ifr) && ifr.ifr_mtu != ETH_DATA_LEN &&
	    ifr.ifr_mtu >= NET_MTU_MIN && ifr.ifr_mtu <= NET_MTU_MAX)
		info->mtu = (uint16_t)ifr.ifr_mtu;
	info->has_mac = tap->macvtap && !get_interface(tap, SIOCGIFHWADDR, &ifr);
	if (info->has_mac)
		memcpy(info->mac, ifr.ifr_hwaddr.sa_data, sizeof(info->mac));
}

static int set_up_queues(struct tap *tap)
{
	struct net_info *info = &tap->net.info;
	int header_bytes = NET_VNET_HEADER_BYTES;
	int send_buffer = tap->config->vhost ? SEND_BUFFER_VHOST : SEND_BUFFER_BYTES;
	unsigned offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 |
			    NET_OFFLOAD_ECN | NET_OFFLOAD_USO;

	info->name = tap->text;
	info->queue_pairs_max = tap->queue_count;
	for (unsigned i = 0; i < tap->queue_count; i++) {
		int fd = tap->queues[i].file.fd;

		tap->queues[i].file.ready = queue_ready;
		tap->queues[i].first = i == 0;
		if (info->vnet_header && ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) < 0)
			return net_fail(tap->config, errno, "%s: set the size of headers: %m",
					tap->text);
		if (ioctl(fd, TUNSETSNDBUF, &send_buffer) < 0)
			debug("%s: set the size of the send buffer: %m", tap->text);
	}
	if (!info->vnet_header)
		return 0;
	if (try_offloads(tap, offloads))
		offloads &= ~NET_OFFLOAD_USO;
	if (try_offloads(tap, offloads))
		offloads = 0;
	info->send_offloads = info->receive_offloads = offloads;
	return try_offloads(tap, 0) ?
		       net_fail(tap->config, errno, "%s: clear offloads: %m", tap->text) :
		       tap_use_pairs(&tap->net, 1);
}

int net_tap_open(struct net **net, const struct net_config *config)
{
	struct tap *tap;
	int err;

	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return net_fail(config, ENOMEM, "%m");
	tap->net.ops = &tap_ops;
	tap->config = config;
	tap->link.fd = -1;
	err = tap_open_queues(tap);
	if (!err) {
		snprintf(tap->text, sizeof(tap->text), "%s %s", tap->macvtap ? "macvtap" : "tap",
			 tap->name);
		examine_interface(tap);
		err = set_up_queues(tap);
	}
	if (!err)
		err = tap_open_vhost(tap);
	if (!err)
		err = tap_set_up(tap);
	if (err) {
		free_tap(tap);
		return err;
	}
	*net = &tap->net;
	return 0;
}
