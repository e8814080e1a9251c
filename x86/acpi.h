// SPDX-License-Identifier: GPL-2.0-or-later
// The ACPI tables of the x86-64 machine; private to x86/.
#ifndef KVIK_X86_ACPI_H
#define KVIK_X86_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct device_list;

// What the tables tell of. The rest is the map in x86-machine.h.
struct x86_acpi {
	unsigned cpus;               // with APIC ids from 0 on
	bool serial_console;         // the first serial port is the console
	struct device_list *devices; // those that describe themselves
};

// Writes the tables for guest address @gpa into @data, RSDP first, @gpa being a multiple
// of 16. Returns 0, or -errno after a message: -ENOSPC when they need more than
// @room_bytes. Main thread.
int x86_acpi_build(const struct x86_acpi *acpi, uint64_t gpa, uint8_t *data, size_t room_bytes,
		   size_t *used_bytes) MUST_CHECK;

#endif
