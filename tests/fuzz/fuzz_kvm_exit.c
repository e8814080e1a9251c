// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes what becomes of a KVM exit: its reason, and all of kvm_run that a guest can
// influence, against a device that checks what reaches it.
//
// The input is a script of 32-byte steps: reason, two small numbers, then 29 bytes for
// the fields of that reason.

#include "../../core/kvm-exit.h"
#include "../unit/kvm-fixture.h"

#include <sanitizer/common_interface_defs.h>

#define STEP_BYTES 32
#define MAX_STEPS 200
#define DATA_OFFSET 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t take64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

// Near the device's registers, or anywhere.
static uint64_t take_address(const uint8_t *from, uint64_t base)
{
	uint64_t address = take64(from);

	return address & 1 ? base + (address >> 1) % 0x120 - 0x10 : address;
}

// KVM itself makes these consistent; the guest chooses them within that.
static void fill(struct kvm_run *run, const uint8_t *step)
{
	memcpy((uint8_t *)run + DATA_OFFSET, step + 3, STEP_BYTES - 3);
	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		run->mmio.phys_addr = take_address(step + 3, DEVICE_GPA);
		memcpy(run->mmio.data, step + 11, 8);
		run->mmio.len = step[1] % 9;
		run->mmio.is_write = step[2] & 1;
		break;
	case KVM_EXIT_IO:
		run->io.port = (uint16_t)take_address(step + 3, DEVICE_PORT);
		run->io.size = (uint8_t)(1U << step[1] % 3);
		run->io.count = step[2];
		run->io.direction = step[19] & 1;
		run->io.data_offset = DATA_OFFSET;
		break;
	default:
		memcpy(&run->hw, step + 3, STEP_BYTES - 3);
	}
}

static void check(const struct kvm_rig *rig, enum vcpu_exit exit)
{
	if (exit >= VCPU_EXIT_COUNT)
		abort();
	if ((rig->reads || rig->writes) &&
	    (!rig->width || rig->width > 8 || rig->width & (rig->width - 1)))
		abort();
}

static void run_script(struct kvm_rig *rig, const uint8_t *data, size_t size)
{
	struct vcpu *vcpu = &rig->set.vcpus[0];

	for (unsigned i = 0; i < MAX_STEPS && size >= STEP_BYTES; i++) {
		memset(kvm.run, 0, RUN_BYTES);
		kvm.run->exit_reason = data[0];
		kvm.arch_handles = data[2] & 2;
		kvm.arch_exit = data[1] % VCPU_EXIT_COUNT;
		fill(kvm.run, data);
		check(rig, kvm_handle_exit(vcpu));
		data += STEP_BYTES;
		size -= STEP_BYTES;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kvm_rig rig;

	rig_start(&rig); // from here to rig_stop() stderr is a file: reports go elsewhere
	__sanitizer_set_report_fd((void *)(intptr_t)rig.saved_stderr);
	run_script(&rig, data, size);
	__sanitizer_set_report_fd((void *)(intptr_t)STDERR_FILENO);
	rig_stop(&rig);
	return 0;
}
