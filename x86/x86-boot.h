// SPDX-License-Identifier: GPL-2.0-or-later
// What a kernel finds in RAM when it starts: the description of the machine that a boot
// loader makes, in Linux's form or PVH's; private to x86/.
//
// Main thread, vCPUs stopped.
#ifndef KVIK_X86_X86_BOOT_H
#define KVIK_X86_X86_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"
#include "x86-accel.h"

struct image;
struct memory;
struct vm_config;

// COMMAND_LINE_SIZE of Linux's arch/x86.
#define X86_LINUX_LINE_SIZE 2048

// Types of memory as in E820 and PVH alike (ACPI 6.4 15.1).
enum { X86_RANGE_RAM = 1, X86_RANGE_RESERVED = 2, X86_RANGE_ACPI = 3 };

struct x86_range {
	uint64_t base_gpa;
	uint64_t size_bytes;
	uint32_t type;
};

#define X86_MAX_RANGES 16

struct x86_boot {
	const struct image *kernel;
	uint64_t entry_gpa;
	bool pvh;
	const char *command_line;
	uint64_t initrd_gpa;
	uint64_t initrd_bytes; // 0: there is none
	struct x86_range ranges[X86_MAX_RANGES];
	unsigned range_count;
};

// boot.c: fills in the memory map: by address, without overlaps. Returns 0, or -ENOSPC
// after a message.
int x86_boot_map(struct x86_boot *boot, const struct memory *mem) MUST_CHECK;
// Writes everything below 1 MiB but the ACPI tables, and says how the first vCPU
// begins. Returns 0 or -errno after a message.
int x86_boot_write(const struct x86_boot *boot, struct memory *mem, struct x86_entry *entry)
	MUST_CHECK;

// linux.c: boot_params, and pvh.c: hvm_start_info. As x86_boot_write(), which calls
// the one that the kernel wants.
int x86_linux_write(const struct x86_boot *boot, struct memory *mem) MUST_CHECK;
int x86_pvh_write(const struct x86_boot *boot, struct memory *mem) MUST_CHECK;

// cmdline.c: the command line, as bootargs_build(); for a kernel that is told not to use
// ACPI, with the first @virtio_slots virtio devices.
int x86_cmdline_build(const struct vm_config *config, unsigned virtio_slots, char *text,
		      size_t size) MUST_CHECK;

#endif
