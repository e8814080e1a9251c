// SPDX-License-Identifier: GPL-2.0-or-later
// kvik wait: waits until a running VM has ended, or is in a state.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "builtin.h"
#include "log.h"
#include "remote.h"
#include "vm.h"

struct wait_args {
	struct remote remote; // first
	const char *state;    // "stopped", "paused" or "running"
	int status;           // of the VM that ended
};

static struct wait_args *to_args(struct remote *remote)
{
	return (struct wait_args *)remote;
}

// Whether @event brings the VM into the state that is waited for.
static bool brings(const struct wait_args *args, const json_t *event)
{
	static const struct {
		const char *event;
		const char *state;
	} changes[] = {
		{ "paused", "paused" },
		{ "resumed", "running" },
		{ "stopped", "stopped" },
	};
	const char *name = json_string_value(json_object_get(event, "event"));

	for (unsigned i = 0; name && i < ARRAY_SIZE(changes); i++)
		if (strcmp(name, changes[i].event) == 0)
			return strcmp(args->state, changes[i].state) == 0;
	return false;
}

static void note_status(struct wait_args *args, const json_t *event)
{
	json_t *status = json_object_get(json_object_get(event, "data"), "status");

	if (json_is_integer(status))
		args->status = (int)json_integer_value(status);
}

static int is_in_state(const struct wait_args *args, struct control_client *client, bool *yes)
{
	const char *state;
	json_t *result;
	int err = control_ask(client, "status", NULL, REMOTE_TIMEOUT_MS, &result);

	if (err)
		return err;
	state = json_string_value(json_object_get(result, "state"));
	*yes = state && strcmp(state, args->state) == 0;
	json_decref(result);
	return 0;
}

static int ended_early(const struct wait_args *args, const struct control_client *client)
{
	if (strcmp(args->state, "stopped") == 0)
		return fail_msg(
			EPIPE, "VM %s: has ended without a word (killed?); its status is not known",
			client->vm_name);
	return fail_msg(EPIPE, "VM %s: has ended, and was never %s", client->vm_name, args->state);
}

static int wait_for_event(struct wait_args *args, struct control_client *client)
{
	bool done = false;
	int err = 0;

	while (!err && !done) {
		json_t *event;

		err = control_next(client, CONTROL_WAIT_FOREVER, &event);
		if (err == -EPIPE)
			return ended_early(args, client);
		if (err)
			return err;
		done = brings(args, event);
		note_status(args, event);
		json_decref(event);
	}
	return err;
}

// The subscription comes first: a change between the two is not missed.
static int wait_vm(struct remote *remote, struct control_client *client)
{
	struct wait_args *args = to_args(remote);
	bool already = false;
	int err = remote_subscribe(client);

	if (!err)
		err = is_in_state(args, client, &already);
	if (!err && !already)
		err = wait_for_event(args, client);
	if (!err && strcmp(args->state, "stopped") == 0)
		err = control_wait_gone(client, REMOTE_TIMEOUT_MS);
	if (!err && remote->json)
		remote_print_json(client, json_pack("{s:s, s:i}", "state", args->state, "status",
						    args->status));
	return err;
}

static int parse_state(void *value, const char *argument)
{
	static const char *const states[] = { "stopped", "paused", "running" };

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++)
		if (strcmp(argument, states[i]) == 0) {
			*(const char **)value = states[i];
			return 0;
		}
	return fail_msg(EINVAL, "--for %s: is not a state; use stopped, paused or running",
			argument);
}

int cmd_wait(int argc, char **argv)
{
	struct wait_args args = { .remote.one_only = true, .state = "stopped" };
	const struct option_spec options[] = {
		REMOTE_ONE_OPTIONS(&args.remote),
		{ OPTION_CALL, 0, "for", "STATE", "stopped (default), paused or running",
		  &args.state, parse_state },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik wait",
		.synopsis = "[--for <state>] <name>",
		.summary = find_command("wait")->summary,
		.options = options,
	};
	int status = remote_run(&args.remote, &usage, argc, argv, wait_vm);

	return status ? status : args.status;
}
