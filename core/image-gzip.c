// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking gzip (RFC 1952), by zlib.
#include <errno.h>
#include <zlib.h>

#include "image-unpack.h"
#include "log.h"

static int inflate_all(z_stream *stream, struct image_input *in, struct image_output *out)
{
	int status = Z_OK;

	while (status != Z_STREAM_END) {
		int rc = image_input_need(in, 1);

		if (!rc && out->used_bytes == out->room_bytes)
			rc = image_output_grow(out, image_input_used(in));
		if (rc)
			return rc;
		// zlib's interface lacks const; it does not write to its input.
		stream->next_in = (uint8_t *)in->next;
		stream->avail_in = in->left_bytes;
		stream->next_out = out->data + out->used_bytes;
		stream->avail_out = out->room_bytes - out->used_bytes;
		status = inflate(stream, Z_NO_FLUSH);
		image_input_skip(in, in->left_bytes - stream->avail_in);
		out->used_bytes = out->room_bytes - stream->avail_out;
		// Z_BUF_ERROR: no progress, so with room for output the input is used up.
		if (status == Z_BUF_ERROR && stream->avail_out)
			return image_output_truncated(out);
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return image_output_damaged(out,
						    stream->msg ? stream->msg : zError(status));
	}
	return 0;
}

int image_unpack_gzip(struct image_input *in, struct image_output *out)
{
	z_stream stream = { 0 };
	int rc;

	// 16: expect a gzip header (zlib.h, inflateInit2).
	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return fail(ENOMEM, "%s: start zlib", out->name);
	rc = inflate_all(&stream, in, out);
	inflateEnd(&stream);
	return rc;
}
