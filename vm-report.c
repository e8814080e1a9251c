// SPDX-License-Identifier: GPL-2.0-or-later
// SIGUSR1's report: a VM's state, and a line or more for each part that counts something.

#include <stdio.h>
#include <string.h>

#include "metrics.h"
#include "vm-priv.h"

// Collects the metrics of one source to lines of a readable length.
struct report_sink {
	struct metric_sink sink;
	char source[32];
	char line[160];
	size_t len;
};

static void end_line(struct report_sink *report)
{
	if (report->len)
		log_asked("| %s:%s", report->source, report->line);
	report->len = 0;
}

static double scaled(const struct metric *metric)
{
	return (double)metric->values[0] * metric_scale(metric->exponent, metric->binary);
}

static void put_number(struct metric_sink *sink, const struct metric *metric)
{
	struct report_sink *report = container_of(sink, struct report_sink, sink);
	char text[64];
	int len;

	if (metric->count != 1 || !metric->values[0])
		return; // a histogram, or nothing
	len = snprintf(text, sizeof(text), " %s=%.12g", metric->name, scaled(metric));
	if (strcmp(metric->source, report->source) != 0 ||
	    report->len + (size_t)len >= sizeof(report->line)) {
		end_line(report);
		snprintf(report->source, sizeof(report->source), "%s", metric->source);
	}
	report->len += (size_t)snprintf(report->line + report->len,
					sizeof(report->line) - report->len, "%s", text);
}

void vm_report(struct vm *vm)
{
	struct report_sink report = { .sink.put = put_number };
	uint64_t uptime_ns = clock_monotonic_ns() - vm->start_ns;

	log_asked("%s, up for %llu s: %s, accelerator %s, %u vCPUs, %llu MiB", vm_state_name(vm),
		  (unsigned long long)(uptime_ns / NSEC_PER_SEC), vm->machine.ops->name,
		  vm->accel.ops->name, vm->config->cpus,
		  (unsigned long long)(vm->config->memory_bytes / MIB));
	vm_put_metrics(vm, &report.sink);
	end_line(&report);
}
