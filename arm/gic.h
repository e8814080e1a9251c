// SPDX-License-Identifier: GPL-2.0-or-later
// A GICv2 in user space (ARM IHI 0048B): distributor and CPU interfaces, both interrupt
// groups, no security extensions, 8 bits of priority.
//
// A line of its struct irqchip has the INTID as its number: 32 for the first SPI. Each
// CPU interface drives ARM_LINE_IRQ and ARM_LINE_FIQ of the vCPU of its number.
#ifndef KVIK_ARM_GIC_H
#define KVIK_ARM_GIC_H

#include <stdbool.h>
#include <stdint.h>

#include "irq.h"
#include "util.h"

struct bus;
struct fdt_writer;
struct gic;
struct vcpu_set;

#define GIC_MAX_CPUS 8
#define GIC_MAX_LINES 1020
#define GIC_DIST_SIZE 0x1000
#define GIC_CPU_SIZE 0x2000

struct gic_config {
	uint64_t dist_base;
	uint64_t cpu_base;
	unsigned cpus;
	unsigned lines; // highest INTID + 1, SGIs and PPIs included
	uint32_t fdt_phandle;
	struct vcpu_set *vcpus;
};

// Main thread, vCPUs stopped, except where noted. gic_create() puts the registers on
// @bus, which must not be used after gic_free(); -EINVAL for more CPUs or lines
// than there can be.
int gic_create(struct gic **out, struct bus *bus, const struct gic_config *config) MUST_CHECK;
void gic_free(struct gic *gic);
// Back to power on. Lines keep the level that their devices drive.
void gic_reset(struct gic *gic);
struct irqchip *gic_irqchip(struct gic *gic);
// Drives a private line, INTID 16 to 31, of one CPU. Any thread.
void gic_set_ppi(struct gic *gic, unsigned cpu, unsigned intid, bool high);
void gic_describe(const struct gic *gic, struct fdt_writer *fdt);

#endif
