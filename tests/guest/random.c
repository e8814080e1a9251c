// SPDX-License-Identifier: GPL-2.0-or-later
// Random sequences of all user instructions, from a seed, in U mode or (S_MODE) in
// S mode, with the whole state hashed after each.
//
// Built with DUMP=n it runs every prefix of sequence n and prints the states, which
// shows the first instruction that went wrong.
#include "lib/sandbox.h"
#include "lib/edges.h"
#include "lib/fp-edges.h"

#ifndef SEED
#define SEED 1
#endif
#ifndef DUMP
#define DUMP -1
#endif

#define SEQUENCES 1500
#define PER_GROUP 150
#define LENGTH 64 // halfwords of random code; some instructions take two or four

// The registers that hold addresses, and are no instruction's destination.
#define SP 2
#define BASE 8 // may be misaligned
#define ALIGNED 9
#define C_MV 0x8002
#define C_ADD 0x9002

#define IS_POINTER(reg) ((reg) == SP || (reg) == BASE || (reg) == ALIGNED)

// The fields to fill in at random: all that mask leaves, but for these rules.
enum rule {
	PLAIN,
	RM, // bits 14:12 are a rounding mode
	LOAD, // rs1 is an address
	STORE,
	ATOMIC, // rs1 is ALIGNED
	FORWARD, // a branch over a few instructions
	JUMP,
	CSR_FLOAT, // the CSR is fflags, frm or fcsr; an immediate
	PAIR, // LR, and the SC that belongs to it
	C_REG, // compressed, rd in bits 11:7
	C_REG_SHORT, // compressed, rd in bits 9:7
	C_STACK, // compressed, relative to sp; rd in bits 11:7
	C_MEMORY, // compressed, relative to BASE; rd in bits 4:2
};

static const struct pattern {
	uint32_t mask, match;
	enum rule rule;
} patterns[] = {
#define R_TYPE(match) { 0xfe00707f, match, PLAIN }
#define I_TYPE(match) { 0x0000707f, match, PLAIN }
#define SHIFT_6(match) { 0xfc00707f, match, PLAIN }
#define SHIFT_5(match) { 0xfe00707f, match, PLAIN }
#define U_TYPE(match) { 0x0000007f, match, PLAIN }
#define UNARY(match) { 0xfff0707f, match, PLAIN }
	U_TYPE(0x37), U_TYPE(0x17),
	I_TYPE(0x13), I_TYPE(0x2013), I_TYPE(0x3013), I_TYPE(0x4013), I_TYPE(0x6013),
	I_TYPE(0x7013), I_TYPE(0x1b),
	SHIFT_6(0x1013), SHIFT_6(0x5013), SHIFT_6(0x40005013),
	SHIFT_5(0x101b), SHIFT_5(0x501b), SHIFT_5(0x4000501b),
	R_TYPE(0x33), R_TYPE(0x40000033), R_TYPE(0x1033), R_TYPE(0x2033), R_TYPE(0x3033),
	R_TYPE(0x4033), R_TYPE(0x5033), R_TYPE(0x40005033), R_TYPE(0x6033), R_TYPE(0x7033),
	R_TYPE(0x3b), R_TYPE(0x4000003b), R_TYPE(0x103b), R_TYPE(0x503b), R_TYPE(0x4000503b),
	// M
	R_TYPE(0x2000033), R_TYPE(0x2001033), R_TYPE(0x2002033), R_TYPE(0x2003033),
	R_TYPE(0x2004033), R_TYPE(0x2005033), R_TYPE(0x2006033), R_TYPE(0x2007033),
	R_TYPE(0x200003b), R_TYPE(0x200403b), R_TYPE(0x200503b), R_TYPE(0x200603b),
	R_TYPE(0x200703b),
	// Zba
	R_TYPE(0x800003b), R_TYPE(0x20002033), R_TYPE(0x20004033), R_TYPE(0x20006033),
	R_TYPE(0x2000203b), R_TYPE(0x2000403b), R_TYPE(0x2000603b), SHIFT_6(0x800101b),
	// Zbb, without ctzw: QEMU 7.2 counts beyond bit 31
	R_TYPE(0x40007033), R_TYPE(0x40006033), R_TYPE(0x40004033), R_TYPE(0xa004033),
	R_TYPE(0xa005033), R_TYPE(0xa006033), R_TYPE(0xa007033), R_TYPE(0x60001033),
	R_TYPE(0x60005033), R_TYPE(0x6000103b), R_TYPE(0x6000503b), SHIFT_6(0x60005013),
	SHIFT_5(0x6000501b), UNARY(0x60001013), UNARY(0x60101013), UNARY(0x60201013),
	UNARY(0x6000101b), UNARY(0x6020101b), UNARY(0x60401013),
	UNARY(0x60501013), UNARY(0x800403b), UNARY(0x28705013), UNARY(0x6b805013),
	// Zbs
	R_TYPE(0x48001033), R_TYPE(0x48005033), R_TYPE(0x68001033), R_TYPE(0x28001033),
	SHIFT_6(0x48001013), SHIFT_6(0x48005013), SHIFT_6(0x68001013), SHIFT_6(0x28001013),
	// Loads and stores, with those of floating point
	{ 0x707f, 0x0003, LOAD }, { 0x707f, 0x1003, LOAD }, { 0x707f, 0x2003, LOAD },
	{ 0x707f, 0x3003, LOAD }, { 0x707f, 0x4003, LOAD }, { 0x707f, 0x5003, LOAD },
	{ 0x707f, 0x6003, LOAD }, { 0x707f, 0x2007, LOAD }, { 0x707f, 0x3007, LOAD },
	{ 0x707f, 0x0023, STORE }, { 0x707f, 0x1023, STORE }, { 0x707f, 0x2023, STORE },
	{ 0x707f, 0x3023, STORE }, { 0x707f, 0x2027, STORE }, { 0x707f, 0x3027, STORE },
	// A
#define ATOMICS(match) { 0xf800707f, match, ATOMIC }, { 0xf800707f, (match) | 0x1000, ATOMIC }
	ATOMICS(0x0000202f), ATOMICS(0x0800202f), ATOMICS(0x2000202f), ATOMICS(0x4000202f),
	ATOMICS(0x6000202f), ATOMICS(0x8000202f), ATOMICS(0xa000202f), ATOMICS(0xc000202f),
	ATOMICS(0xe000202f), { 0xf9f0707f, 0x1000202f, PAIR }, { 0xf9f0707f, 0x1000302f, PAIR },
	// Control flow
	{ 0x707f, 0x0063, FORWARD }, { 0x707f, 0x1063, FORWARD }, { 0x707f, 0x4063, FORWARD },
	{ 0x707f, 0x5063, FORWARD }, { 0x707f, 0x6063, FORWARD }, { 0x707f, 0x7063, FORWARD },
	{ 0x007f, 0x006f, JUMP },
	// F and D: bit 25 tells the precision
#define FP_BOTH(mask, match, rule) { mask, match, rule }, { mask, (match) | 1 << 25, rule }
#define FP_ROUND(match) FP_BOTH(0xfe00007f, match, RM)
#define FP_ROUND_UNARY(match) FP_BOTH(0xfff0007f, match, RM)
#define FP_FUSED(match) FP_BOTH(0x0600007f, match, RM)
#define FP_PLAIN(match) FP_BOTH(0xfe00707f, match, PLAIN)
#define FP_UNARY(match) FP_BOTH(0xfff0707f, match, PLAIN)
	FP_ROUND(0x53), FP_ROUND(0x8000053), FP_ROUND(0x10000053), FP_ROUND(0x18000053),
	FP_ROUND_UNARY(0x58000053), FP_FUSED(0x43), FP_FUSED(0x47), FP_FUSED(0x4b),
	FP_FUSED(0x4f), FP_ROUND_UNARY(0xc0000053), FP_ROUND_UNARY(0xc0100053),
	FP_ROUND_UNARY(0xc0200053), FP_ROUND_UNARY(0xc0300053), FP_ROUND_UNARY(0xd0000053),
	FP_ROUND_UNARY(0xd0100053), FP_ROUND_UNARY(0xd0200053), FP_ROUND_UNARY(0xd0300053),
	{ 0xfff0007f, 0x40100053, RM }, { 0xfff0007f, 0x42000053, RM },
	FP_PLAIN(0x20000053), FP_PLAIN(0x20001053), FP_PLAIN(0x20002053), FP_PLAIN(0x28000053),
	FP_PLAIN(0x28001053), FP_PLAIN(0xa0000053), FP_PLAIN(0xa0001053), FP_PLAIN(0xa0002053),
	FP_UNARY(0xe0001053), FP_UNARY(0xe0000053), FP_UNARY(0xf0000053),
	// Zicsr: the immediate forms
	{ 0x707f, 0x5073, CSR_FLOAT }, { 0x707f, 0x6073, CSR_FLOAT }, { 0x707f, 0x7073, CSR_FLOAT },
	// fence, fence.i
	{ 0x707f, 0x000f, PLAIN }, { 0xffffffff, 0x100f, PLAIN },
	// C
	{ 0xe003, 0x0001, C_REG }, { 0xe003, 0x4001, C_REG }, { 0xe003, 0x2001, C_REG },
	{ 0xec03, 0x8001, C_REG_SHORT }, { 0xec03, 0x8401, C_REG_SHORT },
	{ 0xec03, 0x8801, C_REG_SHORT }, { 0xfc63, 0x8c01, C_REG_SHORT },
	{ 0xfc63, 0x8c21, C_REG_SHORT }, { 0xfc63, 0x8c41, C_REG_SHORT },
	{ 0xfc63, 0x8c61, C_REG_SHORT }, { 0xfc63, 0x9c01, C_REG_SHORT },
	{ 0xfc63, 0x9c21, C_REG_SHORT }, { 0xe003, 0x0002, C_REG }, { 0xe003, 0x6001, C_REG },
	{ 0xf003, C_MV, C_REG }, { 0xf003, C_ADD, C_REG },
	{ 0xe003, 0x4002, C_STACK }, { 0xe003, 0x6002, C_STACK }, { 0xe003, 0x2002, C_STACK },
	{ 0xe003, 0xc002, C_STACK }, { 0xe003, 0xe002, C_STACK }, { 0xe003, 0xa002, C_STACK },
	{ 0xe003, 0x4000, C_MEMORY }, { 0xe003, 0x6000, C_MEMORY }, { 0xe003, 0x2000, C_MEMORY },
	{ 0xe003, 0xc000, C_MEMORY }, { 0xe003, 0xe000, C_MEMORY }, { 0xe003, 0xa000, C_MEMORY },
};

static struct sandbox box;
static uint64_t state;
static uint16_t program[LENGTH + 32];
static unsigned length;

// A jump forward that waits for its target: where it is, and after how many more
// instructions the target comes; 0: none waits.
static unsigned jump_at, jump_skip;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(random_next(&state) >> 32) % n;
}

static uint32_t set_field(uint32_t insn, unsigned at, unsigned bits, uint32_t value)
{
	uint32_t mask = ((1U << bits) - 1) << at;

	return (insn & ~mask) | (value << at & mask);
}

// Few registers, so that instructions depend on each other.
static uint32_t random_register(void)
{
	static const uint8_t often[] = { 0, 1, 5, 10, 11, 12, 13, 14, 15, 28, 31, 6 };

	return below(4) ? often[below(ARRAY_SIZE(often))] : below(32);
}

static uint32_t random_destination(void)
{
	uint32_t reg;

	do
		reg = random_register();
	while (IS_POINTER(reg));
	return reg;
}

static uint32_t base_register(void)
{
	static const uint8_t bases[] = { SP, BASE, ALIGNED };

	return bases[below(3)];
}

static void emit_16(uint32_t insn)
{
	program[length++] = (uint16_t)insn;
}

static void emit_32(uint32_t insn)
{
	emit_16(insn);
	emit_16(insn >> 16);
}

// A branch or jal with the distance @offset (unprivileged spec 2.5); jal's is short.
static uint32_t set_jump(uint32_t insn, uint32_t offset)
{
	if ((insn & 0x7f) == 0x6f)
		return set_field(set_field(insn, 12, 20, 0), 21, 10, offset >> 1);
	insn = set_field(insn, 8, 4, offset >> 1);
	insn = set_field(insn, 25, 6, offset >> 5);
	insn = set_field(insn, 7, 1, offset >> 11);
	return set_field(insn, 31, 1, offset >> 12);
}

// To where the next instruction goes.
static void land_jump(void)
{
	uint32_t insn = program[jump_at] | (uint32_t)program[jump_at + 1] << 16;

	insn = set_jump(insn, 2 * (length - jump_at));
	program[jump_at] = (uint16_t)insn;
	program[jump_at + 1] = (uint16_t)(insn >> 16);
}

static void emit_wide(const struct pattern *p)
{
	static const uint8_t modes[] = { 0, 1, 2, 3, 4, 7, 7, 7 };
	uint32_t insn = (uint32_t)random_next(&state);

	insn = set_field(insn, 7, 5, random_destination());
	insn = set_field(insn, 15, 5, random_register());
	if (below(4))
		insn = set_field(insn, 20, 5, random_register());
	insn = (insn & ~p->mask) | p->match;
	switch (p->rule) {
	case RM:
		insn = set_field(insn, 12, 3, modes[below(sizeof(modes))]);
		break;
	case STORE:
		insn = set_field(insn, 7, 5, below(32));
		// fall through
	case LOAD:
		insn = set_field(insn, 15, 5, base_register());
		break;
	case ATOMIC:
	case PAIR:
		insn = set_field(insn, 15, 5, ALIGNED);
		break;
	case FORWARD:
	case JUMP:
		insn = set_jump(insn, 4);
		jump_at = length;
		jump_skip = 1 + below(4);
		break;
	case CSR_FLOAT:
		insn = set_field(insn, 20, 12, 1 + below(3));
		insn = set_field(insn, 15, 5, below(32) & (below(8) ? 4 : 7));
		break;
	default:
		break;
	}
	emit_32(insn);
	if (p->rule == PAIR) {
		insn = set_field(insn, 27, 5, 3);
		insn = set_field(insn, 7, 5, random_destination());
		emit_32(set_field(insn, 20, 5, random_register()));
	}
}

static void emit_compressed(const struct pattern *p)
{
	uint32_t insn = (uint32_t)random_next(&state);

	switch (p->rule) {
	case C_REG:
	case C_STACK:
		insn = set_field(insn, 7, 5, p->match & 0x8000 && p->rule == C_STACK ?
					     below(32) : random_destination());
		if (p->match == C_MV || p->match == C_ADD) // without a source these are jumps
			insn = set_field(insn, 2, 5, 1 + below(31));
		break;
	case C_REG_SHORT:
		insn = set_field(insn, 7, 3, 2 + below(6)); // x10 to x15
		break;
	default:
		insn = set_field(insn, 7, 3, 0); // BASE
		insn = set_field(insn, 2, 3, 2 + below(6));
		break;
	}
	emit_16((insn & ~p->mask & 0xffff) | p->match);
}

static void make_program(void)
{
	length = 0;
	jump_skip = 0;
	while (length < LENGTH || jump_skip) {
		const struct pattern *p = &patterns[below(ARRAY_SIZE(patterns))];

		if (jump_skip && (p->rule == FORWARD || p->rule == JUMP))
			continue;
		if (p->mask > 0xffff || (p->match & 3) == 3)
			emit_wide(p);
		else
			emit_compressed(p);
		if (jump_skip && length > jump_at + 2 && --jump_skip == 0)
			land_jump();
	}
}

static uint64_t random_float_register(void)
{
	switch (below(4)) {
	case 0: return edges_s[below(ARRAY_SIZE(edges_s))];
	case 1: return edges_d[below(ARRAY_SIZE(edges_d))];
	case 2: return BOXED(0x3f000000 + below(0x1000000));
	default: return 0x3fe0000000000000 + random_next(&state) % 0x20000000000000;
	}
}

static void set_state(void)
{
	struct frame *f = &this_hart()->frame;
	uint64_t middle = SANDBOX_DATA + SANDBOX_DATA_BYTES / 2;

	for (unsigned i = 1; i < 32; i++)
		f->x[i] = below(3) ? edges[below(ARRAY_SIZE(edges))] : random_next(&state);
	f->x[SP] = middle - 2048 + 8 * below(256);
	f->x[BASE] = middle - 256 + below(512);
	f->x[ALIGNED] = middle - 64 + 8 * below(16);
	for (unsigned i = 0; i < 32; i++)
		box.f[i] = random_float_register();
	box.fcsr = below(5) << 5;
	for (unsigned i = 0; i < SANDBOX_DATA_BYTES / 8; i++)
		box.data[i] = i * 0x0101010101010101UL;
}

// The first @n halfwords at a random place, some of them across the page border, up
// to an ebreak; other halfwords are ebreaks too.
static uint64_t place_program(uint64_t at, unsigned n)
{
	uint16_t *code = box.code + at / 2;

	for (unsigned i = 0; i < length + 16; i++)
		code[i] = i < n ? program[i] : C_EBREAK;
	fence_i();
	return SANDBOX_CODE + at;
}

static unsigned instruction_bytes(uint64_t pc)
{
	return (box.code[(pc - SANDBOX_CODE) / 2] & 3) == 3 ? 4 : 2;
}

// Runs to the end; an instruction that traps is recorded and skipped.
static void run_program(uint64_t pc, uint64_t end, uint64_t number)
{
	struct frame *f = &this_hart()->frame;

	for (unsigned traps = 0; traps < LENGTH; traps++) {
		sandbox_run(&box, pc);
		if (f->sepc >= end || f->sepc < pc || f->scause == CAUSE_FETCH_PAGE)
			break;
		record(f->scause, number, f->sepc, f->stval);
		pc = f->sepc + instruction_bytes(f->sepc);
	}
	sandbox_record(&box, number, 0);
	for (unsigned i = 0; i < SANDBOX_DATA_BYTES / 8; i++)
		record(box.data[i], number, i, 0);
}

static void dump_prefixes(uint64_t at)
{
	uint64_t before = state;

	for (unsigned n = 0; n <= length; n++) {
		state = before;
		set_state();
		uint64_t pc = place_program(at, n);
		sandbox_run(&box, pc);
		struct frame *f = &this_hart()->frame;
		print("%d: next %x at %x cause %x fcsr %x", (uint64_t)n,
		      n < length ? (uint64_t)program[n] : 0, f->sepc, f->scause, box.fcsr);
		for (unsigned i = 1; i < 32; i++)
			print(" x%d %x", (uint64_t)i, f->x[i]);
		for (unsigned i = 0; i < 32; i++)
			print(" f%d %x", (uint64_t)i, box.f[i]);
		put("\n");
	}
}

static void one_sequence(unsigned number)
{
	state = (SEED * 0x9e3779b97f4a7c15) ^ ((number + 1) * 0xd1b54a32d192ed03);
	make_program();
	uint64_t at = PAGE - 2 * (8 + below(length + 32));
	if (DUMP == (int)number)
		dump_prefixes(at);
	set_state();
	uint64_t pc = place_program(at, length);
	run_program(pc, pc + 2 * length, number);
}

int main(void)
{
#ifdef S_MODE
	sandbox_init(&box, false);
#else
	sandbox_init(&box, true);
#endif
	for (unsigned i = 0; i < SANDBOX_CODE_BYTES / 2; i++)
		box.code[i] = C_EBREAK;
	for (unsigned first = 0; first < SEQUENCES; first += PER_GROUP) {
		char name[] = "seq-a";

		name[4] += first / PER_GROUP;
		group(name);
		for (unsigned i = 0; i < PER_GROUP; i++)
			one_sequence(first + i);
		group_end();
	}
	return 0;
}
