// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables: Sv39, or Sv48 and Sv57 in programs built with PAGE_LEVELS 4 and 5.
#include "guest.h"

#define POOL_PAGES 512
#ifndef PAGE_LEVELS
#define PAGE_LEVELS 3
#endif
#define SATP_MODE ((5UL + PAGE_LEVELS) << 60)
#define RAM 0x80000000UL

static char pool[POOL_PAGES][PAGE] __attribute__((aligned(4096)));
static unsigned pool_used;

void *page_alloc(void)
{
	if (pool_used == POOL_PAGES)
		fatal("no page left");
	return pool[pool_used++];
}

pte_t *page_root(void)
{
	pte_t *root = page_alloc();

	page_map(root, RAM, RAM, 2, PTE_RWX | PTE_G);
	return root;
}

pte_t *page_map(pte_t *root, uint64_t va, uint64_t pa, unsigned level, uint64_t flags)
{
	pte_t *table = root;

	for (unsigned at = PAGE_LEVELS - 1; at > level; at--) {
		pte_t *pte = &table[va >> (12 + 9 * at) & 511];

		if (!(*pte & PTE_V))
			*pte = pte_make((uint64_t)page_alloc(), PTE_V);
		table = (pte_t *)(*pte >> 10 << 12);
	}
	pte_t *leaf = &table[va >> (12 + 9 * level) & 511];
	*leaf = pte_make(pa, flags);
	return leaf;
}

uint64_t page_satp(const pte_t *root, uint64_t asid)
{
	return SATP_MODE | asid << 44 | (uint64_t)root >> 12;
}

void page_use(const pte_t *root)
{
	csr_write("satp", root ? page_satp(root, 0) : 0);
	sfence_vma();
}
