// SPDX-License-Identifier: GPL-2.0-or-later
// qcow2 disks: opening an image and the chain of its backing files, and closing it.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "qcow2-disk.h"
#include "qcow2-open.h"

#define CHAIN_MAX 16
#define REPAIR_BYTES_MAX (64 * MIB) // of memory, to count a crashed image's clusters

// The images on top of one that is being opened.
struct chain {
	const struct chain *above;
	unsigned depth;
	dev_t dev;
	ino_t ino;
};

static int open_in_chain(struct disk **disk, struct disk *file, const struct disk_config *config,
			 const struct chain *above);

static struct qcow2_disk *to_qcow2(struct disk *disk)
{
	return container_of(disk, struct qcow2_disk, disk);
}

static struct qcow2_queue *to_queue(struct disk_queue *queue)
{
	return container_of(queue, struct qcow2_queue, queue);
}

// -- queues --

static void on_batch(void *opaque)
{
	qcow2_advance(opaque);
}

static int qcow2_attach(struct disk *disk, struct loop *loop, struct disk_queue **queue)
{
	struct qcow2_queue *new = calloc(1, sizeof(*new));
	struct disk_events events = { .batch_done = on_batch, .opaque = new };
	int ret;

	if (!new)
		return fail(ENOMEM, "disk %s", disk->path);
	new->disk = to_qcow2(disk);
	ret = disk_attach(new->disk->file, loop, events, &new->file);
	if (!ret && new->disk->backing) {
		ret = disk_attach(new->disk->backing, loop, events, &new->backing);
		if (ret)
			disk_detach(new->file);
	}
	if (ret)
		free(new);
	else
		*queue = &new->queue;
	return ret;
}

static void qcow2_detach(struct disk_queue *base)
{
	struct qcow2_queue *queue = to_queue(base);

	disk_detach(queue->file);
	if (queue->backing)
		disk_detach(queue->backing);
	free(queue->unpacked);
	free(queue);
}

static void qcow2_kick(struct disk_queue *queue)
{
	qcow2_advance(to_queue(queue));
}

static void qcow2_drain(struct disk_queue *base)
{
	struct qcow2_queue *queue = to_queue(base);

	do {
		qcow2_advance(queue);
		disk_drain(queue->file);
		if (queue->backing)
			disk_drain(queue->backing);
	} while (queue->in_flight);
	disk_announce(base);
}

// -- what tools ask --

static uint64_t qcow2_zeroes(struct disk *disk, uint64_t offset)
{
	struct qcow2_disk *qcow2 = to_qcow2(disk);
	struct disk *backing = qcow2->backing;
	struct qcow2_extent extent;

	if (qcow2_map(&qcow2->image, offset, disk->info.size_bytes - offset, &extent))
		return 0;
	if (extent.kind == QCOW2_UNALLOCATED && backing && offset < backing->info.size_bytes)
		return MIN(backing->ops->zeroes(backing, offset), extent.len);
	return extent.kind == QCOW2_ZEROES || extent.kind == QCOW2_UNALLOCATED ? extent.len : 0;
}

uint64_t qcow2_cluster_bytes(struct disk *disk)
{
	return to_qcow2(disk)->image.cluster_bytes;
}

uint64_t qcow2_backing_bytes(struct disk *disk)
{
	struct disk *backing = to_qcow2(disk)->backing;

	return backing ? backing->info.size_bytes : 0;
}

int qcow2_write_packed(struct disk *disk, uint64_t offset, const uint8_t *data, uint64_t *place)
{
	struct qcow2_image *image = &to_qcow2(disk)->image;

	return qcow2_pack(image, offset >> image->cluster_bits, data, place);
}

// -- closing --

static void qcow2_close(struct disk *disk)
{
	struct qcow2_disk *qcow2 = to_qcow2(disk);

	// It told of its failure, and there is nothing else to be done.
	if (qcow2_image_close(&qcow2->image))
		debug("disk %s: left dirty", disk->path);
	if (qcow2->backing)
		disk_close(qcow2->backing);
	disk_close(qcow2->file);
	free(qcow2->own_path);
	free(qcow2);
}

static const struct disk_ops qcow2_ops = {
	.name = "qcow2",
	.attach = qcow2_attach,
	.detach = qcow2_detach,
	.submit = qcow2_submit,
	.kick = qcow2_kick,
	.drain = qcow2_drain,
	.zeroes = qcow2_zeroes,
	.close = qcow2_close,
};

// -- after a crash --

static int repair(struct disk *file, const char *path)
{
	struct qcow2_open_flags flags = { .examine = true };
	struct qcow2_report report = { 0 };
	struct qcow2_image image;
	int ret = qcow2_image_open(&image, file, flags), closed;

	if (ret)
		return ret;
	ret = qcow2_check(&image, QCOW2_REPAIR_ALL, false, REPAIR_BYTES_MAX, &report);
	closed = qcow2_image_close(&image);
	if (ret || closed)
		return fail_msg(
			ret ? -ret : -closed,
			"disk %s: qcow2: was not closed and cannot be put in order here; kvik "
			"disk check -r all %s may",
			path, path);
	if (report.errors > report.errors_fixed)
		return fail_msg(EIO,
				"disk %s: qcow2: was not closed and has errors that cannot be "
				"repaired; kvik disk check %s tells which",
				path, path);
	info("disk %s: qcow2: was not closed; counted its clusters anew (%llu leaks, %llu errors)",
	     path, (unsigned long long)report.leaks, (unsigned long long)report.errors);
	return 0;
}

static int open_image(struct qcow2_disk *qcow2, struct disk *file, const struct disk_config *config)
{
	struct qcow2_open_flags flags = { .read_only = config->read_only };
	int ret = qcow2_image_open(&qcow2->image, file, flags);

	if (ret || config->read_only || !(qcow2->image.incompatible & QCOW2_INCOMPATIBLE_DIRTY))
		return ret;
	ret = qcow2_image_close(&qcow2->image);
	if (!ret)
		ret = repair(file, config->path);
	return ret ? ret : qcow2_image_open(&qcow2->image, file, flags);
}

// -- backing files --

static int refuse_backing(const struct qcow2_image *image)
{
	return fail_msg(
		EPERM,
		"disk %s: qcow2: needs its backing file %s, which is opened only when asked for: "
		"backing=allow (kvik disk: --allow-backing)",
		image->path, image->backing_path);
}

// "nbd://host" or "json:{}" is no file's name; "./a:b" is.
static bool names_a_protocol(const char *path)
{
	size_t len = strcspn(path, ":/");

	return path[len] == ':';
}

char *qcow2_resolve(const char *image_path, const char *path)
{
	const char *slash = strrchr(image_path, '/');
	char *resolved;

	if (*path == '/' || !slash)
		return strdup(path);
	if (asprintf(&resolved, "%.*s/%s", (int)(slash - image_path), image_path, path) < 0)
		return NULL;
	return resolved;
}

static int find_format(const struct qcow2_image *image, enum disk_format *format)
{
	const char *name = image->backing_format;

	*format = DISK_FORMAT_AUTO;
	if (name && !strcmp(name, "raw"))
		*format = DISK_FORMAT_RAW;
	else if (name && !strcmp(name, "qcow2"))
		*format = DISK_FORMAT_QCOW2;
	else if (name)
		return fail_msg(EINVAL,
				"disk %s: qcow2: its backing file %s has the format %s; raw and "
				"qcow2 are supported",
				image->path, image->backing_path, name);
	return 0;
}

static int check_chain(const struct chain *chain, const char *path)
{
	struct stat st;

	if (chain->depth >= CHAIN_MAX)
		return fail_msg(ELOOP,
				"disk %s: is the %uth in a chain of backing files; at most %u are "
				"supported",
				path, chain->depth + 1, CHAIN_MAX);
	if (stat(path, &st))
		return 0; // opening it will tell
	for (; chain; chain = chain->above)
		if (chain->dev == st.st_dev && chain->ino == st.st_ino)
			return fail_msg(ELOOP, "disk %s: is in its own chain of backing files",
					path);
	return 0;
}

// Nobody says what it is: only a file that cannot be meant as anything else is raw.
static int judge_unnamed(struct disk *file, const char *path, enum disk_format *format)
{
	uint8_t magic[4] = { 0 };
	int ret = 0;

	if (file->info.size_bytes >= sizeof(magic))
		ret = raw_read(file, magic, sizeof(magic), 0);
	if (ret)
		return fail(-ret, "disk %s: read", path);
	if (load_be32(magic) == QCOW2_MAGIC)
		return fail_msg(
			EINVAL,
			"disk %s: is a backing file that looks like qcow2, but the image on it does "
			"not say so; qemu-img rebase -u -F qcow2 -b adds that",
			path);
	*format = DISK_FORMAT_RAW;
	return 0;
}

static int open_backing_file(struct disk **backing, struct disk_config *config,
			     const struct chain *chain)
{
	struct disk *file;
	int ret = raw_open(&file, config);

	if (ret)
		return ret;
	if (config->format == DISK_FORMAT_AUTO)
		ret = judge_unnamed(file, config->path, &config->format);
	if (!ret && config->format == DISK_FORMAT_QCOW2) {
		ret = open_in_chain(backing, file, config, chain);
	} else if (!ret) {
		ret = raw_fix_size(file);
		*backing = file;
	}
	if (ret)
		disk_close(file);
	return ret;
}

static int open_backing(struct qcow2_disk *qcow2, const struct disk_config *above,
			const struct chain *chain)
{
	const struct qcow2_image *image = &qcow2->image;
	struct disk_config config = {
		.read_only = true,
		.direct = above->direct,
		.backing = true,
	};
	int ret;

	if (!image->backing_path)
		return 0;
	if (!above->backing)
		return refuse_backing(image);
	if (names_a_protocol(image->backing_path))
		return fail_msg(EINVAL, "disk %s: qcow2: its backing file %s is not a file",
				image->path, image->backing_path);
	qcow2->own_path = qcow2_resolve(image->path, image->backing_path);
	if (!qcow2->own_path)
		return fail(ENOMEM, "disk %s", image->path);
	config.path = qcow2->own_path;
	ret = find_format(image, &config.format);
	if (!ret)
		ret = check_chain(chain, config.path);
	return ret ? ret : open_backing_file(&qcow2->backing, &config, chain);
}

// -- opening --

static void fill_info(struct qcow2_disk *qcow2)
{
	struct disk_info *info = &qcow2->disk.info;
	const struct qcow2_image *image = &qcow2->image;

	*info = qcow2->file->info;
	info->size_bytes = align_down(image->size_bytes, 512);
	info->optimal_io_bytes = MAX(image->cluster_bytes, info->physical_block_bytes);
	info->can_discard = !info->read_only && (image->version > 2 || !qcow2->backing);
	info->queues_max = 1;
}

static int check_size(const struct qcow2_image *image)
{
	if (image->size_bytes >= 512)
		return 0;
	return fail_msg(EINVAL, "disk %s: qcow2: is empty; kvik disk resize %s 10G gives it a size",
			image->path, image->path);
}

static void set_up(struct qcow2_disk *qcow2, struct disk *file, const char *path)
{
	qcow2->file = file;
	qcow2->disk.ops = &qcow2_ops;
	qcow2->disk.path = path;
	fill_info(qcow2);
}

static int open_in_chain(struct disk **disk, struct disk *file, const struct disk_config *config,
			 const struct chain *above)
{
	struct qcow2_disk *qcow2 = calloc(1, sizeof(*qcow2));
	struct chain here = { .above = above, .depth = above ? above->depth + 1 : 1 };
	struct stat st;
	int ret;

	if (!qcow2)
		return fail(ENOMEM, "disk %s", config->path);
	if (!fstat(raw_fd(file), &st)) {
		here.dev = st.st_dev;
		here.ino = st.st_ino;
	}
	ret = open_image(qcow2, file, config);
	if (ret) {
		free(qcow2);
		return ret;
	}
	ret = check_size(&qcow2->image);
	if (!ret)
		ret = open_backing(qcow2, config, &here);
	if (ret) {
		// It is not changed, and the cause was told.
		if (qcow2_image_close(&qcow2->image))
			debug("disk %s: left dirty", config->path);
		free(qcow2->own_path);
		free(qcow2);
		return ret;
	}
	set_up(qcow2, file, config->path);
	*disk = &qcow2->disk;
	return 0;
}

int qcow2_open(struct disk **disk, struct disk *file, const struct disk_config *config)
{
	return open_in_chain(disk, file, config, NULL);
}

int qcow2_open_overlay(struct disk **disk, struct disk *file, char *file_path, struct disk *base)
{
	struct qcow2_open_flags flags = { .volatile_ = true };
	struct qcow2_disk *qcow2 = calloc(1, sizeof(*qcow2));
	int ret = qcow2 ? qcow2_image_open(&qcow2->image, file, flags) :
			  fail(ENOMEM, "disk %s", base->path);

	if (ret) {
		free(qcow2);
		return ret;
	}
	qcow2->backing = base;
	qcow2->own_path = file_path;
	set_up(qcow2, file, base->path);
	memcpy(qcow2->disk.info.id, base->info.id, sizeof(base->info.id));
	*disk = &qcow2->disk;
	return 0;
}
