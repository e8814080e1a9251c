// SPDX-License-Identifier: GPL-2.0-or-later
// Google's goldfish RTC: nanoseconds since 1970 and an alarm (Linux's
// drivers/rtc/rtc-goldfish.c and the Android emulator's goldfish documentation).
#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "fdt.h"
#include "hw.h"
#include "log.h"
#include "rtc-alarm.h"

enum {
	RTC_TIME_LOW = 0x00, // reading it latches the high half
	RTC_TIME_HIGH = 0x04,
	RTC_ALARM_LOW = 0x08, // writing it arms the alarm
	RTC_ALARM_HIGH = 0x0c,
	RTC_IRQ_ENABLED = 0x10,
	RTC_CLEAR_ALARM = 0x14,
	RTC_ALARM_STATUS = 0x18,
	RTC_CLEAR_INTERRUPT = 0x1c,
};

struct rtc {
	struct device dev; // its lock guards the rest
	struct rtc_alarm timer;
	uint64_t offset_ns; // guest's clock minus the host's, modulo 2^64
	uint64_t latched_ns;
	uint32_t set_high;   // TIME_HIGH as written, until TIME_LOW follows
	uint32_t alarm_high; // ALARM_HIGH likewise
	uint64_t alarm_ns;   // guest's clock
	bool alarm_armed;
	bool irq_enabled;
	bool irq_pending;
};

static struct rtc *from_device(struct device *dev)
{
	return container_of(dev, struct rtc, dev);
}

static uint64_t guest_time_ns(const struct rtc *rtc)
{
	return rtc_time_ns(rtc_host_time()) + rtc->offset_ns;
}

static void update_irq(struct rtc *rtc)
{
	irq_set(&rtc->dev.irq, rtc->irq_pending && rtc->irq_enabled);
}

// Nanoseconds until the alarm; 0 when it is due.
static uint64_t alarm_delay_ns(const struct rtc *rtc)
{
	uint64_t now_ns = guest_time_ns(rtc);

	return rtc->alarm_ns > now_ns ? rtc->alarm_ns - now_ns : 0;
}

static void ring_if_due(struct rtc *rtc)
{
	if (!rtc->alarm_armed || alarm_delay_ns(rtc))
		return;
	rtc->alarm_armed = false;
	rtc->irq_pending = true;
	update_irq(rtc);
}

static uint64_t check_alarm(struct device *dev)
{
	struct rtc *rtc = from_device(dev);

	ring_if_due(rtc);
	return rtc->alarm_armed ? alarm_delay_ns(rtc) : RTC_ALARM_NEVER;
}

// -- registers --

static uint64_t rtc_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct rtc *rtc = from_device(region->device);

	switch (offset) {
	case RTC_TIME_LOW:
		rtc->latched_ns = guest_time_ns(rtc);
		return (uint32_t)rtc->latched_ns;
	case RTC_TIME_HIGH:
		return rtc->latched_ns >> 32;
	case RTC_ALARM_LOW:
		return (uint32_t)rtc->alarm_ns;
	case RTC_ALARM_HIGH:
		return rtc->alarm_ns >> 32;
	case RTC_IRQ_ENABLED:
		return rtc->irq_enabled;
	case RTC_ALARM_STATUS:
		return rtc->alarm_armed;
	default:
		return 0;
	}
}

static void set_time(struct rtc *rtc, uint32_t low)
{
	uint64_t time_ns = (uint64_t)rtc->set_high << 32 | low;

	rtc->offset_ns = time_ns - rtc_time_ns(rtc_host_time());
	rtc_alarm_moved(&rtc->timer);
}

// One in the past rings at once.
static void set_alarm(struct rtc *rtc, uint32_t low)
{
	rtc->alarm_ns = (uint64_t)rtc->alarm_high << 32 | low;
	rtc->alarm_armed = true;
	ring_if_due(rtc);
	rtc_alarm_moved(&rtc->timer);
}

static void clear_alarm(struct rtc *rtc)
{
	rtc->alarm_armed = false;
	rtc_alarm_moved(&rtc->timer);
}

static void rtc_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct rtc *rtc = from_device(region->device);

	switch (offset) {
	case RTC_TIME_HIGH:
		rtc->set_high = value;
		break;
	case RTC_TIME_LOW:
		set_time(rtc, value);
		break;
	case RTC_ALARM_HIGH:
		rtc->alarm_high = value;
		break;
	case RTC_ALARM_LOW:
		set_alarm(rtc, value);
		break;
	case RTC_IRQ_ENABLED:
		rtc->irq_enabled = value & 1;
		update_irq(rtc);
		break;
	case RTC_CLEAR_ALARM:
		clear_alarm(rtc);
		break;
	case RTC_CLEAR_INTERRUPT:
		rtc->irq_pending = false;
		update_irq(rtc);
		break;
	}
}

static const struct io_ops rtc_io = {
	.read = rtc_read,
	.write = rtc_write,
	.min_size = 4,
	.max_size = 4,
};

// -- life --

// The clock is battery-backed: it keeps the time that the guest has set.
static void rtc_reset(struct device *dev)
{
	struct rtc *rtc = from_device(dev);

	rtc->latched_ns = 0;
	rtc->set_high = 0;
	rtc->alarm_high = 0;
	rtc->alarm_ns = 0;
	rtc->alarm_armed = false;
	rtc->irq_enabled = false;
	rtc->irq_pending = false;
	update_irq(rtc);
	rtc_alarm_reset(&rtc->timer);
}

static void rtc_describe(struct device *dev, struct fdt_writer *fdt)
{
	fdt_node(fdt, "rtc@%llx", (unsigned long long)dev->region.base);
	fdt_str(fdt, "compatible", "google,goldfish-rtc");
	fdt_reg(fdt, dev->region.base, dev->region.size_bytes);
	fdt_interrupt(fdt, &dev->irq);
	fdt_end(fdt);
}

static void rtc_free(struct device *dev)
{
	struct rtc *rtc = from_device(dev);

	rtc_alarm_exit(&rtc->timer);
	device_exit(dev);
	free(rtc);
}

static const struct device_ops rtc_ops = {
	.reset = rtc_reset,
	.describe = rtc_describe,
	.free = rtc_free,
};

int goldfish_rtc_create(struct device **dev, uint64_t base, struct irq_line irq,
			struct loop *main_loop)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return fail(ENOMEM, "make the clock");
	rtc_alarm_init(&rtc->timer, &rtc->dev, main_loop, check_alarm);
	device_init(&rtc->dev, "rtc", &rtc_ops, &rtc_io, base, GOLDFISH_RTC_SIZE, irq);
	*dev = &rtc->dev;
	return 0;
}
