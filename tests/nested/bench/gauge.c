// SPDX-License-Identifier: GPL-2.0-or-later
// Starts a virtual machine monitor and measures it until its guest says that it is up.
//
// usage: gauge [-t] MIB MARK COMMAND...
//
// Prints lines "NAME VALUE" once the command's output holds a line with MARK: the time
// since exec, KVM's exit counters, threads, and the resident memory in mappings that are
// too small to be the guest's MIB of RAM: all of it, and what is not the program's file, which
// all of a host's VMs share. With -t, which costs time, the time of the first
// entry into the guest and the exits to user space by reason. Then repeats each of the
// command's figures, which begin with "@", until it ends or says "@end": not all
// monitors end with their guests. "@NAME UNIT VALUE [BYTES]" tells of what just ended, and
// "@begin" comes before the first; with BYTES, what moving them cost the monitor is told, too.
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../bench/monitor.h"

#define TRACING "/sys/kernel/tracing/"
#define ENTRY TRACING "events/kvm/kvm_entry/"
#define EXITS TRACING "instances/gauge/"
#define MAX_REASON 63 // of enum KVM_EXIT_*
#define STATS "/sys/kernel/debug/kvm/"

struct gauge {
	long ram_mib;
	const char *mark;
	bool trace;
	pid_t pid;
	double begin_s;
	bool marked;
	double cpu_s; // when the last transfer ended, or the first began
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		warn("%s", path);
	if (fd >= 0)
		close(fd);
}

// 0 where there is no such file.
static long long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long long value = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lld", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

// --- tracing ---

// The clock is ours, and the first entry switches tracing off: but for exits to user
// space, which go to a buffer of their own.
static void trace_start(void)
{
	write_file(TRACING "trace_clock", "mono");
	write_file(TRACING "trace", "");
	write_file(ENTRY "trigger", "traceoff:1");
	write_file(ENTRY "enable", "1");
	write_file(TRACING "tracing_on", "1");
	if (mkdir(EXITS, 0700))
		warn("%s", EXITS);
	write_file(EXITS "buffer_size_kb", "16384");
	write_file(EXITS "events/kvm/kvm_userspace_exit/enable", "1");
}

static void trace_stop(void)
{
	write_file(ENTRY "enable", "0");
	write_file(ENTRY "trigger", "!traceoff");
	if (rmdir(EXITS))
		warn("%s", EXITS);
}

// "    kvik-123  [000] d.... 12.345678: kvm_entry: ..."
static void print_first_entry(double begin_s)
{
	FILE *file = fopen(TRACING "trace", "r");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char *event = strstr(line, ": kvm_entry:");

		if (!event)
			continue;
		*event = '\0';
		event = strrchr(line, ' ');
		printf("first_run_ms %.2f\n", (strtod(event ? event : "0", NULL) - begin_s) * 1e3);
		break;
	}
	if (file)
		fclose(file);
}

// "    kvik-123  [000] ..... 12.345678: kvm_userspace_exit: reason KVM_EXIT_MMIO (6)"
static void print_reasons(void)
{
	FILE *file = fopen(EXITS "trace", "r");
	long counts[MAX_REASON + 1] = { 0 }, total = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char *reason = strstr(line, "_exit: reason ");
		char *number = reason ? strrchr(reason, '(') : NULL;
		long value = number ? strtol(number + 1, NULL, 10) : 0;

		total += number != NULL;
		if (number && value >= 0 && value <= MAX_REASON)
			counts[value]++;
	}
	for (int i = 0; i <= MAX_REASON; i++)
		if (counts[i])
			printf("user_exits_reason_%d %ld\n", i, counts[i]);
	printf("user_exits %ld\n", total);
	if (file)
		fclose(file);
}

// --- the process ---

static int count_threads(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

struct own_memory {
	long resident_kib;
	long anonymous_kib;
};

// A mapping of at least a quarter of the guest's RAM is guest RAM.
static struct own_memory read_own_memory(pid_t pid, long ram_mib)
{
	struct own_memory own = { 0 };
	long size_kib = 0, kib;
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Size: %ld", &size_kib) == 1)
			continue;
		if (size_kib >= ram_mib * 1024 / 4)
			continue;
		if (sscanf(line, "Rss: %ld", &kib) == 1)
			own.resident_kib += kib;
		if (sscanf(line, "Anonymous: %ld", &kib) == 1)
			own.anonymous_kib += kib;
	}
	if (file)
		fclose(file);
	return own;
}

static void report(const struct gauge *gauge)
{
	double time_s = now_s() - gauge->begin_s;
	struct own_memory own;

	if (gauge->trace) {
		print_first_entry(gauge->begin_s);
		print_reasons();
		return;
	}
	printf("exits %lld\n", read_number(STATS "exits"));
	printf("init_ms %.1f\n", time_s * 1e3);
	own = read_own_memory(gauge->pid, gauge->ram_mib);
	printf("own_kib %ld\n", own.resident_kib);
	printf("own_anonymous_kib %ld\n", own.anonymous_kib);
	printf("threads %d\n", count_threads(gauge->pid));
}

static void report_cost(const char *name, double cpu_s, double bytes)
{
	const double gib = 1 << 30;

	printf("%s-cpu-s-per-gib %.4f\n", name, cpu_s / bytes * gib);
}

static void take_figure(struct gauge *gauge, const char *line)
{
	double cpu_s = monitor_cpu_s(gauge->pid), bytes;
	char name[64], unit[64], value[64];
	int words = sscanf(line, "%63s %63s %63s %lf", name, unit, value, &bytes);

	if (words > 2)
		printf("%s-%s %s\n", name, unit, value);
	if (words > 3)
		report_cost(name, cpu_s - gauge->cpu_s, bytes);
	gauge->cpu_s = cpu_s;
}

static void take_line(struct gauge *gauge, const char *line)
{
	if (!gauge->marked && strstr(line, gauge->mark)) {
		gauge->marked = true;
		report(gauge);
	}
	if (strcmp(line, "@end") == 0)
		kill(gauge->pid, SIGKILL);
	else if (line[0] == '@')
		take_figure(gauge, line + 1);
}

static void follow(struct gauge *gauge, FILE *output)
{
	char line[4096];

	while (fgets(line, sizeof(line), output)) {
		line[strcspn(line, "\r\n")] = '\0';
		take_line(gauge, line);
	}
}

int main(int argc, char **argv)
{
	struct gauge gauge = { .trace = argc > 1 && strcmp(argv[1], "-t") == 0 };
	int status = 1;
	FILE *output;

	argv += gauge.trace;
	argc -= gauge.trace;
	if (argc < 4)
		errx(2, "usage: gauge [-t] MIB MARK COMMAND...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	gauge.ram_mib = strtol(argv[1], NULL, 10);
	gauge.mark = argv[2];
	if (gauge.trace)
		trace_start();
	gauge.begin_s = now_s();
	output = monitor_start(argv + 3, true, &gauge.pid);
	follow(&gauge, output);
	if (gauge.trace)
		trace_stop();
	waitpid(gauge.pid, &status, 0);
	return gauge.marked ? 0 : 1;
}
