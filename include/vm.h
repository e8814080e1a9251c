// SPDX-License-Identifier: GPL-2.0-or-later
// A virtual machine: the composition root's interface to the commands.
#ifndef KVIK_VM_H
#define KVIK_VM_H

#include <stddef.h>

#include "util.h"

struct vm;
struct vm_config;

// Exit statuses of `kvik run` (documented in kvik-run(1)).
enum vm_status {
	VM_STATUS_OK = 0,         // the guest powered off, or the user ended the VM
	VM_STATUS_USAGE = 125,    // wrong before the guest ran
	VM_STATUS_DIED = 255,     // guest panic, crash, or engine failure
};

// Builds the whole VM from @config, which outlives it. Returns 0 or -errno after
// a message. Main thread; all of this header.
int vm_create(struct vm **vm, const struct vm_config *config) MUST_CHECK;
// Runs it until the guest powers off or dies, the user quits, or SIGTERM, SIGINT
// or SIGHUP arrives; reboots it in between. Reports a death on stderr with its
// reason and the last console lines. Returns the exit status (for a signal: 128 +
// its number).
int vm_run(struct vm *vm);
void vm_free(struct vm *vm);

#endif
