// SPDX-License-Identifier: GPL-2.0-or-later
// Disks as their users want them: serial numbers, queues, limits, what happens on errors,
// statistics; and images that must not become something else.

#include <sys/resource.h>

#include "disk-fixture.h"
#include "io-stats.h"

// -- helpers --

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

struct alarm_clock {
	struct loop_timer timer;
	struct loop *loop;
};

static void stop_loop(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct alarm_clock, timer)->loop);
}

static void run_loop_ms(struct fixture *f, unsigned ms)
{
	struct alarm_clock clock = { .timer.expired = stop_loop, .loop = &f->loop };

	loop_arm_timer(&f->loop, &clock.timer, clock_monotonic_ns() + ms * 1000000ULL);
	loop_run(&f->loop);
}

static void submit_reads(struct fixture *f, struct result *results, unsigned count, uint64_t len)
{
	static uint8_t data[DISK_BYTES];
	static const struct iovec iov = { data, sizeof(data) };

	for (unsigned i = 0; i < count; i++)
		submit(f, &results[i], DISK_READ, 0, len, &iov, 1);
	disk_kick(f->queue);
}

static unsigned count_done(const struct result *results, unsigned count)
{
	unsigned done = 0;

	for (unsigned i = 0; i < count; i++)
		done += results[i].done;
	return done;
}

// -- what it is --

static void test_serial(void **state)
{
	struct fixture *f = *state;

	open_config(f, (struct disk_config){ .path = f->path, .serial = "abc" });
	assert_string_equal(disk_info(f->disk)->id, "abc");
	close_disk(f);
	open_config(f, (struct disk_config){ .path = f->path, .serial = "12345678901234567890" });
	assert_string_equal(disk_info(f->disk)->id, "12345678901234567890");
}

static int open_with_nine_queues(struct fixture *f)
{
	struct disk_config config = { .path = f->path, .queues = 9 };

	return disk_open(&f->disk, &config);
}

static void test_too_many_queues(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(with_messages(f, open_with_nine_queues), -EINVAL);
	assert_non_null(strstr(f->message, "queues=9: it can have at most 8"));
	f->disk = NULL;
}

static void test_two_queues(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(BLOCK, 3), back[BLOCK];
	struct iovec out = { data, BLOCK }, in = { back, BLOCK };
	struct disk_queue *second;
	struct result result = { 0 };
	struct loop loop;

	open_config(f, (struct disk_config){ .path = f->path, .queues = 2 });
	assert_int_equal(disk_info(f->disk)->queues, 2);
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(disk_attach(f->disk, &loop, (struct disk_events){ 0 }, &second), 0);
	submit(f, &result, DISK_WRITE, BLOCK, BLOCK, &out, 1);
	assert_int_equal(finish(f, &result), 0);
	result = (struct result){
		.request = {
			.op = DISK_READ,
			.offset_bytes = BLOCK,
			.len_bytes = BLOCK,
			.iov = &in,
			.iov_count = 1,
			.done = on_done,
		},
	};
	disk_submit(second, &result.request);
	disk_drain(second);
	assert_int_equal(result.done, 1);
	assert_memory_equal(back, data, BLOCK);
	disk_detach(second);
	loop_exit(&loop);
	free(data);
}

// -- limits --

static void test_operations_a_second(void **state)
{
	struct fixture *f = *state;
	struct rate_config rate = { .ops = { .per_s = 50 } };
	struct result results[10];
	uint64_t begin_ns = clock_monotonic_ns();

	open_config(f, (struct disk_config){ .path = f->path, .rate = rate });
	submit_reads(f, results, 10, 512);
	// A tenth of a second's worth, and one that empties the bucket.
	assert_in_range(count_done(results, 10), 5, 9);
	while (count_done(results, 10) < 10)
		run_loop_ms(f, 10);
	assert_true(clock_monotonic_ns() - begin_ns >= 75 * 1000000ULL);
}

static void test_bytes_a_second(void **state)
{
	struct fixture *f = *state;
	struct rate_config rate = { .bytes = { .per_s = 1, .burst = 2 * BLOCK } };
	struct result results[4], flush;

	open_config(f, (struct disk_config){ .path = f->path, .rate = rate });
	submit_reads(f, results, 4, BLOCK);
	assert_in_range(count_done(results, 4), 2, 3);
	// In line, although it has no bytes.
	submit(f, &flush, DISK_FLUSH, 0, 0, NULL, 0);
	disk_kick(f->queue);
	run_loop_ms(f, 20);
	assert_int_equal(flush.done, 0);
	// A reset waits for no limit.
	disk_drain(f->queue);
	assert_int_equal(count_done(results, 4), 4);
	assert_int_equal(flush.done, 1);
}

// -- errors --

static int write_too_far(struct fixture *f, struct result *result)
{
	static uint8_t data[BLOCK];
	static const struct iovec iov = { data, BLOCK };

	limit_file_size(BLOCK);
	submit(f, result, DISK_WRITE, 8 * BLOCK, BLOCK, &iov, 1);
	disk_kick(f->queue);
	run_loop_ms(f, 20);
	return 0;
}

static int stop_and_go_on(struct fixture *f)
{
	struct result result;

	open_config(f, (struct disk_config){ .path = f->path, .stop_on_write_error = true });
	write_too_far(f, &result);
	assert_int_equal(result.done, 0);
	// Others go on meanwhile.
	assert_int_equal(f->batches, 0);
	limit_file_size(RLIM_INFINITY);
	run_loop_ms(f, 1100);
	assert_int_equal(result.done, 1);
	assert_int_equal(result.error, 0);
	assert_int_equal(f->batches, 1);
	return 0;
}

static void test_stop_until_it_works(void **state)
{
	struct fixture *f = *state;

	with_messages(f, stop_and_go_on);
	assert_non_null(strstr(f->message, "File too large; the guest waits, until it works"));
	assert_non_null(strstr(f->message, "works again"));
}

static void test_report(void **state)
{
	struct fixture *f = *state;
	struct result result;

	open_config(f, (struct disk_config){ .path = f->path, .stop_on_read_error = true });
	write_too_far(f, &result);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(result.done, 1);
	assert_int_equal(result.error, -EFBIG);
}

// A guest that resets the device need not wait.
static void test_stopped_and_reset(void **state)
{
	struct fixture *f = *state;
	struct result result;

	open_config(f, (struct disk_config){ .path = f->path, .stop_on_write_error = true });
	write_too_far(f, &result);
	assert_int_equal(result.done, 0);
	disk_drain(f->queue);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(result.done, 1);
	assert_int_equal(result.error, -EFBIG);
	// Nothing is left to try again.
	assert_null(f->loop.timers);
}

static void test_read_error_stops(void **state)
{
	struct fixture *f = *state;
	struct result result;

	open_config(f, (struct disk_config){ .path = f->path, .stop_on_read_error = true });
	assert_int_equal(truncate(f->path, 0), 0);
	submit_reads(f, &result, 1, BLOCK);
	run_loop_ms(f, 20);
	assert_int_equal(result.done, 0);
	assert_int_equal(truncate(f->path, DISK_BYTES), 0);
	run_loop_ms(f, 1100);
	assert_int_equal(result.done, 1);
	assert_int_equal(result.error, 0);
}

static int flush_fails(struct fixture *f)
{
	open_config(f, (struct disk_config){ .path = f->path, .stop_on_write_error = true });
	deny(SYS_fdatasync, EIO);
	return transfer(f, DISK_FLUSH, 0, NULL, 0) != -EIO;
}

static void test_flush_is_not_tried_again(void **state)
{
	assert_int_equal(in_child(*state, flush_fails), 0);
}

// -- statistics --

static void test_statistics(void **state)
{
	struct fixture *f = *state;
	struct io_totals totals = { 0 };
	uint8_t data[BLOCK] = { 0 };

	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, BLOCK), 0);
	assert_int_equal(transfer(f, DISK_WRITE, BLOCK, data, BLOCK), 0);
	assert_int_equal(transfer(f, DISK_READ, 0, data, 512), 0);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 0, BLOCK, true), 0);
	assert_int_equal(truncate(f->path, BLOCK), 0);
	assert_int_equal(transfer(f, DISK_READ, 4 * BLOCK, data, 512), -EIO);
	disk_stats(f->disk, &totals);
	assert_int_equal(totals.kinds[IO_WRITE].requests, 2);
	assert_int_equal(totals.kinds[IO_WRITE].bytes, 2 * BLOCK);
	assert_int_equal(totals.kinds[IO_READ].requests, 2);
	assert_int_equal(totals.kinds[IO_READ].bytes, 512);
	assert_int_equal(totals.kinds[IO_READ].errors, 1);
	assert_int_equal(totals.kinds[IO_FLUSH].requests, 1);
	assert_int_equal(totals.kinds[IO_DISCARD].requests, 1);
	assert_true(io_totals_percentile_us(&totals.kinds[IO_WRITE], 100) > 0);
}

// -- a raw disk that a guest would like to be an image with a backing file --

static int write_magic(struct fixture *f, enum disk_format format)
{
	char data[512] = "QFI\xfb";
	int ret;

	open_config(f, (struct disk_config){ .path = f->path, .format = format });
	ret = transfer(f, DISK_WRITE, 0, data, sizeof(data));
	close_disk(f);
	return ret;
}

static void test_raw_stays_raw(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(write_magic(f, DISK_FORMAT_AUTO), -EPERM);
	assert_true(zero_on_disk(f, 0, 4));
	open_disk(f);
	close_disk(f);
	assert_int_equal(write_magic(f, DISK_FORMAT_RAW), 0);
	assert_content(f, 0, (const uint8_t *)"QFI\xfb", 4);
}

// The start is in the file, the rest had no space.
static int write_half_a_magic(struct fixture *f)
{
	char data[2048] = "QFI\xfb";
	int error;

	open_disk(f);
	limit_file_size(1024);
	error = transfer(f, DISK_WRITE, 0, data, sizeof(data));
	close_disk(f);
	return error == 0 || !zero_on_disk(f, 0, 4);
}

static void test_raw_stays_raw_without_space(void **state)
{
	assert_int_equal(in_child(*state, write_half_a_magic), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_serial),
		DISK_TEST(test_too_many_queues),
		DISK_TEST(test_two_queues),
		DISK_TEST(test_operations_a_second),
		DISK_TEST(test_bytes_a_second),
		DISK_TEST(test_stop_until_it_works),
		DISK_TEST(test_report),
		DISK_TEST(test_stopped_and_reset),
		DISK_TEST(test_read_error_stops),
		DISK_TEST(test_flush_is_not_tried_again),
		DISK_TEST(test_statistics),
		DISK_TEST(test_raw_stays_raw),
		DISK_TEST(test_raw_stays_raw_without_space),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
