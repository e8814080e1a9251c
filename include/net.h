// SPDX-License-Identifier: GPL-2.0-or-later
// Network backends: where a guest's Ethernet frames go on the host.
//
// A backend has one or more queue pairs; each is attached to one loop and used on its
// thread only. It moves whole frames and never sees a virtqueue. Where the info says
// vnet_header, each frame is preceded by a struct virtio_net_hdr_v1 of 12 bytes
// (virtio 1.2 5.1.6), in both directions; else by nothing.
#ifndef KVIK_NET_H
#define KVIK_NET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util.h"

struct loop;
struct memory;
struct net;
struct net_config;

#define NET_QUEUE_PAIRS_MAX 8
#define NET_MTU_MIN 68 // RFC 791
#define NET_MTU_MAX 65535

// In front of each frame, where net_info says so (virtio 1.2 5.1.6); little-endian.
struct net_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};
#define NET_VNET_HEADER_BYTES 12
static_assert(sizeof(struct net_header) == NET_VNET_HEADER_BYTES, "the layout of virtio 1.2 5.1.6");

#define NET_HEADER_NEEDS_CSUM 1 // flags
#define NET_HEADER_DATA_VALID 2

// What the other side may leave to its receiver; bits for net_set_offloads().
#define NET_OFFLOAD_CSUM 0x01 // partial checksums
#define NET_OFFLOAD_TSO4 0x02
#define NET_OFFLOAD_TSO6 0x04
#define NET_OFFLOAD_ECN 0x08
#define NET_OFFLOAD_USO 0x10

struct net_info {
	const char *name; // for messages: "tap kvik0"
	unsigned queue_pairs_max;
	bool vnet_header;
	unsigned send_offloads;    // what net_send() takes
	unsigned receive_offloads; // what net_set_offloads() can switch on
	uint16_t mtu;              // that the backend asks for; 0: none
	bool has_mac;              // frames for another address would not arrive
	uint8_t mac[6];
	// Not 0: the host's kernel serves the guest's rings; those of virtio's features that
	// concern rings and that it knows.
	uint64_t ring_features;
};

struct net_events {
	// Frames may be there to receive; told again (level-triggered) until the watch on
	// them ends. Loop thread.
	void (*readable)(void *opaque);
	// net_send() may be tried again after -EAGAIN. Loop thread.
	void (*writable)(void *opaque);
	// The backend lost or regained its peer. Loop thread of pair 0.
	void (*link_changed)(void *opaque, bool up);
	void *opaque;
};

// Opens what @config names. Returns 0 or -errno after a message. Main thread.
int net_open(struct net **net, const struct net_config *config) MUST_CHECK;
const struct net_info *net_info(const struct net *net);
// All pairs are detached. Main thread.
void net_close(struct net *net);

// Attaches queue pair @pair to its loop; nothing is watched yet. Loop thread, or while
// the loop does not run.
int net_attach(struct net *net, unsigned pair, struct loop *loop, struct net_events events)
	MUST_CHECK;
void net_detach(struct net *net, unsigned pair);
// How many of the pairs the guest uses: the others get no frames. Loop thread of pair 0.
int net_use_pairs(struct net *net, unsigned pairs) MUST_CHECK;
// The guest has been started anew: connections of the one before end. Attached, and the guest
// uses no pair. Loop thread of pair 0.
void net_forget(struct net *net);
// Whether to call readable(): not while the guest has no buffers.
void net_watch(struct net *net, unsigned pair, bool receive);

// Sends one frame. 0; -EAGAIN: not now, writable() will come; other -errno: the frame
// is lost, as on a wire.
int net_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned count) MUST_CHECK;
// Receives one frame. Its length, header included; -EAGAIN: none; -EMSGSIZE: it did
// not fit and is lost; other -errno: the backend is gone (link_changed() tells).
ssize_t net_receive(struct net *net, unsigned pair, const struct iovec *iov, unsigned count)
	MUST_CHECK;
// What the guest takes from now on; of receive_offloads. Loop thread of pair 0.
int net_set_offloads(struct net *net, unsigned offloads) MUST_CHECK;

// -- rings that the host's kernel serves --
//
// Where info.ring_features says so it moves the frames by itself between the driver's rings
// and its interface: there is nothing to watch, to send or to receive. What it writes to the
// guest's RAM nobody is told.

// A split ring (virtio 1.2 2.7).
struct net_ring {
	uint16_t size;
	uint16_t next_avail;       // avail.idx of the chain to take next
	void *desc, *avail, *used; // all of it in the guest's RAM
	int kick_fd;               // eventfds: the driver has added something,
	int call_fd;               // it is to be interrupted,
	int error_fd;              // it broke the ring
};

// What all rings have in common: the guest's RAM and the driver's features, of
// info.ring_features. No ring runs. Loop of pair 0.
int net_set_up_rings(struct net *net, const struct memory *mem, uint64_t features) MUST_CHECK;
// Serves the virtqueue @queue from now on. On the pair's loop, or while that stands still;
// so is the other.
int net_start_ring(struct net *net, unsigned queue, const struct net_ring *ring) MUST_CHECK;
// When it returns neither ring nor buffers are used any more, and next_avail is up to date.
void net_stop_ring(struct net *net, unsigned queue, struct net_ring *ring);

#endif
