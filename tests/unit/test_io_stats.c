// SPDX-License-Identifier: GPL-2.0-or-later
// I/O statistics: counting, the histogram's edges, sums, and the words for them.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io-stats.h"
#include "log.h"

#include <cmocka.h>

static void test_counts(void **state)
{
	struct io_stats first = { 0 }, second = { 0 };
	struct io_totals totals = { 0 };

	io_stats_count(&first, IO_READ, 1, 4096);
	io_stats_count(&first, IO_READ, 2, 100);
	io_stats_error(&first, IO_READ);
	io_stats_count(&second, IO_READ, 10, 1000);
	io_stats_count(&second, IO_FLUSH, 1, 0);
	io_totals_add(&totals, &first);
	io_totals_add(&totals, &second);
	assert_int_equal(totals.kinds[IO_READ].requests, 13);
	assert_int_equal(totals.kinds[IO_READ].bytes, 5196);
	assert_int_equal(totals.kinds[IO_READ].errors, 1);
	assert_int_equal(totals.kinds[IO_WRITE].requests, 0);
	assert_int_equal(totals.kinds[IO_FLUSH].requests, 1);
}

static unsigned bucket_of(uint64_t ns)
{
	struct io_stats stats = { 0 };
	struct io_totals totals = { 0 };
	unsigned i = 0;

	io_stats_latency(&stats, IO_WRITE, ns);
	io_totals_add(&totals, &stats);
	while (!totals.kinds[IO_WRITE].latency[i])
		i++;
	return i;
}

static void test_buckets(void **state)
{
	assert_int_equal(bucket_of(0), 0);
	assert_int_equal(bucket_of(999), 0);
	assert_int_equal(bucket_of(1000), 1);
	assert_int_equal(bucket_of(1999), 1);
	assert_int_equal(bucket_of(2000), 2);
	assert_int_equal(bucket_of(1023999), 10);
	assert_int_equal(bucket_of(1024000), 11);
	assert_int_equal(bucket_of(4000000000), 22);
	assert_int_equal(bucket_of(60000000000), 23);
	assert_int_equal(bucket_of(UINT64_MAX), 23);
}

static void test_percentiles(void **state)
{
	struct io_stats stats = { 0 };
	struct io_totals totals = { 0 };

	assert_int_equal(io_totals_percentile_us(&totals.kinds[IO_READ], 50), 0);
	for (unsigned i = 0; i < 98; i++)
		io_stats_latency(&stats, IO_READ, 10000); // below 16 us
	io_stats_latency(&stats, IO_READ, 100000);        // below 128 us
	io_stats_latency(&stats, IO_READ, UINT64_MAX);
	io_totals_add(&totals, &stats);
	assert_int_equal(io_totals_percentile_us(&totals.kinds[IO_READ], 50), 16);
	assert_int_equal(io_totals_percentile_us(&totals.kinds[IO_READ], 98), 16);
	assert_int_equal(io_totals_percentile_us(&totals.kinds[IO_READ], 99), 128);
	assert_int_equal(io_totals_percentile_us(&totals.kinds[IO_READ], 100), 1 << 22);
}

static void test_message(void **state)
{
	struct io_stats stats = { 0 };
	struct io_totals totals = { 0 };
	int saved = dup(STDERR_FILENO), pipes[2];
	char text[1024];
	ssize_t n;

	io_stats_count(&stats, IO_DISCARD, 3, 12288);
	io_stats_latency(&stats, IO_DISCARD, 5000);
	io_totals_add(&totals, &stats);
	assert_int_equal(pipe(pipes), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_set_level(LOG_LEVEL_DEBUG);
	io_totals_debug(&totals, "disk a");
	dup2(saved, STDERR_FILENO);
	n = read(pipes[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	assert_non_null(strstr(text, "disk a: discard: 3 requests, 12288 bytes, 0 errors; 50 % "
				     "below 8 us, 99 % below 8 us\n"));
	assert_null(strstr(text, "read"));
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
