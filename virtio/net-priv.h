// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of the network device share (virtio 1.2 5.1).
//
// Each pair of queues has a loop, and what belongs to the pair is used on that only. The
// control queue's commands reach the other pairs by net_on_pair().
#ifndef KVIK_VIRTIO_NET_PRIV_H
#define KVIK_VIRTIO_NET_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io-stats.h"
#include "net.h"
#include "rate-limit.h"
#include "virtio.h"

// Feature bits (5.1.3).
#define NET_F_CSUM (1ULL << 0)
#define NET_F_GUEST_CSUM (1ULL << 1)
#define NET_F_CTRL_GUEST_OFFLOADS (1ULL << 2)
#define NET_F_MTU (1ULL << 3)
#define NET_F_MAC (1ULL << 5)
#define NET_F_GUEST_TSO4 (1ULL << 7)
#define NET_F_GUEST_TSO6 (1ULL << 8)
#define NET_F_GUEST_ECN (1ULL << 9)
#define NET_F_HOST_TSO4 (1ULL << 11)
#define NET_F_HOST_TSO6 (1ULL << 12)
#define NET_F_HOST_ECN (1ULL << 13)
#define NET_F_MRG_RXBUF (1ULL << 15)
#define NET_F_STATUS (1ULL << 16)
#define NET_F_CTRL_VQ (1ULL << 17)
#define NET_F_CTRL_RX (1ULL << 18)
#define NET_F_CTRL_VLAN (1ULL << 19)
#define NET_F_CTRL_RX_EXTRA (1ULL << 20)
#define NET_F_GUEST_ANNOUNCE (1ULL << 21)
#define NET_F_MQ (1ULL << 22)
#define NET_F_CTRL_MAC_ADDR (1ULL << 23)
#define NET_F_GUEST_USO4 (1ULL << 54)
#define NET_F_GUEST_USO6 (1ULL << 55)
#define NET_F_HOST_USO (1ULL << 56)

#define NET_F_GUEST_OFFLOADS                                                        \
	(NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | \
	 NET_F_GUEST_USO4 | NET_F_GUEST_USO6)

#define NET_S_LINK_UP 1 // 5.1.4
#define NET_S_ANNOUNCE 2

#define MAC_BYTES 6
#define VLAN_TAG_BYTES 4
#define ETHERNET_HEADER_BYTES 14
#define IP_PACKET_MAX 65535
#define FRAME_MAX (ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES + IP_PACKET_MAX)

// Which frames the driver wants (5.1.6.5.1 to 5.1.6.5.3).
#define NET_FILTER_MACS 64 // of each kind: more stand for all

struct net_mac_table {
	unsigned count;
	bool all; // it had more than fit
	uint8_t macs[NET_FILTER_MACS][MAC_BYTES];
};

struct net_filter {
	bool promiscuous;
	bool all_multicast, all_unicast;
	bool no_multicast, no_unicast, no_broadcast;
	bool by_vlan; // tagged frames pass by their VLAN only, unless promiscuous
	uint8_t mac[MAC_BYTES];
	struct net_mac_table unicast, multicast;
	uint8_t vlans[4096 / 8];
};

// Of a frame's start: the addresses, and the VLAN tag where there is one.
#define NET_FILTER_BYTES (ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES)

// The receive queue's chains that were taken and not yet used, oldest first, with their
// buffers one after the other.
struct net_held {
	struct net_held_chain {
		uint16_t head;
		unsigned iov_count;
		uint32_t bytes;
	} * chains; // a ring
	unsigned chain_max;
	unsigned chain_first, chain_count;
	struct iovec *iov;
	uint64_t *gpa;
	unsigned iov_max, iov_first, iov_count;
	uint64_t bytes;
};

// Where the host's kernel serves a pair's queues.
struct net_vhost_ring {
	struct net_ring ring;
	int own_kick_fd; // for a queue whose doorbell signals no eventfd
	bool running;
	bool held; // but stopped while the VM is paused
};

struct net_vhost {
	struct loop_fd call, error; // eventfds; .fd -1: not open
	bool calls_kernel;          // a signal on call is an interrupt, without kvik
	struct net_vhost_ring rings[2];
};

struct net_pair {
	struct virtio_net *net;
	unsigned index;
	struct loop *loop;
	struct net_filter filter;
	uint64_t offloads; // feature bits: what the driver takes at the moment
	bool in_use;       // the driver asked for so many pairs
	struct io_stats stats;
	// Receiving.
	bool receiving; // the queue is started
	struct virtqueue *receive_queue;
	struct rate_waiter receive_rate;
	bool receive_paid;       // the rate was asked for the next frame
	uint32_t receive_last;   // bytes of the frame before that
	uint32_t receive_expect; // bytes of buffers to gather for the next frame
	struct net_held held;
	uint8_t *spill;       // a frame's bytes that no buffer was held for
	struct iovec *vector; // for net_receive()
	// A frame that waits for buffers: its header and first bytes lie in the held ones,
	// the rest in @spill.
	uint32_t waiting_bytes, waiting_held;
	struct net_header waiting_header;
	// Sending.
	bool sending;
	struct virtqueue *send_queue;
	struct rate_waiter send_rate;
	bool send_waits;                   // for the backend or the rate
	bool send_paid;                    // the rate was asked for this chain
	struct virtqueue_chain send_chain; // that waits
	struct iovec *send_vector;
	unsigned send_done;          // chains since the driver was told, or was owed it
	struct loop_timer send_owed; // armed: an interrupt, at the latest then
	uint64_t send_patience_ns;   // with that; 0: none is owed
	struct net_vhost vhost;
};

struct virtio_net {
	struct virtio_device vdev;
	struct net *net;
	unsigned pair_count;
	bool vhost;   // the host's kernel serves the pairs: neither sending nor receiving is
	uint16_t mtu; // 0: none is told
	uint8_t mac[MAC_BYTES];
	struct rate_limit receive_limit, send_limit;
	struct net_pair pairs[NET_QUEUE_PAIRS_MAX];
	unsigned attached;   // pairs
	unsigned pairs_used; // by the driver; on the loop of pair 0
	// What the control queue made of the filter; the pairs have copies.
	struct net_filter filter;
	// Read on vCPU threads.
	atomic_ullong config_mac; // first byte lowest
	atomic_uint status;
};

static inline struct virtio_net *to_net(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_net, vdev);
}

// Runs @call on the pair's loop and waits. On a loop of the device's.
void net_on_pair(struct virtio_net *net, unsigned pair, void (*call)(void *arg), void *arg);
// The pair that @queue belongs to; not for the control queue.
static inline struct net_pair *net_queue_pair(struct virtio_net *net, unsigned queue)
{
	return &net->pairs[queue / 2];
}

// -- net-header.c --

// Checks what the driver wrote in front of a frame of @frame_bytes against the features
// it has, and clears what does not count. False: the frame is not to be sent.
bool net_header_check_sent(struct net_header *header, uint64_t features, size_t frame_bytes);
// Checks a backend's header: false for a frame that the driver cannot take.
bool net_header_check_received(struct net_header *header, uint64_t offloads);
// NET_OFFLOAD_* bits for GUEST_* features, and HOST_* and GUEST_* features for those.
unsigned net_offloads_of_features(uint64_t features);
uint64_t net_send_features(unsigned offloads);
uint64_t net_receive_features(unsigned offloads);

// -- net-filter.c --

void net_filter_init(struct net_filter *filter, const uint8_t mac[MAC_BYTES]);
// @start: the frame's first @bytes, up to NET_FILTER_BYTES.
bool net_filter_passes(const struct net_filter *filter, const uint8_t *start, size_t bytes);

// -- net-held.c --

int net_held_init(struct net_held *held, unsigned queue_size) MUST_CHECK;
void net_held_exit(struct net_held *held);
// Whether another chain may be added.
bool net_held_has_room(const struct net_held *held);
void net_held_add(struct net_held *held, const struct virtqueue_chain *chain);
unsigned net_held_slice(const struct net_held *held, struct iovec *slice, unsigned slice_max,
			size_t offset, size_t len);
void net_held_write(struct net_held *held, size_t offset, const void *data, size_t len);
// How many chains the first @bytes take.
unsigned net_held_chains(const struct net_held *held, uint64_t bytes);
// Reports the first @bytes as written by the host.
void net_held_mark(const struct net_held *held, struct virtqueue *vq, uint64_t bytes);
// Gives the chains that hold the first @bytes back, filled.
void net_held_use(struct net_held *held, struct virtqueue *vq, uint64_t bytes);

// -- net-rx.c, net-tx.c; on the pair's loop --

int net_receive_start(struct net_pair *pair) MUST_CHECK;
void net_receive_stop(struct net_pair *pair);
// There are frames, or buffers for them, or more may pass.
void net_receive_continue(struct net_pair *pair);
void net_receive_rate_ready(struct rate_waiter *waiter);

int net_send_start(struct net_pair *pair) MUST_CHECK;
void net_send_stop(struct net_pair *pair);
void net_send_notified(struct net_pair *pair);
void net_send_continue(struct net_pair *pair); // the backend takes frames again
void net_send_late(struct loop_timer *timer);  // of the pair's send_owed
// The driver was interrupted for another queue, and looks at all of them.
void net_send_told(struct net_pair *pair);
void net_send_rate_ready(struct rate_waiter *waiter);

// -- net-vhost.c; on the pair's loop --

int net_vhost_attach(struct net_pair *pair) MUST_CHECK;
void net_vhost_detach(struct net_pair *pair);
int net_vhost_start(struct net_pair *pair, unsigned queue) MUST_CHECK;
void net_vhost_stop(struct net_pair *pair, unsigned queue); // also one that does not run
void net_vhost_notified(struct net_pair *pair, unsigned queue);
// Main thread, the loop standing still.
void net_vhost_hold(struct net_pair *pair, bool hold);

// -- net-ctrl.c --

void net_control_notified(struct virtio_net *net, unsigned queue);

#endif
