// SPDX-License-Identifier: GPL-2.0-or-later
// What the commands for running VMs share: finding them and asking them in turn.

#include "remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "instance.h"
#include "log.h"
#include "vm.h"

#define SECONDS_MAX 1000000

void remote_print_json(const struct control_client *client, json_t *object)
{
	json_t *line = json_pack("{s:s}", "name", client->vm_name);

	json_object_update(line, object);
	json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(line);
	json_decref(object);
}

int remote_ask_state(struct remote *remote, struct control_client *client, const char *command,
		     int timeout_ms)
{
	json_t *result;
	int err = control_ask(client, command, NULL, timeout_ms, &result);

	if (err)
		return err;
	if (remote->json) {
		remote_print_json(client, result);
		return 0;
	}
	printf("%s: %s\n", client->vm_name, json_string_value(json_object_get(result, "state")));
	json_decref(result);
	return 0;
}

int remote_parse_seconds(const char *option, const char *argument, unsigned *seconds)
{
	size_t digits = strspn(argument, "0123456789");
	unsigned long number = strtoul(argument, NULL, 10); // ULONG_MAX: too large

	if (digits && !argument[digits] && number <= SECONDS_MAX) {
		*seconds = (unsigned)number;
		return 0;
	}
	return fail_msg(EINVAL, "%s %s: give a number of seconds, up to %d", option, argument,
			SECONDS_MAX);
}

int remote_subscribe(struct control_client *client)
{
	json_t *result = NULL;
	int err = control_ask(client, "subscribe", NULL, REMOTE_TIMEOUT_MS, &result);

	json_decref(result);
	return err;
}

static int no_such_vm(const char *name)
{
	struct instance_names running;
	const char *nearest = NULL;
	int err = -ENOENT;

	if (instance_list(&running))
		return err;
	if (running.count)
		nearest = nearest_name(name, (const char *const *)running.names, running.count);
	if (nearest)
		fail_msg(ENOENT, "no VM called '%s' runs; did you mean '%s'?", name, nearest);
	else
		fail_msg(ENOENT, "no VM called '%s' runs; 'kvik list' shows those that do", name);
	instance_list_free(&running);
	return err;
}

struct served_vm {
	struct control_client client;
	bool connected;
	int err;
};

// A VM of --all that ends at this moment is none of our business.
static void connect_vm(struct remote *remote, struct served_vm *vm, const char *name)
{
	vm->err = control_connect(&vm->client, name);
	vm->connected = !vm->err;
	remote->served += vm->connected;
	if (vm->err == -ENOENT)
		vm->err = remote->all ? 0 : no_such_vm(name);
}

static int serve_vms(struct remote *remote, struct served_vm *vms, unsigned count,
		     int (*act)(struct remote *remote, struct control_client *client))
{
	int status = 0;

	for (unsigned i = 0; i < count && remote->begin; i++)
		if (vms[i].connected)
			vms[i].err = remote->begin(remote, &vms[i].client);
	for (unsigned i = 0; i < count; i++) {
		if (vms[i].connected && !vms[i].err)
			vms[i].err = act(remote, &vms[i].client);
		if (vms[i].connected)
			control_disconnect(&vms[i].client);
		if (vms[i].err)
			status = REMOTE_STATUS_FAILED;
	}
	return status;
}

static int serve_names(struct remote *remote, char *const *names, unsigned count,
		       int (*act)(struct remote *remote, struct control_client *client))
{
	struct served_vm *vms = calloc(count, sizeof(*vms));
	int status;

	if (count && !vms) {
		err("no memory for %u VMs", count);
		return REMOTE_STATUS_FAILED;
	}
	for (unsigned i = 0; i < count; i++)
		connect_vm(remote, &vms[i], names[i]);
	status = serve_vms(remote, vms, count, act);
	free(vms);
	return status;
}

static int serve_all(struct remote *remote,
		     int (*act)(struct remote *remote, struct control_client *client))
{
	struct instance_names running;
	int status;

	if (instance_list(&running))
		return REMOTE_STATUS_FAILED;
	status = serve_names(remote, running.names, running.count, act);
	instance_list_free(&running);
	if (!remote->served && !remote->json)
		info("no VM runs");
	return status;
}

static int usage_error(const struct remote *remote, const struct command_usage *usage)
{
	err("which VM? name one, as in '%s NAME'%s", usage->name,
	    remote->one_only ? "" : ", or all with --all");
	return VM_STATUS_USAGE;
}

static int too_many(char *const *names)
{
	err("'%s' and '%s': this is for one VM at a time; name one", names[0], names[1]);
	return VM_STATUS_USAGE;
}

int remote_run(struct remote *remote, const struct command_usage *usage, int argc, char **argv,
	       int (*act)(struct remote *remote, struct control_client *client))
{
	char **operands;
	int count;
	int ret = options_parse(usage, argc, argv, &operands, &count);

	remote->served = 0;
	if (ret)
		return ret == OPTIONS_HELP ? 0 : VM_STATUS_USAGE;
	if (!remote->name + !count + !remote->all != 2)
		return usage_error(remote, usage);
	if (remote->one_only && count > 1)
		return too_many(operands);
	if (remote->all)
		return serve_all(remote, act);
	if (remote->name)
		return serve_names(remote, (char *const *)&remote->name, 1, act);
	return serve_names(remote, operands, (unsigned)count, act);
}

static int ask_verb(struct remote *remote, struct control_client *client)
{
	return remote_ask_state(remote, client, remote->verb, REMOTE_TIMEOUT_MS);
}

int remote_run_verb(const char *verb, const char *summary, int argc, char **argv)
{
	struct remote remote = { .verb = verb };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&remote),
		{ .kind = OPTION_END },
	};
	char name[32];
	const struct command_usage usage = {
		.name = name,
		.synopsis = "[--json] <name>... | --all",
		.summary = summary,
		.options = options,
	};

	snprintf(name, sizeof(name), "kvik %s", verb);
	return remote_run(&remote, &usage, argc, argv, ask_verb);
}
