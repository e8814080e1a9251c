// SPDX-License-Identifier: GPL-2.0-or-later
// Vectors of buffers.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "iov.h"
#include "util.h"

#include <cmocka.h>

// "abc", nothing, "defgh", "i"
#define VECTOR(name, text)                              \
	char text[] = "abcdefghi";                      \
	const struct iovec name[] = {                   \
		{ .iov_base = text, .iov_len = 3 },     \
		{ .iov_base = text + 3, .iov_len = 0 }, \
		{ .iov_base = text + 3, .iov_len = 5 }, \
		{ .iov_base = text + 8, .iov_len = 1 }, \
	}

static void test_total(void **state)
{
	VECTOR(iov, text);

	assert_int_equal(iov_total(iov, ARRAY_SIZE(iov)), 9);
	assert_int_equal(iov_total(iov, 0), 0);
}

static void test_to_buf(void **state)
{
	VECTOR(iov, text);
	char buf[16] = { 0 };

	assert_int_equal(iov_to_buf(iov, ARRAY_SIZE(iov), 2, buf, 4), 4);
	assert_string_equal(buf, "cdef");
	assert_int_equal(iov_to_buf(iov, ARRAY_SIZE(iov), 0, buf, sizeof(buf)), 9);
	assert_int_equal(iov_to_buf(iov, ARRAY_SIZE(iov), 8, buf, sizeof(buf)), 1);
	assert_int_equal(iov_to_buf(iov, ARRAY_SIZE(iov), 9, buf, sizeof(buf)), 0);
	assert_int_equal(iov_to_buf(iov, ARRAY_SIZE(iov), 99, buf, sizeof(buf)), 0);
	assert_int_equal(iov_to_buf(iov, 0, 0, buf, sizeof(buf)), 0);
}

static void test_from_buf(void **state)
{
	VECTOR(iov, text);

	assert_int_equal(iov_from_buf(iov, ARRAY_SIZE(iov), 2, "XYZ", 3), 3);
	assert_string_equal(text, "abXYZfghi");
	assert_int_equal(iov_from_buf(iov, ARRAY_SIZE(iov), 7, "1234", 4), 2);
	assert_string_equal(text, "abXYZfg12");
}

static void test_slice(void **state)
{
	VECTOR(iov, text);
	struct iovec slice[4];

	assert_int_equal(iov_slice(slice, 4, iov, ARRAY_SIZE(iov), 1, 7), 2);
	assert_ptr_equal(slice[0].iov_base, text + 1);
	assert_int_equal(slice[0].iov_len, 2);
	assert_ptr_equal(slice[1].iov_base, text + 3);
	assert_int_equal(slice[1].iov_len, 5);
	assert_int_equal(iov_slice(slice, 1, iov, ARRAY_SIZE(iov), 0, 9), 1);
	assert_int_equal(slice[0].iov_len, 3);
	assert_int_equal(iov_slice(slice, 4, iov, ARRAY_SIZE(iov), 0, SIZE_MAX), 3);
	assert_int_equal(iov_slice(slice, 4, iov, ARRAY_SIZE(iov), 9, 1), 0);
	assert_int_equal(iov_slice(slice, 4, iov, ARRAY_SIZE(iov), 3, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_to_buf),
		cmocka_unit_test(test_from_buf),
		cmocka_unit_test(test_slice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
