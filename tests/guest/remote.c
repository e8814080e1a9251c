// SPDX-License-Identifier: GPL-2.0-or-later
// What harts do to each other by the SBI: interrupts, remote fences, start and stop.
#include "lib/guest.h"

#define HARTS 4
#define VA 0x30000000UL
#define SLOTS 8 // pages that the mapping moves through
#define FRESH 96 // pages

static pte_t *root;
static volatile uint64_t version, stop, wrong;
// How many harts run and how many changes a test makes: many with two, which have a
// host CPU each on most machines, and few with all, which may wait for each other.
static unsigned active, versions;
static uint64_t *page[SLOTS];
static pte_t *pte;
static volatile uint32_t *fresh[FRESH];

static uint64_t others(void)
{
	uint64_t mask = 0;

	for (unsigned i = 1; i < active; i++)
		mask |= hart_mask(i);
	return mask;
}

static void publish(uint64_t v)
{
	__atomic_store_n(&version, v, __ATOMIC_RELEASE);
}

static uint64_t published(void)
{
	return __atomic_load_n(&version, __ATOMIC_ACQUIRE);
}

static void count_wrong(uint64_t n)
{
	if (n)
		__atomic_add_fetch(&wrong, n, __ATOMIC_RELAXED);
}

static void report(const char *name, unsigned index)
{
	barrier_wait(active);
	if (index == 0) {
		print("%s: %d wrong\n", name, wrong);
		wrong = version = stop = 0;
	}
	barrier_wait(active);
}

static void wait_ipi(void)
{
	while (!(csr_read("sip") & 1UL << IRQ_SOFT))
		__asm__ volatile("wfi");
	csr_clear("sip", 1UL << IRQ_SOFT);
}

// A token goes round all harts by interrupts alone.
static void ring(unsigned index)
{
	static volatile uint64_t token;

	csr_write("sie", 1UL << IRQ_SOFT);
	csr_clear("sip", 1UL << IRQ_SOFT);
	barrier_wait(active);
	for (unsigned i = 0; i < 200; i++) {
		if (index || i)
			wait_ipi();
		count_wrong(token % HARTS != index);
		token++;
		sbi_send_ipi(hart_mask((index + 1) % HARTS), 0);
	}
	if (index == 0)
		wait_ipi();
	barrier_wait(active);
	if (index == 0)
		print("token: %d\n", token);
	report("ring", index);
}

// One call interrupts all others, with sstatus.SIE on.
static void broadcast(unsigned index)
{
	static volatile uint64_t taken;

	csr_clear("sip", 1UL << IRQ_SOFT);
	catch_traps();
	barrier_wait(active);
	if (index == 0) {
		sbi_send_ipi(others(), 0);
		while (__atomic_load_n(&taken, __ATOMIC_SEQ_CST) != HARTS - 1)
			pause_hart();
	} else {
		csr_set("sstatus", SSTATUS_SIE);
		while (!*(volatile unsigned *)&this_hart()->traps)
			pause_hart();
		csr_clear("sstatus", SSTATUS_SIE);
		csr_clear("sip", 1UL << IRQ_SOFT);
		count_wrong(this_hart()->trap.scause != (CAUSE_INTERRUPT | IRQ_SOFT));
		__atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST);
	}
	catch_end();
	report("broadcast", index);
}

// Some microseconds without a jump or a return, where an interpreter looks around.
static inline __attribute__((always_inline)) void stay_straight(void)
{
	__asm__ volatile("li t0, -1\n.rept 400\ndivu t1, t0, t0\nrem t1, t1, t0\n.endr"
			 ::: "t0", "t1");
}

// Code changes under harts that run it: after the remote fence they run the new.
static void remote_fence_i(unsigned index)
{
	volatile uint32_t *code = (volatile uint32_t *)page[0];

	if (index == 0) {
		code[0] = 0x00000513; // addi a0, x0, 0
		code[1] = 0x00008067; // ret
		sbi_call(SBI_RFENCE, 0, others(), 0, 0, 0, 0);
		fence_i();
	}
	barrier_wait(active);
	if (index == 0) {
		for (uint64_t v = 1; v < versions; v++) {
			code[0] = (uint32_t)(0x00000513 | v << 20);
			sbi_call(SBI_RFENCE, 0, others(), 0, 0, 0, 0);
			fence_i();
			publish(v);
			count_wrong(((uint64_t (*)(void))code)() != v);
		}
		stop = 1;
	} else {
		while (!stop) {
			uint64_t least = published();

			count_wrong(((uint64_t (*)(void))code)() < least);
		}
	}
	report("remote fence.i", index);
}

static void write_fresh(volatile uint32_t *code, uint64_t k)
{
	code[0] = 0x00100513; // addi a0, x0, 1
	code[1] = 0x00008067; // ret
	fence_i();
	publish(2 * k + 1);
	stay_straight();
	code[0] = 0x00200513;
	fence_i();
	publish(2 * k + 2);
}

static void run_fresh(uint64_t (*run)(void), uint64_t k)
{
	while (published() < 2 * k + 1)
		;
	fence_i();
	count_wrong(run() - 1 > 1);
	while (published() < 2 * k + 2)
		pause_hart();
	fence_i();
	count_wrong(run() != 2);
}

// One hart writes a page just when another begins to run it.
static void fresh_code(unsigned index)
{
	for (uint64_t k = 0; k < FRESH; k++) {
		if (index == 1)
			write_fresh(fresh[k], k);
		else if (index == 0)
			run_fresh((uint64_t (*)(void))(uint64_t)fresh[k], k);
		barrier_wait(active);
	}
	report("fresh code", index);
}

// Each way to fence other harts for @bytes at @va.
static void fence_others(uint64_t v, uint64_t va, uint64_t bytes)
{
	switch (v % 5) {
	case 0: sbi_call(SBI_RFENCE, 1, others(), 0, va, bytes, 0); break;
	case 1: sbi_call(SBI_RFENCE, 1, others(), 0, 0, 0, 0); break;
	case 2: sbi_call(SBI_RFENCE, 1, others(), 0, 0, ~0UL, 0); break;
	case 3: sbi_call(SBI_RFENCE, 2, others(), 0, va, bytes, 0); break;
	default: sbi_call(SBI_RFENCE, 1, 0, ~0UL, va, bytes, 0); break; // all harts
	}
	sfence_vma();
}

// A page moves under harts that read it.
static void remote_sfence(unsigned index)
{
	if (index == 0) {
		for (unsigned i = 0; i < SLOTS; i++)
			*page[i] = 0;
		pte = page_map(root, VA, (uint64_t)page[0], 0, PTE_RW);
		sfence_vma();
	}
	barrier_wait(active);
	page_use(root);
	barrier_wait(active);
	if (index == 0) {
		for (uint64_t v = 1; v < versions; v++) {
			*page[v % SLOTS] = v;
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			*(volatile pte_t *)pte = pte_make((uint64_t)page[v % SLOTS], PTE_RW);
			fence_others(v, VA, PAGE);
			publish(v);
			stay_straight();
		}
		stop = 1;
	} else {
		while (!stop) {
			stay_straight();
			uint64_t least = published();

			count_wrong(*(volatile uint64_t *)VA < least);
		}
	}
	report("remote sfence.vma", index);
}

// A fence that names only the caller does its own.
static void fence_itself(unsigned index)
{
	if (index == 0) {
		for (uint64_t v = 0; v < 20; v++) {
			*page[v & 1] = v & 1;
			*(volatile pte_t *)pte = pte_make((uint64_t)page[v & 1], PTE_RW);
			sbi_call(SBI_RFENCE, 1, hart_mask(0), 0, VA, PAGE, 0);
			count_wrong(*(volatile uint64_t *)VA != (v & 1));
		}
	}
	report("fence of itself", index);
}

// A page becomes read-only under harts that write it: after the fence nothing
// changes; before it they fault or do not.
static void remote_protect(unsigned index)
{
	volatile uint64_t *mine = (volatile uint64_t *)VA + index * 8;

	if (index == 0) {
		for (uint64_t v = 0; v < versions / 4; v++) {
			*(volatile pte_t *)pte = pte_make((uint64_t)page[0], PTE_V | PTE_R | PTE_A);
			fence_others(v, VA, PAGE);
			uint64_t before[HARTS];
			for (unsigned i = 1; i < active; i++)
				before[i] = ((volatile uint64_t *)page[0])[i * 8];
			for (unsigned wait = 0; wait < 5000; wait++)
				__asm__ volatile("nop");
			for (unsigned i = 1; i < active; i++)
				count_wrong(before[i] != ((volatile uint64_t *)page[0])[i * 8]);
			*(volatile pte_t *)pte = pte_make((uint64_t)page[0], PTE_RW);
			fence_others(v, VA, PAGE);
		}
		stop = 1;
	} else {
		catch_traps();
		while (!stop) {
			this_hart()->trap.scause = 0;
			(*mine)++;
			uint64_t cause = *(volatile uint64_t *)&this_hart()->trap.scause;
			count_wrong(cause != 0 && cause != CAUSE_STORE_PAGE);
		}
		catch_end();
	}
	report("remote protection", index);
}

// The walk that sets A and D must not bring an older entry back.
static void walker(unsigned index)
{
	if (index == 0) {
		for (uint64_t v = 0; v < 100 * versions; v++) {
			uint64_t entry = pte_make((uint64_t)page[v & 7], PTE_V | PTE_R | PTE_W);

			*(volatile pte_t *)pte = entry;
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			for (unsigned i = 0; i < 8; i++)
				count_wrong((*(volatile pte_t *)pte ^ entry) >> 10 != 0);
		}
		stop = 1;
	} else {
		while (!stop) {
			sfence_vma_at(VA);
			((volatile uint64_t *)VA)[8] = 1;
		}
	}
	report("walker", index);
}

// An atomic in flight while its page moves: no increment is lost or doubled.
static void remote_atomics(unsigned index)
{
	if (index == 0) {
		*page[0] = *page[1] = 0;
		*(volatile pte_t *)pte = pte_make((uint64_t)page[0], PTE_RW);
		fence_others(0, VA, PAGE);
	}
	barrier_wait(active);
	if (index == 0) {
		for (uint64_t v = 0; v < versions / 4; v++) {
			*(volatile pte_t *)pte = pte_make((uint64_t)page[v & 1], PTE_RW);
			fence_others(v, VA, PAGE);
		}
		stop = 1;
	} else {
		for (unsigned i = 0; i < 20000; i++)
			__asm__ volatile("amoadd.d x0, %1, (%0)" :: "r"(VA), "r"(1UL) : "memory");
	}
	barrier_wait(active);
	if (index == 0)
		print("remote atomics: %d\n", *page[0] + *page[1]);
	report("remote atomics", index);
}

static void fences(unsigned index)
{
	page_use(root);
	remote_fence_i(index);
	fresh_code(index);
	remote_sfence(index);
	fence_itself(index);
	remote_protect(index);
	walker(index);
	remote_atomics(index);
	page_use(NULL);
}

static void all(unsigned index)
{
	ring(index);
	broadcast(index);
	fences(index);
}

static volatile uint64_t started;

static void count_start(unsigned index)
{
	__atomic_add_fetch(&started, 1, __ATOMIC_SEQ_CST);
}

// Harts stop and start again; the state that a start promises is tested by its use.
static void restarts(void)
{
	for (unsigned i = 0; i < 50; i++)
		run_harts(HARTS, count_start);
	print("starts: %d\n", started);
	struct sbi_result again = sbi_call(SBI_HSM, 0, harts[0].id, 0x80200000, 0, 0, 0);
	print("start of a running hart: %s\n", again.error == -6 ? "already available" : "?");
	print("start of no hart: %s\n",
	      sbi_call(SBI_HSM, 0, 99, 0x80200000, 0, 0, 0).error == -3 ? "invalid" : "?");
}

int main(void)
{
	root = page_root();
	for (unsigned i = 0; i < SLOTS; i++)
		page[i] = page_alloc();
	for (unsigned i = 0; i < FRESH; i++)
		fresh[i] = page_alloc();
	active = 2;
	versions = 1000;
	run_harts(active, fences);
	active = HARTS;
	versions = 40;
	run_harts(active, all);
	restarts();
	return 0;
}
