// SPDX-License-Identifier: GPL-2.0-or-later
// The common part of a device, and the list that owns all devices of a VM.

#include "device.h"

#include <stdio.h>

#include "bus.h"

void device_init(struct device *dev, const char *name, const struct device_ops *ops,
		 const struct io_ops *io, uint64_t base, uint64_t size_bytes, struct irq_line irq)
{
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	dev->ops = ops;
	dev->region = (struct io_region){
		.base = base,
		.size_bytes = size_bytes,
		.ops = io,
		.device = dev,
	};
	dev->irq = irq;
	dev->next_newer = NULL;
	dev->next_older = NULL;
	pthread_mutex_init(&dev->lock, NULL);
}

void device_exit(struct device *dev)
{
	pthread_mutex_destroy(&dev->lock);
}

static void list_append(struct device_list *list, struct device *dev)
{
	dev->next_older = list->newest;
	if (list->newest)
		list->newest->next_newer = dev;
	else
		list->oldest = dev;
	list->newest = dev;
}

int device_list_add(struct device_list *list, struct bus *bus, struct device *dev)
{
	int ret = dev->region.size_bytes ? bus_add(bus, &dev->region) : 0;

	if (!ret && dev->ops->plugged)
		ret = dev->ops->plugged(dev, bus);
	if (ret) {
		dev->ops->free(dev);
		return ret;
	}
	list_append(list, dev);
	return 0;
}

void device_list_reset(struct device_list *list)
{
	for (struct device *dev = list->oldest; dev; dev = dev->next_newer)
		dev->ops->reset(dev);
}

void device_list_hold(struct device_list *list, bool hold)
{
	for (struct device *dev = list->oldest; dev; dev = dev->next_newer)
		if (dev->ops->hold)
			dev->ops->hold(dev, hold);
}

void device_list_metrics(struct device_list *list, struct metric_sink *sink)
{
	for (struct device *dev = list->oldest; dev; dev = dev->next_newer)
		if (dev->ops->metrics)
			dev->ops->metrics(dev, sink);
}

void device_list_describe(struct device_list *list, struct fdt_writer *fdt)
{
	for (struct device *dev = list->oldest; dev; dev = dev->next_newer)
		if (dev->ops->describe)
			dev->ops->describe(dev, fdt);
}

void device_list_describe_acpi(struct device_list *list, struct aml_writer *aml)
{
	for (struct device *dev = list->oldest; dev; dev = dev->next_newer)
		if (dev->ops->describe_acpi)
			dev->ops->describe_acpi(dev, aml);
}

void device_list_free(struct device_list *list)
{
	while (list->newest) {
		struct device *dev = list->newest;

		list->newest = dev->next_older;
		dev->ops->free(dev);
	}
	list->oldest = NULL;
}
