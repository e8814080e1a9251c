// SPDX-License-Identifier: GPL-2.0-or-later
// The first cluster of a qcow2 image: the header's fields, its extensions and the backing
// file's name, all checked.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2.h"

#define HEADER_MAX 4096 // what is read of the first cluster for the header's fields

#define KNOWN_INCOMPATIBLE                                                                      \
	(QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT | QCOW2_INCOMPATIBLE_DATA_FILE | \
	 QCOW2_INCOMPATIBLE_COMPRESSION | QCOW2_INCOMPATIBLE_EXTENDED_L2)

// -- fields --

static void load_v3_fields(struct qcow2_image *image, const uint8_t *h)
{
	image->incompatible = load_be64(h + QCOW2_AT_INCOMPATIBLE);
	image->compatible = load_be64(h + QCOW2_AT_COMPATIBLE);
	image->autoclear = load_be64(h + QCOW2_AT_AUTOCLEAR);
	image->refcount_order = load_be32(h + QCOW2_AT_REFCOUNT_ORDER);
	image->header_bytes = load_be32(h + QCOW2_AT_HEADER_BYTES);
	if (image->header_bytes > QCOW2_AT_COMPRESSION)
		image->compression = h[QCOW2_AT_COMPRESSION];
}

static void load_fields(struct qcow2_image *image, const uint8_t *h)
{
	image->size_bytes = load_be64(h + QCOW2_AT_SIZE);
	image->l1_entries = load_be32(h + QCOW2_AT_L1_ENTRIES);
	image->l1_offset = load_be64(h + QCOW2_AT_L1_OFFSET);
	image->refcount_table_offset = load_be64(h + QCOW2_AT_REFCOUNT_TABLE_OFFSET);
	image->snapshot_count = load_be32(h + QCOW2_AT_SNAPSHOTS);
	image->snapshots_offset = load_be64(h + QCOW2_AT_SNAPSHOTS_OFFSET);
	image->refcount_order = 4;
	image->header_bytes = QCOW2_V2_HEADER_BYTES;
	if (image->version > 2)
		load_v3_fields(image, h);
}

static int check_version(struct qcow2_image *image, const uint8_t *h)
{
	uint32_t bits = load_be32(h + QCOW2_AT_CLUSTER_BITS);

	if (load_be32(h) != QCOW2_MAGIC)
		return qcow2_refuse(image,
				    "this is not a qcow2 image; give its format: format=raw");
	image->version = load_be32(h + QCOW2_AT_VERSION);
	if (image->version < 2 || image->version > 3)
		return qcow2_refuse(image,
				    "version %u is unknown; 2 and 3 are supported: qemu-img "
				    "convert makes one of it",
				    image->version);
	if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
		return qcow2_refuse(
			image, "clusters of 2^%u bytes; 512 bytes to 2 MiB are possible", bits);
	image->cluster_bits = bits;
	image->cluster_bytes = 1ULL << bits;
	image->l2_bits = bits - 3;
	return 0;
}

static int check_encryption(struct qcow2_image *image, const uint8_t *h)
{
	uint32_t method = load_be32(h + QCOW2_AT_CRYPT);

	if (!method)
		return 0;
	return qcow2_refuse(image,
			    "is encrypted (method %u), which is not supported; qemu-img convert "
			    "with its key makes a plain one of it",
			    method);
}

static int check_v3_fields(struct qcow2_image *image)
{
	bool flagged = image->incompatible & QCOW2_INCOMPATIBLE_COMPRESSION;

	if (image->version < 3)
		return 0;
	if (image->header_bytes < QCOW2_V3_HEADER_BYTES || image->header_bytes % 8 ||
	    image->header_bytes > MIN(image->cluster_bytes, (uint64_t)HEADER_MAX))
		return qcow2_refuse(image, "its header has %u bytes; 104 to %llu are possible",
				    image->header_bytes,
				    qcow2_ull(MIN(image->cluster_bytes, (uint64_t)HEADER_MAX)));
	if (image->refcount_order > QCOW2_REFCOUNT_ORDER_MAX)
		return qcow2_refuse(image,
				    "reference counts of 2^%u bits; 1 to 64 bits are possible",
				    image->refcount_order);
	if (image->compression > QCOW2_COMPRESSION_ZSTD ||
	    flagged != (image->compression != QCOW2_COMPRESSION_ZLIB))
		return qcow2_refuse(image,
				    "compression type %u%s is unknown; zlib (0) and zstd (1) are "
				    "supported",
				    image->compression, flagged ? "" : ", not flagged,");
	return 0;
}

// -- features --

// The name that the image itself has for incompatible feature @bit; "" without one.
static void find_feature_name(const uint8_t *table, uint32_t len, unsigned bit, char name[47])
{
	name[0] = '\0';
	for (; len >= 48; len -= 48, table += 48) {
		if (table[0] != 0 || table[1] != bit)
			continue;
		memcpy(name, table + 2, 46);
		name[46] = '\0';
		for (char *c = name; *c; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
		return;
	}
}

static int check_features(struct qcow2_image *image, const uint8_t *names, uint32_t names_bytes)
{
	uint64_t unknown = image->incompatible & ~KNOWN_INCOMPATIBLE;
	char name[47];

	if (unknown) {
		unsigned bit = __builtin_ctzll(unknown);

		find_feature_name(names, names_bytes, bit, name);
		return qcow2_refuse(image,
				    "has the unknown incompatible feature %u%s%s%s; qemu-img "
				    "convert makes an image without it",
				    bit, *name ? " (" : "", name, *name ? ")" : "");
	}
	if (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE)
		return qcow2_refuse(image,
				    "keeps its data in an external data file, which is not "
				    "supported; qemu-img convert makes an image without one");
	if (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2)
		return qcow2_refuse(
			image, "has extended L2 entries (subclusters), which are not supported; "
			       "qemu-img convert -o extended_l2=off makes an image without");
	if (image->incompatible & QCOW2_INCOMPATIBLE_CORRUPT && !image->read_only &&
	    !image->examine)
		return qcow2_refuse(
			image,
			"is marked as corrupt; kvik disk check -r all %s repairs it, and "
			"read-only (,ro) it can be used as it is",
			image->path);
	return 0;
}

// -- header extensions and the backing file's name --

// NULL for what would not look well in a message.
static char *copy_text(const uint8_t *from, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (from[i] < ' ' || from[i] == 0x7f)
			return NULL;
	return strndup((const char *)from, len);
}

struct extensions {
	const uint8_t *names; // the feature name table
	uint32_t names_bytes;
};

static int take_extension(struct qcow2_image *image, uint32_t type, const uint8_t *data,
			  uint32_t len, struct extensions *found)
{
	switch (type) {
	case QCOW2_EXT_BACKING_FORMAT:
		if (image->backing_format)
			return qcow2_refuse(image, "names its backing format twice");
		image->backing_format = len && len < 32 ? copy_text(data, len) : NULL;
		if (!image->backing_format)
			return qcow2_refuse(image, "its backing format's name is no name");
		break;
	case QCOW2_EXT_FEATURE_NAMES:
		found->names = data;
		found->names_bytes = len;
		break;
	case QCOW2_EXT_BITMAPS:
		image->bitmaps = image->autoclear & QCOW2_AUTOCLEAR_BITMAPS;
		break;
	}
	return 0;
}

static int read_extensions(struct qcow2_image *image, const uint8_t *h, uint64_t end,
			   struct extensions *found)
{
	uint64_t at = image->header_bytes;

	while (at + 8 <= end) {
		uint32_t type = load_be32(h + at), len = load_be32(h + at + 4);
		int ret;

		at += 8;
		if (type == QCOW2_EXT_END)
			return 0;
		if (len > end - at)
			return qcow2_refuse(
				image, "header extension %#x has %u bytes, more than there are",
				type, len);
		ret = take_extension(image, type, h + at, len, found);
		if (ret)
			return ret;
		at += align_up(len, 8);
	}
	return 0;
}

static int read_backing_name(struct qcow2_image *image, const uint8_t *h, uint64_t offset,
			     uint64_t available)
{
	uint32_t len = load_be32(h + QCOW2_AT_BACKING_BYTES);

	if (!len || len > QCOW2_BACKING_BYTES_MAX || offset < image->header_bytes ||
	    offset > available || len > available - offset)
		return qcow2_refuse(
			image,
			"its backing file's name has %u bytes at %llu; at most 1023 within "
			"the first cluster are possible",
			len, qcow2_ull(offset));
	image->backing_path = copy_text(h + offset, len);
	if (!image->backing_path)
		return qcow2_refuse(image, "its backing file's name is no name");
	return 0;
}

// All that the first cluster has behind the fixed fields.
static int read_first_cluster(struct qcow2_image *image)
{
	uint64_t available = MIN(image->cluster_bytes, image->file_bytes), end = available;
	struct extensions found = { 0 };
	uint8_t *h = malloc(image->cluster_bytes);
	uint64_t backing_offset;
	int ret;

	if (!h)
		return fail(ENOMEM, "disk %s", image->path);
	ret = raw_read(image->file, h, available, 0);
	if (ret)
		ret = fail(-ret, "disk %s: read", image->path);
	backing_offset = ret ? 0 : load_be64(h + QCOW2_AT_BACKING_OFFSET);
	if (!ret && backing_offset) {
		end = MIN(end, backing_offset);
		ret = read_backing_name(image, h, backing_offset, available);
	}
	if (!ret)
		ret = read_extensions(image, h, end, &found);
	if (!ret)
		ret = check_features(image, found.names, found.names_bytes);
	free(h);
	return ret;
}

int qcow2_read_header(struct qcow2_image *image)
{
	uint8_t h[QCOW2_V3_HEADER_BYTES + 8] = { 0 };
	int ret;

	if (image->file_bytes < QCOW2_V2_HEADER_BYTES)
		return qcow2_refuse(image, "has %llu bytes, too few for a header",
				    qcow2_ull(image->file_bytes));
	ret = raw_read(image->file, h, MIN(sizeof(h), image->file_bytes), 0);
	if (ret)
		return fail(-ret, "disk %s: read", image->path);
	ret = check_version(image, h);
	if (!ret)
		ret = check_encryption(image, h);
	if (ret)
		return ret;
	if (image->version > 2 && image->file_bytes < QCOW2_V3_HEADER_BYTES)
		return qcow2_refuse(image, "is cut off within its header");
	load_fields(image, h);
	image->block_bits = image->cluster_bits + 3 - image->refcount_order;
	ret = check_v3_fields(image);
	return ret ? ret : read_first_cluster(image);
}
