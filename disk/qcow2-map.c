// SPDX-License-Identifier: GPL-2.0-or-later
// From the guest's clusters to those of the file: the L1 and L2 tables of a qcow2 image.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2.h"

static uint64_t l2_entries(const struct qcow2_image *image)
{
	return 1ULL << image->l2_bits;
}

static uint64_t index_in_l2(const struct qcow2_image *image, uint64_t cluster)
{
	return cluster & (l2_entries(image) - 1);
}

// The L2 table of the guest's @cluster; NULL where there is none.
static int get_l2(struct qcow2_image *image, uint64_t cluster, uint8_t **l2)
{
	uint64_t i = cluster >> image->l2_bits;
	uint64_t offset = i < image->l1_entries ? image->l1[i] & QCOW2_OFFSET_MASK : 0;

	return qcow2_cache_look_up(image, &image->l2_cache, i, offset, l2);
}

// -- looking up --

static bool host_ok(const struct qcow2_image *image, uint64_t host)
{
	return qcow2_offset_ok(image, host, image->cluster_bytes) &&
	       !qcow2_set_has(&image->metadata, host >> image->cluster_bits);
}

// What one entry says. Never refuses what is only unusual.
static void judge(const struct qcow2_image *image, uint64_t entry, struct qcow2_extent *extent)
{
	bool zero = image->version > 2 && entry & QCOW2_ZERO;

	*extent = (struct qcow2_extent){ .entry = entry };
	if (entry & QCOW2_COMPRESSED) {
		extent->kind = QCOW2_PACKED;
		return;
	}
	extent->host = entry & QCOW2_OFFSET_MASK;
	extent->in_place = entry & QCOW2_COPIED && extent->host;
	if (zero)
		extent->kind = QCOW2_ZEROES;
	else
		extent->kind = extent->host ? QCOW2_DATA : QCOW2_UNALLOCATED;
}

static bool continues(const struct qcow2_extent *extent, const struct qcow2_extent *next,
		      uint64_t bytes)
{
	if (next->kind != extent->kind || next->in_place != extent->in_place)
		return false;
	if (extent->kind == QCOW2_PACKED)
		return false;
	if (extent->kind == QCOW2_UNALLOCATED)
		return true;
	return extent->host ? next->host == extent->host + bytes : !next->host;
}

static int check_host(struct qcow2_image *image, uint64_t cluster,
		      const struct qcow2_extent *extent)
{
	if (extent->kind == QCOW2_PACKED || !extent->host || host_ok(image, extent->host))
		return 0;
	return qcow2_corrupt(image, "guest cluster %llu is at %llu, where no data can be",
			     (unsigned long long)cluster, (unsigned long long)extent->host);
}

// Bytes from @extent's start on, in whole clusters, that entries of @l2 from @cluster on
// continue; as many as there are up to @bytes.
static int extend(struct qcow2_image *image, const uint8_t *l2, uint64_t cluster, uint64_t bytes,
		  struct qcow2_extent *extent)
{
	uint64_t i = index_in_l2(image, cluster), end = l2_entries(image);

	judge(image, load_be64(l2 + i * 8), extent);
	for (extent->len = 0; extent->len < bytes && i < end; i++, cluster++) {
		struct qcow2_extent next;
		int ret;

		judge(image, load_be64(l2 + i * 8), &next);
		if (extent->len && !continues(extent, &next, extent->len))
			break;
		ret = check_host(image, cluster, &next);
		if (ret)
			return extent->len ? 0 : ret;
		extent->len += image->cluster_bytes;
	}
	return 0;
}

int qcow2_map(struct qcow2_image *image, uint64_t offset, uint64_t len, struct qcow2_extent *extent)
{
	uint64_t cluster = offset >> image->cluster_bits;
	uint64_t skip = offset & (image->cluster_bytes - 1), left_in_l2;
	uint8_t *l2;
	int ret = get_l2(image, cluster, &l2);

	if (ret)
		return ret;
	if (l2) {
		ret = extend(image, l2, cluster, skip + len, extent);
		if (ret)
			return ret;
	} else {
		left_in_l2 = l2_entries(image) - index_in_l2(image, cluster);
		*extent = (struct qcow2_extent){ .len = left_in_l2 << image->cluster_bits };
	}
	extent->len = MIN(extent->len - skip, len);
	if (extent->host)
		extent->host += skip;
	return 0;
}

// -- packed clusters --

// Of the offset in the entry; above it, the sectors beyond the first.
static unsigned packed_shift(const struct qcow2_image *image)
{
	return 62 - (image->cluster_bits - 8);
}

void qcow2_packed_place(const struct qcow2_image *image, uint64_t entry, uint64_t *offset,
			uint64_t *len)
{
	unsigned shift = packed_shift(image);
	uint64_t sectors = (entry & (QCOW2_COMPRESSED - 1)) >> shift;

	*offset = entry & ((1ULL << shift) - 1);
	*len = (sectors + 1) * QCOW2_COMPRESSED_SECTOR - *offset % QCOW2_COMPRESSED_SECTOR;
}

struct qcow2_run qcow2_packed_run(const struct qcow2_image *image, uint64_t entry)
{
	uint64_t offset, len, first;

	qcow2_packed_place(image, entry, &offset, &len);
	first = offset >> image->cluster_bits;
	return (struct qcow2_run){ first, ((offset + len - 1) >> image->cluster_bits) - first + 1 };
}

// -- changing --

// Gives up what an entry that stands in no table any more points to.
static int give_up(struct qcow2_image *image, uint64_t entry)
{
	struct qcow2_extent extent;
	struct qcow2_run run;

	judge(image, entry, &extent);
	if (extent.kind == QCOW2_PACKED)
		run = qcow2_packed_run(image, entry);
	else
		run = (struct qcow2_run){ extent.host >> image->cluster_bits, !!extent.host };
	return run.count ? qcow2_refcount_add(image, run, -1) : 0;
}

static int write_l1(struct qcow2_image *image, uint64_t i, uint64_t entry)
{
	uint8_t bytes[8];
	int ret;

	store_be64(bytes, entry);
	ret = raw_write(image->file, bytes, 8, image->l1_offset + i * 8);
	if (ret)
		return qcow2_failed(image, -ret, "write its L1 table");
	image->l1[i] = entry;
	return 0;
}

static int write_new_l2(struct qcow2_image *image, uint64_t i, uint64_t offset,
			const uint8_t *content)
{
	uint8_t *l2;
	int ret = qcow2_cache_new(image, &image->l2_cache, i, offset, &l2);

	if (ret)
		return ret;
	if (content)
		memcpy(l2, content, image->cluster_bytes);
	ret = qcow2_cache_write(image, &image->l2_cache, i, 0, image->cluster_bytes);
	return !ret && image->version < 3 ? qcow2_sync(image) : ret;
}

// For L2 table @i, with @content; the cluster is given back if that fails.
static int make_l2(struct qcow2_image *image, uint64_t i, const uint8_t *content,
		   struct qcow2_run *run)
{
	int ret = qcow2_allocate(image, 1, run);

	if (ret)
		return ret;
	ret = qcow2_set_add(&image->metadata, run->first);
	if (!ret) {
		ret = write_new_l2(image, i, run->first << image->cluster_bits, content);
		if (!ret)
			return 0;
		qcow2_set_remove(&image->metadata, run->first);
	}
	qcow2_take_back(image, *run);
	return qcow2_failed(image, -ret, "write an L2 table");
}

// Puts L2 table @i into a cluster of its own, with what it has now.
static int move_l2(struct qcow2_image *image, uint64_t i, const uint8_t *content)
{
	uint64_t old = image->l1[i] & QCOW2_OFFSET_MASK;
	struct qcow2_run run;
	int ret = make_l2(image, i, content, &run);

	if (ret)
		return ret;
	ret = write_l1(image, i, run.first << image->cluster_bits | QCOW2_COPIED);
	if (ret || !old)
		return ret;
	qcow2_set_remove(&image->metadata, old >> image->cluster_bits);
	return qcow2_refcount_add(image, (struct qcow2_run){ old >> image->cluster_bits, 1 }, -1);
}

// A snapshot has this table, too: its clusters are now those of two.
static int split_l2(struct qcow2_image *image, uint64_t i, const uint8_t *l2)
{
	uint8_t *copy = malloc(image->cluster_bytes);
	int ret = copy ? 0 : fail(ENOMEM, "disk %s", image->path);

	if (!ret) {
		memcpy(copy, l2, image->cluster_bytes);
		ret = move_l2(image, i, copy);
	}
	free(copy);
	return ret;
}

// The L2 table of @cluster, which may be changed; made if there is none.
static int get_own_l2(struct qcow2_image *image, uint64_t cluster, uint8_t **l2)
{
	uint64_t i = cluster >> image->l2_bits;
	int ret = qcow2_begin_change(image);

	if (ret)
		return ret;
	ret = get_l2(image, cluster, l2);
	if (ret || (*l2 && image->l1[i] & QCOW2_COPIED))
		return ret;
	ret = *l2 ? split_l2(image, i, *l2) : move_l2(image, i, NULL);
	return ret ? ret : get_l2(image, cluster, l2);
}

int qcow2_own_tables(struct qcow2_image *image, uint64_t cluster, uint64_t count)
{
	uint64_t end = cluster + count;
	int ret = 0;

	for (; !ret && cluster < end;
	     cluster = align_down(cluster, l2_entries(image)) + l2_entries(image)) {
		uint8_t *l2;

		ret = get_own_l2(image, cluster, &l2);
	}
	return ret;
}

// Replaces @count entries of the table of @cluster; @old gets what they were.
static int replace(struct qcow2_image *image, uint64_t cluster, uint64_t count,
		   const uint64_t *entries, uint64_t *old)
{
	uint64_t from = index_in_l2(image, cluster);
	uint8_t *l2;
	int ret = get_own_l2(image, cluster, &l2);

	if (ret)
		return ret;
	for (uint64_t i = 0; i < count; i++) {
		old[i] = load_be64(l2 + (from + i) * 8);
		store_be64(l2 + (from + i) * 8, entries[i]);
	}
	ret = qcow2_cache_write(image, &image->l2_cache, cluster >> image->l2_bits, from * 8,
				(from + count) * 8);
	return ret ? qcow2_failed(image, -ret, "write an L2 table") : 0;
}

#define CHUNK 64 // entries at once

static uint64_t chunk_at(const struct qcow2_image *image, uint64_t cluster, uint64_t count)
{
	uint64_t left_in_l2 = l2_entries(image) - index_in_l2(image, cluster);

	count = MIN(count, left_in_l2);
	return MIN(count, (uint64_t)CHUNK);
}

// The entries point to their clusters already; an old one that is the same, but for its
// flags, keeps its cluster.
static int replace_all(struct qcow2_image *image, uint64_t cluster, uint64_t count,
		       const uint64_t *entries)
{
	uint64_t old[CHUNK];
	int ret = replace(image, cluster, count, entries, old);

	for (uint64_t i = 0; !ret && i < count; i++)
		if (old[i] & QCOW2_COMPRESSED ||
		    (old[i] & QCOW2_OFFSET_MASK) != (entries[i] & QCOW2_OFFSET_MASK))
			ret = give_up(image, old[i]);
	return ret;
}

int qcow2_link(struct qcow2_image *image, uint64_t cluster, struct qcow2_run run)
{
	while (run.count) {
		uint64_t entries[CHUNK], n = chunk_at(image, cluster, run.count);
		int ret;

		for (uint64_t i = 0; i < n; i++)
			entries[i] = (run.first + i) << image->cluster_bits | QCOW2_COPIED;
		ret = replace_all(image, cluster, n, entries);
		if (ret)
			return ret;
		cluster += n;
		run.first += n;
		run.count -= n;
	}
	return 0;
}

int qcow2_link_packed(struct qcow2_image *image, uint64_t cluster, uint64_t entry)
{
	uint64_t old;
	int ret = replace(image, cluster, 1, &entry, &old);

	return ret ? ret : give_up(image, old);
}

// -- clearing --

// What becomes of an entry.
static uint64_t cleared(const struct qcow2_image *image, uint64_t entry, enum qcow2_clear how,
			bool backed)
{
	struct qcow2_extent extent;

	judge(image, entry, &extent);
	if (how == QCOW2_CLEAR_FORGET)
		return 0;
	if (extent.kind == QCOW2_UNALLOCATED)
		return backed && image->version > 2 ? QCOW2_ZERO : entry;
	if (how == QCOW2_CLEAR_ZERO_KEEP && extent.in_place && image->version > 2)
		return entry | QCOW2_ZERO;
	if (extent.kind == QCOW2_ZEROES && !extent.host)
		return entry;
	return backed ? QCOW2_ZERO : 0;
}

static int clear_chunk(struct qcow2_image *image, uint64_t cluster, uint64_t count,
		       enum qcow2_clear how, bool backed)
{
	uint64_t entries[CHUNK], changed = 0, from = index_in_l2(image, cluster);
	uint8_t *l2;
	int ret = get_l2(image, cluster, &l2);

	for (uint64_t i = 0; !ret && i < count; i++) {
		uint64_t old = l2 ? load_be64(l2 + (from + i) * 8) : 0;

		entries[i] = cleared(image, old, how, backed);
		changed |= entries[i] ^ old;
	}
	return ret || !changed ? ret : replace_all(image, cluster, count, entries);
}

int qcow2_clear(struct qcow2_image *image, uint64_t cluster, uint64_t count, enum qcow2_clear how,
		bool backed)
{
	if (backed && image->version < 3 && how != QCOW2_CLEAR_FORGET)
		return -EOPNOTSUPP;
	while (count) {
		uint64_t n = chunk_at(image, cluster, count);
		int ret = clear_chunk(image, cluster, n, how, backed);

		if (ret)
			return ret;
		cluster += n;
		count -= n;
	}
	return 0;
}
