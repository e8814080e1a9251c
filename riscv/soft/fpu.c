// SPDX-License-Identifier: GPL-2.0-or-later
// RISC-V floating point: the environment, the cold halves of the fast forms, and
// operations in a rounding mode that is not the current one.
#include "fpu.h"

#include <fenv.h>

#define QUIET_S 0x00400000U
#define QUIET_D 0x0008000000000000ULL

#if defined(__x86_64__)
// All exceptions masked; FTZ, DAZ and the flags clear (Intel SDM vol. 1, 10.2.3).
#define MXCSR_DEFAULT 0x1f80U

void fpu_init_thread(void)
{
	_mm_setcsr(MXCSR_DEFAULT);
}
#else
static const struct {
	int host;
	unsigned flag;
} flag_map[] = {
	{ FE_INVALID, FPU_NV },   { FE_DIVBYZERO, FPU_DZ }, { FE_OVERFLOW, FPU_OF },
	{ FE_UNDERFLOW, FPU_UF }, { FE_INEXACT, FPU_NX },
};

static const int host_rounding[] = { FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD };

void fpu_init_thread(void)
{
	fesetenv(FE_DFL_ENV);
}

unsigned fpu_get_flags(void)
{
	int host = fetestexcept(FE_ALL_EXCEPT);
	unsigned flags = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(flag_map); i++) {
		if (host & flag_map[i].host)
			flags |= flag_map[i].flag;
	}
	return flags;
}

static fexcept_t host_flags(unsigned flags)
{
	fexcept_t host = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(flag_map); i++) {
		if (flags & flag_map[i].flag)
			host |= (fexcept_t)flag_map[i].host;
	}
	return host;
}

// Not by feraiseexcept(), which may raise inexact with overflow and underflow.
void fpu_set_flags(unsigned flags)
{
	fexcept_t host = host_flags(flags);

	fesetexceptflag(&host, FE_ALL_EXCEPT);
}

void fpu_raise(unsigned flags)
{
	fpu_set_flags(fpu_get_flags() | flags);
}

unsigned fpu_get_rounding(void)
{
	int host = fegetround();

	for (unsigned rm = 0; rm < ARRAY_SIZE(host_rounding); rm++) {
		if (host == host_rounding[rm])
			return rm;
	}
	return FPU_RNE;
}

void fpu_set_rounding(unsigned rm)
{
	fesetround(host_rounding[rm & 3]);
}
#endif

uint64_t fpu_soft_raise(enum fpu_op op, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
	unsigned flags = 0;
	uint64_t r = fpu_soft(op, rm, a, b, c, &flags);

	if (flags)
		fpu_raise(flags);
	return r;
}

uint64_t fpu_soft_here(enum fpu_op op, uint64_t a, uint64_t b, uint64_t c)
{
	return fpu_soft_raise(op, fpu_get_rounding(), a, b, c);
}

static bool is_signaling_s(uint32_t a)
{
	return fpu_is_nan_s(a) && !(a & QUIET_S);
}

static bool is_signaling_d(uint64_t a)
{
	return fpu_is_nan_d(a) && !(a & QUIET_D);
}

uint64_t fpu_fma_nan_s(uint64_t a, uint64_t b)
{
	uint32_t x = fpu_unbox(a) << 1, y = fpu_unbox(b) << 1;

	if ((x == 0xff000000U && y == 0) || (x == 0 && y == 0xff000000U))
		fpu_raise(FPU_NV);
	return FPU_NAN_S;
}

uint64_t fpu_fma_nan_d(uint64_t a, uint64_t b)
{
	uint64_t x = a << 1, y = b << 1, inf = 0xffe0000000000000ULL;

	if ((x == inf && y == 0) || (x == 0 && y == inf))
		fpu_raise(FPU_NV);
	return FPU_NAN_D;
}

uint64_t fpu_minmax_nan_s(uint32_t a, uint32_t b)
{
	if (is_signaling_s(a) || is_signaling_s(b))
		fpu_raise(FPU_NV);
	if (!fpu_is_nan_s(a))
		return FPU_BOX | a;
	return fpu_is_nan_s(b) ? FPU_NAN_S : FPU_BOX | b;
}

uint64_t fpu_minmax_nan_d(uint64_t a, uint64_t b)
{
	if (is_signaling_d(a) || is_signaling_d(b))
		fpu_raise(FPU_NV);
	if (!fpu_is_nan_d(a))
		return a;
	return fpu_is_nan_d(b) ? FPU_NAN_D : b;
}

uint64_t fpu_compare_nan_s(uint64_t a, uint64_t b, bool quiet)
{
	if (!quiet || is_signaling_s(fpu_unbox(a)) || is_signaling_s(fpu_unbox(b)))
		fpu_raise(FPU_NV);
	return 0;
}

uint64_t fpu_compare_nan_d(uint64_t a, uint64_t b, bool quiet)
{
	if (!quiet || is_signaling_d(a) || is_signaling_d(b))
		fpu_raise(FPU_NV);
	return 0;
}

// The bit numbers of the classes of positive values; a negative one mirrors its
// own at 7 - n.
enum { CLASS_POS_ZERO = 4, CLASS_POS_SUBNORMAL, CLASS_POS_NORMAL, CLASS_POS_INF };
enum { CLASS_SIGNALING_NAN = 8, CLASS_QUIET_NAN = 9 };

static uint64_t class_bit(unsigned positive_class, bool negative)
{
	return 1ULL << (negative ? 7 - positive_class : positive_class);
}

uint64_t fpu_class_s(uint64_t a)
{
	uint32_t x = fpu_unbox(a), magnitude = x & ~(uint32_t)FPU_SIGN_S;

	if (fpu_is_nan_s(x))
		return 1U << (x & QUIET_S ? CLASS_QUIET_NAN : CLASS_SIGNALING_NAN);
	if (magnitude == 0)
		return class_bit(CLASS_POS_ZERO, x != 0);
	if (magnitude < 0x00800000U)
		return class_bit(CLASS_POS_SUBNORMAL, x != magnitude);
	return class_bit(magnitude == 0x7f800000U ? CLASS_POS_INF : CLASS_POS_NORMAL,
			 x != magnitude);
}

uint64_t fpu_class_d(uint64_t a)
{
	uint64_t magnitude = a & ~FPU_SIGN_D;

	if (fpu_is_nan_d(a))
		return 1U << (a & QUIET_D ? CLASS_QUIET_NAN : CLASS_SIGNALING_NAN);
	if (magnitude == 0)
		return class_bit(CLASS_POS_ZERO, a != 0);
	if (magnitude < 0x0010000000000000ULL)
		return class_bit(CLASS_POS_SUBNORMAL, a != magnitude);
	return class_bit(magnitude == 0x7ff0000000000000ULL ? CLASS_POS_INF : CLASS_POS_NORMAL,
			 a != magnitude);
}

// @op in the current mode.
static uint64_t run_fast(enum fpu_op op, uint64_t a, uint64_t b, uint64_t c)
{
	switch (op) {
	// clang-format off
	case FPU_ADD_S: return fpu_add_s(a, b);
	case FPU_ADD_D: return fpu_add_d(a, b);
	case FPU_SUB_S: return fpu_sub_s(a, b);
	case FPU_SUB_D: return fpu_sub_d(a, b);
	case FPU_MUL_S: return fpu_mul_s(a, b);
	case FPU_MUL_D: return fpu_mul_d(a, b);
	case FPU_DIV_S: return fpu_div_s(a, b);
	case FPU_DIV_D: return fpu_div_d(a, b);
	case FPU_SQRT_S: return fpu_sqrt_s(a);
	case FPU_SQRT_D: return fpu_sqrt_d(a);
	case FPU_MADD_S: return fpu_madd_s(a, b, c);
	case FPU_MADD_D: return fpu_madd_d(a, b, c);
	case FPU_MSUB_S: return fpu_msub_s(a, b, c);
	case FPU_MSUB_D: return fpu_msub_d(a, b, c);
	case FPU_NMSUB_S: return fpu_nmsub_s(a, b, c);
	case FPU_NMSUB_D: return fpu_nmsub_d(a, b, c);
	case FPU_NMADD_S: return fpu_nmadd_s(a, b, c);
	case FPU_NMADD_D: return fpu_nmadd_d(a, b, c);
	case FPU_CVT_S_W: return fpu_cvt_s_w(a);
	case FPU_CVT_D_W: return fpu_cvt_d_w(a);
	case FPU_CVT_S_WU: return fpu_cvt_s_wu(a);
	case FPU_CVT_D_WU: return fpu_cvt_d_wu(a);
	case FPU_CVT_S_L: return fpu_cvt_s_l(a);
	case FPU_CVT_D_L: return fpu_cvt_d_l(a);
	case FPU_CVT_S_LU: return fpu_cvt_s_lu(a);
	case FPU_CVT_D_LU: return fpu_cvt_d_lu(a);
	case FPU_CVT_S_D: return fpu_cvt_s_d(a);
	case FPU_CVT_D_S: return fpu_cvt_d_s(a);
	default: return fpu_soft_here(op, a, b, c);
		// clang-format on
	}
}

static bool is_to_int(enum fpu_op op)
{
	return op >= FPU_CVT_W_S && op <= FPU_CVT_LU_D;
}

uint64_t fpu_slow(enum fpu_op op, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
	if (rm >= FPU_RMM || is_to_int(op))
		return fpu_soft_raise(op, rm, a, b, c);

	unsigned before = fpu_get_rounding();
	fpu_set_rounding(rm);
	uint64_t r = run_fast(op, a, b, c);
	fpu_set_rounding(before);
	return r;
}
