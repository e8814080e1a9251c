// SPDX-License-Identifier: GPL-2.0-or-later
// Constructors of the platform devices: addresses and lines are arguments.
// Main thread. Each takes registers at @base and describes itself in the FDT.
#ifndef KVIK_HW_H
#define KVIK_HW_H

#include <stdint.h>

#include "irq.h"
#include "power.h"
#include "util.h"

struct device;
struct loop;
struct term;

// An 8250-compatible UART (16550A with FIFOs), registers one byte apart. Connects
// itself as @term's frontend; with @term NULL it is a port with nothing on it:
// output is dropped and no input comes.
int serial_create(struct device **dev, uint64_t base, struct irq_line irq, struct term *term)
	MUST_CHECK;
#define SERIAL_SIZE 0x100
#define SERIAL_CLOCK_HZ 1843200

// A syscon with a poweroff and a reboot register ("syscon-poweroff",
// "syscon-reboot").
int syscon_create(struct device **dev, uint64_t base, struct power_sink power) MUST_CHECK;
#define SYSCON_SIZE 0x1000

// Google's goldfish RTC: nanoseconds since 1970, with alarm.
int goldfish_rtc_create(struct device **dev, uint64_t base, struct irq_line irq,
			struct loop *main_loop) MUST_CHECK;
#define GOLDFISH_RTC_SIZE 0x1000

#endif
