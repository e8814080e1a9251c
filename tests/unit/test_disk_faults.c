// SPDX-License-Identifier: GPL-2.0-or-later
// Raw disks on a host that fails: every request ends, and never with a lie.
//
// RLIMIT_FSIZE cuts writes short, a file made shorter under the disk's feet ends reads,
// and a seccomp filter in a child process lets one system call fail.

#include <sys/resource.h>

#include "disk-fixture.h"

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// The host writes a part, then no more: never a success.
static void test_short_write_that_fails(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(8 * BLOCK, 1);
	int error;

	open_disk(f);
	limit_file_size(3 * BLOCK);
	error = transfer(f, DISK_WRITE, 0, data, 8 * BLOCK);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(error, -EFBIG);
	assert_content(f, 0, data, 3 * BLOCK);
	assert_true(zero_on_disk(f, 3 * BLOCK, BLOCK));
	free(data);
}

static void lift_limit(struct disk_request *request, int error)
{
	limit_file_size(RLIM_INFINITY);
	on_done(request, error);
}

// A write whose first part ends short, and whose rest then goes through: the second
// request fails at the limit and lifts it before the rest is submitted.
static void test_short_write_is_continued(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(40 * BLOCK, 1);
	struct iovec iov[40], last = { data, BLOCK };
	struct result result, lifter;

	for (unsigned i = 0; i < 40; i++)
		iov[i] = (struct iovec){ data + i * BLOCK, BLOCK };
	open_disk(f);
	limit_file_size(BLOCK + 700); // in the middle of a buffer
	submit(f, &result, DISK_WRITE, 0, 40 * BLOCK, iov, 40);
	submit(f, &lifter, DISK_WRITE, 50 * BLOCK, BLOCK, &last, 1);
	lifter.request.done = lift_limit;
	assert_int_equal(finish(f, &result), 0);
	assert_int_equal(lifter.error, -EFBIG);
	assert_content(f, 0, data, 40 * BLOCK);
	free(data);
}

static void test_read_behind_a_new_end(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(4 * BLOCK, 7);

	open_disk(f);
	assert_int_equal(truncate(f->path, BLOCK), 0);
	assert_int_equal(transfer(f, DISK_READ, 0, data, BLOCK), 0);
	assert_int_equal(transfer(f, DISK_READ, 0, data, 4 * BLOCK), -EIO);
	assert_int_equal(transfer(f, DISK_READ, 2 * BLOCK, data, BLOCK), -EIO);
	free(data);
}

static int attach_without_aio(struct fixture *f)
{
	struct disk_config config = { .path = f->path, .aio = DISK_AIO_NATIVE };

	deny(SYS_io_setup, EAGAIN);
	return disk_open(&f->disk, &config) ||
	       disk_attach(f->disk, &f->loop, (struct disk_events){ 0 }, &f->queue) != -EAGAIN;
}

static int attach_without_aio_in_child(struct fixture *f)
{
	return in_child(f, attach_without_aio);
}

static void test_no_aio_contexts_left(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(with_messages(f, attach_without_aio_in_child), 0);
	assert_non_null(strstr(f->message, f->path));
	assert_non_null(strstr(f->message, "fs.aio-max-nr"));
}

static void open_native(struct fixture *f)
{
	open_config(f, (struct disk_config){ .path = f->path, .aio = DISK_AIO_NATIVE });
}

static int submit_fails(struct fixture *f)
{
	char data[512];

	open_native(f);
	deny(SYS_io_submit, EIO);
	return transfer(f, DISK_READ, 0, data, 512) != -EIO ||
	       transfer(f, DISK_FLUSH, 0, NULL, 0) != -EIO;
}

static void test_submit_fails(void **state)
{
	assert_int_equal(in_child(*state, submit_fails), 0);
}

static int submit_again(struct fixture *f)
{
	char data[512];

	open_native(f);
	deny(SYS_io_submit, EAGAIN);
	return transfer(f, DISK_READ, 0, data, 512) != -EAGAIN;
}

// With nothing in flight there is nothing to wait for.
static void test_submit_is_out_of_resources(void **state)
{
	assert_int_equal(in_child(*state, submit_again), 0);
}

// As on a file system whose flush is not asynchronous.
static int flush_falls_back(struct fixture *f)
{
	open_native(f);
	deny(SYS_io_submit, EINVAL);
	if (transfer(f, DISK_FLUSH, 0, NULL, 0) != 0)
		return 1;
	deny(SYS_fdatasync, EIO);
	return transfer(f, DISK_FLUSH, 0, NULL, 0) != -EIO;
}

static void test_flush_falls_back_to_fdatasync(void **state)
{
	assert_int_equal(in_child(*state, flush_falls_back), 0);
}

static int allocate_fails(struct fixture *f)
{
	open_disk(f);
	deny(SYS_fallocate, EIO);
	return range(f, DISK_DISCARD, 0, BLOCK, false) != -EIO ||
	       range(f, DISK_WRITE_ZEROES, 0, BLOCK, false) != -EIO;
}

static void test_allocate_fails(void **state)
{
	assert_int_equal(in_child(*state, allocate_fails), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_short_write_that_fails),
		DISK_TEST(test_short_write_is_continued),
		DISK_TEST(test_read_behind_a_new_end),
		DISK_TEST(test_no_aio_contexts_left),
		DISK_TEST(test_submit_fails),
		DISK_TEST(test_submit_is_out_of_resources),
		DISK_TEST(test_flush_falls_back_to_fdatasync),
		DISK_TEST(test_allocate_fails),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
