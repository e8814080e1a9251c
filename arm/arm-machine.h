// SPDX-License-Identifier: GPL-2.0-or-later
// The arm64 machine's memory map and the state its parts share; private to arm/.
#ifndef KVIK_ARM_ARM_MACHINE_H
#define KVIK_ARM_ARM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm-accel.h"
#include "boot.h"
#include "hw.h"
#include "irq.h"
#include "machine.h"
#include "util.h"

struct gic;

// The map; its picture stands at the head of machine.c.
#define ARM_RTC_BASE 0x00101000ULL
#define ARM_STOLEN_TIME_BASE 0x01000000ULL
#define ARM_STOLEN_TIME_BYTES (64 * KIB)
#define ARM_GIC_DIST_BASE 0x08000000ULL
#define ARM_GIC_CPU_BASE 0x08010000ULL
#define ARM_GIC_ITS_BASE 0x08080000ULL
#define ARM_GIC_REDIST_BASE 0x08100000ULL
#define ARM_SERIAL_BASE 0x10000000ULL
#define ARM_VIRTIO_BASE 0x10001000ULL
#define ARM_VIRTIO_STRIDE 0x1000ULL
#define ARM_VIRTIO_SLOTS 512
#define ARM_RAM_BASE 0x80000000ULL
// Physical addresses end at 2^48.
#define ARM_RAM_MAX_BYTES ((1ULL << 48) - ARM_RAM_BASE)
#define ARM_RAM_MIN_BYTES (8 * MIB)

// GIC architecture: the blocks of registers.
#define ARM_GICV2_DIST_BYTES (4 * KIB)
#define ARM_GICV2_CPU_BYTES (8 * KIB)
#define ARM_GICV3_DIST_BYTES (64 * KIB)
#define ARM_GICV3_REDIST_BYTES (128 * KIB)
#define ARM_GICV3_ITS_BYTES (128 * KIB)

#define ARM_MAX_CPUS 512
#define ARM_GICV2_MAX_CPUS 8

// Stolen time takes this much for each vCPU (Arm DEN0057, 3.2.2).
#define ARM_STOLEN_TIME_STRIDE 64

// INTIDs of the devices.
enum {
	ARM_IRQ_SERIAL = ARM_INTID_SPI,
	ARM_IRQ_RTC,
	ARM_IRQ_POWER_BUTTON,
	ARM_IRQ_VIRTIO = ARM_INTID_SPI + 4, // the first slot's
};

// Phandles of nodes that are no device.
#define ARM_GIC_PHANDLE 1
#define ARM_ITS_PHANDLE 2
#define ARM_CLOCK_PHANDLE 3

// What drives the vCPUs' interrupts: the accelerator's GIC, or gic.c.
struct arm_irqchip {
	struct irqchip chip; // numbers its lines by INTID
	struct accel *accel;
	enum arm_gic kind;
	bool started;
	struct gic *user; // ARM_GIC_USER, once started
};

struct arm_machine {
	struct arm_irqchip irqchip;
	unsigned virtio_slots; // handed out so far
	struct boot boot;      // what load() put into RAM
};

static inline struct arm_machine *arm_machine_priv(const struct machine *machine)
{
	return machine->priv;
}

// -- irqchip.c --

// 0 when @name is one of --irqchip (NULL: auto) and takes so many vCPUs; else -EINVAL
// after a message.
int arm_irqchip_check(const char *name, unsigned cpus) MUST_CHECK;
// Makes what the config asks for and the accelerator offers; sets machine->irqchip.
int arm_irqchip_create(struct machine *machine) MUST_CHECK;
// Once all devices have their lines: INTIDs below @irq_count are in use. Later calls do
// nothing.
int arm_irqchip_start(struct machine *machine, unsigned irq_count) MUST_CHECK;
void arm_irqchip_reset(struct machine *machine);
void arm_irqchip_free(struct machine *machine);
void arm_irqchip_describe(const struct machine *machine, struct fdt_writer *fdt);

// -- fdt.c: as boot_source.write_tree; @opaque is the machine --

int arm_fdt_write(struct fdt_writer *fdt, const struct boot *boot, void *opaque) MUST_CHECK;

#endif
