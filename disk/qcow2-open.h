// SPDX-License-Identifier: GPL-2.0-or-later
// qcow2 images as disks.
#ifndef KVIK_DISK_QCOW2_OPEN_H
#define KVIK_DISK_QCOW2_OPEN_H

#include "disk-priv.h"

// Makes a disk of the image in @file. Its backing files are opened if the config allows
// it, read-only; of the formats that the headers say, and never probed for qcow2.
int qcow2_open(struct disk **disk, struct disk *file, const struct disk_config *config) MUST_CHECK;

// A disk with the content of @base whose changes go to the image in @file and are never
// synced. Takes ownership of all three on success.
int qcow2_open_overlay(struct disk **disk, struct disk *file, char *file_path, struct disk *base)
	MUST_CHECK;

// Where the backing file that @image_path names @path is: a relative one starts from the
// image's place. To be freed; NULL: no memory.
char *qcow2_resolve(const char *image_path, const char *path);

// -- of qcow2 disks --

uint64_t qcow2_cluster_bytes(struct disk *disk);
uint64_t qcow2_backing_bytes(struct disk *disk); // 0: none
// Writes a cluster, compressed; -E2BIG: that saves nothing, and nothing was written. @place
// is 0 at first. No requests under way.
int qcow2_write_packed(struct disk *disk, uint64_t offset, const uint8_t *data, uint64_t *place)
	MUST_CHECK;

// disk/overlay.c: as before, in a new file without a name, in TMPDIR or /var/tmp.
int overlay_open(struct disk **disk, struct disk *base) MUST_CHECK;

#endif
