// SPDX-License-Identifier: GPL-2.0-or-later
// kvik pause: makes running VMs stand still.
#include "builtin.h"
#include "remote.h"

static int pause_vm(struct remote *remote, struct control_client *client)
{
	return remote_ask_state(remote, client, "pause", REMOTE_TIMEOUT_MS);
}

int cmd_pause(int argc, char **argv)
{
	struct remote remote = { 0 };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&remote),
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik pause",
		.synopsis = "[--json] <name>... | --all",
		.summary = find_command("pause")->summary,
		.options = options,
	};

	return remote_run(&remote, &usage, argc, argv, pause_vm);
}
