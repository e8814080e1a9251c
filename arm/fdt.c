// SPDX-License-Identifier: GPL-2.0-or-later
// The device tree of the arm64 machine (devicetree specification 0.4; bindings in
// Linux's Documentation/devicetree/bindings).
//
// Devices on the bus and the GIC write their own nodes; here is the rest.
#include <stdio.h>

#include "arm-machine.h"
#include "fdt.h"
#include "memory.h"
#include "vm-config.h"

// Cells of an interrupt in the GIC's bindings (interrupt-controller/arm,gic.yaml).
#define GIC_PPI 1
#define GIC_SPI 0
#define EDGE_RISING 1
#define LEVEL_HIGH 4
#define PPI_CPUS_SHIFT 8 // GICv2: which CPUs it goes to

#define KEY_POWER 116 // Linux's input-event-codes.h

// The PL031 divides it down to 1 Hz; nothing depends on its value.
#define BUS_CLOCK_HZ 24000000

// PSCI's nodes and methods: arm/psci.yaml.
static void describe_psci(struct fdt_writer *fdt)
{
	static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";

	fdt_node(fdt, "psci");
	fdt_strings(fdt, "compatible", compatible, sizeof(compatible));
	fdt_str(fdt, "method", "hvc");
	fdt_end(fdt);
}

static void describe_cpu(struct fdt_writer *fdt, const struct arm_cpu_info *info, bool aarch32)
{
	fdt_node(fdt, "cpu@%llx", (unsigned long long)info->mpidr);
	fdt_str(fdt, "device_type", "cpu");
	fdt_str(fdt, "compatible", "arm,armv8");
	// arm/cpus.yaml: one cell for 32-bit systems.
	if (aarch32)
		fdt_u32(fdt, "reg", (uint32_t)info->mpidr);
	else
		fdt_u64(fdt, "reg", info->mpidr);
	fdt_str(fdt, "enable-method", "psci");
	fdt_end(fdt);
}

// Returns with @info that of the last one: they are all alike.
static int describe_cpus(struct fdt_writer *fdt, const struct machine *machine,
			 struct arm_cpu_info *info)
{
	const struct arm_accel_ops *arm = machine->accel->ops->arm;
	bool aarch32 = machine->config->aarch32;

	fdt_node(fdt, "cpus");
	fdt_u32(fdt, "#address-cells", aarch32 ? 1 : 2);
	fdt_u32(fdt, "#size-cells", 0);
	for (unsigned i = 0; i < machine->vcpus->count; i++) {
		int rc = arm->cpu_info(&machine->vcpus->vcpus[i], info);

		if (rc)
			return rc;
		describe_cpu(fdt, info, aarch32);
	}
	fdt_end(fdt);
	return 0;
}

// Writes the three cells of a PPI.
static void ppi_cells(const struct machine *machine, unsigned intid, uint32_t *cells)
{
	enum arm_gic kind = arm_machine_priv(machine)->irqchip.kind;
	bool v3 = kind == ARM_GIC_V3 || kind == ARM_GIC_V3_ITS;
	uint32_t cpus = v3 ? 0 : (1U << machine->vcpus->count) - 1;

	cells[0] = GIC_PPI;
	cells[1] = intid - ARM_INTID_PPI;
	cells[2] = cpus << PPI_CPUS_SHIFT | LEVEL_HIGH;
}

static void describe_timer(struct fdt_writer *fdt, const struct machine *machine)
{
	// The order of timer/arm,arch_timer.yaml.
	static const unsigned intids[] = { ARM_INTID_SECURE_TIMER, ARM_INTID_PHYS_TIMER,
					   ARM_INTID_VIRT_TIMER, ARM_INTID_HYP_TIMER };
	uint32_t cells[3 * ARRAY_SIZE(intids)];

	for (unsigned i = 0; i < ARRAY_SIZE(intids); i++)
		ppi_cells(machine, intids[i], &cells[3 * i]);
	fdt_node(fdt, "timer");
	fdt_str(fdt, "compatible", "arm,armv8-timer");
	fdt_flag(fdt, "always-on");
	fdt_cells(fdt, "interrupts", cells, ARRAY_SIZE(cells));
	fdt_end(fdt);
}

static void describe_pmu(struct fdt_writer *fdt, const struct machine *machine)
{
	uint32_t cells[3];

	ppi_cells(machine, ARM_INTID_PMU, cells);
	fdt_node(fdt, "pmu");
	fdt_str(fdt, "compatible", "arm,armv8-pmuv3");
	fdt_cells(fdt, "interrupts", cells, ARRAY_SIZE(cells));
	fdt_end(fdt);
}

// Linux takes no PrimeCell without its bus clock.
static void describe_clock(struct fdt_writer *fdt)
{
	fdt_node(fdt, "apb-pclk");
	fdt_str(fdt, "compatible", "fixed-clock");
	fdt_u32(fdt, "#clock-cells", 0);
	fdt_u32(fdt, "clock-frequency", BUS_CLOCK_HZ);
	fdt_u32(fdt, "phandle", ARM_CLOCK_PHANDLE);
	fdt_end(fdt);
}

// The power button: input/gpio-keys.yaml has keys that are an interrupt and no GPIO; an
// edge is a press and a release.
static void describe_keys(struct fdt_writer *fdt)
{
	static const uint32_t cells[] = { GIC_SPI, ARM_IRQ_POWER_BUTTON - ARM_INTID_SPI,
					  EDGE_RISING };

	fdt_node(fdt, "gpio-keys");
	fdt_str(fdt, "compatible", "gpio-keys");
	fdt_node(fdt, "power-button");
	fdt_str(fdt, "label", "Power Button");
	fdt_u32(fdt, "linux,code", KEY_POWER);
	fdt_cells(fdt, "interrupts", cells, ARRAY_SIZE(cells));
	fdt_end(fdt);
	fdt_end(fdt);
}

static void describe_soc(struct fdt_writer *fdt, const struct machine *machine)
{
	fdt_node(fdt, "soc");
	fdt_str(fdt, "compatible", "simple-bus");
	fdt_u32(fdt, "#address-cells", 2);
	fdt_u32(fdt, "#size-cells", 2);
	fdt_flag(fdt, "ranges");
	// The devices see memory through the same caches as the vCPUs.
	fdt_flag(fdt, "dma-coherent");
	arm_irqchip_describe(machine, fdt);
	device_list_describe(machine->devices, fdt);
	fdt_end(fdt);
}

static void describe_aliases(struct fdt_writer *fdt)
{
	char path[40];

	snprintf(path, sizeof(path), "/soc/serial@%llx", ARM_SERIAL_BASE);
	boot_describe_aliases(fdt, path);
}

// The guest's own: not where the accelerator keeps stolen time.
static void describe_memory(struct fdt_writer *fdt, const struct memory *mem)
{
	for (unsigned i = 0; i < mem->bank_count; i++)
		if (mem->banks[i].base_gpa >= ARM_RAM_BASE)
			boot_describe_memory(fdt, mem->banks[i].base_gpa, mem->banks[i].size_bytes);
}

int arm_fdt_write(struct fdt_writer *fdt, const struct boot *boot, void *opaque)
{
	struct machine *machine = opaque;
	struct arm_cpu_info cpu = { 0 };
	int rc;

	fdt_u32(fdt, "#address-cells", 2);
	fdt_u32(fdt, "#size-cells", 2);
	fdt_str(fdt, "compatible", "kvik,arm64");
	fdt_str(fdt, "model", "kvik arm64");
	fdt_u32(fdt, "interrupt-parent", ARM_GIC_PHANDLE);
	boot_describe_chosen(fdt, boot, machine->config);
	describe_aliases(fdt);
	describe_memory(fdt, machine->memory);
	rc = describe_cpus(fdt, machine, &cpu);
	if (rc)
		return rc;
	describe_psci(fdt);
	describe_timer(fdt, machine);
	if (cpu.has_pmu)
		describe_pmu(fdt, machine);
	describe_clock(fdt);
	describe_keys(fdt);
	describe_soc(fdt, machine);
	return 0;
}
