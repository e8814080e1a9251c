// SPDX-License-Identifier: GPL-2.0-or-later
// kvik stat: shows what running VMs count of themselves.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "builtin.h"
#include "log.h"
#include "metrics.h"
#include "remote.h"
#include "vm.h"

struct stat_args {
	struct remote remote; // first
	bool prometheus;
	bool all_values; // zeroes, too
	bool memory;     // nothing else
	unsigned watch_s;
	json_t *samples; // for Prometheus; NULL: none yet
};

static struct stat_args *to_args(struct remote *remote)
{
	return (struct stat_args *)remote;
}

static const char *text_of(const json_t *metric, const char *key)
{
	const char *text = json_string_value(json_object_get(metric, key));

	return text ? text : "";
}

// What a value of 1 stands for.
static double scale_of(const json_t *metric)
{
	json_t *decimal = json_object_get(metric, "exponent10");
	json_t *binary = json_object_get(metric, "exponent2");

	return metric_scale((int)json_integer_value(binary ? binary : decimal), binary);
}

static double value_of(const json_t *metric)
{
	return (double)json_integer_value(json_object_get(metric, "value")) * scale_of(metric);
}

// -- histograms --

static uint64_t bucket(const json_t *buckets, size_t index)
{
	return (uint64_t)json_integer_value(json_array_get(buckets, index));
}

static uint64_t count_of(const json_t *buckets)
{
	uint64_t count = 0;

	for (size_t i = 0; i < json_array_size(buckets); i++)
		count += bucket(buckets, i);
	return count;
}

// The value that bucket @index ends before; see metrics.h.
static double bucket_end(const json_t *metric, size_t index)
{
	json_t *bucket_size = json_object_get(metric, "bucket_size");

	if (bucket_size)
		return (double)json_integer_value(bucket_size) * (double)(index + 1) *
		       scale_of(metric);
	return ldexp(1, (int)index) * scale_of(metric);
}

// The end of the bucket in which the @percent-th of a hundred values lies.
static double percentile(const json_t *metric, unsigned percent)
{
	const json_t *buckets = json_object_get(metric, "buckets");
	uint64_t count = count_of(buckets), below = 0;
	size_t i = 0;

	for (; i + 1 < json_array_size(buckets); i++) {
		below += bucket(buckets, i);
		if (below * 100 >= count * percent)
			break;
	}
	return bucket_end(metric, i);
}

// -- for people --

static void format_scaled(double value, const char *unit, char *text, size_t size)
{
	if (strcmp(unit, "bytes") == 0 && value >= (double)MIB)
		snprintf(text, size, "%.1f MiB", value / (double)MIB);
	else if (strcmp(unit, "bytes") == 0)
		snprintf(text, size, "%.0f B", value);
	else if (strcmp(unit, "seconds") == 0 && value >= 1)
		snprintf(text, size, "%.2f s", value);
	else if (strcmp(unit, "seconds") == 0 && value >= 1e-3)
		snprintf(text, size, "%.2f ms", value * 1e3);
	else if (strcmp(unit, "seconds") == 0)
		snprintf(text, size, "%.0f us", value * 1e6);
	else
		snprintf(text, size, "%.0f", value);
}

static void format_metric(const json_t *metric, char *text, size_t size)
{
	const json_t *buckets = json_object_get(metric, "buckets");
	const char *unit = text_of(metric, "unit");
	char half[32], most[32];

	if (!buckets) {
		format_scaled(value_of(metric), unit, text, size);
		return;
	}
	format_scaled(percentile(metric, 50), unit, half, sizeof(half));
	format_scaled(percentile(metric, 99), unit, most, sizeof(most));
	snprintf(text, size, "50 %% below %s, 99 %% below %s", half, most);
}

static bool is_zero(const json_t *metric)
{
	const json_t *buckets = json_object_get(metric, "buckets");

	return buckets ? !count_of(buckets) : !json_integer_value(json_object_get(metric, "value"));
}

static void print_table(const struct stat_args *args, const char *vm_name, const json_t *metrics)
{
	const char *source = "";
	json_t *metric;
	char text[128];
	size_t i;

	printf("%s\n", vm_name);
	json_array_foreach(metrics, i, metric)
	{
		if (!args->all_values && !args->memory && is_zero(metric))
			continue;
		if (strcmp(source, text_of(metric, "source")) != 0)
			printf("  %s\n", text_of(metric, "source"));
		source = text_of(metric, "source");
		format_metric(metric, text, sizeof(text));
		printf("    %-30s %s\n", text_of(metric, "name"), text);
	}
}

// -- for Prometheus (its text exposition format, version 0.0.4) --

// The format wants all samples of a name together: those of all VMs are gathered first.
static int gather(struct stat_args *args, const char *vm_name, json_t *metrics)
{
	json_t *metric;
	size_t i;

	if (!args->samples)
		args->samples = json_array();
	json_array_foreach(metrics, i, metric)
	{
		json_object_set_new(metric, "vm", json_string(vm_name));
		json_array_append(args->samples, metric);
	}
	return 0;
}

static bool is_cumulative(const json_t *metric)
{
	return strcmp(text_of(metric, "type"), "cumulative") == 0;
}

// "kvik_read_bytes_total"
static void sample_name(const json_t *metric, char *name, size_t size)
{
	const char *own_name = text_of(metric, "name"), *unit = text_of(metric, "unit");
	bool has_unit = strcmp(unit, "none") != 0 && strcmp(unit, "boolean") != 0 &&
			!strstr(own_name, unit);

	snprintf(name, size, "kvik_%s%s%s%s", own_name, has_unit ? "_" : "", has_unit ? unit : "",
		 is_cumulative(metric) ? "_total" : "");
}

static void print_labels(const json_t *metric)
{
	printf("{vm=\"%s\",source=\"%s\"", text_of(metric, "vm"), text_of(metric, "source"));
}

static void print_buckets(const char *name, const json_t *metric)
{
	const json_t *buckets = json_object_get(metric, "buckets");
	uint64_t below = 0;

	for (size_t i = 0; i < json_array_size(buckets); i++) {
		below += bucket(buckets, i);
		printf("%s_bucket", name);
		print_labels(metric);
		if (i + 1 < json_array_size(buckets))
			printf(",le=\"%.9g\"} %llu\n", bucket_end(metric, i),
			       (unsigned long long)below);
		else
			printf(",le=\"+Inf\"} %llu\n", (unsigned long long)below);
	}
	printf("%s_count", name);
	print_labels(metric);
	printf("} %llu\n", (unsigned long long)below);
}

static void print_sample(const char *name, const json_t *metric)
{
	if (json_object_get(metric, "buckets")) {
		print_buckets(name, metric);
		return;
	}
	printf("%s", name);
	print_labels(metric);
	printf("} %.12g\n", value_of(metric));
}

static const char *sample_type(const json_t *metric)
{
	if (json_object_get(metric, "buckets"))
		return "histogram";
	return is_cumulative(metric) ? "counter" : "gauge";
}

// Prints the samples that have the name of number @first, and of them only.
static void print_group(const json_t *samples, size_t first)
{
	char group[160], name[160];

	sample_name(json_array_get(samples, first), group, sizeof(group));
	for (size_t i = 0; i < first; i++) {
		sample_name(json_array_get(samples, i), name, sizeof(name));
		if (strcmp(name, group) == 0)
			return; // printed already
	}
	printf("# TYPE %s %s\n", group, sample_type(json_array_get(samples, first)));
	for (size_t i = first; i < json_array_size(samples); i++) {
		sample_name(json_array_get(samples, i), name, sizeof(name));
		if (strcmp(name, group) == 0)
			print_sample(group, json_array_get(samples, i));
	}
}

static void print_samples(struct stat_args *args)
{
	for (size_t i = 0; i < json_array_size(args->samples); i++)
		print_group(args->samples, i);
	json_decref(args->samples);
	args->samples = NULL;
}

// -- the command --

static bool is_of_memory(const json_t *metric)
{
	static const char *const sources[] = { "process", "balloon", "guest" };

	for (unsigned i = 0; i < ARRAY_SIZE(sources); i++)
		if (strcmp(text_of(metric, "source"), sources[i]) == 0)
			return true;
	return false;
}

static void keep_memory(json_t *metrics)
{
	for (size_t i = json_array_size(metrics); i-- > 0;)
		if (!is_of_memory(json_array_get(metrics, i)))
			json_array_remove(metrics, i);
}

static int stat_vm(struct remote *remote, struct control_client *client)
{
	struct stat_args *args = to_args(remote);
	json_t *result, *metrics;
	int err = control_ask(client, "stat", NULL, REMOTE_TIMEOUT_MS, &result);

	if (err)
		return err;
	metrics = json_object_get(result, "metrics");
	if (args->memory)
		keep_memory(metrics);
	if (remote->json)
		remote_print_json(client, json_incref(result));
	else if (args->prometheus)
		err = gather(args, client->vm_name, metrics);
	else
		print_table(args, client->vm_name, metrics);
	json_decref(result);
	return err;
}

static void clear_terminal(const struct stat_args *args)
{
	if (args->watch_s && isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
}

// Returns whether to show it all once more.
static bool wait_for_next(const struct stat_args *args)
{
	struct timespec pause = { .tv_sec = args->watch_s };

	if (!args->watch_s || fflush(stdout) || ferror(stdout))
		return false;
	nanosleep(&pause, NULL);
	return true;
}

static int parse_watch(void *value, const char *argument)
{
	unsigned *seconds = value;
	int err = remote_parse_seconds("--watch", argument, seconds);

	if (!err && !*seconds)
		err = fail_msg(EINVAL, "--watch %s: give at least one second", argument);
	return err;
}

int cmd_stat(int argc, char **argv)
{
	struct stat_args args = { 0 };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&args.remote),
		{ OPTION_FLAG, 'm', "memory", NULL, "Only what is about memory", &args.memory },
		{ OPTION_FLAG, 0, "prometheus", NULL, "Print them as Prometheus reads them",
		  &args.prometheus },
		{ OPTION_FLAG, 0, "zeroes", NULL, "Show also what has not happened yet",
		  &args.all_values },
		{ OPTION_CALL, 'w', "watch", "SECONDS", "Show them again after so many seconds",
		  &args.watch_s, parse_watch },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik stat",
		.synopsis = "[-m] [--json | --prometheus] [-w <seconds>] <name>... | --all",
		.summary = find_command("stat")->summary,
		.options = options,
	};
	int status;

	do {
		clear_terminal(&args);
		status = remote_run(&args.remote, &usage, argc, argv, stat_vm);
		print_samples(&args);
	} while (!status && wait_for_next(&args));
	return status;
}
