// SPDX-License-Identifier: GPL-2.0-or-later
// kvik list: shows the VMs that run.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "builtin.h"
#include "instance.h"
#include "log.h"
#include "remote.h"
#include "vm.h"

struct list_args {
	bool running; // the table of VMs; so, too, where neither is asked for
	bool roots;   // that of their root file systems
	bool json;
	bool names_only;
};

// Sets *@status to what the VM says of itself. -ENOENT: it has just ended.
static int ask_status(const char *name, json_t **status)
{
	struct control_client client;
	int err = control_connect(&client, name);

	if (err)
		return err;
	err = control_ask(&client, "status", NULL, REMOTE_TIMEOUT_MS, status);
	control_disconnect(&client);
	return err;
}

static const char *text_of(const json_t *status, const char *key)
{
	const char *text = json_string_value(json_object_get(status, key));

	return text ? text : "-";
}

static long long number_of(const json_t *status, const char *key)
{
	return (long long)json_number_value(json_object_get(status, key));
}

// "3d04h", "2h05m", "7m12s" or "42s".
static void format_uptime(long long seconds, char *text, size_t size)
{
	if (seconds >= 24 * 3600)
		snprintf(text, size, "%lldd%02lldh", seconds / 86400, seconds / 3600 % 24);
	else if (seconds >= 3600)
		snprintf(text, size, "%lldh%02lldm", seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(text, size, "%lldm%02llds", seconds / 60, seconds % 60);
	else
		snprintf(text, size, "%llds", seconds);
}

#define LIST_FORMAT "%-20s %8s  %-8s %-8s %-5s %5s %8s %8s  %s\n"

static void print_row(const json_t *status)
{
	char pid[16], vcpus[16], memory[24], uptime[32];

	snprintf(pid, sizeof(pid), "%lld", number_of(status, "pid"));
	snprintf(vcpus, sizeof(vcpus), "%lld", number_of(status, "vcpus"));
	snprintf(memory, sizeof(memory), "%lldM",
		 number_of(status, "memory_bytes") / (long long)MIB);
	format_uptime(number_of(status, "uptime_seconds"), uptime, sizeof(uptime));
	printf(LIST_FORMAT, text_of(status, "name"), pid, text_of(status, "state"),
	       text_of(status, "architecture"), text_of(status, "accelerator"), vcpus, memory,
	       uptime, text_of(status, "kernel"));
}

#define ROOT_FORMAT "%-20s %-16s %s\n"

static void print_root(const json_t *status)
{
	const json_t *root = json_object_get(status, "root");

	printf(ROOT_FORMAT, text_of(status, "name"), text_of(root, "device"),
	       text_of(root, "source"));
}

static void print_json(const json_t *status)
{
	json_dumpf(status, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
}

static int show(const char *name, void (*print)(const json_t *status))
{
	json_t *status;
	int err = ask_status(name, &status);

	if (err)
		return err == -ENOENT ? 0 : err;
	print(status);
	json_decref(status);
	return 0;
}

static int show_all(const struct instance_names *running, void (*print)(const json_t *status))
{
	int status = 0;

	for (unsigned i = 0; i < running->count; i++)
		if (show(running->names[i], print))
			status = REMOTE_STATUS_FAILED;
	return status;
}

static int show_tables(const struct list_args *args, const struct instance_names *running)
{
	int status = 0;

	if (args->running || !args->roots) {
		printf(LIST_FORMAT, "NAME", "PID", "STATE", "ARCH", "ACCEL", "VCPUS", "MEMORY",
		       "UPTIME", "KERNEL");
		status = show_all(running, print_row);
	}
	if (args->roots) {
		printf("%s" ROOT_FORMAT, args->running ? "\n" : "", "NAME", "ROOT", "SOURCE");
		status |= show_all(running, print_root);
	}
	return status;
}

static int list_vms(const struct list_args *args)
{
	struct instance_names running;
	int status = 0;

	if (instance_list(&running))
		return REMOTE_STATUS_FAILED;
	for (unsigned i = 0; args->names_only && i < running.count; i++)
		puts(running.names[i]);
	if (!args->names_only)
		status = args->json ? show_all(&running, print_json) : show_tables(args, &running);
	instance_list_free(&running);
	return status;
}

int cmd_list(int argc, char **argv)
{
	struct list_args args = { 0 };
	const struct option_spec options[] = {
		{ OPTION_FLAG, 'i', "run", NULL, "The VMs that run (the default)", &args.running },
		{ OPTION_FLAG, 'r', "rootfs", NULL, "Their root file systems", &args.roots },
		{ OPTION_FLAG, 'q', "quiet", NULL, "Only their names, a line each",
		  &args.names_only },
		{ OPTION_FLAG, 0, "json", NULL, "Print a JSON object a line for each VM",
		  &args.json },
		{ .kind = OPTION_END },
	};
	const struct command_usage usage = {
		.name = "kvik list",
		.synopsis = "[-i] [-r] [-q] [--json]",
		.summary = find_command("list")->summary,
		.options = options,
	};
	int ret = options_parse_only(&usage, argc, argv);

	if (ret == OPTIONS_HELP)
		return 0;
	return ret ? VM_STATUS_USAGE : list_vms(&args);
}
