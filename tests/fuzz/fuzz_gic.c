// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the user-space GICv2: any access by any CPU, while devices drive its lines.
//
// The input is a script of 8-byte steps.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../arm/gic.h"
#include "arm-accel.h"
#include "bus.h"
#include "vcpu.h"

#define CPUS 3
#define LINES 76 // in a third word, not all of it
#define DIST_BASE 0x08000000ULL
#define CPU_BASE 0x08010000ULL
#define GICC_HPPIR 0x18
#define SPURIOUS 1023
#define MAX_STEPS 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
	struct bus bus;
	struct accel accel;
	struct vcpu vcpus[CPUS];
	bool levels[CPUS][2];
	struct vcpu_set set;
	struct gic *gic;
};

static void drive_irq(struct vcpu *vcpu, unsigned line, bool high)
{
	bool *levels = vcpu->priv;

	if (line > ARM_LINE_FIQ || levels[line] == high)
		abort();
	levels[line] = high;
}

static const struct accel_ops accel_ops = { .name = "fuzz", .irq = drive_irq };

static void init_rig(struct rig *rig)
{
	const struct gic_config config = {
		.dist_base = DIST_BASE,
		.cpu_base = CPU_BASE,
		.cpus = CPUS,
		.lines = LINES,
		.vcpus = &rig->set,
	};

	rig->accel.ops = &accel_ops;
	rig->set = (struct vcpu_set){
		.vcpus = rig->vcpus, .count = CPUS, .accel = &rig->accel, .mmio = &rig->bus
	};
	for (unsigned i = 0; i < CPUS; i++)
		rig->vcpus[i] =
			(struct vcpu){ .index = i, .set = &rig->set, .priv = rig->levels[i] };
	bus_init(&rig->bus);
	if (gic_create(&rig->gic, &rig->bus, &config))
		abort();
}

// -- the script --

struct step {
	uint8_t op; // what, by whom, how wide
	uint8_t more;
	uint16_t offset;
	uint32_t value;
} __attribute__((packed));

static uint64_t access(struct rig *rig, unsigned cpu, uint64_t addr, unsigned size, bool is_write,
		       uint64_t value)
{
	value = is_write ? value : 0;
	if (vcpu_mmio(&rig->vcpus[cpu], addr, &value, size, is_write))
		abort();
	return value;
}

static void access_register(struct rig *rig, const struct step *step)
{
	static const uint8_t sizes[] = { 4, 4, 4, 4, 4, 1, 2, 8 };
	unsigned size = sizes[step->more % ARRAY_SIZE(sizes)];
	uint64_t base = step->op & 4 ? CPU_BASE : DIST_BASE;
	// Half of the CPU interface's accesses go where most registers are.
	uint64_t limit = base == DIST_BASE ? GIC_DIST_SIZE : step->op & 8 ? 0x100 : GIC_CPU_SIZE;
	uint64_t value = access(rig, (step->op >> 4) % CPUS,
				base + step->offset % limit / size * size, size, step->op & 1,
				(uint64_t)step->value << 32 | step->value);

	if (!(step->op & 1) && size < 8 && value >> (8 * size))
		abort();
}

static void drive_line(struct rig *rig, const struct step *step)
{
	struct irq_line line = { gic_irqchip(rig->gic), step->offset % (LINES + 8) };

	if (step->more & 2)
		irq_set(&line, step->more & 1);
	else
		gic_set_ppi(rig->gic, step->op >> 4, step->offset % 40, step->more & 1);
}

// An input is high for something that is pending.
static void check_levels(struct rig *rig)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		uint64_t highest = access(rig, cpu, CPU_BASE + GICC_HPPIR, 4, false, 0);

		if (rig->levels[cpu][ARM_LINE_IRQ] && rig->levels[cpu][ARM_LINE_FIQ])
			abort();
		if (highest == SPURIOUS &&
		    (rig->levels[cpu][ARM_LINE_IRQ] || rig->levels[cpu][ARM_LINE_FIQ]))
			abort();
	}
}

static void check_reset(struct rig *rig)
{
	gic_reset(rig->gic);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		if (rig->levels[cpu][ARM_LINE_IRQ] || rig->levels[cpu][ARM_LINE_FIQ])
			abort();
}

static void run_step(struct rig *rig, const struct step *step)
{
	if ((step->op & 2) && step->more == 0xff)
		check_reset(rig);
	else if ((step->op & 6) == 2)
		drive_line(rig, step);
	else
		access_register(rig, step);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig = { 0 };
	struct step step;

	init_rig(&rig);
	for (unsigned i = 0; i < MAX_STEPS && size >= sizeof(step); i++) {
		memcpy(&step, data, sizeof(step));
		run_step(&rig, &step);
		check_levels(&rig);
		data += sizeof(step);
		size -= sizeof(step);
	}
	check_reset(&rig);
	gic_free(rig.gic);
	bus_exit(&rig.bus);
	return 0;
}
