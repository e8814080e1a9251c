// SPDX-License-Identifier: GPL-2.0-or-later
// Registers that the guest reads without an exit, while nothing changes them.
#ifndef KVIK_VIRTIO_MMIO_PAGE_H
#define KVIK_VIRTIO_MMIO_PAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus.h"

struct mmio_page {
	struct bus *bus; // NULL: no page
	struct bus_page place;
	unsigned reads;       // since it was shown last; guarded by the device's lock
	unsigned patience;    // how many it takes
	pthread_mutex_t lock; // guards what follows; innermost
	uint8_t *bytes;       // BUS_PAGE_BYTES, from the first time on
	bool shown;
};

// Fills in what the guest finds; false: not now.
typedef bool mmio_page_fill(void *opaque, uint8_t *bytes);

// Where the accelerator has no such way, the others do nothing. Main thread, vCPUs stopped.
void mmio_page_init(struct mmio_page *page, struct bus *bus, uint64_t base);
void mmio_page_exit(struct mmio_page *page); // no vCPU runs any more
// The register that is worth it was read; now and then this shows the page. The device's
// lock is held.
void mmio_page_note_read(struct mmio_page *page, mmio_page_fill *fill, void *opaque);
// Before a register changes: from now on the guest's reads are exits. Any thread.
void mmio_page_hide(struct mmio_page *page);

#endif
