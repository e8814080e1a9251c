// SPDX-License-Identifier: GPL-2.0-or-later
// What the commands for running VMs share: which VMs, and what became of them.
#ifndef KVIK_REMOTE_H
#define KVIK_REMOTE_H

#include <stdbool.h>

#include "control-client.h"
#include "options.h"

// Exit statuses of these commands, besides 0 and VM_STATUS_USAGE.
#define REMOTE_STATUS_FAILED 1 // for at least one of the VMs

#define REMOTE_TIMEOUT_MS 10000

struct remote {
	const char *verb; // remote_run_verb()'s
	const char *name; // -n
	bool all;         // -a
	bool json;        // --json
	bool one_only;    // the command is for one VM
	// Called for all VMs before the first is served, so that they work side by side; as
	// remote_run()'s act. NULL: nothing to begin.
	int (*begin)(struct remote *remote, struct control_client *client);
	unsigned served;
};

// The options that each of these commands begins with.
#define REMOTE_OPTIONS(remote)                                                           \
	{ OPTION_STRING,  'n', "name", "NAME", "The VM, as an argument would name it",   \
	  &(remote)->name },                                                             \
		{ OPTION_FLAG, 'a', "all", NULL, "Every VM that runs", &(remote)->all }, \
	{                                                                                \
		OPTION_FLAG, 0, "json", NULL, "Print a JSON object a line for each VM",  \
			&(remote)->json                                                  \
	}

// The same for a command that is for one VM.
#define REMOTE_ONE_OPTIONS(remote)                                                            \
	{ OPTION_STRING,  'n', "name", "NAME", "The VM, as an argument would name it",        \
	  &(remote)->name },                                                                  \
	{                                                                                     \
		OPTION_FLAG, 0, "json", NULL, "Print JSON, an object a line", &(remote)->json \
	}

// Parses the command line, then calls @act for each VM that it names; @act returns 0 or
// -errno after a message. Returns the exit status.
int remote_run(struct remote *remote, const struct command_usage *usage, int argc, char **argv,
	       int (*act)(struct remote *remote, struct control_client *client));

// A command whose whole work is the request of the same name, @verb; it takes the common
// options only. Returns the exit status.
int remote_run_verb(const char *verb, const char *summary, int argc, char **argv);

// A whole number of seconds, up to a million, the argument of @option. 0 or -EINVAL after a
// message.
int remote_parse_seconds(const char *option, const char *argument, unsigned *seconds);

// For an @act that asks one thing: prints the VM's name and state, or the answer.
int remote_ask_state(struct remote *remote, struct control_client *client, const char *command,
		     int timeout_ms);
// Events come from now on.
int remote_subscribe(struct control_client *client);
// Prints one line of JSON, with the VM's name in front. @object is taken over.
void remote_print_json(const struct control_client *client, json_t *object);

#endif
