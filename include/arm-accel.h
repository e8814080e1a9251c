// SPDX-License-Identifier: GPL-2.0-or-later
// What the arm64 machine needs of an accelerator beyond struct accel_ops.
#ifndef KVIK_ARM_ACCEL_H
#define KVIK_ARM_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct accel;
struct cpu_view_ops;
struct vcpu;

// Inputs of a vCPU, for accel_ops.irq() where the GIC is not the accelerator's.
#define ARM_LINE_IRQ 0
#define ARM_LINE_FIQ 1

// GIC interrupt numbers (GICv2 architecture, 2.2.1): first PPI, first SPI.
#define ARM_INTID_PPI 16
#define ARM_INTID_SPI 32

// PPIs by their INTIDs, as the Base System Architecture has them.
enum {
	ARM_INTID_PMU = 23,
	ARM_INTID_HYP_TIMER = 26,
	ARM_INTID_VIRT_TIMER = 27,
	ARM_INTID_SECURE_TIMER = 29,
	ARM_INTID_PHYS_TIMER = 30,
};

enum arm_gic {
	ARM_GIC_USER, // arm/gic.c: the accelerator has only the vCPUs' IRQ and FIQ inputs
	ARM_GIC_V2,
	ARM_GIC_V3,
	ARM_GIC_V3_ITS,
	ARM_GIC_COUNT
};

// Where the guest sees the accelerator's GIC.
struct arm_gic_config {
	enum arm_gic kind;
	uint64_t dist_base;
	uint64_t cpu_base;    // GICv2: the CPU interface
	uint64_t redist_base; // GICv3: 128 KiB a vCPU
	uint64_t its_base;
};

// What a vCPU is, for the device tree.
struct arm_cpu_info {
	uint64_t mpidr; // affinity fields only
	bool has_pmu;
};

// Told of interrupts that the accelerator makes itself (timers, PMU), where the GIC is
// not its own.
struct arm_ppi_sink {
	// The vCPU's own thread, or main while the vCPUs are stopped.
	void (*set_ppi)(void *opaque, struct vcpu *vcpu, unsigned intid, bool high);
	void *opaque;
};

struct arm_accel_ops {
	// -- main thread, vCPUs stopped; -errno after a message --

	// Whether this kind can be had. After vm_init.
	bool (*has_gic)(struct accel *accel, enum arm_gic kind);
	// One of the accelerator's own kinds; once all vCPUs are made.
	int (*gic_create)(struct accel *accel, const struct arm_gic_config *config);
	// For ARM_GIC_USER, instead.
	void (*set_ppi_sink)(struct accel *accel, struct arm_ppi_sink sink);
	// Finishes what had to wait for all of the machine: the GIC with @irq_count
	// interrupts, SGIs and PPIs included (a multiple of 32), and the PMUs. Once.
	int (*start)(struct accel *accel, unsigned irq_count);
	// The GIC back to the state of reset; its lines keep their levels.
	int (*gic_reset)(struct accel *accel);
	int (*cpu_info)(struct vcpu *vcpu, struct arm_cpu_info *info);
	// Has the time stolen from the vCPU kept in 64 bytes of RAM at @gpa; nothing where
	// the accelerator cannot.
	int (*set_stolen_time)(struct vcpu *vcpu, uint64_t gpa);
	// Back to the state of reset; a @started vCPU begins at @pc in the state that Linux's
	// Documentation/arch/arm64/booting.rst asks for, or that of arm if it is 32-bit, with
	// the device tree at @fdt_gpa; another waits for PSCI CPU_ON.
	int (*reset)(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t fdt_gpa);

	// -- any thread --

	// A line of the accelerator's GIC.
	void (*set_spi)(struct accel *accel, unsigned intid, bool high);
};

extern const struct cpu_view_ops arm_view_ops; // paging.c
// The bits in which a return address may be signed, by EL1's TCR.
uint64_t arm_signature_bits(uint64_t tcr);

#endif
