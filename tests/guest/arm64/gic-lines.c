// SPDX-License-Identifier: GPL-2.0-or-later
// Lines that devices drive: the timer's PPI, the clock's SPI; level, edge, targets.
#include "lib/gic.h"

#define TIMER 27 // the virtual timer
#define TIMER_ON 1
#define TIMER_MASKED 3

// PL031 (ARM DDI 0224C).
#define RTC_DR 0x00
#define RTC_MR 0x04
#define RTC_IMSC 0x10
#define RTC_RIS 0x14
#define RTC_ICR 0x1c

static void timer(unsigned control)
{
	sysreg_write("cntv_ctl_el0", control);
	sysreg_read("cntv_ctl_el0");
}

// Not for a long time; not never either, which has an emulated host compute with times
// beyond 2^64.
static uint64_t far_future(void)
{
	return sysreg_read("cntvct_el0") + (1ULL << 40);
}

static void timer_line(bool high)
{
	sysreg_write("cntv_cval_el0", high ? 0 : far_future());
	timer(high ? TIMER_ON : 0);
	// The line is the timer's own: when it gets to the GIC is its business.
	for (unsigned i = 0; i < 1000 && get_bit(GICD_ISPENDR, TIMER) != high; i++)
		delay_ms(1);
}

static void level_ppi(uint64_t cpu)
{
	gic_open();
	print("the timer of CPU %d\n", cpu);
	set_priority(TIMER, 0x80);
	set_edge(TIMER, false);
	timer_line(true);
	show("high, disabled", TIMER);
	set_bit(GICD_ISENABLER, TIMER);
	show("high", TIMER);
	set_bit(GICD_ICPENDR, TIMER);
	show("cannot be cleared", TIMER);
	show_ack("high");
	show("acknowledged", TIMER);
	eoi(TIMER);
	show("ended, still high", TIMER);
	show_ack("again");
	timer(TIMER_MASKED);
	show("masked in the timer", TIMER);
	eoi(TIMER);
	show("ended", TIMER);
	timer(TIMER_ON);
	timer_line(true);
	show("high again", TIMER);
	timer(TIMER_MASKED);
	show_ack("low before anybody has looked");
	show("low", TIMER);
	set_bit(GICD_ICENABLER, TIMER);
}

// A timer's interrupt while the CPU computes, and while it sleeps.
static volatile unsigned ticks;

static void tick(bool is_fiq)
{
	uint32_t value = ack();

	if (value == TIMER) {
		ticks++;
		sysreg_write("cntv_cval_el0", far_future());
	} else {
		print("%s: %x\n", is_fiq ? "fiq" : "irq", (uint64_t)value);
	}
	eoi(value);
}

static void in_a_while(void)
{
	sysreg_write("cntv_cval_el0",
		     sysreg_read("cntvct_el0") + sysreg_read("cntfrq_el0") / 1000);
	timer(TIMER_ON);
}

static void timer_interrupts(uint64_t cpu)
{
	gic_open();
	set_priority(TIMER, 0x80);
	set_bit(GICD_ISENABLER, TIMER);
	this_cpu()->on_interrupt = tick;
	ticks = 0;
	for (unsigned i = 1; i <= 20; i++) {
		in_a_while();
		while (ticks < i) {
			if (i & 1)
				__asm__ volatile("wfi" : : : "memory");
			open_interrupts();
		}
	}
	timer(0);
	set_bit(GICD_ICENABLER, TIMER);
	this_cpu()->on_interrupt = NULL;
	print("CPU %d: %d ticks, running %x\n", cpu, (uint64_t)ticks, (uint64_t)cpu_get(GICC_RPR));
}

// -- the clock's line --

static uint64_t rtc;
static unsigned rtc_intid;

static void show_rtc(const char *label)
{
	show(label, rtc_intid);
}

// The clock rings when it comes to its match: within a second or so.
static void rtc_line_high(void)
{
	write32(rtc + RTC_IMSC, 1);
	write32(rtc + RTC_MR, read32(rtc + RTC_DR) + 1);
	for (unsigned i = 0; i < 5000 && !(read32(rtc + RTC_RIS) & 1); i++)
		delay_ms(1);
}

static bool take_rtc(const char *label)
{
	bool is_it = ack() == rtc_intid;

	print("%s: acknowledged %s\n", label, is_it ? "the clock" : "something else");
	return is_it;
}

static void level_spi(void)
{
	struct fdt_device device;

	if (!fdt_find("arm,pl031", &device))
		fatal("no clock");
	rtc = device.reg[0];
	rtc_intid = 32 + device.interrupt[1];
	prepare_spi(rtc_intid, 0x80);
	set_edge(rtc_intid, false);
	rtc_line_high();
	show_rtc("high, disabled");
	set_bit(GICD_ISENABLER, rtc_intid);
	show_rtc("high");
	take_rtc("high");
	show_rtc("acknowledged");
	eoi(rtc_intid);
	show_rtc("ended, still high");
	write32(rtc + RTC_IMSC, 0);
	show_rtc("masked in the clock");
	write32(rtc + RTC_IMSC, 1);
	show_rtc("and let through");
	take_rtc("again");
	write32(rtc + RTC_ICR, 1);
	show_rtc("cleared in the clock");
	eoi(rtc_intid);
	show_rtc("ended");
}

// What software sets stays whatever the line does, until it is cleared or taken.
static void set_by_software(void)
{
	set_bit(GICD_ISPENDR, rtc_intid);
	show_rtc("set pending");
	set_bit(GICD_ICPENDR, rtc_intid);
	show_rtc("and cleared");
	set_bit(GICD_ISPENDR, rtc_intid);
	rtc_line_high();
	write32(rtc + RTC_ICR, 1);
	show_rtc("set; high and low since");
	rtc_line_high();
	take_rtc("both");
	write32(rtc + RTC_ICR, 1);
	show_rtc("low: both are gone");
	set_bit(GICD_ISPENDR, rtc_intid);
	show_rtc("set while active");
	eoi(rtc_intid);
	take_rtc("then");
	eoi(rtc_intid);
	show_rtc("ended");
}

static void edge_spi(void)
{
	set_edge(rtc_intid, true);
	rtc_line_high();
	show_rtc("edge");
	write32(rtc + RTC_IMSC, 0);
	show_rtc("low again: kept");
	take_rtc("edge");
	write32(rtc + RTC_IMSC, 1);
	show_rtc("another edge meanwhile");
	eoi(rtc_intid);
	take_rtc("the other edge");
	eoi(rtc_intid);
	show_rtc("high, but no edge");
	set_edge(rtc_intid, false);
	show_rtc("level again");
	write32(rtc + RTC_ICR, 1);
	show_rtc("low");
}

// -- targets --

static void show_as(uint64_t cpu)
{
	gic_open();
	print("  CPU %d ", cpu);
	show_rtc("sees");
}

static void open_cpu(uint64_t unused)
{
	gic_open();
}

static void take_as(uint64_t cpu)
{
	print("  CPU %d ", cpu);
	if (take_rtc("takes it"))
		eoi(rtc_intid);
}

static void targets(void)
{
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, open_cpu, 0);
	rtc_line_high();
	for (unsigned target = 0; target < 4; target++) {
		set_targets(rtc_intid, (uint8_t)(1U << target));
		print("for CPU %d\n", (uint64_t)target);
		for (unsigned cpu = 0; cpu < 4; cpu++)
			on_cpu(cpu, show_as, cpu);
		on_cpu(target, take_as, target);
	}
	write32(rtc + RTC_ICR, 1);
	put("low\n");
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, show_as, cpu);
}

int main(void)
{
	gic_init();
	dist_put(GICD_CTLR, ENABLE_GROUP0);
	gic_open();
	for (unsigned cpu = 0; cpu < 2; cpu++)
		on_cpu(cpu, level_ppi, cpu);
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, timer_interrupts, cpu);
	level_spi();
	set_by_software();
	edge_spi();
	targets();
	return 0;
}
