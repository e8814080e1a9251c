// SPDX-License-Identifier: GPL-2.0-or-later
// kvik run's option -d, --disk: PATH[,OPTION]... to struct disk_config.

#include "run-disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "options.h"
#include "vm-config.h"

#define QUEUES_MAX 8
#define SERIAL_MAX 20 // virtio 1.2 5.2.6

// -- values; each returns NULL or what is wrong with @value --

static const char *no_value(const char *value)
{
	return value ? "takes no value" : NULL;
}

static const char *set_flag(bool *flag, const char *value)
{
	*flag = true;
	return no_value(value);
}

static const char *set_ro(struct disk_config *disk, const char *value)
{
	return set_flag(&disk->read_only, value);
}

static const char *set_direct(struct disk_config *disk, const char *value)
{
	return set_flag(&disk->direct, value);
}

static const char *set_snapshot(struct disk_config *disk, const char *value)
{
	return set_flag(&disk->snapshot, value);
}

// The place of @value among @names, or -1.
static int find(const char *value, const char *const *names, unsigned count)
{
	for (unsigned i = 0; value && i < count; i++)
		if (!strcmp(value, names[i]))
			return (int)i;
	return -1;
}

static const char *set_format(struct disk_config *disk, const char *value)
{
	static const char *const names[] = { "raw", "qcow2" };
	static const enum disk_format formats[] = { DISK_FORMAT_RAW, DISK_FORMAT_QCOW2 };
	int i = find(value, names, ARRAY_SIZE(names));

	if (i < 0)
		return "is not a format; use raw or qcow2";
	disk->format = formats[i];
	return NULL;
}

static const char *set_backing(struct disk_config *disk, const char *value)
{
	static const char *const names[] = { "refuse", "allow" };
	int i = find(value, names, ARRAY_SIZE(names));

	disk->backing = i == 1;
	return i < 0 ? "use refuse or allow" : NULL;
}

static const char *set_aio(struct disk_config *disk, const char *value)
{
	static const char *const names[] = { "threads", "native", "io_uring" };
	static const enum disk_aio kinds[] = { DISK_AIO_THREADS, DISK_AIO_NATIVE,
					       DISK_AIO_IO_URING };
	int i = find(value, names, ARRAY_SIZE(names));

	if (i < 0)
		return "is not a way of doing I/O; use threads, native or io_uring";
	disk->aio = kinds[i];
	return NULL;
}

static const char *set_queues(struct disk_config *disk, const char *value)
{
	char *end = NULL;
	unsigned long count = value ? strtoul(value, &end, 10) : 0;

	if (!value || value[0] < '1' || value[0] > '9' || *end || count > QUEUES_MAX)
		return "is not a number of queues; give 1 to 8";
	disk->queues = (unsigned)count;
	return NULL;
}

static const char *set_serial(struct disk_config *disk, const char *value)
{
	if (!value || !*value || strlen(value) > SERIAL_MAX)
		return "is not a serial number; give 1 to 20 characters";
	disk->serial = value;
	return NULL;
}

static const char *set_policy(bool *stop, const char *value)
{
	static const char *const names[] = { "report", "stop" };
	int i = find(value, names, ARRAY_SIZE(names));

	*stop = i == 1;
	return i < 0 ? "use report or stop" : NULL;
}

static const char *set_rerror(struct disk_config *disk, const char *value)
{
	return set_policy(&disk->stop_on_read_error, value);
}

static const char *set_werror(struct disk_config *disk, const char *value)
{
	return set_policy(&disk->stop_on_write_error, value);
}

static const char *set_rate(struct rate *rate, const char *value)
{
	if (!value || rate_parse(value, rate) || !rate->per_s)
		return "is not a rate; give what passes in a second, such as 500 or 20M, and if "
		       "need be what may pass at once, as in 20M:100M";
	return NULL;
}

static const char *set_iops(struct disk_config *disk, const char *value)
{
	return set_rate(&disk->rate.ops, value);
}

static const char *set_bw(struct disk_config *disk, const char *value)
{
	return set_rate(&disk->rate.bytes, value);
}

static const char *set_burst(uint64_t *burst, const char *value)
{
	if (!value || parse_size(value, 1, burst))
		return "is not a number; give what may pass at once, such as 1000 or 64M";
	return NULL;
}

static const char *set_iops_burst(struct disk_config *disk, const char *value)
{
	return set_burst(&disk->rate.ops.burst, value);
}

static const char *set_bw_burst(struct disk_config *disk, const char *value)
{
	return set_burst(&disk->rate.bytes.burst, value);
}

static const struct {
	const char *key;
	const char *(*set)(struct disk_config *disk, const char *value);
} keys[] = {
	{ "ro", set_ro },         { "direct", set_direct },     { "snapshot", set_snapshot },
	{ "format", set_format }, { "backing", set_backing },   { "aio", set_aio },
	{ "queues", set_queues }, { "serial", set_serial },     { "rerror", set_rerror },
	{ "werror", set_werror }, { "iops", set_iops },         { "iops_burst", set_iops_burst },
	{ "bw", set_bw },         { "bw_burst", set_bw_burst },
};

// -- the whole --

// Cuts @option up.
static int take_option(struct disk_config *disk, const char *argument, char *option)
{
	char *value = strchr(option, '=');
	const char *why;

	if (value)
		*value++ = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(option, keys[i].key))
			continue;
		why = keys[i].set(disk, value);
		return why ? fail_msg(EINVAL, "--disk %s: %s%s%s: %s", argument, option,
				      value ? "=" : "", value ? value : "", why) :
			     0;
	}
	return fail_msg(EINVAL,
			"--disk %s: '%s' is not an option of a disk; use ro, direct, snapshot, "
			"format=, backing=, aio=, queues=, serial=, rerror=, werror=, iops=, "
			"iops_burst=, bw= or bw_burst= (a path cannot contain a comma)",
			argument, option);
}

// A burst says nothing of a rate that there is not.
static int check(const struct disk_config *disk, const char *argument)
{
	const struct rate *ops = &disk->rate.ops, *bytes = &disk->rate.bytes;

	if (!*disk->path)
		return fail_msg(EINVAL, "--disk %s: has no path; give PATH[,OPTION]...", argument);
	if (ops->burst && !ops->per_s)
		return fail_msg(EINVAL, "--disk %s: iops_burst= goes with iops=", argument);
	if (bytes->burst && !bytes->per_s)
		return fail_msg(EINVAL, "--disk %s: bw_burst= goes with bw=", argument);
	return 0;
}

static int add_disk(struct vm_config *config, const struct disk_config *disk)
{
	struct disk_config *disks =
		reallocarray(config->disks, config->disk_count + 1, sizeof(*disks));

	if (!disks)
		return fail(ENOMEM, "--disk %s", disk->path);
	disks[config->disk_count++] = *disk;
	config->disks = disks;
	return 0;
}

// The copy of the argument begins with the path, and holds the other strings.
int disk_parse(void *config, const char *argument)
{
	char *copy = strdup(argument), *rest = copy, *option;
	struct disk_config disk = { 0 };
	int ret = 0;

	if (!copy)
		return fail(ENOMEM, "--disk %s", argument);
	disk.path = strsep(&rest, ",");
	while (!ret && (option = strsep(&rest, ",")))
		ret = take_option(&disk, argument, option);
	if (!ret)
		ret = check(&disk, argument);
	if (!ret)
		ret = add_disk(config, &disk);
	if (ret)
		free(copy);
	return ret;
}

void disks_free(struct vm_config *config)
{
	for (unsigned i = 0; i < config->disk_count; i++)
		free((char *)config->disks[i].path);
	free(config->disks);
}
