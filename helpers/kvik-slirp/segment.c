// SPDX-License-Identifier: GPL-2.0-or-later
// TCP segments in Ethernet frames (RFC 791, 8200, 9293).

#include "segment.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#define ETHERNET_BYTES 14
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define TCP_CHECKSUM 16 // its place
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define IPV4_MORE_OR_OFFSET 0x3fff // a fragment
#define IPV4_DONT_FRAGMENT 0x4000
#define TTL 64

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2, OPTION_SHIFT = 3 };
#define SHIFT_MAX 14 // RFC 7323 2.3

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

// -- reading --

// An option is cut off by the end of the header; one without a length of its own is a byte.
static void parse_options(struct segment *segment, const uint8_t *option, size_t len)
{
	while (len && option[0] != OPTION_END) {
		size_t size = option[0] == OPTION_NOP ? 1 : len > 1 ? option[1] : 0;

		if (!size || size > len || (size < 2 && option[0] != OPTION_NOP))
			return;
		if (option[0] == OPTION_MSS && size == 4)
			segment->mss = get16(option + 2);
		if (option[0] == OPTION_SHIFT && size == 3)
			segment->window_shift = MIN((int)option[2], SHIFT_MAX);
		option += size;
		len -= size;
	}
}

static bool parse_tcp(struct segment *segment, const uint8_t *tcp, size_t len)
{
	size_t header = len < TCP_BYTES ? 0 : (size_t)(tcp[12] >> 4) * 4;

	if (header < TCP_BYTES || header > len)
		return false;
	memcpy(&segment->name.guest_port, tcp, 2);
	memcpy(&segment->name.host_port, tcp + 2, 2);
	segment->seq = get32(tcp + 4);
	segment->ack = get32(tcp + 8);
	segment->flags = tcp[13];
	segment->window = get16(tcp + 14);
	segment->window_shift = SEGMENT_NO_SHIFT;
	parse_options(segment, tcp + TCP_BYTES, header - TCP_BYTES);
	segment->data = tcp + header;
	segment->len = len - header;
	return true;
}

static bool parse_ipv4(struct segment *segment, const uint8_t *ip, size_t len)
{
	size_t header = len < IPV4_BYTES ? 0 : (size_t)(ip[0] & 15) * 4, total;

	if (header < IPV4_BYTES || ip[0] >> 4 != 4 || ip[9] != IPPROTO_TCP)
		return false;
	total = get16(ip + 2); // padding may follow
	if (total < header || total > len || (get16(ip + 6) & IPV4_MORE_OR_OFFSET))
		return false;
	memcpy(segment->name.guest_ip, ip + 12, 4);
	memcpy(segment->name.host_ip, ip + 16, 4);
	return parse_tcp(segment, ip + header, total - header);
}

static bool parse_ipv6(struct segment *segment, const uint8_t *ip, size_t len)
{
	size_t total;

	if (len < IPV6_BYTES || ip[0] >> 4 != 6 || ip[6] != IPPROTO_TCP)
		return false;
	total = IPV6_BYTES + get16(ip + 4);
	if (total > len)
		return false;
	segment->name.ipv6 = 1;
	memcpy(segment->name.guest_ip, ip + 8, 16);
	memcpy(segment->name.host_ip, ip + 24, 16);
	return parse_tcp(segment, ip + IPV6_BYTES, total - IPV6_BYTES);
}

bool segment_parse(struct segment *segment, const uint8_t *frame, size_t len)
{
	memset(segment, 0, sizeof(*segment));
	if (len < ETHERNET_BYTES)
		return false;
	switch (get16(frame + SEGMENT_MACS_BYTES)) {
	case ETHERTYPE_IPV4:
		return parse_ipv4(segment, frame + ETHERNET_BYTES, len - ETHERNET_BYTES);
	case ETHERTYPE_IPV6:
		return parse_ipv6(segment, frame + ETHERNET_BYTES, len - ETHERNET_BYTES);
	default:
		return false;
	}
}

// -- writing --

static uint32_t sum_words(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i += 2)
		sum += get16(data + i);
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

static size_t write_ipv4(uint8_t *ip, const struct tcp_name *name, size_t tcp_len)
{
	memset(ip, 0, IPV4_BYTES);
	ip[0] = 4 << 4 | IPV4_BYTES / 4;
	put16(ip + 2, (uint32_t)(IPV4_BYTES + tcp_len));
	put16(ip + 6, IPV4_DONT_FRAGMENT);
	ip[8] = TTL;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, name->host_ip, 4);
	memcpy(ip + 16, name->guest_ip, 4);
	put16(ip + 10, ~fold(sum_words(ip, IPV4_BYTES, 0)));
	return IPV4_BYTES;
}

static size_t write_ipv6(uint8_t *ip, const struct tcp_name *name, size_t tcp_len)
{
	memset(ip, 0, IPV6_BYTES);
	ip[0] = 6 << 4;
	put16(ip + 4, (uint32_t)tcp_len);
	ip[6] = IPPROTO_TCP;
	ip[7] = TTL;
	memcpy(ip + 8, name->host_ip, 16);
	memcpy(ip + 24, name->guest_ip, 16);
	return IPV6_BYTES;
}

static size_t write_options(uint8_t *option, const struct segment *segment)
{
	size_t len = 0;

	if (segment->mss) {
		put32(option, OPTION_MSS << 24 | 4 << 16 | segment->mss);
		len += 4;
	}
	if (segment->window_shift != SEGMENT_NO_SHIFT) {
		put32(option + len, (uint32_t)(OPTION_NOP << 24 | OPTION_SHIFT << 16 | 3 << 8 |
					       segment->window_shift));
		len += 4;
	}
	return len;
}

// The checksum is the pseudo header's only (RFC 9293 3.1); virtio's header asks for the rest.
static size_t write_tcp(uint8_t *tcp, const struct segment *segment)
{
	const struct tcp_name *name = &segment->name;
	size_t ip_bytes = name->ipv6 ? 16 : 4;
	size_t header = TCP_BYTES + write_options(tcp + TCP_BYTES, segment);
	uint32_t sum = (uint32_t)(header + segment->len) + IPPROTO_TCP;

	sum = sum_words(name->guest_ip, ip_bytes, sum_words(name->host_ip, ip_bytes, sum));
	memcpy(tcp, &name->host_port, 2);
	memcpy(tcp + 2, &name->guest_port, 2);
	put32(tcp + 4, segment->seq);
	put32(tcp + 8, segment->ack);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = segment->flags;
	put16(tcp + 14, segment->window);
	put16(tcp + TCP_CHECKSUM, fold(sum));
	put16(tcp + 18, 0);
	return header;
}

static void write_vnet(uint8_t *at, size_t csum_start)
{
	const struct net_header header = {
		.flags = NET_HEADER_NEEDS_CSUM,
		.csum_start = htole16((uint16_t)csum_start),
		.csum_offset = htole16(TCP_CHECKSUM),
	};

	memcpy(at, &header, sizeof(header));
}

size_t segment_write_headers(uint8_t headers[SEGMENT_HEADERS_MAX], const struct segment *segment,
			     const uint8_t macs[SEGMENT_MACS_BYTES])
{
	uint8_t *frame = headers + NET_VNET_HEADER_BYTES, *ip = frame + ETHERNET_BYTES;
	size_t ip_len = segment->name.ipv6 ? IPV6_BYTES : IPV4_BYTES;
	size_t tcp_len = write_tcp(ip + ip_len, segment);

	write_vnet(headers, ETHERNET_BYTES + ip_len);
	memcpy(frame, macs + 6, 6);
	memcpy(frame + 6, macs, 6);
	put16(frame + SEGMENT_MACS_BYTES, segment->name.ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	if (segment->name.ipv6)
		write_ipv6(ip, &segment->name, tcp_len + segment->len);
	else
		write_ipv4(ip, &segment->name, tcp_len + segment->len);
	return NET_VNET_HEADER_BYTES + ETHERNET_BYTES + ip_len + tcp_len;
}
