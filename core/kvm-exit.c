// SPDX-License-Identifier: GPL-2.0-or-later
// What a KVM exit means, as far as every architecture has it.
//
// kvm_run is the kernel's word: it is trusted, unlike what the guest wrote to it
// (addresses and data of accesses), which the buses check.

#include "kvm-exit.h"

#include <assert.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "kvm-host.h"
#include "log.h"

// -- accesses --

static enum vcpu_exit handle_mmio(struct vcpu *vcpu, struct kvm_run *run)
{
	// Nothing lives there: a read has become zero, a write is dropped.
	vcpu_mmio(vcpu, run->mmio.phys_addr, run->mmio.data, run->mmio.len, run->mmio.is_write);
	if (run->mmio.is_write)
		kvm_posted_wrote(vcpu, false, run->mmio.phys_addr, run->mmio.len);
	return VCPU_EXIT_KICKED;
}

// One exit for each string instruction or part of it.
static enum vcpu_exit handle_io(struct vcpu *vcpu, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool is_write = run->io.direction == KVM_EXIT_IO_OUT;

	for (unsigned i = 0; i < run->io.count; i++, data += run->io.size)
		vcpu_pio(vcpu, run->io.port, data, run->io.size, is_write);
	if (is_write)
		kvm_posted_wrote(vcpu, true, run->io.port, run->io.size);
	return VCPU_EXIT_KICKED;
}

// -- ends --

static enum vcpu_exit handle_system_event(struct vcpu *vcpu, struct kvm_run *run)
{
	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return VCPU_EXIT_SHUTDOWN;
	case KVM_SYSTEM_EVENT_RESET:
		return VCPU_EXIT_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		return VCPU_EXIT_CRASH;
	default:
		err("vCPU %u: KVM reports system event %" PRIu32 ", which kvik did not ask for",
		    vcpu->index, run->system_event.type);
		return VCPU_EXIT_FAILED;
	}
}

static enum vcpu_exit handle_shutdown(struct vcpu *vcpu, struct kvm_run *run)
{
	err("vCPU %u: the guest shut the CPU down (a fault while it handled a fault)", vcpu->index);
	return VCPU_EXIT_CRASH;
}

static enum vcpu_exit handle_intr(struct vcpu *vcpu, struct kvm_run *run)
{
	return VCPU_EXIT_KICKED;
}

// -- reports: the registers follow from the accelerator's dump --

// "0f 0b 90": the bytes of one instruction at most.
static const char *hex(const uint8_t *bytes, size_t count, char text[64])
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count && used + 4 < 64; i++)
		used += (size_t)snprintf(text + used, 64 - used, "%s%02x", i ? " " : "", bytes[i]);
	return text;
}

static void report_emulation(const struct vcpu *vcpu, const struct kvm_run *run)
{
	unsigned size = 0;
	char text[64];

	if (run->emulation_failure.ndata > 0 &&
	    run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)
		size = MIN(run->emulation_failure.insn_size,
			   sizeof(run->emulation_failure.insn_bytes));
	err("vCPU %u: KVM met an instruction that it cannot emulate%s%s", vcpu->index,
	    size ? ", within the bytes " : "",
	    size ? hex(run->emulation_failure.insn_bytes, size, text) : "");
	err("a KVM that emulates much of a guest (nested, without VMX or SVM) runs simple guests "
	    "only: use a host whose CPU virtualises, or build the kernel without that instruction");
}

static enum vcpu_exit handle_internal_error(struct vcpu *vcpu, struct kvm_run *run)
{
	static const char *const names[] = {
		[0] = "unknown",
		[KVM_INTERNAL_ERROR_EMULATION] = "emulation failed",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "simultaneous exceptions",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "exit while it delivered an event",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "unexpected exit reason",
	};
	uint32_t suberror = run->internal.suberror;
	unsigned count = MIN(run->internal.ndata, ARRAY_SIZE(run->internal.data));

	if (suberror == KVM_INTERNAL_ERROR_EMULATION) {
		report_emulation(vcpu, run);
		return VCPU_EXIT_FAILED;
	}
	err("vCPU %u: KVM internal error %" PRIu32 " (%s)", vcpu->index, suberror,
	    suberror < ARRAY_SIZE(names) ? names[suberror] : "not known to kvik");
	for (unsigned i = 0; i < count; i++)
		err("| data[%u] %016llx", i, (unsigned long long)run->internal.data[i]);
	err("the host's kernel log may say more; a newer host kernel may run this guest");
	return VCPU_EXIT_FAILED;
}

static enum vcpu_exit handle_fail_entry(struct vcpu *vcpu, struct kvm_run *run)
{
	err("vCPU %u: the hardware refused to enter the guest (reason 0x%llx); the host's kernel "
	    "log may say more, and --accel soft runs riscv64 guests without KVM",
	    vcpu->index, (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
	return VCPU_EXIT_FAILED;
}

static enum vcpu_exit handle_unknown_to_kvm(struct vcpu *vcpu, struct kvm_run *run)
{
	err("vCPU %u: KVM does not know why the hardware left the guest (reason 0x%llx); the "
	    "host's kernel log may say more",
	    vcpu->index, (unsigned long long)run->hw.hardware_exit_reason);
	return VCPU_EXIT_FAILED;
}

static enum vcpu_exit (*const handlers[])(struct vcpu *vcpu, struct kvm_run *run) = {
	[KVM_EXIT_UNKNOWN] = handle_unknown_to_kvm,
	[KVM_EXIT_IO] = handle_io,
	[KVM_EXIT_MMIO] = handle_mmio,
	[KVM_EXIT_SHUTDOWN] = handle_shutdown,
	[KVM_EXIT_FAIL_ENTRY] = handle_fail_entry,
	[KVM_EXIT_INTR] = handle_intr,
	[KVM_EXIT_INTERNAL_ERROR] = handle_internal_error,
	[KVM_EXIT_SYSTEM_EVENT] = handle_system_event,
};

static bool is_access(uint32_t reason)
{
	return reason == KVM_EXIT_MMIO || reason == KVM_EXIT_IO;
}

enum vcpu_exit kvm_handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = kvm_vcpu(vcpu)->run;
	uint32_t reason = run->exit_reason;
	enum vcpu_exit exit;
	bool handled = false;

	kvm_posted_deliver(vcpu); // what came before this
	if (!is_access(reason)) {
		exit = kvm_arch_handle_exit(vcpu, &handled);
		if (handled)
			return exit;
	}
	if (reason < ARRAY_SIZE(handlers) && handlers[reason])
		return handlers[reason](vcpu, run);
	err("vCPU %u: KVM exit %" PRIu32 ", which this kvik does not know; a newer one may",
	    vcpu->index, reason);
	return VCPU_EXIT_FAILED;
}
