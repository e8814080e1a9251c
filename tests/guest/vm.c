// SPDX-License-Identifier: GPL-2.0-or-later
// Page tables: permissions, A and D bits, page sizes, malformed entries, odd addresses.
#include "lib/guest.h"

#define PAGE_VA 0x30000000UL
#define MEGA_VA 0x40000000UL
#define GIGA_VA 0x1000000000UL
#define USER_CODE 0x20000000UL
#define PTE_N (1UL << 63)
#define NOWHERE 0x90000000UL
#define EBREAKS 0x9002900290029002 // four c.ebreak

static pte_t *root;
static uint16_t *user_code; // ld, ebreak; sd, ebreak; as the program sees them
static uint64_t *target; // the page under test

enum access { LOAD, STORE, FETCH, ACCESSES };

struct mode {
	const char *name;
	uint64_t sstatus; // SPP tells the mode, SUM and MXR count
};

static const struct mode modes[] = {
	{ "s", SSTATUS_SPP }, { "s+sum", SSTATUS_SPP | SSTATUS_SUM },
	{ "s+mxr", SSTATUS_SPP | SSTATUS_MXR },
	{ "s+sum+mxr", SSTATUS_SPP | SSTATUS_SUM | SSTATUS_MXR },
	{ "u", 0 }, { "u+mxr", SSTATUS_MXR }, { "u+sum", SSTATUS_SUM },
};

static uint64_t code_at(enum access access, uint64_t va)
{
	return access == FETCH ? va : USER_CODE + 8 * access;
}

// The code of the program's own, for S mode, where USER_CODE is not executable.
static uint16_t kernel_code[8] __attribute__((aligned(8)));

// Tries @access to @va in @mode; the frame tells how it ended. A breakpoint means
// that it worked.
static const struct frame *try(enum access access, const struct mode *mode, uint64_t va)
{
	struct frame *f = &this_hart()->frame;
	uint64_t pc = code_at(access, va);

	if (access != FETCH && mode->sstatus & SSTATUS_SPP)
		pc = (uint64_t)&kernel_code[4 * access];
	f->x[10] = va;
	f->x[11] = EBREAKS; // a store leaves what a fetch finds
	run_at(pc, mode->sstatus | SSTATUS_FS);
	return f;
}

static bool worked(const struct frame *f)
{
	return f->scause == CAUSE_BREAKPOINT;
}

// One character: "." for success, else the cause.
static void put_outcome(const struct frame *f, uint64_t va)
{
	print("%s", worked(f) ? "." : "");
	if (!worked(f))
		put_hex(f->scause);
	if (!worked(f) && f->stval != va)
		print("(stval %x)", f->stval);
}

static void set_pte(pte_t *pte, pte_t value)
{
	*(volatile pte_t *)pte = value;
	sfence_vma();
}

// Every combination of the flags of a leaf, in every mode; the entry afterwards.
static void all_flags(const char *name, pte_t *pte, uint64_t va, uint64_t pa)
{
	group(name);
	for (unsigned flags = 0; flags < 256; flags++) {
		// The gigabyte would be a table in memory that firmware may protect.
		if (pa == 0x80000000 && (flags & 0xf) == PTE_V)
			continue;
		for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
			for (enum access a = LOAD; a < ACCESSES; a++) {
				set_pte(pte, pte_make(pa, flags));
				const struct frame *f = try(a, &modes[m], va);
				record(f->scause, flags, m, a);
				record(f->stval, flags, m, a);
				record(*(volatile pte_t *)pte & 0xff, flags, m, a);
			}
		}
	}
	group_end();
}

static void show(const char *label, const struct mode *mode, uint64_t va)
{
	print("%s: ", label);
	for (enum access a = LOAD; a < ACCESSES; a++) {
		put_outcome(try(a, mode, va), va);
		put_char(a < FETCH ? ' ' : '\n');
	}
}

static void leaves(void)
{
	pte_t *page = page_map(root, PAGE_VA, (uint64_t)target, 0, 0);
	all_flags("page-flags", page, PAGE_VA, (uint64_t)target);
	set_pte(page, 0);
	pte_t *mega = page_map(root, MEGA_VA, 0x80400000, 1, 0);
	all_flags("mega-flags", mega, MEGA_VA + 0x1000, 0x80400000);
	set_pte(mega, 0);
	pte_t *giga = page_map(root, GIGA_VA, 0x80000000, 2, 0);
	all_flags("giga-flags", giga, GIGA_VA + 0x401000, 0x80000000);
	set_pte(giga, 0);
}

#define USER_RWX (PTE_RWX | PTE_U)

// A superpage whose low PPN bits are set.
static void misaligned_superpages(void)
{
	pte_t *mega = page_map(root, MEGA_VA, 0x80401000, 1, USER_RWX);
	sfence_vma();
	show("mega misaligned", &modes[4], MEGA_VA + 0x1000);
	set_pte(mega, pte_make(0x80500000, USER_RWX));
	show("mega misaligned", &modes[4], MEGA_VA);
	set_pte(mega, 0);
	pte_t *giga = page_map(root, GIGA_VA, 0x80200000, 2, USER_RWX);
	sfence_vma();
	show("giga misaligned", &modes[4], GIGA_VA);
	set_pte(giga, pte_make(0xa0000000, USER_RWX));
	show("giga misaligned", &modes[4], GIGA_VA);
	set_pte(giga, 0);
}

// Pointers to tables: none at the last level, none with A, D or U.
static void malformed_tables(void)
{
	pte_t *table = page_alloc();

	table[0] = pte_make((uint64_t)target, PTE_V);
	page_map(root, GIGA_VA, 0, 2, 0);
	pte_t *entry = page_map(root, GIGA_VA, (uint64_t)table, 1, PTE_V);
	sfence_vma();
	show("table at the last level", &modes[4], GIGA_VA);
	table[0] = pte_make((uint64_t)target, USER_RWX);
	sfence_vma();
	show("table", &modes[4], GIGA_VA);
	static const uint64_t bad[] = { PTE_A, PTE_D, PTE_U, PTE_A | PTE_D, PTE_U | PTE_A };
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		set_pte(entry, pte_make((uint64_t)table, PTE_V | bad[i]));
		print("flags %x: ", bad[i]);
		show("table", &modes[4], GIGA_VA);
	}
	set_pte(entry, pte_make((uint64_t)table, PTE_V | PTE_G));
	show("global table", &modes[4], GIGA_VA);
	set_pte(entry, pte_make((uint64_t)table, 0));
	show("table not valid", &modes[4], GIGA_VA);
}

// Svnapot: 16 pages with one entry repeated; other sizes are reserved.
static void napot(void)
{
	uint64_t pa = 0x80600000;
	pte_t value = pte_make(pa | 8 << 12, USER_RWX | PTE_N);
	pte_t *first = page_map(root, PAGE_VA, 0, 0, 0);

	for (unsigned i = 0; i < 16; i++)
		first[i] = value;
	sfence_vma();
	for (unsigned i = 0; i < 16; i++)
		*(uint64_t *)(pa + i * PAGE) = i;
	csr_set("sstatus", SSTATUS_SUM);
	for (unsigned i = 0; i < 16; i += 5)
		print("napot page %d holds %d\n", (uint64_t)i,
		      *(volatile uint64_t *)(PAGE_VA + i * PAGE));
	csr_clear("sstatus", SSTATUS_SUM);
	for (unsigned bits = 0; bits < 16; bits++) {
		if (bits == 8)
			continue;
		set_pte(first, pte_make(pa | bits << 12, USER_RWX | PTE_N));
		print("napot %d ", (uint64_t)bits);
		show("", &modes[4], PAGE_VA);
	}
	for (unsigned i = 0; i < 16; i++)
		set_pte(&first[i], 0);
	pte_t *mega = page_map(root, MEGA_VA, 0x80600000, 1, USER_RWX | PTE_N);
	sfence_vma();
	show("napot mega", &modes[4], MEGA_VA);
	set_pte(mega, 0);
}

static void odd_addresses(void)
{
	static const uint64_t addresses[] = {
		0x4000000000, 0x8000000030000000, 0x0001000030000000, 0xffffff8030000000,
		0xffffffbffffffff8, 0x3ffffffff8, 0x3ffffffffc, 0xfffffffffffffffc, 0x8000000000000000,
		0xffffffc000000000, 0x7ffffffffffffff8,
	};
	pte_t *low = page_map(root, 0x3ffffff000, (uint64_t)target, 0, USER_RWX);
	pte_t *high = page_map(root, 0xfffffffffffff000, (uint64_t)target, 0, USER_RWX);

	target[511] = EBREAKS;
	page_map(root, PAGE_VA, (uint64_t)target, 0, USER_RWX);
	sfence_vma();
	for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
		print("%x ", addresses[i]);
		show("", &modes[4], addresses[i]);
	}
	set_pte(low, 0);
	set_pte(high, 0);
}

// Physical addresses that are nothing.
static void nowhere(void)
{
	pte_t *pte = page_map(root, PAGE_VA, NOWHERE, 0, USER_RWX);

	sfence_vma();
	show("page of nowhere", &modes[4], PAGE_VA);
	set_pte(pte, pte_make(0x0080000000000000, USER_RWX));
	show("page of far nowhere", &modes[4], PAGE_VA);
	set_pte(pte, 0);
}

// A fetch whose second half lies on another page.
static void straddling_fetch(void)
{
	pte_t *second = page_map(root, PAGE_VA + PAGE, (uint64_t)page_alloc(), 0, 0);
	uint16_t *code = (uint16_t *)target;
	uint64_t at = PAGE_VA + PAGE - 2;

	page_map(root, PAGE_VA, (uint64_t)target, 0, USER_RWX);
	code[PAGE / 2 - 1] = 0x0073; // the first half of ecall
	sfence_vma();
	fence_i();
	const struct frame *f = try(FETCH, &modes[4], at);
	print("straddling unmapped: cause %x stval %x sepc %x\n", f->scause, f->stval, f->sepc);
	set_pte(second, pte_make((uint64_t)page_alloc(), PTE_RW | PTE_U));
	f = try(FETCH, &modes[4], at);
	print("straddling no x: cause %x stval %x sepc %x\n", f->scause, f->stval, f->sepc);
	set_pte(second, pte_make((uint64_t)page_alloc(), USER_RWX));
	f = try(FETCH, &modes[4], at);
	print("straddling: cause %x stval %x sepc %x\n", f->scause, f->stval, f->sepc);
	code[PAGE / 2 - 1] = 0x9002;
	set_pte(second, 0);
	fence_i();
	f = try(FETCH, &modes[4], at);
	print("16 bits at the end: cause %x sepc %x\n", f->scause, f->sepc);
}

static void set_up(void)
{
	static const uint16_t code[] = {
		0x610c, 0x9002, 0, 0, // c.ld a1, 0(a0); c.ebreak
		0xe10c, 0x9002, 0, 0, // c.sd a1, 0(a0); c.ebreak
	};

	root = page_root();
	user_code = page_alloc();
	target = page_alloc();
	memcpy(user_code, code, sizeof(code));
	memcpy(kernel_code, code, sizeof(code));
	fence_i();
	page_map(root, USER_CODE, (uint64_t)user_code, 0, PTE_V | PTE_X | PTE_U | PTE_A);
	for (unsigned i = 0; i < 512; i++)
		target[i] = EBREAKS;
	// What the superpages show at the offsets that are tried.
	*(uint64_t *)0x80401000 = EBREAKS;
	*(uint64_t *)0x80600000 = EBREAKS;
	fence_i();
	page_use(root);
}

int main(void)
{
	set_up();
	leaves();
	misaligned_superpages();
	malformed_tables();
	napot();
	odd_addresses();
	nowhere();
	straddling_fetch();
	return 0;
}
