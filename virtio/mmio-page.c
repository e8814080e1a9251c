// SPDX-License-Identifier: GPL-2.0-or-later
// Registers that the guest reads without an exit, while nothing changes them.
//
// Linux reads InterruptStatus in each interrupt. On an edge-triggered line it always says
// the same, and so, once the driver has set up its device, do all others: a page of memory
// can stand for them, which the guest can read but not write. It goes as soon as a register
// is about to change, and comes back when it was missed for a while: each time for longer,
// since to take it away costs more than many exits.
//
// The page is never changed while it is shown: the guest's mapping is that of a device's
// registers, past the caches, and KVM cleans those when it maps the page (arm64).

#include "mmio-page.h"

#include <string.h>
#include <sys/mman.h>

#include "log.h"

#define FIRST_PATIENCE 64
#define LAST_PATIENCE (1u << 20)

void mmio_page_init(struct mmio_page *page, struct bus *bus, uint64_t base)
{
	pthread_mutex_init(&page->lock, NULL);
	page->patience = FIRST_PATIENCE;
	if (bus_add_page(bus, base, &page->place))
		page->bus = bus;
}

void mmio_page_exit(struct mmio_page *page)
{
	if (!page->patience)
		return;
	if (page->bytes)
		munmap(page->bytes, BUS_PAGE_BYTES);
	pthread_mutex_destroy(&page->lock);
}

static bool find_memory(struct mmio_page *page)
{
	void *bytes;

	if (page->bytes)
		return true;
	bytes = mmap(NULL, BUS_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	if (bytes == MAP_FAILED)
		return false;
	page->bytes = bytes;
	return true;
}

static void show(struct mmio_page *page, mmio_page_fill *fill, void *opaque)
{
	if (page->shown || !find_memory(page))
		return;
	memset(page->bytes, 0, BUS_PAGE_BYTES);
	if (fill(opaque, page->bytes))
		page->shown = !bus_show_page(page->bus, &page->place, page->bytes);
}

void mmio_page_note_read(struct mmio_page *page, mmio_page_fill *fill, void *opaque)
{
	if (!page->bus || ++page->reads < page->patience)
		return;
	pthread_mutex_lock(&page->lock);
	show(page, fill, opaque);
	pthread_mutex_unlock(&page->lock);
	page->reads = 0;
	page->patience = MIN(page->patience * 2, LAST_PATIENCE);
}

void mmio_page_hide(struct mmio_page *page)
{
	int ret = 0;

	if (!page->bus)
		return;
	pthread_mutex_lock(&page->lock);
	if (page->shown) {
		ret = bus_show_page(page->bus, &page->place, NULL);
		page->shown = ret;
	}
	pthread_mutex_unlock(&page->lock);
	if (ret)
		err("virtio-mmio at 0x%llx: the guest reads old registers: %s",
		    (unsigned long long)page->place.addr, strerror(-ret));
}
