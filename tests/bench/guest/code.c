// SPDX-License-Identifier: MIT-0
// Code that writes code and runs it, as JIT compilers do.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"

// Writes a function that returns @value, below 2048.
#if defined(__riscv)
static void emit(u8 *p, u32 value)
{
	u32 *insn = (u32 *)p;

	insn[0] = value << 20 | 10 << 7 | 0x13; // addi a0, zero, value
	insn[1] = 0x00008067;                   // ret
}

#elif defined(__x86_64__)
static void emit(u8 *p, u32 value)
{
	p[0] = 0xb8; // mov eax, value
	p[1] = (u8)value;
	p[2] = (u8)(value >> 8);
	p[3] = p[4] = 0;
	p[5] = 0xc3; // ret
}

#elif defined(__aarch64__)
static void emit(u8 *p, u32 value)
{
	u32 *insn = (u32 *)p;

	insn[0] = 0xd2800000 | value << 5; // mov x0, value
	insn[1] = 0xd65f03c0;              // ret
}

#endif

void bench_smc(struct res *r)
{
	u64 n = sc(20000);
	u64 sum = 0;
	u8 *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	double t;

	if (page == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	t = now();
	for (u64 i = 0; i < n; i++) {
		u8 *p = page + (i & 15) * 64;

		emit(p, (u32)(i * 13) & 0x7ff);
		__builtin___clear_cache((char *)p, (char *)p + 16);
		sum = sum * 3 + (u64)((int (*)(void))(void *)p)();
	}
	r->t = now() - t;
	munmap(page, 4096);
	r->sum = sum;
	r->work = n;
	r->unit = "gen+run";
}
