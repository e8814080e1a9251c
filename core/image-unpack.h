// SPDX-License-Identifier: GPL-2.0-or-later
// What the unpackers of core/image share: the table of methods, and the output with its
// bounds.
#ifndef KVIK_IMAGE_UNPACK_H
#define KVIK_IMAGE_UNPACK_H

#include <errno.h>

#include "image-internal.h"

// Unpacked bytes while they come in.
struct image_output {
	const char *name;   // of the file, for messages
	const char *format; // of the packed data
	uint8_t *data;      // whoever began it frees it, or owns it
	size_t used_bytes;
	size_t room_bytes;
	size_t expected_bytes; // what it says of itself; 0: nothing
	size_t enough_bytes;   // more than this is not wanted; 0: all is
	bool fixed;            // data stays where it is and room_bytes as it is
};

// Makes room for more output; called when more is to come. @consumed_bytes of input were
// used up for what is there. Returns 0; -errno after a message, since not everything that
// unpacks is a kernel, and a fixed one never grows; or, without one, IMAGE_OUTPUT_ENOUGH.
int image_output_grow(struct image_output *out, uint64_t consumed_bytes) MUST_CHECK;
// The same until there is room for @more_bytes at once; more than IMAGE_MAX_BYTES never
// fit.
int image_output_reserve(struct image_output *out, size_t more_bytes, uint64_t consumed_bytes)
	MUST_CHECK;
#define IMAGE_OUTPUT_ENOUGH (-ENOBUFS)

// -EINVAL after a message.
int image_output_damaged(const struct image_output *out, const char *why);
int image_output_truncated(const struct image_output *out);

// One function a method: unpack all of @in to the end of @out. Return 0 or -errno
// after a message. What follows the packed data does not matter, but for lz4, which
// has no end of its own.
int image_unpack_gzip(struct image_input *in, struct image_output *out) MUST_CHECK;
int image_unpack_zstd(struct image_input *in, struct image_output *out) MUST_CHECK;
int image_unpack_xz(struct image_input *in, struct image_output *out) MUST_CHECK;
int image_unpack_lzma(struct image_input *in, struct image_output *out) MUST_CHECK;
int image_unpack_lz4(struct image_input *in, struct image_output *out) MUST_CHECK;
int image_unpack_lzo(struct image_input *in, struct image_output *out) MUST_CHECK;

#endif
