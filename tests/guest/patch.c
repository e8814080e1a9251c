// SPDX-License-Identifier: GPL-2.0-or-later
// One hart patches code twice while it runs straight ahead, so that it has no cause to
// look at requests in between; the other one sees each patch after its own FENCE.I.
#include "lib/guest.h"

#define LI_A0(v) (0x00000513u | (uint32_t)(v) << 20)
#define RET 0x00008067u
#define ROUNDS 5

static uint32_t code[1024] __attribute__((aligned(4096)));
static volatile uint64_t step __attribute__((aligned(4096)));

static uint64_t call(void)
{
	fence_i();
	return ((uint64_t(*)(void))code)();
}

static void patch_twice(void)
{
	// 800 times pause: long enough for the other hart to run the first patch.
	__asm__ volatile("sw %1, 0(%0); fence; sd %3, 0(%4);"
			 ".rept 800; .word 0x0100000f; .endr;"
			 "sw %2, 0(%0); fence; sd %5, 0(%4)" ::"r"(code),
			 "r"(LI_A0(1)), "r"(LI_A0(2)), "r"(1L), "r"(&step), "r"(2L)
			 : "memory");
}

static void await_step(uint64_t wanted)
{
	while (step < wanted)
		;
}

static void work(unsigned index)
{
	if (index == 1) {
		patch_twice();
		return;
	}
	await_step(1);
	call();
	call();
	await_step(2);
	print("%d\n", call());
}

int main(void)
{
	code[1] = RET;
	for (unsigned i = 0; i < ROUNDS; i++) {
		step = 0;
		code[0] = LI_A0(0);
		fence_i();
		run_harts(2, work);
	}
	return 0;
}
