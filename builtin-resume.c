// SPDX-License-Identifier: GPL-2.0-or-later
// kvik resume: lets paused VMs go on.
#include "builtin.h"
#include "remote.h"

static int resume_vm(struct remote *remote, struct control_client *client)
{
	return remote_ask_state(remote, client, "resume", REMOTE_TIMEOUT_MS);
}

int cmd_resume(int argc, char **argv)
{
	struct remote remote = { 0 };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&remote),
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik resume",
		.synopsis = "[--json] <name>... | --all",
		.summary = find_command("resume")->summary,
		.options = options,
	};

	return remote_run(&remote, &usage, argc, argv, resume_vm);
}
