// SPDX-License-Identifier: GPL-2.0-or-later
// The metadata of a qcow2 image: synchronous, checked, written through.
//
//	header --> L1 table --> L2 tables --> data clusters (or compressed data)
//	       \-> refcount table --> refcount blocks: how many entries point to a cluster
//
// Every change goes to the file at once, in an order that leaves an image without
// errors when the process is killed: a cluster's data, its refcount, then the entry that
// points to it; and the other way round when it is given up. Against a loss of power
// version 3 has the dirty bit: it stands as long as the image is changed, and who opens
// one that has it counts anew. Version 2 gets an fdatasync() between refcount and entry.
//
// What the file says may be wrong or evil: an offset is checked each time it is used.
// No call here is for two threads at once.
#ifndef KVIK_DISK_QCOW2_H
#define KVIK_DISK_QCOW2_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk-priv.h"
#include "log.h"
#include "qcow2-format.h"
#include "util.h"

// What one image may take of our memory: with the set of metadata clusters, which has at
// most 4 slots for each entry, and the caches, below 64 MiB.
#define QCOW2_L1_BYTES_MAX (8 * MIB)
#define QCOW2_REFCOUNT_TABLE_BYTES_MAX (4 * MIB)

// Of host clusters, by number.
struct qcow2_run {
	uint64_t first;
	uint64_t count;
};

// Clusters that are taken, though no refcount says so yet: what is to be written into
// them is on its way. Linked into its image.
struct qcow2_reservation {
	struct qcow2_run run; // empty: none
	struct qcow2_reservation *next, **link;
};

// Tables of one cluster each, as in the file. A table has one place, by its key.
struct qcow2_cache {
	struct qcow2_table {
		uint64_t offset; // 0: empty
		uint8_t *data;
	} * tables;
	unsigned count;
	const char *what; // a table of it is, in messages
};

// A set of cluster numbers, by open addressing; a slot holds number + 1.
struct qcow2_set {
	uint64_t *slots;
	uint64_t capacity; // a power of two
	uint64_t count;
};

// Given up since the last fdatasync(): a power loss could bring their old entries back, so
// their content stays as it is until then.
#define QCOW2_QUARANTINE_MAX 256

struct qcow2_image {
	struct disk *file; // raw
	const char *path;
	bool read_only;
	bool examine;   // for a check: what the tables say is wrong is not refused
	bool volatile_; // nobody wants it after a crash: no syncing
	bool broken;    // found inconsistent, not to be written any more
	bool dirty;     // the file's dirty bit is set
	bool bitmaps;   // somebody's valid bitmaps

	unsigned version;
	unsigned cluster_bits;
	uint64_t cluster_bytes;
	unsigned l2_bits; // log2 of the entries of an L2 table
	uint64_t size_bytes;
	uint64_t incompatible, compatible, autoclear;
	unsigned compression;
	uint32_t header_bytes;
	char *backing_path;   // as in the header; NULL: none
	char *backing_format; // NULL: the header does not say
	uint32_t snapshot_count;
	uint64_t snapshots_offset;

	uint64_t *l1; // host-endian, with the flags
	uint32_t l1_entries;
	uint64_t l1_offset;
	struct qcow2_cache l2_cache;

	unsigned refcount_order;
	unsigned block_bits;      // log2 of the refcounts of a block
	uint64_t *refcount_table; // host-endian
	uint32_t refcount_entries;
	uint64_t refcount_table_offset;
	struct qcow2_cache block_cache;

	uint64_t file_bytes;    // of a regular file, as we grew it
	bool regular;           // a file: grows, and reads as zeroes where nothing was written
	uint64_t fresh_cluster; // from here on nothing was ever written
	uint64_t next_free;     // where to look for a free cluster
	struct qcow2_reservation *reservations;
	struct qcow2_run quarantine[QCOW2_QUARANTINE_MAX];
	unsigned quarantined;
	uint64_t frees;            // how many were given up, ever
	struct qcow2_set metadata; // clusters that hold some, when not examined
	struct log_ratelimit limit;
};

// Refuses to open it: a message, and -EINVAL.
#define qcow2_refuse(image, fmt, ...) \
	fail_msg(EINVAL, "disk %s: qcow2: " fmt, (image)->path, ##__VA_ARGS__)

static inline unsigned long long qcow2_ull(uint64_t value) // for messages
{
	return value;
}

// -- qcow2-header.c --

// Reads and checks the header of @image, of which the file is known.
int qcow2_read_header(struct qcow2_image *image) MUST_CHECK;

// -- qcow2-image.c --

struct qcow2_open_flags {
	bool read_only;
	bool examine;
	bool volatile_;
};

// Reads and checks header, L1 and refcount table of the image in @file, which remains the
// caller's. Returns 0 or -errno after a message.
int qcow2_image_open(struct qcow2_image *image, struct disk *file, struct qcow2_open_flags flags)
	MUST_CHECK;
// Makes the file whole, synced and clean, if it was written; frees the tables. A message
// and -errno when that fails.
int qcow2_image_close(struct qcow2_image *image);
// Writes the feature bits of @image to the header. Version 3.
int qcow2_write_features(struct qcow2_image *image) MUST_CHECK;
// Call before metadata is changed: sets the dirty bit. 0 or -errno.
int qcow2_begin_change(struct qcow2_image *image) MUST_CHECK;
// True if a table can be at @offset: aligned and in the file.
bool qcow2_offset_ok(const struct qcow2_image *image, uint64_t offset, uint64_t len);
// 0 or -errno, without a message. Does nothing for a volatile image.
int qcow2_sync(struct qcow2_image *image) MUST_CHECK;

// -- qcow2-table.c --

int qcow2_cache_init(struct qcow2_cache *cache, unsigned count, const char *what) MUST_CHECK;
void qcow2_cache_exit(struct qcow2_cache *cache);
// The table at @offset, read if need be; its place is @key's. Good until the next call.
int qcow2_cache_get(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
		    uint64_t offset, uint8_t **data) MUST_CHECK;
// As before, for a guest's request: NULL where @offset is 0; a message, when one cannot be
// there or cannot be read.
int qcow2_cache_look_up(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
			uint64_t offset, uint8_t **data) MUST_CHECK;
// As qcow2_cache_get(), zeroed and not read.
int qcow2_cache_new(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
		    uint64_t offset, uint8_t **data) MUST_CHECK;
void qcow2_cache_drop(struct qcow2_cache *cache, uint64_t key);
// Writes bytes [@from, @to) of a cached table; if that fails, the table is dropped.
int qcow2_cache_write(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
		      size_t from, size_t to) MUST_CHECK;

int qcow2_set_add(struct qcow2_set *set, uint64_t cluster) MUST_CHECK; // -EEXIST, -ENOMEM
void qcow2_set_remove(struct qcow2_set *set, uint64_t cluster);
bool qcow2_set_has(const struct qcow2_set *set, uint64_t cluster);
void qcow2_set_exit(struct qcow2_set *set);

// Says what is wrong, and lets no more be written. Returns -EIO.
int qcow2_corrupt(struct qcow2_image *image, const char *fmt, ...) PRINTF_LIKE(2, 3);
// What failed, of a guest's doing perhaps: not told too often. Returns -@errnum.
int qcow2_failed(struct qcow2_image *image, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
static inline uint64_t qcow2_clusters(const struct qcow2_image *image, uint64_t bytes)
{
	return (bytes >> image->cluster_bits) + !!(bytes & (image->cluster_bytes - 1));
}

// -- qcow2-refcount.c --

int qcow2_refcount_get(struct qcow2_image *image, uint64_t cluster, uint64_t *count) MUST_CHECK;
uint64_t qcow2_refcount_in_block(const uint8_t *block, uint64_t index, unsigned order);
void qcow2_refcount_set_in_block(uint8_t *block, uint64_t index, unsigned order, uint64_t count);
// Adds @delta, 1 or -1, to each. Those that come to 0 are given back to the host.
int qcow2_refcount_add(struct qcow2_image *image, struct qcow2_run run, int delta) MUST_CHECK;

// Finds 1 to @want free clusters in a row, which the next call may find again.
int qcow2_find_free(struct qcow2_image *image, uint64_t want, struct qcow2_run *run) MUST_CHECK;
// Keeps what was found, until one of the next two.
void qcow2_reserve(struct qcow2_image *image, struct qcow2_run run,
		   struct qcow2_reservation *reservation);
// Now in use: refcount 1.
int qcow2_commit(struct qcow2_image *image, struct qcow2_reservation *reservation) MUST_CHECK;
void qcow2_unreserve(struct qcow2_image *image, struct qcow2_reservation *reservation);
// @count in a row, with refcount 1: for metadata.
int qcow2_allocate(struct qcow2_image *image, uint64_t count, struct qcow2_run *run) MUST_CHECK;
// Of what was allocated and nothing ever pointed to.
void qcow2_take_back(struct qcow2_image *image, struct qcow2_run run);
// What was given up before may be used again: it is in the file for good.
void qcow2_end_quarantine(struct qcow2_image *image);

// -- qcow2-map.c --

enum qcow2_kind { QCOW2_UNALLOCATED, QCOW2_ZEROES, QCOW2_DATA, QCOW2_PACKED };

// A part of the guest's disk that is of one kind and, where it is data, in a row.
struct qcow2_extent {
	enum qcow2_kind kind;
	bool in_place; // QCOW2_DATA, QCOW2_ZEROES: a cluster of its own; may be written
	uint64_t host; // QCOW2_DATA: offset in the file; QCOW2_ZEROES: as well, or 0
	uint64_t len;
	uint64_t entry; // QCOW2_PACKED: the table's
};

// What [@offset, @offset + @len) begins with; the range is in the disk.
int qcow2_map(struct qcow2_image *image, uint64_t offset, uint64_t len, struct qcow2_extent *extent)
	MUST_CHECK;
// Makes the tables for what is to be linked there, so that this does not want for space.
int qcow2_own_tables(struct qcow2_image *image, uint64_t cluster, uint64_t count) MUST_CHECK;
// Lets the guest's clusters from @cluster on be those of @run, whose refcounts are set, and
// gives up what they were. On an error nothing was linked, or is still to be used.
int qcow2_link(struct qcow2_image *image, uint64_t cluster, struct qcow2_run run) MUST_CHECK;
int qcow2_link_packed(struct qcow2_image *image, uint64_t cluster, uint64_t entry) MUST_CHECK;

enum qcow2_clear {
	QCOW2_CLEAR_DISCARD,   // reads as zeroes, its space given back
	QCOW2_CLEAR_ZERO,      // the same
	QCOW2_CLEAR_ZERO_KEEP, // reads as zeroes, its space kept
	QCOW2_CLEAR_FORGET,    // as if never written
};
// @backed: what is not allocated shows a backing file. -EOPNOTSUPP: this version cannot.
int qcow2_clear(struct qcow2_image *image, uint64_t cluster, uint64_t count, enum qcow2_clear how,
		bool backed) MUST_CHECK;

// Where a packed cluster's data is: @offset in the file, at most @len bytes.
void qcow2_packed_place(const struct qcow2_image *image, uint64_t entry, uint64_t *offset,
			uint64_t *len);
struct qcow2_run qcow2_packed_run(const struct qcow2_image *image, uint64_t entry);

// -- qcow2-pack.c --

// Unpacks the cluster at @entry into @data, of a cluster's size.
int qcow2_unpack(struct qcow2_image *image, uint64_t entry, uint8_t *data) MUST_CHECK;
// Packs @data and links it; where that saves nothing returns -E2BIG. @place holds where
// the last one ended, 0 at first.
int qcow2_pack(struct qcow2_image *image, uint64_t cluster, const uint8_t *data, uint64_t *place)
	MUST_CHECK;

// -- qcow2-grow.c --

// Lets the refcount table reach as far as @cluster.
int qcow2_grow_refcounts(struct qcow2_image *image, uint64_t cluster) MUST_CHECK;
// Sets the guest's size. What is cut off is given up.
int qcow2_set_size(struct qcow2_image *image, uint64_t size_bytes) MUST_CHECK;

// -- qcow2-check.c --

struct qcow2_report {
	uint64_t errors; // as found
	uint64_t leaks;
	uint64_t errors_fixed;
	uint64_t leaks_fixed;
	uint64_t allocated_clusters; // of the guest's
	uint64_t packed_clusters;    // of these
	uint64_t total_clusters;
	uint64_t end_bytes; // of what is in use of the file
};

enum qcow2_repair { QCOW2_REPAIR_NONE, QCOW2_REPAIR_LEAKS, QCOW2_REPAIR_ALL };

// Who points where was counted; what the refcounts should be.
struct qcow2_checker {
	struct qcow2_image *image;
	struct qcow2_report *report;
	enum qcow2_repair repair;
	bool verbose; // tells of each finding
	bool was_dirty;
	bool rebuild; // the refcounts' own tables are not to be trusted
	uint32_t *counts;
	uint64_t clusters;         // of the file, and entries of counts
	uint64_t table_bytes_left; // of L2 tables, to be read
	uint64_t told;
};

// Compares who points where with the refcounts, of an image opened to be examined. @limit_bytes: of
// memory. 0, also when something is wrong, or -errno.
int qcow2_check(struct qcow2_image *image, enum qcow2_repair repair, bool verbose,
		uint64_t limit_bytes, struct qcow2_report *report) MUST_CHECK;
// An error, or a leak, of the image.
void qcow2_found_error(struct qcow2_checker *checker, const char *fmt, ...) PRINTF_LIKE(2, 3);

// -- qcow2-repair.c --

// One more points to each cluster of the range. False if it is not within the file.
bool qcow2_count_refs(struct qcow2_checker *checker, uint64_t offset, uint64_t len);
// Compares the refcounts with the counts; sets them right.
int qcow2_check_refcounts(struct qcow2_checker *checker) MUST_CHECK;

#endif
