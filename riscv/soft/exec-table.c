// SPDX-License-Identifier: GPL-2.0-or-later
// Which handler serves which operation: one table that runs instructions, one that
// counts them first.
#include "exec.h"

// clang-format off
#define RUN_BOTH(name, ...) [OP_##name] = op_##name, [OP_##name##_c] = op_##name##_c,
#define RUN_WIDE(name, ...) [OP_##name] = op_##name,
#define RUN_ROUND(name, ...) [OP_##name] = op_##name, [OP_##name##_rm] = op_##name##_rm,

handler_fn *const exec_handlers[OP_COUNT] = {
	[OP_DECODE] = op_decode,
	ISA_BOTH(RUN_BOTH) ISA_FP_BOTH(RUN_BOTH) ISA_INTERNAL_BOTH(RUN_BOTH)
	ISA_WIDE_INT(RUN_WIDE) ISA_WIDE_SYSTEM(RUN_WIDE) ISA_WIDE_ATOMIC(RUN_WIDE)
	ISA_FP_OTHER(RUN_WIDE) ISA_FP_ROUND(RUN_ROUND) ISA_INTERNAL_WIDE(RUN_WIDE)
};

#define COUNT_BOTH(name, ...) [OP_##name] = exec_counted, [OP_##name##_c] = exec_counted,
#define COUNT_WIDE(name, ...) [OP_##name] = exec_counted,
#define COUNT_ROUND(name, ...) [OP_##name] = exec_counted, [OP_##name##_rm] = exec_counted,

handler_fn *const exec_counting_handlers[OP_COUNT] = {
	// No instructions, so not counted.
	[OP_DECODE] = op_decode,
	[OP_next_page] = op_next_page,
	[OP_straddle] = op_straddle,
	ISA_BOTH(COUNT_BOTH) ISA_FP_BOTH(COUNT_BOTH) ISA_INTERNAL_BOTH(COUNT_BOTH)
	ISA_WIDE_INT(COUNT_WIDE) ISA_WIDE_SYSTEM(COUNT_WIDE) ISA_WIDE_ATOMIC(COUNT_WIDE)
	ISA_FP_OTHER(COUNT_WIDE) ISA_FP_ROUND(COUNT_ROUND) ISA_INTERNAL_BRANCH(COUNT_WIDE)
};
// clang-format on
