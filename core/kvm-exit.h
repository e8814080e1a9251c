// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of core/kvm*.c share.
#ifndef KVIK_CORE_KVM_EXIT_H
#define KVIK_CORE_KVM_EXIT_H

#include "vcpu.h"

// Does what kvm_run says that the guest wants, after KVM_RUN returned 0; on the
// vCPU's thread. VCPU_EXIT_KICKED: go on.
enum vcpu_exit kvm_handle_exit(struct vcpu *vcpu);

#endif
