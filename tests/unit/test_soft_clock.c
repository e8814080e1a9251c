// SPDX-License-Identifier: GPL-2.0-or-later
// The software engine's time and timers while its clock is on hold.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>

#include "loop.h"
#include "soft-fixture.h"

#define HOUR_NS (3600 * NSEC_PER_SEC)
#define MSEC_TICKS (TIMEBASE_HZ / 1000)
#define LONG_MS 10000 // what a busy host may take
#define NEVER UINT64_MAX

// How much faster than the host's the engine's clock has gone.
static _Atomic uint64_t skipped_ns;

static uint64_t skipping_clock(void)
{
	return clock_monotonic_ns() + atomic_load(&skipped_ns);
}

static int setup(void **state)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	atomic_store(&skipped_ns, 0);
	engine_init(engine, skipping_clock);
	*state = engine;
	return 0;
}

static int teardown(void **state)
{
	engine_exit(*state);
	free(*state);
	return 0;
}

static void hold(struct engine *engine, bool on)
{
	soft_accel_ops.hold_clock(&engine->accel, on);
}

static bool timer_is_due(struct engine *engine, unsigned index)
{
	return atomic_load(&hart(engine, index)->sip) & IP_STIP;
}

static void arm_in_ms(struct engine *engine, unsigned index, uint64_t ms)
{
	struct hart *h = hart(engine, index);

	hart_set_timer(h, hart_time(h) + ms * MSEC_TICKS);
}

static bool comes_due(struct engine *engine, unsigned index)
{
	for (unsigned ms = 0; ms < LONG_MS; ms++) {
		if (timer_is_due(engine, index))
			return true;
		usleep(1000);
	}
	return false;
}

static void test_no_jump_over_an_hour(void **state)
{
	struct engine *engine = *state;
	uint64_t before, after;

	before = hart_time(hart(engine, 0));
	arm_in_ms(engine, 0, 60000);
	hold(engine, true);
	atomic_fetch_add(&skipped_ns, HOUR_NS);
	hold(engine, false);
	after = hart_time(hart(engine, 0));
	assert_true(after >= before);
	assert_true(after - before < LONG_MS * MSEC_TICKS);
	usleep(20000);
	assert_false(timer_is_due(engine, 0));
}

static void test_deadlines_move_and_none_stays_none(void **state)
{
	struct engine *engine = *state;
	uint64_t before_ns, moved_ns;

	arm_in_ms(engine, 0, 60000);
	before_ns = atomic_load(&hart(engine, 0)->deadline_ns);
	hold(engine, true);
	atomic_fetch_add(&skipped_ns, HOUR_NS);
	hold(engine, false);
	moved_ns = atomic_load(&hart(engine, 0)->deadline_ns) - before_ns;
	assert_true(moved_ns >= HOUR_NS && moved_ns < HOUR_NS + LONG_MS * 1000000ULL);
	assert_true(atomic_load(&hart(engine, 1)->deadline_ns) == NEVER);
}

static void test_nothing_comes_due_on_hold(void **state)
{
	struct engine *engine = *state;

	arm_in_ms(engine, 0, 40);
	hold(engine, true);
	// Unless the host was so slow that it came before.
	if (!timer_is_due(engine, 0)) {
		usleep(100000);
		assert_false(timer_is_due(engine, 0));
	}
	hold(engine, false);
	assert_true(comes_due(engine, 0));
}

static void test_holds_add_up(void **state)
{
	struct engine *engine = *state;
	uint64_t before = hart_time(hart(engine, 0));

	for (unsigned i = 0; i < 5; i++) {
		hold(engine, true);
		atomic_fetch_add(&skipped_ns, HOUR_NS);
		hold(engine, false);
	}
	assert_true(hart_time(hart(engine, 0)) - before < LONG_MS * MSEC_TICKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_jump_over_an_hour, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadlines_move_and_none_stays_none, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nothing_comes_due_on_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_holds_add_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
