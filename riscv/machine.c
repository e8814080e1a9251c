// SPDX-License-Identifier: GPL-2.0-or-later
// The riscv64 machine: memory map, parts, reset.
//
//  0x00_0000_0000 +-----------------------+
//                 | nothing               |  a null pointer finds no device
//  0x00_0010_0000 | syscon                |  4 KiB: power off, reboot
//  0x00_0010_1000 | RTC                   |  4 KiB: goldfish
//                 | nothing               |
//  0x00_0c00_0000 | PLIC                  |  64 MiB at most, by number of contexts
//  0x00_1000_0000 | UART                  |  256 bytes: 16550A
//  0x00_1000_1000 | virtio-mmio           |  512 slots of 4 KiB
//  0x00_1020_1000 | nothing               |
//  0x00_2000_0000 | APLIC                 |  16 KiB, instead of the PLIC
//  0x00_2800_0000 | IMSIC                 |  4 KiB for each hart, beside the APLIC
//  0x00_3000_0000 | kept for PCI          |  256 MiB: configuration space
//  0x00_4000_0000 | kept for PCI          |  1 GiB: 32-bit BARs
//  0x00_8000_0000 +-----------------------+
//                 | RAM                   |  up to 2^40 - 2 GiB
//                 |  + 2 MiB    kernel    |  where its header asks for it
//                 |             initrd    |  next page after all of the kernel
//                 |             FDT       |  next 2 MiB boundary after that
//  0x100_0000_0000 +----------------------+
//                 | kept for PCI          |  64-bit BARs
//
// Harts start in S mode at the kernel's entry: there is no firmware, sbi.c answers
// its calls.
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "memory.h"
#include "riscv-accel.h"
#include "riscv-machine.h"
#include "vm-config.h"

// COMMAND_LINE_SIZE of Linux's arch/riscv; it drops the rest without a word.
#define LINUX_LINE_SIZE 1024

static bool is_irqchip(const char *wanted, const char *name)
{
	return wanted && strcmp(wanted, name) == 0;
}

static int no_aia(const char *accel)
{
	return fail_msg(ENOTSUP,
			"--irqchip aia: accelerator %s has none here; it takes KVM on a host with "
			"an AIA; use --irqchip plic",
			accel);
}

// What only some accelerators, or some machines, can do.
static int check_options(const struct vm_config *config, const struct accel_ops *accel)
{
	const char *irqchip = config->irqchip;

	if (irqchip && !is_irqchip(irqchip, "auto") && !is_irqchip(irqchip, "plic") &&
	    !is_irqchip(irqchip, "aia"))
		return fail_msg(EINVAL,
				"--irqchip %s: a riscv64 machine has none of that name; use auto, "
				"plic or aia",
				irqchip);
	if (is_irqchip(irqchip, "aia") && !accel->riscv->aia)
		return no_aia(accel->name);
	if (!accel->riscv->configurable &&
	    (config->disabled_isa.count || config->disabled_sbi.count || config->mvendorid ||
	     config->marchid || config->mimpid))
		return fail_msg(EINVAL,
				"--disable-*, --custom-m*: the harts of accelerator %s are what "
				"they are; use --accel kvm",
				accel->name);
	return 0;
}

static int probe(const struct vm_config *config, const struct accel_ops *accel)
{
	if (!accel->riscv)
		return fail_msg(ENOTSUP,
				"accelerator %s does not run riscv64 guests; try --accel soft",
				accel->name);
	if (!config->cpus || config->cpus > RISCV_MAX_HARTS)
		return fail_msg(EINVAL, "-c %u: a riscv64 machine has 1 to %u harts", config->cpus,
				RISCV_MAX_HARTS);
	if (config->memory_bytes < RISCV_RAM_MIN_BYTES ||
	    config->memory_bytes > RISCV_RAM_MAX_BYTES)
		return fail_msg(EINVAL,
				"-m: %" PRIu64 " MiB; a riscv64 machine has %llu MiB to %llu GiB",
				config->memory_bytes / (uint64_t)MIB, RISCV_RAM_MIN_BYTES / MIB,
				RISCV_RAM_MAX_BYTES / GIB);
	return check_options(config, accel);
}

static int layout(struct machine *machine)
{
	struct riscv_machine *priv = calloc(1, sizeof(*priv));

	if (!priv)
		return fail(ENOMEM, "make the riscv64 machine");
	boot_init(&priv->boot);
	machine->priv = priv;
	return memory_add_ram(machine->memory, RISCV_RAM_BASE,
			      align_down(machine->config->memory_bytes, 4 * KIB));
}

static int init_plic(struct machine *machine)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);
	struct plic_config config = {
		.base = RISCV_PLIC_BASE,
		.sources = RISCV_IRQ_COUNT,
		.contexts = machine->config->cpus,
		.vcpus = machine->vcpus,
	};
	int rc = plic_create(&priv->plic, machine->mmio, &config);

	if (rc)
		return rc;
	machine->irqchip = plic_irqchip(priv->plic);
	priv->irq_count = RISCV_IRQ_COUNT;
	return 0;
}

static int init_aia(struct machine *machine)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);
	int rc = aia_create(&priv->aia, machine->accel, RISCV_APLIC_BASE, RISCV_IMSIC_BASE);

	if (rc)
		return rc;
	machine->irqchip = aia_irqchip(priv->aia);
	priv->irq_count = MIN(aia_sources_max(priv->aia) + 1, (unsigned)RISCV_IRQ_COUNT);
	return 0;
}

static bool has_aia(const struct machine *machine)
{
	const struct riscv_aia_ops *aia = machine->accel->ops->riscv->aia;

	return aia && aia->ids_max(machine->accel);
}

static int init_irqchip(struct machine *machine)
{
	const char *wanted = machine->config->irqchip;

	if (is_irqchip(wanted, "plic") || (!is_irqchip(wanted, "aia") && !has_aia(machine)))
		return init_plic(machine);
	if (has_aia(machine))
		return init_aia(machine);
	return no_aia(machine->accel->ops->name);
}

static int add_serial(struct machine *machine, struct device **dev)
{
	// With another console the port stays, with nothing plugged in.
	struct term *term = machine->config->console == CONSOLE_SERIAL ? machine->term : NULL;

	return serial_create(dev, RISCV_SERIAL_BASE, machine_line(machine, RISCV_IRQ_SERIAL), term);
}

static int add_syscon(struct machine *machine, struct device **dev)
{
	return syscon_create(dev, RISCV_SYSCON_BASE, machine->power);
}

static int add_rtc(struct machine *machine, struct device **dev)
{
	return goldfish_rtc_create(dev, RISCV_RTC_BASE, machine_line(machine, RISCV_IRQ_RTC),
				   machine->loop);
}

static int add_platform_devices(struct machine *machine)
{
	static int (*const creators[])(struct machine *, struct device **) = {
		add_serial,
		add_syscon,
		add_rtc,
	};

	return machine_add_devices(machine, machine->mmio, creators, ARRAY_SIZE(creators));
}

static int virtio_slot(struct machine *machine, unsigned index, struct machine_slot *slot)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);

	if (index >= RISCV_VIRTIO_SLOTS || RISCV_IRQ_VIRTIO + index >= priv->irq_count)
		return -ENOSPC;
	*slot = (struct machine_slot){
		.base = RISCV_VIRTIO_BASE + index * RISCV_VIRTIO_STRIDE,
		.size_bytes = RISCV_VIRTIO_STRIDE,
		.irq = machine_line(machine, RISCV_IRQ_VIRTIO + index),
	};
	slot->irq.edge = priv->aia;
	priv->virtio_slots = MAX(priv->virtio_slots, index + 1);
	return 0;
}

// Generous: a hart's node takes under 1 KiB, a device's under 256 bytes.
static size_t tree_room_bytes(const struct machine *machine)
{
	return 64 * KIB + machine->vcpus->count * 2 * KIB +
	       riscv_machine_priv(machine)->virtio_slots * 512;
}
static_assert(64 * KIB + RISCV_MAX_HARTS * 2 * KIB + RISCV_VIRTIO_SLOTS * 512 <=
		      BOOT_TREE_MAX_BYTES,
	      "Linux could not map the device tree of the largest machine");

static int load(struct machine *machine)
{
	struct boot_source source = {
		.config = machine->config,
		.kernel = machine->kernel,
		.memory = machine->memory,
		.ram_base_gpa = RISCV_RAM_BASE,
		.linux_line_size = LINUX_LINE_SIZE,
		.tree_room_bytes = tree_room_bytes(machine),
		.write_tree = riscv_fdt_write,
		.opaque = machine,
	};
	struct riscv_machine *priv = riscv_machine_priv(machine);

	priv->sbi = (struct sbi){
		.memory = machine->memory,
		.term = machine->term,
		.vcpus = machine->vcpus,
		.riscv = machine->accel->ops->riscv,
	};
	if (priv->aia) {
		// All devices are there now.
		int rc = aia_start(priv->aia, riscv_irqs_in_use(priv) - 1);

		if (rc)
			return rc;
	}
	return boot_load(&priv->boot, &source);
}

static const void *device_tree(struct machine *machine, size_t *size_bytes)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);

	*size_bytes = priv->boot.fdt_bytes;
	return priv->boot.fdt;
}

// riscv/boot.rst: a0 is the hart, a1 the device tree; others wait for HSM.
static int reset_vcpu(struct machine *machine, struct vcpu *vcpu)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);

	return machine->accel->ops->riscv->reset(vcpu, vcpu->index == 0, priv->boot.entry_gpa,
						 vcpu->index, priv->boot.fdt_gpa);
}

static void reset(struct machine *machine)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);

	if (priv->aia)
		aia_reset(priv->aia);
	else
		plic_reset(priv->plic);
}

static enum vcpu_exit guest_call(struct machine *machine, struct vcpu *vcpu,
				 struct guest_call *call)
{
	return sbi_call(&riscv_machine_priv(machine)->sbi, vcpu, call);
}

static void free_machine(struct machine *machine)
{
	struct riscv_machine *priv = riscv_machine_priv(machine);

	if (!priv)
		return;
	plic_free(priv->plic);
	aia_free(priv->aia);
	boot_exit(&priv->boot);
	free(priv);
	machine->irqchip = NULL;
	machine->priv = NULL;
}

const struct machine_ops riscv_machine = {
	.name = "riscv64",
	.arch = IMAGE_ARCH_RISCV64,
	.probe = probe,
	.layout = layout,
	.init_irqchip = init_irqchip,
	.add_platform_devices = add_platform_devices,
	.virtio_slot = virtio_slot,
	.load = load,
	.device_tree = device_tree,
	.reset_vcpu = reset_vcpu,
	.reset = reset,
	.guest_call = guest_call,
	.free = free_machine,
};
