// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupt lines: a device raises a line and never learns what chip is behind it.
#ifndef KVIK_IRQ_H
#define KVIK_IRQ_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

struct irqchip;

struct irqchip_ops {
	// Sets input @number high or low. Any thread; takes the chip's own lock,
	// which is a leaf: it calls nothing but the accelerator's irq().
	void (*set_line)(struct irqchip *chip, unsigned number, bool high);
	// Input @number goes high and low again. NULL: by two calls of set_line(), which do
	// where no other line drives the same input of the guest's. Any thread, as above.
	void (*pulse)(struct irqchip *chip, unsigned number);
	// Has the host's kernel pulse input @number for each signal on @event_fd, until that is
	// closed. NULL, or -ENOTSUP: it cannot. 0 or -errno without a message. Any thread.
	int (*pulse_by)(struct irqchip *chip, unsigned number, int event_fd);
	// Fills the cells of a device tree interrupt specifier for @number, level-high or
	// @edge-rising, and returns how many (at most 4). Main thread.
	unsigned (*fdt_interrupt)(const struct irqchip *chip, unsigned number, bool edge,
				  uint32_t cells[4]);
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
	bool edge; // the guest is told that it is edge-triggered: for irq_pulse() only
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
	if (line->chip && line->chip->ops->pulse) {
		line->chip->ops->pulse(line->chip, line->number);
		return;
	}
	irq_set(line, true);
	irq_set(line, false);
}

// As irqchip_ops.pulse_by(); -ENOTSUP for other lines than those.
static inline int irq_pulse_by(const struct irq_line *line, int event_fd)
{
	if (!line->edge || !line->chip || !line->chip->ops->pulse_by)
		return -ENOTSUP;
	return line->chip->ops->pulse_by(line->chip, line->number, event_fd);
}

#endif
