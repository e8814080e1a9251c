// SPDX-License-Identifier: GPL-2.0-or-later
// Exceptions: each cause, from S and from U mode, what sstatus becomes, and sret.
#include "lib/sandbox.h"

__asm__(".option arch, +d");

#define NOWHERE 0x90000000UL

static struct sandbox box;

#define TRY(label, text)                                                      \
	do {                                                                  \
		catch_traps();                                                \
		__asm__ volatile(".option push\n.option norvc\n" text "\n.option pop" \
				 ::: "t0", "t1", "ra", "memory");             \
		catch_end();                                                  \
		show_trap(label);                                             \
	} while (0)

static void illegal(void)
{
	TRY("0 (16 bits)", ".half 0");
	TRY("unimp", ".word 0xc0001073");
	TRY("all ones", ".word 0xffffffff");
	TRY("48 bits", ".half 0x001f\n.half 0x0001");
	TRY("mret", "mret");
	TRY("uret", ".word 0x00200073");
	TRY("dret", ".word 0x7b200073");
	TRY("hfence.vvma", ".word 0x22000073");
	TRY("mstatus", "csrr t0, mstatus");
	TRY("mhartid", "csrr t0, mhartid");
	TRY("no such csr", "csrr t0, 0x5ff");
	TRY("write cycle", "csrw cycle, x0");
	TRY("write misa", "csrw misa, x0");
	TRY("vector", ".word 0x02008057");
	TRY("clmul", ".word 0x0a001533");
	TRY("fadd.q", ".word 0x06007053");
	TRY("fadd.h", ".word 0x04007053");
	TRY("flh", ".word 0x00001007");
	TRY("c.addi4spn 0", ".half 0x0004");
	TRY("c.lwsp x0", ".half 0x4002");
	TRY("c.jr x0", ".half 0x8002");
	TRY("c.lui x1, 0", ".half 0x6081");
	TRY("c.addiw x0", ".half 0x2001");
	TRY("c0 reserved", ".half 0x8000");
	TRY("c1 reserved", ".half 0x9c41");
}

// Rounding modes 5 and 6 are reserved, 7 takes frm's, which may be reserved.
static void illegal_rounding(void)
{
	TRY("rm 5", ".word 0x00005053");
	TRY("rm 6", ".word 0x02006053");
	for (unsigned frm = 4; frm < 8; frm++) {
		csr_write("frm", frm);
		print("frm %d\n", (uint64_t)frm);
		TRY("fadd.d dyn", "fadd.d ft0, ft0, ft0, dyn");
		TRY("fadd.d rne", "fadd.d ft0, ft0, ft0, rne");
		TRY("fcvt.w.s dyn", "fcvt.w.s t0, ft0, dyn");
		TRY("fmadd.s dyn", "fmadd.s ft0, ft0, ft0, ft0, dyn");
		TRY("fsqrt.d dyn", "fsqrt.d ft0, ft0, dyn");
		TRY("fmin.d", "fmin.d ft0, ft0, ft0");
	}
	csr_write("fcsr", 0);
}

static void breakpoints(void)
{
	TRY("ebreak", "ebreak");
	TRY("c.ebreak", ".half 0x9002");
}

static void accesses(void)
{
	TRY("load nowhere", "li t0, 0x90000000\nld t0, 0(t0)");
	TRY("load byte nowhere", "li t0, 0x90000001\nlb t0, 0(t0)");
	TRY("store nowhere", "li t0, 0x90000000\nsd t0, 8(t0)");
	TRY("load far", "li t0, 0x8000000000000000\nlw t0, 0(t0)");
	TRY("load at the end", "li t0, -1\nlbu t0, 0(t0)");
	TRY("store far", "li t0, 0x0100000080000000\nsh t0, 0(t0)");
	TRY("fetch nowhere", "li t0, 0x90000000\njalr t0");
	TRY("fetch at 0", "jalr x0");
	TRY("fetch far", "li t0, 0xffffffff80200000\njalr t0");
}

static void no_floating_point(void)
{
	csr_clear("sstatus", SSTATUS_FS);
	TRY("fadd.s off", "fadd.s ft0, ft0, ft0");
	TRY("fld off", "la t0, stacks\nfld ft0, 0(t0)");
	TRY("fsw off", "la t0, stacks\nfsw ft0, 0(t0)");
	TRY("fmv.x.d off", "fmv.x.d t0, ft0");
	TRY("c.fld off", "la s0, stacks\n.half 0x2000");
	TRY("csrr fcsr off", "csrr t0, fcsr");
	TRY("csrw frm off", "csrw frm, x0");
	TRY("csrr fflags off", "csrr t0, fflags");
	csr_set("sstatus", SSTATUS_FS);
}

// FS becomes dirty (3) with the first change of floating-point state.
#define DIRTIES(label, text)                                                  \
	do {                                                                  \
		csr_clear("sstatus", SSTATUS_FS);                             \
		csr_set("sstatus", SSTATUS_FS_CLEAN);                         \
		__asm__ volatile(text ::: "t0", "memory");                    \
		uint64_t status_ = csr_read("sstatus");                       \
		print("after " label ": fs %d sd %d\n", status_ >> 13 & 3, status_ >> 63); \
	} while (0)

static void dirty_state(void)
{
	DIRTIES("nothing", "nop");
	DIRTIES("fadd.d", "fadd.d ft0, ft0, ft0");
	DIRTIES("fld", "la t0, stacks\nfld ft0, 0(t0)");
	DIRTIES("flw", "la t0, stacks\nflw ft0, 0(t0)");
	DIRTIES("fmv.d.x", "fmv.d.x ft0, x0");
	DIRTIES("fsgnj.s", "fsgnj.s ft0, ft0, ft0");
	DIRTIES("fcvt.s.w", "fcvt.s.w ft0, x0");
	DIRTIES("fmadd.d", "fmadd.d ft0, ft0, ft0, ft0");
	DIRTIES("csrw fcsr", "csrw fcsr, x0");
	DIRTIES("csrw frm", "csrw frm, x0");
	DIRTIES("csrw fflags", "csrw fflags, x0");
	csr_set("sstatus", SSTATUS_FS);
}

static const struct {
	const char *label;
	uint32_t insn;
} in_user_mode[] = {
	{ "ecall", 0x00000073 }, { "ebreak", 0x00100073 }, { "c.ebreak", 0x9002 },
	{ "sret", 0x10200073 }, { "mret", 0x30200073 }, { "wfi", 0x10500073 },
	{ "sfence.vma", 0x12000073 }, { "sinval.vma", 0x16000073 },
	{ "csrr sstatus", 0x10002573 }, { "csrw satp", 0x18001073 }, { "0", 0 },
	{ "jump to nowhere", 0x000580e7 }, { "load from the program", 0x00063503 },
	{ "store to the program", 0x00c63023 }, { "jump to the program", 0x000600e7 },
};

// What a trap from U mode with @sstatus leaves in it.
static void user_traps(uint64_t sstatus)
{
	struct frame *f = &this_hart()->frame;

	for (unsigned i = 0; i < ARRAY_SIZE(in_user_mode); i++) {
		box.code[0] = (uint16_t)in_user_mode[i].insn;
		box.code[1] = (uint16_t)(in_user_mode[i].insn >> 16);
		box.code[2] = C_EBREAK;
		fence_i();
		f->x[11] = NOWHERE;
		f->x[12] = (uint64_t)&box & ~7UL;
		box.sstatus = sstatus;
		sandbox_run(&box, SANDBOX_CODE);
		print("user %s: cause %x stval %x sepc %x sstatus %x\n", in_user_mode[i].label,
		      f->scause, f->stval == f->x[12] ? 1 : f->stval,
		      f->sepc == f->x[12] ? 1 : f->sepc - SANDBOX_CODE, f->sstatus);
	}
}

// sret's effect on sstatus: SIE gets SPIE, SPIE gets 1, SPP gets 0.
static void returns(void)
{
	uint64_t status;

	for (unsigned bits = 0; bits < 4; bits++) {
		csr_write("sepc", 0);
		csr_clear("sstatus", SSTATUS_SIE | SSTATUS_SPIE);
		csr_set("sstatus", SSTATUS_SPP | (bits & 1 ? SSTATUS_SPIE : 0) |
			(bits & 2 ? SSTATUS_SIE : 0));
		__asm__ volatile("la t0, 1f\ncsrw sepc, t0\nsret\n1: csrr %0, sstatus"
				 : "=r"(status) :: "t0", "memory");
		csr_clear("sstatus", SSTATUS_SIE);
		print("sret: spie %d sie %d spp %d\n", status >> 5 & 1, status >> 1 & 1,
		      status >> 8 & 1);
	}
}

// Taking a trap: SPIE gets SIE, SIE gets 0, SPP tells the mode.
static void taking(void)
{
	csr_clear("sstatus", SSTATUS_SPIE);
	csr_set("sstatus", SSTATUS_SIE);
	TRY("with sie", ".half 0");
	csr_clear("sstatus", SSTATUS_SIE);
	csr_set("sstatus", SSTATUS_SPIE);
	TRY("without sie", ".half 0");
}

// An exception in the last two bytes of a page and one that straddles two.
static void at_page_ends(void)
{
	static const uint32_t insns[] = { 0x00000073, 0x0000, 0xffffffff, 0x00063503 };
	struct frame *f = &this_hart()->frame;

	for (unsigned i = 0; i < ARRAY_SIZE(insns); i++) {
		for (unsigned at = PAGE - 6; at <= PAGE; at += 2) {
			for (unsigned j = 0; j < SANDBOX_CODE_BYTES / 2; j++)
				box.code[j] = 1; // c.nop
			box.code[at / 2] = (uint16_t)insns[i];
			box.code[at / 2 + 1] = (uint16_t)(insns[i] >> 16);
			fence_i();
			f->x[12] = 0x123;
			sandbox_run(&box, SANDBOX_CODE + PAGE - 6);
			print("at %x: cause %x stval %x sepc %x\n", (uint64_t)at, f->scause,
			      f->stval, f->sepc);
		}
	}
}

int main(void)
{
	illegal();
	illegal_rounding();
	breakpoints();
	accesses();
	no_floating_point();
	dirty_state();
	taking();
	returns();
	sandbox_init(&box, true);
	user_traps(SSTATUS_FS);
	user_traps(SSTATUS_FS_INITIAL | SSTATUS_SPIE | SSTATUS_SUM | SSTATUS_MXR);
	at_page_ends();
	return 0;
}
