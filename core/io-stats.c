// SPDX-License-Identifier: GPL-2.0-or-later
// Statistics of a device that does I/O.

#include "io-stats.h"

#include <assert.h>
#include <stdio.h>

#include "log.h"
#include "util.h"

void io_stats_latency(struct io_stats *stats, enum io_kind kind, uint64_t ns)
{
	uint64_t us = ns / NSEC_PER_USEC;
	unsigned bits = us ? 64 - (unsigned)__builtin_clzll(us) : 0;

	io_counter_add(&stats->kinds[kind].latency[MIN(bits, IO_LATENCY_BUCKETS - 1u)], 1);
}

static uint64_t load(const atomic_ullong *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_kind(struct io_kind_totals *total, const struct io_counters *counters)
{
	total->requests += load(&counters->requests);
	total->bytes += load(&counters->bytes);
	total->errors += load(&counters->errors);
	for (unsigned i = 0; i < IO_LATENCY_BUCKETS; i++)
		total->latency[i] += load(&counters->latency[i]);
}

void io_totals_add(struct io_totals *totals, const struct io_stats *stats)
{
	for (unsigned kind = 0; kind < IO_KIND_COUNT; kind++)
		add_kind(&totals->kinds[kind], &stats->kinds[kind]);
}

uint64_t io_totals_percentile_us(const struct io_kind_totals *kind, unsigned percent)
{
	uint64_t count = 0, below = 0;
	unsigned i = 0;

	for (unsigned j = 0; j < IO_LATENCY_BUCKETS; j++)
		count += kind->latency[j];
	if (!count)
		return 0;
	for (; i < IO_LATENCY_BUCKETS - 1; i++) {
		below += kind->latency[i];
		if (below * 100 >= count * percent)
			return 1ULL << i;
	}
	return 1ULL << (IO_LATENCY_BUCKETS - 2);
}

// Empty where nobody measures latencies: a network has none.
static const char *format_latency(char *text, size_t size, const struct io_kind_totals *kind)
{
	unsigned long long median_us = io_totals_percentile_us(kind, 50);

	text[0] = '\0';
	if (median_us)
		snprintf(text, size, "; 50 %% below %llu us, 99 %% below %llu us", median_us,
			 (unsigned long long)io_totals_percentile_us(kind, 99));
	return text;
}

void io_totals_debug(const struct io_totals *totals, const char *device)
{
	static const char *const names[] = { "read", "write", "flush", "discard" };
	char latency[96];

	static_assert(ARRAY_SIZE(names) == IO_KIND_COUNT, "a name for each kind");
	for (unsigned i = 0; i < IO_KIND_COUNT; i++) {
		const struct io_kind_totals *kind = &totals->kinds[i];

		if (!kind->requests && !kind->errors)
			continue;
		debug("%s: %s: %llu requests, %llu bytes, %llu errors%s", device, names[i],
		      (unsigned long long)kind->requests, (unsigned long long)kind->bytes,
		      (unsigned long long)kind->errors,
		      format_latency(latency, sizeof(latency), kind));
	}
}
