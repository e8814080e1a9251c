// SPDX-License-Identifier: GPL-2.0-or-later
// Guest RAM from a hugetlbfs; an ordinary directory plays one.

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memory.h"
#include "util.h"

#include <cmocka.h>

#define RAM_BASE 0x80000000ULL

static struct {
	long type, page_bytes;
} fs;

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
int statfs(const char *path, struct statfs *buf)
{
	if (access(path, F_OK) < 0)
		return -1;
	memset(buf, 0, sizeof(*buf));
	buf->f_type = fs.type;
	buf->f_bsize = fs.page_bytes;
	return 0;
}

static char directory[64];

static int setup(void **state)
{
	static struct memory mem;

	snprintf(directory, sizeof(directory), "/tmp/test_hugetlbfs-XXXXXX");
	assert_non_null(mkdtemp(directory));
	fs.type = 0x958458f6;
	fs.page_bytes = 2 * MIB;
	memory_init(&mem);
	mem.hugetlbfs = directory;
	*state = &mem;
	return 0;
}

// Nothing is left behind in it.
static int teardown(void **state)
{
	memory_exit(*state);
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

// The line of /proc/self/maps that holds @address has @text in it.
static bool mapping_has(const void *address, const char *text)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && (uintptr_t)address >= start &&
		    (uintptr_t)address < end)
			found = strstr(line, text);
	}
	fclose(maps);
	return found;
}

// All of it is the file's, the part of a page at its end too, and it lines up.
static void test_pages_come_from_it(void **state)
{
	static const long sizes[] = { 2 * MIB, 64 * MIB };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct memory mem = { .hugetlbfs = directory };
		uint8_t *ram;

		fs.page_bytes = sizes[i];
		assert_int_equal(memory_add_ram(&mem, RAM_BASE + 0x1000, 5 * MIB), 0);
		ram = memory_ptr(&mem, RAM_BASE + 0x1000, 5 * MIB);
		assert_non_null(ram);
		assert_int_equal((uintptr_t)ram % (uint64_t)sizes[i], 0x1000);
		memset(ram, 0x5a, 5 * MIB);
		assert_true(mapping_has(ram, directory));
		assert_true(mapping_has(ram + 5 * MIB - 1, directory));
		memory_exit(&mem);
	}
}

static void test_keeps_its_pages(void **state)
{
	struct memory *mem = *state;
	uint8_t *ram;

	assert_int_equal(memory_add_ram(mem, RAM_BASE, 4 * MIB), 0);
	ram = memory_ptr(mem, RAM_BASE, 4 * MIB);
	memset(ram, 0x5a, 4 * MIB);
	assert_int_equal(memory_discard(mem, RAM_BASE, 4096), 0);
	assert_int_equal(memory_discard(mem, RAM_BASE, 4 * MIB), 0);
	assert_int_equal(ram[0], 0x5a);
	assert_int_equal(ram[4 * MIB - 1], 0x5a);
}

static void test_small_bank_takes_none(void **state)
{
	struct memory *mem = *state;

	assert_int_equal(memory_add_ram(mem, RAM_BASE, 64 * KIB), 0);
	assert_false(mapping_has(memory_ptr(mem, RAM_BASE, 1), directory));
}

static void test_not_a_hugetlbfs(void **state)
{
	struct memory *mem = *state;

	fs.type = 0x01021994; // tmpfs
	assert_int_equal(memory_add_ram(mem, RAM_BASE, 2 * MIB), -EINVAL);
	fs.type = 0x958458f6;
	fs.page_bytes = 16 * (long)GIB;
	assert_int_equal(memory_add_ram(mem, RAM_BASE, 2 * MIB), -EINVAL);
	mem->hugetlbfs = "/nowhere";
	assert_int_equal(memory_add_ram(mem, RAM_BASE, 2 * MIB), -ENOENT);
	assert_int_equal(mem->bank_count, 0);
}

static void test_too_few_pages(void **state)
{
	struct rlimit before, none = { 0 };
	struct memory *mem = *state;
	FILE *messages = tmpfile();
	int saved = dup(STDERR_FILENO);
	char text[512] = "";

	getrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_IGN);
	none.rlim_max = before.rlim_max;
	none.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &none);
	dup2(fileno(messages), STDERR_FILENO);
	assert_true(memory_add_ram(mem, RAM_BASE, 5 * MIB) < 0);
	dup2(saved, STDERR_FILENO);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_true(pread(fileno(messages), text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "it takes 3 free huge pages of 2 MiB"));
	assert_int_equal(mem->bank_count, 0);
	close(saved);
	fclose(messages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages_come_from_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keeps_its_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_bank_takes_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_hugetlbfs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_few_pages, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
