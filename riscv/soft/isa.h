// SPDX-License-Identifier: GPL-2.0-or-later
// Every instruction that the engine executes: one line each.
//
// X(name, mask, match, format): an encoding matches when (insn & mask) == match.
// The lists also give each instruction its number (enum op) and its handler
// (op_<name>_w, and op_<name>_c for those with a compressed form). Sources: the
// RISC-V unprivileged ISA 20240411, chapter 34 (listings); privileged ISA 20240411
// chapter 10 for the supervisor instructions.
#ifndef KVIK_SOFT_ISA_H
#define KVIK_SOFT_ISA_H

// Operands of a format, as decode.c lays them out in a slot (a, b, imm).
enum insn_format {
	FORMAT_NONE,
	FORMAT_R,     // a = rd, b = rs1, imm = rs2
	FORMAT_I,     // a = rd, b = rs1, imm = sign-extended 12 bits
	FORMAT_SHIFT, // a = rd, b = rs1, imm = shamt (5 or 6 bits, as the mask leaves)
	FORMAT_S,     // a = rs2, b = rs1, imm
	FORMAT_B,     // a = rs2, b = rs1, imm = target relative to pc
	FORMAT_U,     // a = rd, imm = bits 31:12
	FORMAT_J,     // a = rd, imm = target relative to pc
	FORMAT_CSR,   // a = rd, b = rs1 or uimm, imm = csr | rd != 0 << 12
	FORMAT_AMO,   // a = rd, b = rs1, imm = rs2 | aq rl << 8
	FORMAT_FI,    // a = frd, b = rs1, imm: a load into an f register
	FORMAT_FR,    // a = frd, b = (f)rs1, imm = (f)rs2 | rm << 16
	FORMAT_FR4,   // a = frd, b = frs1, imm = frs2 | frs3 << 8 | rm << 16
	FORMAT_FX,    // a = rd, b = frs1, imm = frs2 | rm << 16: result in an x register
};

// Instructions that also exist compressed.
#define ISA_BOTH(X)                                   \
	X(lui, 0x7f, 0x37, FORMAT_U)                  \
	X(jal, 0x7f, 0x6f, FORMAT_J)                  \
	X(jalr, 0x707f, 0x67, FORMAT_I)               \
	X(beq, 0x707f, 0x63, FORMAT_B)                \
	X(bne, 0x707f, 0x1063, FORMAT_B)              \
	X(lw, 0x707f, 0x2003, FORMAT_I)               \
	X(ld, 0x707f, 0x3003, FORMAT_I)               \
	X(sw, 0x707f, 0x2023, FORMAT_S)               \
	X(sd, 0x707f, 0x3023, FORMAT_S)               \
	X(addi, 0x707f, 0x13, FORMAT_I)               \
	X(andi, 0x707f, 0x7013, FORMAT_I)             \
	X(slli, 0xfc00707f, 0x1013, FORMAT_SHIFT)     \
	X(srli, 0xfc00707f, 0x5013, FORMAT_SHIFT)     \
	X(srai, 0xfc00707f, 0x40005013, FORMAT_SHIFT) \
	X(add, 0xfe00707f, 0x33, FORMAT_R)            \
	X(sub, 0xfe00707f, 0x40000033, FORMAT_R)      \
	X(xor, 0xfe00707f, 0x4033, FORMAT_R)          \
	X(or, 0xfe00707f, 0x6033, FORMAT_R)           \
	X(and, 0xfe00707f, 0x7033, FORMAT_R)          \
	X(addiw, 0x707f, 0x1b, FORMAT_I)              \
	X(addw, 0xfe00707f, 0x3b, FORMAT_R)           \
	X(subw, 0xfe00707f, 0x4000003b, FORMAT_R)     \
	X(ebreak, 0xffffffff, 0x100073, FORMAT_NONE)

// The integer instructions that do not.
#define ISA_WIDE_INT(X)                                 \
	X(auipc, 0x7f, 0x17, FORMAT_U)                  \
	X(blt, 0x707f, 0x4063, FORMAT_B)                \
	X(bge, 0x707f, 0x5063, FORMAT_B)                \
	X(bltu, 0x707f, 0x6063, FORMAT_B)               \
	X(bgeu, 0x707f, 0x7063, FORMAT_B)               \
	X(lb, 0x707f, 0x3, FORMAT_I)                    \
	X(lh, 0x707f, 0x1003, FORMAT_I)                 \
	X(lbu, 0x707f, 0x4003, FORMAT_I)                \
	X(lhu, 0x707f, 0x5003, FORMAT_I)                \
	X(lwu, 0x707f, 0x6003, FORMAT_I)                \
	X(sb, 0x707f, 0x23, FORMAT_S)                   \
	X(sh, 0x707f, 0x1023, FORMAT_S)                 \
	X(slti, 0x707f, 0x2013, FORMAT_I)               \
	X(sltiu, 0x707f, 0x3013, FORMAT_I)              \
	X(xori, 0x707f, 0x4013, FORMAT_I)               \
	X(ori, 0x707f, 0x6013, FORMAT_I)                \
	X(sll, 0xfe00707f, 0x1033, FORMAT_R)            \
	X(slt, 0xfe00707f, 0x2033, FORMAT_R)            \
	X(sltu, 0xfe00707f, 0x3033, FORMAT_R)           \
	X(srl, 0xfe00707f, 0x5033, FORMAT_R)            \
	X(sra, 0xfe00707f, 0x40005033, FORMAT_R)        \
	X(slliw, 0xfe00707f, 0x101b, FORMAT_SHIFT)      \
	X(srliw, 0xfe00707f, 0x501b, FORMAT_SHIFT)      \
	X(sraiw, 0xfe00707f, 0x4000501b, FORMAT_SHIFT)  \
	X(sllw, 0xfe00707f, 0x103b, FORMAT_R)           \
	X(srlw, 0xfe00707f, 0x503b, FORMAT_R)           \
	X(sraw, 0xfe00707f, 0x4000503b, FORMAT_R)       \
	X(mul, 0xfe00707f, 0x2000033, FORMAT_R)         \
	X(mulh, 0xfe00707f, 0x2001033, FORMAT_R)        \
	X(mulhsu, 0xfe00707f, 0x2002033, FORMAT_R)      \
	X(mulhu, 0xfe00707f, 0x2003033, FORMAT_R)       \
	X(div, 0xfe00707f, 0x2004033, FORMAT_R)         \
	X(divu, 0xfe00707f, 0x2005033, FORMAT_R)        \
	X(rem, 0xfe00707f, 0x2006033, FORMAT_R)         \
	X(remu, 0xfe00707f, 0x2007033, FORMAT_R)        \
	X(mulw, 0xfe00707f, 0x200003b, FORMAT_R)        \
	X(divw, 0xfe00707f, 0x200403b, FORMAT_R)        \
	X(divuw, 0xfe00707f, 0x200503b, FORMAT_R)       \
	X(remw, 0xfe00707f, 0x200603b, FORMAT_R)        \
	X(remuw, 0xfe00707f, 0x200703b, FORMAT_R)       \
	/* Zba */                                       \
	X(add_uw, 0xfe00707f, 0x800003b, FORMAT_R)      \
	X(sh1add, 0xfe00707f, 0x20002033, FORMAT_R)     \
	X(sh2add, 0xfe00707f, 0x20004033, FORMAT_R)     \
	X(sh3add, 0xfe00707f, 0x20006033, FORMAT_R)     \
	X(sh1add_uw, 0xfe00707f, 0x2000203b, FORMAT_R)  \
	X(sh2add_uw, 0xfe00707f, 0x2000403b, FORMAT_R)  \
	X(sh3add_uw, 0xfe00707f, 0x2000603b, FORMAT_R)  \
	X(slli_uw, 0xfc00707f, 0x800101b, FORMAT_SHIFT) \
	/* Zbb */                                       \
	X(andn, 0xfe00707f, 0x40007033, FORMAT_R)       \
	X(orn, 0xfe00707f, 0x40006033, FORMAT_R)        \
	X(xnor, 0xfe00707f, 0x40004033, FORMAT_R)       \
	X(clz, 0xfff0707f, 0x60001013, FORMAT_I)        \
	X(ctz, 0xfff0707f, 0x60101013, FORMAT_I)        \
	X(cpop, 0xfff0707f, 0x60201013, FORMAT_I)       \
	X(clzw, 0xfff0707f, 0x6000101b, FORMAT_I)       \
	X(ctzw, 0xfff0707f, 0x6010101b, FORMAT_I)       \
	X(cpopw, 0xfff0707f, 0x6020101b, FORMAT_I)      \
	X(sext_b, 0xfff0707f, 0x60401013, FORMAT_I)     \
	X(sext_h, 0xfff0707f, 0x60501013, FORMAT_I)     \
	X(zext_h, 0xfff0707f, 0x800403b, FORMAT_I)      \
	X(max, 0xfe00707f, 0xa006033, FORMAT_R)         \
	X(maxu, 0xfe00707f, 0xa007033, FORMAT_R)        \
	X(min, 0xfe00707f, 0xa004033, FORMAT_R)         \
	X(minu, 0xfe00707f, 0xa005033, FORMAT_R)        \
	X(rol, 0xfe00707f, 0x60001033, FORMAT_R)        \
	X(ror, 0xfe00707f, 0x60005033, FORMAT_R)        \
	X(rori, 0xfc00707f, 0x60005013, FORMAT_SHIFT)   \
	X(rolw, 0xfe00707f, 0x6000103b, FORMAT_R)       \
	X(rorw, 0xfe00707f, 0x6000503b, FORMAT_R)       \
	X(roriw, 0xfe00707f, 0x6000501b, FORMAT_SHIFT)  \
	X(orc_b, 0xfff0707f, 0x28705013, FORMAT_I)      \
	X(rev8, 0xfff0707f, 0x6b805013, FORMAT_I)       \
	/* Zbs */                                       \
	X(bclr, 0xfe00707f, 0x48001033, FORMAT_R)       \
	X(bclri, 0xfc00707f, 0x48001013, FORMAT_SHIFT)  \
	X(bext, 0xfe00707f, 0x48005033, FORMAT_R)       \
	X(bexti, 0xfc00707f, 0x48005013, FORMAT_SHIFT)  \
	X(binv, 0xfe00707f, 0x68001033, FORMAT_R)       \
	X(binvi, 0xfc00707f, 0x68001013, FORMAT_SHIFT)  \
	X(bset, 0xfe00707f, 0x28001033, FORMAT_R)       \
	X(bseti, 0xfc00707f, 0x28001013, FORMAT_SHIFT)  \
	/* Zicond */                                    \
	X(czero_eqz, 0xfe00707f, 0xe005033, FORMAT_R)   \
	X(czero_nez, 0xfe00707f, 0xe007033, FORMAT_R)

// Memory ordering, system and supervisor instructions. pause, wrs.* and cbo.zero
// come before the wider patterns that contain them: the first match wins.
#define ISA_WIDE_SYSTEM(X)                                      \
	X(pause, 0xffffffff, 0x100000f, FORMAT_NONE)            \
	X(fence, 0x707f, 0xf, FORMAT_I)                         \
	X(fence_i, 0x707f, 0x100f, FORMAT_NONE)                 \
	X(cbo_zero, 0xfff07fff, 0x40200f, FORMAT_I)             \
	X(ecall, 0xffffffff, 0x73, FORMAT_NONE)                 \
	X(wrs_nto, 0xffffffff, 0xd00073, FORMAT_NONE)           \
	X(wrs_sto, 0xffffffff, 0x1d00073, FORMAT_NONE)          \
	X(sret, 0xffffffff, 0x10200073, FORMAT_NONE)            \
	X(wfi, 0xffffffff, 0x10500073, FORMAT_NONE)             \
	X(sfence_vma, 0xfe007fff, 0x12000073, FORMAT_R)         \
	X(sinval_vma, 0xfe007fff, 0x16000073, FORMAT_R)         \
	X(sfence_w_inval, 0xffffffff, 0x18000073, FORMAT_NONE)  \
	X(sfence_inval_ir, 0xffffffff, 0x18100073, FORMAT_NONE) \
	X(csrrw, 0x707f, 0x1073, FORMAT_CSR)                    \
	X(csrrs, 0x707f, 0x2073, FORMAT_CSR)                    \
	X(csrrc, 0x707f, 0x3073, FORMAT_CSR)                    \
	X(csrrwi, 0x707f, 0x5073, FORMAT_CSR)                   \
	X(csrrsi, 0x707f, 0x6073, FORMAT_CSR)                   \
	X(csrrci, 0x707f, 0x7073, FORMAT_CSR)

#define ISA_WIDE_ATOMIC(X)                               \
	X(lr_w, 0xf9f0707f, 0x1000202f, FORMAT_AMO)      \
	X(sc_w, 0xf800707f, 0x1800202f, FORMAT_AMO)      \
	X(amoswap_w, 0xf800707f, 0x800202f, FORMAT_AMO)  \
	X(amoadd_w, 0xf800707f, 0x202f, FORMAT_AMO)      \
	X(amoxor_w, 0xf800707f, 0x2000202f, FORMAT_AMO)  \
	X(amoand_w, 0xf800707f, 0x6000202f, FORMAT_AMO)  \
	X(amoor_w, 0xf800707f, 0x4000202f, FORMAT_AMO)   \
	X(amomin_w, 0xf800707f, 0x8000202f, FORMAT_AMO)  \
	X(amomax_w, 0xf800707f, 0xa000202f, FORMAT_AMO)  \
	X(amominu_w, 0xf800707f, 0xc000202f, FORMAT_AMO) \
	X(amomaxu_w, 0xf800707f, 0xe000202f, FORMAT_AMO) \
	X(lr_d, 0xf9f0707f, 0x1000302f, FORMAT_AMO)      \
	X(sc_d, 0xf800707f, 0x1800302f, FORMAT_AMO)      \
	X(amoswap_d, 0xf800707f, 0x800302f, FORMAT_AMO)  \
	X(amoadd_d, 0xf800707f, 0x302f, FORMAT_AMO)      \
	X(amoxor_d, 0xf800707f, 0x2000302f, FORMAT_AMO)  \
	X(amoand_d, 0xf800707f, 0x6000302f, FORMAT_AMO)  \
	X(amoor_d, 0xf800707f, 0x4000302f, FORMAT_AMO)   \
	X(amomin_d, 0xf800707f, 0x8000302f, FORMAT_AMO)  \
	X(amomax_d, 0xf800707f, 0xa000302f, FORMAT_AMO)  \
	X(amominu_d, 0xf800707f, 0xc000302f, FORMAT_AMO) \
	X(amomaxu_d, 0xf800707f, 0xe000302f, FORMAT_AMO)

// Floating point. Those in ISA_FP_BOTH also exist compressed; those in
// ISA_FP_ROUND take a rounding mode, and so have a slow twin.
#define ISA_FP_BOTH(X)                    \
	X(fld, 0x707f, 0x3007, FORMAT_FI) \
	X(fsd, 0x707f, 0x3027, FORMAT_S)

#define ISA_FP_ROUND(X)                                 \
	X(fmadd_s, 0x600007f, 0x43, FORMAT_FR4)         \
	X(fmsub_s, 0x600007f, 0x47, FORMAT_FR4)         \
	X(fnmsub_s, 0x600007f, 0x4b, FORMAT_FR4)        \
	X(fnmadd_s, 0x600007f, 0x4f, FORMAT_FR4)        \
	X(fmadd_d, 0x600007f, 0x2000043, FORMAT_FR4)    \
	X(fmsub_d, 0x600007f, 0x2000047, FORMAT_FR4)    \
	X(fnmsub_d, 0x600007f, 0x200004b, FORMAT_FR4)   \
	X(fnmadd_d, 0x600007f, 0x200004f, FORMAT_FR4)   \
	X(fadd_s, 0xfe00007f, 0x53, FORMAT_FR)          \
	X(fsub_s, 0xfe00007f, 0x8000053, FORMAT_FR)     \
	X(fmul_s, 0xfe00007f, 0x10000053, FORMAT_FR)    \
	X(fdiv_s, 0xfe00007f, 0x18000053, FORMAT_FR)    \
	X(fsqrt_s, 0xfff0007f, 0x58000053, FORMAT_FR)   \
	X(fadd_d, 0xfe00007f, 0x2000053, FORMAT_FR)     \
	X(fsub_d, 0xfe00007f, 0xa000053, FORMAT_FR)     \
	X(fmul_d, 0xfe00007f, 0x12000053, FORMAT_FR)    \
	X(fdiv_d, 0xfe00007f, 0x1a000053, FORMAT_FR)    \
	X(fsqrt_d, 0xfff0007f, 0x5a000053, FORMAT_FR)   \
	X(fcvt_s_d, 0xfff0007f, 0x40100053, FORMAT_FR)  \
	X(fcvt_d_s, 0xfff0007f, 0x42000053, FORMAT_FR)  \
	X(fcvt_s_w, 0xfff0007f, 0xd0000053, FORMAT_FR)  \
	X(fcvt_s_wu, 0xfff0007f, 0xd0100053, FORMAT_FR) \
	X(fcvt_s_l, 0xfff0007f, 0xd0200053, FORMAT_FR)  \
	X(fcvt_s_lu, 0xfff0007f, 0xd0300053, FORMAT_FR) \
	X(fcvt_d_w, 0xfff0007f, 0xd2000053, FORMAT_FR)  \
	X(fcvt_d_wu, 0xfff0007f, 0xd2100053, FORMAT_FR) \
	X(fcvt_d_l, 0xfff0007f, 0xd2200053, FORMAT_FR)  \
	X(fcvt_d_lu, 0xfff0007f, 0xd2300053, FORMAT_FR) \
	X(fcvt_w_s, 0xfff0007f, 0xc0000053, FORMAT_FX)  \
	X(fcvt_wu_s, 0xfff0007f, 0xc0100053, FORMAT_FX) \
	X(fcvt_l_s, 0xfff0007f, 0xc0200053, FORMAT_FX)  \
	X(fcvt_lu_s, 0xfff0007f, 0xc0300053, FORMAT_FX) \
	X(fcvt_w_d, 0xfff0007f, 0xc2000053, FORMAT_FX)  \
	X(fcvt_wu_d, 0xfff0007f, 0xc2100053, FORMAT_FX) \
	X(fcvt_l_d, 0xfff0007f, 0xc2200053, FORMAT_FX)  \
	X(fcvt_lu_d, 0xfff0007f, 0xc2300053, FORMAT_FX)

#define ISA_FP_OTHER(X)                                \
	X(flw, 0x707f, 0x2007, FORMAT_FI)              \
	X(fsw, 0x707f, 0x2027, FORMAT_S)               \
	X(fsgnj_s, 0xfe00707f, 0x20000053, FORMAT_FR)  \
	X(fsgnjn_s, 0xfe00707f, 0x20001053, FORMAT_FR) \
	X(fsgnjx_s, 0xfe00707f, 0x20002053, FORMAT_FR) \
	X(fmin_s, 0xfe00707f, 0x28000053, FORMAT_FR)   \
	X(fmax_s, 0xfe00707f, 0x28001053, FORMAT_FR)   \
	X(feq_s, 0xfe00707f, 0xa0002053, FORMAT_FX)    \
	X(flt_s, 0xfe00707f, 0xa0001053, FORMAT_FX)    \
	X(fle_s, 0xfe00707f, 0xa0000053, FORMAT_FX)    \
	X(fclass_s, 0xfff0707f, 0xe0001053, FORMAT_FX) \
	X(fmv_x_w, 0xfff0707f, 0xe0000053, FORMAT_FX)  \
	X(fmv_w_x, 0xfff0707f, 0xf0000053, FORMAT_FR)  \
	X(fsgnj_d, 0xfe00707f, 0x22000053, FORMAT_FR)  \
	X(fsgnjn_d, 0xfe00707f, 0x22001053, FORMAT_FR) \
	X(fsgnjx_d, 0xfe00707f, 0x22002053, FORMAT_FR) \
	X(fmin_d, 0xfe00707f, 0x2a000053, FORMAT_FR)   \
	X(fmax_d, 0xfe00707f, 0x2a001053, FORMAT_FR)   \
	X(feq_d, 0xfe00707f, 0xa2002053, FORMAT_FX)    \
	X(flt_d, 0xfe00707f, 0xa2001053, FORMAT_FX)    \
	X(fle_d, 0xfe00707f, 0xa2000053, FORMAT_FX)    \
	X(fclass_d, 0xfff0707f, 0xe2001053, FORMAT_FX) \
	X(fmv_x_d, 0xfff0707f, 0xe2000053, FORMAT_FX)  \
	X(fmv_d_x, 0xfff0707f, 0xf2000053, FORMAT_FR)

// What the engine makes of instructions itself; never matched by an encoding.
// A branch whose target lies in its own page has imm = the target's distance in
// slots: *_fwd for forward ones, *_back for backward ones, which poll.
// clang-format off
#define ISA_INTERNAL_BOTH(X)                                     \
	X(beq_fwd) X(bne_fwd) X(beq_back) X(bne_back)            \
	X(jal_fwd) X(jal_back) X(li) X(mv) X(ret) X(illegal)

#define ISA_INTERNAL_BRANCH(X)                                   \
	X(blt_fwd) X(bge_fwd) X(bltu_fwd) X(bgeu_fwd)            \
	X(blt_back) X(bge_back) X(bltu_back) X(bgeu_back)

#define ISA_INTERNAL_WIDE(X) ISA_INTERNAL_BRANCH(X) X(next_page) X(straddle)

// clang-format on

#endif
