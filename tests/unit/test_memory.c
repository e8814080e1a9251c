// SPDX-License-Identifier: GPL-2.0-or-later
// Guest RAM: banks, the address gate, guard pages.

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "memory.h"
#include "util.h"

#include <cmocka.h>

#define RAM_BASE 0x80000000ULL

static int setup(void **state)
{
	static struct memory mem;

	memory_init(&mem);
	*state = &mem;
	return 0;
}

static int teardown(void **state)
{
	memory_exit(*state);
	return 0;
}

static void test_bank_is_zeroed_and_writable(void **state)
{
	struct memory *mem = *state;
	uint8_t *ram;

	assert_int_equal(memory_add_ram(mem, RAM_BASE, 4 * MIB), 0);
	ram = memory_ptr(mem, RAM_BASE, 4 * MIB);
	assert_non_null(ram);
	for (size_t i = 0; i < 4 * MIB; i += 4096)
		assert_int_equal(ram[i], 0);
	ram[0] = 1;
	ram[4 * MIB - 1] = 2;
	assert_int_equal(memory_total_bytes(mem), 4 * MIB);
}

static void test_host_address_is_congruent_modulo_2_mib(void **state)
{
	static const uint64_t bases[] = { 0, RAM_BASE, 0x101000, 3 * GIB + 0x1ff000 };
	struct memory *mem = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		uint8_t *host;

		assert_int_equal(memory_add_ram(mem, bases[i], 64 * KIB), 0);
		host = memory_ptr(mem, bases[i], 1);
		assert_int_equal((uintptr_t)host % (2 * MIB), bases[i] % (2 * MIB));
		host[64 * KIB - 1] = 1;
	}
}

static void test_gate_takes_only_what_is_all_ram(void **state)
{
	struct memory *mem = *state;
	const uint64_t end = RAM_BASE + 2 * MIB;

	assert_int_equal(memory_add_ram(mem, RAM_BASE, 2 * MIB), 0);
	assert_null(memory_ptr(mem, RAM_BASE - 1, 1));
	assert_null(memory_ptr(mem, RAM_BASE - 1, 2));
	assert_null(memory_ptr(mem, RAM_BASE - 1, 0));
	assert_non_null(memory_ptr(mem, RAM_BASE, 0));
	assert_non_null(memory_ptr(mem, end - 1, 1));
	assert_null(memory_ptr(mem, end - 1, 2));
	assert_null(memory_ptr(mem, end, 0));
	assert_null(memory_ptr(mem, end, 1));
	assert_null(memory_ptr(mem, RAM_BASE, 2 * MIB + 1));
	assert_null(memory_ptr(mem, RAM_BASE, UINT64_MAX));
	assert_null(memory_ptr(mem, RAM_BASE + 1, UINT64_MAX));
	assert_null(memory_ptr(mem, UINT64_MAX, UINT64_MAX));
	assert_null(memory_ptr(mem, 0, UINT64_MAX));
}

static void test_hole_between_banks(void **state)
{
	struct memory *mem = *state;
	uint8_t *low, *high;

	assert_int_equal(memory_add_ram(mem, 0, MIB), 0);
	assert_int_equal(memory_add_ram(mem, 4 * MIB, MIB), 0);
	low = memory_ptr(mem, 0, MIB);
	high = memory_ptr(mem, 4 * MIB, MIB);
	assert_non_null(low);
	assert_non_null(high);
	assert_null(memory_ptr(mem, MIB, 1));
	assert_null(memory_ptr(mem, MIB - 1, 2));
	assert_null(memory_ptr(mem, 4 * MIB - 1, 1));
	assert_null(memory_ptr(mem, 0, 5 * MIB));
	assert_int_equal(memory_total_bytes(mem), 2 * MIB);
}

static void test_bad_banks_are_refused(void **state)
{
	struct memory *mem = *state;

	assert_int_equal(memory_add_ram(mem, RAM_BASE, 0), -EINVAL);
	assert_int_equal(memory_add_ram(mem, RAM_BASE, 4095), -EINVAL);
	assert_int_equal(memory_add_ram(mem, RAM_BASE + 1, 4096), -EINVAL);
	assert_int_equal(memory_add_ram(mem, ~0xfffULL, 8192), -EINVAL);
	assert_int_equal(memory_add_ram(mem, 0, ~0xfffULL), -EINVAL);
	assert_int_equal(mem->bank_count, 0);
	assert_int_equal(memory_add_ram(mem, RAM_BASE, MIB), 0);
	assert_int_equal(memory_add_ram(mem, RAM_BASE + MIB - 4096, MIB), -EINVAL);
	assert_int_equal(memory_add_ram(mem, RAM_BASE - MIB + 4096, MIB), -EINVAL);
	assert_int_equal(memory_add_ram(mem, RAM_BASE - MIB, 3 * MIB), -EINVAL);
	assert_int_equal(memory_add_ram(mem, RAM_BASE + MIB, MIB), 0);
	assert_int_equal(memory_add_ram(mem, RAM_BASE - MIB, MIB), 0);
	assert_int_equal(memory_add_ram(mem, 0, MIB), 0);
	assert_int_equal(memory_add_ram(mem, 8 * MIB, MIB), -EINVAL);
	assert_int_equal(mem->bank_count, 4);
}

// Runs memory_add_ram() with stderr in @text.
static int add_ram_captured(struct memory *mem, uint64_t size, char *text, size_t text_size)
{
	int saved = dup(STDERR_FILENO), pipe_fds[2], ret;
	ssize_t n;

	assert_int_equal(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	close(pipe_fds[1]);
	ret = memory_add_ram(mem, RAM_BASE, size);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(pipe_fds[0], text, text_size - 1);
	text[MAX(n, (ssize_t)0)] = 0;
	close(pipe_fds[0]);
	return ret;
}

static void test_too_much_names_size_and_remedy(void **state)
{
	char text[256];

	// 2^62 bytes: no host has that much address space.
	assert_int_equal(add_ram_captured(*state, 1ULL << 62, text, sizeof(text)), -ENOMEM);
	assert_non_null(strstr(text, "4398046511104 MiB"));
	assert_non_null(strstr(text, "-m"));
}

// True if touching @address kills a process with SIGSEGV.
static bool touch_kills(volatile uint8_t *address)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		*address = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void test_guard_pages_on_both_sides(void **state)
{
	struct memory *mem = *state;
	uint8_t *ram;

	assert_int_equal(memory_add_ram(mem, RAM_BASE, MIB), 0);
	ram = memory_ptr(mem, RAM_BASE, MIB);
	assert_false(touch_kills(ram));
	assert_false(touch_kills(ram + MIB - 1));
	assert_true(touch_kills(ram - 1));
	assert_true(touch_kills(ram - 64 * KIB));
	assert_true(touch_kills(ram + MIB));
	assert_true(touch_kills(ram + MIB + 64 * KIB - 1));
}

// VmFlags of the mapping that holds @address (proc(5)): " rd wr mr ... ".
static void mapping_flags(const void *address, char *flags, size_t size)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool found = false;
	char line[512];

	assert_non_null(smaps);
	flags[0] = 0;
	while (!flags[0] && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			found = (uintptr_t)address >= start && (uintptr_t)address < end;
		else if (found && !strncmp(line, "VmFlags:", 8))
			snprintf(flags, size, "%s", line + 8);
	}
	fclose(smaps);
}

static void test_bank_is_not_dumped_and_not_reserved(void **state)
{
	struct memory *mem = *state;
	char flags[512];

	assert_int_equal(memory_add_ram(mem, RAM_BASE, 4 * MIB), 0);
	mapping_flags(memory_ptr(mem, RAM_BASE + 2 * MIB, 1), flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd ")); // MADV_DONTDUMP
	assert_non_null(strstr(flags, " nr ")); // MAP_NORESERVE
	if (!access("/sys/kernel/mm/transparent_hugepage", F_OK))
		assert_non_null(strstr(flags, " hg ")); // MADV_HUGEPAGE
}

struct written_range {
	uint64_t gpa;
	uint64_t len;
	unsigned calls;
};

static void note_written(void *opaque, uint64_t gpa, uint64_t len)
{
	struct written_range *range = opaque;

	range->gpa = gpa;
	range->len = len;
	range->calls++;
}

static void test_copies_are_checked_and_marked(void **state)
{
	struct memory *mem = *state;
	struct written_range range = { 0 };
	char text[8];

	assert_int_equal(memory_add_ram(mem, RAM_BASE, 4096), 0);
	mem->written = note_written;
	mem->written_opaque = &range;
	assert_int_equal(memory_write(mem, RAM_BASE + 4088, "1234567", 8), 0);
	assert_int_equal(range.gpa, RAM_BASE + 4088);
	assert_int_equal(range.len, 8);
	assert_int_equal(memory_read(mem, RAM_BASE + 4088, text, 8), 0);
	assert_string_equal(text, "1234567");
	assert_int_equal(memory_write(mem, RAM_BASE + 4089, "1234567", 8), -EFAULT);
	assert_int_equal(memory_read(mem, RAM_BASE + 4089, text, 8), -EFAULT);
	assert_int_equal(memory_read(mem, 0, text, 8), -EFAULT);
	assert_int_equal(range.calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bank_is_zeroed_and_writable),
		TEST(test_host_address_is_congruent_modulo_2_mib),
		TEST(test_gate_takes_only_what_is_all_ram),
		TEST(test_hole_between_banks),
		TEST(test_bad_banks_are_refused),
		TEST(test_too_much_names_size_and_remedy),
		TEST(test_guard_pages_on_both_sides),
		TEST(test_bank_is_not_dumped_and_not_reserved),
		TEST(test_copies_are_checked_and_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
