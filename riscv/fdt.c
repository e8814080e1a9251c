// SPDX-License-Identifier: GPL-2.0-or-later
// The device tree of the riscv64 machine (devicetree specification 0.4; bindings
// in Linux's Documentation/devicetree/bindings).
//
// Devices on the bus write their own nodes; here is the rest.
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "boot.h"
#include "fdt.h"
#include "memory.h"
#include "riscv-accel.h"
#include "riscv-machine.h"

static const char *mmu_type(enum riscv_satp_mode mode)
{
	switch (mode) {
	case RISCV_SATP_SV57:
		return "riscv,sv57";
	case RISCV_SATP_SV48:
		return "riscv,sv48";
	default:
		return "riscv,sv39";
	}
}

// Both forms: Linux before 6.5 reads only the string.
static void describe_isa(struct fdt_writer *fdt, const char *const *extensions)
{
	char text[1024];
	char *end = text;

	if (riscv_isa_string(extensions, text, sizeof(text))) {
		fdt->error = fdt->error ? fdt->error : -FDT_ERR_NOSPACE;
		return;
	}
	fdt_str(fdt, "riscv,isa", text);
	fdt_str(fdt, "riscv,isa-base", "rv64i");
	// Never longer than the string above, which holds the same names.
	for (; *extensions; extensions++)
		end = stpcpy(end, *extensions) + 1;
	fdt_strings(fdt, "riscv,isa-extensions", text, end - text);
}

static void describe_intc(struct fdt_writer *fdt, unsigned hart)
{
	fdt_node(fdt, "interrupt-controller");
	fdt_str(fdt, "compatible", "riscv,cpu-intc");
	fdt_flag(fdt, "interrupt-controller");
	fdt_u32(fdt, "#interrupt-cells", 1);
	// No unit addresses in an interrupt specifier; dtc wants it said.
	fdt_u32(fdt, "#address-cells", 0);
	fdt_u32(fdt, "phandle", RISCV_INTC_PHANDLE(hart));
	fdt_end(fdt);
}

static void describe_blocks(struct fdt_writer *fdt, const struct riscv_cpu_info *info)
{
	if (info->cbom_block_bytes)
		fdt_u32(fdt, "riscv,cbom-block-size", info->cbom_block_bytes);
	if (info->cbop_block_bytes)
		fdt_u32(fdt, "riscv,cbop-block-size", info->cbop_block_bytes);
	if (info->cboz_block_bytes)
		fdt_u32(fdt, "riscv,cboz-block-size", info->cboz_block_bytes);
}

static void describe_cpu(struct fdt_writer *fdt, unsigned hart, const struct riscv_cpu_info *info)
{
	fdt_node(fdt, "cpu@%x", hart);
	fdt_str(fdt, "device_type", "cpu");
	fdt_u32(fdt, "reg", hart);
	fdt_str(fdt, "status", "okay");
	fdt_str(fdt, "compatible", "riscv");
	describe_isa(fdt, info->extensions);
	fdt_str(fdt, "mmu-type", mmu_type(info->satp_mode));
	describe_blocks(fdt, info);
	describe_intc(fdt, hart);
	fdt_end(fdt);
}

static int describe_cpus(struct fdt_writer *fdt, const struct machine *machine)
{
	const struct riscv_accel_ops *riscv = machine->accel->ops->riscv;

	fdt_node(fdt, "cpus");
	fdt_u32(fdt, "#address-cells", 1);
	fdt_u32(fdt, "#size-cells", 0);
	for (unsigned i = 0; i < machine->vcpus->count; i++) {
		struct riscv_cpu_info info = { 0 };
		int rc = riscv->cpu_info(&machine->vcpus->vcpus[i], &info);

		if (rc)
			return rc;
		// One clock for all; properties come before subnodes.
		if (!i)
			fdt_u32(fdt, "timebase-frequency", info.timebase_hz);
		describe_cpu(fdt, i, &info);
	}
	fdt_end(fdt);
	return 0;
}

static void describe_soc(struct fdt_writer *fdt, const struct machine *machine)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);

	fdt_node(fdt, "soc");
	fdt_str(fdt, "compatible", "simple-bus");
	fdt_u32(fdt, "#address-cells", 2);
	fdt_u32(fdt, "#size-cells", 2);
	fdt_flag(fdt, "ranges");
	if (priv->aia)
		aia_describe(priv->aia, fdt, RISCV_INTC_PHANDLE(0));
	else // only sources in use: Linux sets up each one for each hart
		plic_describe(priv->plic, fdt, riscv_irqs_in_use(priv), RISCV_INTC_PHANDLE(0));
	device_list_describe(machine->devices, fdt);
	fdt_end(fdt);
}

static void describe_memory(struct fdt_writer *fdt, const struct memory *mem)
{
	for (unsigned i = 0; i < mem->bank_count; i++)
		boot_describe_memory(fdt, mem->banks[i].base_gpa, mem->banks[i].size_bytes);
}

static void describe_aliases(struct fdt_writer *fdt)
{
	char path[40];

	snprintf(path, sizeof(path), "/soc/serial@%llx", RISCV_SERIAL_BASE);
	boot_describe_aliases(fdt, path);
}

int riscv_fdt_write(struct fdt_writer *fdt, const struct boot *boot, void *opaque)
{
	struct machine *machine = opaque;
	int rc;

	fdt_u32(fdt, "#address-cells", 2);
	fdt_u32(fdt, "#size-cells", 2);
	fdt_str(fdt, "compatible", "kvik,riscv64");
	fdt_str(fdt, "model", "kvik riscv64");
	boot_describe_chosen(fdt, boot, machine->config);
	describe_aliases(fdt);
	describe_memory(fdt, machine->memory);
	rc = describe_cpus(fdt, machine);
	if (!rc)
		describe_soc(fdt, machine);
	return rc;
}
