// SPDX-License-Identifier: GPL-2.0-or-later
// Arm's PL031 clock: time, setting it, the match, what a PrimeCell driver looks for.

#include <libfdt.h>
#include <string.h>
#include <time.h>

#include "fdt.h"
#include "rtc-fixture.h"

#define BASE 0x101000ULL
#define CLOCK_PHANDLE 7

enum {
	DR = 0x00,
	MR = 0x04,
	LR = 0x08,
	CR = 0x0c,
	IMSC = 0x10,
	RIS = 0x14,
	MIS = 0x18,
	ICR = 0x1c,
};

static int setup(void **state)
{
	struct fixture *f = make_fixture(2);

	*state = f;
	return pl031_create(&f->dev, BASE, fixture_line(f), &f->loop, CLOCK_PHANDLE) ||
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

static void test_time_is_the_hosts(void **state)
{
	struct fixture *f = *state;
	time_t before = time(NULL);
	uint32_t got = get(f, DR);

	assert_in_range(got, before - 1, time(NULL) + 1);
}

static void test_time_can_be_set_and_survives_a_reset(void **state)
{
	struct fixture *f = *state;
	const uint32_t times[] = { 0, 1000000, 0x80000000, 0xfffffff0 };

	for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
		put(f, LR, times[i]);
		assert_int_equal(get(f, LR), times[i]);
		assert_true(get(f, DR) - times[i] < 5);
		f->dev->ops->reset(f->dev);
		assert_int_equal(get(f, LR), 0);
		assert_true(get(f, DR) - times[i] < 5);
	}
	put(f, DR, 5); // read only
	assert_true(get(f, DR) >= 0xfffffff0);
}

// A second later, which is the first after the counter's last.
static void test_match_rings_when_due(void **state)
{
	struct fixture *f = *state;
	uint64_t start_ns = clock_monotonic_ns();

	put(f, LR, 0xffffffff);
	put(f, IMSC, 1);
	put(f, MR, 0);
	loop_run(&f->loop); // until the line rises
	assert_true(f->irq);
	assert_true(clock_monotonic_ns() - start_ns > NSEC_PER_SEC / 2);
	assert_in_range(get(f, DR), 0, 5);
	assert_int_equal(get(f, RIS), 1);
	assert_int_equal(get(f, MIS), 1);
	put(f, ICR, 1);
	assert_false(f->irq);
	assert_int_equal(get(f, RIS), 0);
}

static void test_a_match_of_now_rings_at_once(void **state)
{
	struct fixture *f = *state;

	put(f, LR, 500);
	put(f, MR, 500);
	assert_int_equal(get(f, RIS), 1);
	assert_int_equal(get(f, MIS), 0);
	assert_false(f->irq);
	put(f, IMSC, 1);
	assert_int_equal(get(f, MIS), 1);
	assert_true(f->irq);
	put(f, IMSC, ~1U);
	assert_int_equal(get(f, IMSC), 0);
	assert_false(f->irq);
	put(f, ICR, ~1U); // only bit 0 clears
	assert_int_equal(get(f, RIS), 1);
	put(f, ICR, 1);
	assert_int_equal(get(f, RIS), 0);
}

// The counter goes round before it comes to one that has gone by.
static void test_a_match_of_the_past_is_far_away(void **state)
{
	struct fixture *f = *state;
	const uint32_t times[] = { 0, 100, 0x7fffffff, 0xffffffff };

	put(f, IMSC, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
		put(f, LR, times[i]);
		put(f, MR, times[i] - 1);
		serve_posts(f);
		serve_posts(f);
		assert_false(f->irq);
	}
}

static void test_setting_the_clock_moves_the_match(void **state)
{
	struct fixture *f = *state;

	put(f, IMSC, 1);
	put(f, LR, 1000);
	put(f, MR, 5000);
	serve_posts(f);
	assert_false(f->irq);
	put(f, LR, 5000);
	assert_true(f->irq);
}

// No match was ever asked for: a clock that is set to MR's reset value is silent.
static void test_no_match_without_asking(void **state)
{
	struct fixture *f = *state;

	put(f, IMSC, 1);
	put(f, LR, 0);
	assert_false(f->irq);
	assert_int_equal(get(f, RIS), 0);
}

static void test_reset_disarms(void **state)
{
	struct fixture *f = *state;

	put(f, IMSC, 1);
	put(f, LR, 100);
	put(f, MR, 100);
	put(f, MR, 5000);
	serve_posts(f);
	assert_true(f->irq);
	f->dev->ops->reset(f->dev);
	assert_false(f->irq);
	assert_int_equal(get(f, MR), 0);
	assert_int_equal(get(f, IMSC), 0);
	assert_int_equal(get(f, RIS), 0);
	put(f, LR, 5000);
	serve_posts(f);
	assert_int_equal(get(f, RIS), 0);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;
	uint32_t part = 0, cell = 0;

	for (unsigned i = 0; i < 4; i++) {
		part |= get(f, 0xfe0 + 4 * i) << 8 * i;
		cell |= get(f, 0xff0 + 4 * i) << 8 * i;
	}
	// Linux's drivers/rtc/rtc-pl031.c and amba/bus.h.
	assert_int_equal(part & 0xfffff, 0x41031);
	assert_int_equal(cell, 0xb105f00d);
	assert_int_equal(get(f, CR), 1);
	put(f, CR, 0); // runs for ever
	assert_int_equal(get(f, CR), 1);
}

static void test_other_accesses_do_nothing(void **state)
{
	struct fixture *f = *state;
	const unsigned sizes[] = { 1, 2, 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		bus_put(&f->bus, BASE + IMSC, sizes[i], 1);
		assert_int_equal(bus_get(&f->bus, BASE + DR, sizes[i]), 0);
	}
	for (unsigned reg = 0x20; reg < 0xfe0; reg += 4) {
		put(f, reg, ~0U);
		assert_int_equal(get(f, reg), 0);
	}
	assert_int_equal(get(f, IMSC), 0);
}

static void test_node(void **state)
{
	struct fixture *f = *state;
	char blob[4096];
	struct fdt_writer fdt;
	const fdt32_t *clocks;
	int node, len;

	fdt_writer_init(&fdt, blob, sizeof(blob));
	f->dev->ops->describe(f->dev, &fdt);
	assert_int_equal(fdt_writer_finish(&fdt), 0);
	node = fdt_path_offset(blob, "/rtc@101000");
	assert_true(node >= 0);
	assert_int_equal(fdt_node_check_compatible(blob, node, "arm,pl031"), 0);
	assert_int_equal(fdt_node_check_compatible(blob, node, "arm,primecell"), 0);
	assert_string_equal(fdt_getprop(blob, node, "clock-names", NULL), "apb_pclk");
	clocks = fdt_getprop(blob, node, "clocks", &len);
	assert_int_equal(len, 4);
	assert_int_equal(fdt32_ld(clocks), CLOCK_PHANDLE);
}

static void test_freed_with_a_match_on_its_way(void **state)
{
	struct fixture *f = *state;

	put(f, LR, 10);
	put(f, MR, 500);
	serve_posts(f);
	put(f, MR, 400); // its post still waits
	f->dev->ops->free(f->dev);
	f->dev = NULL;
	serve_posts(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_time_is_the_hosts),
		TEST(test_time_can_be_set_and_survives_a_reset),
		TEST(test_match_rings_when_due),
		TEST(test_a_match_of_now_rings_at_once),
		TEST(test_a_match_of_the_past_is_far_away),
		TEST(test_setting_the_clock_moves_the_match),
		TEST(test_no_match_without_asking),
		TEST(test_reset_disarms),
		TEST(test_identity),
		TEST(test_other_accesses_do_nothing),
		TEST(test_node),
		TEST(test_freed_with_a_match_on_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
