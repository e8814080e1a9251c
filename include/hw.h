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

// Arm's PL031 RTC: seconds since 1970, with alarm. @clock_phandle is that of the device
// tree's node of its bus clock.
int pl031_create(struct device **dev, uint64_t base, struct irq_line irq, struct loop *main_loop,
		 uint32_t clock_phandle) MUST_CHECK;
#define PL031_SIZE 0x1000

// -- behind the ports of a PC: @port is an address on the port bus --

// The UART above, with nothing for a device tree.
int serial_port_create(struct device **dev, uint16_t port, struct irq_line irq, struct term *term)
	MUST_CHECK;
#define SERIAL_PORT_SIZE 8

// Hardware-reduced ACPI's sleep registers (ACPI 6.5, 4.8.3.7) and, behind them, a reset
// register for the FADT: write RESET_VALUE.
int acpi_power_create(struct device **dev, uint16_t port, struct power_sink power) MUST_CHECK;
#define ACPI_POWER_SLEEP_CONTROL 0
#define ACPI_POWER_SLEEP_STATUS 1
#define ACPI_POWER_RESET 2
#define ACPI_POWER_SIZE 3
#define ACPI_POWER_S5_TYPE 5 // first element of \_S5
#define ACPI_POWER_RESET_VALUE 1

// The reset control register of Intel's chip sets (0xcf9).
int reset_port_create(struct device **dev, uint16_t port, struct power_sink power) MUST_CHECK;

// A keyboard controller with nothing plugged in: for its reset line. Data at @port,
// status and commands at @port + 4.
int i8042_create(struct device **dev, uint16_t port, struct power_sink power) MUST_CHECK;
#define I8042_SIZE 5

// The clock of a PC: Motorola's MC146818 with 128 bytes, index at @port, data behind it.
int cmos_rtc_create(struct device **dev, uint16_t port, struct irq_line irq, struct loop *main_loop)
	MUST_CHECK;
#define CMOS_RTC_SIZE 2

#endif
