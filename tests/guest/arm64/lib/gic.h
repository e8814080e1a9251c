// SPDX-License-Identifier: GPL-2.0-or-later
// A GICv2 for test programs: registers, and its interrupts one by one.
//
// Programs use SPIs 48 to 63 that no device of theirs drives, and first of all give
// them targets. Some things they avoid, since QEMU's GIC takes them otherwise than the
// specification: pending SPIs with more than one target, GICD_ICPENDR0 with a second
// CPU at work, GICC_HPPIR under the mask, GICD_SPENDSGIR by word.
#ifndef GUEST_GIC_H
#define GUEST_GIC_H

#include "guest.h"

// Distributor (IHI 0048B table 4-1).
#define GICD_CTLR 0x000
#define GICD_TYPER 0x004
#define GICD_IIDR 0x008
#define GICD_IGROUPR 0x080
#define GICD_ISENABLER 0x100
#define GICD_ICENABLER 0x180
#define GICD_ISPENDR 0x200
#define GICD_ICPENDR 0x280
#define GICD_ISACTIVER 0x300
#define GICD_ICACTIVER 0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR 0x800
#define GICD_ICFGR 0xc00
#define GICD_SGIR 0xf00
#define GICD_CPENDSGIR 0xf10
#define GICD_SPENDSGIR 0xf20
#define GICD_ICPIDR2 0xfe8

// CPU interface (table 4-2).
#define GICC_CTLR 0x00
#define GICC_PMR 0x04
#define GICC_BPR 0x08
#define GICC_IAR 0x0c
#define GICC_EOIR 0x10
#define GICC_RPR 0x14
#define GICC_HPPIR 0x18
#define GICC_ABPR 0x1c
#define GICC_APR 0xd0
#define GICC_NSAPR 0xe0
#define GICC_IIDR 0xfc
#define GICC_DIR 0x1000

#define ENABLE_GROUP0 1U
#define ENABLE_GROUP1 2U
#define ACK_CTL (1U << 2)
#define FIQ_EN (1U << 3)
#define CBPR (1U << 4)
#define EOI_MODE (1U << 9)
#define SPURIOUS 1023

extern uint64_t gicd, gicc;

// Finds the GIC.
void gic_init(void);
// Opens the CPU interface of the calling CPU for group 0, with no mask. To be called
// again by a CPU that was off: QEMU forgets the levels of its inputs until something is
// written to the GIC.
void gic_open(void);

static inline uint32_t dist_get(unsigned offset)
{
	return read32(gicd + offset);
}

static inline void dist_put(unsigned offset, uint32_t value)
{
	write32(gicd + offset, value);
}

static inline uint32_t cpu_get(unsigned offset)
{
	return read32(gicc + offset);
}

static inline void cpu_put(unsigned offset, uint32_t value)
{
	write32(gicc + offset, value);
}

// An interrupt's bit in one of the bitmaps.
static inline void set_bit(unsigned bitmap, unsigned intid)
{
	dist_put(bitmap + intid / 32 * 4, 1U << (intid % 32));
}

static inline bool get_bit(unsigned bitmap, unsigned intid)
{
	return dist_get(bitmap + intid / 32 * 4) >> (intid % 32) & 1;
}

static inline void set_priority(unsigned intid, uint8_t priority)
{
	write8(gicd + GICD_IPRIORITYR + intid, priority);
}

static inline void set_targets(unsigned intid, uint8_t cpus)
{
	write8(gicd + GICD_ITARGETSR + intid, cpus);
}

void set_edge(unsigned intid, bool edge);
void set_group1(unsigned intid, bool group1);
// For CPU 0, edge, disabled and idle afterwards.
void prepare_spi(unsigned intid, uint8_t priority);

static inline uint32_t ack(void)
{
	return cpu_get(GICC_IAR);
}

static inline void eoi(uint32_t value)
{
	cpu_put(GICC_EOIR, value);
}

// Prints the inputs of this CPU, its running priority, and of one interrupt whether it
// is pending and active.
void show(const char *label, unsigned intid);
// Prints what an acknowledge gives, and gives it.
uint32_t show_ack(const char *label);

#endif
