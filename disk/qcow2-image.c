// SPDX-License-Identifier: GPL-2.0-or-later
// Opening a qcow2 image and closing it: the two tables that stay in memory, and the marks
// in the header that tell of changes.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qcow2.h"

#define L2_CACHE_BYTES (16 * MIB)
#define BLOCK_CACHE_BYTES (4 * MIB)
#define SNAPSHOTS_MAX 65536

// -- tables --

bool qcow2_offset_ok(const struct qcow2_image *image, uint64_t offset, uint64_t len)
{
	// The last cluster need not be whole.
	uint64_t end = align_up(image->file_bytes, image->cluster_bytes);

	return offset && !(offset & (image->cluster_bytes - 1)) && offset < end &&
	       len <= end - offset;
}

static int check_l1(struct qcow2_image *image)
{
	uint64_t bytes = (uint64_t)image->l1_entries * 8;
	unsigned shift = image->cluster_bits + image->l2_bits;
	uint64_t needed =
		(image->size_bytes >> shift) + !!(image->size_bytes & ((1ULL << shift) - 1));

	if (image->size_bytes > INT64_MAX)
		return qcow2_refuse(image, "a size of %llu bytes is impossible",
				    qcow2_ull(image->size_bytes));
	if (bytes > QCOW2_L1_BYTES_MAX)
		return qcow2_refuse(image, "an L1 table of %u entries; at most %llu are supported",
				    image->l1_entries, QCOW2_L1_BYTES_MAX / 8);
	if (image->l1_entries < needed)
		return qcow2_refuse(image, "its L1 table has %u entries; %llu bytes need %llu",
				    image->l1_entries, qcow2_ull(image->size_bytes),
				    qcow2_ull(needed));
	if (bytes && !qcow2_offset_ok(image, image->l1_offset, bytes))
		return qcow2_refuse(image, "its L1 table at %llu is not within the file",
				    qcow2_ull(image->l1_offset));
	return 0;
}

static int check_refcount_table(struct qcow2_image *image, uint64_t clusters)
{
	uint64_t bytes = clusters << image->cluster_bits;

	if (!clusters || bytes > QCOW2_REFCOUNT_TABLE_BYTES_MAX)
		return qcow2_refuse(
			image, "a refcount table of %llu clusters; 1 to %llu are supported",
			qcow2_ull(clusters),
			qcow2_ull(QCOW2_REFCOUNT_TABLE_BYTES_MAX >> image->cluster_bits));
	if (!qcow2_offset_ok(image, image->refcount_table_offset, bytes))
		return qcow2_refuse(image, "its refcount table at %llu is not within the file",
				    qcow2_ull(image->refcount_table_offset));
	if (image->snapshot_count > SNAPSHOTS_MAX)
		return qcow2_refuse(image, "%u snapshots; at most %u are possible",
				    image->snapshot_count, SNAPSHOTS_MAX);
	image->refcount_entries = bytes / 8;
	return 0;
}

// The file may end within the last cluster of a table.
static int load_table(struct qcow2_image *image, uint64_t offset, uint32_t entries,
		      uint64_t **table)
{
	uint64_t bytes = (uint64_t)entries * 8;
	uint64_t *new = calloc(MAX(entries, 1u), 8);
	int ret = 0;

	if (!new)
		return fail(ENOMEM, "disk %s", image->path);
	if (bytes)
		ret = raw_read(image->file, new, MIN(bytes, image->file_bytes - offset), offset);
	if (ret) {
		free(new);
		return fail(-ret, "disk %s: read", image->path);
	}
	for (uint32_t i = 0; i < entries; i++)
		new[i] = be64toh(new[i]);
	*table = new;
	return 0;
}

static int add_metadata(struct qcow2_image *image, const char *what, uint64_t offset,
			uint64_t bytes)
{
	uint64_t first = offset >> image->cluster_bits, end = first + qcow2_clusters(image, bytes);
	int ret = 0;

	if (!qcow2_offset_ok(image, offset, bytes) && offset)
		return qcow2_refuse(
			image,
			"its %s at %llu is not within the file; kvik disk check %s tells "
			"more",
			what, qcow2_ull(offset), image->path);
	for (uint64_t cluster = first; !ret && cluster < end; cluster++)
		ret = qcow2_set_add(&image->metadata, cluster);
	if (ret == -EEXIST)
		return qcow2_refuse(
			image,
			"its %s at %llu overlaps other metadata; kvik disk check %s tells "
			"more",
			what, qcow2_ull(offset), image->path);
	return ret ? fail(-ret, "disk %s", image->path) : 0;
}

static int add_refcount_blocks(struct qcow2_image *image)
{
	for (uint32_t i = 0; i < image->refcount_entries; i++) {
		uint64_t offset = image->refcount_table[i] & QCOW2_REFCOUNT_OFFSET_MASK;
		int ret = 0;

		if (offset)
			ret = add_metadata(image, "refcount block", offset, image->cluster_bytes);
		if (ret)
			return ret;
	}
	return 0;
}

static int add_l2_tables(struct qcow2_image *image)
{
	for (uint32_t i = 0; i < image->l1_entries; i++) {
		uint64_t offset = image->l1[i] & QCOW2_OFFSET_MASK;
		// One with two users gets a copy before it is changed.
		bool shared = !(image->l1[i] & QCOW2_COPIED) &&
			      qcow2_set_has(&image->metadata, offset >> image->cluster_bits);
		int ret = 0;

		if (offset && !shared)
			ret = add_metadata(image, "L2 table", offset, image->cluster_bytes);
		if (ret)
			return ret;
	}
	return 0;
}

// Where metadata is, no data may be.
static int find_metadata(struct qcow2_image *image)
{
	int ret = add_metadata(image, "header", 0, 1);

	if (!ret && image->l1_entries)
		ret = add_metadata(image, "L1 table", image->l1_offset, image->l1_entries * 8ULL);
	if (!ret)
		ret = add_metadata(image, "refcount table", image->refcount_table_offset,
				   image->refcount_entries * 8ULL);
	if (!ret)
		ret = add_refcount_blocks(image);
	if (!ret)
		ret = add_l2_tables(image);
	return ret;
}

static unsigned cache_count(const struct qcow2_image *image, uint64_t bytes, unsigned max)
{
	uint64_t count = bytes >> image->cluster_bits;

	return MAX(MIN(count, (uint64_t)max), 2u);
}

static int load_tables(struct qcow2_image *image)
{
	int ret = load_table(image, image->l1_offset, image->l1_entries, &image->l1);

	if (!ret)
		ret = load_table(image, image->refcount_table_offset, image->refcount_entries,
				 &image->refcount_table);
	if (!ret && !image->examine)
		ret = find_metadata(image);
	if (!ret &&
	    (qcow2_cache_init(&image->l2_cache, cache_count(image, L2_CACHE_BYTES, 4096),
			      "L2 table") ||
	     qcow2_cache_init(&image->block_cache, cache_count(image, BLOCK_CACHE_BYTES, 512),
			      "refcount block")))
		ret = fail(ENOMEM, "disk %s", image->path);
	return ret;
}

// -- writing --

int qcow2_sync(struct qcow2_image *image)
{
	return !image->volatile_ && fdatasync(raw_fd(image->file)) ? -errno : 0;
}

int qcow2_write_features(struct qcow2_image *image)
{
	uint8_t bits[24];

	store_be64(bits, image->incompatible);
	store_be64(bits + 8, image->compatible);
	store_be64(bits + 16, image->autoclear);
	return raw_write(image->file, bits, sizeof(bits), QCOW2_AT_INCOMPATIBLE);
}

static int set_dirty(struct qcow2_image *image, bool dirty)
{
	int ret;

	if (dirty)
		image->incompatible |= QCOW2_INCOMPATIBLE_DIRTY;
	else
		image->incompatible &= ~QCOW2_INCOMPATIBLE_DIRTY;
	ret = qcow2_write_features(image);
	return ret ? ret : qcow2_sync(image);
}

int qcow2_begin_change(struct qcow2_image *image)
{
	int ret;

	if (image->read_only || image->broken)
		return image->broken ? -EIO : -EROFS;
	if (image->dirty || image->volatile_ || image->version < 3)
		return 0;
	ret = set_dirty(image, true);
	image->dirty = !ret;
	return ret;
}

// Bits that stand for data which we do not keep up to date.
static int clear_autoclear(struct qcow2_image *image)
{
	int ret;

	if (image->read_only || image->examine || !image->autoclear)
		return 0;
	image->autoclear = 0;
	ret = qcow2_write_features(image);
	return ret ? fail(-ret, "disk %s: write its header", image->path) : 0;
}

// -- life --

static int find_end(struct qcow2_image *image)
{
	struct stat st;

	if (fstat(raw_fd(image->file), &st))
		return fail(errno, "disk %s: stat", image->path);
	image->regular = S_ISREG(st.st_mode);
	image->file_bytes = image->regular ? (uint64_t)st.st_size : image->file->info.size_bytes;
	image->fresh_cluster = image->regular ? qcow2_clusters(image, image->file_bytes) :
						UINT64_MAX;
	return 0;
}

// A cut-off last cluster would be an end of file to read.
static int fill_last_cluster(struct qcow2_image *image)
{
	uint64_t whole = align_up(image->file_bytes, image->cluster_bytes);

	image->fresh_cluster = image->regular ? whole >> image->cluster_bits : UINT64_MAX;
	if (image->read_only || !image->regular || whole == image->file_bytes)
		return 0;
	if (ftruncate(raw_fd(image->file), whole))
		return fail(errno, "disk %s: make longer", image->path);
	image->file_bytes = whole;
	return 0;
}

static void release(struct qcow2_image *image)
{
	qcow2_cache_exit(&image->l2_cache);
	qcow2_cache_exit(&image->block_cache);
	qcow2_set_exit(&image->metadata);
	free(image->l1);
	free(image->refcount_table);
	free(image->backing_path);
	free(image->backing_format);
}

static int open_parts(struct qcow2_image *image)
{
	uint8_t clusters[4];
	int ret = find_end(image);

	if (!ret)
		ret = qcow2_read_header(image);
	if (!ret)
		ret = check_l1(image);
	if (!ret) {
		ret = raw_read(image->file, clusters, 4, QCOW2_AT_REFCOUNT_TABLE_CLUSTERS);
		ret = ret ? fail(-ret, "disk %s: read", image->path) :
			    check_refcount_table(image, load_be32(clusters));
	}
	if (!ret)
		ret = load_tables(image);
	if (!ret)
		ret = fill_last_cluster(image);
	if (!ret)
		ret = clear_autoclear(image);
	return ret;
}

int qcow2_image_open(struct qcow2_image *image, struct disk *file, struct qcow2_open_flags flags)
{
	int ret;

	*image = (struct qcow2_image){
		.file = file,
		.path = file->path,
		.read_only = flags.read_only,
		.examine = flags.examine,
		.volatile_ = flags.volatile_,
		.cluster_bytes = 1,
	};
	ret = open_parts(image);
	if (ret)
		release(image);
	return ret;
}

// The file was made longer ahead of need.
static int trim(struct qcow2_image *image)
{
	uint64_t end = image->fresh_cluster << image->cluster_bits;

	if (!image->regular || end >= image->file_bytes)
		return 0;
	image->file_bytes = end;
	return ftruncate(raw_fd(image->file), end) ? -errno : 0;
}

static int finish(struct qcow2_image *image)
{
	int ret;

	if (image->read_only || image->volatile_)
		return 0;
	ret = trim(image);
	if (!ret)
		ret = qcow2_sync(image);
	if (!ret)
		qcow2_end_quarantine(image);
	if (!ret && image->dirty && !image->broken)
		ret = set_dirty(image, false);
	return ret ? fail(-ret, "disk %s: write its metadata", image->path) : 0;
}

int qcow2_image_close(struct qcow2_image *image)
{
	int ret = finish(image);

	release(image);
	return ret;
}
