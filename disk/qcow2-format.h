// SPDX-License-Identifier: GPL-2.0-or-later
// The qcow2 image format: what stands where in the file (QEMU, docs/interop/qcow2.txt).
//
// All numbers are big-endian.
#ifndef KVIK_DISK_QCOW2_FORMAT_H
#define KVIK_DISK_QCOW2_FORMAT_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

#define QCOW2_MAGIC 0x514649fbu // "QFI\xfb"

// Offsets in the header.
enum {
	QCOW2_AT_VERSION = 4,
	QCOW2_AT_BACKING_OFFSET = 8,
	QCOW2_AT_BACKING_BYTES = 16,
	QCOW2_AT_CLUSTER_BITS = 20,
	QCOW2_AT_SIZE = 24,
	QCOW2_AT_CRYPT = 32,
	QCOW2_AT_L1_ENTRIES = 36,
	QCOW2_AT_L1_OFFSET = 40,
	QCOW2_AT_REFCOUNT_TABLE_OFFSET = 48,
	QCOW2_AT_REFCOUNT_TABLE_CLUSTERS = 56,
	QCOW2_AT_SNAPSHOTS = 60,
	QCOW2_AT_SNAPSHOTS_OFFSET = 64,
	QCOW2_V2_HEADER_BYTES = 72,
	QCOW2_AT_INCOMPATIBLE = 72,
	QCOW2_AT_COMPATIBLE = 80,
	QCOW2_AT_AUTOCLEAR = 88,
	QCOW2_AT_REFCOUNT_ORDER = 96,
	QCOW2_AT_HEADER_BYTES = 100,
	QCOW2_V3_HEADER_BYTES = 104,
	QCOW2_AT_COMPRESSION = 104,
};

#define QCOW2_INCOMPATIBLE_DIRTY (1ULL << 0)
#define QCOW2_INCOMPATIBLE_CORRUPT (1ULL << 1)
#define QCOW2_INCOMPATIBLE_DATA_FILE (1ULL << 2)
#define QCOW2_INCOMPATIBLE_COMPRESSION (1ULL << 3)
#define QCOW2_INCOMPATIBLE_EXTENDED_L2 (1ULL << 4)
#define QCOW2_AUTOCLEAR_BITMAPS (1ULL << 0)

enum { QCOW2_COMPRESSION_ZLIB, QCOW2_COMPRESSION_ZSTD };

// Header extensions.
#define QCOW2_EXT_END 0x00000000u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURE_NAMES 0x6803f857u
#define QCOW2_EXT_BITMAPS 0x23852875u

// Entries of the L1, L2 and refcount tables.
#define QCOW2_COPIED (1ULL << 63) // its refcount is exactly 1
#define QCOW2_COMPRESSED (1ULL << 62)
#define QCOW2_ZERO (1ULL << 0)
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ULL
#define QCOW2_REFCOUNT_OFFSET_MASK 0xfffffffffffffe00ULL
#define QCOW2_COMPRESSED_SECTOR 512

#define QCOW2_CLUSTER_BITS_MIN 9
#define QCOW2_CLUSTER_BITS_MAX 21
#define QCOW2_BACKING_BYTES_MAX 1023
#define QCOW2_REFCOUNT_ORDER_MAX 6
// A snapshot table's entry: fixed part.
#define QCOW2_SNAPSHOT_BYTES 40

static inline uint32_t load_be32(const void *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return be32toh(value);
}

static inline uint64_t load_be64(const void *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return be64toh(value);
}

static inline uint16_t load_be16(const void *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return be16toh(value);
}

static inline void store_be16(void *to, uint16_t value)
{
	value = htobe16(value);
	memcpy(to, &value, sizeof(value));
}

static inline void store_be32(void *to, uint32_t value)
{
	value = htobe32(value);
	memcpy(to, &value, sizeof(value));
}

static inline void store_be64(void *to, uint64_t value)
{
	value = htobe64(value);
	memcpy(to, &value, sizeof(value));
}

#endif
