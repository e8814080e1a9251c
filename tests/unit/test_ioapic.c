// SPDX-License-Identifier: GPL-2.0-or-later
// The I/O APIC in user space: registers, edges, levels, ends, messages.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../x86/ioapic.h"
#include "bus-access.h"
#include "device.h"
#include "vcpu.h"
#include "x86-accel.h"

#include <cmocka.h>

#define BASE 0xfec00000ULL
#define LEVEL 0x8000U
#define REMOTE_IRR 0x4000U
#define MASKED 0x10000U

struct fixture {
	struct bus bus;
	struct accel accel;
	struct device *dev;
	struct x86_message sent[8];
	unsigned sends;
	struct x86_message levels[IOAPIC_PINS];
	unsigned levels_told;
};

static void send_message(struct accel *accel, struct x86_message message)
{
	struct fixture *f = container_of(accel, struct fixture, accel);

	f->sent[f->sends++ % 8] = message;
}

static void set_levels(struct accel *accel, const struct x86_message *levels, unsigned count)
{
	struct fixture *f = container_of(accel, struct fixture, accel);

	assert_int_equal(count, IOAPIC_PINS);
	memcpy(f->levels, levels, sizeof(f->levels));
	f->levels_told++;
}

static const struct x86_accel_ops x86_ops = {
	.send_message = send_message,
	.set_levels = set_levels,
};
static const struct accel_ops accel_ops = { .name = "fake", .x86 = &x86_ops };

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .accel.ops = &accel_ops };
	bus_init(&f.bus);
	if (ioapic_create(&f.dev, BASE, &f.accel) || bus_add(&f.bus, &f.dev->region))
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

static uint32_t get(struct fixture *f, uint8_t reg)
{
	bus_put(&f->bus, BASE, 4, reg);
	return bus_get(&f->bus, BASE + 0x10, 4);
}

static void put(struct fixture *f, uint8_t reg, uint32_t value)
{
	bus_put(&f->bus, BASE, 4, reg);
	bus_put(&f->bus, BASE + 0x10, 4, value);
}

static void put_entry(struct fixture *f, unsigned pin, uint32_t low, uint8_t destination)
{
	put(f, 0x11 + 2 * pin, (uint32_t)destination << 24);
	put(f, 0x10 + 2 * pin, low);
}

static void test_registers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, 1), 0x00170020);
	put(f, 0, 0xffffffff);
	assert_int_equal(get(f, 0), 0x0f000000);
	assert_int_equal(get(f, 2), 0x0f000000);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		assert_int_equal(get(f, 0x10 + 2 * pin), MASKED);
	put(f, 0x3e, 0xffffffff);                // the last one
	assert_int_equal(get(f, 0x3e), 0x1afff); // not delivery status, nor remote IRR
	put(f, 0x3f, 0xffffffff);
	assert_int_equal(get(f, 0x3f), 0xff000000);
	for (unsigned reg = 0x40; reg < 0x100; reg++) {
		put(f, reg, 0xffffffff);
		assert_int_equal(get(f, reg), 0);
	}
	assert_int_equal(bus_get(&f->bus, BASE, 4), 0xff);
	assert_int_equal(bus_get(&f->bus, BASE + 0x20, 4), 0);
	f->dev->ops->reset(f->dev);
	assert_int_equal(get(f, 0x3e), MASKED);
	assert_int_equal(get(f, 0x3f), 0);
	assert_int_equal(f->sends, 0);
}

static void test_messages(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 3, 0x31, 2); // edge, fixed, physical
	ioapic_set_pin(f->dev, 3, true);
	assert_int_equal(f->sends, 1);
	assert_int_equal(f->sent[0].address, 0xfee02000);
	assert_int_equal(f->sent[0].data, 0x31);
	put_entry(f, 4, LEVEL | 0x900 | 0x42, 0x81); // level, lowest priority, logical
	ioapic_set_pin(f->dev, 4, true);
	assert_int_equal(f->sent[1].address, 0xfee81004);
	assert_int_equal(f->sent[1].data, 0xc142);
}

static void test_edges(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 0, 0x30, 0);
	ioapic_set_pin(f->dev, 0, true);
	ioapic_set_pin(f->dev, 0, true);
	assert_int_equal(f->sends, 1);
	ioapic_set_pin(f->dev, 0, false);
	assert_int_equal(f->sends, 1);
	ioapic_set_pin(f->dev, 0, true);
	assert_int_equal(f->sends, 2);
	// One that comes while it is masked waits.
	put(f, 0x10, MASKED | 0x30);
	ioapic_set_pin(f->dev, 0, false);
	ioapic_set_pin(f->dev, 0, true);
	ioapic_set_pin(f->dev, 0, false);
	assert_int_equal(f->sends, 2);
	put(f, 0x10, 0x30);
	assert_int_equal(f->sends, 3);
	put(f, 0x10, 0x30);
	assert_int_equal(f->sends, 3);
}

static void test_levels(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 5, LEVEL | 0x35, 0);
	ioapic_set_pin(f->dev, 5, true);
	ioapic_set_pin(f->dev, 5, true);
	assert_int_equal(f->sends, 1);
	assert_int_equal(get(f, 0x1a), LEVEL | REMOTE_IRR | 0x35);
	// Not served yet: it comes again.
	ioapic_end_of_interrupt(f->dev, 0x35);
	assert_int_equal(f->sends, 2);
	// Down and up before the end.
	ioapic_set_pin(f->dev, 5, false);
	ioapic_set_pin(f->dev, 5, true);
	assert_int_equal(f->sends, 2);
	ioapic_end_of_interrupt(f->dev, 0x36); // another's
	assert_int_equal(f->sends, 2);
	ioapic_end_of_interrupt(f->dev, 0x35);
	assert_int_equal(f->sends, 3);
	ioapic_set_pin(f->dev, 5, false);
	ioapic_end_of_interrupt(f->dev, 0x35);
	assert_int_equal(f->sends, 3);
	assert_int_equal(get(f, 0x1a), LEVEL | 0x35);
}

static void test_masked_level(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 5, MASKED | LEVEL | 0x35, 0);
	ioapic_set_pin(f->dev, 5, true);
	assert_int_equal(f->sends, 0);
	put(f, 0x1a, LEVEL | 0x35);
	assert_int_equal(f->sends, 1);
	// Masked before the end: nothing until it is open again.
	put(f, 0x1a, MASKED | LEVEL | 0x35);
	ioapic_end_of_interrupt(f->dev, 0x35);
	assert_int_equal(f->sends, 1);
	put(f, 0x1a, LEVEL | 0x35);
	assert_int_equal(f->sends, 2);
	// A line that fell meanwhile is none.
	put(f, 0x1a, MASKED | LEVEL | 0x35);
	ioapic_end_of_interrupt(f->dev, 0x35);
	ioapic_set_pin(f->dev, 5, false);
	put(f, 0x1a, LEVEL | 0x35);
	assert_int_equal(f->sends, 2);
}

// Two pins of one vector end together.
static void test_shared_vector(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 5, LEVEL | 0x35, 0);
	put_entry(f, 6, LEVEL | 0x35, 0);
	ioapic_set_pin(f->dev, 5, true);
	ioapic_set_pin(f->dev, 6, true);
	ioapic_set_pin(f->dev, 5, false);
	ioapic_end_of_interrupt(f->dev, 0x35);
	assert_int_equal(f->sends, 3);
	assert_int_equal(get(f, 0x1a) & REMOTE_IRR, 0);
	assert_int_equal(get(f, 0x1c) & REMOTE_IRR, REMOTE_IRR);
}

// As drivers do without a message from the local APIC.
static void test_ends_by_register(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 5, LEVEL | 0x35, 0);
	ioapic_set_pin(f->dev, 5, true);
	bus_put(&f->bus, BASE + 0x40, 4, 0x35);
	assert_int_equal(f->sends, 2);
	put(f, 0x1a, MASKED | 0x35); // edge and back
	assert_int_equal(get(f, 0x1a), MASKED | 0x35);
	put(f, 0x1a, LEVEL | 0x35);
	assert_int_equal(f->sends, 3);
}

static void test_accelerator_knows_the_levels(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 3, 0x31, 0); // an edge
	assert_int_equal(f->levels_told, 0);
	put_entry(f, 5, LEVEL | 0x35, 1);
	assert_int_equal(f->levels_told, 1);
	assert_int_equal(f->levels[3].address, 0);
	assert_int_equal(f->levels[5].address, 0xfee01000);
	assert_int_equal(f->levels[5].data, 0xc035);
	put(f, 0x1a, MASKED | LEVEL | 0x35); // may still be ended
	assert_int_equal(f->levels_told, 1);
	put(f, 0x1b, 0x02000000);
	assert_int_equal(f->levels_told, 2);
	assert_int_equal(f->levels[5].address, 0xfee02000);
	f->dev->ops->reset(f->dev);
	assert_int_equal(f->levels_told, 3);
	assert_int_equal(f->levels[5].address, 0);
}

// A line that is high at a reset is high after it.
static void test_reset_keeps_the_inputs(void **state)
{
	struct fixture *f = *state;

	put_entry(f, 5, LEVEL | 0x35, 0);
	ioapic_set_pin(f->dev, 5, true);
	f->dev->ops->reset(f->dev);
	put_entry(f, 5, LEVEL | 0x35, 0);
	assert_int_equal(f->sends, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers),
		TEST(test_messages),
		TEST(test_edges),
		TEST(test_levels),
		TEST(test_masked_level),
		TEST(test_shared_vector),
		TEST(test_ends_by_register),
		TEST(test_accelerator_knows_the_levels),
		TEST(test_reset_keeps_the_inputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
