// SPDX-License-Identifier: GPL-2.0-or-later
// What the software engine tells that it has counted.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../riscv/soft/hart.h"
#include "memory.h"
#include "metrics.h"
#include "riscv-soft.h"
#include "vm-config.h"

#define HARTS 2
#define METRICS_MAX 200

struct told {
	char source[32], name[64];
	enum metric_type type;
	enum metric_unit unit;
	uint64_t value; // of a histogram: of all buckets
	unsigned top;   // of a histogram: the last bucket that is not empty
};

struct engine {
	struct vm_config config;
	struct memory memory;
	struct accel accel;
	struct vcpu vcpus[HARTS];
	struct metric_sink sink;
	struct told told[METRICS_MAX];
	unsigned count;
};

static void put(struct metric_sink *sink, const struct metric *metric)
{
	struct engine *engine = container_of(sink, struct engine, sink);
	struct told *told = &engine->told[engine->count++];

	assert_true(engine->count <= METRICS_MAX);
	snprintf(told->source, sizeof(told->source), "%s", metric->source);
	snprintf(told->name, sizeof(told->name), "%s", metric->name);
	told->type = metric->type;
	told->unit = metric->unit;
	for (unsigned i = 0; i < metric->count; i++) {
		told->value += metric->values[i];
		if (metric->values[i])
			told->top = i;
	}
}

static int setup(void **state)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	struct accel *accel = &engine->accel;

	engine->config.cpus = HARTS;
	engine->sink.put = put;
	accel->ops = &soft_accel_ops;
	accel->config = &engine->config;
	accel->memory = &engine->memory;
	assert_int_equal(memory_add_ram(&engine->memory, 0x80000000, 1 * MIB), 0);
	assert_int_equal(accel->ops->vm_init(accel), 0);
	assert_int_equal(accel->ops->map_ram(accel), 0);
	for (unsigned i = 0; i < HARTS; i++) {
		engine->vcpus[i] = (struct vcpu){ .index = i, .accel = accel };
		assert_int_equal(accel->ops->vcpu_init(&engine->vcpus[i]), 0);
	}
	*state = engine;
	return 0;
}

static int teardown(void **state)
{
	struct engine *engine = *state;

	for (unsigned i = 0; i < HARTS; i++)
		engine->accel.ops->vcpu_exit(&engine->vcpus[i]);
	engine->accel.ops->vm_exit(&engine->accel);
	memory_exit(&engine->memory);
	free(engine);
	return 0;
}

static struct hart *hart(struct engine *engine, unsigned index)
{
	return engine->vcpus[index].priv;
}

static const struct told *ask(struct engine *engine, const char *source, const char *name)
{
	memset(engine->told, 0, sizeof(engine->told));
	engine->count = 0;
	soft_accel_ops.metrics(&engine->accel, &engine->sink);
	for (unsigned i = 0; i < engine->count; i++)
		if (strcmp(engine->told[i].source, source) == 0 &&
		    strcmp(engine->told[i].name, name) == 0)
			return &engine->told[i];
	fail_msg("no %s of %s", name, source);
	return NULL;
}

static void test_traps_by_cause(void **state)
{
	struct engine *engine = *state;

	hart_trap(hart(engine, 1), 0, CAUSE_LOAD_PAGE_FAULT, 0);
	hart_trap(hart(engine, 1), 0, CAUSE_LOAD_PAGE_FAULT, 0);
	hart_trap(hart(engine, 1), 0, 1ULL << 63 | 5, 0);
	assert_int_equal(ask(engine, "vcpu1", "load_page_faults")->value, 2);
	assert_int_equal(ask(engine, "vcpu1", "timer_interrupts")->value, 1);
	assert_int_equal(ask(engine, "vcpu1", "user_ecalls")->value, 0);
	assert_int_equal(ask(engine, "vcpu0", "load_page_faults")->value, 0);
}

static void test_sleeps(void **state)
{
	struct engine *engine = *state;
	struct soft_counters *counters = &hart(engine, 0)->counters;
	const struct told *told;

	soft_count_halt(counters, 0);
	soft_count_halt(counters, 1000); // in [2^9, 2^10)
	told = ask(engine, "vcpu0", "halt_wait_hist");
	assert_int_equal(told->type, METRIC_LOG);
	assert_int_equal(told->value, 2);
	assert_int_equal(told->top, 10);
	soft_count_halt(counters, UINT64_MAX / 2);
	assert_int_equal(ask(engine, "vcpu0", "halt_wait_hist")->top, SOFT_HALT_BUCKETS - 1);
	told = ask(engine, "vcpu0", "halt_wait_ns");
	assert_int_equal(told->unit, METRIC_SECONDS);
	assert_int_equal(told->value, UINT64_MAX / 2 + 1000);
}

static void test_instructions_only_when_counted(void **state)
{
	struct engine *engine = *state;
	struct hart *h = hart(engine, 0);

	h->instret = 77;
	hart_count_retired(h);
	assert_int_equal(ask(engine, "vcpu0", "instructions_retired")->value, 0);
	hart_count_instructions(h, true);
	hart_count_retired(h);
	assert_int_equal(ask(engine, "vcpu0", "instructions_retired")->value, 77);
}

static void test_each_has_a_name_of_its_own(void **state)
{
	struct engine *engine = *state;

	assert_true(ask(engine, "vm", "code_cache_size")->value > 0);
	for (unsigned i = 0; i < engine->count; i++)
		for (unsigned j = i + 1; j < engine->count; j++)
			assert_false(strcmp(engine->told[i].name, engine->told[j].name) == 0 &&
				     strcmp(engine->told[i].source, engine->told[j].source) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_traps_by_cause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleeps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_instructions_only_when_counted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_each_has_a_name_of_its_own, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
