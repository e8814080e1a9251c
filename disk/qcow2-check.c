// SPDX-License-Identifier: GPL-2.0-or-later
// Checking a qcow2 image: who points where, and whether the flags agree with that.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2.h"

#define TOLD_MAX 30 // findings that are told one by one
#define L1_RESERVED 0x7f000000000001ffULL
#define L2_RESERVED 0x3f000000000001feULL
#define SNAPSHOT_EXTRA_MAX 1024
#define TABLE_BYTES_A_BYTE 128 // may be read, for each of memory that may be taken

void qcow2_found_error(struct qcow2_checker *checker, const char *fmt, ...)
{
	char text[200];
	va_list args;

	checker->report->errors++;
	if (!checker->verbose || checker->told++ >= TOLD_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	warn("disk %s: %s", checker->image->path, text);
}

static int read_failed(const struct qcow2_checker *checker, int error)
{
	return fail(-error, "disk %s: read its metadata", checker->image->path);
}

// -- L2 tables --

// What to do with the entries of the L2 tables: the first pass counts, the second one, when
// the refcounts are right, looks at the flags.
struct pass {
	bool active; // the tables of the disk, not of a snapshot
	bool flags;
	bool changed; // in the table at hand
	uint64_t tables_left;
};

static void clear_entry(struct qcow2_checker *checker, struct pass *pass, uint8_t *entry)
{
	if (checker->repair != QCOW2_REPAIR_ALL || !pass->active)
		return;
	store_be64(entry, 0);
	pass->changed = true;
	checker->report->errors_fixed++;
}

static bool place_is_possible(const struct qcow2_image *image, uint64_t entry)
{
	uint64_t offset = entry & QCOW2_OFFSET_MASK;

	return !(entry & L2_RESERVED) &&
	       (!offset || qcow2_offset_ok(image, offset, image->cluster_bytes));
}

static void count_packed(struct qcow2_checker *checker, struct pass *pass, uint64_t cluster,
			 uint8_t *at)
{
	struct qcow2_run run = qcow2_packed_run(checker->image, load_be64(at));
	unsigned bits = checker->image->cluster_bits;

	if (!qcow2_count_refs(checker, run.first << bits, run.count << bits)) {
		qcow2_found_error(checker, "guest cluster %llu: compressed data beyond the end",
				  qcow2_ull(cluster));
		clear_entry(checker, pass, at);
	} else if (pass->active) {
		checker->report->allocated_clusters++;
		checker->report->packed_clusters++;
	}
}

static void count_entry(struct qcow2_checker *checker, struct pass *pass, uint64_t cluster,
			uint8_t *at)
{
	struct qcow2_image *image = checker->image;
	uint64_t entry = load_be64(at), host = entry & QCOW2_OFFSET_MASK;

	if (entry & QCOW2_COMPRESSED) {
		count_packed(checker, pass, cluster, at);
		return;
	}
	if (!place_is_possible(image, entry)) {
		qcow2_found_error(checker, "guest cluster %llu: entry %#llx is impossible",
				  qcow2_ull(cluster), qcow2_ull(entry));
		clear_entry(checker, pass, at);
		return;
	}
	if (host)
		qcow2_count_refs(checker, host, image->cluster_bytes);
	if (pass->active && host)
		checker->report->allocated_clusters++;
}

// COPIED stands where the refcount is 1 and nowhere else. Returns the entry as it should be.
static int judge_flag(struct qcow2_checker *checker, const char *what, uint64_t number,
		      uint64_t *entry)
{
	uint64_t host = *entry & QCOW2_OFFSET_MASK, count = 0;
	bool packed = *entry & QCOW2_COMPRESSED, copied = *entry & QCOW2_COPIED;
	int ret = 0;

	if (!packed && host)
		ret = qcow2_refcount_get(checker->image, host >> checker->image->cluster_bits,
					 &count);
	if (ret || copied == (!packed && count == 1))
		return ret;
	qcow2_found_error(checker, "%s %llu: is %smarked as the only user of its cluster", what,
			  qcow2_ull(number), copied ? "" : "not ");
	if (checker->repair == QCOW2_REPAIR_ALL) {
		*entry ^= QCOW2_COPIED;
		checker->report->errors_fixed++;
	}
	return 0;
}

static int check_flag(struct qcow2_checker *checker, struct pass *pass, uint64_t cluster,
		      uint8_t *at)
{
	uint64_t entry = load_be64(at), wanted = entry;
	int ret = judge_flag(checker, "guest cluster", cluster, &wanted);

	if (ret || wanted == entry)
		return ret;
	store_be64(at, wanted);
	pass->changed = true;
	return 0;
}

// An L1 table has no more L2 tables than the file has clusters; an evil one names a few of
// them a million times, and so may the snapshots.
static int take_table(struct qcow2_checker *checker, struct pass *pass)
{
	const struct qcow2_image *image = checker->image;

	if (!pass->tables_left || checker->table_bytes_left < image->cluster_bytes)
		return fail_msg(EFBIG,
				"disk %s: qcow2: its L2 tables have too many users to check them",
				image->path);
	pass->tables_left--;
	checker->table_bytes_left -= image->cluster_bytes;
	return 0;
}

static int check_l2(struct qcow2_checker *checker, struct pass *pass, uint64_t i, uint64_t offset,
		    uint8_t *l2)
{
	struct qcow2_image *image = checker->image;
	uint64_t first = i << image->l2_bits;
	int ret = take_table(checker, pass);

	if (ret)
		return ret;
	ret = raw_read(image->file, l2, MIN(image->cluster_bytes, image->file_bytes - offset),
		       offset);
	if (ret)
		return read_failed(checker, ret);
	pass->changed = false;
	for (uint64_t k = 0; !ret && k < 1ULL << image->l2_bits; k++) {
		if (pass->flags)
			ret = check_flag(checker, pass, first + k, l2 + k * 8);
		else if (load_be64(l2 + k * 8))
			count_entry(checker, pass, first + k, l2 + k * 8);
	}
	if (ret || !pass->changed)
		return ret;
	ret = raw_write(image->file, l2, image->cluster_bytes, offset);
	return ret ? fail(-ret, "disk %s: write an L2 table", image->path) : 0;
}

// -- L1 tables --

static int write_l1_entry(struct qcow2_checker *checker, uint64_t i, uint64_t entry)
{
	struct qcow2_image *image = checker->image;
	uint8_t bytes[8];
	int ret;

	store_be64(bytes, entry);
	image->l1[i] = entry;
	ret = raw_write(image->file, bytes, 8, image->l1_offset + i * 8);
	return ret ? fail(-ret, "disk %s: write its L1 table", image->path) : 0;
}

static int bad_l1_entry(struct qcow2_checker *checker, struct pass *pass, uint64_t i,
			uint64_t entry)
{
	if (pass->flags)
		return 0; // told by the first pass
	qcow2_found_error(checker, "L1 entry %llu, %#llx, is impossible", qcow2_ull(i),
			  qcow2_ull(entry));
	if (checker->repair != QCOW2_REPAIR_ALL || !pass->active)
		return 0;
	checker->report->errors_fixed++;
	return write_l1_entry(checker, i, 0);
}

static int check_l1_entry(struct qcow2_checker *checker, struct pass *pass, uint64_t i,
			  uint64_t entry, uint8_t *l2)
{
	struct qcow2_image *image = checker->image;
	uint64_t offset = entry & QCOW2_OFFSET_MASK, wanted = entry;
	int ret = 0;

	if (!entry)
		return 0;
	if (entry & L1_RESERVED || !qcow2_offset_ok(image, offset, image->cluster_bytes))
		return bad_l1_entry(checker, pass, i, entry);
	if (pass->flags)
		ret = judge_flag(checker, "L1 entry", i, &wanted);
	else
		qcow2_count_refs(checker, offset, image->cluster_bytes);
	if (!ret && wanted != entry)
		ret = write_l1_entry(checker, i, wanted);
	return ret ? ret : check_l2(checker, pass, i, offset, l2);
}

static int check_l1(struct qcow2_checker *checker, struct pass *pass, const uint64_t *l1,
		    uint32_t entries)
{
	uint8_t *l2 = calloc(1, checker->image->cluster_bytes);
	int ret = l2 ? 0 : fail(ENOMEM, "disk %s", checker->image->path);

	pass->tables_left = checker->clusters;
	for (uint32_t i = 0; !ret && i < entries; i++)
		ret = check_l1_entry(checker, pass, i, l1[i], l2);
	free(l2);
	return ret;
}

// -- snapshots --

static int check_snapshot_l1(struct qcow2_checker *checker, uint64_t offset, uint32_t entries)
{
	struct qcow2_image *image = checker->image;
	struct pass pass = { 0 };
	uint64_t *l1 = calloc(MAX(entries, 1u), 8);
	int ret = l1 ? 0 : fail(ENOMEM, "disk %s", image->path);

	if (!ret)
		ret = raw_read(image->file, l1, MIN(entries * 8ULL, image->file_bytes - offset),
			       offset);
	for (uint32_t i = 0; !ret && i < entries; i++)
		l1[i] = be64toh(l1[i]);
	ret = ret ? read_failed(checker, ret) : check_l1(checker, &pass, l1, entries);
	free(l1);
	return ret;
}

static int check_snapshot(struct qcow2_checker *checker, unsigned i, uint64_t *at)
{
	struct qcow2_image *image = checker->image;
	uint8_t entry[QCOW2_SNAPSHOT_BYTES];
	uint64_t l1_offset;
	uint32_t entries, extra;
	int ret = *at + sizeof(entry) <= image->file_bytes ?
			  raw_read(image->file, entry, sizeof(entry), *at) :
			  -EIO;

	if (ret)
		return read_failed(checker, ret);
	l1_offset = load_be64(entry);
	entries = load_be32(entry + 8);
	extra = load_be32(entry + 36);
	if (extra > SNAPSHOT_EXTRA_MAX || entries * 8ULL > QCOW2_L1_BYTES_MAX ||
	    (entries && !qcow2_count_refs(checker, l1_offset, entries * 8ULL)))
		return fail_msg(
			EINVAL,
			"disk %s: qcow2: snapshot %u is impossible: an L1 table of %u entries "
			"at %llu",
			image->path, i, entries, qcow2_ull(l1_offset));
	*at += align_up(sizeof(entry) + extra + load_be16(entry + 12) + load_be16(entry + 14), 8);
	return entries ? check_snapshot_l1(checker, l1_offset, entries) : 0;
}

static int check_snapshots(struct qcow2_checker *checker)
{
	struct qcow2_image *image = checker->image;
	uint64_t at = image->snapshots_offset;
	int ret = 0;

	if (!image->snapshot_count)
		return 0;
	if (!qcow2_offset_ok(image, at, 1))
		return fail_msg(EINVAL,
				"disk %s: qcow2: its snapshots at %llu are not within the file",
				image->path, qcow2_ull(at));
	for (unsigned i = 0; !ret && i < image->snapshot_count; i++)
		ret = check_snapshot(checker, i, &at);
	if (!ret &&
	    !qcow2_count_refs(checker, image->snapshots_offset, at - image->snapshots_offset))
		qcow2_found_error(checker, "the snapshots' table goes beyond the end");
	return ret;
}

// -- all --

static int count_all(struct qcow2_checker *checker)
{
	struct qcow2_image *image = checker->image;
	struct pass pass = { .active = true };
	int ret;

	qcow2_count_refs(checker, 0, 1);
	if (image->l1_entries)
		qcow2_count_refs(checker, image->l1_offset, image->l1_entries * 8ULL);
	ret = check_l1(checker, &pass, image->l1, image->l1_entries);
	return ret ? ret : check_snapshots(checker);
}

static int allocate_counts(struct qcow2_checker *checker, uint64_t limit_bytes)
{
	struct qcow2_image *image = checker->image;

	checker->clusters = qcow2_clusters(image, image->file_bytes);
	if (checker->clusters > limit_bytes / sizeof(*checker->counts))
		return fail_msg(
			EFBIG,
			"disk %s: qcow2: a check needs %llu MiB of memory, more than the %llu "
			"MiB that it may have here",
			image->path, qcow2_ull(checker->clusters * sizeof(*checker->counts) / MIB),
			qcow2_ull(limit_bytes / MIB));
	checker->counts = calloc(checker->clusters + 1, sizeof(*checker->counts));
	return checker->counts ? 0 : fail(ENOMEM, "disk %s", image->path);
}

static int check_flags(struct qcow2_checker *checker)
{
	struct pass pass = { .active = true, .flags = true };

	return check_l1(checker, &pass, checker->image->l1, checker->image->l1_entries);
}

// The marks of a crash, and of an error that somebody came across.
static int clear_marks(struct qcow2_checker *checker)
{
	uint64_t marks = QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT;
	struct qcow2_image *image = checker->image;
	const struct qcow2_report *report = checker->report;
	int ret;

	if (!checker->repair || !(image->incompatible & marks))
		return 0;
	if (checker->repair != QCOW2_REPAIR_ALL || report->errors > report->errors_fixed) {
		image->dirty &= !checker->was_dirty; // else it stays so
		return 0;
	}
	image->dirty = false;
	image->incompatible &= ~marks;
	ret = qcow2_sync(image);
	if (!ret)
		ret = qcow2_write_features(image);
	if (!ret)
		ret = qcow2_sync(image);
	return ret ? fail(-ret, "disk %s: write its header", image->path) : 0;
}

static void find_end(struct qcow2_checker *checker)
{
	uint64_t end = checker->clusters;

	while (end && !checker->counts[end - 1])
		end--;
	checker->report->end_bytes = end << checker->image->cluster_bits;
}

static int check_once(struct qcow2_checker *checker, uint64_t limit_bytes)
{
	int ret = allocate_counts(checker, limit_bytes);

	checker->table_bytes_left = limit_bytes * TABLE_BYTES_A_BYTE;
	*checker->report = (struct qcow2_report){
		.total_clusters = qcow2_clusters(checker->image, checker->image->size_bytes),
	};
	if (!ret)
		ret = count_all(checker);
	if (!ret)
		ret = qcow2_check_refcounts(checker);
	if (!ret)
		ret = check_flags(checker);
	if (!ret)
		find_end(checker);
	free(checker->counts);
	return ret;
}

// Where tables lie on one another a repair of one may spoil the other.
static int check_again(const struct qcow2_checker *repaired, uint64_t limit_bytes)
{
	struct qcow2_report *report = repaired->report, found;
	struct qcow2_checker checker = { .image = repaired->image, .report = &found };
	int ret;

	if (!report->errors_fixed && !report->leaks_fixed)
		return 0;
	ret = check_once(&checker, limit_bytes);
	if (!ret && found.errors) {
		report->errors = MAX(report->errors, found.errors);
		report->errors_fixed = report->errors - found.errors;
	}
	return ret;
}

int qcow2_check(struct qcow2_image *image, enum qcow2_repair repair, bool verbose,
		uint64_t limit_bytes, struct qcow2_report *report)
{
	struct qcow2_checker checker = {
		.image = image,
		.report = report,
		.repair = repair,
		.verbose = verbose,
		.was_dirty = image->incompatible & QCOW2_INCOMPATIBLE_DIRTY,
	};
	int ret = 0;

	if (image->bitmaps)
		return fail_msg(EOPNOTSUPP,
				"disk %s: qcow2: has bitmaps, which cannot be checked here; "
				"use qemu-img check",
				image->path);
	if (repair)
		ret = qcow2_begin_change(image);
	if (!ret)
		ret = check_once(&checker, limit_bytes);
	if (!ret)
		ret = check_again(&checker, limit_bytes);
	if (!ret)
		ret = clear_marks(&checker);
	if (!ret && verbose && checker.told > TOLD_MAX)
		warn("disk %s: and %llu more", image->path, qcow2_ull(checker.told - TOLD_MAX));
	return ret;
}
