// SPDX-License-Identifier: GPL-2.0-or-later
// Disks of every format: which one it is, and what their users ask for.

#include "disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "disk-priv.h"
#include "qcow2-open.h"

// -- opening --

// By what stands at the start of the file; raw disks have nothing there.
static const struct {
	enum disk_format format;
	char magic[4];
	disk_format_open *open;
} formats[] = {
	{ DISK_FORMAT_QCOW2, { 'Q', 'F', 'I', '\xfb' }, qcow2_open },
};

// The format's place in the table; the table's size stands for raw.
static unsigned format_of(const char *magic)
{
	unsigned i = 0;

	while (i < ARRAY_SIZE(formats) && memcmp(magic, formats[i].magic, sizeof(formats[i].magic)))
		i++;
	return i;
}

// As format_of(), or -errno.
static int detect(struct disk *file, const struct disk_config *config)
{
	char magic[sizeof(formats[0].magic)] = { 0 };
	int ret = 0;

	if (file->info.size_bytes >= sizeof(magic))
		ret = raw_read(file, magic, sizeof(magic), 0);
	if (ret)
		return fail(-ret, "disk %s: read", config->path);
	return (int)format_of(magic);
}

bool disk_has_magic(struct disk *disk)
{
	char magic[sizeof(formats[0].magic)];

	return raw_read(disk, magic, sizeof(magic), 0) || format_of(magic) < ARRAY_SIZE(formats);
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
		base->front = false;
	return ret;
}

static int open_format(struct disk **disk, const struct disk_config *config)
{
	struct disk *file;
	int i, ret;

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
		file->probed = *disk == file && config->format == DISK_FORMAT_AUTO;
	return ret;
}

// What the user wants of the disk, whatever its format.
static int apply_config(struct disk *disk, const struct disk_config *config)
{
	struct disk_info *info = &disk->info;

	info->queues = MAX(config->queues, 1u);
	if (info->queues > info->queues_max)
		return fail_msg(
			EINVAL,
			"disk %s: queues=%u: it can have at most %u (several are for raw images "
			"without snapshot)",
			disk->path, info->queues, info->queues_max);
	if (config->serial)
		snprintf(info->id, sizeof(info->id), "%s", config->serial);
	disk->stop_on_read_error = config->stop_on_read_error;
	disk->stop_on_write_error = config->stop_on_write_error;
	disk->limited = config->rate.ops.per_s || config->rate.bytes.per_s;
	rate_limit_init(&disk->limit, &config->rate);
	disk->front = true;
	return 0;
}

int disk_open(struct disk **disk, const struct disk_config *config)
{
	bool snapshot = config->snapshot && !config->read_only;
	int ret = snapshot ? open_snapshot(disk, config) : open_format(disk, config);

	if (ret)
		return ret;
	ret = apply_config(*disk, config);
	if (ret)
		(*disk)->ops->close(*disk);
	return ret;
}

const struct disk_info *disk_info(const struct disk *disk)
{
	return &disk->info;
}

static void tell_stats(const struct disk *disk)
{
	struct io_totals totals = { 0 };
	char name[300];

	disk_stats(disk, &totals);
	snprintf(name, sizeof(name), "disk %s", disk->path);
	io_totals_debug(&totals, name);
}

void disk_close(struct disk *disk)
{
	if (disk->front) {
		tell_stats(disk);
		rate_limit_exit(&disk->limit);
	}
	disk->ops->close(disk);
}
