// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking zstd (RFC 8878), by libzstd.
#include <errno.h>
#include <zstd.h>

#include "image-unpack.h"
#include "log.h"

// In one go, without the window of up to 128 MiB that a stream keeps beside its output.
static int decompress_expected(ZSTD_DCtx *context, struct image_span packed,
			       struct image_output *out)
{
	size_t frame_bytes = ZSTD_findFrameCompressedSize(packed.data, packed.size_bytes);
	size_t done;

	if (ZSTD_isError(frame_bytes))
		return image_output_damaged(out, ZSTD_getErrorName(frame_bytes));
	done = ZSTD_decompressDCtx(context, out->data, out->room_bytes, packed.data, frame_bytes);
	if (ZSTD_isError(done))
		return image_output_damaged(out, ZSTD_getErrorName(done));
	out->used_bytes = done;
	return 0;
}

static int decompress_stream(ZSTD_DCtx *context, struct image_span packed, struct image_output *out)
{
	ZSTD_inBuffer in = { .src = packed.data, .size = packed.size_bytes };
	size_t left = 1;
	int rc;

	while (left) {
		ZSTD_outBuffer buffer;

		if (out->used_bytes == out->room_bytes) {
			rc = image_output_grow(out, in.pos);
			if (rc)
				return rc;
		}
		buffer = (ZSTD_outBuffer){ out->data, out->room_bytes, out->used_bytes };
		left = ZSTD_decompressStream(context, &buffer, &in);
		out->used_bytes = buffer.pos;
		if (ZSTD_isError(left))
			return image_output_damaged(out, ZSTD_getErrorName(left));
		if (left && in.pos == in.size && buffer.pos < buffer.size)
			return image_output_truncated(out);
	}
	return 0;
}

int image_unpack_zstd(struct image_span packed, struct image_output *out)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	int rc;

	if (!context)
		return fail(ENOMEM, "%s: start zstd", out->name);
	rc = out->expected_bytes ? decompress_expected(context, packed, out) :
				   decompress_stream(context, packed, out);
	ZSTD_freeDCtx(context);
	return rc;
}
