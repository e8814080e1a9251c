// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of core/kvm*.c share.
#ifndef KVIK_CORE_KVM_EXIT_H
#define KVIK_CORE_KVM_EXIT_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"
#include "vcpu.h"

// Does what kvm_run says that the guest wants, after KVM_RUN returned 0; on the
// vCPU's thread. VCPU_EXIT_KICKED: go on.
enum vcpu_exit kvm_handle_exit(struct vcpu *vcpu);

// kvm-posted.c: stores that the kernel collects instead of leaving the guest for each,
// where the register allows it (io_region.posted_bytes) and the guest makes many. A KVM
// that cannot do it is none the worse.

// Main thread, the vCPUs not yet made, and their threads gone.
int kvm_posted_init(struct accel *accel) MUST_CHECK;
void kvm_posted_exit(struct accel *accel);
// The vCPU's thread: hands over what has been collected, before an exit is looked at and
// when the vCPU stops.
void kvm_posted_deliver(struct vcpu *vcpu);
// The vCPU's thread: a store that was an exit, to an address or (@pio) a port.
void kvm_posted_wrote(struct vcpu *vcpu, bool pio, uint64_t addr, unsigned len);

#endif
