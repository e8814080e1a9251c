// SPDX-License-Identifier: GPL-2.0-or-later
// Faults of the A extension, as the specification has them.
#include "lib/guest.h"

#define PLACE 0x30000000UL
#define NOWHERE 0x90000000UL

static uint64_t cell[512] __attribute__((aligned(4096)));

#define ATOMIC(id, text)                                                      \
	static void id(uint64_t at)                                           \
	{                                                                     \
		__asm__ volatile(text :: "r"(at) : "t0", "memory");           \
	}
ATOMIC(amo_w, "li t0, 1\namoadd.w t0, t0, (%0)")
ATOMIC(amo_d, "li t0, 1\namoadd.d t0, t0, (%0)")
ATOMIC(swap_w, "li t0, 1\namoswap.w t0, t0, (%0)")
ATOMIC(swap_d, "li t0, 1\namoswap.d x0, t0, (%0)")
ATOMIC(lr_w, "lr.w t0, (%0)")
ATOMIC(lr_d, "lr.d t0, (%0)")

static void try(const char *label, void (*run)(uint64_t at), uint64_t at)
{
	catch_traps();
	run(at);
	catch_end();
	show_trap(label);
}

int main(void)
{
	pte_t *root = page_root();
	pte_t *pte = page_map(root, PLACE, (uint64_t)cell, 0, PTE_V | PTE_R | PTE_A);

	cell[0] = cell[1] = 0x0123456789abcdef;
	page_use(root);
	try("amo.d read-only", amo_d, PLACE + 8);
	try("swap.w read-only", swap_w, PLACE + 4);
	try("lr.d read-only", lr_d, PLACE);
	*pte = pte_make((uint64_t)cell, PTE_V | PTE_X | PTE_A);
	sfence_vma();
	try("amo.w execute-only", amo_w, PLACE);
	try("lr.w execute-only", lr_w, PLACE);
	*pte = 0;
	sfence_vma();
	try("amo.w unmapped", amo_w, PLACE + 16);
	try("swap.d unmapped", swap_d, PLACE + 16);
	try("lr.d unmapped", lr_d, PLACE + 16);
	*pte = pte_make((uint64_t)cell, PTE_RW);
	sfence_vma();
	try("amo.d misaligned", amo_d, PLACE + 4);
	try("amo.w misaligned", amo_w, PLACE + 1);
	try("amo.d misaligned across pages", amo_d, PLACE + 4092);
	try("lr.d misaligned", lr_d, PLACE + 4);
	try("lr.w misaligned", lr_w, PLACE + 2);
	page_use(NULL);
	try("amo.d nowhere", amo_d, NOWHERE);
	try("lr.w nowhere", lr_w, NOWHERE + 4);
	print("memory %x %x\n", cell[0], cell[1]);
	return 0;
}
