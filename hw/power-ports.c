// SPDX-License-Identifier: GPL-2.0-or-later
// Ports that switch a PC off or restart it: ACPI's sleep registers, and the reset
// control register of Intel's chip sets.
#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "hw.h"
#include "log.h"

// ACPI 6.5, table 4.17.
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK 7
#define SLEEP_ENABLE 0x20

// Reset control register: a hard reset is asked for first, then begun.
#define RESET_SYSTEM 0x02
#define RESET_CPU 0x04
#define RESET_FULL 0x08

struct power_ports {
	struct device dev;
	struct power_sink power;
	uint8_t control; // of the reset control register, as written
};

static struct power_ports *from_device(struct device *dev)
{
	return container_of(dev, struct power_ports, dev);
}

static void request(struct power_ports *ports, enum vcpu_exit what)
{
	ports->power.request(ports->power.opaque, what);
}

// -- ACPI --

// The sleep status register never says that it woke: there is no other state than S5.
static uint64_t acpi_read(struct io_region *region, uint64_t offset, unsigned size)
{
	return 0;
}

static void acpi_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct power_ports *ports = from_device(region->device);
	unsigned type = value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK;

	if (offset == ACPI_POWER_SLEEP_CONTROL && value & SLEEP_ENABLE &&
	    type == ACPI_POWER_S5_TYPE)
		request(ports, VCPU_EXIT_SHUTDOWN);
	else if (offset == ACPI_POWER_RESET && value == ACPI_POWER_RESET_VALUE)
		request(ports, VCPU_EXIT_RESET);
}

static const struct io_ops acpi_io = {
	.read = acpi_read,
	.write = acpi_write,
	.min_size = 1,
	.max_size = 1,
};

// -- reset control --

static uint64_t control_read(struct io_region *region, uint64_t offset, unsigned size)
{
	return from_device(region->device)->control;
}

static void control_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct power_ports *ports = from_device(region->device);

	ports->control = value & (RESET_SYSTEM | RESET_FULL);
	if (value & RESET_CPU)
		request(ports, VCPU_EXIT_RESET);
}

static const struct io_ops control_io = {
	.read = control_read,
	.write = control_write,
	.min_size = 1,
	.max_size = 1,
};

// -- life --

static void power_reset(struct device *dev)
{
	from_device(dev)->control = 0;
}

static void power_free(struct device *dev)
{
	device_exit(dev);
	free(from_device(dev));
}

static const struct device_ops power_ops = {
	.reset = power_reset,
	.free = power_free,
};

static struct power_ports *create(struct power_sink power)
{
	struct power_ports *ports = calloc(1, sizeof(*ports));

	if (ports)
		ports->power = power;
	else
		fail(ENOMEM, "make the power ports");
	return ports;
}

int acpi_power_create(struct device **dev, uint16_t port, struct power_sink power)
{
	struct power_ports *ports = create(power);

	if (!ports)
		return -ENOMEM;
	device_init(&ports->dev, "acpi-power", &power_ops, &acpi_io, port, ACPI_POWER_SIZE,
		    (struct irq_line){ 0 });
	*dev = &ports->dev;
	return 0;
}

int reset_port_create(struct device **dev, uint16_t port, struct power_sink power)
{
	struct power_ports *ports = create(power);

	if (!ports)
		return -ENOMEM;
	device_init(&ports->dev, "reset-port", &power_ops, &control_io, port, 1,
		    (struct irq_line){ 0 });
	*dev = &ports->dev;
	return 0;
}
