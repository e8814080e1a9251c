// SPDX-License-Identifier: GPL-2.0-or-later
// Headers before frames (virtio 1.2 5.1.6), for peers that know none.

#include "vnet.h"

#include <endian.h>
#include <errno.h>
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

// Of all bytes from @offset on. A piece at an odd place counts with its bytes swapped.
static uint16_t sum_from(const struct iovec *iov, unsigned count, size_t offset)
{
	uint64_t sum = 0;
	bool odd = false;

	for (unsigned i = 0; i < count; i++) {
		size_t skip = MIN(offset, iov[i].iov_len), len = iov[i].iov_len - skip;
		uint16_t piece = sum_piece((const uint8_t *)iov[i].iov_base + skip, len);

		offset -= skip;
		sum += odd ? __builtin_bswap16(piece) : piece;
		odd ^= len & 1;
	}
	return fold(sum);
}

int vnet_complete(struct vnet_start *start, const struct iovec *iov, unsigned count)
{
	struct net_header header;
	size_t first, field;
	uint16_t sum;

	start->len = 0;
	if (iov_to_buf(iov, count, 0, &header, sizeof(header)) < sizeof(header))
		return -EINVAL;
	if (!(header.flags & NET_HEADER_NEEDS_CSUM))
		return 0;
	first = le16toh(header.csum_start);
	field = first + le16toh(header.csum_offset);
	if (field + sizeof(sum) > sizeof(start->bytes))
		return -EINVAL;
	start->len = field + sizeof(sum);
	if (iov_to_buf(iov, count, sizeof(header), start->bytes, start->len) < start->len)
		return -EINVAL;
	sum = (uint16_t)~sum_from(iov, count, sizeof(header) + first);
	// 0 would say that there is none (RFC 768), and 0xffff is as good.
	sum = sum ? sum : 0xffff;
	memcpy(start->bytes + field, &sum, sizeof(sum));
	return 0;
}

void vnet_put_header(const struct iovec *iov, unsigned count, bool valid)
{
	const struct net_header header = { .flags = valid ? NET_HEADER_DATA_VALID : 0 };

	iov_from_buf(iov, count, 0, &header, sizeof(header));
}
