// SPDX-License-Identifier: GPL-2.0-or-later
// The kvik command: finds the subcommand and runs it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "log.h"
#include "options.h"
#include "vm.h"

// Sorted by name.
const struct command commands[] = {
	{ "balloon", cmd_balloon, "Take memory from guests, or give it back" },
	{ "config", cmd_config, "Show the options that a virtual machine was started with" },
	{ "console", cmd_console, "Watch a virtual machine's console, and type" },
	{ "debug", cmd_debug, "Look into guests that are in trouble" },
	{ "disk", cmd_disk, "Create, convert, check and resize disk images" },
	{ "events", cmd_events, "Show what happens to a virtual machine" },
	{ "help", cmd_help, "Show how to use kvik or one of its commands" },
	{ "list", cmd_list, "List the virtual machines that run" },
	{ "pause", cmd_pause, "Make virtual machines stand still" },
	{ "resume", cmd_resume, "Let paused virtual machines go on" },
	{ "run", cmd_run, "Boot a kernel in a new virtual machine" },
	{ "stat", cmd_stat, "Show what virtual machines count of themselves" },
	{ "stop", cmd_stop, "End virtual machines" },
	{ "version", cmd_version, "Show the version and what this kvik was built with" },
	{ "wait", cmd_wait, "Wait until a virtual machine has ended" },
	{ NULL },
};

const struct command *find_command(const char *name)
{
	for (const struct command *command = commands; command->name; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return NULL;
}

void unknown_command(const char *name)
{
	const char *names[ARRAY_SIZE(commands)];
	const char *nearest;
	unsigned count = 0;

	for (; commands[count].name; count++)
		names[count] = commands[count].name;
	nearest = nearest_name(name, names, count);
	if (nearest)
		err("'%s' is not a command; did you mean '%s'?", name, nearest);
	else
		err("'%s' is not a command; 'kvik help' lists them", name);
}

static int run_command(const char *name, int argc, char **argv)
{
	const struct command *command = find_command(name);
	char prefix[32];

	if (!command) {
		unknown_command(name);
		return VM_STATUS_USAGE;
	}
	snprintf(prefix, sizeof(prefix), "kvik %s", command->name);
	log_set_prefix(prefix);
	return command->run(argc, argv);
}

// `kvik --version` and `kvik --help [<command>]` are spellings of the commands.
static int run_option(int argc, char **argv)
{
	static const struct {
		const char *option;
		const char *command;
	} spellings[] = {
		{ "--help", "help" },
		{ "--version", "version" },
		{ "-h", "help" },
		{ "-v", "version" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(spellings); i++) {
		if (strcmp(argv[0], spellings[i].option) == 0)
			return run_command(spellings[i].command, argc, argv);
	}
	err("unknown option '%s'; options of a command follow its name, as in "
	    "'kvik run %s'; try 'kvik help'",
	    argv[0], argv[0]);
	return VM_STATUS_USAGE;
}

// A closed descriptor 0, 1 or 2 would be the number of the next file opened, and
// that file would be taken for the console.
static int fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return fail(errno, "open /dev/null");
	close(fd);
	return 0;
}

// What was asked for and did not arrive is a failure: `kvik help >/dev/full`.
static int flush_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fail(errno, "write to stdout");
	return status ? status : VM_STATUS_USAGE;
}

int main(int argc, char **argv)
{
	int status;

	log_set_prefix("kvik");
	if (fill_standard_descriptors())
		return VM_STATUS_USAGE;
	if (argc < 2) {
		print_commands(stderr);
		return VM_STATUS_USAGE;
	}
	if (argv[1][0] == '-')
		status = run_option(argc - 1, argv + 1);
	else
		status = run_command(argv[1], argc - 1, argv + 1);
	return flush_output(status);
}
