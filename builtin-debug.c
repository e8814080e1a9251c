// SPDX-License-Identifier: GPL-2.0-or-later
// kvik debug: looks into running guests that are in trouble.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builtin.h"
#include "debug-trace.h"
#include "log.h"
#include "remote.h"
#include "vm.h"

struct debug_args {
	struct remote remote; // first
	bool dump;
	const char *nmi;   // a vCPU's number
	const char *sysrq; // a character
	struct debug_symbols symbols;
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

static void print_vcpus(const struct debug_args *args, const struct control_client *client,
			const json_t *vcpus)
{
	json_t *vcpu;
	size_t i;

	json_array_foreach(vcpus, i, vcpu)
	{
		printf("%s%s: vCPU %lld\n%s", i ? "\n" : "", client->vm_name,
		       (long long)json_integer_value(json_object_get(vcpu, "vcpu")),
		       json_string_value(json_object_get(vcpu, "registers")));
		debug_trace_print(&args->symbols, vcpu);
	}
}

// Gives names to the addresses in the answer.
static int name_traces(struct debug_args *args, struct control_client *client, json_t *vcpus)
{
	json_t *status, *vcpu;
	size_t i;
	int err = control_ask(client, "status", NULL, REMOTE_TIMEOUT_MS, &status);

	if (err)
		return err;
	err = debug_symbols_find(&args->symbols, status, vcpus);
	json_decref(status);
	if (err)
		return err;
	json_array_foreach(vcpus, i, vcpu) debug_trace_name(&args->symbols, vcpu);
	return 0;
}

static int debug_vm(struct remote *remote, struct control_client *client)
{
	struct debug_args *args = (struct debug_args *)remote;
	json_t *result, *vcpus;
	int err = control_ask(client, "debug", request(args), REMOTE_TIMEOUT_MS, &result);

	if (err)
		return err;
	vcpus = json_object_get(result, "vcpus");
	if (vcpus)
		err = name_traces(args, client, vcpus);
	if (!err && remote->json)
		remote_print_json(client, json_incref(result));
	else if (!err)
		print_vcpus(args, client, vcpus);
	json_decref(result);
	return err;
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
		{ OPTION_FLAG, 'd', "dump", NULL,
		  "Show each vCPU's registers and call trace (default)", &args.dump },
		{ OPTION_STRING, 0, "symbols", "FILE",
		  "System.map, vmlinux or kernel with the names", &args.symbols.wanted_path },
		{ OPTION_CALL, 0, "kaslr-offset", "HEX", "How far the kernel has moved itself",
		  &args.symbols.wanted_offset, debug_parse_offset },
		{ OPTION_CALL, 'm', "nmi", "VCPU", "Give this vCPU an NMI (x86-64)", &args.nmi,
		  parse_nmi },
		{ OPTION_CALL, 's', "sysrq", "KEY", "Press the magic SysRq key and this one",
		  &args.sysrq, parse_sysrq },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik debug",
		.synopsis = "[<options>] <name>... | --all",
		.summary = find_command("debug")->summary,
		.options = options,
	};

	int status = remote_run(&args.remote, &usage, argc, argv, debug_vm);

	debug_symbols_free(&args.symbols);
	return status;
}
