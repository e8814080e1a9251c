// SPDX-License-Identifier: GPL-2.0-or-later
// Running a VM: what ends or restarts it, and the report of a death.
//
// The main thread runs the loop. Whatever must hold the vCPUs still (a reboot, the
// end) happens in vm_run(), between two rounds of the loop.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pages.h"
#include "term.h"
#include "vm-priv.h"

#define REPORT_LINES 20 // of the console, when the guest died

// How long the end waits for a reader of the console that does not read.
#define FLUSH_MS 2000
#define FLUSH_HURRIED_MS 200 // a signal came: somebody is waiting

// -- what ends or restarts the VM --

static void leave_loop(struct vm *vm, enum vm_outcome outcome, int status)
{
	if (vm->outcome >= VM_OFF)
		return; // the first final one counts
	vm->outcome = outcome;
	vm->status = status;
	loop_stop(&vm->loop);
}

static void guest_died(struct vm *vm, const char *why)
{
	if (vm->outcome < VM_OFF)
		vm->why_died = why;
	leave_loop(vm, VM_DIED, VM_STATUS_DIED);
}

void vm_request(void *opaque, enum vcpu_exit what)
{
	struct vm *vm = opaque;

	atomic_fetch_or(&vm->requests, 1U << what);
	loop_post(&vm->loop, &vm->requested);
}

void vm_vcpu_exited(void *opaque, struct vcpu *vcpu, enum vcpu_exit exit)
{
	struct vm *vm = opaque;

	if (exit == VCPU_EXIT_CRASH || exit == VCPU_EXIT_FAILED)
		atomic_store(&vm->failed_vcpu, vcpu->index);
	vm_request(vm, exit);
}

enum vcpu_exit vm_guest_call(void *opaque, struct vcpu *vcpu, struct guest_call *call)
{
	struct vm *vm = opaque;

	return vm->machine.ops->guest_call(&vm->machine, vcpu, call);
}

// The gravest request counts.
void vm_handle_requests(struct loop_post *post)
{
	struct vm *vm = container_of(post, struct vm, requested);
	unsigned requests = atomic_exchange(&vm->requests, 0);

	if (!requests)
		return;
	if (requests & 1U << VCPU_EXIT_FAILED)
		guest_died(vm, "the accelerator cannot go on");
	else if (requests & 1U << VCPU_EXIT_CRASH)
		guest_died(vm, "it reported a crash");
	else if (term_saw_panic(vm->term))
		guest_died(vm, "Kernel panic"); // then panic=<n> reset or stopped the machine
	else if (requests & 1U << VCPU_EXIT_SHUTDOWN || vm->config->no_reboot)
		leave_loop(vm, VM_OFF, VM_STATUS_OK);
	else
		leave_loop(vm, VM_REBOOT, VM_STATUS_OK);
}

// What comes next on the terminal, the shell's prompt at last, begins a line.
static void break_line(struct vm *vm)
{
	if (term_is_tty(vm->term))
		term_write(vm->term, (const uint8_t *)"\r\n", 2);
}

void vm_user_quit(void *opaque)
{
	struct vm *vm = opaque;

	break_line(vm);
	leave_loop(vm, VM_OFF, VM_STATUS_OK);
}

void vm_stop(struct vm *vm, const char *who)
{
	break_line(vm);
	if (vm->outcome < VM_OFF)
		vm->stopped_by = who;
	leave_loop(vm, VM_KILLED, 128 + SIGTERM);
}

void vm_kill(struct vm *vm, int signal)
{
	break_line(vm);
	leave_loop(vm, VM_KILLED, 128 + signal);
}

// -- running --

static void close_console(struct vm *vm, unsigned timeout_ms)
{
	if (!vm->console_closed)
		term_stop(vm->term, timeout_ms);
	vm->console_closed = true;
}

static void reboot(struct vm *vm)
{
	if (log_ratelimit_ok(&vm->reboots))
		info("the guest reboots");
	vm_control_event(vm, "reset", NULL);
	vm->outcome = VM_RUNNING;
	atomic_store(&vm->requests, 0);
	device_list_reset(&vm->devices);
	vm->machine.ops->reset(&vm->machine);
	term_forget_panic(vm->term);
	if (vm_load_guest(vm))
		guest_died(vm, "it could not be loaded again");
}

static void report_killer(const struct vm *vm)
{
	int signal = vm->status - 128;

	if (vm->stopped_by)
		info("ended by %s", vm->stopped_by);
	else
		info("ended by signal %d (%s)", signal, strsignal(signal));
}

static void pause_vcpus(struct vm *vm)
{
	// Somebody waits: free the terminal at once, and let a second signal end the
	// process even where a disk that hangs holds up a vCPU.
	if (vm->outcome == VM_KILLED) {
		close_console(vm, FLUSH_HURRIED_MS);
		report_killer(vm);
		pthread_sigmask(SIG_SETMASK, &vm->signals.before, NULL);
	}
	vcpu_set_pause(&vm->vcpus);
}

// Devices stand still with the vCPUs: while a VM is paused nothing moves in
// it, nor does its clock.
static void hold_parts(struct vm *vm, bool hold)
{
	device_list_hold(&vm->devices, hold);
	if (vm->accel.ops->hold_clock)
		vm->accel.ops->hold_clock(&vm->accel, hold);
}

static void tell_state(struct vm *vm)
{
	const struct vm_watcher *watcher = &vm->parts->watcher;

	if (vm->told_start && watcher->changed)
		watcher->changed(watcher->opaque, vm_state_name(vm));
}

static void tell_start(struct vm *vm)
{
	const struct vm_watcher *watcher = &vm->parts->watcher;

	if (vm->told_start)
		return;
	if (watcher->started)
		watcher->started(watcher->opaque);
	vm->told_start = true;
	pages_forget_start();
}

static void enter_state(struct vm *vm, enum vm_state state)
{
	if (vm->state == state)
		return;
	hold_parts(vm, state == VM_STATE_PAUSED);
	vm->state = state;
	vm_control_state_changed(vm);
	tell_state(vm);
}

// Returns when the VM is over; the vCPUs stand still.
static void run_until_end(struct vm *vm)
{
	while (vm->outcome < VM_OFF) {
		enter_state(vm, vm->wanted_state);
		if (vm->state == VM_STATE_RUNNING)
			vcpu_set_resume(&vm->vcpus);
		tell_start(vm);
		while (vm->outcome == VM_RUNNING && vm->wanted_state == vm->state && !vm->inspect)
			loop_run(&vm->loop);
		pause_vcpus(vm);
		vm_inspect(vm);
		// A pause that was asked for comes after the reboot.
		if (vm->outcome != VM_RUNNING && vm->state == VM_STATE_PAUSED) {
			hold_parts(vm, false);
			vm->state = VM_STATE_RUNNING;
		}
		if (vm->outcome == VM_REBOOT)
			reboot(vm);
	}
}

static void greet(const struct vm *vm)
{
	debug("%s: %s machine, %u vCPUs, %llu MiB, accelerator %s", vm->config->kernel_path,
	      vm->machine.ops->name, vm->config->cpus,
	      (unsigned long long)(vm->config->memory_bytes / MIB), vm->accel.ops->name);
	if (term_is_tty(vm->term))
		info("Ctrl-a x ends the VM, Ctrl-a h lists the keys");
}

// -- the report of a death --

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

// Where the last @count lines of @text begin.
static char *last_lines(char *text, unsigned count)
{
	char *at = text + strlen(text);

	if (at > text && at[-1] == '\n')
		at--;
	for (; at > text; at--) {
		if (at[-1] == '\n' && --count == 0)
			break;
	}
	return at;
}

static void show_lines(const char *heading, char *text)
{
	char *save = NULL;

	err("%s", heading);
	for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
		err("| %s", line);
}

static void show_registers(struct vm *vm)
{
	struct vcpu *vcpu = &vm->vcpus.vcpus[atomic_load(&vm->failed_vcpu)];
	char heading[40], text[4096];

	if (!vm->accel.ops->dump || !vm->accel.ops->dump(vcpu, text, sizeof(text)))
		return;
	snprintf(heading, sizeof(heading), "the registers of vCPU %u:", vcpu->index);
	show_lines(heading, text);
}

static void report_death(struct vm *vm)
{
	char text[16384];
	const char *panic;

	term_last_output(vm->term, text, sizeof(text));
	panic = term_saw_panic(vm->term) ? strstr(text, "Kernel panic") : NULL;
	if (panic) {
		err("the guest died: %.*s", (int)strcspn(panic, "\r\n"), panic);
	} else {
		err("the guest died: %s", vm->why_died);
		show_registers(vm);
	}
	// Not twice for somebody who has just seen them.
	if (text[0] && !same_file(vm->parts->console_out_fd, STDERR_FILENO))
		show_lines("the last lines of its console:", last_lines(text, REPORT_LINES));
}

static const char *outcome_name(const struct vm *vm)
{
	if (vm->outcome == VM_DIED)
		return vm->why_died;
	return vm->outcome == VM_KILLED ? "killed" : "powered off";
}

static void tell_end(struct vm *vm)
{
	const struct vm_watcher *watcher = &vm->parts->watcher;

	if (watcher->stopping)
		watcher->stopping(watcher->opaque, outcome_name(vm), vm->status);
}

int vm_run(struct vm *vm)
{
	if (term_start(vm->term))
		return VM_STATUS_USAGE;
	log_set_prefix(vm->config->name);
	greet(vm);
	vm->start_ns = clock_monotonic_ns();
	vm_control_event(vm, "started", NULL);
	run_until_end(vm);
	tell_end(vm);
	close_console(vm, FLUSH_MS);
	if (vm->outcome == VM_DIED)
		report_death(vm);
	vm_control_stopped(vm, outcome_name(vm));
	return vm->status;
}
