// SPDX-License-Identifier: GPL-2.0-or-later
// Arm's PrimeCell RTC, PL031 (ARM DDI 0224C): seconds since 1970 in 32 bits, and a match
// register that raises an interrupt.
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "device.h"
#include "fdt.h"
#include "hw.h"
#include "log.h"
#include "rtc-alarm.h"

enum {
	RTC_DR = 0x00,   // the time
	RTC_MR = 0x04,   // match
	RTC_LR = 0x08,   // load: sets the time
	RTC_CR = 0x0c,   // bit 0: enabled; reads as 1 for ever once set (3.3.4)
	RTC_IMSC = 0x10, // interrupt mask: 1 lets it through
	RTC_RIS = 0x14,  // raw interrupt
	RTC_MIS = 0x18,  // and the mask
	RTC_ICR = 0x1c,  // clear
	RTC_PERIPH_ID = 0xfe0,
	RTC_PCELL_ID = 0xff0,
};

// PeriphID0 to 3 and PCellID0 to 3 (3.3.9, 3.3.10): part 0x031, Arm, revision 0.
static const uint8_t ids[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

struct pl031 {
	struct device dev; // its lock guards the rest
	struct rtc_alarm timer;
	uint32_t clock_phandle;
	uint64_t offset_ns; // guest's clock minus the host's, modulo 2^64
	uint32_t load_s;    // as last written
	uint32_t match_s;   // likewise
	uint64_t match_ns;  // when the guest's clock comes to it
	bool match_armed;
	bool irq_enabled;
	bool irq_raw;
};

static struct pl031 *from_device(struct device *dev)
{
	return container_of(dev, struct pl031, dev);
}

static uint64_t guest_time_ns(const struct pl031 *rtc)
{
	return rtc_time_ns(rtc_host_time()) + rtc->offset_ns;
}

static uint32_t guest_time_s(const struct pl031 *rtc)
{
	return (uint32_t)(guest_time_ns(rtc) / NSEC_PER_SEC);
}

static void update_irq(struct pl031 *rtc)
{
	irq_set(&rtc->dev.irq, rtc->irq_raw && rtc->irq_enabled);
}

static void ring_if_due(struct pl031 *rtc)
{
	if (!rtc->match_armed || guest_time_ns(rtc) < rtc->match_ns)
		return;
	rtc->match_armed = false;
	rtc->irq_raw = true;
	update_irq(rtc);
}

static uint64_t check_match(struct device *dev)
{
	struct pl031 *rtc = from_device(dev);

	ring_if_due(rtc);
	if (!rtc->match_armed)
		return RTC_ALARM_NEVER;
	// The time may have come just now.
	return (uint64_t)MAX((int64_t)(rtc->match_ns - guest_time_ns(rtc)), 0);
}

// -- registers --

static uint64_t pl031_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct pl031 *rtc = from_device(region->device);

	if (offset >= RTC_PERIPH_ID)
		return ids[(offset - RTC_PERIPH_ID) / 4];
	switch (offset) {
	case RTC_DR:
		return guest_time_s(rtc);
	case RTC_MR:
		return rtc->match_s;
	case RTC_LR:
		return rtc->load_s;
	case RTC_CR:
		return 1;
	case RTC_IMSC:
		return rtc->irq_enabled;
	case RTC_RIS:
		return rtc->irq_raw;
	case RTC_MIS:
		return rtc->irq_raw && rtc->irq_enabled;
	default:
		return 0;
	}
}

// The counter wraps: a match that has gone by comes again after 136 years. One that is
// now rings at once.
static void move_match(struct pl031 *rtc)
{
	uint64_t now_s = guest_time_ns(rtc) / NSEC_PER_SEC;
	uint32_t ahead_s = rtc->match_s - (uint32_t)now_s;

	rtc->match_ns = (now_s + ahead_s) * NSEC_PER_SEC;
	rtc->match_armed = true;
	ring_if_due(rtc);
	rtc_alarm_moved(&rtc->timer);
}

static void set_time(struct pl031 *rtc, uint32_t seconds)
{
	rtc->load_s = seconds;
	rtc->offset_ns = seconds * NSEC_PER_SEC - rtc_time_ns(rtc_host_time());
	if (rtc->match_armed)
		move_match(rtc);
}

static void set_match(struct pl031 *rtc, uint32_t seconds)
{
	rtc->match_s = seconds;
	move_match(rtc);
}

static void pl031_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct pl031 *rtc = from_device(region->device);

	switch (offset) {
	case RTC_MR:
		set_match(rtc, value);
		break;
	case RTC_LR:
		set_time(rtc, value);
		break;
	case RTC_IMSC:
		rtc->irq_enabled = value & 1;
		update_irq(rtc);
		break;
	case RTC_ICR:
		if (value & 1)
			rtc->irq_raw = false;
		update_irq(rtc);
		break;
	}
}

static const struct io_ops pl031_io = {
	.read = pl031_read,
	.write = pl031_write,
	.min_size = 4,
	.max_size = 4,
};

// -- life --

// The clock is battery-backed: it keeps the time that the guest has set.
static void pl031_reset(struct device *dev)
{
	struct pl031 *rtc = from_device(dev);

	rtc->match_s = 0;
	rtc->load_s = 0;
	rtc->match_armed = false;
	rtc->irq_enabled = false;
	rtc->irq_raw = false;
	update_irq(rtc);
	rtc_alarm_reset(&rtc->timer);
}

static void pl031_describe(struct device *dev, struct fdt_writer *fdt)
{
	static const char compatible[] = "arm,pl031\0arm,primecell";

	fdt_node(fdt, "rtc@%llx", (unsigned long long)dev->region.base);
	fdt_strings(fdt, "compatible", compatible, sizeof(compatible));
	fdt_reg(fdt, dev->region.base, dev->region.size_bytes);
	fdt_u32(fdt, "clocks", from_device(dev)->clock_phandle);
	fdt_str(fdt, "clock-names", "apb_pclk");
	fdt_interrupt(fdt, &dev->irq);
	fdt_end(fdt);
}

static void pl031_free(struct device *dev)
{
	struct pl031 *rtc = from_device(dev);

	rtc_alarm_exit(&rtc->timer);
	device_exit(dev);
	free(rtc);
}

static const struct device_ops pl031_ops = {
	.reset = pl031_reset,
	.describe = pl031_describe,
	.free = pl031_free,
};

int pl031_create(struct device **dev, uint64_t base, struct irq_line irq, struct loop *main_loop,
		 uint32_t clock_phandle)
{
	struct pl031 *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return fail(ENOMEM, "make the clock");
	rtc_alarm_init(&rtc->timer, &rtc->dev, main_loop, check_match);
	rtc->clock_phandle = clock_phandle;
	device_init(&rtc->dev, "rtc", &pl031_ops, &pl031_io, base, PL031_SIZE, irq);
	*dev = &rtc->dev;
	return 0;
}
