// SPDX-License-Identifier: GPL-2.0-or-later
// Which encodings are instructions, and which: all compressed ones, and all
// opcode, funct3, funct7 and rs2 fields of the 32-bit ones, each run once in U mode
// with all registers known. Jumps and branches relative to pc are branch.c's.
#include "lib/sandbox.h"
#include "lib/edges.h"

#define SLOTS 256
#define SLOT_BYTES 16

static struct sandbox box;
static uint32_t batch[SLOTS];
static unsigned batched;

// Pointers into the data, far enough from its ends for any offset, and numbers.
static void set_registers(void)
{
	struct frame *f = &this_hart()->frame;
	uint64_t middle = SANDBOX_DATA + SANDBOX_DATA_BYTES / 2;

	for (unsigned i = 1; i < 32; i++)
		f->x[i] = i % 3 ? middle + 264 * i : edges[i] * 0x100000001;
	f->x[11] = middle - 512;
	f->x[12] = 0x8000000000000003;
	f->x[10] = 0x1234567890abcdef;
	f->x[2] = middle - 2048;
	f->x[8] = middle + 16;
	f->x[9] = middle - 64;
	for (unsigned i = 0; i < 32; i++)
		box.f[i] = 0x3ff0000000000000 * (i & 1) + 0xffffffff3f800000 * (~i & 1) + i;
	box.fcsr = 0;
}

static void run_slot(unsigned slot)
{
	uint64_t at = SLOT_BYTES * slot;
	uint64_t sum = 0;

	set_registers();
	sandbox_run(&box, SANDBOX_CODE + at);
	sandbox_record(&box, batch[slot], slot);
	for (unsigned i = 0; i < SANDBOX_DATA_BYTES / 8; i += 8)
		sum = (sum ^ box.data[i]) * 3;
	record(sum, batch[slot], slot, 4);
}

static void run_batch(void)
{
	fence_i();
	for (unsigned i = 0; i < batched; i++)
		run_slot(i);
	batched = 0;
}

static void try(uint32_t insn, bool compressed)
{
	uint16_t *slot = box.code + SLOT_BYTES / 2 * batched;

	for (unsigned i = 0; i < SLOT_BYTES / 2; i++)
		slot[i] = C_EBREAK;
	slot[0] = (uint16_t)insn;
	if (!compressed)
		slot[1] = (uint16_t)(insn >> 16);
	batch[batched++] = insn;
	if (batched == SLOTS)
		run_batch();
}

static bool is_relative_jump_c(uint32_t insn)
{
	unsigned funct3 = insn >> 13;

	return (insn & 3) == 1 && funct3 >= 5; // c.j, c.beqz, c.bnez
}

static void all_compressed(unsigned quadrant)
{
	static const char *const names[] = { "c0", "c1", "c2" };

	group(names[quadrant]);
	for (uint32_t insn = quadrant; insn < 0x10000; insn += 4) {
		if (!is_relative_jump_c(insn))
			try(insn, true);
	}
	run_batch();
	group_end();
}

enum {
	MISC_MEM = 0x0f, OP_IMM = 0x13, OP_IMM_32 = 0x1b, AMO = 0x2f, OP = 0x33, OP_FP = 0x53,
	BRANCH = 0x63, JAL = 0x6f, SYSTEM = 0x73,
};

// What kvik has and QEMU 7.2 has not: see their own programs. A time CSR read in U
// mode must trap, but firmware may emulate it.
static bool is_left_out(uint32_t insn)
{
	unsigned opcode = insn & 0x7f, funct3 = insn >> 12 & 7, high = insn >> 20;

	switch (opcode) {
	case BRANCH:
	case JAL:
		return true;
	case MISC_MEM:
		return funct3 == 2 && high == 4; // cbo.zero
	case OP:
		return insn >> 25 == 7 && (funct3 == 5 || funct3 == 7); // Zicond
	case SYSTEM:
		return (funct3 == 0 && (high == 0xd || high == 0x1d)) || // Zawrs
		       (funct3 != 0 && high >> 5 == 0x60);
	default:
		return false;
	}
}

static bool needs_all_rs2(unsigned opcode)
{
	return opcode == MISC_MEM || opcode == OP_IMM || opcode == OP_IMM_32 || opcode == AMO ||
	       opcode == OP_FP || opcode == SYSTEM;
}

static void all_fields(unsigned opcode)
{
	static const unsigned few_rs2[] = { 0, 1, 12, 31 };
	unsigned n = needs_all_rs2(opcode) ? 32 : ARRAY_SIZE(few_rs2);
	char name[] = "op-00";

	name[3] = "01234567"[opcode >> 4];
	name[4] = "0123456789abcdef"[opcode & 15];
	group(name);
	for (uint32_t high = 0; high < 1024; high++) {
		for (unsigned i = 0; i < n; i++) {
			uint32_t rs2 = n == 32 ? i : few_rs2[i];
			uint32_t rd = i % 4 == 3 ? 0 : 10;
			uint32_t insn = high >> 3 << 25 | rs2 << 20 | 11 << 15 | (high & 7) << 12 |
					rd << 7 | opcode;

			if (!is_left_out(insn))
				try(insn, false);
		}
	}
	run_batch();
	group_end();
}

int main(void)
{
	sandbox_init(&box, true);
	csr_write("scounteren", 0);
	for (unsigned quadrant = 0; quadrant < 3; quadrant++)
		all_compressed(quadrant);
	for (unsigned opcode = 3; opcode < 128; opcode += 4)
		all_fields(opcode);
	return 0;
}
