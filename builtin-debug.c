// SPDX-License-Identifier: GPL-2.0-or-later
// kvik debug: looks into running guests that are in trouble.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builtin.h"
#include "log.h"
#include "remote.h"
#include "vm.h"

struct debug_args {
	struct remote remote; // first
	bool dump;
	const char *nmi;   // a vCPU's number
	const char *sysrq; // a character
};

static json_t *request(const struct debug_args *args)
{
	json_t *arguments = json_object();

	if (args->dump || (!args->nmi && !args->sysrq))
		json_object_set_new(arguments, "dump", json_true());
	if (args->nmi)
		json_object_set_new(arguments, "nmi", json_integer(atoi(args->nmi)));
	if (args->sysrq)
		json_object_set_new(arguments, "sysrq", json_string(args->sysrq));
	return arguments;
}

static void print_vcpus(const struct control_client *client, const json_t *vcpus)
{
	json_t *vcpu;
	size_t i;

	json_array_foreach(vcpus, i, vcpu)
		printf("%s: vCPU %lld\n%s%s", client->vm_name,
		       (long long)json_integer_value(json_object_get(vcpu, "vcpu")),
		       json_string_value(json_object_get(vcpu, "registers")),
		       i + 1 < json_array_size(vcpus) ? "\n" : "");
}

static int debug_vm(struct remote *remote, struct control_client *client)
{
	struct debug_args *args = (struct debug_args *)remote;
	json_t *result;
	int err = control_ask(client, "debug", request(args), REMOTE_TIMEOUT_MS, &result);

	if (err)
		return err;
	if (remote->json)
		remote_print_json(client, json_incref(result));
	else
		print_vcpus(client, json_object_get(result, "vcpus"));
	json_decref(result);
	return 0;
}

static int parse_nmi(void *value, const char *argument)
{
	if (!argument[0] || strspn(argument, "0123456789") != strlen(argument) ||
	    strlen(argument) > 4)
		return fail_msg(EINVAL, "--nmi %s: is not the number of a vCPU", argument);
	*(const char **)value = argument;
	return 0;
}

static int parse_sysrq(void *value, const char *argument)
{
	if (strlen(argument) != 1)
		return fail_msg(EINVAL,
				"--sysrq %s: is not one character; h shows the guest's keys",
				argument);
	*(const char **)value = argument;
	return 0;
}

int cmd_debug(int argc, char **argv)
{
	struct debug_args args = { 0 };
	const struct option_spec options[] = {
		REMOTE_OPTIONS(&args.remote),
		{ OPTION_FLAG, 'd', "dump", NULL, "Show the registers of each vCPU (the default)",
		  &args.dump },
		{ OPTION_CALL, 'm', "nmi", "VCPU", "Give this vCPU an NMI (x86-64)", &args.nmi,
		  parse_nmi },
		{ OPTION_CALL, 's', "sysrq", "KEY", "Press the magic SysRq key and this one",
		  &args.sysrq, parse_sysrq },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik debug",
		.synopsis = "[-d] [-m <vcpu>] [-s <key>] <name>... | --all",
		.summary = find_command("debug")->summary,
		.options = options,
	};

	return remote_run(&args.remote, &usage, argc, argv, debug_vm);
}
