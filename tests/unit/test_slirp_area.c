// SPDX-License-Identifier: GPL-2.0-or-later
// kvik-slirp's memory that is shared with kvik, and the rings in it.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../../helpers/kvik-slirp/ring.h"

#include <cmocka.h>

#define PIECES 3

static int setup(void **state)
{
	static struct area area;
	int fd = frames_area_create(PIECES * AREA_PIECE_BYTES + 4096);

	assert_true(fd >= 0);
	area = (struct area){ .taken = 0 };
	assert_int_equal(area_open(&area, fd), 0);
	close(fd);
	*state = &area;
	return 0;
}

static int teardown(void **state)
{
	struct area *area = *state;

	assert_int_equal(area->taken, 0);
	frames_area_unmap(&area->memory);
	return 0;
}

static void test_pieces(void **state)
{
	struct area *area = *state;
	uint8_t *pieces[PIECES];

	for (unsigned i = 0; i < PIECES; i++) {
		pieces[i] = area_take(area);
		assert_true(area_has(area, pieces[i], AREA_PIECE_BYTES));
		assert_true(i == 0 || pieces[i] != pieces[i - 1]);
	}
	assert_null(area_take(area)); // no whole one is left
	area_give(area, pieces[1]);
	assert_ptr_equal(area_take(area), pieces[1]);
	for (unsigned i = 0; i < PIECES; i++)
		area_give(area, pieces[i]);
}

// The host has the memory back.
static void test_given_back_it_is_empty(void **state)
{
	struct area *area = *state;
	uint8_t *piece = area_take(area);

	piece[5000] = 7;
	area_give(area, piece);
	piece = area_take(area);
	assert_int_equal(piece[5000], 0);
	area_give(area, piece);
}

static void test_what_lies_in_it(void **state)
{
	struct area *area = *state;
	uint8_t *begin = area->memory.data, *end = begin + area->memory.size_bytes;
	const struct area none = { .taken = 0 };

	assert_true(area_has(area, begin, 1));
	assert_true(area_has(area, end - 10, 10));
	assert_false(area_has(area, end - 10, 11));
	assert_false(area_has(area, end, 1));
	assert_false(area_has(area, begin - 1, 1));
	assert_false(area_has(area, begin, SIZE_MAX));
	assert_false(area_has(&none, begin, 1));
}

// Where there is no more, rings are the heap's.
static void test_rings(void **state)
{
	struct area *area = *state;
	struct ring rings[PIECES + 1] = { { .data = NULL } };
	struct ring alone = { .data = NULL };

	for (unsigned i = 0; i <= PIECES; i++) {
		assert_true(ring_allocate(&rings[i], area));
		assert_true(ring_allocate(&rings[i], area)); // which it is already
		assert_int_equal(area_has(area, rings[i].data, RING_BYTES), i < PIECES);
		assert_int_equal(ring_put(&rings[i], (const uint8_t *)"hello", 5), 5);
	}
	assert_true(ring_allocate(&alone, NULL));
	assert_false(area_has(area, alone.data, 1));
	for (unsigned i = 0; i <= PIECES; i++)
		ring_free(&rings[i]);
	ring_free(&alone);
	ring_free(&alone); // an unused one
}

static void test_no_memory_at_all(void **state)
{
	int ends[2];
	struct area area;

	assert_int_equal(pipe(ends), 0);
	assert_true(area_open(&area, ends[0]) < 0);
	close(ends[0]);
	close(ends[1]);
	assert_true(area_open(&area, ends[0]) < 0);
}

#define AREA_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AREA_TEST(test_pieces),
		AREA_TEST(test_given_back_it_is_empty),
		AREA_TEST(test_what_lies_in_it),
		AREA_TEST(test_rings),
		cmocka_unit_test(test_no_memory_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
