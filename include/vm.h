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

// What a VM is put together from. The commands use vm_build_parts; a test brings
// an accelerator, a machine or descriptors of its own.
struct vm_parts {
	const struct machine_ops *const *machines; // NULL ends them
	const struct accel_ops *const *accels;     // the best first; NULL ends them

	int console_in_fd;  // -1: no input
	int console_out_fd; // -1: output is dropped

	bool has_control; // claims the config's name and serves its control socket
};

// The machines and accelerators of this build, and stdin and stdout.
extern const struct vm_parts vm_build_parts;

// Builds the whole VM from @config and @parts, which outlive it, and blocks the
// signals that end it. Returns 0, or -errno after a message; then nothing of it is
// left. Main thread; all of this header.
int vm_create(struct vm **result, const struct vm_config *config, const struct vm_parts *parts)
	MUST_CHECK;
// Runs it once, until the guest powers off or dies, the user quits, or SIGTERM,
// SIGINT, SIGHUP or SIGQUIT arrives; reboots it in between. A second signal ends
// the process at once. Reports a death on stderr with its reason and the last
// console lines. Returns the exit status (for a signal: 128 + its number).
int vm_run(struct vm *vm);
void vm_free(struct vm *vm); // NULL: does nothing

#endif
