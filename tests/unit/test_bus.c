// SPDX-License-Identifier: GPL-2.0-or-later
// The bus: lookup, access checks, the device's lock; and the list of devices.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "device.h"
#include "fake-accel.h"
#include "util.h"

#include <cmocka.h>

// A device that remembers its last access and counts.
struct probe {
	struct device dev;
	unsigned reads;
	unsigned writes;
	uint64_t offset;
	uint64_t value;
	unsigned size;
	uint64_t counter;
	char *log; // of resets and frees, by its name
};

static struct probe *probe_of(struct device *dev)
{
	return container_of(dev, struct probe, dev);
}

static uint64_t probe_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct probe *probe = probe_of(region->device);

	probe->reads++;
	probe->offset = offset;
	probe->size = size;
	return 0x8877665544332211;
}

static void probe_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct probe *probe = probe_of(region->device);

	probe->writes++;
	probe->offset = offset;
	probe->size = size;
	probe->value = value;
	probe->counter++; // not atomic: the bus's lock must do
}

static const struct io_ops any_size = { probe_read, probe_write, 1, 8 };
static const struct io_ops words_only = { probe_read, probe_write, 4, 4 };

static void probe_log(struct device *dev, char what)
{
	char *log = probe_of(dev)->log;

	if (log)
		sprintf(log + strlen(log), "%c%s ", what, dev->name);
}

static void probe_reset(struct device *dev)
{
	probe_log(dev, '-');
}

static void probe_free(struct device *dev)
{
	probe_log(dev, '~');
	device_exit(dev);
	free(probe_of(dev));
}

static const struct device_ops probe_ops = { .reset = probe_reset, .free = probe_free };

static struct probe *probe_create(const char *name, const struct io_ops *io, uint64_t base,
				  uint64_t size)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	device_init(&probe->dev, name, &probe_ops, io, base, size, (struct irq_line){ 0 });
	return probe;
}

// A bus with the devices of one test.
struct fixture {
	struct bus bus;
	struct device_list devices;
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ 0 };
	bus_init(&fixture.bus);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	device_list_free(&fixture->devices);
	bus_exit(&fixture->bus);
	return 0;
}

static struct probe *add(struct fixture *fixture, const struct io_ops *io, uint64_t base,
			 uint64_t size)
{
	struct probe *probe = probe_create("probe", io, base, size);

	assert_int_equal(device_list_add(&fixture->devices, &fixture->bus, &probe->dev), 0);
	return probe;
}

static int read_at(struct fixture *fixture, uint64_t addr, unsigned len, uint64_t *value)
{
	*value = 0xaaaaaaaaaaaaaaaa;
	return bus_read(&fixture->bus, addr, value, len);
}

static int write_at(struct fixture *fixture, uint64_t addr, unsigned len, uint64_t value)
{
	return bus_write(&fixture->bus, addr, &value, len);
}

static void test_lookup_among_many(void **state)
{
	static const unsigned order[] = { 7, 2, 9, 0, 4, 1, 8, 3, 6, 5, 11, 10 };
	struct fixture *fixture = *state;
	struct probe *probes[ARRAY_SIZE(order)];
	uint64_t value;

	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		probes[order[i]] = add(fixture, &any_size, 0x1000 + 0x200 * order[i], 0x100);
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
		uint64_t base = 0x1000 + 0x200 * i;

		assert_int_equal(read_at(fixture, base, 1, &value), 0);
		assert_int_equal(read_at(fixture, base + 0xff, 1, &value), 0);
		assert_int_equal(probes[i]->reads, 2);
		assert_int_equal(probes[i]->offset, 0xff);
		assert_int_equal(read_at(fixture, base - 1, 1, &value), -ENXIO);
		assert_int_equal(read_at(fixture, base + 0x100, 1, &value), -ENXIO);
	}
}

static void test_nothing_there_reads_zero(void **state)
{
	uint64_t value;

	assert_int_equal(read_at(*state, 0x1234, 4, &value), -ENXIO);
	assert_int_equal(value, 0xaaaaaaaa00000000);
	assert_int_equal(write_at(*state, 0x1234, 4, 1), -ENXIO);
}

// A PC's bus lines float high.
static void test_nothing_there_reads_what_floats(void **state)
{
	struct fixture *fixture = *state;
	uint64_t value;

	add(fixture, &words_only, 0x1000, 0x100);
	fixture->bus.floating = 0xff;
	assert_int_equal(read_at(fixture, 0x1234, 2, &value), -ENXIO);
	assert_int_equal(value, 0xaaaaaaaaaaaaffff);
	assert_int_equal(read_at(fixture, 0x1000, 2, &value), 0);
	assert_int_equal(value, 0xaaaaaaaaaaaa0000);
}

static void test_data_is_little_endian_and_cut_to_size(void **state)
{
	struct fixture *fixture = *state;
	struct probe *probe = add(fixture, &any_size, 0x1000, 0x100);
	uint8_t bytes[8] = { 0 };
	uint64_t value;

	assert_int_equal(bus_read(&fixture->bus, 0x1008, bytes, 8), 0);
	assert_int_equal(bytes[0], 0x11);
	assert_int_equal(bytes[7], 0x88);
	assert_int_equal(read_at(fixture, 0x1004, 2, &value), 0);
	assert_int_equal(value, 0xaaaaaaaaaaaa2211);
	assert_int_equal(write_at(fixture, 0x1004, 4, 0x1122334455667788), 0);
	assert_int_equal(probe->value, 0x55667788);
	assert_int_equal(probe->size, 4);
	assert_int_equal(probe->offset, 4);
}

static void test_odd_sizes_are_not_taken(void **state)
{
	static const unsigned sizes[] = { 0, 3, 5, 6, 7 };
	struct fixture *fixture = *state;
	struct probe *probe = add(fixture, &any_size, 0x1000, 0x100);
	uint64_t value;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(write_at(fixture, 0x1000, sizes[i], 1), 0);
		assert_int_equal(read_at(fixture, 0x1000, sizes[i], &value), 0);
		assert_memory_equal(&value, "\0\0\0\0\0\0\0", sizes[i]);
	}
	assert_int_equal(probe->reads + probe->writes, 0);
}

static void test_sizes_outside_the_limits_are_not_taken(void **state)
{
	struct fixture *fixture = *state;
	struct probe *probe = add(fixture, &words_only, 0x1000, 0x100);
	uint64_t value;

	for (unsigned size = 1; size <= 8; size *= 2) {
		assert_int_equal(write_at(fixture, 0x1000, size, 1), 0);
		assert_int_equal(read_at(fixture, 0x1000, size, &value), 0);
		assert_int_equal((uint8_t)value, size == 4 ? 0x11 : 0);
	}
	assert_int_equal(probe->reads, 1);
	assert_int_equal(probe->writes, 1);
}

static void test_misaligned_is_not_taken(void **state)
{
	struct fixture *fixture = *state;
	struct probe *probe = add(fixture, &any_size, 0x1000, 0x100);
	uint64_t value;

	for (unsigned size = 2; size <= 8; size *= 2) {
		assert_int_equal(write_at(fixture, 0x1000 + size / 2, size, 1), 0);
		assert_int_equal(read_at(fixture, 0x1000 + size / 2, size, &value), 0);
		assert_int_equal((uint8_t)value, 0);
	}
	assert_int_equal(probe->reads + probe->writes, 0);
}

static void test_access_across_the_end_is_not_taken(void **state)
{
	struct fixture *fixture = *state;
	struct probe *probe = add(fixture, &any_size, 0x1000, 0x14);
	uint64_t value;

	assert_int_equal(write_at(fixture, 0x1010, 8, 1), 0);
	assert_int_equal(read_at(fixture, 0x1010, 8, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(probe->reads + probe->writes, 0);
	assert_int_equal(write_at(fixture, 0x1010, 4, 1), 0);
	assert_int_equal(probe->writes, 1);
}

static void test_region_at_the_end_of_the_address_space(void **state)
{
	struct fixture *fixture = *state;
	struct probe *probe = add(fixture, &any_size, ~0xfffULL, 0x1000);
	uint64_t value;

	assert_int_equal(read_at(fixture, UINT64_MAX - 7, 8, &value), 0);
	assert_int_equal(probe->offset, 0xff8);
	assert_int_equal(read_at(fixture, 0, 8, &value), -ENXIO);
}

static void test_overlaps_are_refused_and_freed(void **state)
{
	static const uint64_t bad[][2] = {
		{ 0x1000, 0x100 }, { 0x1080, 0x10 }, { 0xfff, 2 },           { 0x10ff, 1 },
		{ 0x800, 0x1000 }, { ~0ULL, 2 },     { 0x2000, UINT64_MAX },
	};
	struct fixture *fixture = *state;
	char log[64];

	add(fixture, &any_size, 0x1000, 0x100);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct probe *probe = probe_create("bad", &any_size, bad[i][0], bad[i][1]);

		log[0] = 0;
		probe->log = log;
		assert_int_equal(device_list_add(&fixture->devices, &fixture->bus, &probe->dev),
				 -EEXIST);
		assert_string_equal(log, "~bad ");
	}
	add(fixture, &any_size, 0xf00, 0x100);
	add(fixture, &any_size, 0x1100, 0x100);
	assert_int_equal(fixture->bus.count, 3);
}

static void test_list_resets_in_order_and_frees_backwards(void **state)
{
	struct fixture *fixture = *state;
	char log[64] = "";

	for (unsigned i = 0; i < 3; i++) {
		char name[2] = { (char)('a' + i), 0 };
		struct probe *probe = probe_create(name, &any_size, 0x1000 * (i + 1), 0x10);

		probe->log = log;
		assert_int_equal(device_list_add(&fixture->devices, &fixture->bus, &probe->dev), 0);
	}
	device_list_reset(&fixture->devices);
	device_list_free(&fixture->devices);
	assert_string_equal(log, "-a -b -c ~c ~b ~a ");
}

static void test_device_without_registers_is_not_on_the_bus(void **state)
{
	struct fixture *fixture = *state;

	add(fixture, NULL, 0, 0);
	assert_int_equal(fixture->bus.count, 0);
}

static void test_long_device_name_is_cut(void **state)
{
	struct probe *probe = probe_create("a-device-with-a-very-long-name", NULL, 0, 0);

	assert_string_equal(probe->dev.name, "a-device-with-a-very-lo");
	probe_free(&probe->dev);
}

#define HAMMER_COUNT 20000

static void test_four_vcpus_hammer_one_device(void **state)
{
	static const struct fake_step script[] = {
		{ .op = FAKE_OP_MMIO_WRITE,
		  .addr = 0x1000,
		  .len = 4,
		  .value = 1,
		  .repeat = HAMMER_COUNT - 1 },
	};
	struct probe *probe = probe_create("probe", &words_only, 0x1000, 0x100);
	struct fake_vm vm;

	fake_vm_init(&vm, 4);
	fake_vm_add(&vm, &probe->dev);
	for (unsigned i = 0; i < 4; i++)
		fake_vm_script(&vm, i, script, ARRAY_SIZE(script));
	fake_vm_run(&vm);
	assert_int_equal(probe->counter, 4 * HAMMER_COUNT);
	fake_vm_exit(&vm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lookup_among_many),
		TEST(test_nothing_there_reads_zero),
		TEST(test_nothing_there_reads_what_floats),
		TEST(test_data_is_little_endian_and_cut_to_size),
		TEST(test_odd_sizes_are_not_taken),
		TEST(test_sizes_outside_the_limits_are_not_taken),
		TEST(test_misaligned_is_not_taken),
		TEST(test_access_across_the_end_is_not_taken),
		TEST(test_region_at_the_end_of_the_address_space),
		TEST(test_overlaps_are_refused_and_freed),
		TEST(test_list_resets_in_order_and_frees_backwards),
		TEST(test_device_without_registers_is_not_on_the_bus),
		TEST(test_long_device_name_is_cut),
		cmocka_unit_test(test_four_vcpus_hammer_one_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
