// SPDX-License-Identifier: GPL-2.0-or-later
// The MC146818: time in its four formats, setting it, alarm, interrupts, RAM.

#include <time.h>

#include "rtc-fixture.h"

#define INDEX 0x70
#define DATA 0x71

enum {
	SECONDS = 0x00,
	SECONDS_ALARM = 0x01,
	MINUTES = 0x02,
	MINUTES_ALARM = 0x03,
	HOURS = 0x04,
	HOURS_ALARM = 0x05,
	WEEKDAY = 0x06,
	DAY = 0x07,
	MONTH = 0x08,
	YEAR = 0x09,
	A = 0x0a,
	B = 0x0b,
	C = 0x0c,
	D = 0x0d,
	CENTURY = 0x32,
};

enum {
	SET = 0x80,
	PERIODIC = 0x40,
	ALARM = 0x20,
	UPDATE = 0x10,
	BINARY = 0x04,
	HOURS_24 = 0x02,
	INTERRUPT = 0x80, // in C
};

static int setup(void **state)
{
	struct fixture *f = make_fixture(8);

	*state = f;
	return cmos_rtc_create(&f->dev, INDEX, fixture_line(f), &f->loop) ||
	       bus_add(&f->bus, &f->dev->region);
}

static uint8_t get(struct fixture *f, uint8_t reg)
{
	bus_put(&f->bus, INDEX, 1, reg);
	return bus_get(&f->bus, DATA, 1);
}

static void put(struct fixture *f, uint8_t reg, uint8_t value)
{
	bus_put(&f->bus, INDEX, 1, reg);
	bus_put(&f->bus, DATA, 1, value);
}

// Sets 21:58:56 on 2031-12-09, a Tuesday, in the format that B then says.
static void set_time(struct fixture *f, uint8_t b)
{
	static const struct {
		uint8_t reg, bcd, binary;
	} fields[] = {
		{ SECONDS, 0x56, 56 }, { MINUTES, 0x58, 58 }, { WEEKDAY, 0x03, 3 },
		{ DAY, 0x09, 9 },      { MONTH, 0x12, 12 },   { YEAR, 0x31, 31 },
		{ CENTURY, 0x20, 20 },
	};
	uint8_t hours = b & BINARY ? 21 : 0x21;

	if (!(b & HOURS_24))
		hours = 0x89; // 9 p.m. in both
	put(f, B, b | SET);
	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		put(f, fields[i].reg, b & BINARY ? fields[i].binary : fields[i].bcd);
	put(f, HOURS, hours);
	put(f, B, b);
}

// What set_time() has set, give or take a second of the test's own.
static void assert_time(struct fixture *f, uint8_t b)
{
	bool binary = b & BINARY;
	uint8_t hours = binary ? 21 : 0x21;

	if (!(b & HOURS_24))
		hours = 0x89;
	put(f, B, b);
	assert_in_range(get(f, SECONDS), binary ? 56 : 0x56, binary ? 58 : 0x58);
	assert_int_equal(get(f, MINUTES), binary ? 58 : 0x58);
	assert_int_equal(get(f, HOURS), hours);
	assert_int_equal(get(f, WEEKDAY), 3);
	assert_int_equal(get(f, DAY), 9);
	assert_int_equal(get(f, MONTH), binary ? 12 : 0x12);
	assert_int_equal(get(f, YEAR), binary ? 31 : 0x31);
	assert_int_equal(get(f, CENTURY), binary ? 20 : 0x20);
}

static void test_time_is_the_hosts(void **state)
{
	struct fixture *f = *state;
	time_t now;
	struct tm before, after;
	uint8_t minutes;

	put(f, B, BINARY | HOURS_24);
	time(&now);
	gmtime_r(&now, &before);
	minutes = get(f, MINUTES);
	assert_int_equal(get(f, CENTURY) * 100 + get(f, YEAR), before.tm_year + 1900);
	time(&now);
	gmtime_r(&now, &after);
	assert_true(minutes == before.tm_min || minutes == after.tm_min);
}

static void test_all_formats(void **state)
{
	static const uint8_t formats[] = { 0, BINARY, HOURS_24, BINARY | HOURS_24 };

	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		set_time(*state, formats[i]);
		for (unsigned k = 0; k < ARRAY_SIZE(formats); k++)
			assert_time(*state, formats[k]);
	}
}

static void test_twelve_hours(void **state)
{
	static const struct {
		uint8_t of_24, of_12;
	} pairs[] = { { 0x00, 0x12 }, { 0x01, 0x01 }, { 0x11, 0x11 },
		      { 0x12, 0x92 }, { 0x13, 0x81 }, { 0x23, 0x91 } };
	struct fixture *f = *state;

	set_time(f, HOURS_24);
	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
		put(f, B, HOURS_24);
		put(f, HOURS, pairs[i].of_24); // while the clock runs
		put(f, B, 0);
		assert_int_equal(get(f, HOURS), pairs[i].of_12);
		put(f, HOURS, pairs[i].of_12);
		put(f, B, HOURS_24);
		assert_int_equal(get(f, HOURS), pairs[i].of_24);
	}
}

static void test_stands_still_while_set(void **state)
{
	struct fixture *f = *state;

	set_time(f, HOURS_24);
	put(f, B, HOURS_24 | SET);
	put(f, SECONDS, 0x77); // no such second: kept as it is
	assert_int_equal(get(f, SECONDS), 0x77);
	put(f, SECONDS, 0x30);
	put(f, B, HOURS_24);
	assert_in_range(get(f, SECONDS), 0x30, 0x32);
}

// Fields that no clock has must do no harm.
static void test_nonsense_is_harmless(void **state)
{
	struct fixture *f = *state;

	for (unsigned b = 0; b < 8; b += 2) {
		put(f, B, b | SET);
		for (uint8_t reg = 0; reg < 128; reg++)
			if (reg != B && reg != A)
				put(f, reg, 0xff);
		put(f, B, b);
		for (uint8_t reg = 0; reg < 128; reg++)
			get(f, reg);
	}
	put(f, B, HOURS_24 | UPDATE | ALARM);
	serve_posts(f);
	get(f, C);
}

static void test_ram_and_status(void **state)
{
	struct fixture *f = *state;

	put(f, 0x10, 0xa5);
	put(f, 0x7f, 0x5a);
	put(f, D, 0);
	assert_int_equal(get(f, 0x10), 0xa5);
	assert_int_equal(get(f, 0x7f), 0x5a);
	assert_int_equal(get(f, 0x90), 0xa5); // bit 7 masks NMIs
	assert_int_equal(get(f, D), 0x80);
	assert_int_equal(bus_get(&f->bus, INDEX, 1), 0xff);
	put(f, A, 0xff);
	assert_int_equal(get(f, A) & 0x7f, 0x7f);
	f->dev->ops->reset(f->dev);
	assert_int_equal(get(f, 0x10), 0xa5);
}

// -- interrupts --

static void test_alarm(void **state)
{
	struct fixture *f = *state;

	set_time(f, HOURS_24); // 21:58:56
	put(f, HOURS_ALARM, 0x21);
	put(f, MINUTES_ALARM, 0x58);
	put(f, SECONDS_ALARM, 0x57);
	get(f, C);
	put(f, B, HOURS_24 | ALARM);
	loop_run(&f->loop);
	assert_true(f->irq);
	assert_in_range(get(f, SECONDS), 0x57, 0x58);
	assert_int_equal(get(f, C) & (INTERRUPT | ALARM), INTERRUPT | ALARM);
	assert_false(f->irq);
	assert_int_equal(get(f, C) & (INTERRUPT | ALARM), 0);
}

static void test_alarm_of_any_hour(void **state)
{
	struct fixture *f = *state;

	set_time(f, 0);
	put(f, HOURS_ALARM, 0xff);
	put(f, MINUTES_ALARM, 0xc0);
	put(f, SECONDS_ALARM, 0x57);
	put(f, B, ALARM);
	loop_run(&f->loop);
	assert_in_range(get(f, SECONDS), 0x57, 0x58);
	assert_int_equal(get(f, C) & ALARM, ALARM);
}

// Nobody waited for it, but the flag tells.
static void test_flags_without_interrupts(void **state)
{
	struct fixture *f = *state;

	set_time(f, HOURS_24);
	get(f, C);
	put(f, HOURS_ALARM, 0xff);
	put(f, MINUTES_ALARM, 0xff);
	put(f, SECONDS_ALARM, 0xff);
	usleep(1100000);
	assert_int_equal(get(f, C), UPDATE | ALARM | PERIODIC);
	assert_false(f->irq);
}

static void test_periodic(void **state)
{
	struct fixture *f = *state;
	uint64_t before_ns;

	put(f, A, 0x20 | 10); // 64 Hz
	put(f, B, HOURS_24 | PERIODIC);
	serve_posts(f);
	if (!f->irq) // which it is already where the host is slow
		loop_run(&f->loop);
	get(f, C);
	before_ns = clock_monotonic_ns();
	for (unsigned i = 0; i < 4; i++) {
		loop_run(&f->loop);
		assert_int_equal(get(f, C) & (INTERRUPT | PERIODIC), INTERRUPT | PERIODIC);
		assert_false(f->irq);
	}
	assert_true(clock_monotonic_ns() - before_ns > 3 * NSEC_PER_SEC / 64);
}

// One that waits to be acknowledged is not followed by others.
static void test_interrupt_stays(void **state)
{
	struct fixture *f = *state;

	put(f, A, 0x20 | 3); // 8192 Hz
	put(f, B, HOURS_24 | PERIODIC);
	loop_run(&f->loop);
	assert_true(f->irq);
	serve_posts(f);
	assert_true(f->irq);
	assert_null(f->loop.timers);
	put(f, B, HOURS_24);
	assert_false(f->irq);
}

static void test_reset_stops_interrupts(void **state)
{
	struct fixture *f = *state;

	put(f, A, 0x20 | 3);
	put(f, B, HOURS_24 | PERIODIC | BINARY);
	loop_run(&f->loop);
	f->dev->ops->reset(f->dev);
	assert_false(f->irq);
	assert_int_equal(get(f, B), HOURS_24 | BINARY);
	assert_int_equal(get(f, C) & INTERRUPT, 0);
	serve_posts(f);
	assert_null(f->loop.timers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_time_is_the_hosts),
		TEST(test_all_formats),
		TEST(test_twelve_hours),
		TEST(test_stands_still_while_set),
		TEST(test_nonsense_is_harmless),
		TEST(test_ram_and_status),
		TEST(test_alarm),
		TEST(test_alarm_of_any_hour),
		TEST(test_flags_without_interrupts),
		TEST(test_periodic),
		TEST(test_interrupt_stays),
		TEST(test_reset_stops_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
