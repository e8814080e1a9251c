// SPDX-License-Identifier: GPL-2.0-or-later
// The clock of a PC: Motorola's MC146818 (data sheet of 1988), with the century at
// 0x32 where ACPI's FADT says that it is. Its seconds are those of the host's clock.
//
// Nothing ticks while no interrupt is enabled: the registers are computed when they
// are read, and flags from what has passed since they were last looked at.
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "aml.h"
#include "device.h"
#include "hw.h"
#include "log.h"
#include "rtc-alarm.h"

#define PORT_INDEX 0
#define PORT_DATA 1

#define RAM_BYTES 128
#define SECONDS_PER_DAY 86400

enum {
	REG_SECONDS = 0x00,
	REG_SECONDS_ALARM = 0x01,
	REG_MINUTES = 0x02,
	REG_MINUTES_ALARM = 0x03,
	REG_HOURS = 0x04,
	REG_HOURS_ALARM = 0x05,
	REG_WEEKDAY = 0x06, // 1: Sunday
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_CENTURY = 0x32,
};

enum {
	A_UPDATE_IN_PROGRESS = 0x80,
	A_DIVIDER_32768_HZ = 0x20,
	A_RATE_MASK = 0x0f,
};

enum {
	B_SET = 0x80, // time stands still while it is written
	B_PERIODIC = 0x40,
	B_ALARM = 0x20,
	B_UPDATE = 0x10,
	B_SQUARE_WAVE = 0x08,
	B_BINARY = 0x04, // else BCD
	B_24_HOURS = 0x02,
	B_INTERRUPTS = B_PERIODIC | B_ALARM | B_UPDATE, // the same bits as C's flags
};

#define C_INTERRUPT 0x80
#define D_VALID 0x80
#define HOURS_PM 0x80
#define ALARM_ANY 0xc0 // and above: matches every value

// How long before a new second A_UPDATE_IN_PROGRESS warns of it.
#define UPDATE_WARNING_NS 244000

struct cmos {
	struct device dev; // its lock guards the rest
	struct rtc_alarm timer;
	int64_t offset_s; // guest's clock minus the host's
	uint8_t index;
	uint8_t ram[RAM_BYTES]; // time registers only while B_SET
	struct timespec seen;   // guest's time when the flags were last brought up to date
};

static struct cmos *from_device(struct device *dev)
{
	return container_of(dev, struct cmos, dev);
}

static struct timespec guest_time(const struct cmos *cmos)
{
	struct timespec now = rtc_host_time();

	now.tv_sec += cmos->offset_s;
	return now;
}

// -- registers and numbers --

static uint8_t encode(const struct cmos *cmos, unsigned value)
{
	if (cmos->ram[REG_B] & B_BINARY)
		return value;
	return value / 10 << 4 | value % 10;
}

static unsigned decode(const struct cmos *cmos, uint8_t reg)
{
	if (cmos->ram[REG_B] & B_BINARY)
		return reg;
	return (reg >> 4) * 10 + (reg & 0xf);
}

static uint8_t encode_hours(const struct cmos *cmos, unsigned hours)
{
	if (cmos->ram[REG_B] & B_24_HOURS)
		return encode(cmos, hours);
	return encode(cmos, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOURS_PM : 0);
}

static unsigned decode_hours(const struct cmos *cmos, uint8_t reg)
{
	if (cmos->ram[REG_B] & B_24_HOURS)
		return decode(cmos, reg);
	return decode(cmos, reg & ~HOURS_PM) % 12 + (reg & HOURS_PM ? 12 : 0);
}

// Writes @time into the time registers.
static void store_time(struct cmos *cmos, time_t time)
{
	uint8_t *ram = cmos->ram;
	struct tm tm;

	gmtime_r(&time, &tm);
	ram[REG_SECONDS] = encode(cmos, tm.tm_sec);
	ram[REG_MINUTES] = encode(cmos, tm.tm_min);
	ram[REG_HOURS] = encode_hours(cmos, tm.tm_hour);
	ram[REG_WEEKDAY] = encode(cmos, tm.tm_wday + 1);
	ram[REG_DAY] = encode(cmos, tm.tm_mday);
	ram[REG_MONTH] = encode(cmos, tm.tm_mon + 1);
	ram[REG_YEAR] = encode(cmos, (tm.tm_year + 1900) % 100);
	ram[REG_CENTURY] = encode(cmos, (tm.tm_year + 1900) / 100 % 100);
}

// The other way; fields out of range carry over.
static time_t load_time(const struct cmos *cmos)
{
	const uint8_t *ram = cmos->ram;
	struct tm tm = {
		.tm_sec = decode(cmos, ram[REG_SECONDS]),
		.tm_min = decode(cmos, ram[REG_MINUTES]),
		.tm_hour = decode_hours(cmos, ram[REG_HOURS]),
		.tm_mday = decode(cmos, ram[REG_DAY]),
		.tm_mon = (int)decode(cmos, ram[REG_MONTH]) - 1,
		.tm_year =
			(int)(decode(cmos, ram[REG_CENTURY]) * 100 + decode(cmos, ram[REG_YEAR])) -
			1900,
	};

	return timegm(&tm);
}

static bool is_time_register(uint8_t index)
{
	switch (index) {
	case REG_SECONDS:
	case REG_MINUTES:
	case REG_HOURS:
	case REG_WEEKDAY:
	case REG_DAY:
	case REG_MONTH:
	case REG_YEAR:
	case REG_CENTURY:
		return true;
	default:
		return false;
	}
}

// -- flags --

static bool alarm_matches(const struct cmos *cmos, time_t time)
{
	unsigned second = time % SECONDS_PER_DAY;
	const uint8_t now[] = {
		encode(cmos, second % 60),
		encode(cmos, second / 60 % 60),
		encode_hours(cmos, second / 3600),
	};
	const uint8_t alarm[] = {
		cmos->ram[REG_SECONDS_ALARM],
		cmos->ram[REG_MINUTES_ALARM],
		cmos->ram[REG_HOURS_ALARM],
	};

	for (unsigned i = 0; i < ARRAY_SIZE(now); i++)
		if (alarm[i] < ALARM_ANY && alarm[i] != now[i])
			return false;
	return true;
}

// Whether a second after @from, up to @to, was that of the alarm.
static bool alarm_passed(const struct cmos *cmos, time_t from, time_t to)
{
	for (time_t time = MAX(from + 1, to - SECONDS_PER_DAY); time <= to; time++)
		if (alarm_matches(cmos, time))
			return true;
	return false;
}

// 0: none is selected. Data sheet, table 5, for a crystal of 32768 Hz.
static uint64_t period_ns(const struct cmos *cmos)
{
	unsigned rate = cmos->ram[REG_A] & A_RATE_MASK;

	if (!rate)
		return 0;
	// The two fastest are those of two slower ones.
	if (rate < 3)
		rate += 7;
	return NSEC_PER_SEC * (1U << (rate - 1)) / 32768;
}

static bool is_pending(const struct cmos *cmos)
{
	return cmos->ram[REG_C] & cmos->ram[REG_B] & B_INTERRUPTS;
}

static void update_irq(struct cmos *cmos)
{
	irq_set(&cmos->dev.irq, is_pending(cmos));
}

// Raises the flags of what has come to pass since this was last called.
static void update_flags(struct cmos *cmos)
{
	struct timespec now = guest_time(cmos), seen = cmos->seen;
	uint64_t period = period_ns(cmos);
	uint8_t *flags = &cmos->ram[REG_C];

	cmos->seen = now;
	if (period && rtc_time_ns(now) / period != rtc_time_ns(seen) / period)
		*flags |= B_PERIODIC;
	if (!(cmos->ram[REG_B] & B_SET) && now.tv_sec > seen.tv_sec) {
		*flags |= B_UPDATE;
		if (alarm_passed(cmos, seen.tv_sec, now.tv_sec))
			*flags |= B_ALARM;
	}
}

// Until the next moment that may interrupt. One that waits to be acknowledged needs no
// further ones.
static uint64_t next_event_ns(const struct cmos *cmos)
{
	uint64_t now = rtc_time_ns(cmos->seen), period = period_ns(cmos);
	uint8_t enabled = cmos->ram[REG_B];

	if (is_pending(cmos))
		return RTC_ALARM_NEVER;
	if (enabled & B_PERIODIC && period)
		return period - now % period;
	if (enabled & (B_ALARM | B_UPDATE) && !(enabled & B_SET))
		return NSEC_PER_SEC - now % NSEC_PER_SEC;
	return RTC_ALARM_NEVER;
}

static uint64_t check(struct device *dev)
{
	struct cmos *cmos = from_device(dev);

	update_flags(cmos);
	update_irq(cmos);
	return next_event_ns(cmos);
}

// -- registers --

static uint8_t read_a(const struct cmos *cmos)
{
	bool soon = guest_time(cmos).tv_nsec >= (long)(NSEC_PER_SEC - UPDATE_WARNING_NS);

	return cmos->ram[REG_A] | (soon && !(cmos->ram[REG_B] & B_SET) ? A_UPDATE_IN_PROGRESS : 0);
}

static uint8_t read_c(struct cmos *cmos)
{
	uint8_t flags;

	update_flags(cmos);
	flags = cmos->ram[REG_C] | (is_pending(cmos) ? C_INTERRUPT : 0);
	cmos->ram[REG_C] = 0;
	update_irq(cmos);
	if (cmos->ram[REG_B] & B_INTERRUPTS)
		rtc_alarm_moved(&cmos->timer);
	return flags;
}

static uint8_t read_data(struct cmos *cmos)
{
	switch (cmos->index) {
	case REG_A:
		return read_a(cmos);
	case REG_C:
		return read_c(cmos);
	case REG_D:
		return D_VALID;
	}
	if (is_time_register(cmos->index) && !(cmos->ram[REG_B] & B_SET))
		store_time(cmos, guest_time(cmos).tv_sec);
	return cmos->ram[cmos->index];
}

// Has the clock show what the time registers say.
static void set_clock(struct cmos *cmos)
{
	cmos->offset_s = load_time(cmos) - rtc_host_time().tv_sec;
	cmos->seen = guest_time(cmos);
}

static void write_time(struct cmos *cmos, uint8_t value)
{
	bool running = !(cmos->ram[REG_B] & B_SET);

	if (running)
		store_time(cmos, guest_time(cmos).tv_sec);
	cmos->ram[cmos->index] = value;
	if (running)
		set_clock(cmos);
}

static void write_b(struct cmos *cmos, uint8_t value)
{
	uint8_t old = cmos->ram[REG_B];

	// SET stops the registers where they are, in the old format.
	if (value & ~old & B_SET)
		store_time(cmos, guest_time(cmos).tv_sec);
	cmos->ram[REG_B] = value & B_SET ? value & ~B_UPDATE : value;
	if (old & ~value & B_SET)
		set_clock(cmos);
}

static void write_data(struct cmos *cmos, uint8_t value)
{
	if (is_time_register(cmos->index)) {
		write_time(cmos, value);
		return;
	}
	update_flags(cmos); // up to here by the old settings
	if (cmos->index == REG_B)
		write_b(cmos, value);
	else if (cmos->index == REG_A)
		cmos->ram[REG_A] = value & ~A_UPDATE_IN_PROGRESS;
	else if (cmos->index != REG_C && cmos->index != REG_D)
		cmos->ram[cmos->index] = value;
	update_irq(cmos);
	if (cmos->index <= REG_B)
		rtc_alarm_moved(&cmos->timer);
}

static uint64_t cmos_read(struct io_region *region, uint64_t offset, unsigned size)
{
	// The index can only be written.
	return offset == PORT_DATA ? read_data(from_device(region->device)) : 0xff;
}

// Bit 7 of the index masks NMIs on a PC; there are none.
static void cmos_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct cmos *cmos = from_device(region->device);

	if (offset == PORT_INDEX)
		cmos->index = value % RAM_BYTES;
	else
		write_data(cmos, value);
}

static const struct io_ops cmos_io = {
	.read = cmos_read,
	.write = cmos_write,
	.min_size = 1,
	.max_size = 1,
};

// -- life --

// The battery keeps time and RAM; the RESET pin clears what it clears (data sheet,
// "RESET").
static void cmos_reset(struct device *dev)
{
	struct cmos *cmos = from_device(dev);

	cmos->index = 0;
	cmos->ram[REG_B] &= ~(B_INTERRUPTS | B_SQUARE_WAVE | B_SET);
	cmos->ram[REG_C] = 0;
	cmos->seen = guest_time(cmos);
	update_irq(cmos);
	rtc_alarm_reset(&cmos->timer);
}

static void cmos_describe_acpi(struct device *dev, struct aml_writer *aml)
{
	aml_describe(aml, "PNP0B00", dev); // AT real-time clock
}

static void cmos_free(struct device *dev)
{
	struct cmos *cmos = from_device(dev);

	rtc_alarm_exit(&cmos->timer);
	device_exit(dev);
	free(cmos);
}

static const struct device_ops cmos_ops = {
	.reset = cmos_reset,
	.describe_acpi = cmos_describe_acpi,
	.free = cmos_free,
};

int cmos_rtc_create(struct device **dev, uint16_t port, struct irq_line irq, struct loop *main_loop)
{
	struct cmos *cmos = calloc(1, sizeof(*cmos));

	if (!cmos)
		return fail(ENOMEM, "make the clock");
	rtc_alarm_init(&cmos->timer, &cmos->dev, main_loop, check);
	// As a PC's firmware leaves it: 1024 Hz selected, 24 hours, BCD.
	cmos->ram[REG_A] = A_DIVIDER_32768_HZ | 6;
	cmos->ram[REG_B] = B_24_HOURS;
	cmos->seen = guest_time(cmos);
	device_init(&cmos->dev, "rtc", &cmos_ops, &cmos_io, port, CMOS_RTC_SIZE, irq);
	*dev = &cmos->dev;
	return 0;
}
