// SPDX-License-Identifier: GPL-2.0-or-later
// What the RISC-V machine needs of an accelerator beyond struct accel_ops.
//
// KVM answers TIME, IPI, RFENCE and HSM in the kernel and leaves `harts` NULL;
// the software engine offers them here and riscv/sbi.c routes the calls to it.
#ifndef KVIK_RISCV_ACCEL_H
#define KVIK_RISCV_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct accel;
struct cpu_view_ops;
struct vcpu;

#define RISCV_IRQ_S_EXT 9 // scause number of the supervisor external interrupt

// Values of satp.MODE (privileged spec 12.1.11) that name an address width.
enum riscv_satp_mode {
	RISCV_SATP_SV39 = 8,
	RISCV_SATP_SV48 = 9,
	RISCV_SATP_SV57 = 10,
};

// What a hart is, for the device tree.
struct riscv_cpu_info {
	const char *const *extensions; // names for riscv,isa-extensions: "i", "m", ..., NULL
	uint32_t timebase_hz;
	uint32_t cbom_block_bytes;      // 0: no Zicbom
	uint32_t cbop_block_bytes;      // 0: no Zicbop
	uint32_t cboz_block_bytes;      // 0: no Zicboz
	enum riscv_satp_mode satp_mode; // the widest
	uint64_t mvendorid;
	uint64_t marchid;
	uint64_t mimpid;
};

// SBI HSM hart states (SBI 2.0 ch. 9, table 9.1), by their numbers there.
enum riscv_hart_state {
	RISCV_HART_STARTED = 0,
	RISCV_HART_STOPPED = 1,
	RISCV_HART_START_PENDING = 2,
	RISCV_HART_STOP_PENDING = 3,
	RISCV_HART_SUSPENDED = 4,
	RISCV_HART_SUSPEND_PENDING = 5,
	RISCV_HART_RESUME_PENDING = 6,
};

// A remote fence (SBI 2.0 ch. 8) for other harts.
struct riscv_fence {
	enum { RISCV_FENCE_I, RISCV_FENCE_VMA, RISCV_FENCE_VMA_ASID } kind;
	uint64_t start; // virtual address; with size_bytes 0 or ~0: everything
	uint64_t size_bytes;
	uint64_t asid;
};

// Hart services. "self" is the calling vCPU, on its own thread; a target may be
// any hart, the caller included.
struct riscv_hart_ops {
	// The next timer interrupt at @deadline of the time CSR; clears the pending one.
	void (*set_timer)(struct vcpu *self, uint64_t deadline);
	void (*send_ipi)(struct vcpu *self, struct vcpu *target);
	void (*clear_ipi)(struct vcpu *self);
	// Has every hart in @targets (a bitmap by vCPU index, @words long) done the
	// fence when it returns.
	void (*remote_fence)(struct vcpu *self, const uint64_t *targets, unsigned words,
			     const struct riscv_fence *fence);
	// Starts a stopped hart in S mode at physical @pc, a0 = hart id, a1 = @opaque,
	// satp = 0, sstatus.SIE = 0. -EALREADY when it is not stopped.
	int (*start)(struct vcpu *target, uint64_t pc, uint64_t opaque);
	// The caller stops once its guest call returns.
	void (*stop)(struct vcpu *self);
	// Sleeps until an interrupt is pending in sip & sie (SBI 2.0 9.4), once the
	// guest call returns. Non-retentive: then resumes at @pc as start() does.
	void (*suspend)(struct vcpu *self, bool retentive, uint64_t pc, uint64_t opaque);
	enum riscv_hart_state (*state)(struct vcpu *target);
};

// An APLIC in MSI mode in front of one IMSIC file a hart (AIA 1.0 ch. 3, 4), both in
// the accelerator. Main thread, unless it says so.
struct riscv_aia_config {
	uint64_t aplic_base;
	uint64_t imsic_base; // of hart 0; a page each
	unsigned sources;    // 1 to this number
	unsigned ids;        // interrupt identities of each IMSIC: 64 n - 1
};

struct riscv_aia_ops {
	// How many interrupt identities an IMSIC can have; 0: this VM has no AIA.
	unsigned (*ids_max)(struct accel *accel);
	// Once all vCPUs are there.
	int (*create)(struct accel *accel, const struct riscv_aia_config *config);
	void (*reset)(struct accel *accel);
	// Drives source @number. Any thread.
	void (*set_line)(struct accel *accel, unsigned number, bool high);
};

struct riscv_accel_ops {
	int (*cpu_info)(struct vcpu *vcpu, struct riscv_cpu_info *info);
	// Back to the state of reset, satp and caches included; a @started hart begins
	// at @pc with a0 and a1, another waits for HSM. Main thread, vCPUs stopped.
	int (*reset)(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t a0, uint64_t a1);
	const struct riscv_hart_ops *harts;
	const struct riscv_aia_ops *aia; // NULL: never has one
	bool configurable;               // takes --disable-* and --custom-m*
};

extern const struct cpu_view_ops riscv_view_ops; // paging.c

#endif
