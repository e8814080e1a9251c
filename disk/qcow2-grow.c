// SPDX-License-Identifier: GPL-2.0-or-later
// Making the tables of a qcow2 image longer: a new one is written and synced before the
// header, with one write, comes to point to it.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2.h"

// @old_entries of @old, host-endian, and zeroes behind them.
static int write_table(struct qcow2_image *image, const uint64_t *table, uint64_t entries,
		       uint64_t offset)
{
	uint64_t *bytes = calloc(entries, 8);
	int ret = bytes ? 0 : -ENOMEM;

	for (uint64_t i = 0; !ret && i < entries; i++)
		bytes[i] = htobe64(table[i]);
	if (!ret)
		ret = raw_write(image->file, bytes, entries * 8, offset);
	free(bytes);
	return ret;
}

static uint64_t *longer_table(const uint64_t *old, uint64_t old_entries, uint64_t entries)
{
	uint64_t *table = calloc(entries, 8);

	if (table)
		memcpy(table, old, old_entries * 8);
	return table;
}

static int change_metadata(struct qcow2_image *image, struct qcow2_run run, bool add)
{
	int ret = 0;

	for (uint64_t i = 0; !ret && i < run.count; i++)
		if (add)
			ret = qcow2_set_add(&image->metadata, run.first + i);
		else
			qcow2_set_remove(&image->metadata, run.first + i);
	return ret;
}

static struct qcow2_run table_run(const struct qcow2_image *image, uint64_t offset,
				  uint64_t entries)
{
	return (struct qcow2_run){ offset >> image->cluster_bits,
				   qcow2_clusters(image, entries * 8) };
}

// -- refcount table --

// A longer table behind all that the old one describes, where nothing is in use. First the
// blocks that describe these clusters, then the table itself.
struct refcount_area {
	uint64_t first; // cluster
	uint64_t blocks;
	uint64_t table_clusters;
	uint64_t entries;
	uint64_t *table;
};

static int plan_area(const struct qcow2_image *image, uint64_t cluster, struct refcount_area *area)
{
	uint64_t per_block = 1ULL << image->block_bits, count, wanted;

	area->first = (uint64_t)image->refcount_entries << image->block_bits;
	wanted = MAX((cluster >> image->block_bits) + 1, image->refcount_entries * 3ULL / 2 + 2);
	area->blocks = 1;
	do {
		area->table_clusters = qcow2_clusters(image, (wanted + area->blocks) * 8);
		count = area->blocks + area->table_clusters;
	} while (count > area->blocks * per_block && ++area->blocks);
	area->entries = area->table_clusters << (image->cluster_bits - 3);
	if (area->entries * 8 > QCOW2_REFCOUNT_TABLE_BYTES_MAX)
		return fail(EFBIG, "disk %s: its refcount table", image->path);
	return 0;
}

static int write_blocks(struct qcow2_image *image, const struct refcount_area *area)
{
	uint64_t per_block = 1ULL << image->block_bits, left = area->blocks + area->table_clusters;
	uint8_t *block = malloc(image->cluster_bytes);
	int ret = block ? 0 : -ENOMEM;

	for (uint64_t i = 0; !ret && i < area->blocks; i++) {
		uint64_t used = MIN(left, per_block);

		memset(block, 0, image->cluster_bytes);
		for (uint64_t k = 0; k < used; k++)
			qcow2_refcount_set_in_block(block, k, image->refcount_order, 1);
		left -= used;
		ret = raw_write(image->file, block, image->cluster_bytes,
				(area->first + i) << image->cluster_bits);
		area->table[image->refcount_entries + i] = (area->first + i) << image->cluster_bits;
	}
	free(block);
	return ret;
}

static int switch_refcount_table(struct qcow2_image *image, uint64_t offset, uint64_t clusters)
{
	uint8_t fields[12];

	store_be64(fields, offset);
	store_be32(fields + 8, clusters);
	return raw_write(image->file, fields, sizeof(fields), QCOW2_AT_REFCOUNT_TABLE_OFFSET);
}

static int write_area(struct qcow2_image *image, const struct refcount_area *area)
{
	uint64_t offset = (area->first + area->blocks) << image->cluster_bits;
	int ret = write_blocks(image, area);

	if (!ret)
		ret = write_table(image, area->table, area->entries, offset);
	if (!ret)
		ret = qcow2_sync(image);
	if (!ret)
		ret = switch_refcount_table(image, offset, area->table_clusters);
	if (!ret)
		ret = qcow2_sync(image);
	return ret ? qcow2_failed(image, -ret, "write a longer refcount table") : 0;
}

static int adopt_area(struct qcow2_image *image, const struct refcount_area *area)
{
	struct qcow2_run all = { area->first, area->blocks + area->table_clusters };
	struct qcow2_run old =
		table_run(image, image->refcount_table_offset, image->refcount_entries);
	int ret = change_metadata(image, all, true);

	change_metadata(image, old, false);
	free(image->refcount_table);
	image->refcount_table = area->table;
	image->refcount_entries = area->entries;
	image->refcount_table_offset = (area->first + area->blocks) << image->cluster_bits;
	image->fresh_cluster = MAX(image->fresh_cluster, all.first + all.count);
	if (image->regular)
		image->file_bytes =
			MAX(image->file_bytes, (all.first + all.count) << image->cluster_bits);
	return ret ? ret : qcow2_refcount_add(image, old, -1);
}

int qcow2_grow_refcounts(struct qcow2_image *image, uint64_t cluster)
{
	struct refcount_area area = { 0 };
	int ret = qcow2_begin_change(image);

	if (!ret)
		ret = plan_area(image, cluster, &area);
	if (ret)
		return ret;
	area.table = longer_table(image->refcount_table, image->refcount_entries, area.entries);
	if (!area.table)
		return fail(ENOMEM, "disk %s", image->path);
	ret = write_area(image, &area);
	if (ret) {
		free(area.table);
		return ret;
	}
	return adopt_area(image, &area);
}

// -- L1 table --

static int switch_l1(struct qcow2_image *image, uint64_t offset, uint32_t entries)
{
	uint8_t fields[12];

	store_be32(fields, entries);
	store_be64(fields + 4, offset);
	return raw_write(image->file, fields, sizeof(fields), QCOW2_AT_L1_ENTRIES);
}

static int place_l1(struct qcow2_image *image, const uint64_t *table, uint64_t entries,
		    struct qcow2_run *run)
{
	int ret = qcow2_allocate(image, qcow2_clusters(image, entries * 8), run);

	if (!ret)
		ret = change_metadata(image, *run, true);
	if (ret)
		return ret;
	ret = write_table(image, table, entries, run->first << image->cluster_bits);
	if (!ret)
		ret = qcow2_sync(image);
	if (!ret)
		ret = switch_l1(image, run->first << image->cluster_bits, entries);
	if (!ret)
		ret = qcow2_sync(image);
	return ret ? qcow2_failed(image, -ret, "write a longer L1 table") : 0;
}

static int grow_l1(struct qcow2_image *image, uint64_t entries)
{
	struct qcow2_run old = table_run(image, image->l1_offset, image->l1_entries), run;
	uint64_t *table;
	int ret;

	if (entries <= image->l1_entries)
		return 0;
	if (entries * 8 > QCOW2_L1_BYTES_MAX)
		return fail_msg(
			EFBIG,
			"disk %s: qcow2: so large a disk needs larger clusters than %llu bytes",
			image->path, (unsigned long long)image->cluster_bytes);
	table = longer_table(image->l1, image->l1_entries, entries);
	ret = table ? place_l1(image, table, entries, &run) : fail(ENOMEM, "disk %s", image->path);
	if (ret) {
		free(table);
		return ret;
	}
	free(image->l1);
	image->l1 = table;
	image->l1_offset = run.first << image->cluster_bits;
	image->l1_entries = entries;
	change_metadata(image, old, false);
	return old.count ? qcow2_refcount_add(image, old, -1) : 0;
}

// -- size --

// Where @size_bytes ends within a cluster, what follows it there would come back to light
// if the disk grew again.
static int clear_tail(struct qcow2_image *image, uint64_t size_bytes)
{
	uint64_t skip = size_bytes & (image->cluster_bytes - 1);
	struct qcow2_extent extent;
	uint8_t *zeroes;
	int ret;

	if (!skip)
		return 0;
	ret = qcow2_map(image, size_bytes, image->cluster_bytes - skip, &extent);
	if (ret || extent.kind != QCOW2_DATA)
		return ret;
	zeroes = calloc(1, extent.len);
	ret = zeroes ? raw_write(image->file, zeroes, extent.len, extent.host) : -ENOMEM;
	free(zeroes);
	return ret ? qcow2_failed(image, -ret, "write") : 0;
}

static int forget_behind(struct qcow2_image *image, uint64_t size_bytes, uint64_t old_bytes)
{
	uint64_t end = qcow2_clusters(image, old_bytes), per_l2 = 1ULL << image->l2_bits, next;
	int ret = 0;

	for (uint64_t at = qcow2_clusters(image, size_bytes); !ret && at < end; at = next) {
		next = MIN(align_down(at, per_l2) + per_l2, end);
		if (image->l1[at >> image->l2_bits])
			ret = qcow2_clear(image, at, next - at, QCOW2_CLEAR_FORGET, false);
	}
	return ret;
}

static int write_size(struct qcow2_image *image, uint64_t size_bytes)
{
	uint8_t field[8];
	int ret;

	store_be64(field, size_bytes);
	ret = raw_write(image->file, field, sizeof(field), QCOW2_AT_SIZE);
	if (!ret)
		ret = qcow2_sync(image);
	if (ret)
		return qcow2_failed(image, -ret, "write its header");
	image->size_bytes = size_bytes;
	return 0;
}

int qcow2_set_size(struct qcow2_image *image, uint64_t size_bytes)
{
	uint64_t old_bytes = image->size_bytes;
	unsigned shift = image->cluster_bits + image->l2_bits;
	int ret = qcow2_begin_change(image);

	if (!ret)
		ret = grow_l1(image,
			      (size_bytes >> shift) + !!(size_bytes & ((1ULL << shift) - 1)));
	if (!ret)
		ret = write_size(image, size_bytes);
	if (!ret && size_bytes < old_bytes)
		ret = clear_tail(image, size_bytes);
	return ret ? ret : forget_behind(image, size_bytes, old_bytes);
}
