// SPDX-License-Identifier: GPL-2.0-or-later
// A guest architecture: memory map, interrupt controller, boot protocol.
//
// One const table for each; vm.c picks one at run time and calls the steps in the
// order in which they stand here. Main thread, vCPUs stopped, unless it says so.
#ifndef KVIK_MACHINE_H
#define KVIK_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "image.h"
#include "irq.h"
#include "power.h"
#include "vcpu.h"

struct bus;
struct loop;
struct memory;
struct term;
struct vm_config;

struct machine_ops;

// The parts of a VM that a machine works on: owned by struct vm.
struct machine {
	const struct machine_ops *ops;
	const struct vm_config *config;
	struct image *kernel;
	struct memory *memory;
	struct bus *mmio;
	struct bus *pio;
	struct accel *accel;
	struct vcpu_set *vcpus;
	struct device_list *devices;
	struct loop *loop; // the main loop
	struct term *term; // console of the serial port and of firmware calls
	struct power_sink power;
	struct irqchip *irqchip; // made by init_irqchip
	void *priv;              // the machine's own
};

// Where the n-th virtio-mmio device goes.
struct machine_slot {
	uint64_t base;
	uint64_t size_bytes;
	struct irq_line irq;
};

struct machine_ops {
	const char *name;
	enum image_arch arch;
	// 0 when this machine can run under @accel with @config, else -errno, logged.
	int (*probe)(const struct vm_config *config, const struct accel_ops *accel);
	// Adds guest RAM to machine->memory.
	int (*layout)(struct machine *machine);
	int (*init_irqchip)(struct machine *machine);
	// Serial port, clock, power control.
	int (*add_platform_devices)(struct machine *machine);
	// Address and interrupt of virtio device number @index; -ENOSPC beyond the last.
	int (*virtio_slot)(struct machine *machine, unsigned index, struct machine_slot *slot);
	// Puts kernel, initrd and device tree into RAM; at start and at every reset.
	int (*load)(struct machine *machine);
	// The device tree that load() made, for --dump-dtb; valid until the next load().
	const void *(*device_tree)(struct machine *machine, size_t *size_bytes);
	int (*reset_vcpu)(struct machine *machine, struct vcpu *vcpu);
	// Resets what is not in machine->devices (the interrupt controller).
	void (*reset)(struct machine *machine);
	// vCPU thread: as struct vcpu_host's.
	enum vcpu_exit (*guest_call)(struct machine *machine, struct vcpu *vcpu,
				     struct guest_call *call);
	// Presses and releases the power button, vCPUs running or not; NULL: the machine has
	// none of its own, and the VM makes one on virtio.
	void (*power_button)(struct machine *machine);
	void (*free)(struct machine *machine); // after the devices
};

// -- for the machines themselves --

static inline struct irq_line machine_line(const struct machine *machine, unsigned number)
{
	return (struct irq_line){ machine->irqchip, number };
}

// Makes devices, in that order, and puts them on @bus. 0 or -errno after a message.
static inline int machine_add_devices(struct machine *machine, struct bus *bus,
				      int (*const makers[])(struct machine *, struct device **),
				      unsigned count)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < count; i++) {
		struct device *dev;

		rc = makers[i](machine, &dev);
		if (!rc)
			rc = device_list_add(machine->devices, bus, dev);
	}
	return rc;
}

// riscv_machine is in every build; the others where KVM can run their guests.
extern const struct machine_ops arm_machine;
extern const struct machine_ops riscv_machine;
extern const struct machine_ops x86_machine;

#endif
