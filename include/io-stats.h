// SPDX-License-Identifier: GPL-2.0-or-later
// Statistics of a device that does I/O: requests, bytes, errors and a histogram of
// latencies, for each kind of request.
//
// Each queue of a device counts in a struct io_stats of its own, on one thread, without a
// lock; a reader on any thread adds them up.
#ifndef KVIK_IO_STATS_H
#define KVIK_IO_STATS_H

#include <stdatomic.h>
#include <stdint.h>

// For a network device a read is a frame that the guest receives, a write one that it sends.
enum io_kind { IO_READ, IO_WRITE, IO_FLUSH, IO_DISCARD, IO_KIND_COUNT };

// Bucket n counts latencies below 2^n microseconds (and not below 2^(n - 1)), the last one
// all that are longer.
#define IO_LATENCY_BUCKETS 24

struct io_counters {
	atomic_ullong requests;
	atomic_ullong bytes;
	atomic_ullong errors;
	atomic_ullong latency[IO_LATENCY_BUCKETS];
};

// Zero-initialise.
struct io_stats {
	struct io_counters kinds[IO_KIND_COUNT];
};

// @counter has one writer, which calls this.
static inline void io_counter_add(atomic_ullong *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline void io_stats_count(struct io_stats *stats, enum io_kind kind, uint64_t requests,
				  uint64_t bytes)
{
	io_counter_add(&stats->kinds[kind].requests, requests);
	io_counter_add(&stats->kinds[kind].bytes, bytes);
}

static inline void io_stats_error(struct io_stats *stats, enum io_kind kind)
{
	io_counter_add(&stats->kinds[kind].errors, 1);
}

void io_stats_latency(struct io_stats *stats, enum io_kind kind, uint64_t ns);

// Plain values, for a reader.
struct io_totals {
	struct io_kind_totals {
		uint64_t requests;
		uint64_t bytes;
		uint64_t errors;
		uint64_t latency[IO_LATENCY_BUCKETS];
	} kinds[IO_KIND_COUNT];
};

// Adds what @stats counted to @totals. Any thread.
void io_totals_add(struct io_totals *totals, const struct io_stats *stats);
// The latency in microseconds that @percent of the kind's requests stay below, or the lower
// bound of the last bucket; 0 without any.
uint64_t io_totals_percentile_us(const struct io_kind_totals *kind, unsigned percent);
// One debug message a kind that there was, such as
//	disk0 /tmp/a.img: read: 120 requests, 491520 bytes, 0 errors; 50 % below 64 us, ...
void io_totals_debug(const struct io_totals *totals, const char *device);

#endif
