// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the engine's decoder: whatever the bits, a slot names a handler, registers
// that exist, and a branch target inside its page.
//
// Input: instructions of four bytes each, laid one after the other into pages.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../riscv/soft/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS_PER_PAGE (PAGE_BYTES / 2)

static void require(bool condition)
{
	if (!condition)
		abort();
}

// clang-format off
static bool is_near_branch(unsigned op)
{
	switch (op) {
#define X(name, ...) case OP_##name: case OP_##name##_c:
	X(beq_fwd) X(beq_back) X(bne_fwd) X(bne_back) X(jal_fwd) X(jal_back)
#undef X
#define X(name, ...) case OP_##name:
	ISA_INTERNAL_BRANCH(X)
#undef X
		return true;
	default:
		return false;
	}
}
// clang-format on

static void check_slot(slot_t w, unsigned offset)
{
	unsigned op = slot_op(w);
	int64_t target = (int64_t)(offset / 2) + SLOT_IMM;

	require(op != OP_DECODE && op < OP_COUNT);
	require(exec_handlers[op] && exec_counting_handlers[op]);
	require(SLOT_A <= 32 && SLOT_B < 32);
	if (is_near_branch(op))
		require(offset < PAGE_BYTES && target >= 0 && target < (int64_t)SLOTS_PER_PAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 4 <= size; i += 4) {
		unsigned offset = (unsigned)(i % PAGE_BYTES);
		uint32_t insn;

		memcpy(&insn, data + i, sizeof(insn));
		check_slot(decode_insn(insn, offset), offset);
		check_slot(decode_insn(insn, PAGE_BYTES), PAGE_BYTES); // across a page end
	}
	return 0;
}
