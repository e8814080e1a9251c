// SPDX-License-Identifier: GPL-2.0-or-later
// The device tree writer: what it writes, and that errors stick.

#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "fdt.h"
#include "util.h"

#include <cmocka.h>

static uint8_t blob[4096];

static int check_blob(void)
{
	assert_int_equal(fdt_check_full(blob, sizeof(blob)), 0);
	return fdt_path_offset(blob, "/soc/uart@10000000");
}

static const void *property(int node, const char *name, int expected_len)
{
	int len = -1;
	const void *data = fdt_getprop(blob, node, name, &len);

	assert_non_null(data);
	assert_int_equal(len, expected_len);
	return data;
}

static unsigned two_cells(const struct irqchip *chip, unsigned number, bool edge, uint32_t cells[4])
{
	cells[0] = number;
	cells[1] = 4;
	return 2;
}

static const struct irqchip_ops chip_ops = { .fdt_interrupt = two_cells };

static void test_every_kind_of_property(void **state)
{
	struct irqchip chip = { .ops = &chip_ops, .fdt_phandle = 7 };
	const struct irq_line line = { .chip = &chip, .number = 10 }, nowhere = { 0 };
	const uint32_t cells[] = { 1, 0x02030405 };
	struct fdt_writer fdt;
	int node;

	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_u32(&fdt, "#address-cells", 2);
	fdt_node(&fdt, "soc");
	fdt_interrupt(&fdt, &nowhere);
	fdt_node(&fdt, "uart@%x", 0x10000000);
	fdt_str(&fdt, "compatible", "ns16550a");
	fdt_strings(&fdt, "names", "a\0bc", 5);
	fdt_flag(&fdt, "ranges");
	fdt_u64(&fdt, "big", 0x1122334455667788);
	fdt_cells(&fdt, "cells", cells, ARRAY_SIZE(cells));
	fdt_bytes(&fdt, "raw", "\x01\x02\x03", 3);
	fdt_reg(&fdt, 0x110000000, 0x100);
	fdt_interrupt(&fdt, &line);
	fdt_end(&fdt);
	fdt_end(&fdt);
	assert_int_equal(fdt_writer_finish(&fdt), 0);

	node = check_blob();
	assert_true(node > 0);
	assert_string_equal(property(node, "compatible", 9), "ns16550a");
	assert_memory_equal(property(node, "names", 5), "a\0bc", 5);
	property(node, "ranges", 0);
	assert_memory_equal(property(node, "big", 8), "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	assert_memory_equal(property(node, "cells", 8), "\0\0\0\1\2\3\4\5", 8);
	assert_memory_equal(property(node, "raw", 3), "\1\2\3", 3);
	assert_memory_equal(property(node, "reg", 16), "\0\0\0\1\x10\0\0\0\0\0\0\0\0\0\1\0", 16);
	assert_memory_equal(property(node, "interrupt-parent", 4), "\0\0\0\7", 4);
	assert_memory_equal(property(node, "interrupts", 8), "\0\0\0\x0a\0\0\0\4", 8);
	node = fdt_path_offset(blob, "/soc");
	assert_null(fdt_getprop(blob, node, "interrupts", NULL));
	assert_memory_equal(property(0, "#address-cells", 4), "\0\0\0\2", 4);
}

static void test_too_small_is_reported_at_the_end(void **state)
{
	for (size_t size = 0; size < 200; size += 8) {
		struct fdt_writer fdt;

		memset(blob, 0xee, sizeof(blob));
		fdt_writer_init(&fdt, blob, size);
		fdt_node(&fdt, "node");
		for (int i = 0; i < 8; i++)
			fdt_str(&fdt, "a-property", "with a value of some length");
		fdt_end(&fdt);
		assert_int_equal(fdt_writer_finish(&fdt), -ENOSPC);
		assert_int_equal(blob[size], 0xee); // nothing beyond the end
	}
}

static void test_errors_stick(void **state)
{
	struct fdt_writer fdt;

	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_end(&fdt); // the root
	fdt_end(&fdt); // one too many
	assert_int_not_equal(fdt.error, 0);
	fdt_node(&fdt, "node");
	fdt_u32(&fdt, "x", 1);
	fdt_end(&fdt);
	assert_int_equal(fdt_writer_finish(&fdt), -EINVAL);
}

static void test_unclosed_node_is_an_error(void **state)
{
	struct fdt_writer fdt;

	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_node(&fdt, "node");
	assert_int_equal(fdt_writer_finish(&fdt), -EINVAL);
}

static void test_oversized_parts_are_errors(void **state)
{
	static const uint32_t cells[300];
	struct fdt_writer fdt;

	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_node(&fdt, "%0100d", 1);
	fdt_end(&fdt);
	assert_int_equal(fdt_writer_finish(&fdt), -EINVAL);

	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_cells(&fdt, "cells", cells, ARRAY_SIZE(cells));
	assert_int_equal(fdt_writer_finish(&fdt), -EINVAL);

	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_bytes(&fdt, "bytes", cells, SIZE_MAX);
	assert_int_equal(fdt_writer_finish(&fdt), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind_of_property),
		cmocka_unit_test(test_too_small_is_reported_at_the_end),
		cmocka_unit_test(test_errors_stick),
		cmocka_unit_test(test_unclosed_node_is_an_error),
		cmocka_unit_test(test_oversized_parts_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
