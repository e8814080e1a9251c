// SPDX-License-Identifier: GPL-2.0-or-later
// The header in front of each frame, and what the offload bits in it mean
// (virtio 1.2 5.1.6.2, 5.1.6.4).

#include "net-priv.h"

enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

// One row an offload: its bit for a backend, and its features for driver and device.
static const struct offload {
	unsigned bit;
	uint64_t send;
	uint64_t receive;
} offloads_known[] = {
	{ NET_OFFLOAD_CSUM, NET_F_CSUM, NET_F_GUEST_CSUM },
	{ NET_OFFLOAD_TSO4, NET_F_HOST_TSO4, NET_F_GUEST_TSO4 },
	{ NET_OFFLOAD_TSO6, NET_F_HOST_TSO6, NET_F_GUEST_TSO6 },
	{ NET_OFFLOAD_ECN, NET_F_HOST_ECN, NET_F_GUEST_ECN },
	{ NET_OFFLOAD_USO, NET_F_HOST_USO, NET_F_GUEST_USO4 | NET_F_GUEST_USO6 },
};

uint64_t net_send_features(unsigned offloads)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(offloads_known); i++)
		if (offloads & offloads_known[i].bit)
			features |= offloads_known[i].send;
	return features;
}

uint64_t net_receive_features(unsigned offloads)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(offloads_known); i++)
		if (offloads & offloads_known[i].bit)
			features |= offloads_known[i].receive;
	return features;
}

// An offload counts when all of its features are there: both USO bits are one for a host.
// None is possible without partial checksums (5.1.3.1).
unsigned net_offloads_of_features(uint64_t features)
{
	unsigned offloads = 0;

	if (!(features & NET_F_GUEST_CSUM))
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(offloads_known); i++)
		if ((features & offloads_known[i].receive) == offloads_known[i].receive)
			offloads |= offloads_known[i].bit;
	return offloads;
}

// What @gso_type demands of @features; ~0 for a type that there is not.
static uint64_t needed_for_gso(uint8_t gso_type, const uint64_t by_type[4])
{
	uint64_t ecn = gso_type & GSO_ECN ? by_type[3] : 0;

	switch (gso_type & ~GSO_ECN) {
	case GSO_TCPV4:
		return by_type[0] | ecn;
	case GSO_TCPV6:
		return by_type[1] | ecn;
	case GSO_UDP_L4:
		return gso_type & GSO_ECN ? ~0ULL : by_type[2];
	default:
		return ~0ULL;
	}
}

static bool checksum_within(const struct net_header *header, size_t frame_bytes)
{
	return (size_t)header->csum_start + header->csum_offset + sizeof(uint16_t) <= frame_bytes;
}

bool net_header_check_sent(struct net_header *header, uint64_t features, size_t frame_bytes)
{
	static const uint64_t by_type[] = { NET_F_HOST_TSO4, NET_F_HOST_TSO6, NET_F_HOST_USO,
					    NET_F_HOST_ECN };

	// Other flags mean nothing in this direction, nor does num_buffers.
	header->flags &= NET_HEADER_NEEDS_CSUM;
	header->num_buffers = 0;
	if (!header->flags)
		header->csum_start = header->csum_offset = 0;
	else if (!(features & NET_F_CSUM) || !checksum_within(header, frame_bytes))
		return false;
	if (header->gso_type == GSO_NONE) {
		header->gso_size = header->hdr_len = 0;
		return true;
	}
	// A hint (5.1.6.2.2); a host may believe it.
	header->hdr_len = MIN((size_t)header->hdr_len, frame_bytes);
	return header->flags && header->gso_size &&
	       !(needed_for_gso(header->gso_type, by_type) & ~features);
}

bool net_header_check_received(struct net_header *header, uint64_t offloads)
{
	static const uint64_t by_type[] = { NET_F_GUEST_TSO4, NET_F_GUEST_TSO6,
					    NET_F_GUEST_USO4 | NET_F_GUEST_USO6, NET_F_GUEST_ECN };

	if (!(offloads & NET_F_GUEST_CSUM)) {
		if (header->flags & NET_HEADER_NEEDS_CSUM)
			return false;
		header->flags = 0;
	}
	header->flags &= NET_HEADER_NEEDS_CSUM | NET_HEADER_DATA_VALID;
	return header->gso_type == GSO_NONE ||
	       !(needed_for_gso(header->gso_type, by_type) & ~offloads);
}
