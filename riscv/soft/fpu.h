// SPDX-License-Identifier: GPL-2.0-or-later
// RISC-V F and D arithmetic on the host's floating-point unit.
//
// A value is the raw 64-bit content of an f register. Single precision is
// NaN-boxed: an operand that is not reads as the canonical NaN, a result always
// is. Every NaN result is the canonical NaN (unprivileged spec 20.3, 21.2).
//
// The fast forms run in the thread's current host rounding mode and let the
// exception flags accumulate in the host's floating-point environment, which so
// holds the guest's fflags: after fpu_init_thread() nothing else may do
// floating-point arithmetic on the thread.
//
// Compilers take arithmetic as free to move across a change of mode or a read of
// the flags. FPU_BARRIER on the operands and on the result pins an operation
// between the two, hides constants and costs no instruction, so that no special
// flags are needed (-frounding-math, -ffp-contract=off and -fno-math-errno do no
// harm; -ffast-math is wrong).
#ifndef KVIK_RISCV_SOFT_FPU_H
#define KVIK_RISCV_SOFT_FPU_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define FPU_BARRIER(v) __asm__ volatile("" : "+x"(v))
#elif defined(__aarch64__)
#define FPU_BARRIER(v) __asm__ volatile("" : "+w"(v))
#elif defined(__riscv_flen) && __riscv_flen >= 64
#define FPU_BARRIER(v) __asm__ volatile("" : "+f"(v))
#else
#define FPU_BARRIER(v) __asm__ volatile("" : "+m"(v))
#endif

// Whether the host finds a result tiny after rounding, as RISC-V does. Where it
// looks before (arm64), operations that can underflow are done by fpu_soft().
#if defined(__x86_64__) || defined(__riscv)
#define FPU_TINY_AFTER 1
#else
#define FPU_TINY_AFTER 0
#endif

// The encodings of frm and of the rm field (unprivileged spec table 24).
enum fpu_rounding {
	FPU_RNE = 0, // to nearest, ties to even
	FPU_RTZ = 1,
	FPU_RDN = 2,
	FPU_RUP = 3,
	FPU_RMM = 4, // to nearest, ties to the larger magnitude
};

// The bits of fflags (unprivileged spec table 25).
enum fpu_flag {
	FPU_NX = 1,
	FPU_UF = 2,
	FPU_OF = 4,
	FPU_DZ = 8,
	FPU_NV = 16,
};

// The operations that round. Bit 0 is the precision of the floating-point side
// (FPU_CVT_S_D and FPU_CVT_D_S: of the result), 1 for double.
enum fpu_op {
	// clang-format off
	FPU_ADD_S, FPU_ADD_D,
	FPU_SUB_S, FPU_SUB_D,
	FPU_MUL_S, FPU_MUL_D,
	FPU_DIV_S, FPU_DIV_D,
	FPU_SQRT_S, FPU_SQRT_D,
	FPU_MADD_S, FPU_MADD_D, // a * b + c
	FPU_MSUB_S, FPU_MSUB_D, // a * b - c
	FPU_NMSUB_S, FPU_NMSUB_D, // -(a * b) + c
	FPU_NMADD_S, FPU_NMADD_D, // -(a * b) - c
	FPU_CVT_W_S, FPU_CVT_W_D,
	FPU_CVT_WU_S, FPU_CVT_WU_D,
	FPU_CVT_L_S, FPU_CVT_L_D,
	FPU_CVT_LU_S, FPU_CVT_LU_D,
	FPU_CVT_S_W, FPU_CVT_D_W,
	FPU_CVT_S_WU, FPU_CVT_D_WU,
	FPU_CVT_S_L, FPU_CVT_D_L,
	FPU_CVT_S_LU, FPU_CVT_D_LU,
	FPU_CVT_S_D, FPU_CVT_D_S,
	// clang-format on
	FPU_OP_COUNT
};

#define FPU_BOX 0xffffffff00000000ULL
#define FPU_NAN_S 0xffffffff7fc00000ULL
#define FPU_NAN_D 0x7ff8000000000000ULL

// Gives the calling thread the environment that the fast forms need: RNE, no
// flags, no traps, subnormals kept.
void fpu_init_thread(void);

// @op in rounding mode @rm, whatever the current one; flags accumulate. Integer
// operands and results are x-register contents. An @rm above 4 counts as RNE.
uint64_t fpu_slow(enum fpu_op op, unsigned rm, uint64_t a, uint64_t b, uint64_t c);

// The same by integer arithmetic alone: needs no environment, ors the flags into
// *@flags. It serves RMM, and it is the oracle that tests hold the host against.
uint64_t fpu_soft(enum fpu_op op, unsigned rm, uint64_t a, uint64_t b, uint64_t c, unsigned *flags);

// fpu_soft() with the flags accumulated; fpu_soft_here() in the current mode.
uint64_t fpu_soft_raise(enum fpu_op op, unsigned rm, uint64_t a, uint64_t b, uint64_t c);
uint64_t fpu_soft_here(enum fpu_op op, uint64_t a, uint64_t b, uint64_t c);

// The environment: fflags as in the CSR, and a mode of RNE, RTZ, RDN or RUP.
#if defined(__x86_64__)
// MXCSR (Intel SDM vol. 1, 10.2.3): IE, DE, ZE, OE, UE and PE are bits 0 to 5; RC
// (bits 13 and 14) is nearest, down, up, zero.
#define FPU_MXCSR_FLAGS 0x3fU
#define FPU_MXCSR_RC_SHIFT 13
#define FPU_MXCSR_RC (3U << FPU_MXCSR_RC_SHIFT)

static inline unsigned fpu_get_flags(void)
{
	unsigned csr = _mm_getcsr();

	return (csr & 1) << 4 | (csr & 4) << 1 | (csr & 8) >> 1 | (csr & 16) >> 3 | (csr & 32) >> 5;
}

static inline unsigned fpu_mxcsr_flags(unsigned flags)
{
	return (flags & FPU_NV) >> 4 | (flags & FPU_DZ) >> 1 | (flags & FPU_OF) << 1 |
	       (flags & FPU_UF) << 3 | (flags & FPU_NX) << 5;
}

static inline void fpu_set_flags(unsigned flags)
{
	_mm_setcsr((_mm_getcsr() & ~FPU_MXCSR_FLAGS) | fpu_mxcsr_flags(flags));
}

// Adds to the accrued flags.
static inline void fpu_raise(unsigned flags)
{
	_mm_setcsr(_mm_getcsr() | fpu_mxcsr_flags(flags));
}

static inline unsigned fpu_get_rounding(void)
{
	unsigned rc = (_mm_getcsr() & FPU_MXCSR_RC) >> FPU_MXCSR_RC_SHIFT;

	return 0x1320 >> rc * 4 & 3;
}

static inline void fpu_set_rounding(unsigned rm)
{
	unsigned rc = 0x2130 >> (rm & 3) * 4 & 3;

	_mm_setcsr((_mm_getcsr() & ~FPU_MXCSR_RC) | rc << FPU_MXCSR_RC_SHIFT);
}
#else
unsigned fpu_get_flags(void);
void fpu_set_flags(unsigned flags);
void fpu_raise(unsigned flags);
unsigned fpu_get_rounding(void);
void fpu_set_rounding(unsigned rm);
#endif

static inline uint32_t fpu_unbox(uint64_t a)
{
	return likely(a >= FPU_BOX) ? (uint32_t)a : (uint32_t)FPU_NAN_S;
}

static inline float fpu_in_s(uint64_t a)
{
	uint32_t bits = fpu_unbox(a);
	float x;

	memcpy(&x, &bits, sizeof(x));
	FPU_BARRIER(x);
	return x;
}

static inline double fpu_in_d(uint64_t a)
{
	double x;

	memcpy(&x, &a, sizeof(x));
	FPU_BARRIER(x);
	return x;
}

static inline uint64_t fpu_bits_s(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return FPU_BOX | bits;
}

static inline uint64_t fpu_bits_d(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline uint64_t fpu_out_s(float x)
{
	FPU_BARRIER(x);
	if (unlikely(x != x)) {
		FPU_BARRIER(x); // for a branch: a conditional move would wait for x
		return FPU_NAN_S;
	}
	return fpu_bits_s(x);
}

static inline uint64_t fpu_out_d(double x)
{
	FPU_BARRIER(x);
	if (unlikely(x != x)) {
		FPU_BARRIER(x);
		return FPU_NAN_D;
	}
	return fpu_bits_d(x);
}

#define FPU_DEFINE_BINARY(name, host, op, sign, p)                      \
	static inline uint64_t fpu_##name##_##p(uint64_t a, uint64_t b) \
	{                                                               \
		if (!(host))                                            \
			return fpu_soft_here(op, a, b, 0);              \
		return fpu_out_##p(fpu_in_##p(a) sign fpu_in_##p(b));   \
	}

// A sum or difference that is tiny is exact: it never underflows.
FPU_DEFINE_BINARY(add, 1, FPU_ADD_S, +, s)
FPU_DEFINE_BINARY(add, 1, FPU_ADD_D, +, d)
FPU_DEFINE_BINARY(sub, 1, FPU_SUB_S, -, s)
FPU_DEFINE_BINARY(sub, 1, FPU_SUB_D, -, d)
FPU_DEFINE_BINARY(mul, FPU_TINY_AFTER, FPU_MUL_S, *, s)
FPU_DEFINE_BINARY(mul, FPU_TINY_AFTER, FPU_MUL_D, *, d)
FPU_DEFINE_BINARY(div, FPU_TINY_AFTER, FPU_DIV_S, /, s)
FPU_DEFINE_BINARY(div, FPU_TINY_AFTER, FPU_DIV_D, /, d)

// The C library's sqrt() may set errno; these are the bare instruction.
static inline uint64_t fpu_sqrt_s(uint64_t a)
{
#if defined(__x86_64__)
	__m128 x = _mm_set_ss(fpu_in_s(a));

	return fpu_out_s(_mm_cvtss_f32(_mm_sqrt_ss(x)));
#else
	return fpu_soft_here(FPU_SQRT_S, a, 0, 0);
#endif
}

static inline uint64_t fpu_sqrt_d(uint64_t a)
{
#if defined(__x86_64__)
	__m128d x = _mm_set_sd(fpu_in_d(a));

	return fpu_out_d(_mm_cvtsd_f64(_mm_sqrt_sd(x, x)));
#else
	return fpu_soft_here(FPU_SQRT_D, a, 0, 0);
#endif
}

// Whether fpu_host_fma_*() work on this machine.
static inline bool fpu_host_fma(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("fma");
#elif defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)
	return FPU_TINY_AFTER;
#else
	return false;
#endif
}

static inline float fpu_host_fma_s(float x, float y, float z)
{
#if defined(__x86_64__)
	// Runs only on hosts that have it, so the unit is not built with -mfma.
	__asm__ volatile("vfmadd213ss %2, %1, %0" : "+x"(x) : "x"(y), "x"(z));
	return x;
#else
	return __builtin_fmaf(x, y, z);
#endif
}

static inline double fpu_host_fma_d(double x, double y, double z)
{
#if defined(__x86_64__)
	__asm__ volatile("vfmadd213sd %2, %1, %0" : "+x"(x) : "x"(y), "x"(z));
	return x;
#else
	return __builtin_fma(x, y, z);
#endif
}

// Cold: infinity * 0 + NaN raises NV (unprivileged spec 20.6), which IEEE 754
// leaves open and x86 does not. Returns the canonical NaN.
uint64_t fpu_fma_nan_s(uint64_t a, uint64_t b);
uint64_t fpu_fma_nan_d(uint64_t a, uint64_t b);

#define FPU_DEFINE_FMA(name, op, product_sign, addend_sign, p)                              \
	static inline uint64_t fpu_##name##_##p(uint64_t a, uint64_t b, uint64_t c)         \
	{                                                                                   \
		if (unlikely(!fpu_host_fma()))                                              \
			return fpu_soft_here(op, a, b, c);                                  \
		__auto_type r = fpu_host_fma_##p(product_sign fpu_in_##p(a), fpu_in_##p(b), \
						 addend_sign fpu_in_##p(c));                \
		FPU_BARRIER(r);                                                             \
		if (unlikely(r != r))                                                       \
			return fpu_fma_nan_##p(a, b);                                       \
		return fpu_bits_##p(r);                                                     \
	}

FPU_DEFINE_FMA(madd, FPU_MADD_S, +, +, s)
FPU_DEFINE_FMA(madd, FPU_MADD_D, +, +, d)
FPU_DEFINE_FMA(msub, FPU_MSUB_S, +, -, s)
FPU_DEFINE_FMA(msub, FPU_MSUB_D, +, -, d)
FPU_DEFINE_FMA(nmsub, FPU_NMSUB_S, -, +, s)
FPU_DEFINE_FMA(nmsub, FPU_NMSUB_D, -, +, d)
FPU_DEFINE_FMA(nmadd, FPU_NMADD_S, -, -, s)
FPU_DEFINE_FMA(nmadd, FPU_NMADD_D, -, -, d)

// Conversions between the precisions.
static inline uint64_t fpu_cvt_s_d(uint64_t a)
{
	if (!FPU_TINY_AFTER)
		return fpu_soft_here(FPU_CVT_S_D, a, 0, 0);
	return fpu_out_s((float)fpu_in_d(a));
}

static inline uint64_t fpu_cvt_d_s(uint64_t a)
{
	return fpu_out_d(fpu_in_s(a));
}

// To integers, in mode @rm. C truncates, and in range the host's instruction gives
// the right NX; a NaN fails the comparisons, which raise its NV. The limits are
// the doubles next to the range; the rest is fpu_soft()'s.
#define FPU_DEFINE_TO_INT(name, op, type, above, below, p)                   \
	static inline uint64_t fpu_cvt_##name##_##p(uint64_t a, unsigned rm) \
	{                                                                    \
		double x = fpu_in_##p(a);                                    \
		if (likely(rm == FPU_RTZ && x > (above) && x < (below))) {   \
			int64_t r = (int64_t)x;                              \
			__asm__ volatile("" : "+r"(r));                      \
			return (uint64_t)(int64_t)(type)r;                   \
		}                                                            \
		return fpu_soft_raise(op, rm, a, 0, 0);                      \
	}

FPU_DEFINE_TO_INT(w, FPU_CVT_W_S, int32_t, -0x1.00000002p31, 0x1p31, s)
FPU_DEFINE_TO_INT(w, FPU_CVT_W_D, int32_t, -0x1.00000002p31, 0x1p31, d)
FPU_DEFINE_TO_INT(wu, FPU_CVT_WU_S, int32_t, -1.0, 0x1p32, s)
FPU_DEFINE_TO_INT(wu, FPU_CVT_WU_D, int32_t, -1.0, 0x1p32, d)
FPU_DEFINE_TO_INT(l, FPU_CVT_L_S, int64_t, -0x1.0000000000001p63, 0x1p63, s)
FPU_DEFINE_TO_INT(l, FPU_CVT_L_D, int64_t, -0x1.0000000000001p63, 0x1p63, d)
FPU_DEFINE_TO_INT(lu, FPU_CVT_LU_S, int64_t, -1.0, 0x1p63, s)
FPU_DEFINE_TO_INT(lu, FPU_CVT_LU_D, int64_t, -1.0, 0x1p63, d)

// From integers, in the current mode.
static inline uint64_t fpu_cvt_s_l(uint64_t a)
{
	__asm__ volatile("" : "+r"(a));
	return fpu_out_s((float)(int64_t)a);
}

static inline uint64_t fpu_cvt_d_l(uint64_t a)
{
	__asm__ volatile("" : "+r"(a));
	return fpu_out_d((double)(int64_t)a);
}

static inline uint64_t fpu_cvt_s_w(uint64_t a)
{
	return fpu_cvt_s_l((uint64_t)(int64_t)(int32_t)a);
}

static inline uint64_t fpu_cvt_d_w(uint64_t a)
{
	return fpu_cvt_d_l((uint64_t)(int64_t)(int32_t)a);
}

static inline uint64_t fpu_cvt_s_wu(uint64_t a)
{
	return fpu_cvt_s_l((uint32_t)a);
}

static inline uint64_t fpu_cvt_d_wu(uint64_t a)
{
	return fpu_cvt_d_l((uint32_t)a);
}

// Above 2^63 half the number, its lost bit kept as sticky, rounds as the whole.
static inline uint64_t fpu_cvt_s_lu(uint64_t a)
{
	if (likely((int64_t)a >= 0))
		return fpu_cvt_s_l(a);
	uint64_t half = fpu_cvt_s_l(a >> 1 | (a & 1));

	return fpu_add_s(half, half);
}

static inline uint64_t fpu_cvt_d_lu(uint64_t a)
{
	if (likely((int64_t)a >= 0))
		return fpu_cvt_d_l(a);
	uint64_t half = fpu_cvt_d_l(a >> 1 | (a & 1));

	return fpu_add_d(half, half);
}

// What follows does not round; it works on the bits.
static inline bool fpu_is_nan_s(uint32_t a)
{
	return a << 1 > 0xff000000U;
}

static inline bool fpu_is_nan_d(uint64_t a)
{
	return a << 1 > 0xffe0000000000000ULL;
}

// Numbers, -0 below +0, in the order of signed integers.
static inline int32_t fpu_key_s(uint32_t a)
{
	return (int32_t)(a ^ ((uint32_t)((int32_t)a >> 31) >> 1));
}

static inline int64_t fpu_key_d(uint64_t a)
{
	return (int64_t)(a ^ ((uint64_t)((int64_t)a >> 63) >> 1));
}

// Cold: NaN operands. minimumNumber and maximumNumber give the other operand; a
// signaling NaN raises NV, in comparisons other than feq every NaN does.
uint64_t fpu_minmax_nan_s(uint32_t a, uint32_t b);
uint64_t fpu_minmax_nan_d(uint64_t a, uint64_t b);
uint64_t fpu_compare_nan_s(uint64_t a, uint64_t b, bool quiet);
uint64_t fpu_compare_nan_d(uint64_t a, uint64_t b, bool quiet);

#define FPU_DEFINE_MINMAX_S(name, sign)                                    \
	static inline uint64_t fpu_##name##_s(uint64_t a, uint64_t b)      \
	{                                                                  \
		uint32_t x = fpu_unbox(a), y = fpu_unbox(b);               \
		if (unlikely(fpu_is_nan_s(x) || fpu_is_nan_s(y)))          \
			return fpu_minmax_nan_s(x, y);                     \
		return FPU_BOX | (fpu_key_s(x) sign fpu_key_s(y) ? x : y); \
	}
FPU_DEFINE_MINMAX_S(min, <)
FPU_DEFINE_MINMAX_S(max, >)

#define FPU_DEFINE_MINMAX_D(name, sign)                               \
	static inline uint64_t fpu_##name##_d(uint64_t a, uint64_t b) \
	{                                                             \
		if (unlikely(fpu_is_nan_d(a) || fpu_is_nan_d(b)))     \
			return fpu_minmax_nan_d(a, b);                \
		return fpu_key_d(a) sign fpu_key_d(b) ? a : b;        \
	}
FPU_DEFINE_MINMAX_D(min, <)
FPU_DEFINE_MINMAX_D(max, >)

// Quiet host comparisons; NaNs never reach them.
#define FPU_DEFINE_COMPARE(name, host, quiet, p)                        \
	static inline uint64_t fpu_##name##_##p(uint64_t a, uint64_t b) \
	{                                                               \
		__auto_type x = fpu_in_##p(a);                          \
		__auto_type y = fpu_in_##p(b);                          \
		if (unlikely(__builtin_isunordered(x, y)))              \
			return fpu_compare_nan_##p(a, b, quiet);        \
		return host(x, y);                                      \
	}

#define FPU_EQUAL(x, y) ((x) == (y))
FPU_DEFINE_COMPARE(eq, FPU_EQUAL, true, s)
FPU_DEFINE_COMPARE(eq, FPU_EQUAL, true, d)
FPU_DEFINE_COMPARE(lt, __builtin_isless, false, s)
FPU_DEFINE_COMPARE(lt, __builtin_isless, false, d)
FPU_DEFINE_COMPARE(le, __builtin_islessequal, false, s)
FPU_DEFINE_COMPARE(le, __builtin_islessequal, false, d)

// The mask of fclass (unprivileged spec table 26).
uint64_t fpu_class_s(uint64_t a);
uint64_t fpu_class_d(uint64_t a);

#define FPU_SIGN_S 0x80000000ULL
#define FPU_SIGN_D 0x8000000000000000ULL

static inline uint64_t fpu_sgnj_s(uint64_t a, uint64_t b)
{
	return FPU_BOX | (fpu_unbox(a) & ~FPU_SIGN_S) | (fpu_unbox(b) & FPU_SIGN_S);
}

static inline uint64_t fpu_sgnjn_s(uint64_t a, uint64_t b)
{
	return FPU_BOX | (fpu_unbox(a) & ~FPU_SIGN_S) | (~(uint64_t)fpu_unbox(b) & FPU_SIGN_S);
}

static inline uint64_t fpu_sgnjx_s(uint64_t a, uint64_t b)
{
	return FPU_BOX | (fpu_unbox(a) ^ (fpu_unbox(b) & FPU_SIGN_S));
}

static inline uint64_t fpu_sgnj_d(uint64_t a, uint64_t b)
{
	return (a & ~FPU_SIGN_D) | (b & FPU_SIGN_D);
}

static inline uint64_t fpu_sgnjn_d(uint64_t a, uint64_t b)
{
	return (a & ~FPU_SIGN_D) | (~b & FPU_SIGN_D);
}

static inline uint64_t fpu_sgnjx_d(uint64_t a, uint64_t b)
{
	return a ^ (b & FPU_SIGN_D);
}

// fmv and flw look at the bits alone, boxed or not; fmv.x.d and fmv.d.x copy.
static inline uint64_t fpu_mv_x_w(uint64_t a)
{
	return (uint64_t)(int64_t)(int32_t)a;
}

static inline uint64_t fpu_mv_w_x(uint64_t a)
{
	return FPU_BOX | (uint32_t)a;
}

#endif
