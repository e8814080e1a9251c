// SPDX-License-Identifier: GPL-2.0-or-later
// What a debugger sees of a vCPU of KVM on x86-64.
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "cpu-view.h"
#include "kvm-host.h"
#include "x86-accel.h"
#include "x86-kvm.h"

#define MSR_LSTAR 0xc0000082

// 0 where KVM does not tell.
static uint64_t read_lstar(int fd)
{
	uint64_t room[(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)) /
		      sizeof(uint64_t)] = { 0 };
	struct kvm_msrs *msrs = (struct kvm_msrs *)room;

	msrs->nmsrs = 1;
	msrs->entries[0].index = MSR_LSTAR;
	return ioctl(fd, KVM_GET_MSRS, msrs) == 1 ? msrs->entries[0].data : 0;
}

bool x86_kvm_view(struct vcpu *vcpu, struct cpu_view *view)
{
	int fd = kvm_vcpu(vcpu)->fd;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(fd, KVM_GET_REGS, &regs) < 0 || ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return false;
	view->ops = &x86_view_ops;
	view->pc = regs.rip;
	view->sp = regs.rsp;
	view->frame = regs.rbp;
	view->entry = read_lstar(fd);
	view->in_kernel = !sregs.ss.dpl;
	view->x86.cr0 = sregs.cr0;
	view->x86.cr3 = sregs.cr3;
	view->x86.cr4 = sregs.cr4;
	view->x86.efer = sregs.efer;
	return true;
}
