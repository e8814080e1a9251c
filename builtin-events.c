// SPDX-License-Identifier: GPL-2.0-or-later
// kvik events: shows what happens to a running VM, as it happens.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "builtin.h"
#include "log.h"
#include "remote.h"

static void print_event(const json_t *event)
{
	time_t at = (time_t)json_number_value(json_object_get(event, "time"));
	char *data = json_dumps(json_object_get(event, "data"), JSON_COMPACT);
	struct tm local;
	char text[32];

	strftime(text, sizeof(text), "%F %T", localtime_r(&at, &local));
	printf("%s %s %s\n", text, json_string_value(json_object_get(event, "event")),
	       data ? data : "");
	free(data);
}

static int show_event(struct remote *remote, const struct control_client *client, json_t *event)
{
	if (remote->json)
		remote_print_json(client, json_incref(event));
	else
		print_event(event);
	return fflush(stdout) ? fail(errno, "write to stdout") : 0;
}

static int follow(struct remote *remote, struct control_client *client)
{
	int err = remote_subscribe(client);

	while (!err) {
		json_t *event;

		err = control_next(client, CONTROL_WAIT_FOREVER, &event);
		if (err)
			break;
		err = show_event(remote, client, event);
		json_decref(event);
	}
	return err == -EPIPE ? 0 : err;
}

int cmd_events(int argc, char **argv)
{
	struct remote remote = { .one_only = true };
	bool followed;
	const struct option_spec options[] = {
		REMOTE_ONE_OPTIONS(&remote),
		{ OPTION_FLAG, 'f', "follow", NULL, "Go on until the VM ends, as it always does",
		  &followed },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik events",
		.synopsis = "[--follow] [--json] <name>",
		.summary = find_command("events")->summary,
		.options = options,
	};

	return remote_run(&remote, &usage, argc, argv, follow);
}
