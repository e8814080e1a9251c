// SPDX-License-Identifier: GPL-2.0-or-later
// The x86-64 machine: memory map, ports, interrupts, reset.
//
//  0x0_0000_0000 +------------------------+
//                | RAM                    |  the first 640 KiB:
//                |  0x00500  GDT          |
//                |  0x06000  PVH's info   |
//                |  0x07000  boot_params  |
//                |  0x09000  page tables  |
//                |  0x20000  command line |
//  0x0_0009_fc00 +------------------------+
//                | RAM, reserved in E820  |
//                |  0xe0000  ACPI tables  |
//                |  0xffff0  reset vector |
//  0x0_0010_0000 +------------------------+
//                | RAM: kernel, initrd    |  up to 3 GiB
//  0x0_c000_0000 +------------------------+
//                | nothing                |
//  0x0_d000_0000 | virtio-mmio            |  256 slots of 4 KiB
//                | nothing                |
//  0x0_e000_0000 | kept for PCI           |  256 MiB: configuration space
//  0x0_fec0_0000 | I/O APIC               |
//  0x0_fee0_0000 | local APICs            |
//  0x0_fffb_c000 | kept for KVM           |  16 KiB: for CPUs without real mode
//  0x1_0000_0000 +------------------------+
//                | RAM                    |  what did not fit below 3 GiB
//                +------------------------+
//
//  0x060 0x064   8042 (reset line)         0x3f8 0x2f8 0x3e8 0x2e8   COM1 to COM4
//  0x070 0x071   MC146818                  0x600   ACPI: sleep, reset
//  0x020 0x0a0 0x4d0   8259s, 0x040 8254: in KVM      0xcf9   reset control
//  (neither with --irqchip split, whose I/O APIC is ioapic.c)
//
// There is no firmware: the first vCPU starts at the kernel's 64-bit or PVH entry, the
// others wait for INIT and SIPI.
//
// virtio devices get the interrupts that no other device has, below 16 first: a kernel
// without ACPI (acpi=off) knows only the 8259s. From the 17th device on they share
// them. That is sound because all are level-triggered.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"
#include "ioapic.h"
#include "log.h"
#include "memory.h"
#include "vm-config.h"
#include "x86-machine.h"

// -- what can be had --

static int check_irqchip(const struct vm_config *config)
{
	static const char *const kinds[] = { "auto", "kernel", "split" };

	if (!config->irqchip)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(config->irqchip, kinds[i]) == 0)
			return 0;
	return fail_msg(EINVAL, "--irqchip %s: an x86-64 machine has auto, kernel or split",
			config->irqchip);
}

static bool is_split(const struct vm_config *config)
{
	return config->irqchip && strcmp(config->irqchip, "split") == 0;
}

static int probe(const struct vm_config *config, const struct accel_ops *accel)
{
	if (!accel->x86)
		return fail_msg(ENOTSUP,
				"accelerator %s does not run x86-64 guests; try --accel kvm",
				accel->name);
	if (!config->cpus || config->cpus > X86_MAX_CPUS)
		return fail_msg(EINVAL, "-c %u: an x86-64 machine has 1 to %u CPUs", config->cpus,
				X86_MAX_CPUS);
	if (config->memory_bytes < X86_RAM_MIN_BYTES || config->memory_bytes > X86_RAM_MAX_BYTES)
		return fail_msg(EINVAL,
				"-m: %" PRIu64 " MiB; an x86-64 machine has %llu MiB to %llu GiB",
				config->memory_bytes / (uint64_t)MIB, X86_RAM_MIN_BYTES / MIB,
				X86_RAM_MAX_BYTES / GIB);
	if (config->dump_dtb_path)
		return fail_msg(EINVAL, "--dump-dtb: an x86-64 guest has no device tree");
	if (is_split(config) && !accel->x86->send_message)
		return fail_msg(ENOTSUP, "--irqchip split: accelerator %s has no such",
				accel->name);
	return check_irqchip(config);
}

static int layout(struct machine *machine)
{
	uint64_t size_bytes = align_down(machine->config->memory_bytes, 4 * KIB);
	uint64_t low_bytes = MIN(size_bytes, X86_RAM_GAP_BASE);
	struct x86_machine *priv = calloc(1, sizeof(*priv));
	int rc;

	if (!priv)
		return fail(ENOMEM, "make the x86-64 machine");
	priv->initrd_fd = -1;
	pthread_mutex_init(&priv->irqchip.lock, NULL);
	machine->priv = priv;
	rc = memory_add_ram(machine->memory, 0, low_bytes);
	if (!rc && size_bytes > low_bytes)
		rc = memory_add_ram(machine->memory, X86_RAM_HIGH_BASE, size_bytes - low_bytes);
	return rc;
}

// -- interrupts --

// Not a serial port's, the clock's, the power button's, nor one that an 8259 keeps for itself (0,
// 2) or that old kernels take for the FPU's (13).
// Beyond so many slots several share one. They take edges, which cost a guest less
// (virtio/device.c).
static const uint8_t virtio_gsis[] = { 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22 };

#define LEVEL_GSIS (1U << X86_GSI_SERIAL_ODD | 1U << X86_GSI_SERIAL_EVEN)

static void set_gsi(struct x86_irqchip *irqchip, unsigned gsi, bool high)
{
	if (irqchip->ioapic)
		ioapic_set_pin(irqchip->ioapic, gsi, high);
	else
		irqchip->accel->ops->x86->set_gsi(irqchip->accel, gsi, high);
}

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
	struct x86_irqchip *irqchip = container_of(chip, struct x86_irqchip, chip);

	pthread_mutex_lock(&irqchip->lock);
	if (irqchip->high[number] != high)
		set_gsi(irqchip, number, high);
	irqchip->high[number] = high;
	pthread_mutex_unlock(&irqchip->lock);
}

// With the lock: a device's edge while another's level is still high would be none.
static void pulse(struct irqchip *chip, unsigned number)
{
	struct x86_irqchip *irqchip = container_of(chip, struct x86_irqchip, chip);

	pthread_mutex_lock(&irqchip->lock);
	set_gsi(irqchip, number, true);
	set_gsi(irqchip, number, false);
	pthread_mutex_unlock(&irqchip->lock);
}

static void interrupt_ended(void *opaque, uint8_t vector)
{
	ioapic_end_of_interrupt(opaque, vector);
}

static int add_ioapic(struct machine *machine)
{
	const struct x86_accel_ops *x86 = machine->accel->ops->x86;
	struct device *ioapic;
	int rc = ioapic_create(&ioapic, X86_IOAPIC_BASE, machine->accel);

	if (!rc)
		rc = device_list_add(machine->devices, machine->mmio, ioapic);
	if (rc)
		return rc;
	x86_machine_priv(machine)->irqchip.ioapic = ioapic;
	x86->on_end(machine->accel, interrupt_ended, ioapic);
	return 0;
}

// The kernel knows the inputs of its own I/O APIC only.
static int pulse_by(struct irqchip *chip, unsigned number, int event_fd)
{
	struct x86_irqchip *irqchip = container_of(chip, struct x86_irqchip, chip);

	if (irqchip->ioapic || !irqchip->accel->ops->irq_fd)
		return -ENOTSUP;
	return irqchip->accel->ops->irq_fd(irqchip->accel, number, event_fd);
}

static int reset_chips(struct machine *machine)
{
	// That of our own is a device among the others.
	if (x86_machine_priv(machine)->irqchip.ioapic)
		return 0;
	return machine->accel->ops->x86->reset_irqchip(machine->accel, LEVEL_GSIS);
}

static int init_irqchip(struct machine *machine)
{
	static const struct irqchip_ops ops = {
		.set_line = set_line,
		.pulse = pulse,
		.pulse_by = pulse_by,
	};
	struct x86_irqchip *irqchip = &x86_machine_priv(machine)->irqchip;

	irqchip->chip.ops = &ops;
	irqchip->accel = machine->accel;
	machine->irqchip = &irqchip->chip;
	return is_split(machine->config) ? add_ioapic(machine) : reset_chips(machine);
}

// -- devices --

static const struct {
	uint16_t port;
	uint8_t gsi;
} serial_ports[X86_SERIAL_PORTS] = {
	{ 0x3f8, X86_GSI_SERIAL_ODD },
	{ 0x2f8, X86_GSI_SERIAL_EVEN },
	{ 0x3e8, X86_GSI_SERIAL_ODD },
	{ 0x2e8, X86_GSI_SERIAL_EVEN },
};

uint16_t x86_serial_port(unsigned index)
{
	return serial_ports[index].port;
}

unsigned x86_serial_gsi(unsigned index)
{
	return serial_ports[index].gsi;
}

static int add_serial(struct machine *machine, struct device **dev)
{
	// With another console the port stays, with nothing plugged in.
	struct term *term = machine->config->console == CONSOLE_SERIAL ? machine->term : NULL;

	return serial_port_create(dev, x86_serial_port(0), machine_line(machine, x86_serial_gsi(0)),
				  term);
}

static int add_rtc(struct machine *machine, struct device **dev)
{
	return cmos_rtc_create(dev, X86_RTC_PORT, machine_line(machine, X86_GSI_RTC),
			       machine->loop);
}

static int add_i8042(struct machine *machine, struct device **dev)
{
	return i8042_create(dev, X86_I8042_DATA_PORT, machine->power);
}

static int add_acpi_power(struct machine *machine, struct device **dev)
{
	return acpi_power_create(dev, X86_POWER_PORT, machine->power);
}

static int add_reset_port(struct machine *machine, struct device **dev)
{
	return reset_port_create(dev, X86_RESET_PORT, machine->power);
}

static int add_platform_devices(struct machine *machine)
{
	static int (*const creators[])(struct machine *, struct device **) = {
		add_serial, add_rtc, add_i8042, add_acpi_power, add_reset_port,
	};

	// Where nothing lives, a PC's bus lines float high.
	machine->pio->floating = 0xff;
	machine->mmio->floating = 0xff;
	return machine_add_devices(machine, machine->pio, creators, ARRAY_SIZE(creators));
}

struct x86_virtio_place x86_virtio_place(unsigned index)
{
	return (struct x86_virtio_place){
		.base = X86_VIRTIO_BASE + index * X86_VIRTIO_STRIDE,
		.size_bytes = X86_VIRTIO_STRIDE,
		.gsi = virtio_gsis[index % ARRAY_SIZE(virtio_gsis)],
	};
}

static int virtio_slot(struct machine *machine, unsigned index, struct machine_slot *slot)
{
	struct x86_machine *priv = x86_machine_priv(machine);
	struct x86_virtio_place place = x86_virtio_place(index);

	if (index >= X86_VIRTIO_SLOTS)
		return -ENOSPC;
	*slot = (struct machine_slot){
		.base = place.base,
		.size_bytes = place.size_bytes,
		.irq = machine_line(machine, place.gsi),
	};
	slot->irq.edge = true;
	priv->virtio_slots = MAX(priv->virtio_slots, index + 1);
	return 0;
}

// -- life --

// Linux with hardware-reduced ACPI and no EFI restarts by a jump to the firmware in
// real mode. All that ours does is to write to the reset register.
static int write_reset_vector(struct memory *memory)
{
	enum { RESET = X86_POWER_PORT + ACPI_POWER_RESET };
	// clang-format off
	static const uint8_t code[] = {
		0xba, RESET & 0xff, RESET >> 8, // mov dx, RESET
		0xb0, ACPI_POWER_RESET_VALUE,   // mov al, RESET_VALUE
		0xee,                           // out dx, al
		0xf4,                           // hlt
		0xeb, 0xfd,                     // jmp to the hlt
	};
	// clang-format on

	return memory_write(memory, X86_RESET_VECTOR_GPA, code, sizeof(code));
}

static int load(struct machine *machine)
{
	int rc = x86_load(machine);

	return rc ? rc : write_reset_vector(machine->memory);
}

static const void *device_tree(struct machine *machine, size_t *size_bytes)
{
	*size_bytes = 0;
	return NULL;
}

static int reset_vcpu(struct machine *machine, struct vcpu *vcpu)
{
	struct x86_machine *priv = x86_machine_priv(machine);

	return machine->accel->ops->x86->reset_vcpu(vcpu, vcpu->index == 0 ? &priv->entry : NULL);
}

// The devices have lowered their lines already.
static void reset(struct machine *machine)
{
	if (reset_chips(machine))
		warn("the interrupt controllers could not be reset");
}

static enum vcpu_exit guest_call(struct machine *machine, struct vcpu *vcpu,
				 struct guest_call *call)
{
	return VCPU_EXIT_KICKED; // KVM answers VMCALL itself
}

static void power_button(struct machine *machine)
{
	struct irq_line button = machine_line(machine, X86_GSI_POWER_BUTTON);

	irq_pulse(&button);
}

static void free_machine(struct machine *machine)
{
	struct x86_machine *priv = x86_machine_priv(machine);

	if (!priv)
		return;
	if (priv->initrd_fd >= 0)
		close(priv->initrd_fd);
	pthread_mutex_destroy(&priv->irqchip.lock);
	free(priv);
	machine->irqchip = NULL;
	machine->priv = NULL;
}

const struct machine_ops x86_machine = {
	.name = "x86-64",
	.arch = IMAGE_ARCH_X86_64,
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
	.power_button = power_button,
	.free = free_machine,
};
