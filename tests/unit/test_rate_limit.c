// SPDX-License-Identifier: GPL-2.0-or-later
// Rate limits: what passes at once, what waits and how long, debts, and shared limits.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"
#include "rate-limit.h"

#include <cmocka.h>

struct fixture {
	struct loop loop;
	struct rate_limit limit;
	struct rate_waiter waiter;
	unsigned ready;
};

static void on_ready(struct rate_waiter *waiter)
{
	struct fixture *f = container_of(waiter, struct fixture, waiter);

	f->ready++;
	loop_stop(&f->loop);
}

static void set_up(struct fixture *f, struct rate_config config)
{
	*f = (struct fixture){ 0 };
	assert_int_equal(loop_init(&f->loop), 0);
	rate_limit_init(&f->limit, &config);
	rate_waiter_init(&f->waiter, &f->limit, &f->loop, on_ready);
}

static void tear_down(struct fixture *f)
{
	rate_waiter_exit(&f->waiter);
	rate_limit_exit(&f->limit);
	loop_exit(&f->loop);
}

static unsigned take_many(struct fixture *f, unsigned max, uint64_t bytes)
{
	unsigned taken = 0;

	while (taken < max && rate_waiter_take(&f->waiter, bytes))
		taken++;
	return taken;
}

static uint64_t wait_ns(const struct fixture *f)
{
	return f->waiter.timer.deadline_ns - clock_monotonic_ns();
}

static void test_no_limit(void **state)
{
	struct fixture f;

	set_up(&f, (struct rate_config){ 0 });
	assert_int_equal(take_many(&f, 1000, 1 << 30), 1000);
	assert_true(rate_waiter_take(&f.waiter, UINT64_MAX));
	tear_down(&f);
	rate_waiter_init(&f.waiter, NULL, NULL, on_ready);
	assert_int_equal(take_many(&f, 1000, 1 << 30), 1000);
	rate_waiter_exit(&f.waiter);
}

// One a hundred seconds: no time to speak of goes by in the test.
static void test_burst(void **state)
{
	struct fixture f;

	set_up(&f, (struct rate_config){ .ops = { .per_s = 1, .burst = 100 } });
	// The bucket may be not quite empty after the hundredth.
	assert_in_range(take_many(&f, 1000, 0), 100, 101);
	assert_false(rate_waiter_take(&f.waiter, 0));
	tear_down(&f);
}

static void test_a_tenth_of_a_second_by_default(void **state)
{
	struct fixture f;

	set_up(&f, (struct rate_config){ .bytes = { .per_s = 10000 } });
	assert_in_range(take_many(&f, 10000, 100), 10, 12);
	tear_down(&f);
}

// What is larger than the bucket passes, and those behind it wait for all of it.
static void test_debt(void **state)
{
	struct fixture f;

	set_up(&f, (struct rate_config){ .bytes = { .per_s = 1000, .burst = 1000 } });
	assert_true(rate_waiter_take(&f.waiter, 60000));
	assert_false(rate_waiter_take(&f.waiter, 1));
	assert_in_range(wait_ns(&f), 58 * NSEC_PER_SEC, 59 * NSEC_PER_SEC);
	// What has no bytes does not wait for bytes.
	assert_true(rate_waiter_take(&f.waiter, 0));
	tear_down(&f);
}

static void test_huge_amounts(void **state)
{
	struct fixture f;

	set_up(&f, (struct rate_config){
			   .ops = { .per_s = UINT64_MAX, .burst = UINT64_MAX },
			   .bytes = { .per_s = 1, .burst = UINT64_MAX },
		   });
	assert_true(rate_waiter_take(&f.waiter, UINT64_MAX));
	assert_true(rate_waiter_take(&f.waiter, UINT64_MAX));
	assert_false(rate_waiter_take(&f.waiter, 1));
	assert_in_range(wait_ns(&f), 86000 * NSEC_PER_SEC, 86400 * NSEC_PER_SEC);
	tear_down(&f);
}

static void test_ready(void **state)
{
	struct fixture f;
	uint64_t begin_ns;

	set_up(&f, (struct rate_config){ .ops = { .per_s = 100 } });
	begin_ns = clock_monotonic_ns();
	take_many(&f, 1000, 0);
	loop_run(&f.loop);
	assert_int_equal(f.ready, 1);
	assert_true(clock_monotonic_ns() - begin_ns >= NSEC_PER_SEC / 100 - 1000000);
	assert_true(rate_waiter_take(&f.waiter, 0));
	tear_down(&f);
}

// No timer is left behind.
static void test_exit_while_waiting(void **state)
{
	struct fixture f;

	set_up(&f, (struct rate_config){ .ops = { .per_s = 1 } });
	take_many(&f, 1000, 0);
	assert_non_null(f.loop.timers);
	rate_waiter_exit(&f.waiter);
	assert_null(f.loop.timers);
	tear_down(&f);
}

// The rate is that of the device, whichever queue uses it up.
static void test_shared(void **state)
{
	struct fixture f;
	struct rate_waiter other;

	set_up(&f, (struct rate_config){ .ops = { .per_s = 1, .burst = 10 } });
	rate_waiter_init(&other, &f.limit, &f.loop, on_ready);
	assert_in_range(take_many(&f, 1000, 0), 10, 11);
	assert_false(rate_waiter_take(&other, 0));
	rate_waiter_exit(&other);
	tear_down(&f);
}

static void test_parse(void **state)
{
	struct rate rate;

	assert_int_equal(rate_parse("1000", &rate), 0);
	assert_true(rate.per_s == 1000 && rate.burst == 0);
	assert_int_equal(rate_parse("10M:1G", &rate), 0);
	assert_true(rate.per_s == 10 * MIB && rate.burst == GIB);
	assert_int_equal(rate_parse("", &rate), -EINVAL);
	assert_int_equal(rate_parse("0", &rate), -EINVAL);
	assert_int_equal(rate_parse("5:", &rate), -EINVAL);
	assert_int_equal(rate_parse("5:6:7", &rate), -EINVAL);
	assert_int_equal(rate_parse("00000000000000000000000000000000000001", &rate), -EINVAL);
	assert_true(rate.per_s == 10 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_a_tenth_of_a_second_by_default),
		cmocka_unit_test(test_debt),
		cmocka_unit_test(test_huge_amounts),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_exit_while_waiting),
		cmocka_unit_test(test_shared),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
