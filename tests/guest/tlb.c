// SPDX-License-Identifier: GPL-2.0-or-later
// What translations may be remembered, and how long: sfence.vma in all its forms,
// ASIDs, global pages, superpages, switches of satp.
#include "lib/guest.h"

__asm__(".option arch, +svinval");

#define VA 0x30000000UL
#define MEGA_VA 0x40000000UL

static pte_t *root, *other_root;
static uint64_t *page[4];

static uint64_t read_at(uint64_t va)
{
	return *(volatile uint64_t *)va;
}

static void write_at(uint64_t va, uint64_t value)
{
	*(volatile uint64_t *)va = value;
}

static void set_pte(pte_t *pte, pte_t value)
{
	*(volatile pte_t *)pte = value;
}

// 0, or the cause.
static uint64_t try_read(uint64_t va)
{
	catch_traps();
	read_at(va);
	catch_end();
	return this_hart()->trap.scause;
}

static uint64_t try_write(uint64_t va)
{
	catch_traps();
	write_at(va, 1);
	catch_end();
	return this_hart()->trap.scause;
}

static pte_t to_page(unsigned i, uint64_t flags)
{
	return pte_make((uint64_t)page[i], flags);
}

// Each way to make a change of the entry of @va in the current address space seen.
static void fence_by(unsigned way, uint64_t va, uint64_t asid)
{
	switch (way) {
	case 0: sfence_vma(); break;
	case 1: sfence_vma_at(va); break;
	case 2: __asm__ volatile("sfence.vma x0, %0" :: "r"(asid) : "memory"); break;
	case 3: __asm__ volatile("sfence.vma %0, %1" :: "r"(va), "r"(asid) : "memory"); break;
	case 4: sfence_vma_at(va + 0x7f8); break;
	case 5:
		__asm__ volatile("sfence.w.inval\nsinval.vma %0, %1\nsfence.inval.ir"
				 :: "r"(va), "r"(asid) : "memory");
		break;
	default:
		__asm__ volatile("sfence.w.inval\nsinval.vma x0, x0\nsfence.inval.ir" ::: "memory");
		break;
	}
}

#define WAYS 7

// With PTE_U for @user: read and written by S mode with SUM.
static void changes(uint64_t asid, uint64_t user)
{
	pte_t *pte = page_map(root, VA, 0, 0, 0);

	csr_write("satp", page_satp(root, asid));
	sfence_vma();
	for (unsigned way = 0; way < WAYS; way++) {
		set_pte(pte, to_page(0, PTE_RW | user));
		fence_by(way, VA, asid);
		*page[0] = *page[1] = 0;
		write_at(VA, 10);
		set_pte(pte, to_page(1, PTE_RW | user));
		fence_by(way, VA, asid);
		print("asid %d way %d: moved %x", asid, (uint64_t)way, read_at(VA));
		write_at(VA, 12);
		print(" %x %x", *page[0], *page[1]);
		set_pte(pte, to_page(1, PTE_V | PTE_R | PTE_A | user));
		fence_by(way, VA, asid);
		print(" read-only %x %x", try_read(VA), try_write(VA));
		set_pte(pte, to_page(1, (PTE_RW & ~PTE_V) | user));
		fence_by(way, VA, asid);
		print(" gone %x %x", try_read(VA), try_write(VA));
		set_pte(pte, to_page(1, (PTE_RW & ~(PTE_A | PTE_D)) | user));
		fence_by(way, VA, asid);
		read_at(VA);
		print(" read: %x", *(volatile pte_t *)pte & 0xff);
		write_at(VA, 0x11);
		print(" written: %x", *(volatile pte_t *)pte & 0xff);
		set_pte(pte, to_page(1, (PTE_RW & ~PTE_D) | user));
		fence_by(way, VA, asid);
		write_at(VA, 0x11);
		print(" again: %x\n", *(volatile pte_t *)pte & 0xff);
	}
}

// The same in U mode: a page of code that reads and writes a page of data, and both
// move.
static void user_changes(void)
{
	static const uint16_t code[2][4] = {
		{ 0x610c, 0xe510, 0x4685, 0x9002 }, // ld a1, (a0); sd a2, 8(a0); li a3, 1; ebreak
		{ 0x610c, 0xe510, 0x4689, 0x9002 }, // with li a3, 2
	};
	struct frame *f = &this_hart()->frame;
	uint64_t wrong = 0;
	void *copies[2];

	for (unsigned i = 0; i < 2; i++) {
		copies[i] = page_alloc();
		memcpy(copies[i], code[i], sizeof(code[i]));
		*page[i] = 100 + i;
	}
	fence_i();
	for (unsigned i = 0; i < 8 * WAYS; i++) {
		unsigned way = i / 8, data = i & 1, text = i >> 1 & 1;

		page_map(root, VA, (uint64_t)page[data], 0, PTE_RW | PTE_U);
		page_map(root, VA + PAGE, (uint64_t)copies[text], 0, PTE_RWX | PTE_U);
		fence_by(way, VA, 0);
		fence_by(way, VA + PAGE, 0);
		f->x[10] = VA;
		f->x[12] = i;
		run_at(VA + PAGE, SSTATUS_FS);
		wrong += f->scause != CAUSE_BREAKPOINT || f->x[11] != 100 + data;
		wrong += page[data][1] != i || f->x[13] != 1 + text;
	}
	print("user: %d wrong\n", wrong);
}

// Without a fence the old or the new entry may be used; once the new one was seen
// this must end some time, and neither a third page nor a wrong cause may come.
static void unfenced(void)
{
	pte_t *pte = page_map(root, VA, (uint64_t)page[0], 0, PTE_RW);
	unsigned strange = 0, slow = 0;

	sfence_vma();
	*page[0] = 0;
	*page[1] = 1;
	for (unsigned i = 1; i < 50; i++) {
		set_pte(pte, to_page(i & 1, PTE_RW));
		strange += read_at(VA) > 1;
		sfence_vma_at(VA);
		strange += read_at(VA) != (i & 1);
	}
	// From invalid to valid no fence is needed but for a fault or two (Svvptc).
	for (unsigned i = 0; i < 50; i++) {
		set_pte(pte, 0);
		sfence_vma_at(VA);
		strange += try_read(VA) != CAUSE_LOAD_PAGE;
		set_pte(pte, to_page(i & 1, PTE_RW));
		unsigned tries = 0;
		while (try_read(VA) && tries < 1000)
			tries++;
		slow += tries == 1000;
		strange += read_at(VA) != (i & 1);
	}
	// More rights: a fault or none.
	for (unsigned i = 0; i < 50; i++) {
		set_pte(pte, to_page(0, PTE_V | PTE_R | PTE_A));
		sfence_vma_at(VA);
		read_at(VA);
		set_pte(pte, to_page(0, PTE_RW));
		uint64_t cause = try_write(VA);
		strange += cause != 0 && cause != CAUSE_STORE_PAGE;
		sfence_vma_at(VA);
		strange += try_write(VA) != 0;
	}
	print("unfenced: %d strange, %d slow\n", (uint64_t)strange, (uint64_t)slow);
}

// A superpage is one entry: any address in it fences all of it.
static void superpage(void)
{
	uint64_t a = 0x80400000, b = 0x80600000, bad = 0;
	pte_t *pte = page_map(root, MEGA_VA, a, 1, PTE_RW);

	sfence_vma();
	for (uint64_t at = 0; at < 0x200000; at += PAGE) {
		*(uint64_t *)(a + at) = 0xa;
		*(uint64_t *)(b + at) = 0xb;
	}
	for (unsigned way = 0; way < WAYS; way++) {
		set_pte(pte, pte_make(a, PTE_RW));
		fence_by(way, MEGA_VA + 0x5000, 0);
		for (uint64_t at = 0; at < 0x200000; at += 7 * PAGE) {
			bad += read_at(MEGA_VA + at) != 0xa;
			write_at(MEGA_VA + at, 0xa);
		}
		set_pte(pte, pte_make(b, PTE_RW));
		fence_by(way, MEGA_VA + 0x1ff000, 0);
		for (uint64_t at = 0; at < 0x200000; at += 7 * PAGE) {
			bad += read_at(MEGA_VA + at) != 0xb;
			write_at(MEGA_VA + at, 0xb);
		}
		set_pte(pte, pte_make(b, PTE_V | PTE_R | PTE_A));
		fence_by(way, MEGA_VA, 0);
		for (uint64_t at = 0; at < 0x200000; at += 7 * PAGE)
			bad += try_write(MEGA_VA + at) != CAUSE_STORE_PAGE;
	}
	print("superpage: %d wrong\n", bad);
	// Split it into a table of pages, then one page moves.
	pte_t *table = page_alloc();
	for (unsigned i = 0; i < 512; i++)
		table[i] = pte_make(a + i * PAGE, PTE_RW);
	set_pte(pte, pte_make((uint64_t)table, PTE_V));
	sfence_vma();
	table[5] = pte_make(b, PTE_RW);
	sfence_vma_at(MEGA_VA + 5 * PAGE);
	print("split: %x %x %x\n", read_at(MEGA_VA + 4 * PAGE), read_at(MEGA_VA + 5 * PAGE),
	      read_at(MEGA_VA + 6 * PAGE));
	set_pte(pte, 0);
	sfence_vma();
}

// Each address space's stores reach its own page.
static void asid_writes(void)
{
	uint64_t wrong = 0;

	for (unsigned i = 0; i < 50; i++) {
		csr_write("satp", page_satp(root, 1 + i % 7));
		write_at(VA + 8, i);
		csr_write("satp", page_satp(other_root, 1001 + i % 13));
		write_at(VA + 8, i + 1000);
		wrong += page[0][1] != i || page[1][1] != i + 1000;
	}
	print("asids, stores: %d wrong\n", wrong);
}

// Each address space runs its own code.
static void asid_code(void)
{
	uint32_t *mine = page_alloc(), *other = page_alloc();
	uint64_t (*run)(void) = (uint64_t (*)(void))(VA + PAGE), wrong = 0;

	mine[0] = 0x80824505; // c.li a0, 1; c.jr ra
	other[0] = 0x80824509;
	page_map(root, VA + PAGE, (uint64_t)mine, 0, PTE_RWX);
	page_map(other_root, VA + PAGE, (uint64_t)other, 0, PTE_RWX);
	sfence_vma();
	fence_i();
	for (unsigned i = 0; i < 50; i++) {
		csr_write("satp", page_satp(root, 1 + i % 3));
		wrong += run() != 1;
		csr_write("satp", page_satp(other_root, 1001 + i % 3));
		wrong += run() != 2;
	}
	print("asids, code: %d wrong\n", wrong);
}

// Address spaces with ASIDs of their own need no fence when switching.
static void asids(void)
{
	pte_t *pte = page_map(root, VA, (uint64_t)page[0], 0, PTE_RW);
	pte_t *other = page_map(other_root, VA, (uint64_t)page[1], 0, PTE_RW);
	unsigned wrong = 0;

	*page[0] = 100;
	*page[1] = 200;
	*page[2] = 300;
	*page[3] = 400;
	sfence_vma();
	for (unsigned i = 0; i < 100; i++) {
		csr_write("satp", page_satp(root, 1 + i % 7));
		wrong += read_at(VA) != 100;
		csr_write("satp", page_satp(other_root, 1001 + i % 13));
		wrong += read_at(VA) != 200;
	}
	print("asids: %d wrong\n", (uint64_t)wrong);
	asid_writes();
	asid_code();
	csr_write("satp", page_satp(root, 5));
	set_pte(other, to_page(2, PTE_RW));
	for (unsigned i = 0; i < 13; i++)
		__asm__ volatile("sfence.vma x0, %0" :: "r"(1001UL + i) : "memory");
	csr_write("satp", page_satp(other_root, 1001));
	print("another asid fenced from afar: %d\n", read_at(VA));
	csr_write("satp", page_satp(root, 5));
	set_pte(other, to_page(3, PTE_RW));
	__asm__ volatile("sfence.vma %0, %1" :: "r"(VA), "r"(1001UL) : "memory");
	csr_write("satp", page_satp(other_root, 1001));
	print("one page of it: %d\n", read_at(VA));
	csr_write("satp", page_satp(root, 5));
	set_pte(pte, to_page(2, PTE_RW));
	set_pte(other, to_page(1, PTE_RW));
	sfence_vma_at(VA);
	print("all asids: %d", read_at(VA));
	csr_write("satp", page_satp(other_root, 1001));
	print(" %d", read_at(VA));
	csr_write("satp", page_satp(root, 2));
	print(" %d\n", read_at(VA));
	// An ASID that gets another table, as a kernel recycles it.
	for (unsigned i = 0; i < 20; i++) {
		csr_write("satp", page_satp(i & 1 ? root : other_root, 9));
		__asm__ volatile("sfence.vma x0, %0" :: "r"(9UL) : "memory");
		wrong += read_at(VA) != (i & 1 ? 300 : 200);
	}
	print("recycled: %d wrong\n", (uint64_t)wrong);
	csr_write("satp", page_satp(root, 0));
	sfence_vma();
}

static void global_pages(void)
{
	pte_t *pte = page_map(root, VA, (uint64_t)page[0], 0, PTE_RW | PTE_G);
	pte_t *other = page_map(other_root, VA, (uint64_t)page[0], 0, PTE_RW | PTE_G);

	*page[0] = 1;
	*page[1] = 2;
	sfence_vma();
	csr_write("satp", page_satp(root, 1));
	print("global: %d", read_at(VA));
	csr_write("satp", page_satp(other_root, 2));
	print(" %d", read_at(VA));
	set_pte(pte, to_page(1, PTE_RW | PTE_G));
	set_pte(other, to_page(1, PTE_RW | PTE_G));
	sfence_vma_at(VA);
	print(" changed: %d", read_at(VA));
	csr_write("satp", page_satp(root, 1));
	print(" %d\n", read_at(VA));
	csr_write("satp", page_satp(root, 0));
	sfence_vma();
}

// satp's mode takes effect at once, in both directions.
static void bare_and_back(void)
{
	uint64_t a = 0x80400000, wrong = 0;
	pte_t *mine = page_alloc();

	// RAM as it is, but for one page of it.
	for (uint64_t at = 0x80000000; at < 0x88000000; at += 0x200000) {
		if (at != a)
			page_map(mine, at, at, 1, PTE_RWX);
	}
	for (uint64_t at = a; at < a + 0x200000; at += PAGE)
		page_map(mine, at, at == a ? a + PAGE : at, 0, PTE_RWX);
	*(uint64_t *)a = 0xaa;
	*(uint64_t *)(a + PAGE) = 0xbb;
	csr_write("satp", page_satp(mine, 0));
	sfence_vma();
	for (unsigned i = 0; i < 20; i++) {
		wrong += read_at(a) != 0xbb;
		csr_write("satp", 0);
		wrong += read_at(a) != 0xaa;
		csr_write("satp", page_satp(mine, 0));
	}
	print("bare and back: %d wrong\n", wrong);
	csr_write("satp", page_satp(root, 0));
	sfence_vma();
}

// SUM and MXR take effect at once.
static void status_bits(void)
{
	pte_t *pte = page_map(root, VA, (uint64_t)page[0], 0, PTE_RW | PTE_U);

	sfence_vma();
	for (unsigned i = 0; i < 3; i++) {
		csr_set("sstatus", SSTATUS_SUM);
		print("sum on: %x %x", try_read(VA), try_write(VA));
		csr_clear("sstatus", SSTATUS_SUM);
		print(" off: %x %x\n", try_read(VA), try_write(VA));
	}
	set_pte(pte, to_page(0, PTE_V | PTE_X | PTE_A));
	sfence_vma();
	for (unsigned i = 0; i < 3; i++) {
		csr_set("sstatus", SSTATUS_MXR);
		print("mxr on: %x", try_read(VA));
		csr_clear("sstatus", SSTATUS_MXR);
		print(" off: %x\n", try_read(VA));
	}
}

// More pages than any TLB holds, at distances that are powers of two.
static void many_pages(void)
{
	static const uint64_t strides[] = { 0x1000, 0x2000, 0x10000, 0x200000, 0x400000, 0x1000000 };
	uint64_t wrong = 0;

	for (unsigned i = 0; i < 4; i++)
		*page[i] = i;
	for (unsigned s = 0; s < ARRAY_SIZE(strides); s++) {
		uint64_t base = 0x1000000000 + s * 0x100000000;
		unsigned n = strides[s] >= 0x200000 ? 48 : 2048;

		for (unsigned i = 0; i < n; i++)
			page_map(root, base + i * strides[s], (uint64_t)page[i & 3], 0, PTE_RW);
		sfence_vma();
		for (unsigned round = 0; round < 3; round++) {
			for (unsigned i = 0; i < n; i++) {
				wrong += read_at(base + i * strides[s]) != (i & 3);
				write_at(base + i * strides[s], i & 3);
			}
		}
	}
	print("many pages: %d wrong\n", wrong);
}

int main(void)
{
	root = page_root();
	other_root = page_root();
	for (unsigned i = 0; i < 4; i++)
		page[i] = page_alloc();
	page_use(root);
	changes(0, 0);
	changes(0xffff, 0);
	csr_set("sstatus", SSTATUS_SUM);
	changes(7, PTE_U);
	csr_clear("sstatus", SSTATUS_SUM);
	csr_write("satp", page_satp(root, 0));
	sfence_vma();
	user_changes();
	unfenced();
	superpage();
	asids();
	global_pages();
	bare_and_back();
	status_bits();
	many_pages();
	return 0;
}
