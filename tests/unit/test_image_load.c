// SPDX-License-Identifier: GPL-2.0-or-later
// Kernels from files, read or unpacked right to where they belong.

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "image.h"
#include "memory.h"
#include "util.h"

#include <cmocka.h>

#define RAM 0x80000000ULL
#define RAM_BYTES (8 * MIB)
#define KERNEL (RAM + 2 * MIB)
#define KERNEL_BYTES (3 * MIB) // more than is read at once, also packed
#define FOOTPRINT_BYTES (4 * MIB)

struct fixture {
	struct memory memory;
	uint8_t *kernel; // an Image, KERNEL_BYTES
	uint8_t *packed; // room for it
	char path[64];
	struct image image;
	struct image_placement placement;
};

static void make_kernel(uint8_t *kernel)
{
	uint64_t text_offset = htole64(2 * MIB), size = htole64(FOOTPRINT_BYTES);
	uint32_t random = 1;

	for (size_t i = 64; i < KERNEL_BYTES; i++) {
		random = random * 1664525 + 1013904223;
		kernel[i] = random >> 24;
	}
	memcpy(kernel + 0x08, &text_offset, 8);
	memcpy(kernel + 0x10, &size, 8);
	memcpy(kernel + 0x30, "RISCV\0\0\0RSC\x05", 12);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	*state = f;
	f->kernel = calloc(1, KERNEL_BYTES);
	f->packed = malloc(ZSTD_compressBound(KERNEL_BYTES) + KERNEL_BYTES / 100);
	make_kernel(f->kernel);
	strcpy(f->path, "/tmp/kvik-test-image-load-XXXXXX");
	fd = mkstemp(f->path);
	if (fd < 0)
		return -1;
	close(fd);
	if (memory_add_ram(&f->memory, RAM, RAM_BYTES))
		return -1;
	memset(memory_ptr(&f->memory, RAM, RAM_BYTES), 0xee, RAM_BYTES);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	image_close(&f->image);
	memory_exit(&f->memory);
	unlink(f->path);
	free(f->packed);
	free(f->kernel);
	free(f);
	return 0;
}

static void write_file(struct fixture *f, const void *data, size_t size)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static void write_gzip(struct fixture *f)
{
	z_stream stream = { .next_in = f->kernel,
			    .avail_in = KERNEL_BYTES,
			    .next_out = f->packed,
			    .avail_out = ZSTD_compressBound(KERNEL_BYTES) + KERNEL_BYTES / 100 };

	assert_int_equal(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	write_file(f, f->packed, stream.total_out);
	deflateEnd(&stream);
}

static void write_zstd(struct fixture *f)
{
	size_t size = ZSTD_compress(f->packed, ZSTD_compressBound(KERNEL_BYTES), f->kernel,
				    KERNEL_BYTES, 1);

	assert_false(ZSTD_isError(size));
	write_file(f, f->packed, size);
}

static void write_plain(struct fixture *f)
{
	write_file(f, f->kernel, KERNEL_BYTES);
}

static void (*const writers[])(struct fixture *f) = { write_plain, write_gzip, write_zstd };

static int load(struct fixture *f)
{
	return image_load(&f->image, &f->memory, RAM, &f->placement);
}

static uint8_t ram_at(struct fixture *f, uint64_t gpa)
{
	return *(uint8_t *)memory_ptr(&f->memory, gpa, 1);
}

static void assert_ram(struct fixture *f, uint64_t gpa, uint8_t value, size_t count)
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(ram_at(f, gpa + i), value);
}

static void assert_loaded(struct fixture *f)
{
	assert_int_equal(f->placement.entry_gpa, KERNEL);
	assert_int_equal(f->placement.end_gpa, KERNEL + FOOTPRINT_BYTES);
	assert_memory_equal(memory_ptr(&f->memory, KERNEL, KERNEL_BYTES), f->kernel, KERNEL_BYTES);
}

static void test_from_files(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i](f);
		memset(memory_ptr(&f->memory, RAM, RAM_BYTES), 0xee, RAM_BYTES);
		assert_int_equal(image_open(&f->image, f->path), 0);
		assert_null(f->image.data); // it stays in the file
		for (unsigned round = 0; round < 2; round++) {
			assert_int_equal(load(f), 0);
			assert_loaded(f);
			assert_ram(f, KERNEL + KERNEL_BYTES, 0, MIB);
			assert_int_equal(ram_at(f, KERNEL - 1), 0xee);
			image_unload(&f->image);
		}
		image_close(&f->image);
	}
}

// What nobody has written to need not be cleared.
static void test_fresh_ram(void **state)
{
	struct fixture *f = *state;

	f->memory.fresh = true;
	write_plain(f);
	assert_int_equal(image_open(&f->image, f->path), 0);
	assert_int_equal(load(f), 0);
	assert_loaded(f);
	assert_ram(f, KERNEL + KERNEL_BYTES, 0xee, MIB);
	f->memory.fresh = false;
	assert_int_equal(load(f), 0);
	assert_ram(f, KERNEL + KERNEL_BYTES, 0, MIB);
}

static void test_file_cut_after_it_was_opened(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i](f);
		assert_int_equal(image_open(&f->image, f->path), 0);
		assert_int_equal(truncate(f->path, MIB), 0);
		assert_int_equal(load(f), -EIO);
		assert_int_equal(truncate(f->path, 0), 0);
		assert_int_equal(load(f), -EIO);
		image_close(&f->image);
	}
}

static void test_file_changed_after_it_was_opened(void **state)
{
	struct fixture *f = *state;
	uint64_t elsewhere = htole64(4 * MIB);

	write_gzip(f);
	assert_int_equal(image_open(&f->image, f->path), 0);
	memcpy(f->kernel + 0x08, &elsewhere, 8);
	write_gzip(f);
	// More or fewer bytes: the header is what counts, or the file ends too early.
	assert_true(load(f) < 0);
	image_close(&f->image);
}

static void test_little_ram(void **state)
{
	struct fixture *f = *state;
	struct memory small = { 0 };
	uint64_t nothing = 0;

	// A header that says nothing of its size.
	memcpy(f->kernel + 0x10, &nothing, 8);
	assert_int_equal(memory_add_ram(&small, RAM, 4 * MIB), 0);
	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		writers[i](f);
		assert_int_equal(image_open(&f->image, f->path), 0);
		assert_int_equal(image_load(&f->image, &small, RAM, &f->placement), -ENOSPC);
		image_close(&f->image);
	}
	memory_exit(&small);
}

// -- ELF --

static void write_elf(struct fixture *f)
{
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = htole16(ET_EXEC),
		.e_machine = htole16(EM_RISCV),
		.e_entry = htole64(KERNEL),
		.e_phoff = htole64(MIB), // far from what is read at first
		.e_phentsize = htole16(sizeof(Elf64_Phdr)),
		.e_phnum = htole16(1),
	};
	Elf64_Phdr program = {
		.p_type = htole32(PT_LOAD),
		.p_offset = htole64(2 * MIB),
		.p_vaddr = htole64(KERNEL),
		.p_paddr = htole64(KERNEL),
		.p_filesz = htole64(MIB),
		.p_memsz = htole64(MIB + 4096),
	};

	memcpy(f->kernel, &header, sizeof(header));
	memcpy(f->kernel + MIB, &program, sizeof(program));
	write_plain(f);
}

static void test_elf_from_a_file(void **state)
{
	struct fixture *f = *state;

	write_elf(f);
	assert_int_equal(image_open(&f->image, f->path), 0);
	assert_int_equal(load(f), 0);
	assert_int_equal(f->placement.end_gpa, KERNEL + MIB + 4096);
	assert_memory_equal(memory_ptr(&f->memory, KERNEL, MIB), f->kernel + 2 * MIB, MIB);
	assert_ram(f, KERNEL + MIB, 0, 4096);
	assert_int_equal(ram_at(f, KERNEL + MIB + 4096), 0xee);
	assert_int_equal(truncate(f->path, KERNEL_BYTES - 1), 0);
	assert_int_equal(load(f), -EIO);
	assert_int_equal(truncate(f->path, MIB), 0);
	assert_int_equal(load(f), -EIO);
}

// Its segments may be anywhere in it: it is unpacked to memory first.
static void test_packed_elf(void **state)
{
	struct fixture *f = *state;

	write_elf(f);
	write_zstd(f);
	assert_int_equal(image_open(&f->image, f->path), 0);
	assert_string_equal(f->image.wrapper, "zstd");
	assert_int_equal(load(f), 0);
	assert_memory_equal(memory_ptr(&f->memory, KERNEL, MIB), f->kernel + 2 * MIB, MIB);
	image_unload(&f->image);
	assert_null(f->image.data);
	assert_int_equal(load(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_from_files),
		TEST(test_fresh_ram),
		TEST(test_file_cut_after_it_was_opened),
		TEST(test_file_changed_after_it_was_opened),
		TEST(test_little_ram),
		TEST(test_elf_from_a_file),
		TEST(test_packed_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
