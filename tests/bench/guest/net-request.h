// SPDX-License-Identifier: MIT-0
// What net.c asks ../tcp-server.c for; both ends are little-endian.
#ifndef NET_REQUEST_H
#define NET_REQUEST_H

#include <stdint.h>

#define NET_CHUNK (256 << 10)

enum { NET_SEND = 1, NET_RECEIVE, NET_TRIPS };

struct net_request {
	uint64_t what;
	uint64_t count; // bytes or round trips
};

#endif
