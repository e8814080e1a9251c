// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel images: every kind recognised and loaded, everything bad refused.

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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image-fixture.h"
#include "image.h"
#include "memory.h"
#include "util.h"

#include <cmocka.h>

#define RAM 0x80000000ULL
#define RAM_BYTES (8 * MIB)
#define IMAGE_BYTES 4096

// -- files of every kind --

static void fill(struct file *file, size_t from)
{
	for (size_t i = from; i < file->size; i++)
		file->data[i] = i * 7 + 1;
}

static struct file riscv_image(void)
{
	struct file file = make_file(IMAGE_BYTES);

	fill(&file, 64);
	put64(&file, 0x08, 2 * MIB);         // text_offset
	put64(&file, 0x10, IMAGE_BYTES * 3); // image_size
	put32(&file, 0x20, 2);               // version 0.2
	memcpy(file.data + 0x30, "RISCV\0\0\0RSC\x05", 12);
	return file;
}

static struct file arm64_image(void)
{
	struct file file = make_file(IMAGE_BYTES);

	put64(&file, 0x10, 2 * IMAGE_BYTES);
	memcpy(file.data + 0x38, "ARM\x64", 4);
	return file;
}

// Linked to begin at 0x1000.
static struct file zimage(void)
{
	struct file file = make_file(IMAGE_BYTES);

	put32(&file, 0x24, 0x016f2818);
	put32(&file, 0x28, 0x1000);
	put32(&file, 0x2c, 0x1000 + IMAGE_BYTES);
	return file;
}

static struct file bzimage(void)
{
	struct file file = make_file(4 * KIB);

	file.data[0x1f1] = 3;
	put16(&file, 0x1fe, 0xaa55);
	memcpy(file.data + 0x202, "HdrS", 4);
	put16(&file, 0x206, 0x20f);
	put16(&file, 0x236, 1);    // a 64-bit entry point
	put32(&file, 0x238, 2047); // cmdline_size
	put32(&file, 0x260, 1 << 20);
	return file;
}

// A segment of an ELF file, as its program header has it.
struct segment {
	uint64_t vaddr;
	uint64_t paddr;
	uint64_t file_bytes;
	uint64_t memory_bytes;
	uint64_t offset; // 0: where make_elf() puts it
};

#define ELF_HEADERS 1024
#define SEGMENT_ROOM 512

static struct file make_elf(uint16_t machine, uint64_t entry, const struct segment *segments,
			    unsigned count)
{
	struct file file = make_file(ELF_HEADERS + count * SEGMENT_ROOM);
	Elf64_Ehdr header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = htole16(ET_EXEC),
		.e_machine = htole16(machine),
		.e_entry = htole64(entry),
		.e_phoff = htole64(sizeof(header)),
		.e_phentsize = htole16(sizeof(Elf64_Phdr)),
		.e_phnum = htole16(count),
	};

	memcpy(file.data, &header, sizeof(header));
	for (unsigned i = 0; i < count; i++) {
		uint64_t offset = ELF_HEADERS + i * SEGMENT_ROOM;
		Elf64_Phdr program = {
			.p_type = htole32(PT_LOAD),
			.p_offset = htole64(segments[i].offset ? segments[i].offset : offset),
			.p_vaddr = htole64(segments[i].vaddr),
			.p_paddr = htole64(segments[i].paddr),
			.p_filesz = htole64(segments[i].file_bytes),
			.p_memsz = htole64(segments[i].memory_bytes),
		};

		memcpy(file.data + sizeof(header) + i * sizeof(program), &program, sizeof(program));
		memset(file.data + offset, 'A' + i, SEGMENT_ROOM);
	}
	return file;
}

#define ELF(machine, entry, ...)                                          \
	make_elf(machine, entry, (const struct segment[]){ __VA_ARGS__ }, \
		 sizeof((const struct segment[]){ __VA_ARGS__ }) / sizeof(struct segment))

#define ZBOOT_HEADER 512

static struct file zboot(struct file payload, const char *compression)
{
	struct file file = make_file(ZBOOT_HEADER + payload.size + 100);

	memcpy(file.data, "MZ\0\0zimg", 8);
	put32(&file, 0x08, ZBOOT_HEADER);
	put32(&file, 0x0c, payload.size);
	memcpy(file.data + 0x18, compression, strlen(compression));
	memcpy(file.data + 0x38, "RSC\x05", 4); // newer ones repeat the kernel's magic
	memcpy(file.data + ZBOOT_HEADER, payload.data, payload.size);
	free(payload.data);
	return file;
}

// -- parsing --

static int parse_file(struct image *image, struct file file)
{
	int rc = image_parse(image, "test", file.data, file.size);

	free(file.data);
	return rc;
}

static void assert_bad(struct file file)
{
	struct image image;

	assert_true(parse_file(&image, file) < 0);
	assert_null(image.data);
	assert_null(image.path);
}

static void assert_is(struct file file, enum image_kind kind, enum image_arch arch,
		      const char *wrapper)
{
	struct image image;

	assert_int_equal(parse_file(&image, file), 0);
	assert_int_equal(image.kind, kind);
	assert_int_equal(image.arch, arch);
	if (wrapper)
		assert_string_equal(image.wrapper, wrapper);
	else
		assert_null(image.wrapper);
	assert_string_equal(image.path, "test");
	image_close(&image);
}

static void test_kinds(void **state)
{
	const struct segment segment = { RAM, RAM, 16, 16, 0 };

	assert_is(riscv_image(), IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64, NULL);
	assert_is(arm64_image(), IMAGE_KIND_ARM64_IMAGE, IMAGE_ARCH_ARM64, NULL);
	assert_is(zimage(), IMAGE_KIND_ARM_ZIMAGE, IMAGE_ARCH_ARM64, NULL);
	assert_is(bzimage(), IMAGE_KIND_BZIMAGE, IMAGE_ARCH_X86_64, NULL);
	assert_is(make_elf(EM_RISCV, RAM, &segment, 1), IMAGE_KIND_ELF, IMAGE_ARCH_RISCV64, NULL);
	assert_is(make_elf(EM_AARCH64, RAM, &segment, 1), IMAGE_KIND_ELF, IMAGE_ARCH_ARM64, NULL);
	assert_is(make_elf(EM_X86_64, RAM, &segment, 1), IMAGE_KIND_ELF, IMAGE_ARCH_X86_64, NULL);
	assert_string_equal(image_arch_name(IMAGE_ARCH_X86_64), "x86-64");
}

static void test_wrappers(void **state)
{
	const enum image_kind kind = IMAGE_KIND_RISCV_IMAGE;
	const enum image_arch arch = IMAGE_ARCH_RISCV64;

	assert_is(gzip(riscv_image()), kind, arch, "gzip");
	assert_is(zstd(riscv_image()), kind, arch, "zstd");
	assert_is(zboot(gzip(riscv_image()), "gzip"), kind, arch, "zboot gzip");
	assert_is(zboot(zstd(riscv_image()), "zstd"), kind, arch, "zboot zstd");
	assert_is(zboot(zstd(riscv_image()), "zstd22"), kind, arch, "zboot zstd");
	assert_is(gzip(zboot(zstd(riscv_image()), "zstd")), kind, arch, "gzip");
	assert_is(gzip(gzip(riscv_image())), kind, arch, "gzip");
	assert_bad(gzip(gzip(gzip(riscv_image()))));
	assert_bad(gzip(gzip(gzip(gzip(riscv_image())))));
}

// What follows the packed data (padding, a device tree) does not matter.
static void test_trailing_bytes(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct file file = i ? zstd(riscv_image()) : gzip(riscv_image());

		file.data = realloc(file.data, file.size + 100);
		memset(file.data + file.size, 0x5a, 100);
		file.size += 100;
		assert_is(file, IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64, i ? "zstd" : "gzip");
	}
}

static struct file cut(struct file file, size_t size)
{
	// An exact copy, so that a sanitizer sees a read beyond it.
	struct file shorter = make_file(size ? size : 1);

	memcpy(shorter.data, file.data, size);
	shorter.size = size;
	free(file.data);
	return shorter;
}

static void test_truncated_at_every_byte(void **state)
{
	struct image image;

	for (size_t size = 0; size < 64; size++) {
		assert_bad(cut(riscv_image(), size));
		assert_bad(cut(arm64_image(), size));
	}
	for (size_t size = 0; size < IMAGE_BYTES; size += size < 64 ? 1 : 509)
		assert_bad(cut(zimage(), size));
	for (size_t size = 0; size < 0x264; size++)
		assert_bad(cut(bzimage(), size));
	for (size_t size = 0; size < ELF_HEADERS + 16; size++)
		assert_bad(cut(ELF(EM_RISCV, RAM, { RAM, RAM, 16, 16, 0 }), size));
	for (size_t size = 0; size < ZBOOT_HEADER; size++)
		assert_bad(cut(zboot(gzip(riscv_image()), "gzip"), size));
	assert_int_equal(parse_file(&image, cut(riscv_image(), 64)), 0);
	image_close(&image);
}

static void test_lying_image_headers(void **state)
{
	const uint64_t sizes[] = { 2 * GIB, 1ULL << 63, ~0ULL };
	const uint64_t offsets[] = { 1ULL << 63, ~0ULL, ~0ULL - 2 * MIB + 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct file riscv = riscv_image(), arm64 = arm64_image();

		put64(&riscv, 0x10, sizes[i]);
		assert_bad(riscv);
		put64(&arm64, 0x10, sizes[i]);
		assert_bad(arm64);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct file riscv = riscv_image(), arm64 = arm64_image();

		put64(&riscv, 0x08, offsets[i]);
		assert_bad(riscv);
		put64(&arm64, 0x08, offsets[i]);
		assert_bad(arm64);
	}
}

static void test_refused_image_headers(void **state)
{
	struct file big_endian = riscv_image(), newer = riscv_image(), unaligned = riscv_image();

	put64(&big_endian, 0x18, 1);
	assert_bad(big_endian);
	put32(&newer, 0x20, 1 << 16);
	assert_bad(newer);
	put64(&unaligned, 0x08, 0x80000);
	assert_bad(unaligned);
}

// An image_size of 0, or less than the file has, cannot hide the file's end.
static void test_image_size_at_least_the_file(void **state)
{
	const uint64_t sizes[] = { 0, 1, IMAGE_BYTES - 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct file file = riscv_image();
		struct image image;

		put64(&file, 0x10, sizes[i]);
		assert_int_equal(parse_file(&image, file), 0);
		assert_int_equal(image.memory_bytes, IMAGE_BYTES);
		image_close(&image);
	}
}

static struct file with_pe(unsigned section_count, uint32_t raw_offset, uint32_t raw_bytes)
{
	struct file file = riscv_image();

	memcpy(file.data, "MZ", 2);
	put32(&file, 0x3c, 0x40);
	memcpy(file.data + 0x40, "PE\0\0", 4);
	put16(&file, 0x40 + 6, section_count);
	put16(&file, 0x40 + 20, 0x10);
	put32(&file, 0x40 + 24 + 0x10 + 16, raw_bytes);
	put32(&file, 0x40 + 24 + 0x10 + 20, raw_offset);
	return file;
}

static void test_efi_header_shows_a_truncated_file(void **state)
{
	struct file beyond = with_pe(1, 0, 0), far = with_pe(1, 0, 0);

	assert_is(with_pe(1, 1024, IMAGE_BYTES - 1024), IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64,
		  NULL);
	assert_bad(with_pe(1, 1024, IMAGE_BYTES - 1023));
	assert_bad(with_pe(1, ~0U, ~0U));
	// A PE header that makes no sense is not ours to judge.
	put16(&far, 0x40 + 20, 0xffff);
	assert_is(far, IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64, NULL);
	put32(&beyond, 0x3c, 0xfffffff0);
	assert_is(beyond, IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64, NULL);
}

static void test_bad_bzimages(void **state)
{
	struct file long_setup = bzimage(), whole_setup = bzimage(), no_line = bzimage();
	struct file old = bzimage(), bits32 = bzimage(), no_setup = bzimage(), huge = bzimage();

	long_setup.data[0x1f1] = 255;
	assert_bad(long_setup);
	whole_setup.data[0x1f1] = 7; // nothing after it
	assert_bad(whole_setup);
	no_setup.data[0x1f1] = 0; // means 4
	assert_is(no_setup, IMAGE_KIND_BZIMAGE, IMAGE_ARCH_X86_64, NULL);
	put32(&no_line, 0x238, 0);
	assert_bad(no_line);
	put16(&old, 0x206, 0x20b);
	assert_bad(old);
	put16(&bits32, 0x236, 0);
	assert_bad(bits32);
	put32(&huge, 0x260, ~0U);
	assert_bad(huge);
}

static void test_bad_zboots(void **state)
{
	const struct {
		size_t offset;
		uint32_t value;
	} lies[] = { { 0x08, ~0U },     { 0x0c, ~0U }, { 0x0c, 0 },
		     { 0x08, 1 << 30 }, { 0x08, 0 },   { 0x18, 0xffffffff } };

	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		struct file file = zboot(gzip(riscv_image()), "gzip");

		put32(&file, lies[i].offset, lies[i].value);
		assert_bad(file);
	}
	assert_bad(zboot(gzip(riscv_image()), "xzkern"));
	assert_bad(zboot(gzip(riscv_image()), "zstd")); // it is not
	assert_bad(zboot(gzip(riscv_image()), ""));
	assert_bad(zboot(gzip(riscv_image()), "0123456789012345678901234567890123456789"));
}

static void test_strangers(void **state)
{
	static const char *const texts[] = {
		"",
		"#!/bin/sh\n",
		"\3757zXZ",
		"BZh91AY",
		"\x04\x22\x4d\x18",
		"\x89LZO",
		"\x5d",
		"\x27\x05\x19\x56",
		"\xd0\x0d\xfe\xed",
		"QFI\xfb",
		"070701",
		"MZ",
		"\177ELF",
		"hello",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		struct image image;

		assert_true(image_parse(&image, "test", texts[i], strlen(texts[i])) < 0);
	}
	assert_bad(make_file(1 << 20));
}

// Of CPU time: the machine may be busy with other things.
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

// Enough zeroes for the bound on the ratio; a gigabyte would go no further.
#define BOMB_MIB 40

static struct file gzip_bomb(void)
{
	struct file file = make_file(MIB);
	uint8_t *zeroes = calloc(1, MIB);
	z_stream stream = { .next_out = file.data, .avail_out = file.size };

	assert_int_equal(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_RLE), Z_OK);
	for (unsigned i = 1; i <= BOMB_MIB; i++) {
		stream.next_in = zeroes;
		stream.avail_in = MIB;
		assert_true(deflate(&stream, i == BOMB_MIB ? Z_FINISH : Z_NO_FLUSH) >= 0);
	}
	file.size = stream.total_out;
	deflateEnd(&stream);
	free(zeroes);
	return file;
}

static struct file copy(struct file file)
{
	struct file same = make_file(file.size);

	memcpy(same.data, file.data, file.size);
	return same;
}

static void test_bombs(void **state)
{
	struct file bomb = gzip_bomb();
	struct file bombs[] = {
		copy(bomb),
		zstd(make_file(BOMB_MIB * MIB)),
		zboot(copy(bomb), "gzip"),
		gzip(copy(bomb)),
	};

	free(bomb.data);
	for (unsigned i = 0; i < ARRAY_SIZE(bombs); i++) {
		double start = seconds();

		assert_bad(bombs[i]);
		assert_true(seconds() - start < 1);
	}
}

// Many zeroes are no bomb by themselves.
static void test_kernel_with_large_empty_parts(void **state)
{
	struct file plain = make_file(24 * MIB), image = riscv_image();

	memcpy(plain.data, image.data, image.size);
	free(image.data);
	assert_is(gzip(plain), IMAGE_KIND_RISCV_IMAGE, IMAGE_ARCH_RISCV64, "gzip");
}

// -- ELF headers --

static void test_bad_elf_headers(void **state)
{
	const struct {
		size_t offset;
		uint16_t value;
	} lies[] = {
		{ 4, ELFCLASS32 | ELFDATA2LSB << 8 },
		{ 4, ELFCLASS64 | ELFDATA2MSB << 8 },
		{ 16, ET_REL },
		{ 16, ET_CORE },
		{ 18, EM_386 },
		{ 18, EM_PPC64 },
		{ 32, 0xffff },
		{ 38, 0xffff }, // e_phoff
		{ 54, 55 },
		{ 54, 0 },
		{ 56, 0 },
		{ 56, 0xffff }, // e_phentsize, e_phnum
	};

	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		struct file file = ELF(EM_RISCV, RAM, { RAM, RAM, 16, 16, 0 });

		put16(&file, lies[i].offset, lies[i].value);
		assert_bad(file);
	}
	// One that is not loaded does not count.
	struct file note = ELF(EM_RISCV, RAM, { RAM, RAM, 16, 16, 0 });

	put32(&note, sizeof(Elf64_Ehdr), PT_NOTE);
	assert_bad(note);
}

static void test_bad_elf_segments(void **state)
{
	const struct segment bad[] = {
		{ RAM, RAM, 17, 16, 0 },     // more in the file than in memory
		{ RAM, RAM, 4096, 4096, 0 }, // beyond the file
		{ RAM, RAM, ~0ULL, ~0ULL, 0 },    { RAM, RAM, 16, 16, ~0ULL },
		{ RAM, RAM, 16, 16, ~0ULL - 15 }, { RAM, RAM, 16, 2 * GIB, 0 },
		{ RAM, ~0ULL - 14, 16, 16, 0 }, // wraps
		{ RAM, RAM, 16, 0, 0 },         // nothing to load
	};
	struct segment many[65];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_bad(make_elf(EM_RISCV, RAM, &bad[i], 1));
	assert_bad(ELF(EM_RISCV, RAM, { RAM, RAM, 16, 32, 0 }, { RAM, RAM + 31, 16, 16, 0 }));
	assert_bad(ELF(EM_RISCV, RAM, { RAM, RAM, 16, 16, 0 }, { RAM, RAM, 16, 16, 0 }));
	assert_bad(ELF(EM_RISCV, RAM, { RAM, RAM, 16, 16, 0 }, { RAM, RAM + GIB, 16, 16, 0 }));
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct segment){ RAM + i * 4096, RAM + i * 4096, 16, 16, 4096 };
	assert_bad(make_elf(EM_RISCV, RAM, many, ARRAY_SIZE(many)));
}

// -- loading --

struct ram {
	struct memory memory;
	uint64_t written_bytes;
};

static void count_written(void *opaque, uint64_t gpa, uint64_t len)
{
	struct ram *ram = opaque;

	ram->written_bytes += len;
}

static int setup_ram(void **state)
{
	struct ram *ram = calloc(1, sizeof(*ram));

	memory_init(&ram->memory);
	if (memory_add_ram(&ram->memory, RAM, RAM_BYTES))
		return -1;
	memset(memory_ptr(&ram->memory, RAM, RAM_BYTES), 0xee, RAM_BYTES);
	ram->memory.written = count_written;
	ram->memory.written_opaque = ram;
	*state = ram;
	return 0;
}

static int teardown_ram(void **state)
{
	struct ram *ram = *state;

	memory_exit(&ram->memory);
	free(ram);
	return 0;
}

static int load_file(struct ram *ram, struct file file, struct image_placement *placement)
{
	struct image image;
	int rc = parse_file(&image, file);

	assert_int_equal(rc, 0);
	rc = image_load(&image, &ram->memory, RAM, placement);
	image_close(&image);
	return rc;
}

static void assert_ram(struct ram *ram, uint64_t gpa, uint8_t value, size_t count)
{
	const uint8_t *data = memory_ptr(&ram->memory, gpa, count);

	assert_non_null(data);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(data[i], value);
}

static void assert_unloadable(struct ram *ram, struct file file)
{
	struct image_placement placement;

	assert_true(load_file(ram, file, &placement) < 0);
}

static void test_load_image(void **state)
{
	struct ram *ram = *state;
	struct file plain = riscv_image();
	struct image_placement placement;

	assert_int_equal(load_file(ram, riscv_image(), &placement), 0);
	assert_int_equal(placement.entry_gpa, RAM + 2 * MIB);
	assert_int_equal(placement.start_gpa, RAM + 2 * MIB);
	assert_int_equal(placement.end_gpa, RAM + 2 * MIB + 3 * IMAGE_BYTES);
	assert_memory_equal(memory_ptr(&ram->memory, placement.start_gpa, plain.size), plain.data,
			    plain.size);
	assert_ram(ram, placement.start_gpa + plain.size, 0, 2 * IMAGE_BYTES); // BSS
	assert_ram(ram, placement.start_gpa - 1, 0xee, 1);
	assert_ram(ram, placement.end_gpa, 0xee, 1);
	assert_int_equal(ram->written_bytes, 3 * IMAGE_BYTES);
	free(plain.data);
}

static void test_image_that_does_not_fit(void **state)
{
	struct ram *ram = *state;
	struct file exact = riscv_image(), larger = riscv_image(), beyond = riscv_image();
	struct image_placement placement;

	put64(&exact, 0x10, RAM_BYTES - 2 * MIB);
	assert_int_equal(load_file(ram, exact, &placement), 0);
	put64(&larger, 0x10, RAM_BYTES - 2 * MIB + 1);
	assert_unloadable(ram, larger);
	put64(&beyond, 0x08, 1ULL << 40);
	assert_unloadable(ram, beyond);
	assert_unloadable(ram, bzimage());
}

// -- packed; they are unpacked only when they are loaded --

static void test_unpacked_bytes_are_the_same(void **state)
{
	struct ram *ram = *state;
	struct file plain = riscv_image(), packed[] = { gzip(riscv_image()), zstd(riscv_image()) };

	for (unsigned i = 0; i < ARRAY_SIZE(packed); i++) {
		struct image_placement placement;
		struct image image;

		assert_int_equal(parse_file(&image, packed[i]), 0);
		assert_int_equal(image.text_offset, 2 * MIB);
		assert_int_equal(image.memory_bytes, 3 * IMAGE_BYTES);
		assert_int_equal(image_load(&image, &ram->memory, RAM, &placement), 0);
		image_close(&image);
		assert_int_equal(placement.end_gpa, RAM + 2 * MIB + 3 * IMAGE_BYTES);
		assert_memory_equal(memory_ptr(&ram->memory, RAM + 2 * MIB, plain.size), plain.data,
				    plain.size);
		assert_ram(ram, RAM + 2 * MIB + plain.size, 0, 2 * IMAGE_BYTES);
	}
	free(plain.data);
}

// 0 or -errno of whatever refuses it.
static int try_file(struct ram *ram, const struct file *file)
{
	struct image_placement placement;
	struct image image;
	int rc = image_parse(&image, "test", file->data, file->size);

	if (rc)
		return rc;
	rc = image_load(&image, &ram->memory, RAM, &placement);
	image_close(&image);
	return rc;
}

static void test_packed_and_truncated(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct file file = i ? zstd(riscv_image()) : gzip(riscv_image());
		size_t size = file.size;

		for (; size--; file = i ? zstd(riscv_image()) : gzip(riscv_image())) {
			file = cut(file, size);
			assert_true(try_file(*state, &file) < 0);
			free(file.data);
		}
		free(file.data);
	}
}

static void test_damaged_data(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct file file = i ? zstd(riscv_image()) : gzip(riscv_image());

		for (size_t at = 0; at < file.size; at++) {
			file.data[at] ^= 0x10;
			// Some bits (a time stamp) do not matter; none may do harm.
			(void)!try_file(*state, &file);
			file.data[at] ^= 0x10;
		}
		free(file.data);
	}
}

// What begins as a kernel, and is too large for RAM.
static void test_bombs_that_look_like_kernels(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct file plain = make_file(BOMB_MIB * MIB), image = riscv_image(), bomb;
		double start = seconds();

		memcpy(plain.data, image.data, image.size);
		free(image.data);
		bomb = i ? zstd(plain) : gzip(plain);
		if (i == 2)
			bomb = zboot(bomb, "zstd");
		start = seconds();
		assert_int_equal(try_file(*state, &bomb), -ENOSPC);
		assert_true(seconds() - start < 1);
		free(bomb.data);
	}
}

// How long it is.
static void test_what_is_found_only_unpacked(void **state)
{
	struct file pe = gzip(with_pe(1, 1024, IMAGE_BYTES - 1023));

	assert_int_equal(try_file(*state, &pe), -EINVAL);
	free(pe.data);
}

static void test_load_elf_where_it_says(void **state)
{
	struct ram *ram = *state;
	struct image_placement placement;

	assert_int_equal(load_file(ram,
				   ELF(EM_RISCV, RAM + 0x1004,
				       { RAM + 0x1000, RAM + 0x1000, 16, 64, 0 },
				       { RAM + 0x3000, RAM + 0x3000, 8, 8, 0 }),
				   &placement),
			 0);
	assert_int_equal(placement.entry_gpa, RAM + 0x1004);
	assert_int_equal(placement.start_gpa, RAM + 0x1000);
	assert_int_equal(placement.end_gpa, RAM + 0x3008);
	assert_ram(ram, RAM + 0x1000, 'A', 16);
	assert_ram(ram, RAM + 0x1010, 0, 48);
	assert_ram(ram, RAM + 0x1040, 0xee, 1);
	assert_ram(ram, RAM + 0x3000, 'B', 8);
	assert_int_equal(ram->written_bytes, 72);
}

// A stock vmlinux: linked high, physical addresses from 0, entry virtual.
static void test_load_vmlinux(void **state)
{
	const uint64_t link = 0xffffffff80000000;
	const uint64_t firsts[] = { 0, 2 * MIB, link };
	struct ram *ram = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(firsts); i++) {
		uint64_t first = firsts[i];
		struct image_placement placement;

		assert_int_equal(load_file(ram,
					   ELF(EM_RISCV, link, { link, first, 16, 0x1000, 0 },
					       { link + 0x200000, first + 0x200000, 8, 64, 0 }),
					   &placement),
				 0);
		assert_int_equal(placement.entry_gpa, RAM + 2 * MIB);
		assert_int_equal(placement.start_gpa, RAM + 2 * MIB);
		assert_int_equal(placement.end_gpa, RAM + 4 * MIB + 64);
		assert_ram(ram, RAM + 2 * MIB, 'A', 16);
		assert_ram(ram, RAM + 4 * MIB, 'B', 8);
	}
}

static void test_elfs_that_cannot_be_loaded(void **state)
{
	struct ram *ram = *state;

	// In a device, above RAM, across the end of RAM.
	assert_unloadable(ram, ELF(EM_RISCV, 0x10000000, { 0x10000000, 0x10000000, 16, 16, 0 }));
	assert_unloadable(ram, ELF(EM_RISCV, RAM + RAM_BYTES,
				   { RAM + RAM_BYTES, RAM + RAM_BYTES, 16, 16, 0 }));
	assert_unloadable(ram, ELF(EM_RISCV, RAM, { RAM, RAM + RAM_BYTES - 8, 16, 16, 0 }));
	assert_unloadable(ram, ELF(EM_RISCV, 0, { 0, 0, 16, 7 * MIB, 0 }));
	assert_unloadable(ram, ELF(EM_RISCV, RAM, { RAM, RAM, 16, 16, 0 },
				   { RAM + RAM_BYTES, RAM + RAM_BYTES, 16, 16, 0 }));
	// An entry point outside of all segments.
	assert_unloadable(ram, ELF(EM_RISCV, RAM + 16, { RAM, RAM, 16, 16, 0 }));
	assert_unloadable(ram, ELF(EM_RISCV, 0, { RAM, RAM, 16, 16, 0 }));
}

// -- files --

static char *in_dir(const char *name)
{
	static char path[128];
	const char *dir = getenv("TEST_DIR");

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int setup_dir(void **state)
{
	static char dir[] = "/tmp/kvik-test-image-XXXXXX";

	return mkdtemp(dir) && !setenv("TEST_DIR", dir, 1) ? 0 : -1;
}

static int teardown_dir(void **state)
{
	return rmdir(getenv("TEST_DIR"));
}

static void write_file(const char *path, struct file file)
{
	FILE *stream = fopen(path, "w");

	assert_non_null(stream);
	assert_int_equal(fwrite(file.data, 1, file.size, stream), file.size);
	fclose(stream);
	free(file.data);
}

static void test_open(void **state)
{
	const char *path = in_dir("kernel");
	struct image image;

	write_file(path, gzip(riscv_image()));
	assert_int_equal(image_open(&image, path), 0);
	assert_string_equal(image.path, path);
	assert_int_equal(image.arch, IMAGE_ARCH_RISCV64);
	image_close(&image);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(image_open(&image, path), -ENOENT);
}

static void test_what_is_no_file(void **state)
{
	const char *fifo = in_dir("fifo");
	struct image image;

	alarm(5); // a FIFO without a writer must not wait
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(image_open(&image, fifo), -EINVAL);
	unlink(fifo);
	assert_int_equal(image_open(&image, getenv("TEST_DIR")), -EINVAL);
	assert_int_equal(image_open(&image, "/dev/zero"), -EINVAL);
	assert_int_equal(image_open(&image, "/dev/null"), -EINVAL);
	assert_int_equal(image_open(&image, ""), -ENOENT);
	assert_int_equal(image_open_file("file", "/dev/zero"), -EINVAL);
}

static void test_empty_and_huge_files(void **state)
{
	char path[128];
	struct image image;
	double start = seconds();
	int fd;

	strcpy(path, in_dir("sparse"));
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(image_open(&image, path), -EINVAL);
	assert_int_equal(pwrite(fd, "\x1f\x8b\x08", 3, 0), 3);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_int_equal(image_open(&image, path), -EFBIG);
	assert_int_equal(pwrite(fd, "\0", 1, 0), 1);
	assert_int_equal(image_open(&image, path), -EINVAL);
	// As large as may be, and nothing in it.
	assert_int_equal(ftruncate(fd, 1LL << 30), 0);
	assert_int_equal(image_open(&image, path), -EINVAL);
	assert_true(seconds() - start < 1);
	close(fd);
	unlink(path);
}

static void test_load_file(void **state)
{
	struct ram *ram = *state;
	const char *path = in_dir("initrd");
	struct file file = make_file(1000);
	uint64_t size;
	int fd;

	fill(&file, 0);
	write_file(path, file);
	fd = image_open_file("file", path);
	assert_true(fd >= 0);
	unlink(path); // it is open
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(image_load_file(path, fd, &ram->memory, RAM + 8, &size), 0);
		assert_int_equal(size, 1000);
		assert_ram(ram, RAM + 7, 0xee, 1);
		assert_ram(ram, RAM + 8, 1, 1);
		assert_ram(ram, RAM + 1007, (uint8_t)(999 * 7 + 1), 1);
		assert_ram(ram, RAM + 1008, 0xee, 1);
	}
	assert_int_equal(ram->written_bytes, 2000);
	assert_int_equal(image_load_file(path, fd, &ram->memory, RAM + RAM_BYTES - 1000, &size), 0);
	assert_int_equal(image_load_file(path, fd, &ram->memory, RAM + RAM_BYTES - 999, &size),
			 -ENOSPC);
	assert_int_equal(image_load_file(path, fd, &ram->memory, 0, &size), -ENOSPC);
	close(fd);
}

// What was given back is read again, also when the file's name is gone.
static void test_load_again_after_unload(void **state)
{
	struct ram *ram = *state;
	const char *path = in_dir("kernel");
	struct file plain = riscv_image();
	struct image_placement placement;
	struct image image;

	write_file(path, gzip(riscv_image()));
	assert_int_equal(image_open(&image, path), 0);
	unlink(path);
	for (unsigned round = 0; round < 3; round++) {
		memset(memory_ptr(&ram->memory, RAM, RAM_BYTES), 0xee, RAM_BYTES);
		assert_int_equal(image_load(&image, &ram->memory, RAM, &placement), 0);
		assert_memory_equal(memory_ptr(&ram->memory, placement.start_gpa, plain.size),
				    plain.data, plain.size);
		assert_ram(ram, placement.start_gpa + plain.size, 0, 2 * IMAGE_BYTES);
		image_unload(&image);
		assert_null(image.data);
	}
	assert_int_equal(image.arch, IMAGE_ARCH_RISCV64);
	image_close(&image);
	free(plain.data);
}

static void test_kernel_overwritten_before_it_is_read_again(void **state)
{
	struct ram *ram = *state;
	const char *path = in_dir("kernel");
	struct image_placement placement;
	struct image image;

	write_file(path, riscv_image());
	assert_int_equal(image_open(&image, path), 0);
	image_unload(&image);
	write_file(path, arm64_image());
	assert_int_equal(image_load(&image, &ram->memory, RAM, &placement), -EINVAL);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(image_load(&image, &ram->memory, RAM, &placement), -EINVAL);
	write_file(path, riscv_image());
	assert_int_equal(image_load(&image, &ram->memory, RAM, &placement), 0);
	image_close(&image);
	unlink(path);
}

// One from memory has nowhere to come from again.
static void test_unload_keeps_what_has_no_file(void **state)
{
	struct image image;

	assert_int_equal(parse_file(&image, riscv_image()), 0);
	image_unload(&image);
	assert_non_null(image.data);
	image_close(&image);
}

#define LOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup_ram, teardown_ram)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_wrappers),
		cmocka_unit_test(test_trailing_bytes),
		cmocka_unit_test(test_truncated_at_every_byte),
		cmocka_unit_test(test_lying_image_headers),
		cmocka_unit_test(test_refused_image_headers),
		cmocka_unit_test(test_image_size_at_least_the_file),
		cmocka_unit_test(test_efi_header_shows_a_truncated_file),
		cmocka_unit_test(test_bad_bzimages),
		cmocka_unit_test(test_bad_zboots),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_kernel_with_large_empty_parts),
		cmocka_unit_test(test_bad_elf_headers),
		cmocka_unit_test(test_bad_elf_segments),
		LOAD_TEST(test_load_image),
		LOAD_TEST(test_image_that_does_not_fit),
		LOAD_TEST(test_unpacked_bytes_are_the_same),
		LOAD_TEST(test_packed_and_truncated),
		LOAD_TEST(test_damaged_data),
		LOAD_TEST(test_bombs_that_look_like_kernels),
		LOAD_TEST(test_what_is_found_only_unpacked),
		LOAD_TEST(test_load_elf_where_it_says),
		LOAD_TEST(test_load_vmlinux),
		LOAD_TEST(test_elfs_that_cannot_be_loaded),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_what_is_no_file),
		cmocka_unit_test(test_empty_and_huge_files),
		LOAD_TEST(test_load_file),
		LOAD_TEST(test_load_again_after_unload),
		LOAD_TEST(test_kernel_overwritten_before_it_is_read_again),
		cmocka_unit_test(test_unload_keeps_what_has_no_file),
	};

	return cmocka_run_group_tests(tests, setup_dir, teardown_dir);
}
