// SPDX-License-Identifier: GPL-2.0-or-later
// Raw disks: what is opened and refused, transfers, and their limits.

#include "disk-fixture.h"

// -- opening --

static void test_info(void **state)
{
	struct fixture *f = *state;
	const struct disk_info *info;
	char id[sizeof(info->id)];

	open_disk(f);
	info = disk_info(f->disk);
	assert_int_equal(info->size_bytes, DISK_BYTES);
	assert_int_equal(info->block_bytes, 512);
	assert_true(info->physical_block_bytes >= 512);
	assert_false(info->read_only);
	assert_int_equal(strlen(info->id), 20);
	memcpy(id, info->id, sizeof(id));
	close_disk(f);
	open_config(f, (struct disk_config){ .path = f->path, .read_only = true });
	assert_true(disk_info(f->disk)->read_only);
	assert_false(disk_info(f->disk)->can_discard);
	assert_string_equal(disk_info(f->disk)->id, id);
}

static void test_partial_sector_is_left_out(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, DISK_BYTES + 511), 0);
	open_disk(f);
	assert_int_equal(disk_info(f->disk)->size_bytes, DISK_BYTES);
	close_disk(f);
	assert_int_equal(file_size(f), DISK_BYTES + 511);
}

static void test_missing_file(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	expect_refusal(f, "No such file");
}

static void test_empty_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, 0), 0);
	expect_refusal(f, "is empty");
	assert_int_equal(truncate(f->path, 511), 0);
	expect_refusal(f, "is empty");
}

static void test_directory(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(mkdir(f->path, 0700), 0);
	expect_refusal(f, "is a directory");
	rmdir(f->path);
}

// Must not wait for a writer, either.
static void test_fifo(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	expect_refusal(f, "is a FIFO");
}

static void test_character_device(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(symlink("/dev/zero", f->path), 0);
	expect_refusal(f, "is a character device");
}

static void test_qcow2(void **state)
{
	struct fixture *f = *state;

	write_file(f->path, "QFI\xfb\0\0\0\3", 8, DISK_BYTES);
	expect_refusal(f, "qcow2: clusters of 2^0 bytes");
	write_file(f->path, "QFI", 3, DISK_BYTES);
	open_disk(f);
}

static void test_lock(void **state)
{
	struct fixture *f = *state;

	open_disk(f);
	expect_refusal(f, "is in use by another VM");
	close_disk(f);
	open_config(f, (struct disk_config){ .path = f->path, .read_only = true });
	assert_int_equal(try_open(f->path, true), 0);
	assert_true(with_messages(f, open_writable) < 0);
	assert_non_null(strstr(f->message, "is in use by another VM"));
	close_disk(f);
	assert_int_equal(try_open(f->path, false), 0);
}

// -- transfers --

static void test_read_and_write(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1), *back = pattern(DISK_BYTES, 9);

	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_content(f, 0, data, DISK_BYTES);
	assert_int_equal(transfer(f, DISK_READ, 0, back, DISK_BYTES), 0);
	assert_memory_equal(back, data, DISK_BYTES);
	assert_int_equal(transfer(f, DISK_WRITE, DISK_BYTES - 512, data, 512), 0);
	assert_content(f, DISK_BYTES - 512, data, 512);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(file_size(f), DISK_BYTES);
	free(data);
	free(back);
}

static void test_scattered(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[100];
	uint8_t *data = pattern(100 * 512, 3), *back = calloc(100, 512);
	struct result result;

	open_disk(f);
	for (unsigned i = 0; i < 100; i++)
		iov[i] = (struct iovec){ data + 512 * i, 512 };
	submit(f, &result, DISK_WRITE, 1024, 100 * 512, iov, 100);
	assert_int_equal(finish(f, &result), 0);
	for (unsigned i = 0; i < 100; i++)
		iov[i] = (struct iovec){ back + 512 * i, 512 };
	submit(f, &result, DISK_READ, 1024, 100 * 512, iov, 100);
	assert_int_equal(finish(f, &result), 0);
	assert_memory_equal(back, data, 100 * 512);
	free(data);
	free(back);
}

// More than there are operations, in one kick.
static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	enum { COUNT = 1000 };
	struct result *results = calloc(COUNT, sizeof(*results));
	struct iovec *iov = calloc(COUNT, sizeof(*iov));
	uint8_t *data = pattern(COUNT * 512, 5);

	assert_int_equal(truncate(f->path, COUNT * 512), 0);
	open_disk(f);
	for (unsigned i = 0; i < COUNT; i++) {
		iov[i] = (struct iovec){ data + 512 * i, 512 };
		submit(f, &results[i], i % 100 ? DISK_WRITE : DISK_FLUSH, 512 * i, 512, &iov[i], 1);
	}
	disk_kick(f->queue);
	disk_drain(f->queue);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(results[i].done, 1);
		assert_int_equal(results[i].error, 0);
		if (i % 100)
			assert_content(f, 512 * i, data + 512 * i, 512);
	}
	free(results);
	free(iov);
	free(data);
}

// Nothing starts before the kick, and one batch is announced once.
static void test_batch(void **state)
{
	struct fixture *f = *state;
	struct result results[3];
	char data[512];
	struct iovec iov = { data, sizeof(data) };

	open_disk(f);
	for (unsigned i = 0; i < 3; i++)
		submit(f, &results[i], DISK_READ, 0, 512, &iov, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(results[i].done, 0);
	assert_int_equal(f->batches, 0);
	disk_drain(f->queue);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(results[i].done, 1);
	assert_int_equal(f->batches, 1);
}

struct stopper {
	struct result result;
	struct loop *loop;
};

static void stop_loop(struct disk_request *request, int error)
{
	struct stopper *stopper = container_of(request, struct stopper, result.request);

	on_done(request, error);
	loop_stop(stopper->loop);
}

// The eventfd finds its way through the loop: a flush is always asynchronous.
static void test_completion_by_the_loop(void **state)
{
	struct fixture *f = *state;
	struct stopper stopper = { .loop = &f->loop };

	open_disk(f);
	for (unsigned i = 1; i <= 10; i++) {
		stopper.result.request =
			(struct disk_request){ .op = DISK_FLUSH, .done = stop_loop };
		disk_submit(f->queue, &stopper.result.request);
		disk_kick(f->queue);
		loop_run(&f->loop);
		assert_int_equal(stopper.result.done, i);
		assert_int_equal(stopper.result.error, 0);
	}
}

struct chained {
	struct disk_request request;
	struct fixture *f;
	unsigned left;
};

static void submit_next(struct disk_request *request, int error)
{
	struct chained *chained = container_of(request, struct chained, request);

	assert_int_equal(error, 0);
	if (chained->left--)
		disk_submit(chained->f->queue, request);
}

static void test_submit_from_done(void **state)
{
	struct fixture *f = *state;
	struct chained chained = {
		.request = { .op = DISK_FLUSH, .done = submit_next },
		.f = f,
		.left = 10,
	};

	open_disk(f);
	disk_submit(f->queue, &chained.request);
	disk_drain(f->queue);
	assert_int_equal(chained.left, UINT32_MAX);
}

// -- limits --

static void test_ranges_beyond_the_end(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t offset, len;
	} bad[] = {
		{ DISK_BYTES, 512 },        { DISK_BYTES - 512, 1024 },
		{ 0, DISK_BYTES + 512 },    { UINT64_MAX - 511, 512 },
		{ UINT64_MAX - 511, 1024 }, { 1ULL << 63, 512 },
		{ 512, UINT64_MAX - 511 },  { 0, 0 },
	};
	static const enum disk_op ops[] = { DISK_READ, DISK_WRITE, DISK_DISCARD,
					    DISK_WRITE_ZEROES };
	char data[512] = { 0 };
	struct iovec iov = { data, sizeof(data) };

	open_disk(f);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		for (unsigned op = 0; op < ARRAY_SIZE(ops); op++) {
			struct result result;

			submit(f, &result, ops[op], bad[i].offset, bad[i].len, &iov, 1);
			assert_int_equal(finish(f, &result), -EINVAL);
		}
	}
	assert_int_equal(file_size(f), DISK_BYTES);
	assert_content(f, 0, (const uint8_t *)"start", 5);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	char data[512] = { 0 };

	open_config(f, (struct disk_config){ .path = f->path, .read_only = true });
	assert_int_equal(transfer(f, DISK_READ, 0, data, 512), 0);
	assert_memory_equal(data, "start", 5);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, 512), -EROFS);
	assert_int_equal(range(f, DISK_DISCARD, 0, 512, false), -EROFS);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 0, 512, true), -EROFS);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
}

// -- engines --

static int setup_native(void **state)
{
	int ret = setup(state);

	((struct fixture *)*state)->aio = DISK_AIO_NATIVE;
	return ret;
}

// Threads where it is not to be had.
static int setup_uring(void **state)
{
	int ret = setup(state);

	((struct fixture *)*state)->aio = DISK_AIO_IO_URING;
	return ret;
}

#define NATIVE_TEST(f) cmocka_unit_test_setup_teardown(f, setup_native, teardown)
#define URING_TEST(f) cmocka_unit_test_setup_teardown(f, setup_uring, teardown)
#define EACH_ENGINE(f) DISK_TEST(f), NATIVE_TEST(f), URING_TEST(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_info),
		DISK_TEST(test_partial_sector_is_left_out),
		DISK_TEST(test_missing_file),
		DISK_TEST(test_empty_file),
		DISK_TEST(test_directory),
		DISK_TEST(test_fifo),
		DISK_TEST(test_character_device),
		DISK_TEST(test_qcow2),
		DISK_TEST(test_lock),
		EACH_ENGINE(test_read_and_write),
		EACH_ENGINE(test_scattered),
		EACH_ENGINE(test_many_at_once),
		EACH_ENGINE(test_batch),
		EACH_ENGINE(test_completion_by_the_loop),
		EACH_ENGINE(test_submit_from_done),
		DISK_TEST(test_ranges_beyond_the_end),
		DISK_TEST(test_read_only),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
