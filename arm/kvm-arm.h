// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of arm/kvm*.c share.
#ifndef KVIK_ARM_KVM_ARM_H
#define KVIK_ARM_KVM_ARM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

#include "arm-accel.h"
#include "kvm-host.h"
#include "log.h"

// KVM's numbers of a vCPU's core registers, which it counts in words of 32 bits.
#define KVM_ARM_CORE_REG(field) \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
#define KVM_ARM_X_REG(number) (KVM_ARM_CORE_REG(regs.regs[0]) + 2 * (number))

// kvm_vm(accel)->arch
struct kvm_arm_vm {
	struct kvm_vcpu_init init; // of vCPU 0
	bool has_pmu;
	bool has_sve;
	int gic_fd; // -1: none of KVM's
	int its_fd;
	struct arm_gic_config gic;
	unsigned irq_count;
	struct arm_ppi_sink sink; // without a set_ppi: the GIC is KVM's
	struct log_ratelimit nisv_limit;
	uint64_t held_count; // the virtual counter while the VM is paused
	bool clock_is_held;
};

// kvm_vcpu(vcpu)->arch
struct kvm_arm_vcpu {
	uint64_t told_levels; // of the interrupts that went to the sink
};

static inline struct kvm_arm_vm *kvm_arm_vm(const struct accel *accel)
{
	return kvm_vm(accel)->arch;
}

static inline struct kvm_arm_vcpu *kvm_arm_vcpu(const struct vcpu *vcpu)
{
	return kvm_vcpu(vcpu)->arch;
}

// kvm-view.c: as struct accel_ops has it.
bool kvm_arm_view(struct vcpu *vcpu, struct cpu_view *view);

// kvm-vgic.c: as struct arm_accel_ops's.
bool kvm_vgic_available(struct accel *accel, enum arm_gic kind);
int kvm_vgic_create(struct accel *accel, const struct arm_gic_config *config) MUST_CHECK;
int kvm_vgic_start(struct accel *accel, unsigned irq_count) MUST_CHECK;
int kvm_vgic_reset(struct accel *accel) MUST_CHECK;
void kvm_vgic_set_spi(struct accel *accel, unsigned intid, bool high);
void kvm_vgic_close(struct accel *accel);

#endif
