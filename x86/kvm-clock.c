// SPDX-License-Identifier: GPL-2.0-or-later
// KVM on x86-64: the guest's clock stands still while the VM is paused: KVM's own
// (kvmclock), each vCPU's time stamp counter, and what its local APIC's timer waits for.
//
// TSCs are set by their offsets from the host's, all by the same amount, so that they
// stay the same to the cycle; Linux 5.16 is the first to offer that. On an older one
// they run on, which only a guest that uses the TSC itself as its clock gets to see.

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "log.h"
#include "x86-kvm.h"

#define MSR_IA32_TSC 0x10
#define MSR_IA32_TSC_DEADLINE 0x6e0

// From hold to release.
struct x86_held_clock {
	struct kvm_clock_data clock;
	uint64_t tsc;         // the first vCPU's
	uint64_t deadlines[]; // by vCPU; 0: none
};

union one_msr {
	struct kvm_msrs msrs;
	uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

static struct x86_vm *x86_vm(const struct accel *accel)
{
	return kvm_vm(accel)->arch;
}

static bool read_msr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	union one_msr msr = { .msrs.nmsrs = 1 };

	msr.msrs.entries[0].index = index;
	if (ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_MSRS, &msr) != 1)
		return false;
	*value = msr.msrs.entries[0].data;
	return true;
}

static bool write_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	union one_msr msr = { .msrs.nmsrs = 1 };

	msr.msrs.entries[0] = (struct kvm_msr_entry){ .index = index, .data = value };

	return ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_MSRS, &msr) == 1;
}

static bool tsc_offset(struct vcpu *vcpu, unsigned long request, uint64_t *offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return ioctl(kvm_vcpu(vcpu)->fd, request, &attr) == 0;
}

// -- each vCPU --

static void turn_back_tsc(struct vcpu *vcpu, uint64_t cycles)
{
	uint64_t offset;

	if (!tsc_offset(vcpu, KVM_GET_DEVICE_ATTR, &offset))
		return;
	offset -= cycles;
	if (!tsc_offset(vcpu, KVM_SET_DEVICE_ATTR, &offset))
		warn("vCPU %u: its time stamp counter jumps over the pause: %m", vcpu->index);
}

static void release_vcpu(struct vcpu *vcpu, uint64_t cycles, uint64_t deadline)
{
	turn_back_tsc(vcpu, cycles);
	// KVM made it into a time of the host's when it was set; set again, it counts by
	// the new offset.
	if (deadline && !write_msr(vcpu, MSR_IA32_TSC_DEADLINE, deadline))
		warn("vCPU %u: its timer does not wait for the end of the pause", vcpu->index);
	// Has the guest's watchdog excuse what it still sees; fails where no kvmclock is used.
	ioctl(kvm_vcpu(vcpu)->fd, KVM_KVMCLOCK_CTRL, NULL);
}

// -- the VM --

static void hold(struct accel *accel)
{
	struct vcpu_set *vcpus = accel->vcpus;
	struct x86_held_clock *held = calloc(1, sizeof(*held) + vcpus->count * sizeof(uint64_t));

	if (!held || !read_msr(&vcpus->vcpus[0], MSR_IA32_TSC, &held->tsc) ||
	    ioctl(kvm_vm(accel)->fd, KVM_GET_CLOCK, &held->clock) < 0) {
		warn("the guest's clock runs on during the pause: %m");
		free(held);
		return;
	}
	for (unsigned i = 0; i < vcpus->count; i++)
		read_msr(&vcpus->vcpus[i], MSR_IA32_TSC_DEADLINE, &held->deadlines[i]);
	x86_vm(accel)->held_clock = held;
}

static void release(struct accel *accel)
{
	struct vcpu_set *vcpus = accel->vcpus;
	struct x86_held_clock *held = x86_vm(accel)->held_clock;
	struct kvm_clock_data clock = { 0 };
	uint64_t tsc;

	if (!held)
		return;
	if (!read_msr(&vcpus->vcpus[0], MSR_IA32_TSC, &tsc))
		tsc = held->tsc;
	for (unsigned i = 0; i < vcpus->count; i++)
		release_vcpu(&vcpus->vcpus[i], tsc - held->tsc, held->deadlines[i]);
	clock.clock = held->clock.clock;
	if (ioctl(kvm_vm(accel)->fd, KVM_SET_CLOCK, &clock) < 0)
		warn("the guest's clock jumps over the pause: %m");
	x86_vm(accel)->held_clock = NULL;
	free(held);
}

void x86_kvm_hold_clock(struct accel *accel, bool is_hold)
{
	if (is_hold)
		hold(accel);
	else
		release(accel);
}
