// SPDX-License-Identifier: GPL-2.0-or-later
// From an address to the device register behind it.

#include "bus.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "log.h"

void bus_init(struct bus *bus)
{
	*bus = (struct bus){ 0 };
}

void bus_exit(struct bus *bus)
{
	free(bus->regions);
	*bus = (struct bus){ 0 };
}

// Index of the first region that ends above @addr; bus->count if none does.
static unsigned first_above(const struct bus *bus, uint64_t addr)
{
	unsigned low = 0, high = bus->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		const struct io_region *region = bus->regions[middle];

		// A region may end at 2^64, so compare with its last byte.
		if (region->base + (region->size_bytes - 1) < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct io_region *find_region(const struct bus *bus, uint64_t addr)
{
	unsigned i = first_above(bus, addr);

	if (i < bus->count && addr >= bus->regions[i]->base)
		return bus->regions[i];
	return NULL;
}

static int check_region(const struct bus *bus, const struct io_region *region)
{
	const char *name = region->device->name;
	uint64_t last = region->base + region->size_bytes - 1;
	unsigned i;

	if (!region->size_bytes || last < region->base)
		return fail_msg(EEXIST, "%s: no registers fit at 0x%" PRIx64 " + 0x%" PRIx64, name,
				region->base, region->size_bytes);
	i = first_above(bus, region->base);
	if (i < bus->count && bus->regions[i]->base <= last)
		return fail_msg(EEXIST, "%s: registers at 0x%" PRIx64 " overlap those of %s", name,
				region->base, bus->regions[i]->device->name);
	return 0;
}

static int make_room(struct bus *bus)
{
	unsigned capacity = bus->capacity ? 2 * bus->capacity : 8;
	struct io_region **regions;

	if (bus->count < bus->capacity)
		return 0;
	regions = reallocarray(bus->regions, capacity, sizeof(*regions));
	if (!regions)
		return fail(ENOMEM, "table of device registers");
	bus->regions = regions;
	bus->capacity = capacity;
	return 0;
}

int bus_add(struct bus *bus, struct io_region *region)
{
	unsigned i;
	int ret = check_region(bus, region);

	if (!ret)
		ret = make_room(bus);
	if (ret)
		return ret;
	i = first_above(bus, region->base);
	memmove(&bus->regions[i + 1], &bus->regions[i], (bus->count - i) * sizeof(bus->regions[0]));
	bus->regions[i] = region;
	bus->count++;
	return 0;
}

int bus_add_doorbell(struct bus *bus, const struct bus_doorbell *doorbell)
{
	return bus->add_doorbell ? bus->add_doorbell(bus->accel_opaque, doorbell) : -ENOTSUP;
}

bool bus_add_page(struct bus *bus, uint64_t addr, struct bus_page *page)
{
	if (!bus->show_page || addr % BUS_PAGE_BYTES)
		return false;
	*page = (struct bus_page){ .addr = addr, .number = bus->page_count++ };
	return true;
}

int bus_show_page(struct bus *bus, const struct bus_page *page, const void *bytes)
{
	return bus->show_page(bus->accel_opaque, page, bytes);
}

// What the device said in its io_ops: the one place that checks it.
static bool device_takes(const struct io_region *region, uint64_t offset, unsigned len)
{
	const struct io_ops *ops = region->ops;
	bool power_of_two = len && !(len & (len - 1));

	return power_of_two && len >= ops->min_size && len <= ops->max_size &&
	       !(offset & (len - 1)) && len <= region->size_bytes - offset;
}

int bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len)
{
	struct io_region *region = find_region(bus, addr);
	uint64_t offset, value;

	memset(data, region ? 0 : bus->floating, len);
	if (!region)
		return -ENXIO;
	offset = addr - region->base;
	if (!device_takes(region, offset, len))
		return 0;
	pthread_mutex_lock(&region->device->lock);
	value = region->ops->read(region, offset, len);
	pthread_mutex_unlock(&region->device->lock);
	value = htole64(value);
	memcpy(data, &value, len);
	return 0;
}

int bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len)
{
	struct io_region *region = find_region(bus, addr);
	uint64_t offset, value = 0;

	if (!region)
		return -ENXIO;
	offset = addr - region->base;
	if (!device_takes(region, offset, len))
		return 0;
	memcpy(&value, data, len);
	pthread_mutex_lock(&region->device->lock);
	region->ops->write(region, offset, le64toh(value), len);
	pthread_mutex_unlock(&region->device->lock);
	return 0;
}

bool bus_may_post(const struct bus *bus, uint64_t addr, unsigned len)
{
	const struct io_region *region = find_region(bus, addr);

	return region && addr - region->base < region->posted_bytes &&
	       len <= region->posted_bytes - (addr - region->base);
}
