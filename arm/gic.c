// SPDX-License-Identifier: GPL-2.0-or-later
// The GICv2 as a whole: its lines in and out, its life.
//
//    SPI n ---> distributor ----> CPU interface 0 ----> IRQ, FIQ of vCPU 0
//    PPI n of each CPU -^     \--> CPU interface 1 ----> ...
//
// The distributor (gic-dist.c) keeps which interrupt is pending, active, enabled, and
// gives each CPU interface the best one. The CPU interface (gic-cpu.c) compares that
// with its mask and with what is already running, and signals it.
//
// The lock is a leaf: lines are raised by any thread, with other locks held. The bus
// takes the lock of one of the two devices around it, which guards nothing.
#include "gic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "arm-accel.h"
#include "bus.h"
#include "fdt.h"
#include "gic-internal.h"
#include "log.h"
#include "vcpu.h"

// -- lines out --

static void drive(struct gic *gic, unsigned cpu, unsigned line, bool *level, bool high)
{
	struct vcpu_set *vcpus = gic->vcpus;

	if (high == *level)
		return;
	*level = high;
	vcpus->accel->ops->irq(&vcpus->vcpus[cpu], line, high);
}

void gic_update(struct gic *gic)
{
	for (unsigned cpu = 0; cpu < gic->cpu_count; cpu++) {
		struct gic_cpu *iface = &gic->cpus[cpu];
		bool irq, fiq;

		gic_cpu_outputs(gic, cpu, &irq, &fiq);
		drive(gic, cpu, ARM_LINE_IRQ, &iface->irq, irq);
		drive(gic, cpu, ARM_LINE_FIQ, &iface->fiq, fiq);
	}
}

// -- lines in --

static void set_input(struct gic *gic, struct gic_bank *bank, unsigned bit, bool high)
{
	uint32_t mask = 1U << bit;

	if (high == !!(bank->level & mask))
		return;
	bank->level ^= mask;
	if (high)
		bank->latched |= bank->edge & mask;
	gic_update(gic);
}

static void set_spi(struct irqchip *chip, unsigned number, bool high)
{
	struct gic *gic = container_of(chip, struct gic, chip);

	if (number < GIC_PRIVATE || !gic_exists(gic, number))
		return;
	pthread_mutex_lock(&gic->lock);
	set_input(gic, gic_bank(gic, 0, number / 32), number % 32, high);
	pthread_mutex_unlock(&gic->lock);
}

void gic_set_ppi(struct gic *gic, unsigned cpu, unsigned intid, bool high)
{
	if (cpu >= gic->cpu_count || intid < GIC_SGIS || intid >= GIC_PRIVATE)
		return;
	pthread_mutex_lock(&gic->lock);
	set_input(gic, &gic->cpus[cpu].bank, intid, high);
	pthread_mutex_unlock(&gic->lock);
}

// -- registers --

// The CPU that accesses a banked register; false when it is none of this GIC's.
static bool accessing_cpu(const struct gic *gic, unsigned *cpu)
{
	const struct vcpu *vcpu = vcpu_accessing();

	if (!vcpu || vcpu->index >= gic->cpu_count)
		return false;
	*cpu = vcpu->index;
	return true;
}

static uint64_t read_dist(struct io_region *region, uint64_t offset, unsigned size)
{
	struct gic *gic = container_of(region->device, struct gic, dist_dev);
	uint32_t value;
	unsigned cpu;

	if (!accessing_cpu(gic, &cpu))
		return 0;
	pthread_mutex_lock(&gic->lock);
	value = gic_dist_read(gic, cpu, offset, size);
	pthread_mutex_unlock(&gic->lock);
	return value;
}

static void write_dist(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct gic *gic = container_of(region->device, struct gic, dist_dev);
	unsigned cpu;

	if (!accessing_cpu(gic, &cpu))
		return;
	pthread_mutex_lock(&gic->lock);
	gic_dist_write(gic, cpu, offset, size, value);
	gic_update(gic);
	pthread_mutex_unlock(&gic->lock);
}

static uint64_t read_cpu(struct io_region *region, uint64_t offset, unsigned size)
{
	struct gic *gic = container_of(region->device, struct gic, cpu_dev);
	uint32_t value;
	unsigned cpu;

	if (!accessing_cpu(gic, &cpu))
		return 0;
	pthread_mutex_lock(&gic->lock);
	value = gic_cpu_read(gic, cpu, offset);
	gic_update(gic); // an acknowledge
	pthread_mutex_unlock(&gic->lock);
	return value;
}

static void write_cpu(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct gic *gic = container_of(region->device, struct gic, cpu_dev);
	unsigned cpu;

	if (!accessing_cpu(gic, &cpu))
		return;
	pthread_mutex_lock(&gic->lock);
	gic_cpu_write(gic, cpu, offset, value);
	gic_update(gic);
	pthread_mutex_unlock(&gic->lock);
}

// Which registers take bytes, gic-dist.c knows (IHI 0048B 4.1.4).
static const struct io_ops dist_io = {
	.read = read_dist,
	.write = write_dist,
	.min_size = 1,
	.max_size = 4,
};

static const struct io_ops cpu_io = {
	.read = read_cpu,
	.write = write_cpu,
	.min_size = 4,
	.max_size = 4,
};

// -- life --

// Type, number and flags (Linux: interrupt-controller/arm,gic.yaml).
static unsigned fdt_interrupt_cells(const struct irqchip *chip, unsigned number, bool edge,
				    uint32_t cells[4])
{
	cells[0] = 0; // an SPI
	cells[1] = number - GIC_PRIVATE;
	cells[2] = edge ? 1 : 4; // rising, or active high
	return 3;
}

static const struct irqchip_ops gic_chip_ops = {
	.set_line = set_spi,
	.fdt_interrupt = fdt_interrupt_cells,
};

static int check_config(const struct gic_config *config)
{
	if (!config->cpus || config->cpus > GIC_MAX_CPUS)
		return fail_msg(EINVAL, "-c %u: a GICv2 has 1 to %u CPUs; --irqchip gicv3 has more",
				config->cpus, GIC_MAX_CPUS);
	if (config->lines < GIC_PRIVATE || config->lines > GIC_MAX_LINES)
		return fail_msg(EINVAL, "a GICv2 has %u to %u interrupts, not %u", GIC_PRIVATE,
				GIC_MAX_LINES, config->lines);
	return 0;
}

static void init_banks(struct gic *gic)
{
	for (unsigned cpu = 0; cpu < gic->cpu_count; cpu++)
		gic->cpus[cpu].bank.exists = ~0U;
	for (unsigned intid = GIC_PRIVATE; gic_exists(gic, intid); intid++)
		gic_bank(gic, 0, intid / 32)->exists |= 1U << (intid % 32);
}

int gic_create(struct gic **out, struct bus *bus, const struct gic_config *config)
{
	const struct irq_line none = { 0 };
	int rc = check_config(config);
	struct gic *gic;

	if (rc)
		return rc;
	gic = calloc(1, sizeof(*gic));
	if (!gic)
		return fail(ENOMEM, "make the GIC");
	gic->chip = (struct irqchip){ &gic_chip_ops, config->fdt_phandle };
	gic->vcpus = config->vcpus;
	gic->cpu_count = config->cpus;
	gic->line_count = config->lines;
	pthread_mutex_init(&gic->lock, NULL);
	device_init(&gic->dist_dev, "gic-dist", NULL, &dist_io, config->dist_base, GIC_DIST_SIZE,
		    none);
	device_init(&gic->cpu_dev, "gic-cpu", NULL, &cpu_io, config->cpu_base, GIC_CPU_SIZE, none);
	init_banks(gic);
	gic_reset(gic);
	rc = bus_add(bus, &gic->dist_dev.region);
	if (!rc)
		rc = bus_add(bus, &gic->cpu_dev.region);
	if (rc)
		gic_free(gic);
	else
		*out = gic;
	return rc;
}

void gic_free(struct gic *gic)
{
	if (!gic)
		return;
	device_exit(&gic->cpu_dev);
	device_exit(&gic->dist_dev);
	pthread_mutex_destroy(&gic->lock);
	free(gic);
}

void gic_reset(struct gic *gic)
{
	pthread_mutex_lock(&gic->lock);
	gic_dist_reset(gic);
	for (unsigned cpu = 0; cpu < gic->cpu_count; cpu++)
		gic_cpu_reset(&gic->cpus[cpu]);
	gic_update(gic);
	pthread_mutex_unlock(&gic->lock);
}

struct irqchip *gic_irqchip(struct gic *gic)
{
	return &gic->chip;
}

void gic_describe(const struct gic *gic, struct fdt_writer *fdt)
{
	const uint64_t dist = gic->dist_dev.region.base, cpu = gic->cpu_dev.region.base;
	const uint32_t reg[] = {
		dist >> 32, dist, 0, GIC_DIST_SIZE, cpu >> 32, cpu, 0, GIC_CPU_SIZE,
	};

	fdt_node(fdt, "interrupt-controller@%" PRIx64, dist);
	fdt_str(fdt, "compatible", "arm,cortex-a15-gic");
	fdt_cells(fdt, "reg", reg, ARRAY_SIZE(reg));
	fdt_flag(fdt, "interrupt-controller");
	fdt_u32(fdt, "#interrupt-cells", 3);
	fdt_u32(fdt, "#address-cells", 0);
	fdt_u32(fdt, "phandle", gic->chip.fdt_phandle);
	fdt_end(fdt);
}
