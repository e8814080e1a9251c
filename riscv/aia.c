// SPDX-License-Identifier: GPL-2.0-or-later
// The AIA of an accelerator: its lines and its nodes (Linux's bindings riscv,aplic and
// riscv,imsics).

#include "aia.h"

#include <errno.h>
#include <stdlib.h>

#include "fdt.h"
#include "intc.h"
#include "log.h"
#include "riscv-accel.h"
#include "vcpu.h"

#define APLIC_BYTES 0x4000 // 1023 sources and no direct delivery (AIA 4.5)
#define IMSIC_BYTES 0x1000
#define APLIC_SOURCES_MAX 1023U
// In an interrupt specifier.
#define EDGE_RISING 1
#define LEVEL_HIGH 4

// Identities beyond one for each source: Linux takes one for IPIs and wants room to
// move interrupts from hart to hart.
#define OTHER_IDS 8

struct aia {
	struct irqchip chip;
	struct accel *accel;
	struct riscv_aia_config config;
	unsigned ids_max;
};

static const struct riscv_aia_ops *ops_of(const struct aia *aia)
{
	return aia->accel->ops->riscv->aia;
}

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
	struct aia *aia = container_of(chip, struct aia, chip);

	if (number && number <= aia->config.sources)
		ops_of(aia)->set_line(aia->accel, number, high);
}

// KVM's GSIs are the APLIC's sources.
static int pulse_by(struct irqchip *chip, unsigned number, int event_fd)
{
	struct aia *aia = container_of(chip, struct aia, chip);

	return aia->accel->ops->irq_fd ? aia->accel->ops->irq_fd(aia->accel, number, event_fd) :
					 -ENOTSUP;
}

static unsigned fdt_interrupt_cells(const struct irqchip *chip, unsigned number, bool edge,
				    uint32_t cells[4])
{
	cells[0] = number;
	cells[1] = edge ? EDGE_RISING : LEVEL_HIGH;
	return 2;
}

static const struct irqchip_ops chip_ops = {
	.set_line = set_line,
	.pulse_by = pulse_by,
	.fdt_interrupt = fdt_interrupt_cells,
};

int aia_create(struct aia **out, struct accel *accel, uint64_t aplic_base, uint64_t imsic_base)
{
	struct aia *aia = calloc(1, sizeof(*aia));

	if (!aia)
		return fail(ENOMEM, "make the AIA");
	aia->chip = (struct irqchip){ &chip_ops, (uint32_t)aplic_base };
	aia->accel = accel;
	aia->ids_max = ops_of(aia)->ids_max(accel);
	aia->config = (struct riscv_aia_config){
		.aplic_base = aplic_base,
		.imsic_base = imsic_base,
	};
	*out = aia;
	return 0;
}

unsigned aia_sources_max(const struct aia *aia)
{
	return MIN(aia->ids_max - OTHER_IDS, APLIC_SOURCES_MAX);
}

int aia_start(struct aia *aia, unsigned sources)
{
	int err;

	if (aia->config.sources)
		return 0;
	aia->config.sources = sources;
	aia->config.ids = MIN((unsigned)align_up(sources + OTHER_IDS + 1, 64) - 1, aia->ids_max);
	err = ops_of(aia)->create(aia->accel, &aia->config);
	if (err)
		aia->config.sources = 0;
	return err;
}

void aia_free(struct aia *aia)
{
	free(aia);
}

void aia_reset(struct aia *aia)
{
	ops_of(aia)->reset(aia->accel);
}

struct irqchip *aia_irqchip(struct aia *aia)
{
	return &aia->chip;
}

// -- the device tree --

static void describe_imsics(const struct aia *aia, struct fdt_writer *fdt, uint32_t intc_phandle)
{
	unsigned harts = aia->accel->vcpus->count;
	uint64_t base = aia->config.imsic_base;

	fdt_node(fdt, "interrupt-controller@%llx", (unsigned long long)base);
	fdt_str(fdt, "compatible", "riscv,imsics");
	fdt_reg(fdt, base, harts * (uint64_t)IMSIC_BYTES);
	fdt_flag(fdt, "interrupt-controller");
	fdt_u32(fdt, "#interrupt-cells", 0);
	fdt_flag(fdt, "msi-controller");
	fdt_u32(fdt, "#msi-cells", 0);
	intc_describe_wires(fdt, intc_phandle, harts);
	fdt_u32(fdt, "riscv,num-ids", aia->config.ids);
	fdt_u32(fdt, "phandle", (uint32_t)base);
	fdt_end(fdt);
}

static void describe_aplic(const struct aia *aia, struct fdt_writer *fdt)
{
	uint64_t base = aia->config.aplic_base;

	fdt_node(fdt, "interrupt-controller@%llx", (unsigned long long)base);
	fdt_str(fdt, "compatible", "riscv,aplic");
	fdt_reg(fdt, base, APLIC_BYTES);
	fdt_flag(fdt, "interrupt-controller");
	fdt_u32(fdt, "#interrupt-cells", 2);
	fdt_u32(fdt, "#address-cells", 0);
	fdt_u32(fdt, "msi-parent", (uint32_t)aia->config.imsic_base);
	fdt_u32(fdt, "riscv,num-sources", aia->config.sources);
	fdt_u32(fdt, "phandle", aia->chip.fdt_phandle);
	fdt_end(fdt);
}

void aia_describe(const struct aia *aia, struct fdt_writer *fdt, uint32_t intc_phandle)
{
	describe_imsics(aia, fdt, intc_phandle);
	describe_aplic(aia, fdt);
}
