// SPDX-License-Identifier: GPL-2.0-or-later
// Copying a disk into a new image, round by round: parts that are not known to be zeroes
// are read, and what is not zeroes in them is written.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image-file.h"
#include "loop.h"
#include "qcow2-open.h"

#define PARTS 8 // of a round
#define PART_BYTES (2 * MIB)
#define RAW_GRAIN 4096 // what a file's holes are made of

struct part {
	struct disk_request read;
	struct iovec iov;
	uint64_t offset;
	uint64_t len;
};

struct convert {
	struct disk *from, *to;
	struct disk_queue *from_queue, *to_queue;
	struct loop loop;
	uint8_t *buffer;
	uint64_t all_bytes;
	uint64_t grain; // what is written, or not, as a whole
	bool compress;
	uint64_t packed_place;
	struct part parts[PARTS];
	unsigned part_count;
	int error;
};

// A write that frees itself.
struct write {
	struct disk_request request;
	struct iovec iov;
	struct convert *convert;
};

// -- reading --

static void on_read(struct disk_request *request, int error)
{
	struct part *part = container_of(request, struct part, read);

	if (error)
		part->len = 0; // told; add_part() sees to the rest
}

static void read_part(struct convert *convert, uint64_t offset, uint64_t len)
{
	struct part *part = &convert->parts[convert->part_count];

	part->offset = offset;
	part->len = len;
	part->iov.iov_base = convert->buffer + convert->part_count * PART_BYTES;
	part->iov.iov_len = len;
	part->read = (struct disk_request){
		.op = DISK_READ,
		.offset_bytes = offset,
		.len_bytes = len,
		.iov = &part->iov,
		.iov_count = 1,
		.done = on_read,
	};
	convert->part_count++;
	disk_submit(convert->from_queue, &part->read);
}

static uint64_t known_zeroes(const struct convert *convert, uint64_t offset)
{
	struct disk *from = convert->from;
	uint64_t end, known = from->ops->zeroes ? from->ops->zeroes(from, offset) : 0;

	if (known >= convert->all_bytes - offset)
		return convert->all_bytes - offset;
	end = align_down(offset + known, PART_BYTES);
	return end > offset ? end - offset : 0;
}

// Reads up to PARTS parts from @offset on; returns where the next round begins.
static uint64_t read_round(struct convert *convert, uint64_t offset)
{
	convert->part_count = 0;
	while (convert->part_count < PARTS && offset < convert->all_bytes) {
		uint64_t len = known_zeroes(convert, offset);

		if (!len) {
			len = MIN(PART_BYTES, convert->all_bytes - offset);
			read_part(convert, offset, len);
		}
		offset += len;
	}
	disk_drain(convert->from_queue);
	for (unsigned i = 0; i < convert->part_count; i++)
		if (!convert->parts[i].len)
			convert->error = -EIO;
	return offset;
}

// -- writing --

static void on_written(struct disk_request *request, int error)
{
	struct write *write = container_of(request, struct write, request);

	if (error)
		write->convert->error = error;
	free(write);
}

static void write_run(struct convert *convert, uint64_t offset, uint8_t *data, uint64_t len)
{
	struct write *write = malloc(sizeof(*write));

	if (!write) {
		convert->error = fail(ENOMEM, "disk %s", convert->to->path);
		return;
	}
	write->convert = convert;
	write->iov = (struct iovec){ data, len };
	write->request = (struct disk_request){
		.op = DISK_WRITE,
		.offset_bytes = offset,
		.len_bytes = len,
		.iov = &write->iov,
		.iov_count = 1,
		.done = on_written,
	};
	disk_submit(convert->to_queue, &write->request);
}

static bool is_zero(const uint8_t *data, uint64_t len)
{
	return !data[0] && !memcmp(data, data + 1, len - 1);
}

// A whole cluster, padded by zeroes at the disk's end. False: it does not become smaller.
static bool write_packed(struct convert *convert, uint64_t offset, uint8_t *data, uint64_t len)
{
	int ret;

	if (!convert->compress)
		return false;
	memset(data + len, 0, convert->grain - len);
	ret = qcow2_write_packed(convert->to, offset, data, &convert->packed_place);
	if (ret && ret != -E2BIG)
		convert->error = ret;
	return ret != -E2BIG;
}

static void write_part(struct convert *convert, const struct part *part)
{
	uint8_t *data = part->iov.iov_base;
	uint64_t begin = 0, at, len; // of the run that is to be written

	for (at = 0; at < part->len && !convert->error; at += len) {
		len = MIN(convert->grain, part->len - at);
		if (!is_zero(data + at, len) &&
		    !write_packed(convert, part->offset + at, data + at, len))
			continue;
		if (begin < at)
			write_run(convert, part->offset + begin, data + begin, at - begin);
		begin = at + len;
	}
	if (begin < at && !convert->error)
		write_run(convert, part->offset + begin, data + begin, at - begin);
}

static void write_round(struct convert *convert)
{
	for (unsigned i = 0; i < convert->part_count; i++)
		write_part(convert, &convert->parts[i]);
	disk_drain(convert->to_queue);
}

// -- all --

static int attach(struct convert *convert)
{
	struct disk_events events = { 0 };
	int ret = loop_init(&convert->loop);

	if (ret)
		return ret;
	ret = disk_attach(convert->from, &convert->loop, events, &convert->from_queue);
	if (!ret) {
		ret = disk_attach(convert->to, &convert->loop, events, &convert->to_queue);
		if (ret)
			disk_detach(convert->from_queue);
	}
	if (ret)
		loop_exit(&convert->loop);
	return ret;
}

static void detach(struct convert *convert)
{
	disk_detach(convert->from_queue);
	disk_detach(convert->to_queue);
	loop_exit(&convert->loop);
}

static int copy_all(struct convert *convert, void (*progress)(void *, uint64_t, uint64_t),
		    void *opaque)
{
	int ret;

	convert->buffer = aligned_alloc(4096, PARTS * PART_BYTES);
	if (!convert->buffer)
		return fail(ENOMEM, "disk %s", convert->to->path);
	ret = attach(convert);
	for (uint64_t offset = 0; !ret && offset < convert->all_bytes; ret = convert->error) {
		offset = read_round(convert, offset);
		if (!convert->error)
			write_round(convert);
		progress(opaque, offset, convert->all_bytes);
	}
	if (convert->to_queue)
		detach(convert);
	free(convert->buffer);
	return ret;
}

static int convert_into(struct disk *from, const struct new_file *file,
			const struct disk_image_options *options,
			void (*progress)(void *, uint64_t, uint64_t), void *opaque)
{
	struct disk_config config = { .path = file->open_path, .format = options->format };
	struct convert convert = {
		.from = from,
		.all_bytes = options->size_bytes,
		.compress = options->compress,
		.grain = RAW_GRAIN,
	};
	int ret = disk_open(&convert.to, &config);

	if (ret)
		return ret;
	convert.to->path = options->path;
	if (options->format == DISK_FORMAT_QCOW2)
		convert.grain = qcow2_cluster_bytes(convert.to);
	ret = copy_all(&convert, progress, opaque);
	disk_close(convert.to);
	return ret;
}

int disk_image_convert(const struct disk_config *from_config,
		       const struct disk_image_options *wanted,
		       void (*progress)(void *opaque, uint64_t done_bytes, uint64_t all_bytes),
		       void *opaque)
{
	struct disk_image_options options = *wanted;
	struct new_file file;
	struct disk *from;
	int ret = disk_open(&from, from_config);

	if (ret)
		return ret;
	options.size_bytes = disk_info(from)->size_bytes;
	ret = image_check_options(&options);
	if (!ret)
		ret = new_file_create(&file, options.path, options.replace);
	if (ret) {
		disk_close(from);
		return ret;
	}
	ret = image_fill(&file, &options);
	if (!ret)
		ret = convert_into(from, &file, &options, progress, opaque);
	disk_close(from);
	if (!ret)
		return new_file_finish(&file);
	new_file_abandon(&file);
	return ret;
}
