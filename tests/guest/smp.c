// SPDX-License-Identifier: GPL-2.0-or-later
// Memory ordering and atomicity between harts. Outcomes that RVWMO allows are not
// reported; those it forbids are counted (unprivileged spec 17 and 14).
#include "lib/guest.h"

#define HARTS 4
#define ROUNDS 4
#define N 2048 // places that one round visits

// Places lie apart, so that harts meet on one at a time.
struct place {
	volatile uint64_t x, gap[7], y, gap2[7];
};

static struct place place[N];
static uint64_t forbidden;
static volatile uint64_t result[HARTS][N];

#define STORE(p, value) (*(volatile uint64_t *)&(p) = (value))
#define LOAD(p) (*(volatile uint64_t *)&(p))
#define FENCE(pred, succ) __asm__ volatile("fence " #pred ", " #succ ::: "memory")

static uint64_t swap_aq(volatile uint64_t *at, uint64_t value)
{
	uint64_t r;

	__asm__ volatile("amoswap.d.aq %0, %1, (%2)" : "=r"(r) : "r"(value), "r"(at) : "memory");
	return r;
}

static void clear(unsigned index)
{
	barrier_wait(HARTS);
	if (index == 0) {
		for (unsigned i = 0; i < N; i++)
			place[i].x = place[i].y = 0;
	}
	barrier_wait(HARTS);
}

static void report(const char *name, unsigned index)
{
	barrier_wait(HARTS);
	if (index == 0) {
		print("%s: %d forbidden\n", name, forbidden);
		forbidden = 0;
	}
	barrier_wait(HARTS);
}

// Message passing: who sees the flag sees the data.
static void message(unsigned index, unsigned i)
{
	if (index == 0) {
		STORE(place[i].x, i + 1);
		FENCE(w, w);
		STORE(place[i].y, 1);
	} else if (index == 1) {
		uint64_t flag = LOAD(place[i].y);

		FENCE(r, r);
		if (flag && LOAD(place[i].x) != i + 1)
			forbidden++;
	}
}

// The same with an address that depends on the flag, and a release store.
static void message_dependent(unsigned index, unsigned i)
{
	if (index == 0) {
		STORE(place[i].x, i + 1);
		FENCE(rw, w);
		STORE(place[i].y, 64);
	} else if (index == 1) {
		uint64_t flag = LOAD(place[i].y), value;

		__asm__ volatile("xor t0, %1, %1\nadd t0, t0, %2\nld %0, 0(t0)"
				 : "=r"(value) : "r"(flag), "r"(&place[i].x) : "t0", "memory");
		if (flag && value != i + 1)
			forbidden++;
	}
}

// Store buffering: both cannot miss the other's store.
static void buffering(unsigned index, unsigned i)
{
	if (index == 0) {
		STORE(place[i].x, 1);
		FENCE(rw, rw);
		result[0][i] = LOAD(place[i].y);
	} else if (index == 1) {
		STORE(place[i].y, 1);
		FENCE(rw, rw);
		result[1][i] = LOAD(place[i].x);
	}
}

// The weakest fence that does: writes before reads.
static void buffering_wr(unsigned index, unsigned i)
{
	if (index == 0) {
		STORE(place[i].x, 1);
		FENCE(w, r);
		result[0][i] = LOAD(place[i].y);
	} else if (index == 1) {
		STORE(place[i].y, 1);
		FENCE(w, r);
		result[1][i] = LOAD(place[i].x);
	}
}

static void buffering_amo(unsigned index, unsigned i)
{
	if (index == 0) {
		swap_aq(&place[i].x, 1);
		result[0][i] = LOAD(place[i].y);
	} else if (index == 1) {
		swap_aq(&place[i].y, 1);
		result[1][i] = LOAD(place[i].x);
	}
}

// The same with what an engine may make of a loop around a compare-and-swap.
static void max_aq(volatile uint64_t *at, uint64_t value)
{
	__asm__ volatile("amomaxu.d.aq x0, %0, (%1)" :: "r"(value), "r"(at) : "memory");
}

static void buffering_max(unsigned index, unsigned i)
{
	if (index == 0) {
		max_aq(&place[i].x, 1);
		result[0][i] = LOAD(place[i].y);
	} else if (index == 1) {
		max_aq(&place[i].y, 1);
		result[1][i] = LOAD(place[i].x);
	}
}

static void conditional_aqrl(volatile uint64_t *at, uint64_t value)
{
	__asm__ volatile("1: lr.d t0, (%0)\nsc.d.aqrl t0, %1, (%0)\nbnez t0, 1b"
			 :: "r"(at), "r"(value) : "t0", "memory");
}

static void buffering_sc(unsigned index, unsigned i)
{
	if (index == 0) {
		conditional_aqrl(&place[i].x, 1);
		result[0][i] = LOAD(place[i].y);
	} else if (index == 1) {
		conditional_aqrl(&place[i].y, 1);
		result[1][i] = LOAD(place[i].x);
	}
}

// A compare-and-swap that fails is a load: with both bits it stays behind the store.
static uint64_t reserved_aqrl(volatile uint64_t *at)
{
	uint64_t r;

	__asm__ volatile("lr.d.aqrl %0, (%1)" : "=r"(r) : "r"(at) : "memory");
	return r;
}

static void buffering_lr(unsigned index, unsigned i)
{
	if (index == 0) {
		STORE(place[i].x, 1);
		result[0][i] = reserved_aqrl(&place[i].y);
	} else if (index == 1) {
		STORE(place[i].y, 1);
		result[1][i] = reserved_aqrl(&place[i].x);
	}
}

static void check_buffering(void)
{
	for (unsigned i = 0; i < N; i++)
		forbidden += !result[0][i] && !result[1][i];
}

// Independent reads of independent writes: two readers agree on the order.
static void independent(unsigned index, unsigned i)
{
	uint64_t first, second;

	switch (index) {
	case 0: STORE(place[i].x, 1); return;
	case 1: STORE(place[i].y, 1); return;
	case 2:
		first = LOAD(place[i].x);
		FENCE(rw, rw);
		second = LOAD(place[i].y);
		break;
	default:
		first = LOAD(place[i].y);
		FENCE(rw, rw);
		second = LOAD(place[i].x);
		break;
	}
	result[index][i] = first && !second;
}

static void check_independent(void)
{
	for (unsigned i = 0; i < N; i++)
		forbidden += result[2][i] && result[3][i];
}

// Write to read causality.
static void causality(unsigned index, unsigned i)
{
	if (index == 0) {
		STORE(place[i].x, 1);
	} else if (index == 1) {
		uint64_t seen = LOAD(place[i].x);

		FENCE(rw, rw);
		STORE(place[i].y, seen);
	} else if (index == 2) {
		uint64_t seen = LOAD(place[i].y);

		FENCE(rw, rw);
		if (seen && !LOAD(place[i].x))
			forbidden++;
	}
}

// One location: reads never go back.
static void coherence(unsigned index, unsigned i)
{
	volatile uint64_t *at = &place[0].x;

	if (index == 0) {
		STORE(*at, i + 1);
	} else {
		uint64_t first = LOAD(*at), second = LOAD(*at);

		if (second < first)
			__atomic_add_fetch(&forbidden, 1, __ATOMIC_RELAXED);
	}
}

// The first @n harts leave together, as near as can be: each tells its number of
// the place and waits for the others'.
static void rendezvous(unsigned index, unsigned n, uint64_t i)
{
	static struct {
		volatile uint64_t at, gap[7];
	} arrived[HARTS];

	arrived[index].at = i;
	for (unsigned other = 0; other < n; other++) {
		for (unsigned spins = 0; arrived[other].at < i; spins++) {
			if (spins > 200)
				pause_hart();
		}
	}
}

static void no_check(void)
{
}

static const struct {
	const char *name;
	unsigned harts;
	void (*run)(unsigned index, unsigned i);
	void (*check)(void);
} litmus[] = {
	{ "message passing", 2, message, no_check },
	{ "message passing by dependency", 2, message_dependent, no_check },
	{ "store buffering", 2, buffering, check_buffering },
	{ "store buffering, fence w,r", 2, buffering_wr, check_buffering },
	{ "store buffering, amo.aq", 2, buffering_amo, check_buffering },
	{ "store buffering, amomax.aq", 2, buffering_max, check_buffering },
	{ "store buffering, sc.aqrl", 2, buffering_sc, check_buffering },
	{ "store buffering, lr.aqrl", 2, buffering_lr, check_buffering },
	{ "independent reads", 4, independent, check_independent },
	{ "causality", 3, causality, no_check },
	{ "coherence", 4, coherence, no_check },
};

static void one_round(unsigned index, unsigned test, uint64_t round)
{
	clear(index);
	if (index < litmus[test].harts) {
		for (unsigned i = 0; i < N; i++) {
			rendezvous(index, litmus[test].harts, round * N + i + 1);
			litmus[test].run(index, i);
		}
	}
	barrier_wait(HARTS);
	if (index == 0)
		litmus[test].check();
}

static void all_litmus(unsigned index)
{
	for (unsigned test = 0; test < ARRAY_SIZE(litmus); test++) {
		for (unsigned round = 0; round < ROUNDS; round++)
			one_round(index, test, test * ROUNDS + round);
		report(litmus[test].name, index);
	}
}

#define COUNT 100000

static volatile uint64_t counter __attribute__((aligned(64)));
static volatile uint32_t lock;
static volatile uint64_t guarded[2];

static void increment_lr_sc(void)
{
	__asm__ volatile("1: lr.d t0, (%0)\naddi t0, t0, 1\nsc.d t1, t0, (%0)\nbnez t1, 1b"
			 :: "r"(&counter) : "t0", "t1", "memory");
}

static void increment_lr_sc_w(void)
{
	__asm__ volatile("1: lr.w.aq t0, (%0)\naddi t0, t0, 1\nsc.w.rl t1, t0, (%0)\nbnez t1, 1b"
			 :: "r"(&counter) : "t0", "t1", "memory");
}

static void increment_amo(void)
{
	__asm__ volatile("amoadd.d x0, %1, (%0)" :: "r"(&counter), "r"(1UL) : "memory");
}

static void increment_amo_w(void)
{
	__asm__ volatile("amoadd.w x0, %1, (%0)" :: "r"(&counter), "r"(1UL) : "memory");
}

static void increment_locked(void)
{
	__asm__ volatile("1: lw t0, (%0)\nbnez t0, 1b\nli t0, 1\namoswap.w.aq t0, t0, (%0)\n"
			 "bnez t0, 1b" :: "r"(&lock) : "t0", "memory");
	counter++;
	guarded[0]++;
	guarded[1]++;
	__asm__ volatile("amoswap.w.rl x0, x0, (%0)" :: "r"(&lock) : "memory");
}

// The maximum and minimum of what all harts offer, and bits that each sets.
static void offer(unsigned index)
{
	for (uint64_t i = 0; i < 20000; i++) {
		__asm__ volatile("amomaxu.d x0, %1, (%0)" :: "r"(&guarded[0]), "r"(i * 4 + index) : "memory");
		__asm__ volatile("amoor.d x0, %1, (%0)" :: "r"(&guarded[1]), "r"(1UL << (i % 16 * 4 + index))
				 : "memory");
		__asm__ volatile("amoxor.d x0, %1, (%0)" :: "r"(&counter), "r"(i) : "memory");
	}
}

static const struct {
	const char *name;
	void (*even)(void), (*odd)(void);
} counts[] = {
	{ "amoadd.d", increment_amo, increment_amo },
	{ "amoadd.w", increment_amo_w, increment_amo_w },
	{ "lr.d sc.d", increment_lr_sc, increment_lr_sc },
	{ "lr.w sc.w", increment_lr_sc_w, increment_lr_sc_w },
	{ "amo and lr/sc", increment_amo, increment_lr_sc },
	{ "a lock", increment_locked, increment_locked },
};

static void all_counts(unsigned index)
{
	for (unsigned test = 0; test < ARRAY_SIZE(counts); test++) {
		barrier_wait(HARTS);
		if (index == 0)
			counter = guarded[0] = guarded[1] = 0;
		barrier_wait(HARTS);
		for (unsigned i = 0; i < COUNT; i++)
			index & 1 ? counts[test].odd() : counts[test].even();
		barrier_wait(HARTS);
		if (index == 0)
			print("%s: %d\n", counts[test].name, counter);
	}
	if (index == 0) {
		print("guarded: %d %d\n", guarded[0], guarded[1]);
		counter = guarded[0] = guarded[1] = 0;
	}
	barrier_wait(HARTS);
	offer(index);
	barrier_wait(HARTS);
	if (index == 0)
		print("offers: %d %x %x\n", guarded[0], guarded[1], counter);
}

// An SC must not overwrite a plain store that came after its LR: hart 0 stores
// numbers in ascending order and may find its own with the mark, not an older one.
#define MARK (1UL << 63)

static void store_against_sc(unsigned index)
{
	static volatile uint64_t stop;
	uint64_t lost = 0;

	if (index == 0)
		counter = stop = 0;
	barrier_wait(HARTS);
	if (index == 0) {
		for (uint64_t i = 1; i <= 200000; i++) {
			STORE(counter, i);
			for (unsigned j = 0; j < 3; j++)
				lost += (LOAD(counter) & ~MARK) != i;
		}
		stop = 1;
		print("stores against sc: %d lost\n", lost);
	} else {
		while (!stop) {
			__asm__ volatile("lr.d t0, (%0)\nor t0, t0, %1\nsc.d t0, t0, (%0)"
					 :: "r"(&counter), "r"(MARK) : "t0", "memory");
		}
	}
	barrier_wait(HARTS);
}

// Aligned accesses are single: no mixture of two stores is ever seen.
static void no_tearing(unsigned index)
{
	static volatile uint64_t stop;
	static const uint64_t values[] = { 0, ~0UL, 0x5555555555555555, 0xaaaaaaaaaaaaaaaa };
	uint64_t torn = 0;

	if (index == 0)
		counter = stop = 0;
	barrier_wait(HARTS);
	if (index == 0) {
		for (unsigned i = 0; i < 300000; i++)
			STORE(counter, values[i & 3]);
		stop = 1;
	} else {
		while (!stop) {
			uint64_t v = LOAD(counter);
			uint32_t w = *((volatile uint32_t *)&counter + 1);

			torn += v != values[0] && v != values[1] && v != values[2] && v != values[3];
			torn += w != 0 && w != 0xffffffff && w != 0x55555555 && w != 0xaaaaaaaa;
		}
		__atomic_add_fetch(&forbidden, torn, __ATOMIC_RELAXED);
	}
	report("tearing", index);
}

static void all(unsigned index)
{
	all_litmus(index);
	all_counts(index);
	store_against_sc(index);
	no_tearing(index);
}

int main(void)
{
	run_harts(HARTS, all);
	return 0;
}
