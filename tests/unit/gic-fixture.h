// SPDX-License-Identifier: GPL-2.0-or-later
// A GIC whose registers are accessed as the guest's CPUs do, and what it tells them.
#ifndef KVIK_GIC_FIXTURE_H
#define KVIK_GIC_FIXTURE_H

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../arm/gic.h"
#include "arm-accel.h"
#include "bus.h"
#include "vcpu.h"

#include <cmocka.h>

#define DIST_BASE 0x08000000ULL
#define CPU_BASE 0x08010000ULL
#define GIC_TEST_PHANDLE 7
#define CPUS 4
#define LINES 100 // not a multiple of 32

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
#define GICC_AIAR 0x20
#define GICC_AEOIR 0x24
#define GICC_AHPPIR 0x28
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

struct gic_fixture {
	struct bus bus;
	struct vcpu vcpus[GIC_MAX_CPUS];
	struct vcpu_set set;
	struct accel accel;
	atomic_bool level[GIC_MAX_CPUS][2]; // IRQ, FIQ
	atomic_uint changes;
	struct gic *gic;
};

static void gic_record_irq(struct vcpu *vcpu, unsigned line, bool high)
{
	struct gic_fixture *f = vcpu->priv;

	assert_in_range(line, ARM_LINE_IRQ, ARM_LINE_FIQ);
	// Only changes are worth a system call.
	assert_int_not_equal(high, f->level[vcpu->index][line]);
	f->level[vcpu->index][line] = high;
	f->changes++;
}

static const struct accel_ops gic_recorder = { .name = "recorder", .irq = gic_record_irq };

static int gic_setup_as(void **state, unsigned cpus, unsigned lines)
{
	struct gic_fixture *f = calloc(1, sizeof(*f));
	struct gic_config config = {
		.dist_base = DIST_BASE,
		.cpu_base = CPU_BASE,
		.cpus = cpus,
		.lines = lines,
		.fdt_phandle = GIC_TEST_PHANDLE,
		.vcpus = &f->set,
	};

	f->accel.ops = &gic_recorder;
	f->set = (struct vcpu_set){
		.vcpus = f->vcpus, .count = cpus, .accel = &f->accel, .mmio = &f->bus
	};
	for (unsigned i = 0; i < GIC_MAX_CPUS; i++)
		f->vcpus[i] = (struct vcpu){ .index = i, .set = &f->set, .priv = f };
	bus_init(&f->bus);
	*state = f;
	return gic_create(&f->gic, &f->bus, &config);
}

static int gic_setup(void **state)
{
	return gic_setup_as(state, CPUS, LINES);
}

static int gic_teardown(void **state)
{
	struct gic_fixture *f = *state;

	gic_free(f->gic);
	bus_exit(&f->bus);
	free(f);
	return 0;
}

// -- accesses by @cpu --

static inline uint64_t gic_get_sized(struct gic_fixture *f, unsigned cpu, uint64_t addr,
				     unsigned size)
{
	uint64_t value = 0;

	assert_int_equal(vcpu_mmio(&f->vcpus[cpu], addr, &value, size, false), 0);
	return le64toh(value);
}

static inline void gic_put_sized(struct gic_fixture *f, unsigned cpu, uint64_t addr, unsigned size,
				 uint64_t value)
{
	value = htole64(value);
	assert_int_equal(vcpu_mmio(&f->vcpus[cpu], addr, &value, size, true), 0);
}

static inline uint32_t dist_get(struct gic_fixture *f, unsigned cpu, uint64_t offset)
{
	return gic_get_sized(f, cpu, DIST_BASE + offset, 4);
}

static inline void dist_put(struct gic_fixture *f, unsigned cpu, uint64_t offset, uint32_t value)
{
	gic_put_sized(f, cpu, DIST_BASE + offset, 4, value);
}

static inline uint32_t cpu_get(struct gic_fixture *f, unsigned cpu, uint64_t offset)
{
	return gic_get_sized(f, cpu, CPU_BASE + offset, 4);
}

static inline void cpu_put(struct gic_fixture *f, unsigned cpu, uint64_t offset, uint32_t value)
{
	gic_put_sized(f, cpu, CPU_BASE + offset, 4, value);
}

// -- one interrupt's bit or byte --

static inline void set_bit(struct gic_fixture *f, unsigned cpu, unsigned bitmap, unsigned intid)
{
	dist_put(f, cpu, bitmap + intid / 32 * 4, 1U << (intid % 32));
}

static inline bool get_bit(struct gic_fixture *f, unsigned cpu, unsigned bitmap, unsigned intid)
{
	return dist_get(f, cpu, bitmap + intid / 32 * 4) >> (intid % 32) & 1;
}

// As CPU 0, for SPIs.
static inline bool is_pending(struct gic_fixture *f, unsigned intid)
{
	return get_bit(f, 0, GICD_ISPENDR, intid);
}

static inline bool is_active(struct gic_fixture *f, unsigned intid)
{
	return get_bit(f, 0, GICD_ISACTIVER, intid);
}

static inline void set_priority(struct gic_fixture *f, unsigned cpu, unsigned intid,
				uint8_t priority)
{
	gic_put_sized(f, cpu, DIST_BASE + GICD_IPRIORITYR + intid, 1, priority);
}

static inline void set_targets(struct gic_fixture *f, unsigned intid, uint8_t cpus)
{
	gic_put_sized(f, 0, DIST_BASE + GICD_ITARGETSR + intid, 1, cpus);
}

static inline void set_group1(struct gic_fixture *f, unsigned cpu, unsigned intid)
{
	uint64_t offset = GICD_IGROUPR + intid / 32 * 4;

	dist_put(f, cpu, offset, dist_get(f, cpu, offset) | 1U << (intid % 32));
}

static inline void set_edge(struct gic_fixture *f, unsigned cpu, unsigned intid, bool edge)
{
	uint64_t offset = GICD_ICFGR + intid / 16 * 4;
	uint32_t bit = 2U << (intid % 16 * 2);
	uint32_t value = dist_get(f, cpu, offset);

	dist_put(f, cpu, offset, edge ? value | bit : value & ~bit);
}

// -- what handlers and devices do --

// Opens the distributor and every CPU interface for group 0.
static inline void open_all(struct gic_fixture *f)
{
	dist_put(f, 0, GICD_CTLR, ENABLE_GROUP0);
	for (unsigned cpu = 0; cpu < f->set.count; cpu++) {
		cpu_put(f, cpu, GICC_CTLR, ENABLE_GROUP0);
		cpu_put(f, cpu, GICC_PMR, 0xff);
	}
}

// An SPI for CPU 0, enabled.
static inline void prepare(struct gic_fixture *f, unsigned intid, uint8_t priority)
{
	set_priority(f, 0, intid, priority);
	set_targets(f, intid, 1);
	set_bit(f, 0, GICD_ISENABLER, intid);
}

static inline void line(struct gic_fixture *f, unsigned intid, bool high)
{
	irq_set(&(struct irq_line){ gic_irqchip(f->gic), intid }, high);
}

static inline bool irq_high(const struct gic_fixture *f, unsigned cpu)
{
	return f->level[cpu][ARM_LINE_IRQ];
}

static inline bool fiq_high(const struct gic_fixture *f, unsigned cpu)
{
	return f->level[cpu][ARM_LINE_FIQ];
}

static inline uint32_t ack(struct gic_fixture *f, unsigned cpu)
{
	return cpu_get(f, cpu, GICC_IAR);
}

static inline void eoi(struct gic_fixture *f, unsigned cpu, uint32_t value)
{
	cpu_put(f, cpu, GICC_EOIR, value);
}

static inline void send_sgi(struct gic_fixture *f, unsigned source, uint8_t targets, unsigned sgi)
{
	dist_put(f, source, GICD_SGIR, (uint32_t)targets << 16 | sgi);
}

#define GIC_TEST(name) cmocka_unit_test_setup_teardown(name, gic_setup, gic_teardown)

#endif
