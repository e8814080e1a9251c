// SPDX-License-Identifier: GPL-2.0-or-later
// Names of VMs: one holder each, stale ones cleaned up, nothing outside the directory.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "instance.h"

#define WAITING_MAX 1000 // more than any backlog

static char directory[] = "/tmp/kvik-instance-XXXXXX";

static bool exists(const char *file)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return lstat(path, &st) == 0;
}

static unsigned count_names(void)
{
	struct instance_names list;
	unsigned count;

	assert_int_equal(instance_list(&list), 0);
	count = list.count;
	instance_list_free(&list);
	return count;
}

static void test_valid_names(void **state)
{
	char longest[INSTANCE_NAME_MAX + 2];

	memset(longest, 'a', sizeof(longest));
	longest[INSTANCE_NAME_MAX + 1] = '\0';
	assert_false(instance_name_is_valid(longest));
	longest[INSTANCE_NAME_MAX] = '\0';
	assert_true(instance_name_is_valid(longest));
	assert_true(instance_name_is_valid("a-b_c.D9"));
	assert_false(instance_name_is_valid(""));
	assert_false(instance_name_is_valid("../x"));
	assert_false(instance_name_is_valid("a/b"));
	assert_false(instance_name_is_valid(".hidden"));
	assert_false(instance_name_is_valid("-n"));
	assert_false(instance_name_is_valid("a b"));
}

static void test_claim_and_release(void **state)
{
	struct instance instance;
	int fd;

	assert_int_equal(instance_claim(&instance, "one"), 0);
	assert_int_equal(count_names(), 1);
	fd = instance_connect("one");
	assert_true(fd >= 0);
	close(fd);
	instance_release(&instance);
	assert_int_equal(count_names(), 0);
	assert_int_equal(instance_connect("one"), -ENOENT);
	assert_false(exists("one.lock"));
	assert_false(exists("one.sock"));
}

static void test_second_claim_fails(void **state)
{
	struct instance first, second;

	assert_int_equal(instance_claim(&first, "one"), 0);
	assert_int_equal(instance_claim(&second, "one"), -EEXIST);
	assert_int_equal(instance_claim(&second, "two"), 0);
	assert_int_equal(count_names(), 2);
	instance_release(&second);
	instance_release(&first);
}

static void test_only_the_owner_may_enter(void **state)
{
	struct instance instance;
	struct stat st;
	char path[256];

	assert_int_equal(instance_claim(&instance, "one"), 0);
	snprintf(path, sizeof(path), "%s/one.sock", directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	instance_release(&instance);
}

// A process that claims the name and then dies without a chance to clean up.
static void leave_stale(const char *name)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct instance instance;

		if (instance_claim(&instance, name))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(exists("one.sock"));
}

static void test_stale_name_can_be_claimed(void **state)
{
	struct instance instance;

	leave_stale("one");
	assert_int_equal(instance_connect("one"), -ENOENT);
	assert_int_equal(instance_claim(&instance, "one"), 0);
	assert_int_equal(count_names(), 1);
	instance_release(&instance);
}

static void test_list_cleans_up(void **state)
{
	leave_stale("one");
	assert_int_equal(count_names(), 0);
	assert_false(exists("one.sock"));
	assert_false(exists("one.lock"));
}

static void test_foreign_files_are_left_alone(void **state)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/notes.txt", directory);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(count_names(), 0);
	assert_true(exists("notes.txt"));
	unlink(path);
}

static void test_a_link_is_no_lock(void **state)
{
	struct instance instance;
	char path[256];

	snprintf(path, sizeof(path), "%s/one.lock", directory);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(instance_claim(&instance, "one") < 0);
	unlink(path);
}

static void test_directory_of_others_is_refused(void **state)
{
	struct instance instance;

	assert_int_equal(chmod(directory, 0777), 0);
	assert_int_equal(instance_claim(&instance, "one"), -EPERM);
	assert_int_equal(chmod(directory, 0700), 0);
}

static int make_directory(void **state)
{
	return !mkdtemp(directory) || setenv("KVIK_RUNTIME_DIR", directory, 1);
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

// One that stands still, with more clients waiting than find room, keeps nobody for ever.
static void test_frozen(void **state)
{
	struct instance instance;
	int fds[WAITING_MAX + 1], count = 0;

	alarm(20);
	assert_int_equal(instance_claim(&instance, "one"), 0);
	while (count < WAITING_MAX && (fds[count] = instance_connect("one")) >= 0)
		count++;
	assert_in_range(count, 1, WAITING_MAX - 1);
	assert_int_equal(fds[count], -ETIMEDOUT);
	while (count)
		close(fds[--count]);
	instance_release(&instance);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid_names),
		cmocka_unit_test(test_claim_and_release),
		cmocka_unit_test(test_second_claim_fails),
		cmocka_unit_test(test_only_the_owner_may_enter),
		cmocka_unit_test(test_stale_name_can_be_claimed),
		cmocka_unit_test(test_list_cleans_up),
		cmocka_unit_test(test_foreign_files_are_left_alone),
		cmocka_unit_test(test_a_link_is_no_lock),
		cmocka_unit_test(test_directory_of_others_is_refused),
		cmocka_unit_test(test_frozen),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
