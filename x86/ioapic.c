// SPDX-License-Identifier: GPL-2.0-or-later
// An I/O APIC: Intel's 82093AA (data sheet 290566), with the EOI register of later ones
// (version 0x20).
//
// Each pin has a redirection entry. What it makes of its input goes to the local APICs
// as a message, the same as a device's MSI (SDM vol. 3A, 11.11): that of an edge at
// once, or when the pin is unmasked; that of a level while the input is high and the
// last one has been ended (remote IRR). The local APICs tell only of the ends that
// they were asked for, so they are told which vectors are level-triggered.
#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "ioapic.h"
#include "log.h"
#include "vcpu.h"
#include "x86-accel.h"

enum {
	PORT_SELECT = 0x00,
	PORT_WINDOW = 0x10,
	PORT_EOI = 0x40,
};

enum {
	REG_ID = 0x00,
	REG_VERSION = 0x01,
	REG_ARBITRATION = 0x02,
	REG_REDIRECTION = 0x10, // two a pin
};

#define VERSION 0x20
#define ID_SHIFT 24
#define ID_MASK 0xfU

// A redirection entry.
#define ENTRY_VECTOR 0xffULL
#define ENTRY_DELIVERY 0x700ULL
#define ENTRY_LOGICAL (1ULL << 11)
#define ENTRY_REMOTE_IRR (1ULL << 14)
#define ENTRY_LEVEL (1ULL << 15)
#define ENTRY_MASKED (1ULL << 16)
#define ENTRY_DESTINATION_SHIFT 56
// Delivery status is always idle: messages take no time.
#define ENTRY_WRITABLE                                                                             \
	(ENTRY_VECTOR | ENTRY_DELIVERY | ENTRY_LOGICAL | 1ULL << 13 | ENTRY_LEVEL | ENTRY_MASKED | \
	 0xffULL << ENTRY_DESTINATION_SHIFT)

#define MESSAGE_ADDRESS 0xfee00000ULL
#define MESSAGE_ASSERT (1U << 14)

struct ioapic {
	struct device dev;
	struct accel *accel;
	pthread_mutex_t lock; // guards the rest; taken inside the device's
	uint8_t select;
	uint8_t id;
	uint64_t entries[IOAPIC_PINS];
	bool high[IOAPIC_PINS];
	bool edge[IOAPIC_PINS];                 // one that came while the pin was masked
	struct x86_message levels[IOAPIC_PINS]; // what the accelerator knows
};

static struct ioapic *from_device(struct device *dev)
{
	return container_of(dev, struct ioapic, dev);
}

// -- messages; with the lock held --

static struct x86_message message(uint64_t entry)
{
	struct x86_message message = {
		.address = MESSAGE_ADDRESS | entry >> ENTRY_DESTINATION_SHIFT << 12,
		.data = entry & (ENTRY_VECTOR | ENTRY_DELIVERY | ENTRY_LEVEL),
	};

	if (entry & ENTRY_LOGICAL)
		message.address |= 1 << 2;
	if (entry & ENTRY_LEVEL)
		message.data |= MESSAGE_ASSERT;
	return message;
}

// Sends what is due on a pin.
static void serve_pin(struct ioapic *ioapic, unsigned pin)
{
	uint64_t entry = ioapic->entries[pin];
	bool due = ioapic->edge[pin];

	if (entry & ENTRY_LEVEL)
		due = ioapic->high[pin] && !(entry & ENTRY_REMOTE_IRR);
	if (!due || entry & ENTRY_MASKED)
		return;
	if (entry & ENTRY_LEVEL)
		ioapic->entries[pin] |= ENTRY_REMOTE_IRR;
	ioapic->edge[pin] = false;
	ioapic->accel->ops->x86->send_message(ioapic->accel, message(entry));
}

static void end_vector(struct ioapic *ioapic, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t entry = ioapic->entries[pin];

		if (!(entry & ENTRY_REMOTE_IRR) || (entry & ENTRY_VECTOR) != vector)
			continue;
		ioapic->entries[pin] &= ~ENTRY_REMOTE_IRR;
		serve_pin(ioapic, pin);
	}
}

// What the accelerator is to know of a pin. A masked one counts as well: it may still
// have to be ended.
static struct x86_message level_message(uint64_t entry)
{
	if (entry & ENTRY_LEVEL && entry & ENTRY_VECTOR)
		return message(entry);
	return (struct x86_message){ 0 };
}

static void tell_levels(struct ioapic *ioapic)
{
	bool changed = false;

	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		struct x86_message *known = &ioapic->levels[pin];
		struct x86_message now = level_message(ioapic->entries[pin]);

		changed |= now.address != known->address || now.data != known->data;
		*known = now;
	}
	if (changed)
		ioapic->accel->ops->x86->set_levels(ioapic->accel, ioapic->levels, IOAPIC_PINS);
}

// -- registers; with the lock held --

static uint32_t read_window(const struct ioapic *ioapic)
{
	unsigned pin = (ioapic->select - REG_REDIRECTION) / 2;

	switch (ioapic->select) {
	case REG_ID:
	case REG_ARBITRATION:
		return (uint32_t)ioapic->id << ID_SHIFT;
	case REG_VERSION:
		return VERSION | (IOAPIC_PINS - 1) << 16;
	}
	if (ioapic->select < REG_REDIRECTION || pin >= IOAPIC_PINS)
		return 0;
	return ioapic->entries[pin] >> (ioapic->select % 2 * 32);
}

static void write_entry(struct ioapic *ioapic, unsigned pin, unsigned half, uint32_t value)
{
	uint64_t old = ioapic->entries[pin];
	uint64_t entry = half ? (old & 0xffffffff) | (uint64_t)value << 32 :
				(old & ~0xffffffffULL) | value;

	entry = (entry & ENTRY_WRITABLE) | (old & ENTRY_REMOTE_IRR);
	// How drivers of chips without EOI register clear it.
	if (!(entry & ENTRY_LEVEL))
		entry &= ~ENTRY_REMOTE_IRR;
	ioapic->entries[pin] = entry;
	tell_levels(ioapic);
	serve_pin(ioapic, pin);
}

static void write_window(struct ioapic *ioapic, uint32_t value)
{
	unsigned pin = (ioapic->select - REG_REDIRECTION) / 2;

	if (ioapic->select == REG_ID)
		ioapic->id = value >> ID_SHIFT & ID_MASK;
	else if (ioapic->select >= REG_REDIRECTION && pin < IOAPIC_PINS)
		write_entry(ioapic, pin, ioapic->select % 2, value);
}

static uint64_t ioapic_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct ioapic *ioapic = from_device(region->device);
	uint32_t value = 0;

	pthread_mutex_lock(&ioapic->lock);
	if (offset == PORT_SELECT)
		value = ioapic->select;
	else if (offset == PORT_WINDOW)
		value = read_window(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
	return value;
}

static void ioapic_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct ioapic *ioapic = from_device(region->device);

	pthread_mutex_lock(&ioapic->lock);
	if (offset == PORT_SELECT)
		ioapic->select = value;
	else if (offset == PORT_WINDOW)
		write_window(ioapic, value);
	else if (offset == PORT_EOI)
		end_vector(ioapic, value);
	pthread_mutex_unlock(&ioapic->lock);
}

static const struct io_ops ioapic_io = {
	.read = ioapic_read,
	.write = ioapic_write,
	.min_size = 4,
	.max_size = 4,
};

// -- the other sides --

void ioapic_set_pin(struct device *dev, unsigned pin, bool high)
{
	struct ioapic *ioapic = from_device(dev);

	pthread_mutex_lock(&ioapic->lock);
	if (high && !ioapic->high[pin] && !(ioapic->entries[pin] & ENTRY_LEVEL))
		ioapic->edge[pin] = true;
	ioapic->high[pin] = high;
	serve_pin(ioapic, pin);
	pthread_mutex_unlock(&ioapic->lock);
}

void ioapic_end_of_interrupt(struct device *dev, uint8_t vector)
{
	struct ioapic *ioapic = from_device(dev);

	pthread_mutex_lock(&ioapic->lock);
	end_vector(ioapic, vector);
	pthread_mutex_unlock(&ioapic->lock);
}

// -- life --

// The inputs are the devices': they stay as they are.
static void ioapic_reset(struct device *dev)
{
	struct ioapic *ioapic = from_device(dev);

	pthread_mutex_lock(&ioapic->lock);
	ioapic->select = 0;
	ioapic->id = 0;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		ioapic->entries[pin] = ENTRY_MASKED;
		ioapic->edge[pin] = false;
	}
	tell_levels(ioapic);
	pthread_mutex_unlock(&ioapic->lock);
}

static void ioapic_free(struct device *dev)
{
	struct ioapic *ioapic = from_device(dev);

	pthread_mutex_destroy(&ioapic->lock);
	device_exit(dev);
	free(ioapic);
}

static const struct device_ops ioapic_ops = {
	.reset = ioapic_reset,
	.free = ioapic_free,
};

int ioapic_create(struct device **dev, uint64_t base, struct accel *accel)
{
	struct ioapic *ioapic = calloc(1, sizeof(*ioapic));

	if (!ioapic)
		return fail(ENOMEM, "make the I/O APIC");
	ioapic->accel = accel;
	pthread_mutex_init(&ioapic->lock, NULL);
	device_init(&ioapic->dev, "ioapic", &ioapic_ops, &ioapic_io, base, IOAPIC_SIZE,
		    (struct irq_line){ 0 });
	ioapic_reset(&ioapic->dev);
	*dev = &ioapic->dev;
	return 0;
}
