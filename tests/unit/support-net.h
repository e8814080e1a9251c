// SPDX-License-Identifier: GPL-2.0-or-later
// A network backend whose wire is in the test's hands: each pair of queues is a socket
// pair that keeps frames apart. What the device asks of it is there to be looked at.
#ifndef KVIK_SUPPORT_NET_H
#define KVIK_SUPPORT_NET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../net/net-priv.h"
#include "loop.h"

struct script_net {
	struct net net;
	struct script_queue {
		struct loop_fd file; // the device's end
		int wire;            // the test's end
		struct loop *loop;
		struct net_events events;
		atomic_bool watched; // the device wants to receive
		atomic_bool attached;
		bool send; // waits for room
	} queues[NET_QUEUE_PAIRS_MAX];
	// What the device asked for.
	atomic_uint offloads;
	atomic_uint pairs_used;
	atomic_uint closed;
	atomic_uint forgotten;
	// Where net.info.ring_features says that somebody else serves the rings.
	const struct memory *ring_memory;
	uint64_t ring_features;
	struct script_ring {
		struct net_ring ring;
		unsigned starts, stops;
	} rings[2 * NET_QUEUE_PAIRS_MAX];
	// The test's wishes.
	atomic_int send_error;
	atomic_int attach_error; // of the last pair
	atomic_int offloads_error;
	int ring_error; // of starting queue @ring_failing
	unsigned ring_failing;
	uint16_t chains_taken; // by each ring until it is stopped
};

#define SCRIPT_OFFLOADS \
	(NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN | NET_OFFLOAD_USO)

// A backend of @pairs pairs, with vnet headers and all offloads, or without either.
void script_net_init(struct script_net *script, unsigned pairs, bool vnet_header);
// The device has closed it: forgets the wires.
void script_net_exit(struct script_net *script);

// Puts a frame (with its header) on the wire of a pair; false when that is full.
bool script_net_put(struct script_net *script, unsigned pair, const void *frame, size_t len);
// Takes the next frame that the device sent: its length, or -1 when there is none.
ssize_t script_net_take(struct script_net *script, unsigned pair, void *frame, size_t size);
// Makes the device believe that the link went down or came up; waits until it knows.
void script_net_set_link(struct script_net *script, bool up);

#endif
