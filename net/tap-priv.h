// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of the TAP backend share.
#ifndef KVIK_NET_TAP_PRIV_H
#define KVIK_NET_TAP_PRIV_H

#include <net/if.h>

#include "loop.h"
#include "net-priv.h"

struct tap_queue {
	struct loop_fd file; // .fd -1: not open
	int vhost_fd;        // -1: its frames come to kvik
	struct loop *loop;   // NULL: not attached
	struct net_events events;
	bool watched;       // the loop has the descriptor
	bool receive, send; // what it is watched for
	bool gone;          // the interface was deleted
	bool first;         // of the tap's
	bool unused;        // the driver does not use this pair
};

struct tap {
	struct net net;
	const struct net_config *config;
	char text[IFNAMSIZ + 16]; // "tap kvik0"
	char name[IFNAMSIZ];
	bool is_new; // it goes when it is closed
	bool macvtap;
	bool link_unknown; // a descriptor of somebody's: its interface may be out of sight
	unsigned queue_count;
	struct tap_queue queues[NET_QUEUE_PAIRS_MAX];
	struct loop_fd link; // rtnetlink; .fd -1: nobody tells
	int ifindex;
	bool watching_link;
	unsigned offloads; // that are switched on
};

static inline struct tap *tap_of(struct net *net)
{
	return container_of(net, struct tap, net);
}

// -- tap-open.c --

// Opens the interface's queues; sets name, is_new, macvtap, queue_count and the queues'
// descriptors. Returns 0 or -errno after net_fail(); the caller closes what is open.
int tap_open_queues(struct tap *tap) MUST_CHECK;

// -- tap-setup.c --

// Brings a new interface up: address, MTU, bridge, script. Returns 0 or -errno after
// net_fail().
int tap_set_up(const struct tap *tap) MUST_CHECK;
void tap_take_down(const struct tap *tap);
// Runs @argv and waits for it; returns its status as of wait(), or -errno.
int tap_run_program(const char *const argv[]) MUST_CHECK;

// -- tap-bridge.c --

// A tap in @config->bridge by QEMU's helper: its descriptor, or -errno after net_fail().
int tap_from_helper(const struct net_config *config) MUST_CHECK;

// -- tap-vhost.c --

// Opens the queues' vhost devices where the user wants that. Returns 0 or -errno after
// net_fail().
int tap_open_vhost(struct tap *tap) MUST_CHECK;
void tap_close_vhost(struct tap *tap);
// As in struct net_ops.
int tap_set_up_rings(struct net *net, const struct memory *mem, uint64_t features) MUST_CHECK;
int tap_start_ring(struct net *net, unsigned queue, const struct net_ring *ring) MUST_CHECK;
void tap_stop_ring(struct net *net, unsigned queue, struct net_ring *ring);

// -- tap-link.c --

// Has the host tell when the interface goes down or comes up; it is no error when the host
// does not. @link_changed is called on @loop's thread, at first with how it is.
void tap_watch_link(struct tap *tap, struct loop *loop);
void tap_unwatch_link(struct tap *tap);
// tap.c: what to do then.
void tap_link_changed(struct tap *tap, bool up);

#endif
