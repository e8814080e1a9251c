// SPDX-License-Identifier: GPL-2.0-or-later
// Code that changes: written, moved, remapped, shared with data, across pages.
#include "lib/guest.h"

#define VA 0x30000000UL
#define C_NOP 0x0001
#define C_RET 0x8082

static uint16_t *page[3]; // code, as the program writes it
static pte_t *root;

static uint64_t call(uint64_t at)
{
	return ((uint64_t (*)(uint64_t))at)(0);
}

// "c.li a0, n; ret" at @code, n below 32.
static void put_function(volatile uint16_t *code, unsigned n)
{
	code[0] = (uint16_t)(0x4501 | n << 2);
	code[1] = C_RET;
}

// "addi a0, x0, n; ret": a 32-bit instruction.
static void put_wide(volatile uint16_t *code, unsigned n)
{
	code[0] = 0x0513;
	code[1] = (uint16_t)(n << 4);
	code[2] = C_RET;
}

static void rewrite(void)
{
	uint64_t wrong = 0;

	for (unsigned i = 0; i < 2000; i++) {
		put_function(page[0], i & 15);
		fence_i();
		wrong += call((uint64_t)page[0]) != (i & 15);
	}
	for (unsigned i = 0; i < 2000; i++) {
		put_wide(page[0] + (i & 511), i & 1023);
		fence_i();
		wrong += call((uint64_t)(page[0] + (i & 511))) != (i & 1023);
	}
	print("rewritten: %d wrong\n", wrong);
}

// Without fence.i the old code or the new may run, nothing else.
static void unfenced(void)
{
	uint64_t wrong = 0;

	for (unsigned i = 0; i < 500; i++) {
		put_function(page[0], 1);
		fence_i();
		call((uint64_t)page[0]);
		*(volatile uint16_t *)page[0] = 0x4501 | 2 << 2;
		uint64_t r = call((uint64_t)page[0]);
		wrong += r != 1 && r != 2;
		fence_i();
		wrong += call((uint64_t)page[0]) != 2;
	}
	print("unfenced: %d wrong\n", wrong);
}

// Every kind of store changes code.
static void stores(void)
{
	volatile uint16_t *code = page[0];
	uint64_t at = (uint64_t)code, wrong = 0;

	for (unsigned n = 0; n < 28; n++) {
		uint32_t insn = 0x4501 | n << 2 | C_RET << 16;

		put_function(code, 31);
		fence_i();
		call(at);
		switch (n % 7) {
		case 0: __asm__ volatile("sh %0, 0(%1)" :: "r"(insn), "r"(at) : "memory"); break;
		case 1: __asm__ volatile("sw %0, 0(%1)" :: "r"(insn), "r"(at) : "memory"); break;
		case 2: __asm__ volatile("amoswap.w x0, %0, (%1)" :: "r"(insn), "r"(at) : "memory"); break;
		case 3:
			__asm__ volatile("sb %0, 0(%1)\nsrli t0, %0, 8\nsb t0, 1(%1)"
					 :: "r"(insn), "r"(at) : "t0", "memory");
			break;
		case 4:
			__asm__ volatile("1: lr.w t0, (%1)\nsc.w t0, %0, (%1)\nbnez t0, 1b"
					 :: "r"(insn), "r"(at) : "t0", "memory");
			break;
		case 5: // misaligned, over the instruction before
			__asm__ volatile("slli t0, %0, 16\nsd t0, -2(%1)" :: "r"((uint64_t)insn), "r"(at)
					 : "t0", "memory");
			break;
		default:
			__asm__ volatile(".option push\n.option arch, +d\nfmv.w.x ft0, %0\n"
					 "fsw ft0, 0(%1)\n.option pop" :: "r"(insn), "r"(at) : "memory");
			break;
		}
		fence_i();
		wrong += call(at) != n;
	}
	print("stores: %d wrong\n", wrong);
}

// A 32-bit instruction whose halves lie on two pages, each of which changes.
static void straddling(void)
{
	uint64_t wrong = 0;

	page_map(root, VA, (uint64_t)page[0], 0, PTE_RWX);
	pte_t *second = page_map(root, VA + PAGE, (uint64_t)page[1], 0, PTE_RWX);
	sfence_vma();
	volatile uint16_t *end = page[0] + PAGE / 2 - 1;
	for (unsigned i = 0; i < 100; i++) {
		*end = 0x0513; // addi a0, x0, ...
		page[1][0] = (uint16_t)(i << 4);
		page[1][1] = C_RET;
		fence_i();
		wrong += call(VA + PAGE - 2) != i;
		*end = 0x0593; // a1: a0 stays 0
		fence_i();
		wrong += call(VA + PAGE - 2) != 0;
	}
	// The second half's page moves.
	*end = 0x0513;
	page[1][0] = 1 << 4;
	page[2][0] = 2 << 4;
	page[1][1] = page[2][1] = C_RET;
	fence_i();
	for (unsigned i = 0; i < 20; i++) {
		*(volatile pte_t *)second = pte_make((uint64_t)page[1 + (i & 1)], PTE_RWX);
		sfence_vma_at(VA + PAGE);
		wrong += call(VA + PAGE - 2) != 1 + (i & 1);
	}
	*end = C_RET;
	fence_i();
	print("straddling: %d wrong\n", wrong);
}

// One address with another page of code, and one page at two addresses.
static void remapped(void)
{
	pte_t *pte = page_map(root, VA, (uint64_t)page[0], 0, PTE_RWX);
	uint64_t wrong = 0;

	page_map(root, VA + 8 * PAGE, (uint64_t)page[0], 0, PTE_RWX);
	put_function(page[0], 1);
	put_function(page[1], 2);
	fence_i();
	for (unsigned i = 0; i < 100; i++) {
		*(volatile pte_t *)pte = pte_make((uint64_t)page[i & 1], PTE_RWX);
		sfence_vma_at(VA);
		wrong += call(VA) != 1 + (i & 1);
	}
	*(volatile pte_t *)pte = pte_make((uint64_t)page[0], PTE_RWX);
	sfence_vma();
	for (unsigned i = 0; i < 30; i++) {
		put_function((volatile uint16_t *)(VA + 8 * PAGE), i); // by the alias
		fence_i();
		wrong += call(VA) != i || call(VA + 8 * PAGE) != i || call((uint64_t)page[0]) != i;
	}
	print("remapped: %d wrong\n", wrong);
}

// pc-relative results differ between the aliases of one page.
static void position(void)
{
	static const uint32_t auipc[] = { 0x00000517, 0x00008067 }; // auipc a0, 0; ret
	static const uint32_t jal[] = { 0x0040056f, 0x00008067 }; // jal a0, .+4; ret
	uint64_t wrong = 0;

	memcpy(page[0], auipc, sizeof(auipc));
	memcpy(page[0] + 64, jal, sizeof(jal));
	fence_i();
	for (unsigned i = 0; i < 50; i++) {
		wrong += call(VA) != VA || call(VA + 8 * PAGE) != VA + 8 * PAGE;
		wrong += call((uint64_t)page[0]) != (uint64_t)page[0];
		wrong += call(VA + 128) != VA + 132;
		wrong += call(VA + 8 * PAGE + 128) != VA + 8 * PAGE + 132;
	}
	print("position: %d wrong\n", wrong);
}

// Data beside code on one page: stores there need no fence and change no code.
static void data_beside_code(void)
{
	volatile uint64_t *data = (volatile uint64_t *)(page[0] + 1024);
	uint64_t wrong = 0;

	put_function(page[0], 7);
	*data = 0;
	fence_i();
	for (unsigned i = 0; i < 5000; i++) {
		*data += call((uint64_t)page[0]);
		wrong += *data != 7 * (i + 1);
	}
	print("data beside code: %d wrong\n", wrong);
}

// A function that rewrites the instruction right behind its own fence.i.
static uint64_t patch_ahead(uint64_t insn)
{
	register uint64_t a0 __asm__("a0") = insn;

	__asm__ volatile("la t0, 1f\nsh a0, 0(t0)\nfence.i\n"
			 ".option push\n.option rvc\n1: c.li a0, 0\n.option pop" : "+r"(a0) :: "t0", "memory");
	return a0;
}

static void ahead(void)
{
	uint64_t wrong = 0;

	for (unsigned i = 0; i < 300; i++)
		wrong += patch_ahead(0x4501 | (i % 31) << 2) != i % 31;
	print("ahead: %d wrong\n", wrong);
}

// Many pages of code, more than a small cache holds, run over and over, some of
// them rewritten in between.
static void many_pages(void)
{
	enum { N = 64 };
	static uint16_t *code[N];
	uint64_t wrong = 0;

	for (unsigned i = 0; i < N; i++) {
		code[i] = page_alloc();
		for (unsigned j = 0; j < PAGE / 2; j += 64)
			put_wide(code[i] + j, i * 7 + j / 64);
	}
	fence_i();
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < N; i++) {
			for (unsigned j = 0; j < PAGE / 2; j += 64)
				wrong += call((uint64_t)(code[i] + j)) != i * 7 + j / 64;
		}
		put_wide(code[round], round * 7);
		put_wide(code[round] + 64, round * 7 + 1);
		fence_i();
	}
	print("many pages: %d wrong\n", wrong);
}

// Code becomes data of another sort: the same page, decoded from odd halfwords.
static void overlapping(void)
{
	// lui a0, 0x4505a holds c.li a0, 1 in its upper half, then ret.
	static const uint16_t code[] = { 0x0537, 0x4505, C_RET };
	uint64_t wrong = 0;

	memcpy(page[0], code, sizeof(code));
	fence_i();
	for (unsigned i = 0; i < 20; i++) {
		wrong += call((uint64_t)page[0]) != 0x45050000;
		wrong += call((uint64_t)(page[0] + 1)) != 1;
	}
	print("overlapping: %d wrong\n", wrong);
}

int main(void)
{
	root = page_root();
	for (unsigned i = 0; i < 3; i++)
		page[i] = page_alloc();
	page_use(root);
	rewrite();
	unfenced();
	stores();
	straddling();
	remapped();
	position();
	data_beside_code();
	ahead();
	many_pages();
	overlapping();
	return 0;
}
