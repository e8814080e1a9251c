// SPDX-License-Identifier: GPL-2.0-or-later
// What the software engine counts of itself, for kvik stat.
//
// Only what leaves the handlers' fast path is counted: a translation that no TLB had, a
// trap, a call. The numbers of a hart are written by its own thread alone and may be read
// by any, so that counting costs no locked instruction.
#ifndef KVIK_SOFT_STATS_H
#define KVIK_SOFT_STATS_H

#include <stdatomic.h>
#include <stdint.h>

struct accel;
struct metric_sink;

enum soft_counter {
	SOFT_EXITS, // run() returned
	SOFT_ECALLS,
	SOFT_MMIO,
	SOFT_READ_MISSES,
	SOFT_WRITE_MISSES,
	SOFT_FETCH_MISSES,
	SOFT_TLB_FLUSHES,
	SOFT_FENCES, // that other harts asked for
	SOFT_DECODED,
	SOFT_FENCE_I,
	SOFT_WFI,
	SOFT_HALT_NS,
	SOFT_RETIRED, // at the last halt or exit
	SOFT_COUNTER_COUNT
};

#define SOFT_EXCEPTIONS 16 // by cause
#define SOFT_INTERRUPTS 10
#define SOFT_HALT_BUCKETS 40 // of nanoseconds, logarithmic

struct soft_counters {
	_Atomic uint64_t counts[SOFT_COUNTER_COUNT];
	_Atomic uint64_t exceptions[SOFT_EXCEPTIONS];
	_Atomic uint64_t interrupts[SOFT_INTERRUPTS];
	_Atomic uint64_t halts[SOFT_HALT_BUCKETS];
};

// Own thread.
static inline void soft_add(_Atomic uint64_t *count, uint64_t more)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

// A hart slept for @ns.
void soft_count_halt(struct soft_counters *counters, uint64_t ns);

// As accel_ops.metrics.
void soft_metrics(struct accel *accel, struct metric_sink *sink);

#endif
