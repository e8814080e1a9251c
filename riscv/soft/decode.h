// SPDX-License-Identifier: GPL-2.0-or-later
// From instruction words to slots. Pure functions, any thread.
#ifndef KVIK_SOFT_DECODE_H
#define KVIK_SOFT_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "isa.h"

// One decoded instruction: bits 0-7 operand a, 8-15 operand b, 16-31 the number of
// its handler, 32-63 the immediate. All zero means "not decoded yet". Shared
// between harts, so it is always read and written as a whole.
typedef uint64_t slot_t;

// Numbers of the handlers. OP_DECODE is 0: the empty slot.
// clang-format off
enum op {
	OP_DECODE,
#define X(name, ...) OP_##name, OP_##name##_c,
	ISA_BOTH(X) ISA_FP_BOTH(X) ISA_INTERNAL_BOTH(X)
#undef X
	OP_PAIRS_END, // up to here even numbers are compressed
#define X(name, ...) OP_##name,
	ISA_WIDE_INT(X) ISA_WIDE_SYSTEM(X) ISA_WIDE_ATOMIC(X) ISA_FP_OTHER(X) ISA_INTERNAL_WIDE(X)
#undef X
// With the dynamic rounding mode; with one of its own.
#define X(name, ...) OP_##name, OP_##name##_rm,
	ISA_FP_ROUND(X)
#undef X
	OP_COUNT
};
// clang-format on

static inline slot_t slot_make(unsigned op, unsigned a, unsigned b, int32_t imm)
{
	return (slot_t)(uint32_t)imm << 32 | (slot_t)op << 16 | b << 8 | a;
}

static inline bool insn_is_compressed(uint16_t low)
{
	return (low & 3) != 3;
}

// Decodes @insn (its low half only, if compressed) at byte @offset of its page.
// Never fails: what is not an instruction becomes OP_illegal with the bits as imm.
slot_t decode_insn(uint32_t insn, unsigned offset);
// The 32-bit equivalent of a compressed instruction, 0 if it is illegal.
uint32_t decode_expand(uint16_t insn);
// True when execution never falls through to the next instruction.
bool decode_is_jump(slot_t slot);

#endif
