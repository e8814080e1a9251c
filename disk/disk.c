// SPDX-License-Identifier: GPL-2.0-or-later
// Disks of every format: which one it is, the checks that all share, and the end of
// their requests.

#include "disk.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "disk-priv.h"
#include "qcow2-open.h"

// -- requests --

static int check_request(const struct disk *disk, const struct disk_request *request)
{
	uint64_t size_bytes = disk->growable ? INT64_MAX : disk->info.size_bytes;

	if (request->op == DISK_FLUSH)
		return 0;
	if (request->op != DISK_READ && disk->info.read_only)
		return -EROFS;
	if (!request->len_bytes || request->offset_bytes > size_bytes ||
	    request->len_bytes > size_bytes - request->offset_bytes)
		return -EINVAL;
	return 0;
}

static void finish(struct disk_queue *queue, struct disk_request *request, int error)
{
	queue->unannounced = true;
	request->done(request, error);
}

void disk_submit(struct disk_queue *queue, struct disk_request *request)
{
	int error = check_request(queue->disk, request);

	if (error)
		finish(queue, request, error);
	else
		queue->disk->ops->submit(queue, request);
}

static void log_error(struct disk_queue *queue, const struct disk_request *request, int error)
{
	static const char *const names[] = { "read", "write", "flush", "discard", "write zeroes" };
	const char *path = queue->disk->path;

	static_assert(ARRAY_SIZE(names) == DISK_OP_COUNT, "a name for each operation");
	if (error == -EOPNOTSUPP || !log_ratelimit_ok(&queue->error_limit))
		return;
	if (request->op == DISK_FLUSH)
		warn("disk %s: flush: %s", path, strerror(-error));
	else
		warn("disk %s: %s of %llu bytes at %llu: %s", path, names[request->op],
		     (unsigned long long)request->len_bytes,
		     (unsigned long long)request->offset_bytes, strerror(-error));
}

void disk_complete(struct disk_queue *queue, struct disk_request *request, int error)
{
	if (error && queue->disk->front)
		log_error(queue, request, error);
	finish(queue, request, error);
}

void disk_announce(struct disk_queue *queue)
{
	bool any = queue->unannounced;

	queue->unannounced = false;
	if (any && queue->events.batch_done)
		queue->events.batch_done(queue->events.opaque);
}

void disk_kick(struct disk_queue *queue)
{
	queue->disk->ops->kick(queue);
}

void disk_drain(struct disk_queue *queue)
{
	queue->disk->ops->drain(queue);
}

// -- queues --

int disk_attach(struct disk *disk, struct loop *loop, struct disk_events events,
		struct disk_queue **queue)
{
	int ret = disk->ops->attach(disk, loop, queue);

	if (ret)
		return ret;
	(*queue)->disk = disk;
	(*queue)->loop = loop;
	(*queue)->events = events;
	return 0;
}

void disk_detach(struct disk_queue *queue)
{
	disk_drain(queue);
	queue->disk->ops->detach(queue);
}

// -- opening --

// By what stands at the start of the file; raw disks have nothing there.
static const struct {
	enum disk_format format;
	char magic[4];
	disk_format_open *open;
} formats[] = {
	{ DISK_FORMAT_QCOW2, { 'Q', 'F', 'I', '\xfb' }, qcow2_open },
};

// The format's place in the table; the table's size stands for raw. Or -errno.
static int detect(struct disk *file, const struct disk_config *config)
{
	char magic[sizeof(formats[0].magic)] = { 0 };
	int ret = 0;

	if (file->info.size_bytes >= sizeof(magic))
		ret = raw_read(file, magic, sizeof(magic), 0);
	if (ret)
		return fail(-ret, "disk %s: read", config->path);
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (!memcmp(magic, formats[i].magic, sizeof(magic)))
			return (int)i;
	return ARRAY_SIZE(formats);
}

static int find_format(struct disk *file, const struct disk_config *config)
{
	if (config->format == DISK_FORMAT_RAW)
		return ARRAY_SIZE(formats);
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (config->format == formats[i].format)
			return (int)i;
	return detect(file, config);
}

static int open_snapshot(struct disk **disk, const struct disk_config *config)
{
	struct disk_config base_config = *config;
	struct disk *base;
	int ret;

	base_config.read_only = true;
	base_config.snapshot = false;
	ret = disk_open(&base, &base_config);
	if (ret)
		return ret;
	ret = overlay_open(disk, base);
	if (ret)
		disk_close(base);
	else
		(*disk)->front = true;
	return ret;
}

int disk_open(struct disk **disk, const struct disk_config *config)
{
	struct disk *file;
	int i, ret;

	if (config->snapshot && !config->read_only)
		return open_snapshot(disk, config);
	ret = raw_open(&file, config);
	if (ret)
		return ret;
	*disk = file;
	i = find_format(file, config);
	if (i < 0)
		ret = i;
	else if (i == (int)ARRAY_SIZE(formats))
		ret = raw_fix_size(file);
	else
		ret = formats[i].open(disk, file, config);
	if (ret)
		disk_close(file);
	else
		(*disk)->front = true;
	return ret;
}

const struct disk_info *disk_info(const struct disk *disk)
{
	return &disk->info;
}

void disk_close(struct disk *disk)
{
	disk->ops->close(disk);
}
