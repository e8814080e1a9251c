// SPDX-License-Identifier: GPL-2.0-or-later
// The software engine's counters as metrics: names, types and units.
//
// What KVM on RISC-V counts, too, has the name that it has there (Linux's
// arch/riscv/kvm/vcpu.c and include/linux/kvm_host.h).
#include "stats.h"

#include <assert.h>
#include <stdio.h>

#include "code.h"
#include "hart.h"
#include "metrics.h"

static const char *const counter_names[] = {
	[SOFT_EXITS] = "exits",
	[SOFT_ECALLS] = "ecall_exit_stat",
	[SOFT_MMIO] = "mmio_exit_user",
	[SOFT_READ_MISSES] = "tlb_read_misses",
	[SOFT_WRITE_MISSES] = "tlb_write_misses",
	[SOFT_FETCH_MISSES] = "tlb_fetch_misses",
	[SOFT_TLB_FLUSHES] = "tlb_flushes",
	[SOFT_FENCES] = "remote_fences",
	[SOFT_DECODED] = "instructions_decoded",
	[SOFT_FENCE_I] = "fence_i",
	[SOFT_WFI] = "wfi_exit_stat",
	[SOFT_HALT_NS] = "halt_wait_ns",
	[SOFT_RETIRED] = "instructions_retired",
};
static_assert(ARRAY_SIZE(counter_names) == SOFT_COUNTER_COUNT, "a name for each counter");

static const char *const exception_names[SOFT_EXCEPTIONS] = {
	[CAUSE_FETCH_ACCESS] = "fetch_access_faults",
	[CAUSE_ILLEGAL] = "illegal_instructions",
	[CAUSE_BREAKPOINT] = "breakpoints",
	[CAUSE_LOAD_MISALIGNED] = "misaligned_loads",
	[CAUSE_LOAD_ACCESS] = "load_access_faults",
	[CAUSE_STORE_MISALIGNED] = "misaligned_stores",
	[CAUSE_STORE_ACCESS] = "store_access_faults",
	[CAUSE_ECALL_U] = "user_ecalls",
	[CAUSE_FETCH_PAGE_FAULT] = "fetch_page_faults",
	[CAUSE_LOAD_PAGE_FAULT] = "load_page_faults",
	[CAUSE_STORE_PAGE_FAULT] = "store_page_faults",
};

static const char *const interrupt_names[SOFT_INTERRUPTS] = {
	[1] = "software_interrupts",
	[5] = "timer_interrupts",
	[9] = "external_interrupts",
};

// -- counting --

// Bucket n counts [2^(n - 1), 2^n).
static unsigned bucket_of(uint64_t ns)
{
	unsigned bits = ns ? 64 - (unsigned)__builtin_clzll(ns) : 0;

	return MIN(bits, SOFT_HALT_BUCKETS - 1U);
}

void soft_count_halt(struct soft_counters *counters, uint64_t ns)
{
	soft_add(&counters->counts[SOFT_HALT_NS], ns);
	soft_add(&counters->halts[bucket_of(ns)], 1);
}

// -- telling --

static void put(struct metric_sink *sink, const char *source, const char *name, uint64_t value)
{
	metric_put(sink, source, name, METRIC_CUMULATIVE, METRIC_NONE, value);
}

static void put_named(struct metric_sink *sink, const char *source, const char *const *names,
		      const _Atomic uint64_t *counts, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (names[i])
			put(sink, source, names[i], atomic_load(&counts[i]));
}

static void put_counters(struct metric_sink *sink, const char *source,
			 const struct soft_counters *counters)
{
	for (unsigned i = 0; i < SOFT_COUNTER_COUNT; i++) {
		uint64_t value = atomic_load(&counters->counts[i]);

		if (i == SOFT_HALT_NS)
			metric_put_ns(sink, source, counter_names[i], value);
		else
			put(sink, source, counter_names[i], value);
	}
}

static void put_halts(struct metric_sink *sink, const char *source,
		      const struct soft_counters *counters)
{
	uint64_t values[SOFT_HALT_BUCKETS];
	struct metric metric = {
		.source = source,
		.name = "halt_wait_hist",
		.type = METRIC_LOG,
		.unit = METRIC_SECONDS,
		.exponent = -9,
		.values = values,
		.count = SOFT_HALT_BUCKETS,
	};

	for (unsigned i = 0; i < SOFT_HALT_BUCKETS; i++)
		values[i] = atomic_load(&counters->halts[i]);
	sink->put(sink, &metric);
}

static void put_hart(struct metric_sink *sink, const struct hart *h)
{
	char source[24];

	snprintf(source, sizeof(source), "vcpu%u", h->index);
	put_counters(sink, source, &h->counters);
	put_halts(sink, source, &h->counters);
	put_named(sink, source, exception_names, h->counters.exceptions, SOFT_EXCEPTIONS);
	put_named(sink, source, interrupt_names, h->counters.interrupts, SOFT_INTERRUPTS);
}

void soft_metrics(struct accel *accel, struct metric_sink *sink)
{
	const struct soft_vm *vm = accel->priv;

	code_metrics(vm, sink);
	for (unsigned i = 0; i < vm->hart_count; i++)
		put_hart(sink, vm->harts[i]);
}
