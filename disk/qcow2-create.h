// SPDX-License-Identifier: GPL-2.0-or-later
// Making new qcow2 images.
#ifndef KVIK_DISK_QCOW2_CREATE_H
#define KVIK_DISK_QCOW2_CREATE_H

#include "disk-priv.h"

struct qcow2_options {
	uint64_t size_bytes;
	uint64_t cluster_bytes;
	unsigned version; // 2 or 3
	unsigned refcount_bits;
	unsigned compression;       // QCOW2_COMPRESSION_...; zlib for version 2
	const char *backing_path;   // NULL: none; as it shall stand in the header
	const char *backing_format; // "raw" or "qcow2"
	bool volatile_;             // not to outlive its process
};

#define QCOW2_OPTIONS_DEFAULT .cluster_bytes = 64 * KIB, .version = 3, .refcount_bits = 16

// Both return 0 or -EINVAL after a message.
int qcow2_check_options(const struct qcow2_options *options) MUST_CHECK;
// Writes an empty image to @file, which is empty. 0 or -errno after a message.
int qcow2_create(struct disk *file, const struct qcow2_options *options) MUST_CHECK;

#endif
