// SPDX-License-Identifier: GPL-2.0-or-later
// Options as text: what the command line and a file make of them together, and the JSON
// that comes out.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../run-config.h"
#include "log.h"

#include <cmocka.h>

static struct {
	const char *path;
	const char *text;
	unsigned count;
	bool flag;
	bool at_once;
	char list[64];
	char removed[64];
} values;

static int note(void *value, const char *argument)
{
	char *list = value;

	if (!strcmp(argument, "bad"))
		return -EINVAL;
	snprintf(list + strlen(list), 64 - strlen(list), "%s;", argument);
	return 0;
}

static const struct option_spec options[] = {
	{ .kind = OPTION_GROUP, .help = "All" },
	{ OPTION_FLAG, 0, "first", NULL, "", &values.at_once, .flags = OPTION_FIRST },
	{ OPTION_STRING, 'p', "path", "PATH", "", &values.path, .flags = OPTION_PATH },
	{ OPTION_STRING, 0, "text", "TEXT", "", &values.text },
	{ OPTION_UINT, 'c', "count", "N", "", &values.count },
	{ OPTION_FLAG, 0, "flag", NULL, "", &values.flag },
	{ OPTION_CALL, 'd', "list", "ITEM", "", values.list, note, .flags = OPTION_REPEATED },
	{ OPTION_PREFIX, 0, "no-", "PART", "", values.removed, note },
	{ .kind = OPTION_END },
};

static struct run_config config;
static char path[64];

static int setup(void **state)
{
	log_set_level(LOG_LEVEL_ERROR);
	memset(&values, 0, sizeof(values));
	run_config_init(&config, options);
	snprintf(path, sizeof(path), "/tmp/test_run_config.%d", getpid());
	return 0;
}

static int teardown(void **state)
{
	run_config_free(&config);
	unlink(path);
	return 0;
}

// What the command line is, without the command.
static void give(const char *line)
{
	struct command_usage usage = { "test", "", "", options, &config.sink };
	char command[] = "test", copy[256], *argv[16] = { command }, *rest = copy, **operands;
	int argc = 1, count;

	snprintf(copy, sizeof(copy), "%s", line);
	while (argc < 16 && (argv[argc] = strsep(&rest, " ")))
		argc++;
	assert_int_equal(options_parse(&usage, argc, argv, &operands, &count), 0);
}

static int read_text(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return run_config_read(&config, path);
}

static void expect_json(const char *wanted)
{
	json_t *object = run_config_json(&config);
	char *text = json_dumps(object, JSON_COMPACT);

	assert_string_equal(text, wanted);
	free(text);
	json_decref(object);
}

static void test_nothing_happens_before_apply(void **state)
{
	give("--path /x --flag --first -c 3");
	assert_null(values.path);
	assert_true(values.at_once);
	assert_int_equal(run_config_apply(&config), 0);
	assert_string_equal(values.path, "/x");
	assert_true(values.flag);
	assert_int_equal(values.count, 3);
}

static void test_json_follows_the_table(void **state)
{
	give("--no-b -c 3 -d x --flag -d 5 --text 07 --no-a --path /x");
	expect_json("{\"path\":\"/x\",\"text\":\"07\",\"count\":3,\"flag\":true,"
		    "\"list\":[\"x\",\"5\"],\"no-b\":true,\"no-a\":true}");
}

static void test_the_last_one_counts(void **state)
{
	give("-c 3 -c 4 --text a --text b");
	expect_json("{\"text\":\"b\",\"count\":4}");
	assert_string_equal(run_config_text(&config, "text"), "b");
	assert_null(run_config_text(&config, "path"));
}

static void test_numbers_stay_what_they_are(void **state)
{
	static const struct {
		const char *text;
		const char *json;
	} cases[] = {
		{ "0", "{\"count\":0}" },
		{ "10", "{\"count\":10}" },
		{ "010", "{\"count\":\"010\"}" }, // octal, perhaps
		{ "0x10", "{\"count\":\"0x10\"}" },
		{ "1G", "{\"count\":\"1G\"}" },
		{ "", "{\"count\":\"\"}" },
		{ "9223372036854775807", "{\"count\":9223372036854775807}" },
		{ "9223372036854775808", "{\"count\":\"9223372036854775808\"}" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run_config_add(&config, "count", cases[i].text), 0);
		expect_json(cases[i].json);
	}
}

static void test_paths_become_absolute(void **state)
{
	char directory[256], wanted[300];

	assert_non_null(getcwd(directory, sizeof(directory)));
	give("-p a/b,ro");
	snprintf(wanted, sizeof(wanted), "{\"path\":\"%s/a/b,ro\"}", directory);
	expect_json(wanted);
	assert_int_equal(run_config_add(&config, "path", ""), 0);
	expect_json("{\"path\":\"\"}"); // no file has this name
}

static void test_file(void **state)
{
	assert_int_equal(read_text("{\"count\": 5, \"flag\": true, \"list\": [\"a\", \"b\"], "
				   "\"no-x\": true, \"no-y\": false, \"path\": \"/p\"}"),
			 0);
	assert_int_equal(run_config_apply(&config), 0);
	assert_int_equal(values.count, 5);
	assert_true(values.flag);
	assert_string_equal(values.list, "a;b;");
	assert_string_equal(values.removed, "x;");
	assert_string_equal(values.path, "/p");
}

static void test_the_command_line_wins(void **state)
{
	give("-d c -c 6");
	assert_int_equal(read_text("{\"count\": 5, \"list\": [\"a\"], \"text\": \"t\"}"), 0);
	assert_int_equal(run_config_apply(&config), 0);
	assert_int_equal(values.count, 6);
	assert_string_equal(values.list, "c;");
	assert_string_equal(values.text, "t");
}

static void test_round_trip(void **state)
{
	json_t *first, *second;

	give("--path /x --text 7 -c 7 --flag -d a -d b --no-x");
	first = run_config_json(&config);
	run_config_free(&config);
	run_config_init(&config, options);
	assert_int_equal(json_dump_file(first, path, JSON_INDENT(2)), 0);
	assert_int_equal(run_config_read(&config, path), 0);
	second = run_config_json(&config);
	assert_true(json_equal(first, second));
	json_decref(first);
	json_decref(second);
}

static void test_bad_files(void **state)
{
	static const char *const texts[] = {
		"",
		"x",
		"[]",
		"5",
		"{",
		"{\"count\": 5,}",
		"{\"counts\": 5}",
		"{\"count\": true}",
		"{\"count\": 1.5}",
		"{\"count\": {}}",
		"{\"flag\": \"yes\"}",
		"{\"flag\": null}",
		"{\"list\": \"a\"}",
		"{\"list\": [[\"a\"]]}",
		"{\"list\": [5]}",
		"{\"text\": 5}",
		"{\"no-\": true}",
		"{\"no-x\": \"y\"}",
		"{\"first\": true}",
		"{\"count\": 5, \"count\": 5}",
		"{\"text\": \"a\\u0000b\"}",
		"{\"--count\": 5}",
		"{\"\": 5}",
	};

	log_set_level(LOG_LEVEL_ERROR);
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(read_text(texts[i]), -EINVAL);
		run_config_free(&config);
		run_config_init(&config, options);
	}
	assert_int_equal(run_config_read(&config, "/"), -EINVAL);
	assert_int_equal(run_config_read(&config, "/does/not/exist"), -ENOENT);
}

static void test_a_bad_value_is_found_when_it_is_applied(void **state)
{
	assert_int_equal(read_text("{\"list\": [\"good\", \"bad\"]}"), 0);
	assert_int_equal(run_config_apply(&config), -EINVAL);
	assert_string_equal(values.list, "good;");
}

static void test_not_utf8(void **state)
{
	give("--text \xff");
	assert_null(run_config_json(&config));
	assert_int_equal(run_config_apply(&config), 0);
	assert_string_equal(values.text, "\xff");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_happens_before_apply),
		TEST(test_json_follows_the_table),
		TEST(test_the_last_one_counts),
		TEST(test_numbers_stay_what_they_are),
		TEST(test_paths_become_absolute),
		TEST(test_file),
		TEST(test_the_command_line_wins),
		TEST(test_round_trip),
		TEST(test_bad_files),
		TEST(test_a_bad_value_is_found_when_it_is_applied),
		TEST(test_not_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
