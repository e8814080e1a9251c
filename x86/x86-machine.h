// SPDX-License-Identifier: GPL-2.0-or-later
// The x86-64 machine's memory map and the state its parts share; private to x86/.
#ifndef KVIK_X86_X86_MACHINE_H
#define KVIK_X86_X86_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw.h"
#include "irq.h"
#include "machine.h"
#include "util.h"
#include "x86-accel.h"

// The map; its picture stands at the head of machine.c. First what load() puts into
// the lowest MiB of RAM.
#define X86_GDT_GPA 0x0500ULL
#define X86_PVH_INFO_GPA 0x6000ULL    // hvm_start_info, modules and memory map
#define X86_BOOT_PARAMS_GPA 0x7000ULL // the "zero page"
#define X86_BOOT_STACK_GPA 0x8ff0ULL  // grows down
#define X86_PAGE_TABLES_GPA 0x9000ULL // PML4, PDPT, four page directories: 4 GiB
#define X86_CMDLINE_GPA 0x20000ULL
#define X86_LOW_RAM_END 0x9fc00ULL // where E820's first range of RAM ends
#define X86_ACPI_GPA 0xe0000ULL    // RSDP first: firmware area that old kernels search
#define X86_ACPI_BYTES 0x1f000ULL
#define X86_RESET_VECTOR_GPA 0xffff0ULL // where real-mode code jumps for a reset
#define X86_KERNEL_GPA 0x100000ULL

#define X86_RAM_GAP_BASE 0xc0000000ULL // RAM below it, then
#define X86_RAM_HIGH_BASE (4 * GIB)    // the rest from here
#define X86_VIRTIO_BASE 0xd0000000ULL
#define X86_VIRTIO_STRIDE 0x1000ULL
#define X86_VIRTIO_SLOTS 256
#define X86_ECAM_BASE 0xe0000000ULL // kept for PCI: 256 MiB
#define X86_IOAPIC_BASE 0xfec00000ULL
#define X86_LAPIC_BASE 0xfee00000ULL

#define X86_RAM_MIN_BYTES (16 * MIB)
// What the narrowest CPUs in use can address, 39 bits, less the gap.
#define X86_RAM_MAX_BYTES ((1ULL << 39) - GIB)

// Ports.
#define X86_POWER_PORT 0x600 // ACPI: sleep control, sleep status, reset; hw.h
#define X86_I8042_DATA_PORT 0x60
#define X86_I8042_PORT 0x64
#define X86_RTC_PORT 0x70
#define X86_SERIAL_PORTS 4
#define X86_RESET_PORT 0xcf9

// Inputs of the I/O APIC (GSIs); the first 16 are the ISA interrupts as well.
enum {
	X86_GSI_SERIAL_ODD = 4,  // COM1 and COM3
	X86_GSI_SERIAL_EVEN = 3, // COM2 and COM4
	X86_GSI_RTC = 8,
	X86_GSI_POWER_BUTTON = 23, // an edge is a press
	X86_GSI_COUNT = 24
};

#define X86_MAX_CPUS 64
#define X86_IOAPIC_ID 0xff // the vCPUs' APIC ids are their indices

struct x86_irqchip {
	struct irqchip chip;
	struct accel *accel;
	struct device *ioapic; // in user space, owned by the device list; NULL: KVM's
	pthread_mutex_t lock;  // a leaf; makes an edge one thing, and guards the rest
	bool high[X86_GSI_COUNT];
};

struct x86_machine {
	struct x86_irqchip irqchip;
	unsigned virtio_slots;  // handed out so far
	int initrd_fd;          // -1: not opened
	struct x86_entry entry; // filled in by load()
};

static inline struct x86_machine *x86_machine_priv(const struct machine *machine)
{
	return machine->priv;
}

// Address, size and GSI of the virtio device in slot @index, for ACPI and the command
// line.
struct x86_virtio_place {
	uint64_t base;
	uint64_t size_bytes;
	unsigned gsi;
};
struct x86_virtio_place x86_virtio_place(unsigned index);
// Base port and GSI of serial port @index, of X86_SERIAL_PORTS.
uint16_t x86_serial_port(unsigned index);
unsigned x86_serial_gsi(unsigned index);

// load.c: as machine_ops.load; fills in priv->entry, for which it also writes GDT and
// page tables.
int x86_load(struct machine *machine) MUST_CHECK;

#endif
