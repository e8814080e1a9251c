// SPDX-License-Identifier: GPL-2.0-or-later
// What the x86-64 machine needs of an accelerator beyond struct accel_ops.
#ifndef KVIK_X86_ACCEL_H
#define KVIK_X86_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct accel;
struct cpu_view_ops;
struct vcpu;

// Selectors of the GDT that an entry finds (Documentation/arch/x86/boot.rst, 64-bit
// boot protocol): __BOOT_CS and __BOOT_DS.
#define X86_BOOT_CS 0x10
#define X86_BOOT_DS 0x18

// How the first vCPU begins: flat segments, interrupts off.
struct x86_entry {
	// True: 64-bit mode, paging on with @cr3. False: 32-bit protected mode, paging
	// off, as PVH has it (xen/include/public/arch-x86/hvm/start_info.h).
	bool long_mode;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rbx; // PVH: start info
	uint64_t rsi; // Linux: boot_params
	uint64_t cr3; // root of the page tables, of 4 levels
	uint64_t gdt_gpa;
	uint16_t gdt_bytes;
};

// A message to the local APICs (SDM vol. 3A, 11.11). An @address of 0: none.
struct x86_message {
	uint64_t address;
	uint32_t data;
};

struct x86_accel_ops {
	// Everything as after power on; then at @entry, or, with NULL, waiting for INIT
	// and SIPI. Main thread, vCPUs stopped.
	int (*reset_vcpu)(struct vcpu *vcpu, const struct x86_entry *entry);
	// Interrupt controllers and timer chip as after power on; the lines in
	// @level_gsis (bit n: GSI n) are level-triggered at the 8259s, too. Main thread,
	// vCPUs stopped.
	int (*reset_irqchip)(struct accel *accel, uint32_t level_gsis);
	// Drives an input of the I/O APIC and, below 16, of the 8259s. Any thread.
	void (*set_gsi)(struct accel *accel, unsigned gsi, bool high);

	// -- for an I/O APIC of the machine's own: NULL where it cannot be had; in place of
	// the two above, and chosen by vm_config.irqchip, "split" --

	// Any thread.
	void (*send_message)(struct accel *accel, struct x86_message message);
	// The level-triggered ones of the @count inputs, whose ends are to be told; any
	// thread.
	void (*set_levels)(struct accel *accel, const struct x86_message *levels, unsigned count);
	// Who is told of them, with the vector; on a vCPU's thread. Main thread.
	void (*on_end)(struct accel *accel, void (*ended)(void *opaque, uint8_t vector),
		       void *opaque);
};

extern const struct cpu_view_ops x86_view_ops; // paging.c

#endif
