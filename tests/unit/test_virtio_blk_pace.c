// SPDX-License-Identifier: GPL-2.0-or-later
// A queue's thread is patient as long as that brings several requests at once.

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "../../virtio/blk-pace.h"

#include <cmocka.h>

static void note(struct blk_pace *pace, unsigned rounds, unsigned requests)
{
	while (rounds--)
		blk_pace_note(pace, requests);
}

static void test_one_by_one(void **state)
{
	struct blk_pace pace = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		note(&pace, 255, 1);
		assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
		note(&pace, 1, 1);
		assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
		note(&pace, 7, 1);
		assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
		note(&pace, 1, 1);
		assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	}
}

static void test_several_at_once(void **state)
{
	struct blk_pace pace = { 0 };

	note(&pace, 256, 1);
	note(&pace, 1000, 4);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	// Rounds without a request say nothing.
	note(&pace, 1000, 0);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	note(&pace, 8, 1);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_several_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
