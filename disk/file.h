// SPDX-License-Identifier: GPL-2.0-or-later
// The host's side of a raw disk image: a locked regular file or block device.
#ifndef KVIK_DISK_FILE_H
#define KVIK_DISK_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "disk.h"
#include "vm-config.h"

#define SECTOR_BYTES 512

struct disk_file {
	int fd;
	const char *path; // the config's
	bool growable;    // a format's file, which has no fixed size
	bool block_device;
	enum disk_aio aio;
	bool direct;             // O_DIRECT: the host wants alignment
	uint32_t offset_align;   // of offsets and lengths
	uint32_t memory_align;   // of buffers
	atomic_bool cannot_zero; // the file system was asked once and has no way
	struct disk_info info;
};

// Opens, examines and locks. Returns 0 or -errno after a message.
int disk_file_open(struct disk_file *file, const struct disk_config *config) MUST_CHECK;
// Checks that the size is one for a disk, and leaves a partial last sector out of it.
// Returns 0 or -errno after a message.
int disk_file_fix_size(struct disk_file *file) MUST_CHECK;
void disk_file_close(struct disk_file *file);

// Both return 0 or -errno without a message; -EOPNOTSUPP: the host has no way.
int disk_file_discard(struct disk_file *file, uint64_t offset, uint64_t len) MUST_CHECK;
int disk_file_zero(struct disk_file *file, uint64_t offset, uint64_t len, bool unmap) MUST_CHECK;

// True for a transfer that the host does not take as it is, since it is not aligned.
bool disk_file_needs_bounce(const struct disk_file *file, const struct disk_request *request);
// Does such a transfer by way of an aligned buffer, and at once. Where it writes a
// part of a block it reads the rest first: no other write may be under way. Returns
// 0 or -errno without a message.
int disk_file_bounce(const struct disk_file *file, const struct disk_request *request) MUST_CHECK;

// Synchronous transfers of any alignment; as raw_read() and raw_write().
int disk_file_read(const struct disk_file *file, void *data, size_t len, uint64_t offset)
	MUST_CHECK;
int disk_file_write(const struct disk_file *file, const void *data, size_t len, uint64_t offset)
	MUST_CHECK;

#endif
