// SPDX-License-Identifier: GPL-2.0-or-later
// What the unpackers of core/image share: the table of methods, and the output with its
// bounds.
#ifndef KVIK_IMAGE_UNPACK_H
#define KVIK_IMAGE_UNPACK_H

#include "image-internal.h"

// Unpacked bytes while they come in.
struct image_output {
	const char *name;   // of the file, for messages
	const char *format; // of the packed data
	uint8_t *data;      // freed by whoever began it
	size_t used_bytes;
	size_t room_bytes;
	size_t expected_bytes; // what it says of itself; 0: nothing
};

// Makes room for more output. @consumed_bytes of input were used up for what is there.
// Returns 0, or -errno after a message: not everything that unpacks is a kernel.
int image_output_grow(struct image_output *out, size_t consumed_bytes) MUST_CHECK;
// The same until there is room for @more_bytes at once; more than IMAGE_MAX_BYTES never
// fit.
int image_output_reserve(struct image_output *out, size_t more_bytes, size_t consumed_bytes)
	MUST_CHECK;

// -EINVAL after a message.
int image_output_damaged(const struct image_output *out, const char *why);
int image_output_truncated(const struct image_output *out);

// One function a method: unpack all of @packed to the end of @out. Return 0 or -errno
// after a message. What follows the packed data does not matter, but for lz4, which
// has no end of its own.
int image_unpack_gzip(struct image_span packed, struct image_output *out) MUST_CHECK;
int image_unpack_zstd(struct image_span packed, struct image_output *out) MUST_CHECK;
int image_unpack_xz(struct image_span packed, struct image_output *out) MUST_CHECK;
int image_unpack_lzma(struct image_span packed, struct image_output *out) MUST_CHECK;
int image_unpack_lz4(struct image_span packed, struct image_output *out) MUST_CHECK;
int image_unpack_lzo(struct image_span packed, struct image_output *out) MUST_CHECK;

#endif
