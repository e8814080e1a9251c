// SPDX-License-Identifier: GPL-2.0-or-later
// Messages: levels, prefix, line ends, errno texts, the rate limit.

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#include <cmocka.h>

// stderr goes into a temporary file between setup and teardown.
static struct {
	FILE *file;
	int saved_stderr;
	char text[65536];
} capture;

static int setup(void **state)
{
	capture.file = tmpfile();
	capture.saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(capture.file), STDERR_FILENO);
	log_set_level(LOG_LEVEL_INFO);
	log_set_prefix("kvik run");
	log_set_raw_terminal(false);
	return 0;
}

static int teardown(void **state)
{
	dup2(capture.saved_stderr, STDERR_FILENO);
	close(capture.saved_stderr);
	fclose(capture.file);
	return 0;
}

// What was logged since the last call.
static const char *logged(void)
{
	long len = lseek(STDERR_FILENO, 0, SEEK_END);

	assert_in_range(len, 0, sizeof(capture.text) - 1);
	assert_int_equal(pread(STDERR_FILENO, capture.text, len, 0), len);
	capture.text[len] = 0;
	assert_int_equal(ftruncate(STDERR_FILENO, 0), 0);
	lseek(STDERR_FILENO, 0, SEEK_SET);
	return capture.text;
}

static void test_levels_and_prefix(void **state)
{
	err("a %d", 1);
	assert_string_equal(logged(), "kvik run: a 1\n");
	warn("b");
	assert_string_equal(logged(), "kvik run: warning: b\n");
	info("c");
	assert_string_equal(logged(), "kvik run: c\n");
	debug("d");
	assert_string_equal(logged(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_prefix("vm7");
	debug("d");
	assert_string_equal(logged(), "vm7: debug: d\n");
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(log_get_level(), LOG_LEVEL_ERROR);
	warn("b");
	err("a");
	assert_string_equal(logged(), "vm7: a\n");
}

static void *log_often(void *arg)
{
	atomic_bool *done = arg;

	for (unsigned i = 0; i < 200; i++)
		err("x");
	atomic_store(done, true);
	return NULL;
}

// Helpers may fail while a VM gets its name.
static void test_prefix_while_others_log(void **state)
{
	char text[sizeof(capture.text)], *save = NULL;
	atomic_bool done = false;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, log_often, &done), 0);
	for (unsigned i = 0; !atomic_load(&done); i++)
		log_set_prefix(i % 2 ? "one" : "another");
	pthread_join(thread, NULL);
	snprintf(text, sizeof(text), "%s", logged());
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		assert_true(!strcmp(line, "kvik run: x") || !strcmp(line, "one: x") ||
			    !strcmp(line, "another: x"));
}

static void test_level_names(void **state)
{
	enum log_level level = LOG_LEVEL_COUNT;

	assert_int_equal(log_parse_level("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_parse_level("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_parse_level("Debug", &level), -EINVAL);
	assert_int_equal(log_parse_level("", &level), -EINVAL);
	assert_int_equal(log_parse_level("deb", &level), -EINVAL);
}

static void test_fail_explains_and_returns(void **state)
{
	assert_int_equal((fail)(ENOENT, "open %s", "/x"), -ENOENT);
	assert_string_equal(logged(), "kvik run: open /x: No such file or directory\n");
	errno = EIO;
	assert_int_equal((fail_msg)(EINVAL, "no %s: %m", "way"), -EINVAL);
	assert_string_equal(logged(), "kvik run: no way: Invalid argument\n");
	assert_int_equal(errno, EIO);
}

static void test_raw_terminal_gets_carriage_returns(void **state)
{
	log_set_raw_terminal(true);
	info("x");
	assert_string_equal(logged(), "kvik run: x\r\n");
}

static void test_control_characters_are_masked(void **state)
{
	info("a\033[2Jb\nc\rd\te\x7f\xc3\xa4");
	assert_string_equal(logged(), "kvik run: a?[2Jb?c?d\te?\xc3\xa4\n");
}

static void test_long_messages_are_cut(void **state)
{
	char text[4096];
	const char *line;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_set_raw_terminal(true);
	info("%s", text);
	line = logged();
	assert_in_range(strlen(line), 900, 1024);
	assert_string_equal(line + strlen(line) - 3, "x\r\n");
	(fail)(ENOENT, "%s", text);
	assert_in_range(strlen(logged()), 900, 1024);
	log_set_prefix(text);
	info("y");
	line = logged();
	assert_int_equal(strspn(line, "x"), 255);
	assert_string_equal(line + 255, ": y\r\n");
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void test_rate_limit(void **state)
{
	struct log_ratelimit rl = { 0 };
	const char *text;

	for (int i = 0; i < 100; i++)
		warn_ratelimited(&rl, "bad %d", i);
	text = logged();
	assert_int_equal(count_lines(text), 5);
	assert_non_null(strstr(text, "bad 4\n"));

	rl.window_start_ns -= 11 * NSEC_PER_SEC; // time passes
	warn_ratelimited(&rl, "bad again");
	text = logged();
	assert_int_equal(count_lines(text), 2);
	assert_non_null(strstr(text, "95 "));
	assert_non_null(strstr(text, "bad again\n"));

	rl.window_start_ns -= 11 * NSEC_PER_SEC;
	warn_ratelimited(&rl, "bad once more");
	assert_int_equal(count_lines(logged()), 1); // none were held back
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_levels_and_prefix),
		TEST(test_prefix_while_others_log),
		TEST(test_level_names),
		TEST(test_fail_explains_and_returns),
		TEST(test_raw_terminal_gets_carriage_returns),
		TEST(test_control_characters_are_masked),
		TEST(test_long_messages_are_cut),
		TEST(test_rate_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
