// SPDX-License-Identifier: GPL-2.0-or-later
// Text on the serial port that the device tree names; the end.
#include <stdarg.h>

#include "guest.h"

#define PSCI_SYSTEM_OFF 0x84000008UL

// PL011: UARTDR, UARTFR.TXFF. 16550A: THR, FCR.FIFO enable, LSR.THRE.
#define PL011_DR 0x00
#define PL011_FR 0x18
#define PL011_FULL 0x20
#define UART_THR 0
#define UART_FCR 2
#define UART_FIFO_BYTES 16
#define UART_LSR 5
#define UART_EMPTY 0x20

static uint64_t pl011, uart;
static unsigned uart_room; // in the FIFO

static void find_port(void)
{
	struct fdt_device device;

	if (fdt_find("arm,pl011", &device))
		pl011 = device.reg[0];
	else if (fdt_find("ns16550a", &device))
		uart = device.reg[0];
	else
		power_off();
	if (uart)
		write8(uart + UART_FCR, 1);
}

void put_char(char c)
{
	if (!pl011 && !uart)
		find_port();
	if (pl011) {
		while (read32(pl011 + PL011_FR) & PL011_FULL)
			;
		write32(pl011 + PL011_DR, (uint8_t)c);
	} else {
		while (!uart_room)
			if (read8(uart + UART_LSR) & UART_EMPTY)
				uart_room = UART_FIFO_BYTES;
		uart_room--;
		write8(uart + UART_THR, (uint8_t)c);
	}
}

void put(const char *text)
{
	for (; *text; text++)
		put_char(*text);
}

static void put_number(uint64_t value, unsigned base)
{
	char digits[24];
	unsigned count = 0;

	do {
		unsigned digit = value % base;

		digits[count++] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
		value /= base;
	} while (value);
	while (count)
		put_char(digits[--count]);
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format; format++) {
		if (*format != '%') {
			put_char(*format);
			continue;
		}
		switch (*++format) {
		case 's': put(va_arg(args, const char *)); break;
		case 'x': put_number(va_arg(args, uint64_t), 16); break;
		default: put_number(va_arg(args, uint64_t), 10); break;
		}
	}
	va_end(args);
}

void power_off(void)
{
	if (pl011 || uart)
		put("=== end ===\n");
	for (;;)
		__asm__ volatile("mov x0, %0\nhvc #0" : : "r"(PSCI_SYSTEM_OFF)
				 : "x0", "x1", "x2", "x3", "memory");
}

void fatal(const char *text)
{
	print("FATAL: %s\n", text);
	power_off();
}
