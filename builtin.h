// SPDX-License-Identifier: GPL-2.0-or-later
// The commands. To add one called "foo":
//
// 1. write builtin-foo.c with one exported function cmd_foo(argc, argv) and its
//    option table inside; argv[0] is "foo"; return the exit status;
// 2. declare it below;
// 3. add it to the sorted table in main.c;
// 4. describe it in docs/man/kvik-foo.1 (a test compares that with -h);
// 5. test it in tests/cli/.
#ifndef KVIK_BUILTIN_H
#define KVIK_BUILTIN_H

#include <stdio.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary; // one line; the same in its help and its man page
};

// The table of main.c, ended by a NULL name.
extern const struct command commands[];
const struct command *find_command(const char *name); // NULL: there is none
// Says that there is none, and which one was probably meant.
void unknown_command(const char *name);
// How to call kvik, and the list of commands.
void print_commands(FILE *to);

int cmd_balloon(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_debug(int argc, char **argv);
int cmd_disk(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_wait(int argc, char **argv);

#endif
