// SPDX-License-Identifier: GPL-2.0-or-later
// Creating and resizing image files.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image-file.h"
#include "loop.h"
#include "qcow2-open.h"
#include "qcow2.h"

const char *disk_format_name(enum disk_format format)
{
	static const char *const names[] = { "auto", "raw", "qcow2" };

	return names[format];
}

// -- creating --

static struct qcow2_options qcow2_options(const struct disk_image_options *options)
{
	struct qcow2_options qcow2 = { QCOW2_OPTIONS_DEFAULT, .size_bytes = options->size_bytes };

	if (options->cluster_bytes)
		qcow2.cluster_bytes = options->cluster_bytes;
	if (options->version)
		qcow2.version = options->version;
	if (options->refcount_bits)
		qcow2.refcount_bits = options->refcount_bits;
	if (options->zstd)
		qcow2.compression = QCOW2_COMPRESSION_ZSTD;
	qcow2.backing_path = options->backing_path;
	qcow2.backing_format = disk_format_name(options->backing_format);
	return qcow2;
}

int image_check_options(const struct disk_image_options *options)
{
	struct qcow2_options qcow2 = qcow2_options(options);

	if (options->size_bytes % 512 || options->size_bytes > INT64_MAX)
		return fail_msg(EINVAL,
				"disk %s: a size of %llu bytes is impossible; give a multiple of "
				"512",
				options->path, (unsigned long long)options->size_bytes);
	return options->format == DISK_FORMAT_QCOW2 ? qcow2_check_options(&qcow2) : 0;
}

int image_fill(const struct new_file *new, const struct disk_image_options *options)
{
	struct disk_config config = { .path = new->open_path };
	struct qcow2_options qcow2 = qcow2_options(options);
	struct disk *file;
	int ret;

	if (options->format == DISK_FORMAT_RAW)
		return ftruncate(new->fd, options->size_bytes) ?
			       fail(errno, "disk %s: make it %llu bytes long", options->path,
				    (unsigned long long)options->size_bytes) :
			       0;
	ret = raw_open(&file, &config);
	if (ret)
		return ret;
	file->path = options->path;
	ret = qcow2_create(file, &qcow2);
	disk_close(file);
	return ret;
}

// What a guest wrote to a raw disk may look like an image, and one that names any file.
static int find_backing_format(const char *path, enum disk_format *format)
{
	struct disk_image_info info;
	int ret = disk_image_inspect(path, *format, &info);

	if (!ret && !*format && info.format == DISK_FORMAT_QCOW2)
		ret = fail_msg(EINVAL,
			       "disk %s: the backing file looks like qcow2; say that it is: "
			       "--backing-format qcow2, or raw",
			       path);
	disk_image_free_info(&info);
	if (!*format)
		*format = DISK_FORMAT_RAW;
	return ret;
}

// Its size, where none was given.
static int open_backing(const char *path, struct disk_image_options *options)
{
	struct disk_config config = { .path = path, .read_only = true, .backing = true };
	struct disk *backing;
	int ret = find_backing_format(path, &options->backing_format);

	if (ret)
		return ret;
	config.format = options->backing_format;
	ret = disk_open(&backing, &config);
	if (ret)
		return ret;
	if (!options->size_bytes)
		options->size_bytes = disk_info(backing)->size_bytes;
	disk_close(backing);
	return 0;
}

static int ask_backing(struct disk_image_options *options)
{
	char *path;
	int ret;

	if (!options->backing_path)
		return 0;
	path = qcow2_resolve(options->path, options->backing_path);
	ret = path ? open_backing(path, options) : fail(ENOMEM, "disk %s", options->path);
	free(path);
	return ret;
}

int disk_image_create(const struct disk_image_options *wanted)
{
	struct disk_image_options options = *wanted;
	struct new_file file;
	int ret = image_check_options(&options);

	if (!ret)
		ret = ask_backing(&options);
	if (!ret)
		ret = new_file_create(&file, options.path, options.replace);
	if (ret)
		return ret;
	ret = image_fill(&file, &options);
	if (!ret)
		return new_file_finish(&file);
	new_file_abandon(&file);
	return ret;
}

// -- resizing --

static int check_shrink(const char *path, uint64_t old_bytes, uint64_t new_bytes, bool shrink)
{
	if (new_bytes >= old_bytes || shrink)
		return 0;
	return fail_msg(
		EINVAL,
		"disk %s: has %llu bytes; %llu would cut off what is behind: --shrink allows that",
		path, (unsigned long long)old_bytes, (unsigned long long)new_bytes);
}

static int resize_raw(struct disk *disk, uint64_t size_bytes, bool shrink)
{
	int ret = check_shrink(disk->path, disk->info.size_bytes, size_bytes, shrink);

	if (ret)
		return ret;
	if (ftruncate(raw_fd(disk), size_bytes) || fsync(raw_fd(disk)))
		return fail(errno, "disk %s: resize (only regular files can be)", disk->path);
	return 0;
}

static int resize_image(struct qcow2_image *image, uint64_t size_bytes, bool shrink)
{
	int ret = check_shrink(image->path, image->size_bytes, size_bytes, shrink);

	if (ret)
		return ret;
	if (image->snapshot_count)
		return fail_msg(EINVAL,
				"disk %s: qcow2: has %u snapshots of its present size; qemu-img "
				"snapshot -d deletes them",
				image->path, image->snapshot_count);
	return qcow2_set_size(image, size_bytes);
}

static int resize_qcow2(struct disk *file, uint64_t size_bytes, bool shrink, uint64_t *old_bytes)
{
	struct qcow2_image image;
	int ret = qcow2_image_open(&image, file, (struct qcow2_open_flags){ 0 }), closed;

	if (ret)
		return ret;
	*old_bytes = image.size_bytes;
	if (image.incompatible & QCOW2_INCOMPATIBLE_DIRTY)
		ret = fail_msg(EIO,
			       "disk %s: qcow2: was not closed; kvik disk check -r all %s repairs "
			       "it",
			       file->path, file->path);
	else
		ret = resize_image(&image, size_bytes, shrink);
	closed = qcow2_image_close(&image);
	return ret ? ret : closed;
}

struct zeroing {
	struct disk_request request;
	int error;
};

static void on_zeroed(struct disk_request *request, int error)
{
	container_of(request, struct zeroing, request)->error = error;
}

static int zero_range(struct disk *disk, uint64_t from, uint64_t to)
{
	struct zeroing zeroing = {
		.request = {
			.op = DISK_WRITE_ZEROES,
			.offset_bytes = from,
			.len_bytes = to - from,
			.unmap = true,
			.done = on_zeroed,
		},
	};
	struct disk_queue *queue;
	struct loop loop;
	int ret = loop_init(&loop);

	if (ret)
		return ret;
	ret = disk_attach(disk, &loop, (struct disk_events){ 0 }, &queue);
	if (!ret) {
		disk_submit(queue, &zeroing.request);
		disk_detach(queue);
	}
	loop_exit(&loop);
	return ret ? ret : zeroing.error;
}

// A backing file that is longer than the disk was would show in what is new.
static int hide_backing(const struct disk_config *config, uint64_t old_bytes, uint64_t size_bytes)
{
	uint64_t shown_bytes;
	struct disk *disk;
	int ret = disk_open(&disk, config);

	if (ret)
		return ret;
	shown_bytes = MIN(qcow2_backing_bytes(disk), size_bytes);
	if (old_bytes < shown_bytes)
		ret = zero_range(disk, old_bytes, shown_bytes);
	disk_close(disk);
	return ret;
}

// Its chain is opened before anything is changed.
static int try_open(const struct disk_config *config, bool *is_qcow2)
{
	struct disk *disk;
	int ret = disk_open(&disk, config);

	if (ret)
		return ret;
	*is_qcow2 = !strcmp(disk->ops->name, "qcow2");
	disk_close(disk);
	return 0;
}

static int resize_file(const struct disk_config *config, bool is_qcow2, uint64_t size_bytes,
		       bool shrink, uint64_t *old_bytes)
{
	struct disk *file;
	int ret = raw_open(&file, config);

	if (ret)
		return ret;
	if (is_qcow2)
		ret = resize_qcow2(file, size_bytes, shrink, old_bytes);
	else
		ret = resize_raw(file, size_bytes, shrink);
	disk_close(file);
	return ret;
}

int disk_image_resize(const struct disk_config *config, uint64_t size_bytes, bool shrink)
{
	bool is_qcow2 = false;
	uint64_t old_bytes = 0;
	int ret;

	if (!size_bytes || size_bytes % 512 || size_bytes > INT64_MAX)
		return fail_msg(EINVAL,
				"disk %s: a size of %llu bytes is impossible; give a multiple of "
				"512",
				config->path, (unsigned long long)size_bytes);
	ret = try_open(config, &is_qcow2);
	if (!ret)
		ret = resize_file(config, is_qcow2, size_bytes, shrink, &old_bytes);
	if (!ret && is_qcow2 && size_bytes > old_bytes)
		ret = hide_backing(config, old_bytes, size_bytes);
	return ret;
}
