// SPDX-License-Identifier: GPL-2.0-or-later
// The arm64 machine: memory map, parts, reset.
//
//  0x00_0000_0000 +-----------------------+
//                 | nothing               |  a null pointer finds no device
//  0x00_0010_1000 | RTC                   |  4 KiB: PL031
//                 | nothing               |
//  0x00_0100_0000 | stolen time           |  64 KiB of RAM, 64 bytes of it a vCPU
//                 | nothing               |
//  0x00_0800_0000 | GIC distributor       |  64 KiB (GICv2: 4 KiB)
//  0x00_0801_0000 | GICv2 CPU interface   |  8 KiB
//                 | nothing               |
//  0x00_0808_0000 | GICv3 ITS             |  128 KiB
//                 | nothing               |
//  0x00_0810_0000 | GICv3 redistributors  |  128 KiB a vCPU, at most 64 MiB
//  0x00_0c10_0000 | nothing               |
//  0x00_1000_0000 | UART                  |  256 bytes: 16550A
//  0x00_1000_1000 | virtio-mmio           |  512 slots of 4 KiB
//  0x00_1020_1000 | nothing               |
//  0x00_3000_0000 | kept for PCI          |  256 MiB: configuration space
//  0x00_4000_0000 | kept for PCI          |  1 GiB: 32-bit BARs
//  0x00_8000_0000 +-----------------------+
//                 | RAM                   |  up to what the host's CPU can address
//                 |  + text_offset kernel |  where its header asks for it
//                 |             initrd    |  next 2 MiB boundary after all of the kernel
//                 |             FDT       |  next 2 MiB boundary after that
//                 +-----------------------+
//
// vCPU 0 starts in EL1 at the kernel's entry, the others when PSCI's CPU_ON says so;
// PSCI is answered by the accelerator.
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "arm-machine.h"
#include "log.h"
#include "memory.h"
#include "vm-config.h"

// COMMAND_LINE_SIZE of Linux's arch/arm64; it drops the rest without a word.
#define LINUX_LINE_SIZE 2048

// SVE vector lengths (Arm ARM, A1.4): multiples of 128 bits, up to 2048.
#define SVE_VL_UNIT_BITS 128
#define SVE_VL_MAX_BITS 2048

static_assert(ARM_GIC_REDIST_BASE + ARM_MAX_CPUS * ARM_GICV3_REDIST_BYTES <= ARM_SERIAL_BASE,
	      "the redistributors reach into the next device");
static_assert(ARM_MAX_CPUS * ARM_STOLEN_TIME_STRIDE <= ARM_STOLEN_TIME_BYTES,
	      "no stolen time for the last vCPU");
static_assert(ARM_IRQ_VIRTIO + ARM_VIRTIO_SLOTS <= 992, "KVM's GICs end there");

static int check_memory(const struct vm_config *config)
{
	if (config->memory_bytes >= ARM_RAM_MIN_BYTES && config->memory_bytes <= ARM_RAM_MAX_BYTES)
		return 0;
	return fail_msg(EINVAL, "-m: %" PRIu64 " MiB; an arm64 machine has %llu MiB to %llu GiB",
			config->memory_bytes / (uint64_t)MIB, ARM_RAM_MIN_BYTES / MIB,
			ARM_RAM_MAX_BYTES / GIB);
}

static int check_sve(const struct vm_config *config)
{
	unsigned bits = config->sve_max_vl;

	if (bits % SVE_VL_UNIT_BITS == 0 && bits <= SVE_VL_MAX_BITS)
		return 0;
	return fail_msg(EINVAL,
			"--sve-max-vl %u: is not a vector length; give a multiple of 128 bits, "
			"up to 2048",
			bits);
}

static int probe(const struct vm_config *config, const struct accel_ops *accel)
{
	int rc;

	if (!accel->arm)
		return fail_msg(ENOTSUP,
				"accelerator %s does not run arm64 guests; try --accel kvm",
				accel->name);
	if (!config->cpus || config->cpus > ARM_MAX_CPUS)
		return fail_msg(EINVAL, "-c %u: an arm64 machine has 1 to %u vCPUs", config->cpus,
				ARM_MAX_CPUS);
	rc = check_memory(config);
	if (!rc)
		rc = check_sve(config);
	if (!rc)
		rc = arm_irqchip_check(config->irqchip, config->cpus);
	return rc;
}

// Here, where the kernel is first known beside the options.
static int check_kernel(const struct machine *machine)
{
	bool is_32bit = machine->kernel->kind == IMAGE_KIND_ARM_ZIMAGE;

	if (is_32bit && !machine->config->aarch32)
		return fail_msg(EINVAL, "%s: is a 32-bit kernel; give --aarch32",
				machine->config->kernel_path);
	if (!is_32bit && machine->config->aarch32)
		return fail_msg(EINVAL, "--aarch32: %s is no 32-bit kernel (zImage)",
				machine->config->kernel_path);
	return 0;
}

static int layout(struct machine *machine)
{
	struct arm_machine *priv;
	int rc = check_kernel(machine);

	if (rc)
		return rc;
	priv = calloc(1, sizeof(*priv));
	if (!priv)
		return fail(ENOMEM, "make the arm64 machine");
	boot_init(&priv->boot);
	machine->priv = priv;
	rc = memory_add_ram(machine->memory, ARM_RAM_BASE,
			    align_down(machine->config->memory_bytes, 4 * KIB));
	// RAM for the accelerator, but not in the tree's /memory: a guest has no other use
	// for it.
	if (!rc && !machine->config->no_pvtime)
		rc = memory_add_ram(machine->memory, ARM_STOLEN_TIME_BASE, ARM_STOLEN_TIME_BYTES);
	return rc;
}

static int set_stolen_times(struct machine *machine)
{
	for (unsigned i = 0; i < machine->vcpus->count; i++) {
		int rc = machine->accel->ops->arm->set_stolen_time(
			&machine->vcpus->vcpus[i],
			ARM_STOLEN_TIME_BASE + i * ARM_STOLEN_TIME_STRIDE);

		if (rc)
			return rc;
	}
	return 0;
}

static int init_irqchip(struct machine *machine)
{
	int rc = machine->config->no_pvtime ? 0 : set_stolen_times(machine);

	return rc ? rc : arm_irqchip_create(machine);
}

static int add_serial(struct machine *machine, struct device **dev)
{
	// With another console the port stays, with nothing plugged in.
	struct term *term = machine->config->console == CONSOLE_SERIAL ? machine->term : NULL;

	return serial_create(dev, ARM_SERIAL_BASE, machine_line(machine, ARM_IRQ_SERIAL), term);
}

static int add_rtc(struct machine *machine, struct device **dev)
{
	return pl031_create(dev, ARM_RTC_BASE, machine_line(machine, ARM_IRQ_RTC), machine->loop,
			    ARM_CLOCK_PHANDLE);
}

static int add_platform_devices(struct machine *machine)
{
	static int (*const creators[])(struct machine *, struct device **) = {
		add_serial,
		add_rtc,
	};

	return machine_add_devices(machine, machine->mmio, creators, ARRAY_SIZE(creators));
}

static int virtio_slot(struct machine *machine, unsigned index, struct machine_slot *slot)
{
	struct arm_machine *priv = arm_machine_priv(machine);

	if (index >= ARM_VIRTIO_SLOTS)
		return -ENOSPC;
	*slot = (struct machine_slot){
		.base = ARM_VIRTIO_BASE + index * ARM_VIRTIO_STRIDE,
		.size_bytes = ARM_VIRTIO_STRIDE,
		.irq = machine_line(machine, ARM_IRQ_VIRTIO + index),
	};
	slot->irq.edge = priv->irqchip.kind != ARM_GIC_USER;
	priv->virtio_slots = MAX(priv->virtio_slots, index + 1);
	return 0;
}

// Generous: a vCPU's node takes under 256 bytes, a device's too.
static size_t tree_room_bytes(const struct machine *machine)
{
	return 64 * KIB + machine->vcpus->count * 512 +
	       arm_machine_priv(machine)->virtio_slots * 512;
}
static_assert(64 * KIB + ARM_MAX_CPUS * 512 + ARM_VIRTIO_SLOTS * 512 <= BOOT_TREE_MAX_BYTES,
	      "Linux could not map the device tree of the largest machine");

static int load(struct machine *machine)
{
	struct arm_machine *priv = arm_machine_priv(machine);
	struct boot_source source = {
		.config = machine->config,
		.kernel = machine->kernel,
		.memory = machine->memory,
		.ram_base_gpa = ARM_RAM_BASE,
		.linux_line_size = LINUX_LINE_SIZE,
		.tree_room_bytes = tree_room_bytes(machine),
		.write_tree = arm_fdt_write,
		.opaque = machine,
	};
	int rc = arm_irqchip_start(machine, ARM_IRQ_VIRTIO + priv->virtio_slots);

	return rc ? rc : boot_load(&priv->boot, &source);
}

static const void *device_tree(struct machine *machine, size_t *size_bytes)
{
	struct arm_machine *priv = arm_machine_priv(machine);

	*size_bytes = priv->boot.fdt_bytes;
	return priv->boot.fdt;
}

static int reset_vcpu(struct machine *machine, struct vcpu *vcpu)
{
	struct arm_machine *priv = arm_machine_priv(machine);

	return machine->accel->ops->arm->reset(vcpu, vcpu->index == 0, priv->boot.entry_gpa,
					       priv->boot.fdt_gpa);
}

// PSCI never leaves the accelerator, and there is no other call to make.
static enum vcpu_exit guest_call(struct machine *machine, struct vcpu *vcpu,
				 struct guest_call *call)
{
	call->ret[0] = UINT64_MAX; // SMCCC 1.2, 7.2: unknown function
	return VCPU_EXIT_KICKED;
}

static void power_button(struct machine *machine)
{
	struct irq_line button = machine_line(machine, ARM_IRQ_POWER_BUTTON);

	irq_pulse(&button);
}

static void free_machine(struct machine *machine)
{
	struct arm_machine *priv = arm_machine_priv(machine);

	if (!priv)
		return;
	arm_irqchip_free(machine);
	boot_exit(&priv->boot);
	free(priv);
	machine->irqchip = NULL;
	machine->priv = NULL;
}

const struct machine_ops arm_machine = {
	.name = "arm64",
	.arch = IMAGE_ARCH_ARM64,
	.probe = probe,
	.layout = layout,
	.init_irqchip = init_irqchip,
	.add_platform_devices = add_platform_devices,
	.virtio_slot = virtio_slot,
	.load = load,
	.device_tree = device_tree,
	.reset_vcpu = reset_vcpu,
	.reset = arm_irqchip_reset,
	.guest_call = guest_call,
	.power_button = power_button,
	.free = free_machine,
};
