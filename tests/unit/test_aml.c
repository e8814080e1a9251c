// SPDX-License-Identifier: GPL-2.0-or-later
// AML: the bytes of each construct, as ACPI 6.4 ch. 20 has them, and errors that stick.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "aml.h"
#include "device.h"

#include <cmocka.h>

static uint8_t out[512];

static struct aml_writer begin(void)
{
	struct aml_writer aml;

	memset(out, 0xee, sizeof(out));
	aml_writer_init(&aml, out, sizeof(out));
	return aml;
}

static void assert_written(struct aml_writer *aml, const void *bytes, size_t count)
{
	assert_int_equal(aml_writer_finish(aml), 0);
	assert_int_equal(aml->used_bytes, count);
	assert_memory_equal(out, bytes, count);
	assert_int_equal(out[count], 0xee);
}

#define ASSERT_WRITTEN(aml, ...)                              \
	assert_written(aml, (const uint8_t[]){ __VA_ARGS__ }, \
		       sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void test_integers(void **state)
{
	const struct {
		uint64_t value;
		uint8_t bytes[9];
		size_t count;
	} integers[] = {
		{ 0, { 0x00 }, 1 },
		{ 1, { 0x01 }, 1 },
		{ 2, { 0x0a, 2 }, 2 },
		{ 0xff, { 0x0a, 0xff }, 2 },
		{ 0x100, { 0x0b, 0, 1 }, 3 },
		{ 0xffff, { 0x0b, 0xff, 0xff }, 3 },
		{ 0x10000, { 0x0c, 0, 0, 1, 0 }, 5 },
		{ 0xffffffff, { 0x0c, 0xff, 0xff, 0xff, 0xff }, 5 },
		{ 0x100000000, { 0x0e, 0, 0, 0, 0, 1, 0, 0, 0 }, 9 },
		{ ~0ULL, { 0x0e, 255, 255, 255, 255, 255, 255, 255, 255 }, 9 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
		struct aml_writer aml = begin();
		uint8_t expected[16] = { 0x08, '_', 'U', 'I', 'D' };

		memcpy(expected + 5, integers[i].bytes, integers[i].count);
		aml_name_integer(&aml, "_UID", integers[i].value);
		assert_written(&aml, expected, 5 + integers[i].count);
	}
}

static void test_names(void **state)
{
	struct aml_writer aml = begin();

	aml_name_string(&aml, "_HID", "PNP0501");
	ASSERT_WRITTEN(&aml, 0x08, '_', 'H', 'I', 'D', 0x0d, 'P', 'N', 'P', '0', '5', '0', '1', 0);
	aml = begin();
	aml_name_package(&aml, "_S5_", (const uint8_t[]){ 5, 0, 0 }, 3);
	// A length counts itself.
	ASSERT_WRITTEN(&aml, 0x08, '_', 'S', '5', '_', 0x12, 0x88, 0, 0, 3, 0x0a, 5, 0, 0);
}

static void test_blocks(void **state)
{
	struct aml_writer aml = begin();

	aml_scope(&aml, "_SB_");
	aml_device(&aml, "D000");
	aml_end(&aml);
	aml_end(&aml);
	ASSERT_WRITTEN(&aml, 0x10, 0x81, 1, 0, '\\', '_', 'S', 'B', '_', 0x5b, 0x82, 0x87, 0, 0,
		       'D', '0', '0', '0');
}

static void test_large_block(void **state)
{
	static uint8_t large[70000];
	struct aml_writer aml;

	aml_writer_init(&aml, large, sizeof(large));
	aml_scope(&aml, "_SB_");
	while (aml.used_bytes < 0x10002)
		aml_name_integer(&aml, "_UID", 0);
	aml_end(&aml);
	assert_int_equal(aml_writer_finish(&aml), 0);
	// 0x10002 - 1 bytes at least: low nibble, then the rest from bit 4 on.
	assert_int_equal(large[1] >> 4, 8);
	assert_int_equal((large[1] & 0xf) | large[2] << 4 | large[3] << 12, aml.used_bytes - 1);
}

// -- devices --

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
}

static const struct irqchip_ops plain_chip = { .set_line = set_line };

static struct device device_at(uint64_t base, uint64_t size, struct irqchip *chip)
{
	return (struct device){
		.region = { .base = base, .size_bytes = size },
		.irq = { chip, 4 },
	};
}

// The device's _CRS, which comes last: Name, Buffer, its length and size, the bytes.
static void assert_resources(const struct device *dev, const void *bytes, size_t count)
{
	static const uint8_t crs[] = { 0x08, '_', 'C', 'R', 'S', 0x11 };
	struct aml_writer aml = begin();
	const uint8_t *buffer;

	aml_describe(&aml, "A", dev);
	assert_int_equal(aml_writer_finish(&aml), 0);
	buffer = memmem(out, aml.used_bytes, crs, sizeof(crs));
	assert_non_null(buffer);
	buffer += sizeof(crs) + 3;
	assert_int_equal(buffer[0], 0x0a);
	assert_int_equal(buffer[1], count);
	assert_memory_equal(buffer + 2, bytes, count);
	assert_ptr_equal(buffer + 2 + count, out + aml.used_bytes);
}

#define ASSERT_RESOURCES(dev, ...)                              \
	assert_resources(dev, (const uint8_t[]){ __VA_ARGS__ }, \
			 sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void test_ports(void **state)
{
	struct irqchip chip = { .ops = &plain_chip };
	struct device serial = device_at(0x3f8, 8, &chip);
	struct device last = device_at(0xffff, 1, NULL);

	ASSERT_RESOURCES(&serial, 0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x89, 6, 0, 9, 1, 4, 0, 0, 0,
			 0x79, 0);
	ASSERT_RESOURCES(&last, 0x47, 1, 0xff, 0xff, 0xff, 0xff, 1, 1, 0x79, 0);
}

static void test_memory(void **state)
{
	struct irqchip chip = { .ops = &plain_chip };
	struct device virtio = device_at(0xd0001000, 0x200, &chip);

	virtio.irq.edge = true;
	ASSERT_RESOURCES(&virtio, 0x86, 9, 0, 1, 0, 0x10, 0, 0xd0, 0, 2, 0, 0, 0x89, 6, 0, 0xb, 1,
			 4, 0, 0, 0, 0x79, 0);
}

static void test_nothing_to_tell(void **state)
{
	struct device bare = device_at(0, 0, NULL);

	ASSERT_RESOURCES(&bare, 0x79, 0);
}

static void test_each_device_is_another(void **state)
{
	struct device bare = device_at(0, 0, NULL);
	struct aml_writer aml = begin();

	for (unsigned i = 0; i < 3; i++)
		aml_describe(&aml, "A", &bare);
	assert_int_equal(aml_writer_finish(&aml), 0);
	assert_int_equal(aml.devices, 3);
	assert_non_null(memmem(out, aml.used_bytes, "D000", 4));
	assert_non_null(memmem(out, aml.used_bytes, "D002", 4));
	assert_non_null(memmem(out, aml.used_bytes, "_UID\x0a\x02", 6));
}

// -- errors --

static void test_no_room(void **state)
{
	struct device virtio = device_at(0xd0000000, 0x1000, NULL);
	struct aml_writer aml = begin();
	size_t needed;

	aml_describe(&aml, "LNRO0005", &virtio);
	assert_int_equal(aml_writer_finish(&aml), 0);
	needed = aml.used_bytes;
	for (size_t room = 0; room <= needed; room++) {
		memset(out, 0xee, sizeof(out));
		aml_writer_init(&aml, out, room);
		aml_describe(&aml, "LNRO0005", &virtio);
		assert_int_equal(aml_writer_finish(&aml), room < needed ? -ENOSPC : 0);
		assert_int_equal(out[room], 0xee);
	}
}

static void test_misuse(void **state)
{
	struct device high = device_at(1ULL << 32, 0x1000, NULL);
	struct device wide = device_at(0x100, 0x1000, NULL);
	struct aml_writer aml = begin();

	aml_scope(&aml, "_SB"); // three characters
	aml_end(&aml);
	assert_int_equal(aml_writer_finish(&aml), -EINVAL);
	aml = begin();
	aml_scope(&aml, "_SB_"); // left open
	assert_int_equal(aml_writer_finish(&aml), -EINVAL);
	aml = begin();
	aml_end(&aml);
	assert_int_equal(aml_writer_finish(&aml), -EINVAL);
	aml = begin();
	for (unsigned i = 0; i <= AML_MAX_DEPTH; i++)
		aml_scope(&aml, "_SB_");
	assert_int_equal(aml_writer_finish(&aml), -EINVAL);
	aml = begin();
	aml_describe(&aml, "A", &high);
	assert_int_equal(aml_writer_finish(&aml), -EINVAL);
	aml = begin();
	aml_describe(&aml, "A", &wide);
	assert_int_equal(aml_writer_finish(&aml), -EINVAL);
}

// The first one counts, and nothing is written after it.
static void test_errors_stick(void **state)
{
	struct aml_writer aml = begin();
	size_t before;

	aml_end(&aml);
	before = aml.used_bytes;
	aml_name_integer(&aml, "_UID", 1);
	assert_int_equal(aml.used_bytes, before);
	assert_int_equal(aml_writer_finish(&aml), -EINVAL);
}

static void test_event_device(void **state)
{
	struct aml_writer aml = begin();

	aml_edge_resource(&aml, 23);
	ASSERT_WRITTEN(&aml, 0x08, '_', 'C', 'R', 'S', 0x11, 0x80 | 0x0, 1, 0, 0x0a, 11, 0x89, 6, 0,
		       3, 1, 23, 0, 0, 0, 0x79, 0);
	aml = begin();
	aml_event_method(&aml, "PWRB", 0x80);
	ASSERT_WRITTEN(&aml, 0x14, 0x80 | 0xf, 0, 0, '_', 'E', 'V', 'T', 9, 0x86, 'P', 'W', 'R',
		       'B', 0x0a, 0x80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_large_block),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_nothing_to_tell),
		cmocka_unit_test(test_each_device_is_another),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_event_device),
		cmocka_unit_test(test_errors_stick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
