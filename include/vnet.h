// SPDX-License-Identifier: GPL-2.0-or-later
// Headers before frames (virtio 1.2 5.1.6): what they leave to the frame's receiver.
#ifndef KVIK_VNET_H
#define KVIK_VNET_H

#include <stddef.h>
#include <sys/uio.h>

#include "util.h"

// Computes the checksum of the frame in @iov, of @bytes with the header before it, where
// the header leaves that to its receiver, and takes that out of the header. -EINVAL without
// a message: the header is wrong.
int vnet_complete(const struct iovec *iov, unsigned count, size_t bytes) MUST_CHECK;

#endif
