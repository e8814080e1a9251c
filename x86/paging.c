// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables of x86-64 in long mode as a debugger reads them (Intel SDM vol. 3A, 4.5): four
// or five levels, pages of 4 KiB, 2 MiB and 1 GiB.
#include "cpu-view.h"
#include "x86-accel.h"

#define CR0_PG (1ULL << 31)
#define CR4_LA57 (1ULL << 12)
#define EFER_LMA (1ULL << 10)
#define EFER_NXE (1ULL << 11)
#define ENTRY_PRESENT (1ULL << 0)
#define ENTRY_USER (1ULL << 2)
#define ENTRY_LARGE (1ULL << 7)
#define ENTRY_NX (1ULL << 63)
#define ADDRESS_MASK 0x000ffffffffff000ULL
#define PAGE_BITS 12
#define LEVEL_BITS 9
#define LARGE_LEVEL_MAX 2 // 1 GiB

static bool is_leaf(uint64_t entry, unsigned level)
{
	return !level || (entry & ENTRY_LARGE && level <= LARGE_LEVEL_MAX);
}

static bool walk(const struct cpu_view *view, uint64_t va, unsigned levels, struct cpu_page *page)
{
	uint64_t table = view->x86.cr3 & ADDRESS_MASK, entry, user = ENTRY_USER, denied = 0;
	uint64_t nx = (view->x86.efer & EFER_NXE) ? ENTRY_NX : 0;

	for (unsigned level = levels; level-- > 0;) {
		unsigned bits = PAGE_BITS + LEVEL_BITS * level;
		uint64_t span_mask = (1ULL << bits) - 1;

		if (!cpu_view_read_gpa(view, table + 8 * (va >> bits & 0x1ff), &entry) ||
		    !(entry & ENTRY_PRESENT))
			return false;
		user &= entry;
		denied |= entry & nx;
		if (is_leaf(entry, level)) {
			page->gpa = (entry & ADDRESS_MASK & ~span_mask) | (va & span_mask);
			page->executable = !denied && !user;
			return true;
		}
		table = entry & ADDRESS_MASK;
	}
	return false;
}

static bool translate(const struct cpu_view *view, uint64_t va, struct cpu_page *page)
{
	unsigned levels = (view->x86.cr4 & CR4_LA57) ? 5 : 4;

	if (!(view->x86.cr0 & CR0_PG)) {
		*page = (struct cpu_page){ .gpa = va, .executable = true };
		return true;
	}
	// Nobody debugs a 32-bit guest here: kvik boots none.
	if (!(view->x86.efer & EFER_LMA) ||
	    !cpu_view_is_canonical(va, PAGE_BITS + LEVEL_BITS * levels))
		return false;
	return walk(view, va, levels, page);
}

// Linux mostly keeps no frame pointers, but tables of its own (ORC).
const struct cpu_view_ops x86_view_ops = {
	.translate = translate,
	.stack_bytes = 16 * KIB,
};
