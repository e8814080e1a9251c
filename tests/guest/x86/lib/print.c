// SPDX-License-Identifier: GPL-2.0-or-later
// Text on the serial port; the end.
#include <stdarg.h>

#include "guest.h"

#define LSR 5
#define LSR_EMPTY 0x20

void put_char(char c)
{
	while (!(in8(PORT_SERIAL + LSR) & LSR_EMPTY))
		;
	out8(PORT_SERIAL, c);
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
		digits[count++] = "0123456789abcdef"[value % base];
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
		case 's':
			put(va_arg(args, const char *));
			break;
		case 'x':
			put_number(va_arg(args, uint64_t), 16);
			break;
		case 'd':
			put_number(va_arg(args, uint64_t), 10);
			break;
		}
	}
	va_end(args);
}

void power_off(void)
{
	for (;;)
		out8(PORT_SLEEP, 5 << 2 | 0x20);
}
