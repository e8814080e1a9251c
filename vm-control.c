// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket can ask of a running VM; docs/control.md describes it.
//
// Handlers run on the main loop. One that can answer at once does; what must wait (until
// the vCPUs stand still, until the guest has switched itself off) keeps the call in
// vm->waiting, and whoever brings it about answers all of its kind.

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "log.h"
#include "vm-priv.h"

static const char *const state_names[] = {
	[VM_STATE_RUNNING] = "running",
	[VM_STATE_PAUSED] = "paused",
};

// -- calls that wait --

static void wait_for(struct vm *vm, struct control_call *call)
{
	call->next_waiting = vm->waiting;
	vm->waiting = call;
}

// Answers the waiting calls of @command.
static void answer_waiting(struct vm *vm, const char *command)
{
	struct control_call **link = &vm->waiting;

	while (*link) {
		struct control_call *call = *link;

		if (strcmp(call->command, command) != 0) {
			link = &call->next_waiting;
			continue;
		}
		*link = call->next_waiting;
		control_reply(call, json_pack("{s:s}", "state", state_names[vm->state]));
	}
}

static void refuse_waiting(struct vm *vm)
{
	while (vm->waiting) {
		struct control_call *call = vm->waiting;

		vm->waiting = call->next_waiting;
		control_fail(call, "ended", "the VM has ended");
	}
}

// -- commands --

static void status(struct vm *vm, struct control_call *call)
{
	const struct vm_config *config = vm->config;
	double uptime_s = (double)(clock_monotonic_ns() - vm->start_ns) / 1e9;

	control_reply(call,
		      json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:I, s:f, s:s}", "name",
				config->name, "pid", (int)getpid(), "state", state_names[vm->state],
				"architecture", vm->machine.ops->name, "accelerator",
				vm->accel.ops->name, "vcpus", (int)config->cpus, "memory_bytes",
				(json_int_t)config->memory_bytes, "uptime_seconds", uptime_s,
				"kernel", config->kernel_path));
}

static void stat_vm(struct vm *vm, struct control_call *call)
{
	control_reply(call, json_pack("{s:o}", "metrics", vm_stats(vm)));
}

static void want_state(struct vm *vm, struct control_call *call, enum vm_state state)
{
	if (vm->state == state && vm->wanted_state == state) {
		control_reply(call, json_pack("{s:s}", "state", state_names[state]));
		return;
	}
	wait_for(vm, call);
	vm->wanted_state = state;
	loop_stop(&vm->loop);
}

static void pause_vm(struct vm *vm, struct control_call *call)
{
	want_state(vm, call, VM_STATE_PAUSED);
}

static void resume_vm(struct vm *vm, struct control_call *call)
{
	want_state(vm, call, VM_STATE_RUNNING);
}

// The reply comes with the end: whoever asked may count on it.
static void stop_vm(struct vm *vm, struct control_call *call)
{
	wait_for(vm, call);
	vm_stop(vm, "kvik stop");
}

static const struct vm_command {
	const char *name;
	void (*run)(struct vm *vm, struct control_call *call);
} vm_commands[] = {
	{ "pause", pause_vm },
	{ "resume", resume_vm },
	{ "stat", stat_vm },
	{ "status", status },
	{ "stop", stop_vm },
};

static void handle(void *opaque, struct control_call *call)
{
	for (unsigned i = 0; i < ARRAY_SIZE(vm_commands); i++) {
		if (strcmp(call->command, vm_commands[i].name) == 0) {
			vm_commands[i].run(opaque, call);
			return;
		}
	}
	control_fail(call, "unknown-command", "this kvik has no command of that name");
}

// -- what happens to the VM --

static void send_event(struct vm *vm, const char *name, json_t *data)
{
	if (vm->control)
		control_event(vm->control, name, data);
	else
		json_decref(data);
}

void vm_control_state_changed(struct vm *vm)
{
	static const char *const commands[] = { "resume", "pause" };
	static const char *const events[] = { "resumed", "paused" };

	static_assert(ARRAY_SIZE(commands) == VM_STATE_COUNT, "a command for each state");
	send_event(vm, events[vm->state], NULL);
	answer_waiting(vm, commands[vm->state]);
}

void vm_control_event(struct vm *vm, const char *event, const char *reason)
{
	send_event(vm, event, reason ? json_pack("{s:s}", "reason", reason) : NULL);
}

void vm_control_stopped(struct vm *vm, const char *reason)
{
	send_event(vm, "stopped", json_pack("{s:s, s:i}", "reason", reason, "status", vm->status));
	answer_waiting(vm, "stop");
	refuse_waiting(vm);
}

// -- life --

// A VM without a name in the directory works just as well, but nobody can reach it.
int vm_claim_name(struct vm *vm)
{
	int err;

	if (!vm->parts->has_control)
		return 0;
	err = instance_claim(&vm->instance, vm->config->name);
	if (err == -EEXIST)
		return err;
	if (err)
		warn("kvik's other commands cannot reach this VM");
	else
		vm->has_instance = true;
	return 0;
}

void vm_release_name(struct vm *vm)
{
	if (vm->has_instance)
		instance_release(&vm->instance);
}

int vm_start_control(struct vm *vm)
{
	struct control_host host = {
		.vm_name = vm->config->name,
		.main_loop = &vm->loop,
		.handle = handle,
		.opaque = vm,
	};
	int listen_fd = vm->instance.listen_fd;

	if (!vm->has_instance)
		return 0;
	vm->instance.listen_fd = -1;
	return control_create(&vm->control, listen_fd, host);
}

void vm_stop_control(struct vm *vm)
{
	refuse_waiting(vm);
	if (vm->control)
		control_free(vm->control);
	vm->control = NULL;
}
