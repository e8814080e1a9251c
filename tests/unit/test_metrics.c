// SPDX-License-Identifier: GPL-2.0-or-later
// Metrics: what a device's I/O statistics become.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io-stats.h"
#include "metrics.h"

struct text_sink {
	struct metric_sink sink;
	char text[1024];
};

static void put_text(struct metric_sink *sink, const struct metric *metric)
{
	struct text_sink *to = container_of(sink, struct text_sink, sink);
	size_t len = strlen(to->text);
	uint64_t sum = 0;

	for (unsigned i = 0; i < metric->count; i++)
		sum += metric->values[i];
	snprintf(to->text + len, sizeof(to->text) - len, "%s %s %s %s %d %llu\n", metric->source,
		 metric->name, metric_type_name(metric->type), metric_unit_name(metric->unit),
		 metric->exponent, (unsigned long long)sum);
}

static void test_io(void **state)
{
	struct text_sink to = { .sink.put = put_text };
	struct io_stats stats = { 0 };
	struct io_totals totals = { 0 };

	io_stats_count(&stats, IO_READ, 2, 8192);
	io_stats_latency(&stats, IO_READ, 5000);
	io_stats_error(&stats, IO_FLUSH);
	io_totals_add(&totals, &stats);
	metric_put_io(&to.sink, "blk0", &totals);
	assert_string_equal(to.text, "blk0 read_requests cumulative none 0 2\n"
				     "blk0 read_bytes cumulative bytes 0 8192\n"
				     "blk0 read_errors cumulative none 0 0\n"
				     "blk0 read_latency log seconds -6 1\n"
				     "blk0 flush_requests cumulative none 0 0\n"
				     "blk0 flush_bytes cumulative bytes 0 0\n"
				     "blk0 flush_errors cumulative none 0 1\n");
}

static void test_time(void **state)
{
	struct text_sink to = { .sink.put = put_text };

	metric_put_ns(&to.sink, "main", "cpu_time", 42);
	assert_string_equal(to.text, "main cpu_time cumulative seconds -9 42\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
