// SPDX-License-Identifier: GPL-2.0-or-later
// The state of the GIC, shared by its distributor and its CPU interfaces.
//
// What is here is called with gic->lock held; @cpu is the number of a CPU interface.
#ifndef KVIK_ARM_GIC_INTERNAL_H
#define KVIK_ARM_GIC_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "gic.h"

#define GIC_SGIS 16
#define GIC_SGI_MASK 0xffffU
#define GIC_PRIVATE 32 // SGIs and PPIs: each CPU has its own
#define GIC_BANKS 32

// INTIDs that are none (IHI 0048B 3.2.5, 4.4.4).
#define GIC_GROUP1_PENDING 1022
#define GIC_SPURIOUS 1023

// EnableGrp0 and EnableGrp1 of GICD_CTLR and of GICC_CTLR.
#define GIC_ENABLE_GROUP0 (1U << 0)
#define GIC_ENABLE_GROUP1 (1U << 1)

#define GIC_IDLE_PRIORITY 0x100 // below all others
#define GIC_APR_WORDS 4         // 128 preemption levels

// 32 interrupts; bitmaps by INTID modulo 32.
struct gic_bank {
	uint32_t exists;
	uint32_t group1;
	uint32_t enabled;
	uint32_t level; // the line as its device drives it
	uint32_t edge;  // configuration; else level-sensitive
	// Made pending by an edge, an SGI or a write to GICD_ISPENDR; for a
	// level-sensitive one that comes on top of the line (IHI 0048B 4.3.8).
	uint32_t latched;
	uint32_t active;
	uint8_t priority[32];
};

struct gic_cpu {
	struct gic_bank bank;          // SGIs and PPIs
	uint8_t sgi_sources[GIC_SGIS]; // CPUs from which each SGI is pending
	uint32_t ctlr;
	uint8_t priority_mask;
	uint8_t binary_point[2];        // by group
	uint32_t apr[2][GIC_APR_WORDS]; // by group: preemption levels in use
	bool irq, fiq;                  // levels of the vCPU's inputs
};

struct gic {
	struct device dist_dev; // both are on the bus, but in no device list
	struct device cpu_dev;
	struct irqchip chip;
	struct vcpu_set *vcpus;
	unsigned cpu_count;
	unsigned line_count;
	pthread_mutex_t lock; // a leaf; guards the rest
	uint32_t ctlr;
	struct gic_cpu cpus[GIC_MAX_CPUS];
	struct gic_bank spis[GIC_BANKS - 1];       // INTIDs 32 and up
	uint8_t spi_targets[32 * (GIC_BANKS - 1)]; // CPUs
};

// An interrupt that the distributor forwards to a CPU interface.
struct gic_forwarded {
	unsigned intid;    // GIC_SPURIOUS: none
	unsigned priority; // then GIC_IDLE_PRIORITY
	bool group1;
};

// The bank of INTIDs 32 * @word and up, as @cpu sees it.
static inline struct gic_bank *gic_bank(struct gic *gic, unsigned cpu, unsigned word)
{
	return word ? &gic->spis[word - 1] : &gic->cpus[cpu].bank;
}

static inline bool gic_exists(const struct gic *gic, unsigned intid)
{
	return intid < gic->line_count;
}

static inline uint32_t gic_pending(const struct gic_bank *bank)
{
	return bank->latched | (bank->level & ~bank->edge);
}

static inline uint8_t gic_all_cpus(const struct gic *gic)
{
	return (1U << gic->cpu_count) - 1;
}

// -- gic.c --

// Drives the inputs of all vCPUs anew, after any change.
void gic_update(struct gic *gic);

// -- gic-dist.c --

uint32_t gic_dist_read(struct gic *gic, unsigned cpu, unsigned offset, unsigned size);
void gic_dist_write(struct gic *gic, unsigned cpu, unsigned offset, unsigned size, uint32_t value);
void gic_dist_reset(struct gic *gic);
// What has the highest priority of all that is pending, enabled and not active; the
// lowest INTID among equals.
struct gic_forwarded gic_dist_best(struct gic *gic, unsigned cpu);
// SGI @intid is pending for @cpu from these CPUs, and no other.
void gic_dist_set_sgi(struct gic *gic, unsigned cpu, unsigned intid, uint8_t sources);

// -- gic-cpu.c --

uint32_t gic_cpu_read(struct gic *gic, unsigned cpu, unsigned offset);
void gic_cpu_write(struct gic *gic, unsigned cpu, unsigned offset, uint32_t value);
void gic_cpu_reset(struct gic_cpu *iface);
// Which inputs of the vCPU are to be high now.
void gic_cpu_outputs(struct gic *gic, unsigned cpu, bool *irq, bool *fiq);

#endif
