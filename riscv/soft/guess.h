// SPDX-License-Identifier: GPL-2.0-or-later
// Which instruction most often follows which, for DISPATCH() in exec.h.
//
// Counted in the kernel of a stock Debian while it takes page faults, forks and
// executes. More is not better: each guess costs a comparison for every instruction
// that does not follow as guessed.
#ifndef KVIK_SOFT_GUESS_H
#define KVIK_SOFT_GUESS_H

// X(first, second).
// clang-format off
#define LIKELY_PAIRS(X)                                                                   \
	X(ld_c, ld_c) X(ld_c, addi_c) X(ld_c, add_c) X(sd_c, sd_c) X(sd_c, addi_c)        \
	X(ld, ld) X(ld, ld_c) X(ld, mv_c) X(ld, sub) X(ld, add_c)                         \
	X(sd, sd) X(sd, li_c) X(sd, add_c) X(addi_c, sd_c) X(addi_c, ret_c) X(addi_c, mv_c) \
	X(mv_c, mv_c) X(mv_c, auipc) X(mv_c, li_c) X(auipc, jalr) X(auipc, addi) X(auipc, ld) \
	X(jalr, li) X(jalr, addi_c) X(li, li) X(li, addi_c)                               \
	X(slli, add_c) X(slli, srli) X(slli, srli_c) X(srli_c, add_c) X(srli_c, andi_c)   \
	X(slli_c, add) X(slli_c, add_c) X(add, ld_c) X(beq_fwd, ld_c) X(beq_fwd, ld)      \
	X(beq_fwd_c, ld_c) X(beq_fwd_c, ld) X(bne_fwd_c, ld_c) X(bne_fwd_c, li_c)         \
	X(bne_fwd, ld_c) X(bne_fwd, mv_c) X(ret_c, ld_c) X(ret_c, mv_c) X(ret_c, ld)      \
	X(li_c, mv_c) X(li_c, li) X(addi, auipc) X(addi, slli_c) X(addi, mv_c)            \
	X(andi, beq_fwd) X(andi, bne_fwd_c) X(andi, beq_fwd_c)                            \
	X(andi_c, bne_fwd_c) X(andi_c, beq_fwd_c) X(addiw_c, slli) X(bgeu_fwd, ld)        \
	X(lw, auipc) X(lw, ld) X(mul, add_c) X(sub, slli_c)                               \
	X(add_c, add_c) X(add_c, ld_c) X(add_c, sltu) X(add_c, bne_back)                  \
	X(sltu, add_c) X(sltu, srli) X(srli, mul) X(srli, srli_c)
// clang-format on

#endif
