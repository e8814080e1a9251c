// SPDX-License-Identifier: GPL-2.0-or-later
// Symbols out of a System.map, an ELF file and a kernel's kallsyms.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "kallsyms-fixture.h"
#include "symbols.h"

static struct symbols *symbols;

static int teardown(void **state)
{
	symbols_free(symbols);
	symbols = NULL;
	return 0;
}

static int parse_text(const char *text)
{
	return symbols_parse(&symbols, "text", text, strlen(text));
}

static void check_place(uint64_t address, const char *name, uint64_t offset, uint64_t size)
{
	struct symbol_place place;

	assert_true(symbols_find(symbols, address, &place));
	assert_string_equal(place.name, name);
	assert_int_equal(place.offset, offset);
	assert_int_equal(place.size_bytes, size);
}

// -- System.map --

static void test_map(void **state)
{
	struct symbol_place place;
	uint64_t address;

	assert_int_equal(parse_text("ffffffff81000200 T second\n"
				    "0000000000000000 A absolute\n"
				    "ffffffff81000000 t first\n"
				    "ffffffff81000100 D data\n"
				    "ffffffff81000300 W third"),
			 0);
	check_place(0xffffffff81000000, "first", 0, 0x200);
	check_place(0xffffffff810001ff, "first", 0x1ff, 0x200);
	check_place(0xffffffff81000210, "second", 0x10, 0x100);
	check_place(0xffffffff81000300, "third", 0, 4096);
	assert_false(symbols_find(symbols, 0xffffffff80ffffff, &place));
	assert_false(symbols_find(symbols, 0xffffffff81001300, &place));
	assert_true(symbols_address(symbols, "second", &address));
	assert_int_equal(address, 0xffffffff81000200);
	assert_false(symbols_address(symbols, "data", &address));
}

static void test_names_of_one_address(void **state)
{
	assert_int_equal(parse_text("0000000000001000 T __start_of_text\n"
				    "0000000000001000 t local\n"
				    "0000000000001000 T global\n"
				    "0000000000001000 T later\n"
				    "0000000000002000 T end\n"),
			 0);
	check_place(0x1004, "global", 4, 0x1000);
}

static void test_map_that_is_none(void **state)
{
	assert_int_equal(parse_text("0000000000001000 T good\nnonsense\n"), -EINVAL);
	assert_int_equal(parse_text("0000000000001000 T good\n0000000000002000 T \n"), -EINVAL);
	assert_int_equal(parse_text("ffffffffffffffff B The real System.map is in the "
				    "linux-image-6.12-amd64-dbg package\n"),
			 -EINVAL);
	assert_int_equal(parse_text("0000000000001000 D only data\n"), -ENODATA);
	assert_true(parse_text("what is this?\n") < 0);
	assert_true(parse_text("") < 0);
}

// A terminal shows the names.
static void test_names_are_printable(void **state)
{
	assert_int_equal(parse_text("0000000000001000 T a\033[2Jb\n0000000000002000 T c\n"), 0);
	check_place(0x1000, "a?[2Jb", 0, 0x1000);
}

// -- ELF --

struct elf_file {
	Elf64_Ehdr header;
	Elf64_Shdr sections[4]; // none, code, symbols, names
	Elf64_Sym list[5];
	char names[48];
};

static const struct elf_file good_elf = {
	.header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_RISCV,
		.e_shoff = offsetof(struct elf_file, sections),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
	},
	.sections = {
		[1] = { .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR },
		[2] = { .sh_type = SHT_SYMTAB, .sh_link = 3,
			.sh_offset = offsetof(struct elf_file, list),
			.sh_size = sizeof(good_elf.list) },
		[3] = { .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct elf_file, names),
			.sh_size = sizeof(good_elf.names) },
	},
	.list = {
		[1] = { .st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = 1, .st_value = 0x1000 },
		[2] = { .st_name = 7, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE),
			.st_shndx = 1, .st_value = 0x1100 },
		[3] = { .st_name = 14, .st_info = ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE),
			.st_shndx = 1, .st_value = 0x1180 },
		[4] = { .st_name = 17, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
			.st_shndx = 3, .st_value = 0x1190 },
	},
	.names = "\0first\0second\0$x\0data",
};

static int parse_elf(const struct elf_file *elf, size_t size_bytes)
{
	return symbols_parse(&symbols, "elf", elf, size_bytes);
}

static void test_elf(void **state)
{
	assert_int_equal(parse_elf(&good_elf, sizeof(good_elf)), 0);
	check_place(0x1010, "first", 0x10, 0x100);
	check_place(0x1190, "second", 0x90, 4096);
}

static void test_elf_of_a_file(void **state)
{
	char path[] = "/tmp/kvik-symbols-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &good_elf, sizeof(good_elf)), sizeof(good_elf));
	close(fd);
	assert_int_equal(symbols_open(&symbols, path), 0);
	check_place(0x1010, "first", 0x10, 0x100);
	unlink(path);
	assert_int_equal(symbols_open(&symbols, path), -ENOENT);
	symbols_free(symbols);
	symbols = NULL;
}

static void test_elf_that_is_broken(void **state)
{
	struct elf_file elf = good_elf;

	for (size_t cut = 5; cut < sizeof(elf) - sizeof(elf.names); cut += 7)
		assert_true(parse_elf(&elf, cut) < 0);
	elf.sections[2].sh_link = 4;
	assert_int_equal(parse_elf(&elf, sizeof(elf)), -EINVAL);
	elf = good_elf;
	elf.sections[2].sh_size = UINT64_MAX;
	assert_int_equal(parse_elf(&elf, sizeof(elf)), -EINVAL);
	elf = good_elf;
	elf.sections[3].sh_offset = UINT64_MAX - 4;
	assert_int_equal(parse_elf(&elf, sizeof(elf)), -EINVAL);
	elf = good_elf;
	elf.header.e_shoff = sizeof(elf);
	assert_int_equal(parse_elf(&elf, sizeof(elf)), -EINVAL);
	elf = good_elf;
	elf.list[1].st_name = sizeof(elf.names);
	elf.list[2].st_name = UINT32_MAX;
	assert_true(parse_elf(&elf, sizeof(elf)) < 0);
}

// -- kallsyms --

static void check_kallsyms(enum kallsyms_layout layout, uint64_t base, uint64_t wanted)
{
	struct symbol_place place;
	size_t size_bytes;
	uint8_t *image = kallsyms_image(layout, base, &size_bytes);

	assert_int_equal(symbols_parse(&symbols, "kernel", image, size_bytes), 0);
	for (uint64_t i = 0; i < KALLSYMS_COUNT; i += 97) {
		char name[32];

		kallsyms_name(i, name, sizeof(name));
		check_place(wanted + i * KALLSYMS_STEP + 8, name, 8,
			    i + 1 < KALLSYMS_COUNT ? KALLSYMS_STEP : 4096);
	}
	assert_false(symbols_find(symbols, wanted - 1, &place));
	free(image);
}

static void test_kallsyms_new(void **state)
{
	check_kallsyms(KALLSYMS_NEW, 0xffffffff80000000, 0xffffffff80000000);
}

static void test_kallsyms_old(void **state)
{
	check_kallsyms(KALLSYMS_OLD, 0xffffffff80000000, 0xffffffff80000000);
}

// x86-64: offsets count downwards from -1.
static void test_kallsyms_percpu(void **state)
{
	check_kallsyms(KALLSYMS_PERCPU, 0xffffffff81000000, 0xffffffff81000000);
}

static void test_kallsyms_cut(void **state)
{
	size_t size_bytes;
	uint8_t *image = kallsyms_image(KALLSYMS_NEW, 0x1000, &size_bytes);

	for (size_t cut = 4096; cut < size_bytes - 8; cut += 1021)
		assert_true(symbols_parse(&symbols, "kernel", image, cut) < 0);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_map, teardown),
		cmocka_unit_test_teardown(test_names_of_one_address, teardown),
		cmocka_unit_test_teardown(test_map_that_is_none, teardown),
		cmocka_unit_test_teardown(test_names_are_printable, teardown),
		cmocka_unit_test_teardown(test_elf, teardown),
		cmocka_unit_test_teardown(test_elf_of_a_file, teardown),
		cmocka_unit_test_teardown(test_elf_that_is_broken, teardown),
		cmocka_unit_test_teardown(test_kallsyms_new, teardown),
		cmocka_unit_test_teardown(test_kallsyms_old, teardown),
		cmocka_unit_test_teardown(test_kallsyms_percpu, teardown),
		cmocka_unit_test_teardown(test_kallsyms_cut, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
