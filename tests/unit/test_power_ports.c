// SPDX-License-Identifier: GPL-2.0-or-later
// The ports that switch a PC off or restart it, and what does not; the keyboard
// controller, which is there for the same.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "bus-access.h"
#include "device.h"
#include "hw.h"

#include <cmocka.h>

#define ACPI 0x600
#define RESET_CONTROL 0xcf9
#define KBC_DATA 0x60
#define KBC 0x64
#define NOTHING VCPU_EXIT_COUNT

#define OUTPUT_FULL 0x01

struct fixture {
	struct bus bus;
	struct device_list devices;
	enum vcpu_exit requested;
};

static void request(void *opaque, enum vcpu_exit what)
{
	struct fixture *f = opaque;

	f->requested = what;
}

static int setup(void **state)
{
	static struct fixture f;
	struct power_sink power = { request, &f };
	struct device *dev;

	f = (struct fixture){ .requested = NOTHING };
	bus_init(&f.bus);
	if (acpi_power_create(&dev, ACPI, power) || device_list_add(&f.devices, &f.bus, dev) ||
	    reset_port_create(&dev, RESET_CONTROL, power) ||
	    device_list_add(&f.devices, &f.bus, dev) || i8042_create(&dev, KBC_DATA, power) ||
	    device_list_add(&f.devices, &f.bus, dev))
		return -1;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_list_free(&f->devices);
	bus_exit(&f->bus);
	return 0;
}

static enum vcpu_exit after_write(struct fixture *f, uint16_t port, unsigned size, uint32_t value)
{
	f->requested = NOTHING;
	bus_put(&f->bus, port, size, value);
	return f->requested;
}

static uint8_t get(struct fixture *f, uint16_t port)
{
	return bus_get(&f->bus, port, 1);
}

// -- ACPI --

static void test_acpi_s5_switches_off(void **state)
{
	const uint8_t s5 = ACPI_POWER_S5_TYPE << 2 | 0x20;

	assert_int_equal(after_write(*state, ACPI, 1, s5), VCPU_EXIT_SHUTDOWN);
	assert_int_equal(after_write(*state, ACPI, 1, s5 | 0xc3), VCPU_EXIT_SHUTDOWN);
	assert_int_equal(get(*state, ACPI), 0);
}

static void test_acpi_other_types_do_nothing(void **state)
{
	for (unsigned value = 0; value < 0x100; value++) {
		bool is_s5 = (value >> 2 & 7) == ACPI_POWER_S5_TYPE && value & 0x20;

		assert_int_equal(after_write(*state, ACPI, 1, value),
				 is_s5 ? VCPU_EXIT_SHUTDOWN : NOTHING);
	}
	assert_int_equal(after_write(*state, ACPI, 2, 0x34), NOTHING);
	assert_int_equal(after_write(*state, ACPI + ACPI_POWER_SLEEP_STATUS, 1, 0x80), NOTHING);
	assert_int_equal(get(*state, ACPI + ACPI_POWER_SLEEP_STATUS), 0);
}

static void test_acpi_reset(void **state)
{
	uint16_t port = ACPI + ACPI_POWER_RESET;

	assert_int_equal(after_write(*state, port, 1, ACPI_POWER_RESET_VALUE), VCPU_EXIT_RESET);
	assert_int_equal(after_write(*state, port, 1, 0), NOTHING);
	assert_int_equal(after_write(*state, port, 1, 0xff), NOTHING);
}

// -- reset control --

// As Linux does it: what kind first, then the reset.
static void test_reset_control(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, RESET_CONTROL), 0);
	assert_int_equal(after_write(f, RESET_CONTROL, 1, 0x0a), NOTHING);
	assert_int_equal(get(f, RESET_CONTROL), 0x0a);
	assert_int_equal(after_write(f, RESET_CONTROL, 1, 0x0e), VCPU_EXIT_RESET);
	device_list_reset(&f->devices);
	assert_int_equal(get(f, RESET_CONTROL), 0);
	// The address port of PCI's configuration space, of which this is no part.
	assert_int_equal(after_write(f, 0xcf8, 4, 0x80000600), NOTHING);
}

// -- keyboard controller --

static uint8_t kbc_answer(struct fixture *f)
{
	assert_int_equal(get(f, KBC) & OUTPUT_FULL, OUTPUT_FULL);
	return get(f, KBC_DATA);
}

static uint8_t kbc_ask(struct fixture *f, uint8_t command)
{
	assert_int_equal(get(f, KBC) & OUTPUT_FULL, 0);
	assert_int_equal(after_write(f, KBC, 1, command), NOTHING);
	return kbc_answer(f);
}

static void test_kbc_reset_line(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(after_write(f, KBC, 1, 0xfe), VCPU_EXIT_RESET);
	// Pulses of other lines.
	assert_int_equal(after_write(f, KBC, 1, 0xff), NOTHING);
	assert_int_equal(after_write(f, KBC, 1, 0xfd), NOTHING);
	assert_int_equal(after_write(f, KBC, 1, 0xf0), VCPU_EXIT_RESET);
	// The output port, its lowest bit low.
	assert_int_equal(after_write(f, KBC, 1, 0xd1), NOTHING);
	assert_int_equal(after_write(f, KBC_DATA, 1, 0x03), NOTHING);
	assert_int_equal(after_write(f, KBC, 1, 0xd1), NOTHING);
	assert_int_equal(after_write(f, KBC_DATA, 1, 0x02), VCPU_EXIT_RESET);
	// Data for nobody.
	assert_int_equal(after_write(f, KBC_DATA, 1, 0xfe), NOTHING);
	assert_int_equal(after_write(f, KBC, 2, 0xfe), NOTHING);
}

static void test_kbc_answers_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(kbc_ask(f, 0xaa), 0x55);
	assert_int_equal(kbc_ask(f, 0xab), 0x01);
	assert_int_equal(kbc_ask(f, 0xa9), 0x01);
	assert_int_equal(kbc_ask(f, 0xd0) & 1, 1);
	// Without the bit for a mouse: there is none.
	bus_put(&f->bus, KBC, 1, 0xd3);
	bus_put(&f->bus, KBC_DATA, 1, 0x5a);
	assert_int_equal(get(f, KBC) & 0x20, 0);
	assert_int_equal(kbc_answer(f), 0x5a);
	bus_put(&f->bus, KBC, 1, 0x33); // no such command
	assert_int_equal(get(f, KBC) & OUTPUT_FULL, 0);
}

static void test_kbc_configuration(void **state)
{
	struct fixture *f = *state;
	uint8_t at_reset = kbc_ask(f, 0x20);

	bus_put(&f->bus, KBC, 1, 0x60);
	bus_put(&f->bus, KBC_DATA, 1, 0x74);
	assert_int_equal(kbc_ask(f, 0x20), 0x74);
	bus_put(&f->bus, KBC, 1, 0xae);
	assert_int_equal(kbc_ask(f, 0x20), 0x64);
	bus_put(&f->bus, KBC, 1, 0xad);
	assert_int_equal(kbc_ask(f, 0x20), 0x74);
	bus_put(&f->bus, KBC, 1, 0xa8);
	assert_int_equal(kbc_ask(f, 0x20), 0x54);
	bus_put(&f->bus, KBC, 1, 0xa7);
	assert_int_equal(kbc_ask(f, 0x20), 0x74);
	bus_put(&f->bus, KBC, 1, 0x60); // cut off by a reset
	device_list_reset(&f->devices);
	bus_put(&f->bus, KBC_DATA, 1, 0xaa);
	assert_int_equal(kbc_ask(f, 0x20), at_reset);
}

static void test_kbc_leaves_the_ports_in_between(void **state)
{
	for (uint16_t port = KBC_DATA + 1; port < KBC; port++) {
		assert_int_equal(get(*state, port), 0xff);
		assert_int_equal(after_write(*state, port, 1, 0xfe), NOTHING);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_acpi_s5_switches_off), TEST(test_acpi_other_types_do_nothing),
		TEST(test_acpi_reset),           TEST(test_reset_control),
		TEST(test_kbc_reset_line),       TEST(test_kbc_answers_at_once),
		TEST(test_kbc_configuration),    TEST(test_kbc_leaves_the_ports_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
