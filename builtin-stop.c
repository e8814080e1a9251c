// SPDX-License-Identifier: GPL-2.0-or-later
// kvik stop: ends running VMs, and waits until they are gone.
#include <errno.h>
#include <stdio.h>

#include "builtin.h"
#include "instance.h"
#include "log.h"
#include "remote.h"

#define GONE_MS 10000 // from the VM's last word to the end of its process

static int wait_until_gone(struct remote *remote, struct control_client *client)
{
	if (instance_wait_gone(client->vm_name, GONE_MS))
		return fail_msg(ETIMEDOUT, "VM %s: has stopped, but its process is still there",
				client->vm_name);
	if (remote->json)
		remote_print_json(client, json_pack("{s:s}", "state", "stopped"));
	else
		printf("%s: stopped\n", client->vm_name);
	return 0;
}

static int stop_vm(struct remote *remote, struct control_client *client)
{
	json_t *result = NULL;
	int err = control_ask(client, "stop", NULL, REMOTE_TIMEOUT_MS, &result);

	json_decref(result);
	return err ? err : wait_until_gone(remote, client);
}

int cmd_stop(int argc, char **argv)
{
	struct remote remote = { 0 };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&remote),
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik stop",
		.synopsis = "[--json] <name>... | --all",
		.summary = find_command("stop")->summary,
		.options = options,
	};

	return remote_run(&remote, &usage, argc, argv, stop_vm);
}
