// SPDX-License-Identifier: GPL-2.0-or-later
// kvik run --exit-with-parent: the VM ends when the process that started it has.
//
// A pidfd is watched. prctl(2)'s PR_SET_PDEATHSIG, which others use, follows the thread that
// forked: it would end the VM of a manager whose worker thread has gone. It is left for
// hosts without pidfd_open(2), and for parents in another PID namespace.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm-priv.h"

static void parent_ended(struct loop_fd *self, uint32_t events)
{
	info("the process that started it has ended");
	kill(getpid(), SIGTERM);
}

// A process that is not the leader of its session has inherited it. So where its parent is
// in another one, that is not who forked it, but who takes orphans in.
static bool is_orphan(pid_t parent)
{
	pid_t session = getsid(0);

	return parent && session != getpid() && getsid(parent) != session;
}

static int watch(struct vm *vm, pid_t parent)
{
	int err;

	vm->parent.ready = parent_ended;
	vm->parent.fd = (int)syscall(SYS_pidfd_open, parent, 0);
	if (vm->parent.fd < 0)
		return prctl(PR_SET_PDEATHSIG, SIGTERM) ? fail(errno, "--exit-with-parent") : 0;
	err = loop_add_fd(&vm->loop, &vm->parent, EPOLLIN | EPOLLONESHOT);
	if (!err)
		return 0;
	close(vm->parent.fd);
	vm->parent.fd = -1;
	return err;
}

int vm_watch_parent(struct vm *vm)
{
	pid_t parent = getppid();
	int err;

	vm->parent.fd = -1;
	if (!vm->config->exit_with_parent)
		return 0;
	err = watch(vm, parent);
	// From now on its end is noticed. Whether it came before shows only afterwards.
	if (!err && (getppid() != parent || is_orphan(parent)))
		err = fail_msg(ESRCH, "--exit-with-parent: the process that started this one has "
				      "ended already");
	if (err)
		vm_forget_parent(vm);
	return err;
}

void vm_forget_parent(struct vm *vm)
{
	if (vm->parent.fd < 0)
		return;
	loop_remove_fd(&vm->loop, &vm->parent);
	close(vm->parent.fd);
}
