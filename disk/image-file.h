// SPDX-License-Identifier: GPL-2.0-or-later
// A file that gets its name when it is complete.
#ifndef KVIK_DISK_IMAGE_FILE_H
#define KVIK_DISK_IMAGE_FILE_H

#include "disk-image.h"
#include "disk-priv.h"
#include "qcow2-create.h"

struct new_file {
	const char *path; // what it will be
	bool replace;
	int fd;
	char *temporary; // its name meanwhile; NULL: none
	char *open_path; // under which it can be opened
};

// Both -errno after a message. After new_file_create() comes one of the others.
int new_file_create(struct new_file *file, const char *path, bool replace) MUST_CHECK;
int new_file_finish(struct new_file *file) MUST_CHECK;
void new_file_abandon(struct new_file *file);

// Fills @new, empty, with an empty image; the options' backing format is no DISK_FORMAT_AUTO.
int image_fill(const struct new_file *new, const struct disk_image_options *options) MUST_CHECK;
// Of the qcow2 options, those that may be wrong.
int image_check_options(const struct disk_image_options *options) MUST_CHECK;

#endif
