// SPDX-License-Identifier: GPL-2.0-or-later
// Compressed clusters of a qcow2 image. Whatever the data say, unpacking them gives one
// cluster and takes no more than they have.

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "qcow2.h"

#define WINDOW_BITS_MAX (-15) // raw deflate, any window
#define WINDOW_BITS (-12)     // what the format's first reader can unpack

// -- unpacking --

static int inflate_cluster(uint8_t *out, size_t out_len, uint8_t *in, size_t in_len)
{
	z_stream stream = {
		.next_in = in,
		.avail_in = in_len,
		.next_out = out,
		.avail_out = out_len,
	};

	if (inflateInit2(&stream, WINDOW_BITS_MAX) != Z_OK)
		return -ENOMEM;
	inflate(&stream, Z_FINISH); // it ends in an error where only padding is left
	inflateEnd(&stream);
	return stream.avail_out ? -EIO : 0;
}

static int unzstd_cluster(uint8_t *out, size_t out_len, const uint8_t *in, size_t in_len)
{
	ZSTD_inBuffer input = { .src = in, .size = in_len };
	ZSTD_outBuffer output = { .dst = out, .size = out_len };
	ZSTD_DCtx *context = ZSTD_createDCtx();
	size_t left = 1;

	if (!context)
		return -ENOMEM;
	while (output.pos < output.size && input.pos < input.size && !ZSTD_isError(left)) {
		size_t before = input.pos + output.pos;

		left = ZSTD_decompressStream(context, &output, &input);
		if (input.pos + output.pos == before)
			break;
	}
	ZSTD_freeDCtx(context);
	return ZSTD_isError(left) || output.pos < output.size ? -EIO : 0;
}

int qcow2_unpack(struct qcow2_image *image, uint64_t entry, uint8_t *data)
{
	uint64_t offset, len;
	uint8_t *packed;
	int ret;

	qcow2_packed_place(image, entry, &offset, &len);
	if (offset >= image->file_bytes)
		return qcow2_corrupt(image, "compressed data at %llu are not within the file",
				     (unsigned long long)offset);
	len = MIN(len, image->file_bytes - offset);
	packed = malloc(len);
	if (!packed)
		return fail(ENOMEM, "disk %s", image->path);
	ret = raw_read(image->file, packed, len, offset);
	if (!ret && image->compression == QCOW2_COMPRESSION_ZSTD)
		ret = unzstd_cluster(data, image->cluster_bytes, packed, len);
	else if (!ret)
		ret = inflate_cluster(data, image->cluster_bytes, packed, len);
	free(packed);
	if (ret && log_ratelimit_ok(&image->limit))
		err("disk %s: qcow2: cannot unpack the compressed data at %llu; kvik disk check %s "
		    "tells more",
		    image->path, (unsigned long long)offset, image->path);
	return ret;
}

// -- packing --

// Both return the packed bytes, or 0 where they are not fewer than @len.
static size_t deflate_cluster(uint8_t *out, const uint8_t *in, size_t len)
{
	z_stream stream = {
		.next_in = (uint8_t *)in,
		.avail_in = len,
		.next_out = out,
		.avail_out = len - 1,
	};
	int ret;

	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, 9,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return 0;
	ret = deflate(&stream, Z_FINISH);
	deflateEnd(&stream);
	return ret == Z_STREAM_END ? len - 1 - stream.avail_out : 0;
}

static size_t zstd_cluster(uint8_t *out, const uint8_t *in, size_t len)
{
	size_t packed = ZSTD_compress(out, len - 1, in, len, ZSTD_CLEVEL_DEFAULT);

	return ZSTD_isError(packed) ? 0 : packed;
}

// Finds room for @len bytes, behind @place where possible; the clusters have one refcount
// more then.
static int find_room(struct qcow2_image *image, uint64_t len, uint64_t *place)
{
	uint64_t used = *place & (image->cluster_bytes - 1);
	uint64_t last = *place >> image->cluster_bits;
	bool shares = used && image->refcount_order; // 1 bit counts no second one
	struct qcow2_run run;
	int ret;

	if (shares && used + len <= image->cluster_bytes)
		return qcow2_refcount_add(image, (struct qcow2_run){ last, 1 }, 1);
	ret = qcow2_allocate(image, 1, &run);
	if (ret)
		return ret;
	if (shares && run.first == last + 1)
		return qcow2_refcount_add(image, (struct qcow2_run){ last, 1 }, 1);
	*place = run.first << image->cluster_bits;
	return 0;
}

static int store_packed(struct qcow2_image *image, uint64_t cluster, const uint8_t *packed,
			uint64_t len, uint64_t *place)
{
	uint64_t sectors, offset;
	int ret = find_room(image, len, place);

	if (ret)
		return ret;
	offset = *place;
	ret = raw_write(image->file, packed, len, offset);
	if (ret)
		return fail(-ret, "disk %s: write", image->path);
	sectors = (offset % QCOW2_COMPRESSED_SECTOR + len - 1) / QCOW2_COMPRESSED_SECTOR;
	*place = offset + len;
	return qcow2_link_packed(image, cluster,
				 QCOW2_COMPRESSED | sectors << (62 - (image->cluster_bits - 8)) |
					 offset);
}

int qcow2_pack(struct qcow2_image *image, uint64_t cluster, const uint8_t *data, uint64_t *place)
{
	size_t cluster_bytes = image->cluster_bytes, len;
	uint8_t *packed = malloc(cluster_bytes);
	int ret = -E2BIG;

	if (!packed)
		return fail(ENOMEM, "disk %s", image->path);
	if (image->compression == QCOW2_COMPRESSION_ZSTD)
		len = zstd_cluster(packed, data, cluster_bytes);
	else
		len = deflate_cluster(packed, data, cluster_bytes);
	if (len)
		ret = store_packed(image, cluster, packed, len, place);
	free(packed);
	return ret;
}
