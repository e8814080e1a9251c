// SPDX-License-Identifier: GPL-2.0-or-later
// Metrics: numbers that the parts of a VM tell of themselves, each with its name, type and
// unit, so that whoever shows them needs to know none of them.
//
// The kinds are those of KVM's binary statistics (Linux's Documentation/virt/kvm/api.rst,
// KVM_GET_STATS_FD); what kvik counts itself is told in the same way.
#ifndef KVIK_METRICS_H
#define KVIK_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct io_totals;

enum metric_type {
	METRIC_CUMULATIVE, // only grows
	METRIC_INSTANT,    // as it is now
	METRIC_PEAK,       // the highest so far
	METRIC_LINEAR,     // a histogram: bucket n counts [n * bucket_size, (n + 1) * bucket_size)
	METRIC_LOG,        // a histogram: bucket 0 counts 0, bucket n [2^(n - 1), 2^n)
	METRIC_TYPE_COUNT
};

enum metric_unit {
	METRIC_NONE,
	METRIC_BYTES,
	METRIC_SECONDS,
	METRIC_CYCLES,
	METRIC_BOOLEAN,
	METRIC_UNIT_COUNT
};

// One metric. The last bucket of a histogram also counts all that lies above it.
struct metric {
	const char *source; // "vm", "vcpu0", "blk0", "process", or a thread's name
	const char *name;   // "exits"
	enum metric_type type;
	enum metric_unit unit;
	int exponent; // the value is in units of 10^exponent, or of 2^exponent
	bool binary;  // the latter
	uint32_t bucket_size;
	const uint64_t *values;
	unsigned count; // of the values: buckets of a histogram, else 1
};

const char *metric_type_name(enum metric_type type); // "cumulative"
const char *metric_unit_name(enum metric_unit unit); // "bytes"

// What a value of 1 stands for: 10^@exponent, or, if @binary, 2^@exponent.
double metric_scale(int exponent, bool binary);

// Takes what is told; the metric is only valid during the call.
struct metric_sink {
	void (*put)(struct metric_sink *sink, const struct metric *metric);
};

void metric_put(struct metric_sink *sink, const char *source, const char *name,
		enum metric_type type, enum metric_unit unit, uint64_t value);
// CPU time and the like, of METRIC_CUMULATIVE nanoseconds.
void metric_put_ns(struct metric_sink *sink, const char *source, const char *name, uint64_t ns);
// Requests, bytes, errors and latencies of each kind of request that there was.
void metric_put_io(struct metric_sink *sink, const char *source, const struct io_totals *totals);

#endif
