// SPDX-License-Identifier: GPL-2.0-or-later
// KVM on RISC-V: the guest's clock stands still while the VM is paused.
//
// time is the host's plus an offset, one for the whole VM, which follows from writing it.
// A timer that runs was made into a time of the host's when it was set: it is set again.

#include <stdlib.h>

#include "kvm-host.h"
#include "kvm-regs.h"
#include "log.h"

#define TIMER_REG(index) KVM_RISCV_REG(KVM_RISCV_TIMER, index)

// From hold to release.
struct riscv_held_clock {
	uint64_t time;
	uint64_t compares[]; // by vCPU; UINT64_MAX: no timer runs
};

static uint64_t running_timer(struct vcpu *vcpu)
{
	uint64_t state, compare;

	if (riscv_kvm_try_get(vcpu, TIMER_REG(KVM_RISCV_TIMER_STATE), &state) ||
	    state == KVM_RISCV_TIMER_OFF ||
	    riscv_kvm_try_get(vcpu, TIMER_REG(KVM_RISCV_TIMER_COMPARE), &compare))
		return UINT64_MAX;
	return compare;
}

static void hold(struct accel *accel)
{
	struct vcpu_set *vcpus = accel->vcpus;
	struct riscv_held_clock *held = calloc(1, sizeof(*held) + vcpus->count * sizeof(uint64_t));

	if (!held ||
	    riscv_kvm_try_get(&vcpus->vcpus[0], TIMER_REG(KVM_RISCV_TIMER_TIME), &held->time)) {
		warn("the guest's clock runs on during the pause");
		free(held);
		return;
	}
	for (unsigned i = 0; i < vcpus->count; i++)
		held->compares[i] = running_timer(&vcpus->vcpus[i]);
	riscv_kvm(accel)->held_clock = held;
}

static void set_timer(struct vcpu *vcpu, uint64_t compare)
{
	if (compare == UINT64_MAX)
		return;
	if (riscv_kvm_try_set(vcpu, TIMER_REG(KVM_RISCV_TIMER_COMPARE), compare) ||
	    riscv_kvm_try_set(vcpu, TIMER_REG(KVM_RISCV_TIMER_STATE), KVM_RISCV_TIMER_ON))
		warn("vCPU %u: its timer does not wait for the end of the pause", vcpu->index);
}

static void release(struct accel *accel)
{
	struct vcpu_set *vcpus = accel->vcpus;
	struct riscv_held_clock *held = riscv_kvm(accel)->held_clock;

	if (!held)
		return;
	if (riscv_kvm_try_set(&vcpus->vcpus[0], TIMER_REG(KVM_RISCV_TIMER_TIME), held->time))
		warn("the guest's clock jumps over the pause");
	for (unsigned i = 0; i < vcpus->count; i++)
		set_timer(&vcpus->vcpus[i], held->compares[i]);
	riscv_kvm(accel)->held_clock = NULL;
	free(held);
}

void riscv_kvm_hold_clock(struct accel *accel, bool is_hold)
{
	if (is_hold)
		hold(accel);
	else
		release(accel);
}
