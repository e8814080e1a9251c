// SPDX-License-Identifier: GPL-2.0-or-later
// kvik config: shows the options that a running VM was started with.
#include <stdio.h>

#include "builtin.h"
#include "remote.h"

static int show_config(struct remote *remote, struct control_client *client)
{
	size_t layout = remote->json ? JSON_COMPACT : JSON_INDENT(2);
	json_t *result;
	int err = control_ask(client, "config", NULL, REMOTE_TIMEOUT_MS, &result);

	if (err)
		return err;
	json_dumpf(json_object_get(result, "config"), stdout, layout);
	putchar('\n');
	json_decref(result);
	return 0;
}

int cmd_config(int argc, char **argv)
{
	struct remote remote = { .one_only = true };
	const struct option_spec options[] = {
		REMOTE_ONE_OPTIONS(&remote),
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik config",
		.synopsis = "[--json] <name>",
		.summary = find_command("config")->summary,
		.options = options,
	};

	return remote_run(&remote, &usage, argc, argv, show_config);
}
