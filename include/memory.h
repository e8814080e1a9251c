// SPDX-License-Identifier: GPL-2.0-or-later
// Guest RAM and the single gate from a guest-physical address to a host pointer.
//
// Banks are added by the main thread before the vCPUs start and never change
// while they run; lookups are lock-free from any thread. RAM contents are shared
// with the guest: copy a field once, check the copy, use the copy.
#ifndef KVIK_MEMORY_H
#define KVIK_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

#define MEMORY_MAX_BANKS 4

struct memory_bank {
	uint64_t base_gpa;
	uint64_t size_bytes;
	uint8_t *host; // congruent with base_gpa modulo a huge page, so that these line up
	void *mapping; // what to unmap: guard pages included
	uint64_t mapping_bytes;
};

struct memory {
	struct memory_bank banks[MEMORY_MAX_BANKS];
	unsigned bank_count;
	// A directory of a hugetlbfs: banks take its pages. NULL: ordinary memory. Set
	// before the first bank.
	const char *hugetlbfs;
	// Only loaders have written to it: the rest holds zeroes still. Main thread, no vCPU
	// has run; vm.c says so.
	bool fresh;
	// Told after the host (a device, a loader) wrote [gpa, gpa + len). NULL unless
	// the accelerator keeps translated code that such a write makes stale.
	// Any thread. Set by the accelerator's vm_init.
	void (*written)(void *opaque, uint64_t gpa, uint64_t len);
	void *written_opaque;
};

void memory_init(struct memory *mem);
void memory_exit(struct memory *mem);

// Maps a bank of zeroed RAM at [@base_gpa, @base_gpa + @size_bytes), both 4 KiB
// aligned, between inaccessible guard pages, left out of core dumps and backed by
// huge pages where the host has them. Returns 0; -EINVAL on overlap, overflow or
// a fifth bank; -ENOMEM.
int memory_add_ram(struct memory *mem, uint64_t base_gpa, uint64_t size_bytes) MUST_CHECK;

// Host pointer to [@gpa, @gpa + @len), or NULL unless all of it is RAM of one
// bank. @len 0 is treated as 1. Overflow is checked.
static inline void *memory_ptr(const struct memory *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < mem->bank_count; i++) {
		const struct memory_bank *bank = &mem->banks[i];
		uint64_t offset = gpa - bank->base_gpa;

		if (offset >= bank->size_bytes)
			continue;
		if ((len ? len : 1) > bank->size_bytes - offset)
			return NULL;
		return bank->host + offset;
	}
	return NULL;
}

// Says that the host wrote [@gpa, @gpa + @len) of RAM; after the write and before
// the guest is told of it. Any thread.
static inline void memory_mark_written(struct memory *mem, uint64_t gpa, uint64_t len)
{
	if (mem->written)
		mem->written(mem->written_opaque, gpa, len);
}

// Copies into or out of guest RAM; -EFAULT (no message) unless all of it is RAM.
// memory_write() marks what it wrote.
int memory_read(const struct memory *mem, uint64_t gpa, void *data, uint64_t len) MUST_CHECK;
int memory_write(struct memory *mem, uint64_t gpa, const void *data, uint64_t len) MUST_CHECK;

// Gives the host's pages that lie in [@gpa, @gpa + @len) as a whole back to it; the guest
// finds zeroes there then. Returns how many bytes went: 0 when the range is not RAM or the
// host keeps them (hugetlbfs). Any thread.
uint64_t memory_discard(struct memory *mem, uint64_t gpa, uint64_t len);

uint64_t memory_total_bytes(const struct memory *mem);

#endif
