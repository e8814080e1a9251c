// SPDX-License-Identifier: GPL-2.0-or-later
// The signals that mean a VM: which end it, SIGHUP for the log, SIGUSR1 for a report.

#include "term.h"
#include "vm-priv.h"

static void reopen_log(struct vm *vm)
{
	const struct vm_watcher *watcher = &vm->parts->watcher;
	int out_fd = watcher->reopen(watcher->opaque);

	if (out_fd >= 0 && term_redirect(vm->term, out_fd))
		warn("the console's output stays where it was");
}

static bool is_for_log(const struct vm *vm, int number)
{
	return number == SIGHUP && vm->parts->watcher.reopen;
}

static void signal_ready(struct loop_fd *self, uint32_t events)
{
	struct vm *vm = container_of(self, struct vm, signals.event);
	int number = signals_take(&vm->signals);

	if (number == SIGUSR1)
		vm_report(vm);
	else if (is_for_log(vm, number))
		reopen_log(vm);
	else if (number)
		vm_kill(vm, number);
}

int vm_catch_signals(struct vm *vm)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;
	int err;

	signals_ending(&set);
	sigaddset(&set, SIGUSR1);
	if (vm->parts->watcher.reopen)
		sigaddset(&set, SIGHUP);
	vm->signals.event.ready = signal_ready;
	err = signals_catch(&vm->signals, &set);
	if (!err)
		sigaction(SIGPIPE, &ignore, &vm->before_sigpipe);
	return err;
}

void vm_release_signals(struct vm *vm)
{
	sigaction(SIGPIPE, &vm->before_sigpipe, NULL);
	signals_release(&vm->signals);
}

int vm_pending_signal(struct vm *vm)
{
	int number;

	do
		number = signals_take(&vm->signals);
	while (number == SIGUSR1 || is_for_log(vm, number));
	return number;
}
