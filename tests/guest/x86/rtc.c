// SPDX-License-Identifier: GPL-2.0-or-later
// The clock: a plausible year, and its interrupt once a second.
#include "lib/guest.h"

static volatile unsigned updates;

static uint8_t rtc_read(uint8_t reg)
{
	out8(PORT_RTC, reg);
	return in8(PORT_RTC + 1);
}

static void rtc_write(uint8_t reg, uint8_t value)
{
	out8(PORT_RTC, reg);
	out8(PORT_RTC + 1, value);
}

static void update(void)
{
	if (rtc_read(0xc) & 0x10)
		updates++;
}

void main(const uint8_t *boot_params)
{
	uint8_t before;

	interrupts_init();
	on_irq(8, update);
	print("century %x, valid %x\n", (uint64_t)rtc_read(0x32), (uint64_t)rtc_read(0xd));
	before = rtc_read(0);
	rtc_write(0xb, 0x12); // 24 hours, interrupt after each update
	while (updates < 2)
		wait_interrupt();
	print("seconds %s\n", rtc_read(0) == before ? "stand still" : "pass");
}
