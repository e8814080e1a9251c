// SPDX-License-Identifier: GPL-2.0-or-later
// What QEMU 7.2 lacks or does otherwise: Zicond, Zicboz, Zawrs, Sstc, Svpbmt and
// some corners. beyond.expect gives the reasons.
#include "lib/sandbox.h"
#include "lib/edges.h"

#define VA 0x30000000UL
#define GIGA_VA 0x1000000000UL
#define NOWHERE 0x90000000UL
#define PTE_N (1UL << 63)
#define PTE_PBMT(n) ((uint64_t)(n) << 61)
#define SENVCFG_CBZE (1UL << 7)
#define TICKS_MS 10000UL

static struct sandbox box;
static pte_t *root;
static uint64_t *target;

static uint64_t czero_eqz(uint64_t a, uint64_t b)
{
	uint64_t r;

	__asm__ volatile(".insn r 0x33, 5, 7, %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
	return r;
}

static uint64_t czero_nez(uint64_t a, uint64_t b)
{
	uint64_t r;

	__asm__ volatile(".insn r 0x33, 7, 7, %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
	return r;
}

static uint64_t ctzw(uint64_t a)
{
	uint64_t r;

	__asm__ volatile(".insn i 0x1b, 1, %0, %1, 0x601" : "=r"(r) : "r"(a));
	return r;
}

static uint64_t slow_ctzw(uint64_t a)
{
	uint64_t n = 0;

	while (n < 32 && !(a >> n & 1))
		n++;
	return n;
}

static void arithmetic(void)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(edges); j++) {
			wrong += czero_eqz(edges[i], edges[j]) != (edges[j] ? edges[i] : 0);
			wrong += czero_nez(edges[i], edges[j]) != (edges[j] ? 0 : edges[i]);
		}
	}
	print("zicond: %d wrong\n", (uint64_t)wrong);
	wrong = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(edges); i++)
		wrong += ctzw(edges[i]) != slow_ctzw(edges[i]);
	wrong += ctzw(1UL << 33) != 32;
	print("ctzw: %d wrong\n", (uint64_t)wrong);
}

static void cbo_zero(uint64_t at)
{
	__asm__ volatile(".insn i 0x0f, 2, x0, %0, 4" :: "r"(at) : "memory");
}

static uint64_t count_nonzero(const uint64_t *from, unsigned n)
{
	uint64_t count = 0;

	while (n--)
		count += *from++ != 0;
	return count;
}

static void put_program(uint32_t insn)
{
	box.code[0] = (uint16_t)insn;
	box.code[1] = (uint16_t)(insn >> 16);
	box.code[2] = C_EBREAK;
	fence_i();
}

static void show_user(const char *label)
{
	const struct frame *f = &this_hart()->frame;

	print("%s: cause %x stval %x\n", label, f->scause, f->stval);
}

static void zeroing(void)
{
	uint64_t *pages = page_alloc();

	page_alloc();
	page_alloc();
	for (unsigned i = 0; i < 3 * 512; i++)
		pages[i] = ~0UL;
	cbo_zero((uint64_t)pages + PAGE + 77);
	print("cbo.zero: before %d inside %d after %d\n", count_nonzero(pages, 512),
	      count_nonzero(pages + 512, 512), count_nonzero(pages + 1024, 512));
	pte_t *pte = page_map(root, VA, (uint64_t)target, 0, PTE_V | PTE_R | PTE_A);
	sfence_vma();
	catch_traps();
	cbo_zero(VA + 8);
	catch_end();
	show_trap("cbo.zero read-only");
	*pte = pte_make((uint64_t)target, PTE_V | PTE_R | PTE_W);
	sfence_vma();
	target[3] = 5;
	cbo_zero(VA + 1);
	print("cbo.zero: a and d %x, zeroed %d\n", *(volatile pte_t *)pte & 0xc0,
	      (uint64_t)(target[3] == 0));
	put_program(0x0045200f); // cbo.zero (a0)
	this_hart()->frame.x[10] = SANDBOX_DATA + 16;
	box.data[0] = 1;
	csr_write("senvcfg", 0);
	sandbox_run(&box, SANDBOX_CODE);
	show_user("user cbo.zero without cbze");
	csr_write("senvcfg", SENVCFG_CBZE);
	print("senvcfg %x\n", csr_read("senvcfg"));
	sandbox_run(&box, SANDBOX_CODE);
	show_user("user cbo.zero with cbze");
	print("zeroed %d\n", (uint64_t)(box.data[0] == 0));
	put_program(0x0005200f); // cbo.inval: no Zicbom
	sandbox_run(&box, SANDBOX_CODE);
	show_user("user cbo.inval");
	csr_write("senvcfg", 0);
}

static void waiting_on_reservation(void)
{
	uint64_t cell = 0;

	catch_traps();
	__asm__ volatile(".word 0x00d00073\n.word 0x01d00073" ::: "memory"); // without one
	__asm__ volatile("lr.d t0, (%0)\n.word 0x01d00073\nsc.d t0, t0, (%0)" // wrs.sto ends by time
			 :: "r"(&cell) : "t0", "memory");
	print("wrs: %d traps\n", (uint64_t)catch_end());
	put_program(0x01d00073);
	sandbox_run(&box, SANDBOX_CODE);
	show_user("user wrs.sto");
}

static void show_leaf(const char *label, uint64_t n, pte_t *pte, pte_t value)
{
	*(volatile pte_t *)pte = value;
	sfence_vma();
	catch_traps();
	*(volatile uint64_t *)VA;
	catch_end();
	print("%s %d: cause %x\n", label, n, this_hart()->trap.scause);
}

static void entries(void)
{
	pte_t *pte = page_map(root, VA, 0, 0, 0);
	pte_t good = pte_make((uint64_t)target, PTE_RW);

	for (unsigned bit = 54; bit <= 60; bit++)
		show_leaf("reserved bit", bit, pte, good | 1UL << bit);
	for (unsigned n = 0; n < 4; n++)
		show_leaf("pbmt", n, pte, good | PTE_PBMT(n));
	pte_t *table = page_alloc();
	table[0] = good;
	*pte = 0;
	for (unsigned bit = 54; bit <= 63; bit++) {
		page_map(root, GIGA_VA, (uint64_t)table, 1, PTE_V | 1UL << bit);
		sfence_vma();
		catch_traps();
		*(volatile uint64_t *)GIGA_VA;
		catch_end();
		print("table with bit %d: cause %x\n", (uint64_t)bit, this_hart()->trap.scause);
	}
}

// A page table that is not in RAM is an access fault of the access's own kind.
static void table_nowhere(void)
{
	page_map(root, GIGA_VA, NOWHERE, 1, PTE_V);
	sfence_vma();
	catch_traps();
	*(volatile uint64_t *)(GIGA_VA + 8);
	catch_end();
	show_trap("load by a table nowhere");
	catch_traps();
	*(volatile uint64_t *)(GIGA_VA + 16) = 0;
	catch_end();
	show_trap("store by a table nowhere");
	catch_traps();
	((void (*)(void))(GIGA_VA + 32))();
	catch_end();
	show_trap("fetch by a table nowhere");
	page_map(root, GIGA_VA, 0, 1, 0);
	sfence_vma();
}

// The first half of an instruction is there, the second is on a page of nowhere.
static void straddling(void)
{
	page_map(root, VA, (uint64_t)target, 0, PTE_RWX);
	page_map(root, VA + PAGE, NOWHERE, 0, PTE_RWX);
	((uint16_t *)target)[PAGE / 2 - 1] = 0x0073;
	sfence_vma();
	fence_i();
	catch_traps();
	((void (*)(void))(VA + PAGE - 2))();
	catch_end();
	show_trap("straddling fetch");
	print("sepc %x\n", this_hart()->trap.sepc);
}

// A misaligned access from RAM's page into a page of nowhere.
static void half_nowhere(void)
{
	page_map(root, VA, (uint64_t)target, 0, PTE_RW);
	page_map(root, VA + PAGE, NOWHERE, 0, PTE_RW);
	target[511] = 0x55;
	sfence_vma();
	catch_traps();
	__asm__ volatile("ld x0, 0(%0)" :: "r"(VA + PAGE - 4) : "memory");
	catch_end();
	show_trap("load half nowhere");
	catch_traps();
	__asm__ volatile("sd %0, 0(%1)" :: "r"(~0UL), "r"(VA + PAGE - 4) : "memory");
	catch_end();
	show_trap("store half nowhere");
	print("memory %x\n", target[511]);
	page_map(root, VA, NOWHERE, 0, PTE_RW);
	page_map(root, VA + PAGE, (uint64_t)target, 0, PTE_RW);
	sfence_vma();
	catch_traps();
	__asm__ volatile("ld x0, 0(%0)" :: "r"(VA + PAGE - 4) : "memory");
	catch_end();
	show_trap("load of the other half");
}

#define STIP (1UL << IRQ_TIMER)
#define stimecmp "0x14d"

static void timer(void)
{
	csr_write(stimecmp, ~0UL);
	print("stimecmp %x stip %x\n", csr_read(stimecmp), csr_read("sip") & STIP);
	csr_write(stimecmp, 0);
	print("past: stip %x\n", csr_read("sip") & STIP);
	csr_clear("sip", STIP);
	print("stays: stip %x\n", csr_read("sip") & STIP);
	csr_write(stimecmp, csr_read("time") + 1000 * TICKS_MS);
	print("future: stip %x\n", csr_read("sip") & STIP);
	uint64_t deadline = csr_read("time") + TICKS_MS;
	csr_write(stimecmp, deadline);
	csr_write("sie", STIP);
	catch_traps();
	csr_set("sstatus", SSTATUS_SIE);
	while (!*(volatile unsigned *)&this_hart()->traps)
		__asm__ volatile("wfi" ::: "memory");
	csr_clear("sstatus", SSTATUS_SIE);
	catch_end();
	print("interrupt %x, in time: %d\n", this_hart()->trap.scause,
	      (uint64_t)(csr_read("time") >= deadline));
	sbi_set_timer(~0UL);
	print("set by sbi: stimecmp %x stip %x\n", csr_read(stimecmp), csr_read("sip") & STIP);
	put_program(0x14d02573); // csrr a0, stimecmp
	sandbox_run(&box, SANDBOX_CODE);
	show_user("user stimecmp");
}

static void registers(void)
{
	csr_write("sepc", 0x80000001);
	print("sepc %x\n", csr_read("sepc"));
	csr_write("satp", (page_satp(root, 0) & ~(15UL << 60)) | 9UL << 60);
	print("sv48 taken: %d\n", csr_read("satp") >> 60 & 1);
	csr_write("satp", (page_satp(root, 0) & ~(15UL << 60)) | 10UL << 60);
	print("sv57 taken: %d\n", csr_read("satp") >> 61 & 1);
	csr_write("stvec", (uint64_t)vector_table | 1);
	this_hart()->vector = 99;
	catch_traps();
	__asm__ volatile(".word 0" ::: "memory");
	catch_end();
	print("illegal instruction: vector %d\n", this_hart()->vector);
	csr_write("stvec", (uint64_t)trap_entry);
}

static void user_mode(void)
{
	static const struct {
		const char *label;
		uint32_t insn;
	} tries[] = {
		{ "user sfence.w.inval", 0x18000073 }, { "user sfence.inval.ir", 0x18100073 },
		{ "user time", 0xc0102573 },
	};

	csr_write("scounteren", 5);
	for (unsigned i = 0; i < ARRAY_SIZE(tries); i++) {
		put_program(tries[i].insn);
		sandbox_run(&box, SANDBOX_CODE);
		show_user(tries[i].label);
	}
	csr_write("scounteren", 7);
}

int main(void)
{
	sandbox_init(&box, true);
	root = (pte_t *)((csr_read("satp") & 0xfffffffffff) << 12);
	target = page_alloc();
	arithmetic();
	zeroing();
	waiting_on_reservation();
	entries();
	table_nowhere();
	straddling();
	half_nowhere();
	timer();
	registers();
	user_mode();
	return 0;
}
