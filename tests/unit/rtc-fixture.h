// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of clocks share: one on a bus, its line, and the main loop that an
// interrupt stops.
#ifndef KVIK_RTC_FIXTURE_H
#define KVIK_RTC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus-access.h"
#include "device.h"
#include "hw.h"
#include "loop.h"

#include <cmocka.h>

struct fixture {
	struct bus bus;
	struct loop loop;
	struct irqchip chip;
	unsigned number; // of the line
	bool irq;
	struct device *dev;
};

static inline void set_line(struct irqchip *chip, unsigned number, bool high)
{
	struct fixture *f = container_of(chip, struct fixture, chip);

	assert_int_equal(number, f->number);
	f->irq = high;
	if (high)
		loop_stop(&f->loop);
}

static inline unsigned interrupt_cells(const struct irqchip *chip, unsigned number, bool edge,
				       uint32_t cells[4])
{
	cells[0] = number;
	return 1;
}

// For line @number, without a clock.
static inline struct fixture *make_fixture(unsigned number)
{
	static const struct irqchip_ops ops = {
		.set_line = set_line,
		.fdt_interrupt = interrupt_cells,
	};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	alarm(30); // a hang is a failure
	f->chip.ops = &ops;
	f->number = number;
	bus_init(&f->bus);
	assert_int_equal(loop_init(&f->loop), 0);
	return f;
}

static inline struct irq_line fixture_line(struct fixture *f)
{
	return (struct irq_line){ &f->chip, f->number };
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->dev)
		f->dev->ops->free(f->dev);
	loop_exit(&f->loop);
	bus_exit(&f->bus);
	free(f);
	return 0;
}

// Serves what the registers have posted, without waiting for anything.
static inline void serve_posts(struct fixture *f)
{
	loop_stop(&f->loop);
	loop_run(&f->loop);
}

#endif
