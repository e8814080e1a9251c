// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking xz and its forerunner lzma, by liblzma. Compiled when that is there.
#ifdef HAVE_LZMA
#include <errno.h>
#include <lzma.h>

#include "image-unpack.h"
#include "log.h"

// A header may ask for a dictionary of 4 GiB. Linux packs itself with 32 MiB or, lzma,
// 64 MiB (scripts/Makefile.lib, scripts/xz_wrap.sh).
#define MEMORY_LIMIT_BYTES (256 * MIB)

static const char *reason(lzma_ret status)
{
	switch (status) {
	case LZMA_MEM_ERROR:
		return "there is no memory for it";
	case LZMA_MEMLIMIT_ERROR:
		return "it wants a dictionary larger than any kernel's";
	case LZMA_FORMAT_ERROR:
	case LZMA_OPTIONS_ERROR:
		return "its header makes no sense";
	default:
		return "bad contents";
	}
}

static int decode(lzma_stream *stream, struct image_input *in, struct image_output *out)
{
	lzma_ret status = LZMA_OK;

	while (status != LZMA_STREAM_END) {
		int rc = image_input_need(in, 1);

		if (!rc && out->used_bytes == out->room_bytes)
			rc = image_output_grow(out, image_input_used(in));
		if (rc)
			return rc;
		stream->next_in = in->next;
		stream->avail_in = in->left_bytes;
		stream->next_out = out->data + out->used_bytes;
		stream->avail_out = out->room_bytes - out->used_bytes;
		status = lzma_code(stream, LZMA_RUN);
		image_input_skip(in, in->left_bytes - stream->avail_in);
		out->used_bytes = out->room_bytes - stream->avail_out;
		// Twice without progress; with room for output it is the input that is used up.
		if (status == LZMA_BUF_ERROR && stream->avail_out)
			return image_output_truncated(out);
		if (status != LZMA_OK && status != LZMA_STREAM_END && status != LZMA_BUF_ERROR)
			return image_output_damaged(out, reason(status));
	}
	return 0;
}

static int run(lzma_stream *stream, lzma_ret started, struct image_input *in,
	       struct image_output *out)
{
	int rc;

	if (started != LZMA_OK)
		return fail(ENOMEM, "%s: start liblzma", out->name);
	rc = decode(stream, in, out);
	lzma_end(stream);
	return rc;
}

int image_unpack_xz(struct image_input *in, struct image_output *out)
{
	lzma_stream stream = LZMA_STREAM_INIT;

	return run(&stream, lzma_stream_decoder(&stream, MEMORY_LIMIT_BYTES, 0), in, out);
}

int image_unpack_lzma(struct image_input *in, struct image_output *out)
{
	lzma_stream stream = LZMA_STREAM_INIT;

	return run(&stream, lzma_alone_decoder(&stream, MEMORY_LIMIT_BYTES), in, out);
}
#endif
