// SPDX-License-Identifier: GPL-2.0-or-later
// What a debugger sees of a vCPU of KVM on arm64.
#include <sys/ioctl.h>

#include "arm-machine.h"
#include "cpu-view.h"
#include "kvm-arm.h"

#define PSTATE_EL_MASK 0xcULL
#define PSTATE_SP_ELX 0x1ULL
#define PSTATE_AARCH32 0x10ULL

bool kvm_arm_view(struct vcpu *vcpu, struct cpu_view *view)
{
	uint64_t pstate = 0, sp_el0 = 0;
	const struct {
		uint64_t id;
		uint64_t *value;
	} wanted[] = {
		{ KVM_ARM_CORE_REG(regs.pc), &view->pc },
		{ KVM_ARM_CORE_REG(regs.pstate), &pstate },
		{ KVM_ARM_CORE_REG(regs.sp), &sp_el0 },
		{ KVM_ARM_CORE_REG(sp_el1), &view->sp },
		{ KVM_ARM_X_REG(29), &view->frame },
		{ KVM_ARM_X_REG(30), &view->link },
		{ ARM64_SYS_REG(3, 0, 12, 0, 0), &view->entry }, // VBAR_EL1
		{ ARM64_SYS_REG(3, 0, 1, 0, 0), &view->arm.sctlr },
		{ ARM64_SYS_REG(3, 0, 2, 0, 2), &view->arm.tcr },
		{ ARM64_SYS_REG(3, 0, 2, 0, 0), &view->arm.ttbr[0] },
		{ ARM64_SYS_REG(3, 0, 2, 0, 1), &view->arm.ttbr[1] },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
		if (kvm_get_reg(vcpu, wanted[i].id, wanted[i].value, "read a register"))
			return false;
	if (pstate & PSTATE_AARCH32)
		return false;
	view->ops = &arm_view_ops;
	view->in_kernel = pstate & PSTATE_EL_MASK;
	if (!(pstate & PSTATE_SP_ELX))
		view->sp = sp_el0;
	view->signature = arm_signature_bits(view->arm.tcr);
	return true;
}
