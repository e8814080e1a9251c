// SPDX-License-Identifier: GPL-2.0-or-later
// kvik stop: has running VMs switch themselves off, or ends them, and waits until they
// are gone.
#include <errno.h>
#include <stdio.h>

#include "builtin.h"
#include "log.h"
#include "remote.h"

#define TIMEOUT_S 30

#define STATUS_ENDED_HARD 3 // at least one VM did not switch itself off

struct stop_args {
	struct remote remote; // first
	bool force;
	unsigned timeout_s;
	unsigned ended_hard; // VMs
};

static int tell_end(const struct stop_args *args, struct control_client *client, bool by_itself)
{
	int err = control_wait_gone(client, REMOTE_TIMEOUT_MS);

	if (err)
		return err;
	if (args->remote.json)
		remote_print_json(client, json_pack("{s:s, s:b}", "state", "stopped", "powered_off",
						    by_itself));
	else
		printf("%s: %s\n", client->vm_name, by_itself ? "powered off" : "stopped");
	return 0;
}

static int ask_to_stop(struct remote *remote, struct control_client *client)
{
	struct stop_args *args = (struct stop_args *)remote;

	return control_send(client, "stop",
			    json_pack("{s:b, s:I}", "force", args->force, "timeout_ms",
				      (json_int_t)args->timeout_s * 1000));
}

static int stop_vm(struct remote *remote, struct control_client *client)
{
	struct stop_args *args = (struct stop_args *)remote;
	int patience_ms = args->force ? 0 : (int)args->timeout_s * 1000;
	json_t *result;
	bool by_itself;
	int err = control_answer(client, patience_ms + REMOTE_TIMEOUT_MS, &result);

	if (err)
		return err;
	by_itself = json_is_true(json_object_get(result, "powered_off"));
	json_decref(result);
	if (!by_itself && !args->force)
		args->ended_hard++;
	return tell_end(args, client, by_itself);
}

static int parse_timeout(void *value, const char *argument)
{
	struct stop_args *args = value;
	return remote_parse_seconds("--timeout", argument, &args->timeout_s);
}

int cmd_stop(int argc, char **argv)
{
	struct stop_args args = { .remote.begin = ask_to_stop, .timeout_s = TIMEOUT_S };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&args.remote),
		{ OPTION_CALL, 't', "timeout", "SECONDS",
		  "Time for a guest to switch itself off (30)", &args, parse_timeout },
		{ OPTION_FLAG, 'f', "force", NULL, "End it at once, without asking the guest",
		  &args.force },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik stop",
		.synopsis = "[<options>] <name>... | --all",
		.summary = find_command("stop")->summary,
		.options = options,
	};
	int status = remote_run(&args.remote, &usage, argc, argv, stop_vm);

	return status == 0 && args.ended_hard ? STATUS_ENDED_HARD : status;
}
