// SPDX-License-Identifier: GPL-2.0-or-later
// Headers before frames (virtio 1.2 5.1.6): what they leave to the frame's receiver.

#include "vnet.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "iov.h"
#include "net.h"

// -- checksums (RFC 1071): in the host's byte order, which does not matter to them --

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t sum_piece(const uint8_t *data, size_t len)
{
	uint64_t sum = 0;
	uint32_t word;

	for (; len >= sizeof(word); len -= sizeof(word), data += sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, data, len);
	return fold(sum + word);
}

// Of bytes [@begin, @end). A piece at an odd place counts with its bytes swapped.
static uint16_t sum_range(const struct iovec *iov, unsigned count, size_t begin, size_t end)
{
	uint64_t sum = 0;
	bool odd = false;

	for (unsigned i = 0; i < count && end; i++) {
		size_t skip = MIN(begin, iov[i].iov_len), stop = MIN(end, iov[i].iov_len);
		uint16_t piece = sum_piece((const uint8_t *)iov[i].iov_base + skip, stop - skip);

		begin -= skip;
		end -= stop;
		sum += odd ? __builtin_bswap16(piece) : piece;
		odd ^= (stop - skip) & 1;
	}
	return fold(sum);
}

int vnet_complete(const struct iovec *iov, unsigned count, size_t bytes)
{
	struct net_header header;
	size_t first, field;
	uint16_t sum;

	if (bytes < sizeof(header) ||
	    iov_to_buf(iov, count, 0, &header, sizeof(header)) < sizeof(header))
		return -EINVAL;
	if (!(header.flags & NET_HEADER_NEEDS_CSUM))
		return 0;
	first = sizeof(header) + le16toh(header.csum_start);
	field = first + le16toh(header.csum_offset);
	if (field + sizeof(sum) > bytes)
		return -EINVAL;
	sum = (uint16_t)~sum_range(iov, count, first, bytes);
	// 0 would say that there is none (RFC 768), and 0xffff is as good.
	sum = sum ? sum : 0xffff;
	iov_from_buf(iov, count, field, &sum, sizeof(sum));
	header.flags = 0;
	iov_from_buf(iov, count, 0, &header, sizeof(header));
	return 0;
}
