// SPDX-License-Identifier: GPL-2.0-or-later
// The goldfish clock: time, setting it, the alarm.

#include <time.h>

#include "rtc-fixture.h"

#define BASE 0x101000ULL
#define MSEC 1000000ULL

enum {
	TIME_LOW = 0x00,
	TIME_HIGH = 0x04,
	ALARM_LOW = 0x08,
	ALARM_HIGH = 0x0c,
	IRQ_ENABLED = 0x10,
	CLEAR_ALARM = 0x14,
	ALARM_STATUS = 0x18,
	CLEAR_INTERRUPT = 0x1c,
};

static int setup(void **state)
{
	struct fixture *f = make_fixture(2);

	*state = f;
	return goldfish_rtc_create(&f->dev, BASE, fixture_line(f), &f->loop) ||
	       bus_add(&f->bus, &f->dev->region);
}

static uint32_t get(struct fixture *f, unsigned reg)
{
	return bus_get(&f->bus, BASE + reg, 4);
}

static void put(struct fixture *f, unsigned reg, uint32_t value)
{
	bus_put(&f->bus, BASE + reg, 4, value);
}

static uint64_t get_time(struct fixture *f)
{
	uint64_t low = get(f, TIME_LOW);

	return (uint64_t)get(f, TIME_HIGH) << 32 | low;
}

static void put_pair(struct fixture *f, unsigned low, unsigned high, uint64_t value)
{
	put(f, high, value >> 32);
	put(f, low, value);
}

static void set_alarm(struct fixture *f, uint64_t alarm_ns)
{
	put_pair(f, ALARM_LOW, ALARM_HIGH, alarm_ns);
}

static void test_time_is_the_hosts(void **state)
{
	struct fixture *f = *state;
	struct timespec now;
	uint64_t before_ns, after_ns, got_ns;

	clock_gettime(CLOCK_REALTIME, &now);
	before_ns = now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
	got_ns = get_time(f);
	clock_gettime(CLOCK_REALTIME, &now);
	after_ns = now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
	assert_in_range(got_ns, before_ns, after_ns);
}

static void test_high_half_is_latched_by_the_low_one(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, TIME_HIGH), 0); // nothing latched yet
	put_pair(f, TIME_LOW, TIME_HIGH, 0x00000005ffffffff);
	put(f, TIME_HIGH, 9); // waits for the low half
	usleep(1);
	assert_true(get_time(f) >= 0x600000000);
	put_pair(f, TIME_LOW, TIME_HIGH, 0x0000000500000000);
	get(f, TIME_LOW);
	put_pair(f, TIME_LOW, TIME_HIGH, 0x0000000700000000);
	assert_int_equal(get(f, TIME_HIGH), 5);
}

static void test_time_can_be_set_and_survives_a_reset(void **state)
{
	struct fixture *f = *state;
	const uint64_t times[] = { 0, 1000000 * NSEC_PER_SEC, 1ULL << 63 };

	for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
		put_pair(f, TIME_LOW, TIME_HIGH, times[i]);
		f->dev->ops->reset(f->dev);
		assert_in_range(get_time(f), times[i], times[i] + 20 * NSEC_PER_SEC);
	}
}

static void test_alarm_rings_when_due(void **state)
{
	struct fixture *f = *state;
	uint64_t start_ns = clock_monotonic_ns();

	put(f, IRQ_ENABLED, 1);
	set_alarm(f, get_time(f) + 5 * MSEC);
	assert_int_equal(get(f, ALARM_STATUS), 1);
	assert_false(f->irq);
	loop_run(&f->loop); // until the line rises
	assert_true(f->irq);
	assert_true(clock_monotonic_ns() - start_ns >= 4 * MSEC);
	assert_int_equal(get(f, ALARM_STATUS), 0);
	put(f, CLEAR_INTERRUPT, 1);
	assert_false(f->irq);
}

static void test_alarm_in_the_past_rings_at_once(void **state)
{
	struct fixture *f = *state;

	set_alarm(f, get_time(f) - 1);
	assert_false(f->irq); // not enabled
	put(f, IRQ_ENABLED, 1);
	assert_true(f->irq);
	put(f, IRQ_ENABLED, 0);
	assert_false(f->irq);
	put(f, IRQ_ENABLED, 1);
	put(f, CLEAR_INTERRUPT, 0); // any value
	assert_false(f->irq);
	set_alarm(f, 0);
	assert_true(f->irq);
}

static void test_alarm_reads_back(void **state)
{
	struct fixture *f = *state;

	set_alarm(f, 0x7123456789abcdef);
	assert_int_equal(get(f, ALARM_LOW), 0x89abcdef);
	assert_int_equal(get(f, ALARM_HIGH), 0x71234567);
	put(f, ALARM_HIGH, 0); // no effect before the low half
	assert_int_equal(get(f, ALARM_HIGH), 0x71234567);
}

static void test_cleared_alarm_is_silent(void **state)
{
	struct fixture *f = *state;

	put(f, IRQ_ENABLED, 1);
	set_alarm(f, get_time(f) + 2 * MSEC);
	serve_posts(f); // the timer is armed
	put(f, CLEAR_ALARM, 1);
	assert_int_equal(get(f, ALARM_STATUS), 0);
	usleep(4000);
	serve_posts(f);
	serve_posts(f);
	assert_false(f->irq);
}

static void test_far_alarms(void **state)
{
	struct fixture *f = *state;
	const uint64_t alarms[] = { INT64_MAX, 1ULL << 63, UINT64_MAX };

	put(f, IRQ_ENABLED, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(alarms); i++) {
		set_alarm(f, alarms[i]);
		serve_posts(f);
		assert_false(f->irq);
		assert_int_equal(get(f, ALARM_STATUS), 1);
	}
}

// Setting the clock forward past the alarm makes it due.
static void test_setting_the_clock_moves_the_alarm(void **state)
{
	struct fixture *f = *state;

	put(f, IRQ_ENABLED, 1);
	put_pair(f, TIME_LOW, TIME_HIGH, 1000 * NSEC_PER_SEC);
	set_alarm(f, 5000 * NSEC_PER_SEC);
	serve_posts(f);
	assert_false(f->irq);
	put_pair(f, TIME_LOW, TIME_HIGH, 5001 * NSEC_PER_SEC);
	loop_run(&f->loop);
	assert_true(f->irq);
}

static void test_reset_disarms(void **state)
{
	struct fixture *f = *state;

	put(f, IRQ_ENABLED, 1);
	set_alarm(f, 0);
	set_alarm(f, get_time(f) + 2 * MSEC);
	assert_true(f->irq);
	f->dev->ops->reset(f->dev);
	assert_false(f->irq);
	assert_int_equal(get(f, IRQ_ENABLED), 0);
	usleep(4000);
	serve_posts(f);
	put(f, IRQ_ENABLED, 1);
	assert_false(f->irq);
}

static void test_other_accesses_do_nothing(void **state)
{
	struct fixture *f = *state;
	const unsigned sizes[] = { 1, 2, 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		bus_put(&f->bus, BASE + IRQ_ENABLED, sizes[i], 1);
		assert_int_equal(bus_get(&f->bus, BASE + TIME_LOW, sizes[i]), 0);
	}
	bus_put(&f->bus, BASE + IRQ_ENABLED + 1, 4, 1);
	assert_int_equal(get(f, IRQ_ENABLED), 0);
	for (unsigned reg = 0x20; reg < GOLDFISH_RTC_SIZE; reg += 4) {
		put(f, reg, ~0U);
		assert_int_equal(get(f, reg), 0);
	}
}

static void test_freed_with_an_alarm_on_its_way(void **state)
{
	struct fixture *f = *state;

	set_alarm(f, get_time(f) + 2 * MSEC);
	serve_posts(f);
	set_alarm(f, get_time(f) + 1 * MSEC); // its post still waits
	f->dev->ops->free(f->dev);
	f->dev = NULL;
	usleep(3000);
	serve_posts(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_time_is_the_hosts),
		TEST(test_high_half_is_latched_by_the_low_one),
		TEST(test_time_can_be_set_and_survives_a_reset),
		TEST(test_alarm_rings_when_due),
		TEST(test_alarm_in_the_past_rings_at_once),
		TEST(test_alarm_reads_back),
		TEST(test_cleared_alarm_is_silent),
		TEST(test_far_alarms),
		TEST(test_setting_the_clock_moves_the_alarm),
		TEST(test_reset_disarms),
		TEST(test_other_accesses_do_nothing),
		TEST(test_freed_with_an_alarm_on_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
