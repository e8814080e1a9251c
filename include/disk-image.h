// SPDX-License-Identifier: GPL-2.0-or-later
// Work on disk image files that no VM uses: make, convert, examine, repair, resize.
//
// Main thread. Each returns 0 or -errno after a message, unless it says else. What is made
// gets its name when it is complete: until then, and after an error, there is nothing new.
#ifndef KVIK_DISK_IMAGE_H
#define KVIK_DISK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"
#include "vm-config.h"

const char *disk_format_name(enum disk_format format);

// What an image shall be. For qcow2 only: the fields from cluster_bytes on; 0 is the default.
struct disk_image_options {
	const char *path;
	enum disk_format format;
	uint64_t size_bytes; // 0: its backing file's
	bool replace;        // a file of that name
	uint64_t cluster_bytes;
	unsigned version; // of qcow2
	unsigned refcount_bits;
	bool zstd; // compresses by zstd, not zlib
	bool compress;
	const char *backing_path;        // NULL: none; relative to where the image will be
	enum disk_format backing_format; // DISK_FORMAT_AUTO: raw, unless it looks like qcow2
};

int disk_image_create(const struct disk_image_options *wanted) MUST_CHECK;

// Copies the content of @from_config; sparse parts stay so. @progress is called now and then.
int disk_image_convert(const struct disk_config *from_config,
		       const struct disk_image_options *wanted,
		       void (*progress)(void *opaque, uint64_t done_bytes, uint64_t all_bytes),
		       void *opaque) MUST_CHECK;

// Strings are the caller's, to be freed by disk_image_free_info().
struct disk_image_info {
	enum disk_format format;
	uint64_t size_bytes;      // as the guest sees it
	uint64_t file_bytes;      // length of the file
	uint64_t allocated_bytes; // what the file takes
	// qcow2
	unsigned version;
	uint64_t cluster_bytes;
	unsigned refcount_bits;
	const char *compression;
	char *backing_path; // NULL: none
	char *backing_format;
	unsigned snapshots;
	bool dirty;
	bool corrupt;
};
// Opens no backing file.
int disk_image_inspect(const char *path, enum disk_format format, struct disk_image_info *info)
	MUST_CHECK;
void disk_image_free_info(struct disk_image_info *info);

enum disk_image_repair { DISK_IMAGE_CHECK_ONLY, DISK_IMAGE_REPAIR_LEAKS, DISK_IMAGE_REPAIR_ALL };

struct disk_image_report {
	uint64_t errors; // as found
	uint64_t leaks;
	uint64_t errors_fixed;
	uint64_t leaks_fixed;
	uint64_t total_clusters; // of the guest's
	uint64_t allocated_clusters;
	uint64_t packed_clusters;
	uint64_t end_bytes; // of what is in use of the file
};
// A qcow2 image's metadata. 0 also when something is wrong with it.
int disk_image_check(const char *path, enum disk_image_repair repair,
		     struct disk_image_report *report) MUST_CHECK;

// @shrink: it may become smaller, and lose what is cut off.
int disk_image_resize(const struct disk_config *config, uint64_t size_bytes, bool shrink)
	MUST_CHECK;

#endif
