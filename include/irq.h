// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt lines: a device raises a line and never learns what chip is behind it.
#ifndef KVIK_IRQ_H
#define KVIK_IRQ_H

#include <stdbool.h>
#include <stdint.h>

struct irqchip;

struct irqchip_ops {
	// Sets input @number high or low. Any thread; takes the chip's own lock,
	// which is a leaf: it calls nothing but the accelerator's irq().
	void (*set_line)(struct irqchip *chip, unsigned number, bool high);
	// Fills the cells of a device tree interrupt specifier for a level-high
	// @number and returns how many (at most 4). Main thread.
	unsigned (*fdt_interrupt)(const struct irqchip *chip, unsigned number, uint32_t cells[4]);
	// The global system interrupt of ACPI that @number drives; NULL: it is @number
	// itself. Main thread.
	unsigned (*gsi)(const struct irqchip *chip, unsigned number);
};

// Embedded in the chip's own struct; the machine owns and frees that.
struct irqchip {
	const struct irqchip_ops *ops;
	uint32_t fdt_phandle;
};

// An input of a chip; a value, copied into the device that drives it.
// A line with a NULL chip is not connected: raising it does nothing.
struct irq_line {
	struct irqchip *chip;
	unsigned number;
};

// Drives the line; level-triggered, active high. Any thread.
static inline void irq_set(const struct irq_line *line, bool high)
{
	if (line->chip)
		line->chip->ops->set_line(line->chip, line->number, high);
}

// For a line that is described as edge-triggered. Any thread.
static inline void irq_pulse(const struct irq_line *line)
{
	irq_set(line, true);
	irq_set(line, false);
}

// The global system interrupt of ACPI; the line must be connected. Main thread.
static inline unsigned irq_gsi(const struct irq_line *line)
{
	return line->chip->ops->gsi ? line->chip->ops->gsi(line->chip, line->number) : line->number;
}

#endif
