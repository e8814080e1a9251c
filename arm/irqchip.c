// SPDX-License-Identifier: GPL-2.0-or-later
// The arm64 machine's interrupt controller: which one, and where the guest sees it.
//
// The accelerator's own GICs (KVM's in the kernel) come first, since an interrupt then
// needs no exit to user space. auto takes none with an ITS: only message-signalled
// interrupts need one, virtio-mmio has none, and a guest pays for its tables at boot.
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arm-machine.h"
#include "fdt.h"
#include "gic.h"
#include "log.h"
#include "vm-config.h"

#define GIC_SPI 0 // cells of an interrupt: see fdt.c
#define EDGE_RISING 1
#define LEVEL_HIGH 4

static const char *const kind_names[] = {
	[ARM_GIC_USER] = "user",
	[ARM_GIC_V2] = "gicv2",
	[ARM_GIC_V3] = "gicv3",
	[ARM_GIC_V3_ITS] = "gicv3-its",
};
static_assert(ARRAY_SIZE(kind_names) == ARM_GIC_COUNT, "a name for each kind");

// What --irqchip auto tries, the best first.
static const enum arm_gic auto_kinds[] = { ARM_GIC_V3, ARM_GIC_V2, ARM_GIC_USER };

static bool is_auto(const char *name)
{
	return !name || strcmp(name, "auto") == 0;
}

// ARM_GIC_COUNT: there is none of that name.
static enum arm_gic kind_of_name(const char *name)
{
	unsigned kind = 0;

	while (kind < ARM_GIC_COUNT && strcmp(kind_names[kind], name) != 0)
		kind++;
	return (enum arm_gic)kind;
}

static bool is_v3(enum arm_gic kind)
{
	return kind == ARM_GIC_V3 || kind == ARM_GIC_V3_ITS;
}

static bool takes_cpus(enum arm_gic kind, unsigned cpus)
{
	return is_v3(kind) || cpus <= ARM_GICV2_MAX_CPUS;
}

int arm_irqchip_check(const char *name, unsigned cpus)
{
	enum arm_gic kind;

	if (is_auto(name))
		return 0;
	kind = kind_of_name(name);
	if (kind == ARM_GIC_COUNT)
		return fail_msg(EINVAL,
				"--irqchip %s: is not one of an arm64 machine; use auto, gicv3, "
				"gicv3-its, gicv2 or user",
				name);
	if (!takes_cpus(kind, cpus))
		return fail_msg(EINVAL,
				"--irqchip %s: a GICv2 has at most %u CPUs; give -c less, or use "
				"gicv3",
				name, ARM_GICV2_MAX_CPUS);
	return 0;
}

// "gicv3, gicv3-its": what the accelerator has for so many vCPUs.
static const char *offered(struct accel *accel, unsigned cpus, char *text, size_t size)
{
	size_t used = 0;

	snprintf(text, size, "none");
	for (unsigned kind = 0; kind < ARM_GIC_COUNT && used < size; kind++)
		if (takes_cpus(kind, cpus) && accel->ops->arm->has_gic(accel, kind))
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
						 kind_names[kind]);
	return text;
}

static int choose_kind(struct machine *machine, enum arm_gic *kind)
{
	struct accel *accel = machine->accel;
	const char *name = machine->config->irqchip;
	unsigned cpus = machine->vcpus->count;
	enum arm_gic named = is_auto(name) ? ARM_GIC_COUNT : kind_of_name(name);
	char text[64];

	for (unsigned i = 0; i < ARRAY_SIZE(auto_kinds) && is_auto(name); i++) {
		*kind = auto_kinds[i];
		if (takes_cpus(*kind, cpus) && accel->ops->arm->has_gic(accel, *kind))
			return 0;
	}
	*kind = named;
	if (named < ARM_GIC_COUNT && accel->ops->arm->has_gic(accel, named))
		return 0;
	return fail_msg(ENOTSUP,
			"--irqchip %s: %s cannot give that to %u vCPUs on this host; it offers "
			"them: %s",
			name ? name : "auto", accel->ops->name, cpus,
			offered(accel, cpus, text, sizeof(text)));
}

// -- lines --

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
	struct arm_irqchip *self = container_of(chip, struct arm_irqchip, chip);

	// All lines are low to begin with.
	if (!self->started)
		return;
	if (self->user) {
		struct irq_line line = { gic_irqchip(self->user), number };

		irq_set(&line, high);
	} else {
		self->accel->ops->arm->set_spi(self->accel, number, high);
	}
}

// KVM's GSIs are its SPIs, counted from 0.
static int pulse_by(struct irqchip *chip, unsigned number, int event_fd)
{
	struct arm_irqchip *self = container_of(chip, struct arm_irqchip, chip);

	if (self->user || !self->accel->ops->irq_fd)
		return -ENOTSUP;
	return self->accel->ops->irq_fd(self->accel, number - ARM_INTID_SPI, event_fd);
}

static unsigned interrupt_cells(const struct irqchip *chip, unsigned number, bool edge,
				uint32_t cells[4])
{
	cells[0] = GIC_SPI;
	cells[1] = number - ARM_INTID_SPI;
	cells[2] = edge ? EDGE_RISING : LEVEL_HIGH;
	return 3;
}

static const struct irqchip_ops chip_ops = {
	.set_line = set_line,
	.pulse_by = pulse_by,
	.fdt_interrupt = interrupt_cells,
};

// The accelerator's timers, where it has no GIC.
static void set_ppi(void *opaque, struct vcpu *vcpu, unsigned intid, bool high)
{
	struct arm_irqchip *self = opaque;

	if (self->user)
		gic_set_ppi(self->user, vcpu->index, intid, high);
}

// -- life --

int arm_irqchip_create(struct machine *machine)
{
	struct arm_irqchip *self = &arm_machine_priv(machine)->irqchip;
	const struct arm_accel_ops *arm = machine->accel->ops->arm;
	struct arm_gic_config config = {
		.dist_base = ARM_GIC_DIST_BASE,
		.cpu_base = ARM_GIC_CPU_BASE,
		.redist_base = ARM_GIC_REDIST_BASE,
		.its_base = ARM_GIC_ITS_BASE,
	};
	int rc = choose_kind(machine, &config.kind);

	if (rc)
		return rc;
	*self = (struct arm_irqchip){
		.chip = { .ops = &chip_ops, .fdt_phandle = ARM_GIC_PHANDLE },
		.accel = machine->accel,
		.kind = config.kind,
	};
	machine->irqchip = &self->chip;
	debug("interrupt controller: %s", kind_names[self->kind]);
	if (self->kind != ARM_GIC_USER)
		return arm->gic_create(machine->accel, &config);
	arm->set_ppi_sink(machine->accel, (struct arm_ppi_sink){ set_ppi, self });
	return 0;
}

static int create_user_gic(struct machine *machine, struct arm_irqchip *self, unsigned irq_count)
{
	struct gic_config config = {
		.dist_base = ARM_GIC_DIST_BASE,
		.cpu_base = ARM_GIC_CPU_BASE,
		.cpus = machine->vcpus->count,
		.lines = irq_count,
		.fdt_phandle = ARM_GIC_PHANDLE,
		.vcpus = machine->vcpus,
	};

	return gic_create(&self->user, machine->mmio, &config);
}

int arm_irqchip_start(struct machine *machine, unsigned irq_count)
{
	struct arm_irqchip *self = &arm_machine_priv(machine)->irqchip;
	// A guest sets up every interrupt there is: no more than are in use, then. GICs
	// count SPIs by 32, and KVM's have at least that.
	unsigned count = align_up(irq_count, 32);
	int rc = 0;

	if (self->started)
		return 0;
	if (self->kind == ARM_GIC_USER)
		rc = create_user_gic(machine, self, count);
	if (!rc)
		rc = machine->accel->ops->arm->start(machine->accel, count);
	self->started = !rc;
	return rc;
}

void arm_irqchip_reset(struct machine *machine)
{
	struct arm_irqchip *self = &arm_machine_priv(machine)->irqchip;

	if (self->user)
		gic_reset(self->user);
	else if (machine->accel->ops->arm->gic_reset(machine->accel))
		warn("the interrupt controller keeps what the guest left in it");
}

void arm_irqchip_free(struct machine *machine)
{
	struct arm_irqchip *self = &arm_machine_priv(machine)->irqchip;

	if (self->user)
		gic_free(self->user);
	self->user = NULL;
}

// -- device tree (interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml) --

static void put_range(uint32_t *cells, uint64_t base, uint64_t size_bytes)
{
	cells[0] = base >> 32;
	cells[1] = base;
	cells[2] = size_bytes >> 32;
	cells[3] = size_bytes;
}

static void describe_its(struct fdt_writer *fdt)
{
	fdt_node(fdt, "msi-controller@%llx", ARM_GIC_ITS_BASE);
	fdt_str(fdt, "compatible", "arm,gic-v3-its");
	fdt_flag(fdt, "msi-controller");
	fdt_u32(fdt, "#msi-cells", 1);
	fdt_reg(fdt, ARM_GIC_ITS_BASE, ARM_GICV3_ITS_BYTES);
	fdt_u32(fdt, "phandle", ARM_ITS_PHANDLE);
	fdt_end(fdt);
}

static void describe_own(const struct machine *machine, enum arm_gic kind, struct fdt_writer *fdt)
{
	bool v3 = is_v3(kind);
	uint32_t reg[8];

	put_range(reg, ARM_GIC_DIST_BASE, v3 ? ARM_GICV3_DIST_BYTES : ARM_GICV2_DIST_BYTES);
	if (v3)
		put_range(reg + 4, ARM_GIC_REDIST_BASE,
			  machine->vcpus->count * ARM_GICV3_REDIST_BYTES);
	else
		put_range(reg + 4, ARM_GIC_CPU_BASE, ARM_GICV2_CPU_BYTES);
	fdt_node(fdt, "interrupt-controller@%llx", ARM_GIC_DIST_BASE);
	fdt_str(fdt, "compatible", v3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
	fdt_flag(fdt, "interrupt-controller");
	fdt_u32(fdt, "#interrupt-cells", 3);
	fdt_u32(fdt, "#address-cells", 2);
	fdt_u32(fdt, "#size-cells", 2);
	fdt_flag(fdt, "ranges");
	fdt_cells(fdt, "reg", reg, ARRAY_SIZE(reg));
	fdt_u32(fdt, "phandle", ARM_GIC_PHANDLE);
	if (kind == ARM_GIC_V3_ITS)
		describe_its(fdt);
	fdt_end(fdt);
}

void arm_irqchip_describe(const struct machine *machine, struct fdt_writer *fdt)
{
	const struct arm_irqchip *self = &arm_machine_priv(machine)->irqchip;

	if (self->user)
		gic_describe(self->user, fdt);
	else
		describe_own(machine, self->kind, fdt);
}
