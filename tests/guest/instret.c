// SPDX-License-Identifier: GPL-2.0-or-later
// instret counts each instruction once: one that misses the TLB, too, and none that
// traps.
#include "lib/guest.h"

#define PAGE_VA 0x30000000UL

static uint64_t count_lr(volatile uint64_t *p)
{
	uint64_t before, after, value;

	__asm__ volatile("rdinstret %0; lr.d %2, (%3); rdinstret %1"
			 : "=&r"(before), "=&r"(after), "=&r"(value)
			 : "r"(p)
			 : "memory");
	return after - before;
}

// Runs the instruction across the end of the page, which faults on its second half or
// on both.
static uint64_t count_straddle(void)
{
	uint64_t before = csr_read("instret");

	__asm__ volatile("jalr %0" ::"r"(PAGE_VA + 0xffe) : "ra", "memory");
	return csr_read("instret") - before;
}

int main(void)
{
	pte_t *root = page_root();
	uint16_t *code = page_alloc();
	pte_t *pte = page_map(root, PAGE_VA, (uint64_t)code, 0, PTE_RWX);
	volatile uint64_t *data = page_alloc();
	uint64_t half, none;

	page_map(root, PAGE_VA + 0x1000, (uint64_t)code, 0, 0);
	code[2047] = 0x0513; // the first half of addi
	page_use(root);
	fence_i();
	csr_read("instret");
	print("lr.d: %d on a miss, %d on a hit\n", count_lr(data), count_lr(data));
	catch_traps();
	count_straddle();
	half = count_straddle();
	show_trap("second half");
	*(volatile pte_t *)pte = 0;
	sfence_vma();
	count_straddle();
	none = count_straddle();
	catch_end();
	show_trap("both halves");
	print("the same count: %s\n", half == none ? "yes" : "no");
	return 0;
}
