// SPDX-License-Identifier: GPL-2.0-or-later
// Handlers of the F and D instructions. Arithmetic lives in fpu.h; here it meets
// registers, rounding modes and the state of the FPU (sstatus.FS).
//
// FS and frm change rarely: hart->fp_gate says in one word whether one of them keeps
// an instruction off its fast path.
#include "exec.h"
#include "fpu.h"

#define FRD h->f[SLOT_A]
#define FRS1 h->f[SLOT_B]
#define FRS2 h->f[SLOT_IMM & 31]
#define FRS3 h->f[SLOT_IMM >> 8 & 31]
#define RD h->x[SLOT_A]
#define RS1 h->x[SLOT_B]
#define SLOT_RM ((unsigned)(SLOT_IMM >> 16 & 7))

// A rounding instruction, with the dynamic mode, and with a mode of its own (_rm).
// @fast works in the host's mode, which is frm when that is one of the host's.
#define ROUND(name, op, dest, a, b, c, fast)                       \
	static COLD const slot_t *name##_odd(HANDLER_ARGS)         \
	{                                                          \
		FP_CHECK();                                        \
		if (h->frm > FPU_RMM)                              \
			GO(exec_illegal);                          \
		dest = fpu_slow(op, h->frm, a, b, c);              \
		DISPATCH_ANY(s + 2);                               \
	}                                                          \
	WIDE(name)                                                 \
	{                                                          \
		if (unlikely(h->fp_gate))                          \
			GO(name##_odd);                            \
		dest = (fast);                                     \
		NEXT(len);                                         \
	}                                                          \
	WIDE(name##_rm)                                            \
	{                                                          \
		FP_CHECK();                                        \
		if (likely(SLOT_RM == h->frm && h->frm < FPU_RMM)) \
			dest = (fast);                             \
		else                                               \
			dest = fpu_slow(op, SLOT_RM, a, b, c);     \
		NEXT(len);                                         \
	}

#define ROUND1(name, op, fast) ROUND(name, op, FRD, FRS1, 0, 0, fast(FRS1))
#define ROUND2(name, op, fast) ROUND(name, op, FRD, FRS1, FRS2, 0, fast(FRS1, FRS2))
#define ROUND3(name, op, fast) ROUND(name, op, FRD, FRS1, FRS2, FRS3, fast(FRS1, FRS2, FRS3))
#define FROM_INT(name, op, fast) ROUND(name, op, FRD, RS1, 0, 0, fast(RS1))

ROUND2(fadd_s, FPU_ADD_S, fpu_add_s)
ROUND2(fsub_s, FPU_SUB_S, fpu_sub_s)
ROUND2(fmul_s, FPU_MUL_S, fpu_mul_s)
ROUND2(fdiv_s, FPU_DIV_S, fpu_div_s)
ROUND1(fsqrt_s, FPU_SQRT_S, fpu_sqrt_s)
ROUND2(fadd_d, FPU_ADD_D, fpu_add_d)
ROUND2(fsub_d, FPU_SUB_D, fpu_sub_d)
ROUND2(fmul_d, FPU_MUL_D, fpu_mul_d)
ROUND2(fdiv_d, FPU_DIV_D, fpu_div_d)
ROUND1(fsqrt_d, FPU_SQRT_D, fpu_sqrt_d)

ROUND3(fmadd_s, FPU_MADD_S, fpu_madd_s)
ROUND3(fmsub_s, FPU_MSUB_S, fpu_msub_s)
ROUND3(fnmsub_s, FPU_NMSUB_S, fpu_nmsub_s)
ROUND3(fnmadd_s, FPU_NMADD_S, fpu_nmadd_s)
ROUND3(fmadd_d, FPU_MADD_D, fpu_madd_d)
ROUND3(fmsub_d, FPU_MSUB_D, fpu_msub_d)
ROUND3(fnmsub_d, FPU_NMSUB_D, fpu_nmsub_d)
ROUND3(fnmadd_d, FPU_NMADD_D, fpu_nmadd_d)

ROUND1(fcvt_s_d, FPU_CVT_S_D, fpu_cvt_s_d)
ROUND1(fcvt_d_s, FPU_CVT_D_S, fpu_cvt_d_s)
FROM_INT(fcvt_s_w, FPU_CVT_S_W, fpu_cvt_s_w)
FROM_INT(fcvt_s_wu, FPU_CVT_S_WU, fpu_cvt_s_wu)
FROM_INT(fcvt_s_l, FPU_CVT_S_L, fpu_cvt_s_l)
FROM_INT(fcvt_s_lu, FPU_CVT_S_LU, fpu_cvt_s_lu)
FROM_INT(fcvt_d_w, FPU_CVT_D_W, fpu_cvt_d_w)
FROM_INT(fcvt_d_wu, FPU_CVT_D_WU, fpu_cvt_d_wu)
FROM_INT(fcvt_d_l, FPU_CVT_D_L, fpu_cvt_d_l)
FROM_INT(fcvt_d_lu, FPU_CVT_D_LU, fpu_cvt_d_lu)

// To integer: these take any valid mode as an argument.
#define TO_INT(name, convert)                   \
	WIDE(name)                              \
	{                                       \
		FP_CHECK();                     \
		if (unlikely(h->frm > FPU_RMM)) \
			GO(exec_illegal);       \
		RD = convert(FRS1, h->frm);     \
		NEXT(len);                      \
	}                                       \
	WIDE(name##_rm)                         \
	{                                       \
		FP_CHECK();                     \
		RD = convert(FRS1, SLOT_RM);    \
		NEXT(len);                      \
	}

TO_INT(fcvt_w_s, fpu_cvt_w_s)
TO_INT(fcvt_wu_s, fpu_cvt_wu_s)
TO_INT(fcvt_l_s, fpu_cvt_l_s)
TO_INT(fcvt_lu_s, fpu_cvt_lu_s)
TO_INT(fcvt_w_d, fpu_cvt_w_d)
TO_INT(fcvt_wu_d, fpu_cvt_wu_d)
TO_INT(fcvt_l_d, fpu_cvt_l_d)
TO_INT(fcvt_lu_d, fpu_cvt_lu_d)

// -- those that do not round --

#define PLAIN(name, dest, expr) \
	WIDE(name)              \
	{                       \
		FP_CHECK();     \
		dest = (expr);  \
		NEXT(len);      \
	}

PLAIN(fsgnj_s, FRD, fpu_sgnj_s(FRS1, FRS2))
PLAIN(fsgnjn_s, FRD, fpu_sgnjn_s(FRS1, FRS2))
PLAIN(fsgnjx_s, FRD, fpu_sgnjx_s(FRS1, FRS2))
PLAIN(fsgnj_d, FRD, fpu_sgnj_d(FRS1, FRS2))
PLAIN(fsgnjn_d, FRD, fpu_sgnjn_d(FRS1, FRS2))
PLAIN(fsgnjx_d, FRD, fpu_sgnjx_d(FRS1, FRS2))
PLAIN(fmin_s, FRD, fpu_min_s(FRS1, FRS2))
PLAIN(fmax_s, FRD, fpu_max_s(FRS1, FRS2))
PLAIN(fmin_d, FRD, fpu_min_d(FRS1, FRS2))
PLAIN(fmax_d, FRD, fpu_max_d(FRS1, FRS2))
PLAIN(feq_s, RD, fpu_eq_s(FRS1, FRS2))
PLAIN(flt_s, RD, fpu_lt_s(FRS1, FRS2))
PLAIN(fle_s, RD, fpu_le_s(FRS1, FRS2))
PLAIN(feq_d, RD, fpu_eq_d(FRS1, FRS2))
PLAIN(flt_d, RD, fpu_lt_d(FRS1, FRS2))
PLAIN(fle_d, RD, fpu_le_d(FRS1, FRS2))
PLAIN(fclass_s, RD, fpu_class_s(FRS1))
PLAIN(fclass_d, RD, fpu_class_d(FRS1))
PLAIN(fmv_x_w, RD, fpu_mv_x_w(FRS1))
PLAIN(fmv_w_x, FRD, fpu_mv_w_x(RS1))
PLAIN(fmv_x_d, RD, FRS1)
PLAIN(fmv_d_x, FRD, RS1)
