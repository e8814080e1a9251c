// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking zstd (RFC 8878), by libzstd.
#define ZSTD_STATIC_LINKING_ONLY // for ZSTD_d_stableOutBuffer
#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "image-unpack.h"
#include "log.h"

static int decompress(ZSTD_DCtx *context, struct image_input *in, struct image_output *out)
{
	size_t left = 1;

	while (left) {
		ZSTD_inBuffer packed;
		ZSTD_outBuffer buffer;
		int rc = image_input_need(in, 1);

		if (!rc && out->used_bytes == out->room_bytes)
			rc = image_output_grow(out, image_input_used(in));
		if (rc)
			return rc;
		packed = (ZSTD_inBuffer){ in->next, in->left_bytes, 0 };
		buffer = (ZSTD_outBuffer){ out->data, out->room_bytes, out->used_bytes };
		left = ZSTD_decompressStream(context, &buffer, &packed);
		image_input_skip(in, packed.pos);
		out->used_bytes = buffer.pos;
		if (ZSTD_getErrorCode(left) == ZSTD_error_dstSize_tooSmall)
			return image_output_grow(out, image_input_used(in)); // says why it cannot
		if (ZSTD_isError(left))
			return image_output_damaged(out, ZSTD_getErrorName(left));
		// Nothing more comes of what there is.
		if (left && !packed.size && buffer.pos < buffer.size)
			return image_output_truncated(out);
	}
	return 0;
}

int image_unpack_zstd(struct image_input *in, struct image_output *out)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	int rc;

	if (!context)
		return fail(ENOMEM, "%s: start zstd", out->name);
	// An output that stays is the window, too: else there is one of up to 128 MiB beside
	// it, through which everything is copied. A library that cannot do that still unpacks.
	if (out->fixed)
		ZSTD_DCtx_setParameter(context, ZSTD_d_stableOutBuffer, 1);
	rc = decompress(context, in, out);
	ZSTD_freeDCtx(context);
	return rc;
}
