// SPDX-License-Identifier: GPL-2.0-or-later
// Files with a process's id: locked, taken over from the dead, removed.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#include <cmocka.h>

#include "pidfile.h"

static char directory[] = "/tmp/kvik-pidfile-XXXXXX";
static char path[64];

static int content(void)
{
	FILE *file = fopen(path, "re");
	int pid = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid;
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_claim_and_release(void **state)
{
	struct pidfile pidfile;

	assert_int_equal(pidfile_claim(&pidfile, path), 0);
	assert_int_equal(content(), getpid());
	pidfile_release(&pidfile);
	assert_int_equal(content(), -1);
	pidfile_release(&pidfile); // once more does nothing
}

static void test_one_at_a_time(void **state)
{
	struct pidfile first, second;

	assert_int_equal(pidfile_claim(&first, path), 0);
	assert_int_equal(pidfile_claim(&second, path), -EEXIST);
	pidfile_release(&second);
	assert_int_equal(content(), getpid());
	pidfile_release(&first);
}

static void test_what_a_killed_process_left(void **state)
{
	struct pidfile pidfile;

	write_file("12345678901234567890\n");
	assert_int_equal(pidfile_claim(&pidfile, path), 0);
	assert_int_equal(content(), getpid());
	pidfile_release(&pidfile);
}

static void test_what_is_no_process_id_stays(void **state)
{
	static const char *const texts[] = { "QFI", "42 and more\n",
					     "1234567890123456789012345678901234567890\n" };
	struct pidfile pidfile;
	struct stat st;

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		write_file(texts[i]);
		assert_int_equal(pidfile_claim(&pidfile, path), -EINVAL);
		pidfile_release(&pidfile);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, strlen(texts[i]));
	}
	unlink(path);
}

static void test_a_file_that_is_another_by_now(void **state)
{
	struct pidfile pidfile;

	assert_int_equal(pidfile_claim(&pidfile, path), 0);
	unlink(path);
	write_file("42\n");
	pidfile_release(&pidfile);
	assert_int_equal(content(), 42);
	unlink(path);
}

static void test_symbolic_links_are_not_followed(void **state)
{
	struct pidfile pidfile;

	assert_int_equal(symlink("/tmp/kvik-nowhere", path), 0);
	assert_int_equal(pidfile_claim(&pidfile, path), -ELOOP);
	unlink(path);
}

static void test_no_directory(void **state)
{
	struct pidfile pidfile;

	assert_int_equal(pidfile_claim(&pidfile, "/nowhere/pid"), -ENOENT);
}

static int set_up(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/pid", directory);
	return 0;
}

static int tear_down(void **state)
{
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claim_and_release),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_what_a_killed_process_left),
		cmocka_unit_test(test_what_is_no_process_id_stays),
		cmocka_unit_test(test_a_file_that_is_another_by_now),
		cmocka_unit_test(test_symbolic_links_are_not_followed),
		cmocka_unit_test(test_no_directory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
