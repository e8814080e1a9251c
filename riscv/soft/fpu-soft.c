// SPDX-License-Identifier: GPL-2.0-or-later
// RISC-V floating point by integer arithmetic: every operation that rounds, in
// every mode, for both precisions.
//
// An operand is unpacked to (-1)^sign * sig * 2^exp with a 128-bit significand
// whose top bit is set. An operation computes its result to at least 64 leading
// bits and notes in "sticky" whether anything nonzero lies below them; that is
// all that pack() needs to round once, exactly.
#include "fpu.h"

#include <limits.h>

typedef unsigned __int128 u128;

enum kind { ZERO, FINITE, INFINITE, NOT_A_NUMBER };

struct number {
	enum kind kind;
	bool sign;
	bool signaling;
	int exp;     // of bit 0
	u128 sig;    // bit 127 set when FINITE
	bool sticky; // plus something below bit 0
};

struct format {
	unsigned frac_bits;
	unsigned exp_bits;
	uint64_t box;
	uint64_t nan;
};

static const struct format formats[] = {
	{ 23, 8, FPU_BOX, FPU_NAN_S },
	{ 52, 11, 0, FPU_NAN_D },
};

// What an operation carries besides its operands.
struct context {
	const struct format *format; // of the result
	unsigned rm;
	unsigned flags;
};

static int max_biased(const struct format *f)
{
	return (1 << f->exp_bits) - 1;
}

static int bias(const struct format *f)
{
	return max_biased(f) >> 1;
}

static uint64_t sign_bit(const struct format *f, bool sign)
{
	return (uint64_t)sign << (f->frac_bits + f->exp_bits);
}

static unsigned leading_zeros(u128 x)
{
	uint64_t high = (uint64_t)(x >> 64);

	return high ? (unsigned)__builtin_clzll(high) : 64 + (unsigned)__builtin_clzll((uint64_t)x);
}

// Moves the top set bit of a nonzero @n->sig to bit 127.
static void normalize(struct number *n)
{
	unsigned shift = leading_zeros(n->sig);

	n->sig <<= shift;
	n->exp -= (int)shift;
}

// x >> shift; *@sticky is set when a lost bit was.
static u128 shift_right(u128 x, unsigned shift, bool *sticky)
{
	if (shift == 0)
		return x;
	if (shift > 127) {
		*sticky |= x != 0;
		return 0;
	}
	*sticky |= x << (128 - shift) != 0;
	return x >> shift;
}

static struct number unpack(const struct format *f, uint64_t bits)
{
	if (f->box)
		bits = fpu_unbox(bits);
	uint64_t frac = bits & ((1ULL << f->frac_bits) - 1);
	int biased = (int)(bits >> f->frac_bits) & max_biased(f);
	struct number n = {
		.kind = FINITE,
		.sign = bits >> (f->frac_bits + f->exp_bits) & 1,
		.exp = (biased ? biased : 1) - bias(f) - (int)f->frac_bits,
		.sig = biased ? frac | 1ULL << f->frac_bits : frac,
	};

	if (biased == max_biased(f)) {
		n.kind = frac ? NOT_A_NUMBER : INFINITE;
		n.signaling = frac && !(frac >> (f->frac_bits - 1));
	} else if (n.sig == 0) {
		n.kind = ZERO;
	} else {
		normalize(&n);
	}
	return n;
}

// Whether a magnitude with last bit @odd goes up, given the first bit below it
// and whether any lower one is set.
static bool rounds_up(unsigned rm, bool sign, bool odd, bool half, bool rest)
{
	switch (rm) {
	case FPU_RTZ:
		return false;
	case FPU_RDN:
		return sign && (half || rest);
	case FPU_RUP:
		return !sign && (half || rest);
	case FPU_RMM:
		return half;
	default:
		return half && (rest || odd);
	}
}

// @n's significand without its low @drop (1 or more) bits, rounded.
static u128 round_off(const struct number *n, unsigned drop, unsigned rm, bool *inexact)
{
	bool rest = n->sticky;
	u128 x = shift_right(n->sig, drop - 1, &rest);
	bool half = x & 1;

	x >>= 1;
	*inexact = half || rest;
	return x + rounds_up(rm, n->sign, x & 1, half, rest);
}

static uint64_t pack_overflow(struct context *ctx, bool sign)
{
	const struct format *f = ctx->format;
	uint64_t inf = (uint64_t)max_biased(f) << f->frac_bits;

	ctx->flags |= FPU_OF | FPU_NX;
	// An odd value with a half above it goes to infinity where it would go up.
	return f->box | sign_bit(f, sign) | (inf - !rounds_up(ctx->rm, sign, true, true, true));
}

// Rounds a FINITE number and sets the flags.
static uint64_t pack_finite(struct context *ctx, struct number n)
{
	const struct format *f = ctx->format;
	unsigned precision = f->frac_bits + 1, drop = 128 - precision;

	normalize(&n);
	int biased = n.exp + 127 + bias(f);
	bool inexact, tiny = false;

	if (biased < 1) {
		// Tiny after rounding: still below the least normal number when
		// rounded to full precision (IEEE 754 7.5).
		tiny = biased < 0 || !(round_off(&n, drop, ctx->rm, &inexact) >> precision);
		drop = MIN(drop + (unsigned)(1 - biased), 200U);
		biased = 1;
	}
	uint64_t sig = (uint64_t)round_off(&n, drop, ctx->rm, &inexact);
	// The implicit bit and a carry out of the fraction both add to the exponent.
	uint64_t bits = ((uint64_t)(biased - 1) << f->frac_bits) + sig;

	if (bits >> f->frac_bits >= (uint64_t)max_biased(f))
		return pack_overflow(ctx, n.sign);
	if (inexact)
		ctx->flags |= tiny ? FPU_UF | FPU_NX : FPU_NX;
	return f->box | sign_bit(f, n.sign) | bits;
}

static uint64_t pack(struct context *ctx, struct number n)
{
	const struct format *f = ctx->format;

	switch (n.kind) {
	case ZERO:
		return f->box | sign_bit(f, n.sign);
	case INFINITE:
		return f->box | sign_bit(f, n.sign) | (uint64_t)max_biased(f) << f->frac_bits;
	case NOT_A_NUMBER:
		return f->nan;
	default:
		return pack_finite(ctx, n);
	}
}

static struct number invalid(struct context *ctx)
{
	ctx->flags |= FPU_NV;
	return (struct number){ .kind = NOT_A_NUMBER };
}

// The NaN that operands @a and @b give.
static struct number propagate(struct context *ctx, const struct number *a, const struct number *b)
{
	if (a->signaling || b->signaling)
		ctx->flags |= FPU_NV;
	return (struct number){ .kind = NOT_A_NUMBER };
}

static bool either(const struct number *a, const struct number *b, enum kind kind)
{
	return a->kind == kind || b->kind == kind;
}

// |a| + |b| or |a| - |b| of finite numbers, |a|'s exponent not below |b|'s.
static struct number add_aligned(struct number a, struct number b)
{
	bool lost = false;

	// Room for the carry. The lowest bit of either is zero: see multiply().
	a.sig >>= 1;
	a.exp++;
	b.sig = shift_right(b.sig, (unsigned)MIN(a.exp - b.exp, 128), &lost);
	if (a.sign == b.sign) {
		a.sig += b.sig;
	} else if (b.sig > a.sig) {
		a.sig = b.sig - a.sig;
		a.sign = b.sign;
	} else {
		a.sig -= b.sig + lost;
	}
	a.sticky = lost;
	return a;
}

static struct number add(struct context *ctx, struct number a, struct number b)
{
	if (either(&a, &b, NOT_A_NUMBER))
		return propagate(ctx, &a, &b);
	if (a.kind == INFINITE && b.kind == INFINITE)
		return a.sign == b.sign ? a : invalid(ctx);
	if (a.kind == INFINITE)
		return a;
	if (b.kind == INFINITE)
		return b;
	struct number zero = {
		.kind = ZERO,
		.sign = a.sign == b.sign ? a.sign : ctx->rm == FPU_RDN,
	};
	if (a.kind == ZERO)
		return b.kind == ZERO ? zero : b;
	if (b.kind == ZERO)
		return a;
	struct number r = a.exp >= b.exp ? add_aligned(a, b) : add_aligned(b, a);
	return r.sig || r.sticky ? r : zero;
}

// The exact product: 53 bits by 53 bits leave the low 22 of 128 zero.
static struct number multiply(struct context *ctx, struct number a, struct number b)
{
	struct number r = { .kind = FINITE, .sign = a.sign != b.sign };

	if (either(&a, &b, NOT_A_NUMBER))
		return propagate(ctx, &a, &b);
	if (either(&a, &b, INFINITE)) {
		r.kind = INFINITE;
		return either(&a, &b, ZERO) ? invalid(ctx) : r;
	}
	if (either(&a, &b, ZERO)) {
		r.kind = ZERO;
		return r;
	}
	r.exp = a.exp + b.exp + 128;
	r.sig = (a.sig >> 64) * (b.sig >> 64);
	normalize(&r);
	return r;
}

// a * b + c with one rounding. A NaN for c does not hide infinity * 0.
static struct number multiply_add(struct context *ctx, struct number a, struct number b,
				  struct number c)
{
	return add(ctx, multiply(ctx, a, b), c);
}

static struct number divide(struct context *ctx, struct number a, struct number b)
{
	struct number r = { .kind = FINITE, .sign = a.sign != b.sign };

	if (either(&a, &b, NOT_A_NUMBER))
		return propagate(ctx, &a, &b);
	if (a.kind == b.kind && a.kind != FINITE)
		return invalid(ctx);
	if (a.kind == INFINITE || b.kind == ZERO) {
		if (a.kind == FINITE)
			ctx->flags |= FPU_DZ;
		r.kind = INFINITE;
		return r;
	}
	if (a.kind == ZERO || b.kind == INFINITE) {
		r.kind = ZERO;
		return r;
	}
	// Halving the dividend keeps the quotient of 64-bit significands in 64 bits.
	u128 dividend = a.sig >> 1, divisor = b.sig >> 64;
	r.sig = dividend / divisor;
	r.sticky = dividend % divisor != 0;
	r.exp = a.exp + 1 - (b.exp + 64);
	return r;
}

// The integer square root of @x, bit by bit.
static uint64_t integer_sqrt(u128 x)
{
	u128 root = 0;

	for (int bit = 63; bit >= 0; bit--) {
		u128 trial = root | (u128)1 << bit;

		if (trial * trial <= x)
			root = trial;
	}
	return (uint64_t)root;
}

static struct number square_root(struct context *ctx, struct number a)
{
	if (a.kind == NOT_A_NUMBER)
		return propagate(ctx, &a, &a);
	if (a.kind == ZERO || (a.kind == INFINITE && !a.sign))
		return a;
	if (a.sign)
		return invalid(ctx);
	if (a.exp & 1) {
		a.sig >>= 1;
		a.exp++;
	}
	uint64_t root = integer_sqrt(a.sig);

	a.sticky = (u128)root * root != a.sig;
	a.sig = root;
	a.exp /= 2;
	return a;
}

struct int_type {
	unsigned bits;
	bool is_signed;
};

static const struct int_type int_types[] = {
	{ 32, true }, { 32, false }, { 64, true }, { 64, false }
};

static uint64_t sign_extend(uint64_t value, unsigned bits)
{
	return bits == 32 ? (uint64_t)(int64_t)(int32_t)value : value;
}

// The result nearest to a value out of range; a NaN counts as large.
static uint64_t saturate(struct context *ctx, const struct int_type *type, bool negative)
{
	uint64_t top = 1ULL << (type->bits - 1);
	uint64_t min = type->is_signed ? -top : 0;
	uint64_t max = type->is_signed ? top - 1 : top | (top - 1);

	ctx->flags |= FPU_NV;
	return sign_extend(negative ? min : max, type->bits);
}

static uint64_t to_int(struct context *ctx, const struct int_type *type, struct number n)
{
	bool negative = n.sign && n.kind != NOT_A_NUMBER;

	if (n.kind == ZERO)
		return 0;
	if (n.kind != FINITE || n.exp >= -63)
		return saturate(ctx, type, negative);
	bool inexact;
	u128 magnitude = round_off(&n, (unsigned)MIN(-n.exp, 200), ctx->rm, &inexact);
	u128 limit = (u128)1 << (type->bits - type->is_signed);

	if (negative)
		limit = type->is_signed ? limit + 1 : 1;
	if (magnitude >= limit)
		return saturate(ctx, type, negative);
	if (inexact)
		ctx->flags |= FPU_NX;
	return sign_extend(negative ? -(uint64_t)magnitude : (uint64_t)magnitude, type->bits);
}

static struct number from_int(const struct int_type *type, uint64_t value)
{
	uint64_t x = type->is_signed  ? sign_extend(value, type->bits) :
		     type->bits == 32 ? (uint32_t)value :
					value;
	bool sign = type->is_signed && x >> 63;
	struct number n = { .kind = x ? FINITE : ZERO, .sign = sign, .sig = sign ? -x : x };

	return n;
}

static struct number arithmetic(struct context *ctx, enum fpu_op op, struct number a,
				struct number b, struct number c)
{
	switch (op) {
	case FPU_ADD_S:
		return add(ctx, a, b);
	case FPU_SUB_S:
		b.sign = !b.sign;
		return add(ctx, a, b);
	case FPU_MUL_S:
		return multiply(ctx, a, b);
	case FPU_DIV_S:
		return divide(ctx, a, b);
	case FPU_SQRT_S:
		return square_root(ctx, a);
	default:
		a.sign ^= op == FPU_NMSUB_S || op == FPU_NMADD_S;
		c.sign ^= op == FPU_MSUB_S || op == FPU_NMADD_S;
		return multiply_add(ctx, a, b, c);
	}
}

static uint64_t run(struct context *ctx, enum fpu_op op, uint64_t a, uint64_t b, uint64_t c)
{
	const struct format *f = ctx->format;

	if (op >= FPU_CVT_S_D) {
		struct number n = unpack(op == FPU_CVT_S_D ? &formats[1] : &formats[0], a);

		return pack(ctx, n.kind == NOT_A_NUMBER ? propagate(ctx, &n, &n) : n);
	}
	if (op >= FPU_CVT_S_W)
		return pack(ctx, from_int(&int_types[(op - FPU_CVT_S_W) / 2], a));
	if (op >= FPU_CVT_W_S)
		return to_int(ctx, &int_types[(op - FPU_CVT_W_S) / 2], unpack(f, a));
	return pack(ctx, arithmetic(ctx, op & ~1U, unpack(f, a), unpack(f, b), unpack(f, c)));
}

uint64_t fpu_soft(enum fpu_op op, unsigned rm, uint64_t a, uint64_t b, uint64_t c, unsigned *flags)
{
	struct context ctx = { .format = &formats[op & 1], .rm = rm };
	uint64_t r = run(&ctx, op, a, b, c);

	*flags |= ctx.flags;
	return r;
}
