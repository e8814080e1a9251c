// SPDX-License-Identifier: GPL-2.0-or-later
// The dispatch tables: one for each state of the FPU, and one that counts.
//
// Which handlers serve the FP instructions depends on sstatus.FS and frm; choosing a
// table when those change spares each instruction the question.
#include "exec.h"
#include "fpu.h"

#define ENTRY_BOTH(name, ...) [OP_##name] = op_##name, [OP_##name##_c] = op_##name##_c,
#define ENTRY_WIDE(name, ...) [OP_##name] = op_##name,
#define ENTRY_ROUND(name, ...) [OP_##name] = op_##name, [OP_##name##_rm] = op_##name##_rm,
#define ENTRY_ODD(name, ...) [OP_##name] = op_##name##_odd, [OP_##name##_rm] = op_##name##_rm,

#define INTEGER_ENTRIES                                                              \
	[OP_DECODE] = op_decode, ISA_BOTH(ENTRY_BOTH) ISA_INTERNAL_BOTH(ENTRY_BOTH)  \
	ISA_WIDE_INT(ENTRY_WIDE) ISA_WIDE_SYSTEM(ENTRY_WIDE)                         \
	ISA_WIDE_ATOMIC(ENTRY_WIDE) ISA_INTERNAL_WIDE(ENTRY_WIDE)

static const struct op_table dirty_table = { .op = {
	INTEGER_ENTRIES
	ISA_FP_BOTH(ENTRY_BOTH) ISA_FP_OTHER(ENTRY_WIDE) ISA_FP_ROUND(ENTRY_ROUND)
} };

static const struct op_table odd_rounding_table = { .op = {
	INTEGER_ENTRIES
	ISA_FP_BOTH(ENTRY_BOTH) ISA_FP_OTHER(ENTRY_WIDE) ISA_FP_ROUND(ENTRY_ODD)
} };

#define OFF_BOTH(name, ...) [OP_##name] = exec_fp_off, [OP_##name##_c] = exec_fp_off,
#define OFF_WIDE(name, ...) [OP_##name] = exec_fp_off,
#define OFF_ROUND(name, ...) [OP_##name] = exec_fp_off, [OP_##name##_rm] = exec_fp_off,

static const struct op_table off_table = { .op = {
	INTEGER_ENTRIES
	ISA_FP_BOTH(OFF_BOTH) ISA_FP_OTHER(OFF_WIDE) ISA_FP_ROUND(OFF_ROUND)
} };

#define FIRST_BOTH(name, ...) [OP_##name] = exec_fp_first, [OP_##name##_c] = exec_fp_first,
#define FIRST_WIDE(name, ...) [OP_##name] = exec_fp_first,
#define FIRST_ROUND(name, ...) [OP_##name] = exec_fp_first, [OP_##name##_rm] = exec_fp_first,

static const struct op_table clean_table = { .op = {
	INTEGER_ENTRIES
	ISA_FP_BOTH(FIRST_BOTH) ISA_FP_OTHER(FIRST_WIDE) ISA_FP_ROUND(FIRST_ROUND)
} };

#define COUNT_BOTH(name, ...) [OP_##name] = exec_counted, [OP_##name##_c] = exec_counted,
#define COUNT_WIDE(name, ...) [OP_##name] = exec_counted,
#define COUNT_ROUND(name, ...) [OP_##name] = exec_counted, [OP_##name##_rm] = exec_counted,

static const struct op_table counting_table = { .op = {
	[OP_DECODE] = op_decode,
	[OP_next_page] = op_next_page,
	[OP_straddle] = op_straddle,
	ISA_BOTH(COUNT_BOTH) ISA_INTERNAL_BOTH(COUNT_BOTH)
	ISA_WIDE_INT(COUNT_WIDE) ISA_WIDE_SYSTEM(COUNT_WIDE) ISA_WIDE_ATOMIC(COUNT_WIDE)
	ISA_INTERNAL_BRANCH(COUNT_WIDE)
	ISA_FP_BOTH(COUNT_BOTH) ISA_FP_OTHER(COUNT_WIDE) ISA_FP_ROUND(COUNT_ROUND)
} };

const struct op_table *exec_plain_table(const struct hart *h)
{
	switch (h->fs) {
	case FS_OFF:
		return &off_table;
	case FS_DIRTY:
		return h->frm < FPU_RMM ? &dirty_table : &odd_rounding_table;
	default:
		return &clean_table;
	}
}

const struct op_table *exec_table(const struct hart *h)
{
	return h->counting ? &counting_table : exec_plain_table(h);
}
