// SPDX-License-Identifier: GPL-2.0-or-later
// Opening a qcow2 image: its header, checked, and the two tables that stay in memory.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qcow2.h"

#define L2_CACHE_BYTES (16 * MIB)
#define BLOCK_CACHE_BYTES (4 * MIB)
#define SNAPSHOTS_MAX 65536
#define HEADER_MAX 4096 // what is read of the first cluster for the header's fields

#define KNOWN_INCOMPATIBLE                                                                      \
	(QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT | QCOW2_INCOMPATIBLE_DATA_FILE | \
	 QCOW2_INCOMPATIBLE_COMPRESSION | QCOW2_INCOMPATIBLE_EXTENDED_L2)

#define refuse(image, fmt, ...) \
	fail_msg(EINVAL, "disk %s: qcow2: " fmt, (image)->path, ##__VA_ARGS__)

static unsigned long long ull(uint64_t value)
{
	return value;
}

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
		return refuse(image, "this is not a qcow2 image; give its format: format=raw");
	image->version = load_be32(h + QCOW2_AT_VERSION);
	if (image->version < 2 || image->version > 3)
		return refuse(image,
			      "version %u is unknown; 2 and 3 are supported: qemu-img "
			      "convert makes one of it",
			      image->version);
	if (bits < QCOW2_CLUSTER_BITS_MIN || bits > QCOW2_CLUSTER_BITS_MAX)
		return refuse(image, "clusters of 2^%u bytes; 512 bytes to 2 MiB are possible",
			      bits);
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
	return refuse(image,
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
		return refuse(image, "its header has %u bytes; 104 to %llu are possible",
			      image->header_bytes,
			      ull(MIN(image->cluster_bytes, (uint64_t)HEADER_MAX)));
	if (image->refcount_order > QCOW2_REFCOUNT_ORDER_MAX)
		return refuse(image, "reference counts of 2^%u bits; 1 to 64 bits are possible",
			      image->refcount_order);
	if (image->compression > QCOW2_COMPRESSION_ZSTD ||
	    flagged != (image->compression != QCOW2_COMPRESSION_ZLIB))
		return refuse(image,
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
		return refuse(image,
			      "has the unknown incompatible feature %u%s%s%s; qemu-img "
			      "convert makes an image without it",
			      bit, *name ? " (" : "", name, *name ? ")" : "");
	}
	if (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE)
		return refuse(image, "keeps its data in an external data file, which is not "
				     "supported; qemu-img convert makes an image without one");
	if (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2)
		return refuse(image,
			      "has extended L2 entries (subclusters), which are not supported; "
			      "qemu-img convert -o extended_l2=off makes an image without");
	if (image->incompatible & QCOW2_INCOMPATIBLE_CORRUPT && !image->read_only &&
	    !image->examine)
		return refuse(image,
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
			return refuse(image, "names its backing format twice");
		image->backing_format = len && len < 32 ? copy_text(data, len) : NULL;
		if (!image->backing_format)
			return refuse(image, "its backing format's name is no name");
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
			return refuse(image,
				      "header extension %#x has %u bytes, more than there are",
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
		return refuse(image,
			      "its backing file's name has %u bytes at %llu; at most 1023 within "
			      "the first cluster are possible",
			      len, ull(offset));
	image->backing_path = copy_text(h + offset, len);
	if (!image->backing_path)
		return refuse(image, "its backing file's name is no name");
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

static int read_header(struct qcow2_image *image)
{
	uint8_t h[QCOW2_V3_HEADER_BYTES + 8] = { 0 };
	int ret;

	if (image->file_bytes < QCOW2_V2_HEADER_BYTES)
		return refuse(image, "has %llu bytes, too few for a header",
			      ull(image->file_bytes));
	ret = raw_read(image->file, h, MIN(sizeof(h), image->file_bytes), 0);
	if (ret)
		return fail(-ret, "disk %s: read", image->path);
	ret = check_version(image, h);
	if (!ret)
		ret = check_encryption(image, h);
	if (ret)
		return ret;
	if (image->version > 2 && image->file_bytes < QCOW2_V3_HEADER_BYTES)
		return refuse(image, "is cut off within its header");
	load_fields(image, h);
	image->block_bits = image->cluster_bits + 3 - image->refcount_order;
	ret = check_v3_fields(image);
	return ret ? ret : read_first_cluster(image);
}

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
		return refuse(image, "a size of %llu bytes is impossible", ull(image->size_bytes));
	if (bytes > QCOW2_L1_BYTES_MAX)
		return refuse(image, "an L1 table of %u entries; at most %llu are supported",
			      image->l1_entries, QCOW2_L1_BYTES_MAX / 8);
	if (image->l1_entries < needed)
		return refuse(image, "its L1 table has %u entries; %llu bytes need %llu",
			      image->l1_entries, ull(image->size_bytes), ull(needed));
	if (bytes && !qcow2_offset_ok(image, image->l1_offset, bytes))
		return refuse(image, "its L1 table at %llu is not within the file",
			      ull(image->l1_offset));
	return 0;
}

static int check_refcount_table(struct qcow2_image *image, uint64_t clusters)
{
	uint64_t bytes = clusters << image->cluster_bits;

	if (!clusters || bytes > QCOW2_REFCOUNT_TABLE_BYTES_MAX)
		return refuse(image, "a refcount table of %llu clusters; 1 to %llu are supported",
			      ull(clusters),
			      ull(QCOW2_REFCOUNT_TABLE_BYTES_MAX >> image->cluster_bits));
	if (!qcow2_offset_ok(image, image->refcount_table_offset, bytes))
		return refuse(image, "its refcount table at %llu is not within the file",
			      ull(image->refcount_table_offset));
	if (image->snapshot_count > SNAPSHOTS_MAX)
		return refuse(image, "%u snapshots; at most %u are possible", image->snapshot_count,
			      SNAPSHOTS_MAX);
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
		return refuse(image,
			      "its %s at %llu is not within the file; kvik disk check %s tells "
			      "more",
			      what, ull(offset), image->path);
	for (uint64_t cluster = first; !ret && cluster < end; cluster++)
		ret = qcow2_set_add(&image->metadata, cluster);
	if (ret == -EEXIST)
		return refuse(image,
			      "its %s at %llu overlaps other metadata; kvik disk check %s tells "
			      "more",
			      what, ull(offset), image->path);
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
	    (qcow2_cache_init(&image->l2_cache, cache_count(image, L2_CACHE_BYTES, 4096)) ||
	     qcow2_cache_init(&image->block_cache, cache_count(image, BLOCK_CACHE_BYTES, 512))))
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
		ret = read_header(image);
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
