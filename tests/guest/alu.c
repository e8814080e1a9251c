// SPDX-License-Identifier: GPL-2.0-or-later
// Integer arithmetic: RV64I, M, Zba, Zbb, Zbs on edge operands.
#include "lib/guest.h"
#include "lib/edges.h"

__asm__(".option arch, +zba, +zbb, +zbs");

// Functions of two registers; the compiler sees ordinary calls.
#define BINARY(id, insn)                                                      \
	static uint64_t id(uint64_t a, uint64_t b)                            \
	{                                                                     \
		uint64_t r;                                                   \
		__asm__ volatile(insn " %0, %1, %2" : "=r"(r) : "r"(a), "r"(b)); \
		return r;                                                     \
	}
#define UNARY(id, insn)                                                       \
	static uint64_t id(uint64_t a, uint64_t b)                            \
	{                                                                     \
		uint64_t r;                                                   \
		__asm__ volatile(insn " %0, %1" : "=r"(r) : "r"(a));          \
		return r;                                                     \
	}
// A run of 8-byte functions, one for each immediate.
#define IMMEDIATE(id, insn, immediates)                                       \
	__asm__(".option push\n.option norvc\n.balign 8\n" #id ":\n"          \
		".irp imm, " immediates "\n" insn " a0, a0, \\imm\nret\n.endr\n" \
		".option pop\n");                                             \
	extern const char id[];

#define SIGNED_12 "-2048, -2047, -1025, -1, 0, 1, 2, 31, 1365, 1024, 2046, 2047"
#define SHIFT_32 "0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 23, 24, 25, 30, 31"
#define SHIFT_64 SHIFT_32 ", 32, 33, 34, 39, 40, 47, 48, 55, 56, 57, 61, 62, 63"

BINARY(op_add, "add")
BINARY(op_sub, "sub")
BINARY(op_sll, "sll")
BINARY(op_slt, "slt")
BINARY(op_sltu, "sltu")
BINARY(op_xor, "xor")
BINARY(op_srl, "srl")
BINARY(op_sra, "sra")
BINARY(op_or, "or")
BINARY(op_and, "and")
BINARY(op_addw, "addw")
BINARY(op_subw, "subw")
BINARY(op_sllw, "sllw")
BINARY(op_srlw, "srlw")
BINARY(op_sraw, "sraw")
BINARY(op_mul, "mul")
BINARY(op_mulh, "mulh")
BINARY(op_mulhsu, "mulhsu")
BINARY(op_mulhu, "mulhu")
BINARY(op_div, "div")
BINARY(op_divu, "divu")
BINARY(op_rem, "rem")
BINARY(op_remu, "remu")
BINARY(op_mulw, "mulw")
BINARY(op_divw, "divw")
BINARY(op_divuw, "divuw")
BINARY(op_remw, "remw")
BINARY(op_remuw, "remuw")
BINARY(op_add_uw, "add.uw")
BINARY(op_sh1add, "sh1add")
BINARY(op_sh2add, "sh2add")
BINARY(op_sh3add, "sh3add")
BINARY(op_sh1add_uw, "sh1add.uw")
BINARY(op_sh2add_uw, "sh2add.uw")
BINARY(op_sh3add_uw, "sh3add.uw")
BINARY(op_andn, "andn")
BINARY(op_orn, "orn")
BINARY(op_xnor, "xnor")
BINARY(op_max, "max")
BINARY(op_maxu, "maxu")
BINARY(op_min, "min")
BINARY(op_minu, "minu")
BINARY(op_rol, "rol")
BINARY(op_rolw, "rolw")
BINARY(op_ror, "ror")
BINARY(op_rorw, "rorw")
BINARY(op_bclr, "bclr")
BINARY(op_bext, "bext")
BINARY(op_binv, "binv")
BINARY(op_bset, "bset")
UNARY(op_clz, "clz")
UNARY(op_clzw, "clzw")
UNARY(op_ctz, "ctz")
UNARY(op_cpop, "cpop")
UNARY(op_cpopw, "cpopw")
UNARY(op_sext_b, "sext.b")
UNARY(op_sext_h, "sext.h")
UNARY(op_zext_h, "zext.h")
UNARY(op_orc_b, "orc.b")
UNARY(op_rev8, "rev8")

IMMEDIATE(imm_addi, "addi", SIGNED_12)
IMMEDIATE(imm_slti, "slti", SIGNED_12)
IMMEDIATE(imm_sltiu, "sltiu", SIGNED_12)
IMMEDIATE(imm_xori, "xori", SIGNED_12)
IMMEDIATE(imm_ori, "ori", SIGNED_12)
IMMEDIATE(imm_andi, "andi", SIGNED_12)
IMMEDIATE(imm_addiw, "addiw", SIGNED_12)
IMMEDIATE(imm_slli, "slli", SHIFT_64)
IMMEDIATE(imm_srli, "srli", SHIFT_64)
IMMEDIATE(imm_srai, "srai", SHIFT_64)
IMMEDIATE(imm_slliw, "slliw", SHIFT_32)
IMMEDIATE(imm_srliw, "srliw", SHIFT_32)
IMMEDIATE(imm_sraiw, "sraiw", SHIFT_32)
IMMEDIATE(imm_slli_uw, "slli.uw", SHIFT_64)
IMMEDIATE(imm_rori, "rori", SHIFT_64)
IMMEDIATE(imm_roriw, "roriw", SHIFT_32)
IMMEDIATE(imm_bclri, "bclri", SHIFT_64)
IMMEDIATE(imm_bexti, "bexti", SHIFT_64)
IMMEDIATE(imm_binvi, "binvi", SHIFT_64)
IMMEDIATE(imm_bseti, "bseti", SHIFT_64)

static const struct {
	const char *name;
	uint64_t (*run)(uint64_t a, uint64_t b);
} register_ops[] = {
	{ "add", op_add }, { "sub", op_sub }, { "sll", op_sll }, { "slt", op_slt },
	{ "sltu", op_sltu }, { "xor", op_xor }, { "srl", op_srl }, { "sra", op_sra },
	{ "or", op_or }, { "and", op_and }, { "addw", op_addw }, { "subw", op_subw },
	{ "sllw", op_sllw }, { "srlw", op_srlw }, { "sraw", op_sraw }, { "mul", op_mul },
	{ "mulh", op_mulh }, { "mulhsu", op_mulhsu }, { "mulhu", op_mulhu }, { "div", op_div },
	{ "divu", op_divu }, { "rem", op_rem }, { "remu", op_remu }, { "mulw", op_mulw },
	{ "divw", op_divw }, { "divuw", op_divuw }, { "remw", op_remw }, { "remuw", op_remuw },
	{ "add.uw", op_add_uw }, { "sh1add", op_sh1add }, { "sh2add", op_sh2add },
	{ "sh3add", op_sh3add }, { "sh1add.uw", op_sh1add_uw }, { "sh2add.uw", op_sh2add_uw },
	{ "sh3add.uw", op_sh3add_uw }, { "andn", op_andn }, { "orn", op_orn },
	{ "xnor", op_xnor }, { "max", op_max }, { "maxu", op_maxu }, { "min", op_min },
	{ "minu", op_minu }, { "rol", op_rol }, { "rolw", op_rolw }, { "ror", op_ror },
	{ "rorw", op_rorw }, { "bclr", op_bclr }, { "bext", op_bext }, { "binv", op_binv },
	{ "bset", op_bset }, { "clz", op_clz }, { "clzw", op_clzw }, { "ctz", op_ctz },
	{ "cpop", op_cpop }, { "cpopw", op_cpopw },
	{ "sext.b", op_sext_b }, { "sext.h", op_sext_h }, { "zext.h", op_zext_h },
	{ "orc.b", op_orc_b }, { "rev8", op_rev8 },
};

#define COUNT_12 12
#define COUNT_32 17
#define COUNT_64 30

static const struct {
	const char *name;
	const char *code;
	unsigned count;
} immediate_ops[] = {
	{ "addi", imm_addi, COUNT_12 }, { "slti", imm_slti, COUNT_12 },
	{ "sltiu", imm_sltiu, COUNT_12 }, { "xori", imm_xori, COUNT_12 },
	{ "ori", imm_ori, COUNT_12 }, { "andi", imm_andi, COUNT_12 },
	{ "addiw", imm_addiw, COUNT_12 }, { "slli", imm_slli, COUNT_64 },
	{ "srli", imm_srli, COUNT_64 }, { "srai", imm_srai, COUNT_64 },
	{ "slliw", imm_slliw, COUNT_32 }, { "srliw", imm_srliw, COUNT_32 },
	{ "sraiw", imm_sraiw, COUNT_32 }, { "slli.uw", imm_slli_uw, COUNT_64 },
	{ "rori", imm_rori, COUNT_64 }, { "roriw", imm_roriw, COUNT_32 },
	{ "bclri", imm_bclri, COUNT_64 }, { "bexti", imm_bexti, COUNT_64 },
	{ "binvi", imm_binvi, COUNT_64 }, { "bseti", imm_bseti, COUNT_64 },
};

static void register_forms(void)
{
	for (unsigned op = 0; op < ARRAY_SIZE(register_ops); op++) {
		group(register_ops[op].name);
		for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
			for (unsigned j = 0; j < ARRAY_SIZE(edges); j++)
				record(register_ops[op].run(edges[i], edges[j]), edges[i],
				       edges[j], 0);
		}
		group_end();
	}
}

static void immediate_forms(void)
{
	for (unsigned op = 0; op < ARRAY_SIZE(immediate_ops); op++) {
		group(immediate_ops[op].name);
		for (unsigned n = 0; n < immediate_ops[op].count; n++) {
			uint64_t (*run)(uint64_t) = (void *)(immediate_ops[op].code + 8 * n);

			for (unsigned i = 0; i < ARRAY_SIZE(edges); i++)
				record(run(edges[i]), edges[i], n, 0);
		}
		group_end();
	}
}

#define UPPER(imm)                                                            \
	do {                                                                  \
		uint64_t lui, pc, auipc;                                      \
		__asm__ volatile("lui %0, " #imm "\n1: auipc %1, " #imm       \
				 "\nla %2, 1b" : "=&r"(lui), "=&r"(auipc), "=r"(pc)); \
		record(lui, 0, 0, 0);                                         \
		record(auipc - pc, 0, 0, 0);                                  \
	} while (0)

static void upper_forms(void)
{
	group("upper");
	UPPER(0);
	UPPER(1);
	UPPER(0x7ffff);
	UPPER(0x80000);
	UPPER(0xfffff);
	UPPER(0x55555);
	group_end();
}

// x0 as destination and the same register in all places.
static void register_names(void)
{
	uint64_t r, zero;

	__asm__ volatile("li %0, 0x123\nadd %0, %0, %0\nsub %0, %0, %0\nli x0, 5\n"
			 "addi x0, %0, 77\nmul x0, %0, %0\nmv %1, x0\nxori %0, %0, -1\n"
			 "sltu %0, x0, %0\nror %0, %0, %0"
			 : "=&r"(r), "=&r"(zero));
	print("names %x %x\n", r, zero);
}

int main(void)
{
	register_forms();
	immediate_forms();
	upper_forms();
	register_names();
	return 0;
}
