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

enum option_flags {
	OPTION_NUMBER = 1 << 0,   // in JSON a plain number will do for its argument
	OPTION_REPEATED = 1 << 1, // each time it is given counts, not just the last
	OPTION_PATH = 1 << 2,     // its argument begins with a path
	OPTION_FIRST = 1 << 3,    // is for the command itself: never left to option_sink
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
	unsigned flags; // enum option_flags
};

// Takes options in the place of their values. @argument is NULL for a flag, and the rest of
// the name for OPTION_PREFIX.
struct option_sink {
	// Returns 0 or -errno after a message.
	int (*take)(struct option_sink *sink, const struct option_spec *spec, const char *argument);
};

struct command_usage {
	const char *name;                  // "kvik run"
	const char *synopsis;              // "[<options>] [<kernel>]"
	const char *summary;               // one line
	const struct option_spec *options; // ends with OPTION_END
	struct option_sink *sink;          // NULL: each option sets its value
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

// Sets the option's value as if it had been given with @argument. Returns 0 or -EINVAL or
// what its parser returns, after a message.
int option_set(const struct option_spec *spec, const char *argument) MUST_CHECK;
// The option of the long name @name in a table, or the one whose prefix it begins with;
// *rest is what is behind that ("" for others). NULL: there is none.
const struct option_spec *option_find(const struct option_spec *options, const char *name,
				      const char **rest);

// "512", "512M", "1G": a number with an optional unit B, K, M, G, T or P (powers
// of 1024, either case); without one, @default_unit. Returns 0, -EINVAL or -ERANGE
// (no message).
int parse_size(const char *text, uint64_t default_unit, uint64_t *bytes) MUST_CHECK;

// The nearest of @names (@count) to @word by edit distance, or NULL if none is near.
const char *nearest_name(const char *word, const char *const *names, unsigned count);

#endif
