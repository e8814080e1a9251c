// SPDX-License-Identifier: GPL-2.0-or-later
// Console output by SBI calls, and hashed results.
#include <stdarg.h>

#include "guest.h"

#define SBI_LEGACY_PUTCHAR 1
#define SBI_LEGACY_SHUTDOWN 8
#define SBI_DBCN 0x4442434e
#define SBI_DBCN_WRITE_BYTE 2

void put_char(char c)
{
	// Linux's KVM may lack the old call, and QEMU's firmware the new one.
	if (sbi_call(SBI_LEGACY_PUTCHAR, 0, (unsigned char)c, 0, 0, 0, 0).error)
		sbi_call(SBI_DBCN, SBI_DBCN_WRITE_BYTE, (unsigned char)c, 0, 0, 0, 0);
}

void put(const char *text)
{
	while (*text)
		put_char(*text++);
}

void put_hex(uint64_t value)
{
	unsigned shift = 60;

	while (shift && !(value >> shift))
		shift -= 4;
	for (;; shift -= 4) {
		put_char("0123456789abcdef"[value >> shift & 15]);
		if (!shift)
			return;
	}
}

void put_dec(uint64_t value)
{
	if (value >= 10)
		put_dec(value / 10);
	put_char((char)('0' + value % 10));
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
		case 'x': put_hex(va_arg(args, uint64_t)); break;
		default: put_dec(va_arg(args, uint64_t)); break;
		}
	}
	va_end(args);
}

void power_off(void)
{
	put("=== end ===\n");
	sbi_call(SBI_SRST, 0, 0, 0, 0, 0, 0);
	sbi_call(SBI_LEGACY_SHUTDOWN, 0, 0, 0, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

void fatal(const char *text)
{
	print("FATAL: %s\n", text);
	power_off();
}

// What run.sh sets to look into a group: the hash after each STEP results, and the
// results from FIRST to LAST.
#ifndef VERBOSE
#define VERBOSE ""
#define STEP 1
#define FIRST 1
#define LAST 0
#endif

static const char *group_name;
static uint64_t group_hash, group_count;
static bool group_verbose;

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

void group(const char *name)
{
	group_name = name;
	group_hash = 0xcbf29ce484222325;
	group_count = 0;
	group_verbose = same(name, VERBOSE);
}

void record(uint64_t value, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t step = STEP, first = FIRST, last = LAST;

	group_hash = (group_hash ^ value) * 0x9e3779b97f4a7c15;
	group_hash ^= group_hash >> 29;
	group_count++;
	if (!group_verbose)
		return;
	if (group_count % step == 0)
		print("%s %d: %x\n", group_name, group_count, group_hash);
	if (group_count >= first && group_count <= last)
		print("%s[%d] %x %x %x -> %x\n", group_name, group_count, a, b, c, value);
}

void group_end(void)
{
	print("%s %d %x\n", group_name, group_count, group_hash);
}

uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1d;
}

void *memset(void *to, int byte, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = (unsigned char)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile unsigned char *)to)[i] = ((const unsigned char *)from)[i];
	return to;
}
