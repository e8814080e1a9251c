// SPDX-License-Identifier: GPL-2.0-or-later
// Command-line options as a table, parsed by getopt_long(3).

#include "options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define MAX_OPTIONS 64
#define LONG_CODE 256 // getopt's code of the long name in table entry n: LONG_CODE + n
#define HELP_CODE (LONG_CODE + MAX_OPTIONS)
#define HELP_COLUMN 28

static const struct option_spec help_option = {
	OPTION_FLAG, 'h', "help", NULL, "Show this help", NULL, NULL,
};

// The table in getopt's form.
struct parser {
	const struct command_usage *usage;
	char letters[2 * MAX_OPTIONS + 4];
	struct option longs[MAX_OPTIONS + 1];
};

static bool is_option(const struct option_spec *spec)
{
	return spec->kind != OPTION_GROUP;
}

// What getopt can look up.
static bool is_plain_option(const struct option_spec *spec)
{
	return is_option(spec) && spec->kind != OPTION_PREFIX;
}

static void add_option(struct parser *parser, unsigned *count, const struct option_spec *spec,
		       int code)
{
	bool takes_argument = spec->kind != OPTION_FLAG;
	size_t len = strlen(parser->letters);

	assert(*count < MAX_OPTIONS);
	if (spec->short_name) {
		parser->letters[len++] = spec->short_name;
		if (takes_argument)
			parser->letters[len++] = ':';
	}
	if (spec->long_name)
		parser->longs[(*count)++] = (struct option){
			.name = spec->long_name,
			.has_arg = takes_argument ? required_argument : no_argument,
			.val = code,
		};
}

static void parser_init(struct parser *parser, const struct command_usage *usage)
{
	unsigned count = 0;

	// The leading colon makes getopt tell a missing argument from a bad option.
	*parser = (struct parser){ .usage = usage, .letters = ":" };
	for (unsigned i = 0; usage->options[i].kind != OPTION_END; i++)
		if (is_plain_option(&usage->options[i]))
			add_option(parser, &count, &usage->options[i], LONG_CODE + i);
	add_option(parser, &count, &help_option, HELP_CODE);
}

// The table entry behind a code of getopt; NULL for help.
static const struct option_spec *find_spec(const struct parser *parser, int code)
{
	const struct option_spec *specs = parser->usage->options;

	if (code == HELP_CODE)
		return NULL;
	if (code >= LONG_CODE)
		return &specs[code - LONG_CODE];
	for (unsigned i = 0; specs[i].kind != OPTION_END; i++)
		if (is_option(&specs[i]) && specs[i].short_name == code)
			return &specs[i];
	return NULL;
}

// How the user knows the option: "--mem", or "-x" if it has a letter only.
struct option_name {
	char text[64];
};

static struct option_name name_of(const struct option_spec *spec)
{
	struct option_name name;

	if (spec->long_name)
		snprintf(name.text, sizeof(name.text), "--%s", spec->long_name);
	else
		snprintf(name.text, sizeof(name.text), "-%c", spec->short_name);
	return name;
}

// -- values --

static int parse_uint(const struct option_spec *spec, const char *argument)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(argument, &end, 10);
	if (*argument < '0' || *argument > '9' || *end)
		return fail_msg(EINVAL, "%s: '%s' is not a number", name_of(spec).text, argument);
	if (errno || value > UINT_MAX)
		return fail_msg(EINVAL, "%s: %s is too large; at most %u", name_of(spec).text,
				argument, UINT_MAX);
	*(unsigned *)spec->value = value;
	return 0;
}

int option_set(const struct option_spec *spec, const char *argument)
{
	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)spec->value = true;
		return 0;
	case OPTION_STRING:
		*(const char **)spec->value = argument;
		return 0;
	case OPTION_UINT:
		return parse_uint(spec, argument);
	case OPTION_CALL:
	case OPTION_PREFIX:
		return spec->parse(spec->value, argument);
	default:
		return 0;
	}
}

static int take_option(const struct parser *parser, const struct option_spec *spec,
		       const char *argument)
{
	struct option_sink *sink = parser->usage->sink;

	if (sink && !(spec->flags & OPTION_FIRST))
		return sink->take(sink, spec, argument);
	return option_set(spec, argument);
}

// -- what can be wrong --

static int missing_argument(const struct parser *parser, int code)
{
	const struct option_spec *spec = find_spec(parser, code);

	return fail_msg(EINVAL, "option %s needs an argument: %s", name_of(spec).text,
			spec->argument ? spec->argument : "a value");
}

// The long options that start with @text: more than one makes it ambiguous.
static unsigned find_candidates(const struct parser *parser, const char *text, size_t len,
				const char **candidates)
{
	unsigned count = 0;

	for (const struct option *option = parser->longs; option->name; option++)
		if (!strncmp(option->name, text, len))
			candidates[count++] = option->name;
	return count;
}

static int unknown_long(const struct parser *parser, const char *text)
{
	const char *names[MAX_OPTIONS], *nearest;
	size_t len = strcspn(text, "=");
	char word[64];

	if (find_candidates(parser, text, len, names) > 1)
		return fail_msg(EINVAL, "option --%.*s is ambiguous: --%s or --%s?", (int)len, text,
				names[0], names[1]);
	snprintf(word, sizeof(word), "%.*s", (int)MIN(len, sizeof(word)), text);
	nearest = nearest_name(word, names, find_candidates(parser, "", 0, names));
	if (nearest)
		return fail_msg(EINVAL, "unknown option --%s; did you mean --%s?", word, nearest);
	return fail_msg(EINVAL, "unknown option --%s; try '%s -h'", word, parser->usage->name);
}

// @text is the argument that getopt stumbled over, unless that was a letter.
static int bad_option(const struct parser *parser, const char *text)
{
	if (optopt >= LONG_CODE)
		return fail_msg(EINVAL, "option --%.*s takes no argument",
				(int)strcspn(text + 2, "="), text + 2);
	if (optopt)
		return fail_msg(EINVAL, "unknown option -%c; try '%s -h'", optopt,
				parser->usage->name);
	return unknown_long(parser, text + 2);
}

// -- parsing --

// The entry whose name @text, a long option that getopt does not know, begins with;
// the longest where there are more.
static const struct option_spec *find_prefix(const struct option_spec *options, const char *text)
{
	const struct option_spec *best = NULL;

	for (const struct option_spec *spec = options; spec->kind != OPTION_END; spec++) {
		size_t len = spec->kind == OPTION_PREFIX ? strlen(spec->long_name) : 0;

		if (len && !strncmp(text, spec->long_name, len) && text[len] &&
		    (!best || len > strlen(best->long_name)))
			best = spec;
	}
	return best;
}

const struct option_spec *option_find(const struct option_spec *options, const char *name,
				      const char **rest)
{
	const struct option_spec *prefix = find_prefix(options, name);

	*rest = prefix ? name + strlen(prefix->long_name) : "";
	for (const struct option_spec *spec = options; spec->kind != OPTION_END; spec++)
		if (is_plain_option(spec) && spec->long_name && !strcmp(spec->long_name, name)) {
			*rest = "";
			return spec;
		}
	return prefix;
}

static int take_prefixed(const struct parser *parser, const char *text)
{
	const struct option_spec *spec = find_prefix(parser->usage->options, text + 2);

	return take_option(parser, spec, text + 2 + strlen(spec->long_name));
}

// @text as for bad_option().
static int take_unknown(const struct parser *parser, const char *text)
{
	bool prefixed = !optopt && find_prefix(parser->usage->options, text + 2);

	return prefixed ? take_prefixed(parser, text) : bad_option(parser, text);
}

// getopt took @text for short for a flag: "--no-x" for "--no-xylophone". Where a prefix
// takes it, it is not.
static bool is_prefixed(const struct parser *parser, int code, const char *text)
{
	const struct option_spec *spec = code >= LONG_CODE ? find_spec(parser, code) : NULL;

	return spec && spec->kind == OPTION_FLAG && !strncmp(text, "--", 2) &&
	       strcmp(text + 2, spec->long_name) != 0 &&
	       find_prefix(parser->usage->options, text + 2);
}

static int take_code(const struct parser *parser, int code, char **argv)
{
	const struct option_spec *spec;

	if (code == ':')
		return missing_argument(parser, optopt);
	if (code == '?')
		return take_unknown(parser, argv[optind - 1]);
	if (is_prefixed(parser, code, argv[optind - 1]))
		return take_prefixed(parser, argv[optind - 1]);
	spec = find_spec(parser, code);
	return spec ? take_option(parser, spec, optarg) : OPTIONS_HELP;
}

int options_parse(const struct command_usage *usage, int argc, char **argv, char ***operands,
		  int *operand_count)
{
	struct parser parser;
	int code, ret = 0;

	parser_init(&parser, usage);
	optind = 0; // glibc: start afresh
	opterr = 0;
	while (!ret && (code = getopt_long(argc, argv, parser.letters, parser.longs, NULL)) != -1)
		ret = take_code(&parser, code, argv);
	if (ret == OPTIONS_HELP)
		options_print_help(usage);
	*operands = argv + optind;
	*operand_count = argc - optind;
	return ret;
}

int options_parse_only(const struct command_usage *usage, int argc, char **argv)
{
	char **operands;
	int count;
	int ret = options_parse(usage, argc, argv, &operands, &count);

	if (!ret && count)
		ret = fail_msg(EINVAL, "unexpected argument '%s'; try '%s -h'", operands[0],
			       usage->name);
	return ret;
}

// -- help --

static void print_option(const struct option_spec *spec)
{
	int width = 0;

	if (spec->short_name)
		width += printf("  -%c%s", spec->short_name, spec->long_name ? ", " : "");
	else
		width += printf("      ");
	if (spec->long_name)
		width += printf("--%s", spec->long_name);
	if (spec->argument)
		width += printf("%s%s", spec->kind == OPTION_PREFIX ? "" : " ", spec->argument);
	if (width > HELP_COLUMN - 2) {
		putchar('\n');
		width = 0;
	}
	printf("%*s%s\n", HELP_COLUMN - width, "", spec->help);
}

void options_print_help(const struct command_usage *usage)
{
	printf("usage: %s %s\n\n%s\n", usage->name, usage->synopsis, usage->summary);
	if (usage->options[0].kind != OPTION_GROUP)
		printf("\nOptions:\n");
	for (const struct option_spec *spec = usage->options; spec->kind != OPTION_END; spec++) {
		if (is_option(spec))
			print_option(spec);
		else
			printf("\n%s:\n", spec->help);
	}
	printf("\n");
	print_option(&help_option);
}
