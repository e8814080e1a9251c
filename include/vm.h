// SPDX-License-Identifier: GPL-2.0-or-later
// A virtual machine: the composition root's interface to the commands.
#ifndef KVIK_VM_H
#define KVIK_VM_H

#include <stdbool.h>

#include "util.h"

struct accel_ops;
struct machine_ops;
struct vm;
struct vm_config;

// Exit statuses of `kvik run` (documented in kvik-run(1)).
enum vm_status {
	VM_STATUS_OK = 0,      // the guest powered off, or the user ended the VM
	VM_STATUS_USAGE = 125, // wrong before the guest ran
	VM_STATUS_DIED = 255,  // guest panic, crash, or engine failure
};

// Whoever wants to know how the VM fares; each may be NULL. Main thread.
struct vm_watcher {
	void (*started)(void *opaque); // the vCPUs run, and the control socket is served
	void (*changed)(void *opaque, const char *state);               // "running", "paused"
	void (*stopping)(void *opaque, const char *reason, int status); // as of vm_run()
	// SIGHUP came: messages go to another file from now on. Returns the descriptor where
	// the console's output goes, or -1: where it went. NULL: SIGHUP ends the VM.
	int (*reopen)(void *opaque);
	void *opaque;
};

// What a VM is put together from. The commands use vm_build_parts; a test brings
// an accelerator, a machine or descriptors of its own.
struct vm_parts {
	const struct machine_ops *const *machines; // NULL ends them
	const struct accel_ops *const *accels;     // the best first; NULL ends them

	int console_in_fd;  // -1: no input
	int console_out_fd; // -1: output is dropped

	bool has_control;   // claims the config's name and serves its control socket
	bool needs_control; // there is no VM where that cannot be
	struct vm_watcher watcher;
};

// The machines and accelerators of this build, and stdin and stdout.
extern const struct vm_parts vm_build_parts;

// Builds the whole VM from @config and @parts, which outlive it, and blocks the
// signals that vm_run() takes. Returns 0; -errno after a message; or the number of a signal
// that has ended it meanwhile. Unless 0, nothing of it is left. Main thread; all of this
// header.
int vm_create(struct vm **result, const struct vm_config *config, const struct vm_parts *parts)
	MUST_CHECK;
// Runs it once, until the guest powers off or dies, the user quits, or SIGTERM,
// SIGINT, SIGHUP or SIGQUIT arrives; reboots it in between. A second signal ends
// the process at once. Reports a death on stderr with its reason and the last
// console lines. SIGUSR1 has it tell its state. Returns the exit status (for a signal: 128 +
// its number).
int vm_run(struct vm *vm);
void vm_free(struct vm *vm); // NULL: does nothing

#endif
