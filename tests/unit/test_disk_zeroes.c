// SPDX-License-Identifier: GPL-2.0-or-later
// Raw disks: discard, write zeroes, and direct I/O.

#include <linux/falloc.h>
#include <sys/mman.h>

#include "disk-fixture.h"

// -- discard and zeroes --

static void test_discard(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1);
	struct stat before, after;

	open_disk(f);
	if (!disk_info(f->disk)->can_discard)
		skip();
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(range(f, DISK_DISCARD, 8 * BLOCK, 32 * BLOCK, false), 0);
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(zero_on_disk(f, 8 * BLOCK, 32 * BLOCK));
	assert_content(f, 40 * BLOCK, data + 40 * BLOCK, BLOCK);
	free(data);
}

static void test_write_zeroes(void **state)
{
	struct fixture *f = *state;

	open_disk(f);
	zero_both_ways(f);
	assert_int_equal(file_size(f), DISK_BYTES);
}

static int zero_without_fallocate(struct fixture *f)
{
	deny(SYS_fallocate, EOPNOTSUPP);
	open_disk(f);
	if (disk_info(f->disk)->can_discard || range(f, DISK_DISCARD, 0, 512, false) != -EOPNOTSUPP)
		return 1;
	zero_both_ways(f);
	return 0;
}

// As a device does for a range that is not made of its blocks.
static int zero_with_invalid_fallocate(struct fixture *f)
{
	deny(SYS_fallocate, EINVAL);
	open_disk(f);
	zero_both_ways(f);
	return 0;
}

static void test_write_zeroes_without_the_hosts_help(void **state)
{
	assert_int_equal(in_child(*state, zero_without_fallocate), 0);
	assert_int_equal(in_child(*state, zero_with_invalid_fallocate), 0);
}

static blkcnt_t blocks(struct fixture *f)
{
	struct stat st;

	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &st), 0);
	return st.st_blocks;
}

static void test_write_zeroes_deallocates_only_on_request(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_RDWR), ret;
	uint8_t *data = pattern(DISK_BYTES, 1);
	blkcnt_t full;

	ret = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, BLOCK);
	close(fd);
	if (ret)
		skip();
	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	full = blocks(f);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 0, 32 * BLOCK, false), 0);
	assert_int_equal(blocks(f), full);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 0, 32 * BLOCK, true), 0);
	assert_true(blocks(f) < full);
	free(data);
}

// More than one window of zeroes, on a file system that has only holes.
static void test_long_zeroes_on_tmpfs(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("disk", 0);
	uint8_t *data = pattern(4 * MIB, 1);

	assert_int_equal(write(fd, data, 4 * MIB), 4 * MIB);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", fd);
	open_disk(f);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 512, 3 * MIB, false), 0);
	assert_int_equal(pread(fd, data, 4 * MIB, 0), 4 * MIB);
	assert_true(all_zero(data + 512, 3 * MIB));
	assert_false(all_zero(data + 3 * MIB, 1024));
	close_disk(f);
	close(fd);
	free(data);
	snprintf(f->path, sizeof(f->path), "%s/disk.img", f->dir);
}

// -- direct I/O --

// Skips the test where the file system has none.
static void open_direct(struct fixture *f)
{
	int fd = open(f->path, O_RDWR | O_DIRECT);

	if (fd < 0)
		skip();
	close(fd);
	open_config(f, (struct disk_config){ .path = f->path, .direct = true });
}

static void test_direct(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1), *back = pattern(DISK_BYTES, 2);

	open_direct(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_content(f, 0, data, DISK_BYTES);
	assert_int_equal(transfer(f, DISK_READ, 0, back, DISK_BYTES), 0);
	assert_memory_equal(back, data, DISK_BYTES);
	zero_both_ways(f);
	free(data);
	free(back);
}

// Sectors, odd addresses and odd lengths, which the host would refuse.
static void test_direct_unaligned(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1), *more = pattern(DISK_BYTES + 64, 2);
	uint8_t *back = malloc(DISK_BYTES + 64);
	struct iovec iov[3];
	struct result result;

	open_direct(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_int_equal(transfer(f, DISK_WRITE, 3 * 512, more + 1, 9 * 512), 0);
	assert_int_equal(transfer(f, DISK_READ, 2 * 512, back + 3, 11 * 512), 0);
	assert_memory_equal(back + 3, data + 2 * 512, 512);
	assert_memory_equal(back + 3 + 512, more + 1, 9 * 512);
	assert_memory_equal(back + 3 + 10 * 512, data + 12 * 512, 512);
	iov[0] = (struct iovec){ more + 5, 100 };
	iov[1] = (struct iovec){ more + 777, 3 };
	iov[2] = (struct iovec){ more + 1000, 409 };
	submit(f, &result, DISK_WRITE, DISK_BYTES - 512, 512, iov, 3);
	assert_int_equal(finish(f, &result), 0);
	assert_content(f, DISK_BYTES - 512, more + 5, 100);
	assert_content(f, DISK_BYTES - 512 + 103, more + 1000, 409);
	assert_content(f, DISK_BYTES - 1024, data + DISK_BYTES - 1024, 512);
	assert_int_equal(file_size(f), DISK_BYTES);
	free(data);
	free(more);
	free(back);
}

// Larger than the buffer it goes through.
static void test_direct_unaligned_large(void **state)
{
	struct fixture *f = *state;
	size_t len = MIB + 512;
	uint8_t *data = pattern(len + 8, 1), *back = malloc(len + 8);

	assert_int_equal(truncate(f->path, 2 * MIB), 0);
	open_direct(f);
	assert_int_equal(transfer(f, DISK_WRITE, 512, data + 1, len), 0);
	assert_content(f, 512, data + 1, len);
	assert_int_equal(transfer(f, DISK_READ, 512, back + 5, len), 0);
	assert_memory_equal(back + 5, data + 1, len);
	assert_int_equal(file_size(f), 2 * MIB);
	free(data);
	free(back);
}

// Two halves of a block at once: neither may undo the other.
static void test_direct_neighbours(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(8 * 512 + 8, 1);
	struct iovec iov[8];
	struct result results[8];

	open_direct(f);
	for (unsigned i = 0; i < 8; i++) {
		iov[i] = (struct iovec){ data + 1 + i * 512, 512 };
		submit(f, &results[i], DISK_WRITE, i * 512, 512, &iov[i], 1);
	}
	disk_drain(f->queue);
	assert_content(f, 0, data + 1, 8 * 512);
	free(data);
}

// A part of a block is written after what was submitted before it, not around it.
static void test_direct_keeps_the_order(void **state)
{
	struct fixture *f = *state;
	uint8_t *whole = pattern(BLOCK, 1), *part = pattern(1024, 77);
	struct iovec iov[2] = { { whole, BLOCK }, { part + 1, 512 } };
	struct result results[2];

	open_direct(f);
	submit(f, &results[0], DISK_WRITE, 0, BLOCK, &iov[0], 1);
	submit(f, &results[1], DISK_WRITE, 512, 512, &iov[1], 1);
	disk_drain(f->queue);
	assert_content(f, 0, whole, 512);
	assert_content(f, 512, part + 1, 512);
	assert_content(f, 1024, whole + 1024, BLOCK - 1024);
	free(whole);
	free(part);
}

static int zero_direct_without_fallocate(struct fixture *f)
{
	deny(SYS_fallocate, EOPNOTSUPP);
	open_config(f, (struct disk_config){ .path = f->path, .direct = true });
	zero_both_ways(f);
	return 0;
}

static void test_direct_zeroes_without_the_hosts_help(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_RDWR | O_DIRECT);

	if (fd < 0)
		skip();
	close(fd);
	assert_int_equal(in_child(f, zero_direct_without_fallocate), 0);
}

static int open_direct_odd_size(struct fixture *f)
{
	struct disk_config config = { .path = f->path, .direct = true };
	int ret = disk_open(&f->disk, &config);

	if (!ret) {
		disk_close(f->disk); // a host whose blocks are sectors
		f->disk = NULL;
	}
	return ret;
}

static void test_direct_size(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, DISK_BYTES + 512), 0);
	if (with_messages(f, open_direct_odd_size))
		assert_non_null(strstr(f->message, "leave out ,direct"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_discard),
		DISK_TEST(test_write_zeroes),
		DISK_TEST(test_write_zeroes_without_the_hosts_help),
		DISK_TEST(test_write_zeroes_deallocates_only_on_request),
		DISK_TEST(test_long_zeroes_on_tmpfs),
		DISK_TEST(test_direct),
		DISK_TEST(test_direct_unaligned),
		DISK_TEST(test_direct_unaligned_large),
		DISK_TEST(test_direct_neighbours),
		DISK_TEST(test_direct_keeps_the_order),
		DISK_TEST(test_direct_zeroes_without_the_hosts_help),
		DISK_TEST(test_direct_size),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
