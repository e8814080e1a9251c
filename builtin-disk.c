// SPDX-License-Identifier: GPL-2.0-or-later
// kvik disk: creates, converts, examines, repairs and resizes disk images.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "disk-image.h"
#include "log.h"
#include "options.h"
#include "vm.h"

#define STATUS_ERRORS 2
#define STATUS_LEAKS 3
#define BAR_WIDTH 40

struct arguments {
	char **operands;
	int count;
	enum disk_format format;
	enum disk_format output_format;
	struct disk_image_options image;
	enum disk_image_repair repair;
	const char *compression;
	bool compress;
	bool allow_backing;
	bool force;
	bool shrink;
	bool json;
	bool quiet;
};

// -- option values --

static int bad_value(const char *option, const char *value, const char *remedy)
{
	return fail_msg(EINVAL, "%s '%s' %s", option, value, remedy);
}

static int parse_format(void *value, const char *argument)
{
	enum disk_format *format = value;

	for (*format = DISK_FORMAT_RAW; *format < DISK_FORMAT_COUNT; (*format)++)
		if (!strcmp(argument, disk_format_name(*format)))
			return 0;
	return bad_value("the format", argument, "is not supported; use raw or qcow2");
}

static int parse_cluster_size(void *value, const char *argument)
{
	uint64_t *bytes = value;

	if (parse_size(argument, 1, bytes) || !*bytes)
		return bad_value("--cluster-size", argument, "is not a size; give 512 to 2M");
	return 0;
}

static int parse_repair(void *value, const char *argument)
{
	enum disk_image_repair *repair = value;

	if (!strcmp(argument, "leaks"))
		*repair = DISK_IMAGE_REPAIR_LEAKS;
	else if (!strcmp(argument, "all"))
		*repair = DISK_IMAGE_REPAIR_ALL;
	else
		return bad_value("--repair", argument, "is not possible; use leaks or all");
	return 0;
}

// "10G", or "+1G" and "-1G" for a change of @old_bytes.
static int take_size(const char *text, uint64_t old_bytes, uint64_t *bytes)
{
	bool adds = *text == '+', subtracts = *text == '-';
	int ret = parse_size(text + (adds || subtracts), 1, bytes);

	if (ret || (adds && *bytes > INT64_MAX) || (subtracts && *bytes >= old_bytes))
		return bad_value("the size", text,
				 "is not possible; give a number and K, M, G or T");
	if (adds)
		*bytes += old_bytes;
	if (subtracts)
		*bytes = old_bytes - *bytes;
	return 0;
}

// -- progress --

struct progress {
	bool terminal;
	bool quiet;
	unsigned shown; // per cent
	const char *what;
};

static void show_bar(const struct progress *progress, unsigned percent)
{
	unsigned full = percent * BAR_WIDTH / 100;

	fprintf(stderr, "\r%s [%.*s%*s] %3u %%", progress->what, (int)full,
		"########################################", (int)(BAR_WIDTH - full), "", percent);
	if (percent == 100)
		fputc('\n', stderr);
}

static void on_progress(void *opaque, uint64_t done_bytes, uint64_t all_bytes)
{
	struct progress *progress = opaque;
	unsigned percent = (unsigned)((double)done_bytes * 100 / (double)all_bytes);
	unsigned step = progress->terminal ? 1 : 10;

	if (progress->quiet || percent / step == progress->shown / step)
		return;
	progress->shown = percent;
	if (progress->terminal)
		show_bar(progress, percent);
	else
		fprintf(stderr, "%s: %u %%\n", progress->what, percent / step * step);
}

// -- output --

static void print_json_text(const char *text)
{
	if (!text) {
		printf("null");
		return;
	}
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", *text);
		else
			putchar(*text);
	putchar('"');
}

// "10737418240 bytes (10 GiB)".
static void print_size(const char *name, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	int unit = -1;

	printf("%s: %" PRIu64 " bytes", name, bytes);
	while (value >= 1024 && unit + 1 < (int)ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	if (unit >= 0)
		printf(" (%.4g %s)", value, units[unit]);
	putchar('\n');
}

static const char *true_or_false(bool value)
{
	return value ? "true" : "false";
}

static void print_info_json(const char *path, const struct disk_image_info *info)
{
	printf("{\"path\": ");
	print_json_text(path);
	printf(", \"format\": \"%s\", \"size_bytes\": %" PRIu64 ", \"file_bytes\": %" PRIu64
	       ", \"allocated_bytes\": %" PRIu64,
	       disk_format_name(info->format), info->size_bytes, info->file_bytes,
	       info->allocated_bytes);
	if (info->format == DISK_FORMAT_QCOW2) {
		printf(", \"version\": %u, \"cluster_bytes\": %" PRIu64
		       ", \"refcount_bits\": %u, \"compression\": \"%s\", \"snapshots\": %u"
		       ", \"dirty\": %s, \"corrupt\": %s, \"backing_file\": ",
		       info->version, info->cluster_bytes, info->refcount_bits, info->compression,
		       info->snapshots, true_or_false(info->dirty), true_or_false(info->corrupt));
		print_json_text(info->backing_path);
		printf(", \"backing_format\": ");
		print_json_text(info->backing_format);
	}
	printf("}\n");
}

static void print_info(const char *path, const struct disk_image_info *info)
{
	printf("image: %s\nformat: %s", path, disk_format_name(info->format));
	if (info->format == DISK_FORMAT_QCOW2)
		printf(" version %u", info->version);
	putchar('\n');
	print_size("size", info->size_bytes);
	print_size("takes", info->allocated_bytes);
	if (info->format != DISK_FORMAT_QCOW2)
		return;
	print_size("cluster", info->cluster_bytes);
	printf("refcount bits: %u\ncompression: %s\n", info->refcount_bits, info->compression);
	if (info->backing_path)
		printf("backing file: %s (%s)\n", info->backing_path,
		       info->backing_format ? info->backing_format : "of no named format");
	if (info->snapshots)
		printf("snapshots: %u\n", info->snapshots);
	if (info->dirty)
		printf("dirty: was not closed\n");
	if (info->corrupt)
		printf("corrupt: kvik disk check -r all repairs it\n");
}

static void print_report_json(const char *path, const struct disk_image_report *report)
{
	printf("{\"path\": ");
	print_json_text(path);
	printf(", \"errors\": %" PRIu64 ", \"leaks\": %" PRIu64 ", \"errors_fixed\": %" PRIu64
	       ", \"leaks_fixed\": %" PRIu64 ", \"total_clusters\": %" PRIu64
	       ", \"allocated_clusters\": %" PRIu64 ", \"compressed_clusters\": %" PRIu64
	       ", \"end_bytes\": %" PRIu64 "}\n",
	       report->errors, report->leaks, report->errors_fixed, report->leaks_fixed,
	       report->total_clusters, report->allocated_clusters, report->packed_clusters,
	       report->end_bytes);
}

static void print_count(const char *name, uint64_t found, uint64_t fixed)
{
	printf("%s: %" PRIu64, name, found);
	if (fixed)
		printf(" (%" PRIu64 " repaired)", fixed);
	putchar('\n');
}

static void print_report(const char *path, const struct disk_image_report *report)
{
	printf("image: %s\n", path);
	print_count("errors", report->errors, report->errors_fixed);
	print_count("leaks", report->leaks, report->leaks_fixed);
	printf("clusters: %" PRIu64 " of %" PRIu64 " allocated, %" PRIu64 " compressed\n",
	       report->allocated_clusters, report->total_clusters, report->packed_clusters);
	print_size("end", report->end_bytes);
}

// -- actions: each returns the exit status, or -errno after a message --

static struct disk_config config_of(const struct arguments *args, bool read_only)
{
	return (struct disk_config){
		.path = args->operands[0],
		.format = args->format,
		.read_only = read_only,
		.backing = args->allow_backing,
	};
}

static struct disk_image_options image_of(const struct arguments *args, const char *path,
					  enum disk_format format)
{
	struct disk_image_options image = args->image;

	image.path = path;
	image.format = format ? format : DISK_FORMAT_QCOW2;
	image.replace = args->force;
	return image;
}

static int check_image_options(const struct arguments *args, const struct disk_image_options *image)
{
	if (image->format == DISK_FORMAT_QCOW2)
		return 0;
	if (image->backing_path || image->cluster_bytes || image->refcount_bits || image->version ||
	    args->compress || args->compression)
		return fail_msg(EINVAL,
				"%s: a raw image has no clusters, no compression and no backing "
				"file; make it a qcow2 image",
				image->path);
	return 0;
}

static int set_compression(const struct arguments *args, struct disk_image_options *image)
{
	const char *kind = args->compression;

	image->compress = args->compress;
	if (!kind || !strcmp(kind, "zlib"))
		return 0;
	if (strcmp(kind, "zstd") != 0)
		return bad_value("--compression", kind, "is not supported; use zlib or zstd");
	image->zstd = true;
	if (image->version == 2)
		return fail_msg(EINVAL, "--compression zstd needs version 3 of qcow2: leave out "
					"--qcow2-version 2");
	return 0;
}

static int create(struct arguments *args)
{
	struct disk_image_options image = image_of(args, args->operands[0], args->format);
	int ret = check_image_options(args, &image);

	if (!ret)
		ret = set_compression(args, &image);
	if (!ret && args->count > 1)
		ret = take_size(args->operands[1], 0, &image.size_bytes);
	if (!ret && !image.size_bytes && !image.backing_path)
		ret = fail_msg(EINVAL, "%s: how large? kvik disk create %s 10G", image.path,
			       image.path);
	return ret ? ret : disk_image_create(&image);
}

static int convert(struct arguments *args)
{
	struct disk_image_options image = image_of(args, args->operands[1], args->output_format);
	struct disk_config from = config_of(args, true);
	struct progress progress = {
		.terminal = isatty(STDERR_FILENO),
		.quiet = args->quiet,
		.what = image.path,
	};
	int ret = check_image_options(args, &image);

	if (!ret)
		ret = set_compression(args, &image);
	return ret ? ret : disk_image_convert(&from, &image, on_progress, &progress);
}

static int show_info(struct arguments *args)
{
	const char *path = args->operands[0];
	struct disk_image_info info;
	int ret = disk_image_inspect(path, args->format, &info);

	if (!ret && args->json)
		print_info_json(path, &info);
	else if (!ret)
		print_info(path, &info);
	disk_image_free_info(&info);
	return ret;
}

static int check(struct arguments *args)
{
	const char *path = args->operands[0];
	struct disk_image_report report = { 0 };
	int ret = disk_image_check(path, args->repair, &report);

	if (ret)
		return ret;
	if (args->json)
		print_report_json(path, &report);
	else if (!args->quiet)
		print_report(path, &report);
	if (report.errors > report.errors_fixed)
		return STATUS_ERRORS;
	return report.leaks > report.leaks_fixed ? STATUS_LEAKS : 0;
}

static int resize(struct arguments *args)
{
	struct disk_config config = config_of(args, false);
	struct disk_image_info info;
	uint64_t size_bytes;
	int ret = disk_image_inspect(config.path, config.format, &info);

	if (!ret)
		ret = take_size(args->operands[1], info.size_bytes, &size_bytes);
	disk_image_free_info(&info);
	return ret ? ret : disk_image_resize(&config, size_bytes, args->shrink);
}

static const struct action {
	const char *name;
	const char *operands;
	int min, max;
	const char *options; // their long names
	int (*run)(struct arguments *args);
} actions[] = {
	{ "create", "PATH [SIZE]", 1, 2,
	  " format backing-file backing-format cluster-size refcount-bits qcow2-version"
	  " compression force ",
	  create },
	{ "convert", "FROM TO", 2, 2,
	  " format output-format cluster-size refcount-bits qcow2-version compress compression"
	  " allow-backing force quiet ",
	  convert },
	{ "info", "PATH", 1, 1, " format json ", show_info },
	{ "check", "PATH", 1, 1, " repair json quiet ", check },
	{ "resize", "PATH [+|-]SIZE", 2, 2, " format allow-backing shrink ", resize },
};

// -- command line --

static const struct action *find_action(const char *name)
{
	const char *names[ARRAY_SIZE(actions)], *nearest;

	for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
		names[i] = actions[i].name;
		if (!strcmp(name, names[i]))
			return &actions[i];
	}
	nearest = nearest_name(name, names, ARRAY_SIZE(actions));
	if (nearest)
		err("kvik disk has no '%s'; did you mean %s?", name, nearest);
	else
		err("kvik disk has no '%s'; try 'kvik disk -h'", name);
	return NULL;
}

static bool was_given(const struct arguments *args, const struct option_spec *spec)
{
	switch (spec->kind) {
	case OPTION_FLAG:
		return *(bool *)spec->value;
	case OPTION_STRING:
		return *(const char **)spec->value;
	case OPTION_UINT:
		return *(unsigned *)spec->value;
	case OPTION_CALL:
		return spec->value == &args->image.cluster_bytes ? args->image.cluster_bytes :
								   *(unsigned *)spec->value;
	default:
		return false;
	}
}

static int check_given(const struct arguments *args, const struct action *action,
		       const struct option_spec *spec)
{
	for (; spec->kind != OPTION_END; spec++) {
		char word[40];

		if (!was_given(args, spec))
			continue;
		snprintf(word, sizeof(word), " %s ", spec->long_name);
		if (!strstr(action->options, word))
			return fail_msg(EINVAL,
					"--%s is not an option of kvik disk %s; try 'kvik disk -h'",
					spec->long_name, action->name);
	}
	return 0;
}

static int run_action(struct arguments *args, const struct option_spec *options)
{
	const struct action *action;
	int ret;

	if (!args->count)
		return fail_msg(
			EINVAL,
			"what to do? create, convert, info, check or resize; try 'kvik disk "
			"-h'");
	action = find_action(args->operands[0]);
	if (!action)
		return -EINVAL;
	args->operands++;
	args->count--;
	if (args->count < action->min || args->count > action->max)
		return fail_msg(EINVAL, "usage: kvik disk %s %s", action->name, action->operands);
	ret = check_given(args, action, options);
	return ret ? ret : action->run(args);
}

static int check_version(const struct arguments *args)
{
	if (!args->image.version || args->image.version == 2 || args->image.version == 3)
		return 0;
	return fail_msg(EINVAL, "--qcow2-version %u does not exist; use 2 or 3",
			args->image.version);
}

int cmd_disk(int argc, char **argv)
{
	struct arguments args = { 0 };
	const struct option_spec options[] = {
		{ OPTION_GROUP, .help = "Images" },
		{ OPTION_CALL, 'f', "format", "FORMAT",
		  "Image is raw or qcow2 (default: as it says)", &args.format, parse_format },
		{ OPTION_CALL, 'O', "output-format", "FORMAT",
		  "convert: to raw or qcow2 (default: qcow2)", &args.output_format, parse_format },
		{ OPTION_STRING, 'b', "backing-file", "PATH",
		  "create: show that file where nothing is written yet", &args.image.backing_path },
		{ OPTION_CALL, 'F', "backing-format", "FORMAT",
		  "create: that file is raw or qcow2 (default: raw)", &args.image.backing_format,
		  parse_format },
		{ OPTION_CALL, 0, "cluster-size", "SIZE", "qcow2: 512 to 2M (default: 64K)",
		  &args.image.cluster_bytes, parse_cluster_size },
		{ OPTION_UINT, 0, "refcount-bits", "N", "qcow2: 1 to 64 (default: 16)",
		  &args.image.refcount_bits },
		{ OPTION_UINT, 0, "qcow2-version", "N", "qcow2: 2 or 3 (default: 3)",
		  &args.image.version },
		{ OPTION_FLAG, 'c', "compress", NULL, "convert: compress the data",
		  &args.compress },
		{ OPTION_STRING, 0, "compression", "KIND", "qcow2: by zlib or zstd (default: zlib)",
		  &args.compression },
		{ OPTION_GROUP, .help = "What may be done" },
		{ OPTION_FLAG, 0, "allow-backing", NULL, "convert, resize: open backing files, too",
		  &args.allow_backing },
		{ OPTION_FLAG, 0, "force", NULL, "create, convert: replace a file no VM writes",
		  &args.force },
		{ OPTION_CALL, 'r', "repair", "WHAT", "check: repair leaks or all", &args.repair,
		  parse_repair },
		{ OPTION_FLAG, 0, "shrink", NULL, "resize: cut off what is behind the new end",
		  &args.shrink },
		{ OPTION_GROUP, .help = "Output" },
		{ OPTION_FLAG, 0, "json", NULL, "info, check: print a JSON object", &args.json },
		{ OPTION_FLAG, 'q', "quiet", NULL, "convert, check: no progress, no report",
		  &args.quiet },
		{ OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik disk",
		.synopsis = "create|convert|info|check|resize [<options>] <path>...",
		.summary = find_command("disk")->summary,
		.options = options,
	};
	int ret = options_parse(&usage, argc, argv, &args.operands, &args.count);

	if (ret == OPTIONS_HELP)
		return 0;
	if (!ret)
		ret = check_version(&args);
	if (!ret)
		ret = run_action(&args, options);
	return ret < 0 ? VM_STATUS_USAGE : ret;
}
