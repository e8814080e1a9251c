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

static int unpack_block(struct image_input *in, size_t size_bytes, struct image_output *out)
{
	bool room_is_all = out->fixed || out->expected_bytes;
	size_t room;
	int done, rc = 0;

	if (!room_is_all)
		rc = image_output_reserve(out, BLOCK_BYTES, image_input_used(in));
	if (rc)
		return rc;
	room = MIN((size_t)BLOCK_BYTES, out->room_bytes - out->used_bytes);
	done = LZ4_decompress_safe((const char *)in->next, (char *)out->data + out->used_bytes,
				   size_bytes, room);
	if (done < 0 && out->fixed && room < BLOCK_BYTES)
		return image_output_grow(out, image_input_used(in)); // says why it cannot
	if (done < 0)
		return image_output_damaged(out, "bad contents");
	out->used_bytes += done;
	return 0;
}

static int next_block(struct image_input *in, struct image_output *out)
{
	uint32_t size_bytes;
	int rc;

	if (in->left_bytes < SIZE_BYTES)
		return image_output_truncated(out);
	size_bytes = load_le32(in->next);
	if (!size_bytes || size_bytes > LZ4_COMPRESSBOUND(BLOCK_BYTES))
		return image_output_damaged(out, "a block has a size that none has");
	image_input_skip(in, SIZE_BYTES);
	rc = image_input_need(in, size_bytes);
	if (rc)
		return rc;
	if (in->left_bytes < size_bytes)
		return image_output_truncated(out);
	rc = unpack_block(in, size_bytes, out);
	image_input_skip(in, size_bytes);
	return rc;
}

int image_unpack_lz4(struct image_input *in, struct image_output *out)
{
	int rc = 0;

	image_input_skip(in, MAGIC_BYTES); // which has been looked at
	while (!rc) {
		rc = image_input_need(in, SIZE_BYTES);
		if (rc || !in->left_bytes)
			return rc;
		rc = next_block(in, out);
	}
	return rc;
}
#endif
