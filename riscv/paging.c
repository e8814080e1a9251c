// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables of RISC-V as a debugger reads them: Sv39, Sv48, Sv57 (privileged ISA 12.3 to
// 12.6). Unlike the software engine's walk it changes nothing, and asks no permission.
#include "cpu-view.h"
#include "riscv-accel.h"

#define PTE_V (1ULL << 0)
#define PTE_X (1ULL << 3)
#define PTE_RWX (7ULL << 1)
#define PTE_U (1ULL << 4)
#define PTE_N (1ULL << 63)
#define PPN_MASK ((1ULL << 44) - 1)
#define PAGE_BITS 12
#define LEVEL_BITS 9
#define NAPOT_BITS 4 // 64 KiB, the one size of Svnapot

static unsigned levels_of(uint64_t satp)
{
	unsigned mode = satp >> 60;

	return mode >= RISCV_SATP_SV39 && mode <= RISCV_SATP_SV57 ? mode - RISCV_SATP_SV39 + 3 : 0;
}

static struct cpu_page leaf(uint64_t pte, unsigned level, uint64_t va)
{
	unsigned bits = PAGE_BITS + LEVEL_BITS * level + ((pte & PTE_N) ? NAPOT_BITS : 0);
	uint64_t offset_mask = (1ULL << bits) - 1;

	return (struct cpu_page){
		.gpa = ((pte >> 10 & PPN_MASK) << PAGE_BITS & ~offset_mask) | (va & offset_mask),
		.executable = pte & PTE_X && !(pte & PTE_U),
	};
}

static bool translate(const struct cpu_view *view, uint64_t va, struct cpu_page *page)
{
	uint64_t satp = view->riscv.satp, table = (satp & PPN_MASK) << PAGE_BITS, pte;
	unsigned levels = levels_of(satp);

	if (!levels) {
		*page = (struct cpu_page){ .gpa = va, .executable = true };
		return true;
	}
	if (!cpu_view_is_canonical(va, PAGE_BITS + LEVEL_BITS * levels))
		return false;
	for (unsigned level = levels; level-- > 0;) {
		uint64_t index = va >> (PAGE_BITS + LEVEL_BITS * level) & 0x1ff;

		if (!cpu_view_read_gpa(view, table + 8 * index, &pte) || !(pte & PTE_V))
			return false;
		if (pte & PTE_RWX) {
			*page = leaf(pte, level, va);
			return true;
		}
		table = (pte >> 10 & PPN_MASK) << PAGE_BITS;
	}
	return false;
}

// A frame pointer lies above what it leads to (RISC-V ABIs, 1.1: the frame record).
const struct cpu_view_ops riscv_view_ops = {
	.translate = translate,
	.keeps_frames = true,
	.link_offset = -16,
	.stack_bytes = 16 * KIB,
};
