// SPDX-License-Identifier: GPL-2.0-or-later
// Engines of raw disks: what the page cache does not hold, direct I/O by each of them,
// and hosts that do not give what an engine needs.

#include "disk-fixture.h"

static void drop_from_cache(const char *path)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	fsync(fd);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

static void write_and_read(struct fixture *f)
{
	uint8_t *data = pattern(DISK_BYTES, 5), *back = pattern(DISK_BYTES, 9);

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
		assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
		drop_from_cache(f->path);
		memset(back, 0, DISK_BYTES);
		assert_int_equal(transfer(f, DISK_READ, 0, back, DISK_BYTES), 0);
		assert_memory_equal(back, data, DISK_BYTES);
	}
	free(data);
	free(back);
}

static const enum disk_aio engines[] = { DISK_AIO_AUTO, DISK_AIO_THREADS, DISK_AIO_NATIVE,
					 DISK_AIO_IO_URING };

static void test_cold_reads(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
		open_config(f, (struct disk_config){ .path = f->path, .aio = engines[i] });
		write_and_read(f);
		close_disk(f);
	}
}

static void test_direct(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
		struct disk_config config = {
			.path = f->path,
			.direct = true,
			.aio = engines[i],
		};

		if (disk_open(&f->disk, &config))
			skip(); // a file system without direct I/O
		disk_close(f->disk);
		open_config(f, config);
		write_and_read(f);
		close_disk(f);
	}
}

// As many reads at once as no engine takes in one go, all of which must wait.
static void test_many_cold_reads(void **state)
{
	struct fixture *f = *state;
	enum { COUNT = 300 };
	static struct result results[COUNT];
	static uint8_t data[COUNT][512];
	static struct iovec iov[COUNT];

	for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
		drop_from_cache(f->path);
		open_config(f, (struct disk_config){ .path = f->path, .aio = engines[i] });
		for (unsigned r = 0; r < COUNT; r++) {
			iov[r] = (struct iovec){ data[r], 512 };
			submit(f, &results[r], DISK_READ, r % 64 * BLOCK, 512, &iov[r], 1);
		}
		disk_kick(f->queue);
		disk_drain(f->queue);
		for (unsigned r = 0; r < COUNT; r++) {
			assert_int_equal(results[r].done, 1);
			assert_int_equal(results[r].error, 0);
		}
		close_disk(f);
	}
}

static int without_threads(struct fixture *f)
{
	open_config(f, (struct disk_config){ .path = f->path, .aio = DISK_AIO_THREADS });
	deny(SYS_clone3, EAGAIN);
	deny(SYS_clone, EAGAIN);
	write_and_read(f);
	return 0;
}

static void test_no_threads_to_be_had(void **state)
{
	assert_int_equal(in_child(*state, without_threads), 0);
}

static int without_uring(struct fixture *f)
{
	deny(SYS_io_uring_setup, EPERM);
	open_config(f, (struct disk_config){ .path = f->path, .aio = DISK_AIO_IO_URING });
	write_and_read(f);
	return 0;
}

static void test_io_uring_is_denied(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in_child(f, without_uring), 0);
}

// With direct I/O, where that is the default; threads take its place, without a word.
static int without_native(struct fixture *f)
{
	struct disk_config config = { .path = f->path, .direct = true };

	if (disk_open(&f->disk, &config))
		_exit(77);
	disk_close(f->disk);
	deny(SYS_io_setup, EAGAIN);
	open_config(f, config);
	write_and_read(f);
	return 0;
}

static int without_native_in_child(struct fixture *f)
{
	return in_child(f, without_native);
}

static void test_no_native_to_be_had(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(with_messages(f, without_native_in_child), 0);
	assert_string_equal(f->message, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_cold_reads),         DISK_TEST(test_direct),
		DISK_TEST(test_many_cold_reads),    DISK_TEST(test_no_threads_to_be_had),
		DISK_TEST(test_io_uring_is_denied), DISK_TEST(test_no_native_to_be_had),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
