// SPDX-License-Identifier: GPL-2.0-or-later
// What the two halves of a VM share: vm.c builds it, vm-run.c runs it.
#ifndef KVIK_VM_PRIV_H
#define KVIK_VM_PRIV_H

#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "bus.h"
#include "device.h"
#include "image.h"
#include "instance.h"
#include "log.h"
#include "loop.h"
#include "machine.h"
#include "memory.h"
#include "signals.h"
#include "vcpu.h"
#include "vm-config.h"
#include "vm.h"

struct control;
struct control_call;
struct metric_sink;
struct term;
struct virtio_device;

// Why the main loop was left.
enum vm_outcome {
	VM_RUNNING,
	VM_REBOOT, // the guest asked for a reset; any of the others may overtake it
	VM_OFF,    // final, as the next two: the guest or the user switched it off
	VM_KILLED, // by a signal
	VM_DIED,   // see vm->why_died
};

enum vm_state { VM_STATE_RUNNING, VM_STATE_PAUSED, VM_STATE_COUNT };

struct vm {
	const struct vm_config *config;
	const struct vm_parts *parts;
	unsigned steps_done; // of vm_steps[] in vm.c

	struct image kernel;
	struct loop loop;
	struct memory memory;
	struct bus mmio;
	struct bus pio;
	struct term *term;
	struct accel accel;
	struct vcpu_set vcpus;
	struct device_list devices;
	struct machine machine;
	unsigned virtio_count;
	struct virtio_device *balloon;      // NULL: none
	struct virtio_device *power_button; // NULL: the machine has one, or there is none

	bool has_instance;
	struct instance instance;
	struct control *control; // NULL: none
	struct control_call *waiting;
	bool inspect;                    // a call waits for the vCPUs to stand still
	struct loop_timer stat_timer;    // for the guest's statistics
	struct loop_timer balloon_timer; // for the balloon's next step
	struct loop_timer stop_timer;    // for the guest to switch itself off

	struct signals signals;
	struct sigaction before_sigpipe;
	struct loop_fd parent; // its pidfd; -1: none

	// From any thread to the main loop.
	atomic_uint requests;    // bit n: enum vcpu_exit n
	atomic_uint failed_vcpu; // index; with VCPU_EXIT_CRASH or _FAILED
	struct loop_post requested;

	// Main thread.
	uint64_t start_ns; // CLOCK_MONOTONIC
	enum vm_state state;
	enum vm_state wanted_state; // taken up between two rounds of the loop
	enum vm_outcome outcome;
	int status;             // of vm_run(), once the outcome is final
	const char *why_died;   // static text
	const char *stopped_by; // as why_died; NULL: a signal
	bool console_closed;
	bool told_start; // to the watcher
	struct log_ratelimit reboots;
};

const char *vm_state_name(const struct vm *vm); // "running", "paused"

// vm.c: puts kernel, initrd and device tree into RAM and the vCPUs at their start;
// vCPUs stopped. Returns 0 or -errno after a message.
int vm_load_guest(struct vm *vm) MUST_CHECK;

// vm-run.c: what the parts call while the VM runs; @opaque is the VM.
enum vcpu_exit vm_guest_call(void *opaque, struct vcpu *vcpu, struct guest_call *call);
void vm_vcpu_exited(void *opaque, struct vcpu *vcpu, enum vcpu_exit exit);
void vm_request(void *opaque, enum vcpu_exit what); // any thread
void vm_handle_requests(struct loop_post *post);
void vm_user_quit(void *opaque);
// Ends the VM from outside, as SIGTERM does. Main loop.
void vm_stop(struct vm *vm, const char *who);
// The same by a signal.
void vm_kill(struct vm *vm, int signal);

// vm-signals.c: the signals that mean the VM, on vm->signals. Before any thread is
// made, since threads inherit the mask. SIGPIPE is ignored: whoever reads the messages may
// leave (as head(1) does), which is no reason to leave disks and files as they are.
int vm_catch_signals(struct vm *vm) MUST_CHECK;
void vm_release_signals(struct vm *vm);
// Takes those that have come, as far as one that ends the VM. Returns that, or 0.
int vm_pending_signal(struct vm *vm);

// vm-report.c: tells the VM's state in some lines on stderr. Main loop.
void vm_report(struct vm *vm);

// vm-parent.c: --exit-with-parent, if that was given.
int vm_watch_parent(struct vm *vm) MUST_CHECK;
void vm_forget_parent(struct vm *vm);

// vm-control.c: the VM's name and its control socket. The server runs from
// vm_start_control() to vm_stop_control().
int vm_claim_name(struct vm *vm) MUST_CHECK;
void vm_release_name(struct vm *vm);
int vm_start_control(struct vm *vm) MUST_CHECK;
void vm_stop_control(struct vm *vm);
// The balloon's events; @opaque is the VM.
void vm_balloon_changed(void *opaque);
void vm_balloon_told(void *opaque);
// Tell who asked, and who listens. vm->state is the new one; @reason may be NULL.
void vm_control_state_changed(struct vm *vm);
void vm_control_event(struct vm *vm, const char *event, const char *reason);
void vm_control_stopped(struct vm *vm, const char *reason);

// vm-control.c, for vm-debug.c: keeps @call; takes one of @command's back, or NULL.
void vm_control_keep(struct vm *vm, struct control_call *call);
struct control_call *vm_control_take(struct vm *vm, const char *command);

// vm-control.c: what is not ASCII in text that is not UTF-8 becomes '?'.
json_t *vm_json_text(const char *bytes);

// vm-root.c: docs/control.md's "root".
json_t *vm_root(const struct vm *vm);

// vm-debug.c: the "debug" call. vm_inspect() answers those that had to wait; vCPUs
// stopped.
void vm_debug(struct vm *vm, struct control_call *call);
void vm_inspect(struct vm *vm);

// vm-stats.c: the metrics as docs/control.md describes them; the caller's. Main loop.
json_t *vm_stats(struct vm *vm);
void vm_put_metrics(struct vm *vm, struct metric_sink *sink);

#endif
