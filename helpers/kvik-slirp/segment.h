// SPDX-License-Identifier: GPL-2.0-or-later
// TCP segments in Ethernet frames: what is read from one, and what makes one.
#ifndef KVIK_SLIRP_SEGMENT_H
#define KVIK_SLIRP_SEGMENT_H

#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net.h"
#include "util.h"

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
};

// A connection, as the guest sees it. It is compared as memory.
struct tcp_name {
	uint16_t ipv6;        // or IPv4: 0
	in_port_t guest_port; // network order
	in_port_t host_port;
	uint8_t guest_ip[16]; // IPv4: the first four
	uint8_t host_ip[16];
};
static_assert(sizeof(struct tcp_name) == 38, "no byte of it is undefined");

#define SEGMENT_NO_SHIFT (-1)

struct segment {
	struct tcp_name name;
	uint32_t seq, ack;
	uint16_t window;
	uint8_t flags;
	uint16_t mss;     // 0: it says none
	int window_shift; // or SEGMENT_NO_SHIFT
	const uint8_t *data;
	size_t len;
};

// Both are of the frame's beginning: to whom it goes, and from whom it comes.
#define SEGMENT_MACS_BYTES 12

// False: the frame is no TCP segment from the guest, or a fragment of one, or has no proper
// lengths. Checksums are not looked at: nothing has carried it but memory.
bool segment_parse(struct segment *segment, const uint8_t *frame, size_t len) MUST_CHECK;

// virtio's header, Ethernet, IPv6, TCP with two options
#define SEGMENT_HEADERS_MAX (NET_VNET_HEADER_BYTES + 14 + 40 + 20 + 8)

// Writes all that comes before the data of a segment to the guest: @segment, whose data lie
// elsewhere; @macs those of a frame from the guest. Returns its length.
size_t segment_write_headers(uint8_t headers[SEGMENT_HEADERS_MAX], const struct segment *segment,
			     const uint8_t macs[SEGMENT_MACS_BYTES]);

#endif
