// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking gzip and zstd kernels, with bounds on what a small file can become.
//
// Both formats can turn a few bytes into gigabytes, so the output is bounded
// twice: by IMAGE_MAX_BYTES, and by its ratio to the input consumed so far, which
// stops a bomb after a few milliseconds rather than a second.
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "image-internal.h"
#include "log.h"

// Kernels shrink to a half or a tenth. Small ones may hold mostly zeroes, hence
// the floor from which the ratio counts.
#define MAX_RATIO 100
#define RATIO_FLOOR_BYTES (32 * MIB)
#define FIRST_STEP_BYTES (1 * MIB)

struct output {
	const char *name;
	const char *format;
	uint8_t *data;
	size_t used_bytes;
	size_t room_bytes;
};

// Makes room for more output. @consumed: bytes of input that were used up for it.
static int output_grow(struct output *out, size_t consumed)
{
	size_t room = out->room_bytes ? 2 * out->room_bytes : FIRST_STEP_BYTES;
	uint8_t *data;

	if (out->used_bytes >= IMAGE_MAX_BYTES)
		return fail_msg(EFBIG, "%s: unpacks (%s) to more than %llu MiB: not a kernel",
				out->name, out->format, IMAGE_MAX_BYTES / MIB);
	if (out->used_bytes >= RATIO_FLOOR_BYTES && out->used_bytes / MAX_RATIO > consumed)
		return fail_msg(EFBIG,
				"%s: unpacks (%s) to more than %u times its size: not a kernel",
				out->name, out->format, MAX_RATIO);
	data = realloc(out->data, room);
	if (!data)
		return fail(ENOMEM, "%s: unpack %zu MiB", out->name, room / (size_t)MIB);
	out->data = data;
	out->room_bytes = room;
	return 0;
}

static int output_damaged(const struct output *out, const char *why)
{
	return fail_msg(EINVAL, "%s: the %s data is damaged: %s", out->name, out->format, why);
}

static int output_truncated(const struct output *out)
{
	return output_damaged(out, "it ends too early; is the file complete?");
}

static int inflate_all(z_stream *stream, struct output *out)
{
	int status = Z_OK;
	int rc;

	while (status != Z_STREAM_END) {
		if (out->used_bytes == out->room_bytes) {
			rc = output_grow(out, stream->total_in);
			if (rc)
				return rc;
		}
		stream->next_out = out->data + out->used_bytes;
		stream->avail_out = out->room_bytes - out->used_bytes;
		status = inflate(stream, Z_NO_FLUSH);
		out->used_bytes = out->room_bytes - stream->avail_out;
		// Z_BUF_ERROR: no progress, so with room for output the input is used up.
		if (status == Z_BUF_ERROR && stream->avail_out)
			return output_truncated(out);
		if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
			return output_damaged(out, stream->msg ? stream->msg : zError(status));
	}
	return 0;
}

static int unpack_gzip(struct image_span packed, struct output *out)
{
	// zlib's interface lacks const; it does not write to its input.
	z_stream stream = { .next_in = (uint8_t *)packed.data, .avail_in = packed.size_bytes };
	int rc;

	// 16: expect a gzip header (zlib.h, inflateInit2).
	if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		return fail(ENOMEM, "%s: start zlib", out->name);
	rc = inflate_all(&stream, out);
	inflateEnd(&stream);
	return rc;
}

static int decompress_all(ZSTD_DCtx *context, struct image_span packed, struct output *out)
{
	ZSTD_inBuffer in = { .src = packed.data, .size = packed.size_bytes };
	size_t left = 1;
	int rc;

	while (left) {
		ZSTD_outBuffer buffer;

		if (out->used_bytes == out->room_bytes) {
			rc = output_grow(out, in.pos);
			if (rc)
				return rc;
		}
		buffer = (ZSTD_outBuffer){ out->data, out->room_bytes, out->used_bytes };
		left = ZSTD_decompressStream(context, &buffer, &in);
		out->used_bytes = buffer.pos;
		if (ZSTD_isError(left))
			return output_damaged(out, ZSTD_getErrorName(left));
		if (left && in.pos == in.size && buffer.pos < buffer.size)
			return output_truncated(out);
	}
	return 0;
}

static int unpack_zstd(struct image_span packed, struct output *out)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	int rc;

	if (!context)
		return fail(ENOMEM, "%s: start zstd", out->name);
	rc = decompress_all(context, packed, out);
	ZSTD_freeDCtx(context);
	return rc;
}

static int unpack(int (*method)(struct image_span packed, struct output *out),
		  struct image_span packed, struct output *out, uint8_t **data, size_t *size_bytes)
{
	int rc = method(packed, out);
	uint8_t *exact;

	if (rc) {
		free(out->data);
		return rc;
	}
	// Gives the unused tail back; cannot fail for good since it shrinks.
	exact = realloc(out->data, out->used_bytes ? out->used_bytes : 1);
	*data = exact ? exact : out->data;
	*size_bytes = out->used_bytes;
	return 0;
}

int image_unpack_gzip(const char *name, struct image_span packed, uint8_t **data,
		      size_t *size_bytes)
{
	struct output out = { .name = name, .format = "gzip" };

	return unpack(unpack_gzip, packed, &out, data, size_bytes);
}

int image_unpack_zstd(const char *name, struct image_span packed, uint8_t **data,
		      size_t *size_bytes)
{
	struct output out = { .name = name, .format = "zstd" };

	return unpack(unpack_zstd, packed, &out, data, size_bytes);
}
