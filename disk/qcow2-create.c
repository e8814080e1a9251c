// SPDX-License-Identifier: GPL-2.0-or-later
// Making an empty qcow2 image: the smallest there is, which then gets its size.

#include "qcow2-create.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2.h"

#define HEADER_BYTES 112 // with the compression type, in multiples of 8

// Where things are in the new image, by cluster.
enum { AT_HEADER, AT_REFCOUNT_TABLE, AT_REFCOUNT_BLOCK, CLUSTERS };

static unsigned log2_of(uint64_t value)
{
	return __builtin_ctzll(value);
}

static bool is_power_of_2(uint64_t value)
{
	return value && !(value & (value - 1));
}

int qcow2_check_options(const struct qcow2_options *options)
{
	if (!is_power_of_2(options->cluster_bytes) || options->cluster_bytes < 512 ||
	    options->cluster_bytes > 2 * MIB)
		return fail_msg(
			EINVAL,
			"a cluster size of %llu bytes is impossible; give a power of 2 from 512 to 2M",
			(unsigned long long)options->cluster_bytes);
	if (!is_power_of_2(options->refcount_bits) || options->refcount_bits > 64)
		return fail_msg(
			EINVAL,
			"refcounts of %u bits are impossible; give 1, 2, 4, 8, 16, 32 or 64",
			options->refcount_bits);
	if (options->backing_path && strlen(options->backing_path) > QCOW2_BACKING_BYTES_MAX)
		return fail_msg(EINVAL, "the backing file's name is longer than %u bytes",
				QCOW2_BACKING_BYTES_MAX);
	return 0;
}

static void fill_v3_fields(uint8_t *h, const struct qcow2_options *options)
{
	bool zstd = options->compression == QCOW2_COMPRESSION_ZSTD;

	store_be64(h + QCOW2_AT_INCOMPATIBLE, zstd ? QCOW2_INCOMPATIBLE_COMPRESSION : 0);
	store_be32(h + QCOW2_AT_REFCOUNT_ORDER, log2_of(options->refcount_bits));
	store_be32(h + QCOW2_AT_HEADER_BYTES, HEADER_BYTES);
	h[QCOW2_AT_COMPRESSION] = options->compression;
}

// Returns -EINVAL where the first cluster is too small for the names.
static int fill_backing(uint8_t *h, uint64_t at, const struct qcow2_options *options)
{
	size_t format = strlen(options->backing_format), name = strlen(options->backing_path);
	uint64_t name_at = at + 8 + align_up(format, 8) + 8;

	if (name_at + name > options->cluster_bytes)
		return fail_msg(EINVAL,
				"the backing file's name has no room in a cluster of %llu bytes",
				(unsigned long long)options->cluster_bytes);
	store_be32(h + at, QCOW2_EXT_BACKING_FORMAT);
	store_be32(h + at + 4, format);
	memcpy(h + at + 8, options->backing_format, format);
	memcpy(h + name_at, options->backing_path, name);
	store_be64(h + QCOW2_AT_BACKING_OFFSET, name_at);
	store_be32(h + QCOW2_AT_BACKING_BYTES, name);
	return 0;
}

static int fill_header(uint8_t *h, const struct qcow2_options *options)
{
	unsigned version = options->version;

	store_be32(h, QCOW2_MAGIC);
	store_be32(h + QCOW2_AT_VERSION, version);
	store_be32(h + QCOW2_AT_CLUSTER_BITS, log2_of(options->cluster_bytes));
	store_be64(h + QCOW2_AT_REFCOUNT_TABLE_OFFSET, AT_REFCOUNT_TABLE * options->cluster_bytes);
	store_be32(h + QCOW2_AT_REFCOUNT_TABLE_CLUSTERS, 1);
	if (version > 2)
		fill_v3_fields(h, options);
	if (!options->backing_path)
		return 0;
	return fill_backing(h, version > 2 ? HEADER_BYTES : QCOW2_V2_HEADER_BYTES, options);
}

static int write_first_clusters(struct disk *file, const struct qcow2_options *options)
{
	uint64_t cluster_bytes = options->cluster_bytes;
	uint8_t *bytes = calloc(CLUSTERS, cluster_bytes);
	int ret;

	if (!bytes)
		return fail(ENOMEM, "disk %s", file->path);
	ret = fill_header(bytes, options);
	store_be64(bytes + AT_REFCOUNT_TABLE * cluster_bytes, AT_REFCOUNT_BLOCK * cluster_bytes);
	for (unsigned i = 0; i < CLUSTERS; i++)
		qcow2_refcount_set_in_block(bytes + AT_REFCOUNT_BLOCK * cluster_bytes, i,
					    log2_of(options->refcount_bits), 1);
	if (!ret) {
		ret = raw_write(file, bytes, CLUSTERS * cluster_bytes, 0);
		ret = ret ? fail(-ret, "disk %s: write", file->path) : 0;
	}
	free(bytes);
	return ret;
}

int qcow2_create(struct disk *file, const struct qcow2_options *options)
{
	struct qcow2_open_flags flags = { .volatile_ = options->volatile_ };
	struct qcow2_image image;
	int ret = qcow2_check_options(options), closed;

	if (!ret)
		ret = write_first_clusters(file, options);
	if (!ret)
		ret = qcow2_image_open(&image, file, flags);
	if (ret)
		return ret;
	ret = qcow2_set_size(&image, options->size_bytes);
	closed = qcow2_image_close(&image);
	return ret ? ret : closed;
}
