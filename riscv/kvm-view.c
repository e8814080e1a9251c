// SPDX-License-Identifier: GPL-2.0-or-later
// What a debugger sees of a vCPU of KVM on RISC-V.
#include "cpu-view.h"
#include "kvm-host.h"
#include "kvm-regs.h"

enum { CORE_RA = 1, CORE_SP = 2, CORE_S0 = 8 };

bool riscv_kvm_view(struct vcpu *vcpu, struct cpu_view *view)
{
	uint64_t mode = 0;
	const struct {
		unsigned type, index;
		uint64_t *value;
	} wanted[] = {
		{ KVM_RISCV_CORE, KVM_RISCV_CORE_PC, &view->pc },
		{ KVM_RISCV_CORE, CORE_RA, &view->link },
		{ KVM_RISCV_CORE, CORE_SP, &view->sp },
		{ KVM_RISCV_CORE, CORE_S0, &view->frame },
		{ KVM_RISCV_CORE, KVM_RISCV_CORE_MODE, &mode },
		{ KVM_RISCV_CSR, KVM_RISCV_CSR_STVEC, &view->entry },
		{ KVM_RISCV_CSR, KVM_RISCV_CSR_SATP, &view->riscv.satp },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
		if (riscv_kvm_try_get(vcpu, KVM_RISCV_REG(wanted[i].type, wanted[i].index),
				      wanted[i].value))
			return false;
	view->ops = &riscv_view_ops;
	view->entry &= ~3ULL; // stvec.MODE
	view->in_kernel = mode == KVM_RISCV_CORE_MODE_S;
	return true;
}
