// SPDX-License-Identifier: GPL-2.0-or-later
// Metrics: names of types and units, and short ways to tell common ones.

#include "metrics.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "io-stats.h"

const char *metric_type_name(enum metric_type type)
{
	static const char *const names[] = { "cumulative", "instant", "peak", "linear", "log" };

	static_assert(ARRAY_SIZE(names) == METRIC_TYPE_COUNT, "a name for each type");
	return names[type];
}

const char *metric_unit_name(enum metric_unit unit)
{
	static const char *const names[] = { "none", "bytes", "seconds", "cycles", "boolean" };

	static_assert(ARRAY_SIZE(names) == METRIC_UNIT_COUNT, "a name for each unit");
	return names[unit];
}

double metric_scale(int exponent, bool binary)
{
	return binary ? ldexp(1, exponent) : pow(10, exponent);
}

void metric_put(struct metric_sink *sink, const char *source, const char *name,
		enum metric_type type, enum metric_unit unit, uint64_t value)
{
	struct metric metric = {
		.source = source,
		.name = name,
		.type = type,
		.unit = unit,
		.values = &value,
		.count = 1,
	};

	sink->put(sink, &metric);
}

void metric_put_ns(struct metric_sink *sink, const char *source, const char *name, uint64_t ns)
{
	struct metric metric = {
		.source = source,
		.name = name,
		.unit = METRIC_SECONDS,
		.exponent = -9,
		.values = &ns,
		.count = 1,
	};

	sink->put(sink, &metric);
}

static void put_latency(struct metric_sink *sink, const char *source, const char *name,
			const struct io_kind_totals *kind)
{
	struct metric metric = {
		.source = source,
		.name = name,
		.type = METRIC_LOG,
		.unit = METRIC_SECONDS,
		.exponent = -6,
		.values = kind->latency,
		.count = IO_LATENCY_BUCKETS,
	};

	for (unsigned i = 0; i < IO_LATENCY_BUCKETS; i++)
		if (kind->latency[i]) {
			sink->put(sink, &metric);
			return;
		}
}

static void put_kind(struct metric_sink *sink, const char *source, const char *kind_name,
		     const struct io_kind_totals *kind)
{
	char name[32];

	snprintf(name, sizeof(name), "%s_requests", kind_name);
	metric_put(sink, source, name, METRIC_CUMULATIVE, METRIC_NONE, kind->requests);
	snprintf(name, sizeof(name), "%s_bytes", kind_name);
	metric_put(sink, source, name, METRIC_CUMULATIVE, METRIC_BYTES, kind->bytes);
	snprintf(name, sizeof(name), "%s_errors", kind_name);
	metric_put(sink, source, name, METRIC_CUMULATIVE, METRIC_NONE, kind->errors);
	snprintf(name, sizeof(name), "%s_latency", kind_name);
	put_latency(sink, source, name, kind);
}

void metric_put_io(struct metric_sink *sink, const char *source, const struct io_totals *totals)
{
	static const char *const names[] = { "read", "write", "flush", "discard" };

	static_assert(ARRAY_SIZE(names) == IO_KIND_COUNT, "a name for each kind");
	for (unsigned i = 0; i < IO_KIND_COUNT; i++)
		if (totals->kinds[i].requests || totals->kinds[i].errors)
			put_kind(sink, source, names[i], &totals->kinds[i]);
}
