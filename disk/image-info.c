// SPDX-License-Identifier: GPL-2.0-or-later
// What an image file is, and whether it is in order.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk-image.h"
#include "qcow2.h"

#define CHECK_BYTES_MAX (4 * GIB) // of memory

static int open_file(struct disk **file, const char *path, bool read_only)
{
	struct disk_config config = { .path = path, .read_only = read_only };

	return raw_open(file, &config);
}

static int looks_like_qcow2(struct disk *file, bool *qcow2)
{
	uint8_t magic[4] = { 0 };
	int ret = 0;

	if (file->info.size_bytes >= sizeof(magic))
		ret = raw_read(file, magic, sizeof(magic), 0);
	*qcow2 = load_be32(magic) == QCOW2_MAGIC;
	return ret ? fail(-ret, "disk %s: read", file->path) : 0;
}

static int inspect_file(struct disk *file, struct disk_image_info *info)
{
	struct stat st;

	if (fstat(raw_fd(file), &st))
		return fail(errno, "disk %s: stat", file->path);
	info->format = DISK_FORMAT_RAW;
	info->size_bytes = align_down(file->info.size_bytes, 512);
	info->file_bytes = file->info.size_bytes;
	info->allocated_bytes = S_ISREG(st.st_mode) ? st.st_blocks * 512ULL : info->file_bytes;
	return 0;
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? fail(ENOMEM, "%s", from) : 0;
}

static int inspect_qcow2(struct disk *file, struct disk_image_info *info)
{
	struct qcow2_open_flags flags = { .read_only = true, .examine = true };
	struct qcow2_image image;
	int ret = qcow2_image_open(&image, file, flags);

	if (ret)
		return ret;
	info->format = DISK_FORMAT_QCOW2;
	info->size_bytes = image.size_bytes;
	info->version = image.version;
	info->cluster_bytes = image.cluster_bytes;
	info->refcount_bits = 1u << image.refcount_order;
	info->compression = image.compression == QCOW2_COMPRESSION_ZSTD ? "zstd" : "zlib";
	info->snapshots = image.snapshot_count;
	info->dirty = image.incompatible & QCOW2_INCOMPATIBLE_DIRTY;
	info->corrupt = image.incompatible & QCOW2_INCOMPATIBLE_CORRUPT;
	ret = copy_text(&info->backing_path, image.backing_path);
	if (!ret)
		ret = copy_text(&info->backing_format, image.backing_format);
	return qcow2_image_close(&image) ? -EIO : ret;
}

int disk_image_inspect(const char *path, enum disk_format format, struct disk_image_info *info)
{
	bool qcow2 = format == DISK_FORMAT_QCOW2;
	struct disk *file;
	int ret = open_file(&file, path, true);

	*info = (struct disk_image_info){ 0 };
	if (ret)
		return ret;
	if (format == DISK_FORMAT_AUTO)
		ret = looks_like_qcow2(file, &qcow2);
	if (!ret)
		ret = inspect_file(file, info);
	if (!ret && qcow2)
		ret = inspect_qcow2(file, info);
	disk_close(file);
	return ret;
}

void disk_image_free_info(struct disk_image_info *info)
{
	free(info->backing_path);
	free(info->backing_format);
}

// -- checking --

static void copy_report(struct disk_image_report *to, const struct qcow2_report *from)
{
	*to = (struct disk_image_report){
		.errors = from->errors,
		.leaks = from->leaks,
		.errors_fixed = from->errors_fixed,
		.leaks_fixed = from->leaks_fixed,
		.total_clusters = from->total_clusters,
		.allocated_clusters = from->allocated_clusters,
		.packed_clusters = from->packed_clusters,
		.end_bytes = from->end_bytes,
	};
}

static int check_image(struct disk *file, enum qcow2_repair repair,
		       struct disk_image_report *report)
{
	struct qcow2_open_flags flags = { .read_only = !repair, .examine = true };
	struct qcow2_report found = { 0 };
	struct qcow2_image image;
	int ret = qcow2_image_open(&image, file, flags), closed;

	if (ret)
		return ret;
	ret = qcow2_check(&image, repair, true, CHECK_BYTES_MAX, &found);
	closed = qcow2_image_close(&image);
	copy_report(report, &found);
	return ret ? ret : closed;
}

int disk_image_check(const char *path, enum disk_image_repair repair,
		     struct disk_image_report *report)
{
	bool qcow2 = false;
	struct disk *file;
	int ret = open_file(&file, path, repair == DISK_IMAGE_CHECK_ONLY);

	if (ret)
		return ret;
	ret = looks_like_qcow2(file, &qcow2);
	if (!ret && !qcow2)
		ret = fail_msg(EINVAL,
			       "disk %s: is a raw image, in which there is nothing to check", path);
	if (!ret)
		ret = check_image(file, (enum qcow2_repair)repair, report);
	disk_close(file);
	return ret;
}
