// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that leaves the fast path, so often that whatever an engine piles up on
// its own stack or forgets to give back shows.
#include "lib/sandbox.h"

#define ROUNDS 600000
#define VA 0x30000000UL

static struct sandbox box;

// Counts traps without looking: the frame's sepc moves on by @bytes.
static uint64_t count_traps(const uint16_t *code, unsigned n, unsigned bytes)
{
	struct frame *f = &this_hart()->frame;
	uint64_t traps = 0;

	memcpy(box.code, code, 2 * n);
	fence_i();
	for (unsigned i = 0; i < ROUNDS; i++) {
		f->sepc = SANDBOX_CODE;
		f->sstatus = SSTATUS_FS;
		enter_frame();
		traps += f->sepc == SANDBOX_CODE + bytes;
	}
	return traps;
}

#define TRAPS(label, bytes, ...)                                              \
	do {                                                                  \
		static const uint16_t code_[] = { __VA_ARGS__ };              \
		print(label " %d\n", count_traps(code_, ARRAY_SIZE(code_), bytes)); \
	} while (0)

static void traps(void)
{
	sandbox_init(&box, true);
	TRAPS("ecall", 0, 0x0073, 0x0000);
	TRAPS("ebreak", 0, 0x9002);
	TRAPS("illegal", 0, 0xffff, 0xffff);
	TRAPS("illegal, 16 bits", 0, 0x0000);
	TRAPS("csr of S mode", 0, 0x2573, 0x1000);
	TRAPS("load fault", 0, 0x3503, 0x0000);
	TRAPS("store fault", 0, 0x3023, 0x0000);
	TRAPS("misaligned amo", 2, 0x4505, 0x252f, 0x00a5); // c.li a0, 1
	TRAPS("fflags", 4, 0x2573, 0x0010, 0x9002);
	TRAPS("divide", 4, 0x4533, 0x02b5, 0x9002);
}

#define REPEAT(label, text)                                                   \
	do {                                                                  \
		uint64_t n_ = ROUNDS;                                         \
		__asm__ volatile(".option push\n.option arch, +svinval\n"     \
				 "1: " text "\naddi %0, %0, -1\nbnez %0, 1b\n.option pop" \
				 : "+r"(n_) :: "t0", "t1", "t2", "memory");   \
		put(label "\n");                                              \
	} while (0)

static void instructions(void)
{
	csr_set("sip", 1UL << IRQ_SOFT); // wfi has something to see
	csr_write("sie", 1UL << IRQ_SOFT);
	REPEAT("wfi", "wfi");
	csr_write("sie", 0);
	csr_clear("sip", 1UL << IRQ_SOFT);
	REPEAT("sfence.vma", "sfence.vma");
	REPEAT("sfence.vma of a page", "li t0, 0x30000000\nsfence.vma t0, x0");
	REPEAT("sinval.vma", "sfence.w.inval\nsinval.vma x0, x0\nsfence.inval.ir");
	REPEAT("fence.i", "fence.i");
	REPEAT("fence", "fence rw, rw");
	REPEAT("sret", "la t0, 2f\ncsrw sepc, t0\nli t0, 0x100\ncsrs sstatus, t0\nsret\n2:");
	REPEAT("csrs", "csrr t0, sstatus\ncsrw stval, t0\ncsrr t0, time\ncsrr t0, sip");
	REPEAT("fs", "li t0, 0x6000\ncsrc sstatus, t0\nli t0, 0x2000\ncsrs sstatus, t0\n"
		     ".word 0x00007053"); // fadd.s ft0, ft0, ft0
	REPEAT("sum", "li t0, 0x40000\ncsrs sstatus, t0\ncsrc sstatus, t0");
	REPEAT("satp", "csrr t0, satp\ncsrw satp, x0\ncsrw satp, t0");
	csr_set("sstatus", SSTATUS_FS);
}

static void calls(void)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < ROUNDS; i++)
		done += sbi_call(0x10, 0, 0, 0, 0, 0, 0).error == 0; // Base: spec version
	print("sbi %d\n", done);
}

// Instructions, loads and stores that straddle two pages.
static void straddles(void)
{
	pte_t *root = (pte_t *)((csr_read("satp") & 0xfffffffffff) << 12);
	uint16_t *first = page_alloc(), *second = page_alloc();

	page_map(root, VA, (uint64_t)first, 0, PTE_RWX);
	page_map(root, VA + PAGE, (uint64_t)second, 0, PTE_RWX);
	first[2047] = 0x0513; // addi a0, x0, 1
	second[0] = 1 << 4;
	second[1] = 0x8082; // c.jr ra
	sfence_vma();
	fence_i();
	uint64_t sum = 0;
	for (unsigned i = 0; i < ROUNDS; i++)
		sum += ((uint64_t (*)(void))(VA + PAGE - 2))();
	print("straddling fetch %d\n", sum);
	REPEAT("straddling load and store",
	       "li t0, 0x30000ffc\nld t1, 0(t0)\nsd t1, 0(t0)\namoadd.w t1, x0, (t0)");
}

int main(void)
{
	traps();
	instructions();
	calls();
	straddles();
	return 0;
}
