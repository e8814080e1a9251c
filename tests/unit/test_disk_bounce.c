// SPDX-License-Identifier: GPL-2.0-or-later
// Transfers of parts of blocks, for each alignment that a host may want; the file
// itself is opened without O_DIRECT, so that any file system will do.

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../disk/file.h"

#include <cmocka.h>

#define FILE_BYTES (2 * MIB)

struct fixture {
	struct disk_file file;
	uint8_t *content; // what the file must hold
	uint8_t *data;
};

static int setup(void **state)
{
	static struct fixture f;

	f.file = (struct disk_file){
		.fd = memfd_create("disk", MFD_CLOEXEC),
		.direct = true,
		.memory_align = 512,
		.info.size_bytes = FILE_BYTES,
	};
	f.content = malloc(FILE_BYTES);
	f.data = malloc(FILE_BYTES + 16);
	assert_true(f.file.fd >= 0);
	assert_non_null(f.content);
	assert_non_null(f.data);
	for (unsigned i = 0; i < FILE_BYTES; i++)
		f.content[i] = i / 512 + i * 3;
	for (unsigned i = 0; i < FILE_BYTES + 16; i++)
		f.data[i] = 100 + i / 256 + i * 5;
	assert_int_equal(pwrite(f.file.fd, f.content, FILE_BYTES, 0), FILE_BYTES);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->file.fd);
	free(f->content);
	free(f->data);
	return 0;
}

static void check_file(struct fixture *f)
{
	uint8_t *back = malloc(FILE_BYTES);

	assert_int_equal(lseek(f->file.fd, 0, SEEK_END), FILE_BYTES);
	assert_int_equal(pread(f->file.fd, back, FILE_BYTES, 0), FILE_BYTES);
	assert_memory_equal(back, f->content, FILE_BYTES);
	free(back);
}

static int bounce(struct fixture *f, enum disk_op op, uint64_t offset, void *data, size_t len)
{
	struct iovec iov = { data, len };
	struct disk_request request = {
		.op = op,
		.offset_bytes = offset,
		.len_bytes = len,
		.iov = &iov,
		.iov_count = 1,
	};

	return disk_file_bounce(&f->file, &request);
}

// Where parts begin and end: in blocks of 512, 4096 and 64 KiB, and around the 256 KiB
// that are done at a time.
static const struct {
	uint64_t offset, len;
} parts[] = {
	{ 0, 512 },
	{ 512, 512 },
	{ 3584, 1024 },
	{ 4096, 4096 },
	{ 1024, 8192 },
	{ FILE_BYTES - 512, 512 },
	{ FILE_BYTES - 5120, 5120 },
	{ 256 * KIB - 512, 1024 },
	{ 512, 256 * KIB },
	{ 512, 512 * KIB - 512 },
	{ 1536, MIB + 512 },
	{ 0, FILE_BYTES },
	{ 512, FILE_BYTES - 1024 },
};

static const uint32_t aligns[] = { 512, 4096, 65536 };

static void test_writes(void **state)
{
	struct fixture *f = *state;

	for (unsigned a = 0; a < ARRAY_SIZE(aligns); a++) {
		f->file.offset_align = aligns[a];
		for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
			uint8_t *data = f->data + i;

			assert_int_equal(bounce(f, DISK_WRITE, parts[i].offset, data, parts[i].len),
					 0);
			memcpy(f->content + parts[i].offset, data, parts[i].len);
			check_file(f);
		}
	}
}

static void test_reads(void **state)
{
	struct fixture *f = *state;

	for (unsigned a = 0; a < ARRAY_SIZE(aligns); a++) {
		f->file.offset_align = aligns[a];
		for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
			memset(f->data, 0, FILE_BYTES);
			assert_int_equal(bounce(f, DISK_READ, parts[i].offset, f->data + 1,
						parts[i].len),
					 0);
			assert_memory_equal(f->data + 1, f->content + parts[i].offset,
					    parts[i].len);
		}
		check_file(f);
	}
}

static void test_zeroes(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(parts) - 2; i++) {
		f->file.offset_align = aligns[i % ARRAY_SIZE(aligns)];
		assert_int_equal(bounce(f, DISK_WRITE_ZEROES, parts[i].offset, NULL, parts[i].len),
				 0);
		memset(f->content + parts[i].offset, 0, parts[i].len);
		check_file(f);
	}
}

static void test_file_became_shorter(void **state)
{
	struct fixture *f = *state;

	f->file.offset_align = 4096;
	assert_int_equal(ftruncate(f->file.fd, 4096 + 1024), 0);
	assert_int_equal(bounce(f, DISK_READ, 512, f->data, 512), 0);
	assert_int_equal(bounce(f, DISK_READ, 4096 + 512, f->data, 1024), -EIO);
	assert_int_equal(bounce(f, DISK_WRITE, 4096 + 512, f->data, 512), -EIO);
}

static void test_host_error(void **state)
{
	struct fixture *f = *state;
	int fd = f->file.fd;

	f->file.offset_align = 512;
	f->file.fd = -1;
	assert_int_equal(bounce(f, DISK_READ, 0, f->data, 512), -EBADF);
	assert_int_equal(bounce(f, DISK_WRITE, 0, f->data, 512), -EBADF);
	f->file.fd = fd;
}

static bool needs_bounce(struct fixture *f, enum disk_op op, uint64_t offset, uintptr_t base,
			 size_t len)
{
	struct iovec iov = { (void *)base, len };
	struct disk_request request = {
		.op = op,
		.offset_bytes = offset,
		.len_bytes = len,
		.iov = &iov,
		.iov_count = op != DISK_WRITE_ZEROES,
	};

	return disk_file_needs_bounce(&f->file, &request);
}

static void test_when_it_is_needed(void **state)
{
	struct fixture *f = *state;

	f->file.offset_align = 4096;
	f->file.memory_align = 512;
	assert_false(needs_bounce(f, DISK_READ, 4096, 512, 4096));
	assert_true(needs_bounce(f, DISK_READ, 512, 512, 4096));
	assert_true(needs_bounce(f, DISK_READ, 4096, 256, 4096));
	assert_true(needs_bounce(f, DISK_WRITE, 4096, 512, 512));
	assert_true(needs_bounce(f, DISK_WRITE_ZEROES, 512, 0, 4096));
	assert_false(needs_bounce(f, DISK_WRITE_ZEROES, 4096, 0, 4096));
	assert_false(needs_bounce(f, DISK_FLUSH, 1, 1, 1));
	f->file.direct = false;
	assert_false(needs_bounce(f, DISK_READ, 512, 1, 512));
}

#define BOUNCE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOUNCE_TEST(test_writes),     BOUNCE_TEST(test_reads),
		BOUNCE_TEST(test_zeroes),     BOUNCE_TEST(test_file_became_shorter),
		BOUNCE_TEST(test_host_error), BOUNCE_TEST(test_when_it_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
