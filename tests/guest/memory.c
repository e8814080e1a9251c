// SPDX-License-Identifier: GPL-2.0-or-later
// Loads and stores: widths, signs, offsets, misaligned ones inside and across pages,
// and what a fault in their second half leaves behind.
#include "lib/guest.h"

__asm__(".option arch, +d");

#define WINDOW 0x30000000UL // three pages that are no neighbours in memory
#define WINDOW_PAGES 3

static uint8_t *pages[WINDOW_PAGES]; // as the program sees them
static pte_t *ptes[WINDOW_PAGES];

#define LOAD(id, insn)                                                        \
	static uint64_t id(uint64_t at)                                       \
	{                                                                     \
		uint64_t r = 0x5a5a5a5a5a5a5a5a;                              \
		__asm__ volatile(insn " %0, 0(%1)" : "+r"(r) : "r"(at) : "memory"); \
		return r;                                                     \
	}
#define STORE(id, insn)                                                       \
	static void id(uint64_t at, uint64_t value)                           \
	{                                                                     \
		__asm__ volatile(insn " %0, 0(%1)" :: "r"(value), "r"(at) : "memory"); \
	}

LOAD(lb, "lb")
LOAD(lbu, "lbu")
LOAD(lh, "lh")
LOAD(lhu, "lhu")
LOAD(lw, "lw")
LOAD(lwu, "lwu")
LOAD(ld, "ld")
STORE(sb, "sb")
STORE(sh, "sh")
STORE(sw, "sw")
STORE(sd, "sd")

static uint64_t flw(uint64_t at)
{
	uint64_t r;

	__asm__ volatile("fmv.d.x ft0, x0\nflw ft0, 0(%1)\nfmv.x.d %0, ft0" : "=r"(r) : "r"(at));
	return r;
}

static uint64_t fld(uint64_t at)
{
	uint64_t r;

	__asm__ volatile("fmv.d.x ft0, x0\nfld ft0, 0(%1)\nfmv.x.d %0, ft0" : "=r"(r) : "r"(at));
	return r;
}

static void fsw(uint64_t at, uint64_t value)
{
	__asm__ volatile("fmv.d.x ft0, %0\nfsw ft0, 0(%1)" :: "r"(value), "r"(at) : "memory");
}

static void fsd(uint64_t at, uint64_t value)
{
	__asm__ volatile("fmv.d.x ft0, %0\nfsd ft0, 0(%1)" :: "r"(value), "r"(at) : "memory");
}

static const struct {
	const char *name;
	uint64_t (*run)(uint64_t at);
} loads[] = {
	{ "lb", lb }, { "lbu", lbu }, { "lh", lh }, { "lhu", lhu }, { "lw", lw },
	{ "lwu", lwu }, { "ld", ld }, { "flw", flw }, { "fld", fld },
};

static const struct {
	const char *name;
	void (*run)(uint64_t at, uint64_t value);
} stores[] = {
	{ "sb", sb }, { "sh", sh }, { "sw", sw }, { "sd", sd }, { "fsw", fsw }, { "fsd", fsd },
};

static void fill(void)
{
	for (unsigned page = 0; page < WINDOW_PAGES; page++) {
		for (unsigned i = 0; i < PAGE; i++)
			pages[page][i] = (uint8_t)(i * 37 + page * 101 + 0x80);
	}
}

static void window(void)
{
	pte_t *root = page_root();

	for (unsigned i = 0; i < WINDOW_PAGES; i++) {
		pages[i] = page_alloc();
		page_alloc(); // what lies between
	}
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		ptes[i] = page_map(root, WINDOW + i * PAGE, (uint64_t)pages[2 - i], 0, PTE_RW);
	page_use(root);
}

// Around the border between the first and the second page.
#define BORDER (WINDOW + PAGE)

static void record_fault(uint64_t at)
{
	const struct hart *hart = this_hart();

	record(hart->traps, at, 0, 0);
	record(hart->trap.scause, at, 0, 0);
	record(hart->trap.stval - BORDER, at, 0, 0);
}

static void record_border(uint64_t at)
{
	for (unsigned i = 0; i < 32; i++) {
		record(pages[2][PAGE - 32 + i], at, i, 0);
		record(pages[1][i], at, i, 1);
	}
}

static void all_loads(const char *name)
{
	group(name);
	for (unsigned op = 0; op < ARRAY_SIZE(loads); op++) {
		for (int64_t offset = -24; offset < 24; offset++) {
			catch_traps();
			uint64_t r = loads[op].run(BORDER + offset);
			catch_end();
			record(r, op, offset, 0);
			record_fault(offset);
		}
	}
	group_end();
}

static void all_stores(const char *name)
{
	group(name);
	for (unsigned op = 0; op < ARRAY_SIZE(stores); op++) {
		for (int64_t offset = -24; offset < 24; offset++) {
			fill();
			catch_traps();
			stores[op].run(BORDER + offset, 0x0123456789abcdef);
			catch_end();
			record_fault(offset);
			record_border(offset);
		}
	}
	group_end();
}

static void set_second_page(uint64_t flags)
{
	*ptes[1] = pte_make((uint64_t)pages[1], flags);
	sfence_vma();
}

static void across_borders(void)
{
	fill();
	all_loads("loads");
	all_stores("stores");
	set_second_page(PTE_V | PTE_R | PTE_A);
	fill();
	all_loads("loads-read-only");
	all_stores("stores-read-only");
	set_second_page(0);
	all_loads("loads-unmapped");
	all_stores("stores-unmapped");
	set_second_page(PTE_RW);
	*ptes[0] = 0;
	sfence_vma();
	all_loads("loads-first-unmapped");
	all_stores("stores-first-unmapped");
	*ptes[0] = pte_make((uint64_t)pages[2], PTE_RW);
	sfence_vma();
}

// Each immediate offset reaches its own place; the base is also the destination.
#define OFFSET(imm)                                                           \
	do {                                                                  \
		uint64_t r = WINDOW + 2048;                                   \
		__asm__ volatile("ld %0, " #imm "(%0)" : "+r"(r) :: "memory"); \
		record(r, 0, 0, 0);                                           \
		__asm__ volatile("sd %1, " #imm "(%0)" :: "r"(WINDOW + 2048), \
				 "r"(0x1111111111111111UL * (imm & 15)) : "memory"); \
	} while (0)

static void offsets(void)
{
	fill();
	group("offsets");
	OFFSET(-2048);
	OFFSET(-2040);
	OFFSET(-8);
	OFFSET(-1);
	OFFSET(0);
	OFFSET(8);
	OFFSET(248);
	OFFSET(256);
	OFFSET(1023);
	OFFSET(2040);
	OFFSET(2047);
	for (unsigned i = 0; i < PAGE; i++)
		record(pages[2][i], i, 0, 0);
	group_end();
}

// A load into x0 faults as any other.
static void load_to_zero(void)
{
	catch_traps();
	__asm__ volatile(".option push\n.option norvc\nld x0, 0(%0)\n.option pop" :: "r"(0x1000));
	catch_end();
	show_trap("ld x0");
}

int main(void)
{
	window();
	across_borders();
	offsets();
	load_to_zero();
	return 0;
}
