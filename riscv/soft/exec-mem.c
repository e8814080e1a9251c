// SPDX-License-Identifier: GPL-2.0-or-later
// Handlers of loads, stores and atomics.
//
// A load or store tries three ways, each a handler of its own: the near TLB, which
// remembers a page for each base register and takes aligned accesses; the TLB, which
// takes any access inside a page (it compares the page of the *last* byte with the
// entry at the first byte's index); the walk, which takes all.
#include <string.h>

#include "exec.h"

#define RD h->x[SLOT_A]
#define FRD h->f[SLOT_A]
#define VA (h->x[SLOT_B] + (uint64_t)SLOT_IMM)

// Guest memory may be misaligned and is shared with other harts: one access each.
#define DEFINE_GUEST_ACCESS(bits)                                                    \
	struct guest_u##bits {                                                       \
		uint##bits##_t v;                                                    \
	} __attribute__((packed, may_alias));                                        \
	static ALWAYS_INLINE uint##bits##_t guest_load##bits(uint64_t host)          \
	{                                                                            \
		if (HOST_IS_STRICT && !(host & (bits / 8 - 1)))                      \
			return *(volatile uint##bits##_t *)(uintptr_t)host;          \
		return ((volatile struct guest_u##bits *)(uintptr_t)host)->v;        \
	}                                                                            \
	static ALWAYS_INLINE void guest_store##bits(uint64_t host, uint##bits##_t v) \
	{                                                                            \
		if (HOST_IS_STRICT && !(host & (bits / 8 - 1)))                      \
			*(volatile uint##bits##_t *)(uintptr_t)host = v;             \
		else                                                                 \
			((volatile struct guest_u##bits *)(uintptr_t)host)->v = v;   \
	}

// Where the compiler splits misaligned accesses into bytes, aligned ones must not be.
#if defined(__x86_64__) || defined(__aarch64__)
#define HOST_IS_STRICT 0
#else
#define HOST_IS_STRICT 1
#endif

DEFINE_GUEST_ACCESS(8)
DEFINE_GUEST_ACCESS(16)
DEFINE_GUEST_ACCESS(32)
DEFINE_GUEST_ACCESS(64)

static ALWAYS_INLINE const struct tlb_entry *probe(const struct tlb_entry *tlb, uint64_t va,
						   unsigned size)
{
	const struct tlb_entry *e = &tlb[tlb_index(va)];

	return likely(e->tag == ((va + size - 1) & PAGE_MASK)) ? e : NULL;
}

// The near TLB's entry for an aligned access, or NULL.
static ALWAYS_INLINE const struct tlb_entry *probe_near(const struct tlb_entry *near, uint64_t va,
							unsigned size)
{
	return likely(near->tag == (va & (PAGE_MASK | (size - 1)))) ? near : NULL;
}

static ALWAYS_INLINE int slot_length(slot_t w)
{
	return slot_op(w) < OP_PAIRS_END && slot_op(w) % 2 == 0 ? 1 : 2;
}

// -- loads: @bits wide; @check comes first; @put stores v --

#define LOAD(kind, name, bits, check, put)                                                   \
	static COLD const slot_t *name##_walk(HANDLER_ARGS)                                  \
	{                                                                                    \
		uint##bits##_t v;                                                            \
		h->trap_cause = mmu_load(h, VA, &h->scratch, bits / 8);                      \
		if (h->trap_cause != CAUSE_NONE)                                             \
			GO(exec_raise);                                                      \
		v = (uint##bits##_t)h->scratch;                                              \
		put;                                                                         \
		DISPATCH_ANY(s + slot_length(w));                                            \
	}                                                                                    \
	static OUT_OF_LINE const slot_t *name##_far(HANDLER_ARGS)                            \
	{                                                                                    \
		uint64_t va = VA;                                                            \
		const struct tlb_entry *e = probe(h->read_tlb, va, bits / 8);                \
		uint##bits##_t v;                                                            \
		if (!e)                                                                      \
			GO(name##_walk);                                                     \
		h->near_read[SLOT_B] = *e;                                                   \
		v = guest_load##bits(va + e->addend);                                        \
		put;                                                                         \
		DISPATCH_ANY(s + slot_length(w));                                            \
	}                                                                                    \
	kind(name)                                                                           \
	{                                                                                    \
		uint64_t va = VA;                                                            \
		const struct tlb_entry *e = probe_near(&h->near_read[SLOT_B], va, bits / 8); \
		uint##bits##_t v;                                                            \
		check;                                                                       \
		if (!e)                                                                      \
			GO(name##_far);                                                      \
		v = guest_load##bits(va + e->addend);                                        \
		put;                                                                         \
		NEXT(len);                                                                   \
	}

LOAD(WIDE, lb, 8, , RD = (uint64_t)(int64_t)(int8_t)v)
LOAD(WIDE, lbu, 8, , RD = v)
LOAD(WIDE, lh, 16, , RD = (uint64_t)(int64_t)(int16_t)v)
LOAD(WIDE, lhu, 16, , RD = v)
LOAD(BOTH, lw, 32, , RD = (uint64_t)(int64_t)(int32_t)v)
LOAD(WIDE, lwu, 32, , RD = v)
LOAD(BOTH, ld, 64, , RD = v)
LOAD(WIDE, flw, 32, FP_CHECK(), FRD = v | 0xffffffff00000000ULL)
LOAD(BOTH, fld, 64, FP_CHECK(), FRD = v)

// -- stores --

#define STORE(kind, name, bits, check, value)                                                 \
	static COLD const slot_t *name##_walk(HANDLER_ARGS)                                   \
	{                                                                                     \
		h->scratch = (uint##bits##_t)(value);                                         \
		h->trap_cause = mmu_store(h, VA, &h->scratch, bits / 8);                      \
		if (h->trap_cause != CAUSE_NONE)                                              \
			GO(exec_raise);                                                       \
		DISPATCH_ANY(s + slot_length(w));                                             \
	}                                                                                     \
	static OUT_OF_LINE const slot_t *name##_far(HANDLER_ARGS)                             \
	{                                                                                     \
		uint64_t va = VA;                                                             \
		const struct tlb_entry *e = probe(h->write_tlb, va, bits / 8);                \
		if (!e)                                                                       \
			GO(name##_walk);                                                      \
		h->near_write[SLOT_B] = *e;                                                   \
		guest_store##bits(va + e->addend, (uint##bits##_t)(value));                   \
		DISPATCH_ANY(s + slot_length(w));                                             \
	}                                                                                     \
	kind(name)                                                                            \
	{                                                                                     \
		uint64_t va = VA;                                                             \
		const struct tlb_entry *e = probe_near(&h->near_write[SLOT_B], va, bits / 8); \
		check;                                                                        \
		if (!e)                                                                       \
			GO(name##_far);                                                       \
		guest_store##bits(va + e->addend, (uint##bits##_t)(value));                   \
		NEXT(len);                                                                    \
	}

STORE(WIDE, sb, 8, , RD)
STORE(WIDE, sh, 16, , RD)
STORE(BOTH, sw, 32, , RD)
STORE(BOTH, sd, 64, , RD)
STORE(WIDE, fsw, 32, FP_CHECK(), FRD)
STORE(BOTH, fsd, 64, FP_CHECK(), FRD)

// -- A: operand imm holds rs2; addresses must be aligned --

#define AMO_VA (h->x[SLOT_B])
#define AMO_SOURCE (h->x[SLOT_IMM & 31])
#define AMO_RL 0x100 // in the operand: the release bit

// An AMO or SC is a single access, which later ones cannot pass (unprivileged spec 17,
// RVWMO's rules 3 and 5). Most hosts let them pass the store that ends an atomic
// operation, even a sequentially consistent one.
static ALWAYS_INLINE void keep_later_accesses(void)
{
#if !defined(__x86_64__)
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

// gcc 12 for riscv64 compares all of the register that holds @expected with what lr.w
// has sign-extended (PR target/114130): it must be extended, too, out of gcc's sight.
static ALWAYS_INLINE bool compare_and_swap32(uint32_t *p, uint32_t expected, uint32_t desired)
{
#if defined(__riscv)
	int64_t extended = (int32_t)expected;

	__asm__("" : "+r"(extended));
	expected = (uint32_t)extended;
#endif
	return __sync_bool_compare_and_swap(p, expected, desired);
}

static ALWAYS_INLINE bool compare_and_swap64(uint64_t *p, uint64_t expected, uint64_t desired)
{
	return __sync_bool_compare_and_swap(p, expected, desired);
}

// Sets h->scratch_host; false: h->trap_cause says why not.
static ALWAYS_INLINE bool amo_pointer(struct hart *h, uint64_t va, unsigned size)
{
	const struct tlb_entry *e = probe(h->write_tlb, va, size);

	if (va & (size - 1)) {
		h->trap_cause = CAUSE_STORE_MISALIGNED;
		h->trap_tval = va;
		return false;
	}
	if (e) {
		h->scratch_host = (void *)(uintptr_t)(va + e->addend);
		return true;
	}
	h->trap_cause = mmu_store_pointer(h, va, size, &h->scratch_host);
	return h->trap_cause == CAUSE_NONE;
}

#define AMO_W(name, expr)                                 \
	WIDE(name##_w)                                    \
	{                                                 \
		uint32_t source = (uint32_t)AMO_SOURCE;   \
		uint32_t *p;                              \
		if (unlikely(!amo_pointer(h, AMO_VA, 4))) \
			GO(exec_raise);                   \
		p = h->scratch_host;                      \
		RD = (uint64_t)(int64_t)(int32_t)(expr);  \
		keep_later_accesses();                    \
		NEXT(len);                                \
	}

#define AMO_D(name, expr)                                 \
	WIDE(name##_d)                                    \
	{                                                 \
		uint64_t source = AMO_SOURCE;             \
		uint64_t *p;                              \
		if (unlikely(!amo_pointer(h, AMO_VA, 8))) \
			GO(exec_raise);                   \
		p = h->scratch_host;                      \
		RD = (expr);                              \
		keep_later_accesses();                    \
		NEXT(len);                                \
	}

#define AMO(name, builtin)                                \
	AMO_W(name, builtin(p, source, __ATOMIC_SEQ_CST)) \
	AMO_D(name, builtin(p, source, __ATOMIC_SEQ_CST))

AMO(amoswap, __atomic_exchange_n)
AMO(amoadd, __atomic_fetch_add)
AMO(amoxor, __atomic_fetch_xor)
AMO(amoand, __atomic_fetch_and)
AMO(amoor, __atomic_fetch_or)

// Minimum and maximum: @type tells how to compare.
#define DEFINE_MINMAX(name, bits, type, op)                                                       \
	static ALWAYS_INLINE uint##bits##_t name(uint##bits##_t *p, uint##bits##_t source)        \
	{                                                                                         \
		uint##bits##_t old = __atomic_load_n(p, __ATOMIC_RELAXED);                        \
		while (!compare_and_swap##bits(p, old, (type)source op(type) old ? source : old)) \
			old = __atomic_load_n(p, __ATOMIC_RELAXED);                               \
		return old;                                                                       \
	}

DEFINE_MINMAX(fetch_min32, 32, int32_t, <)
DEFINE_MINMAX(fetch_max32, 32, int32_t, >)
DEFINE_MINMAX(fetch_minu32, 32, uint32_t, <)
DEFINE_MINMAX(fetch_maxu32, 32, uint32_t, >)
DEFINE_MINMAX(fetch_min64, 64, int64_t, <)
DEFINE_MINMAX(fetch_max64, 64, int64_t, >)
DEFINE_MINMAX(fetch_minu64, 64, uint64_t, <)
DEFINE_MINMAX(fetch_maxu64, 64, uint64_t, >)

AMO_W(amomin, fetch_min32(p, source))
AMO_W(amomax, fetch_max32(p, source))
AMO_W(amominu, fetch_minu32(p, source))
AMO_W(amomaxu, fetch_maxu32(p, source))
AMO_D(amomin, fetch_min64(p, source))
AMO_D(amomax, fetch_max64(p, source))
AMO_D(amominu, fetch_minu64(p, source))
AMO_D(amomaxu, fetch_maxu64(p, source))

// LR remembers address and value; SC succeeds if the host's compare-and-swap does.
// A value that changed and changed back goes unnoticed, which the sequences that
// the ISA guarantees progress for (ch. 13.3) and compilers emit tolerate. An LR that
// is a release, too, waits for earlier stores, unlike a load of the host.

#define LR(name, bits)                                                                         \
	WIDE(name)                                                                             \
	{                                                                                      \
		uint64_t va = AMO_VA;                                                          \
		const struct tlb_entry *e = probe(h->read_tlb, va, bits / 8);                  \
		if (unlikely(va & (bits / 8 - 1)))                                             \
			RAISE(CAUSE_LOAD_MISALIGNED, va);                                      \
		if (unlikely(!e))                                                              \
			GO(lr_slow);                                                           \
		if (SLOT_IMM & AMO_RL)                                                         \
			__atomic_thread_fence(__ATOMIC_SEQ_CST);                               \
		h->resv_value = __atomic_load_n((uint##bits##_t *)(uintptr_t)(va + e->addend), \
						__ATOMIC_SEQ_CST);                             \
		h->resv_va = va;                                                               \
		RD = (uint64_t)(int64_t)(int##bits##_t)h->resv_value;                          \
		NEXT(len);                                                                     \
	}

// Fills the TLB and tries again, or faults. A device has no reservations.
static COLD const slot_t *lr_slow(HANDLER_ARGS)
{
	h->trap_cause = mmu_load_pointer(h, AMO_VA, &h->scratch_host);
	if (h->trap_cause != CAUSE_NONE)
		GO(exec_raise);
	return exec_handlers[slot_op(w)](h, s, w); // counted already
}

LR(lr_w, 32)
LR(lr_d, 64)

#define SC(name, bits)                                                                       \
	WIDE(name)                                                                           \
	{                                                                                    \
		uint64_t va = AMO_VA, expected = h->resv_va;                                 \
		if (unlikely(!amo_pointer(h, va, bits / 8)))                                 \
			GO(exec_raise);                                                      \
		h->resv_va = RESERVATION_NONE;                                               \
		RD = va != expected ||                                                       \
		     !compare_and_swap##bits(h->scratch_host, (uint##bits##_t)h->resv_value, \
					     (uint##bits##_t)AMO_SOURCE);                    \
		keep_later_accesses();                                                       \
		NEXT(len);                                                                   \
	}

SC(sc_w, 32)
SC(sc_d, 64)

// -- fences --

#define FENCE_PRED_OW 0x50 // predecessor set: O or W
#define FENCE_SUCC_IR 0x0a // successor set: I or R

WIDE(fence)
{
	// x86 reorders only stores with later loads; elsewhere take the strongest.
#if defined(__x86_64__)
	if ((SLOT_IMM & FENCE_PRED_OW) && (SLOT_IMM & FENCE_SUCC_IR))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
	NEXT(len);
}

// Zicboz: the block is a page, which makes it one memset for the kernel.
WIDE(cbo_zero)
{
	if (h->priv == PRIV_U && !(h->senvcfg & SENVCFG_CBZE))
		GO(exec_illegal);
	h->trap_cause = mmu_store_pointer(h, AMO_VA, 1, &h->scratch_host);
	if (unlikely(h->trap_cause != CAUSE_NONE))
		GO(exec_raise);
	memset((void *)align_down((uintptr_t)h->scratch_host, PAGE_BYTES), 0, PAGE_BYTES);
	NEXT(len);
}
