// SPDX-License-Identifier: GPL-2.0-or-later
// A PC's keyboard controller, Intel's 8042, with neither keyboard nor mouse: it is here
// for its reset line, and answers at once whatever a driver asks, since Linux waits
// half a second for each answer that does not come.
#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "hw.h"
#include "log.h"

// Offsets of the ports.
enum {
	PORT_DATA = 0,
	PORT_STATUS = 4, // commands when written
};

enum {
	STATUS_OUTPUT_FULL = 0x01,
	STATUS_SYSTEM = 0x04, // the self test has passed
	STATUS_COMMAND = 0x08,
};

enum {
	COMMAND_READ_CONFIG = 0x20,
	COMMAND_WRITE_CONFIG = 0x60,
	COMMAND_DISABLE_AUX = 0xa7,
	COMMAND_ENABLE_AUX = 0xa8,
	COMMAND_TEST_AUX = 0xa9,
	COMMAND_SELF_TEST = 0xaa,
	COMMAND_TEST_KEYBOARD = 0xab,
	COMMAND_DISABLE_KEYBOARD = 0xad,
	COMMAND_ENABLE_KEYBOARD = 0xae,
	COMMAND_READ_OUTPUT_PORT = 0xd0,
	COMMAND_WRITE_OUTPUT_PORT = 0xd1,
	COMMAND_WRITE_KEYBOARD_BUFFER = 0xd2,
	COMMAND_WRITE_AUX_BUFFER = 0xd3,
	COMMAND_PULSE = 0xf0, // to 0xff: pulses the output lines whose bits are 0
};

enum {
	CONFIG_SYSTEM = 0x04,
	CONFIG_KEYBOARD_OFF = 0x10,
	CONFIG_AUX_OFF = 0x20,
};

enum {
	OUTPUT_RESET = 0x01, // active low
	OUTPUT_A20 = 0x02,
};

#define SELF_TEST_PASSED 0x55
#define CLOCK_STUCK_LOW 0x01 // of a port test: nothing is plugged in

struct i8042 {
	struct device dev;
	struct power_sink power;
	uint8_t config;
	uint8_t data;    // what a read of the data port finds
	bool data_full;  // it has not been read yet
	uint8_t command; // that waits for its byte; 0: none
	bool last_was_command;
};

static struct i8042 *from_device(struct device *dev)
{
	return container_of(dev, struct i8042, dev);
}

static void answer(struct i8042 *kbc, uint8_t byte)
{
	kbc->data = byte;
	kbc->data_full = true;
}

static void drive_output(struct i8042 *kbc, uint8_t lines)
{
	if (!(lines & OUTPUT_RESET))
		kbc->power.request(kbc->power.opaque, VCPU_EXIT_RESET);
}

static void run_command(struct i8042 *kbc, uint8_t command)
{
	kbc->command = 0;
	kbc->last_was_command = true;
	switch (command) {
	case COMMAND_READ_CONFIG:
		answer(kbc, kbc->config);
		break;
	case COMMAND_DISABLE_AUX:
		kbc->config |= CONFIG_AUX_OFF;
		break;
	case COMMAND_ENABLE_AUX:
		kbc->config &= ~CONFIG_AUX_OFF;
		break;
	case COMMAND_SELF_TEST:
		answer(kbc, SELF_TEST_PASSED);
		break;
	case COMMAND_TEST_AUX:
	case COMMAND_TEST_KEYBOARD:
		answer(kbc, CLOCK_STUCK_LOW);
		break;
	case COMMAND_DISABLE_KEYBOARD:
		kbc->config |= CONFIG_KEYBOARD_OFF;
		break;
	case COMMAND_ENABLE_KEYBOARD:
		kbc->config &= ~CONFIG_KEYBOARD_OFF;
		break;
	case COMMAND_READ_OUTPUT_PORT:
		answer(kbc, OUTPUT_RESET | OUTPUT_A20);
		break;
	case COMMAND_WRITE_CONFIG:
	case COMMAND_WRITE_OUTPUT_PORT:
	case COMMAND_WRITE_KEYBOARD_BUFFER:
	case COMMAND_WRITE_AUX_BUFFER:
		kbc->command = command;
		break;
	default:
		if (command >= COMMAND_PULSE)
			drive_output(kbc, command);
		break;
	}
}

// A byte for a command, or for a keyboard that is not there.
static void take_data(struct i8042 *kbc, uint8_t byte)
{
	uint8_t command = kbc->command;

	kbc->command = 0;
	kbc->last_was_command = false;
	switch (command) {
	case COMMAND_WRITE_CONFIG:
		kbc->config = byte;
		break;
	case COMMAND_WRITE_OUTPUT_PORT:
		drive_output(kbc, byte);
		break;
	// Both come back as from a keyboard, which tells Linux at once that there is
	// no mouse port.
	case COMMAND_WRITE_KEYBOARD_BUFFER:
	case COMMAND_WRITE_AUX_BUFFER:
		answer(kbc, byte);
		break;
	}
}

static uint64_t i8042_read(struct io_region *region, uint64_t offset, unsigned size)
{
	struct i8042 *kbc = from_device(region->device);

	if (offset == PORT_DATA) {
		kbc->data_full = false;
		return kbc->data;
	}
	if (offset == PORT_STATUS)
		return (kbc->data_full ? STATUS_OUTPUT_FULL : 0) | STATUS_SYSTEM |
		       (kbc->last_was_command ? STATUS_COMMAND : 0);
	return 0xff; // ports of others that lie between the two
}

static void i8042_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct i8042 *kbc = from_device(region->device);

	if (offset == PORT_DATA)
		take_data(kbc, value);
	else if (offset == PORT_STATUS)
		run_command(kbc, value);
}

static const struct io_ops i8042_io = {
	.read = i8042_read,
	.write = i8042_write,
	.min_size = 1,
	.max_size = 1,
};

static void i8042_reset(struct device *dev)
{
	struct i8042 *kbc = from_device(dev);

	kbc->config = CONFIG_SYSTEM | CONFIG_KEYBOARD_OFF | CONFIG_AUX_OFF;
	kbc->data = 0;
	kbc->data_full = false;
	kbc->command = 0;
	kbc->last_was_command = false;
}

static void i8042_free(struct device *dev)
{
	device_exit(dev);
	free(from_device(dev));
}

static const struct device_ops i8042_ops = {
	.reset = i8042_reset,
	.free = i8042_free,
};

int i8042_create(struct device **dev, uint16_t port, struct power_sink power)
{
	struct i8042 *kbc = calloc(1, sizeof(*kbc));

	if (!kbc)
		return fail(ENOMEM, "make the keyboard controller");
	kbc->power = power;
	device_init(&kbc->dev, "i8042", &i8042_ops, &i8042_io, port, I8042_SIZE,
		    (struct irq_line){ 0 });
	i8042_reset(&kbc->dev);
	*dev = &kbc->dev;
	return 0;
}
