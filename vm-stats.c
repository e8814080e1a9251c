// SPDX-License-Identifier: GPL-2.0-or-later
// The metrics of a running VM: its accelerator's, its devices', and its process's.

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "metrics.h"
#include "vm-priv.h"

struct json_sink {
	struct metric_sink sink;
	json_t *list;
};

static json_t *histogram(const struct metric *metric)
{
	json_t *buckets = json_array();

	for (unsigned i = 0; i < metric->count; i++)
		json_array_append_new(buckets, json_integer((json_int_t)metric->values[i]));
	return buckets;
}

static void put_json(struct metric_sink *sink, const struct metric *metric)
{
	struct json_sink *json = container_of(sink, struct json_sink, sink);
	json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "source", metric->source, "name",
				   metric->name, "type", metric_type_name(metric->type), "unit",
				   metric_unit_name(metric->unit));

	if (metric->exponent)
		json_object_set_new(object, metric->binary ? "exponent2" : "exponent10",
				    json_integer(metric->exponent));
	if (metric->type == METRIC_LINEAR)
		json_object_set_new(object, "bucket_size", json_integer(metric->bucket_size));
	if (metric->type == METRIC_LINEAR || metric->type == METRIC_LOG)
		json_object_set_new(object, "buckets", histogram(metric));
	else
		json_object_set_new(object, "value", json_integer((json_int_t)metric->values[0]));
	json_array_append_new(json->list, object);
}

// -- the process --

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool ok = file && fgets(line, (int)size, file);

	if (file)
		fclose(file);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

// The kernel's number for the CPU clock of a thread (Linux's CPUCLOCK_PERTHREAD), which
// pthread_getcpuclockid(3) would give for a thread of ours whose pthread_t we knew.
static clockid_t thread_clock(pid_t tid)
{
	return (clockid_t)(~(unsigned)tid << 3 | 6);
}

static void put_thread(struct metric_sink *sink, pid_t tid)
{
	char path[64], name[32];
	struct timespec used;

	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	if (!read_line(path, name, sizeof(name)) || clock_gettime(thread_clock(tid), &used))
		return;
	metric_put_ns(sink, tid == getpid() ? "main" : name, "cpu_time",
		      (uint64_t)used.tv_sec * NSEC_PER_SEC + (uint64_t)used.tv_nsec);
}

static void put_threads(struct metric_sink *sink)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			put_thread(sink, atoi(entry->d_name));
	if (dir)
		closedir(dir);
}

static void put_process(struct metric_sink *sink)
{
	unsigned long long pages, resident = 0;
	struct rusage usage;
	char line[128];

	if (read_line("/proc/self/statm", line, sizeof(line)) &&
	    sscanf(line, "%llu %llu", &pages, &resident) == 2)
		metric_put(sink, "process", "resident_memory", METRIC_INSTANT, METRIC_BYTES,
			   resident * (unsigned long)sysconf(_SC_PAGESIZE));
	if (getrusage(RUSAGE_SELF, &usage))
		return;
	metric_put(sink, "process", "minor_faults", METRIC_CUMULATIVE, METRIC_NONE,
		   (uint64_t)usage.ru_minflt);
	metric_put(sink, "process", "major_faults", METRIC_CUMULATIVE, METRIC_NONE,
		   (uint64_t)usage.ru_majflt);
}

void vm_put_metrics(struct vm *vm, struct metric_sink *sink)
{
	put_process(sink);
	put_threads(sink);
	if (vm->accel.ops->metrics)
		vm->accel.ops->metrics(&vm->accel, sink);
	device_list_metrics(&vm->devices, sink);
}

json_t *vm_stats(struct vm *vm)
{
	struct json_sink json = { .sink.put = put_json, .list = json_array() };

	vm_put_metrics(vm, &json.sink);
	return json.list;
}
