// SPDX-License-Identifier: GPL-2.0-or-later
// What a network backend supplies to net.c; include/net.h is the contract of each call.
#ifndef KVIK_NET_PRIV_H
#define KVIK_NET_PRIV_H

#include "net.h"

struct net_ops {
	void (*close)(struct net *net); // frees it
	int (*attach)(struct net *net, unsigned pair, struct loop *loop, struct net_events events);
	void (*detach)(struct net *net, unsigned pair);
	int (*use_pairs)(struct net *net, unsigned pairs); // NULL: there is one
	void (*forget)(struct net *net);                   // NULL: it knows of none
	void (*watch)(struct net *net, unsigned pair, bool receive);
	int (*send)(struct net *net, unsigned pair, const struct iovec *iov, unsigned count);
	ssize_t (*receive)(struct net *net, unsigned pair, const struct iovec *iov, unsigned count);
	int (*set_offloads)(struct net *net, unsigned offloads); // NULL: there are none
	// Where info.ring_features may be other than 0.
	int (*set_up_rings)(struct net *net, const struct memory *mem, uint64_t features);
	int (*start_ring)(struct net *net, unsigned queue, const struct net_ring *ring);
	void (*stop_ring)(struct net *net, unsigned queue, struct net_ring *ring);
};

// Embedded first in each backend's struct.
struct net {
	const struct net_ops *ops;
	struct net_info info;
};

// Reports why a network cannot be opened, as an error, or as information where nobody
// asked for that network; returns -@errnum. The message is prefixed; "%m" works in it.
int net_fail(const struct net_config *config, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

// net_open() for each mode. Return 0 or -errno after a message.
int net_tap_open(struct net **net, const struct net_config *config) MUST_CHECK;
int net_user_open(struct net **net, const struct net_config *config) MUST_CHECK;
int net_stream_open(struct net **net, const struct net_config *config) MUST_CHECK;

#endif
