// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes what an x86-64 guest reaches besides virtio: the ports of a PC, and interrupt
// lines.
//
// The input is a script of 12-byte steps; its size says whose I/O APIC there is.

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../x86/x86-machine.h"
#include "bus.h"
#include "fuzz-machine.h"
#include "loop.h"
#include "memory.h"
#include "vm-config.h"

#define RAM_BYTES (16 * MIB)

// -- an accelerator that checks what reaches it --

struct rig {
	struct vm_config config;
	struct term term;
	struct memory memory;
	struct bus mmio;
	struct bus pio;
	struct accel accel;
	struct vcpu vcpu;
	struct vcpu_set set;
	struct device_list devices;
	struct loop loop;
	struct machine machine;
	bool levels[X86_GSI_COUNT];
	void (*ended)(void *opaque, uint8_t vector); // NULL: KVM's I/O APIC
	void *ended_opaque;
};

static int reset_vcpu(struct vcpu *vcpu, const struct x86_entry *entry)
{
	return 0;
}

static int reset_irqchip(struct accel *accel, uint32_t level_gsis)
{
	return 0;
}

static void set_gsi(struct accel *accel, unsigned gsi, bool high)
{
	struct rig *rig = container_of(accel, struct rig, accel);

	if (gsi >= X86_GSI_COUNT || rig->levels[gsi] == high)
		abort();
	rig->levels[gsi] = high;
}

static void send_message(struct accel *accel, struct x86_message message)
{
	if (message.address >> 20 != 0xfee)
		abort();
}

static void set_levels(struct accel *accel, const struct x86_message *levels, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (levels[i].address && levels[i].address >> 20 != 0xfee)
			abort();
}

static void on_end(struct accel *accel, void (*ended)(void *opaque, uint8_t vector), void *opaque)
{
	struct rig *rig = container_of(accel, struct rig, accel);

	rig->ended = ended;
	rig->ended_opaque = opaque;
}

static const struct x86_accel_ops x86_ops = {
	.reset_vcpu = reset_vcpu,
	.reset_irqchip = reset_irqchip,
	.set_gsi = set_gsi,
	.send_message = send_message,
	.set_levels = set_levels,
	.on_end = on_end,
};
static const struct accel_ops accel_ops = { .name = "fuzz", .x86 = &x86_ops };

// -- the machine around it --

static void init_rig(struct rig *rig, bool split)
{
	rig->config = (struct vm_config){
		.memory_bytes = RAM_BYTES,
		.cpus = 1,
		.irqchip = split ? "split" : "kernel",
	};
	rig->accel.ops = &accel_ops;
	rig->set = (struct vcpu_set){ .vcpus = &rig->vcpu, .count = 1, .accel = &rig->accel };
	memory_init(&rig->memory);
	bus_init(&rig->mmio);
	bus_init(&rig->pio);
	if (loop_init(&rig->loop))
		abort();
	rig->machine = (struct machine){
		.ops = &x86_machine,
		.config = &rig->config,
		.memory = &rig->memory,
		.mmio = &rig->mmio,
		.pio = &rig->pio,
		.accel = &rig->accel,
		.vcpus = &rig->set,
		.devices = &rig->devices,
		.loop = &rig->loop,
		.term = &rig->term,
		.power = { .request = request_power },
	};
	if (x86_machine.layout(&rig->machine) || x86_machine.init_irqchip(&rig->machine) ||
	    x86_machine.add_platform_devices(&rig->machine))
		abort();
}

static void exit_rig(struct rig *rig)
{
	device_list_free(&rig->devices);
	x86_machine.free(&rig->machine);
	loop_exit(&rig->loop);
	bus_exit(&rig->pio);
	bus_exit(&rig->mmio);
	memory_exit(&rig->memory);
}

// -- the script --

static void access_port(struct rig *rig, const struct step *step)
{
	static const uint16_t ports[] = { 0x60, 0x64, 0x70, 0x71, 0x3f8, 0x3fa, 0x600, 0xcf9 };
	uint64_t port = ports[step->choice % ARRAY_SIZE(ports)] + step->offset % 4;
	unsigned size = 1U << (step->op >> 6);
	uint64_t data = step->value;
	int rc;

	if (step->op & 8)
		size = 1; // what they all take
	rc = step->op & 1 ? bus_write(&rig->pio, port, &data, size) :
			    bus_read(&rig->pio, port, &data, size);
	if (rc && rc != -ENXIO)
		abort();
}

// The clock alone: a register of it, whatever was selected before.
static void access_clock(struct rig *rig, const struct step *step)
{
	uint8_t index = step->offset, data = step->value;

	if (bus_write(&rig->pio, X86_RTC_PORT, &index, 1))
		abort();
	if (step->choice & 1 ? bus_write(&rig->pio, X86_RTC_PORT + 1, &data, 1) :
			       bus_read(&rig->pio, X86_RTC_PORT + 1, &data, 1))
		abort();
}

static void drive_line(struct rig *rig, const struct step *step)
{
	unsigned gsi = x86_virtio_place(step->offset % X86_VIRTIO_SLOTS).gsi;
	struct irq_line line = { rig->machine.irqchip, gsi, .edge = true };

	irq_pulse(&line);
	if (!rig->ended && rig->levels[gsi])
		abort();
}

// An I/O APIC of our own: registers, and the end of an interrupt.
static void use_ioapic(struct rig *rig, const struct step *step)
{
	uint32_t select = step->offset % 0x44, value = step->value;

	if (!rig->ended)
		return;
	if (step->choice & 1) {
		rig->ended(rig->ended_opaque, step->value);
		return;
	}
	if (bus_write(&rig->mmio, X86_IOAPIC_BASE, &select, 4) ||
	    bus_write(&rig->mmio, X86_IOAPIC_BASE + 0x10, &value, 4) ||
	    bus_read(&rig->mmio, X86_IOAPIC_BASE + 0x10, &value, 4))
		abort();
}

static void run_step(struct rig *rig, const struct step *step)
{
	switch (step->op % 8) {
	default: // three eighths of all steps
		access_port(rig, step);
		break;
	case 3:
		use_ioapic(rig, step);
		break;
	case 4:
		drive_line(rig, step);
		break;
	case 5:
		access_clock(rig, step);
		break;
	case 6:
		use_terminal(&rig->term, step);
		break;
	case 7:
		loop_stop(&rig->loop);
		loop_run(&rig->loop);
		if (step->choice == 0xff)
			device_list_reset(&rig->devices);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig = { 0 };

	init_rig(&rig, size % 2);
	run_script(&rig, run_step, data, size);
	exit_rig(&rig);
	return 0;
}
