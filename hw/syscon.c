// SPDX-License-Identifier: GPL-2.0-or-later
// A system controller: one register that switches the machine off or restarts it.
//
// The register and its values are those of SiFive's test finisher, which guests
// without a device tree know; others find them in the nodes below.
#include <errno.h>
#include <stdlib.h>

#include "device.h"
#include "fdt.h"
#include "hw.h"
#include "log.h"

#define FINISHER 0x0
#define FINISHER_POWEROFF 0x5555
#define FINISHER_REBOOT 0x7777

struct syscon {
	struct device dev;
	struct power_sink power;
};

static struct syscon *from_device(struct device *dev)
{
	return container_of(dev, struct syscon, dev);
}

static uint64_t syscon_read(struct io_region *region, uint64_t offset, unsigned size)
{
	return 0;
}

static void syscon_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	struct syscon *syscon = from_device(region->device);

	if (offset != FINISHER)
		return;
	if (value == FINISHER_POWEROFF)
		syscon->power.request(syscon->power.opaque, VCPU_EXIT_SHUTDOWN);
	else if (value == FINISHER_REBOOT)
		syscon->power.request(syscon->power.opaque, VCPU_EXIT_RESET);
}

// Small guests write 16 bits, Linux's regmap 32.
static const struct io_ops syscon_io = {
	.read = syscon_read,
	.write = syscon_write,
	.min_size = 2,
	.max_size = 4,
};

static void syscon_reset(struct device *dev)
{
}

// bindings/power/reset/syscon-poweroff.yaml. The nodes are children of their
// controller, and name it too for kernels that only look there.
static void describe_action(struct fdt_writer *fdt, const char *name, const char *compatible,
			    uint32_t phandle, uint32_t value)
{
	fdt_node(fdt, "%s", name);
	fdt_str(fdt, "compatible", compatible);
	fdt_u32(fdt, "regmap", phandle);
	fdt_u32(fdt, "offset", FINISHER);
	fdt_u32(fdt, "value", value);
	fdt_end(fdt);
}

static void syscon_describe(struct device *dev, struct fdt_writer *fdt)
{
	// simple-mfd has Linux look at the children.
	static const char compatible[] = "sifive,test1\0sifive,test0\0syscon\0simple-mfd";
	uint32_t phandle = dev->region.base;

	fdt_node(fdt, "syscon@%llx", (unsigned long long)dev->region.base);
	fdt_strings(fdt, "compatible", compatible, sizeof(compatible));
	fdt_reg(fdt, dev->region.base, dev->region.size_bytes);
	fdt_u32(fdt, "phandle", phandle);
	describe_action(fdt, "poweroff", "syscon-poweroff", phandle, FINISHER_POWEROFF);
	describe_action(fdt, "reboot", "syscon-reboot", phandle, FINISHER_REBOOT);
	fdt_end(fdt);
}

static void syscon_free(struct device *dev)
{
	device_exit(dev);
	free(from_device(dev));
}

static const struct device_ops syscon_ops = {
	.reset = syscon_reset,
	.describe = syscon_describe,
	.free = syscon_free,
};

int syscon_create(struct device **dev, uint64_t base, struct power_sink power)
{
	struct syscon *syscon = calloc(1, sizeof(*syscon));

	if (!syscon)
		return fail(ENOMEM, "make the system controller");
	syscon->power = power;
	device_init(&syscon->dev, "syscon", &syscon_ops, &syscon_io, base, SYSCON_SIZE,
		    (struct irq_line){ 0 });
	*dev = &syscon->dev;
	return 0;
}
