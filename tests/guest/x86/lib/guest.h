// SPDX-License-Identifier: GPL-2.0-or-later
// The runtime of the bare x86-64 programs: a main() that prints what it observes on
// the first serial port. When main() returns the machine is switched off.
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

// Ports of the machine.
enum {
	PORT_PIC = 0x20,
	PORT_PIC2 = 0xa0,
	PORT_PIT = 0x40,
	PORT_I8042 = 0x64,
	PORT_RTC = 0x70,
	PORT_SERIAL = 0x3f8,
	PORT_SLEEP = 0x600, // ACPI's sleep control; S5 is type 5
	PORT_RESET = 0x602, // ACPI's reset register
	PORT_RESET_CONTROL = 0xcf9,
};

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

void main(const uint8_t *boot_params);

// --- print.c ---

void put_char(char c);
void put(const char *text);
// A format of %s, %x (uint64_t) and %d (uint64_t, decimal) only.
void print(const char *format, ...);
void power_off(void) __attribute__((noreturn));

// --- interrupt.c ---

// Installs gates, and the 8259s with their lines at vectors 0x20 to 0x2f, all masked.
void interrupts_init(void);
// Calls @handler when line @irq of the 8259s comes; opens it. Interrupts stay off until
// wait_interrupt().
void on_irq(unsigned irq, void (*handler)(void));
// Sleeps until an interrupt has been served.
void wait_interrupt(void);

// --- apic.c ---

// Where start_cpu() has the CPU with APIC id @id begin, in real mode.
#define AP_START 0x8000UL
void start_cpu(unsigned id);
// Starts it in ap_main() instead; returns at once.
void start_ap(unsigned id);
void ap_main(void);
uint32_t apic_id(void);

#endif
