// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of x86/kvm*.c share.
#ifndef KVIK_X86_X86_KVM_H
#define KVIK_X86_X86_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct accel;
struct cpu_view;
struct kvm_cpuid2;
struct vcpu;
struct x86_chips;
struct x86_entry;
struct x86_held_clock;

// Room for what KVM_GET_SUPPORTED_CPUID says and for what is added.
#define X86_CPUID_MAX_ENTRIES 256
#define X86_CPUID_BYTES \
	(sizeof(struct kvm_cpuid2) + X86_CPUID_MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2))

// Inputs of an I/O APIC that is not in KVM.
#define X86_SPLIT_PINS 24U

// What a guest may know of its CPUs, beyond what the host's KVM supports.
struct x86_cpuid_config {
	unsigned cpus;
	bool tsc_deadline;  // the local APIC's timer can count TSC cycles
	uint32_t tsc_khz;   // 0: not known
	uint32_t timer_khz; // the other clock of that timer
};

// struct kvm_vm's arch.
struct x86_vm {
	struct kvm_cpuid2 *cpuid; // what KVM supports
	struct x86_cpuid_config cpuid_config;
	struct x86_chips *chips; // kvm.c's; NULL with a split irqchip
	void (*ended)(void *opaque, uint8_t vector);
	void *ended_opaque;
	struct x86_held_clock *held_clock; // kvm-clock.c's; NULL: it runs
};

// kvm-cpuid.c: makes what KVM supports, in @cpuid with room for X86_CPUID_MAX_ENTRIES,
// into the table of vCPU @index. Returns 0 or -ENOSPC after a message.
int x86_cpuid_build(struct kvm_cpuid2 *cpuid, const struct x86_cpuid_config *config, unsigned index)
	MUST_CHECK;

// kvm-msr.c: model-specific registers as after power on. Main thread, vCPU stopped.
int x86_msr_reset(struct vcpu *vcpu) MUST_CHECK;

// kvm-view.c: as struct accel_ops has it.
bool x86_kvm_view(struct vcpu *vcpu, struct cpu_view *view);

// kvm-clock.c: as struct accel_ops has it.
void x86_kvm_hold_clock(struct accel *accel, bool is_hold);

// kvm-vcpu.c: as struct x86_accel_ops has it.
int x86_kvm_reset_vcpu(struct vcpu *vcpu, const struct x86_entry *entry) MUST_CHECK;

// kvm-dump.c: the bytes of RAM that the vCPU executes next, as far as they lie on one page;
// NULL where there is no RAM. On the vCPU's thread, or vCPUs stopped.
const uint8_t *x86_kvm_code(struct vcpu *vcpu, size_t *len);

#endif
