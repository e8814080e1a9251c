// SPDX-License-Identifier: GPL-2.0-or-later
// Branches, jumps and calls: conditions, distances, links, targets on other pages.
#include "lib/sandbox.h"
#include "lib/edges.h"

#define MIDDLE (SANDBOX_CODE_BYTES / 2)

static struct sandbox box;

static void put_insn(uint64_t at, uint32_t insn)
{
	box.code[at / 2] = (uint16_t)insn;
	if ((insn & 3) == 3)
		box.code[at / 2 + 1] = (uint16_t)(insn >> 16);
}

static void clear_code(void)
{
	for (unsigned i = 0; i < SANDBOX_CODE_BYTES / 2; i++)
		box.code[i] = C_EBREAK;
}

// Bits @from and up of @value, @n of them, at bit @to.
static uint32_t bits(int64_t value, unsigned from, unsigned n, unsigned to)
{
	return (uint32_t)(value >> from & ((1U << n) - 1)) << to;
}

static uint32_t branch_to(uint32_t insn, int64_t offset)
{
	return insn | bits(offset, 1, 4, 8) | bits(offset, 5, 6, 25) | bits(offset, 11, 1, 7) |
	       bits(offset, 12, 1, 31);
}

static uint32_t jal_to(uint32_t rd, int64_t offset)
{
	return 0x6f | rd << 7 | bits(offset, 1, 10, 21) | bits(offset, 11, 1, 20) |
	       bits(offset, 12, 8, 12) | bits(offset, 20, 1, 31);
}

static uint32_t c_j_to(int64_t offset)
{
	return 0xa001 | bits(offset, 1, 3, 3) | bits(offset, 4, 1, 11) | bits(offset, 5, 1, 2) |
	       bits(offset, 6, 1, 7) | bits(offset, 7, 1, 6) | bits(offset, 8, 2, 9) |
	       bits(offset, 10, 1, 8) | bits(offset, 11, 1, 12);
}

static uint32_t c_branch_to(uint32_t insn, int64_t offset)
{
	return insn | bits(offset, 1, 2, 3) | bits(offset, 3, 2, 10) | bits(offset, 5, 1, 2) |
	       bits(offset, 6, 2, 5) | bits(offset, 8, 1, 12);
}

// Runs the code at @at and records where it ends and what it links.
static void run(uint64_t at, uint64_t a, uint64_t b)
{
	struct frame *f = &this_hart()->frame;

	f->x[1] = f->x[5] = 0;
	f->x[10] = a;
	f->x[11] = b;
	sandbox_run(&box, SANDBOX_CODE + at);
	record(f->scause, at, a, b);
	record(f->sepc, at, a, b);
	record(f->stval, at, a, b);
	record(f->x[1], at, a, b);
	record(f->x[5], at, a, b);
	record(f->x[10], at, a, b);
}

#define BRANCH_A0_A1(funct3) (0x63 | (funct3) << 12 | 10 << 15 | 11 << 20)

static void conditions(void)
{
	static const struct {
		const char *name;
		uint32_t insn;
	} branches[] = {
		{ "beq", BRANCH_A0_A1(0) }, { "bne", BRANCH_A0_A1(1) }, { "blt", BRANCH_A0_A1(4) },
		{ "bge", BRANCH_A0_A1(5) }, { "bltu", BRANCH_A0_A1(6) }, { "bgeu", BRANCH_A0_A1(7) },
	};

	for (unsigned op = 0; op < ARRAY_SIZE(branches); op++) {
		clear_code();
		put_insn(MIDDLE + 64, branch_to(branches[op].insn, 16));
		put_insn(MIDDLE + 128, branch_to(branches[op].insn, -32));
		fence_i();
		group(branches[op].name);
		for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
			for (unsigned j = 0; j < ARRAY_SIZE(edges); j++) {
				run(MIDDLE + 64, edges[i], edges[j]);
				run(MIDDLE + 128, edges[i], edges[j]);
			}
		}
		group_end();
	}
}

static void conditions_compressed(void)
{
	clear_code();
	put_insn(MIDDLE + 64, c_branch_to(0xc101, 16)); // c.beqz a0
	put_insn(MIDDLE + 128, c_branch_to(0xe101, 16)); // c.bnez a0
	fence_i();
	group("c.branch");
	for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
		run(MIDDLE + 64, edges[i], 0);
		run(MIDDLE + 128, edges[i], 0);
	}
	group_end();
}

static const int32_t distances[] = {
	-1048576, -524290, -8192, -4098, -4096, -4094, -2048, -2046, -256, -254, -64, -34, -8,
	-6, -4, -2, 2, 4, 6, 8, 10, 30, 62, 64, 126, 254, 510, 1022, 2046, 2048, 4092, 4094,
	4096, 8190, 524286, 1048574,
};

// Places from which near distances cross a page, also as a straddling instruction.
static const uint16_t places[] = { MIDDLE - 4, MIDDLE - 2, MIDDLE, MIDDLE + 2, MIDDLE + 200, 64 };

static void try_distance(uint64_t at, uint32_t insn)
{
	clear_code();
	put_insn(at, insn);
	fence_i();
	run(at, 0, 0);
}

static void far(void)
{
	group("distances");
	for (unsigned i = 0; i < ARRAY_SIZE(distances); i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(places); j++) {
			int32_t d = distances[i];
			uint16_t at = places[j];

			try_distance(at, jal_to(1, d));
			try_distance(at, jal_to(0, d));
			try_distance(at, jal_to(10, d));
			if (d >= -4096 && d < 4096)
				try_distance(at, branch_to(0x63, d)); // beq x0, x0
			if (d >= -2048 && d < 2048)
				try_distance(at, c_j_to(d));
			if (d >= -256 && d < 256)
				try_distance(at, c_branch_to(0xc101, d));
		}
	}
	group_end();
}

// jalr: the low bit, the immediate, the destination that is also the base, and
// targets that are nowhere.
static void indirect(void)
{
	static const uint32_t forms[] = {
		0x000500e7, 0x00050067, 0x00050567, 0x7ff500e7, 0x800500e7, 0x001500e7, // jalr
		0x8502, 0x9502, // c.jr a0, c.jalr a0
		0x000502e7, // jalr t0, a0
	};
	static const uint64_t targets[] = {
		SANDBOX_CODE + 32, SANDBOX_CODE + 33, SANDBOX_CODE + MIDDLE + 32, SANDBOX_CODE - 2,
		SANDBOX_CODE + SANDBOX_CODE_BYTES, SANDBOX_DATA, 0, 1, 0x8000000000000000,
		0x4000000000, 0xffffffc000000000, 0x3ffffffffe, 0xffffffffffffffff,
		0x0001000010000020, 0xfffffffffffff000, 0x7fffffffffffffff,
	};

	group("indirect");
	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		clear_code();
		put_insn(MIDDLE + 2, forms[i]);
		put_insn(MIDDLE - 2 - 512, forms[i]);
		fence_i();
		for (unsigned j = 0; j < ARRAY_SIZE(targets); j++) {
			run(MIDDLE + 2, targets[j], 0);
			run(MIDDLE - 2 - 512, targets[j], 0);
		}
	}
	group_end();
}

// A loop and a chain of calls, in the program itself.
static uint64_t fibonacci(uint64_t n)
{
	uint64_t r;

	__asm__ volatile("mv a0, %1\njal 1f\nj 3f\n"
			 "1: li t0, 2\nbltu a0, t0, 2f\naddi sp, sp, -32\nsd ra, 0(sp)\n"
			 "sd s1, 8(sp)\nmv s1, a0\naddi a0, a0, -1\njal 1b\nsd a0, 16(sp)\n"
			 "addi a0, s1, -2\njal 1b\nld t0, 16(sp)\nadd a0, a0, t0\nld ra, 0(sp)\n"
			 "ld s1, 8(sp)\naddi sp, sp, 32\n2: ret\n3: mv %0, a0"
			 : "=r"(r) : "r"(n) : "ra", "a0", "t0", "memory");
	return r;
}

static uint64_t loop(uint64_t n)
{
	uint64_t sum = 0;

	__asm__ volatile("1: add %0, %0, %1\naddi %1, %1, -1\nbnez %1, 1b" : "+r"(sum), "+r"(n));
	return sum;
}

int main(void)
{
	sandbox_init(&box, true);
	conditions();
	conditions_compressed();
	far();
	indirect();
	print("fibonacci %d\n", fibonacci(18));
	print("loop %d\n", loop(100000));
	return 0;
}
