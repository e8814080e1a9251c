// SPDX-License-Identifier: GPL-2.0-or-later
// The host's floating point against integer arithmetic, and both against the
// RISC-V specification.
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <math.h>

#include "../../riscv/soft/fpu.h"

#define ROUNDS 20000

#define INF_S 0xffffffff7f800000ULL
#define INF_D 0x7ff0000000000000ULL
#define SNAN_S 0xffffffff7f800001ULL
#define SNAN_D 0x7ff0000000000001ULL
#define ONE_S 0xffffffff3f800000ULL
#define ONE_D 0x3ff0000000000000ULL
#define BOX(x) (FPU_BOX | (x))

static uint64_t random_state = 0x9e3779b97f4a7c15ULL;

static uint64_t random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dULL;
}

static unsigned random_below(unsigned n)
{
	return (unsigned)(random_bits() >> 33) % n;
}

// Fractions in which ties, carries and lost bits are likely.
static uint64_t random_frac(unsigned bits)
{
	uint64_t mask = (1ULL << bits) - 1, one = 1ULL << random_below(bits);

	switch (random_below(6)) {
	case 0:
		return 0;
	case 1:
		return mask;
	case 2:
		return one;
	case 3:
		return mask ^ one;
	case 4:
		return (one | 1ULL << random_below(bits)) & mask;
	default:
		return random_bits() & mask;
	}
}

// An operand of a format with @frac_bits and @exp_bits, mostly at some edge.
static uint64_t random_float(unsigned frac_bits, unsigned exp_bits)
{
	unsigned max = (1U << exp_bits) - 1, bias = max >> 1, exp;

	switch (random_below(8)) {
	case 0:
		exp = 0;
		break;
	case 1:
		exp = max;
		break;
	case 2:
		exp = 1 + random_below(3);
		break;
	case 3:
		exp = max - 1 - random_below(3);
		break;
	case 4:
		exp = bias + random_below(5) - 2;
		break;
	case 5:
		exp = bias + random_below(130) - 65;
		break;
	case 6:
		exp = bias - bias / 2 + random_below(2 * frac_bits + 4) - frac_bits;
		break;
	default:
		exp = random_below(max + 1);
		break;
	}
	return random_bits() << (frac_bits + exp_bits) | (uint64_t)(exp & max) << frac_bits |
	       random_frac(frac_bits);
}

static uint64_t random_operand(bool is_double)
{
	if (is_double)
		return random_float(52, 11);
	uint64_t box = random_below(32) ? FPU_BOX : random_bits() << 32;

	return box | (uint32_t)random_float(23, 8);
}

static uint64_t random_int(void)
{
	uint64_t x = random_bits() >> random_below(64);

	switch (random_below(4)) {
	case 0:
		return -x;
	case 1:
		return (1ULL << random_below(64)) - random_below(3) + 1;
	case 2:
		return (uint64_t)(int64_t)(int32_t)x;
	default:
		return x;
	}
}

static const char *const names[] = {
	"add",   "sub",    "mul",     "div",    "sqrt",    "madd",
	"msub",  "nmsub",  "nmadd",   "to w",   "to wu",   "to l",
	"to lu", "from w", "from wu", "from l", "from lu", "s from d/d from s",
};
static_assert(ARRAY_SIZE(names) == FPU_OP_COUNT / 2, "a name for each pair of operations");

static bool from_int(enum fpu_op op)
{
	return op >= FPU_CVT_S_W && op < FPU_CVT_S_D;
}

static uint64_t operand_of(enum fpu_op op)
{
	if (from_int(op))
		return random_int();
	return random_operand(op == FPU_CVT_D_S ? false : op == FPU_CVT_S_D ? true : op & 1);
}

// The conversions to integers in their fast forms; fpu_slow() has the others.
static uint64_t run_host(enum fpu_op op, unsigned rm, uint64_t a, uint64_t b, uint64_t c)
{
	switch (op) {
	// clang-format off
	case FPU_CVT_W_S: return fpu_cvt_w_s(a, rm);
	case FPU_CVT_W_D: return fpu_cvt_w_d(a, rm);
	case FPU_CVT_WU_S: return fpu_cvt_wu_s(a, rm);
	case FPU_CVT_WU_D: return fpu_cvt_wu_d(a, rm);
	case FPU_CVT_L_S: return fpu_cvt_l_s(a, rm);
	case FPU_CVT_L_D: return fpu_cvt_l_d(a, rm);
	case FPU_CVT_LU_S: return fpu_cvt_lu_s(a, rm);
	case FPU_CVT_LU_D: return fpu_cvt_lu_d(a, rm);
	default: return fpu_slow(op, rm, a, b, c);
		// clang-format on
	}
}

static void compare_once(enum fpu_op op, unsigned rm)
{
	uint64_t a = operand_of(op), b = operand_of(op), c = operand_of(op);
	unsigned soft_flags = 0;

	fpu_set_flags(0);
	uint64_t host = run_host(op, rm, a, b, c);
	unsigned host_flags = fpu_get_flags();
	uint64_t soft = fpu_soft(op, rm, a, b, c, &soft_flags);

	if (host != soft || host_flags != soft_flags)
		fail_msg("%s.%c rm %u of %#lx %#lx %#lx: host %#lx flags %#x, soft %#lx flags %#x",
			 names[op / 2], op & 1 ? 'd' : 's', rm, a, b, c, host, host_flags, soft,
			 soft_flags);
}

static void test_host_equals_soft(void **state)
{
	fpu_init_thread();
	for (unsigned op = 0; op < FPU_OP_COUNT; op++) {
		for (unsigned rm = FPU_RNE; rm <= FPU_RMM; rm++) {
			for (unsigned i = 0; i < ROUNDS; i++)
				compare_once(op, rm);
		}
	}
}

// Truncation is the only mode that the conversions to integers leave to the host;
// the host's other modes are oracles for the rest, and round() for RMM.
// Not as gcc inlines it: by magnitude, which is wrong in the directed modes.
static double (*volatile library_rint)(double) = rint;

static uint64_t library_round(double x, unsigned rm)
{
	double r;

	if (rm == FPU_RMM) {
		r = round(x);
	} else {
		fpu_set_rounding(rm);
		FPU_BARRIER(x);
		r = library_rint(x);
		FPU_BARRIER(r);
		fpu_set_rounding(FPU_RNE);
	}
	return (uint64_t)(int64_t)r;
}

static void test_to_int_rounds_as_library(void **state)
{
	fpu_init_thread();
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned rm = i % 5;
		double x = (double)((int64_t)random_bits() >> random_below(60)) / 4;
		uint64_t bits, expected = library_round(x, rm);

		memcpy(&bits, &x, sizeof(bits));
		fpu_set_flags(0);
		assert_int_equal(fpu_cvt_l_d(bits, rm), expected);
		assert_int_equal(fpu_get_flags(), (double)(int64_t)expected == x ? 0 : FPU_NX);
	}
}

struct vector {
	enum fpu_op op;
	unsigned rm;
	uint64_t a, b, c;
	uint64_t result;
	unsigned flags;
};

static const struct vector vectors[] = {
	// 1 + 2^-24 is a tie between 1 and 1 + 2^-23; with 2^-53 in double.
	{ FPU_ADD_S, FPU_RMM, ONE_S, BOX(0x33800000), 0, BOX(0x3f800001), FPU_NX },
	{ FPU_ADD_S, FPU_RNE, ONE_S, BOX(0x33800000), 0, ONE_S, FPU_NX },
	{ FPU_ADD_D, FPU_RMM, ONE_D, 0x3ca0000000000000, 0, ONE_D + 1, FPU_NX },
	{ FPU_ADD_D, FPU_RMM, ONE_D | FPU_SIGN_D, 0xbca0000000000000, 0, (ONE_D + 1) | FPU_SIGN_D,
	  FPU_NX },
	{ FPU_ADD_D, FPU_RMM, ONE_D, 0x3c90000000000000, 0, ONE_D, FPU_NX },
	// The least subnormal halved: 0 by ties to even, itself by RMM.
	{ FPU_MUL_D, FPU_RNE, 1, 0x3fe0000000000000, 0, 0, FPU_UF | FPU_NX },
	{ FPU_MUL_D, FPU_RMM, 1, 0x3fe0000000000000, 0, 1, FPU_UF | FPU_NX },
	{ FPU_MUL_S, FPU_RMM, BOX(1), BOX(0x3e800000), 0, BOX(0), FPU_UF | FPU_NX },
	// Tiny before rounding alone raises no underflow (spec 20.2): the product
	// (1 - 2^-53) * 2^-1022 * (1 + 2^-52) rounds up to the least normal number.
	{ FPU_MUL_D, FPU_RNE, 0x3fefffffffffffff, 0x0010000000000000, 0, 0x0010000000000000,
	  FPU_UF | FPU_NX },
	{ FPU_MUL_D, FPU_RNE, 0x3ff0000000000001, 0x000fffffffffffff, 0, 0x0010000000000000,
	  FPU_NX },
	// Overflow: the mode tells infinity from the largest number.
	{ FPU_MUL_D, FPU_RMM, INF_D - 1, 0x4000000000000000, 0, INF_D, FPU_OF | FPU_NX },
	{ FPU_MUL_D, FPU_RTZ, INF_D - 1, 0x4000000000000000, 0, INF_D - 1, FPU_OF | FPU_NX },
	{ FPU_MUL_D, FPU_RDN, INF_D - 1, 0x4000000000000000, 0, INF_D - 1, FPU_OF | FPU_NX },
	{ FPU_MUL_D, FPU_RUP, INF_D - 1, 0x4000000000000000, 0, INF_D, FPU_OF | FPU_NX },
	{ FPU_DIV_D, FPU_RMM, ONE_D, 0, 0, INF_D, FPU_DZ },
	{ FPU_DIV_D, FPU_RNE, 0, 0, 0, FPU_NAN_D, FPU_NV },
	{ FPU_DIV_S, FPU_RNE, INF_S, INF_S, 0, FPU_NAN_S, FPU_NV },
	{ FPU_SQRT_D, FPU_RNE, 0xbff0000000000000, 0, 0, FPU_NAN_D, FPU_NV },
	{ FPU_SQRT_D, FPU_RNE, FPU_SIGN_D, 0, 0, FPU_SIGN_D, 0 },
	// Exact cancellation is +0, but -0 when rounding down.
	{ FPU_SUB_D, FPU_RNE, ONE_D, ONE_D, 0, 0, 0 },
	{ FPU_SUB_D, FPU_RDN, ONE_D, ONE_D, 0, FPU_SIGN_D, 0 },
	// infinity * 0 + quiet NaN (spec 20.6).
	{ FPU_MADD_D, FPU_RNE, INF_D, 0, FPU_NAN_D, FPU_NAN_D, FPU_NV },
	{ FPU_MADD_S, FPU_RMM, BOX(0), INF_S, FPU_NAN_S, FPU_NAN_S, FPU_NV },
	{ FPU_MADD_D, FPU_RNE, ONE_D, ONE_D, FPU_NAN_D, FPU_NAN_D, 0 },
	// One rounding: (1 + 2^-52) * (1 - 2^-52) - 1 = -2^-104.
	{ FPU_MSUB_D, FPU_RNE, ONE_D + 1, ONE_D - 2, ONE_D, 0xb970000000000000, 0 },
	{ FPU_NMADD_D, FPU_RNE, ONE_D, ONE_D, ONE_D, 0xc000000000000000, 0 },
	{ FPU_NMSUB_D, FPU_RNE, ONE_D, ONE_D, ONE_D, 0, 0 },
	// An operand that is not boxed is the canonical NaN, a quiet one.
	{ FPU_ADD_S, FPU_RNE, 0x3f800000, ONE_S, 0, FPU_NAN_S, 0 },
	{ FPU_ADD_S, FPU_RNE, SNAN_S, ONE_S, 0, FPU_NAN_S, FPU_NV },
	{ FPU_CVT_D_S, FPU_RNE, SNAN_S & 0xffffffff, 0, 0, FPU_NAN_D, 0 },
	{ FPU_CVT_D_S, FPU_RNE, SNAN_S, 0, 0, FPU_NAN_D, FPU_NV },
	{ FPU_CVT_S_D, FPU_RNE, 0xffffffffffffffff, 0, 0, FPU_NAN_S, 0 },
	// Conversions at the limits (spec table 28). Out of range is NV without NX.
	{ FPU_CVT_W_D, FPU_RTZ, 0x41dfffffffe00000, 0, 0, 0x7fffffff, FPU_NX },
	{ FPU_CVT_W_D, FPU_RNE, 0x41dfffffffe00000, 0, 0, 0x7fffffff, FPU_NV },
	{ FPU_CVT_W_D, FPU_RTZ, 0xc1e0000000100000, 0, 0, 0xffffffff80000000, FPU_NX },
	{ FPU_CVT_W_D, FPU_RDN, 0xc1e0000000100000, 0, 0, 0xffffffff80000000, FPU_NV },
	{ FPU_CVT_W_D, FPU_RTZ, 0xc1e0000000200000, 0, 0, 0xffffffff80000000, FPU_NV },
	{ FPU_CVT_W_S, FPU_RTZ, FPU_NAN_S, 0, 0, 0x7fffffff, FPU_NV },
	{ FPU_CVT_W_S, FPU_RTZ, INF_S | FPU_SIGN_S, 0, 0, 0xffffffff80000000, FPU_NV },
	{ FPU_CVT_WU_D, FPU_RTZ, 0xbfefffffffffffff, 0, 0, 0, FPU_NX },
	{ FPU_CVT_WU_D, FPU_RDN, 0xbfefffffffffffff, 0, 0, 0, FPU_NV },
	{ FPU_CVT_WU_D, FPU_RTZ, 0xbff0000000000000, 0, 0, 0, FPU_NV },
	{ FPU_CVT_WU_D, FPU_RTZ, 0x41efffffffffffff, 0, 0, 0xffffffffffffffff, FPU_NX },
	{ FPU_CVT_WU_D, FPU_RTZ, 0x41f0000000000000, 0, 0, 0xffffffffffffffff, FPU_NV },
	{ FPU_CVT_WU_S, FPU_RTZ, FPU_NAN_S, 0, 0, 0xffffffffffffffff, FPU_NV },
	{ FPU_CVT_L_D, FPU_RTZ, 0xc3e0000000000000, 0, 0, 0x8000000000000000, 0 },
	{ FPU_CVT_L_D, FPU_RTZ, 0xc3e0000000000001, 0, 0, 0x8000000000000000, FPU_NV },
	{ FPU_CVT_L_D, FPU_RTZ, 0x43e0000000000000, 0, 0, 0x7fffffffffffffff, FPU_NV },
	{ FPU_CVT_LU_D, FPU_RTZ, 0x43e0000000000000, 0, 0, 0x8000000000000000, 0 },
	{ FPU_CVT_LU_D, FPU_RTZ, 0x43f0000000000000, 0, 0, 0xffffffffffffffff, FPU_NV },
	{ FPU_CVT_LU_S, FPU_RUP, 0xffffffffbf000000, 0, 0, 0, FPU_NX },
	{ FPU_CVT_L_S, FPU_RMM, BOX(0x3f000000), 0, 0, 1, FPU_NX },
	{ FPU_CVT_L_S, FPU_RMM, BOX(0xbf000000), 0, 0, 0xffffffffffffffff, FPU_NX },
	{ FPU_CVT_L_S, FPU_RNE, BOX(0x3f000000), 0, 0, 0, FPU_NX },
	{ FPU_CVT_S_LU, FPU_RNE, 0xffffffffffffffff, 0, 0, BOX(0x5f800000), FPU_NX },
	{ FPU_CVT_S_LU, FPU_RTZ, 0xffffffffffffffff, 0, 0, BOX(0x5f7fffff), FPU_NX },
	{ FPU_CVT_D_LU, FPU_RDN, 0x8000000000000001, 0, 0, 0x43e0000000000000, FPU_NX },
	{ FPU_CVT_D_LU, FPU_RUP, 0x8000000000000001, 0, 0, 0x43e0000000000001, FPU_NX },
	{ FPU_CVT_S_W, FPU_RMM, 0x01000001, 0, 0, BOX(0x4b800001), FPU_NX },
	{ FPU_CVT_S_W, FPU_RNE, 0xdeadbeef00000000, 0, 0, BOX(0), 0 },
	{ FPU_CVT_D_WU, FPU_RNE, 0xffffffffffffffff, 0, 0, 0x41efffffffe00000, 0 },
};

static void test_vectors(void **state)
{
	fpu_init_thread();
	for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		unsigned flags = 0;
		uint64_t r = fpu_soft(v->op, v->rm, v->a, v->b, v->c, &flags);

		if (r != v->result || flags != v->flags)
			fail_msg("vector %u: soft %#lx flags %#x", i, r, flags);
		fpu_set_flags(0);
		r = run_host(v->op, v->rm, v->a, v->b, v->c);
		if (r != v->result || fpu_get_flags() != v->flags)
			fail_msg("vector %u: host %#lx flags %#x", i, r, fpu_get_flags());
	}
}

static void test_slow_keeps_mode(void **state)
{
	fpu_init_thread();
	for (unsigned rm = FPU_RNE; rm <= FPU_RUP; rm++) {
		fpu_set_rounding(rm);
		for (unsigned other = FPU_RNE; other <= FPU_RMM; other++) {
			fpu_slow(FPU_DIV_D, other, ONE_D, 0x4008000000000000, 0);
			assert_int_equal(fpu_get_rounding(), rm);
		}
	}
	fpu_set_rounding(FPU_RNE);
}

static void test_flags_accrue(void **state)
{
	fpu_init_thread();
	for (unsigned flags = 0; flags < 32; flags++) {
		fpu_set_flags(flags);
		assert_int_equal(fpu_get_flags(), flags);
		fpu_div_d(ONE_D, 0);
		assert_int_equal(fpu_get_flags(), flags | FPU_DZ);
		fpu_raise(FPU_NX);
		assert_int_equal(fpu_get_flags(), flags | FPU_DZ | FPU_NX);
	}
}

static void test_fast_uses_current_mode(void **state)
{
	static const uint64_t third[] = { 0x3fd5555555555555, 0x3fd5555555555555,
					  0x3fd5555555555555, 0x3fd5555555555556 };

	fpu_init_thread();
	for (unsigned rm = FPU_RNE; rm <= FPU_RUP; rm++) {
		fpu_set_rounding(rm);
		assert_int_equal(fpu_div_d(ONE_D, 0x4008000000000000), third[rm]);
	}
	fpu_set_rounding(FPU_RNE);
}

// A value's class and place in the order of numbers; equal places are equal.
struct sample {
	uint64_t s, d;
	unsigned class_bit;
	int place;
};

static const struct sample samples[] = {
	{ BOX(0xff800000), 0xfff0000000000000, 0, -5 },
	{ BOX(0xff7fffff), 0xffefffffffffffff, 1, -4 },
	{ BOX(0x80800000), 0x8010000000000000, 1, -3 },
	{ BOX(0x807fffff), 0x800fffffffffffff, 2, -2 },
	{ BOX(0x80000001), 0x8000000000000001, 2, -1 },
	{ BOX(0x80000000), 0x8000000000000000, 3, 0 },
	{ BOX(0x00000000), 0x0000000000000000, 4, 0 },
	{ BOX(0x00000001), 0x0000000000000001, 5, 1 },
	{ BOX(0x007fffff), 0x000fffffffffffff, 5, 2 },
	{ BOX(0x00800000), 0x0010000000000000, 6, 3 },
	{ BOX(0x7f7fffff), 0x7fefffffffffffff, 6, 4 },
	{ BOX(0x7f800000), 0x7ff0000000000000, 7, 5 },
	{ BOX(0x7f800001), 0x7ff0000000000001, 8, 0 },
	{ BOX(0xffbfffff), 0xfff7ffffffffffff, 8, 0 },
	{ BOX(0x7fc00000), 0x7ff8000000000000, 9, 0 },
	{ BOX(0xffffffff), 0xffffffffffffffff, 9, 0 },
};

static void test_class(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
		assert_int_equal(fpu_class_s(samples[i].s), 1U << samples[i].class_bit);
		assert_int_equal(fpu_class_d(samples[i].d), 1U << samples[i].class_bit);
		assert_int_equal(fpu_class_s(samples[i].s & ~(1ULL << 40)), 1U << 9);
	}
}

static bool is_nan(const struct sample *x)
{
	return x->class_bit >= 8;
}

static void check_compare(uint64_t got, bool expected, unsigned flags)
{
	assert_int_equal(got, expected);
	assert_int_equal(fpu_get_flags(), flags);
	fpu_set_flags(0);
}

static void compare_pair(const struct sample *x, const struct sample *y)
{
	bool ordered = !is_nan(x) && !is_nan(y);
	unsigned quiet = x->class_bit == 8 || y->class_bit == 8 ? FPU_NV : 0;
	unsigned loud = ordered ? 0 : FPU_NV;

	check_compare(fpu_eq_s(x->s, y->s), ordered && x->place == y->place, quiet);
	check_compare(fpu_eq_d(x->d, y->d), ordered && x->place == y->place, quiet);
	check_compare(fpu_lt_s(x->s, y->s), ordered && x->place < y->place, loud);
	check_compare(fpu_lt_d(x->d, y->d), ordered && x->place < y->place, loud);
	check_compare(fpu_le_s(x->s, y->s), ordered && x->place <= y->place, loud);
	check_compare(fpu_le_d(x->d, y->d), ordered && x->place <= y->place, loud);
}

// The samples are in ascending order, -0 before +0, NaNs last.
static void minmax_pair(const struct sample *x, const struct sample *y)
{
	static const struct sample canonical = { FPU_NAN_S, FPU_NAN_D, 9, 0 };
	const struct sample *low = x < y ? x : y, *high = x < y ? y : x;
	unsigned flags = x->class_bit == 8 || y->class_bit == 8 ? FPU_NV : 0;

	if (is_nan(high))
		high = low;
	if (is_nan(low))
		low = high = &canonical;
	assert_int_equal(fpu_min_s(x->s, y->s), low->s);
	assert_int_equal(fpu_max_s(x->s, y->s), high->s);
	assert_int_equal(fpu_get_flags(), flags);
	fpu_set_flags(0);
	assert_int_equal(fpu_min_d(x->d, y->d), low->d);
	assert_int_equal(fpu_max_d(x->d, y->d), high->d);
	assert_int_equal(fpu_get_flags(), flags);
	fpu_set_flags(0);
}

static void test_order(void **state)
{
	fpu_init_thread();
	for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(samples); j++) {
			compare_pair(&samples[i], &samples[j]);
			minmax_pair(&samples[i], &samples[j]);
		}
	}
}

static void test_order_boxing(void **state)
{
	fpu_init_thread();
	assert_int_equal(fpu_min_s(0x3f800000, INF_S), INF_S);
	assert_int_equal(fpu_max_s(0x3f800000, 0x3f800000), FPU_NAN_S);
	assert_int_equal(fpu_eq_s(0x3f800000, 0x3f800000), 0);
	assert_int_equal(fpu_get_flags(), 0);
	assert_int_equal(fpu_lt_s(0x3f800000, INF_S), 0);
	assert_int_equal(fpu_get_flags(), FPU_NV);
}

static void test_sign_injection(void **state)
{
	assert_int_equal(fpu_sgnj_s(ONE_S, SNAN_S | FPU_SIGN_S), BOX(0xbf800000));
	assert_int_equal(fpu_sgnjn_s(ONE_S, SNAN_S | FPU_SIGN_S), ONE_S);
	assert_int_equal(fpu_sgnjx_s(BOX(0xbf800000), BOX(0x80000000)), ONE_S);
	assert_int_equal(fpu_sgnj_s(SNAN_S, ONE_S), SNAN_S);
	assert_int_equal(fpu_sgnjn_s(0x3f800000, 0xbf800000), BOX(0xffc00000));
	assert_int_equal(fpu_sgnj_d(ONE_D, SNAN_D | FPU_SIGN_D), ONE_D | FPU_SIGN_D);
	assert_int_equal(fpu_sgnjn_d(ONE_D, ONE_D), ONE_D | FPU_SIGN_D);
	assert_int_equal(fpu_sgnjx_d(ONE_D | FPU_SIGN_D, FPU_SIGN_D), ONE_D);
}

static void test_moves(void **state)
{
	assert_int_equal(fpu_mv_x_w(0x1234567880000000), 0xffffffff80000000);
	assert_int_equal(fpu_mv_w_x(0x1234567880000000), BOX(0x80000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_host_equals_soft),
		cmocka_unit_test(test_to_int_rounds_as_library),
		cmocka_unit_test(test_slow_keeps_mode),
		cmocka_unit_test(test_flags_accrue),
		cmocka_unit_test(test_fast_uses_current_mode),
		cmocka_unit_test(test_class),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_boxing),
		cmocka_unit_test(test_sign_injection),
		cmocka_unit_test(test_moves),
	};

	return cmocka_run_group_tests_name("fpu", tests, NULL, NULL);
}
