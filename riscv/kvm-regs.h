// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's registers of a RISC-V vCPU (api.rst 4.68) by number, since most are younger
// than the kernel headers of some build machines; and what riscv/kvm*.c share.
#ifndef KVIK_RISCV_KVM_REGS_H
#define KVIK_RISCV_KVM_REGS_H

#include <stdbool.h>
#include <stdint.h>

#include "riscv-accel.h"
#include "util.h"

struct accel;
struct cpu_view;
struct riscv_held_clock;
struct vcpu;

// Architecture, size of 64 bits, then type, subtype and index.
#define KVM_RISCV_REG(type, index) (0x8030000000000000ULL | (uint64_t)(type) << 24 | (index))

enum { // types
	KVM_RISCV_CONFIG = 1,
	KVM_RISCV_CORE = 2,
	KVM_RISCV_CSR = 3,
	KVM_RISCV_TIMER = 4,
	KVM_RISCV_ISA_EXT = 7,
	KVM_RISCV_SBI_EXT = 8,
	KVM_RISCV_SBI_STATE = 10,
};

enum { // of type CONFIG
	KVM_RISCV_CONFIG_ISA,
	KVM_RISCV_CONFIG_ZICBOM_BLOCK,
	KVM_RISCV_CONFIG_MVENDORID,
	KVM_RISCV_CONFIG_MARCHID,
	KVM_RISCV_CONFIG_MIMPID,
	KVM_RISCV_CONFIG_ZICBOZ_BLOCK,
	KVM_RISCV_CONFIG_SATP_MODE,
	KVM_RISCV_CONFIG_ZICBOP_BLOCK,
};

enum { // of type CORE; n is xn, 1 <= n <= 31
	KVM_RISCV_CORE_PC = 0,
	KVM_RISCV_CORE_A0 = 10,
	KVM_RISCV_CORE_A1 = 11,
	KVM_RISCV_CORE_MODE = 32,
};
#define KVM_RISCV_CORE_MODE_S 1

enum { // of type CSR
	KVM_RISCV_CSR_SSTATUS,
	KVM_RISCV_CSR_SIE,
	KVM_RISCV_CSR_STVEC,
	KVM_RISCV_CSR_SSCRATCH,
	KVM_RISCV_CSR_SEPC,
	KVM_RISCV_CSR_SCAUSE,
	KVM_RISCV_CSR_STVAL,
	KVM_RISCV_CSR_SIP,
	KVM_RISCV_CSR_SATP,
	KVM_RISCV_CSR_SCOUNTEREN,
	KVM_RISCV_CSR_SENVCFG,
	KVM_RISCV_CSR_COUNT,
};
// Those of the AIA: siselect, iprio1, iprio2 (the others are for RV32).
#define KVM_RISCV_CSR_AIA(n) (1U << 16 | (n))
#define KVM_RISCV_CSR_AIA_COUNT 3

enum { // of type TIMER
	KVM_RISCV_TIMER_FREQUENCY,
	KVM_RISCV_TIMER_TIME,
	KVM_RISCV_TIMER_COMPARE,
	KVM_RISCV_TIMER_STATE,
};
#define KVM_RISCV_TIMER_OFF 0
#define KVM_RISCV_TIMER_ON 1

// Of type SBI_STATE: where steal time is reported; all ones: nowhere.
#define KVM_RISCV_STA_SHMEM_LO 0
#define KVM_RISCV_STA_SHMEM_HI 1

// As kvm_set_reg() and kvm_get_reg(), but without a message: for registers that not
// every host has.
int riscv_kvm_try_set(struct vcpu *vcpu, uint64_t id, uint64_t value);
int riscv_kvm_try_get(struct vcpu *vcpu, uint64_t id, uint64_t *value);

// kvm-isa.c: what the guest's harts can do, as the configuration asks for it; before
// the first run. Messages on failure. Leaves kvm_vcpu.arch for free().
int riscv_kvm_configure(struct vcpu *vcpu) MUST_CHECK;
// As riscv_accel_ops.cpu_info.
int riscv_kvm_cpu_info(struct vcpu *vcpu, struct riscv_cpu_info *info);

// kvm-aia.c: makes the VM's AIA, before any vCPU; its descriptor, or -errno without a
// message, where the host has none.
int riscv_kvm_aia_open(struct accel *accel);
extern const struct riscv_aia_ops riscv_kvm_aia_ops;

// kvm-view.c: as struct accel_ops has it.
bool riscv_kvm_view(struct vcpu *vcpu, struct cpu_view *view);

// kvm-clock.c: as struct accel_ops has it.
void riscv_kvm_hold_clock(struct accel *accel, bool is_hold);

// The accelerator's own; kvm_vm.arch.
struct riscv_kvm {
	int aia_fd; // -1: interrupts come from user space
	struct riscv_aia_config aia;
	struct riscv_held_clock *held_clock; // kvm-clock.c's; NULL: it runs
};
struct riscv_kvm *riscv_kvm(const struct accel *accel);

#endif
