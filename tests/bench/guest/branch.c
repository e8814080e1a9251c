// SPDX-License-Identifier: MIT-0
// Branches: a bytecode interpreter and indirect calls.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

// br-interp: bytecode interpreter
enum {
	OP_LI,
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_XOR,
	OP_SHR,
	OP_AND,
	OP_JNZ,
	OP_DEC,
	OP_LD,
	OP_ST,
	OP_LT,
	OP_JZ,
	OP_HALT
};
struct insn {
	u8 op, d, a, b;
	int imm;
};
static NOINLINE u64 run_bc(const struct insn *code, u64 *mem, u64 n, u64 *executed)
{
	u64 R[16] = { 0 }, ex = 0;
	long pc = 0;
	R[1] = n;
	for (;;) {
		struct insn i = code[pc++];
		ex++;
		switch (i.op) {
		case OP_LI:
			R[i.d] = (u64)(long)i.imm;
			break;
		case OP_ADD:
			R[i.d] = R[i.a] + R[i.b];
			break;
		case OP_SUB:
			R[i.d] = R[i.a] - R[i.b];
			break;
		case OP_MUL:
			R[i.d] = R[i.a] * R[i.b];
			break;
		case OP_XOR:
			R[i.d] = R[i.a] ^ R[i.b];
			break;
		case OP_SHR:
			R[i.d] = R[i.a] >> (i.imm & 63);
			break;
		case OP_AND:
			R[i.d] = R[i.a] & (u64)i.imm;
			break;
		case OP_DEC:
			R[i.d]--;
			break;
		case OP_LD:
			R[i.d] = mem[R[i.a] & 255];
			break;
		case OP_ST:
			mem[R[i.a] & 255] = R[i.b];
			break;
		case OP_LT:
			R[i.d] = R[i.a] < R[i.b];
			break;
		case OP_JNZ:
			if (R[i.a])
				pc += i.imm;
			break;
		case OP_JZ:
			if (!R[i.a])
				pc += i.imm;
			break;
		default:
			*executed = ex;
			return R[2];
		}
	}
}

void bench_interp(struct res *r)
{
	static const struct insn prog[] = { { OP_LI, 2, 0, 0, 12345 },
					    { OP_LI, 3, 0, 0, 1103515245 },
					    { OP_LI, 4, 0, 0, 12345 },
					    { OP_LI, 8, 0, 0, 128 },
					    // loop:
					    { OP_MUL, 2, 2, 3, 0 },
					    { OP_ADD, 2, 2, 4, 0 },
					    { OP_SHR, 5, 2, 0, 16 },
					    { OP_AND, 5, 5, 0, 255 },
					    { OP_LD, 6, 5, 0, 0 },
					    { OP_XOR, 6, 6, 2, 0 },
					    { OP_ST, 0, 5, 6, 0 },
					    { OP_LT, 7, 5, 8, 0 },
					    { OP_JZ, 0, 7, 0, 2 },
					    { OP_ADD, 2, 2, 6, 0 },
					    { OP_SUB, 4, 4, 7, 0 },
					    { OP_DEC, 1, 0, 0, 0 },
					    { OP_JNZ, 0, 1, 0, -13 },
					    { OP_HALT, 0, 0, 0, 0 } };
	static u64 mem[256];
	u64 ex = 0;
	memset(mem, 0, sizeof mem);
	double t = now();
	r->sum = run_bc(prog, mem, sc(4000000), &ex);
	r->t = now() - t;
	r->work = ex;
	r->unit = "bytecodes";
}

// br-icall: random indirect calls
static NOINLINE u64 f0(u64 x)
{
	return x * 3;
}

static NOINLINE u64 f1(u64 x)
{
	return x ^ 0x55;
}

static NOINLINE u64 f2(u64 x)
{
	return x + 77;
}

static NOINLINE u64 f3(u64 x)
{
	return x - (x >> 3);
}

static NOINLINE u64 f4(u64 x)
{
	return x << 1 | 1;
}

static NOINLINE u64 f5(u64 x)
{
	return ~x;
}

static NOINLINE u64 f6(u64 x)
{
	return x * x;
}

static NOINLINE u64 f7(u64 x)
{
	return x | 9;
}

void bench_icall(struct res *r)
{
	static u64 (*volatile const tab[8])(u64) = { f0, f1, f2, f3, f4, f5, f6, f7 };
	u64 n = sc(20000000), x = 1, q = 88172645463325252ull;
	double t = now();
	for (u64 i = 0; i < n; i++) {
		q ^= q << 13;
		q ^= q >> 7;
		q ^= q << 17;
		x = tab[q & 7](x) + i;
	}
	r->t = now() - t;
	r->sum = x;
	r->work = n;
	r->unit = "calls";
}
