// SPDX-License-Identifier: GPL-2.0-or-later
// An I/O APIC in user space, for --irqchip split; private to x86/.
#ifndef KVIK_X86_IOAPIC_H
#define KVIK_X86_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct accel;
struct device;

#define IOAPIC_PINS 24
#define IOAPIC_SIZE 0x1000

// Registers at @base; messages go to the local APICs by @accel's x86 operations. Main
// thread.
int ioapic_create(struct device **dev, uint64_t base, struct accel *accel) MUST_CHECK;

// @dev is from ioapic_create(). Any thread; takes the chip's own lock, which is a leaf
// but for the accelerator.
void ioapic_set_pin(struct device *dev, unsigned pin, bool high);
// A local APIC has ended the level-triggered interrupt @vector.
void ioapic_end_of_interrupt(struct device *dev, uint8_t vector);

#endif
