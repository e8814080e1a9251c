// SPDX-License-Identifier: GPL-2.0-or-later
// kvik help: how to call kvik, or one command.
#include <errno.h>
#include <stdio.h>

#include "builtin.h"
#include "log.h"
#include "options.h"
#include "vm.h"

void print_commands(FILE *to)
{
	fprintf(to, "usage: kvik [--version] [--help] <command> [<arguments>]\n\nCommands:\n");
	for (const struct command *command = commands; command->name; command++)
		fprintf(to, "  %-9s %s\n", command->name, command->summary);
	fprintf(to, "\n'kvik help <command>' or 'kvik <command> -h' shows the options of one.\n");
}

static int help_on(const char *name)
{
	const struct command *command = find_command(name);
	char command_name[] = "help", option[] = "--help";
	char *argv[] = { command_name, option, NULL };

	if (!command) {
		unknown_command(name);
		return VM_STATUS_USAGE;
	}
	return command->run(2, argv);
}

int cmd_help(int argc, char **argv)
{
	static const struct option_spec options[] = { { .kind = OPTION_END } };
	const struct command_usage usage = {
		.name = "kvik help",
		.synopsis = "[<command>]",
		.summary = find_command("help")->summary,
		.options = options,
	};
	char **operands;
	int count;
	int ret = options_parse(&usage, argc, argv, &operands, &count);

	if (ret == OPTIONS_HELP)
		return 0;
	if (ret == 0 && count > 1)
		ret = fail_msg(EINVAL, "too many arguments: '%s'; give one command", operands[1]);
	if (ret)
		return VM_STATUS_USAGE;
	if (count == 1)
		return help_on(operands[0]);
	print_commands(stdout);
	return 0;
}
