// SPDX-License-Identifier: GPL-2.0-or-later
// Operands at which integer instructions change their minds.
#ifndef GUEST_EDGES_H
#define GUEST_EDGES_H

#include <stdint.h>

static const uint64_t edges[] = {
	0, 1, 2, 3, 31, 32, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
	0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000, 0x100000001,
	0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001,
	0xffffffff7fffffff, 0xffffffff80000000, 0xffffffff00000000, 0xffffffffffffffff,
	0xfffffffffffffffe, 0xffffffffffffff80, 0xffffffffffff8000,
	0x5555555555555555, 0xaaaaaaaaaaaaaaaa, 0x0123456789abcdef, 0xfedcba9876543210,
	0x00ff00ff00ff0000, 0xffffffffffffffc0,
};

#endif
