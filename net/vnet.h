// SPDX-License-Identifier: GPL-2.0-or-later
// Headers before frames (virtio 1.2 5.1.6), for peers that know none.
#ifndef KVIK_NET_VNET_H
#define KVIK_NET_VNET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util.h"

// Beyond all headers up to TCP's checksum, IPv6's extensions included.
#define VNET_START_BYTES 512

// The beginning of a frame, in place of that many bytes of it.
struct vnet_start {
	uint8_t bytes[VNET_START_BYTES];
	size_t len; // 0: the frame is complete as it is
};

// Does what the header at the beginning of @iov left to its receiver: the checksum. -EINVAL
// without a message: the header is wrong.
int vnet_complete(struct vnet_start *start, const struct iovec *iov, unsigned count) MUST_CHECK;
// Writes a header to the beginning of @iov. @valid: checksums need no check.
void vnet_put_header(const struct iovec *iov, unsigned count, bool valid);

#endif
