// SPDX-License-Identifier: GPL-2.0-or-later
// What of the program itself stays in memory.

#include "pages.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util.h"

// Of an entry of /proc/self/pagemap (proc(5)).
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_FILE (UINT64_C(1) << 61)

#define RANGE_PAGES 256

static bool has_changed_page(int pagemap_fd, uintptr_t first_page, size_t pages)
{
	size_t bytes = pages * sizeof(uint64_t);
	uint64_t entries[RANGE_PAGES];

	if (pread(pagemap_fd, entries, bytes, (off_t)(first_page * sizeof(*entries))) !=
	    (ssize_t)bytes)
		return true; // who knows
	for (size_t i = 0; i < pages; i++)
		if ((entries[i] & ENTRY_PRESENT) && !(entries[i] & ENTRY_FILE))
			return true;
	return false;
}

static void forget_pages(int pagemap_fd, uintptr_t page, uintptr_t end_page)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE), pages;

	for (; page < end_page; page += pages) {
		pages = MIN(end_page - page, (size_t)RANGE_PAGES);
		if (!has_changed_page(pagemap_fd, page, pages))
			madvise((void *)(page * page_bytes), pages * page_bytes, MADV_DONTNEED);
	}
}

// What is relocated and then made read-only belongs to a writable segment: it is left alone.
static int forget_segments(struct dl_phdr_info *object, size_t size, void *opaque)
{
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	const int *pagemap_fd = opaque;

	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t begin = object->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			forget_pages(*pagemap_fd, begin / page_bytes,
				     (begin + segment->p_filesz + page_bytes - 1) / page_bytes);
	}
	return 0;
}

void pages_forget_start(void)
{
	int pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	malloc_trim(0);
	if (pagemap_fd < 0)
		return;
	dl_iterate_phdr(forget_segments, &pagemap_fd);
	close(pagemap_fd);
}
