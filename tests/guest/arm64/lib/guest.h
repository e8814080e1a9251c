// SPDX-License-Identifier: GPL-2.0-or-later
// The runtime of the bare arm64 test programs, at EL1.
//
// A program is a main() that prints what it observes. It runs unchanged on kvik and on
// other machines with a device tree, PSCI by HVC and a GICv2, and what it prints must
// not depend on where: no addresses, times or interrupt numbers of devices.
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_CPUS 8

#define sysreg_read(name)                                      \
	({                                                     \
		uint64_t value_;                               \
		__asm__ volatile("mrs %0, " name : "=r"(value_) : : "memory"); \
		value_;                                        \
	})
#define sysreg_write(name, value) \
	__asm__ volatile("msr " name ", %0\nisb" : : "r"((uint64_t)(value)) : "memory")

struct cpu {
	uint64_t stack; // offset 0: start.S
	unsigned index;
	bool catching; // skip what faults, and count it
	unsigned faults;
	// Called for an interrupt; without one the program ends.
	void (*on_interrupt)(bool is_fiq);
	// What on_cpu() hands over; call is NULL once it has returned.
	void (*call)(uint64_t argument);
	uint64_t argument;
};

static inline struct cpu *this_cpu(void)
{
	return (struct cpu *)sysreg_read("tpidr_el1");
}

int main(void);

// --- print.c ---

void put_char(char c);
void put(const char *text);
// A format of %s, %x (uint64_t) and %d (uint64_t, decimal) only.
void print(const char *format, ...);
void power_off(void) __attribute__((noreturn));
void fatal(const char *text) __attribute__((noreturn));

// --- fdt.c ---

struct fdt_device {
	uint64_t reg[4];       // base and size, twice
	uint32_t interrupt[3]; // the first specifier
};

// The first node of this kind; false when there is none.
bool fdt_find(const char *compatible, struct fdt_device *device);

// --- cpu.c ---

// Runs @call on another CPU (or this one) and waits for its return; the CPU is off
// before and after. From CPU 0.
void on_cpu(unsigned index, void (*call)(uint64_t argument), uint64_t argument);
// Lets IRQs and FIQs in for a moment.
void open_interrupts(void);
// What the CPU's interrupt inputs are: "irq", "fiq", "both" or "none".
const char *inputs(void);
// Accesses after it that fault are skipped, calls return; catch_end() tells how many
// there were.
void catch_faults(void);
unsigned catch_end(void);
// Waits this many thousandths of a second.
void delay_ms(unsigned ms);

// --- memory ---

static inline uint8_t read8(uint64_t addr)
{
	uint32_t value;

	__asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	return (uint8_t)value;
}

static inline uint32_t read32(uint64_t addr)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	return value;
}

static inline void write8(uint64_t addr, uint8_t value)
{
	__asm__ volatile("strb %w0, [%1]" : : "r"((uint32_t)value), "r"(addr) : "memory");
}

static inline void write32(uint64_t addr, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" : : "r"(value), "r"(addr) : "memory");
}

#endif
