// SPDX-License-Identifier: GPL-2.0-or-later
// The host's vhost-net: its kernel moves the frames between an interface and the guest's
// rings, each pair of queues by a device of its own.
#ifndef KVIK_NET_VHOST_H
#define KVIK_NET_VHOST_H

#include <stdint.h>

#include "util.h"

struct memory;
struct net_config;
struct net_ring;

#define VHOST_PATH "/dev/vhost-net"

// A pair's rings, by the index that vhost has for them.
enum { VHOST_RECEIVE = 0, VHOST_SEND = 1 };

// Opens a device for one pair: a descriptor, or -errno after net_fail(). @features: those of
// virtio's that concern rings, which it knows; VIRTIO_F_VERSION_1 is one.
int vhost_open(const struct net_config *config, const char *path, uint64_t *features) MUST_CHECK;

// As net_set_up_rings(), net_start_ring() and net_stop_ring(), for the pair behind @vhost_fd.
// -errno without a message.
int vhost_set_up(int vhost_fd, const struct memory *mem, uint64_t features) MUST_CHECK;
// Frames come from and go to the interface behind @tap_fd.
int vhost_start_ring(int vhost_fd, unsigned index, const struct net_ring *ring, int tap_fd)
	MUST_CHECK;
int vhost_stop_ring(int vhost_fd, unsigned index, struct net_ring *ring) MUST_CHECK;

#endif
