// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables of the three architectures as a debugger reads them, and stacks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arm-accel.h"
#include "cpu-view.h"
#include "memory.h"
#include "riscv-accel.h"
#include "x86-accel.h"

#define RAM 0x80000000ULL
#define RAM_BYTES (4 * MIB)
#define PAGE 4096ULL

// Where the tests put things in RAM.
#define ROOT RAM
#define TABLES (RAM + 0x10000) // one page a level below
#define CODE_GPA (RAM + 0x40000)
#define DATA_GPA (RAM + 0x50000)
#define STACK_GPA (RAM + 0x60000) // 16 KiB
#define BLOCK_GPA (RAM + 2 * MIB)

// And where these are in the guest's kernel.
#define CODE 0xffffffff80001000ULL
#define DATA 0xffffffff80002000ULL
#define STACK 0xffffffff80004000ULL
#define BLOCK 0xffffffff80200000ULL
#define STACK_BYTES (16 * KIB)

static struct memory memory;

static int setup(void **state)
{
	memory_init(&memory);
	return memory_add_ram(&memory, RAM, RAM_BYTES);
}

static int teardown(void **state)
{
	memory_exit(&memory);
	return 0;
}

static void put(uint64_t gpa, uint64_t value)
{
	assert_int_equal(memory_write(&memory, gpa, &value, sizeof(value)), 0);
}

// How an architecture writes an entry of a table.
struct format {
	uint64_t (*table)(uint64_t gpa);
	uint64_t (*page)(uint64_t gpa, bool executable);
	uint64_t (*block)(uint64_t gpa);
};

static void map_one(const struct format *format, unsigned levels, uint64_t va, uint64_t entry,
		    unsigned leaf_level)
{
	uint64_t table = ROOT;

	for (unsigned level = levels - 1; level > leaf_level; level--) {
		uint64_t below = TABLES + level * PAGE;

		put(table + 8 * (va >> (12 + 9 * level) & 0x1ff), format->table(below));
		table = below;
	}
	put(table + 8 * (va >> (12 + 9 * leaf_level) & 0x1ff), entry);
}

// Code, data, a stack with nothing above it, and a block of 2 MiB.
static void map_all(const struct format *format, unsigned levels)
{
	map_one(format, levels, CODE, format->page(CODE_GPA, true), 0);
	map_one(format, levels, DATA, format->page(DATA_GPA, false), 0);
	for (uint64_t i = 0; i < STACK_BYTES; i += PAGE)
		map_one(format, levels, STACK + i, format->page(STACK_GPA + i, false), 0);
	map_one(format, levels, BLOCK, format->block(BLOCK_GPA), 1);
}

static void check_page(const struct cpu_view *view, uint64_t va, uint64_t gpa, bool executable)
{
	struct cpu_page page = { 0 };

	assert_true(view->ops->translate(view, va, &page));
	assert_int_equal(page.gpa, gpa);
	assert_int_equal(page.executable, executable);
}

static void check_nothing(const struct cpu_view *view, uint64_t va)
{
	struct cpu_page page;

	assert_false(view->ops->translate(view, va, &page));
}

static void check_map(const struct cpu_view *view)
{
	check_page(view, CODE + 0x123, CODE_GPA + 0x123, true);
	check_page(view, DATA + 8, DATA_GPA + 8, false);
	check_page(view, BLOCK + 0x12345, BLOCK_GPA + 0x12345, true);
	check_nothing(view, CODE - PAGE);
	check_nothing(view, STACK + STACK_BYTES);
	check_nothing(view, CODE & 0xffffffff);
	check_nothing(view, CODE & ~(1ULL << 60));
}

// -- RISC-V --

static uint64_t riscv_table(uint64_t gpa)
{
	return gpa >> 2 | 1;
}

static uint64_t riscv_page(uint64_t gpa, bool executable)
{
	return gpa >> 2 | 0xc7 | (executable ? 8 : 0);
}

static uint64_t riscv_block(uint64_t gpa)
{
	return riscv_page(gpa, true);
}

static const struct format riscv_format = { riscv_table, riscv_page, riscv_block };

static struct cpu_view riscv_view(unsigned levels)
{
	map_all(&riscv_format, levels);
	return (struct cpu_view){
		.ops = &riscv_view_ops,
		.memory = &memory,
		.in_kernel = true,
		.riscv.satp = (uint64_t)(levels + 5) << 60 | ROOT >> 12,
	};
}

static void test_riscv_paging(void **state)
{
	for (unsigned levels = 3; levels <= 5; levels++) {
		struct cpu_view view = riscv_view(levels);

		check_map(&view);
	}
}

static void test_riscv_special_pages(void **state)
{
	struct cpu_view view = riscv_view(3);

	// Svnapot: 64 KiB, of which the entry's page number has the size in its low bits.
	map_one(&riscv_format, 3, CODE, riscv_page(CODE_GPA + 0x8000, true) | 1ULL << 63, 0);
	check_page(&view, CODE + 0x123, CODE_GPA + 0x1123, true);
	// A user's page is none that the kernel executes.
	map_one(&riscv_format, 3, CODE, riscv_page(CODE_GPA, true) | 1 << 4, 0);
	check_page(&view, CODE, CODE_GPA, false);
	view.riscv.satp = 0;
	check_page(&view, RAM + 5, RAM + 5, true);
	view.riscv.satp = 1ULL << 60;
	check_page(&view, RAM + 5, RAM + 5, true);
}

static void test_tables_that_lead_nowhere(void **state)
{
	struct cpu_view view = riscv_view(4);

	// A table that is its own parent.
	put(ROOT + 8 * (CODE >> 39 & 0x1ff), riscv_table(ROOT));
	check_nothing(&view, CODE);
	put(ROOT + 8 * (CODE >> 39 & 0x1ff), riscv_table(RAM + RAM_BYTES));
	check_nothing(&view, CODE);
	view.riscv.satp = 9ULL << 60 | ((1ULL << 44) - 1);
	check_nothing(&view, CODE);
}

// -- arm64 --

static uint64_t arm_table(uint64_t gpa)
{
	return gpa | 3;
}

static uint64_t arm_page(uint64_t gpa, bool executable)
{
	return gpa | 0x703 | (executable ? 0 : 1ULL << 53);
}

static uint64_t arm_block(uint64_t gpa)
{
	return gpa | 0x701;
}

static const struct format arm_format = { arm_table, arm_page, arm_block };

static struct cpu_view arm_view(unsigned levels)
{
	// T1SZ, then a granule of 4 KiB for the upper half.
	uint64_t tcr = (uint64_t)(64 - (12 + 9 * levels)) << 16 | 2ULL << 30;

	map_all(&arm_format, levels);
	return (struct cpu_view){
		.ops = &arm_view_ops,
		.memory = &memory,
		.in_kernel = true,
		.signature = arm_signature_bits(tcr),
		.arm = { .ttbr = { 0, ROOT | 1ULL << 48 }, .tcr = tcr, .sctlr = 1 },
	};
}

static void test_arm_paging(void **state)
{
	for (unsigned levels = 3; levels <= 4; levels++) {
		struct cpu_view view = arm_view(levels);

		check_page(&view, CODE + 0x123, CODE_GPA + 0x123, true);
		check_page(&view, DATA + 8, DATA_GPA + 8, false);
		check_page(&view, BLOCK + 0x12345, BLOCK_GPA + 0x12345, true);
		check_nothing(&view, CODE - PAGE);
		check_nothing(&view, CODE & 0xffffffff);
	}
}

static void test_arm_special_pages(void **state)
{
	struct cpu_view view = arm_view(4);

	// No privileged execution below this table.
	put(ROOT + 8 * (CODE >> 39 & 0x1ff), arm_table(TABLES + 3 * PAGE) | 1ULL << 59);
	check_page(&view, CODE, CODE_GPA, false);
	// A block where there can be none but pages.
	map_one(&arm_format, 4, CODE, arm_block(CODE_GPA), 0);
	check_nothing(&view, CODE);
	view.arm.tcr &= ~(3ULL << 30); // a granule that is none
	check_nothing(&view, DATA);
	view.arm.tcr = 2ULL << 30; // 64 bits of address
	check_nothing(&view, DATA);
	view.arm.sctlr = 0;
	check_page(&view, RAM + 5, RAM + 5, true);
}

// Three levels of 2^11 entries of 16 KiB pages: 47 bits.
static void test_arm_granule_of_16_kib(void **state)
{
	struct cpu_view view = arm_view(4);
	uint64_t second = RAM + 0x100000, third = RAM + 0x104000;

	view.arm.tcr = 17ULL << 16 | 1ULL << 30;
	put(ROOT + 8 * (CODE >> 36 & 0x7ff), arm_table(second));
	put(second + 8 * (CODE >> 25 & 0x7ff), arm_table(third));
	put(third + 8 * (CODE >> 14 & 0x7ff), arm_page(RAM + 0x108000, true));
	check_page(&view, CODE, RAM + 0x108000 + CODE % 0x4000, true);
}

// -- x86-64 --

static uint64_t x86_table(uint64_t gpa)
{
	return gpa | 0x67;
}

static uint64_t x86_page(uint64_t gpa, bool executable)
{
	return gpa | 0x63 | (executable ? 0 : 1ULL << 63);
}

static uint64_t x86_block(uint64_t gpa)
{
	return gpa | 0xe3;
}

static const struct format x86_format = { x86_table, x86_page, x86_block };

static struct cpu_view x86_view(unsigned levels)
{
	map_all(&x86_format, levels);
	return (struct cpu_view){
		.ops = &x86_view_ops,
		.memory = &memory,
		.in_kernel = true,
		.x86 = { .cr0 = 1ULL << 31,
			 .cr3 = ROOT | 0x18,
			 .cr4 = levels == 5 ? 1ULL << 12 : 0,
			 .efer = 3ULL << 10 },
	};
}

static void test_x86_paging(void **state)
{
	for (unsigned levels = 4; levels <= 5; levels++) {
		struct cpu_view view = x86_view(levels);

		check_map(&view);
	}
}

static void test_x86_special_pages(void **state)
{
	struct cpu_view view = x86_view(4);

	map_one(&x86_format, 4, CODE, x86_page(CODE_GPA, true) | 4, 0); // a user's
	check_page(&view, CODE, CODE_GPA, false);
	put(TABLES + 3 * PAGE + 8 * (CODE >> 30 & 0x1ff), 0x80000000ULL | 0xe3); // 1 GiB
	check_page(&view, CODE, 0x80000000ULL + (CODE & (GIB - 1)), true);
	view.x86.efer = 1ULL << 11; // 32-bit paging
	check_nothing(&view, CODE);
	view.x86.cr0 = 0;
	check_page(&view, RAM + 5, RAM + 5, true);
}

// -- stacks --

static struct trace_entry trace[TRACE_MAX];

static void check_entry(unsigned index, uint64_t address, enum trace_source source)
{
	assert_int_equal(trace[index].address, address);
	assert_int_equal(trace[index].source, source);
}

static void put_word(uint64_t offset, uint64_t value)
{
	put(STACK_GPA + offset, value);
}

// RISC-V's frame pointers lie above what they lead to.
static void test_frames_of_riscv(void **state)
{
	struct cpu_view view = riscv_view(3);

	view.pc = CODE + 0x10;
	view.link = CODE + 0x20;
	view.sp = STACK + 0x100;
	view.frame = STACK + 0x110;
	put_word(0x100, STACK + 0x210);
	put_word(0x108, CODE + 0x30);
	put_word(0x200, STACK + 0x310);
	put_word(0x208, CODE + 0x40);
	put_word(0x300, 0);
	put_word(0x308, DATA); // no code: the end
	assert_int_equal(cpu_trace(&view, trace), 4);
	check_entry(0, CODE + 0x10, TRACE_PC);
	check_entry(1, CODE + 0x20, TRACE_LINK);
	check_entry(2, CODE + 0x30, TRACE_FRAME);
	check_entry(3, CODE + 0x40, TRACE_FRAME);
	// Known already.
	view.link = CODE + 0x30;
	assert_int_equal(cpu_trace(&view, trace), 3);
	view.in_kernel = false;
	assert_int_equal(cpu_trace(&view, trace), 1);
}

static void test_signed_frames_of_arm(void **state)
{
	struct cpu_view view = arm_view(4);

	view.pc = CODE;
	view.frame = STACK + 0x100;
	put_word(0x100, STACK + 0x200);
	put_word(0x108, (CODE + 0x30) & ~0x7f2f000000000000); // bit 55 stays
	put_word(0x200, 0);
	put_word(0x208, 0);
	assert_int_equal(cpu_trace(&view, trace), 2);
	check_entry(1, CODE + 0x30, TRACE_FRAME);
}

static void test_frames_in_circles(void **state)
{
	struct cpu_view view = arm_view(4);

	view.pc = CODE;
	view.frame = STACK + 0x100;
	put_word(0x100, STACK + 0x100);
	put_word(0x108, CODE + 0x30);
	assert_in_range(cpu_trace(&view, trace), 2, 8);
	// Upwards without end.
	for (uint64_t i = 0x100; i + 16 <= STACK_BYTES; i += 16) {
		put_word(i, STACK + i + 16);
		put_word(i + 8, CODE + 0x30);
	}
	assert_int_equal(cpu_trace(&view, trace), TRACE_MAX);
	view.frame = STACK + 0x101;
	assert_int_equal(cpu_trace(&view, trace), 1); // not aligned, and nothing to search
}

// Without frame pointers: whatever may be a return address, up to the stack's end.
static void test_search_of_x86(void **state)
{
	struct cpu_view view = x86_view(4);

	view.pc = CODE;
	view.sp = STACK + 0x104;
	put_word(0x100, CODE + 1); // below
	put_word(0x108, CODE + 0x20);
	put_word(0x110, DATA);
	put_word(0x118, CODE & 0xffffffff);
	put_word(STACK_BYTES - 8, CODE + 0x30);
	assert_int_equal(cpu_trace(&view, trace), 3);
	check_entry(1, CODE + 0x20, TRACE_STACK);
	check_entry(2, CODE + 0x30, TRACE_STACK);
	for (uint64_t i = 0; i < STACK_BYTES; i += 8)
		put_word(i, CODE + i % 0x1000);
	assert_int_equal(cpu_trace(&view, trace), TRACE_MAX);
	view.sp = UINT64_MAX;
	assert_int_equal(cpu_trace(&view, trace), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_riscv_paging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_riscv_special_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables_that_lead_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arm_paging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arm_special_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arm_granule_of_16_kib, setup, teardown),
		cmocka_unit_test_setup_teardown(test_x86_paging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_x86_special_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames_of_riscv, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signed_frames_of_arm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames_in_circles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_search_of_x86, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
