// SPDX-License-Identifier: GPL-2.0-or-later
// Option tables: parsing, messages, help; sizes and nearest names.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "util.h"

#include <cmocka.h>

static struct {
	bool quick;
	bool rng;
	const char *path;
	unsigned cpus;
	char calls[64];
	char sub_calls[64];
} values;

static int note_call(void *value, const char *argument)
{
	if (!strcmp(argument, "bad"))
		return -EINVAL;
	assert_true(strlen(value) + strlen(argument) + 2 <= sizeof(values.calls));
	sprintf((char *)value + strlen(value), "%s;", argument);
	return 0;
}

static const struct option_spec options[] = {
	{ .kind = OPTION_GROUP, .help = "First things" },
	{ OPTION_FLAG, 'q', "quick", NULL, "Be quick", &values.quick, NULL },
	{ OPTION_STRING, 'p', "path", "PATH", "Where it is", &values.path, NULL },
	{ .kind = OPTION_GROUP, .help = "Second things" },
	{ OPTION_UINT, 'c', "cpus", "N", "How many (default: 1)", &values.cpus, NULL },
	{ OPTION_CALL, 'd', "disk", "PATH[,ro][,direct][,more]", "Each", values.calls, note_call },
	{ OPTION_FLAG, 0, "rng", NULL, "Random", &values.rng, NULL },
	{ OPTION_FLAG, 'z', NULL, NULL, "A letter only", &values.rng, NULL },
	{ OPTION_FLAG, 0, "pathological", NULL, "Shares a prefix", &values.rng, NULL },
	{ OPTION_PREFIX, 0, "no-", "PART", "Leave it out", values.calls, note_call },
	{ OPTION_FLAG, 0, "no-xylophone", NULL, "Begins like it", &values.rng, NULL },
	{ OPTION_PREFIX, 0, "no-sub-", "PART", "And that", values.sub_calls, note_call },
	{ .kind = OPTION_END },
};

static const struct command_usage usage = {
	"kvik test",
	"[<options>] <things>",
	"Test it",
	options,
};

// One run of the parser, with what it printed.
static struct {
	int ret;
	char *argv[16];
	char **operands;
	int count;
	char out[4096]; // stdout and stderr together
} run;

static int redirect(FILE *file, int fd)
{
	int saved = dup(fd);

	dup2(fileno(file), fd);
	return saved;
}

static void restore(int saved, int fd)
{
	dup2(saved, fd);
	close(saved);
}

// @line: arguments between single spaces.
static void parse(const char *line)
{
	static char text[256];
	int argc = 0, saved_out, saved_err;
	FILE *file = tmpfile();
	ssize_t len;

	memset(&values, 0, sizeof(values));
	snprintf(text, sizeof(text), "test %s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		run.argv[argc++] = word;
	run.argv[argc] = NULL;
	fflush(stdout);
	saved_out = redirect(file, STDOUT_FILENO);
	saved_err = redirect(file, STDERR_FILENO);
	run.ret = options_parse(&usage, argc, run.argv, &run.operands, &run.count);
	fflush(stdout);
	restore(saved_out, STDOUT_FILENO);
	restore(saved_err, STDERR_FILENO);
	len = pread(fileno(file), run.out, sizeof(run.out) - 1, 0);
	run.out[MAX(len, (ssize_t)0)] = 0;
	fclose(file);
}

static void expect_message(const char *line, const char *message)
{
	parse(line);
	assert_int_equal(run.ret, -EINVAL);
	if (!strstr(run.out, message))
		fail_msg("'%s' said: %s", line, run.out);
	assert_ptr_equal(strchr(run.out, '\n'), run.out + strlen(run.out) - 1);
}

static void test_every_kind(void **state)
{
	parse("-q -p /x -c 7 -d a -d b --rng");
	assert_int_equal(run.ret, 0);
	assert_true(values.quick);
	assert_true(values.rng);
	assert_string_equal(values.path, "/x");
	assert_int_equal(values.cpus, 7);
	assert_string_equal(values.calls, "a;b;");
	assert_int_equal(run.count, 0);
	assert_string_equal(run.out, "");
}

static void test_spellings(void **state)
{
	parse("--path=/x --cpus 3 -da --quick");
	assert_int_equal(run.ret, 0);
	assert_string_equal(values.path, "/x");
	assert_int_equal(values.cpus, 3);
	assert_string_equal(values.calls, "a;");
	parse("-qc3");
	assert_int_equal(run.ret, 0);
	assert_true(values.quick);
	assert_int_equal(values.cpus, 3);
	parse("--qui --path -q");
	assert_int_equal(run.ret, 0);
	assert_true(values.quick);
	assert_string_equal(values.path, "-q");
}

static void test_operands_stand_anywhere(void **state)
{
	parse("one -q two --cpus 2 three -- -p --nonsense");
	assert_int_equal(run.ret, 0);
	assert_int_equal(run.count, 5);
	assert_string_equal(run.operands[0], "one");
	assert_string_equal(run.operands[2], "three");
	assert_string_equal(run.operands[3], "-p");
	assert_string_equal(run.operands[4], "--nonsense");
	parse("- x");
	assert_int_equal(run.ret, 0);
	assert_int_equal(run.count, 2);
	assert_string_equal(run.operands[0], "-");
}

static void test_messages_name_the_option(void **state)
{
	expect_message("-x", "unknown option -x");
	expect_message("--rng -qx", "unknown option -x");
	expect_message("--what", "unknown option --what; try 'kvik test -h'");
	expect_message("--pth=/x", "unknown option --pth; did you mean --path?");
	expect_message("--pat /x", "option --pat is ambiguous: --path or --pathological?");
	expect_message("--rng=yes", "option --rng takes no argument");
	expect_message("--help=me", "option --help takes no argument");
	expect_message("--path", "option --path needs an argument: PATH");
	expect_message("-q -p", "option --path needs an argument: PATH");
	expect_message("--cpus two", "--cpus: 'two' is not a number");
	expect_message("--cpus=", "--cpus: '' is not a number");
	expect_message("-c 2x", "--cpus: '2x' is not a number");
	expect_message("-c -1", "--cpus: '-1' is not a number");
	expect_message("-c 4294967296", "--cpus: 4294967296 is too large");
	expect_message("-c 99999999999999999999", "is too large");
}

static void test_call_can_refuse(void **state)
{
	parse("-d a -d bad -d c");
	assert_int_equal(run.ret, -EINVAL);
	assert_string_equal(values.calls, "a;"); // the first error ends it
}

// The rest of the name is the argument; the longest prefix takes it.
static void test_prefix(void **state)
{
	parse("--no-x --no-sub-y -q --no-sub");
	assert_int_equal(run.ret, 0);
	assert_string_equal(values.calls, "x;sub;");
	assert_string_equal(values.sub_calls, "y;");
	assert_true(values.quick);
	assert_false(values.rng);
	parse("--no-xylophone");
	assert_true(values.rng);
	assert_string_equal(values.calls, "");
	expect_message("--nox", "unknown option --nox");
	parse("--no-bad");
	assert_int_equal(run.ret, -EINVAL);
}

static void test_help(void **state)
{
	static const char help[] = "usage: kvik test [<options>] <things>\n"
				   "\n"
				   "Test it\n"
				   "\n"
				   "First things:\n"
				   "  -q, --quick               Be quick\n"
				   "  -p, --path PATH           Where it is\n"
				   "\n"
				   "Second things:\n"
				   "  -c, --cpus N              How many (default: 1)\n"
				   "  -d, --disk PATH[,ro][,direct][,more]\n"
				   "                            Each\n"
				   "      --rng                 Random\n"
				   "  -z                        A letter only\n"
				   "      --pathological        Shares a prefix\n"
				   "      --no-PART             Leave it out\n"
				   "      --no-xylophone        Begins like it\n"
				   "      --no-sub-PART         And that\n"
				   "\n"
				   "  -h, --help                Show this help\n";

	parse("-q --help");
	assert_int_equal(run.ret, OPTIONS_HELP);
	assert_string_equal(run.out, help);
	parse("x -h --what");
	assert_int_equal(run.ret, OPTIONS_HELP);
	assert_string_equal(run.out, help);
}

static void expect_size(const char *text, uint64_t expected)
{
	uint64_t bytes = 1;

	assert_int_equal(parse_size(text, MIB, &bytes), 0);
	assert_int_equal(bytes, expected);
}

static void test_sizes(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "-1", "+1", "M", "1X", "1MB", "1MiB", "0x10", "1.5G", "1 M",
	};
	static const char *const huge[] = {
		"18446744073709551616", "18446744073709551616B",         "16384P",
		"17592186044416",       "99999999999999999999999999999", "36893488147419103232B",
	};
	uint64_t bytes = 42;

	expect_size("512", 512 * MIB);
	expect_size("0", 0);
	expect_size("512B", 512);
	expect_size("3k", 3 * KIB);
	expect_size("512m", 512 * MIB);
	expect_size("1G", GIB);
	expect_size("2t", 2048 * GIB);
	expect_size("16383P", 16383ULL << 50);
	expect_size("18446744073709551615b", UINT64_MAX);
	expect_size("0000001G", GIB);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_size(bad[i], MIB, &bytes), -EINVAL);
	for (unsigned i = 0; i < ARRAY_SIZE(huge); i++)
		assert_int_equal(parse_size(huge[i], MIB, &bytes), -ERANGE);
	assert_int_equal(bytes, 42); // unchanged
}

static void test_nearest_name(void **state)
{
	static const char *const names[] = { "help", "run", "version", "stop", "list" };
	char long_word[100];

#define NEAREST(word) nearest_name(word, names, ARRAY_SIZE(names))
	assert_string_equal(NEAREST("rnu"), "run");
	assert_string_equal(NEAREST("RUN"), "run");
	assert_string_equal(NEAREST("runn"), "run");
	assert_string_equal(NEAREST("hlep"), "help");
	assert_string_equal(NEAREST("verison"), "version");
	assert_string_equal(NEAREST("lst"), "list");
	assert_null(NEAREST("x"));
	assert_null(NEAREST(""));
	assert_null(NEAREST("frobnicate"));
	memset(long_word, 'r', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = 0;
	assert_null(NEAREST(long_word));
	assert_null(nearest_name("run", names, 0));
#undef NEAREST
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_operands_stand_anywhere),
		cmocka_unit_test(test_messages_name_the_option),
		cmocka_unit_test(test_call_can_refuse),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_nearest_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
