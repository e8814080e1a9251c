// SPDX-License-Identifier: GPL-2.0-or-later
// Handlers of the integer instructions: RV64I, M, Zba, Zbb, Zbs, Zicond.
#include "exec.h"

#define RD h->x[SLOT_A]
#define RS1 h->x[SLOT_B]
#define RS2 h->x[SLOT_IMM]
#define SEXT32(v) ((uint64_t)(int64_t)(int32_t)(v))

// An instruction that computes rd from its operands and goes on.
#define ALU_WIDE(name, expr)           \
	WIDE(name)                     \
	{                              \
		RD = (uint64_t)(expr); \
		NEXT(len);             \
	}
#define ALU_BOTH(name, expr)           \
	BOTH(name)                     \
	{                              \
		RD = (uint64_t)(expr); \
		NEXT(len);             \
	}

// clang-format takes operators in macro arguments for pointers.
// clang-format off
ALU_BOTH(lui, SLOT_IMM)
ALU_BOTH(li, SLOT_IMM)
ALU_BOTH(mv, RS1)
ALU_WIDE(auipc, pc_of(h, s) + (uint64_t)SLOT_IMM)

ALU_BOTH(addi, RS1 + (uint64_t)SLOT_IMM)
ALU_BOTH(andi, RS1 & (uint64_t)SLOT_IMM)
ALU_BOTH(slli, RS1 << SLOT_IMM)
ALU_BOTH(srli, RS1 >> SLOT_IMM)
ALU_BOTH(srai, (int64_t)RS1 >> SLOT_IMM)
ALU_BOTH(add, RS1 + RS2)
ALU_BOTH(sub, RS1 - RS2)
ALU_BOTH(xor, RS1 ^ RS2)
ALU_BOTH(or, RS1 | RS2)
ALU_BOTH(and, RS1 & RS2)
ALU_BOTH(addiw, SEXT32(RS1 + (uint64_t)SLOT_IMM))
ALU_BOTH(addw, SEXT32(RS1 + RS2))
ALU_BOTH(subw, SEXT32(RS1 - RS2))

ALU_WIDE(slti, (int64_t)RS1 < SLOT_IMM)
ALU_WIDE(sltiu, RS1 < (uint64_t)SLOT_IMM)
ALU_WIDE(xori, RS1 ^ (uint64_t)SLOT_IMM)
ALU_WIDE(ori, RS1 | (uint64_t)SLOT_IMM)
ALU_WIDE(sll, RS1 << (RS2 & 63))
ALU_WIDE(slt, (int64_t)RS1 < (int64_t)RS2)
ALU_WIDE(sltu, RS1 < RS2)
ALU_WIDE(srl, RS1 >> (RS2 & 63))
ALU_WIDE(sra, (int64_t)RS1 >> (RS2 & 63))
ALU_WIDE(slliw, SEXT32((uint32_t)RS1 << SLOT_IMM))
ALU_WIDE(srliw, SEXT32((uint32_t)RS1 >> SLOT_IMM))
ALU_WIDE(sraiw, SEXT32((int32_t)RS1 >> SLOT_IMM))
ALU_WIDE(sllw, SEXT32((uint32_t)RS1 << (RS2 & 31)))
ALU_WIDE(srlw, SEXT32((uint32_t)RS1 >> (RS2 & 31)))
ALU_WIDE(sraw, SEXT32((int32_t)RS1 >> (RS2 & 31)))

// clang-format on

// -- M: division by zero and overflow have results, not traps (ch. 12.2) --

static ALWAYS_INLINE uint64_t div64(int64_t a, int64_t b)
{
	if (b == 0)
		return UINT64_MAX;
	return b == -1 ? -(uint64_t)a : (uint64_t)(a / b);
}

static ALWAYS_INLINE uint64_t rem64(int64_t a, int64_t b)
{
	if (b == 0)
		return (uint64_t)a;
	return b == -1 ? 0 : (uint64_t)(a % b);
}

static ALWAYS_INLINE uint64_t div32(int32_t a, int32_t b)
{
	if (b == 0)
		return UINT64_MAX;
	return b == -1 ? SEXT32(-(uint32_t)a) : SEXT32(a / b);
}

static ALWAYS_INLINE uint64_t rem32(int32_t a, int32_t b)
{
	if (b == 0)
		return SEXT32(a);
	return b == -1 ? 0 : SEXT32(a % b);
}

// clang-format off
ALU_WIDE(mul, RS1 * RS2)
ALU_WIDE(mulh, (unsigned __int128)((__int128)(int64_t)RS1 * (int64_t)RS2) >> 64)
ALU_WIDE(mulhsu, (unsigned __int128)((__int128)(int64_t)RS1 * RS2) >> 64)
ALU_WIDE(mulhu, (unsigned __int128)RS1 * RS2 >> 64)
ALU_WIDE(div, div64((int64_t)RS1, (int64_t)RS2))
ALU_WIDE(divu, RS2 ? RS1 / RS2 : UINT64_MAX)
ALU_WIDE(rem, rem64((int64_t)RS1, (int64_t)RS2))
ALU_WIDE(remu, RS2 ? RS1 % RS2 : RS1)
ALU_WIDE(mulw, SEXT32((uint32_t)RS1 * (uint32_t)RS2))
ALU_WIDE(divw, div32((int32_t)RS1, (int32_t)RS2))
ALU_WIDE(divuw, (uint32_t)RS2 ? SEXT32((uint32_t)RS1 / (uint32_t)RS2) : UINT64_MAX)
ALU_WIDE(remw, rem32((int32_t)RS1, (int32_t)RS2))
ALU_WIDE(remuw, (uint32_t)RS2 ? SEXT32((uint32_t)RS1 % (uint32_t)RS2) : SEXT32(RS1))

// clang-format on

// -- Zba --

ALU_WIDE(add_uw, (uint32_t)RS1 + RS2)
ALU_WIDE(sh1add, (RS1 << 1) + RS2)
ALU_WIDE(sh2add, (RS1 << 2) + RS2)
ALU_WIDE(sh3add, (RS1 << 3) + RS2)
ALU_WIDE(sh1add_uw, ((uint64_t)(uint32_t)RS1 << 1) + RS2)
ALU_WIDE(sh2add_uw, ((uint64_t)(uint32_t)RS1 << 2) + RS2)
ALU_WIDE(sh3add_uw, ((uint64_t)(uint32_t)RS1 << 3) + RS2)
ALU_WIDE(slli_uw, (uint64_t)(uint32_t)RS1 << SLOT_IMM)

// -- Zbb --

static ALWAYS_INLINE uint64_t rotate_right(uint64_t v, unsigned n)
{
	return v >> (n & 63) | v << (-n & 63);
}

static ALWAYS_INLINE uint32_t rotate_right32(uint32_t v, unsigned n)
{
	return v >> (n & 31) | v << (-n & 31);
}

// 0xff in each byte that is not zero.
static ALWAYS_INLINE uint64_t or_combine(uint64_t v)
{
	const uint64_t low7 = 0x7f7f7f7f7f7f7f7fULL;
	uint64_t high = (((v & low7) + low7) | v) & ~low7;

	return (high >> 7) * 0xff;
}

ALU_WIDE(andn, RS1 & ~RS2)
ALU_WIDE(orn, RS1 | ~RS2)
ALU_WIDE(xnor, ~(RS1 ^ RS2))
ALU_WIDE(clz, RS1 ? __builtin_clzll(RS1) : 64)
ALU_WIDE(ctz, RS1 ? __builtin_ctzll(RS1) : 64)
ALU_WIDE(cpop, __builtin_popcountll(RS1))
ALU_WIDE(clzw, (uint32_t)RS1 ? __builtin_clz((uint32_t)RS1) : 32)
ALU_WIDE(ctzw, (uint32_t)RS1 ? __builtin_ctz((uint32_t)RS1) : 32)
ALU_WIDE(cpopw, __builtin_popcount((uint32_t)RS1))
ALU_WIDE(sext_b, (int64_t)(int8_t)RS1)
ALU_WIDE(sext_h, (int64_t)(int16_t)RS1)
ALU_WIDE(zext_h, (uint16_t)RS1)
ALU_WIDE(max, (int64_t)RS1 > (int64_t)RS2 ? RS1 : RS2)
ALU_WIDE(maxu, RS1 > RS2 ? RS1 : RS2)
ALU_WIDE(min, (int64_t)RS1 < (int64_t)RS2 ? RS1 : RS2)
ALU_WIDE(minu, RS1 < RS2 ? RS1 : RS2)
ALU_WIDE(rol, rotate_right(RS1, -(unsigned)RS2))
ALU_WIDE(ror, rotate_right(RS1, (unsigned)RS2))
ALU_WIDE(rori, rotate_right(RS1, (unsigned)SLOT_IMM))
ALU_WIDE(rolw, SEXT32(rotate_right32((uint32_t)RS1, -(unsigned)RS2)))
ALU_WIDE(rorw, SEXT32(rotate_right32((uint32_t)RS1, (unsigned)RS2)))
ALU_WIDE(roriw, SEXT32(rotate_right32((uint32_t)RS1, (unsigned)SLOT_IMM)))
ALU_WIDE(orc_b, or_combine(RS1))
ALU_WIDE(rev8, __builtin_bswap64(RS1))

// -- Zbs --

ALU_WIDE(bclr, RS1 & ~(1ULL << (RS2 & 63)))
ALU_WIDE(bclri, RS1 & ~(1ULL << SLOT_IMM))
ALU_WIDE(bext, RS1 >> (RS2 & 63) & 1)
ALU_WIDE(bexti, RS1 >> SLOT_IMM & 1)
ALU_WIDE(binv, RS1 ^ 1ULL << (RS2 & 63))
ALU_WIDE(binvi, RS1 ^ 1ULL << SLOT_IMM)
ALU_WIDE(bset, RS1 | 1ULL << (RS2 & 63))
ALU_WIDE(bseti, RS1 | 1ULL << SLOT_IMM)

// -- Zicond --

ALU_WIDE(czero_eqz, RS2 ? RS1 : 0)
ALU_WIDE(czero_nez, RS2 ? 0 : RS1)

// -- branches: operand a is rs2 --

#define BRANCH(kind, name, cond)                                   \
	kind(name)                                                 \
	{                                                          \
		if (cond)                                          \
			GOTO_PC(pc_of(h, s) + (uint64_t)SLOT_IMM); \
		NEXT(len);                                         \
	}                                                          \
	kind(name##_fwd)                                           \
	{                                                          \
		if (cond)                                          \
			DISPATCH(s + SLOT_IMM);                    \
		NEXT(len);                                         \
	}                                                          \
	kind(name##_back)                                          \
	{                                                          \
		if (cond)                                          \
			GOTO_SLOT_POLL(s + SLOT_IMM);              \
		NEXT(len);                                         \
	}

BRANCH(BOTH, beq, RS1 == RD)
BRANCH(BOTH, bne, RS1 != RD)
BRANCH(WIDE, blt, (int64_t)RS1 < (int64_t)RD)
BRANCH(WIDE, bge, (int64_t)RS1 >= (int64_t)RD)
BRANCH(WIDE, bltu, RS1 < RD)
BRANCH(WIDE, bgeu, RS1 >= RD)

// -- jumps --

static ALWAYS_INLINE void link_to(struct hart *h, const slot_t *s, slot_t w, int len)
{
	RD = pc_of(h, s) + 2 * (uint64_t)len;
}

BOTH(jal)
{
	link_to(h, s, w, len);
	GOTO_PC(pc_of(h, s) + (uint64_t)SLOT_IMM);
}

BOTH(jal_fwd)
{
	link_to(h, s, w, len);
	DISPATCH(s + SLOT_IMM);
}

BOTH(jal_back)
{
	link_to(h, s, w, len);
	GOTO_SLOT_POLL(s + SLOT_IMM);
}

BOTH(jalr)
{
	uint64_t target = (RS1 + (uint64_t)SLOT_IMM) & ~1ULL;

	link_to(h, s, w, len);
	GOTO_PC(target);
}

BOTH(ret)
{
	GOTO_PC(h->x[1] & ~1ULL);
}
