// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket can ask of a running VM; docs/control.md describes it.
//
// Handlers run on the main loop. One that can answer at once does; what must wait (until
// the vCPUs stand still, until the guest has switched itself off) keeps the call in
// vm->waiting, and whoever brings it about answers all of its kind.

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "balloon.h"
#include "control.h"
#include "log.h"
#include "virtio-devices.h"
#include "vm-priv.h"

// A guest answers within a millisecond or two, if it answers.
#define STAT_WAIT_NS (100 * NSEC_PER_MSEC)
#define BALLOON_STEP_NS (1000 * NSEC_PER_MSEC)

#define STOP_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MAX_MS 1000000000LL

static const char *const state_names[] = {
	[VM_STATE_RUNNING] = "running",
	[VM_STATE_PAUSED] = "paused",
};

const char *vm_state_name(const struct vm *vm)
{
	return state_names[vm->state];
}

// -- calls that wait --

void vm_control_keep(struct vm *vm, struct control_call *call)
{
	call->next_waiting = vm->waiting;
	vm->waiting = call;
}

// A call that waits for @command's end, or NULL.
struct control_call *vm_control_take(struct vm *vm, const char *command)
{
	for (struct control_call **link = &vm->waiting; *link; link = &(*link)->next_waiting) {
		struct control_call *call = *link;

		if (strcmp(call->command, command) != 0)
			continue;
		*link = call->next_waiting;
		return call;
	}
	return NULL;
}

static void answer_waiting(struct vm *vm, const char *command)
{
	struct control_call *call;

	while ((call = vm_control_take(vm, command)))
		control_reply(call, json_pack("{s:s}", "state", vm_state_name(vm)));
}

static void refuse_waiting(struct vm *vm)
{
	while (vm->waiting) {
		struct control_call *call = vm->waiting;

		vm->waiting = call->next_waiting;
		control_fail(call, "ended", "the VM has ended");
	}
}

static void send_event(struct vm *vm, const char *name, json_t *data)
{
	if (vm->control)
		control_event(vm->control, name, data);
	else
		json_decref(data);
}

// -- commands --

// JSON is UTF-8, which a path need not be.
json_t *vm_json_text(const char *bytes)
{
	json_t *text = json_string(bytes);
	char *copy = text ? NULL : strdup(bytes);

	for (char *c = copy; c && *c; c++)
		if (*c & 0x80)
			*c = '?';
	if (copy)
		text = json_string(copy);
	free(copy);
	return text ? text : json_null();
}

static void status(struct vm *vm, struct control_call *call)
{
	const struct vm_config *config = vm->config;
	double uptime_s = (double)(clock_monotonic_ns() - vm->start_ns) / NSEC_PER_SEC;

	control_reply(call,
		      json_pack("{s:s, s:i, s:s, s:s, s:s, s:i, s:I, s:f, s:o, s:o}", "name",
				config->name, "pid", (int)getpid(), "state", vm_state_name(vm),
				"architecture", vm->machine.ops->name, "accelerator",
				vm->accel.ops->name, "vcpus", (int)config->cpus, "memory_bytes",
				(json_int_t)config->memory_bytes, "uptime_seconds", uptime_s,
				"kernel", vm_json_text(config->kernel_path), "root", vm_root(vm)));
}

static void show_config(struct vm *vm, struct control_call *call)
{
	const char *text = vm->config->options_json;

	if (text)
		control_reply(call, json_pack("{s:o}", "config", json_loads(text, 0, NULL)));
	else
		control_fail(call, "not-utf-8", "one of its options is not UTF-8, as JSON must be");
}

static void answer_stat(struct vm *vm)
{
	struct control_call *call;

	while ((call = vm_control_take(vm, "stat")))
		control_reply(call, json_pack("{s:o}", "metrics", vm_stats(vm)));
}

static void stat_timed_out(struct loop_timer *timer)
{
	answer_stat(container_of(timer, struct vm, stat_timer));
}

void vm_balloon_told(void *opaque)
{
	answer_stat(opaque);
}

// The guest's own statistics come by the balloon; a guest that is busy, or paused, is not
// waited for.
static void stat_vm(struct vm *vm, struct control_call *call)
{
	vm_control_keep(vm, call);
	if (vm->state != VM_STATE_RUNNING || !vm->balloon || !balloon_refresh(vm->balloon)) {
		answer_stat(vm);
		return;
	}
	vm->stat_timer.expired = stat_timed_out;
	loop_arm_timer(&vm->loop, &vm->stat_timer, clock_monotonic_ns() + STAT_WAIT_NS);
}

static json_t *balloon_result(struct vm *vm)
{
	struct balloon_state state = balloon_state(vm->balloon);

	return json_pack("{s:I, s:I, s:I, s:I}", "target_bytes", (json_int_t)state.target_bytes,
			 "size_bytes", (json_int_t)state.size_bytes, "returned_bytes",
			 (json_int_t)state.returned_bytes, "memory_bytes",
			 (json_int_t)vm->config->memory_bytes);
}

static void answer_balloon(struct vm *vm)
{
	struct control_call *call;

	loop_disarm_timer(&vm->loop, &vm->balloon_timer);
	while ((call = vm_control_take(vm, "balloon")))
		control_reply(call, balloon_result(vm));
}

static void balloon_stands_still(struct loop_timer *timer)
{
	answer_balloon(container_of(timer, struct vm, balloon_timer));
}

// Each step of the guest's gives it time for the next.
void vm_balloon_changed(void *opaque)
{
	struct vm *vm = opaque;
	struct balloon_state state = balloon_state(vm->balloon);

	send_event(vm, "balloon", balloon_result(vm));
	if (state.size_bytes == state.target_bytes || !state.has_driver)
		answer_balloon(vm);
	else if (vm->waiting)
		loop_arm_timer(&vm->loop, &vm->balloon_timer,
			       clock_monotonic_ns() + BALLOON_STEP_NS);
}

// What @call wants the balloon's size to be; -1 after an answer.
static json_int_t wanted_size(struct vm *vm, struct control_call *call)
{
	json_int_t size = -1, change = 0;
	json_int_t target = (json_int_t)balloon_state(vm->balloon).target_bytes;

	if (json_unpack(call->arguments, "{s?I, s?I !}", "size_bytes", &size, "change_bytes",
			&change)) {
		control_fail(call, "invalid-argument",
			     "the arguments are size_bytes or change_bytes, a number");
		return -1;
	}
	if (size >= 0)
		return size;
	if (__builtin_add_overflow(target, change, &size))
		return INT64_MAX; // which is refused
	return MAX(size, (json_int_t)0);
}

static void set_balloon(struct vm *vm, struct control_call *call)
{
	json_int_t size;

	if (!vm->balloon) {
		control_fail(call, "no-device",
			     "it has no balloon; start it with 'kvik run --balloon'");
		return;
	}
	size = wanted_size(vm, call);
	if (size < 0)
		return;
	if (balloon_set_target(vm->balloon, (uint64_t)size)) {
		control_fail(call, "invalid-argument",
			     "a balloon of %lld MiB is larger than its memory of %llu MiB",
			     (long long)(size / (json_int_t)MIB), vm->config->memory_bytes / MIB);
		return;
	}
	vm_control_keep(vm, call);
	vm->balloon_timer.expired = balloon_stands_still;
	vm_balloon_changed(vm);
}

// Whoever asked for the opposite a moment ago, which has not come about, is told as well.
static void want_state(struct vm *vm, struct control_call *call, enum vm_state state)
{
	if (vm->state == state) {
		vm->wanted_state = state;
		control_reply(call, json_pack("{s:s}", "state", state_names[state]));
		answer_waiting(vm, state == VM_STATE_RUNNING ? "pause" : "resume");
		return;
	}
	vm_control_keep(vm, call);
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

// -- the end --

static int press_power_button(struct vm *vm)
{
	const struct machine *machine = &vm->machine;

	if (!machine->ops->power_button && !vm->power_button)
		return -ENODEV;
	if (vm->power_button)
		return virtio_input_press(vm->power_button);
	machine->ops->power_button(&vm->machine);
	return 0;
}

// @remedy is the end of the message.
static bool ask_guest_off(struct vm *vm, struct control_call *call, const char *remedy)
{
	int err = press_power_button(vm);

	if (!err)
		return true;
	control_fail(call, "no-power-button", "the guest has no %s%s",
		     err == -ENODEV ? "power button, for want of room for devices" :
				      "driver for its power button (virtio_input)",
		     remedy);
	return false;
}

static void push_power_button(struct vm *vm, struct control_call *call)
{
	if (ask_guest_off(vm, call, ""))
		control_reply(call, NULL);
}

static void stop_timed_out(struct loop_timer *timer)
{
	vm_stop(container_of(timer, struct vm, stop_timer),
		"kvik stop: it did not switch itself off in time");
}

// Of several that stop it the most hurried counts.
static void limit_stop(struct vm *vm, json_int_t timeout_ms)
{
	uint64_t deadline_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NSEC_PER_MSEC;

	if (vm->stop_timer.deadline_ns && vm->stop_timer.deadline_ns <= deadline_ns)
		return;
	vm->stop_timer.expired = stop_timed_out;
	loop_arm_timer(&vm->loop, &vm->stop_timer, deadline_ns);
}

static void stop_by_guest(struct vm *vm, struct control_call *call, json_int_t timeout_ms)
{
	if (!ask_guest_off(vm, call, "; --force ends it without asking"))
		return;
	vm_control_keep(vm, call);
	limit_stop(vm, timeout_ms);
	if (vm->wanted_state == VM_STATE_RUNNING)
		return;
	vm->wanted_state = VM_STATE_RUNNING;
	loop_stop(&vm->loop);
}

// The reply comes with the end: whoever asked may count on it.
static void stop_vm(struct vm *vm, struct control_call *call)
{
	json_int_t timeout_ms = STOP_TIMEOUT_MS;
	int force = false;

	if (json_unpack(call->arguments, "{s?b, s?I !}", "force", &force, "timeout_ms",
			&timeout_ms) ||
	    timeout_ms < 0 || timeout_ms > STOP_TIMEOUT_MAX_MS) {
		control_fail(call, "invalid-argument",
			     "the arguments are force, a boolean, and timeout_ms, a number from 0 "
			     "to %lld",
			     STOP_TIMEOUT_MAX_MS);
		return;
	}
	if (!force) {
		stop_by_guest(vm, call, timeout_ms);
		return;
	}
	vm_control_keep(vm, call);
	vm_stop(vm, "kvik stop");
}

static void answer_stop(struct vm *vm)
{
	struct control_call *call;

	while ((call = vm_control_take(vm, "stop")))
		control_reply(call, json_pack("{s:s, s:b}", "state", "stopped", "powered_off",
					      vm->outcome == VM_OFF));
}

static const struct vm_command {
	const char *name;
	void (*run)(struct vm *vm, struct control_call *call);
} vm_commands[] = {
	{ "balloon", set_balloon },
	{ "config", show_config },
	{ "debug", vm_debug },
	{ "pause", pause_vm },
	{ "power-button", push_power_button },
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
	answer_stop(vm);
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
	if (err == -EEXIST || (err && vm->parts->needs_control))
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
		.term = vm->term,
		.handle = handle,
		.opaque = vm,
	};
	int listen_fd = vm->instance.listen_fd;

	if (!vm->has_instance)
		return 0;
	instance_remove_log(vm->config->name); // of one of that name that died
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
