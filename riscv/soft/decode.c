// SPDX-License-Identifier: GPL-2.0-or-later
// Decoding: compressed instructions are expanded, then one table serves all.
#include "decode.h"

#include <stddef.h>

#include "util.h"

#define PAGE_BYTES 4096
#define RM_DYNAMIC 7

struct insn_desc {
	uint32_t mask;
	uint32_t match;
	uint16_t op;
	uint8_t format;
	bool has_compressed; // op + 1 is its compressed handler
};

// Lists of macros make one long declaration, which clang-format cannot lay out.
// clang-format off
#define WIDE(name, mask, match, format) { mask, match, OP_##name, format, false },
#define BOTH(name, mask, match, format) { mask, match, OP_##name, format, true },

// Grouped by use, most frequent first; the major opcode (bits 6:2) selects below.
static const struct insn_desc insns[] = {
	ISA_BOTH(BOTH) ISA_FP_BOTH(BOTH) ISA_WIDE_INT(WIDE) ISA_WIDE_SYSTEM(WIDE)
	ISA_WIDE_ATOMIC(WIDE) ISA_FP_ROUND(WIDE) ISA_FP_OTHER(WIDE)
};

#undef WIDE
#undef BOTH
// clang-format on

static unsigned bits(uint32_t word, unsigned low, unsigned count)
{
	return (word >> low) & ((1u << count) - 1);
}

static int32_t sign_extend(uint32_t value, unsigned width)
{
	return (int32_t)(value << (32 - width)) >> (32 - width);
}

static int32_t imm_b(uint32_t insn)
{
	return sign_extend(bits(insn, 31, 1) << 12 | bits(insn, 7, 1) << 11 |
				   bits(insn, 25, 6) << 5 | bits(insn, 8, 4) << 1,
			   13);
}

static int32_t imm_j(uint32_t insn)
{
	return sign_extend(bits(insn, 31, 1) << 20 | bits(insn, 12, 8) << 12 |
				   bits(insn, 20, 1) << 11 | bits(insn, 21, 10) << 1,
			   21);
}

static int32_t imm_s(uint32_t insn)
{
	return sign_extend(bits(insn, 25, 7) << 5 | bits(insn, 7, 5), 12);
}

// Results for x0 go to a register nobody reads.
static unsigned int_dest(unsigned rd)
{
	return rd ? rd : 32;
}

// Branches and jumps inside the page get handlers that only move the slot pointer.
struct near_op {
	uint16_t op, fwd, back;
};

static const struct near_op near_ops[] = {
	{ OP_beq, OP_beq_fwd, OP_beq_back },    { OP_beq_c, OP_beq_fwd_c, OP_beq_back_c },
	{ OP_bne, OP_bne_fwd, OP_bne_back },    { OP_bne_c, OP_bne_fwd_c, OP_bne_back_c },
	{ OP_blt, OP_blt_fwd, OP_blt_back },    { OP_bge, OP_bge_fwd, OP_bge_back },
	{ OP_bltu, OP_bltu_fwd, OP_bltu_back }, { OP_bgeu, OP_bgeu_fwd, OP_bgeu_back },
	{ OP_jal, OP_jal_fwd, OP_jal_back },    { OP_jal_c, OP_jal_fwd_c, OP_jal_back_c },
};

static slot_t decode_branch(unsigned op, unsigned a, unsigned b, int32_t delta, unsigned offset)
{
	int32_t target = (int32_t)offset + delta;

	if (target < 0 || target >= (int32_t)PAGE_BYTES || offset >= PAGE_BYTES)
		return slot_make(op, a, b, delta);
	for (unsigned i = 0; i < ARRAY_SIZE(near_ops); i++)
		if (near_ops[i].op == op)
			return slot_make(delta > 0 ? near_ops[i].fwd : near_ops[i].back, a, b,
					 delta / 2);
	return slot_make(op, a, b, delta);
}

static slot_t decode_i(unsigned op, unsigned rd, unsigned rs1, int32_t imm)
{
	if (op == OP_jalr || op == OP_jalr_c) {
		if (rd == 0 && rs1 == 1 && imm == 0)
			return slot_make(op == OP_jalr ? OP_ret : OP_ret_c, 0, 1, 0);
	} else if (op == OP_addi || op == OP_addi_c) {
		if (rs1 == 0)
			return slot_make(op == OP_addi ? OP_li : OP_li_c, int_dest(rd), 0, imm);
		if (imm == 0)
			return slot_make(op == OP_addi ? OP_mv : OP_mv_c, int_dest(rd), rs1, 0);
	}
	return slot_make(op, int_dest(rd), rs1, imm);
}

// An instruction with a rounding mode of its own gets the handler after the one for
// the dynamic mode; modes 5 and 6 are reserved.
static slot_t decode_rm(const struct insn_desc *desc, uint32_t insn, unsigned a, unsigned b,
			unsigned sources)
{
	bool rounds = !(desc->mask & 7u << 12);
	unsigned rm = bits(insn, 12, 3), op = desc->op + (rounds && rm != RM_DYNAMIC);

	if (rounds && (rm == 5 || rm == 6))
		return slot_make(OP_illegal, 0, 0, (int32_t)insn);
	return slot_make(op, a, b, (int32_t)(sources | rm << 16));
}

static slot_t decode_format(const struct insn_desc *desc, unsigned op, uint32_t insn,
			    unsigned offset)
{
	unsigned rd = bits(insn, 7, 5), rs1 = bits(insn, 15, 5), rs2 = bits(insn, 20, 5);

	switch (desc->format) {
	case FORMAT_R:
		return slot_make(op, int_dest(rd), rs1, (int32_t)rs2);
	case FORMAT_I:
		return decode_i(op, rd, rs1, (int32_t)insn >> 20);
	case FORMAT_SHIFT:
		return slot_make(op, int_dest(rd), rs1, (int32_t)bits(insn & ~desc->mask, 20, 6));
	case FORMAT_S:
		return slot_make(op, rs2, rs1, imm_s(insn));
	case FORMAT_B:
		return decode_branch(op, rs2, rs1, imm_b(insn), offset);
	case FORMAT_U:
		return slot_make(op, int_dest(rd), 0, (int32_t)(insn & 0xfffff000));
	case FORMAT_J:
		return decode_branch(op, int_dest(rd), 0, imm_j(insn), offset);
	case FORMAT_CSR:
		return slot_make(op, int_dest(rd), rs1,
				 (int32_t)(bits(insn, 20, 12) | (rd != 0) << 12));
	case FORMAT_AMO:
		return slot_make(op, int_dest(rd), rs1, (int32_t)(rs2 | bits(insn, 25, 2) << 8));
	case FORMAT_FI:
		return slot_make(op, rd, rs1, (int32_t)insn >> 20);
	case FORMAT_FR:
		return decode_rm(desc, insn, rd, rs1, rs2);
	case FORMAT_FR4:
		return decode_rm(desc, insn, rd, rs1, rs2 | bits(insn, 27, 5) << 8);
	case FORMAT_FX:
		return decode_rm(desc, insn, int_dest(rd), rs1, rs2);
	default:
		return slot_make(op, 0, 0, 0);
	}
}

static bool same_major(uint32_t a, uint32_t b)
{
	return ((a ^ b) & 0x7f) == 0;
}

slot_t decode_insn(uint32_t insn, unsigned offset)
{
	bool compressed = insn_is_compressed((uint16_t)insn);
	uint32_t wide = compressed ? decode_expand((uint16_t)insn) : insn;

	if (compressed && !wide)
		return slot_make(OP_illegal_c, 0, 0, (int32_t)(insn & 0xffff));
	for (size_t i = 0; i < ARRAY_SIZE(insns); i++) {
		const struct insn_desc *desc = &insns[i];

		if (same_major(wide, desc->match) && (wide & desc->mask) == desc->match)
			return decode_format(desc, desc->op + (compressed && desc->has_compressed),
					     wide, offset);
	}
	return slot_make(OP_illegal, 0, 0, (int32_t)insn);
}

bool decode_is_jump(slot_t slot)
{
	switch ((slot >> 16) & 0xffff) {
	case OP_jal:
	case OP_jal_c:
	case OP_jal_fwd:
	case OP_jal_fwd_c:
	case OP_jal_back:
	case OP_jal_back_c:
	case OP_jalr:
	case OP_jalr_c:
	case OP_ret:
	case OP_ret_c:
	case OP_illegal:
	case OP_illegal_c:
	case OP_sret:
	case OP_ecall:
	case OP_ebreak:
	case OP_ebreak_c:
		return true;
	default:
		return false;
	}
}
