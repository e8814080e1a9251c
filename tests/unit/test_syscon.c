// SPDX-License-Identifier: GPL-2.0-or-later
// The system controller: what switches the machine off, and what does not.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "bus-access.h"
#include "device.h"
#include "hw.h"

#include <cmocka.h>

#define BASE 0x100000ULL
#define NOTHING VCPU_EXIT_COUNT

struct fixture {
	struct bus bus;
	struct device *dev;
	enum vcpu_exit requested;
	unsigned requests;
};

static void request(void *opaque, enum vcpu_exit what)
{
	struct fixture *f = opaque;

	f->requested = what;
	f->requests++;
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .requested = NOTHING };
	bus_init(&f.bus);
	if (syscon_create(&f.dev, BASE, (struct power_sink){ request, &f }) ||
	    bus_add(&f.bus, &f.dev->region))
		return -1;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->dev->ops->free(f->dev);
	bus_exit(&f->bus);
	return 0;
}

static enum vcpu_exit after_write(struct fixture *f, uint64_t offset, unsigned size, uint64_t value)
{
	f->requested = NOTHING;
	bus_put(&f->bus, BASE + offset, size, value);
	return f->requested;
}

static void test_poweroff_and_reboot(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(after_write(f, 0, 4, 0x5555), VCPU_EXIT_SHUTDOWN);
	assert_int_equal(after_write(f, 0, 4, 0x7777), VCPU_EXIT_RESET);
	assert_int_equal(after_write(f, 0, 2, 0x5555), VCPU_EXIT_SHUTDOWN);
	assert_int_equal(f->requests, 3);
	f->dev->ops->reset(f->dev);
	assert_int_equal(bus_get(&f->bus, BASE, 4), 0);
}

static void test_other_writes_do_nothing(void **state)
{
	struct fixture *f = *state;
	const uint32_t values[] = { 0, 1, 0x55, 0x3333, 0x15555, 0x77770000, ~0U };

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		assert_int_equal(after_write(f, 0, 4, values[i]), NOTHING);
	assert_int_equal(after_write(f, 0, 1, 0x55), NOTHING);
	assert_int_equal(after_write(f, 0, 8, 0x5555), NOTHING);
	assert_int_equal(after_write(f, 4, 4, 0x5555), NOTHING);
	assert_int_equal(after_write(f, 2, 4, 0x5555), NOTHING);
	assert_int_equal(after_write(f, 0xffc, 4, 0x5555), NOTHING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_poweroff_and_reboot),
		TEST(test_other_writes_do_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
