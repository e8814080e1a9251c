// SPDX-License-Identifier: GPL-2.0-or-later
// The A extension on one hart: results, memory, failing SC. Its faults are amofault.c's.
#include "lib/guest.h"
#include "lib/edges.h"

// Aligned so that neighbours show what a word operation must not touch.
static uint64_t cell[64] __attribute__((aligned(4096)));

typedef uint64_t amo_fn(void *at, uint64_t value);

#define AMO(id, insn)                                                         \
	static uint64_t id(void *at, uint64_t value)                          \
	{                                                                     \
		uint64_t r;                                                   \
		__asm__ volatile(insn " %0, %2, (%1)" : "=&r"(r) : "r"(at), "r"(value) : "memory"); \
		return r;                                                     \
	}
#define AMO_ORDERS(id, insn)                                                  \
	AMO(id##_w, insn ".w") AMO(id##_w_aq, insn ".w.aq")                   \
	AMO(id##_w_rl, insn ".w.rl") AMO(id##_w_aqrl, insn ".w.aqrl")         \
	AMO(id##_d, insn ".d") AMO(id##_d_aq, insn ".d.aq")                   \
	AMO(id##_d_rl, insn ".d.rl") AMO(id##_d_aqrl, insn ".d.aqrl")

AMO_ORDERS(swap, "amoswap")
AMO_ORDERS(add, "amoadd")
AMO_ORDERS(xor, "amoxor")
AMO_ORDERS(and, "amoand")
AMO_ORDERS(or, "amoor")
AMO_ORDERS(min, "amomin")
AMO_ORDERS(max, "amomax")
AMO_ORDERS(minu, "amominu")
AMO_ORDERS(maxu, "amomaxu")

#define ORDERS(id)                                                            \
	{ #id ".w", { id##_w, id##_w_aq, id##_w_rl, id##_w_aqrl } },          \
	{ #id ".d", { id##_d, id##_d_aq, id##_d_rl, id##_d_aqrl } }

static const struct {
	const char *name;
	amo_fn *run[4];
} amos[] = {
	ORDERS(swap), ORDERS(add), ORDERS(xor), ORDERS(and), ORDERS(or), ORDERS(min),
	ORDERS(max), ORDERS(minu), ORDERS(maxu),
};

// @skew 4 puts a word operation into the upper half of a doubleword.
static void run_amo(amo_fn *run, unsigned skew, uint64_t memory, uint64_t value)
{
	cell[0] = cell[2] = 0x7777777777777777;
	cell[1] = memory;
	record(run((char *)&cell[1] + skew, value), memory, value, skew);
	record(cell[0], memory, value, skew);
	record(cell[1], memory, value, skew);
	record(cell[2], memory, value, skew);
}

static void all_amos(void)
{
	for (unsigned op = 0; op < ARRAY_SIZE(amos); op++) {
		group(amos[op].name);
		for (unsigned order = 0; order < 4; order++) {
			for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
				for (unsigned j = 0; j < ARRAY_SIZE(edges); j++) {
					run_amo(amos[op].run[order], 0, edges[i], edges[j]);
					if (op % 2 == 0)
						run_amo(amos[op].run[order], 4, edges[i], edges[j]);
				}
			}
		}
		group_end();
	}
}

// rd, rs1 and rs2 may be one register; x0 may be any of rd and rs2.
static void amo_registers(void)
{
	uint64_t r;

	cell[0] = 5;
	__asm__ volatile("mv %0, %1\namoadd.d %0, %0, (%0)" : "=&r"(r) : "r"(&cell[0]) : "memory");
	print("amo same register %x memory %x\n", r, cell[0] - (uint64_t)&cell[0]);
	cell[0] = 5;
	__asm__ volatile("amoadd.d x0, %0, (%1)" :: "r"(3), "r"(&cell[0]) : "memory");
	print("amo to x0: memory %x\n", cell[0]);
	__asm__ volatile("amoswap.w %0, x0, (%1)" : "=r"(r) : "r"(&cell[0]) : "memory");
	print("amo of x0: %x memory %x\n", r, cell[0]);
}

static uint64_t lr_w(void *at)
{
	uint64_t r;

	__asm__ volatile("lr.w %0, (%1)" : "=r"(r) : "r"(at) : "memory");
	return r;
}

static uint64_t lr_d(void *at)
{
	uint64_t r;

	__asm__ volatile("lr.d %0, (%1)" : "=r"(r) : "r"(at) : "memory");
	return r;
}

// SC's result is 0 or any other number.
AMO(sc_w_raw, "sc.w")
AMO(sc_d_raw, "sc.d")

static const char *sc_w(void *at, uint64_t value)
{
	return sc_w_raw(at, value) ? "failed" : "done";
}

static const char *sc_d(void *at, uint64_t value)
{
	return sc_d_raw(at, value) ? "failed" : "done";
}

// Runs until it succeeds, as an SC may fail for no reason.
static void pairs(void)
{
	cell[0] = 0xfedcba9880000001;
	uint64_t r;

	do
		r = lr_w(&cell[0]);
	while (sc_w_raw(&cell[0], 0x1122334455667788));
	print("lr.w %x sc.w memory %x\n", r, cell[0]);
	do
		r = lr_d(&cell[0]);
	while (sc_d_raw(&cell[0], 0x1122334455667788));
	print("lr.d %x sc.d memory %x\n", r, cell[0]);
	do
		r = lr_w((char *)&cell[0] + 4);
	while (sc_w_raw((char *)&cell[0] + 4, 0xaa));
	print("lr.w upper %x memory %x\n", r, cell[0]);
}

// What must fail (unprivileged spec 14.2).
static void failures(void)
{
	cell[0] = 1;
	sc_d_raw(&cell[0], 1);
	print("sc.d without lr %s memory %x\n", sc_d(&cell[0], 2), cell[0]);
	print("sc.w without lr %s memory %x\n", sc_w(&cell[0], 2), cell[0]);
	while (lr_d(&cell[0]), sc_d_raw(&cell[0], 3))
		;
	print("second sc.d %s memory %x\n", sc_d(&cell[0], 4), cell[0]);
	lr_d(&cell[0]);
	print("sc.d far from lr.d %s memory %x\n", sc_d(&cell[63], 5), cell[63]);
	print("sc.d after a failed one %s memory %x\n", sc_d(&cell[0], 6), cell[0]);
	lr_w(&cell[0]);
	lr_w(&cell[63]);
	print("sc.w to the lr before %s memory %x\n", sc_w(&cell[0], 7), cell[0]);
}

int main(void)
{
	all_amos();
	amo_registers();
	pairs();
	failures();
	return 0;
}
