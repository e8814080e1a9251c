// SPDX-License-Identifier: GPL-2.0-or-later
// KVM: what core/kvm.c offers to the one <arch>/kvm.c of this build, and what it
// needs of that. KVM runs guests of the host's own architecture only, so exactly one
// is linked.
//
// <arch>/kvm.c defines the table kvm_accel_ops out of the kvm_*() functions here and
// its own, and the kvm_arch_*() hooks. Threads are those of struct accel_ops.
#ifndef KVIK_KVM_HOST_H
#define KVIK_KVM_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "util.h"
#include "vcpu.h"

struct kvm_run;

extern const struct accel_ops kvm_accel_ops;

// accel->priv
struct kvm_vm {
	int dev_fd;       // /dev/kvm
	int fd;           // the VM
	size_t run_bytes; // of each kvm_run
	struct log_ratelimit irq_limit;
	struct kvm_posted *posted; // kvm-posted.c
	void *arch;                // the architecture's own
};

// vcpu->priv
struct kvm_vcpu {
	int fd;
	int stats_fd;        // -1: the kernel has none
	struct kvm_run *run; // mapped, shared with the kernel
	struct vcpu *vcpu;
	atomic_int runner; // thread in run(), to be signalled by a kick; 0: none
	void *arch;        // the architecture's own
};

static inline struct kvm_vm *kvm_vm(const struct accel *accel)
{
	return accel->priv;
}

static inline struct kvm_vcpu *kvm_vcpu(const struct vcpu *vcpu)
{
	return vcpu->priv;
}

// -- core/kvm*.c: members of kvm_accel_ops as they are --

int kvm_available(struct accel *accel, char *why, size_t size);
int kvm_vm_init(struct accel *accel);
void kvm_vm_exit(struct accel *accel);
void kvm_metrics(struct accel *accel, struct metric_sink *sink);
int kvm_map_ram(struct accel *accel);
int kvm_vcpu_init(struct vcpu *vcpu);
void kvm_vcpu_exit(struct vcpu *vcpu);
enum vcpu_exit kvm_run_vcpu(struct vcpu *vcpu);
void kvm_kick(struct vcpu *vcpu);
int kvm_doorbell_fd(struct accel *accel, const struct bus_doorbell *doorbell);
int kvm_show_page(struct accel *accel, const struct bus_page *page, const void *bytes);
int kvm_irq_fd(struct accel *accel, unsigned gsi, int event_fd);

// -- core/kvm*.c: helpers; each logs @what on failure and returns -errno --

// The file with KVM's statistics of a VM's or a vCPU's descriptor, or -1. Of a vCPU it must be
// opened before the first KVM_RUN: the kernel lets no two ioctls at a vCPU at once, and a guest
// that waits stays in KVM_RUN as long as it likes. Reading it needs no such turn.
int kvm_stats_open(int fd) MUST_CHECK;

// The device that --dev names.
const char *kvm_path(const struct vm_config *config);

// ioctl(2) that retries on EINTR; returns its result, at least 0.
int kvm_ioctl(int fd, unsigned long request, void *argument, const char *what) MUST_CHECK;
// KVM_CHECK_EXTENSION on the VM; 0 when it is not there. Logs nothing.
int kvm_check(const struct accel *accel, unsigned capability);
int kvm_enable_cap(struct accel *accel, unsigned capability, uint64_t argument, const char *what)
	MUST_CHECK;
// KVM_SET_ONE_REG and KVM_GET_ONE_REG.
int kvm_set_reg(struct vcpu *vcpu, uint64_t id, uint64_t value, const char *what) MUST_CHECK;
int kvm_get_reg(struct vcpu *vcpu, uint64_t id, uint64_t *value, const char *what) MUST_CHECK;
// KVM_CREATE_DEVICE, then its attributes; kvm_device() returns its descriptor, which
// the caller closes.
int kvm_device(struct accel *accel, unsigned type, const char *what) MUST_CHECK;
int kvm_device_set(int fd, uint32_t group, uint64_t attribute, const void *value, const char *what)
	MUST_CHECK;
int kvm_device_get(int fd, uint32_t group, uint64_t attribute, void *value, const char *what)
	MUST_CHECK;
// KVM_IRQ_LINE. Any thread; a failure is logged once a second at most.
void kvm_irq_line(struct accel *accel, uint32_t number, bool high);

// -- <arch>/kvm.c --

// The argument of KVM_CREATE_VM, with what the guest needs of it; @dev_fd is /dev/kvm.
unsigned long kvm_arch_vm_type(const struct vm_config *config, int dev_fd);
// After KVM_CREATE_VM, before any vCPU; undoes itself on failure.
int kvm_arch_vm_init(struct accel *accel) MUST_CHECK;
void kvm_arch_vm_exit(struct accel *accel);
// After KVM_CREATE_VCPU and the mapping of kvm_run; undoes itself on failure.
int kvm_arch_vcpu_init(struct vcpu *vcpu) MUST_CHECK;
void kvm_arch_vcpu_exit(struct vcpu *vcpu);
// vCPU thread: asked first about every exit but MMIO and IO. VCPU_EXIT_KICKED goes on;
// *handled, false before, says whether this was an exit of the architecture's own: if
// not, core/kvm-exit.c takes it.
enum vcpu_exit kvm_arch_handle_exit(struct vcpu *vcpu, bool *handled);
// vCPU thread, after each KVM_RUN and before what it returned for is handled: takes note
// of what the kernel has changed (a timer's line) that an access must find changed.
void kvm_arch_after_run(struct vcpu *vcpu);
// Registers and what the vCPU was about to execute, for a report; as accel_ops.dump.
size_t kvm_arch_dump(struct vcpu *vcpu, char *text, size_t size);

#endif
