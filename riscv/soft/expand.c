// SPDX-License-Identifier: GPL-2.0-or-later
// Compressed instructions as their 32-bit equivalents (unprivileged ISA ch. 27).
#include "decode.h"

#define SP 2u

static unsigned field(uint16_t insn, unsigned low, unsigned count)
{
	return (insn >> low) & ((1u << count) - 1);
}

// Bit @from of the instruction, as bit @to.
static unsigned bit(uint16_t insn, unsigned from, unsigned to)
{
	return ((insn >> from) & 1u) << to;
}

static uint32_t enc_i(unsigned opcode, unsigned funct3, unsigned rd, unsigned rs1, uint32_t imm)
{
	return (imm & 0xfff) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static uint32_t enc_s(unsigned opcode, unsigned funct3, unsigned rs2, unsigned rs1, uint32_t imm)
{
	return (imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 0x1f) << 7 |
	       opcode;
}

static uint32_t enc_r(uint32_t funct7, unsigned funct3, unsigned rd, unsigned rs1, unsigned rs2,
		      unsigned opcode)
{
	return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

static uint32_t enc_j(unsigned rd, uint32_t imm)
{
	return (imm >> 20 & 1) << 31 | (imm >> 1 & 0x3ff) << 21 | (imm >> 11 & 1) << 20 |
	       (imm >> 12 & 0xff) << 12 | rd << 7 | 0x6f;
}

static uint32_t enc_b(unsigned funct3, unsigned rs1, uint32_t imm)
{
	return (imm >> 12 & 1) << 31 | (imm >> 5 & 0x3f) << 25 | rs1 << 15 | funct3 << 12 |
	       (imm >> 1 & 0xf) << 8 | (imm >> 11 & 1) << 7 | 0x63;
}

static uint32_t sext(uint32_t value, unsigned width)
{
	return (uint32_t)((int32_t)(value << (32 - width)) >> (32 - width));
}

static uint32_t imm6(uint16_t insn)
{
	return sext(bit(insn, 12, 5) | field(insn, 2, 5), 6);
}

static uint32_t offset_w(uint16_t insn) // c.lw, c.sw
{
	return bit(insn, 5, 6) | field(insn, 10, 3) << 3 | bit(insn, 6, 2);
}

static uint32_t offset_d(uint16_t insn) // c.ld, c.sd, c.fld, c.fsd
{
	return field(insn, 5, 2) << 6 | field(insn, 10, 3) << 3;
}

static uint32_t quadrant0(uint16_t insn)
{
	unsigned rd = 8 + field(insn, 2, 3), rs1 = 8 + field(insn, 7, 3);
	uint32_t imm = field(insn, 7, 4) << 6 | field(insn, 11, 2) << 4 | bit(insn, 5, 3) |
		       bit(insn, 6, 2);

	switch (insn >> 13) {
	case 0: // c.addi4spn; all zero bits are illegal by definition
		return imm ? enc_i(0x13, 0, rd, SP, imm) : 0;
	case 1: // c.fld
		return enc_i(0x07, 3, rd, rs1, offset_d(insn));
	case 2: // c.lw
		return enc_i(0x03, 2, rd, rs1, offset_w(insn));
	case 3: // c.ld
		return enc_i(0x03, 3, rd, rs1, offset_d(insn));
	case 5: // c.fsd
		return enc_s(0x27, 3, rd, rs1, offset_d(insn));
	case 6: // c.sw
		return enc_s(0x23, 2, rd, rs1, offset_w(insn));
	case 7: // c.sd
		return enc_s(0x23, 3, rd, rs1, offset_d(insn));
	default:
		return 0;
	}
}

static uint32_t quadrant1_arith(uint16_t insn)
{
	static const struct {
		uint8_t funct7, funct3, opcode;
	} ops[8] = {
		{ 0x20, 0, 0x33 }, { 0, 4, 0x33 }, { 0, 6, 0x33 }, { 0, 7, 0x33 }, // sub xor or and
		{ 0x20, 0, 0x3b }, { 0, 0, 0x3b },                                 // subw addw
	};
	unsigned rd = 8 + field(insn, 7, 3), rs2 = 8 + field(insn, 2, 3);
	uint32_t shamt = bit(insn, 12, 5) | field(insn, 2, 5);
	unsigned which = bit(insn, 12, 2) | field(insn, 5, 2);

	switch (field(insn, 10, 2)) {
	case 0: // c.srli
		return enc_i(0x13, 5, rd, rd, shamt);
	case 1: // c.srai
		return enc_i(0x13, 5, rd, rd, shamt | 0x400);
	case 2: // c.andi
		return enc_i(0x13, 7, rd, rd, imm6(insn));
	default:
		if (!ops[which].opcode)
			return 0;
		return enc_r(ops[which].funct7, ops[which].funct3, rd, rd, rs2, ops[which].opcode);
	}
}

static uint32_t quadrant1(uint16_t insn)
{
	unsigned rd = field(insn, 7, 5);
	uint32_t target_j = sext(bit(insn, 12, 11) | bit(insn, 11, 4) | field(insn, 9, 2) << 8 |
					 bit(insn, 8, 10) | bit(insn, 7, 6) | bit(insn, 6, 7) |
					 field(insn, 3, 3) << 1 | bit(insn, 2, 5),
				 12);
	uint32_t target_b =
		sext(bit(insn, 12, 8) | field(insn, 10, 2) << 3 | field(insn, 5, 2) << 6 |
			     field(insn, 3, 2) << 1 | bit(insn, 2, 5),
		     9);
	uint32_t imm16sp = sext(bit(insn, 12, 9) | bit(insn, 6, 4) | bit(insn, 5, 6) |
					field(insn, 3, 2) << 7 | bit(insn, 2, 5),
				10);

	switch (insn >> 13) {
	case 0: // c.addi, c.nop
		return enc_i(0x13, 0, rd, rd, imm6(insn));
	case 1: // c.addiw
		return rd ? enc_i(0x1b, 0, rd, rd, imm6(insn)) : 0;
	case 2: // c.li
		return enc_i(0x13, 0, rd, 0, imm6(insn));
	case 3: // c.addi16sp, c.lui
		if (rd == SP)
			return imm16sp ? enc_i(0x13, 0, SP, SP, imm16sp) : 0;
		return imm6(insn) ? imm6(insn) << 12 | rd << 7 | 0x37 : 0;
	case 4:
		return quadrant1_arith(insn);
	case 5: // c.j
		return enc_j(0, target_j);
	case 6: // c.beqz
		return enc_b(0, 8 + field(insn, 7, 3), target_b);
	default: // c.bnez
		return enc_b(1, 8 + field(insn, 7, 3), target_b);
	}
}

static uint32_t quadrant2_jumps(uint16_t insn)
{
	unsigned rd = field(insn, 7, 5), rs2 = field(insn, 2, 5);
	bool link = field(insn, 12, 1);

	if (rs2) // c.mv (as addi, which is what mv is), c.add
		return link ? enc_r(0, 0, rd, rd, rs2, 0x33) : enc_i(0x13, 0, rd, rs2, 0);
	if (rd) // c.jr, c.jalr
		return enc_i(0x67, 0, link ? 1 : 0, rd, 0);
	return link ? 0x00100073 : 0; // c.ebreak
}

static uint32_t quadrant2(uint16_t insn)
{
	unsigned rd = field(insn, 7, 5), rs2 = field(insn, 2, 5);
	uint32_t load_w = bit(insn, 12, 5) | field(insn, 4, 3) << 2 | field(insn, 2, 2) << 6;
	uint32_t load_d = bit(insn, 12, 5) | field(insn, 5, 2) << 3 | field(insn, 2, 3) << 6;
	uint32_t store_w = field(insn, 9, 4) << 2 | field(insn, 7, 2) << 6;
	uint32_t store_d = field(insn, 10, 3) << 3 | field(insn, 7, 3) << 6;

	switch (insn >> 13) {
	case 0: // c.slli
		return enc_i(0x13, 1, rd, rd, bit(insn, 12, 5) | field(insn, 2, 5));
	case 1: // c.fldsp
		return enc_i(0x07, 3, rd, SP, load_d);
	case 2: // c.lwsp
		return rd ? enc_i(0x03, 2, rd, SP, load_w) : 0;
	case 3: // c.ldsp
		return rd ? enc_i(0x03, 3, rd, SP, load_d) : 0;
	case 4:
		return quadrant2_jumps(insn);
	case 5: // c.fsdsp
		return enc_s(0x27, 3, rs2, SP, store_d);
	case 6: // c.swsp
		return enc_s(0x23, 2, rs2, SP, store_w);
	default: // c.sdsp
		return enc_s(0x23, 3, rs2, SP, store_d);
	}
}

uint32_t decode_expand(uint16_t insn)
{
	switch (insn & 3) {
	case 0:
		return quadrant0(insn);
	case 1:
		return quadrant1(insn);
	default:
		return quadrant2(insn);
	}
}
