// SPDX-License-Identifier: GPL-2.0-or-later
// From an address to the device register behind it.
//
// Regions are added by the main thread while the vCPUs are stopped; accesses run
// lock-free to the region and take the device's lock around its handler.
#ifndef KVIK_BUS_H
#define KVIK_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct io_region;

// A store that needs no register handler: @value, of @len bytes, to @addr signals the
// eventfd @fd, and the vCPU goes on at once.
struct bus_doorbell {
	uint64_t addr;
	unsigned len;
	uint64_t value;
	int fd;
};

// A page of registers whose reads memory can answer for a while, without an exit.
#define BUS_PAGE_BYTES 4096
struct bus_page {
	uint64_t addr;
	unsigned number; // among the bus's pages
};

struct bus {
	struct io_region **regions; // sorted by base
	unsigned count;
	unsigned capacity;
	uint8_t floating; // each byte of a read that nobody answers; 0 at first
	// The accelerator's way to take a doorbell; NULL where it has none. As
	// bus_add_doorbell().
	int (*add_doorbell)(void *opaque, const struct bus_doorbell *doorbell);
	// As well for pages, and as bus_show_page().
	int (*show_page)(void *opaque, const struct bus_page *page, const void *bytes);
	void *accel_opaque;
	unsigned page_count;
};

void bus_init(struct bus *bus);
void bus_exit(struct bus *bus); // does not free the regions' devices

// Returns 0, or -EEXIST (with a message) when the region is empty, wraps or
// overlaps another; -ENOMEM.
int bus_add(struct bus *bus, struct io_region *region) MUST_CHECK;

// From now on the store does not reach its region any more, unless it fails: -ENOTSUP
// where the accelerator knows no doorbells, or its own error, without a message.
int bus_add_doorbell(struct bus *bus, const struct bus_doorbell *doorbell) MUST_CHECK;

// Makes *@page stand for the registers at @addr, which is a multiple of BUS_PAGE_BYTES.
// Returns whether there is use for it. Main thread, vCPUs stopped.
bool bus_add_page(struct bus *bus, uint64_t addr, struct bus_page *page);
// From now on reads of the page find @bytes, as many, which are not to change meanwhile and
// to stay as long as the VM; NULL: the registers once more. Stores, and doorbells, go on as
// ever. Returns 0, or -errno without a message: nothing has changed then. One thread at a
// time for each page.
int bus_show_page(struct bus *bus, const struct bus_page *page, const void *bytes) MUST_CHECK;

// One access of @len bytes (1, 2, 4 or 8), @data in the guest's byte order
// (little-endian). An access that a device does not take (its size, its
// alignment) reads as zero or is ignored. Returns 0, or -ENXIO when nothing lives
// at @addr: then a read has filled @data with @bus->floating. vCPU threads.
int bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len) MUST_CHECK;
int bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len) MUST_CHECK;

// Whether a store of @len bytes to @addr may arrive late (io_region.posted_bytes). Any
// thread.
bool bus_may_post(const struct bus *bus, uint64_t addr, unsigned len);

#endif
