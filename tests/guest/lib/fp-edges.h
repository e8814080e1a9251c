// SPDX-License-Identifier: GPL-2.0-or-later
// Operands at which floating-point instructions change their minds.
#ifndef GUEST_FP_EDGES_H
#define GUEST_FP_EDGES_H

#include <stdint.h>

#define BOXED(x) (0xffffffff00000000 | (x))

// The first FEW of each serve where all triples are tried.
#define FEW 11

static const uint64_t edges_s[] = {
	BOXED(0x00000000), BOXED(0x80000000), BOXED(0x3f800000), BOXED(0xbf800001),
	BOXED(0x00000001), BOXED(0x807fffff), BOXED(0x7f7fffff), BOXED(0x7f800000),
	BOXED(0x7fc00000), BOXED(0x7f800001), BOXED(0x34000000),
	BOXED(0x00800000), BOXED(0x80800000), BOXED(0xff800000), BOXED(0xff7fffff),
	BOXED(0xffc12345), BOXED(0xffbfffff), BOXED(0x3f000000), BOXED(0x3fffffff),
	BOXED(0x40490fdb), BOXED(0xc0400000), BOXED(0x4b800000), BOXED(0x4effffff),
	BOXED(0x4f000000), BOXED(0xcf000000), BOXED(0xcf000001), BOXED(0x4f7fffff),
	BOXED(0x5effffff), BOXED(0xdf000000), BOXED(0x5f800000), BOXED(0x33800000),
	BOXED(0x1f800000), BOXED(0x9f7fffff), BOXED(0x5f000001), BOXED(0x3eaaaaab),
	BOXED(0x4b000001), BOXED(0xbf000000), BOXED(0xbf7fffff),
	// Not boxed: these read as the canonical NaN.
	0x000000003f800000, 0xfffffffe3f800000, 0x7fffffff7f800001,
};

static const uint64_t edges_d[] = {
	0x0000000000000000, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000001,
	0x0000000000000001, 0x800fffffffffffff, 0x7fefffffffffffff, 0x7ff0000000000000,
	0x7ff8000000000000, 0x7ff0000000000001, 0x3ca0000000000000,
	0x0010000000000000, 0x8010000000000000, 0xfff0000000000000, 0xffefffffffffffff,
	0xfff8123456789abc, 0xfff7ffffffffffff, 0x3fe0000000000000, 0x3fffffffffffffff,
	0x400921fb54442d18, 0xc008000000000000, 0x4340000000000000, 0x41dfffffffc00000,
	0x41dfffffffe00000, 0xc1e0000000000000, 0xc1e0000000200000, 0x41efffffffe00000,
	0x41effffffff00000, 0x43dfffffffffffff, 0xc3e0000000000000, 0x43f0000000000000,
	0x3810000000000000, 0x380fffffffffffff, 0x47efffffe0000000, 0x47efffffefffffff,
	0x36a0000000000000, 0x3690000000000000, 0x3ff0000010000000, 0x3fd5555555555555,
	0xbfe0000000000000, 0xbfefffffffffffff,
};

#endif
