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

#include "metrics.h"
#include "soft-fixture.h"

#define METRICS_MAX 200

struct told {
	char source[32], name[64];
	enum metric_type type;
	enum metric_unit unit;
	uint64_t value; // of a histogram: of all buckets
	unsigned top;   // of a histogram: the last bucket that is not empty
};

struct rig {
	struct engine engine;
	struct metric_sink sink;
	struct told told[METRICS_MAX];
	unsigned count;
};

static void put(struct metric_sink *sink, const struct metric *metric)
{
	struct rig *rig = container_of(sink, struct rig, sink);
	struct told *told = &rig->told[rig->count++];

	assert_true(rig->count <= METRICS_MAX);
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
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->sink.put = put;
	engine_init(&rig->engine, NULL);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	engine_exit(&rig->engine);
	free(rig);
	return 0;
}

static const struct told *ask(struct rig *rig, const char *source, const char *name)
{
	memset(rig->told, 0, sizeof(rig->told));
	rig->count = 0;
	soft_accel_ops.metrics(&rig->engine.accel, &rig->sink);
	for (unsigned i = 0; i < rig->count; i++)
		if (strcmp(rig->told[i].source, source) == 0 &&
		    strcmp(rig->told[i].name, name) == 0)
			return &rig->told[i];
	fail_msg("no %s of %s", name, source);
	return NULL;
}

static void test_traps_by_cause(void **state)
{
	struct rig *rig = *state;

	hart_trap(hart(&rig->engine, 1), 0, CAUSE_LOAD_PAGE_FAULT, 0);
	hart_trap(hart(&rig->engine, 1), 0, CAUSE_LOAD_PAGE_FAULT, 0);
	hart_trap(hart(&rig->engine, 1), 0, 1ULL << 63 | 5, 0);
	assert_int_equal(ask(rig, "vcpu1", "load_page_faults")->value, 2);
	assert_int_equal(ask(rig, "vcpu1", "timer_interrupts")->value, 1);
	assert_int_equal(ask(rig, "vcpu1", "user_ecalls")->value, 0);
	assert_int_equal(ask(rig, "vcpu0", "load_page_faults")->value, 0);
}

static void test_sleeps(void **state)
{
	struct rig *rig = *state;
	struct soft_counters *counters = &hart(&rig->engine, 0)->counters;
	const struct told *told;

	soft_count_halt(counters, 0);
	soft_count_halt(counters, 1000); // in [2^9, 2^10)
	told = ask(rig, "vcpu0", "halt_wait_hist");
	assert_int_equal(told->type, METRIC_LOG);
	assert_int_equal(told->value, 2);
	assert_int_equal(told->top, 10);
	soft_count_halt(counters, UINT64_MAX / 2);
	assert_int_equal(ask(rig, "vcpu0", "halt_wait_hist")->top, SOFT_HALT_BUCKETS - 1);
	told = ask(rig, "vcpu0", "halt_wait_ns");
	assert_int_equal(told->unit, METRIC_SECONDS);
	assert_int_equal(told->value, UINT64_MAX / 2 + 1000);
}

static void test_instructions_only_when_counted(void **state)
{
	struct rig *rig = *state;
	struct hart *h = hart(&rig->engine, 0);

	h->instret = 77;
	hart_count_retired(h);
	assert_int_equal(ask(rig, "vcpu0", "instructions_retired")->value, 0);
	hart_count_instructions(h, true);
	hart_count_retired(h);
	assert_int_equal(ask(rig, "vcpu0", "instructions_retired")->value, 77);
}

static void test_each_has_a_name_of_its_own(void **state)
{
	struct rig *rig = *state;

	assert_true(ask(rig, "vm", "code_cache_size")->value > 0);
	for (unsigned i = 0; i < rig->count; i++)
		for (unsigned j = i + 1; j < rig->count; j++)
			assert_false(strcmp(rig->told[i].name, rig->told[j].name) == 0 &&
				     strcmp(rig->told[i].source, rig->told[j].source) == 0);
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
