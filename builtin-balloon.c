// SPDX-License-Identifier: GPL-2.0-or-later
// kvik balloon: takes memory from running guests, or gives it back.
#include <errno.h>
#include <stdio.h>

#include "builtin.h"
#include "log.h"
#include "remote.h"

struct balloon_args {
	struct remote remote; // first
	json_t *wanted;       // the request's arguments; NULL: only show
};

static int parse_amount(const char *option, const char *argument, uint64_t *bytes)
{
	if (!parse_size(argument, MIB, bytes) && *bytes <= INT64_MAX)
		return 0;
	return fail_msg(EINVAL,
			"%s %s: is not a size; give a number of MiB, or a number with a unit, "
			"such as 512M or 2G",
			option, argument);
}

static int want(struct balloon_args *args, const char *option, const char *argument,
		const char *key, int sign)
{
	uint64_t bytes;
	int err = parse_amount(option, argument, &bytes);

	if (err)
		return err;
	if (args->wanted)
		return fail_msg(EINVAL, "%s %s: give one of --inflate, --deflate and --set", option,
				argument);
	args->wanted = json_pack("{s:I}", key, sign * (json_int_t)bytes);
	return 0;
}

static int parse_inflate(void *value, const char *argument)
{
	return want(value, "--inflate", argument, "change_bytes", 1);
}

static int parse_deflate(void *value, const char *argument)
{
	return want(value, "--deflate", argument, "change_bytes", -1);
}

static int parse_set(void *value, const char *argument)
{
	return want(value, "--set", argument, "size_bytes", 1);
}

static unsigned long long mib_of(const json_t *result, const char *key)
{
	return (unsigned long long)json_integer_value(json_object_get(result, key)) / MIB;
}

static int balloon_vm(struct remote *remote, struct control_client *client)
{
	struct balloon_args *args = (struct balloon_args *)remote;
	json_t *result;
	int err = control_ask(client, "balloon", args->wanted ? json_incref(args->wanted) : NULL,
			      CONTROL_WAIT_FOREVER, &result);

	if (err)
		return err;
	if (remote->json) {
		remote_print_json(client, result);
		return 0;
	}
	printf("%s: %llu MiB of %llu MiB taken", client->vm_name, mib_of(result, "size_bytes"),
	       mib_of(result, "memory_bytes"));
	if (mib_of(result, "size_bytes") != mib_of(result, "target_bytes"))
		printf(", %llu MiB asked for", mib_of(result, "target_bytes"));
	printf("\n");
	json_decref(result);
	return 0;
}

int cmd_balloon(int argc, char **argv)
{
	struct balloon_args args = { 0 };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&args.remote),
		{ OPTION_CALL, 'i', "inflate", "SIZE", "Take so much more from the guest, in MiB",
		  &args, parse_inflate },
		{ OPTION_CALL, 'd', "deflate", "SIZE", "Give so much back to it", &args,
		  parse_deflate },
		{ OPTION_CALL, 0, "set", "SIZE", "Have taken so much in all", &args, parse_set },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik balloon",
		.synopsis = "[-i <size> | -d <size> | --set <size>] <name>... | --all",
		.summary = find_command("balloon")->summary,
		.options = options,
	};
	int status = remote_run(&args.remote, &usage, argc, argv, balloon_vm);

	json_decref(args.wanted);
	return status;
}
