// SPDX-License-Identifier: GPL-2.0-or-later
// Command-line options as a table, parsed by getopt_long(3).
//
// One table serves parsing, -h, and the test that compares -h with the man page.
// Main thread.
#ifndef KVIK_OPTIONS_H
#define KVIK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

enum option_kind {
	OPTION_FLAG,   // bool *
	OPTION_STRING, // const char **
	OPTION_UINT,   // unsigned *
	OPTION_CALL,   // parse() is called with the argument, each time it is given
	OPTION_PREFIX, // as OPTION_CALL, with the rest of the option's own name: "disable-" + "x"
	OPTION_GROUP,  // a heading in the help, nothing else
	OPTION_END
};

struct option_spec {
	enum option_kind kind;
	char short_name; // 0: none
	const char *long_name;
	const char *argument; // its name in the help: "PATH"; NULL for a flag
	const char *help;     // one line, with the default where there is one
	void *value;
	// Returns 0 or -errno after a message.
	int (*parse)(void *value, const char *argument);
};

struct command_usage {
	const char *name;                  // "kvik run"
	const char *synopsis;              // "[<options>] [<kernel>]"
	const char *summary;               // one line
	const struct option_spec *options; // ends with OPTION_END
};

#define OPTIONS_HELP 1 // -h or --help was given and answered on stdout

// Parses argv[1...]; operands may stand between options, "--" ends the options.
// On return *operands points to them (*operand_count) inside @argv, reordered.
// Returns 0, OPTIONS_HELP, or -EINVAL after a message that names the option.
int options_parse(const struct command_usage *usage, int argc, char **argv, char ***operands,
		  int *operand_count) MUST_CHECK;
// The same for a command that takes no operands: one is refused.
int options_parse_only(const struct command_usage *usage, int argc, char **argv) MUST_CHECK;
void options_print_help(const struct command_usage *usage);

// "512", "512M", "1G": a number with an optional unit B, K, M, G, T or P (powers
// of 1024, either case); without one, @default_unit. Returns 0, -EINVAL or -ERANGE
// (no message).
int parse_size(const char *text, uint64_t default_unit, uint64_t *bytes) MUST_CHECK;

// The nearest of @names (@count) to @word by edit distance, or NULL if none is near.
const char *nearest_name(const char *word, const char *const *names, unsigned count);

#endif
