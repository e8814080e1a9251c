// SPDX-License-Identifier: GPL-2.0-or-later
// Address translation of the software engine: page-table walks and TLB fills.
//
// All for the hart's own thread. Functions that can fault return CAUSE_NONE, or
// set h->trap_tval and return the exception's cause without other effect.
#ifndef KVIK_SOFT_MMU_H
#define KVIK_SOFT_MMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hart.h"

enum mmu_access { MMU_READ, MMU_WRITE, MMU_FETCH };

// Consecutive pages never share an index, whatever the size of the table: the fast
// path checks only the page of an access's last byte.
static inline unsigned tlb_index(uint64_t va)
{
	return ((va >> PAGE_SHIFT) + (va >> (PAGE_SHIFT + TLB_BITS))) & (TLB_ENTRIES - 1);
}

int mmu_create(struct hart *h);
void mmu_free(struct hart *h);

// Points the hart at the TLBs of its mode, sstatus and satp.
void mmu_select(struct hart *h);
// satp was written (its MODE is one the hart has).
void mmu_set_satp(struct hart *h, uint64_t satp);

// Slow paths of loads and stores of @size bytes: any address, any alignment, RAM
// or a device.
int mmu_load(struct hart *h, uint64_t va, void *data, unsigned size);
int mmu_store(struct hart *h, uint64_t va, const void *data, unsigned size);
// A host pointer to [va, va + size) within one page of RAM, for LR, and for atomics
// and cbo.zero (checked as a store).
int mmu_load_pointer(struct hart *h, uint64_t va, void **host);
int mmu_store_pointer(struct hart *h, uint64_t va, unsigned size, void **host);
// The page of slots to execute at @va; fills the fetch TLB.
int mmu_fetch_page(struct hart *h, uint64_t va, const slot_t **slots);
// A halfword of code at @va.
int mmu_fetch_halfword(struct hart *h, uint64_t va, uint16_t *halfword);

// SFENCE.VMA (privileged ISA 12.2.1).
void mmu_flush(struct hart *h, const struct fence *fence);
void mmu_flush_all(struct hart *h);
// Forget every writable mapping of a host page: it holds code now.
void mmu_drop_writes(struct hart *h, const void *host_page);
void mmu_flush_fetch(struct hart *h);

#endif
