// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking lz4's legacy frame, which Linux is packed with, by liblz4. Compiled when
// that is there.
//
// After the magic number come blocks: their packed size, little-endian, then the data;
// each unpacks to 8 MiB, but for the last one. Nothing marks the end but the file's.
#ifdef HAVE_LZ4
#include <lz4.h>

#include "image-unpack.h"

#define MAGIC_BYTES 4
#define SIZE_BYTES 4
#define BLOCK_BYTES (8 * MIB)

static int unpack_block(const uint8_t *block, size_t size_bytes, size_t consumed_bytes,
			struct image_output *out)
{
	size_t room;
	int done, rc = 0;

	if (!out->expected_bytes)
		rc = image_output_reserve(out, BLOCK_BYTES, consumed_bytes);
	if (rc)
		return rc;
	room = MIN((size_t)BLOCK_BYTES, out->room_bytes - out->used_bytes);
	done = LZ4_decompress_safe((const char *)block, (char *)out->data + out->used_bytes,
				   size_bytes, room);
	if (done < 0)
		return image_output_damaged(out, "bad contents");
	out->used_bytes += done;
	return 0;
}

int image_unpack_lz4(struct image_span packed, struct image_output *out)
{
	size_t at = MAGIC_BYTES;

	while (at < packed.size_bytes) {
		size_t left = packed.size_bytes - at;
		uint32_t size_bytes = left < SIZE_BYTES ? 0 : image_le32(packed.data + at);
		int rc;

		if (left < SIZE_BYTES || size_bytes > left - SIZE_BYTES)
			return image_output_truncated(out);
		if (!size_bytes || size_bytes > LZ4_COMPRESSBOUND(BLOCK_BYTES))
			return image_output_damaged(out, "a block has a size that none has");
		rc = unpack_block(packed.data + at + SIZE_BYTES, size_bytes, at, out);
		if (rc)
			return rc;
		at += SIZE_BYTES + size_bytes;
	}
	return 0;
}
#endif
