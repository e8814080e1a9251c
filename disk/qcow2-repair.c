// SPDX-License-Identifier: GPL-2.0-or-later
// Comparing a qcow2 image's refcounts with who points where, and setting them right: one
// by one, or, where their own tables are not sound, all anew behind the end of the file.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2.h"

bool qcow2_count_refs(struct qcow2_checker *checker, uint64_t offset, uint64_t len)
{
	unsigned bits = checker->image->cluster_bits;
	uint64_t first = offset >> bits, end = first + qcow2_clusters(checker->image, len);

	if (offset & (checker->image->cluster_bytes - 1) || end < first || end > checker->clusters)
		return false;
	for (uint64_t cluster = first; cluster < end; cluster++)
		if (checker->counts[cluster] < UINT32_MAX)
			checker->counts[cluster]++;
	return true;
}

// -- one by one --

static uint64_t wanted_count(const struct qcow2_checker *checker, uint64_t cluster)
{
	return cluster < checker->clusters ? checker->counts[cluster] : 0;
}

static void found_leak(struct qcow2_checker *checker)
{
	checker->report->leaks++;
	if (checker->repair)
		checker->report->leaks_fixed++;
}

static void found_too_low(struct qcow2_checker *checker, uint64_t cluster, uint64_t count,
			  uint64_t wanted)
{
	qcow2_found_error(checker, "cluster %llu: has refcount %llu and %llu users",
			  qcow2_ull(cluster), qcow2_ull(count), qcow2_ull(wanted));
	if (checker->repair == QCOW2_REPAIR_ALL)
		checker->report->errors_fixed++;
}

// Block @i; true when it was changed.
static bool compare_block(struct qcow2_checker *checker, uint64_t i, uint8_t *block)
{
	struct qcow2_image *image = checker->image;
	uint64_t first = i << image->block_bits;
	bool changed = false;

	for (uint64_t k = 0; k < 1ULL << image->block_bits; k++) {
		uint64_t count = qcow2_refcount_in_block(block, k, image->refcount_order);
		uint64_t wanted = wanted_count(checker, first + k);

		if (count == wanted)
			continue;
		if (count > wanted)
			found_leak(checker);
		else
			found_too_low(checker, first + k, count, wanted);
		if (checker->repair == QCOW2_REPAIR_ALL || (checker->repair && count > wanted)) {
			qcow2_refcount_set_in_block(block, k, image->refcount_order, wanted);
			changed = true;
		}
	}
	return changed;
}

static int check_block(struct qcow2_checker *checker, uint64_t i)
{
	struct qcow2_image *image = checker->image;
	uint64_t offset = image->refcount_table[i] & QCOW2_REFCOUNT_OFFSET_MASK;
	uint8_t *block;
	int ret;

	if (!offset)
		return 0;
	ret = qcow2_cache_get(image, &image->block_cache, i, offset, &block);
	if (ret)
		return fail(-ret, "disk %s: read its refcounts", image->path);
	if (!compare_block(checker, i, block))
		return 0;
	ret = qcow2_cache_write(image, &image->block_cache, i, 0, image->cluster_bytes);
	return ret ? fail(-ret, "disk %s: write its refcounts", image->path) : 0;
}

static int check_blocks(struct qcow2_checker *checker)
{
	int ret = 0;

	for (uint64_t i = 0; !ret && i < checker->image->refcount_entries; i++)
		ret = check_block(checker, i);
	return ret;
}

// -- the refcounts' own tables --

static bool has_block(const struct qcow2_image *image, uint64_t cluster)
{
	uint64_t i = cluster >> image->block_bits;

	return i < image->refcount_entries && image->refcount_table[i];
}

static void bad_tables(struct qcow2_checker *checker)
{
	checker->rebuild = true;
	if (checker->repair == QCOW2_REPAIR_ALL)
		checker->report->errors_fixed++;
}

static void count_block(struct qcow2_checker *checker, uint64_t i)
{
	struct qcow2_image *image = checker->image;
	uint64_t entry = image->refcount_table[i];

	if (!entry)
		return;
	if (qcow2_offset_ok(image, entry, image->cluster_bytes) &&
	    !checker->counts[entry >> image->cluster_bits]) {
		qcow2_count_refs(checker, entry, image->cluster_bytes);
		return;
	}
	qcow2_found_error(checker, "refcount block %llu cannot be at %llu", qcow2_ull(i),
			  qcow2_ull(entry));
	bad_tables(checker);
	image->refcount_table[i] = 0;
}

// Counts them, too. What nothing points to is not among the counts yet, so a block in a
// cluster that has users is one too many.
static void count_tables(struct qcow2_checker *checker)
{
	struct qcow2_image *image = checker->image;

	qcow2_count_refs(checker, image->refcount_table_offset, image->refcount_entries * 8ULL);
	for (uint64_t i = 0; i < image->refcount_entries; i++)
		count_block(checker, i);
	for (uint64_t cluster = 0; cluster < checker->clusters; cluster++) {
		if (!checker->counts[cluster] || has_block(image, cluster))
			continue;
		qcow2_found_error(checker, "cluster %llu: has no refcount, and %u users",
				  qcow2_ull(cluster), checker->counts[cluster]);
		bad_tables(checker);
	}
}

static void uncount_tables(struct qcow2_checker *checker)
{
	struct qcow2_image *image = checker->image;
	unsigned bits = image->cluster_bits;
	uint64_t first = image->refcount_table_offset >> bits;

	for (uint64_t i = 0; i < qcow2_clusters(image, image->refcount_entries * 8ULL); i++)
		checker->counts[first + i]--;
	for (uint64_t i = 0; i < image->refcount_entries; i++)
		if (image->refcount_table[i])
			checker->counts[image->refcount_table[i] >> bits]--;
}

// -- all anew --

// Behind the end of the file: blocks for all clusters, these included, and the table.
struct anew {
	uint64_t blocks;
	uint64_t table_clusters;
	uint64_t end; // cluster
};

static int plan(const struct qcow2_checker *checker, struct anew *anew)
{
	const struct qcow2_image *image = checker->image;
	uint64_t per_block = 1ULL << image->block_bits;

	*anew = (struct anew){ 0 };
	do {
		anew->blocks++;
		anew->table_clusters = qcow2_clusters(image, anew->blocks * 8);
		anew->end = checker->clusters + anew->blocks + anew->table_clusters;
	} while (anew->end > anew->blocks * per_block);
	if (anew->blocks * 8 > QCOW2_REFCOUNT_TABLE_BYTES_MAX)
		return fail(EFBIG, "disk %s: its refcount table", image->path);
	return 0;
}

static void fill_block(const struct qcow2_checker *checker, const struct anew *anew, uint64_t i,
		       uint8_t *block)
{
	const struct qcow2_image *image = checker->image;
	uint64_t first = i << image->block_bits;

	memset(block, 0, image->cluster_bytes);
	for (uint64_t k = 0; k < 1ULL << image->block_bits; k++) {
		uint64_t count = wanted_count(checker, first + k);

		if (first + k >= checker->clusters && first + k < anew->end)
			count = 1;
		qcow2_refcount_set_in_block(block, k, image->refcount_order, count);
	}
}

static int write_anew(const struct qcow2_checker *checker, const struct anew *anew, uint64_t *table)
{
	const struct qcow2_image *image = checker->image;
	unsigned bits = image->cluster_bits;
	uint8_t *block = malloc(image->cluster_bytes);
	int ret = block ? 0 : -ENOMEM;

	for (uint64_t i = 0; !ret && i < anew->blocks; i++) {
		uint64_t offset = (checker->clusters + i) << bits;

		fill_block(checker, anew, i, block);
		ret = raw_write(image->file, block, image->cluster_bytes, offset);
		table[i] = htobe64(offset);
	}
	free(block);
	if (!ret)
		ret = raw_write(image->file, table, anew->table_clusters << bits,
				(anew->end - anew->table_clusters) << bits);
	return ret;
}

static int switch_to(struct qcow2_image *image, const struct anew *anew)
{
	uint64_t offset = (anew->end - anew->table_clusters) << image->cluster_bits;
	uint8_t fields[12];
	int ret = qcow2_sync(image);

	store_be64(fields, offset);
	store_be32(fields + 8, anew->table_clusters);
	if (!ret)
		ret = raw_write(image->file, fields, sizeof(fields),
				QCOW2_AT_REFCOUNT_TABLE_OFFSET);
	return ret ? ret : qcow2_sync(image);
}

static void adopt(struct qcow2_image *image, const struct anew *anew, uint64_t *table)
{
	unsigned bits = image->cluster_bits;

	for (uint64_t i = 0; i < anew->blocks; i++)
		table[i] = be64toh(table[i]);
	free(image->refcount_table);
	image->refcount_table = table;
	image->refcount_entries = anew->table_clusters << (bits - 3);
	image->refcount_table_offset = (anew->end - anew->table_clusters) << bits;
	image->fresh_cluster = MAX(image->fresh_cluster, anew->end);
	image->file_bytes = MAX(image->file_bytes, anew->end << bits);
	for (unsigned i = 0; i < image->block_cache.count; i++)
		qcow2_cache_drop(&image->block_cache, i);
}

static int make_anew(struct qcow2_checker *checker)
{
	struct qcow2_image *image = checker->image;
	struct anew anew;
	uint64_t *table;
	int ret = plan(checker, &anew);

	if (ret)
		return ret;
	table = calloc(MAX(anew.table_clusters, 1u), image->cluster_bytes);
	if (!table)
		return fail(ENOMEM, "disk %s", image->path);
	ret = write_anew(checker, &anew, table);
	if (!ret)
		ret = switch_to(image, &anew);
	if (ret) {
		free(table);
		return fail(-ret, "disk %s: write its refcounts anew", image->path);
	}
	adopt(image, &anew, table);
	return 0;
}

int qcow2_check_refcounts(struct qcow2_checker *checker)
{
	count_tables(checker);
	if (!checker->rebuild || checker->repair != QCOW2_REPAIR_ALL)
		return check_blocks(checker);
	uncount_tables(checker);
	return make_anew(checker);
}
