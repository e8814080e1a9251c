// SPDX-License-Identifier: GPL-2.0-or-later
// Which clusters of a qcow2 file are in use, and taking and giving them back.
//
// A cluster is free if its refcount is 0 and nobody has it reserved or quarantined. The
// search goes up from next_free, which falls back when given up clusters are free again.
// A refcount block that is missing is made in the first cluster that it would describe,
// or that is at hand, so blocks need no space set aside.

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "qcow2.h"

#define GROW_BYTES (16 * MIB) // a file is made longer by so much at once

// -- one refcount --

uint64_t qcow2_refcount_in_block(const uint8_t *block, uint64_t index, unsigned order)
{
	unsigned bits = 1u << order;

	switch (order) {
	case 3:
		return block[index];
	case 4:
		return load_be16(block + index * 2);
	case 5:
		return load_be32(block + index * 4);
	case 6:
		return load_be64(block + index * 8);
	default: // the first one in the lowest bits
		return block[index * bits / 8] >> (index * bits % 8) & ((1u << bits) - 1);
	}
}

void qcow2_refcount_set_in_block(uint8_t *block, uint64_t index, unsigned order, uint64_t count)
{
	unsigned bits = 1u << order, shift = index * bits % 8;
	uint8_t *byte = &block[index * bits / 8];

	switch (order) {
	case 3:
		*byte = count;
		break;
	case 4:
		store_be16(byte, count);
		break;
	case 5:
		store_be32(byte, count);
		break;
	case 6:
		store_be64(byte, count);
		break;
	default:
		*byte = (*byte & ~(((1u << bits) - 1) << shift)) | count << shift;
	}
}

static uint64_t refcount_max(const struct qcow2_image *image)
{
	return image->refcount_order == 6 ? UINT64_MAX :
					    (1ULL << (1u << image->refcount_order)) - 1;
}

// The block that describes @cluster; NULL where there is none.
static int get_block(struct qcow2_image *image, uint64_t cluster, uint8_t **block)
{
	uint64_t i = cluster >> image->block_bits;
	uint64_t offset = i < image->refcount_entries ?
				  image->refcount_table[i] & QCOW2_REFCOUNT_OFFSET_MASK :
				  0;

	return qcow2_cache_look_up(image, &image->block_cache, i, offset, block);
}

static uint64_t index_in_block(const struct qcow2_image *image, uint64_t cluster)
{
	return cluster & ((1ULL << image->block_bits) - 1);
}

int qcow2_refcount_get(struct qcow2_image *image, uint64_t cluster, uint64_t *count)
{
	uint8_t *block;
	int ret = get_block(image, cluster, &block);

	*count = 0;
	if (!ret && block)
		*count = qcow2_refcount_in_block(block, index_in_block(image, cluster),
						 image->refcount_order);
	return ret;
}

// -- giving back --

static void punch(const struct qcow2_image *image, struct qcow2_run run)
{
	if (fallocate(raw_fd(image->file), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      run.first << image->cluster_bits, run.count << image->cluster_bits))
		return; // it saves space, no more
}

void qcow2_end_quarantine(struct qcow2_image *image)
{
	for (unsigned i = 0; i < image->quarantined; i++) {
		punch(image, image->quarantine[i]);
		image->next_free = MIN(image->next_free, image->quarantine[i].first);
	}
	image->quarantined = 0;
}

static int quarantine(struct qcow2_image *image, struct qcow2_run run)
{
	struct qcow2_run *last = image->quarantine + image->quarantined - 1;

	if (!run.count)
		return 0;
	image->frees++;
	if (image->quarantined && last->first + last->count == run.first) {
		last->count += run.count;
		return 0;
	}
	if (image->quarantined == QCOW2_QUARANTINE_MAX) {
		int ret = qcow2_sync(image);

		if (ret)
			return qcow2_failed(image, -ret, "write");
		qcow2_end_quarantine(image);
	}
	image->quarantine[image->quarantined++] = run;
	if (image->volatile_)
		qcow2_end_quarantine(image);
	return 0;
}

// -- changing --

// The part of @run that one block describes, from @block's refcounts @from on; those that
// came to 0 are added to @freed, which is given back where they are not in a row.
static int add_in_block(struct qcow2_image *image, uint8_t *block, struct qcow2_run part, int delta,
			struct qcow2_run *freed)
{
	uint64_t from = index_in_block(image, part.first);
	unsigned order = image->refcount_order;

	for (uint64_t i = 0; i < part.count; i++) {
		uint64_t count = qcow2_refcount_in_block(block, from + i, order);

		if (delta < 0 ? !count : count == refcount_max(image))
			return qcow2_corrupt(image, "cluster %llu has the refcount %llu",
					     (unsigned long long)part.first + i,
					     (unsigned long long)count);
		qcow2_refcount_set_in_block(block, from + i, order, count + delta);
		if (count + delta)
			continue;
		if (freed->count && freed->first + freed->count != part.first + i) {
			int ret = quarantine(image, *freed);

			freed->count = 0;
			if (ret)
				return ret;
		}
		if (!freed->count++)
			freed->first = part.first + i;
	}
	return 0;
}

static int write_in_block(struct qcow2_image *image, struct qcow2_run part)
{
	uint64_t from = index_in_block(image, part.first) << image->refcount_order;
	uint64_t to = from + (part.count << image->refcount_order);
	int ret = qcow2_cache_write(image, &image->block_cache, part.first >> image->block_bits,
				    from / 8, (to + 7) / 8);

	return ret ? qcow2_failed(image, -ret, "write its refcounts") : 0;
}

static int add_part(struct qcow2_image *image, struct qcow2_run part, int delta,
		    struct qcow2_run *freed)
{
	uint8_t *block;
	int ret = get_block(image, part.first, &block);

	if (ret)
		return ret;
	if (!block)
		return qcow2_corrupt(image, "cluster %llu has no refcount",
				     (unsigned long long)part.first);
	ret = add_in_block(image, block, part, delta, freed);
	if (ret) {
		qcow2_cache_drop(&image->block_cache, part.first >> image->block_bits);
		return ret;
	}
	return write_in_block(image, part);
}

static int add_all(struct qcow2_image *image, struct qcow2_run run, int delta,
		   struct qcow2_run *freed)
{
	uint64_t end = run.first + run.count, block_end;
	int ret = qcow2_begin_change(image);

	for (uint64_t at = run.first; !ret && at < end; at = block_end) {
		block_end = MIN(((at >> image->block_bits) + 1) << image->block_bits, end);
		ret = add_part(image, (struct qcow2_run){ at, block_end - at }, delta, freed);
	}
	return ret;
}

int qcow2_refcount_add(struct qcow2_image *image, struct qcow2_run run, int delta)
{
	struct qcow2_run freed = { 0 };
	int ret = add_all(image, run, delta, &freed);

	return ret ? ret : quarantine(image, freed);
}

// Where the refcounts cannot be written either, they stay as they are: too high.
void qcow2_take_back(struct qcow2_image *image, struct qcow2_run run)
{
	struct qcow2_run freed = { 0 };

	if (!add_all(image, run, -1, &freed))
		image->next_free = MIN(image->next_free, run.first);
}

// -- taking --

static bool in_run(const struct qcow2_run *run, uint64_t cluster)
{
	return cluster - run->first < run->count;
}

// -EEXIST: not to be had.
static int is_free(struct qcow2_image *image, uint64_t cluster)
{
	uint64_t count;
	int ret = qcow2_refcount_get(image, cluster, &count);

	if (ret)
		return ret;
	if (count)
		return -EEXIST;
	for (const struct qcow2_reservation *r = image->reservations; r; r = r->next)
		if (in_run(&r->run, cluster))
			return -EEXIST;
	for (unsigned i = 0; i < image->quarantined; i++)
		if (in_run(&image->quarantine[i], cluster))
			return -EEXIST;
	if (qcow2_set_has(&image->metadata, cluster))
		return qcow2_corrupt(image, "cluster %llu holds metadata, but has the refcount 0",
				     (unsigned long long)cluster);
	return 0;
}

static int make_longer(struct qcow2_image *image, uint64_t end_cluster)
{
	uint64_t end = end_cluster << image->cluster_bits;

	if (end > INT64_MAX - GROW_BYTES)
		return qcow2_failed(image, EFBIG, "make longer");
	if (!image->regular)
		return end > image->file_bytes ? qcow2_failed(image, ENOSPC, "make longer") : 0;
	if (end <= image->file_bytes)
		return 0;
	// Ahead of need, unless there is a limit.
	if (!ftruncate(raw_fd(image->file), align_up(end, GROW_BYTES)))
		image->file_bytes = align_up(end, GROW_BYTES);
	else if (!ftruncate(raw_fd(image->file), end))
		image->file_bytes = end;
	else
		return qcow2_failed(image, errno, "make longer");
	return 0;
}

static int write_table_entry(struct qcow2_image *image, uint64_t i, uint64_t offset)
{
	uint8_t entry[8];
	int ret;

	store_be64(entry, offset);
	ret = raw_write(image->file, entry, 8, image->refcount_table_offset + i * 8);
	if (ret)
		return qcow2_failed(image, -ret, "write its refcount table");
	image->refcount_table[i] = offset;
	return 0;
}

static int write_block(struct qcow2_image *image, uint64_t i, uint64_t cluster)
{
	uint64_t offset = cluster << image->cluster_bits;
	uint8_t *block;
	int ret = qcow2_cache_new(image, &image->block_cache, i, offset, &block);

	if (ret)
		return ret;
	if (cluster >> image->block_bits == i)
		qcow2_refcount_set_in_block(block, index_in_block(image, cluster),
					    image->refcount_order, 1);
	ret = qcow2_cache_write(image, &image->block_cache, i, 0, image->cluster_bytes);
	if (!ret && image->version < 3)
		ret = qcow2_sync(image);
	image->fresh_cluster = MAX(image->fresh_cluster, cluster + 1); // even if it failed
	return ret ? ret : write_table_entry(image, i, offset);
}

// A new refcount block, in @cluster. Where it does not describe that itself, another does.
static int place_block(struct qcow2_image *image, uint64_t i, uint64_t cluster)
{
	struct qcow2_run run = { cluster, cluster >> image->block_bits != i };
	int ret = qcow2_begin_change(image);

	if (!ret)
		ret = make_longer(image, cluster + 1);
	if (!ret)
		ret = qcow2_refcount_add(image, run, 1);
	if (ret)
		return ret;
	ret = qcow2_set_add(&image->metadata, cluster);
	if (!ret) {
		ret = write_block(image, i, cluster);
		if (!ret)
			return 0;
		qcow2_set_remove(&image->metadata, cluster);
	}
	qcow2_take_back(image, run);
	return ret;
}

static bool has_block(const struct qcow2_image *image, uint64_t cluster)
{
	uint64_t i = cluster >> image->block_bits;

	return i < image->refcount_entries && image->refcount_table[i] & QCOW2_REFCOUNT_OFFSET_MASK;
}

// Sees to it that @cluster has a refcount; that may cost the first cluster of @run, which
// is then empty and goes on behind it.
static int need_block(struct qcow2_image *image, uint64_t cluster, struct qcow2_run *run)
{
	uint64_t place = run->count ? run->first : cluster;
	int ret;

	if (cluster >> image->block_bits >= image->refcount_entries) {
		ret = qcow2_grow_refcounts(image, cluster);
		// That may have used what we have seen as free.
		*run = (struct qcow2_run){ run->count ? run->first : cluster, 0 };
		return ret;
	}
	ret = place_block(image, cluster >> image->block_bits, place);
	*run = (struct qcow2_run){ place + 1, 0 };
	return ret;
}

// The next run of @want free clusters; shorter if not @all.
static int find_free(struct qcow2_image *image, uint64_t want, bool all, struct qcow2_run *run)
{
	*run = (struct qcow2_run){ image->next_free, 0 };
	while (run->count < want) {
		uint64_t cluster = run->first + run->count;
		int ret;

		if (!has_block(image, cluster)) {
			if (run->count && !all)
				return 0;
			ret = need_block(image, cluster, run);
			if (ret)
				return ret;
			continue;
		}
		ret = is_free(image, cluster);
		if (ret && ret != -EEXIST)
			return ret;
		if (!ret)
			run->count++;
		else if (run->count && !all)
			return 0;
		else
			*run = (struct qcow2_run){ cluster + 1, 0 };
	}
	return 0;
}

static int take(struct qcow2_image *image, uint64_t want, bool all, struct qcow2_run *run)
{
	int ret = qcow2_begin_change(image);

	if (!ret)
		ret = find_free(image, want, all, run);
	if (!ret)
		ret = make_longer(image, run->first + run->count);
	if (ret)
		run->count = 0;
	else if (!all || want == 1) // else there may be gaps below
		image->next_free = run->first + run->count;
	return ret;
}

int qcow2_find_free(struct qcow2_image *image, uint64_t want, struct qcow2_run *run)
{
	return take(image, want, false, run);
}

void qcow2_reserve(struct qcow2_image *image, struct qcow2_run run,
		   struct qcow2_reservation *reservation)
{
	reservation->run = run;
	reservation->next = image->reservations;
	reservation->link = &image->reservations;
	if (reservation->next)
		reservation->next->link = &reservation->next;
	image->reservations = reservation;
}

static void unlink_reservation(struct qcow2_reservation *reservation)
{
	*reservation->link = reservation->next;
	if (reservation->next)
		reservation->next->link = reservation->link;
	reservation->run.count = 0;
}

int qcow2_commit(struct qcow2_image *image, struct qcow2_reservation *reservation)
{
	struct qcow2_run run = reservation->run;
	int ret = qcow2_refcount_add(image, run, 1);

	unlink_reservation(reservation);
	// Even if it failed: the guest's data lies there.
	image->fresh_cluster = MAX(image->fresh_cluster, run.first + run.count);
	return ret;
}

void qcow2_unreserve(struct qcow2_image *image, struct qcow2_reservation *reservation)
{
	struct qcow2_run run = reservation->run;

	if (!run.count)
		return;
	unlink_reservation(reservation);
	// Something may have been written there.
	image->fresh_cluster = MAX(image->fresh_cluster, run.first + run.count);
	image->next_free = MIN(image->next_free, run.first);
}

int qcow2_allocate(struct qcow2_image *image, uint64_t count, struct qcow2_run *run)
{
	int ret = take(image, count, true, run);

	if (!ret)
		ret = qcow2_refcount_add(image, *run, 1);
	if (!ret)
		image->fresh_cluster = MAX(image->fresh_cluster, run->first + run->count);
	return ret;
}
