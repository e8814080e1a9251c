// SPDX-License-Identifier: GPL-2.0-or-later
// vCPUs of KVM on x86-64: CPUID, and registers at reset.
//
// The state in which KVM made a vCPU is that after power on: it is read then, and put
// back at each reset. Only the first vCPU's registers differ, for the kernel's entry.
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "log.h"
#include "x86-accel.h"
#include "x86-kvm.h"

#define CR0_PE 0x1ULL
#define CR0_ET 0x10ULL
#define CR0_PG 0x80000000ULL
#define CR4_PAE 0x20ULL
#define EFER_LME 0x100ULL
#define EFER_LMA 0x400ULL
#define RFLAGS_RESERVED 0x2ULL

// Code after its limit checks in the SDM, vol. 3A, 3.4.5.1.
enum { SEGMENT_DATA = 0x3, SEGMENT_CODE = 0xb, SEGMENT_TSS_BUSY = 0xb };

struct x86_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	struct kvm_xsave xsave; // last: its header leaves its size open
};

static struct x86_vcpu *x86_vcpu(const struct vcpu *vcpu)
{
	return kvm_vcpu(vcpu)->arch;
}

static int set_cpuid(struct vcpu *vcpu)
{
	const struct x86_vm *vm = kvm_vm(vcpu->accel)->arch;
	struct x86_cpuid_config config = vm->cpuid_config;
	struct kvm_cpuid2 *cpuid = malloc(X86_CPUID_BYTES);
	int khz = ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_TSC_KHZ, NULL);
	int err;

	if (!cpuid)
		return fail(ENOMEM, "KVM: CPUID of vCPU %u", vcpu->index);
	memcpy(cpuid, vm->cpuid, X86_CPUID_BYTES);
	config.tsc_khz = (uint32_t)MAX(khz, 0);
	err = x86_cpuid_build(cpuid, &config, vcpu->index);
	if (!err)
		err = kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_CPUID2, cpuid, "set a vCPU's CPUID");
	free(cpuid);
	return err;
}

struct state_part {
	unsigned long get, set;
	size_t offset; // in struct x86_vcpu
	const char *name;
};

// In the order in which they are put back: an APIC's mode is one of the sregs, and
// events last, since they belong to what is there then.
static const struct state_part state_parts[] = {
#define PART(name, member, text)                                                        \
	{                                                                               \
		KVM_GET_##name, KVM_SET_##name, offsetof(struct x86_vcpu, member), text \
	}
	PART(XSAVE, xsave, "FPU registers"),
	PART(XCRS, xcrs, "XCRs"),
	PART(SREGS, sregs, "system registers"),
	PART(LAPIC, lapic, "local APIC"),
	PART(REGS, regs, "registers"),
	PART(DEBUGREGS, debug, "debug registers"),
	PART(VCPU_EVENTS, events, "pending events"),
#undef PART
};

static int read_state(struct vcpu *vcpu)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(state_parts) && !err; i++)
		err = kvm_ioctl(kvm_vcpu(vcpu)->fd, state_parts[i].get,
				(char *)x86_vcpu(vcpu) + state_parts[i].offset,
				state_parts[i].name);
	return err;
}

static int write_state(struct vcpu *vcpu, const struct x86_vcpu *state)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(state_parts) && !err; i++)
		err = kvm_ioctl(kvm_vcpu(vcpu)->fd, state_parts[i].set,
				(char *)state + state_parts[i].offset, state_parts[i].name);
	return err;
}

void kvm_arch_vcpu_exit(struct vcpu *vcpu)
{
	free(x86_vcpu(vcpu));
	kvm_vcpu(vcpu)->arch = NULL;
}

int kvm_arch_vcpu_init(struct vcpu *vcpu)
{
	int err;

	kvm_vcpu(vcpu)->arch = calloc(1, sizeof(struct x86_vcpu));
	if (!x86_vcpu(vcpu))
		return fail(ENOMEM, "KVM: vCPU %u", vcpu->index);
	err = set_cpuid(vcpu);
	if (!err)
		err = read_state(vcpu);
	if (err)
		kvm_arch_vcpu_exit(vcpu);
	return err;
}

// -- reset --

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = long_mode,
		.db = !long_mode,
	};
}

static void set_segments(struct kvm_sregs *sregs, bool long_mode)
{
	struct kvm_segment data = flat_segment(X86_BOOT_DS, SEGMENT_DATA, false);

	sregs->cs = flat_segment(X86_BOOT_CS, SEGMENT_CODE, long_mode);
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	// Entering 64-bit mode needs a busy TSS; none is used before the kernel has its own.
	sregs->tr = (struct kvm_segment){ .limit = 0x67, .type = SEGMENT_TSS_BUSY, .present = 1 };
}

static void set_entry(struct x86_vcpu *state, const struct x86_entry *entry)
{
	struct kvm_sregs *sregs = &state->sregs;

	set_segments(sregs, entry->long_mode);
	sregs->gdt = (struct kvm_dtable){ entry->gdt_gpa, (uint16_t)(entry->gdt_bytes - 1) };
	sregs->idt = (struct kvm_dtable){ 0 };
	sregs->cr0 = CR0_PE | CR0_ET;
	if (entry->long_mode) {
		sregs->cr0 |= CR0_PG;
		sregs->cr3 = entry->cr3;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
	}
	state->regs = (struct kvm_regs){
		.rip = entry->rip,
		.rsp = entry->rsp,
		.rbx = entry->rbx,
		.rsi = entry->rsi,
		.rflags = RFLAGS_RESERVED,
	};
}

int x86_kvm_reset_vcpu(struct vcpu *vcpu, const struct x86_entry *entry)
{
	struct kvm_mp_state mp = {
		.mp_state = entry ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED,
	};
	struct x86_vcpu state = *x86_vcpu(vcpu);
	int err;

	if (entry)
		set_entry(&state, entry);
	err = write_state(vcpu, &state);
	if (!err)
		err = x86_msr_reset(vcpu);
	return err ? err : kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_MP_STATE, &mp, "vCPU state");
}
